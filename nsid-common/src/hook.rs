//! What a hook provides: the frame, its loops, the maps, and how a frame is resized.
//!
//! Every loop that reads packet bytes is a method whose default body is the loop itself. A BPF program overrides it with a
//! call to a global subprogram, which the verifier checks once, for any arguments: costs add up and do not multiply.
//! A test runs the default bodies, so that both run the same code.

use crate::{
    answer,
    asked::{self, Asked},
    checksum, clients,
    dns::{self, Compression, Message, Stop},
    identity::Identity,
    insert,
    ip::Ip,
    maps::{Address, Maps},
    memory::{self, Bytes},
    outcome::Outcome,
    pending::Exchange,
    query, rate, response,
};

/// A message that is walked.
pub trait Walk: Bytes + Sized {
    /// The offset behind the name at `at`.
    #[inline(always)]
    fn skip_name(&self, at: usize, compression: Compression) -> Option<usize> {
        dns::skip_name(self, at, compression)
    }

    /// Behind the record at `at`, or at what it is.
    #[inline(always)]
    fn skip_record(&self, at: usize) -> Option<Stop> {
        dns::skip_record(self, at)
    }

    /// Over `count` records, until one matters.
    #[inline(always)]
    fn skip_records(&self, at: usize, count: usize) -> Option<Stop> {
        dns::skip_records(self, at, count)
    }

    /// The offset of the first NSID among the options in `start..end`; `end` if there is none.
    #[inline(always)]
    fn find_nsid(&self, start: usize, end: usize) -> Option<usize> {
        dns::find_nsid(self, start, end)
    }

    /// What the query in `start..end` asks, whatever its question is.
    #[inline(always)]
    fn asked(&self, start: usize, end: usize) -> Option<Asked> {
        asked::asked(self, start, end)
    }

    /// What is in the message in `start..end`.
    #[inline(always)]
    fn walk(&self, start: usize, end: usize) -> Option<Message> {
        dns::walk(self, start, end)
    }
}

/// A frame at a hook, with the maps.
pub trait Hook: Walk + Maps {
    /// Whether all bytes of the frame can be reached, as far as their offsets are low enough.
    fn whole(&self) -> bool;

    /// Copies an image to `at`.
    fn write_image(&mut self, at: usize, index: u32) -> Option<()>;

    /// What the clients' table says of an address.
    #[inline(always)]
    fn client(&self, address: Address) -> u64 {
        clients::look_up(self, address)
    }

    /// Spends one more answer to a client, or tells that its network has had them.
    #[inline(always)]
    fn spend(&self, client: Address) -> u64 {
        rate::spend(self, client)
    }
}

/// A query's UDP checksum and what it covers of the query, before an answer overwrites both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Covered {
    /// The field; 0: what it will be does not depend on what it was.
    pub check: [u8; 2],
    /// The UDP length.
    pub len: [u8; 2],
    /// The folded sum of the message.
    pub message: u16,
}

/// A hook that sees queries, and can send a frame back.
pub trait Answer: Hook {
    /// Makes the frame `length` bytes long, wherever there is room. What it holds then is anything, and all of it has
    /// to be written; `None`: nothing has changed.
    fn remake(self, length: usize) -> Option<Self>;

    /// What the checksum covers of a query with its UDP header at `udp`. At XDP an answer's is computed anew.
    #[inline(always)]
    fn covered(&self, _udp: usize) -> Option<Covered> {
        Some(Covered::default())
    }

    /// Mends the checksum of the answer whose UDP header is at `udp`, where the field holds still what it did
    /// [`before`](Covered::check): at tc, a device may have to complete it, which only that value tells.
    #[inline(always)]
    fn mend_answer(&mut self, _udp: usize, _before: Covered, _after: Covered) -> Option<()> {
        Some(())
    }

    /// Decides on a datagram to a served port, behind `tags` bytes of VLAN tags.
    #[inline(always)]
    fn query<V: Ip>(self, tags: usize) -> Outcome {
        query::called::<V, _>(self, tags)
    }

    /// Forgets an exchange whose query was sent by who may not see the name; whether it was.
    #[inline(always)]
    fn forget_hidden(&self, tags: usize, version: usize, exchange: Exchange) -> bool {
        clients::forget_hidden(self, tags, version, exchange)
    }

    /// Decides on a query to a service for the server's own name, and notes it if the server is to see it.
    #[inline(always)]
    fn answer<V: Ip>(self, tags: usize, service: u32, identity: Identity, exchange: Exchange) -> Outcome {
        answer::decide::<V, _>(self, tags, service, identity, exchange)
    }

    /// Decides on a frame with VLAN tags.
    #[inline(always)]
    fn tagged_query(self) -> Outcome {
        query::tagged(self)
    }
}

/// A hook that sees responses, and can change their length.
pub trait Edit: Hook {
    /// Makes all bytes of the frame reachable, up to [`MAX_OFFSET`](crate::memory::MAX_OFFSET).
    fn linear(self) -> Option<Self>;

    /// Whether the frame stands for several segments, which the device cuts later.
    fn segmented(&self) -> bool;

    /// Makes the frame `length` bytes long at its end. Bytes that both have stay; `None`: nothing has changed.
    fn resize(self, length: usize) -> Option<Self>;

    /// Mends the checksum of the UDP header at `udp`, whose length was `old` and is `new`, for those and for
    /// everything else that changed, of which `difference` is the folded sum.
    ///
    /// The field of a frame whose checksum the device completes holds only the sum of the pseudo-header; one that is
    /// 0 says that there is no checksum, and stays so (RFC 768).
    fn mend_udp_checksum(&mut self, udp: usize, old: [u8; 2], new: [u8; 2], difference: u16) -> Option<()>;

    /// The folded sum of `length` bytes at `at`, as from an even offset.
    #[inline(always)]
    fn sum(&self, at: usize, length: usize) -> Option<u16> {
        checksum::of_frame(self, at, length)
    }

    /// Moves `length` bytes from `from` to `to`, which is before it.
    #[inline(always)]
    fn move_back(&mut self, from: usize, to: usize, length: usize) -> Option<()> {
        memory::move_back(self, from, to, length)
    }

    /// [`insert::opt`].
    #[inline(always)]
    fn opt(&self, start: usize, end: usize) -> u64 {
        insert::opt(self, start, end)
    }

    /// Bytes of all NSID options from the first one, at `first`, to `end`.
    #[inline(always)]
    fn own_nsid(&self, first: usize, end: usize) -> Option<usize> {
        insert::own_nsid(self, first, end)
    }

    /// Takes all NSID options out of `first..end`; what follows each of them moves back.
    #[inline(always)]
    fn take_out_nsid(&mut self, first: usize, end: usize) -> Option<()> {
        insert::take_out_nsid(self, first, end)
    }

    /// Decides on a datagram from a served port, behind `tags` bytes of VLAN tags.
    #[inline(always)]
    fn response<V: Ip>(self, tags: usize) -> Outcome {
        response::decide::<V, _>(self, tags)
    }

    /// Decides on a response of a service to a query that was noted, and takes `udp_size` bytes.
    #[inline(always)]
    fn noted(self, tags: usize, version: usize, service: u32, udp_size: u16) -> Outcome {
        response::noted(self, tags, version, service, udp_size)
    }

    /// Decides on a frame with VLAN tags.
    #[inline(always)]
    fn tagged_response(self) -> Outcome {
        response::tagged(self)
    }
}
