//! The interfaces of a run: attached at the start, and again when one comes back.

use std::{
    collections::BTreeSet,
    mem,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{
    config,
    datapath::{
        Answering, AttachError, Bypass, Datapath, Egress, Ingress, IngressMode, SlotTaken, bypass, slot_taken,
    },
    host::{
        links::{Kind, Link, LinkError, Netlink},
        namespaces::NetNs,
        watch::Event,
    },
    state::Attached,
};

/// How long an agent that just attached may take to pin its link.
const TO_PIN: Duration = Duration::from_millis(100);
const BEFORE_LOOKING_AGAIN: Duration = Duration::from_millis(5);

/// The interfaces that were asked for, and those that are attached.
#[derive(Debug)]
pub(super) struct Interfaces {
    wanted: Vec<String>,
    ingress: Ingress,
    netns: NetNs,
    attached: Vec<Attached>,
    /// Indices of links of which the kernel told, since the last look, that they went.
    gone: BTreeSet<u32>,
    /// Messages were missed since the last look.
    in_doubt: bool,
    /// Indices of those of which it was said what attaching does to them.
    warned: BTreeSet<u32>,
}

impl Interfaces {
    pub(super) fn new(config: &config::Config, netns: NetNs) -> Self {
        let ingress = match config.ingress {
            config::Ingress::Auto => Ingress::Auto,
            config::Ingress::Native => Ingress::Native,
            config::Ingress::Generic => Ingress::Generic,
        };
        let wanted = config.interfaces.iter().map(ToString::to_string).collect();
        let (attached, gone, warned) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self { wanted, ingress, netns, attached, gone, in_doubt: false, warned }
    }

    /// Those that are attached.
    pub(super) fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// The links of all that were asked for; an error if one is missing or of no use.
    pub(super) async fn links(&self, netlink: &Netlink) -> Result<Vec<Link>, LinkError> {
        let mut links = Vec::new();
        for name in &self.wanted {
            let link = netlink.link(name).await?;
            link.mac()?;
            links.push(link);
        }
        Ok(links)
    }

    /// Attaches to all of those, or to none.
    ///
    /// To new ones first: what is most often refused, a slot that is taken, is so before a link of the last run goes
    /// over to this run's programs.
    pub(super) async fn attach_all(
        &mut self,
        mut links: Vec<Link>,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        links.sort_by_key(|link| datapath.is_left_on(link, self.netns));
        for link in &links {
            self.attach(link, datapath, netlink).await?;
        }
        Ok(())
    }

    async fn attach(
        &mut self,
        link: &Link,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        if !matches!(link.kind, Kind::Veth | Kind::Loopback) && self.warned.insert(link.index) {
            let reset =
                if self.ingress == Ingress::Generic { "" } else { ", and the driver may reset the link" };
            // `dev_disable_lro` and `dev_disable_gro_hw`, net/core/dev.c.
            log::warn!("{}: attaching XDP, which turns LRO and hardware GRO off{reset}", link.name);
        }
        let egress = match datapath.attach(link, self.netns, self.ingress) {
            Err(AttachError::Busy { .. }) => self.attach_when_free(link, datapath, netlink).await?,
            attached => attached?,
        };
        let now = netlink.link(&link.name).await?;
        let ingress = IngressMode::of(&now);
        let bypass = look_for_bypass(&now, None);
        log::info!("{}: attached, XDP {ingress:?}, tc by {egress:?}", link.name);
        self.attached.retain(|attached| attached.index != link.index);
        self.attached.push(Attached { name: link.name.clone(), index: link.index, ingress, egress, bypass });
        Ok(())
    }

    /// Tells who has the slot, unless it becomes free at once. An agent that starts with us may not have pinned its
    /// link yet, by which it is known.
    async fn attach_when_free(
        &self,
        link: &Link,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<Egress, AttachError> {
        let patience = Instant::now() + TO_PIN;
        loop {
            let now = netlink.link(&link.name).await?;
            let taken = slot_taken(&now);
            let late = Instant::now() >= patience;
            if late {
                look_for_bypass(&now, None);
            }
            match taken {
                None => match datapath.attach(&now, self.netns, self.ingress) {
                    Err(AttachError::Busy { .. }) if !late => {}
                    attached => return attached,
                },
                Some(SlotTaken::ByNoInstanceYet(_)) if !late => {}
                Some(taken) => return Err(taken.error(&now.name)),
            }
            time::sleep(BEFORE_LOOKING_AGAIN).await;
        }
    }

    /// Notes what a later look at the links does not show: one that was made again with its old index.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::LinkGone { index, .. } => {
                self.gone.insert(*index);
            }
            Event::Resync => self.in_doubt = true,
            Event::AddressesChanged | Event::LinkChanged(_) => {}
        }
    }

    /// Attaches to what has come, forgets what has gone, follows what has changed. What fails keeps nothing else from
    /// being followed; the first error is returned.
    pub(super) async fn follow(
        &mut self,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        let gone = mem::take(&mut self.gone);
        // Attaching to what is attached changes nothing.
        let in_doubt = mem::take(&mut self.in_doubt);
        let mut to_attach = Vec::new();
        for mut attached in mem::take(&mut self.attached) {
            let link = links.iter().find(|link| link.index == attached.index);
            let Some(link) = link.filter(|link| !gone.contains(&link.index)) else {
                log::warn!(
                    "{}: the interface is gone; it is attached again when it comes back",
                    attached.name
                );
                datapath.detach(attached.index, self.netns);
                continue;
            };
            if link.name != attached.name {
                log::warn!("{}: renamed to {}; it stays attached", attached.name, link.name);
                attached.name.clone_from(&link.name);
            }
            attached.bypass = look_for_bypass(link, attached.bypass.as_ref());
            let detached = !datapath.runs_on(link);
            if detached {
                log::warn!("{}: somebody detached our XDP program; attaching it again", link.name);
            }
            if detached || in_doubt {
                to_attach.push(link);
            } else {
                self.attached.push(attached);
            }
        }
        for link in links.iter().filter(|link| self.wanted.contains(&link.name)) {
            let known = to_attach.iter().any(|known| known.index == link.index)
                || self.attached.iter().any(|attached| attached.index == link.index);
            if !known {
                to_attach.push(link);
            }
        }
        let mut followed = Ok(());
        for link in to_attach {
            followed = followed.and(self.attach(link, datapath, netlink).await);
        }
        followed.and(self.refresh(datapath, netlink).await)
    }

    /// Tells the programs what the interfaces are like now.
    pub(super) async fn refresh(&self, datapath: &Datapath, netlink: &Netlink) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        let mut told = Ok(());
        for link in
            links.iter().filter(|link| self.attached.iter().any(|attached| attached.index == link.index))
        {
            // Whether the device takes tags off the frames is not asked: that there are VLANs is reason enough.
            let tagged = links.iter().any(|vlan| vlan.kind == Kind::Vlan && vlan.lower == Some(link.index));
            let answering = if tagged { Answering::ByServer } else { Answering::ByXdp };
            told = told.and(datapath.set_interface(link, answering));
        }
        Ok(told?)
    }
}

/// What takes packets off an interface past us; a word in the log, if that is something else than before.
fn look_for_bypass(link: &Link, before: Option<&Bypass>) -> Option<Bypass> {
    let found = bypass(link);
    if let Some(found) = found.as_ref().filter(|found| before != Some(found)) {
        log::warn!("{}: {found}", link.name);
    }
    found
}
