//! The model of a host that a target runs on: made once, since that takes longer than most inputs.

use std::cell::RefCell;

use nsid_common::model::Model;
use nsid_packets::open_stage;

thread_local!(static MODEL: RefCell<Model> = RefCell::new(open_stage()));

/// Runs an input on the one of this thread, on which no query is noted.
pub fn on_a_host(input: impl FnOnce(&mut Model)) {
    MODEL.with_borrow_mut(|model| {
        for set in model.sets_used() {
            for note in &model.pending[set as usize].0 {
                note.set(0);
            }
        }
        input(model);
    });
}
