//! Names with no store at all: claimants propose, a majority of witnesses disposes.
//!
//! Some nodes of the cluster, 1, 3 or 5, are [witnesses](witness), in memory alone. A witness [grants](pool) slots for a time,
//! and says who is next in line; a [claimant](claimant) has a slot once a majority has granted it, for as long as that lasts
//! from when it asked. What is here is told the time and given messages, and says what to send: no sockets, no clock, no
//! chance. So the model and the simulator run what is shipped.
//!
//! # Why no two have a slot
//!
//! Let claimant C rely on a slot at some moment. It then has the grants of a majority, for requests that it sent less than
//! 98 % of the lease T before, by its clock ([`Rules::relied_on`]). Each of these witnesses had the request later than it
//! was sent, and keeps the slot for C for 102 % of T and a quarter of a second from then, by its own clock
//! ([`Rules::kept`]). Clocks that are off by 1 % each differ by less than 2.1 %: so each of them keeps the slot still. Any
//! other claimant needs a majority as well, and two majorities have a witness in common, which grants a slot to one.
//!
//! What could make that witness forget:
//!
//! 1. *A restart.* It grants nothing for as long as it may have kept a slot before ([`standing`]), and so
//!    the last lease that C can count by its earlier incarnation is over when it begins to.
//! 2. *A request of C's own that comes late.* Giving a slot back, or trying to take another one, takes C's lease away.
//!    Requests are numbered, and an earlier one changes nothing where a later one was before. A witness that no longer
//!    knows C's number has not heard of it for as long as a request counts that was made with the witness's time in it; and
//!    one that was made for an earlier incarnation never counts.
//! 3. *Another process under C's nonce*, after a crash, while C's name is still being said. It tries nothing but what C had,
//!    as long as that may last, unless a majority says that it is another's: a majority of those that it asks has one in it
//!    that C relies on. Its tokens are greater, and the witness takes orders for what has the greater token from that process alone.
//! 4. *Another list of witnesses*: [`standing`].
//!
//! # Tokens
//!
//! A claimant asks a majority for the greatest token that they know of, and takes a greater one; a slot that is granted by
//! a majority has its token known by it. So a token is greater than those of all grants that were made when its claim
//! began: the two majorities have a witness in common. And in one slot it is greater than all before, since a witness
//! grants none that is not greater than those that it granted there. A witness that was restarted begins with the
//! wall clock, in microseconds, which is ahead of all that can have been given out unless it was set back.
//!
//! # Order
//!
//! All claimants talk to all witnesses anyway, so these know who is there; no gossip among the claimants is needed for
//! the i-th oldest to be given the i-th free slot ([`line`]). Each follows the same witness while that answers, so that a
//! thousand that start together try a thousand slots. Of two that meet at a slot all the same, the younger yields.
//!
//! **Invariant:** neither tokio nor a clock nor a random number is known here.

mod claimant;
mod line;
mod link;
mod list;
mod message;
mod pool;
mod rules;
mod slots;
mod standing;
mod state;
mod time;
mod witness;

#[cfg(test)]
mod model;
#[cfg(test)]
mod simulator;

pub use claimant::{Claim, Claimant};
pub use link::Counted;
pub use list::{List, ListError, TooMany};
pub use message::{
    Ask, Call, DecodeError, Echo, Entry, Epoch, Id, MAX_BYTES, MAX_HOST, Message, Number, Order, Outgoing,
    Page, Place, Reply, Request, Verdict, Who, Wish,
};
pub use rules::{RENEWALS, Rules};
pub use standing::{Record, Speech};
pub use state::{End, Hold, Problem, State, Waits};
pub use time::Time;
pub use witness::{Beginning, Terms, Witness};
