//! A row of the table: a frame, the state it meets, and what becomes of it.

use std::{fmt::Write as _, net::SocketAddr};

use nsid_common::{
    clients::{ANSWERED, NAMED},
    ip::{Ip as _, V4, V6},
    maps::Address,
    model::{Client, Datagram, Model, QueriesAt, Segments},
    outcome::Outcome,
    served::Endpoint,
};

use nsid_user::datapath::Prog;

use super::{
    kernel::{Action, Kernel, at_tc},
    message::{ID, Message, asking},
};

mod wire;

pub use wire::{INTERFACE, Place, Sent, Unsendable, Wired};

/// Which program sees the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Of queries.
    Queries,
    /// Of responses.
    Responses,
}

impl Hook {
    /// The programs that see such frames.
    pub const fn programs(self) -> &'static [Prog] {
        match self {
            Self::Queries => &[Prog::Xdp, Prog::XdpBoth, Prog::Queries],
            Self::Responses => &[Prog::Responses, Prog::XdpBoth],
        }
    }

    /// Bytes of the shortest frame that test runs take: those of tc refuse IP headers that are cut off
    /// (`net/bpf/test_run.c`).
    pub fn shortest(self) -> usize {
        match self {
            Self::Queries => 15,
            Self::Responses => 54,
        }
    }
}

/// What the model makes of a frame as that program does; the frame is changed to what leaves.
pub fn decide(prog: Prog, model: &mut Model, frame: &mut Vec<u8>) -> Outcome {
    if at_tc(prog) {
        (model.queries_at, model.buffer) = (QueriesAt::Tc, usize::MAX);
    } else {
        model.queries_at = QueriesAt::Xdp;
    }
    match prog {
        Prog::Xdp | Prog::Queries => model.queries(frame),
        Prog::Responses | Prog::XdpEdit => model.responses(frame),
        Prog::XdpBoth => model.both(frame),
    }
}

/// The name that the first service says.
pub(crate) const NAME: &[u8] = b"ns1.example";
/// The name that the second service says.
pub const OTHER_NAME: &[u8] = b"ns2.example";
/// The UDP size of noted queries that are not told another.
pub(crate) const UDP_SIZE: u16 = 1232;

/// A client.
pub const CLIENT4: &str = "10.0.0.1:4242";
/// A client, over IPv6.
pub const CLIENT6: &str = "[fd00::1]:4242";
/// Where the first service is.
pub const SERVER4: &str = "10.0.0.2:53";
/// Where the first service is, too.
pub const SERVER6: &str = "[fd00::2]:53";
/// Where the second service is.
pub(crate) const OTHER_SERVER4: &str = "10.0.0.3:5353";

/// A datagram with a message.
pub(crate) fn datagram(from: &str, to: &str, message: &Message) -> Datagram {
    Datagram::new(address(from), address(to), message.bytes())
}

pub(crate) fn query4(message: &Message) -> Datagram {
    datagram(CLIENT4, SERVER4, message)
}

pub(crate) fn query6(message: &Message) -> Datagram {
    datagram(CLIENT6, SERVER6, message)
}

pub(crate) fn response4(message: &Message) -> Datagram {
    datagram(SERVER4, CLIENT4, message)
}

pub(crate) fn response6(message: &Message) -> Datagram {
    datagram(SERVER6, CLIENT6, message)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

type Change = Box<dyn Fn(&mut Model)>;

/// A frame, the state it meets, and what becomes of it.
pub struct Row {
    /// Which row it is.
    pub name: String,
    /// Where it is written that it has to be so.
    rule: &'static str,
    /// Where the frame comes by.
    pub hook: Hook,
    programs: &'static [Prog],
    /// As it comes.
    pub frame: Vec<u8>,
    changes: Vec<Change>,
    /// What is counted.
    pub outcome: Outcome,
    action: Action,
    left: Vec<u8>,
}

impl Row {
    /// A frame that leaves as it came.
    pub(crate) fn passed(
        hook: Hook,
        name: impl Into<String>,
        rule: &'static str,
        frame: Vec<u8>,
        outcome: Outcome,
    ) -> Self {
        let (left, action) = (frame.clone(), Action::Passed);
        let (name, programs, changes) = (name.into(), hook.programs(), vec![]);
        Self { name, rule, hook, programs, frame, changes, outcome, action, left }
    }

    /// A frame that leaves as another.
    pub(crate) fn became(
        hook: Hook,
        name: impl Into<String>,
        rule: &'static str,
        frame: Vec<u8>,
        left: Vec<u8>,
        outcome: Outcome,
    ) -> Self {
        Self { left, ..Self::passed(hook, name, rule, frame, outcome) }
    }

    /// A query that is answered: the answer goes back to where it came from.
    pub(crate) fn answered(
        name: impl Into<String>,
        rule: &'static str,
        query: &Datagram,
        answer: &Message,
    ) -> Self {
        let [to, from] = query.macs;
        let mut left = query.clone();
        left.macs = [from, to];
        (left.source, left.destination) = (query.destination, query.source);
        left.payload = answer.bytes();
        let row = Self::passed(Hook::Queries, name, rule, query.frame(), Outcome::Answered);
        Self { action: Action::SentBack, left: left.frame(), ..row }
    }

    /// A noted response that leaves with another message.
    pub(crate) fn edited(
        name: impl Into<String>,
        rule: &'static str,
        outcome: Outcome,
        response: &Datagram,
        named: &Message,
    ) -> Self {
        let mut left = response.clone();
        left.payload = named.bytes();
        let row = Self::passed(Hook::Responses, name, rule, response.frame(), outcome);
        Self { left: left.frame(), ..row }.noted(UDP_SIZE)
    }

    /// With another outcome.
    pub(crate) fn becoming(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// With other bytes of the frame that comes and of the one that leaves.
    pub(crate) fn patched(mut self, at: usize, bytes: &[u8]) -> Self {
        for frame in [&mut self.frame, &mut self.left] {
            frame[at..at + bytes.len()].copy_from_slice(bytes);
        }
        self
    }

    /// With other bytes of the frame that comes alone.
    pub(crate) fn arriving_with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.frame[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// With a checksum that is wrong by as much in the frame that comes and in the one that leaves (RFC 1624).
    pub(crate) fn off_by(mut self, at: usize, difference: u16) -> Self {
        for frame in [&mut self.frame, &mut self.left] {
            let (sum, carry) = u16::from_be_bytes([frame[at], frame[at + 1]]).overflowing_add(difference);
            frame[at..at + 2].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        }
        self
    }

    /// With bytes behind the datagram, which are gone from an answer.
    pub(crate) fn padded(mut self, bytes: usize) -> Self {
        self.frame.resize(self.frame.len() + bytes, 0);
        if self.action == Action::Passed {
            self.left.resize(self.left.len() + bytes, 0);
        }
        self
    }

    /// In those of the programs only.
    pub(crate) fn at(self, programs: &'static [Prog]) -> Self {
        Self { programs, ..self }
    }

    /// In a state that is changed.
    pub(crate) fn with(mut self, change: impl Fn(&mut Model) + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// After a query of either version of IP that asked, with this UDP size.
    pub(crate) fn noted(self, udp_size: u16) -> Self {
        self.with(move |model| note(model, ID.to_be_bytes(), udp_size))
    }

    /// The DNS message, where the frame has no tags and is long enough for one.
    pub fn message(&self) -> Option<&[u8]> {
        const ETHER_TYPE: usize = 12;
        let at = match self.frame.get(ETHER_TYPE..ETHER_TYPE + 2)? {
            [0x08, 0x00] => V4::DNS,
            [0x86, 0xdd] => V6::DNS,
            _ => return None,
        };
        self.frame.get(at..)
    }

    /// Runs the row in the model and in the kernel, in each program that sees such frames; what does not hold is
    /// described.
    pub fn check(&self, kernel: &mut Kernel) -> Result<(), String> {
        let wrong: Vec<String> =
            self.programs.iter().filter_map(|prog| self.check_in(*prog, kernel).err()).collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} ({}){}", self.name, self.rule, wrong.concat()))
        }
    }

    /// The state that the frame meets, now.
    fn state(&self, kernel: &mut Kernel) -> Model {
        let mut model = stage();
        (model.jiffies, model.boot_time) = kernel.now();
        for change in &self.changes {
            change(&mut model);
        }
        model
    }

    fn check_in(&self, prog: Prog, kernel: &mut Kernel) -> Result<(), String> {
        let mut model = self.state(kernel);
        if model.segments == Segments::Several && !at_tc(prog) {
            return Ok(());
        }
        kernel.fill(&model);
        let mut wrong = String::new();
        let mut frame = self.frame.clone();
        let outcome = decide(prog, &mut model, &mut frame);
        if outcome != self.outcome {
            let _ = write!(wrong, "\n  model: {outcome:?}, not {:?}", self.outcome);
        }
        if frame != self.left {
            let _ = write!(wrong, "\n  model:  left {frame:02x?}\n  not {:02x?}", self.left);
        }
        let Some(run) = kernel.run(prog, &self.frame, &model) else { return Ok(()) };
        if run.outcome != Some(self.outcome) {
            let _ = write!(wrong, "\n  {prog:?}: {:?}, not {:?}", run.outcome, self.outcome);
        }
        if run.action != self.action {
            let _ = write!(wrong, "\n  {prog:?}: {:?}, not {:?}", run.action, self.action);
        }
        if run.frame != self.left {
            let _ = write!(wrong, "\n  {prog:?}: left {:02x?}\n  not  {:02x?}", run.frame, self.left);
        }
        if let Err(difference) = kernel.same_notes(&model, &model.sets_used()) {
            let _ = write!(wrong, "\n  {prog:?}: {difference}");
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// Two services that say their names for ever, to everyone on two networks.
pub(crate) fn stage() -> Model {
    let model = Model::new();
    for (server, service) in [(SERVER4, 0), (SERVER6, 0), (OTHER_SERVER4, 1)] {
        let server = address(server);
        model.serve(&Endpoint { address: mapped(server), port: server.port().to_be_bytes() }, service);
    }
    model.say(0, NAME, u64::MAX);
    model.say(1, OTHER_NAME, u64::MAX);
    let client =
        |network: &str, prefix_len, says| Client { network: mapped(address(network)), prefix_len, says };
    model.set_clients(&[
        client("10.0.0.0:0", 96 + 8, ANSWERED | NAMED),
        client("10.0.0.2:0", 128, NAMED),
        client("10.255.255.255:0", 128, NAMED),
        client("[fd00::]:0", 8, ANSWERED | NAMED),
        client("[fd00::2]:0", 128, NAMED),
    ]);
    model
}

fn mapped(address: SocketAddr) -> Address {
    match address {
        SocketAddr::V4(address) => Address::v4(address.ip().octets()),
        SocketAddr::V6(address) => Address::v6(address.ip().octets()),
    }
}

/// Has the model note a query of either version of IP, with this id and UDP size.
pub fn note(model: &Model, id: [u8; 2], udp_size: u16) {
    for (client, server) in [(CLIENT4, SERVER4), (CLIENT6, SERVER6)] {
        let mut asking = datagram(client, server, &asking().id(u16::from_be_bytes(id)));
        let size_at = asking.payload.len() - 12;
        asking.payload[size_at..size_at + 2].copy_from_slice(&udp_size.to_be_bytes());
        assert_eq!(model.queries(&mut asking.frame()), Outcome::QueryNoted);
    }
}
