//! The input of the targets that take frames: a frame, and the state that it meets.
//!
//! ```text
//! | hook and switches | length of the name | sizes, policies | the frame ...
//! ```

use nsid_common::model::Segments;
use nsid_packets::{Hook, State};
use nsid_user::datapath::Prog;

/// A frame at a hook, in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Through which program.
    pub prog: Prog,
    /// In which state.
    pub state: State,
    /// The UDP size of the queries that are noted before; `None`: none is.
    pub noted: Option<u16>,
    /// The frame.
    pub frame: &'a [u8],
}

/// Bytes of all but the frame.
const HEADER: usize = 3;
/// In the first byte.
const RESPONSES: u8 = 1;
const OFF: u8 = 2;
const OBSERVE: u8 = 4;
const LAPSED: u8 = 8;
const SEVERAL: u8 = 16;
const NOT_NOTED: u8 = 32;
/// The highest two bits.
const PROGRAM: u32 = 6;

const MTUS: [u64; 4] = [1500, 576, 1280, 9000];
const UDP_SIZES: [u16; 4] = [1232, 512, 4096, 0];
/// In the third byte, below which are MTU and UDP size, and above `max_udp_size`.
const KEEP_OWN: u8 = 16;
const MAX_UDP_SIZES: [u64; 4] = [0, 512, 600, 1232];
/// Bytes of the longest frame that a test run takes in one buffer, with room to grow (`net/bpf/test_run.c`).
const LONGEST: usize = 3000;
/// Bytes of a name.
const NAMES: u8 = 128;

impl<'a> Input<'a> {
    /// From what the fuzzer gives; `None`: it is shorter or longer than any.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let ([switches, name, choice], frame) = bytes.split_first_chunk::<HEADER>()?;
        let is = |switch| switches & switch != 0;
        let hook = if is(RESPONSES) { Hook::Responses } else { Hook::Queries };
        if !(hook.shortest()..=LONGEST).contains(&frame.len()) {
            return None;
        }
        let state = State {
            enabled: !is(OFF),
            observe: is(OBSERVE),
            mtu: MTUS[usize::from(choice % 4)],
            lapsed: is(LAPSED),
            name: usize::from(1 + name % NAMES),
            segments: if is(SEVERAL) { Segments::Several } else { Segments::One },
            keep_own: choice & KEEP_OWN != 0,
            max_udp_size: MAX_UDP_SIZES[usize::from(choice / 32 % 4)],
        };
        let programs = hook.programs();
        let prog = programs[usize::from(switches >> PROGRAM) % programs.len()];
        let noted =
            (hook == Hook::Responses && !is(NOT_NOTED)).then_some(UDP_SIZES[usize::from(choice / 4 % 4)]);
        Some(Self { prog, state, noted, frame })
    }

    /// Seeds: this frame through each program that sees such frames, with everything else as it usually is.
    pub fn seeds(hook: Hook, frame: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let switches = if hook == Hook::Responses { RESPONSES } else { 0 };
        let programs = (0..).take(hook.programs().len());
        programs.map(move |program: u8| [&[switches | program << PROGRAM, 10, 0], frame].concat())
    }
}
