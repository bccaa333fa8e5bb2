//! Events, written for people in single calm lines.
//!
//! [`Digest`] decides what is worth a line: a few lines for each kind of event in a while, the rest summed up. It has
//! no clock; the time is an argument. Scripts get every event instead, see [`super::json`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::render;
use crate::engine::event::{Notice, Place};
use crate::node::api::event::{
    Roster, block_refused, chain_not_followed, mining_waits, own_clock, peer_clock, reorganisation_refused, tip_ahead,
};
use crate::node::api::names::Names;
use crate::node::api::rows::LifeRow;
use crate::node::event::PeerRow;
use crate::node::event::UserEvent;
use crate::protocol::{Action, CheckedTransaction, Height, Wei};
use crate::text::{Tone, counted, grouped, harmless};

/// Lines of one kind that are shown in one [`WINDOW`]; the rest is summed up at its end.
const LINES_MAX: u32 = 4;
/// The time over which lines of one kind are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The same warning is not repeated within this time.
const WARNING_AGAIN: Duration = Duration::from_secs(600);
/// A peer's name comes with its first status. Its line waits no longer for it.
const NAME_WAIT: Duration = Duration::from_secs(2);
/// Warnings that are remembered; beyond this number all are forgotten.
const WARNINGS_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeLine {
    pub tone: Tone,
    /// Has no line feed.
    pub text: String,
}

impl NoticeLine {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

/// At most [`LINES_MAX`] in a [`WINDOW`]; counts the others.
#[derive(Debug, Default)]
struct Limiter {
    window_start: Duration,
    shown: u32,
    held: u64,
}

impl Limiter {
    fn allows(&mut self, now: Duration) -> bool {
        if self.held == 0 && now >= self.window_start + WINDOW {
            (self.window_start, self.shown) = (now, 0);
        }
        if self.shown < LINES_MAX {
            self.shown += 1;
            return true;
        }
        self.held += 1;
        false
    }

    /// The number that was held back, once their window is over.
    fn take_held(&mut self, now: Duration) -> Option<u64> {
        if self.held == 0 || now < self.window_start + WINDOW {
            return None;
        }
        // A summary is a line of the next window, so that a steady stream stays at one line for each.
        (self.window_start, self.shown) = (now, LINES_MAX);
        Some(std::mem::take(&mut self.held))
    }
}

/// Events that the user sees anyway at the moment, so that no line is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// A progress line shows the height grow: blocks need no lines.
    pub progress: bool,
}

/// Turns events into lines.
#[derive(Debug, Default)]
pub struct Digest {
    blocks: Limiter,
    peers: Limiter,
    /// Peers without a line so far, and since when: one for each session at most.
    joining: VecDeque<(PeerRow, Duration)>,
    payments: Limiter,
    lives: Limiter,
    last_tip: Option<Place>,
    /// The best block that is known from a line, or from what is shown anyway.
    reported: Option<Height>,
    warned: BTreeMap<String, Duration>,
}

impl Digest {
    /// The line for an event, if it gets one now.
    pub fn take(
        &mut self,
        event: &UserEvent,
        roster: &Roster,
        names: &Names,
        shown: Shown,
        now: Duration,
    ) -> Option<NoticeLine> {
        match event {
            UserEvent::PeerConnected(row) => {
                self.joining.push_back((row.clone(), now));
                self.joined(roster, now)
            }
            UserEvent::PeerDisconnected(row) => {
                let waiting = self.joining.iter().position(|(joining, _)| joining.peer == row.peer);
                let verb = waiting.and_then(|at| self.joining.remove(at)).map_or("left", |_| "joined and left");
                self.peer(row, verb, roster, roster.len().saturating_sub(1), now)
            }
            UserEvent::Notice(Notice::Tip { tip, reorg_depth: 0, ours, .. }) => self.tip(*tip, *ours, shown, now),
            UserEvent::Notice(Notice::Tip { tip, reorg_depth, returned, fell, .. }) => {
                (self.last_tip, self.reported) = (Some(*tip), Some(tip.height));
                let text = reorganised(*tip, *reorg_depth, *returned as u64, *fell);
                Some(NoticeLine::new(Tone::Warning, text))
            }
            UserEvent::Notice(Notice::Transaction(transaction)) => self.payment(transaction, names, now),
            UserEvent::Notice(Notice::BlockRefused { place, violation }) => {
                self.warning(block_refused(*place, violation), now)
            }
            UserEvent::Notice(Notice::ReorganisationRefused { checkpoint, peer, height }) => {
                // The engine reports it once in a while at most, and heights differ.
                let text = reorganisation_refused(*checkpoint, &roster.name(*peer), *height);
                self.warn_once(format!("checkpoint {}", checkpoint.id), text, now)
            }
            UserEvent::Notice(Notice::NotFollowed { peer, height, why }) => {
                let name = roster.name(*peer);
                let text = chain_not_followed(&name, *height, *why);
                self.warn_once(format!("not followed {name}"), text, now)
            }
            UserEvent::Notice(Notice::TipAhead { tip, ahead }) => self.warning(tip_ahead(*tip, *ahead), now),
            UserEvent::Notice(Notice::MiningWaits { height, target }) => {
                Some(NoticeLine::new(Tone::Quiet, mining_waits(*height, *target)))
            }
            UserEvent::Notice(Notice::ClockDiffers { peer, offset_millis }) => {
                // The exact offset changes each time; the warning is the same.
                let name = roster.name(*peer);
                let text = peer_clock(&name, *offset_millis);
                self.warn_once(format!("clock {name}"), text, now)
            }
            UserEvent::Notice(Notice::OurClockDiffers { offset_millis }) => {
                self.warn_once("clock".to_owned(), own_clock(*offset_millis), now)
            }
            UserEvent::Warning(text) => self.warning(text.clone(), now),
            UserEvent::Life { id, life, again } => {
                self.lives.allows(now).then(|| render::life(&LifeRow::new(*id, life, *again)))
            }
            // The lives of its transactions show the effect of a reorganisation; the banner and the last line of the
            // process report the others.
            UserEvent::Notice(Notice::RolledBack { .. } | Notice::Lost { .. })
            | UserEvent::Indexed(_)
            | UserEvent::Ready { .. }
            | UserEvent::Fatal(_) => None,
        }
    }

    /// The line of a peer that has said its name, or has had the time to; else a sum of the held back lines. To be asked
    /// again while it has one.
    pub fn tick(&mut self, roster: &Roster, now: Duration) -> Option<NoticeLine> {
        if let Some(line) = self.joined(roster, now) {
            return Some(line);
        }
        if let (Some(_), Some(tip)) = (self.blocks.take_held(now), self.last_tip) {
            return self.new_blocks(tip, false);
        }
        if let Some(held) = self.peers.take_held(now) {
            return Some(NoticeLine::new(Tone::Quiet, format!("{} joined or left", counted(held, "more peer"))));
        }
        if let Some(held) = self.lives.take_held(now) {
            let text = format!("{} of watched transactions (see `watch`)", counted(held, "more change"));
            return Some(NoticeLine::new(Tone::Warning, text));
        }
        let held = self.payments.take_held(now)?;
        Some(NoticeLine::new(Tone::Good, format!("{} more to you (see `pending`)", counted(held, "payment"))))
    }

    fn joined(&mut self, roster: &Roster, now: Duration) -> Option<NoticeLine> {
        let has_waited = |(row, since): &(PeerRow, Duration)| roster.has_name(row.peer) || now >= *since + NAME_WAIT;
        while let Some(at) = self.joining.iter().position(has_waited) {
            let (row, _) = self.joining.remove(at).expect("it was found there");
            if let Some(line) = self.peer(&row, "joined", roster, roster.len(), now) {
                return Some(line);
            }
        }
        None
    }

    fn peer(
        &mut self,
        row: &PeerRow,
        verb: &str,
        roster: &Roster,
        connected: usize,
        now: Duration,
    ) -> Option<NoticeLine> {
        let at = harmless(&row.address.to_string(), 60);
        let text = format!("peer {} {verb}: {at} ({connected} connected)", roster.name(row.peer));
        self.peers.allows(now).then(|| NoticeLine::new(Tone::Quiet, text))
    }

    fn tip(&mut self, tip: Place, ours: bool, shown: Shown, now: Duration) -> Option<NoticeLine> {
        self.last_tip = Some(tip);
        if shown.progress {
            self.reported = Some(tip.height);
            return None;
        }
        if self.blocks.allows(now) { self.new_blocks(tip, ours) } else { None }
    }

    /// Sums up everything that no line has reported yet.
    fn new_blocks(&mut self, tip: Place, ours: bool) -> Option<NoticeLine> {
        let first = self.reported.replace(tip.height).map_or(tip.height.0, |reported| reported.0 + 1);
        let last = format!("{} ({})", grouped(tip.height.0), tip.id.short());
        match first {
            // These events have been reported together with others.
            _ if first > tip.height.0 => None,
            _ if first < tip.height.0 => {
                Some(NoticeLine::new(Tone::Quiet, format!("new blocks {} to {last}", grouped(first))))
            }
            _ if ours => Some(NoticeLine::new(Tone::Good, format!("mined block {last}"))),
            _ => Some(NoticeLine::new(Tone::Quiet, format!("new block {last}"))),
        }
    }

    fn payment(&mut self, transaction: &CheckedTransaction, names: &Names, now: Duration) -> Option<NoticeLine> {
        let sender = transaction.sender();
        let Action::Transfer { to, amount } = &transaction.signed().transaction.action else { return None };
        if *to != names.me || sender == names.me || !self.payments.allows(now) {
            return None;
        }
        let text = format!("payment of {amount} from {}: yours when a block has it", names.short(&sender));
        Some(NoticeLine::new(Tone::Good, text))
    }

    fn warning(&mut self, text: String, now: Duration) -> Option<NoticeLine> {
        self.warn_once(text.clone(), text, now)
    }

    fn warn_once(&mut self, key: String, text: String, now: Duration) -> Option<NoticeLine> {
        if self.warned.get(&key).is_some_and(|before| now < *before + WARNING_AGAIN) {
            return None;
        }
        if self.warned.len() >= WARNINGS_MAX {
            self.warned.clear();
        }
        self.warned.insert(key, now);
        Some(NoticeLine::new(Tone::Warning, harmless(&text, 400)))
    }
}

fn reorganised(tip: Place, depth: u64, returned: u64, fell: Wei) -> String {
    let place = format!("{} ({})", grouped(tip.height.0), tip.id.short());
    let blocks = counted(depth, "block");
    let are = if depth == 1 { "is" } else { "are" };
    let fate = match returned {
        0 => "nothing has to be mined again".to_owned(),
        1 => "1 transaction waits to be mined again".to_owned(),
        many => format!("{} transactions wait to be mined again", grouped(many)),
    };
    let what = if fell > Wei::ZERO {
        format!("your balance fell by {fell}: a chain with more work took over, and {blocks} of the old one {are} out")
    } else {
        format!("a chain with more work took over: {blocks} of the old one {are} out")
    };
    format!("{what}, {fate}; now at block {place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::PeerKey;
    use crate::protocol::check::check_transaction;
    use crate::protocol::{Address, Amount, BlockId, Network, Parameters, SecretKey, Transaction};

    const ME: Address = Address([1; 20]);

    fn tip(height: u64, reorg_depth: u64, returned: usize, ours: bool) -> UserEvent {
        let tip = Place { height: Height(height), id: BlockId([0xab; 32]) };
        UserEvent::Notice(Notice::Tip { tip, reorg_depth, returned, fell: Wei::ZERO, ours })
    }

    fn peer(at: u64, joined: bool) -> UserEvent {
        let row = PeerRow {
            peer: PeerKey(at),
            peer_id: libp2p::PeerId::from_bytes(&[0, 1, at as u8]).expect("an identity multihash"),
            address: "/ip4/10.0.0.2/tcp/7787".parse().expect("valid"),
            agent: "quipu/0.1.0".to_owned(),
            outbound: false,
            ping_millis: None,
        };
        if joined { UserEvent::PeerConnected(row) } else { UserEvent::PeerDisconnected(row) }
    }

    /// Lines for events in succession, each with its time in seconds.
    fn reported(events: &[(u64, UserEvent)], shown: Shown) -> Vec<String> {
        let (mut digest, mut roster) = (Digest::default(), Roster::default());
        let mut lines = Vec::new();
        for (seconds, event) in events {
            let now = Duration::from_secs(*seconds);
            lines.extend(std::iter::from_fn(|| digest.tick(&roster, now)));
            roster.learn(event);
            lines.extend(digest.take(event, &roster, &Names::only(ME), shown, now));
            roster.forget(event);
        }
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn blocks_are_single_lines_until_there_are_many() {
        let lines = reported(
            &[(0, tip(1_233, 0, 0, false)), (20, tip(1_234, 0, 0, true)), (40, tip(1_236, 0, 0, false))],
            Shown::default(),
        );
        assert_eq!(
            lines,
            ["new block 1,233 (abababab)", "mined block 1,234 (abababab)", "new blocks 1,235 to 1,236 (abababab)"]
        );

        let mut many: Vec<_> = (1..=100).map(|height| (0, tip(height, 0, 0, false))).collect();
        many.push((WINDOW.as_secs(), tip(101, 0, 0, false)));
        let lines = reported(&many, Shown::default());
        assert_eq!(lines.len(), LINES_MAX as usize + 1, "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("new blocks 5 to 100 (abababab)"));
    }

    #[test]
    fn a_progress_line_replaces_lines_for_blocks_but_not_for_reorganisations() {
        let shown = Shown { progress: true };
        let events =
            [(0, tip(1, 0, 0, true)), (0, tip(7, 3, 2, false)), (0, tip(8, 1, 1, false)), (0, tip(9, 1, 0, false))];
        assert_eq!(
            reported(&events, shown),
            [
                "a chain with more work took over: 3 blocks of the old one are out, 2 transactions wait to be mined \
                 again; now at block 7 (abababab)",
                "a chain with more work took over: 1 block of the old one is out, 1 transaction waits to be mined again; \
                 now at block 8 (abababab)",
                "a chain with more work took over: 1 block of the old one is out, nothing has to be mined again; now at \
                 block 9 (abababab)",
            ]
        );
    }

    #[test]
    fn peers_come_and_go() {
        let again = NAME_WAIT.as_secs();
        let lines =
            reported(&[(0, peer(1, true)), (again, peer(2, true)), (2 * again, peer(1, false))], Shown::default());
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains(" joined: /ip4/10.0.0.2/tcp/7787 (1 connected)"), "{lines:?}");
        assert!(lines[2].contains(" left: ") && lines[2].contains("(1 connected)"), "{lines:?}");
        let flapping: Vec<_> = (0..100).map(|at| (0, peer(1, at % 2 == 0))).collect();
        let lines = reported(&flapping, Shown::default());
        assert_eq!(lines.len(), LINES_MAX as usize);
        assert!(lines[0].contains(" joined and left: "), "{lines:?}");
    }

    #[test]
    fn a_peer_joins_by_the_name_that_it_says() {
        let (mut digest, mut roster, now) = (Digest::default(), Roster::default(), Duration::ZERO);
        let take = |digest: &mut Digest, roster: &Roster, event: &UserEvent| {
            digest.take(event, roster, &Names::only(ME), Shown::default(), now).map(|line| line.text)
        };
        for (at, name, shown) in [(1, "lab2", "lab2 ("), (2, "l\u{202e}ab\x1b", "l\u{fffd}ab\u{fffd} ("), (3, "", "…")]
        {
            let joins = peer(at, true);
            roster.learn(&joins);
            assert_eq!(take(&mut digest, &roster, &joins), None, "its name may come");
            assert!(digest.tick(&roster, now).is_none());
            assert!(roster.learn_name(PeerKey(at), name) && !roster.learn_name(PeerKey(at), name));
            let line = digest.tick(&roster, now).expect("a line").text;
            assert!(line.starts_with(&format!("peer {shown}")) && line.contains(" joined: "), "{line}");
        }
        let line = take(&mut digest, &roster, &peer(1, false)).expect("a line");
        assert!(line.starts_with("peer lab2 (…") && line.contains(" left: "), "{line}");
        assert!(!roster.learn_name(PeerKey(9), "stranger"), "it is not connected");
    }

    #[test]
    fn a_reorganisation_that_costs_coins_says_so() {
        let tip = Place { height: Height(18), id: BlockId([0xab; 32]) };
        let fell = Wei::from_units(200_000_000);
        let event = UserEvent::Notice(Notice::Tip { tip, reorg_depth: 1, returned: 0, fell, ours: false });
        assert_eq!(
            reported(&[(0, event)], Shown { progress: true }),
            [
                "your balance fell by 2: a chain with more work took over, and 1 block of the old one is out, nothing has to \
              be mined again; now at block 18 (abababab)"
            ]
        );
    }

    #[test]
    fn only_payments_to_us_are_reported() {
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let key = SecretKey::from_seed([1; 32]);
        let pay = |to: Address| {
            let action = Action::Transfer { to, amount: Amount::COIN };
            let transaction = Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action };
            let signed = transaction.sign(&network.genesis_id(), &key);
            let checked = check_transaction(signed, &network).expect("well formed");
            (0, UserEvent::Notice(Notice::Transaction(checked)))
        };
        let lines = reported(&[pay(Address([9; 20])), pay(ME)], Shown::default());
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("payment of 1 from 0x"), "{lines:?}");
    }

    #[test]
    fn a_chain_refused_at_the_checkpoint_is_reported_now_and_then() {
        let refused = |peer: u64, height| {
            let checkpoint = Place { height: Height(1_200), id: BlockId([0xab; 32]) };
            let (peer, height) = (PeerKey(peer), Height(height));
            UserEvent::Notice(Notice::ReorganisationRefused { checkpoint, peer, height })
        };
        let again = WARNING_AGAIN.as_secs();
        let events = [(0, refused(1, 1_300)), (60, refused(2, 1_310)), (again, refused(1, 1_400))];
        let lines = reported(&events, Shown::default());
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("refused a chain that leaves ours below the checkpoint at height 1,200: "));
        assert!(lines[1].contains("at height 1,400"), "{lines:?}");
    }

    #[test]
    fn clocks_in_words_and_not_again_and_again() {
        assert_eq!(peer_clock("…abc", 75_000), "the clock of peer …abc is 75 s ahead of ours");
        assert_eq!(peer_clock("…abc", -7_200_000), "the clock of peer …abc is 2 h behind ours");
        assert!(own_clock(90_000).starts_with("this machine's clock is 90 s behind those of most peers"));
        assert!(own_clock(i64::MIN).contains("ahead of"), "no overflow");
        let wrong = |offset_millis| UserEvent::Notice(Notice::OurClockDiffers { offset_millis });
        let again = WARNING_AGAIN.as_secs();
        assert_eq!(
            reported(&[(0, wrong(70_000)), (1, wrong(71_000)), (again, wrong(72_000))], Shown::default()).len(),
            2
        );
    }
}
