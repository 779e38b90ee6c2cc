//! What a person gets wrong on the command line or in the file: the real binary refuses it, in at most three lines
//! that name what is at fault and how to mend it.

use std::{
    fs,
    process::{Command, Output},
};

/// Arguments; the content of `nsid.toml` beside it; what stderr must hold.
type Row = (&'static [&'static str], &'static str, &'static [&'static str]);

/// For rows about flags alone.
const NO_FILE: &str = "";

const RUN_FILE: &[&str] = &["run", "--config", "nsid.toml"];

fn nsid(args: &[&str], file: &[u8]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nsid.toml"), file).unwrap();
    Command::new(env!("CARGO_BIN_EXE_nsid")).args(args).current_dir(dir.path()).output().unwrap()
}

/// Runs one row; what is wrong with the outcome, if anything is.
fn fault_of((args, file, fragments): &Row) -> Option<String> {
    let output = nsid(args, file.as_bytes());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let missing = fragments.iter().filter(|fragment| !stderr.contains(**fragment)).collect::<Vec<_>>();
    let lines = stderr.lines().count();
    let code = output.status.code();
    let refused =
        missing.is_empty() && (1..=3).contains(&lines) && code == Some(2) && output.stdout.is_empty();
    (!refused).then(|| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        format!(
            "{args:?} with {file:?}: exit {code:?}, {lines} lines, missing {missing:?}\n{stderr}stdout: {stdout:?}\n"
        )
    })
}

fn every_row_is_refused(rows: &[Row]) {
    let faults = rows.iter().filter_map(fault_of).collect::<String>();
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn a_wrong_flag_is_refused() {
    every_row_is_refused(&[
        (
            &[],
            NO_FILE,
            &[
                "requires a subcommand",
                "run, on, off, upgrade, set, status, names, wait, release, detach",
                "nsid --help",
            ],
        ),
        (&["rum"], NO_FILE, &["'rum'", "'run'"]),
        (&["run", "--ifac", "eth0"], NO_FILE, &["'--ifac'", "'--iface'", "nsid run --help"]),
        (&["run", "eth0"], NO_FILE, &["'eth0'", "nsid run --help"]),
        (&["run", "--iface", "eth0", "--listen"], NO_FILE, &["--listen <ADDR:PORT>", "value is required"]),
        (&["run", "--instance", "a", "--instance", "b"], NO_FILE, &["--instance", "multiple times"]),
        (&["run", "--observe=maybe"], NO_FILE, &["--observe", "'maybe'", "true, false"]),
        (&["on", "default"], NO_FILE, &["'default'", "nsid on --help"]),
        (&["off", "--instance", "../x"], NO_FILE, &["--instance", "\"../x\"", "a-z"]),
        (&["status", "--jsn"], NO_FILE, &["'--jsn'", "'--json'"]),
        (&["detach", "--json"], NO_FILE, &["'--json'", "nsid detach --help"]),
        (&["probe"], NO_FILE, &["<ADDR[:PORT]>", "nsid probe --help"]),
        (&["probe", "192.0.2.1", "192.0.2.2"], NO_FILE, &["'192.0.2.2'", "nsid probe --help"]),
    ]);
}

#[test]
fn a_wrong_value_of_a_flag_is_refused() {
    const LABEL_64: &str = "static:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.net";
    const NAME_129: &str = "static:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
                            .aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    every_row_is_refused(&[
        (&["run"], NO_FILE, &["no interface", "--iface IF"]),
        (&["run", "--iface", ""], NO_FILE, &["--iface", "ip link"]),
        (&["run", "--iface", "an-interface-of-17"], NO_FILE, &["--iface", "1 to 15 bytes", "ip link"]),
        (&["run", "--iface", "eth0/1"], NO_FILE, &["--iface", "\"eth0/1\""]),
        (
            &["run", "--iface", "eth0", "--answer", "loca"],
            NO_FILE,
            &["--answer", "'loca'", "local, any, off"],
        ),
        (
            &["run", "--iface", "eth0", "--allow", "10.0.0.1/8"],
            NO_FILE,
            &["--allow", "10.0.0.0/8 for the network"],
        ),
        (
            &["run", "--iface", "eth0", "--allow", "10.0.0.0/8", "--deny", "10.0.0.0/8"],
            NO_FILE,
            &["10.0.0.0/8", "both in allow and in deny"],
        ),
        (&["run", "--iface", "eth0", "--nsid", "hmac:key"], NO_FILE, &["--nsid", "whole path"]),
        (
            &["run", "--iface", "eth0", "--nsid", "hmac:/nonexistent/key"],
            NO_FILE,
            &["nsid", "/nonexistent/key"],
        ),
        (&["run", "--iface", "eth0", "--nsid-period", "0s"], NO_FILE, &["--nsid-period", "from 1s"]),
        (&["run", "--iface", "eth0", "--max-udp-size", "511"], NO_FILE, &["--max-udp-size", "from 512"]),
        (&["run", "--iface", "eth0", "--own-nsid", "drop"], NO_FILE, &["--own-nsid", "replace, keep"]),
        (&["run", "--iface", "eth0", "--answer-rate", "0"], NO_FILE, &["--answer-rate", "from 1"]),
        (&["set", "nosuch=1"], NO_FILE, &["\"nosuch\"", "answer, allow, deny"]),
        (&["set", "iface=eth1"], NO_FILE, &["iface cannot change"]),
        (&["run", "--iface", "eth0", "--ingress", "xdp"], NO_FILE, &["--ingress", "auto, native, generic"]),
        (&["run", "--iface", "eth0", "--instance", "A"], NO_FILE, &["--instance", "\"A\"", "a-z, 0-9"]),
        (&["run", "--iface", "eth0", "--store", "etcd://h:1"], NO_FILE, &["--store", "--pattern"]),
        (
            &["run", "--iface", "eth0", "--store", "etcd://h:0", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "\"h:0\"", "etcd://HOST:PORT"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "etcd://a,u@b", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "etcd://USER@HOST:PORT"],
        ),
        (&["run", "--iface", "eth0", "--store", "static"], NO_FILE, &["--store", "static:NAME"]),
        (&["run", "--iface", "eth0", "--store", "static:"], NO_FILE, &["--store", "empty"]),
        (
            &["run", "--iface", "eth0", "--store", "static:n s"],
            NO_FILE,
            &["--store", "label \"n s\"", "use ASCII"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "static:a..b"],
            NO_FILE,
            &["--store", "\"a..b\"", "empty label"],
        ),
        (
            &["run", "--iface", "eth0", "--store", LABEL_64],
            NO_FILE,
            &["--store", "label \"aaaa", "64 bytes", "63"],
        ),
        (&["run", "--iface", "eth0", "--store", NAME_129], NO_FILE, &["--store", "129 bytes", "128"]),
        (&["run", "--iface", "eth0", "--limit", "0"], NO_FILE, &["--limit", "from 1"]),
        (&["run", "--iface", "eth0", "--limit", "many"], NO_FILE, &["--limit", "\"many\""]),
        (&["run", "--iface", "eth0", "--limit", "-1"], NO_FILE, &["--limit", "\"-1\"", "from 1"]),
        (&["run", "--iface", "eth0", "--ttl", "0s"], NO_FILE, &["--ttl", "choose 1s to 1day"]),
        (&["run", "--iface", "eth0", "--ttl", "999ms"], NO_FILE, &["--ttl", "choose 1s to 1day"]),
        (&["run", "--iface", "eth0", "--ttl", "0"], NO_FILE, &["--ttl", "1s"]),
        (&["run", "--iface", "eth0", "--ttl", "10"], NO_FILE, &["--ttl", "unit", "10s"]),
        (
            &["run", "--iface", "eth0", "--listen", "192.0.2.1"],
            NO_FILE,
            &["--listen", "no port", "192.0.2.1:53"],
        ),
        (
            &["run", "--iface", "eth0", "--listen", "2001:db8::1"],
            NO_FILE,
            &["--listen", "no port", "[2001:db8::1]:53"],
        ),
        (&["run", "--iface", "eth0", "--listen", "192.0.2.1:0"], NO_FILE, &["--listen", "port 0"]),
        (
            &["run", "--iface", "eth0", "--listen", "ns1:53"],
            NO_FILE,
            &["--listen", "\"ns1:53\"", "192.0.2.1:53"],
        ),
        (&["probe", "ns1.example.net"], NO_FILE, &["\"ns1.example.net\"", "no address", "192.0.2.1"]),
        (&["probe", "192.0.2.1:0"], NO_FILE, &["port 0", "write 192.0.2.1 "]),
        (&["probe", "192.0.2.1", "--timeout", "2"], NO_FILE, &["--timeout", "unit", "2s"]),
        (&["probe", "192.0.2.1", "--timeout", "0s"], NO_FILE, &["--timeout", "choose 10ms to 1m"]),
    ]);
}

#[test]
fn an_unknown_store_is_refused_with_those_that_there_are() {
    every_row_is_refused(&[(
        &["run", "--iface", "eth0", "--store", "http://h:1"],
        NO_FILE,
        &[
            "--store",
            "\"http://h:1\"",
            "etcds://HOST:PORT,..., zk:// or zks://HOST:PORT,... and peers://ADDRESS:PORT",
        ],
    )]);
}

#[test]
fn a_wrong_address_of_a_witness_is_refused() {
    every_row_is_refused(&[
        (&["run", "--iface", "eth0", "--store", "peers://10.0.0.1"], NO_FILE, &["--store", "--pattern"]),
        (
            &["run", "--iface", "eth0", "--store", "peers://ns1"],
            NO_FILE,
            &["--store", "\"ns1\"", "by numbers"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "peers://10.0.0.1,10.0.0.2"],
            NO_FILE,
            &["--store", "2 witnesses; give 1, 3 or 5"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "peers://192.0.2.1", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "192.0.2.1:7400 is no private address", "--cluster-key-file"],
        ),
    ]);
}

#[test]
fn a_wrong_address_of_a_zookeeper_is_refused() {
    every_row_is_refused(&[
        (&["run", "--iface", "eth0", "--store", "zk://h:1"], NO_FILE, &["--store", "--pattern"]),
        (
            &["run", "--iface", "eth0", "--store", "zk://h:0", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "\"h:0\"", "zk://HOST:PORT"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "zk://h/a//b", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "\"/a//b\"", "zk://HOST:PORT/dns/names"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "zk://a,u@b", "--pattern", "w{id}"],
            NO_FILE,
            &["--store", "zk://USER@HOST:PORT"],
        ),
    ]);
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{id}";
    every_row_is_refused(&[
        (&["run", "--iface", "eth0", "--store", "local"], NO_FILE, &["--store", "add --pattern 'worker{id}"]),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "w.x"],
            NO_FILE,
            &["--pattern", "\"w.x\"", "no {id}"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", ""],
            NO_FILE,
            &["--pattern", "no {id}"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "{id}{id}"],
            NO_FILE,
            &["--pattern", "more than one {id}"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "att1{id}"],
            NO_FILE,
            &["--pattern", "\"att1{id}\"", "digit beside {id}", "put a '-' between"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "w{id}..x"],
            NO_FILE,
            &["--pattern", "empty label"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "w{id}{x}"],
            NO_FILE,
            &["--pattern", "'{'"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--pattern", "w{id}\n\n\nx\n"],
            NO_FILE,
            &["--pattern", "'\\n'"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "local", "--limit", "1000", "--pattern", LONG],
            NO_FILE,
            &["--pattern", "slot 999", "64 bytes", "63"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "static:a", "--pattern", "w{id}"],
            NO_FILE,
            &["--pattern", "drop it"],
        ),
        (
            &["run", "--iface", "eth0", "--store", "static:a", "--limit", "3"],
            NO_FILE,
            &["--limit", "drop it"],
        ),
        (&["run", "--iface", "eth0", "--store", "static:a", "--ttl", "5s"], NO_FILE, &["--ttl", "drop it"]),
    ]);
}

#[test]
fn a_wrong_file_is_refused() {
    every_row_is_refused(&[
        (&["run", "--config", "absent.toml"], NO_FILE, &["--config absent.toml", "No such file"]),
        (&["run", "--config", "."], NO_FILE, &["--config .", "it is a directory"]),
        (RUN_FILE, "", &["no interface", "--iface", "iface = [\"IF\"]", "nsid.toml"]),
        (RUN_FILE, "\niface = [\"eth0\"", &["nsid.toml:2", "[[services]]"]),
        (RUN_FILE, "iface", &["nsid.toml:1", "`iface`"]),
        (RUN_FILE, "iface = 'eth0'\niface = 'eth1'", &["nsid.toml:2", "duplicate key"]),
        (RUN_FILE, "iface = []", &["nsid.toml:1", "iface"]),
        (RUN_FILE, "iface = 3", &["nsid.toml:1", "`iface = 3`", "list of strings"]),
        (RUN_FILE, "\n\niface = ['a b']", &["nsid.toml:3", "iface", "\"a b\"", "ip link"]),
        (RUN_FILE, "ifaces = ['eth0']", &["nsid.toml:1", "unknown key `ifaces`", "`iface`"]),
        (RUN_FILE, "config = 'x'", &["nsid.toml:1", "unknown key `config`"]),
        (RUN_FILE, "store = 'local'", &["nsid.toml:1", "unknown key `store`", "under [[services]]"]),
        (RUN_FILE, "iface = [\n  'eth0',\n  'a/b']", &["nsid.toml:1", "`iface = [`", "\"a/b\"", "ip link"]),
        (RUN_FILE, "\"a\\nb\\nc\\nd\" = 1", &["nsid.toml:1", "unknown key"]),
        (RUN_FILE, "answer = 'all'", &["nsid.toml:1", "`answer = 'all'`", "`local`, `any`"]),
        (RUN_FILE, "ingress = 'xdp'", &["nsid.toml:1", "ingress", "`native`"]),
        (RUN_FILE, "observe = 'yes'", &["nsid.toml:1", "observe", "boolean"]),
        (RUN_FILE, "instance = 'a/b'", &["nsid.toml:1", "instance", "\"a/b\""]),
        (RUN_FILE, "[services]\nstore = 'local'", &["nsid.toml:1", "[services]", "[[services]]"]),
    ]);
}

#[test]
fn a_wrong_service_in_the_file_is_refused() {
    every_row_is_refused(&[
        (RUN_FILE, "[[services]]\nanswer = 'any'", &["nsid.toml:2", "unknown key `answer`"]),
        (RUN_FILE, "[[services]]\nstore = 'http://h'", &["nsid.toml:2", "unknown store \"http://h\""]),
        (RUN_FILE, "[[services]]\nlimit = 0", &["nsid.toml:2", "`limit = 0`", "from 1"]),
        (RUN_FILE, "[[services]]\nlimit = '8'", &["nsid.toml:2", "limit", "a whole number"]),
        (RUN_FILE, "[[services]]\nttl = 10", &["nsid.toml:2", "`ttl = 10`", "string"]),
        (RUN_FILE, "[[services]]\nttl = '0s'", &["nsid.toml:2", "ttl", "choose 1s to 1day"]),
        (RUN_FILE, "[[services]]\nlisten = ['[::]']", &["nsid.toml:2", "listen", "no port"]),
        (
            RUN_FILE,
            "iface = 'eth0'\n[[services]]\nstore = 'static:a'\nttl = '5s'",
            &["nsid.toml: `ttl` of [[services]] number 1", "drop it"],
        ),
        (
            RUN_FILE,
            "iface = 'eth0'\n[[services]]\nstore = 'static:a'\n[[services]]\nstore = 'local'",
            &["nsid.toml: `store` of [[services]] number 2", "pattern = "],
        ),
        (
            RUN_FILE,
            "iface = 'eth0'\n[[services]]\nstore = 'local'\npattern = 'w'",
            &["nsid.toml: `pattern` of [[services]] number 1", "no {id}"],
        ),
        (
            RUN_FILE,
            "iface = 'eth0'\n[[services]]\nstore = 'static:a'\n[[services]]\nstore = 'static:b'",
            &["nsid.toml", "number 1 and number 2", "0.0.0.0:53", "`listen`"],
        ),
        (
            &["run", "--config", "nsid.toml", "--listen", "192.0.2.1:53"],
            "iface = 'eth0'\n[[services]]\nstore = 'static:a'\n[[services]]\nlisten = '192.0.2.2:53'",
            &["--listen", "nsid.toml lists 2", "drop the flag"],
        ),
    ]);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let output = nsid(RUN_FILE, b"iface = 'eth0'\n# \xff\xfe\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "error: nsid.toml:2: not UTF-8; save the file as UTF-8 text\n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn help_and_version_are_no_errors() {
    for (args, fragment) in [
        (&["--version"][..], concat!("nsid ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], "detach"),
        (&["run", "--help"], "[[services]]"),
        (&["help", "status"], "--json"),
        (&["probe", "--help"], "nsid probe 192.0.2.1"),
    ] {
        let output = nsid(args, b"");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(fragment), "{args:?}");
    }
}
