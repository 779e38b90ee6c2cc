//! Holds a name through a store, and has the datapath say it for as long as nobody else can have it.
//!
//! **Invariant:** the datapath is never told a deadline later than that of a lease the store has granted. All else
//! here is manners: the kernel falls silent at the deadline by itself, whatever becomes of this process.
//!
//! A name whose deadline has passed is lost, even if the store turns out to have renewed it just in time: it was
//! reported lost, and is claimed again. A store that still has us down as the holder then gives the same slot.

mod fixed;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::mem;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use fixed::fixed;

use crate::clock::{self, BootTime, Deadline};
use crate::name::{NodeName, Pattern};
use crate::pace::{Backoff, jittered, until, within};
use crate::store::{ClaimError, Grant, Inherited, Lease, Progress, RenewError, Store, Unreachable};

/// How long a store may take to release a slot before the process ends without: its lease runs out by itself.
pub(crate) const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// How long who handed its name on stands back: in a store without a line, who waits for a slot looks from time to time.
const STAND_BACK: Duration = Duration::from_millis(200);

/// How long who had a name, and is refused, leaves the store alone: to find out is much work for one with many users.
const REFUSED: Duration = Duration::from_secs(5);

/// The datapath of one service: stores to its memory, which take no time and cannot fail.
pub trait Voice {
    /// Has the kernel say that name, and none other, until then.
    fn say(&mut self, name: &NodeName, until: Deadline);
    /// Moves the deadline of the name that is being said.
    fn extend(&mut self, until: BootTime);
    /// Has the kernel say nothing; it may need [`clock::silence`] to notice.
    fn silence(&mut self);
}

/// What happens to a service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The kernel says it.
    Ready(NodeName),
    /// The kernel no longer says it.
    Lost(NodeName),
}

/// What a claim is told while it lives.
#[derive(Debug)]
pub struct Orders {
    /// To end, once it is true or its sender is gone.
    pub stop: watch::Receiver<bool>,
    /// To hand the name on, and where to tell what came of it.
    pub hand_on: mpsc::UnboundedReceiver<oneshot::Sender<HandedOn>>,
}

/// What came of handing a name on: which name it was, if there was one, or why nobody else can have it yet.
pub type HandedOn = Result<Option<NodeName>, Unreachable>;

/// Where a claim reports to.
#[derive(Debug)]
pub struct Report {
    /// Its state, for the status and the log.
    pub progress: Progress,
    /// Names that come and go. Nobody has to listen.
    pub events: mpsc::UnboundedSender<Event>,
}

impl Report {
    fn event(&self, event: Event) {
        // Fails if nobody listens, which is their business.
        let _ = self.events.send(event);
    }
}

/// Goes on with the claim that was inherited, if there is one; claims a slot and keeps it, again and again, until it is
/// told to stop; then takes the name off the wire, and only after that gives the slot back.
///
/// Ends early only where it never had a name, with an error that no waiting mends; no name is being said then.
pub async fn hold<S: Store, V: Voice>(
    store: S,
    pattern: &Pattern,
    voice: V,
    report: &Report,
    inherited: Option<Inherited>,
    Orders { stop, hand_on }: &mut Orders,
) -> Result<(), ClaimError> {
    let mut claimant = Claimant { store, pattern, voice, report, name: None, had_one: false };
    tokio::select! {
        biased;
        () = stopped(stop) => {}
        error = claimant.live(inherited, hand_on) => match error? {},
    }
    claimant.leave().await;
    Ok(())
}

/// Has what was inherited last until it is lost or this is dropped, and moves the deadline of what is being said: nothing
/// is said anew, silenced or given back, which is left to who [holds](hold) it afterwards.
pub async fn prolong<S: Store, V: Voice>(
    store: S,
    pattern: &Pattern,
    voice: V,
    report: &Report,
    inherited: Inherited,
) {
    let mut claimant = Claimant { store, pattern, voice, report, name: None, had_one: true };
    if let Ok(lease) = claimant.resume(inherited).await {
        claimant.voice.extend(lease.deadline());
        let Inherited { slot, token, .. } = inherited;
        report.progress.held(Some(&Grant { slot, token, lease }));
        let _end = claimant.keep(lease).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone will never say so any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One service's claim. Its future may be dropped at any await: `name` is what has been announced by then.
struct Claimant<'a, S, V> {
    store: S,
    pattern: &'a Pattern,
    voice: V,
    report: &'a Report,
    name: Option<NodeName>,
    /// It had a name, now or before: so the store let it.
    had_one: bool,
}

/// What the store is asked more time for.
#[derive(Clone, Copy)]
enum Ask {
    /// The slot that it granted.
    Renew,
    /// One that it granted an earlier process.
    Resume(Inherited),
}

/// Why a name is no longer ours.
enum End {
    /// The store says so.
    Lost,
    /// Its deadline passed without a renewal.
    Lapsed,
}

impl<S: Store, V: Voice> Claimant<'_, S, V> {
    async fn live(
        &mut self,
        mut inherited: Option<Inherited>,
        hand_on: &mut mpsc::UnboundedReceiver<oneshot::Sender<HandedOn>>,
    ) -> Result<Infallible, ClaimError> {
        loop {
            tokio::select! {
                biased;
                Some(told) = hand_on.recv() => self.hand_on(told).await,
                error = self.say_names(inherited.take()) => match error? {},
            }
        }
    }

    /// Gives the name to the next in line, and goes to the end of the line.
    async fn hand_on(&mut self, told: oneshot::Sender<HandedOn>) {
        let released = if self.name.is_some() { self.give_back().await } else { Ok(()) };
        let name = self.name.take();
        if let Some(name) = &name {
            log::info!("{}: {name} is handed on", self.report.progress);
            self.report.event(Event::Lost(name.clone()));
        }
        // Fails if nobody waits for it, which is their business.
        let _ = told.send(released.map(|()| name));
        until(BootTime::now().saturating_add(STAND_BACK)).await;
    }

    async fn say_names(&mut self, inherited: Option<Inherited>) -> Result<Infallible, ClaimError> {
        if let Some(inherited) = inherited {
            let end = self.go_on(inherited).await;
            self.lose(&end).await;
        }
        let (mut backoff, mut was_late) = (Backoff::new(), false);
        loop {
            let grant = match self.store.claim(&self.report.progress).await {
                Ok(grant) => grant,
                // What was changed may be changed back, and other names of this agent are none of its matter.
                Err(error) if self.had_one => {
                    self.report.progress.refused(&error);
                    until(BootTime::now().saturating_add(jittered(REFUSED))).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.say(&grant) {
                // Granted too late to be of use, by a store that is slow or for a time that is too short. The second time in a
                // row it goes to the next in line, who may be nearer to the store.
                if mem::replace(&mut was_late, true)
                    && let Err(reason) = self.give_back().await
                {
                    log::debug!("{}: the slot is not given back: {reason}", self.report.progress);
                }
                until(backoff.next()).await;
                continue;
            }
            (backoff, was_late) = (Backoff::new(), false);
            let end = self.keep(grant.lease).await;
            self.lose(&end).await;
        }
    }

    /// Holds what was inherited for as long as that works.
    async fn go_on(&mut self, inherited: Inherited) -> End {
        let Inherited { slot, token, .. } = inherited;
        (self.name, self.had_one) = (Some(self.pattern.name(slot)), true);
        match self.resume(inherited).await {
            Ok(lease) if self.say(&Grant { slot, token, lease }) => self.keep(lease).await,
            Ok(_) => End::Lapsed,
            Err(end) => end,
        }
    }

    async fn resume(&mut self, inherited: Inherited) -> Result<Lease, End> {
        let until = inherited.until;
        let limit = until.left() / self.store.renewals();
        self.insist(Ask::Resume(inherited), until, limit).await
    }

    /// Says the name of that grant, unless its time is over already.
    fn say(&mut self, grant: &Grant) -> bool {
        let deadline = grant.lease.deadline();
        if deadline.passed() {
            log::debug!("{}: slot {} was granted too late", self.report.progress, grant.slot);
            return false;
        }
        let name = self.pattern.name(grant.slot);
        self.voice.say(&name, Deadline::At(deadline));
        self.report.progress.held(Some(grant));
        self.report.event(Event::Ready(name.clone()));
        (self.name, self.had_one) = (Some(name), true);
        true
    }

    /// Renews the lease in the store's [rhythm](Store::rhythm) for as long as that works.
    async fn keep(&mut self, mut lease: Lease) -> End {
        loop {
            let due = lease.sent().saturating_add(jittered(self.store.rhythm(lease.ttl())));
            tokio::select! {
                () = until(due.min(lease.deadline())) => {}
                () = self.store.lost() => return End::Lost,
            }
            lease = match self.insist(Ask::Renew, lease.deadline(), lease.ttl() / self.store.renewals()).await
            {
                Ok(lease) => lease,
                Err(end) => return end,
            };
            self.voice.extend(lease.deadline());
            self.report.progress.renewed();
        }
    }

    /// Asks for a new lease until there is one, or the old one's deadline passes; each time, waits for the answer no
    /// longer than `limit`.
    async fn insist(&mut self, ask: Ask, deadline: BootTime, limit: Duration) -> Result<Lease, End> {
        /// As parts of `limit`: no pause is longer, since what is left of the lease is little.
        const PAUSES: u32 = 8;
        let mut backoff = Backoff::up_to(limit / PAUSES);
        loop {
            if deadline.passed() {
                return Err(End::Lapsed);
            }
            let give_up = BootTime::now().saturating_add(limit).min(deadline);
            // Counted from this request: after one that hung, the next is due at once.
            let again = backoff.next().min(give_up);
            let answer = within(give_up, self.ask(ask)).await;
            if deadline.passed() {
                return Err(End::Lapsed);
            }
            let reason = match answer {
                Some(Ok(lease)) => return Ok(lease),
                Some(Err(RenewError::Lost)) => return Err(End::Lost),
                Some(Err(RenewError::Unreachable(reason))) => reason,
                None => Unreachable::new(format!("no answer in {limit:?}")),
            };
            self.report.progress.unreachable(&reason);
            until(again).await;
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Lease, RenewError> {
        match ask {
            Ask::Renew => self.store.renew().await,
            Ask::Resume(inherited) => self.store.resume(inherited).await,
        }
    }

    async fn lose(&mut self, end: &End) {
        self.voice.silence();
        if let Some(name) = self.name.take() {
            match end {
                End::Lost => log::warn!("{}: {name} is no longer ours", self.report.progress),
                End::Lapsed => log::warn!("{}: {name} was not renewed in time", self.report.progress),
            }
            self.report.event(Event::Lost(name));
        }
        match end {
            // What is claimed next may make room for another holder of this name.
            End::Lost => {
                self.report.progress.claiming();
                until(BootTime::now().saturating_add(clock::silence())).await;
            }
            End::Lapsed => self.report.progress.lapsed(),
        }
    }

    async fn leave(mut self) {
        match self.give_back().await {
            Ok(()) => log::debug!("{}: released", self.report.progress),
            Err(error) => log::warn!("{}: could not be released: {error}", self.report.progress),
        }
        if let Some(name) = self.name.take() {
            self.report.event(Event::Lost(name));
        }
    }

    /// The order is the fence's: were the slot given back first, the next holder's name could meet ours.
    async fn give_back(&mut self) -> Result<(), Unreachable> {
        self.voice.silence();
        until(BootTime::now().saturating_add(clock::silence())).await;
        let limit = BootTime::now().saturating_add(RELEASE_LIMIT);
        let released = within(limit, self.store.release()).await;
        self.report.progress.released();
        released.unwrap_or_else(|| Err(Unreachable::new(format!("no answer in {RELEASE_LIMIT:?}"))))
    }
}
