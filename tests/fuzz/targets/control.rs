//! What others wrote, and an agent or a verb reads: never a panic, and what is taken is what was written.
//!
//! Input: one letter that says what it is, and its bytes.
#![no_main]

use std::{fs, path::Path, time::Duration};

use libfuzzer_sys::fuzz_target;
use nsid_user::{
    config::Change,
    name::Pattern,
    probe::{Answer, Question},
    set::{SetReply, SetRequest},
    state::State,
    store::{
        Agreement, Holder, Incarnation, Kind, Local, NodeId, Nonce, Progress, Store as _,
        etcd::{
            Keys,
            order::{Turn, View},
        },
    },
};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind {
        b's' => state(bytes),
        b'c' => changes(bytes),
        b'p' => probe(Question::Nsid, bytes),
        b'q' => probe(Question::IdServer, bytes),
        b'n' => SITE.with(|site| nonce(site, bytes)),
        b'e' => pool(bytes),
        b'r' => SITE.with(|site| slot(site, bytes)),
        _ => {}
    }
});

/// On the control socket, and in the file that a dead agent left.
fn state(bytes: &[u8]) {
    if let Ok(state) = serde_json::from_slice::<State>(bytes) {
        let written = serde_json::to_vec(&state).expect("a state is JSON");
        assert_eq!(serde_json::from_slice::<State>(&written).expect("our own JSON is read"), state);
    }
}

/// On the control socket: what `nsid set` asks for, and what it is answered.
fn changes(bytes: &[u8]) {
    if let Ok(SetRequest { set, .. }) = serde_json::from_slice::<SetRequest>(bytes) {
        for text in set {
            match text.parse::<Change>() {
                Ok(change) => assert_eq!(change.to_string().parse::<Change>().expect("it was taken"), change),
                Err(error) => assert!((1..=3).contains(&error.to_string().lines().count()), "{error}"),
            }
        }
    }
    if let Ok(reply) = serde_json::from_slice::<SetReply>(bytes) {
        serde_json::to_vec(&reply).expect("a reply is JSON");
    }
}

/// What a server says to a probe with the id 0.
fn probe(question: Question, datagram: &[u8]) {
    if let Some(Ok(Answer { names, .. })) = question.read(0, datagram) {
        assert!(datagram.starts_with(&[0, 0]));
        // A name is put together of strings with their lengths between, each of which stands in the datagram.
        let said: usize = names.iter().map(Vec::len).sum();
        assert!(said <= datagram.len());
    }
}

/// In etcd: keys and values of a pool, one pair on a line.
fn pool(bytes: &[u8]) {
    const LIMIT: u32 = 4;
    let nonce: Nonce = NONCE.parse().expect("32 digits");
    let keys = Keys::new("/nsid", agreement("a{id}", LIMIT));
    let mut view = View::default();
    for (line, revision) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let (key, value) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
        let value = value.strip_prefix(b" ").unwrap_or_default();
        view.tickets.extend(keys.present(key, value));
        if let Some(record) = keys.record(key, value, revision) {
            assert_eq!(keys.slot(record.slot).as_bytes(), key);
            if let Some(holder) = &record.holder {
                assert_eq!(Holder::read(holder.to_json().as_bytes()).as_ref(), Some(holder));
            }
            // No key is there twice.
            view.slots.retain(|other| other.slot != record.slot);
            view.slots.push(record);
        }
    }
    for somebody_left in [false, true] {
        view.somebody_left = somebody_left;
        let holds = |slot: u32| view.holders().any(|(record, _)| record.slot == slot);
        match view.turn(nonce, LIMIT) {
            Turn::Keep { slot, .. } => {
                let holder = view.record(slot).and_then(|record| record.holder.as_ref());
                assert!(slot < LIMIT && holder.is_some_and(|holder| holder.nonce == nonce));
            }
            Turn::Take(slot) => {
                let is_settled = somebody_left || view.record(slot).is_some();
                assert!(slot < LIMIT && !holds(slot) && is_settled);
            }
            Turn::Wait { departures } => assert!((1..=view.tickets.len()).contains(&departures)),
            Turn::Unsettled => {
                assert!(!somebody_left || view.tickets.iter().any(|ticket| ticket.is_unsettled));
            }
            Turn::Absent => assert!(!view.is_present(nonce)),
        }
    }
}

fn agreement(pattern: &str, limit: u32) -> Agreement {
    let limit = limit.try_into().expect("not 0");
    Agreement::new(&Pattern::parse(pattern, limit).expect("a pattern"))
}

/// The claimant's.
const NONCE: &str = "0123456789abcdef0123456789abcdef";

thread_local!(static SITE: Site = Site::new());

/// A directory in memory, and what runs a claim.
struct Site {
    directory: TempDir,
    runtime: Runtime,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").expect("there is room in memory");
        Self { directory, runtime: Builder::new_current_thread().enable_time().build().expect("a runtime") }
    }

    fn path(&self, name: &str) -> Box<Path> {
        self.directory.path().join(name).into()
    }
}

/// In the file of an earlier run: the one that stands there, or a new one in its place.
fn nonce(site: &Site, bytes: &[u8]) {
    let path = site.path("nonce");
    fs::write(&path, bytes).expect("there is room in memory");
    let nonce = Nonce::load_or_create(&path).expect("it can be kept");
    assert_eq!(Nonce::load_or_create(&path).expect("it was kept"), nonce);
    assert_eq!(nonce.to_string().parse::<Nonce>().expect("it is read as it is written"), nonce);
    if let Some(text) = str::from_utf8(bytes).ok().filter(|text| text.len() == 32)
        && let Ok(kept) = text.parse::<Nonce>()
    {
        assert_eq!(nonce, kept);
    }
}

/// What a slot's record has to have.
#[derive(Deserialize)]
struct Token {
    token: u64,
    #[serde(rename = "holder", deserialize_with = "Option::deserialize")]
    _holder: Option<Holder>,
}

/// In a slot's record: it is taken or left, and left as it is if it cannot be read.
fn slot(site: &Site, record: &[u8]) {
    let (pool, path) = (site.path("pool"), site.path("pool/slot-0"));
    fs::create_dir_all(&pool).expect("there is room in memory");
    fs::write(&path, record).expect("there is room in memory");
    let before: Option<Token> = serde_json::from_slice(record).ok();
    let nonce: Nonce = NONCE.parse().expect("32 digits");
    let incarnation = Incarnation::new(nonce, NodeId::of("machine", "default", 0), "host".to_owned());
    let mut local = Local::new(pool.into(), incarnation, agreement("a{id}", 1), Duration::from_secs(10));
    let (progress, _status) = Progress::new(Kind::Local, "fuzzed");
    let claim = async { timeout(Duration::ZERO, local.claim(&progress)).await };
    let left = || fs::read(&path).expect("it is still there");
    match site.runtime.block_on(claim) {
        Err(_waits) => assert_eq!(left(), record),
        Ok(grant) => {
            let grant = grant.expect("the directory can be used");
            let Token { token, .. } = before.expect("nothing is taken that cannot be read");
            assert!(grant.slot == 0 && (grant.token > token || token == u64::MAX));
            let after: serde_json::Value = serde_json::from_slice(&left()).expect("our own record is read");
            assert_eq!(after["holder"]["nonce"], nonce.to_string());
        }
    }
}
