//! A witness at work: one socket at one address of the list, and a [`nsid_peers::Witness`] for each pool that is claimed
//! from.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nsid_peers::{
    Beginning, Epoch, Message, Outgoing, Pool, Reply, Request, Rules, Speech, Standing, Time, TooMany,
    Verdict,
};
use tokio::sync::watch;

use super::quorum::Quorum;
use super::rate::{Rate, Rates};
use super::record::Records;
use super::seal::OpenError;
use super::status::WitnessStatus;
use super::wire::{Wire, boot_time, now};
use crate::clock::{self, BootTime};
use crate::pace::until;
use crate::store::Agreement;

/// How many pools a witness keeps at a time.
const POOLS: usize = 64;

/// So many datagrams are dealt with before anything else is looked at.
const BATCH: usize = 256;

/// Between two warnings of what cannot be opened.
const WARNINGS: Duration = Duration::from_mins(1);

/// A witness of a list, which lasts as long as this.
pub struct Witness {
    address: SocketAddr,
    quorum: Quorum,
    wire: Wire,
    records: Records,
    epoch: Epoch,
    /// The longest lease that it grants.
    lease: Duration,
    standing: Standing,
    /// By what tells a pool from the others.
    pools: BTreeMap<String, Pool>,
    rates: Rates,
    /// Of what cannot be opened.
    strangers: Rate,
    has_left_record: bool,
    /// What keeps it from leaving its record.
    trouble: Option<String>,
    told: watch::Sender<WitnessStatus>,
    warned: Option<BootTime>,
}

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its address cannot be used.
    #[error(
        "cannot be a witness at {address}: {source}; free that port, or take another in the list of every node"
    )]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// What an earlier witness left cannot be read or written.
    #[error(
        "cannot be a witness at {address}: {}: {source}; if no agent of this host was that witness for as long as a \
         lease, remove that file",
        path.display()
    )]
    Record {
        /// Which.
        address: SocketAddr,
        /// Its file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Too many of the list are others than before.
    #[error(
        "cannot be a witness at {address}: {source}; or stop all of both lists for as long as a lease, and remove {}",
        path.display()
    )]
    List {
        /// Which.
        address: SocketAddr,
        /// Where the earlier list is kept.
        path: std::path::PathBuf,
        /// What was, and what is to be.
        source: TooMany,
    },
    /// No random numbers.
    #[error("cannot be a witness: {0}")]
    Random(#[from] getrandom::Error),
}

impl Witness {
    /// That of the list at `address`, which is one of this host's, in the agent of that instance. It grants leases of up to
    /// `lease`.
    pub fn open(
        quorum: Quorum,
        address: SocketAddr,
        lease: Duration,
        instance: &str,
    ) -> Result<Self, WitnessError> {
        Self::open_with(Records::of(address, instance), quorum, address, lease)
    }

    pub(super) fn open_with(
        records: Records,
        quorum: Quorum,
        address: SocketAddr,
        lease: Duration,
    ) -> Result<Self, WitnessError> {
        // Bound before the record is read: of two at one address, there is one only.
        let wire = Wire::at(address, &quorum).map_err(|source| WitnessError::Bind { address, source })?;
        let path = || records.path().to_owned();
        let record = records
            .read(quorum.list.witnesses().len() == 1)
            .map_err(|source| WitnessError::Record { address, path: path(), source })?;
        let epoch = Epoch(getrandom::u64()?);
        let list = quorum.list.clone();
        let standing = Standing::new(Rules::default(), now(), (list, address), epoch, lease, record.as_ref())
            .map_err(|source| WitnessError::List { address, path: path(), source })?;
        Ok(Self {
            address,
            quorum,
            wire,
            records,
            epoch,
            lease,
            standing,
            pools: BTreeMap::new(),
            rates: Rates::default(),
            strangers: Rate::default(),
            has_left_record: false,
            trouble: None,
            told: watch::Sender::new(WitnessStatus::new(address)),
            warned: None,
        })
    }

    /// What it does, from now on.
    pub fn status(&self) -> watch::Receiver<WitnessStatus> {
        self.told.subscribe()
    }

    /// Answers for ever.
    pub async fn serve(mut self) {
        let mut out = Vec::new();
        loop {
            let wake = self.tick(&mut out);
            self.wire.send(out.drain(..)).await;
            tokio::select! {
                biased;
                received = self.wire.receive() => {
                    let mut received = Some(received);
                    for _ in 0..BATCH {
                        let Some(next) = received else { break };
                        self.take(next, &mut out).await;
                        self.wire.send(out.drain(..)).await;
                        received = self.wire.try_receive();
                    }
                }
                () = until(boot_time(wake)) => {}
            }
        }
    }

    /// Does what is due; when there is more to do.
    fn tick(&mut self, out: &mut Vec<Outgoing>) -> Time {
        let now = now();
        self.standing.tick(now, out);
        let speech = self.speech(now);
        self.tell(now, speech);
        self.pools.retain(|_, pool| {
            pool.tick(now, speech, out);
            !pool.is_idle()
        });
        self.pools.values().map(Pool::wake).fold(self.standing.wake(), Time::min)
    }

    /// Whether it grants anything. It does not before its record is left, by which the next one at its address knows.
    fn speech(&mut self, now: Time) -> Speech {
        let speech = self.standing.speech(now);
        if speech != Speech::Speaks || self.has_left_record {
            return speech;
        }
        match self.records.leave(&self.standing.record(), None) {
            Ok(()) => {
                (self.has_left_record, self.trouble) = (true, None);
                speech
            }
            Err(error) => {
                let path = self.records.path().display().to_string();
                let trouble = format!("{path}: {error}");
                self.warn(format_args!("grants nothing: {trouble}"));
                self.trouble = Some(trouble);
                Speech::Silent { left: Duration::from_secs(1) }
            }
        }
    }

    /// Says for people, once, whether it speaks, and what for it does not.
    fn tell(&self, now: Time, speech: Speech) {
        let silent_until = match speech {
            Speech::Silent { left } if self.trouble.is_none() && !left.is_zero() => Some(now.after(left)),
            Speech::Silent { .. } | Speech::Speaks => None,
        };
        let status = WitnessStatus {
            address: self.address,
            grants: speech == Speech::Speaks,
            silent_until: silent_until.map(boot_time),
            waits_for: self.standing.missing(),
            trouble: self.trouble.clone(),
        };
        self.told.send_if_modified(|told| {
            let is_other = *told != status;
            if is_other {
                log::info!("witness {status}");
                *told = status;
            }
            is_other
        });
    }

    async fn take(
        &mut self,
        (from, message): (SocketAddr, Result<Message, OpenError>),
        out: &mut Vec<Outgoing>,
    ) {
        // What anybody could send does not count for him in whose name it came.
        let admitted = match &message {
            Ok(_) => self.rates.admit(from.ip()),
            Err(_) => self.strangers.admit(),
        };
        if !admitted {
            return;
        }
        let now = now();
        match message {
            Ok(Message::Request(request)) => self.judge(now, from, &request, out),
            Ok(Message::Call(call)) => {
                let echo = self.standing.called(from, &call);
                out.push(Outgoing { to: from, message: Message::Echo(echo) });
            }
            Ok(Message::Echo(echo)) => self.standing.echoed(now, from, &echo),
            Ok(Message::Ask(ask)) => {
                let page = match self.pools.get(&*ask.pool) {
                    Some(pool) => pool.page(now, &ask),
                    None => nsid_peers::Page {
                        number: ask.number,
                        list: self.quorum.list.clone(),
                        terms: "".into(),
                        entries: Vec::new(),
                        next: None,
                        waiting: 0,
                    },
                };
                out.push(Outgoing { to: from, message: Message::Page(page) });
            }
            // For claimants.
            Ok(Message::Reply(_) | Message::Page(_)) => {}
            Err(error) => {
                self.warn(format_args!("a message of {from}: {error}"));
                if error == OpenError::Key {
                    self.wire.complain(from).await;
                }
            }
        }
    }

    fn judge(&mut self, now: Time, from: SocketAddr, request: &Request, out: &mut Vec<Outgoing>) {
        let speech = self.speech(now);
        // Of another format, perhaps. Who sent it is told nothing that it could not read either.
        let Ok(agreement) = Agreement::read(request.terms.as_bytes()) else { return };
        let name = agreement.pool();
        let kept = self.pools.remove(&name);
        if kept.is_none() {
            let entangled = |pool: &&Pool| agreement.check_beside(pool.terms().as_bytes()).is_err();
            let verdict = match self.pools.values().find(entangled) {
                Some(other) => Some(Verdict::OtherTerms(Arc::clone(other.terms()))),
                None if self.pools.len() >= POOLS => Some(Verdict::Full),
                None => None,
            };
            if let Some(verdict) = verdict {
                let to = request.who.order.nonce;
                let reply = Reply { to, epoch: self.epoch, stamp: now, number: request.number, verdict };
                out.push(Outgoing { to: from, message: Message::Reply(reply) });
                return;
            }
        }
        let mut pool = kept.unwrap_or_else(|| {
            let beginning = Beginning {
                list: self.quorum.list.clone(),
                epoch: self.epoch,
                lease: self.lease,
                terms: Arc::clone(&request.terms),
                limit: agreement.limit(),
                highest: clock::since_1970().as_micros().try_into().unwrap_or(u64::MAX),
            };
            Pool::new(Rules::default(), beginning)
        });
        pool.receive(now, from, request, speech, out);
        // None is made by a request that did not count.
        if !pool.is_idle() {
            self.pools.insert(name, pool);
        }
    }

    fn warn(&mut self, what: std::fmt::Arguments<'_>) {
        if self.warned.is_none_or(|warned| warned.saturating_add(WARNINGS).passed()) {
            self.warned = Some(BootTime::now());
            log::warn!("witness {}: {what}", self.address);
        } else {
            log::debug!("witness {}: {what}", self.address);
        }
    }
}

impl Drop for Witness {
    /// What it granted lasts for a lease from now at most.
    fn drop(&mut self) {
        if self.has_left_record
            && let Err(error) = self.records.leave(&self.standing.record(), Some(BootTime::now()))
        {
            log::debug!("{}: {error}", self.records.path().display());
        }
    }
}
