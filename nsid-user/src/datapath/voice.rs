//! One service's name, in the maps.

use std::{
    rc::Rc,
    sync::atomic::{Ordering, fence},
    thread,
};

use nsid_common::{
    image::{self, Image, Variant},
    maps::Record,
};

use super::maps::Maps;
use crate::{
    claim::Voice,
    clock::{BootTime, Deadline, jiffy},
    name::NodeName,
};

/// Says one service's name.
#[derive(Debug)]
pub struct ServiceVoice {
    maps: Rc<Maps>,
    service: u32,
    flipped: BootTime,
}

impl ServiceVoice {
    /// Of a service, by its index.
    pub fn new(maps: Rc<Maps>, service: u32) -> Self {
        Self { maps, service, flipped: BootTime::now() }
    }

    fn selected(&self) -> u32 {
        self.maps.services[self.service as usize].selected()
    }

    /// Whether that name is being said already, in just these words.
    fn says(&self, name: &NodeName) -> bool {
        let (index, record) = self.record(self.selected());
        let is = |variant| {
            let wanted = Image::default();
            wanted.fill(name.as_str().as_bytes(), variant);
            self.maps.images[image::index(index, variant) as usize].bytes() == wanted.bytes()
        };
        BootTime::now().as_nanos() < record.deadline.get() && Variant::ALL.into_iter().all(is)
    }

    fn record(&self, which: u32) -> (u32, &Record) {
        let index = self.service * 2 + which;
        (index, &self.maps.records[index as usize])
    }
}

impl Voice for ServiceVoice {
    /// The new name goes into the record that is not selected; then it is. A name that an earlier run says already stays
    /// where it is: to a packet that has just chosen a record, the other one is no use.
    fn say(&mut self, name: &NodeName, until: Deadline) {
        if self.says(name) {
            return self.record(self.selected()).1.deadline.set(word(until));
        }
        // A packet that chose that record before the last flip is done with it by now.
        thread::sleep(self.flipped.saturating_add(jiffy()).left());
        let now = BootTime::now();
        let (old, new) = (self.selected(), 1 - self.selected());
        let (index, record) = self.record(new);
        record.deadline.set(0);
        for variant in Variant::ALL {
            self.maps.images[image::index(index, variant) as usize].fill(name.as_str().as_bytes(), variant);
        }
        // No earlier record of this service was made at this time.
        record.generation.set(now.as_nanos());
        record.deadline.set(word(until));
        // The programs read the selector first, and find the rest by what they read.
        fence(Ordering::Release);
        self.maps.services[self.service as usize].selected.set(u64::from(new));
        self.record(old).1.deadline.set(0);
        self.flipped = now;
    }

    fn extend(&mut self, until: BootTime) {
        self.record(self.selected()).1.deadline.set(word(Deadline::At(until)));
    }

    fn silence(&mut self) {
        self.maps.silence(self.service);
    }
}

const fn word(until: Deadline) -> u64 {
    match until {
        Deadline::Never => u64::MAX,
        Deadline::At(point) => point.as_nanos(),
    }
}
