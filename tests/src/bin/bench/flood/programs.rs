//! The programs that flood and count (`nsid-ebpf/src/bin/flood.rs`), at the client's interface.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode},
};
use nsid_user::datapath::FLOOD;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::{frame::Query, load::Load};

/// Frames that the kernel makes before it sends any.
const BATCH: u32 = 64;

/// Words of the maps' values: of a frame or an answer those from its first byte on, and its last eight bytes.
const FRAME: usize = 16 + 1;
const ANSWER: usize = 24 + 1;
const PLAN: usize = 4 + FRAME + ANSWER;
const TALLY: usize = 18;

/// Loaded, and counting.
#[derive(Debug)]
pub(crate) struct Programs {
    ebpf: Ebpf,
    interface: u32,
    query: Query,
    answer: Vec<u8>,
}

/// What has happened since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Queries that left.
    pub(crate) asked: u64,
    /// Answers that are the one that is expected.
    pub(crate) right: u64,
    /// Others.
    pub(crate) wrong: u64,
    /// From the first query to the last that was timed.
    pub(crate) time: Duration,
    /// Answers that were right by then.
    pub(crate) right_in_time: u64,
}

impl Programs {
    /// Asks that, and counts answers that are like this one behind their ID. Called in the client's namespace.
    pub(crate) fn attach(interface: &str, query: Query, answer: &[u8]) -> Result<Self> {
        let mut ebpf = Ebpf::load(FLOOD)?;
        program(&mut ebpf, "flood")?.load()?;
        let count = program(&mut ebpf, "count")?;
        count.load()?;
        count.attach(interface, XdpMode::Driver)?;
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let interface = netdevice::name_to_index(any, interface)?;
        Ok(Self { ebpf, interface, query, answer: answer.to_vec() })
    }

    /// From now on, at that load.
    pub(crate) fn begin(&mut self, load: Load) -> Result<()> {
        self.map("TALLY")?.set(0, [0; TALLY], 0)?;
        let head = [load.interval(), load.window(), self.query.sum.into(), self.answer.len() as u64];
        let behind_id = &self.answer[2..];
        let plan = [&head[..], &words::<FRAME>(&self.query.frame), &words::<ANSWER>(behind_id)].concat();
        let plan: [u64; PLAN] = plan.try_into().expect("so many words");
        Ok(self.map("PLAN")?.set(0, plan, 0)?)
    }

    /// Makes that many frames, each of which leaves if it is time for it. Called in the client's namespace.
    pub(crate) fn run(&mut self, frames: u32) -> Result<()> {
        let size = u32::try_from(self.query.frame.len())?;
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, size, 0, self.interface, 0, 0].map(u32::to_ne_bytes);
        let options = TestRunOptions {
            data_in: Some(&self.query.frame),
            ctx_in: Some(context.as_flattened()),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        };
        program(&mut self.ebpf, "flood")?.test_run(options)?;
        Ok(())
    }

    /// Since it began.
    pub(crate) fn tally(&mut self) -> Result<Tally> {
        let [asked, _next, first, last, right_in_time, _, _, _, _, _, _, _, _, _, _, _, right, wrong]: [u64;
            TALLY] = self.map("TALLY")?.get(&0, 0)?;
        let time = Duration::from_nanos(last - first);
        Ok(Tally { asked, right, wrong, time, right_in_time })
    }

    fn map<const N: usize>(&mut self, name: &str) -> Result<Array<&mut MapData, [u64; N]>> {
        let map = self.ebpf.map_mut(name).with_context(|| format!("the object has no map {name}"))?;
        Ok(Array::try_from(map)?)
    }
}

fn program<'e>(ebpf: &'e mut Ebpf, name: &str) -> Result<&'e mut Xdp> {
    let program = ebpf.program_mut(name).with_context(|| format!("the object has no program {name}"))?;
    Ok(program.try_into()?)
}

/// Words from the first byte on, and as the last one the last eight bytes.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let eights = bytes.as_chunks::<8>().0;
    assert!(eights.len() < N, "{} bytes are too many", bytes.len());
    let mut words = [0; N];
    for (word, eight) in words.iter_mut().zip(eights) {
        *word = u64::from_le_bytes(*eight);
    }
    words[N - 1] = bytes.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
    words
}
