//! The answer to a question for the server's own name, made from the query alone.

use crate::{
    asked::{self, AskedEdns},
    checksum::Sum,
    clients::{self, ANSWERED, OVER},
    dns::{AA, DnsHdr, MIN_UDP_SIZE, OPTION_FIXED, QR, RD, RECORD_FIXED},
    fence,
    hook::{Answer, Covered},
    identity::{Identity, Question},
    image::{self, Variant},
    ip::{ETH_LEN, Headers, Ip, MACS_LEN, Requestor, TAG_LEN, UDP_LEN},
    maps::{Maps, interface},
    outcome::Outcome,
    pending::{self, Exchange},
    policy::InUse,
};

/// Decides whether a query for the server's own name is answered, and answers it.
#[inline(always)]
pub fn decide<V: Ip, H: Answer>(
    frame: H,
    tags: usize,
    service: u32,
    identity: Identity,
    exchange: Exchange,
) -> Outcome {
    pending::renew(&frame, exchange, identity.nsid(), identity.udp_size());
    let Some(control) = frame.control() else { return Outcome::NotOurs };
    if InUse::of(control).hides() && frame.forget_hidden(tags, V::VERSION, exchange) {
        return Outcome::AnswerClient;
    }
    if control.enabled.get() == 0 {
        return Outcome::AnswerOff;
    }
    if identity.later_version() {
        return Outcome::AnswerVersion;
    }
    let Some(record) = fence::record(&frame, service) else { return Outcome::AnswerLapsed };
    let Some(headers) = frame.view::<Headers<V::Hdr>>(tags) else { return Outcome::NotOurs };
    let Some(interface) = interface(&frame) else { return Outcome::AnswerFrame };
    let Some((destination, source)) = macs(&frame) else { return Outcome::NotOurs };
    let own = interface.mac.get();
    let answerable = destination == own && source != own && source & GROUP == 0 && V::is_intact(headers);
    if !answerable || headers.udp.src == [0, 0] {
        return Outcome::AnswerFrame;
    }
    let client = V::source(headers);
    let says = clients::of::<V, H>(&frame, client);
    if says & ANSWERED == 0 {
        return Outcome::AnswerClient;
    }
    // Never set there: so the verifier, which does not know, need not follow both ways from here on.
    let mut over = says & OVER;
    if InUse::of(control).limits() {
        over = frame.spend(client) & OVER;
    }
    if over != 0 {
        return Outcome::AnswerRate;
    }
    let behind = tags + V::DNS + DnsHdr::LEN + identity.question_len();
    if identity.nsid() && !are_options(&frame, behind) {
        return Outcome::QueryMalformed;
    }
    let index = image::index_of(record, identity.variant());
    let Some((image_len, image_sum)) = frame.image(index).and_then(|image| Some((image.len()?, image.sum())))
    else {
        return Outcome::AnswerLapsed;
    };
    let length = behind + image_len;
    let limit = MIN_UDP_SIZE.max(usize::from(identity.udp_size()));
    if length - tags - V::DNS > limit || (length - tags - ETH_LEN) as u64 > interface.mtu.get() {
        return Outcome::AnswerNoRoom;
    }
    if control.observe.get() != 0 {
        return Outcome::Answered;
    }
    match reply::<V, H>(frame, Reply { tags, identity, length, image_sum, index }) {
        Some(frame) => {
            // The server never sees this query.
            pending::forget(&frame, exchange);
            Outcome::Answered
        }
        None => Outcome::AnswerNoRoom,
    }
}

// The image of an answer is told by arithmetic.
const _: () = {
    const fn of(dnssec_ok: bool, nsid: bool) -> u32 {
        let edns = AskedEdns { udp_size: 0, later_version: false, dnssec_ok, nsid };
        Identity::new(Question::IdServer, 0, Some(edns)).variant()
    }
    assert!(Identity::new(Question::HostnameBind, 0, None).variant() == Variant::Txt as u32);
    assert!(of(false, false) == Variant::TxtOpt as u32);
    assert!(of(true, false) == Variant::TxtOptDo as u32);
    assert!(of(false, true) == Variant::TxtNsid as u32);
    assert!(of(true, true) == Variant::TxtNsidDo as u32);
};

/// Whether OPT, which stands at `opt` and ends the message, holds options to its end. Up to its first NSID it does;
/// behind a second one is not looked, and the server has the query.
#[inline(always)]
fn are_options<H: Answer>(frame: &H, opt: usize) -> bool {
    let rdata = opt + 1 + RECORD_FIXED;
    let options = || {
        let rdlength: [u8; 2] = frame.load(rdata - 2)?;
        let end = rdata + u16::from_be_bytes(rdlength) as usize;
        let nsid = asked::first_nsid(frame, rdata, end)?;
        let length: [u8; 2] = frame.load(nsid + 2)?;
        let behind = nsid + OPTION_FIXED + u16::from_be_bytes(length) as usize;
        let next = if behind == end { end } else { frame.find_nsid(behind, end)? };
        Some(next == end)
    };
    options().unwrap_or(false)
}

/// The bit of an Ethernet address that is set in those of groups, in a little-endian word (IEEE 802.3 3.2.3).
const GROUP: u64 = 1;

/// Destination and source of a frame, as the low 48 bits of little-endian words.
#[inline(always)]
fn macs<H: Answer>(frame: &H) -> Option<(u64, u64)> {
    let (destination, source): ([u8; 8], [u8; 8]) = (frame.load(0)?, frame.load(4)?);
    Some((u64::from_le_bytes(destination) << 16 >> 16, u64::from_le_bytes(source) >> 16))
}

/// Whether a frame of that outcome goes back where it came from: it is the answer now, unless it was only observed.
#[inline(always)]
pub fn sent_back<M: Maps>(maps: &M, outcome: Outcome) -> bool {
    outcome == Outcome::Answered && maps.control().is_some_and(|control| control.observe.get() == 0)
}

/// What of the answer is not in the query.
#[derive(Clone, Copy)]
struct Reply {
    tags: usize,
    identity: Identity,
    length: usize,
    image_sum: u16,
    index: u32,
}

/// Makes the query its answer. `None`: there is no room for it, and nothing has changed.
///
/// What the answer repeats is taken from the query before the frame is remade.
#[inline(always)]
fn reply<V: Ip, H: Answer>(frame: H, reply: Reply) -> Option<H> {
    let Reply { tags, identity, length, image_sum, index } = reply;
    let at = tags + V::DNS + DnsHdr::LEN;
    let [first, middle, last] = identity.question_parts().map(|part| at + part);
    let (destination, source) = macs(&frame)?;
    let vlan: [u8; 2 * TAG_LEN] = frame.load(MACS_LEN)?;
    let parts: [[u8; 8]; 3] = [frame.load(first)?, frame.load(middle)?, frame.load(last)?];
    let headers = frame.view::<Headers<V::Hdr>>(tags)?;
    let addresses = V::words(headers, Requestor::Source);
    let (requestor, server, id) = (headers.udp.src, headers.udp.dst, headers.dns.id);
    let flags = [headers.dns.flags[0] & RD | QR | AA, 0];
    let udp = tags + V::DNS - UDP_LEN;
    let before = frame.covered(udp)?;

    let mut frame = frame.remake(length)?;
    // Nothing below fails: the frame is as long as what is written.
    frame.store(0, (source | destination << 48).to_le_bytes())?;
    frame.store(8, ((destination >> 16) as u32).to_le_bytes())?;
    // Where there are less tags, the headers overwrite what was read for them.
    frame.store(MACS_LEN, vlan)?;
    let udp_len = ((length - tags - V::DNS + UDP_LEN) as u16).to_be_bytes();
    let headers = frame.view_mut::<Headers<V::Hdr>>(tags)?;
    let covered = V::to_requestor(headers, addresses, u16::from_be_bytes(udp_len));
    let (one, arcount) = ([0, 1], [0, identity.opts()]);
    headers.udp.src = server;
    headers.udp.dst = requestor;
    headers.udp.len = udp_len;
    let message = Sum::default()
        .word(id)
        .word(flags)
        .word(one)
        .word(one)
        .word(arcount)
        .plus(identity.sum())
        .plus(image_sum)
        .fold();
    let check = covered.word(server).word(requestor).word(udp_len).plus(message).udp_checksum();
    headers.udp.check = if before.check == [0, 0] { check } else { before.check };
    headers.dns = DnsHdr { id, flags, qdcount: one, ancount: one, nscount: [0, 0], arcount };
    frame.store(first, parts[0])?;
    frame.store(middle, parts[1])?;
    frame.store(last, parts[2])?;
    frame.write_image(at + identity.question_len(), index)?;
    if before.check != [0, 0] {
        frame.mend_answer(udp, before, Covered { check, len: udp_len, message })?;
    }
    Some(frame)
}
