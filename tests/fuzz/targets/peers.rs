//! Datagrams of `peers://`, which anybody may send: never a panic, what is taken is what was sent, and a witness that gets
//! them gives no slot to two.
//!
//! Input: datagrams, each behind its length in two bytes, the low one first; so many milliseconds pass before it comes.
#![no_main]

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use libfuzzer_sys::fuzz_target;
use nsid_peers::{Beginning, Epoch, List, Message, Rules, Terms, Time, Verdict, Wish, Witness};

const EPOCH: Epoch = Epoch(7);
const LEASE: Duration = Duration::from_secs(5);

/// The number of the pool's slots, behind its name.
struct Slots;

impl Terms for Slots {
    fn read(terms: &str) -> Option<(String, u32)> {
        let (name, limit) = terms.split_once(' ')?;
        Some((name.to_owned(), limit.parse().ok()?))
    }

    fn collide(terms: &str, others: &str) -> bool {
        terms.len() == others.len()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let addresses = [1, 2, 3].map(|host| SocketAddr::from(([10, 0, 0, host], 7400)));
    let mut now = Time::default().after(Duration::from_hours(1));
    let witness = |addresses: &[SocketAddr]| {
        let list = List::new(addresses.to_vec()).expect("one or three");
        let beginning =
            Beginning { list, address: addresses[0], epoch: EPOCH, lease: LEASE, highest: 1, record: None };
        Witness::new(Rules::default(), now, beginning).expect("no list before it")
    };
    // One that speaks at once, and one that has to hear of others before.
    let (mut alone, mut of_three) = (witness(&addresses[..1]), witness(&addresses));
    let list = List::new(addresses[..1].to_vec()).expect("one");
    let terms: Arc<str> = "worker 8".into();
    assert!(alone.leaves(now).is_some());
    alone.has_left();
    let mut held: HashMap<u32, ([u8; 16], Time)> = HashMap::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u16::from_le_bytes(*length);
        let (datagram, after) = behind.split_at(behind.len().min(length.into()));
        rest = after;
        now = now.after(Duration::from_millis(length.into()));
        let Ok(message) = Message::decode(datagram) else { continue };
        let again = message.encode().expect("what was read is no longer than what may be sent");
        assert_eq!(Message::decode(&again).as_ref(), Ok(&message));
        let mut out = Vec::new();
        match message {
            Message::Request(mut request) => {
                // So that it counts.
                (request.list, request.epoch, request.terms) = (list.clone(), EPOCH, Arc::clone(&terms));
                request.stamp = now;
                let message = Message::Request(request.clone());
                alone.receive::<Slots>(now, addresses[1], &message, &mut out);
                let granted = out.iter().any(|outgoing| {
                    matches!(&outgoing.message, Message::Reply(reply)
                        if reply.number == request.number && matches!(reply.verdict, Verdict::Granted { .. }))
                });
                let nonce = request.who.order.nonce.0;
                match request.wish {
                    Wish::Take { slot, .. } | Wish::Keep { slot, .. } if granted => {
                        if let Some((holder, until)) = held.get(&slot) {
                            assert!(*holder == nonce || *until <= now, "slot {slot} has two holders");
                        }
                        // It has one slot at most.
                        held.retain(|_, (holder, _)| *holder != nonce);
                        let lease = LEASE.min(Duration::from_millis(request.lease.into()));
                        held.insert(slot, (nonce, now.after(lease)));
                    }
                    Wish::Keep { .. } => {}
                    _ => held.retain(|_, (holder, _)| *holder != nonce),
                }
            }
            other => {
                alone.receive::<Slots>(now, addresses[1], &other, &mut out);
                of_three.receive::<Slots>(now, addresses[1], &other, &mut out);
            }
        }
        alone.tick(now, &mut out);
        of_three.tick(now, &mut out);
        for outgoing in out {
            assert!(outgoing.message.encode().is_some(), "it cannot be sent: {outgoing:?}");
        }
    }
});
