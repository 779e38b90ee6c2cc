//! What `dig` and `kdig` make of an answer: two DNS implementations that are not ours.

use std::net::IpAddr;

use crate::netns::Namespace;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// BIND's.
    Dig,
    /// Knot DNS's.
    Kdig,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dig, Self::Kdig];

    fn name(self) -> &'static str {
        match self {
            Self::Dig => "dig",
            Self::Kdig => "kdig",
        }
    }
}

/// What it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The response code's name, as `NOERROR`.
    pub status: String,
    /// The NSID, as text.
    pub nsid: Option<String>,
    /// The warnings: a malformed message, another id, another question.
    pub warnings: Vec<String>,
    /// The text of the TXT records.
    pub texts: Vec<String>,
    /// Whether a TSIG record came with it; if that does not verify, there is a warning (RFC 8945 5.3).
    pub signed: bool,
}

/// Asks once, without retries, and tells what came, if anything did; the arguments are the program's own, as `+nsid`.
pub fn dig(program: Program, namespace: &Namespace, server: IpAddr, arguments: &[&str]) -> Option<Report> {
    let mut command = namespace.command(program.name());
    let retries = match program {
        Program::Dig => "+tries=1",
        Program::Kdig => "+retry=0",
    };
    command.args([&format!("@{server}"), "+norecurse", "+timeout=2", retries]).args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.name()));
    output.status.success().then(|| parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(output: &str) -> Report {
    let after = |line: &str, start: &str| Some(line.split_once(start)?.1.to_owned());
    let quoted = |line: &str| Some(line.split_once('"')?.1.rsplit_once('"')?.0.to_owned());
    let word = |text: &str| text.split([',', ';']).next().unwrap_or_default().trim().to_owned();
    Report {
        status: output
            .lines()
            .find_map(|line| after(line, "status: "))
            .map(|rest| word(&rest))
            .unwrap_or_default(),
        nsid: output.lines().filter(|line| line.starts_with(';') && line.contains("NSID: ")).find_map(quoted),
        warnings: output.lines().filter(|line| is_warning(line)).map(str::to_owned).collect(),
        texts: output
            .lines()
            .filter(|line| !line.starts_with(';') && line.contains("TXT"))
            .filter_map(quoted)
            .collect(),
        signed: output.lines().any(|line| line.contains("TSIG PSEUDOSECTION")),
    }
}

fn is_warning(line: &str) -> bool {
    line.contains("WARNING") || line.contains("ERROR") && !line.contains("NOERROR") || line.contains("verify")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dig_prints() {
        let report = parse(
            ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7\n; NSID: 61 62 (\"ab\")\n\
             ;id.server.\t\t\tCH\tTXT\nid.server.\t0\tCH\tTXT\t\"ab\"\n;; WARNING: extra input\n",
        );
        assert_eq!(report.status, "NOERROR");
        assert_eq!(report.nsid.as_deref(), Some("ab"));
        assert_eq!(report.texts, ["ab"]);
        assert_eq!(report.warnings, [";; WARNING: extra input"]);
    }

    #[test]
    fn reads_what_kdig_prints() {
        let report = parse(
            ";; ->>HEADER<<- opcode: QUERY; status: NXDOMAIN; id: 7\n\
             ;; Version: 0; flags: ; UDP size: 1232 B; ext-rcode: NOERROR\n;; NSID: 6162 \"ab\"\n",
        );
        assert_eq!(report.status, "NXDOMAIN");
        assert_eq!(report.nsid.as_deref(), Some("ab"));
        assert_eq!((report.texts.len(), report.warnings.len()), (0, 0));
    }
}
