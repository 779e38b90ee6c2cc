use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7400))
}

fn list(hosts: &[u8]) -> List {
    List::new(hosts.iter().map(|host| address(*host)).collect()).unwrap()
}

/// Since the hosts were started.
fn at(seconds: u64) -> Time {
    Time::default().after(Duration::from_secs(seconds))
}

/// Witnesses that are started at that time, with what they find on their hosts.
struct Witnesses(Vec<(u8, Standing)>);

impl Witnesses {
    fn start(&mut self, host: u8, hosts: &[u8], now: Time, record: Option<&Record>) {
        self.0.retain(|(other, _)| *other != host);
        let epoch = Epoch(now.as_nanos() + u64::from(host));
        let at = (list(hosts), address(host));
        let standing = Standing::new(Rules::default(), now, at, epoch, LEASE, record).unwrap();
        self.0.push((host, standing));
    }

    fn stop(&mut self, host: u8) -> Record {
        let at = self.0.iter().position(|(other, _)| *other == host).unwrap();
        self.0.remove(at).1.record()
    }

    /// All call all, each second from then to then.
    fn talk(&mut self, from: u64, to: u64) {
        for now in (from..to).map(at) {
            let mut calls = Vec::new();
            for (host, standing) in &mut self.0 {
                let mut out = Vec::new();
                standing.tick(now, &mut out);
                calls.extend(out.into_iter().map(|call| (*host, call)));
            }
            for (caller, Outgoing { to, message }) in calls {
                let Message::Call(call) = message else { continue };
                let called = self.0.iter_mut().find(|(host, _)| address(*host) == to);
                let Some((_, called)) = called else { continue };
                let echo = called.called(address(caller), &call);
                let (_, standing) = self.0.iter_mut().find(|(host, _)| *host == caller).unwrap();
                standing.echoed(now, to, &echo);
            }
        }
    }

    fn speaking(&mut self, now: u64) -> Vec<u8> {
        let now = at(now);
        let mut speaking: Vec<u8> = self
            .0
            .iter_mut()
            .filter_map(|(host, standing)| (standing.speech(now) == Speech::Speaks).then_some(*host))
            .collect();
        speaking.sort_unstable();
        speaking
    }
}

fn started(hosts: &[u8], now: u64) -> Witnesses {
    let mut witnesses = Witnesses(Vec::new());
    for host in hosts {
        witnesses.start(*host, hosts, at(now), None);
    }
    witnesses
}

#[test]
fn one_alone_speaks_at_once_unless_it_or_its_host_was_started_within_a_lease() {
    assert_eq!(started(&[1], 100).speaking(100), [1]);
    let mut rebooted = started(&[1], 5);
    assert_eq!((rebooted.speaking(15), rebooted.speaking(16)), (vec![], vec![1]));
    let mut witnesses = started(&[1], 100);
    let record = witnesses.stop(1);
    witnesses.start(1, &[1], at(101), Some(&record));
    assert_eq!((witnesses.speaking(111), witnesses.speaking(112)), (vec![], vec![1]));
}

#[test]
fn the_first_incarnations_of_all_speak_as_soon_as_all_have_met() {
    let mut witnesses = started(&[1, 2, 3], 100);
    assert!(witnesses.speaking(100).is_empty());
    witnesses.talk(100, 101);
    assert_eq!(witnesses.speaking(100), [1, 2, 3]);
}

#[test]
fn two_of_three_speak_after_a_lease_and_one_of_three_never() {
    let mut witnesses = started(&[1, 2, 3], 100);
    witnesses.stop(3);
    witnesses.talk(100, 105);
    assert_eq!((witnesses.speaking(110), witnesses.speaking(111)), (vec![], vec![1, 2]));
    let mut alone = started(&[1, 2, 3], 100);
    for other in [2, 3] {
        alone.stop(other);
    }
    alone.talk(100, 200);
    assert!(alone.speaking(200).is_empty());
    assert_eq!(alone.0[0].1.missing(), [address(2), address(3)]);
}

#[test]
fn one_that_is_back_is_silent_for_a_lease_whether_or_not_it_has_a_record() {
    for keeps_record in [true, false] {
        let mut witnesses = started(&[1, 2, 3], 100);
        witnesses.talk(100, 101);
        let record = witnesses.stop(2);
        witnesses.start(2, &[1, 2, 3], at(150), Some(&record).filter(|_| keeps_record));
        witnesses.talk(150, 160);
        assert_eq!(witnesses.speaking(160), [1, 3], "record: {keeps_record}");
        assert_eq!(witnesses.speaking(161), [1, 2, 3], "record: {keeps_record}");
    }
}

#[test]
fn one_is_silent_for_as_long_as_the_lease_that_its_last_incarnation_granted() {
    let record = Record { list: list(&[1]), lease: Duration::from_mins(1), is_over: false };
    let mut witnesses = Witnesses(Vec::new());
    witnesses.start(1, &[1], at(100), Some(&record));
    assert_eq!((witnesses.speaking(161), witnesses.speaking(162)), (vec![], vec![1]));
}

#[test]
fn those_of_a_changed_list_speak_when_all_of_it_have_answered_for_a_lease() {
    let old = &[1, 2, 3];
    let new = &[1, 2, 4];
    let mut witnesses = started(old, 100);
    witnesses.talk(100, 101);
    witnesses.start(4, new, at(150), None);
    witnesses.talk(150, 170);
    assert_eq!(witnesses.speaking(170), [1, 2, 3], "the newcomer hears that another list is in use");
    let record = witnesses.stop(1);
    witnesses.start(1, new, at(170), Some(&record));
    witnesses.talk(170, 200);
    assert_eq!(witnesses.speaking(200), [2, 3]);
    let record = witnesses.stop(2);
    witnesses.start(2, new, at(200), Some(&record));
    witnesses.talk(200, 210);
    assert_eq!(witnesses.speaking(210), [3]);
    witnesses.talk(210, 213);
    assert_eq!(witnesses.speaking(212), [1, 2, 3, 4]);
}

#[test]
fn another_incarnation_in_between_begins_the_lease_anew() {
    let mut witnesses = started(&[1, 2, 3], 100);
    let record = Record { list: list(&[1, 2, 9]), lease: LEASE, is_over: false };
    witnesses.start(1, &[1, 2, 3], at(100), Some(&record));
    witnesses.talk(100, 108);
    witnesses.start(3, &[1, 2, 3], at(108), None);
    witnesses.talk(108, 119);
    assert!(!witnesses.speaking(118).contains(&1));
    witnesses.talk(119, 121);
    assert!(witnesses.speaking(120).contains(&1));
}

#[test]
fn a_list_that_shares_too_few_with_the_last_one_is_refused() {
    let record = Record { list: list(&[1, 2, 3]), lease: LEASE, is_over: false };
    let at_new = (list(&[1, 4, 5]), address(1));
    let refused = Standing::new(Rules::default(), at(100), at_new, Epoch(1), LEASE, Some(&record));
    assert!(refused.is_err());
}

#[test]
fn a_list_counts_when_what_was_granted_by_it_is_over() {
    let record = Record { list: list(&[1, 2, 3]), lease: LEASE, is_over: true };
    let mut witnesses = started(&[1, 2, 4], 100);
    witnesses.start(1, &[1, 2, 4], at(100), Some(&record));
    witnesses.talk(100, 110);
    assert!(!witnesses.speaking(110).contains(&1), "another list may be in use");
    witnesses.talk(110, 113);
    assert!(witnesses.speaking(113).contains(&1));
    let at_new = (list(&[1, 4, 5]), address(1));
    assert!(Standing::new(Rules::default(), at(100), at_new, Epoch(1), LEASE, Some(&record)).is_err());
    let mut same = started(&[1, 2, 3], 100);
    same.start(1, &[1, 2, 3], at(100), Some(&record));
    same.talk(100, 101);
    assert_eq!(same.speaking(100), [1, 2, 3]);
}

#[test]
fn one_is_silent_for_as_long_as_the_longest_lease_that_another_one_grants() {
    let mut witnesses = started(&[1, 2, 3], 100);
    witnesses.talk(100, 101);
    witnesses.stop(2);
    let (long, at_2) = (Duration::from_mins(1), (list(&[1, 2, 3]), address(2)));
    let other = Standing::new(Rules::default(), at(150), at_2, Epoch(2), long, None).unwrap();
    witnesses.0.push((2, other));
    witnesses.start(1, &[1, 2, 3], at(150), None);
    witnesses.talk(150, 211);
    assert_eq!(witnesses.speaking(211), [3]);
    assert_eq!(witnesses.speaking(212), [1, 2, 3]);
}

#[test]
fn who_spoke_by_this_list_within_a_lease_goes_on_by_a_majority_whatever_is_heard_of_another_list() {
    let mut witnesses = started(&[1, 2, 3], 100);
    witnesses.talk(100, 101);
    let record = witnesses.stop(1);
    witnesses.stop(2);
    witnesses.start(1, &[1, 2, 3], at(150), Some(&record));
    let call = Call { list: list(&[2, 3, 4]), epoch: Epoch(9), sent: at(90) };
    witnesses.0.last_mut().unwrap().1.called(address(3), &call);
    witnesses.talk(150, 161);
    assert_eq!(witnesses.speaking(161), [1, 3]);
}

#[test]
fn an_echo_of_an_earlier_incarnations_call_says_nothing() {
    let mut witnesses = started(&[1, 2, 3], 100);
    let (_, standing) = &mut witnesses.0[0];
    for host in [2, 3] {
        let echo = Echo {
            list: list(&[1, 2, 3]),
            epoch: Epoch(7),
            caller: Epoch(8),
            sent: at(100),
            lease: 10_000,
            first: true,
            knows_another: false,
        };
        standing.echoed(at(100), address(host), &echo);
    }
    assert!(witnesses.speaking(100).is_empty());
}
