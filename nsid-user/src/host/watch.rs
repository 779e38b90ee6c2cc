//! Changes of links and addresses, told by the kernel as they happen.

use std::{io, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::BoxStream};
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};
use tokio::{task::JoinHandle, time};

use super::links::Link;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Addresses came, went, or became others: read them again.
    AddressesChanged,
    /// A link as it now is: new, renamed, set up or down, or changed otherwise.
    LinkChanged(Link),
    /// A link went: removed, or moved to another namespace.
    LinkGone {
        /// Its index.
        index: u32,
        /// Its last name.
        name: String,
    },
    /// Something was missed: read everything again.
    Resync,
}

const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];

/// How long to wait before a socket that failed is opened again.
const BEFORE_REOPENING: Duration = Duration::from_secs(1);

/// Tells what changes in the network namespace in which it was opened.
///
/// Opened before the first reading of links and addresses, it misses nothing.
pub struct Watch {
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    connection: JoinHandle<()>,
    /// Read from the socket already, behind a row of changes of addresses.
    next: Option<Event>,
}

impl Watch {
    /// Joins the kernel's groups, and spawns the task that serves the socket for as long as this lives.
    pub fn open() -> io::Result<Self> {
        let (connection, _, messages) = new_multicast_connection(&GROUPS)?;
        let messages = messages.map(|(message, _)| message).boxed();
        Ok(Self { messages, connection: tokio::spawn(connection), next: None })
    }

    /// Waits for the next change. Changes of addresses that are known together are told once.
    ///
    /// May be dropped and called again at any time.
    pub async fn next(&mut self) -> Event {
        if let Some(event) = self.next.take() {
            return event;
        }
        loop {
            let Some(message) = self.messages.next().await else {
                return self.reopen().await;
            };
            match event(message) {
                None => {}
                Some(Event::AddressesChanged) => {
                    self.next = self.behind_the_addresses();
                    return Event::AddressesChanged;
                }
                Some(event) => return event,
            }
        }
    }

    /// Takes further changes of addresses off the stream, and what ended their row.
    fn behind_the_addresses(&mut self) -> Option<Event> {
        while let Some(Some(message)) = self.messages.next().now_or_never() {
            match event(message) {
                None | Some(Event::AddressesChanged) => {}
                end => return end,
            }
        }
        None
    }

    /// The task ends, and with it the stream, only if the socket fails.
    async fn reopen(&mut self) -> Event {
        loop {
            match Self::open() {
                Ok(watch) => {
                    *self = watch;
                    return Event::Resync;
                }
                Err(error) => log::warn!("cannot follow changes of interfaces and addresses: {error}"),
            }
            time::sleep(BEFORE_REOPENING).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// `None` for what is not about links or addresses themselves.
fn event(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Event> {
    match message.payload {
        NetlinkPayload::Overrun(_) => Some(Event::Resync),
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_),
        ) => Some(Event::AddressesChanged),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
            Link::from_message(link).map(Event::LinkChanged)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
            Link::from_message(link).map(|Link { index, name, .. }| Event::LinkGone { index, name })
        }
        _ => None,
    }
}
