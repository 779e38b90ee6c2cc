//! Making a pool, by its first claimant, or by whoever finds that a part of it was removed.

use super::failure::Failure;
use super::nodes::{Nodes, agreement_of};
use super::protocol::{Acl, Code, Create, Exists, Mode, Read, Seen};
use super::session::Session;
use crate::store::Agreement;

/// Makes what a pool has before it has claimants, unless it is there; the agreement last.
pub(super) async fn make(
    session: &mut Session,
    nodes: &Nodes,
    agreement: &Agreement,
    acl: Acl,
) -> Result<(), Failure> {
    look_at_other_pools(session, nodes, agreement).await?;
    let json = agreement.to_json();
    let empty = nodes.to_be_made().map(|path| (path, &b""[..]));
    for (path, data) in empty.chain([(&nodes.agreement, json.as_bytes())]) {
        // What is there need not be made, and there may be no right to.
        match session.ask_unhurried(async |server| server.ask(&Exists(path)).await).await {
            Ok(_) => continue,
            Err(Failure::Otherwise(Code::NoNode)) => {}
            Err(failure) => return Err(failure),
        }
        let create = Create { path, data, acl, mode: Mode::Persistent };
        match session.ask_unhurried(async |server| server.ask(&create).await).await {
            Ok(_) | Err(Failure::Otherwise(Code::NodeExists)) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Refuses to make a pool of names that another one has. Two that are made at one time do not see each other.
async fn look_at_other_pools(
    session: &mut Session,
    nodes: &Nodes,
    agreement: &Agreement,
) -> Result<(), Failure> {
    let above = nodes.above.last().map_or("/", String::as_str);
    let seen = session.look(&[Read::Children(above)]).await?;
    // None yet, or no right to see them.
    let [Seen::Children(pools)] = &seen[..] else { return Ok(()) };
    let paths: Vec<String> = pools.iter().map(|pool| agreement_of(&format!("{above}/{pool}"))).collect();
    let others = paths.iter().filter(|path| **path != nodes.agreement);
    let reads: Vec<Read<'_>> = others.map(|path| Read::Data(path)).collect();
    for seen in session.look(&reads).await? {
        if let Seen::Data(stored, _) = seen {
            agreement.check_beside(&stored)?;
        }
    }
    Ok(())
}
