//! A witness at work: one socket at one address of the list, a [`nsid_peers::Witness`], and its record on this host.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nsid_peers::{Beginning, Epoch, Message, Outgoing, Rules, Speech, Terms, Time, TooMany};
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

/// So many datagrams are dealt with before anything else is looked at.
const BATCH: usize = 256;

/// Between two warnings of what cannot be opened.
const WARNINGS: Duration = Duration::from_mins(1);

/// A witness of a list, which lasts as long as this.
pub struct Witness {
    address: SocketAddr,
    wire: Wire,
    records: Records,
    machine: nsid_peers::Witness,
    rates: Rates,
    /// Of what cannot be opened.
    strangers: Rate,
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
        let beginning = Beginning {
            list: quorum.list,
            address,
            epoch: Epoch(getrandom::u64()?),
            lease,
            highest: clock::since_1970().as_micros().try_into().unwrap_or(u64::MAX),
            record: record.as_ref(),
        };
        let machine = nsid_peers::Witness::new(Rules::default(), now(), beginning)
            .map_err(|source| WitnessError::List { address, path: path(), source })?;
        Ok(Self {
            address,
            wire,
            records,
            machine,
            rates: Rates::default(),
            strangers: Rate::default(),
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
        self.leave(now);
        self.machine.tick(now, out);
        self.tell(now);
        self.machine.wake()
    }

    /// Leaves on this host what has to be there before it grants anything.
    fn leave(&mut self, now: Time) {
        let Some(record) = self.machine.leaves(now) else { return };
        match self.records.leave(&record, None) {
            Ok(()) => {
                self.machine.has_left();
                self.trouble = None;
            }
            Err(error) => {
                let path = self.records.path().display().to_string();
                let trouble = format!("{path}: {error}");
                self.warn(format_args!("grants nothing: {trouble}"));
                self.trouble = Some(trouble);
            }
        }
    }

    /// Says for people, once, whether it speaks, and what for it does not.
    fn tell(&mut self, now: Time) {
        let speech = self.machine.speech(now);
        let silent_until = match speech {
            Speech::Silent { left } if self.trouble.is_none() && !left.is_zero() => Some(now.after(left)),
            Speech::Silent { .. } | Speech::Speaks => None,
        };
        let status = WitnessStatus {
            address: self.address,
            grants: speech == Speech::Speaks,
            silent_until: silent_until.map(boot_time),
            waits_for: self.machine.missing(),
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
        match message {
            Ok(message) => {
                let now = now();
                self.leave(now);
                self.machine.receive::<Agreement>(now, from, &message, out);
            }
            Err(error) => {
                self.warn(format_args!("a message of {from}: {error}"));
                if error == OpenError::Key {
                    self.wire.complain(from).await;
                }
            }
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
        if let Some(record) = self.machine.record()
            && let Err(error) = self.records.leave(&record, Some(BootTime::now()))
        {
            log::debug!("{}: {error}", self.records.path().display());
        }
    }
}

impl Terms for Agreement {
    fn read(terms: &str) -> Option<(String, u32)> {
        let agreement = Self::read(terms.as_bytes()).ok()?;
        Some((agreement.pool(), agreement.limit()))
    }

    fn collide(terms: &str, others: &str) -> bool {
        Self::read(terms.as_bytes()).is_ok_and(|own| own.check_beside(others.as_bytes()).is_err())
    }
}
