//! Any bytes: as a message that is walked, and as a frame at both hooks. No panic, and what must hold of any frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nsid_common::{
    asked::{Asked, asked},
    dns::{self, Compression, Edns, Message, Stop, walk},
    hook::Edit as _,
    identity::identity,
    ip::{ETH_LEN, tags},
    model::{Model, checksums_hold},
    outcome::Outcome,
};
use nsid_fuzz::{frame::Input, host::on_a_host};
use nsid_packets::{ID, OTHER_NAME, decide, note};
use nsid_user::datapath::Prog;

fuzz_target!(|bytes: &[u8]| {
    on_a_host(|model| {
        message(model, bytes);
        if let Some(input) = Input::read(bytes) {
            frame(model, &input);
        }
    });
});

/// From where two bytes say, to where two say, or to the end.
fn message(model: &Model, bytes: &[u8]) {
    let Some((&[start, end], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let (start, end) = (usize::from(start), bytes.len().saturating_sub(end.into()));
    let mut bytes = bytes.to_vec();
    let frame = model.frame(&mut bytes);
    match walk(&frame, start, end) {
        None | Some(Message::Signed | Message::Plain) => {}
        Some(found @ Message::Edns(Edns { rdata, nsid, last })) => {
            assert_eq!(Message::unpack(found.pack()), found);
            assert!((start + dns::DnsHdr::LEN..=end).contains(&rdata));
            assert!(nsid.is_none_or(|nsid| (rdata..end).contains(&nsid)));
            if let (Some(first), true) = (nsid, last)
                && let Some(own) = frame.own_nsid(first, end)
            {
                assert!((dns::OPTION_FIXED..=end - first).contains(&own));
            }
        }
    }
    if let Some(found @ Asked { .. }) = asked(&frame, start, end) {
        assert_eq!(Asked::unpack(found.pack()), found);
    }
    if let Some(found) = identity(&frame, start, end) {
        assert_eq!(asked(&frame, start, end), Some(Asked { edns: found.edns(), signed: false }));
    }
    for compression in [Compression::Allowed, Compression::Forbidden] {
        if let Some(behind) = dns::skip_name(&frame, start, compression) {
            assert!((1..=dns::MAX_NAME).contains(&(behind - start)));
        }
    }
    if let Some(stop) = dns::skip_records(&frame, start, end % (dns::MAX_RECORDS + 1)) {
        assert_eq!(Stop::unpack(stop.pack()), stop);
    }
    if let Some(nsid) = dns::find_nsid(&frame, start, end.max(start)) {
        assert!((start..=end.max(start)).contains(&nsid));
    }
}

fn frame(model: &mut Model, input: &Input<'_>) {
    let Input { prog, state, noted, frame } = *input;
    state.set(model);
    let note_query = |model: &Model| {
        if let Some(udp_size) = noted {
            note(model, ID.to_be_bytes(), udp_size);
        }
    };
    note_query(model);
    let mut left = frame.to_vec();
    let outcome = decide(prog, model, &mut left);
    let edits = matches!(outcome, Outcome::Answered | Outcome::Inserted | Outcome::Replaced);
    if !edits || state.observe {
        assert_eq!(left, frame, "{outcome:?}");
        return;
    }
    // The other service's name never lapses.
    let others = || left.windows(OTHER_NAME.len()).any(|bytes| bytes == OTHER_NAME);
    assert!(state.enabled && (!state.lapsed || others()), "{outcome:?}");
    let ip = ETH_LEN + tags(&model.frame(&mut left)).unwrap_or_default();
    assert!(left.len() as u64 <= ip as u64 + state.mtu, "{outcome:?}");
    let udp = ip + if left[ip] >> 4 == 4 { 20 } else { 40 };
    if outcome == Outcome::Answered {
        // At tc it is mended, and stays as wrong as the query's was; at XDP it is made anew.
        assert!(checksums_hold(&left, udp) || (prog == Prog::Queries && !checksums_hold(frame, udp)));
        return;
    }
    assert_eq!(checksums_hold(frame, udp), checksums_hold(&left, udp), "{outcome:?}");
    note_query(model);
    let mut again = left.clone();
    // The name may stand behind more options than are looked through; kept, it is the server's own.
    let outcome = decide(prog, model, &mut again);
    let twice = matches!(outcome, Outcome::Replaced | Outcome::ResponseMalformed);
    assert!(twice || state.keep_own, "{outcome:?}");
    assert_eq!(again, left);
}
