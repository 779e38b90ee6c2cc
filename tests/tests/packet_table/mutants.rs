//! Frames nobody thought of: those of the table's kind, mutated, through the kernel and the model alike.

use std::env;

use nsid_common::{
    clients::{ANSWERED, NAMED},
    maps::Address,
    model::{Client, Datagram, Model},
    pending::SETS,
};

use super::{
    kernel::{Action, Kernel},
    message::{answer, asking, cookie, hostname_bind, id_server, nsid, option, query, response, www},
    row::{Hook, NAME, note, query4, query6, response4, response6, stage},
};

/// Mutants, unless `N` says how many.
const MUTANTS: u64 = 20_000;
/// Where they start from, unless `SEED` says.
const SEED: u64 = 5001;

#[test]
fn kernel_and_model_do_the_same_with_mutants() {
    let number = |name: &str, default| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (count, seed) = (number("N", MUTANTS), number("SEED", SEED));
    let mut random = Random(seed.max(1));
    let mut kernel = Kernel::load();
    let mut model = stage();
    (model.jiffies, model.boot_time) = kernel.now();
    // Everyone, so that mutated addresses are answered too.
    let everybody = Client { network: Address { high: 0, low: 0 }, prefix_len: 0, says: ANSWERED | NAMED };
    model.set_clients(&[everybody]);
    // The model's clock stands.
    model.control.pending_ticks.set(u16::MAX.into());
    kernel.fill(&model);
    let seeds = seeds();
    for mutant in 0..count {
        if mutant % 64 == 0 {
            change(&mut random, &model);
            kernel.fill_but_notes(&model);
        }
        let (hook, mut frame) = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(4) {
            mutate(&mut random, &mut frame, shortest(hook));
        }
        if hook == Hook::Responses {
            note(&model, [0, 512, 1232, 4096][random.below(4)]);
            kernel.copy_notes(&model, &model.sets_used());
        }
        let came = frame.clone();
        let outcome = hook.decide(&model, &mut frame);
        let run = kernel.run(hook, &came, &model);
        let same_notes = kernel.same_notes(&model, &model.sets_used());
        let same = run.outcome == Some(outcome) && run.frame == frame && same_notes.is_ok();
        let unchanged = run.frame == came;
        let action_fits = match run.action {
            Action::Passed => true,
            Action::SentBack => hook == Hook::Queries && !unchanged,
            Action::Other(_) => false,
        };
        assert!(
            same && action_fits,
            "mutant {mutant} of SEED={seed}, {hook:?}\n came {came:02x?}\n model {outcome:?} {frame:02x?}\n \
             kernel {run:02x?}\n notes {same_notes:?}"
        );
    }
    kernel.same_notes(&model, &(0..SETS).collect::<Vec<_>>()).expect("all notes are the same");
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
fn change(random: &mut Random, model: &Model) {
    model.control.enabled.set(u64::from(random.below(8) != 0));
    model.control.observe.set(u64::from(random.below(8) == 0));
    model.interfaces[1].mtu.set([1500, 1500, 9000, 576][random.below(4)]);
    let length = 1 + random.below(128);
    let said = vec![b'n'; length];
    let until = if random.below(8) == 0 { 1 } else { u64::MAX };
    model.say(0, &said, until);
}

/// Bytes of the shortest frame that test runs take: those of tc refuse IP headers that are cut off (`net/bpf/test_run.c`).
fn shortest(hook: Hook) -> usize {
    match hook {
        Hook::Queries => 15,
        Hook::Responses => 54,
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
