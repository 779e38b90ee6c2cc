//! The interfaces of a run: attached at the start, and again when one comes back.

use std::{
    collections::BTreeSet,
    mem,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{
    config::{self, Listen},
    datapath::{
        Answering, AttachError, Bypass, Chains, Datapath, Ingress, IngressMode, Mode, SlotTaken, Tc, Wanted,
        bypass, slot_taken,
    },
    host::{
        addresses::Address,
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
    ingress: config::Ingress,
    listen: Vec<Listen>,
    netns: NetNs,
    attached: Vec<Given>,
    /// Indices of links of which the kernel told, since the last look, that they went.
    gone: BTreeSet<u32>,
    /// Messages were missed since the last look.
    in_doubt: bool,
    /// Indices of those of which it was said what attaching does to them.
    warned: BTreeSet<u32>,
}

/// An interface that is attached.
#[derive(Debug)]
struct Given {
    attached: Attached,
    /// Which programs it has.
    programs: Wanted,
}

impl Interfaces {
    pub(super) fn new(config: &config::Config, netns: NetNs) -> Self {
        Self {
            wanted: config.interfaces.iter().map(ToString::to_string).collect(),
            ingress: config.ingress,
            listen: config.services.iter().flat_map(|service| service.listen.clone()).collect(),
            netns,
            attached: Vec::new(),
            gone: BTreeSet::new(),
            in_doubt: false,
            warned: BTreeSet::new(),
        }
    }

    /// Those that are attached.
    pub(super) fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.attached.iter().map(|given| &given.attached)
    }

    fn given(&self, link: &Link) -> Option<&Given> {
        self.attached.iter().find(|given| given.attached.index == link.index)
    }

    /// The links of all that were asked for; an error if one is missing or of no use.
    pub(super) async fn links(&self, netlink: &Netlink) -> Result<Vec<Link>, LinkError> {
        let mut links = Vec::new();
        for name in &self.wanted {
            let link = netlink.link(name).await?;
            link.check()?;
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
        addresses: &[Address],
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        links.sort_by_key(|link| datapath.is_left_on(link, self.netns));
        for link in &links {
            self.attach(link, addresses, datapath, netlink).await?;
        }
        Ok(())
    }

    /// Where the servers are, seen from a link: on this host, behind it.
    ///
    /// A server whose address is not this host's is behind every link, since routes change. An address may come later,
    /// where one host of several has it at a time: so a link is prepared for it, but for the host end of a container's
    /// veth, which XDP would cost its offloads.
    fn roles(&self, link: &Link, addresses: &[Address]) -> (bool, bool) {
        let is_local = |listen: &Listen| match listen {
            Listen::EveryIpv4 { .. } | Listen::EveryIpv6 { .. } => true,
            Listen::One { address, .. } => {
                address.is_loopback() || addresses.iter().any(|local| local.ip == *address)
            }
        };
        let here = link.kind != Kind::Veth || self.listen.iter().any(is_local);
        (here, !self.listen.iter().all(is_local))
    }

    async fn attach(
        &mut self,
        link: &Link,
        addresses: &[Address],
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        link.check()?;
        let (here, behind) = self.roles(link, addresses);
        let wanted = |ingress| Wanted { here: here.then_some(ingress), behind };
        if let Some(owner) = datapath.served_by_another(link, self.netns) {
            return Err(AttachError::Served { interface: link.name.clone(), owner });
        }
        let first = match self.ingress {
            config::Ingress::Auto if link.kind == Kind::Veth => Ingress::Tc,
            config::Ingress::Auto | config::Ingress::Native => Ingress::Xdp(Mode::Native),
            // Behind generic XDP, tc ingress sees packets without their Ethernet header where the kernel had to copy them
            // (`skb_pp_cow_data`; Linux 6.18), and responses that arrive are edited there.
            config::Ingress::Generic if behind => Ingress::Tc,
            config::Ingress::Generic => Ingress::Xdp(Mode::Generic),
            config::Ingress::Tc => Ingress::Tc,
        };
        if here && first != Ingress::Tc {
            self.warn_of_xdp(link);
        }
        let tried = self.attach_when_free(link, wanted(first), datapath, netlink).await;
        let (given, tc, why_tc) = match tried {
            Ok(tc) => (wanted(first), tc, self.why_not_xdp(link).filter(|_| here)),
            Err(error @ (AttachError::NotNative { .. } | AttachError::Taken { .. }))
                if self.ingress == config::Ingress::Auto =>
            {
                let (given, why) = (wanted(Ingress::Tc), why(&error));
                log::info!("{}: no XDP: {why}; queries are seen at tc", link.name);
                (given, datapath.attach(link, self.netns, given)?, Some(why))
            }
            Err(error) => return Err(error),
        };
        let now = netlink.link(&link.name).await?;
        let bypass = look_for_bypass(&now, self.bypass_of(link));
        let ingress = match given.here {
            None => None,
            Some(Ingress::Tc) => Some(IngressMode::Tc),
            // Asked for native XDP, a kernel may give generic.
            Some(Ingress::Xdp(_)) => IngressMode::of(&now),
        };
        if given.here == Some(Ingress::Tc) && IngressMode::of(&now) == Some(IngressMode::Generic) {
            log::warn!(
                "{}: behind somebody's generic XDP program, tc may see no Ethernet headers (Linux 6.18), and then no \
                 queries",
                link.name
            );
        }
        let tcx = Chains::of(&link.name);
        let attached = Attached {
            name: link.name.clone(),
            index: link.index,
            ingress,
            why_tc,
            behind,
            edits_at_xdp: behind && given.edits_at_xdp(link),
            tc,
            tcx,
            bypass,
        };
        log::info!("{}: attached, {ingress:?}, tc by {tc:?}", link.name);
        self.attached.retain(|other| other.attached.index != link.index);
        self.attached.push(Given { attached, programs: given });
        Ok(())
    }

    /// What was last seen to take packets off a link.
    fn bypass_of(&self, link: &Link) -> Option<&Bypass> {
        self.given(link)?.attached.bypass.as_ref()
    }

    /// Why XDP is not even tried on a link.
    fn why_not_xdp(&self, link: &Link) -> Option<String> {
        if self.ingress != config::Ingress::Auto || link.kind != Kind::Veth {
            return None;
        }
        Some(match slot_taken(link) {
            Some(SlotTaken::ByProgram(id, program)) => taken(&program, id),
            // `veth_xdp_xmit`, drivers/net/veth.c.
            _ => "of veth, an answer made there is lost unless the far end has an XDP program".to_owned(),
        })
    }

    fn warn_of_xdp(&mut self, link: &Link) {
        if !matches!(link.kind, Kind::Veth | Kind::Loopback) && self.warned.insert(link.index) {
            let reset = match self.ingress {
                config::Ingress::Generic => "",
                _ => ", and the driver may reset the link",
            };
            // `dev_disable_lro` and `dev_disable_gro_hw`, net/core/dev.c.
            log::warn!("{}: attaching XDP, which turns LRO and hardware GRO off{reset}", link.name);
        }
    }

    /// Tells who has the slot, unless it becomes free at once. An agent that starts with us may not have pinned its
    /// link yet, by which it is known.
    async fn attach_when_free(
        &self,
        link: &Link,
        wanted: Wanted,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<Tc, AttachError> {
        let patience = Instant::now() + TO_PIN;
        let mut tried = datapath.attach(link, self.netns, wanted);
        while let Err(AttachError::Busy { .. }) = tried {
            let now = netlink.link(&link.name).await?;
            let late = Instant::now() >= patience;
            match slot_taken(&now) {
                None if late => break,
                None => tried = datapath.attach(&now, self.netns, wanted),
                Some(SlotTaken::ByNoInstanceYet(..)) if !late => {}
                Some(taken) => return Err(taken.error(&now.name)),
            }
            time::sleep(BEFORE_LOOKING_AGAIN).await;
        }
        tried
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
        addresses: &[Address],
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        let gone = mem::take(&mut self.gone);
        // Attaching to what is attached changes nothing.
        let in_doubt = mem::take(&mut self.in_doubt);
        let mut to_attach = Vec::new();
        for Given { mut attached, programs } in mem::take(&mut self.attached) {
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
            let at_xdp = matches!(attached.ingress, Some(IngressMode::Native | IngressMode::Generic));
            let detached = at_xdp && !datapath.runs_on(link);
            if detached {
                log::warn!("{}: somebody detached our XDP program; attaching it again", link.name);
            }
            let (here, behind) = self.roles(link, addresses);
            let moved = here != attached.ingress.is_some() || behind != attached.behind;
            if detached || moved || in_doubt {
                to_attach.push(link);
            } else {
                self.attached.push(Given { attached, programs });
            }
        }
        for link in links.iter().filter(|link| self.wanted.contains(&link.name)) {
            let known = to_attach.iter().any(|known| known.index == link.index) || self.given(link).is_some();
            if !known {
                to_attach.push(link);
            }
        }
        let mut followed = Ok(());
        for link in to_attach {
            followed = followed.and(self.attach(link, addresses, datapath, netlink).await);
        }
        followed.and(self.refresh(datapath, netlink).await)
    }

    /// Tells the programs what the interfaces are like now, and takes off them what is not needed there any more.
    pub(super) async fn refresh(
        &mut self,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        for Given { attached, .. } in &mut self.attached {
            attached.tcx = Chains::of(&attached.name);
        }
        let mut told = Ok(());
        for (link, programs) in links.iter().filter_map(|link| Some((link, self.given(link)?.programs))) {
            datapath.detach_unwanted(link, self.netns, programs);
            // A response that arrives leaves by another link, which may take less.
            let least =
                links.iter().filter(|link| link.up && link.kind != Kind::Loopback).map(|link| link.mtu).min();
            let mtu = least.filter(|_| programs.behind).unwrap_or(link.mtu);
            let link = &Link { mtu: mtu.min(link.mtu), ..link.clone() };
            // Whether the device takes tags off the frames is not asked: that there are VLANs is reason enough.
            let tagged = links.iter().any(|vlan| vlan.kind == Kind::Vlan && vlan.lower == Some(link.index));
            let answering = if tagged { Answering::ByServer } else { Answering::ByUs };
            // Native XDP on a bond runs on each of its links, and finds that one's index (`bond_xdp_set`,
            // drivers/net/bonding/bond_main.c).
            let of_bond = |of: &&Link| link.kind == Kind::Bond && of.master == Some(link.index);
            for of_bond in links.iter().filter(of_bond) {
                told = told.and(datapath.set_interface(of_bond, answering));
            }
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

/// Why it is not XDP, without the interface, which is named beside it.
fn why(error: &AttachError) -> String {
    match error {
        AttachError::NotNative { source, .. } => format!("the driver has none ({source})"),
        AttachError::Taken { program, id, .. } => taken(program, *id),
        other => other.to_string(),
    }
}

fn taken(program: &str, id: u32) -> String {
    format!("the slot is taken by the program '{program}' (id {id})")
}
