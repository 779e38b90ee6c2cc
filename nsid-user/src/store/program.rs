//! A server of a store, run beside a test.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Killed on Drop.
pub(crate) struct Program(Child);

impl Program {
    /// Starts it. What it writes is lost.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}: `cargo xtask setup` installs it")))
    }

    /// Its connections stay, and nothing on them is answered.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // Its threads stop one by one; the last one tells.
        waitid(WaitId::Pid(Pid::from_child(&self.0)), WaitIdOptions::STOPPED).unwrap();
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
