//! The rows: what is measured, what it has to come to, and the target.

use std::net::Ipv4Addr;

use nsid_common::outcome::Outcome::{
    self, Answered, Inserted, NotOurs, QueryNoted, QueryPlain, ResponseNotNoted,
};
use nsid_tests::{message::Query, verifier};
use nsid_user::datapath::Prog;

use super::{
    frames::{
        answered, arp, query4, query4_to, query6, query6_to, response4, response4_from, response6, tcp,
    },
    stage::{PORT, SERVER4},
};

/// A row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

/// What is measured.
#[derive(Debug)]
pub(crate) enum What {
    /// The time that a program takes for a frame.
    Time(Run),
    /// What the verifier follows of a program, and the target.
    Instructions(Prog, i64),
}

/// A program on a frame.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) hook: Hook,
    pub(crate) program: Program,
    pub(crate) frame: Vec<u8>,
    /// The outcome that every repetition has to be counted as.
    pub(crate) outcome: Option<Outcome>,
    /// Nanoseconds above the bare program of that hook.
    pub(crate) target: Option<i64>,
    /// What the undo makes of the frame.
    pub(crate) restored: Option<Vec<u8>>,
    /// A query that has to be noted before.
    pub(crate) noted: Option<Vec<u8>>,
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Xdp,
    Tc,
}

impl Hook {
    /// The program that does nothing.
    pub(crate) const fn bare(self) -> &'static str {
        match self {
            Self::Xdp => "bare_xdp",
            Self::Tc => "bare_tc",
        }
    }

    /// The shipped program.
    const fn program(self) -> Prog {
        match self {
            Self::Xdp => Prog::Xdp,
            Self::Tc => Prog::Responses,
        }
    }

    /// What a frame passes with: `XDP_PASS`, `TC_ACT_UNSPEC`.
    pub(crate) const fn pass(self) -> u32 {
        match self {
            Self::Xdp => 2,
            Self::Tc => u32::MAX,
        }
    }
}

/// Which program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// As shipped.
    Shipped(Prog),
    /// For measuring, by its name, and what it returns.
    Bench(&'static str, u32),
}

const XDP_TX: u32 = 3;

/// The targets, in ns above the bare program.
const NOT_OURS: i64 = 3;
const QUERY: i64 = 12;
const QUERY_OPT: i64 = 18;
const NOTED: i64 = 25;
const ANSWERED: i64 = 60;
const NOT_NOTED: i64 = 15;
const INSERTED: i64 = 80;

/// All rows, in the order in which they are shown.
pub(crate) fn rows() -> Vec<Row> {
    [xdp(), tc(), instructions()].into_iter().flatten().collect()
}

const ID: u16 = 7;
const NEVER_NOTED: u16 = 8;
const OTHER_PORT: u16 = 5353;
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 54);

fn www() -> Query {
    Query::a("www.example.test.")
}

fn xdp() -> Vec<Row> {
    let (plain, opt, nsid) = (www().encode(ID), www().with_opt().encode(ID), www().with_nsid().encode(ID));
    let (cookie, both) = (www().with_cookie().encode(ID), www().with_cookie().with_nsid().encode(ID));
    let id_server = Query::identity("id.server.").encode(ID);
    let id_server_nsid = id_server_nsid();
    let bare = Row::bare("xdp: bare XDP_PASS", Hook::Xdp, query4(&plain));
    let row = |name, frame, outcome, target| Row::shipped(name, Hook::Xdp, frame, outcome, Some(target));
    let undo = Program::Bench("undo_answer4_nsid", Hook::Xdp.pass());
    let part =
        |name, program| Row::time(name, Hook::Xdp, Program::Bench(program, Hook::Xdp.pass()), query4(&plain));
    vec![
        bare,
        row("xdp: not IP", arp(), NotOurs, NOT_OURS),
        row("xdp: TCP", tcp(), NotOurs, NOT_OURS),
        row("xdp: UDP, another port, IPv4", query4_to(SERVER4, OTHER_PORT, &plain), NotOurs, NOT_OURS),
        row("xdp: UDP, another port, IPv6", query6_to(OTHER_PORT, &plain), NotOurs, NOT_OURS),
        row("xdp: UDP, our port, another address", query4_to(OTHER_ADDRESS, PORT, &plain), NotOurs, NOT_OURS),
        row("xdp: query, no OPT, IPv4", query4(&plain), QueryPlain, QUERY),
        row("xdp: query, no OPT, IPv6", query6(&plain), QueryPlain, QUERY),
        row("xdp: query, OPT, IPv4", query4(&opt), QueryPlain, QUERY_OPT),
        row("xdp: query, OPT, IPv6", query6(&opt), QueryPlain, QUERY_OPT),
        row("xdp: query, OPT with a cookie, IPv4", query4(&cookie), QueryPlain, QUERY_OPT),
        row("xdp: query noted, IPv4", query4(&nsid), QueryNoted, NOTED),
        row("xdp: query noted, IPv6", query6(&nsid), QueryNoted, NOTED),
        row("xdp: query with a cookie noted, IPv4", query4(&both), QueryNoted, NOTED),
        Row::answered("xdp: id.server answered, undone, IPv4", "answer4", query4(&id_server)),
        answered_with_nsid(),
        Row::answered(
            "xdp: id.server answered with NSID, undone, IPv6",
            "answer6_nsid",
            query6(&id_server_nsid),
        ),
        Row::undo("xdp: the undo of answered with NSID, IPv4", Hook::Xdp, undo, query4(&id_server_nsid)),
        part("xdp: the look-up of the client alone, IPv4", "client4"),
        part("xdp: one call of a subprogram", "one_call"),
    ]
}

fn id_server_nsid() -> Vec<u8> {
    Query::identity("id.server.").with_nsid().encode(ID)
}

/// What an answer takes that has the name twice.
pub(crate) fn answered_with_nsid() -> Row {
    let query = query4(&id_server_nsid());
    Row::answered("xdp: id.server answered with NSID, undone, IPv4", "answer4_nsid", query)
}

fn response() -> Vec<u8> {
    answered(&www().with_opt().encode(ID))
}

/// What an insertion takes.
pub(crate) fn inserted() -> Row {
    let program = Program::Bench("insert4", Hook::Tc.pass());
    let frame = response4(&response());
    Row::undone("tc: inserted, undone, IPv4", Hook::Tc, program, frame, Inserted, INSERTED)
        .noted(query4(&www().with_nsid().encode(ID)))
}

fn tc() -> Vec<Row> {
    let response = response();
    let not_noted = answered(&www().with_opt().encode(NEVER_NOTED));
    let bare = Row::bare("tc: bare TC_ACT_UNSPEC", Hook::Tc, response4(&response));
    let row = |name, frame, outcome, target| Row::shipped(name, Hook::Tc, frame, outcome, target);
    let undo = Program::Bench("undo_insert4", Hook::Tc.pass());
    vec![
        bare,
        row("tc: UDP, another port, IPv4", response4_from(OTHER_PORT, &response), NotOurs, None),
        row("tc: response not noted, IPv4", response4(&not_noted), ResponseNotNoted, Some(NOT_NOTED)),
        row("tc: response not noted, IPv6", response6(&not_noted), ResponseNotNoted, Some(NOT_NOTED)),
        inserted(),
        Row::undo("tc: the undo of inserted, IPv4", Hook::Tc, undo, response4(&response)),
    ]
}

fn instructions() -> Vec<Row> {
    Prog::ALL
        .map(|prog| Row { name: verified(prog), what: What::Instructions(prog, verifier::limit().into()) })
        .into()
}

const fn verified(prog: Prog) -> &'static str {
    match prog {
        Prog::Xdp => "verifier: nsid_xdp",
        Prog::XdpBoth => "verifier: nsid_xdp_both",
        Prog::XdpEdit => "verifier: nsid_xdp_edit",
        Prog::Queries => "verifier: nsid_queries",
        Prog::Responses => "verifier: nsid_responses",
    }
}

impl Row {
    /// What others of its hook are compared with.
    fn bare(name: &'static str, hook: Hook, frame: Vec<u8>) -> Self {
        Self::time(name, hook, Program::Bench(hook.bare(), hook.pass()), frame)
    }

    /// The shipped program, on a frame that it leaves as it is.
    fn shipped(
        name: &'static str,
        hook: Hook,
        frame: Vec<u8>,
        outcome: Outcome,
        target: Option<i64>,
    ) -> Self {
        let program = Program::Shipped(hook.program());
        Self::time(name, hook, program, frame).with(|run| (run.outcome, run.target) = (Some(outcome), target))
    }

    /// What the shipped program does to a frame, and its undo.
    fn undone(
        name: &'static str,
        hook: Hook,
        program: Program,
        frame: Vec<u8>,
        outcome: Outcome,
        target: i64,
    ) -> Self {
        Self::time(name, hook, program, frame.clone()).with(|run| {
            (run.outcome, run.target, run.restored) = (Some(outcome), Some(target), Some(frame));
        })
    }

    /// What answers at XDP, and its undo.
    fn answered(name: &'static str, program: &'static str, frame: Vec<u8>) -> Self {
        Self::undone(name, Hook::Xdp, Program::Bench(program, XDP_TX), frame, Answered, ANSWERED)
    }

    /// The undo alone, of a frame that has grown.
    fn undo(name: &'static str, hook: Hook, program: Program, frame: Vec<u8>) -> Self {
        let grown = [&frame[..], &[0; 29]].concat();
        Self::time(name, hook, program, grown).with(|run| run.restored = Some(frame))
    }

    /// After that query.
    fn noted(self, query: Vec<u8>) -> Self {
        self.with(|run| run.noted = Some(query))
    }

    fn time(name: &'static str, hook: Hook, program: Program, frame: Vec<u8>) -> Self {
        let run = Run { hook, program, frame, outcome: None, target: None, restored: None, noted: None };
        Self { name, what: What::Time(run) }
    }

    fn with(mut self, change: impl FnOnce(&mut Run)) -> Self {
        if let What::Time(run) = &mut self.what {
            change(run);
        }
        self
    }
}
