//! Three nodes with names from their host, switched off and on again, and one question that needs no server.

use std::process::ExitCode;

use nsid_tests::{servers::Software, wire::INTERFACE};

use crate::{
    stage::{Node, Stage, command_line},
    table::Table,
};

/// The configuration of every agent.
const CONFIGURATION: [&str; 6] =
    ["--iface", INTERFACE, "--store", "local", "--pattern", "worker{id}.demo.local"];

/// Plays it; success only if every fact shown holds.
pub(crate) fn play() -> ExitCode {
    println!(
        "Three name servers, unchanged, none of which was given a name, and a client that asks each of them with"
    );
    println!("    dig +nsid a.example.test.           (the name in the answer: EDNS NSID, RFC 5001)");
    println!("    dig CH TXT id.server.               (the name as the answer: RFC 4892)");
    println!("Beside each server the agent is started, everywhere with the same configuration:");
    println!("    {}\n", command_line(&CONFIGURATION));
    let mut stage = Stage::build([Software::Nsd, Software::Unbound, Software::Nsd]);
    let mut table = Table::new(&stage.headings());

    table.line("NSID before", &stage.nsids(|_| None));

    stage.nodes.iter_mut().for_each(|node| node.start_agent(&CONFIGURATION));
    let names: Vec<String> = stage.nodes.iter_mut().map(Node::ready).collect();
    let all_differ = (1..names.len()).all(|index| !names[..index].contains(&names[index]));
    table.line("the agent says: ready", &stage.facts(|index, _| (Some(names[index].clone()), all_differ)));
    table.line("NSID", &stage.nsids(|index| Some(&names[index])));

    stage.nodes.iter().for_each(|node| node.agent().off());
    table.line("NSID after `nsid off`", &stage.nsids(|_| None));
    stage.nodes.iter().for_each(|node| node.agent().on());
    table.line("NSID after `nsid on`", &stage.nsids(|index| Some(&names[index])));

    stage.nodes.iter_mut().for_each(Node::stop_server);
    let identity = |index: usize, node: &Node| {
        let text = stage.ask_the_identity(node).and_then(|report| report.texts.into_iter().next());
        let holds = text.as_ref() == Some(&names[index]);
        (text, holds)
    };
    table.line("id.server., the server stopped", &stage.facts(identity));

    stage.close(table.holds(), "The kernel wrote the names; the servers know nothing of them.")
}
