//! The packet table: frames, the state that they meet, and what becomes of them, by which rule.
//!
//! A frame goes through the programs in the kernel (`BPF_PROG_TEST_RUN`) and through the same decisions in a model. One
//! state serves both: the model's, copied into the kernel's maps. Of a row of the [`table`], outcome, action and bytes
//! are known, and both have to agree with them; of any other frame nothing is known, and [`Both`] have to agree with
//! each other. The rows are also what the fuzzer starts from, and what is sent over a real interface ([`Row::check_on`]).

mod kernel;
mod message;
mod row;

mod answers;
mod datagrams;
mod headers;
mod insertions;
mod policies;
mod queries;
mod records;
mod responses;
mod series;

mod both;
mod mutants;
mod outstanding;

pub use both::{Both, State, open_stage};
pub use kernel::{Action, Kernel, Run};
pub use message::ID;
pub use mutants::Mutants;
pub use outstanding::Outstanding;
pub use row::{
    CLIENT4, CLIENT6, Hook, INTERFACE, OTHER_NAME, Place, Row, SERVER4, SERVER6, Sent, Unsendable, Wired,
    decide, note,
};

/// All rows.
pub fn table() -> Vec<Row> {
    [
        datagrams::rows(),
        headers::rows(),
        queries::rows(),
        records::rows(),
        answers::rows(),
        responses::rows(),
        insertions::rows(),
        policies::rows(),
        series::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
