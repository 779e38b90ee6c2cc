//! The model's hooks: a frame in memory, with the model's maps.

use std::vec::Vec;

use super::{Checksums, Model, QueriesAt, Room, Segments};
use crate::{
    checksum::{self, Sum},
    clients::Interval,
    hook::{Answer, Covered, Edit, Hook, Walk},
    image::Image,
    ip::UDP_LEN,
    maps::{Control, Interface, Maps, Record, Served, Service, Verdict},
    memory::{Bytes, Header, MAX_OFFSET, Word},
    pending::Set,
    policy::Policy,
};

/// A frame at a hook of a [`Model`].
#[derive(Debug)]
pub struct Frame<'a> {
    model: &'a Model,
    bytes: &'a mut Vec<u8>,
}

/// What new bytes hold: nothing that would be right by chance.
const UNWRITTEN: u8 = 0xa5;
/// Offset of the checksum in the UDP header.
const CHECKSUM: usize = 6;

impl<'a> Frame<'a> {
    pub(super) const fn new(model: &'a Model, bytes: &'a mut Vec<u8>) -> Self {
        Self { model, bytes }
    }

    /// What is in the first buffer.
    fn reachable(&self) -> &[u8] {
        self.bytes.get(..self.model.buffer).unwrap_or(self.bytes)
    }

    fn reachable_mut(&mut self) -> &mut [u8] {
        let reachable = self.reachable().len();
        &mut self.bytes[..reachable]
    }
}

impl Bytes for Frame<'_> {
    fn length(&self) -> usize {
        self.reachable().len()
    }

    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.reachable().load(at)
    }

    fn store<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> Option<()> {
        self.reachable_mut().store(at, bytes)
    }

    fn first<T: Header>(&self) -> Option<&T> {
        self.view(0)
    }

    fn view<T: Header>(&self, at: usize) -> Option<&T> {
        self.reachable().view(at)
    }

    fn view_mut<T: Header>(&mut self, at: usize) -> Option<&mut T> {
        self.reachable_mut().view_mut(at)
    }
}

impl Maps for Frame<'_> {
    fn control(&self) -> Option<&Control> {
        Some(&self.model.control)
    }

    fn ports(&self, index: u32) -> Option<&Word> {
        self.model.ports.get(index as usize)
    }

    fn served(&self, index: u32) -> Option<&Served> {
        self.model.served.get(index as usize)
    }

    fn service(&self, index: u32) -> Option<&Service> {
        self.model.services.get(index as usize)
    }

    fn record(&self, index: u32) -> Option<&Record> {
        self.model.records.get(index as usize)
    }

    fn image(&self, index: u32) -> Option<&Image> {
        self.model.images.get(index as usize)
    }

    fn verdict(&self, service: u32) -> Option<&Verdict> {
        self.model.verdicts.get(service as usize)
    }

    fn pending(&self, index: u32) -> Option<&Set> {
        self.model.sets_used.borrow_mut().push(index);
        self.model.pending.get(index as usize)
    }

    fn policy(&self, index: u32) -> Option<&Policy> {
        self.model.policies.get(index as usize)
    }

    fn interval(&self, index: u32) -> Option<&Interval> {
        self.model.intervals.get(index as usize)
    }

    fn rate(&self, index: u32) -> Option<&Word> {
        self.model.rates.get(index as usize)
    }

    fn interface(&self, index: u32) -> Option<&Interface> {
        self.model.interfaces.get(index as usize)
    }

    fn interface_index(&self) -> u32 {
        self.model.interface_index
    }

    fn jiffies(&self) -> u64 {
        self.model.jiffies
    }

    fn boot_time(&self) -> u64 {
        self.model.clock_reads.set(self.model.clock_reads.get() + 1);
        self.model.boot_time
    }
}

impl Walk for Frame<'_> {}

impl Hook for Frame<'_> {
    fn whole(&self) -> bool {
        self.bytes.len() <= self.model.buffer
    }

    fn write_image(&mut self, at: usize, index: u32) -> Option<()> {
        let image = self.model.images.get(index as usize)?;
        if image.copy_at_once(self, at)? {
            return Some(());
        }
        image.copy_to(self, at)
    }
}

impl Answer for Frame<'_> {
    fn remake(self, length: usize) -> Option<Self> {
        if !self.whole() || length > self.bytes.len() && self.model.room == Room::None {
            return None;
        }
        self.bytes.clear();
        self.bytes.resize(length, UNWRITTEN);
        Some(self)
    }

    fn covered(&self, udp: usize) -> Option<Covered> {
        if self.model.queries_at == QueriesAt::Xdp {
            return Some(Covered::default());
        }
        let ([check, len], message): ([[u8; 2]; 2], _) =
            ([self.load(udp + CHECKSUM)?, self.load(udp + CHECKSUM - 2)?], udp + UDP_LEN);
        let message_len = usize::from(u16::from_be_bytes(len)).checked_sub(UDP_LEN)?;
        Some(Covered { check, len, message: checksum::of_frame(self, message, message_len)? })
    }

    fn mend_answer(&mut self, udp: usize, before: Covered, after: Covered) -> Option<()> {
        let difference = Sum::of_folded(after.message).minus(before.message).fold();
        self.mend_udp_checksum(udp, before.len, after.len, difference)
    }
}

impl Edit for Frame<'_> {
    fn linear(self) -> Option<Self> {
        if self.bytes.len() > MAX_OFFSET || !self.whole() { None } else { Some(self) }
    }

    fn segmented(&self) -> bool {
        self.model.segments == Segments::Several
    }

    fn resize(self, length: usize) -> Option<Self> {
        if length > self.bytes.len() && self.model.room == Room::None {
            return None;
        }
        self.bytes.resize(length, UNWRITTEN);
        Some(self)
    }

    /// As `bpf_l4_csum_replace` does it (net/core/filter.c).
    fn mend_udp_checksum(&mut self, udp: usize, old: [u8; 2], new: [u8; 2], difference: u16) -> Option<()> {
        let field: [u8; 2] = self.load(udp + CHECKSUM)?;
        if field == [0, 0] {
            return Some(());
        }
        let length = |sum: Sum| sum.word(new).minus(u16::from_le_bytes(old));
        let mended = match self.model.checksums {
            Checksums::Partial => length(Sum::default().word(field)).fold().to_le_bytes(),
            Checksums::Complete => {
                // The length is summed twice: in the pseudo-header and in the header.
                length(length(Sum::of_folded(!u16::from_le_bytes(field)))).plus(difference).udp_checksum()
            }
        };
        self.store(udp + CHECKSUM, mended)
    }
}
