//! What is asked of etcd about a pool: transactions, each of which can be sent again.

use std::collections::BTreeMap;

use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp};

use super::answers::Held;
use super::dealing::{Deal, PARTS};
use super::departures::Departure;
use super::keys::Keys;
use super::order::LastTaken;
use super::record::{LONG_AGO, SlotRecord, TicketRecord, Whole, whole_json};
use super::ticket::{LeaseId, Move};
use crate::store::{Holder, Incarnation, NodeId, Nonce};

/// What is put beside a slot that is taken.
#[derive(Default)]
pub(super) struct Beside {
    /// When the pool was found whole.
    pub(super) whole: Option<Whole>,
    /// From which revision departures were counted, and that of the last, the slot's holder.
    pub(super) after: Option<(i64, i64)>,
}

impl Keys {
    /// Takes a ticket, if the pool is what this claimant takes it for; or reads the one that is there already, of an earlier
    /// claim or of an arrival whose answer was lost. If there is no pool, makes one, and takes no ticket yet: that is asked for
    /// again. A crowd whose first request is carried out first so finds one, and what all of them send says once how to
    /// arrive.
    ///
    /// It reads what is agreed on in all pools of the prefix, which are few.
    pub(super) fn arrive(&self, who: &Holder, lease: LeaseId) -> Txn {
        let (agreement, ticket) = (self.agreement_key(), self.ticket(who.nonce));
        let agreed = || Compare::value(agreement.as_str(), CompareOp::Equal, self.agreement.to_json());
        let all_agreements = || TxnOp::get(self.agreements(), Some(GetOptions::new().with_prefix()));
        let arrive = [
            TxnOp::put(self.arrivals(), who.nonce.to_string(), Some(PutOptions::new().with_prev_key())),
            self.put_ticket(who.nonce, &TicketRecord::of_arrival(who), lease),
            TxnOp::get(self.takes(), Some(GetOptions::new().with_keys_only())),
            TxnOp::get(self.whole(), None),
            TxnOp::get(self.somebody_left(), None),
            all_agreements(),
        ];
        let make = Txn::new()
            .when([Compare::create_revision(agreement.as_str(), CompareOp::Equal, 0)])
            .and_then([
                TxnOp::put(agreement.as_str(), self.agreement.to_json(), None),
                // From this revision on, after which the first arrives.
                TxnOp::put(self.whole(), whole_json(None), None),
            ])
            .or_else([all_agreements()]);
        let again = Txn::new()
            .when([agreed()])
            .and_then([
                TxnOp::get(ticket.as_str(), None),
                TxnOp::get(self.somebody_left(), None),
                all_agreements(),
            ])
            .or_else([TxnOp::txn(make)]);
        Txn::new()
            .when([agreed(), Compare::create_revision(ticket.as_str(), CompareOp::Equal, 0)])
            .and_then(arrive)
            .or_else([TxnOp::txn(again)])
    }

    /// Counts who has come, who is still there, and who has taken a slot; and who had come at that revision.
    pub(super) fn count(&self, then: Option<i64>) -> Txn {
        let keys = || GetOptions::new().with_keys_only();
        let tickets = GetOptions::new().with_prefix().with_count_only();
        let now = [
            TxnOp::get(self.arrivals(), Some(keys())),
            TxnOp::get(self.tickets(), Some(tickets)),
            TxnOp::get(self.takes(), Some(keys())),
        ];
        let then = then.map(|then| TxnOp::get(self.arrivals(), Some(keys().with_revision(then))));
        Txn::new().and_then(now.into_iter().chain(then).collect::<Vec<_>>())
    }

    /// Takes a slot, if it stands as it was seen, and has the ticket put so; or reads it.
    pub(super) fn take(&self, slot: u32, who: &SlotRecord, last: Option<LastTaken>, ticket: Move) -> Txn {
        let Some(LastTaken { revision, gone }) = last else {
            return self.take_first(slot, who, None, ticket);
        };
        let unchanged = Compare::mod_revision(self.slot(slot), CompareOp::Equal, revision);
        let gone = gone.map(|nonce| Compare::create_revision(self.ticket(nonce), CompareOp::Equal, 0));
        self.put(slot, who, gone.into_iter().chain([unchanged]), ticket, Beside::default())
    }

    /// Takes a slot that nobody has taken yet, and says when the pool was found whole; or reads the slot.
    pub(super) fn take_first(&self, slot: u32, who: &SlotRecord, whole: Option<Whole>, ticket: Move) -> Txn {
        let nobodys = Compare::create_revision(self.slot(slot), CompareOp::Equal, 0);
        self.put(slot, who, [nobodys], ticket, Beside { whole, ..Beside::default() })
    }

    /// Takes the slot of who departed then, if nobody has since. Until then, nobody could have.
    pub(super) fn take_left(
        &self,
        slot: u32,
        who: &SlotRecord,
        Departure { nonce, revision, since }: Departure,
        ticket: Move,
    ) -> Txn {
        let key = self.slot(slot);
        let when = [
            Compare::create_revision(key.as_str(), CompareOp::Greater, 0),
            // In the same revision it was given back, if it was.
            Compare::mod_revision(key, CompareOp::Less, revision + 1),
            Compare::create_revision(self.ticket(nonce), CompareOp::Equal, 0),
        ];
        self.put(slot, who, when, ticket, Beside { after: Some((since, revision)), ..Beside::default() })
    }

    /// Takes a slot again that this claimant took at that revision; or reads it.
    pub(super) fn keep(&self, slot: u32, revision: i64, who: &SlotRecord, ticket: Move) -> Txn {
        let unchanged = Compare::mod_revision(self.slot(slot), CompareOp::Equal, revision);
        self.put(slot, who, [unchanged], ticket, Beside::default())
    }

    /// Takes a slot again that this claimant has held so, and that nobody has taken since; or reads it.
    pub(super) fn keep_held(&self, held: &Held, who: &SlotRecord, ticket: Move) -> Txn {
        self.put(held.slot, who, self.is_as_held(held, who.holder.nonce), ticket, Beside::default())
    }

    /// Puts a slot and the claimant's ticket, if all that holds; or reads the slot.
    pub(super) fn put(
        &self,
        slot: u32,
        who: &SlotRecord,
        when: impl IntoIterator<Item = Compare>,
        ticket: Move,
        Beside { whole, after }: Beside,
    ) -> Txn {
        let Holder { nonce, node, .. } = &who.holder;
        let puts = [
            TxnOp::put(self.slot(slot), who.to_json(), Some(PutOptions::new().with_prev_key())),
            self.put_ticket(*nonce, &TicketRecord::of_slot(node, slot, after), ticket.to),
            self.count_take(*nonce),
        ];
        let whole = whole.map(|whole| TxnOp::put(self.whole(), whole_json(Some(whole)), None));
        Txn::new()
            .when(when.into_iter().chain([self.is_with(*nonce, ticket.from)]).collect::<Vec<_>>())
            .and_then(puts.into_iter().chain(whole).collect::<Vec<_>>())
            .or_else([TxnOp::get(self.slot(slot), None)])
    }

    fn put_ticket(&self, nonce: Nonce, ticket: &TicketRecord, lease: LeaseId) -> TxnOp {
        TxnOp::put(self.ticket(nonce), ticket.to_json(), Some(PutOptions::new().with_lease(lease)))
    }

    fn count_take(&self, nonce: Nonce) -> TxnOp {
        TxnOp::put(self.takes(), nonce.to_string(), None)
    }

    fn is_with(&self, nonce: Nonce, lease: LeaseId) -> Compare {
        Compare::lease(self.ticket(nonce), CompareOp::Equal, lease)
    }

    /// Gives a slot back, and the ticket with it, if the slot is still the claimant's. From then on, somebody has left.
    pub(super) fn release(&self, held: &Held) -> Option<Txn> {
        let record = SlotRecord::read(&held.record)?;
        let leave = [
            TxnOp::put(self.slot(held.slot), record.given_back().to_json(), None),
            TxnOp::delete(self.ticket(record.holder.nonce), None),
            TxnOp::txn(self.end_arrivals()),
        ];
        let release = Txn::new().when(self.is_as_held(held, record.holder.nonce)).and_then(leave.clone());
        if held.is_put() {
            return Some(release);
        }
        // A request to put the record was not answered.
        let is_put = Compare::value(self.slot(held.slot), CompareOp::Equal, held.record.clone());
        Some(release.or_else([TxnOp::txn(Txn::new().when([is_put]).and_then(leave))]))
    }

    /// Has the claimant's ticket put so, and the slot's record if it is not yet, if the slot is still the claimant's; or reads
    /// both.
    pub(super) fn live_on(&self, held: &Held, who: &Incarnation, ticket: Move) -> Txn {
        let put_ticket =
            self.put_ticket(who.nonce, &TicketRecord::of_slot(&who.node, held.slot, None), ticket.to);
        let put_record =
            || [TxnOp::put(self.slot(held.slot), held.record.clone(), None), self.count_take(who.nonce)];
        let put_record = (!held.is_put()).then(put_record).into_iter().flatten();
        let [as_held, still] = self.is_as_held(held, who.nonce);
        Txn::new()
            .when([as_held, still, self.is_with(who.nonce, ticket.from)])
            .and_then([put_ticket].into_iter().chain(put_record).collect::<Vec<_>>())
            .or_else(self.find_ops(held.slot, who.nonce))
    }

    /// Has the ticket of who is in line put so, and that done with it; or reads it.
    pub(super) fn stay(&self, nonce: Nonce, node: &NodeId, ticket: Move, also: Option<Txn>) -> Txn {
        let put_ticket = self.put_ticket(nonce, &TicketRecord::in_line(node), ticket.to);
        Txn::new()
            .when([self.is_with(nonce, ticket.from)])
            .and_then([put_ticket].into_iter().chain(also.map(TxnOp::txn)).collect::<Vec<_>>())
            .or_else([TxnOp::get(self.ticket(nonce), None)])
    }

    /// Reads a claimant's ticket.
    pub(super) fn find_ticket(&self, nonce: Nonce) -> Txn {
        Txn::new().and_then([TxnOp::get(self.ticket(nonce), None)])
    }

    /// Reads a slot.
    pub(super) fn find_slot(&self, slot: u32) -> Txn {
        Txn::new().and_then([TxnOp::get(self.slot(slot), None)])
    }

    /// Reads who had arrived last at that revision.
    pub(super) fn arrivals_at(&self, revision: i64) -> Txn {
        Txn::new().and_then([TxnOp::get(self.arrivals(), Some(GetOptions::new().with_revision(revision)))])
    }

    /// Reads the ticket of who departed then, as it was last.
    pub(super) fn last_ticket(&self, Departure { nonce, revision, .. }: Departure) -> Txn {
        let before = GetOptions::new().with_revision(revision - 1);
        Txn::new().and_then([TxnOp::get(self.ticket(nonce), Some(before))])
    }

    fn is_as_held(&self, held: &Held, nonce: Nonce) -> [Compare; 2] {
        let key = self.slot(held.slot);
        if !held.is_put() {
            return [
                Compare::create_revision(key, CompareOp::Equal, 0),
                Compare::create_revision(self.ticket(nonce), CompareOp::Equal, held.revision),
            ];
        }
        [
            Compare::mod_revision(key.as_str(), CompareOp::Equal, held.revision),
            // An etcd that was restored from a snapshot counts revisions again that it had counted already.
            Compare::value(key, CompareOp::Equal, held.record.clone()),
        ]
    }

    /// Reads a slot and the claimant's ticket at one revision.
    pub(super) fn find(&self, slot: u32, nonce: Nonce) -> Txn {
        Txn::new().and_then(self.find_ops(slot, nonce))
    }

    fn find_ops(&self, slot: u32, nonce: Nonce) -> [TxnOp; 2] {
        [TxnOp::get(self.slot(slot), None), TxnOp::get(self.ticket(nonce), None)]
    }

    /// Reads the pool at one revision.
    pub(super) fn look(&self) -> Txn {
        let all = || Some(GetOptions::new().with_prefix());
        Txn::new().and_then([
            TxnOp::get(self.tickets(), all()),
            TxnOp::get(self.slots(), all()),
            TxnOp::get(self.agreement_key(), None),
            TxnOp::get(self.somebody_left(), None),
            TxnOp::get(self.arrivals(), Some(GetOptions::new().with_keys_only())),
        ])
    }

    /// Reads what that claimant was dealt, if it was at that revision or later, and who deals.
    pub(super) fn find_deal(&self, nonce: Nonce, since: i64) -> Txn {
        let dealt = GetOptions::new().with_min_mod_revision(since);
        Txn::new().and_then([
            TxnOp::get(self.dealt(nonce.spread(PARTS)), Some(dealt)),
            TxnOp::get(self.dealer(), None),
        ])
    }

    /// Makes that claimant the dealer, if there is none, and it was not dealt anything at that revision or later.
    pub(super) fn become_dealer(&self, nonce: Nonce, since: i64, lease: LeaseId) -> Txn {
        let before = Compare::mod_revision(self.dealt(nonce.spread(PARTS)), CompareOp::Less, since);
        let nobody = Compare::create_revision(self.dealer(), CompareOp::Equal, 0);
        let put = TxnOp::put(self.dealer(), nonce.to_string(), Some(PutOptions::new().with_lease(lease)));
        Txn::new().when([before, nobody]).and_then([put])
    }

    /// Deals, if that claimant is the dealer; which it is no more then, unless it goes on.
    pub(super) fn deal(&self, nonce: Nonce, parts: &BTreeMap<usize, Deal>, goes_on: bool) -> Txn {
        let is_dealer = Compare::value(self.dealer(), CompareOp::Equal, nonce.to_string());
        let deal = parts.iter().map(|(part, deal)| TxnOp::put(self.dealt(*part), deal.to_json(), None));
        // Who waits for the deal is told so by that.
        let told = if goes_on {
            let put = PutOptions::new().with_ignore_value().with_ignore_lease();
            TxnOp::put(self.dealer(), "", Some(put))
        } else {
            TxnOp::delete(self.dealer(), None)
        };
        Txn::new().when([is_dealer]).and_then(deal.chain([told]).collect::<Vec<_>>())
    }

    /// Has who became the dealer at that revision be it no more.
    pub(super) fn dismiss(&self, dealer: i64) -> Txn {
        let is_dealer = Compare::create_revision(self.dealer(), CompareOp::Equal, dealer);
        Txn::new().when([is_dealer]).and_then([TxnOp::delete(self.dealer(), None)])
    }

    /// Has nobody come to have a slot by its arrival from then on.
    pub(super) fn end_arrivals(&self) -> Txn {
        let left = self.somebody_left();
        Txn::new()
            .when([Compare::create_revision(left.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(left, "", None)])
    }

    /// Says that nobody has one any more who came to have it so before that.
    pub(super) fn put_long_ago(&self) -> Txn {
        let left = self.somebody_left();
        Txn::new()
            .when([
                Compare::create_revision(left.as_str(), CompareOp::Greater, 0),
                // All of a crowd say so.
                Compare::value(left.as_str(), CompareOp::NotEqual, LONG_AGO),
            ])
            .and_then([TxnOp::put(left, LONG_AGO, None)])
    }
}
