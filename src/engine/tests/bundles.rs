//! Transactions in bundles.

use quipu_protocol::bundle::{BUNDLE_BYTES_MAX, BUNDLE_TRANSACTIONS_MAX};
use quipu_protocol::check::{TRANSACTION_BYTES_MAX, check_transaction};
use quipu_protocol::{Bundle, Millis, Signature, SignedTransaction};

use super::super::bundles::{CHECKS_MAX, UNCHECKED_BYTES_MAX, UNCHECKED_MAX};
use super::super::event::{Event, Gossip, Now, PeerKey, Ticket, Verdict};
use super::super::peers::Peers;
use super::{Answer, Bench, Command};

impl Bench {
    /// Sends a bundle by gossip and returns the verdict.
    pub(super) fn bundle(&mut self, peer: PeerKey, transactions: &[SignedTransaction]) -> Verdict {
        self.gossip(peer, gossip(transactions))
    }

    /// The bundles published since the last call.
    fn published(&mut self) -> Vec<Vec<SignedTransaction>> {
        let published = std::mem::take(&mut self.seen.published).into_iter();
        let bundles = published.filter_map(|gossip| match gossip {
            Gossip::Transactions(bundle) => Some(bundle.into_vec()),
            Gossip::Block(_) | Gossip::Compact(_) => None,
        });
        bundles.collect()
    }

    /// Records of `count` accounts, from a number on.
    fn records(&self, from: u32, count: u32) -> Vec<SignedTransaction> {
        (from..from + count).map(|number| self.record(number, 1)).collect()
    }

    fn submit(&mut self, signed: &SignedTransaction) {
        let checked = check_transaction(signed.clone(), &self.network).expect("valid");
        let answer = self.command(Command::Submit { transaction: Box::new(checked) });
        assert!(matches!(answer, Ok(Answer::Sent { .. })), "{answer:?}");
    }
}

fn gossip(transactions: &[SignedTransaction]) -> Gossip {
    let mut bundles = Bundle::pack(transactions.iter().cloned());
    assert_eq!(bundles.len(), 1, "they fit into one");
    Gossip::Transactions(bundles.remove(0))
}

/// The same transaction with an invalid signature.
fn forged(mut signed: SignedTransaction) -> SignedTransaction {
    let Signature::Ed25519(bytes) = &mut signed.signature;
    bytes[0] ^= 1;
    signed
}

/// Each kind of transaction that a bundle may have, in any mixture: n(ew), k(nown), u(npaid), t(win of a known one with
/// another signature), f(orged).
#[test]
fn a_verdict_answers_for_every_transaction() {
    let cases = [
        ("n", Verdict::Accept, ""),
        ("nnn", Verdict::Accept, ""),
        ("nk", Verdict::Accept, ""),
        ("nnkk", Verdict::Accept, ""),
        ("nkk", Verdict::Ignore, "n"),
        ("k", Verdict::Ignore, ""),
        ("u", Verdict::Ignore, ""),
        ("uk", Verdict::Ignore, ""),
        ("nnu", Verdict::Ignore, "nn"),
        ("unn", Verdict::Ignore, "nn"),
        ("nt", Verdict::Ignore, "n"),
        ("t", Verdict::Ignore, ""),
        ("f", Verdict::Reject, ""),
        ("nf", Verdict::Reject, "n"),
        ("fuk", Verdict::Reject, ""),
    ];
    for (kinds, verdict, announced) in cases {
        let mut bench = Bench::new();
        let peer = bench.connect();
        let known = bench.records(1_000, 10);
        assert_eq!(bench.bundle(peer, &known), Verdict::Accept);
        let make = |(at, kind): (usize, char)| match kind {
            'n' => bench.record(at as u32, 1),
            'k' => known[at].clone(),
            't' => forged(known[at].clone()),
            'u' => bench.send(at as u8, 0, 2, 5, 0),
            'f' => forged(bench.record(at as u32, 1)),
            other => panic!("{other}"),
        };
        let transactions: Vec<_> = kinds.chars().enumerate().map(make).collect();
        assert_eq!(bench.bundle(peer, &transactions), verdict, "{kinds}");
        assert_eq!(bench.is_closed(peer), verdict == Verdict::Reject, "{kinds}");
        let new: Vec<_> =
            kinds.chars().zip(&transactions).filter(|(kind, _)| *kind == 'n').map(|(_, one)| one).collect();
        let own: Vec<_> = bench.published().concat();
        assert_eq!(own.len(), announced.len(), "{kinds}");
        assert!(own.iter().all(|signed| new.contains(&signed)), "{kinds}");
        assert_eq!(bench.engine.view().pending, known.len() + new.len(), "{kinds}: whatever the others are");
        assert_eq!(bench.occupancy("judged_bundles"), 0, "{kinds}");
    }
}

/// The second occurrence in a bundle counts as known.
#[test]
fn a_transaction_that_a_bundle_has_twice_counts_once() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let record = bench.record(1, 1);
    assert_eq!(bench.bundle(peer, &vec![record; 2]), Verdict::Accept);
    assert_eq!(bench.engine.view().pending, 1);
    let record = bench.record(2, 1);
    assert_eq!(bench.bundle(peer, &vec![record; 3]), Verdict::Ignore);
    assert_eq!(bench.engine.view().pending, 2);
}

/// A bundle longer than a batch of checks is still one bundle, and several bundles share a batch.
#[test]
fn verdicts_wait_for_checks_across_batches() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    bench.hold_transactions = true;
    let sizes = [200, 200, 1, 256, 256, 256, 100];
    let mut from = 0;
    for (ticket, size) in sizes.into_iter().enumerate() {
        let gossip = gossip(&bench.records(from, size));
        bench.event(Event::Gossip { peer, ticket: Ticket(ticket as u64), gossip });
        from += size;
    }
    assert_eq!(bench.occupancy("judged_bundles"), sizes.len());
    assert_eq!(bench.seen.verdicts, []);
    bench.release_held();
    let verdicts: Vec<_> = (0..sizes.len()).map(|ticket| (Ticket(ticket as u64), Verdict::Accept)).collect();
    bench.seen.verdicts.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(bench.seen.verdicts, verdicts);
    assert_eq!((bench.occupancy("judged_bundles"), bench.occupancy("unchecked_transactions")), (0, 0));
    assert_eq!(bench.engine.view().pending, from as usize);
}

/// The first goes at once, the next wait for each other, and a full bundle does not wait.
#[test]
fn own_transactions_are_announced_together() {
    let mut bench = Bench::new();
    bench.connect();
    bench.wait(Millis(100));
    let records = bench.records(0, 10 + BUNDLE_TRANSACTIONS_MAX as u32);
    bench.submit(&records[0]);
    assert_eq!(bench.published(), [&records[..1]], "a typed transaction goes at once");
    for record in &records[1..10] {
        bench.submit(record);
    }
    assert_eq!(bench.published().len(), 0);
    bench.wait(Millis(4));
    assert_eq!(bench.published().len(), 0);
    bench.wait(Millis(1));
    assert_eq!(bench.published(), [&records[1..10]]);
    for record in &records[10..] {
        bench.submit(record);
    }
    assert_eq!(bench.published(), [&records[10..]], "full");
    assert_eq!(bench.occupancy("transactions_to_announce"), 0);
}

/// Transactions that were mined or replaced meanwhile are not announced.
#[test]
fn transactions_that_left_the_pool_are_not_announced() {
    let mut bench = Bench::new();
    bench.connect();
    let records = bench.records(0, 3);
    bench.submit(&records[0]);
    assert_eq!(bench.published().len(), 1);
    bench.submit(&records[1]);
    bench.mine_always();
    bench.find_nonces(1);
    bench.submit(&records[2]);
    bench.wait(Millis(5));
    assert_eq!(bench.published(), [&records[2..]]);
}

/// A bundle costs its sender as much as its transactions one by one.
#[test]
fn a_bundle_takes_as_much_of_the_budget_as_its_transactions() {
    let bench = Bench::new();
    let now = Now { elapsed: Millis(0), unix: bench.clock() };
    let (small, large) = (bench.record(1, 1), bench.record(1, 4096));
    for (signed, size_max) in [(small, BUNDLE_TRANSACTIONS_MAX), (large, BUNDLE_BYTES_MAX / TRANSACTION_BYTES_MAX)] {
        let allowed = |size: usize| {
            let mut peers = Peers::default();
            peers.connect(PeerKey(1), now);
            let bundle = gossip(&vec![signed.clone(); size]);
            (0..).take_while(|_| peers.may_gossip(PeerKey(1), &bundle, now)).count() * size
        };
        let (one_by_one, together) = (allowed(1), allowed(size_max));
        assert!((0..size_max).contains(&(one_by_one - together)), "{one_by_one} and {together}");
    }
}

/// However much one peer sends, another peer's transactions are checked too.
#[test]
fn one_peer_leaves_room_for_the_transactions_of_others() {
    for (length, size) in [(1, BUNDLE_TRANSACTIONS_MAX), (4096, BUNDLE_BYTES_MAX / TRANSACTION_BYTES_MAX)] {
        let mut bench = Bench::new();
        let (flood, honest) = (bench.connect(), bench.connect());
        bench.hold_transactions = true;
        let mut signed = bench.record(1, length);
        let mut ticket = 0;
        let mut offer = |bench: &mut Bench, peer| {
            let next = || {
                signed.transaction.nonce += 1;
                signed.clone()
            };
            let transactions: Vec<_> = std::iter::repeat_with(next).take(size).collect();
            let before = bench.occupancy("unchecked_transactions");
            ticket += 1;
            bench.event(Event::Gossip { peer, ticket: Ticket(ticket), gossip: gossip(&transactions) });
            bench.occupancy("unchecked_transactions") - before
        };
        // The first ones are being checked. The waits keep the flood within its budget.
        (0..CHECKS_MAX).for_each(|_| _ = offer(&mut bench, flood));
        while offer(&mut bench, flood) > 0 {
            bench.wait(Millis(4));
        }
        let shares = ["unchecked_transactions", "unchecked_bytes"].map(|name| bench.occupancy(name));
        assert!(shares[0] > UNCHECKED_MAX / 2 || shares[1] > UNCHECKED_BYTES_MAX / 2, "{shares:?}");
        assert_eq!(offer(&mut bench, honest), size, "{length}");
    }
}

/// Otherwise a rule breaker would have thousands more of its signatures checked.
#[test]
fn nothing_more_is_checked_of_a_peer_that_was_cut_off() {
    let mut bench = Bench::new();
    let (forger, honest) = (bench.connect(), bench.connect());
    bench.hold_transactions = true;
    let mut tickets = 0;
    let bad = [forged(bench.record(1, 1)), bench.record(2, 1)];
    let rest = (1..20).map(|round| (forger, bench.records(1_000 * round, 250)));
    let offers: Vec<_> = rest.chain([(honest, bench.records(0, 1))]).collect();
    for (peer, transactions) in std::iter::once((forger, bad.to_vec())).chain(offers) {
        bench.event(Event::Gossip { peer, ticket: Ticket(tickets), gossip: gossip(&transactions) });
        tickets += 1;
    }
    let first = bench.held.remove(0);
    bench.event(first);
    assert!(bench.is_closed(forger));
    assert_eq!(bench.occupancy("unchecked_transactions"), 0, "except the honest peer's, which is being checked");
    bench.release_held();
    assert_eq!(bench.seen.verdicts.len() as u64, tickets, "each bundle gets its verdict");
    assert!(bench.seen.verdicts.contains(&(Ticket(tickets - 1), Verdict::Accept)));
    assert_eq!(bench.occupancy("judged_bundles"), 0);
}
