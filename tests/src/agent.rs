//! The agent under test: the `nsid` binary, as a user runs it.

use std::{
    env, fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    boot_clock,
    netns::Namespace,
    patience::{until, within},
    process::{Process, run},
    unique::{Prefix, Unique},
};

/// How long an agent may take to start, and to end when told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The binary: `NSID_BIN`, else the release build beside the test's own executable.
pub fn binary() -> PathBuf {
    find_binary().unwrap_or_else(|| panic!("no nsid: run `cargo xtask build`, or set NSID_BIN"))
}

fn find_binary() -> Option<PathBuf> {
    let beside = || {
        let test = env::current_exe().ok()?;
        test.ancestors().map(|above| above.join("release/nsid")).find(|path| path.exists())
    };
    env::var_os("NSID_BIN").map(PathBuf::from).or_else(beside)
}

/// The binary whose kernel programs have no fence: `NSID_WITHOUT_FENCE`.
pub fn binary_without_fence() -> PathBuf {
    let path = env::var_os("NSID_WITHOUT_FENCE").unwrap_or_else(|| {
        panic!(
            "no nsid without a fence: run `cargo xtask test`; or `cargo build --package nsid-user \
             --bin nsid-without-fence --features without-fence`, and set NSID_WITHOUT_FENCE to its path"
        )
    });
    path.into()
}

/// The binary that takes slots in etcd by a look and a put: `NSID_WITHOUT_TRANSACTION`.
pub fn binary_without_transaction() -> PathBuf {
    let path = env::var_os("NSID_WITHOUT_TRANSACTION").unwrap_or_else(|| {
        panic!(
            "no nsid without the transaction: run `cargo xtask test`; or `cargo build --package nsid-user \
             --bin nsid-without-transaction --features without-transaction`, and set NSID_WITHOUT_TRANSACTION to its path"
        )
    });
    path.into()
}

/// Runs a verb to its end, from the namespace of the caller.
pub fn nsid(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("nsid can be run")
}

/// Runs `nsid run` as an instance that must not come to run, and returns what it said; what runs on by mistake is
/// ended (`timeout` exits with 124 then, or 137).
pub fn run_refused(namespace: &Namespace, instance: &Instance, arguments: &[&str]) -> Output {
    let mut command = namespace.command("timeout");
    command.args(["--kill-after=1", "5"]).arg(binary());
    command.args(["run", "--instance", instance.name()]).args(arguments);
    let output = command.output().expect("timeout can be run");
    assert!(!matches!(output.status.code(), None | Some(0 | 124 | 137)), "it ran: {arguments:?} {output:?}");
    output
}

/// `nsid run` as this instance, not started yet. At native XDP, unless told otherwise: by itself it takes tc on veth.
pub fn run_command(binary: &Path, instance: &Instance, namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = namespace.command(binary.to_str().expect("a path in UTF-8"));
    command.arg("run").args(["--instance", instance.name()]).args(arguments);
    if !arguments.contains(&"--ingress") {
        command.args(["--ingress", "native"]);
    }
    command
}

/// Takes all of an instance off the host, as well as that can be done: for Drop, which must not panic.
pub(crate) fn detach(instance: &str) {
    if let Some(binary) = find_binary() {
        let _best_effort = Command::new(binary).args(["detach", "--instance", instance]).output();
    }
}

/// One instance of the agent. On Drop it is killed, and the instance detached.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    instance: Instance,
    _directory: TempDir,
}

/// An instance's name; on Drop, nothing of it is left on the host.
#[derive(Debug)]
pub struct Instance(Unique);

impl Instance {
    /// A new one.
    pub fn new(prefix: Prefix) -> Self {
        Self(Unique::new(prefix))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.as_str()
    }

    /// Runs a verb on it and panics if it fails.
    pub fn verb(&self, verb: &str) {
        let output = nsid(&[verb, "--instance", self.name()]);
        assert!(output.status.success(), "nsid {verb}: {output:?}");
    }

    /// `nsid upgrade` to a binary, to its end.
    pub fn upgrade(&self, binary: &Path) -> Output {
        let binary = binary.to_str().expect("a path in UTF-8");
        nsid(&["upgrade", binary, "--json", "--instance", self.name()])
    }

    /// What `nsid status --json` says of it.
    pub fn status(&self) -> Value {
        self.try_status().unwrap_or_else(|output| panic!("nsid status: {output:?}"))
    }

    /// The same, or what `nsid` said instead: of an agent that has only just been started, say, there is no status.
    pub fn try_status(&self) -> Result<Value, Output> {
        let output = nsid(&["status", "--json", "--instance", self.name()]);
        if !output.status.success() {
            return Err(output);
        }
        let status = serde_json::from_slice(&output.stdout);
        Ok(status.unwrap_or_else(|error| panic!("nsid status: {error}: {output:?}")))
    }

    /// What its claim is doing, in the word of `nsid status --json`.
    pub fn claim_state(&self) -> Option<String> {
        let status = self.try_status().ok()?;
        status["services"][0]["store"]["state"].as_str().map(str::to_owned)
    }

    /// Between when and when, since boot, the deadline is up to which the kernel says its name, if nobody moves it:
    /// what `nsid status` tells was left at some moment of its run.
    pub fn deadline(&self) -> RangeInclusive<Duration> {
        let before = boot_clock::now();
        let status = self.status();
        let after = boot_clock::now();
        let left = &status["services"][0]["deadline_ms"];
        let left = left.as_u64().unwrap_or_else(|| panic!("a deadline to come, not {left}: {status}"));
        // Told in whole milliseconds, rounded down.
        before + Duration::from_millis(left)..=after + Duration::from_millis(left + 1)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        detach(self.name());
    }
}

impl Agent {
    /// Starts `nsid run` in a namespace with these arguments, and waits for `ready`.
    pub fn start(namespace: &Namespace, arguments: &[&str]) -> Self {
        let mut agent = Self::spawn(namespace, arguments);
        agent.ready();
        agent
    }

    /// Starts `nsid run` as an instance of its own, and does not wait.
    pub fn spawn(namespace: &Namespace, arguments: &[&str]) -> Self {
        Self::spawn_as(Instance::new(Prefix::Test), namespace, arguments)
    }

    /// Starts `nsid run` as this instance, and does not wait.
    pub fn spawn_as(instance: Instance, namespace: &Namespace, arguments: &[&str]) -> Self {
        let command = run_command(&binary(), &instance, namespace, arguments);
        Self::spawn_command(instance, namespace, command)
    }

    /// Starts a [`run_command`] of this instance, and does not wait.
    pub fn spawn_command(instance: Instance, namespace: &Namespace, mut command: Command) -> Self {
        let directory = namespace.scratch();
        let process = Process::start(instance.name(), &mut command, directory.path());
        Self { process, instance, _directory: directory }
    }

    /// The name that it is ready with, waited for.
    pub fn ready(&mut self) -> String {
        within(PATIENCE, "the agent to be ready", || {
            let ended = self.process.ended();
            assert!(ended.is_none(), "the agent ended: {ended:?}\n{}", self.process.stderr());
            self.is_ready()
        })
    }

    /// The name that it is ready with now.
    pub fn is_ready(&self) -> Option<String> {
        self.stdout().lines().last()?.strip_prefix("ready: ").map(str::to_owned)
    }

    /// All it wrote to its standard output.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// The file that it writes its standard output to.
    pub fn stdout_path(&self) -> &Path {
        self.process.stdout_path()
    }

    /// All it wrote to its standard error.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// How many lines of that hold `part`.
    pub fn logged(&self, part: &str) -> usize {
        self.stderr().lines().filter(|line| line.contains(part)).count()
    }

    /// Its instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What `nsid status --json` says of it.
    pub fn status(&self) -> Value {
        self.instance.status()
    }

    /// Waits until its claim is doing that.
    pub fn until_claim_is(&self, state: &str) {
        until(PATIENCE, &format!("the claim to be {state}"), || {
            self.instance.claim_state().as_deref() == Some(state)
        });
    }

    /// All that it tells whoever asks, on its command line too, and what it keeps on the host: that no secret is in.
    pub fn told(&self) -> Vec<String> {
        let instance = self.instance.name();
        let status = |arguments: &[&str]| {
            run(Command::new(binary()).args(["status", "--instance", instance]).args(arguments))
        };
        let mut told = vec![self.stdout(), self.stderr(), status(&[]), status(&["--json"])];
        // Of others, what other tests do beside it: they may well tell a secret of theirs.
        let processes = run(Command::new("ps").args(["-e", "-o", "args", "-ww"]));
        let own: String = processes.lines().filter(|line| line.contains(instance)).collect();
        assert!(own.contains(" run "), "{processes}");
        told.push(own);
        for entry in fs::read_dir(format!("/run/nsid/{instance}")).expect("the instance's directory") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                told.push(String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned());
            }
        }
        told
    }

    /// `nsid on`.
    pub fn on(&self) {
        self.instance.verb("on");
    }

    /// `nsid off`.
    pub fn off(&self) {
        self.instance.verb("off");
    }

    /// `SIGSTOP`: it is there and does nothing.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// `SIGHUP`: it reads its configuration again.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// `SIGCONT`.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// `SIGTERM`, not waited for.
    pub fn tell_to_end(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Its end, waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE)
    }

    /// `SIGKILL`: the instance is left as a crash leaves it.
    pub fn kill(mut self) -> Instance {
        self.process.signal(Signal::KILL);
        self.process.wait(PATIENCE);
        self.instance
    }

    /// `SIGTERM`, waited for.
    pub fn terminate(mut self) -> (ExitStatus, Instance) {
        self.tell_to_end();
        let status = self.process.wait(PATIENCE);
        (status, self.instance)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The time that CPUs have worked for it.
    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }

    /// Its resident memory in KiB (`VmRSS` of `/proc/PID/status`).
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS of a live process");
        line.trim().trim_end_matches(" kB").parse().unwrap_or_else(|error| panic!("VmRSS: {line}: {error}"))
    }
}
