//! Child processes: those that run to their end at once, and those that run beside a test.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process, kill_process_group},
};

use crate::{
    patience::{until, within},
    threads,
};

/// The environment variable that names a directory, where what processes wrote is kept.
const LOGS: &str = "NSID_LOGS";

/// How long a process may take to stand still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a program to its end and returns its standard output; panics if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", program(command)));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn program(command: &Command) -> String {
    command.get_program().display().to_string()
}

/// A process that runs beside the test: killed on Drop, which in a panic prints what it wrote, and keeps it where
/// `NSID_LOGS` says.
#[derive(Debug)]
pub struct Process {
    what: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts it, in a process group of its own; what it writes goes to files in `directory`.
    pub fn start(what: &str, command: &mut Command, directory: &Path) -> Self {
        let file = |stream: &str| {
            let path = directory.join(format!("{what}.{stream}"));
            let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, file)
        };
        let ((stdout, out), (stderr, err)) = (file("stdout"), file("stderr"));
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program(command)));
        Self { what: what.to_owned(), child, stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal to {}: {error}", self.what));
    }

    /// `SIGSTOP` to it and to the processes that it started. Threads stop one by one: when this returns, all stand still.
    pub fn freeze(&self) {
        self.signal_group(Signal::STOP);
        until(PATIENCE, &format!("{} to stand still", self.what), || {
            threads::of_group(self.id()).into_iter().all(threads::stands_still)
        });
    }

    /// `SIGCONT`, to the same.
    pub fn thaw(&self) {
        self.signal_group(Signal::CONT);
    }

    fn signal_group(&self, signal: Signal) {
        let group = Pid::from_child(&self.child);
        kill_process_group(group, signal).unwrap_or_else(|error| panic!("signal to {}: {error}", self.what));
    }

    /// The time that CPUs have worked for it (`utime` and `stime` of `proc_pid_stat(5)`).
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()));
        let stat = stat.unwrap_or_else(|error| panic!("{}: {error}", self.what));
        // Behind the name, which may have spaces: fields 3 and up.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_secs(ticks) / u32::try_from(clock_ticks_per_second()).expect("some hundred")
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("waiting for {}: {error}", self.what))
    }

    /// Waits for its end; panics if that takes longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.what);
        within(patience, &what, || self.ended())
    }

    /// What it wrote to its standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// Where that is.
    pub fn stdout_path(&self) -> &Path {
        &self.stdout
    }

    /// What it wrote to its standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the log of a failed test belongs where its panic is shown")]
    fn drop(&mut self) {
        let _already_ended = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _reaped = self.child.wait();
        if let Some(logs) = env::var_os(LOGS).map(PathBuf::from) {
            for path in [&self.stdout, &self.stderr] {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let _best_effort = fs::copy(path, logs.join(format!("{}.{name}", self.id())));
            }
        }
        if thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                eprint!("---- {} {stream}\n{text}", self.what);
            }
        }
    }
}
