//! Who has which slot, for people.

use etcd_client::{KeyValue, TxnOpResponse, TxnResponse};

use super::keys::Keys;
use super::record::TicketRecord;
use crate::store::{Entry, Roll};

impl Keys {
    /// The pool as [`look`](Keys::look) found it.
    pub(super) fn roll(&self, answer: &TxnResponse) -> Option<Roll> {
        use TxnOpResponse::Get;
        let view = self.view(answer)?;
        let [Get(tickets), _, Get(agreement), _, Get(arrivals)] = &answer.op_responses()[..] else {
            return None;
        };
        let recorded = view.holders().map(|(record, holder)| Entry {
            slot: record.slot,
            token: record.token.unsigned_abs(),
            holder: holder.clone(),
        });
        let came = arrivals.kvs().first().map_or(0, KeyValue::version);
        let nobody_left = !view.somebody_left && usize::try_from(came) == Ok(view.tickets.len());
        let by_arrival = if nobody_left { self.by_arrival(tickets.kvs()) } else { Vec::new() };
        let mut holders: Vec<_> = recorded.chain(by_arrival).collect();
        holders.sort_by_key(|entry| entry.slot);
        holders.retain(|entry| entry.slot < self.limit());
        let agreement = agreement.kvs().first().and_then(|kv| serde_json::from_slice(kv.value()).ok());
        Some(Roll { waiting: view.tickets.len().saturating_sub(holders.len()), holders, agreement })
    }

    /// Who has a slot by its arrival, and has put no record yet, if these are the tickets of all who ever came.
    fn by_arrival(&self, tickets: &[KeyValue]) -> Vec<Entry> {
        let mut tickets: Vec<_> =
            tickets.iter().filter(|ticket| self.nonce_of(ticket.key()).is_some()).collect();
        tickets.sort_by_key(|ticket| ticket.create_revision());
        let entry = |(slot, ticket): (u32, &KeyValue)| {
            let holder = TicketRecord::read(ticket.value())?.unsettled?;
            Some(Entry { slot, token: ticket.create_revision().unsigned_abs(), holder })
        };
        (0..).zip(tickets).filter_map(entry).collect()
    }
}
