//! `peers://`: the slots of a pool with no store at all: some nodes of the cluster are its witnesses, in memory.
//!
//! What claimants and witnesses do is in [`nsid_peers`], which has no sockets and no clock; here are those. A [`Peers`] is
//! one claimant, with a socket of its own that it sends from and listens to while it is asked for something. A [`Witness`]
//! is that of one address of the list, for all pools.
//!
//! **Invariant:** what goes into a message of a claimant or a witness, and what comes of one, is decided in [`nsid_peers`].

mod hearing;
mod quorum;
mod rate;
mod record;
mod roll;
mod seal;
mod status;
mod wire;
mod witness;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nsid_peers::{
    Claim, Claimant, End, Hold, Id, MAX_HOST, Message, Order, Problem, RENEWALS, Rules, State, Time, Waits,
    Who,
};

use self::hearing::{Hearing, News};
pub use self::quorum::{List, Quorum, is_near};
use self::seal::OpenError;
pub use self::seal::{ClusterKey, ClusterKeyError};
pub use self::status::WitnessStatus;
use self::wire::{Wire, boot_time, now, time};
pub use self::witness::{Witness, WitnessError};
use super::{
    Agreement, ClaimError, Grant, Incarnation, Inherited, Lease, Progress, RenewError, Store, Unreachable,
};
use crate::clock::{self, BootTime};
use crate::pace::until;

/// How long who expects others waits for them before names are given out all the same.
const EXPECTS: Duration = Duration::from_secs(30);

/// Witnesses that have not answered for so long are said not to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A claimant of a pool that witnesses keep.
pub struct Peers {
    quorum: Quorum,
    incarnation: Incarnation,
    agreement: Agreement,
    ttl: Duration,
    claimant: Claimant,
    wire: Option<Wire>,
    hearing: Hearing,
    /// Witnesses that say that they cannot open what this node sends, or whose messages it cannot open.
    sealed_otherwise: Option<(SocketAddr, OpenError)>,
}

impl Peers {
    /// A claimant of the pool of that agreement. All of a pool's claimants give the same list; their times may differ.
    pub fn new(quorum: Quorum, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        let claimant = claimant(&quorum, &incarnation, &agreement, ttl);
        let hearing = Hearing::of(&quorum.list);
        Self { quorum, incarnation, agreement, ttl, claimant, wire: None, hearing, sealed_otherwise: None }
    }

    /// Sends and receives until `what` the claimant is at yields something.
    async fn drive<T>(&mut self, mut what: impl FnMut(&Self) -> Option<T>) -> Result<T, Unreachable> {
        if self.wire.is_none() {
            self.wire = Some(Wire::to(&self.quorum).map_err(Unreachable::new)?);
        }
        loop {
            let now = now();
            let mut out = Vec::new();
            self.claimant.tick(now, &mut out);
            let wire = self.wire.as_ref().ok_or_else(|| Unreachable::new("no socket"))?;
            wire.send(out).await;
            if let Some(yielded) = what(self) {
                return Ok(yielded);
            }
            let look = now.after(PATIENCE / 2);
            let wake = self.claimant.wake(now).map_or(look, |wake| wake.min(look));
            tokio::select! {
                biased;
                (from, message) = wire.receive() => self.take(from, message),
                () = until(boot_time(wake)) => {}
            }
        }
    }

    fn take(&mut self, from: SocketAddr, message: Result<Message, OpenError>) {
        // Of a witness at one address, a stranger at another one could tell anything.
        let Some(witness) = self.quorum.list.place(from) else { return };
        match message {
            Ok(Message::Reply(reply)) => {
                self.sealed_otherwise = self.sealed_otherwise.take().filter(|(other, _)| *other != from);
                self.hearing.hears(witness);
                self.claimant.receive(now(), witness, &reply);
            }
            Ok(_) => {}
            Err(error) => self.sealed_otherwise = Some((from, error)),
        }
    }

    /// Until a majority has granted more time, counted from `since` or later; nothing if it says that there is none.
    async fn lease(&mut self, since: Time) -> Result<Option<Lease>, Unreachable> {
        let ended = self.drive(|own| match own.claimant.state() {
            State::Held(hold) if hold.counted.from >= since => Some(Ok(hold)),
            State::Ended(end) => Some(Err(end)),
            _ => None,
        });
        match ended.await? {
            Ok(hold) => Ok(Some(lease(&hold))),
            // After it has lapsed, the slot may be somebody else's.
            Err(End::Lost | End::Lapsed) => Ok(None),
        }
    }

    /// Tells who does not answer, though a majority does, and who does again.
    fn tell_of_missing(&mut self) {
        let News { missing, back } = self.hearing.news(&self.quorum.list, self.ttl * 3 / RENEWALS);
        for witness in missing {
            log::warn!(
                "{}: witness {witness} does not answer; names stay for as long as a majority of {} does",
                self.agreement.pool(),
                self.quorum.list.witnesses().len()
            );
        }
        for witness in back {
            log::info!("{}: witness {witness} answers again", self.agreement.pool());
        }
    }

    /// Goes on under another nonce: a later process has this one's.
    fn be_another(&mut self) {
        log::warn!(
            "another process has this one's nonce; going on under another one (was this machine copied while it ran?)"
        );
        if let Err(error) = self.incarnation.draw_anew() {
            log::warn!("{error}");
        }
        self.claimant = claimant(&self.quorum, &self.incarnation, &self.agreement, self.ttl);
        self.claimant.claim(now());
    }

    /// Tells why it has no slot yet.
    fn report(&self, waits: &Waits, since: BootTime, progress: &Progress) {
        match (waits, self.hindrance(waits)) {
            (_, Some(why)) if since.saturating_add(PATIENCE).passed() => {
                progress.unreachable(&Unreachable::new(why));
            }
            (Waits::Slot(_), None) => progress.waiting(),
            (Waits::Claimants(seen), None) => {
                log::debug!("{progress}: {seen} of {} nodes are there", self.quorum.expected);
                progress.claiming();
            }
            // Too early to tell; or what they will say is open, and an outage over when a majority has said something.
            (_, Some(_) | None) => {}
        }
    }

    /// That these do not answer, or what else is known of them.
    fn no_majority(&self, deaf: &[SocketAddr]) -> String {
        match &self.sealed_otherwise {
            Some((witness, error)) => format!("a message of {witness}: {error}"),
            None => format!(
                "no majority of {} witnesses answers: nothing from {}",
                self.quorum.list.witnesses().len(),
                deaf.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// What keeps it from having a slot, for people; nothing if it has only to wait for its turn.
    fn hindrance(&self, waits: &Waits) -> Option<String> {
        let problem = match waits {
            Waits::Slot(_) | Waits::Grants | Waits::Claimants(_) => return None,
            Waits::Silence(left) => {
                return Some(format!(
                    "a majority of the witnesses was started lately, and grants nothing for about {left:.0?}"
                ));
            }
            Waits::Answers(deaf) => return Some(self.no_majority(deaf)),
            Waits::Problem(problem) => problem,
        };
        Some(match problem {
            Problem::OtherList { witness, list } => format!(
                "{witness} was given other witnesses: {list} there, {} here; give all nodes the same list",
                self.quorum.list
            ),
            Problem::Full { witness } => format!("{witness} takes no more claimants"),
            Problem::OtherTerms { witness, terms, .. } => match self.disagrees(*witness, terms) {
                Some(error) => error.to_string(),
                None => format!("{witness} has another pool"),
            },
            Problem::OtherProcess { witness, .. } => {
                format!("{witness} knows another process under this one's nonce")
            }
        })
    }

    /// What the terms that a witness has are against those of this claimant.
    fn disagrees(&self, witness: SocketAddr, terms: &str) -> Option<ClaimError> {
        let stored = terms.as_bytes();
        let is_other_pool = Agreement::read(stored).is_ok_and(|other| other.pool() != self.agreement.pool());
        let checked =
            if is_other_pool { self.agreement.check_beside(stored) } else { self.agreement.check(stored) };
        let disagreement = checked.err()?;
        Some(ClaimError::Disagrees {
            store: format!("what the witness {witness} was told first"),
            disagreement,
        })
    }
}

/// Why a claim has come to no slot.
enum Why {
    /// What it had is over.
    Over,
    /// A later process has its nonce.
    Twin,
    /// For good.
    Ends(ClaimError),
}

/// One that wants nothing yet. Its place in the line is that of when this process was started.
fn claimant(quorum: &Quorum, incarnation: &Incarnation, agreement: &Agreement, ttl: Duration) -> Claimant {
    let since = clock::since_1970().saturating_sub(clock::age_of_process());
    let order = Order {
        start: since.as_millis().try_into().unwrap_or(u64::MAX),
        node: Id(incarnation.node.to_bytes()),
        nonce: Id(incarnation.nonce.to_bytes()),
    };
    let mut host = incarnation.host.clone();
    while host.len() > MAX_HOST {
        host.pop();
    }
    let now = now();
    let claim = Claim {
        list: quorum.list.clone(),
        who: Who { order, host: host.into() },
        terms: Arc::from(agreement.to_json()),
        lease: ttl,
        expected: quorum.expected,
        patience: EXPECTS,
        predecessor_said_until: now.after(ttl),
        process: now.as_nanos(),
    };
    Claimant::new(Rules::default(), claim)
}

fn lease(hold: &Hold) -> Lease {
    Lease::counted(boot_time(hold.counted.from), hold.counted.lease)
}

impl Store for Peers {
    fn renewals(&self) -> u32 {
        RENEWALS
    }

    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        let since = BootTime::now();
        self.claimant.claim(now());
        loop {
            let claimed = self.drive(|own| match own.claimant.state() {
                State::Held(hold) => Some(Ok(hold)),
                State::Ended(_) => Some(Err(Why::Over)),
                State::Seeking(Waits::Problem(Problem::OtherProcess { .. })) => Some(Err(Why::Twin)),
                State::Seeking(Waits::Problem(Problem::OtherTerms { witness, terms, by_majority: true })) => {
                    own.disagrees(witness, &terms).map(|error| Err(Why::Ends(error)))
                }
                State::Seeking(waits) => {
                    own.report(&waits, since, progress);
                    None
                }
                _ => None,
            });
            match claimed.await {
                Ok(Ok(hold)) => {
                    return Ok(Grant { slot: hold.slot, token: hold.token, lease: lease(&hold) });
                }
                Ok(Err(Why::Over)) => self.claimant.claim(now()),
                Ok(Err(Why::Twin)) => self.be_another(),
                Ok(Err(Why::Ends(error))) => return Err(error),
                Err(reason) => {
                    progress.unreachable(&reason);
                    until(BootTime::now().saturating_add(PATIENCE)).await;
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        if !matches!(self.claimant.state(), State::Held(_)) {
            return Err(RenewError::Lost);
        }
        let since = now();
        self.claimant.renew(since);
        let lease = self.lease(since).await?.ok_or(RenewError::Lost)?;
        self.tell_of_missing();
        Ok(lease)
    }

    /// By what a majority says. Meanwhile a witness that has not granted is asked again: it offers the slot to others for as
    /// long as it does not know.
    async fn lost(&mut self) {
        let ended = |own: &Self| matches!(own.claimant.state(), State::Ended(End::Lost)).then_some(());
        while self.drive(ended).await.is_err() {
            until(BootTime::now().saturating_add(PATIENCE)).await;
        }
    }

    async fn resume(&mut self, Inherited { slot, token, until }: Inherited) -> Result<Lease, RenewError> {
        self.claimant.resume(now(), (slot, token), time(until));
        // An answer to what was asked before, and came late, is as good.
        self.lease(Time::default()).await?.ok_or(RenewError::Lost)
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        self.claimant.release(now());
        self.drive(|own| matches!(own.claimant.state(), State::Released).then_some(())).await
    }
}
