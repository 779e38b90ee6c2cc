//! One service's name, in the maps.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{Ordering, fence},
    thread,
    time::SystemTime,
};

use nsid_common::image::{self, Image, Variant};

use super::maps::Maps;
use crate::{
    claim::Voice,
    clock::{BootTime, Deadline, jiffy},
    form::{Form, Wording},
    name::NodeName,
};

/// Says one service's name, in the form that is in force.
#[derive(Debug)]
pub struct ServiceVoice {
    maps: Rc<Maps>,
    service: u32,
    form: Rc<RefCell<Form>>,
}

impl ServiceVoice {
    /// Of a service, by its index.
    pub fn new(maps: Rc<Maps>, service: u32, form: Rc<RefCell<Form>>) -> Self {
        Self { maps, service, form }
    }
}

impl Voice for ServiceVoice {
    fn say(&mut self, name: &NodeName, until: Deadline) {
        let wording = self.form.borrow().of(name, SystemTime::now());
        self.maps.say(self.service, &wording, word(until));
    }

    fn extend(&mut self, until: BootTime) {
        let index = self.maps.selected(self.service);
        self.maps.records[index as usize].deadline.set(word(Deadline::At(until)));
    }

    fn silence(&mut self) {
        self.maps.silence(self.service);
    }
}

impl Maps {
    /// Has what is said of a service, if anything is, be in this form; until when stays.
    pub fn say_in(&self, service: u32, form: &Form) {
        let Some(said) = self.said(service) else { return };
        // What is in the maps was a name when it came there.
        let Ok(name) = said.name.parse() else { return };
        let wording = form.of(&name, SystemTime::now());
        // One NSID can go with two texts: bytes given by hand may be those of the name.
        if wording.parts().nsid != said.nsid || !self.says_text(service, &wording) {
            self.say(service, &wording, word(said.until));
        }
    }

    /// Whether `id.server.` says that wording's text.
    fn says_text(&self, service: u32, wording: &Wording) -> bool {
        let wanted = Image::default();
        wanted.fill(wording.parts(), Variant::Txt);
        let said = &self.images[image::index(self.selected(service), Variant::Txt) as usize];
        let ((wanted, wanted_len), (said, said_len)) = (wanted.bytes(), said.bytes());
        wanted[..wanted_len] == said[..said_len]
    }

    /// The record of a service that counts.
    fn selected(&self, service: u32) -> u32 {
        service * 2 + self.services[service as usize].selected()
    }

    /// Whether a service says that wording already, in just these bytes.
    fn says(&self, service: u32, wording: &Wording) -> bool {
        let index = self.selected(service);
        let is = |variant| {
            let wanted = Image::default();
            wanted.fill(wording.parts(), variant);
            self.images[image::index(index, variant) as usize].bytes() == wanted.bytes()
        };
        let deadline = self.records[index as usize].deadline.get();
        BootTime::now().as_nanos() < deadline && Variant::ALL.into_iter().all(is)
    }

    /// The new wording goes into the record that is not selected; then it is. One that an earlier run says already stays
    /// where it is: to a packet that has just chosen a record, the other one is no use.
    fn say(&self, service: u32, wording: &Wording, until: u64) {
        if self.says(service, wording) {
            return self.records[self.selected(service) as usize].deadline.set(until);
        }
        // A packet that chose that record before the last flip is done with it by now.
        thread::sleep(self.flipped.get().saturating_add(jiffy()).left());
        let now = BootTime::now();
        let old = self.selected(service);
        let new = old ^ 1;
        let record = &self.records[new as usize];
        record.deadline.set(0);
        for variant in Variant::ALL {
            self.images[image::index(new, variant) as usize].fill(wording.parts(), variant);
        }
        // No earlier record of this service was made at this time.
        record.generation.set(now.as_nanos());
        record.deadline.set(until);
        // The programs read the selector first, and find the rest by what they read.
        fence(Ordering::Release);
        self.services[service as usize].selected.set(u64::from(new & 1));
        self.records[old as usize].deadline.set(0);
        self.flipped.set(now);
    }
}

const fn word(until: Deadline) -> u64 {
    match until {
        Deadline::Never => u64::MAX,
        Deadline::At(point) => point.as_nanos(),
    }
}
