//! `zk://`: the slots of a pool in ZooKeeper (3.6 and later), for the nodes that reach it.
//!
//! A claimant has a session, and in it a ticket, and then a slot instead ([`nodes`] has what is where, [`line`] whose
//! turn it is). The slot's node is made in one transaction, which fails if anybody has it, and removed by ZooKeeper when
//! the session is over. The change that made it is the fencing token. The session is kept on the host, so that the next
//! process of this claimant finds its slot.
//!
//! **Invariant:** a lease is granted by the answer to a write, and counts from a time that the leader which committed the
//! write had certainly counted the session from, or from an earlier one ([`heard`]). So before its end the session is not
//! over, the slot's node is there, and nobody can make another.
//!
//! Answers to pings grant nothing: a leader that was cut off goes on giving them, and so does a follower. And what a
//! client library takes for the session's end is later than ZooKeeper's. So none keeps the session alive here, or takes
//! it back from the claimant's next process, behind the claim's back: [`connection`] speaks the protocol.
//!
//! A request whose answer is lost may have been carried out. Each is such that it can be sent again: what a session has
//! made, it finds ([`GetEphemerals`]), once the server knows what the leader knows ([`Sync`]). The leader itself does not wait
//! for a majority there, but answers what a session reads after that session's own writes (`CommitProcessor`); and what
//! comes through another server once the session has moved from there is refused (`SessionTrackerImpl.checkSession`). All
//! but the session's end, after which it is not gone on with, answer or none ([`session`]).

mod connection;
mod ensemble;
mod failure;
mod heard;
mod idle;
mod jute;
mod keep;
mod line;
mod making;
mod multi;
mod nodes;
mod protocol;
mod roll;
mod servers;
mod session;
mod stream;

#[cfg(test)]
mod tests;

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use self::connection::{Connection, Error};
pub use self::ensemble::{Ensemble, PASSWORD_VARIABLE};
use self::failure::Failure;
use self::idle::Idle;
use self::jute::Malformed;
use self::keep::Keep;
use self::line::{Turn, View};
use self::multi::{Done, Multi, MultiRead, Op, Read, Seen};
use self::nodes::{Nodes, nobody_left, slot_called};
use self::protocol::{
    Acl, Code, Create, Delete, Exists, GetData, GetEphemerals, Mode, SetData, Stat, Sync, WatchChildren,
};
use self::session::Session;
use super::{
    Agreement, ClaimError, Directory, Disagreement, Grant, Holder, Incarnation, Inherited, Lease, Progress,
    RenewError, Roll, Store, Unreachable,
};
use crate::clock::BootTime;
use crate::pace::{Backoff, jittered, until};

/// How often a lease is renewed in its length. It counts from the renewal before ([`heard`]) and so is seven eighths of the
/// session's time, of each eighth of which one is due; when one comes to nothing, six are left to elect a leader in.
const RENEWALS: u32 = 7;

// With the jitter, not sooner than the leader has heard of the last one: else a lease would count from the one before that.
const _: () = assert!((RENEWALS + 1) * 10 < heard::PINGS * 9, "renewals are too frequent");

/// How many leases a slot lies free before whoever is in line takes it, whose turn it is or not.
const IDLE: u32 = 2;

/// A claimant of a pool in ZooKeeper.
pub struct ZooKeeper {
    session: Session,
    /// What pools are below.
    path: String,
    nodes: Nodes,
    incarnation: Incarnation,
    agreement: Agreement,
    acl: Acl,
    ttl: Duration,
    held: Option<Held>,
}

/// The slot that is ours.
#[derive(Clone, Debug)]
struct Held {
    slot: u32,
    /// The change that made its node.
    czxid: i64,
    /// Its data, and how often they were set. None: that is to be looked at, since an earlier process set them, or the
    /// answer was lost the last time that they were to be.
    data: Option<(Vec<u8>, i32)>,
}

/// What a claimant finds of its own.
struct Own {
    /// The paths of what goes with its session: of a slot, or of a ticket; of several tickets, if an answer was lost.
    nodes: Vec<String>,
    /// The slot that its node had last, and whether that is known.
    last: Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Unknown,
    Known(Option<u32>),
}

impl ZooKeeper {
    /// That claimant of a pool.
    pub fn new(ensemble: Ensemble, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        let path = incarnation.beside_nonce("session");
        Self::keeping(path, ensemble, incarnation, agreement, ttl)
    }

    /// The same, which keeps its session there.
    pub(crate) fn keeping(
        keep: Option<PathBuf>,
        ensemble: Ensemble,
        incarnation: Incarnation,
        agreement: Agreement,
        ttl: Duration,
    ) -> Self {
        let nodes = Nodes::new(&ensemble.path, &agreement, &incarnation);
        let keep = keep.map(|path| Keep::new(path, incarnation.nonce, nodes.root.clone()));
        let acl = if ensemble.credentials.is_some() { Acl::Creator } else { Acl::Open };
        let first = incarnation.nonce.spread(ensemble.endpoints.len());
        let path = ensemble.path.clone();
        let session = Session::new(ensemble, first, ttl, keep);
        Self { path, session, nodes, incarnation, agreement, acl, ttl, held: None }
    }

    /// Claims; if the pool is not as that takes it to be, makes what it lacks.
    async fn claim_or_mend(&mut self, progress: &Progress) -> Result<Grant, Failure> {
        match self.try_to_claim(progress).await {
            Err(Failure::Otherwise(code)) => {
                making::make(&mut self.session, &self.nodes, &self.agreement, self.acl).await?;
                Err(Unreachable::new(format!("{}: {code}", self.nodes.root)).into())
            }
            tried => tried,
        }
    }

    /// Waits for a slot for as long as ZooKeeper answers.
    async fn try_to_claim(&mut self, progress: &Progress) -> Result<Grant, Failure> {
        let mut own = self.look_for_own().await?;
        progress.claiming();
        if let Some(slot) = own.nodes.iter().find_map(|path| self.nodes.slot_of(path)) {
            return self.take(slot, &own).await?.ok_or(Failure::Lost);
        }
        if own.nodes.is_empty()
            && let Some(slot) = self.arrive(&mut own).await?
            && let Some(grant) = self.take(slot, &own).await?
        {
            return Ok(grant);
        }
        let (mut idle, mut refused, mut is_watching) = (Idle::default(), None, false);
        loop {
            if is_watching {
                self.watch().await?;
            }
            let view = self.look().await?;
            let limit = self.agreement.limit();
            match view.turn(self.incarnation.nonce, limit) {
                Turn::Take(slot) => {
                    if let Some(grant) = self.take(slot, &own).await? {
                        return Ok(grant);
                    }
                    // By its answer the server knows of what stood in the way; if it shows that it does not, it is not as the leader.
                    if refused.replace(slot) == Some(slot) {
                        return Err(self.session.turn_away("a slot that it shows as free is refused, twice"));
                    }
                }
                // A slot may be given back before that is told of.
                Turn::Wait if !is_watching => is_watching = true,
                Turn::Wait => {
                    refused = None;
                    let (now, free) = (BootTime::now(), view.free(limit));
                    idle.see(&free, now);
                    if let Some(slot) = idle.for_long(self.ttl * IDLE, now) {
                        log::warn!(
                            "slot {slot} is free, and those in front of the line do not take it: taking it ({} shows whose \
                             tickets stand there)",
                            self.nodes.line
                        );
                        if let Some(grant) = self.take(slot, &own).await? {
                            return Ok(grant);
                        }
                    }
                    progress.waiting();
                    // Nothing tells that those went whose turn it was.
                    let long = if free.is_empty() { self.ttl } else { self.ttl / RENEWALS };
                    self.wait(&own, long).await?;
                }
                Turn::Absent => return Err(Failure::Lost),
            }
        }
    }

    /// What is there of this claimant already, in a pool that is what it takes it for.
    ///
    /// With a session that has made nothing, nothing is, and what the server knows is not older than the session. What
    /// changed since is found by the write that it stands in the way of, by whose answer the server knows of it, and then
    /// this looks anew: an agreement that was made, by who would make it; that a node has a last slot or none, by who takes
    /// one. Which one is a wish. Another agreement is there only where somebody removed the pool's by hand, which may be
    /// after any look.
    async fn look_for_own(&mut self) -> Result<Own, Failure> {
        let nodes = self.nodes.clone();
        let below = format!("{}/", nodes.root);
        let reads = [Read::Data(&nodes.agreement), Read::Data(&nodes.last)];
        let reads = MultiRead(&reads);
        loop {
            let look = async |server: &mut Connection| {
                let (seen, own) = if server.is_new() {
                    (server.ask(&reads).await?, Vec::new())
                } else {
                    let sync = server.send(&Sync(&nodes.root));
                    let seen = server.send(&reads);
                    let own = server.send(&GetEphemerals(&below));
                    server.receive(sync).await?;
                    (server.receive(seen).await?, server.receive(own).await?)
                };
                let [agreement, last] = seen.try_into().map_err(|_| Malformed)?;
                Ok((data(agreement)?, data(last)?, own))
            };
            let (agreement, last, own) = self.session.ask_unhurried(look).await?;
            let Some(stored) = agreement else {
                making::make(&mut self.session, &self.nodes, &self.agreement, self.acl).await?;
                continue;
            };
            self.agreement.check(&stored)?;
            let last = last
                .map_or(Last::Unknown, |slot| Last::Known(str::from_utf8(&slot).ok().and_then(slot_called)));
            return Ok(Own { nodes: own, last });
        }
    }

    /// A ticket for this claimant; also its slot, if nobody who came earlier has left.
    async fn arrive(&mut self, own: &mut Own) -> Result<Option<u32>, Failure> {
        let last = match own.last {
            Last::Known(slot) => slot,
            Last::Unknown => None,
        };
        let (path, acl) = (self.nodes.new_ticket(last), self.acl);
        let ticket = Create { path: &path, data: b"", acl, mode: Mode::EphemeralSequential };
        // Of a node whose data are set the answer tells how many children it has and had. It has none, and keeps none.
        let count = |path| Op::SetData(SetData { path, data: b"", version: None });
        let all = [Op::Create(ticket), count(&self.nodes.line), count(&self.nodes.slots)];
        let arrive = async |server: &mut Connection| {
            let done = server.ask(&Multi(&all)).await?;
            done.map_err(|(_, code)| Error::Failed(code))
        };
        let done = self.session.ask_unhurried(arrive).await?;
        let [Done::Created(ticket), Done::Set(line), Done::Set(slots)] = &done[..] else {
            return Err(incomplete().into());
        };
        let number = self.nodes.ticket_at(ticket).ok_or_else(incomplete)?.number;
        own.nodes.push(ticket.clone());
        let slot = number.try_into().ok().filter(|slot| *slot < self.agreement.limit());
        Ok(slot.filter(|_| nobody_left(line, slots)))
    }

    async fn look(&mut self) -> Result<View, Failure> {
        let Nodes { line, slots, held, .. } = &self.nodes;
        let reads = [Read::Children(line), Read::Children(slots), Read::Children(held)];
        let seen = self.session.look(&reads).await?;
        match &seen[..] {
            [Seen::Children(line), Seen::Children(slots), Seen::Children(held)] => {
                Ok(View::new(line, slots.iter().chain(held)))
            }
            _ => Err(lacking(&seen)),
        }
    }

    /// Makes the slot's node in the place of what we have: tickets, or a slot. Nothing: somebody else has it.
    async fn take(&mut self, slot: u32, own: &Own) -> Result<Option<Grant>, Failure> {
        let (path, held, acl) = (self.nodes.slot(slot), self.nodes.held(slot), self.acl);
        let holder = Holder::new(&self.incarnation, self.ttl).to_json();
        let make = |path| Op::Create(Create { path, data: b"", acl, mode: Mode::Ephemeral });
        let set = |path, data| Op::SetData(SetData { path, data, version: None });
        // The answer to setting its data tells which change made a node.
        let ours = [make(&*path), set(&*path, holder.as_bytes()), make(&*held)];
        let last = slot.to_string();
        let (last_path, data) = (&self.nodes.last, last.as_bytes());
        let kept = match own.last {
            Last::Known(_) => set(last_path, data),
            Last::Unknown => Op::Create(Create { path: last_path, data, acl, mode: Mode::Persistent }),
        };
        let gone = own.nodes.iter().map(|path| Op::Delete(Delete(path)));
        let making = gone.len()..gone.len() + ours.len();
        let told = gone.len() + 1;
        let all: Vec<Op<'_>> = gone.chain(ours).chain([kept]).collect();
        let take = async |server: &mut Connection| server.ask(&Multi(&all)).await;
        self.held = None;
        let (lease, taken) = self.session.write_unhurried(self.ttl, take).await?;
        match taken {
            Ok(done) => {
                let Some(&Done::Set(Stat { czxid, version, .. })) = done.get(told) else {
                    return Err(incomplete().into());
                };
                self.held = Some(Held { slot, czxid, data: Some((holder.into_bytes(), version)) });
                Ok(Some(Grant { slot, token: czxid.unsigned_abs(), lease }))
            }
            Err((part, Code::NodeExists)) if making.contains(&part) => Ok(None),
            Err((_, code)) => Err(self.session.failure(&Error::Failed(code))),
        }
    }

    /// Has the server tell when a slot is taken or given back.
    async fn watch(&mut self) -> Result<(), Failure> {
        let held = &self.nodes.held;
        let watch = async |server: &mut Connection| {
            server.arm();
            server.ask(&WatchChildren(held)).await
        };
        self.session.ask_unhurried(watch).await?;
        Ok(())
    }

    /// Waits in line until that is told, or for so long, and says meanwhile that this claimant lives.
    async fn wait(&mut self, own: &Own, long: Duration) -> Result<(), Failure> {
        let ticket = own.nodes.first().ok_or(Failure::Lost)?;
        let end = BootTime::now().saturating_add(jittered(long));
        while !end.passed() {
            let due = BootTime::now().saturating_add(jittered(self.ttl / RENEWALS));
            if self.session.fires(due.min(end)).await? {
                break;
            }
            self.session.ask(async |server| server.ask(&Exists(ticket)).await).await?;
        }
        Ok(())
    }

    /// More time for the slot, if it is still ours.
    async fn prolong(&mut self) -> Result<Lease, Failure> {
        let Held { slot, czxid, data } = self.held.clone().ok_or(Failure::Lost)?;
        let path = self.nodes.slot(slot);
        let (holder, version) = match data {
            Some(data) => data,
            None => self.look_at(&path, czxid).await?,
        };
        let set = SetData { path: &path, data: &holder, version: Some(version) };
        // Until there is an answer.
        self.held = Some(Held { slot, czxid, data: None });
        match self.session.write(self.ttl, async |server| server.ask(&set).await).await {
            Ok((lease, stat)) if stat.czxid == czxid => {
                self.held = Some(Held { slot, czxid, data: Some((holder, stat.version)) });
                Ok(lease)
            }
            Ok(_) => Err(Failure::Lost),
            Err(Failure::Otherwise(Code::BadVersion)) => {
                // By somebody who has this session as well: of a virtual machine that was copied, say. One may keep it.
                self.session.forget();
                Err(Failure::Lost)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Data and version of the node that this change made.
    async fn look_at(&mut self, path: &str, czxid: i64) -> Result<(Vec<u8>, i32), Failure> {
        let look = async |server: &mut Connection| {
            let sync = server.send(&Sync(path));
            let data = server.send(&GetData(path));
            server.receive(sync).await?;
            server.receive(data).await
        };
        let (data, stat) = self.session.ask(look).await?;
        if stat.czxid == czxid { Ok((data, stat.version)) } else { Err(Failure::Lost) }
    }

    fn refused(&self, reason: String) -> ClaimError {
        ClaimError::ZooKeeperRefused { reason, path: self.path.clone() }
    }

    fn disagrees(&self, disagreement: Disagreement) -> ClaimError {
        ClaimError::Disagrees {
            store: format!("{} and all below it in ZooKeeper", self.nodes.root),
            disagreement,
        }
    }
}

impl Store for ZooKeeper {
    fn renewals(&self) -> u32 {
        RENEWALS
    }

    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        self.held = None;
        self.session.begin();
        let mut backoff = Backoff::new();
        loop {
            match self.claim_or_mend(progress).await {
                Ok(grant) => return Ok(grant),
                Err(Failure::Otherwise(code)) => progress.unreachable(&Unreachable::new(code.to_string())),
                Err(Failure::Refused(reason)) => return Err(self.refused(reason)),
                Err(Failure::Disagrees(disagreement)) => return Err(self.disagrees(disagreement)),
                Err(Failure::Unreachable(reason)) => {
                    progress.unreachable(&reason);
                    self.session.take_any_server();
                }
                Err(Failure::Lost) => {
                    log::info!("{progress}: the session is over; claiming with another one");
                    self.session.forget();
                }
            }
            until(backoff.next()).await;
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        // While a try can still end before the next renewal is due.
        let last = BootTime::now().saturating_add(self.ttl / RENEWALS / 2);
        loop {
            match self.prolong().await {
                Err(Failure::Unreachable(_)) if !last.passed() => self.session.pause().await,
                prolonged => return Ok(prolonged?),
            }
        }
    }

    /// By a watch on the slot's node. Where there is no connection, the next renewal makes one.
    async fn lost(&mut self) {
        if let Some(Held { slot, czxid, .. }) = self.held
            && self.session.deleted(&self.nodes.slot(slot), czxid).await.is_ok()
        {
            return;
        }
        pending::<()>().await;
    }

    async fn resume(&mut self, Inherited { slot, token, .. }: Inherited) -> Result<Lease, RenewError> {
        if !self.session.is_open() {
            return Err(RenewError::Lost);
        }
        let czxid = token.try_into().map_err(|_| RenewError::Lost)?;
        self.held = Some(Held { slot, czxid, data: None });
        self.renew().await
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        self.held = None;
        self.session.close().await
    }
}

impl Directory for ZooKeeper {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        Ok(roll::read(&mut self.session, &self.nodes).await?)
    }
}

/// What a node has, if there is one.
fn data(seen: Seen) -> Result<Option<Vec<u8>>, Error> {
    match seen {
        Seen::Data(data, _) => Ok(Some(data)),
        Seen::Nothing(Code::NoNode) => Ok(None),
        Seen::Nothing(code) => Err(Error::Failed(code)),
        Seen::Children(_) => Err(Malformed.into()),
    }
}

/// What it means that not all was there that was to be seen.
fn lacking(seen: &[Seen]) -> Failure {
    let code = seen.iter().find_map(|seen| match seen {
        Seen::Nothing(code) => Some(*code),
        Seen::Data(..) | Seen::Children(_) => None,
    });
    code.map_or_else(|| incomplete().into(), Failure::Otherwise)
}

/// No ZooKeeper answers so.
fn incomplete() -> Unreachable {
    Unreachable::new("an answer that lacks a part")
}
