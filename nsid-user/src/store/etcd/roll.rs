//! Who has which slot, for people.

use etcd_client::{TxnOpResponse, TxnResponse};

use super::keys::Keys;
use crate::store::{Entry, Roll};

impl Keys {
    /// The pool as [`look`](Keys::look) found it.
    pub(super) fn roll(&self, answer: &TxnResponse) -> Option<Roll> {
        let view = self.view(answer)?;
        let mut holders: Vec<_> = view
            .holders()
            .map(|(record, holder)| Entry {
                slot: record.slot,
                token: record.revision.unsigned_abs(),
                holder: holder.clone(),
            })
            .collect();
        holders.sort_by_key(|entry| entry.slot);
        holders.retain(|entry| entry.slot < self.limit());
        let [_, _, TxnOpResponse::Get(agreement)] = &answer.op_responses()[..] else { return None };
        let agreement = agreement.kvs().first().and_then(|kv| serde_json::from_slice(kv.value()).ok());
        Some(Roll { waiting: view.tickets.len().saturating_sub(holders.len()), holders, agreement })
    }
}
