//! What is the local store's own; the rest is in [`crate::store::behaviour`].

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::store::behaviour::{PATTERN, Pool, agreement, sorted};
use crate::store::{Kind, Nonce, State};

struct Directory {
    temporary: TempDir,
    first: Slot,
    limit: u32,
}

impl Pool for Directory {
    type Claimant = Local;
    const TTL: Duration = Duration::from_secs(1);
    const HANDED_ON: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(100));

    type Outage<'a> = LockedSlot<'a>;

    fn new(limit: u32) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let first = Slot::new(&temporary.path().join(PATTERN), 0);
        Self { temporary, first, limit }
    }

    fn agreement(&self) -> Agreement {
        agreement(PATTERN, self.limit)
    }

    fn claimant_of(&self, incarnation: Incarnation, agreement: Agreement) -> Local {
        let directory = self.temporary.path().join(agreement.pool());
        Local::new(directory, incarnation, agreement, Self::TTL)
    }

    fn outage(&self) -> LockedSlot<'_> {
        self.first.try_lock().unwrap().expect("nobody is at work on it")
    }
}

impl Directory {
    fn path(&self) -> PathBuf {
        self.temporary.path().join(PATTERN)
    }

    fn slot(&self, slot: u32) -> Slot {
        Slot::new(&self.path(), slot)
    }

    fn newcomer(&self) -> Local {
        self.claimant(Nonce::random().unwrap())
    }
}

async fn claim(store: &mut Local) -> Grant {
    store.claim(&Progress::new(Kind::Local, "test").0).await.unwrap()
}

behaves_as_a_store!(Directory);

#[tokio::test]
async fn a_free_slot_that_is_locked_for_a_moment_is_not_skipped() {
    let pool = Directory::new(2);
    fs::create_dir(pool.path()).unwrap();
    let slot = pool.slot(0);
    let locked = slot.try_lock().unwrap().unwrap();
    let claimant = tokio::spawn({
        let mut store = pool.newcomer();
        async move { claim(&mut store).await.slot }
    });
    tokio::time::sleep(PATIENCE / 2).await;
    drop(locked);
    assert_eq!(claimant.await.unwrap(), 0);
}

#[tokio::test]
async fn a_process_stopped_in_the_lock_hangs_nobody() {
    let pool = Directory::new(2);
    fs::create_dir(pool.path()).unwrap();
    let slot = pool.slot(0);
    let locked = slot.try_lock().unwrap().unwrap();
    let grant = timeout(PATIENCE * 2, claim(&mut pool.newcomer())).await.expect("not hung");
    assert_eq!(grant.slot, 1);
    // When it goes on, its slot is free again.
    drop(locked);
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
}

#[tokio::test]
async fn a_pool_of_any_limit_is_as_quick_as_it_is_little_used() {
    let pool = Directory::new(u32::MAX);
    let began = Instant::now();
    let mut stores: Vec<_> = (0..3).map(|_| pool.newcomer()).collect();
    for (expected, store) in (0..).zip(&mut stores) {
        assert_eq!(claim(store).await.slot, expected);
    }
    stores[1].release().await.unwrap();
    assert_eq!([claim(&mut pool.newcomer()).await.slot, claim(&mut pool.newcomer()).await.slot], [1, 3]);
    assert!(began.elapsed() < Directory::TTL, "{:?}", began.elapsed());
}

#[tokio::test]
async fn files_that_are_no_slots_of_the_pool_are_in_nobodys_way() {
    let pool = Directory::new(2);
    fs::create_dir(pool.path()).unwrap();
    for file in ["slot-", "slot-x", "slot-2", "slot-4294967296", "slot-0.new", "slot--1.lock", "README"] {
        fs::write(pool.path().join(file), "{").unwrap();
    }
    assert_eq!([claim(&mut pool.newcomer()).await.slot, claim(&mut pool.newcomer()).await.slot], [0, 1]);
}

#[tokio::test]
async fn a_holder_whose_slot_is_locked_does_not_know_and_asks_again() {
    let pool = Directory::new(1);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    let slot = pool.slot(0);
    let locked = slot.try_lock().unwrap().unwrap();
    let error = store.renew().await.unwrap_err();
    assert!(matches!(error, RenewError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("slot-0 is locked"), "{error}");
    drop(locked);
    store.renew().await.unwrap();
}

#[tokio::test]
async fn a_record_that_cannot_be_read_counts_as_taken_until_it_is_removed() {
    let pool = Directory::new(2);
    fs::create_dir(pool.path()).unwrap();
    let no_nonce = r#"{"boot":"","holder":"7","token":1,"expires":0}"#;
    let no_holder = r#"{"boot":"","token":1,"expires":0}"#;
    for text in ["", "{", "\0\0\0\0", no_nonce, no_holder] {
        fs::write(pool.slot(0).path(), text).unwrap();
        let mut store = pool.newcomer();
        assert_eq!(claim(&mut store).await.slot, 1, "{text:?}");
        store.release().await.unwrap();
    }
    fs::remove_file(pool.slot(0).path()).unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_in_nobodys_way() {
    let pool = Directory::new(1);
    let mut store = pool.newcomer();
    claim(&mut store).await;
    fs::write(pool.path().join("slot-0.new"), r#"{"boot":"a long text that ends in the midd"#.repeat(20))
        .unwrap();
    store.renew().await.unwrap();
    store.release().await.unwrap();
    assert_eq!(claim(&mut pool.newcomer()).await.slot, 0);
}

#[tokio::test]
async fn an_earlier_boots_records_hold_nothing_but_their_tokens_count() {
    let pool = Directory::new(2);
    let nonce = Nonce::random().unwrap();
    let holder = Holder::new(&pool.claimant(nonce).incarnation, Directory::TTL);
    for slot in 0..2 {
        assert_eq!(claim(&mut pool.newcomer()).await.slot, slot);
    }
    for slot in 0..2 {
        let slot = pool.slot(slot);
        let locked = slot.try_lock().unwrap().unwrap();
        let record = locked.read().unwrap().unwrap();
        let boot = "00000000-0000-0000-0000-000000000000".to_owned();
        locked.write(&Record { boot, holder: Some(holder.clone()), token: 41, ..record }).unwrap();
    }
    // A claimant has the lowest of what its node held before the boot, which nobody else has.
    let grant = claim(&mut pool.claimant(nonce)).await;
    assert_eq!((grant.slot, grant.token), (0, 42));
}

#[tokio::test]
async fn the_record_keeps_others_out_for_longer_than_the_name_is_said() {
    let pool = Directory::new(1);
    let mut store = pool.newcomer();
    let granted = claim(&mut store).await.lease;
    let record = |granted: Lease| {
        let record = pool.slot(0).read().unwrap().unwrap();
        assert_eq!(record.expires(), granted.sent().saturating_add(granted.ttl()));
        assert!(record.expires() > granted.deadline());
    };
    record(granted);
    record(store.renew().await.unwrap());
}

#[tokio::test]
async fn only_root_may_look_and_write() {
    let pool = Directory::new(1);
    claim(&mut pool.newcomer()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&pool.path()), 0o700);
    let files: Vec<_> = fs::read_dir(pool.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_one_ends_the_claim() {
    let pool = Directory::new(1);
    fs::write(pool.path(), "a file").unwrap();
    let error = pool.newcomer().claim(&Progress::new(Kind::Local, "test").0).await.unwrap_err();
    assert!(error.to_string().contains(pool.path().to_str().unwrap()), "{error}");
    let (incarnation, agreement) = (pool.newcomer().incarnation, pool.agreement());
    let mut below = Local::new(pool.path().join("below"), incarnation, agreement, Directory::TTL);
    below.claim(&Progress::new(Kind::Local, "test").0).await.unwrap_err();
}

#[tokio::test]
async fn a_directory_that_does_not_work_for_now_is_tried_again() {
    let pool = Directory::new(1);
    // A directory in the place of a file is nothing that this store would remove, and may be removed.
    fs::create_dir_all(pool.path().join("slot-0.lock")).unwrap();
    let (progress, mut status) = Progress::new(Kind::Local, "test");
    let mut store = pool.newcomer();
    let line = tokio::spawn(async move { store.claim(&progress).await.unwrap().slot });
    let unreachable = status.wait_for(|status| status.store.state == State::Unreachable);
    timeout(RETRY, unreachable).await.expect("said so").unwrap();
    fs::remove_dir(pool.path().join("slot-0.lock")).unwrap();
    assert_eq!(timeout(RETRY * 2, line).await.expect("tried again").unwrap(), 0);
}

/// Threads claim, renew, release and die at random; no slot is ever given while its last holder may still speak.
#[test]
fn no_slot_has_two_holders_whatever_they_do() {
    const TTL: Duration = Duration::from_millis(200);
    let pool = Directory::new(3);
    let until = BootTime::now().saturating_add(Duration::from_secs(2));
    // Of each slot: until when its holder may speak, and the last token.
    let holders = [const { Mutex::new((BootTime::from_nanos(0), 0_u64)) }; 3];
    let granted: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    runtime.block_on(async {
                        let mut grants = 0;
                        while !until.passed() {
                            let incarnation = pool.newcomer().incarnation;
                            let mut store = Local::new(pool.path(), incarnation, pool.agreement(), TTL);
                            let grant = claim(&mut store).await;
                            grants += 1;
                            let now = BootTime::now();
                            let holder = &holders[grant.slot as usize];
                            {
                                let mut holder = holder.lock().unwrap();
                                assert!(now >= holder.0, "slot {} has two holders", grant.slot);
                                assert!(grant.token > holder.1, "{grant:?} after {}", holder.1);
                                *holder = (grant.lease.deadline(), grant.token);
                            }
                            let fate = getrandom::u32().unwrap();
                            for _ in 0..fate % 4 {
                                tokio::time::sleep(TTL / 10).await;
                                let lease = store.renew().await.expect("in time");
                                holder.lock().unwrap().0 = lease.deadline();
                            }
                            if fate % 8 < 6 {
                                holder.lock().unwrap().0 = BootTime::from_nanos(0);
                                store.release().await.unwrap();
                            }
                        }
                        grants
                    })
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(granted > 50, "{granted} grants prove little");
}

/// Where a process of a crowd finds its pool: "DIRECTORY:LIMIT".
const POOL: &str = "NSID_TEST_LOCAL_POOL";

/// A process of the tests below: claims, says so, and holds until its standard input ends.
#[tokio::test]
#[ignore = "run by other tests, as a process of theirs"]
async fn process() {
    let pool = env::var(POOL).expect("run by other tests");
    let (directory, limit) = pool.rsplit_once(':').unwrap();
    let node = NodeId::of(&std::process::id().to_string(), "test", 0);
    let mut store = Local::new(
        directory.into(),
        Incarnation::new(Nonce::random().unwrap(), node, String::new()),
        agreement(PATTERN, limit.parse().unwrap()),
        Duration::from_secs(2),
    );
    let grant = claim(&mut store).await;
    println!("\nclaimed {} {}", grant.slot, grant.lease.sent().as_nanos());
    io::stdin().read_line(&mut String::new()).unwrap();
}

struct Process(Child);

impl Process {
    fn start(pool: &Directory) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::local::tests::process", "--ignored", "--nocapture"])
            .env(POOL, format!("{}:{}", pool.path().display(), pool.limit))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Its slot, and when it asked for it.
    fn claimed(&mut self) -> (u32, BootTime) {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.starts_with("claimed ")).expect("a claim");
        let mut words = line.split(' ').skip(1);
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        (number().try_into().unwrap(), BootTime::from_nanos(number()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_crowd_of_processes_gets_the_lowest_slots_one_each() {
    let pool = Directory::new(40);
    let mut crowd: Vec<_> = (0..30).map(|_| Process::start(&pool)).collect();
    let slots: Vec<u32> = crowd.iter_mut().map(|process| process.claimed().0).collect();
    assert_eq!(sorted(slots), (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_killed_process_keeps_its_slot_until_its_record_expires() {
    let pool = Directory::new(1);
    let mut process = Process::start(&pool);
    let (slot, sent) = process.claimed();
    drop(process);
    let expiry = sent.saturating_add(Duration::from_secs(2));
    let grant = claim(&mut pool.newcomer()).await;
    assert_eq!((slot, grant.slot), (0, 0));
    assert!(grant.lease.sent() >= expiry, "{grant:?} before {expiry:?}");
    assert!(grant.lease.sent() < expiry.saturating_add(Directory::HANDED_ON.1), "{grant:?} after {expiry:?}");
}
