//! `BPF_PROG_TEST_RUN`: the programs on a frame in memory, attached to nothing, for tests and measurements.
//!
//! The kernel takes the frame for one that came to the loopback interface of this network namespace (index 1), or that
//! leaves there (`net/bpf/test_run.c`).

use std::time::Duration;

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, MapError},
    programs::{Program, ProgramError, ProgramInfo, TestRun as _, TestRunOptions},
};
use thiserror::Error;

use super::{
    load::{Datapath, OBJECT, Prog},
    maps::Maps,
};

/// Programs that are measured beside the shipped ones. The linker leaves them out of a binary that does not.
static BENCH: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nsid-ebpf-bench"));

/// Programs that flood a DNS server and count its answers, for a bench to load. Left out likewise.
pub static FLOOD: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nsid-ebpf-flood"));

/// Words of a frame that an undo restores, and its last eight bytes.
const UNDO: usize = 16;

/// Room for the frame behind the one that went in.
const ROOM: usize = 512;

/// What a program made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// What it returned; tc's actions as unsigned numbers.
    pub action: u32,
    /// The frame when it was done.
    pub frame: Vec<u8>,
    /// The mean of all repetitions, in whole nanoseconds, as the kernel measures it.
    pub duration: Duration,
}

/// Why a program cannot be run on a frame.
#[derive(Debug, Error)]
pub enum TestRunError {
    /// The object has no such program.
    #[error("the object has no XDP or tc program {0}")]
    NoProgram(String),
    /// The kernel refuses to load it, or to run it on such a frame.
    #[error("program {name}: {source}")]
    Program {
        /// Its name.
        name: String,
        /// The reason.
        source: ProgramError,
    },
    /// The object could not be brought into the kernel.
    #[error("cannot load the programs for measuring: {0}")]
    Object(#[from] EbpfError),
    /// The frame could not be written down for the undo.
    #[error("cannot write the map of the undo: {0}")]
    Map(#[from] MapError),
}

impl Datapath {
    /// Runs a program on a frame. Repeated, it is given what it made of the frame, not the frame anew.
    pub fn test_run(&self, program: Prog, frame: &[u8], repeat: u32) -> Result<TestRun, TestRunError> {
        run(&self.ebpf, program.name(), frame, repeat)
    }

    /// How many instructions the kernel's verifier followed in a program; `None` if it does not tell.
    pub fn verified_instructions(&self, program: Prog) -> Result<Option<u32>, TestRunError> {
        let name = program.name();
        let info = match self.ebpf.program(name) {
            Some(Program::Xdp(program)) => program.info(),
            Some(Program::SchedClassifier(program)) => program.info(),
            _ => return Err(TestRunError::NoProgram(name.to_owned())),
        };
        info.map(|info: ProgramInfo| info.verified_instruction_count()).map_err(|source| failed(name, source))
    }

    /// Loads the programs for measuring onto the maps of these.
    pub fn load_bench(&self) -> Result<Bench, TestRunError> {
        let directory = self.pins.maps_of(OBJECT);
        let mut loader = EbpfLoader::new();
        loader.override_global(aya_log::LEVEL, &0_u8, true);
        let paths = Maps::NAMES.map(|name| (name, directory.join(name)));
        for (name, path) in &paths {
            loader.map_pin_path(name, path.as_path());
        }
        let mut ebpf = loader.load(BENCH)?;
        for (name, program) in ebpf.programs_mut() {
            match program {
                Program::Xdp(program) => program.load(),
                Program::SchedClassifier(program) => program.load(),
                _ => return Err(TestRunError::NoProgram(name.to_owned())),
            }
            .map_err(|source| failed(name, source))?;
        }
        Ok(Bench { ebpf })
    }
}

/// The programs for measuring: `nsid-ebpf/src/bin/bench.rs`.
#[derive(Debug)]
pub struct Bench {
    ebpf: Ebpf,
}

impl Bench {
    /// Tells the undo what the frame has to be again: as many of its bytes as it restores.
    pub fn restore(&mut self, frame: &[u8]) -> Result<(), TestRunError> {
        let mut words = [0_u64; UNDO + 1];
        for (word, eight) in words[..UNDO].iter_mut().zip(frame.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*eight);
        }
        words[UNDO] = frame.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
        let map = self.ebpf.map_mut("FRAME").expect("the object has the map FRAME");
        Array::<_, [u64; UNDO + 1]>::try_from(map)?.set(0, words, 0)?;
        Ok(())
    }

    /// As [`Datapath::test_run`], for the program of that name.
    pub fn test_run(&self, program: &str, frame: &[u8], repeat: u32) -> Result<TestRun, TestRunError> {
        run(&self.ebpf, program, frame, repeat)
    }
}

fn run(ebpf: &Ebpf, name: &str, frame: &[u8], repeat: u32) -> Result<TestRun, TestRunError> {
    let mut out = vec![0; frame.len() + ROOM];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        repeat,
        ..TestRunOptions::default()
    };
    let result = match ebpf.program(name) {
        Some(Program::Xdp(program)) => program.test_run(options),
        Some(Program::SchedClassifier(program)) => program.test_run(options),
        _ => return Err(TestRunError::NoProgram(name.to_owned())),
    }
    .map_err(|source| failed(name, source))?;
    out.truncate(result.data_size_out as usize);
    Ok(TestRun { action: result.return_value, frame: out, duration: result.duration })
}

fn failed(name: &str, source: ProgramError) -> TestRunError {
    TestRunError::Program { name: name.to_owned(), source }
}
