//! Who has which slot, as one witness knows it: the first that answers.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nsid_peers::{Ask, Entry as Told, Message, Outgoing, Page};
use tokio::time::timeout;

use super::Peers;
use super::wire::{Wire, now};
use crate::store::{Agreement, Directory, Entry, Holder, NodeId, Nonce, Roll, Unreachable};

/// How long a witness may take for one page, which may be lost.
const PATIENCE: Duration = Duration::from_millis(250);

impl Directory for Peers {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        let wire = Wire::to(&self.quorum).map_err(Unreachable::new)?;
        let pool = self.agreement.pool();
        for witness in self.quorum.list.witnesses() {
            if let Some(roll) = roll(&wire, *witness, &pool).await {
                return Ok(roll);
            }
        }
        Err(Unreachable::new("no witness answers"))
    }
}

/// Page after page, each asked for twice if need be.
async fn roll(wire: &Wire, witness: SocketAddr, pool: &str) -> Option<Roll> {
    let mut roll = Roll { holders: Vec::new(), waiting: 0, agreement: None };
    let mut from = 0;
    loop {
        let page = match page(wire, witness, pool, from).await {
            Some(page) => page,
            None => page(wire, witness, pool, from).await?,
        };
        roll.waiting = usize::try_from(page.waiting).unwrap_or(usize::MAX);
        roll.agreement = Agreement::read(page.terms.as_bytes()).ok();
        roll.holders.extend(page.entries.into_iter().map(entry));
        match page.next {
            // What goes back would never end.
            Some(next) if next > from => from = next,
            _ => return Some(roll),
        }
    }
}

async fn page(wire: &Wire, witness: SocketAddr, pool: &str, from: u32) -> Option<Page> {
    let number = now().as_nanos();
    let ask = Ask { pool: pool.into(), number, from };
    wire.send([Outgoing { to: witness, message: Message::Ask(ask) }]).await;
    let answer = async {
        loop {
            if let (sender, Ok(Message::Page(page))) = wire.receive().await
                && sender == witness
                && page.number == number
            {
                return page;
            }
        }
    };
    timeout(PATIENCE, answer).await.ok()
}

fn entry(told: Told) -> Entry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let Told { slot, token, who, lease, age } = told;
    let holder = Holder {
        nonce: Nonce::from_bytes(who.order.nonce.0),
        node: NodeId::from_bytes(who.order.node.0),
        host: who.host.to_string(),
        since: now.saturating_sub(age),
        ttl: lease.into(),
    };
    Entry { slot, token, holder }
}
