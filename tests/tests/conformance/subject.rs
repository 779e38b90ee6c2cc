//! A server with the agent, and its twin without.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use nsid_tests::{
    agent::{Agent, nsid},
    apart::Apart,
    checksum_errors::checksum_errors,
    client::{Client, PORT},
    link::{TxChecksum, set_tx_checksum},
    message::{Answer, Query},
    netns::Namespace,
    patience::until,
    servers::{Dnssec, Options, PRESENT, Server, Software},
    wire::{INTERFACE, NEAR, Wire},
};

/// The name that the agent says.
pub(crate) const NAME: &str = "worker17.example.net";

/// What a server says by itself where it is told to.
pub(crate) const OWN: &str = "an-nsid-that-the-server-has-of-its-own";

/// How long an answer may take: resolvers ask a failing server again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the server's own host, at its interface to the world.
    Host,
    /// On the host of the container that the server is in, at the host's end of the container's link.
    ContainersHost,
}

/// Two of the same server.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What it is.
    pub(crate) software: Software,
    agent: Agent,
    with: Twin,
    without: Twin,
}

#[derive(Debug)]
struct Twin {
    _server: Server,
    wire: Wire,
}

/// One of the addresses of a subject, as a client sees it.
#[derive(Debug)]
pub(crate) struct Side<'a> {
    /// What is asked.
    pub(crate) subject: &'a Subject,
    /// Its address, with the agent and without.
    pub(crate) address: IpAddr,
    with: Client,
    without: Client,
}

/// What both answered.
#[derive(Debug)]
pub(crate) struct Pair {
    /// With the agent.
    pub(crate) with: Answer,
    /// Without.
    pub(crate) without: Answer,
}

/// What a rule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// The rule was kept, and there was something for it to be kept on.
    Kept,
    /// The server does not answer with what the rule is about; the name is there, and nothing else is new.
    Absent,
    /// The answer left as it would have without us.
    Unchanged,
}

impl Subject {
    /// Starts both, and the agent beside one.
    pub(crate) fn start(software: Software, place: Place, own_nsid: Option<&str>) -> Self {
        let options = Options { own_nsid, dnssec: Dnssec::Signed, ..Options::default() };
        let [with, without] = [(); 2].map(|()| Twin::start(software, place, options));
        let store = format!("static:{NAME}");
        let (namespace, interface) = match (&with.wire.router, place) {
            (Some(host), Place::ContainersHost) => (host, NEAR),
            _ => (&with.wire.server, INTERFACE),
        };
        let listen = with.wire.addresses.both().map(|address| SocketAddr::from((address, PORT)).to_string());
        let mut arguments = vec!["--iface", interface, "--store", &store];
        if place == Place::ContainersHost {
            arguments.extend(listen.iter().flat_map(|listen| ["--listen", listen]));
        }
        let agent = Agent::start(namespace, &arguments);
        Self { software, agent, with, without }
    }

    /// Its sides.
    pub(crate) fn sides(&self) -> [Side<'_>; 2] {
        self.with.wire.addresses.both().map(|address| Side {
            subject: self,
            address,
            with: Client::new(&self.with.wire.client, address),
            without: Client::new(&self.without.wire.client, address),
        })
    }

    /// Sets who computes the checksums of what the servers send.
    pub(crate) fn set_tx_checksum(&self, tx: TxChecksum) {
        for twin in [&self.with, &self.without] {
            set_tx_checksum(&twin.wire.server, INTERFACE, tx);
        }
    }

    /// Where clients are: of the one without us, then of the other. Whatever is asked of one must be asked of both, or a
    /// cache makes them differ.
    pub(crate) fn clients(&self) -> [(&'static str, &Namespace); 2] {
        [("without us", &self.without.wire.client), ("with us", &self.with.wire.client)]
    }

    /// Answers that the client's kernel dropped for their checksum.
    pub(crate) fn checksum_errors(&self) -> u64 {
        let (v4, v6) = checksum_errors(&self.with.wire.client);
        v4 + v6
    }

    /// From now on the agent leaves the server's own NSID where there is one.
    pub(crate) fn keep_own_nsid(&self) {
        let output = nsid(&["set", "--instance", self.agent.instance().name(), "own-nsid=keep"]);
        assert!(output.status.success(), "nsid set: {output:?}");
    }

    /// The NSID that the server says by itself.
    pub(crate) fn own_nsid(&self, query: &Query) -> Option<String> {
        let [v4, _] = self.without.wire.clients();
        v4.ask(query).nsid_option()
    }
}

/// How long until the neighbours of a new link are found.
const START: Duration = Duration::from_secs(10);

impl Twin {
    fn start(software: Software, place: Place, options: Options<'_>) -> Self {
        let wire = match place {
            Place::Host => Wire::routed(),
            Place::ContainersHost => Wire::container(),
        };
        let server = Server::start(software, &wire.server, wire.addresses, options);
        // The first packet may be lost while the neighbours are looked for.
        for client in wire.clients() {
            until(START, "an answer through the router", || {
                client.ask_within(Duration::from_millis(200), &Query::a(PRESENT)).is_some()
            });
        }
        Self { _server: server, wire }
    }
}

impl Side<'_> {
    /// Asks both.
    pub(crate) fn ask(&self, query: &Query) -> Result<Pair, String> {
        const ID: u16 = 7;
        for client in [&self.with, &self.without] {
            client.send(ID, query);
        }
        let [with, without] = [&self.with, &self.without].map(|client| client.receive(ID, PATIENCE));
        match (with, without) {
            (Some(with), Some(without)) => Ok(Pair { with, without }),
            (with, without) => Err(format!(
                "{query:?}: with us {}, without {}",
                with.map_or("no answer", |_| "an answer"),
                without.map_or("no answer", |_| "an answer")
            )),
        }
    }
}

impl Pair {
    /// The name is in the answer and nothing else in it is new; or nothing is new at all.
    pub(crate) fn judge(&self) -> Result<Found, String> {
        let Self { with, without } = self;
        if with.nsid().as_deref() == Some(NAME) {
            let (with, without) = (Apart::from_nsid(with), Apart::from_nsid(without));
            return if with == without {
                Ok(Found::Kept)
            } else {
                Err(format!("the name, and more: {with:?}\nwithout us {without:?}"))
            };
        }
        self.unchanged()
    }

    /// Nothing is new.
    pub(crate) fn unchanged(&self) -> Result<Found, String> {
        let (with, without) = (Apart::of(&self.with), Apart::of(&self.without));
        if with == without {
            Ok(Found::Unchanged)
        } else {
            Err(format!("not the server's own answer: {with:?}\nwithout us {without:?}"))
        }
    }
}
