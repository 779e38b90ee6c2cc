//! What happens on the stage, and what must be seen.

use std::process::ExitCode;

use nsid_tests::dig::Report;

use crate::{
    stage::{CONFIGURATION, Node, Stage},
    table::{Fact, Table},
};

/// Plays it; success only if every fact shown holds.
pub(crate) fn play() -> ExitCode {
    println!(
        "Three name servers, unchanged, none of which was given a name, and a client that asks each of them with"
    );
    println!("    dig +nsid a.example.test.           (the name in the answer: EDNS NSID, RFC 5001)");
    println!("    dig CH TXT id.server.               (the name as the answer: RFC 4892)");
    println!("Beside each server the agent is started, everywhere with the same configuration:");
    println!("    nsid run {}\n", CONFIGURATION.map(quoted).join(" "));
    let mut stage = Stage::build();
    let heading = |(number, node): (usize, &Node)| format!("node {number} ({})", node.software());
    let mut table = Table::new(&(1..).zip(&stage.nodes).map(heading).collect::<Vec<_>>());

    table.line("NSID before", &stage.nsids(|_| None));

    stage.nodes.iter_mut().for_each(Node::start_agent);
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

    if !table.holds() {
        println!("\nNot all of this is as it must be. The agents' logs:");
        for (name, node) in names.iter().zip(&stage.nodes) {
            println!("---- {name}\n{}", node.agent().stderr());
        }
        return ExitCode::FAILURE;
    }
    if !stage.nodes.iter_mut().all(Node::terminate_agent) {
        println!("\nAn agent did not end well.");
        return ExitCode::FAILURE;
    }
    println!("\nThe kernel wrote the names; the servers know nothing of them.");
    ExitCode::SUCCESS
}

impl Stage {
    /// A line of the table: for each node what is seen, nothing being `none`, and whether it must be so.
    fn facts(&self, see: impl Fn(usize, &Node) -> (Option<String>, bool)) -> Vec<Fact> {
        let fact = |(index, node): (usize, &Node)| {
            let (seen, holds) = see(index, node);
            Fact { shown: seen.unwrap_or_else(|| "none".to_owned()), holds }
        };
        self.nodes.iter().enumerate().map(fact).collect()
    }

    /// The NSID in each server's answer, which must be there and carry this name.
    fn nsids<'a>(&self, expected: impl Fn(usize) -> Option<&'a String>) -> Vec<Fact> {
        self.facts(|index, node| match self.ask_an_address(node) {
            None => (Some("no answer".to_owned()), false),
            Some(Report { status, nsid, warnings, .. }) => {
                let holds = nsid.as_ref() == expected(index) && status == "NOERROR" && warnings.is_empty();
                (nsid, holds)
            }
        })
    }
}

/// As a shell wants it.
fn quoted(argument: &str) -> String {
    if argument.contains('{') { format!("'{argument}'") } else { argument.to_owned() }
}
