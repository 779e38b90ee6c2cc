//! Departures of claimants, by the deletion of their tickets.
//!
//! etcd tells each departure to each who watches the tickets, which costs it ten microseconds each time: of a thousand who
//! wait for a thousand to die, all who watched would take seconds of work. So who is far behind watches the ticket of one
//! who is [so many](FAR) places before it, and all departures only once that one has a slot, or is gone. It counts from
//! the one that the other has waited for.

use etcd_client::{Event, EventType, WatchFilterType, WatchOptions, WatchStream};

use super::connection::ConnectionNumber;
use super::failure::Failure;
use super::keys::Keys;
use super::members::Urgency;
use super::record::TicketRecord;
use super::session::{Session, events};
use crate::clock::BootTime;
use crate::pace::within;
use crate::store::Nonce;

/// How many are told of all departures, more or less. etcd takes up to a tenth of a second until it tells who asks what has
/// happened already (`syncWatchersLoop`, `mvcc/watchable_store.go`), and so many depart meanwhile at most.
pub(super) const FAR: u32 = 64;

/// Those that are still to come until it is a claimant's turn.
pub(super) struct Departures {
    own: Nonce,
    remaining: usize,
    /// From when they are counted.
    since: i64,
    /// All until then have been.
    seen: i64,
    /// Who has its turn long before, as long as that has not been seen.
    ahead: Option<Ahead>,
    /// What tells of them, and on which connection it was opened.
    open: Option<(ConnectionNumber, WatchStream)>,
}

/// A claimant that is before another one in line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    pub(super) nonce: Nonce,
    /// By so many places.
    pub(super) places: usize,
}

/// A ticket that was deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// Whose.
    pub(super) nonce: Nonce,
    /// When.
    pub(super) revision: i64,
    /// The revision that who waited for it counted from.
    pub(super) since: i64,
}

/// What was told of departures.
pub(super) enum Told {
    /// The last of them was.
    Last(Departure),
    /// It has not come yet.
    NotYet,
    /// Some may never be told of, etcd having been compacted.
    Missed,
}

impl Departures {
    /// So many, after that revision, until it is the turn of `own`, which is in line behind that other one.
    pub(super) fn after(revision: i64, count: usize, own: Nonce, ahead: Option<Ahead>) -> Self {
        Self { own, remaining: count, since: revision, seen: revision, ahead, open: None }
    }

    /// How many are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.remaining
    }

    /// The last of them, if it comes by then.
    ///
    /// What tells of them stays open from call to call, also if this future is dropped.
    pub(super) async fn last(
        &mut self,
        session: &mut Session,
        keys: &Keys,
        due: BootTime,
    ) -> Result<Told, Failure> {
        loop {
            if self.open.as_ref().is_none_or(|(connection, _)| !session.is_current(*connection)) {
                let options = WatchOptions::new().with_start_revision(self.seen + 1);
                self.open = Some(if let Some(ahead) = self.ahead {
                    session.open_watch(Urgency::Claim, &keys.ticket(ahead.nonce), &options).await?
                } else {
                    let options = options.with_prefix().with_filters([WatchFilterType::NoPut]);
                    session.open_watch(Urgency::Claim, &keys.tickets(), &options).await?
                });
            }
            let Some((_, stream)) = &mut self.open else { continue };
            let events = match within(due, events(stream)).await {
                Some(Ok(Some(events))) => events,
                Some(Ok(None)) => return Ok(Told::Missed),
                None => return Ok(Told::NotYet),
                Some(Err(reason)) => {
                    session.turn();
                    return Err(reason.into());
                }
            };
            if let Some(ahead) = self.ahead {
                if let Some(how) = events.iter().find_map(out_of_line) {
                    // Who has looked since then was so many places ahead of another line.
                    if let OutOfLine::After { since, departure } = how
                        && since <= self.since
                    {
                        (self.seen, self.remaining) = (departure, ahead.places);
                    }
                    (self.ahead, self.open) = (None, None);
                }
            } else if let Some(departure) = self.count(keys, &events)? {
                return Ok(Told::Last(departure));
            }
        }
    }

    /// The last of them, if these are enough; an error if the claimant has lost its own ticket.
    fn count(&mut self, keys: &Keys, deleted: &[Event]) -> Result<Option<Departure>, Failure> {
        for deleted in deleted.iter().filter_map(Event::kv) {
            self.seen = deleted.mod_revision();
            let Some(nonce) = keys.nonce_of(deleted.key()) else { continue };
            if nonce == self.own {
                return Err(Failure::Lost);
            }
            self.remaining = self.remaining.saturating_sub(1);
            if self.remaining == 0 {
                return Ok(Some(Departure { nonce, revision: self.seen, since: self.since }));
            }
        }
        Ok(None)
    }
}

/// How somebody came to the end of the line.
enum OutOfLine {
    /// It took the slot of who departed then, having counted from that revision.
    After { since: i64, departure: i64 },
    /// It took another one, or left.
    Otherwise,
}

/// By an event of its ticket; nothing if it is still in line.
fn out_of_line(event: &Event) -> Option<OutOfLine> {
    if event.event_type() == EventType::Delete {
        return Some(OutOfLine::Otherwise);
    }
    let ticket = TicketRecord::read(event.kv()?.value())?;
    ticket.slot?;
    let after = ticket.after.map(|(since, departure)| OutOfLine::After { since, departure });
    Some(after.unwrap_or(OutOfLine::Otherwise))
}
