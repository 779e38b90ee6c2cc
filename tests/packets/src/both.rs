//! The kernel and the model in the same state, on any frame: what becomes of it has to be the same.

use nsid_common::{
    clients::{ANSWERED, NAMED},
    maps::Address,
    model::{Client, Model, Segments},
    outcome::Outcome,
    pending::SETS,
};

use nsid_user::datapath::Prog;

use super::{
    kernel::{Action, Kernel, at_tc},
    message::ID,
    row::{NAME, decide, note, stage},
};

/// The kernel and the model.
pub struct Both {
    kernel: Kernel,
    model: Model,
    state: State,
}

/// What a frame meets, of all that a row of the table can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct State {
    /// The switch.
    pub enabled: bool,
    /// Only counted.
    pub observe: bool,
    /// The interface's.
    pub mtu: u64,
    /// The name has lapsed.
    pub lapsed: bool,
    /// Bytes of the name.
    pub name: usize,
    /// Responses are of several segments.
    pub segments: Segments,
    /// An NSID of the server's own stays.
    pub keep_own: bool,
    /// Bytes of a message that the name is put into, at most; 0: as many as the requestor takes.
    pub max_udp_size: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            enabled: true,
            observe: false,
            mtu: 1500,
            lapsed: false,
            name: NAME.len(),
            segments: Segments::One,
            keep_own: false,
            max_udp_size: 0,
        }
    }
}

impl State {
    /// Has the model be in it, with another name.
    pub fn set(self, model: &mut Model) {
        model.control.enabled.set(self.enabled.into());
        model.control.observe.set(self.observe.into());
        model.interfaces[1].mtu.set(self.mtu);
        model.segments = self.segments;
        model.policy().keep_own.set(self.keep_own.into());
        model.policy().max_udp_size.set(self.max_udp_size);
        model.say(0, &vec![b'n'; self.name], if self.lapsed { 1 } else { u64::MAX });
    }
}

/// The two services of the table, which everyone is answered by, so that mutated addresses are too.
pub fn open_stage() -> Model {
    let model = stage();
    let everybody = Client { network: Address { high: 0, low: 0 }, prefix_len: 0, says: ANSWERED | NAMED };
    model.set_clients(&[everybody]);
    // A model's clock stands.
    model.control.pending_ticks.set(u16::MAX.into());
    model
}

impl Both {
    /// Loads the programs, as root.
    pub fn load() -> Self {
        let mut kernel = Kernel::load();
        let mut model = open_stage();
        (model.jiffies, model.boot_time) = kernel.now();
        kernel.fill(&model);
        Self { kernel, model, state: State::default() }
    }

    /// Makes it another state, with another name.
    pub fn change(&mut self, state: State) {
        state.set(&mut self.model);
        self.kernel.fill_but_notes(&self.model);
        self.state = state;
    }

    /// The state as it was last made.
    pub fn state(&self) -> State {
        self.state
    }

    /// Has both note a query of either version of IP that asked, with this UDP size.
    pub fn note(&mut self, udp_size: u16) {
        note(&self.model, ID.to_be_bytes(), udp_size);
        self.kernel.copy_notes(&self.model, &self.model.sets_used());
    }

    /// Runs both on a frame, with a program that sees such frames; what differs is described. `None`: test runs do not
    /// take such frames.
    pub fn run(&mut self, prog: Prog, frame: &[u8]) -> Result<Option<Outcome>, String> {
        let mut left = frame.to_vec();
        if self.model.segments == Segments::Several && !at_tc(prog) {
            return Ok(None);
        }
        let Some(run) = self.kernel.run(prog, frame, &self.model) else { return Ok(None) };
        let outcome = decide(prog, &mut self.model, &mut left);
        let same_notes = self.kernel.same_notes(&self.model, &self.model.sets_used());
        let same = run.outcome == Some(outcome) && run.frame == left && same_notes.is_ok();
        let action_fits = match run.action {
            Action::Passed => true,
            Action::SentBack => prog != Prog::Responses && run.frame != frame,
            Action::Other(_) => false,
        };
        if same && action_fits {
            return Ok(Some(outcome));
        }
        Err(format!(
            "{prog:?}, {:?}\n came {frame:02x?}\n model {outcome:?} {left:02x?}\n kernel {run:02x?}\n notes \
             {same_notes:?}",
            self.state
        ))
    }

    /// Whether all notes are the same, also those that nobody looked at.
    pub fn same_notes(&mut self) -> Result<(), String> {
        self.kernel.same_notes(&self.model, &(0..SETS).collect::<Vec<_>>())
    }

    /// Has both forget all notes.
    pub fn forget(&mut self) {
        for set in self.kernel.used() {
            for note in &self.model.pending[set as usize].0 {
                note.set(0);
            }
        }
        self.kernel.copy_notes(&self.model, &self.kernel.used());
    }
}
