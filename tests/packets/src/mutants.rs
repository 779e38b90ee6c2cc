//! Frames nobody thought of: those of the table's kind, mutated, through the kernel and the model alike.

use nsid_common::model::{Datagram, Segments};

use super::{
    both::{Both, State},
    message::{answer, asking, cookie, hostname_bind, id_server, nsid, option, query, response, www},
    row::{Hook, NAME, query4, query6, response4, response6},
};

/// How many mutants there are, and where their random numbers start.
#[derive(Clone, Copy, Debug)]
pub struct Mutants {
    /// How many.
    pub count: u64,
    /// The same mutants for the same seed.
    pub seed: u64,
}

impl Mutants {
    /// Runs all of them through both; the first that differs is described.
    pub fn run(self, both: &mut Both) -> Result<(), String> {
        let mut random = Random(self.seed.max(1));
        let seeds = seeds();
        for mutant in 0..self.count {
            if mutant % 64 == 0 {
                both.change(state(&mut random));
            }
            let (hook, mut frame) = seeds[random.below(seeds.len())].clone();
            for _ in 0..random.below(4) {
                mutate(&mut random, &mut frame, hook.shortest());
            }
            if hook == Hook::Responses {
                both.note([0, 512, 1232, 4096][random.below(4)]);
            }
            let programs = hook.programs();
            both.run(programs[random.below(programs.len())], &frame)
                .map_err(|differs| format!("mutant {mutant} of seed {}, {differs}", self.seed))?;
        }
        both.same_notes()
    }
}

/// What mutants are made of: mostly what is handled, since most mutations make it something that is not.
fn seeds() -> Vec<(Hook, Vec<u8>)> {
    let own = [nsid(b"own"), option(12, b"odd"), nsid(b""), cookie()].concat();
    let queries = [
        query(&www()),
        asking(),
        query(&www()).opt(4096, &[cookie(), nsid(b"x")].concat()),
        query(&www()).additional().opt(1232, &nsid(b"")),
        query(&www()).opt(1232, &nsid(b"")).tsig(),
        query(&id_server()),
        query(&id_server()).opt(1232, b""),
        query(&hostname_bind()).opt_with(1232, 0x8000, &[cookie(), nsid(b"")].concat()),
    ];
    let responses = [
        response().a(),
        response().a().opt(1232, b""),
        response().a().a().opt(1232, &cookie()),
        response().a().opt(1232, &own),
        response().a().opt(1232, &[nsid(NAME), option(12, &[0; 99])].concat()),
        response().ordinary_sig().opt(1232, &nsid(&[b'o'; 90])),
        response().filler(430).opt(1232, b""),
        response().filler(1400).opt(1232, b""),
        response().opt(1232, b"").additional(),
        response().a().opt(1232, b"").tsig(),
        answer(&id_server(), NAME).opt(1232, b""),
    ];
    let tagged = |mut datagram: Datagram, tags: &[[u16; 2]]| {
        datagram.tags = tags.to_vec();
        datagram.frame()
    };
    let all_tags: [&[[u16; 2]]; 3] = [&[], &[[0x8100, 7]], &[[0x88a8, 9], [0x8100, 7]]];
    let mut seeds = vec![];
    for tags in all_tags {
        for message in &queries {
            seeds.push((Hook::Queries, tagged(query4(message), tags)));
            seeds.push((Hook::Queries, tagged(query6(message), tags)));
        }
        for message in &responses {
            seeds.push((Hook::Responses, tagged(response4(message), tags)));
            seeds.push((Hook::Responses, tagged(response6(message), tags)));
        }
    }
    seeds
}

/// Another state: what a row of the table would set.
fn state(random: &mut Random) -> State {
    State {
        enabled: random.below(8) != 0,
        observe: random.below(8) == 0,
        mtu: [1500, 1500, 9000, 576][random.below(4)],
        name: 1 + random.below(128),
        lapsed: random.below(8) == 0,
        segments: Segments::One,
        keep_own: random.below(8) == 0,
        max_udp_size: [0, 0, 512, 1232][random.below(4)],
    }
}

fn mutate(random: &mut Random, frame: &mut Vec<u8>, shortest: usize) {
    const INTERESTING: [u8; 12] = [0, 1, 3, 4, 12, 24, 41, 63, 64, 0x80, 0xc0, 0xff];
    let at = random.below(frame.len());
    match random.below(10) {
        0..3 => frame[at] ^= 1 << random.below(8),
        3..5 => frame[at] = INTERESTING[random.below(INTERESTING.len())],
        5 => frame[at] = frame[at].wrapping_add(1),
        6 => frame[at] = frame[at].wrapping_sub(1),
        // In the message, which is nearer to the end than the headers.
        7 => {
            let back = 1 + random.below(frame.len().min(40));
            let at = frame.len() - back;
            frame[at] = INTERESTING[random.below(INTERESTING.len())];
        }
        8 => frame.truncate(at.max(shortest)),
        _ => {
            let behind = frame.len() + random.below(20);
            frame.resize(behind, 0);
        }
    }
}

/// xorshift64*, which is enough here: the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(random).expect("31 bits") % limit
    }
}
