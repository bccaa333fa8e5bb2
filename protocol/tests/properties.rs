//! Properties that hold for any input, checked on random values and random bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use quipu_protocol::block::{HEADER_BYTES, VERSION};
use quipu_protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu_protocol::encode::{decode, encode};
use quipu_protocol::ledger::AccountChange;
use quipu_protocol::message::{RESPONSE_BYTES_MAX, Request, Response, Status};
use quipu_protocol::work::Retarget;
use quipu_protocol::*;

fn hash_bytes() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn amount() -> impl Strategy<Value = Amount> {
    any::<u64>().prop_map(Amount::from_units)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (address(), amount()).prop_map(|(to, amount)| Action::Transfer { to, amount }),
        vec(any::<u8>(), 0..200).prop_map(|data| Action::Record { data: data.into() }),
    ]
}

prop_compose! {
    fn signed()(key in hash_bytes(), nonce: u64, fee in amount(), action in action(), halves: [[u8; 32]; 2])
        -> SignedTransaction
    {
        let transaction = Transaction { sender: PublicKey::Ed25519(key), nonce, fee, action };
        let signature = Signature::Ed25519(halves.concat().try_into().expect("twice 32 bytes"));
        SignedTransaction { transaction, signature }
    }
}

prop_compose! {
    fn header()(
        version: u32, height: u64, parent in hash_bytes(), root in hash_bytes(), time: u64, target: u32, nonce: u64,
    ) -> Header {
        let (parent, root) = (BlockId(parent), LeafHash(root));
        let (height, timestamp, target) = (Height(height), UnixMillis(time), Target(target));
        Header { version, height, parent, root, timestamp, target, nonce }
    }
}

prop_compose! {
    fn block()(
        header in header(), roots: [[u8; 32]; 2], to in address(), amount in amount(), transactions in vec(signed(), 0..4),
    ) -> Block {
        let context = Context { history: HistoryHash(roots[0]), outcome: OutcomeHash(roots[1]) };
        Block { header, body: Body { context, reward: Reward { to, amount }, transactions: transactions.into() } }
    }
}

prop_compose! {
    fn status()(tip in hash_bytes(), numbers: (u64, u128, u64, u64), nickname in vec(any::<u8>(), 0..40)) -> Status {
        let (height, work, clock, pending) = numbers;
        let (tip, height, clock) = (BlockId(tip), Height(height), UnixMillis(clock));
        Status { tip, height, work: Work(work), clock, pending, nickname: nickname.into() }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let blocks = || vec(hash_bytes().prop_map(BlockId), 0..5);
    prop_oneof![
        status().prop_map(Request::Status),
        blocks().prop_map(|locator| Request::Headers { locator: locator.into() }),
        blocks().prop_map(|ids| Request::Blocks { ids: ids.into() }),
        Just(Request::Pending),
        vec(hash_bytes().prop_map(TransactionId), 0..5).prop_map(|ids| Request::Transactions { ids: ids.into() }),
        (hash_bytes(), vec(any::<u32>(), 0..5))
            .prop_map(|(block, places)| Request::BlockTransactions { block: BlockId(block), places: places.into() }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        status().prop_map(Response::Status),
        vec(header(), 0..4).prop_map(|headers| Response::Headers(headers.into())),
        vec(block(), 0..3).prop_map(|blocks| Response::Blocks(blocks.into())),
        vec(hash_bytes().prop_map(TransactionId), 0..5).prop_map(|ids| Response::Pending(ids.into())),
        vec(signed(), 0..4).prop_map(|signed| Response::Transactions(signed.into())),
        vec(signed(), 0..4).prop_map(|signed| Response::BlockTransactions(signed.into())),
    ]
}

/// A compact block with ids of any width, as announced by a node that knows other transactions.
fn compact() -> impl Strategy<Value = CompactBlock> {
    let widths = compact::ID_BITS_MIN..=compact::ID_BITS_MAX;
    (block(), vec(hash_bytes().prop_map(LeafHash), 0..3), widths).prop_map(|(block, others, id_bits)| {
        CompactBlock::with_id_bits(&CheckedBlock::recall(block, &dev()), others, id_bits)
    })
}

/// A valid encoding of any type that peers send.
fn encoding() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        header().prop_map(|value| encode(&value)),
        signed().prop_map(|value| encode(&value)),
        vec(signed(), 0..4).prop_map(|signed| encode(&List::from(signed))),
        block().prop_map(|value| encode(&value)),
        request().prop_map(|value| encode(&value)),
        response().prop_map(|value| encode(&value)),
        compact().prop_map(|value| encode(&Announcement::Compact(value))),
    ]
}

/// One change of a kind that damage or an attacker makes.
#[derive(Debug, Clone)]
enum Mutation {
    Set(u8),
    Insert(u8),
    Remove,
    Truncate,
    Word(u64),
}

fn mutation() -> impl Strategy<Value = (prop::sample::Index, Mutation)> {
    let kind = prop_oneof![
        any::<u8>().prop_map(Mutation::Set),
        any::<u8>().prop_map(Mutation::Insert),
        Just(Mutation::Remove),
        Just(Mutation::Truncate),
        prop_oneof![any::<u64>(), Just(u64::MAX), 0..5_u64].prop_map(Mutation::Word),
    ];
    (any::<prop::sample::Index>(), kind)
}

fn mutate(bytes: &mut Vec<u8>, at: usize, mutation: &Mutation) {
    match mutation {
        Mutation::Set(byte) => bytes[at] = *byte,
        Mutation::Insert(byte) => bytes.insert(at, *byte),
        Mutation::Remove => {
            bytes.remove(at);
        }
        Mutation::Truncate => bytes.truncate(at),
        Mutation::Word(word) => {
            for (byte, new) in bytes[at..].iter_mut().zip(word.to_le_bytes()) {
                *byte = new;
            }
        }
    }
}

/// Decodes bytes as every type that peers send. An accepted value must encode to the very same bytes, so that no value
/// has two encodings; and checking it must not panic either.
fn decode_as_everything(bytes: &[u8], network: &Network) {
    fn one<T: bincode::Encode + bincode::Decode<()>>(bytes: &[u8]) -> Option<T> {
        let value = decode::<T>(bytes, RESPONSE_BYTES_MAX).ok()?;
        assert_eq!(encode(&value), bytes, "a second encoding was accepted");
        Some(value)
    }
    if let Some(header) = one::<Header>(bytes) {
        assert_eq!(bytes.len(), HEADER_BYTES);
        let _ = check::check_header(&header, network);
        let _ = check::check_header_time(&header, UnixMillis(0), network);
        let _ = check::check_header_in_context(&header, &check::Parent::genesis(network), network);
    }
    if let Some(bundle) = one::<Bundle>(bytes) {
        assert!(!bundle.is_empty() && bundle.len() <= BUNDLE_TRANSACTIONS_MAX && bundle.length() == bytes.len());
    }
    if let Some(block) = one::<Block>(bytes) {
        // Transactions are judged only in blocks with work, so this judges them here as well.
        let _ = check::check_transactions(block.body.transactions.to_vec(), network);
    }
    one::<Delta>(bytes);
    if let Some(Announcement::Compact(compact)) = one::<Announcement>(bytes) {
        assert_eq!(compact.length() + 4, bytes.len());
        assert!(compact.find(&[]).iter().all(Option::is_none));
    }
    one::<Request>(bytes);
    if let Some(Response::Status(status)) = one::<Response>(bytes) {
        assert!(status.nickname().chars().count() <= message::NICKNAME_BYTES_MAX);
    }
    let _ = check::check_block_bytes(bytes, network);
    let _ = check::check_transaction_bytes(bytes, network);
}

fn dev() -> Network {
    Network::new(Parameters::dev()).expect("a preset is valid")
}

fn retarget() -> impl Strategy<Value = Retarget> {
    let half_life = prop_oneof![1..100_u64, 1000..1_000_000_u64, any::<u64>().prop_map(|span| span.max(1))];
    let spacing = prop_oneof![1..1_000_000_u64, any::<u64>()];
    let easiest = prop_oneof![Just(Target(0x1e03_ffff)), Just(Target(0x2100_ffff)), target()];
    let grace = prop_oneof![Just(0), 1..1_000_000_u64, any::<u64>()];
    (half_life, spacing, grace, easiest).prop_map(|(half_life, spacing, grace, easiest)| Retarget {
        spacing: Millis(spacing),
        half_life: Millis(half_life),
        grace: Millis(grace),
        easiest,
    })
}

/// A target of any network.
fn target() -> impl Strategy<Value = Target> {
    (0x15..=0x21_u32, 0x8000..0x80_0000_u32)
        .prop_map(|(exponent, mantissa)| Target(exponent << 24 | mantissa))
        .prop_filter("canonical", |target| target.expand().is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        decode_as_everything(&bytes, &dev());
    }

    #[test]
    fn sparse_bytes_never_panic(bytes in vec(prop_oneof![9 => Just(0_u8), 1 => any::<u8>()], 0..400)) {
        decode_as_everything(&bytes, &dev());
    }

    #[test]
    fn mutated_encodings_never_panic(bytes in encoding(), mutations in vec(mutation(), 0..4)) {
        let mut bytes = bytes;
        for (at, mutation) in &mutations {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                mutate(&mut bytes, at, mutation);
            }
        }
        decode_as_everything(&bytes, &dev());
    }

    #[test]
    fn values_survive_encoding(block in block(), request in request(), response in response(), compact in compact()) {
        prop_assert_eq!(decode::<CompactBlock>(&encode(&compact), RESPONSE_BYTES_MAX), Ok(compact));
        prop_assert_eq!(decode::<Block>(&encode(&block), RESPONSE_BYTES_MAX), Ok(block));
        prop_assert_eq!(decode::<Request>(&encode(&request), RESPONSE_BYTES_MAX), Ok(request));
        prop_assert_eq!(decode::<Response>(&encode(&response), RESPONSE_BYTES_MAX), Ok(response));
    }

    #[test]
    fn amounts_survive_text(units in prop_oneof![any::<u64>(), 0..1_000_000_000_u64]) {
        let amount = Amount::from_units(units);
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
    }

    #[test]
    fn any_text_is_an_amount_or_an_error(text in "[-+0-9.e ]{0,40}|.{0,20}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }

    #[test]
    fn addresses_survive_text_and_mistyped_ones_rarely_do(bytes: [u8; 20], at in 2..42_usize, digit in "[0-9a-fA-F]") {
        let text = Address(bytes).to_string();
        prop_assert_eq!(text.parse(), Ok(Address(bytes)));
        let mut mistyped = text;
        mistyped.replace_range(at..=at, &digit);
        if let Ok(other) = mistyped.parse::<Address>() {
            let uniform = mistyped[2..] == mistyped[2..].to_lowercase() || mistyped[2..] == mistyped[2..].to_uppercase();
            prop_assert!(uniform || other.to_string() == mistyped);
        }
    }

    #[test]
    fn every_compact_target_is_canonical_or_refused(target in prop_oneof![any::<u32>().prop_map(Target), target()]) {
        match target.expand() {
            Some(bound) => {
                prop_assert_eq!(Target::compress(bound), target);
                prop_assert!(target.work() > Work::ZERO && target.work() <= Work(1 << 96));
            }
            None => prop_assert_eq!(target.work(), Work::ZERO),
        }
    }

    #[test]
    fn compressing_rounds_down_by_less_than_one_part_in_32768(target in target(), low: [u8; 32]) {
        let bound = target.expand().expect("filtered");
        let noisy = bound | (ethnum::U256::from_be_bytes(low) >> (bound.leading_zeros() + 24));
        let rounded = Target::compress(noisy).expand().expect("at least as large as a target");
        prop_assert!(rounded <= noisy && noisy - rounded <= noisy >> 15);
    }

    #[test]
    fn work_orders_targets(one in target(), other in target()) {
        if one.expand() < other.expand() {
            prop_assert!(one.work() >= other.work());
        }
    }

    #[test]
    fn retargeting_is_monotone_in_time_and_bounded(
        rule in retarget(), parent in target(),
        spans in prop_oneof![any::<(u64, u64)>(), (0..10_000_000_u64, 0..10_000_000_u64)],
    ) {
        let after = |before: u64, since: u64| rule.target_after(parent, Millis(before), Millis(since)).expand();
        let times = [spans.0, spans.1, rule.grace.0, 0, u64::MAX];
        let easiest = rule.easiest.expand();
        for one in times {
            for other in times {
                let target = after(one, other);
                prop_assert!(target.is_some() && target >= Target::HARDEST.expand() && target <= easiest);
                for third in times {
                    prop_assert!(other > third || target <= after(one, third), "{one} {other} {third}");
                    prop_assert!(one > third || target <= after(third, other), "{one} {other} {third}");
                }
            }
        }
    }
}

/// A move of a random game: a transfer or a record.
#[derive(Debug, Clone)]
struct Move {
    from: usize,
    to: usize,
    share: u64,
    fee: u64,
    record: bool,
}

const PLAYERS: usize = 4;

fn blocks_of_moves() -> impl Strategy<Value = Vec<(usize, Vec<Move>)>> {
    let player = || 0..PLAYERS;
    let game_move = (player(), player(), 1..200_u64, 0..1000_u64, any::<bool>())
        .prop_map(|(from, to, share, fee, record)| Move { from, to, share, fee, record });
    vec((player(), vec(game_move, 0..5)), 1..8)
}

struct Game {
    network: Network,
    keys: Vec<SecretKey>,
    ledger: Ledger,
    parent: Header,
}

impl Game {
    fn new() -> Self {
        let network = dev();
        let keys = (1..=PLAYERS as u8).map(|seed| SecretKey::from_seed([seed; 32])).collect();
        let parent = network.genesis().header;
        Self { network, keys, ledger: Ledger::default(), parent }
    }

    fn address(&self, player: usize) -> Address {
        self.keys[player].public_key().address()
    }

    fn total(&self) -> u128 {
        (0..PLAYERS).map(|player| self.ledger.account(&self.address(player)).balance.0).sum()
    }

    fn state(&self) -> Vec<Account> {
        (0..PLAYERS).map(|player| self.ledger.account(&self.address(player))).collect()
    }

    /// A valid block of the moves that the players can pay for.
    fn block(&self, miner: usize, moves: &[Move]) -> CheckedBlock {
        let mut overlay = ledger::Overlay::new(&self.ledger);
        let mut transactions = Vec::new();
        let mut reward = self.network.parameters().subsidy;
        for step in moves {
            let (sender, to) = (self.address(step.from), self.address(step.to));
            let Account { balance, nonce } = overlay.account(&sender);
            let amount = Amount::from_units(balance.whole_units().units() / 200 * step.share + 1);
            let action = if step.record {
                Action::Record { data: step.fee.to_le_bytes().to_vec().into() }
            } else {
                Action::Transfer { to, amount }
            };
            let key = &self.keys[step.from];
            let fee = Amount::from_units(step.fee);
            let transaction = Transaction { sender: key.public_key(), nonce, fee, action };
            let signed = transaction.sign(&self.network.genesis_id(), key);
            let checked = check::check_transaction(signed, &self.network).expect("well formed and signed");
            if overlay.apply(&checked).is_ok() {
                reward = reward.checked_add(fee).expect("small");
                transactions.push(checked);
            }
        }
        let reward = Reward { to: self.address(miner), amount: reward };
        let context = Context::of(HistoryHash([3; 32]));
        let mut header = Header {
            version: VERSION,
            height: self.parent.height.next(),
            parent: self.parent.id(),
            root: CheckedBlock::root_of(&context, &reward, &transactions),
            timestamp: self.parent.timestamp,
            target: self.network.parameters().easiest_target,
            nonce: 0,
        };
        while !header.target.is_met_by(&header.id()) {
            header.nonce += 1;
        }
        CheckedBlock::assemble(header, context, reward, transactions, &self.network).expect("made by the rules")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_conserve_coins_and_can_be_undone(plan in blocks_of_moves()) {
        let mut game = Game::new();
        let mut history = Vec::new();
        for (miner, moves) in &plan {
            let block = game.block(*miner, moves);
            prop_assert!(check::check_block_bytes(&encode(&block), &game.network).as_ref() == Ok(&block));
            let before = game.state();
            let total = game.total();
            let accounts = game.ledger.len();
            let delta = game.ledger.connect(&block, &game.network).expect("made by the rules");
            prop_assert_eq!(decode::<Delta>(&encode(&delta), RESPONSE_BYTES_MAX), Ok(delta.clone()));
            prop_assert!(delta.changes.windows(2).all(|pair: &[AccountChange]| pair[0].address < pair[1].address));
            prop_assert_eq!(game.state(), before.clone(), "connect must not change the ledger");
            game.ledger.apply(&delta);
            prop_assert_eq!(game.total(), total + Wei::from(Amount::COIN).0);
            history.push((delta, before, accounts));
            game.parent = *block.header();
        }
        for (delta, before, accounts) in history.into_iter().rev() {
            game.ledger.revert(&delta);
            prop_assert_eq!((game.state(), game.ledger.len()), (before, accounts));
        }
        prop_assert!(game.ledger.is_empty());
    }
}
