//! The agent: brings claims and datapath together, and follows what changes around them.
//!
//! ```text
//! store -> claim -> voice -> maps          a task a service (`services`)
//! links, addresses -> programs, maps       the main loop (`interfaces`, `endpoints`)
//! `nsid set`, SIGHUP -> policies -> maps   the same (`policies`)
//! ```
//!
//! Started, it takes over what a dead run of its instance left; stopped, it leaves nothing. Killed, it leaves the
//! programs and their maps, and the kernel says each name until its deadline.

mod announce;
mod check;
mod endpoints;
mod interfaces;
mod meanwhile;
mod policies;
mod requests;
mod services;
pub(crate) mod upgrade;
mod witnesses;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, watch},
    time,
};

pub use self::check::{Fit, check};
use self::{
    announce::Announcer,
    endpoints::{Endpoints, endpoints},
    interfaces::Interfaces,
    meanwhile::Meanwhile,
    policies::{rules, warn_of_left_out},
    requests::Changed,
    services::{Claimant, Services, silence_what_is_not_wanted},
    witnesses::Witnesses,
};
use crate::{
    clock,
    config::{Config, Policies, Source},
    datapath::{Datapath, Options, PacketLog, Pins, Rules, fits, remove_filters},
    host::{
        addresses::Address,
        bpffs,
        control::{Control, Request},
        instance::Instance,
        links::{Link, Netlink},
        lock::{Came, InstanceLock},
        namespaces::{self, NetNs, Origin},
        signals::Signals,
        state as file, succession,
        watch::Watch,
    },
    lines,
    state::{Attached, Program, State, filtered},
    store::Nonce,
};

/// Changes of links and addresses come in rows: this long after the first, they are acted on together.
const SETTLE: Duration = Duration::from_millis(50);

/// Between two tries to attach to an interface that came back and could not be attached to.
const RETRY: Duration = Duration::from_secs(2);

/// Between two looks around without a cause: the kernel sends no message when a link is detached by hand.
const IDLE: Duration = Duration::from_secs(10);

/// Runs the agent until it is told to stop.
pub fn run(config: Config, source: Source, origin: Origin) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = tokio::task::LocalSet::new()
        .block_on(&runtime, run_until_stopped(config, Reading { source, origin: Arc::new(origin) }));
    // Not waiting for threads that look up host names: a name server that does not answer would hold us up.
    runtime.shutdown_background();
    ended
}

async fn run_until_stopped(config: Config, reading: Reading) -> Result<()> {
    let program = Program::begin();
    let signals = |signals: &[Signal]| Signals::open(signals).context("cannot take signals");
    let (stop, hangup) = (signals(&[Signal::TERM, Signal::INT])?, signals(&[Signal::HUP])?);
    let instance = Instance::new(config.instance.as_str());
    let lock = InstanceLock::inherit_or_acquire(&instance)?;
    let pins = Pins::of(&instance);
    let fresh = !pins.exist();
    match Agent::start(program, config, &lock, pins.clone(), reading, hangup).await {
        Ok(mut agent) => {
            let ended = loop {
                tokio::select! {
                    ended = agent.live(&lock) => match ended {
                        Ok(successor) => agent.make_way(&successor, &lock),
                        Err(error) => break Err(error),
                    },
                    stop = stop.next() => {
                        log::info!("stopping");
                        break stop.context("cannot take signals");
                    }
                }
            };
            agent.leave().await;
            drop(agent);
            leave_nothing(lock, &pins)?;
            ended
        }
        Err(error) if fresh => {
            leave_nothing(lock, &pins)?;
            Err(error)
        }
        // What a dead run left goes on as it did.
        Err(error) => Err(error),
    }
}

fn leave_nothing(lock: InstanceLock, pins: &Pins) -> Result<()> {
    pins.remove().context("cannot remove the pins of this instance")?;
    lock.remove_files().context("cannot remove the files of this instance")
}

/// What there is to attach to and to serve, and what the programs keep to; an error if that is not what was asked for.
async fn look(config: &Config, interfaces: &Interfaces, netlink: &Netlink) -> Result<Found> {
    let links = interfaces.links(netlink).await?;
    let addresses = netlink.addresses().await?;
    let endpoints = endpoints(&config.services, &addresses)?;
    fits(&endpoints)?;
    let rules = rules(&config.policies, &addresses);
    rules.fit()?;
    Ok(Found { links, addresses, endpoints, rules })
}

/// What was found on the host.
struct Found {
    links: Vec<Link>,
    addresses: Vec<Address>,
    endpoints: Endpoints,
    rules: Rules,
}

/// Where the configuration is read from.
#[derive(Debug)]
struct Reading {
    source: Source,
    origin: Arc<Origin>,
}

struct Agent {
    program: Program,
    config: Config,
    reading: Reading,
    hangup: Signals,
    requests: mpsc::UnboundedReceiver<Request>,
    /// What the programs keep to.
    rules: Rules,
    netns: NetNs,
    netlink: Netlink,
    watch: Watch,
    datapath: Datapath,
    packet_log: Option<AsyncFd<PacketLog>>,
    interfaces: Interfaces,
    services: Services,
    witnesses: Witnesses,
    announcer: Announcer,
    state: watch::Sender<State>,
    /// Programs that are fit to go on in the place of this one, and the way for them to come.
    successors: (mpsc::UnboundedSender<PathBuf>, mpsc::UnboundedReceiver<PathBuf>),
    /// What the last look around could not follow, as it was logged.
    trouble: String,
}

impl Agent {
    /// Everything that can be refused is looked at before anything is changed.
    async fn start(
        program: Program,
        mut config: Config,
        lock: &InstanceLock,
        pins: Pins,
        reading: Reading,
        hangup: Signals,
    ) -> Result<Self> {
        let netns = NetNs::current().context("cannot tell the network namespace")?;
        let last: Option<State> = file::read(lock.instance()).unwrap_or_else(|error| {
            log::warn!("{error}");
            None
        });
        // Opened before the first reading, so that nothing is missed.
        let watch = Watch::open().context("cannot follow changes of interfaces")?;
        let netlink = Netlink::open().context("cannot ask the kernel about interfaces")?;
        let mut interfaces = Interfaces::new(&config, netns);
        let predecessor = last.as_ref().filter(|_| lock.came() == Came::FromPredecessor);
        if let Some(predecessor) = predecessor {
            match reading.kept(&config, predecessor) {
                Ok(policies) => config.policies = policies,
                Err(error) => log::error!("policies that were set are not kept: {error:#}"),
            }
        }
        let Found { links, addresses, endpoints, rules } = look(&config, &interfaces, &netlink).await?;
        let mut witnesses = Witnesses::of(&config.services, lock.instance().name());
        witnesses.follow(&addresses).await?;
        let nonce = Nonce::load_or_create(&lock.instance().nonce_path())?;
        let claimant = Claimant { nonce, instance: lock.instance().clone() };
        let control = Control::bind(lock).context("cannot make the control socket")?;
        let meanwhile = predecessor.map(|state| {
            Meanwhile::keep(config.services.clone(), claimant.clone(), state.clone(), pins.clone())
        });

        bpffs::ensure_mounted()?;
        let options = Options { observe: config.observe, log_packets: config.log_packets };
        let mut datapath = Datapath::load(pins, options)?;
        if let Err(error) = interfaces.attach_all(links, &addresses, &mut datapath, &netlink).await {
            datapath.undo();
            return Err(error.into());
        }
        drop(meanwhile);

        // Nothing is refused from here on. What is said now becomes right before it is said elsewhere, or to others.
        silence(&config, &datapath, last.as_ref()).await?;
        datapath.begin();
        datapath.maps.keep_to(&rules)?;
        warn_of_left_out(&rules);
        datapath.maps.serve(&endpoints)?;
        interfaces.refresh(&mut datapath, &netlink).await?;
        let indices: Vec<_> = interfaces.attached().map(|attached| attached.index).collect();
        datapath.detach_all_but(netns, &indices).context("cannot remove the links of the last run")?;
        if let Some(last) = &last {
            let is_left = |attached: &&Attached| last.netns != netns || !indices.contains(&attached.index);
            remove_filters(last.netns, filtered(last.interfaces.iter().filter(is_left)))
                .context("cannot remove the filters of the last run")?;
        }
        datapath.remove_other_maps().context("cannot remove the maps of another version")?;

        let packet_log = match datapath.packet_log() {
            Some(log) if config.log_packets => Some(log.watched()?),
            _ => None,
        };
        let form = config.policies.form.clone();
        let services = Services::start(config.services.clone(), claimant, &datapath.maps, form, predecessor);
        let mut announcer = Announcer::default();
        announcer.interfaces(true);
        let first = state(&program, netns, &interfaces, &services, &witnesses, &config.policies, &rules);
        let (state, told) = watch::channel(first);
        let (asked, requests) = mpsc::unbounded_channel();
        tokio::task::spawn_local(control.serve(told, asked));
        let agent = Self {
            program,
            config,
            reading,
            hangup,
            requests,
            rules,
            netns,
            netlink,
            watch,
            datapath,
            packet_log,
            interfaces,
            services,
            witnesses,
            announcer,
            state,
            successors: mpsc::unbounded_channel(),
            trouble: String::new(),
        };
        agent.tell(lock);
        Ok(agent)
    }

    /// Until another program is to go on in the place of this one, or a claim ends for good.
    async fn live(&mut self, lock: &InstanceLock) -> Result<PathBuf> {
        let (changed, witnessed) = (self.services.changed(), self.witnesses.changed());
        let mut due = Box::pin(time::sleep(IDLE));
        loop {
            tokio::select! {
                biased;
                Some(event) = self.services.events.recv() => self.announcer.claim(event),
                Some(ended) = self.services.tasks.join_next() => ended??,
                () = changed.notified() => self.tell(lock),
                () = witnessed.notified() => self.tell(lock),
                Some(request) = self.requests.recv() => {
                    if self.answer(request, lock).await == Changed::Something {
                        self.tell(lock);
                        due.as_mut().reset(time::Instant::now());
                    }
                }
                Ok(()) = self.hangup.next() => {
                    self.reload().await;
                    self.tell(lock);
                    due.as_mut().reset(time::Instant::now());
                }
                event = self.watch.next() => {
                    self.interfaces.note(&event);
                    let soon = time::Instant::now() + SETTLE;
                    if due.deadline() > soon {
                        due.as_mut().reset(soon);
                    }
                }
                () = due.as_mut() => {
                    let next = if self.look_around().await { IDLE } else { RETRY };
                    // A clock that is set makes it another time: looked at again, it is known.
                    let turn = self.services.keep_to_form(&self.datapath.maps).unwrap_or(IDLE);
                    due.set(time::sleep(next.min(turn)));
                    self.announcer.interfaces(self.interfaces.attached().next().is_some());
                    self.tell(lock);
                }
                Some(successor) = self.successors.1.recv() => return Ok(successor),
                () = packets(self.packet_log.as_mut()) => {}
            }
        }
    }

    /// Follows changes of links and addresses; whether all could be followed. The same trouble is told once.
    async fn look_around(&mut self) -> bool {
        let errors = match self.netlink.addresses().await {
            Ok(addresses) => {
                let attached = self.interfaces.follow(&addresses, &mut self.datapath, &self.netlink).await;
                let served = self.serve(&addresses);
                let witnessed = self.witnesses.follow(&addresses).await;
                [attached.err().map(Into::into), served.err(), witnessed.err().map(Into::into)]
            }
            Err(error) => [Some(error.into()), None, None],
        };
        let trouble: Vec<_> =
            errors.iter().flatten().map(|error: &anyhow::Error| format!("{error:#}")).collect();
        let (trouble, followed) = (trouble.join("; "), trouble.is_empty());
        if self.trouble != trouble {
            self.trouble = trouble;
            if !followed {
                log::warn!("{}", self.trouble);
            }
        }
        followed
    }

    fn serve(&mut self, addresses: &[Address]) -> Result<()> {
        let kept = self.keep_to(rules(&self.config.policies, addresses));
        let maps = &self.datapath.maps;
        let endpoints = endpoints(&self.config.services, addresses);
        maps.serve(endpoints.as_ref().unwrap_or(&BTreeMap::new()))?;
        endpoints?;
        Ok(kept?)
    }

    /// Tells the verbs, now and for when this process is dead.
    fn tell(&self, lock: &InstanceLock) {
        let Self { program, netns, interfaces, services, witnesses, config, rules, .. } = self;
        let state = state(program, *netns, interfaces, services, witnesses, &config.policies, rules);
        if let Err(error) = file::write(lock, &state) {
            log::warn!("cannot write {}: {error}", lock.instance().state_path().display());
        }
        self.state.send_replace(state);
    }

    /// Has another program go on in this process, with all that this one holds. If this returns, it could not.
    fn make_way(&self, successor: &Path, lock: &InstanceLock) {
        self.tell(lock);
        lines::STDOUT.finish();
        lines::STDERR.finish();
        let why = upgrade::at_origin(&self.reading.origin, successor)
            .err()
            .unwrap_or_else(|| succession::succeed(successor, upgrade::arguments(), lock));
        log::error!("cannot go on as {}: {why}; going on as before", successor.display());
        if let Err(error) = namespaces::enter_host_mount_namespace() {
            log::error!("{error}");
        }
    }

    /// Releases all names, then takes the programs off.
    async fn leave(&mut self) {
        self.services.stop();
        while self.services.tasks.join_next().await.is_some() {}
        // What is given back is given back to them, too.
        self.witnesses.leave().await;
        while let Ok(event) = self.services.events.try_recv() {
            self.announcer.claim(event);
        }
        for attached in self.interfaces.attached() {
            self.datapath.detach(attached.index, self.netns);
        }
    }
}

/// What the verbs are told.
fn state(
    program: &Program,
    netns: NetNs,
    interfaces: &Interfaces,
    services: &Services,
    witnesses: &Witnesses,
    policies: &Policies,
    rules: &Rules,
) -> State {
    State {
        program: program.clone(),
        netns,
        interfaces: interfaces.attached().cloned().collect(),
        services: services.states(),
        witnesses: witnesses.states(),
        policies: policies.into(),
        left_to_server: rules.left_to_server,
    }
}

/// Silences what is not wanted, here and in the maps of another version, and waits until it is off the wire.
async fn silence(config: &Config, datapath: &Datapath, last: Option<&State>) -> Result<()> {
    let Config { services, policies, .. } = config;
    let mut silenced = silence_what_is_not_wanted(services, &policies.nsid, &datapath.maps, last);
    for maps in datapath.other_maps().context("cannot read the pins of this instance")? {
        silenced |= silence_what_is_not_wanted(&[], &policies.nsid, &maps, None);
    }
    if silenced {
        time::sleep(clock::silence()).await;
    }
    Ok(())
}

/// Logs what the programs tell of packets, as it comes.
async fn packets(log: Option<&mut AsyncFd<PacketLog>>) {
    let Some(log) = log else { return std::future::pending().await };
    if let Ok(mut ready) = log.readable_mut().await {
        ready.get_inner_mut().flush();
        ready.clear_ready();
    }
}
