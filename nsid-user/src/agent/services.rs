//! The services of a run: each claims its name in a task of its own.

mod names;
mod release;

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime},
};

use nsid_common::maps::MAX_SERVICES;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::{
    claim::{self, Event, HandedOn, Orders, Report},
    clock::{BootTime, Deadline},
    config::{Nsid, Service, StoreConfig},
    datapath::{Maps, Said, ServiceVoice},
    form::Form,
    host::instance::Instance,
    state::{ServiceState, State},
    store::{ClaimError, ClaimStatus, Incarnation, Inherited, Kind, Nonce, Progress},
};

/// Who claims for the services of this run.
#[derive(Clone, Debug)]
pub(super) struct Claimant {
    pub(super) nonce: Nonce,
    pub(super) instance: Instance,
}

impl Claimant {
    /// Two of them can be in one pool.
    pub(super) fn of_service(&self, index: u32) -> Incarnation {
        Incarnation::here(self.nonce, &self.instance, index)
    }
}

/// The tasks, and what they tell.
pub(super) struct Services {
    pub(super) tasks: JoinSet<Result<(), ClaimError>>,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    changed: Rc<Notify>,
    statuses: Vec<watch::Receiver<ClaimStatus>>,
    configured: Vec<Service>,
    claimant: Claimant,
    form: Rc<RefCell<Form>>,
    stop: watch::Sender<bool>,
    /// For each service, to have its name handed on.
    hand_on: Vec<mpsc::UnboundedSender<oneshot::Sender<HandedOn>>>,
    directories: names::Directories,
}

impl Services {
    /// Starts to claim; goes on with what the predecessor held, if there is one.
    pub(super) fn start(
        configured: Vec<Service>,
        claimant: Claimant,
        maps: &Rc<Maps>,
        form: Form,
        predecessor: Option<&State>,
    ) -> Self {
        let form = Rc::new(RefCell::new(form));
        let (stop, stopped) = watch::channel(false);
        let (sender, events) = mpsc::unbounded_channel();
        let changed = Rc::new(Notify::new());
        let (mut tasks, mut statuses, mut hand_on) = (JoinSet::new(), Vec::new(), Vec::new());
        for (index, service) in (0..).zip(&configured) {
            let (report, status) = report(service, sender.clone());
            let voice = ServiceVoice::new(Rc::clone(maps), index, Rc::clone(&form));
            let inherited = predecessor.and_then(|state| inherited(service, state, maps, index));
            let (sender, handing_on) = mpsc::unbounded_channel();
            hand_on.push(sender);
            let orders = Orders { stop: stopped.clone(), hand_on: handing_on };
            tasks.spawn_local(claim(
                service.clone(),
                claimant.of_service(index),
                voice,
                report,
                inherited,
                orders,
            ));
            tokio::task::spawn_local(forward(status.clone(), Rc::clone(&changed)));
            statuses.push(status);
        }
        let directories = names::Directories::default();
        Self { tasks, events, changed, statuses, configured, claimant, form, stop, hand_on, directories }
    }

    /// Where the claims stand.
    pub(super) fn states(&self) -> Vec<ServiceState> {
        let claims = self.statuses.iter().map(|status| status.borrow().clone());
        self.configured
            .iter()
            .zip(claims)
            .map(|(service, claim)| ServiceState {
                source: service.store.source(),
                listen: service.listen.iter().map(ToString::to_string).collect(),
                claim,
            })
            .collect()
    }

    /// What they are.
    pub(super) fn configured(&self) -> &[Service] {
        &self.configured
    }

    /// Has all names said in this form, from now on.
    pub(super) fn say_in(&self, form: Form, maps: &Maps) {
        self.form.replace(form);
        self.keep_to_form(maps);
    }

    /// Has what is said be what the form makes of it now; until when that stays so by itself.
    pub(super) fn keep_to_form(&self, maps: &Maps) -> Option<Duration> {
        let form = self.form.borrow();
        for (index, _) in (0..).zip(&self.configured) {
            maps.say_in(index, &form);
        }
        form.lasts(SystemTime::now())
    }

    /// Notified when a claim stands elsewhere.
    pub(super) fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.changed)
    }

    /// Has all names released.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Where a service's claim reports to, and where that can be read.
pub(super) fn report(
    service: &Service,
    events: mpsc::UnboundedSender<Event>,
) -> (Report, watch::Receiver<ClaimStatus>) {
    let kind = service.store.pool().map_or(Kind::Static, |pool| pool.place.kind());
    let (progress, status) = Progress::new(kind, service.store.source());
    (Report { progress, events }, status)
}

async fn claim(
    service: Service,
    incarnation: Incarnation,
    voice: ServiceVoice,
    report: Report,
    inherited: Option<Inherited>,
    mut orders: Orders,
) -> Result<(), ClaimError> {
    match service.store {
        StoreConfig::Static(name) => {
            claim::fixed(name, voice, &report, &mut orders.stop).await;
            Ok(())
        }
        StoreConfig::Pool(pool) => {
            let store = pool.claimant(incarnation);
            claim::hold(store, &pool.pattern, voice, &report, inherited, &mut orders).await
        }
    }
}

/// Has what a service inherited last, until this is dropped.
pub(super) async fn prolong(
    service: Service,
    incarnation: Incarnation,
    voice: ServiceVoice,
    report: Report,
    inherited: Inherited,
) {
    // A name given by hand has no deadline.
    if let Some(pool) = service.store.pool() {
        claim::prolong(pool.claimant(incarnation), &pool.pattern, voice, &report, inherited).await;
    }
}

/// What a service goes on with: the claim of the same source, if its name is still said.
pub(super) fn inherited(
    service: &Service,
    predecessor: &State,
    maps: &Maps,
    index: u32,
) -> Option<Inherited> {
    let pattern = &service.store.pool()?.pattern;
    let state: &ServiceState = predecessor.services.get(index as usize)?;
    let (slot, token) = state.claim.slot.zip(state.claim.token)?;
    let Said { name, until: Deadline::At(until), .. } = maps.said(index)? else { return None };
    let same = state.source == service.store.source()
        && slot < pattern.limit().get()
        && name == pattern.name(slot).as_str();
    same.then_some(Inherited { slot, token, until })
}

/// Ends when the sender of `status` is dropped.
pub(super) async fn forward<T>(mut status: watch::Receiver<T>, changed: Rc<Notify>) {
    while status.changed().await.is_ok() {
        changed.notify_one();
    }
}

/// Silences what the last run said and this one does not want; whether anything was said. A name goes on being said if
/// this run gets it from the same source, for as long as this run asks for at a time: a store may know of no longer time.
pub(super) fn silence_what_is_not_wanted(
    configured: &[Service],
    nsid: &Nsid,
    maps: &Maps,
    last: Option<&State>,
) -> bool {
    // What was said in another form may give a name away that is to be hidden.
    let last = last.filter(|last| last.policies.nsid == nsid.to_string());
    let mut silenced = false;
    for index in 0..MAX_SERVICES {
        let store = configured.get(index as usize).map(|service| &service.store);
        let wanted = store.map(StoreConfig::source);
        let said = last.and_then(|last| last.services.get(index as usize)).map(|service| &service.source);
        if said.is_none() || wanted.as_ref() != said {
            silenced |= maps.silence(index);
        } else if let Some(pool) = store.and_then(StoreConfig::pool) {
            maps.say_no_longer_than(index, BootTime::now().saturating_add(pool.ttl));
        }
    }
    silenced
}
