//! Policies that change while the agent runs: by `nsid set`, and by reading the configuration again (SIGHUP). What is
//! wrong in any of it is found before anything is changed.

use anyhow::{Context, Result, bail};
use nsid_common::clients::INTERVALS;

use super::{Agent, Reading};
use crate::{
    clock::BootTime,
    config::{self, Change, Config, OwnNsid, Policies},
    datapath::{PolicyError, Rules},
    form::Form,
    host::addresses::Address,
    set::{SetReply, SetRequest},
    state::State,
};

/// Policies as the programs keep to them, on a host with these addresses.
pub(super) fn rules(policies: &Policies, addresses: &[Address]) -> Rules {
    let (clients, left_to_server) = policies.clients().intervals_within(INTERVALS as usize, addresses);
    Rules {
        clients,
        left_to_server,
        max_udp_size: policies.max_udp_size.get(),
        keep_own: policies.own_nsid == OwnNsid::Keep,
        answer_rate: policies.answer_rate.get(),
    }
}

/// A word in the log, if there are more ranges of clients than the programs look through.
pub(super) fn warn_of_left_out(rules: &Rules) {
    if rules.left_to_server > 0 {
        log::warn!(
            "this host's networks, with allow and deny, make more than {INTERVALS} ranges of addresses; what comes from \
             {} of them is left to the server, the smallest first",
            rules.left_to_server
        );
    }
}

impl Reading {
    /// What the command line and its file say now. Files are looked up as when the agent was started.
    fn again(&self) -> Result<Config> {
        Ok(self.at_origin(|| self.source.load())??)
    }

    /// Those policies with these changes.
    fn changed(&self, policies: &Policies, changes: &[Change]) -> Result<Policies> {
        Ok(self.at_origin(|| config::changed(policies, changes))??)
    }

    /// The policies that were in force in the predecessor, whatever the configuration says now.
    pub(super) fn kept(&self, config: &Config, predecessor: &State) -> Result<Policies> {
        let settings = predecessor.policies.settings();
        let changes = settings.iter().map(|setting| setting.parse()).collect::<Result<Vec<Change>, _>>()?;
        let policies = self.changed(&config.policies, &changes)?;
        policies.fit(&config.services)?;
        Ok(policies)
    }

    fn at_origin<T: Send>(&self, read: impl FnOnce() -> T + Send) -> Result<T> {
        self.origin.read(read).context("cannot look files up where the agent was started")
    }
}

impl Agent {
    /// Answers `nsid set`.
    pub(super) async fn set(&mut self, request: SetRequest) -> SetReply {
        match self.try_set(request).await {
            Ok(()) => {
                log::info!("policies set by `nsid set`");
                SetReply::Set((&self.config.policies).into())
            }
            Err(error) => SetReply::Refused(format!("{error:#}")),
        }
    }

    async fn try_set(&mut self, SetRequest { set, until }: SetRequest) -> Result<()> {
        let changes = set.iter().map(|change| change.parse()).collect::<Result<Vec<Change>, _>>()?;
        let policies = self.reading.changed(&self.config.policies, &changes)?;
        // Looked at last: a file may have been slow to read, and who asked has been told that nothing is changed.
        if BootTime::from_nanos(until).passed() {
            bail!("asked too late");
        }
        self.change_to(policies).await
    }

    /// Reads the configuration again, and has its policies be in force.
    pub(super) async fn reload(&mut self) {
        match self.try_reload().await {
            Ok(()) => log::info!("configuration read again"),
            Err(error) => log::error!("configuration read again, and nothing is changed: {error:#}"),
        }
    }

    async fn try_reload(&mut self) -> Result<()> {
        let config = self.reading.again()?;
        if let Some(key) = self.config.differs_in(&config) {
            bail!(
                "{key} cannot change while it runs, nor what is in a file that is named there; `nsid upgrade` has the agent \
                 go on with it, and keep its names"
            );
        }
        self.change_to(config.policies).await
    }

    /// Everything that can be refused is looked at before anything is changed.
    async fn change_to(&mut self, policies: Policies) -> Result<()> {
        policies.fit(self.services.configured())?;
        let addresses = self.netlink.addresses().await?;
        let rules = rules(&policies, &addresses);
        rules.fit()?;
        // Who may see less of a name than before does so before more may see it, and the other way about.
        if policies.form == Form::Name {
            self.keep_to(rules)?;
            self.services.say_in(policies.form.clone(), &self.datapath.maps);
        } else {
            self.services.say_in(policies.form.clone(), &self.datapath.maps);
            self.keep_to(rules)?;
        }
        self.config.policies = policies;
        Ok(())
    }

    /// Has the programs keep to these rules, if they do not.
    pub(super) fn keep_to(&mut self, rules: Rules) -> Result<(), PolicyError> {
        if self.rules != rules {
            self.datapath.maps.keep_to(&rules)?;
            if self.rules.left_to_server == 0 {
                warn_of_left_out(&rules);
            }
            self.rules = rules;
        }
        Ok(())
    }
}
