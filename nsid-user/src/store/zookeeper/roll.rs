//! Who has which slot, for whoever asks.

use super::failure::Failure;
use super::line::View;
use super::multi::{Read, Seen};
use super::nodes::{Nodes, slot_called};
use super::protocol::{Code, Stat, Sync};
use super::session::Session;
use super::{incomplete, lacking};
use crate::store::{Entry, Holder, Roll};

/// Looks once, at one point in time. A slot that was taken since the names of all were read is not among them.
pub(super) async fn read(session: &mut Session, nodes: &Nodes) -> Result<Roll, Failure> {
    session.ask_unhurried(async |server| server.ask(&Sync(&nodes.root)).await).await?;
    let seen = session.look(&[Read::Children(&nodes.slots)]).await?;
    let names = match &seen[..] {
        [Seen::Children(names)] => names,
        [Seen::Nothing(Code::NoNode)] => {
            return Ok(Roll { holders: Vec::new(), waiting: 0, agreement: None });
        }
        _ => return Err(lacking(&seen)),
    };
    let mut slots: Vec<u32> = names.iter().filter_map(|name| slot_called(name)).collect();
    slots.sort_unstable();
    let paths: Vec<String> = slots.iter().map(|slot| nodes.slot(*slot)).collect();
    let pool = [Read::Data(&nodes.agreement), Read::Children(&nodes.line)];
    let reads: Vec<Read<'_>> = pool.into_iter().chain(paths.iter().map(|path| Read::Data(path))).collect();
    let seen = session.look(&reads).await?;
    let [agreement, Seen::Children(line), holders @ ..] = &seen[..] else {
        return Err(incomplete().into());
    };
    let entry = |(slot, seen): (u32, &Seen)| {
        let (json, stat) = data(seen)?;
        Some(Entry { slot, token: stat.czxid.unsigned_abs(), holder: Holder::read(json)? })
    };
    Ok(Roll {
        holders: slots.into_iter().zip(holders).filter_map(entry).collect(),
        waiting: View::new(line, []).waiting(),
        agreement: data(agreement).and_then(|(json, _)| serde_json::from_slice(json).ok()),
    })
}

fn data(seen: &Seen) -> Option<(&[u8], &Stat)> {
    match seen {
        Seen::Data(data, stat) => Some((data, stat)),
        Seen::Children(_) | Seen::Nothing(_) => None,
    }
}
