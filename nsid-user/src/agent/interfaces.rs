//! The interfaces of a run: attached at the start, and again when one comes back.

use crate::{
    config,
    datapath::{Answering, AttachError, Datapath, Ingress, IngressMode},
    host::{
        links::{Kind, Link, LinkError, Netlink},
        namespaces::NetNs,
    },
    state::Attached,
};

/// The interfaces that were asked for, and those that are attached.
#[derive(Debug)]
pub(super) struct Interfaces {
    wanted: Vec<String>,
    ingress: Ingress,
    netns: NetNs,
    attached: Vec<Attached>,
}

impl Interfaces {
    pub(super) fn new(config: &config::Config, netns: NetNs) -> Self {
        let ingress = match config.ingress {
            config::Ingress::Auto => Ingress::Auto,
            config::Ingress::Native => Ingress::Native,
            config::Ingress::Generic => Ingress::Generic,
        };
        let wanted = config.interfaces.iter().map(ToString::to_string).collect();
        Self { wanted, ingress, netns, attached: Vec::new() }
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

    /// Attaches to one of those.
    pub(super) async fn attach(
        &mut self,
        link: &Link,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        if self.ingress != Ingress::Generic && !matches!(link.kind, Kind::Veth | Kind::Loopback) {
            log::warn!(
                "{}: attaching native XDP; the driver may reset the link, and turns LRO off",
                link.name
            );
        }
        let egress = datapath.attach(link, self.netns, self.ingress)?;
        let now = netlink.link(&link.name).await?;
        let ingress = IngressMode::of(&now);
        log::info!("{}: attached, XDP {ingress:?}, tc by {egress:?}", link.name);
        self.attached.retain(|attached| attached.index != link.index);
        self.attached.push(Attached { name: link.name.clone(), index: link.index, ingress, egress });
        self.refresh(datapath, netlink).await
    }

    /// Attaches to what has come, forgets what has gone, follows what has changed.
    pub(super) async fn follow(
        &mut self,
        datapath: &mut Datapath,
        netlink: &Netlink,
    ) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        let gone = |attached: &Attached| links.iter().all(|link| link.index != attached.index);
        for attached in self.attached.extract_if(.., |attached| gone(attached)) {
            log::warn!("{}: the interface is gone; it is attached again when it comes back", attached.name);
            datapath.detach(attached.index, self.netns);
        }
        for attached in &mut self.attached {
            let link = links.iter().find(|link| link.index == attached.index);
            if let Some(link) = link.filter(|link| link.name != attached.name) {
                log::warn!("{}: renamed to {}; it stays attached", attached.name, link.name);
                attached.name.clone_from(&link.name);
            }
        }
        let missing = |link: &&Link| {
            self.wanted.contains(&link.name)
                && self.attached.iter().all(|attached| attached.index != link.index)
        };
        let back: Vec<_> = links.iter().filter(missing).cloned().collect();
        for link in back {
            self.attach(&link, datapath, netlink).await?;
        }
        self.refresh(datapath, netlink).await
    }

    /// Tells the programs what the interfaces are like now.
    async fn refresh(&mut self, datapath: &Datapath, netlink: &Netlink) -> Result<(), AttachError> {
        let links = netlink.links().await?;
        for link in
            links.iter().filter(|link| self.attached.iter().any(|attached| attached.index == link.index))
        {
            // Whether the device takes tags off the frames is not asked: that there are VLANs is reason enough.
            let tagged = links.iter().any(|vlan| vlan.kind == Kind::Vlan && vlan.lower == Some(link.index));
            let answering = if tagged { Answering::ByServer } else { Answering::ByXdp };
            datapath.set_interface(link, answering)?;
        }
        Ok(())
    }
}
