//! The server's name in a response: planned first, then written.
//!
//! The new NSID option stands last in OPT, and OPT is the last record. Options of that code that the server itself
//! put there are taken out:
//!
//! ```text
//!  ... OPT | option | NSID | option |            as the server sent it
//!          rdata    at     behind   end
//!  ... OPT | option | option | NSID |            as it leaves
//!          rdata    at       end - removed
//! ```

use crate::{
    checksum::{MAX_SUM, Sum, at_offset},
    dns::{self, Edns, Message, OPTION_FIXED},
    hook::Edit,
    image::{self, Variant},
    ip::{ETH_LEN, Headers, Ip, UDP_LEN, V4, V6},
    maps::interface,
    memory::{MAX_MOVE, MAX_OFFSET},
    outcome::Outcome,
    policy,
};

/// NSID options of the server's own that are taken out of one OPT.
pub(crate) const MAX_OWN: usize = 4;

/// What will be written; all of it is known before the first byte is.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Bytes of VLAN tags.
    tags: usize,
    /// Of IP.
    version: usize,
    /// Bytes of the frame now.
    end: usize,
    /// Offset of OPT's RDATA.
    rdata: usize,
    /// Offset of the server's first NSID; `end`, if there is none.
    at: usize,
    /// Bytes of the server's NSID options.
    removed: usize,
    /// The folded sum of all from `at` to `end`.
    old_sum: u16,
    /// Bytes of the frame as it will be.
    length: usize,
    /// Index of the option's image, and its sum.
    image: u32,
    image_sum: u16,
}

/// Whether and how the name goes into a response.
#[inline(always)]
pub(crate) fn plan<H: Edit>(
    frame: &H,
    tags: usize,
    version: usize,
    record: u32,
    udp_size: u16,
) -> Result<Plan, Outcome> {
    let udp_len = match version {
        4 => datagram::<V4, H>(frame, tags),
        _ => datagram::<V6, H>(frame, tags),
    };
    let udp_len = udp_len.ok_or(Outcome::ResponseMalformed)?;
    let dns = tags + dns_offset(version);
    let end = dns - UDP_LEN + udp_len;
    // What is behind the datagram would have to move.
    if end != frame.length() {
        return Err(Outcome::ResponseMalformed);
    }
    let Opt { rdata, at, removed, old_sum } = Opt::unpack(frame.opt(dns, end))?;
    let image = image::index(record, Variant::Option);
    let (image_len, image_sum) = frame
        .image(image)
        .and_then(|image| Some((image.len()?, image.sum())))
        .ok_or(Outcome::ResponseLapsed)?;
    let length = end - removed + image_len;
    if length > MAX_OFFSET {
        return Err(Outcome::ResponseTooLarge);
    }
    let mtu = interface(frame).ok_or(Outcome::ResponseNoRoom)?.mtu.get();
    let policy = policy::in_use(frame).ok_or(Outcome::ResponseLapsed)?;
    if length - dns > policy::message_limit(policy, udp_size) || (length - tags - ETH_LEN) as u64 > mtu {
        return Err(Outcome::ResponseNoRoom);
    }
    Ok(Plan { tags, version, end, rdata, at, removed, old_sum, length, image, image_sum })
}

/// Offset of the DNS message in a frame without tags.
#[inline(always)]
const fn dns_offset(version: usize) -> usize {
    if version == V4::VERSION { V4::DNS } else { V6::DNS }
}

/// The length of the datagram behind `tags` bytes of VLAN tags.
#[inline(always)]
fn datagram<V: Ip, H: Edit>(frame: &H, tags: usize) -> Option<usize> {
    let available = frame.length().saturating_sub(tags + ETH_LEN);
    V::datagram(frame.view::<Headers<V::Hdr>>(tags)?, available)
}

#[inline(always)]
fn set_length<V: Ip, H: Edit>(frame: &mut H, tags: usize, udp_len: u16) -> Option<()> {
    let headers = frame.view_mut::<Headers<V::Hdr>>(tags)?;
    V::set_length(headers, udp_len);
    headers.udp.len = udp_len.to_be_bytes();
    Some(())
}

/// OPT of a response, and what it has of NSID.
#[derive(Clone, Copy)]
struct Opt {
    rdata: usize,
    at: usize,
    removed: usize,
    old_sum: u16,
}

impl Opt {
    const NONE: u64 = 1 << 63;

    #[inline(always)]
    const fn pack(self) -> u64 {
        let Self { rdata, at, removed, old_sum } = self;
        old_sum as u64 | (rdata as u64) << 16 | (at as u64) << 28 | (removed as u64) << 40
    }

    #[inline(always)]
    const fn unpack(word: u64) -> Result<Self, Outcome> {
        if word & Self::NONE != 0 {
            return Err(Outcome::from_code(word & 0xff));
        }
        Ok(Self {
            rdata: (word >> 16) as usize & 0xfff,
            at: (word >> 28) as usize & 0xfff,
            removed: (word >> 40) as usize & 0xfff,
            old_sum: word as u16,
        })
    }
}

// Offsets fit in the fields.
const _: () = assert!(MAX_OFFSET < 1 << 12 && Outcome::ALL.len() < 0x100);

/// OPT of the response in `start..end`, or the outcome that there is instead, as one word: a subprogram of its own, since
/// it is the same for both versions of IP.
#[inline(always)]
pub fn opt<H: Edit>(frame: &H, start: usize, end: usize) -> u64 {
    match find_opt(frame, start, end) {
        Ok(opt) => opt.pack(),
        Err(outcome) => Opt::NONE | outcome as u64,
    }
}

#[inline(always)]
fn find_opt<H: Edit>(frame: &H, start: usize, end: usize) -> Result<Opt, Outcome> {
    let (rdata, nsid) = match dns::walk(frame, start, end).ok_or(Outcome::ResponseMalformed)? {
        Message::Signed => return Err(Outcome::ResponseSigned),
        Message::Plain => return Err(Outcome::ResponseNoOpt),
        Message::Edns(Edns { last: false, .. }) => return Err(Outcome::ResponseOptNotLast),
        Message::Edns(Edns { rdata, nsid, .. }) => (rdata, nsid),
    };
    let policy = policy::in_use(frame).ok_or(Outcome::ResponseLapsed)?;
    let at = nsid.unwrap_or(end);
    let (mut removed, mut old_sum) = (0, 0);
    if at != end {
        if policy::keeps_own(frame, policy, at, end) {
            return Err(Outcome::ResponseKept);
        }
        if end - at > MAX_SUM || end - at > MAX_MOVE {
            return Err(Outcome::ResponseTooLarge);
        }
        removed = frame.own_nsid(at, end).ok_or(Outcome::ResponseTooLarge)?;
        old_sum = frame.sum(at, end - at).ok_or(Outcome::ResponseMalformed)?;
    }
    Ok(Opt { rdata, at, removed, old_sum })
}

/// Bytes of all NSID options from the first one, at `first`, to `end`; `None`: there are more than [`MAX_OWN`].
#[inline(always)]
pub fn own_nsid<H: Edit>(frame: &H, first: usize, end: usize) -> Option<usize> {
    let (mut at, mut bytes, mut seen) = (first, 0, 0);
    while seen < MAX_OWN {
        let length = option_len(frame, at)?;
        bytes += length;
        at = frame.find_nsid(at + length, end)?;
        if at == end {
            return Some(bytes);
        }
        seen += 1;
    }
    None
}

/// Bytes of the option at `at`, code and length included.
#[inline(always)]
fn option_len<H: Edit>(frame: &H, at: usize) -> Option<usize> {
    let length: [u8; 2] = frame.load(at + 2)?;
    Some(OPTION_FIXED + u16::from_be_bytes(length) as usize)
}

/// Writes what was planned. Only the first resizing can fail.
#[inline(always)]
pub(crate) fn carry_out<H: Edit>(frame: H, plan: Plan) -> Outcome {
    let outcome = if plan.removed == 0 { Outcome::Inserted } else { Outcome::Replaced };
    if frame.control().is_none_or(|control| control.observe.get() != 0) {
        return outcome;
    }
    let length = plan.length;
    let longer = if length > plan.end { frame.resize(length) } else { Some(frame) };
    let Some(mut frame) = longer else { return Outcome::ResponseResize };
    let written = write(&mut frame, plan);
    if length < plan.end {
        // Only now, since what is behind the server's NSID had to move first. It does not fail: the packet was made
        // writable when it was made linear.
        let _ = frame.resize(length);
    }
    match written {
        Some(()) => outcome,
        None => Outcome::ResponseMalformed,
    }
}

#[inline(always)]
fn write<H: Edit>(frame: &mut H, plan: Plan) -> Option<()> {
    let Plan { tags, version, end, rdata, at, removed, old_sum, length, image, image_sum } = plan;
    let option = end - removed;
    let udp = tags + dns_offset(version) - UDP_LEN;
    let (old_len, new_len) = ((end - udp) as u16, (length - udp) as u16);
    match version {
        4 => set_length::<V4, H>(frame, tags, new_len)?,
        _ => set_length::<V6, H>(frame, tags, new_len)?,
    }
    let old_rdlength: [u8; 2] = frame.load(rdata - 2)?;
    let rdlength = ((length - rdata) as u16).to_be_bytes();
    frame.store(rdata - 2, rdlength)?;
    let rdlength_change = Sum::default().word(rdlength).minus(u16::from_le_bytes(old_rdlength)).fold();
    let mut new_sum = at_offset(image_sum, option - at);
    if option != at {
        frame.take_out_nsid(at, end)?;
        new_sum = Sum::of_folded(frame.sum(at, option - at)?).plus(new_sum).fold();
    }
    frame.write_image(option, image)?;
    let change = Sum::of_folded(at_offset(rdlength_change, rdata))
        .plus(at_offset(new_sum, at))
        .minus(at_offset(old_sum, at))
        .fold();
    frame.mend_udp_checksum(udp, old_len.to_be_bytes(), new_len.to_be_bytes(), change)
}

/// Takes all NSID options out of `first..end`; what follows each of them moves back.
#[inline(always)]
pub fn take_out_nsid<H: Edit>(frame: &mut H, first: usize, end: usize) -> Option<()> {
    let (mut at, mut end, mut seen) = (first, end, 0);
    while seen < MAX_OWN {
        if at == end {
            return Some(());
        }
        let length = option_len(frame, at)?;
        end -= length;
        frame.move_back(at + length, at, end - at)?;
        at = frame.find_nsid(at, end)?;
        seen += 1;
    }
    Some(())
}
