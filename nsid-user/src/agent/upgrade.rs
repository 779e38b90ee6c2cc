//! `nsid upgrade`, the agent's side: has the other version check whether it could go on.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use tokio::{process::Command, runtime::Handle, sync::mpsc, time};

use super::{Agent, check::Fit};
use crate::{
    host::{control, lock::InstanceLock, namespaces::Origin, succession},
    upgrade::{CHECK_LIMIT, UpgradeReply, UpgradeRequest},
};

/// What the other version is given: our own arguments.
pub(super) fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(1)
}

/// Moves this thread to where the agent was started, for the successor to find its files there as it did: unless the binary
/// is another one there, or none, as in a container.
pub(super) fn at_origin(origin: &Origin, binary: &Path) -> io::Result<()> {
    if origin.has(binary) { origin.enter() } else { Ok(()) }
}

impl Agent {
    /// Begins an upgrade, which ends when the successor is ready.
    pub(super) fn begin_upgrade(
        &self,
        UpgradeRequest { upgrade }: UpgradeRequest,
        request: control::Request,
        lock: &InstanceLock,
    ) {
        let (instance, fit) = (lock.instance().name().to_owned(), self.successors.0.clone());
        let origin = Arc::clone(&self.reading.origin);
        tokio::task::spawn_local(serve(upgrade, origin, request, instance, fit));
    }
}

/// A binary that is fit goes to who makes way for it, after the verb was told.
async fn serve(
    binary: PathBuf,
    origin: Arc<Origin>,
    control::Request { answer, told, .. }: control::Request,
    instance: String,
    fit: mpsc::UnboundedSender<PathBuf>,
) {
    let found = check(&binary, &origin, &instance).await;
    let reply = match &found {
        Ok(_) => UpgradeReply::Accepted,
        Err(why) => UpgradeReply::Refused { why: why.clone() },
    };
    // Fails if nobody waits any more: then nothing is done.
    if answer.send(serde_json::to_vec(&reply).unwrap_or_default()).is_err() {
        return;
    }
    // Closed, and that is what is waited for.
    let _ = told.await;
    match found {
        Ok(found) => {
            log::info!("going on as nsid {} ({})", found.nsid, binary.display());
            // Fails if the agent is ending.
            let _ = fit.send(binary);
        }
        Err(why) => log::warn!("not upgraded to {}: {why}", binary.display()),
    }
}

async fn check(binary: &Path, origin: &Origin, instance: &str) -> Result<Fit, String> {
    let mut check = Command::new(binary);
    check.args(arguments()).arg("--check").env_remove(succession::VARIABLE);
    check.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let runtime = Handle::current();
    let mut spawn = || {
        let _of_the_agent = runtime.enter();
        check.spawn()
    };
    let child = if origin.has(binary) { origin.read(spawn).and_then(|child| child) } else { spawn() };
    let output = async { child?.wait_with_output().await };
    let output = match time::timeout(CHECK_LIMIT, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("it cannot be run: {error}")),
        Err(_) => return Err(format!("it has not checked itself in {CHECK_LIMIT:?}")),
    };
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let why = told.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or(told.trim());
        return Err(if why.is_empty() { output.status.to_string() } else { why.to_owned() });
    }
    let fit: Fit =
        serde_json::from_slice(&output.stdout).map_err(|_| "it does not answer as nsid does".to_owned())?;
    if fit.instance != instance {
        return Err(format!("its configuration is now that of instance '{}'", fit.instance));
    }
    Ok(fit)
}
