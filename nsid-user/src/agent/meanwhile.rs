//! What the predecessor claimed, while this program is not ready yet: a start that takes longer than a claim lasts, on a
//! host that has much to do, loses no name.
//!
//! It is renewed by a thread of its own, since loading programs and attaching them keep the agent's thread busy. That
//! moves the deadlines of what the predecessor's programs say, and changes nothing else.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    task::{JoinSet, LocalSet},
};

use super::services::{Claimant, inherited, prolong, report};
use crate::{
    clock::BootTime,
    config::Service,
    datapath::{Datapath, Pins, ServiceVoice},
    form::Form,
    pace::until,
    state::State,
};

/// A start that takes no longer than this part of the time that is left asks the stores for nothing.
const NOT_SLOW: u32 = 4;

/// The thread; dropped, it has ended.
pub(super) struct Meanwhile {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Meanwhile {
    /// Keeps what the predecessor says by maps that this program knows. What it says by others is not kept: this program
    /// says it anew.
    ///
    /// Without the thread, a start that is not slow loses nothing.
    pub(super) fn keep(
        services: Vec<Service>,
        claimant: Claimant,
        predecessor: State,
        pins: Pins,
    ) -> Option<Self> {
        let started = Self::start(services, claimant, predecessor, pins);
        started
            .inspect_err(|error| log::warn!("what was claimed before is not renewed meanwhile: {error}"))
            .ok()
    }

    fn start(services: Vec<Service>, claimant: Claimant, predecessor: State, pins: Pins) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let keep = move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = keep_all(services, claimant, predecessor, pins) => {}
                    // Also if its sender is gone.
                    _ = stopped => {}
                }
            });
            // Not waiting for threads that look up host names.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("meanwhile".to_owned()).spawn(keep)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("what was claimed before was not renewed meanwhile");
        }
    }
}

async fn keep_all(services: Vec<Service>, claimant: Claimant, predecessor: State, pins: Pins) {
    let maps = match Datapath::maps_before(&pins) {
        Ok(Some(maps)) => Rc::new(maps),
        Ok(None) => return,
        Err(error) => return log::warn!("what was claimed before is not renewed meanwhile: {error}"),
    };
    // Nothing is said, in whatever form.
    let form = Rc::new(RefCell::new(Form::default()));
    // The service that goes on with it tells of it.
    let (events, _nobody) = mpsc::unbounded_channel();
    let mut kept = JoinSet::new();
    for (index, service) in (0..).zip(services) {
        let Some(inherited) = inherited(&service, &predecessor, &maps, index) else { continue };
        let (report, _status) = report(&service, events.clone());
        let voice = ServiceVoice::new(Rc::clone(&maps), index, Rc::clone(&form));
        let incarnation = claimant.of_service(index);
        let maps = Rc::clone(&maps);
        kept.spawn_local(async move {
            until(BootTime::now().saturating_add(inherited.until.left() / NOT_SLOW)).await;
            // The store may come to know of no longer time, and its answer be lost.
            if let Some(pool) = service.store.pool() {
                maps.say_no_longer_than(index, BootTime::now().saturating_add(pool.ttl));
            }
            prolong(service, incarnation, voice, report, inherited).await;
        });
    }
    while kept.join_next().await.is_some() {}
}
