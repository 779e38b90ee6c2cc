//! Any frame in any state: the programs in the kernel (`BPF_PROG_TEST_RUN`) do what the same code does on a model, to the
//! byte. As root.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use nsid_fuzz::frame::Input;
use nsid_packets::Both;

thread_local!(static BOTH: RefCell<Both> = RefCell::new(Both::load()));

fuzz_target!(|bytes: &[u8]| {
    let Some(Input { prog, state, noted, frame }) = Input::read(bytes) else { return };
    BOTH.with_borrow_mut(|both| {
        if state != both.state() {
            both.change(state);
        }
        if let Some(udp_size) = noted {
            both.note(udp_size);
        }
        both.run(prog, frame).unwrap_or_else(|differs| panic!("{differs}"));
        both.forget();
    });
});
