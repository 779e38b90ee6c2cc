//! Servers that take packets past the kernel's stack, by `AF_XDP`: what they answer does not pass tc, and is not named.

use std::fmt;

use aya::{
    maps::{MapInfo, MapType},
    programs::loaded_programs,
};
use serde::{Deserialize, Serialize};

use crate::host::links::Link;

/// The XDP program that hands an interface's packets to such a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    /// Its name.
    pub program: String,
    /// Its id.
    pub id: u32,
}

/// What takes packets off an interface past the kernel's stack: a program with a map of `AF_XDP` sockets, without which
/// none gets any (`BPF_MAP_TYPE_XSKMAP`, `Documentation/networking/af_xdp.rst`). Of a program that calls others, such as
/// the dispatcher of libxdp, the others are not looked at.
pub fn bypass(link: &Link) -> Option<Bypass> {
    let on_link = |id| link.xdp.iter().any(|xdp| xdp.program == id);
    if link.xdp.is_empty() {
        return None;
    }
    let programs = loaded_programs().filter_map(Result::ok).filter(|program| on_link(program.id()));
    programs
        .filter(|program| {
            program.map_ids().ok().flatten().is_some_and(|maps| maps.into_iter().any(holds_sockets))
        })
        .map(|program| Bypass { program: program.name_as_str().unwrap_or("?").to_owned(), id: program.id() })
        .next()
}

fn holds_sockets(map: u32) -> bool {
    MapInfo::from_id(map).and_then(|map| map.map_type()).is_ok_and(|kind| kind == MapType::XskMap)
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, id } = self;
        write!(
            f,
            "the XDP program '{program}' (id {id}) hands packets to a server past the kernel's stack (AF_XDP): what \
             that one answers is not named; have it listen on ordinary sockets"
        )
    }
}
