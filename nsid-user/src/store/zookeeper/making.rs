//! Making a pool, by its first claimant, or by whoever finds that a part of it was removed.

use super::connection::{Connection, Error};
use super::failure::Failure;
use super::multi::{Multi, Op, Read, Seen};
use super::nodes::{Nodes, agreement_of};
use super::protocol::{Acl, Code, Create, Mode};
use super::session::Session;
use crate::store::Agreement;

/// Makes what a pool has before it has claimants, unless it is there: all that lacks at once, or nothing, if somebody else
/// makes a part of it meanwhile.
pub(super) async fn make(
    session: &mut Session,
    nodes: &Nodes,
    agreement: &Agreement,
    acl: Acl,
) -> Result<(), Failure> {
    let json = agreement.to_json();
    let empty = nodes.to_be_made().map(|path| (path, &b""[..]));
    let all: Vec<(&String, &[u8])> = empty.chain([(&nodes.agreement, json.as_bytes())]).collect();
    let above = Read::Children(nodes.above.last().map_or("/", String::as_str));
    let reads: Vec<Read<'_>> = all.iter().map(|(path, _)| Read::Data(path)).chain([above]).collect();
    let seen = session.look(&reads).await?;
    // What is there need not be made, and there may be no right to.
    let lacks = |seen: &Seen| *seen == Seen::Nothing(Code::NoNode);
    let create = |(path, data)| Op::Create(Create { path, data, acl, mode: Mode::Persistent });
    let lacking = all.into_iter().zip(&seen).filter(|(_, seen)| lacks(seen));
    let lacking: Vec<Op<'_>> = lacking.map(|((path, data), _)| create((path.as_str(), data))).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    // Without a pool there, or a right to see them, nothing.
    if let Some(Seen::Children(pools)) = seen.last() {
        look_at_other_pools(session, nodes, agreement, pools).await?;
    }
    let make = async |server: &mut Connection| match server.ask(&Multi(&lacking)).await? {
        Ok(_) | Err((_, Code::NodeExists)) => Ok(()),
        Err((_, code)) => Err(Error::Failed(code)),
    };
    session.ask_unhurried(make).await
}

/// Refuses to make a pool of names that another one has. Two that are made at one time do not see each other.
async fn look_at_other_pools(
    session: &mut Session,
    nodes: &Nodes,
    agreement: &Agreement,
    pools: &[String],
) -> Result<(), Failure> {
    let above = nodes.above.last().map_or("/", String::as_str);
    let paths: Vec<String> = pools.iter().map(|pool| agreement_of(&format!("{above}/{pool}"))).collect();
    let others = paths.iter().filter(|path| **path != nodes.agreement);
    let reads: Vec<Read<'_>> = others.map(|path| Read::Data(path)).collect();
    if reads.is_empty() {
        return Ok(());
    }
    for seen in session.look(&reads).await? {
        if let Seen::Data(stored, _) = seen {
            agreement.check_beside(&stored)?;
        }
    }
    Ok(())
}
