//! `nsid upgrade`, the agent's side: has the other version check whether it could go on.

use std::{env, ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use tokio::{process::Command, sync::mpsc, time};

use super::check::Fit;
use crate::{
    host::{control, succession},
    request::{Reply, Request},
};

/// How long the other version may take to check: it loads its programs, on a host that may have much to do.
pub(crate) const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// What the other version is given: our own arguments.
pub(super) fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(1)
}

/// Serves a verb. A binary that is fit goes to who makes way for it, after the verb was told.
pub(super) async fn serve(request: control::Request, instance: String, fit: mpsc::UnboundedSender<PathBuf>) {
    let binary = match serde_json::from_slice(request.text()) {
        Ok(Request::Upgrade { binary }) => binary,
        Err(error) => return request.answer(&Reply::Refused { why: error.to_string() }).await,
    };
    match check(&binary, &instance).await {
        Ok(found) => {
            log::info!("going on as nsid {} ({})", found.nsid, binary.display());
            request.answer(&Reply::Accepted).await;
            // Fails if the agent is ending.
            let _ = fit.send(binary);
        }
        Err(why) => {
            log::warn!("not upgraded to {}: {why}", binary.display());
            request.answer(&Reply::Refused { why }).await;
        }
    }
}

async fn check(binary: &PathBuf, instance: &str) -> Result<Fit, String> {
    let mut check = Command::new(binary);
    check.args(arguments()).arg("--check").env_remove(succession::VARIABLE);
    check.stdin(Stdio::null()).kill_on_drop(true);
    let output = match time::timeout(CHECK_LIMIT, check.output()).await {
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
