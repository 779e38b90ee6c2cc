//! `local`: the slots of a directory on this host, for agents that share nothing else.
//!
//! Each slot has a record of its holder and of the `CLOCK_BOOTTIME` at which it is free again. The kernel programs
//! say a name until its deadline, agent or no agent; so a holder that was killed keeps its slot until its record
//! expires, and so does one that was stopped.
//!
//! Records change only under the slot's lock, and are looked at without it. The lock is held for a few system
//! calls, never across an await, and never waited for. A slot that looks free but is locked is most likely being
//! taken: who skipped it could end up above a gap, if its taker finds it taken after all. So it is looked at again
//! for [`PATIENCE`], and only then counts as taken for now, its locker having been stopped.
//!
//! The token is one more than the greatest of the pool, and greater than that of the slot's last holder under the
//! slot's lock. No counter has to be locked for it, so that nobody can hang the whole pool. Two claims at the same
//! time may get the same token for different slots, which no resource compares: fencing is between holders of one
//! name.
//!
//! What the pool's claimants are given alike is in the file `agreement`, whose first writer wins; a claimant in line has a
//! file of its own, locked for as long as it waits.
//!
//! A slot that nobody ever tried for has no files, and is free: a look costs as much as the pool has been used, whatever
//! its limit.
//!
//! The files are read and written inline, not on a thread of their own: `/run` is memory.

mod agreement;
mod slot;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::future::ready;
use std::io;
use std::mem;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use self::slot::{LockedSlot, Record, Slot};
use self::waiting::Waiting;
use super::{
    Agreement, ClaimError, Directory, Disagreement, Entry, Grant, Holder, Incarnation, Inherited, Lease,
    NodeId, Progress, RenewError, Roll, Store, Unreachable,
};
use crate::clock::BootTime;

/// How long a lock that is in the way is taken to be about to go.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at a lock.
const LOCK_POLL: Duration = Duration::from_millis(2);

/// Between two looks at the pool of one who waits in line: half of what a released slot may stay unnoticed. A look
/// costs 5 to 7 µs a record, so who waits for one of 64 uses less than 1 % of a core.
const LINE_POLL: Duration = Duration::from_millis(50);

/// Between two tries at a directory that does not work.
const RETRY: Duration = Duration::from_secs(1);

/// So many looks in a row at a pool that changes all the time are enough.
const LOOKS: usize = 10;

/// A claimant of a pool in a directory.
#[derive(Debug)]
pub struct Local {
    directory: PathBuf,
    incarnation: Incarnation,
    agreement: Agreement,
    ttl: Duration,
    held: Option<Held>,
    complained: BTreeSet<u32>,
}

/// What this claimant has.
#[derive(Debug)]
struct Held {
    slot: u32,
    boot: String,
    token: u64,
}

/// What came of looking for a slot.
enum Search {
    Granted(Grant),
    /// A slot that looks free is locked.
    Locked,
    /// Every slot is taken; the first to expire does so then.
    Full(Option<BootTime>),
    /// The pool is another one, by that file.
    Disagrees(PathBuf, Disagreement),
}

/// What came of trying one.
enum Attempt {
    Granted(Grant),
    Locked,
    Taken,
}

impl Local {
    /// A claimant of the pool in `directory`, which need not exist yet. All of a pool's claimants use the same directory;
    /// their times may differ.
    pub fn new(directory: PathBuf, incarnation: Incarnation, agreement: Agreement, ttl: Duration) -> Self {
        Self { directory, incarnation, agreement, ttl, held: None, complained: BTreeSet::new() }
    }

    fn slot(&self, slot: u32) -> Slot {
        Slot::new(&self.directory, slot)
    }

    /// Looks for a free slot until there is none to be had.
    async fn search(&mut self) -> io::Result<Search> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        if let Err((path, disagreement)) = agreement::agree(&self.directory, &self.agreement)? {
            return Ok(Search::Disagrees(path, disagreement));
        }
        let boot = boot()?;
        let patience = BootTime::now().saturating_add(PATIENCE);
        loop {
            match self.look(&boot, patience).await? {
                Search::Locked => tokio::time::sleep(LOCK_POLL).await,
                found => return Ok(found),
            }
        }
    }

    /// Looks at each record once, and takes its own slot, or else its node's last one, or else the lowest free one.
    async fn look(&mut self, boot: &str, patience: BootTime) -> io::Result<Search> {
        let (mut own, mut last) = (None, None);
        let mut taken = BTreeSet::new();
        let mut greatest = 0;
        let mut first_to_expire: Option<BootTime> = None;
        for slot in slot::used(&self.directory, self.agreement.limit())? {
            let record = match self.slot(slot).read() {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.complain(slot, &error);
                    taken.insert(slot);
                    continue;
                }
                Err(error) => return Err(error),
            };
            greatest = greatest.max(record.token);
            let Some(holder) = record.holder(boot) else {
                if record.node() == Some(&self.incarnation.node) {
                    last = last.max(Some((record.token, slot)));
                }
                continue;
            };
            taken.insert(slot);
            if holder.nonce == self.incarnation.nonce {
                own = Some(slot);
            } else {
                let expires = record.expires();
                first_to_expire = Some(first_to_expire.map_or(expires, |first| first.min(expires)));
            }
        }
        // As in etcd (`order`): not so far out that a gap would stay before it.
        let last = last.map(|(_, slot)| slot).filter(|slot| *slot as usize <= taken.len());
        let free = (0..self.agreement.limit()).filter(|slot| !taken.contains(slot) && Some(*slot) != last);
        for slot in own.or(last).into_iter().chain(free) {
            match self.attempt(slot, boot, greatest).await? {
                Attempt::Granted(grant) => return Ok(Search::Granted(grant)),
                Attempt::Locked if !patience.passed() => return Ok(Search::Locked),
                Attempt::Locked | Attempt::Taken => {}
            }
        }
        Ok(Search::Full(first_to_expire))
    }

    /// Takes the slot if it is still free, or is ours.
    async fn attempt(&mut self, slot: u32, boot: &str, greatest: u64) -> io::Result<Attempt> {
        let files = self.slot(slot);
        let Some(locked) = files.try_lock()? else { return Ok(Attempt::Locked) };
        let last = locked.read()?;
        let holder = last.as_ref().and_then(|last| last.holder(boot));
        if holder.is_some_and(|holder| holder.nonce != self.incarnation.nonce) {
            return Ok(Attempt::Taken);
        }
        let token = last.map_or(0, |last| last.token).max(greatest).saturating_add(1);
        let holder = Some(Holder::new(&self.incarnation, self.ttl));
        let record = Record { boot: boot.to_owned(), holder, last: None, token, expires: 0 };
        let lease = lease(&locked, record, self.ttl).await?;
        self.held = Some(Held { slot, boot: boot.to_owned(), token });
        Ok(Attempt::Granted(Grant { slot, token, lease }))
    }

    /// The lock of the slot that is held, and its record. None: it is no longer ours.
    async fn lock<'a>(
        &self,
        held: &Held,
        files: &'a Slot,
    ) -> Result<Option<(LockedSlot<'a>, Record)>, Unreachable> {
        let patience = BootTime::now().saturating_add(PATIENCE);
        let is_ours = |record: &Record| record.is_of(&held.boot, self.incarnation.nonce, held.token);
        loop {
            if let Some(locked) = files.try_lock().map_err(Unreachable::new)? {
                let record = locked.read().map_err(Unreachable::new)?;
                return Ok(record.filter(is_ours).map(|record| (locked, record)));
            }
            if patience.passed() {
                return Err(Unreachable::new(format!(
                    "{} is locked by another process",
                    files.path().display()
                )));
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// Who has what, slot after slot.
    fn roll(&self) -> io::Result<Roll> {
        let boot = boot()?;
        let mut holders = Vec::new();
        let used = match slot::used(&self.directory, self.agreement.limit()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            used => used?,
        };
        for slot in used {
            // What cannot be read is told by who claims.
            let Ok(Some(record)) = self.slot(slot).read() else { continue };
            if let Some(holder) = record.holder(&boot) {
                holders.push(Entry { slot, token: record.token, holder: holder.clone() });
            }
        }
        let waiting = waiting::count(&self.directory)?;
        Ok(Roll { holders, waiting, agreement: agreement::read(&self.directory)? })
    }

    /// A record that cannot be understood may be anybody's, with any time left: its slot is nobody's to take.
    fn complain(&mut self, slot: u32, error: &io::Error) {
        if self.complained.insert(slot) {
            let path = self.slot(slot).path().display().to_string();
            log::warn!(
                "{path} cannot be read ({error}): slot {slot} counts as taken until the file is removed"
            );
        }
    }
}

impl Store for Local {
    async fn claim(&mut self, progress: &Progress) -> Result<Grant, ClaimError> {
        self.held = None;
        let mut waiting = None;
        loop {
            let pause = match self.search().await {
                Ok(Search::Granted(grant)) => return Ok(grant),
                Ok(Search::Full(first_to_expire)) => {
                    if waiting.is_none() {
                        // Who cannot be counted waits all the same.
                        waiting = Waiting::begin(&self.directory, self.incarnation.nonce).ok();
                    }
                    progress.waiting();
                    first_to_expire.map_or(LINE_POLL, |first| LINE_POLL.min(first.left()))
                }
                Ok(Search::Locked) => LOCK_POLL,
                Ok(Search::Disagrees(path, disagreement)) => {
                    return Err(ClaimError::Disagrees { store: path.display().to_string(), disagreement });
                }
                Err(source) if is_final(source.kind()) => {
                    return Err(ClaimError::Directory { path: self.directory.clone(), source });
                }
                Err(error) => {
                    progress.unreachable(&Unreachable::new(error));
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn renew(&mut self) -> Result<Lease, RenewError> {
        let held = self.held.as_ref().ok_or(RenewError::Lost)?;
        let files = self.slot(held.slot);
        let (locked, record) = self.lock(held, &files).await?.ok_or(RenewError::Lost)?;
        Ok(lease(&locked, record, self.ttl).await.map_err(Unreachable::new)?)
    }

    async fn resume(&mut self, Inherited { slot, token, .. }: Inherited) -> Result<Lease, RenewError> {
        let boot = boot().map_err(Unreachable::new)?;
        self.held = Some(Held { slot, boot, token });
        self.renew().await
    }

    async fn release(&mut self) -> Result<(), Unreachable> {
        let Some(held) = &self.held else { return Ok(()) };
        let files = self.slot(held.slot);
        if let Some((locked, record)) = self.lock(held, &files).await? {
            let last: Option<NodeId> = record.node().cloned();
            let free = Record { holder: None, last, expires: 0, ..record };
            locked.write(&free).map_err(Unreachable::new)?;
        }
        self.held = None;
        Ok(())
    }
}

impl Directory for Local {
    async fn names(&mut self) -> Result<Roll, Unreachable> {
        let mut roll = self.roll().map_err(Unreachable::new)?;
        for _ in 0..LOOKS {
            let before = mem::replace(&mut roll, self.roll().map_err(Unreachable::new)?);
            if before == roll {
                break;
            }
        }
        Ok(roll)
    }
}

/// Writes the record with `ttl` from now. Its expiry is on disk before anybody is told a deadline.
async fn lease(locked: &LockedSlot<'_>, record: Record, ttl: Duration) -> io::Result<Lease> {
    // Nothing here waits, so the lock is not held across a pause.
    let (lease, ()) = Lease::ask(ttl, |sent| {
        let record = Record { expires: sent.saturating_add(ttl).as_nanos(), ..record };
        ready(locked.write(&record).map(|()| (ttl, ())))
    })
    .await?;
    Ok(lease)
}

/// This boot's identity (random(4)): a directory on a disk outlives it, its claims do not.
fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Whether waiting does not mend it.
fn is_final(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
    )
}
