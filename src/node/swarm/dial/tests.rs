use super::choice::{ANCHORS, OUTBOUND_TARGET};
use super::peer::{BACKOFF_MAX_LOST, BACKOFF_MIN, GOOD_AFTER};
use super::*;
use crate::logged::logged;
use crate::node::swarm::remembered::REMEMBERED_MET_MAX;
use std::collections::HashSet;

const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddr")
}

fn book(fixed: &[Multiaddr], now: Instant) -> DialBook {
    DialBook::new(PeerId::random(), fixed, Subnets::test(&[("10.0.0.1", 24)]), 1, now)
}

fn connection() -> ConnectionId {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    ConnectionId::new_unchecked(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// Starts everything that is due and says what that was.
fn start(book: &mut DialBook, now: Instant) -> Vec<(Dial, ConnectionId)> {
    let dials = book.due(now).into_iter().map(|dial| (dial, connection())).collect::<Vec<_>>();
    for (dial, connection) in &dials {
        book.started(dial, *connection);
    }
    dials
}

/// The peer was dialled, became ready, and its session ended after `lasted`.
fn session(book: &mut DialBook, peer: PeerId, now: Instant, lasted: Duration) {
    book.connected(peer, connection(), true, now);
    book.ready(peer, vec![address("/ip4/10.0.0.9/tcp/1")], now);
    book.disconnected(peer, now + lasted);
}

/// A peer of our own choice is ready.
fn own_session(book: &mut DialBook, last: u8, now: Instant) {
    let (peer, address) = (PeerId::random(), address(&format!("/ip4/10.0.0.{last}/tcp/1")));
    book.connected(peer, connection(), true, now);
    book.ready(peer, vec![address], now);
}

fn own_sessions(book: &mut DialBook, count: usize, now: Instant) {
    (0..count).for_each(|number| own_session(book, 200 + number as u8, now));
}

fn remembered(peer: PeerId, last: u8, tie: Tie) -> Remembered {
    Remembered { peer, addresses: vec![address(&format!("/ip4/10.0.0.{last}/tcp/1"))], tie }
}

/// How long after `from` the next dial is due, found in steps of 10 ms.
fn pause(book: &mut DialBook, from: Instant) -> Duration {
    (0..100_000)
        .map(|step| Duration::from_millis(step * 10))
        .find(|pause| !book.due(from + *pause).is_empty())
        .expect("it is dialled again")
}

#[test]
fn a_discovered_peer_is_dialled_once_and_at_once() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let peer = PeerId::random();
    book.discovered(peer, &address("/ip4/172.17.0.2/tcp/1"), now);
    book.discovered(peer, &address("/ip4/10.0.0.9/tcp/1"), now);
    let dials = start(&mut book, now);
    assert_eq!(dials.len(), 1);
    assert_eq!(dials[0].0.peer, Some(peer));
    assert_eq!(dials[0].0.addresses[0], address("/ip4/10.0.0.9/tcp/1"), "our own subnet first");
    assert!(start(&mut book, now + 60 * SECOND).is_empty(), "an attempt is running");
}

#[test]
fn pauses_double_up_to_ten_seconds() {
    let mut now = Instant::now();
    let mut book = book(&[address("/ip4/10.0.0.9/tcp/1")], now);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let dials = start(&mut book, now);
        assert_eq!(dials.len(), 1, "an address of --peer is tried for ever");
        book.failed(dials[0].1, now);
        let pause = pause(&mut book, now);
        pauses.push(pause);
        now += pause;
    }
    for (index, pause) in pauses.iter().enumerate() {
        let expected = BACKOFF_MIN.saturating_mul(1 << index).min(BACKOFF_MAX);
        let slack = Duration::from_millis(10);
        assert!(*pause >= expected.mul_f64(0.75) && *pause <= expected.mul_f64(1.25) + slack, "{pauses:?}");
    }
}

#[test]
fn a_lost_peer_is_dialled_every_second_or_so_without_mdns() {
    let mut now = Instant::now();
    let mut book = book(&[], now);
    let peer = PeerId::random();
    session(&mut book, peer, now, 60 * SECOND);
    now += 60 * SECOND;
    assert_eq!(pause(&mut book, now), Duration::ZERO, "at once");
    for _ in 0..20 {
        let dials = start(&mut book, now);
        book.failed(dials[0].1, now);
        let pause = pause(&mut book, now);
        assert!(pause <= BACKOFF_MAX_LOST.mul_f64(1.26), "{pause:?}");
        now += pause;
    }
}

#[test]
fn a_peer_that_hangs_up_on_us_is_dialled_less_and_less() {
    let mut now = Instant::now();
    let mut book = book(&[], now);
    let peer = PeerId::random();
    let mut last = Duration::ZERO;
    for _ in 0..8 {
        session(&mut book, peer, now, Duration::from_millis(100));
        now += Duration::from_millis(100);
        last = pause(&mut book, now);
        now += last;
    }
    assert!(last > 5 * SECOND, "{last:?}");
}

/// Of those that hang up before they are ready, such as one that has banned us.
#[test]
fn a_named_address_that_hangs_up_is_dialled_less_and_less() {
    let mut now = Instant::now();
    let mut book = book(&[address("/ip4/10.0.0.9/tcp/1")], now);
    let peer = PeerId::random();
    let mut last = Duration::ZERO;
    for _ in 0..8 {
        let dials = start(&mut book, now);
        assert_eq!(dials.len(), 1);
        book.connected(peer, dials[0].1, true, now);
        book.disconnected(peer, now);
        last = pause(&mut book, now);
        now += last;
    }
    assert!(last > 5 * SECOND, "{last:?}");
    session(&mut book, peer, now, 60 * SECOND);
    assert!(pause(&mut book, now + 60 * SECOND) <= SECOND, "it was there for long, so it will be back");
}

#[test]
fn peers_that_were_ours_come_before_strangers() {
    let now = Instant::now();
    let mut book = book(&[], now);
    for last in 0..60 {
        book.discovered(PeerId::random(), &address(&format!("/ip4/10.0.0.{last}/tcp/1")), now);
    }
    let friend = PeerId::random();
    book.remember(vec![remembered(friend, 9, Tie::Good)], now);
    let dials = start(&mut book, now);
    assert_eq!(dials.len(), ATTEMPTS_MAX);
    assert_eq!(dials[0].0.peer, Some(friend));
}

#[test]
fn enough_is_enough_except_for_what_the_user_named() {
    let now = Instant::now();
    let fixed = address("/ip4/10.0.0.8/tcp/1");
    let mut book = book(std::slice::from_ref(&fixed), now);
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.9/tcp/1"), now);
    own_sessions(&mut book, OUTBOUND_TARGET, now);
    let dials = start(&mut book, now);
    assert_eq!(dials.len(), 1);
    assert_eq!((dials[0].0.peer, &dials[0].0.addresses[..]), (None, &[fixed][..]));
}

#[test]
fn a_flood_of_discoveries_is_bounded_and_spares_friends() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let friend = PeerId::random();
    session(&mut book, friend, now, 60 * SECOND);
    let near = address("/ip4/10.0.0.9/tcp/1");
    for _ in 0..3 * KNOWN_PEERS_MAX {
        book.discovered(PeerId::random(), &near, now + 61 * SECOND);
    }
    for port in 1..100 {
        book.discovered(friend, &address(&format!("/ip4/10.0.0.9/tcp/{port}")), now);
    }
    for _ in 0..3 * FOREIGN_PEERS_MAX {
        book.foreign(PeerId::random(), now);
    }
    assert_eq!((book.known.len(), book.foreign.len()), (KNOWN_PEERS_MAX, FOREIGN_PEERS_MAX));
    assert_eq!(book.known[&friend].addresses.len(), ADDRESSES_PER_PEER_MAX);
}

#[test]
fn strangers_whose_record_expires_are_forgotten() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let (stranger, friend) = (PeerId::random(), PeerId::random());
    session(&mut book, friend, now, 60 * SECOND);
    let near = address("/ip4/10.0.0.9/tcp/1");
    for peer in [stranger, friend] {
        book.discovered(peer, &near, now);
        book.expired(peer, &near);
    }
    assert!(!book.known.contains_key(&stranger) && book.known.contains_key(&friend));
}

#[test]
fn nobody_dials_foreigners_the_banned_or_themselves() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let near = address("/ip4/10.0.0.9/tcp/1");
    let (foreign, banned, local) = (PeerId::random(), PeerId::random(), book.local);
    book.foreign(foreign, now);
    book.banned(banned, now + 600 * SECOND);
    for peer in [foreign, banned, local] {
        book.discovered(peer, &near, now);
    }
    assert_eq!(book.due(now), []);
    book.discovered(foreign, &near, now + FOREIGN_PAUSE);
    assert_eq!(book.due(now + FOREIGN_PAUSE).len(), 1, "it may have been started anew");
    book.unbanned(banned);
    book.discovered(banned, &near, now);
    assert_eq!(book.due(now + FOREIGN_PAUSE).len(), 2);
}

#[test]
fn an_address_that_is_our_own_is_dialled_once() {
    let now = Instant::now();
    let ours = address("/ip4/10.0.0.1/tcp/1");
    let mut book = book(std::slice::from_ref(&ours), now);
    let dials = start(&mut book, now);
    assert_eq!(book.is_us(dials[0].1), Some(ours));
    assert_eq!(book.due(now + 600 * SECOND), []);
}

#[test]
fn a_named_address_is_not_dialled_while_its_peer_is_connected() {
    let now = Instant::now();
    let fixed = address("/dns4/alice.example/tcp/1");
    let mut book = book(std::slice::from_ref(&fixed), now);
    let peer = PeerId::random();
    let dials = start(&mut book, now);
    book.connected(peer, dials[0].1, true, now);
    book.ready(peer, vec![fixed], now);
    assert_eq!(book.due(now + 60 * SECOND), []);
    let mut later = now + 60 * SECOND;
    book.disconnected(peer, later);
    let mut seen = Vec::new();
    for _ in 0..8 {
        for (dial, connection) in start(&mut book, later) {
            book.failed(connection, later);
            seen.push(dial.peer);
        }
        later += 11 * SECOND;
    }
    assert_eq!(seen[0], Some(peer), "first as the peer that it was");
    assert!(seen.contains(&None), "then whoever is there now");
}

#[test]
fn a_link_that_is_back_is_used_at_once() {
    let now = Instant::now();
    let mut book = book(&[address("/ip4/10.0.0.8/tcp/1")], now);
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.9/tcp/1"), now);
    let mut later = now;
    for _ in 0..8 {
        for (_, connection) in start(&mut book, later) {
            book.failed(connection, later);
        }
        later += 20 * SECOND;
    }
    for (_, connection) in start(&mut book, later) {
        book.failed(connection, later);
    }
    assert_eq!(book.due(later), []);
    book.link_is_back(later);
    assert_eq!(book.due(later).len(), 2);
}

/// What is remembered, with its tie.
fn ties(book: &DialBook, now: Instant) -> Vec<(PeerId, Tie)> {
    book.remembered(now).iter().map(|known| (known.peer, known.tie)).collect()
}

#[test]
fn peers_that_we_dialled_and_had_for_a_while_are_remembered_as_good_and_others_as_met() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let [short, long, longer, caller] = std::array::from_fn(|_| PeerId::random());
    session(&mut book, short, now, SECOND);
    session(&mut book, long, now + SECOND, GOOD_AFTER);
    session(&mut book, longer, now + 2 * SECOND, GOOD_AFTER);
    book.connected(caller, connection(), false, now);
    book.ready(caller, vec![address("/ip4/10.0.0.8/tcp/1")], now);
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.7/tcp/1"), now);
    let later = now + 3 * GOOD_AFTER;
    assert_eq!(
        ties(&book, later),
        [(longer, Tie::Good), (long, Tie::Good), (caller, Tie::Met), (short, Tie::Met)],
        "whoever calls us is only met, however long it stays"
    );
    let mut next = self::book(&[], now);
    next.remember(book.remembered(later), now);
    assert_eq!(next.due(now).len(), 4);
    book.disproved(longer);
    assert_eq!(ties(&book, later).len(), 3);
}

#[test]
fn acquaintances_take_no_places_from_the_good() {
    let now = Instant::now();
    let mut book = book(&[], now);
    for _ in 0..2 * REMEMBERED_MET_MAX {
        book.connected(PeerId::random(), connection(), false, now);
    }
    let callers: Vec<_> = book.known.keys().copied().collect();
    callers.iter().for_each(|caller| book.ready(*caller, vec![address("/ip4/10.0.0.8/tcp/1")], now));
    let friend = PeerId::random();
    session(&mut book, friend, now, GOOD_AFTER);
    let ties = ties(&book, now + GOOD_AFTER);
    assert_eq!((ties[0], ties.len()), ((friend, Tie::Good), 1 + REMEMBERED_MET_MAX));
}

#[test]
fn the_longest_of_our_own_choice_are_anchors_and_dialled_first() {
    let now = Instant::now();
    let named = address("/ip4/10.0.0.77/tcp/1");
    let mut book = book(std::slice::from_ref(&named), now);
    let dials = start(&mut book, now);
    let by_name = PeerId::random();
    book.connected(by_name, dials[0].1, true, now);
    book.ready(by_name, vec![named], now);
    for number in 0..6 {
        own_session(&mut book, 10 + number, now + SECOND * number.into());
    }
    let later = now + 2 * GOOD_AFTER;
    let anchors: Vec<_> = book.remembered(later).into_iter().filter(|known| known.tie == Tie::Anchor).collect();
    let ip = |known: &Remembered| known.addresses[0].to_string();
    let mut ips: Vec<_> = anchors.iter().map(ip).collect();
    ips.sort();
    assert_eq!((ips.len(), &ips[..]), (ANCHORS, &["/ip4/10.0.0.10/tcp/1".into(), "/ip4/10.0.0.11/tcp/1".into()][..]));

    let mut next = self::book(&[], now);
    for last in 100..200 {
        next.discovered(PeerId::random(), &address(&format!("/ip4/10.0.0.{last}/tcp/1")), now);
    }
    next.remember(book.remembered(later), now);
    let dialled: HashSet<_> = next.due(now)[..ANCHORS].iter().filter_map(|dial| dial.peer).collect();
    assert_eq!(dialled, anchors.iter().map(|known| known.peer).collect());
    assert!(
        anchors.iter().all(|anchor| ties(&next, now).contains(&(anchor.peer, Tie::Anchor))),
        "until there are others"
    );
}

#[test]
fn sessions_that_others_opened_take_no_place_of_ours() {
    let now = Instant::now();
    let mut book = book(&[], now);
    for _ in 0..200 {
        let caller = PeerId::random();
        book.connected(caller, connection(), false, now);
        book.ready(caller, vec![], now);
    }
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.9/tcp/1"), now);
    assert_eq!(book.due(now).len(), 1);
}

#[test]
fn peers_that_never_become_ready_don_t_hold_the_last_place() {
    let now = Instant::now();
    let mut book = book(&[], now);
    own_sessions(&mut book, OUTBOUND_TARGET - 1, now);
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.9/tcp/1"), now);
    let dials = start(&mut book, now);
    book.connected(dials[0].0.peer.expect("heard of"), dials[0].1, true, now);
    book.discovered(PeerId::random(), &address("/ip4/10.0.0.8/tcp/1"), now);
    assert_eq!(start(&mut book, now).len(), 1);
    let connected = (0..100).map(|last| {
        book.discovered(PeerId::random(), &address(&format!("/ip4/10.0.0.{last}/tcp/1")), now);
        start(&mut book, now).len()
    });
    assert!(connected.sum::<usize>() < 5, "but they are few at once");
}

#[test]
fn what_the_user_named_is_dialled_again_though_all_places_are_taken() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let friend = PeerId::random();
    book.connected(friend, connection(), true, now);
    book.named(friend, now);
    book.ready(friend, vec![address("/ip4/10.0.0.9/tcp/1")], now);
    own_sessions(&mut book, OUTBOUND_TARGET, now);
    book.disconnected(friend, now + 60 * SECOND);
    assert_eq!(start(&mut book, now + 61 * SECOND).len(), 1);
}

#[test]
fn each_host_and_net_has_a_turn_before_any_has_a_second_one() {
    let now = Instant::now();
    for seed in 0..20 {
        let mut book = DialBook::new(PeerId::random(), &[], Subnets::test(&[("10.0.0.1", 24)]), seed, now);
        for port in 1..=400 {
            let (near, far) = (format!("/ip4/10.0.0.66/tcp/{port}"), format!("/ip4/192.0.2.{}/tcp/1", port % 250));
            book.discovered(PeerId::random(), &address(if port % 2 == 0 { &near } else { &far }), now);
        }
        let honest: HashSet<_> = (1..=8)
            .map(|last| {
                let peer = PeerId::random();
                book.discovered(peer, &address(&format!("/ip4/10.0.0.{last}/tcp/1")), now);
                peer
            })
            .collect();
        let dialled = book.due(now).iter().filter(|dial| dial.peer.is_some_and(|peer| honest.contains(&peer))).count();
        assert_eq!(dialled, honest.len(), "400 names on one host and in one net are two chances");
    }
}

#[test]
fn chance_decides_who_is_dialled() {
    let now = Instant::now();
    let peers: Vec<_> =
        (0..100).map(|last| (PeerId::random(), address(&format!("/ip4/10.0.0.{last}/tcp/1")))).collect();
    let dialled: HashSet<_> = (0..100)
        .flat_map(|seed| {
            let mut book = DialBook::new(PeerId::random(), &[], Subnets::test(&[("10.0.0.1", 24)]), seed, now);
            peers.iter().for_each(|(peer, address)| book.discovered(*peer, address, now));
            book.due(now)
        })
        .filter_map(|dial| dial.peer)
        .collect();
    assert_eq!(dialled.len(), peers.len());
}

#[test]
fn a_flood_of_names_makes_the_book_forget_its_own() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let honest = PeerId::random();
    book.discovered(honest, &address("/ip4/10.0.0.9/tcp/1"), now);
    for port in 1..=2000 {
        book.discovered(PeerId::random(), &address(&format!("/ip4/10.0.0.66/tcp/{port}")), now + SECOND);
    }
    assert!(book.known.contains_key(&honest) && book.known.len() == KNOWN_PEERS_MAX);
}

#[test]
fn a_peer_that_is_put_off_is_dialled_later_and_one_that_is_disproved_is_not_remembered() {
    let now = Instant::now();
    let mut book = book(&[], now);
    let peer = PeerId::random();
    session(&mut book, peer, now, 60 * SECOND);
    book.put_off(peer, now + 90 * SECOND);
    assert_eq!(book.due(now + 89 * SECOND), []);
    assert_eq!(book.due(now + 90 * SECOND).len(), 1);
    book.disproved(peer);
    assert_eq!(book.remembered(now), []);
}

#[test]
fn the_log_says_once_for_each_reason_why_a_peer_is_not_dialled() {
    let (now, peer) = (Instant::now(), PeerId::random());
    let lines = logged(|| {
        let mut book = book(&[], now);
        book.discovered(peer, &address("/ip4/10.0.0.1/tcp/1"), now);
        let attempts = start(&mut book, now);
        book.failed(attempts[0].1, now);
        assert!(book.due(now).is_empty() && book.due(now).is_empty());
        book.banned(peer, now + SECOND);
        assert!(book.due(now).is_empty());
        own_sessions(&mut book, OUTBOUND_TARGET, now);
        assert!(book.due(now + SECOND).is_empty());
    });
    let reasons: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("not dialled") && line.contains(&peer.to_string()))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert_eq!(reasons, ["backing off", "banned", "enough peers or attempts"], "{lines:?}");
}
