//! The form for scripts (`--json`): one JSON object on each line of stdout, and nothing else there.
//!
//! # Answers
//!
//! Each line of stdin gets exactly one answer, in order; a blank line and one that begins with `#` get none. The next
//! line is read when the answer is written, so a slow command (`mine 5`, `resolve`, `connect`, `save`, `backup`)
//! holds up those after it. At the end of the input the node stops, with exit status 0.
//!
//! ```json
//! {"ok":true,"command":"mine","result":{"blocks":[{"height":1,"id":"00ab…"}]}}
//! {"ok":false,"command":"tx","error":{"code":"insufficient_balance","message":"…"}}
//! ```
//!
//! `command` is the first word of the line. Codes are stable words ([`Code`](crate::node::api::error::Code)); messages
//! are for people and may change. A node that can't start writes one answer to the command `start` and leaves with exit
//! status 1, or 2 if the arguments are wrong.
//!
//! | command | result |
//! | --- | --- |
//! | `mine`, `mine N` | `{blocks: [{height, id}]}`, oldest first; fewer than N if it was stopped |
//! | `mine on`, `off`, `pending` | `{mode, hash_rate, waits_for, job}`, as in `status` |
//! | `tx` | `{id, fee}` |
//! | `record` | `{id, fee}`; of a file also `file: {sha256, name, size}`; of a folder `{records: [of a file], left_out: [name]}` |
//! | `records` | `{records: [record], next}`, the newest first; `next` is null or the `--before` of the next page |
//! | `history` | `{address, entries: [{height, block, timestamp, roles, transaction}], next}`; roles are `sent`, `received`, `mined`, `recorded` |
//! | `watch ID` | a life; without ID: `[life]` of the watched ones |
//! | `unwatch` | `{id}` |
//! | `again` | `{id, fee}` of the new transaction |
//! | `receipt` | `{file, id, height, form, confirmations, bytes}` |
//! | `receipt --tip` | `{height, id, timestamp}` of the best block |
//! | `checkpoint` | `{checkpoint}`: null or `{height, id}` |
//! | `chain` | `{length, blocks: [block], next}`; `length` counts genesis, `next` is null or the FROM of the next page.
//! Without FROM: all blocks |
//! | `block` | a block, with `best_chain`: whether it is on the best chain, `confirmations` (it and the blocks on top of it, else 0), `size` in bytes |
//! | `pending` | `[transaction]`, in the order in which they would be mined now |
//! | `balance` | `{address, balance, spendable, nonce, pending, alias}`; `nonce` counts the account's transactions on
//! the chain, `pending` those that wait: the next nonce is their sum; `alias` is null or its name here |
//! | `address` | `{address}` |
//! | `alias` | `[{name, address}]`; with a name and an address: `{name, address}` |
//! | `unalias` | `{name, address}` |
//! | `wallet` | `[{name, address, current, encrypted, locked, problem}]`; if a file can't be read, `problem` says why and `address` is null |
//! | `wallet use`, `unlock`, `lock` | the same of the wallet in use |
//! | `wallet new` | `{name, address, words}`; the 24 words are shown nowhere else |
//! | `peers` | `[{peer_id, address, name, agent, height, tip, direction, ping_ms}]`; `tip` is the block at that height |
//! | `connect` | the peer, as in `peers` |
//! | `resolve` | `{replaced, answered, asked, tip: {height, id}, kept_back_until}`: whether another chain replaced ours, how
//! many peers answered and were asked, the best block now, until when a better chain dated ahead is kept back |
//! | `save` | `{file, blocks, bytes}` |
//! | `backup` | `{folder, files, bytes}` |
//! | `status` | `{name, network, genesis, height, tip, work, peers, pending, balance, address, wallet, locked, checkpoint, mining: {mode, hash_rate, waits_for, job}, syncing, http}`; `peers` and `pending` are counts, `hash_rate` is in hashes per second, `waits_for` is null, `"chain"` (the node does not mine since a better chain is being fetched), `"transactions"` (none is pending) or `"account"` (the reward would overflow the balance of its account), `job` is null or the blocks that were asked for `{done, wanted}`, `syncing` is true or false |
//! | `help` | `{commands: [{name, usage, summary, details}]}` |
//! | `quit` | `{}`; the node stops after it |
//!
//! A block is `{height, id, parent, timestamp, target, nonce, miner, transactions: [transaction]}`. Its reward is the
//! first transaction. A transaction is `{id, type, sender, nonce, fee, to, amount, data}`; all fields are always there:
//!
//! | type | sender | nonce | to, amount | data |
//! | --- | --- | --- | --- | --- |
//! | `reward` | `"0"` | null | the miner, subsidy and fees | null |
//! | `transfer` | address | number | address, coins | null |
//! | `record` | address | number | null | text, or `{"hex": "…"}` if it is no UTF-8 |
//!
//! A record is `{id, height, block, timestamp, sender, fee, tags, text, file, json, hex}`: one of the last four is the
//! content, the others are null. `json` is the text that was recorded, not parsed: most readers round long numbers. A life is `{id, state, height, block, confirmations, fate, reason, again}`:
//!
//! | state | meaning |
//! | --- | --- |
//! | `unknown` | this node has not heard of it |
//! | `pending` | it waits to be mined |
//! | `in_block` | it is in that block of the best chain; `confirmations` counts that block and those above |
//! | `rolled_back` | that block left the best chain; `fate` is `pending` (it waits again), `mined` (also in the new
//! chain) or `gone` (never again, `reason` says why) |
//! | `gone` | it no longer waits: another one replaced it, or it was evicted from the full pool. With a
//! `reason`: this node had promised to keep it, and it can never be mined |
//!
//! `again` is true if it is lost and a wallet of this node can sign its content once more.
//!
//! Amounts are decimal strings of coins (`"2.5"`), and `work` is a decimal string too: it may exceed 2^53, which many
//! readers round. `target` is a hex string (`"0x1e03ffff"`), ids are 64 hex digits, addresses `0x…` with a checksum.
//! Heights, counts and nonces are numbers (a block's nonce has 64 bits, of which this program's miner uses the low
//! 53 for the first years); times are Unix milliseconds.
//! `direction` is `inbound` or `outbound`; `height`, `tip` and `ping_ms` of a peer are null until known, and `name` is empty.
//!
//! HTTP gives the same answers to the same questions, with two differences: only the prompt reads and writes files, so
//! `file` of `record`, `receipt` and `save` are its own (over HTTP a receipt is the answer itself), and long lists come
//! in pages there: of blocks, and of `pending` as `{length, transactions, next}`.
//!
//! # Events
//!
//! They come between answers, never inside a line, in the order in which things happened:
//!
//! | event | fields |
//! | --- | --- |
//! | `ready` | `peer_id`, `address` (of the account), `listen` (multiaddresses), `http` (its address as a URL, or null), `network`, `genesis`; always the first line |
//! | `peer_connected` | `peer_id`, `address`, `agent`, `direction`; a transaction sent now reaches this peer |
//! | `peer_disconnected` | the same |
//! | `tip` | `height`, `id`, `reorg_depth`: how many blocks left the best chain |
//! | `transaction` | the fields of a transaction that entered the memory pool |
//! | `mining_waits` | `height`, `target`: the node mines by itself, and now waits for a better chain that is being fetched |
//! | `rolled_back` | `transactions: [{id, height, block, fate, reason}]`, `untold`; before the `tip` of a reorganisation |
//! | `watch` | a life that has changed, of a watched transaction, or of your own that was rolled back |
//! | `warning` | `code` (`block_refused`, `reorganisation_refused`, `chain_not_followed`, `tip_ahead`, `peer_clock`, `own_clock`, `node`), `message` |
//! | `fatal` | `message`; the node stops, with exit status 1 |
//!
//! `rolled_back` has transactions whose blocks left the best chain: `height` and `block` are of the block that left,
//! `fate` is `mined` (in a block of the new chain too), `pending` or `gone`, and `reason` says in words why it is gone,
//! else null. `untold` counts those beyond the length of the list.
//!
//! An answer overtakes a flood of `transaction` events, and so do the events that come before the answer. A script that
//! does not read for long loses events, never answers.

use serde::Serialize;

use super::outcome::CommandOutcome;
use crate::node::api::error::Failure;

/// Memory reserved for a line. Longer ones hold no secrets.
const LINE_BYTES_EXPECTED: usize = 1024;

#[derive(Serialize)]
struct AnswerLine<'a, R> {
    ok: bool,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorFields<'a>>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
}

/// The line for a command's success or failure.
pub fn answer(command: &str, result: &Result<CommandOutcome, Failure>) -> String {
    match result {
        Ok(outcome) => line(&AnswerLine { ok: true, command, result: Some(outcome), error: None }),
        Err(failure) => error(command, failure.code.as_str(), &failure.message),
    }
}

/// The line for a successful subcommand of the command line.
pub fn success(command: &str, result: &impl Serialize) -> String {
    line(&AnswerLine { ok: true, command, result: Some(result), error: None })
}

/// The line for a node that can't start.
pub fn start_failure(code: &str, message: &str) -> String {
    error("start", code, message)
}

/// The line for a failed command.
pub fn error(command: &str, code: &str, message: &str) -> String {
    line(&AnswerLine::<()> { ok: false, command, result: None, error: Some(ErrorFields { code, message }) })
}

fn line(value: &impl Serialize) -> String {
    // Room for a recovery phrase from the start: a buffer that grows leaves copies of it behind.
    let mut line = Vec::with_capacity(LINE_BYTES_EXPECTED);
    serde_json::to_writer(&mut line, value).expect("strings, numbers and lists always serialise");
    String::from_utf8(line).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::super::command::{COMMANDS, find};
    use super::super::fixture;
    use super::*;
    use crate::engine::event::{Fate, GoneReason, MiningMode, Notice, PeerKey, Place, RolledBack};
    use crate::engine::view::MiningWait;
    use crate::node::api::error::Code;
    use crate::node::api::event::{Roster, event};
    use crate::node::api::rows::{
        AccountRow, BackedUp, BlockPage, BlockRow, Direction, Mined, Mining, NodeStatus, Peer, PlaceRow, Resolved,
        Saved, Sent, StandingBlock,
    };
    use crate::node::event::PeerRow;
    use crate::node::event::UserEvent;
    use crate::protocol::{Amount, BlockId, CheckedTransaction, Height, TransactionId, UnixMillis, Violation};

    fn result(outcome: CommandOutcome) -> String {
        let line = answer("x", &Ok(outcome));
        let inner = line.strip_prefix(r#"{"ok":true,"command":"x","result":"#).and_then(|rest| rest.strip_suffix('}'));
        inner.unwrap_or_else(|| panic!("not an answer: {line}")).to_owned()
    }

    const ID: &str = "abababababababababababababababababababababababababababababababab";
    const ME: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    #[test]
    fn failures() {
        let failure = Failure::new(Code::InsufficientBalance, "not \"enough\"\n");
        assert_eq!(
            answer("tx", &Err(failure)),
            r#"{"ok":false,"command":"tx","error":{"code":"insufficient_balance","message":"not \"enough\"\n"}}"#
        );
        assert_eq!(
            start_failure("usage", "no"),
            r#"{"ok":false,"command":"start","error":{"code":"usage","message":"no"}}"#
        );
    }

    #[test]
    fn small_answers() {
        let place = PlaceRow { height: Height(7), id: BlockId([0xab; 32]) };
        let (address, amount) = (fixture::me(), Amount::from_units(250_000_000));
        let peer = Peer {
            peer_id: "Q".to_owned(),
            address: "/ip4/10.0.0.2/tcp/7787".parse().expect("valid"),
            name: "lab2".to_owned(),
            agent: "quipu/0.1.0".to_owned(),
            height: Some(Height(7)),
            tip: None,
            direction: Direction::Inbound,
            ping_ms: None,
            clock_offset_millis: Some(1),
        };
        let cases = [
            (CommandOutcome::Mined { mined: Mined { blocks: vec![place] }, wanted: 2 }, format!(r#"{{"blocks":[{{"height":7,"id":"{ID}"}}]}}"#)),
            (
                CommandOutcome::MiningSet(Mining {
                    mode: MiningMode::Pending,
                    hash_rate: 0,
                    waits_for: Some(MiningWait::Transactions),
                    job: None,
                }),
                r#"{"mode":"pending","hash_rate":0,"waits_for":"transactions","job":null}"#.to_owned(),
            ),
            (CommandOutcome::Sent(Sent { id: TransactionId([0xab; 32]), fee: Amount::ZERO, file: None, signed: None }), format!(r#"{{"id":"{ID}","fee":"0"}}"#)),
            (CommandOutcome::Pending(Vec::new()), "[]".to_owned()),
            (
                CommandOutcome::Balance(AccountRow {
                    address,
                    balance: amount.into(),
                    spendable: Amount::ZERO,
                    nonce: 3,
                    pending: 1,
                    alias: None,
                }),
                format!(r#"{{"address":"{ME}","balance":"2.5","spendable":"0","nonce":3,"pending":1,"alias":null}}"#),
            ),
            (CommandOutcome::Address { address }, format!(r#"{{"address":"{ME}"}}"#)),
            (
                CommandOutcome::Peers(vec![peer.clone()]),
                r#"[{"peer_id":"Q","address":"/ip4/10.0.0.2/tcp/7787","name":"lab2","agent":"quipu/0.1.0","height":7,"tip":null,"direction":"inbound","ping_ms":null}]"#
                    .to_owned(),
            ),
            (
                CommandOutcome::Connected(Peer { height: None, direction: Direction::Outbound, ..peer }),
                r#"{"peer_id":"Q","address":"/ip4/10.0.0.2/tcp/7787","name":"lab2","agent":"quipu/0.1.0","height":null,"tip":null,"direction":"outbound","ping_ms":null}"#
                    .to_owned(),
            ),
            (
                CommandOutcome::Resolved(Resolved { replaced: true, answered: 1, asked: 2, tip: place, kept_back_until: None }),
                format!(r#"{{"replaced":true,"answered":1,"asked":2,"tip":{{"height":7,"id":"{ID}"}},"kept_back_until":null}}"#),
            ),
            (
                CommandOutcome::Saved(Saved { file: "a b.json".to_owned(), blocks: 2, bytes: 99 }),
                r#"{"file":"a b.json","blocks":2,"bytes":99}"#.to_owned(),
            ),
            (
                CommandOutcome::BackedUp(BackedUp { folder: "/b".to_owned(), files: 5, bytes: 99 }),
                r#"{"folder":"/b","files":5,"bytes":99}"#.to_owned(),
            ),
            (
                CommandOutcome::Help { commands: vec![find("quit").expect("there").into()] },
                r#"{"commands":[{"name":"quit","usage":"quit","summary":"stop the node and leave (also `exit`)","details":""}]}"#
                    .to_owned(),
            ),
            (CommandOutcome::Quit {}, "{}".to_owned()),
        ];
        for (outcome, want) in cases {
            assert_eq!(result(outcome), want);
        }
    }

    #[test]
    fn status() {
        let status = NodeStatus::new(
            &fixture::identity(),
            &fixture::view(),
            &fixture::wallet(),
            3,
            (Vec::new(), None),
            UnixMillis(2_000),
        );
        let genesis = fixture::identity().genesis;
        assert_eq!(
            result(CommandOutcome::Status(Box::new(status))),
            format!(
                r#"{{"name":"lab2","network":"dev","genesis":"{genesis}","height":7,"tip":"{ID}","work":"{work}","peers":3,"pending":2,"balance":"2.5","address":"{ME}","wallet":"default","locked":true,"checkpoint":null,"mining":{{"mode":"on","hash_rate":4150000,"waits_for":null,"job":{{"done":1,"wanted":5}}}},"syncing":true,"http":null}}"#,
                work = u128::MAX,
            )
        );
    }

    #[test]
    fn blocks_and_transactions() {
        let (network, block) = (fixture::network(), fixture::block());
        let row = BlockRow::new(&block, &network);
        let ids: Vec<_> = row.transactions.iter().map(|row| row.id).collect();
        let sender = fixture::key().public_key().address();
        let want = format!(
            concat!(
                r#"{{"height":1,"id":"{id}","parent":"{parent}","timestamp":1793491200000,"target":"0x2100ffff","#,
                r#""nonce":18446744073709551615,"miner":"{me}","transactions":["#,
                r#"{{"id":"{r}","type":"reward","sender":"0","nonce":null,"fee":"0","to":"{me}","amount":"1.25","data":null}},"#,
                r#"{{"id":"{t}","type":"transfer","sender":"{s}","nonce":0,"fee":"0.25","to":"{me}","amount":"2.5","data":null}},"#,
                r#"{{"id":"{a}","type":"record","sender":"{s}","nonce":1,"fee":"0","to":null,"amount":null,"data":"p \"7\""}},"#,
                r#"{{"id":"{b}","type":"record","sender":"{s}","nonce":2,"fee":"0","to":null,"amount":null,"data":{{"hex":"ff00"}}}}"#,
                "]}}"
            ),
            id = block.header.id(),
            parent = block.header.parent,
            me = ME,
            s = sender,
            r = ids[0],
            t = ids[1],
            a = ids[2],
            b = ids[3],
        );
        assert_eq!(
            result(CommandOutcome::Chain(BlockPage { length: 2, blocks: vec![row.clone()], next: None })),
            format!(r#"{{"length":2,"blocks":[{want}],"next":null}}"#)
        );
        let fields = r#""best_chain":false,"confirmations":0,"size":500}"#;
        let with_place = format!("{},{fields}", want.strip_suffix('}').expect("an object"));
        let standing = StandingBlock { block: row, best_chain: false, confirmations: 0, size: 500 };
        assert_eq!(result(CommandOutcome::Block(Box::new(standing))), with_place);
    }

    #[test]
    fn events() {
        let (identity, mut roster) = (fixture::identity(), Roster::default());
        let peer_id: PeerId = identity.peer_id;
        let row = PeerRow {
            peer: PeerKey(1),
            peer_id,
            address: "/ip4/10.0.0.2/tcp/7787".parse().expect("valid"),
            agent: "quipu/0.1.0".to_owned(),
            outbound: true,
            ping_millis: None,
        };
        let peer = format!(
            r#""peer_id":"{peer_id}","address":"/ip4/10.0.0.2/tcp/7787","agent":"quipu/0.1.0","direction":"outbound"}}"#
        );
        let place = Place { height: Height(7), id: BlockId([0xab; 32]) };
        let cases = [
            (
                UserEvent::Ready {
                    listen: vec!["/ip4/127.0.0.1/tcp/1".parse().expect("valid")],
                    http: Some(([127, 0, 0, 1], 7788).into()),
                },
                format!(
                    r#"{{"event":"ready","peer_id":"{peer_id}","address":"{ME}","listen":["/ip4/127.0.0.1/tcp/1"],"http":"http://127.0.0.1:7788","network":"dev","genesis":"{}"}}"#,
                    identity.genesis
                ),
            ),
            (UserEvent::PeerConnected(row.clone()), format!(r#"{{"event":"peer_connected",{peer}"#)),
            (
                UserEvent::Notice(Notice::Tip { tip: place, reorg_depth: 2, returned: 1, fell: Default::default(), ours: true }),
                format!(r#"{{"event":"tip","height":7,"id":"{ID}","reorg_depth":2}}"#),
            ),
            (
                UserEvent::Notice(Notice::BlockRefused { place, violation: Violation::EmptyTransfer }),
                r#"{"event":"warning","code":"block_refused","message":"refused block 7 (abababab): a transfer must move more than 0 coins"}"#
                    .to_owned(),
            ),
            (
                UserEvent::Notice(Notice::MiningWaits { height: Height(7), target: Height(900) }),
                r#"{"event":"mining_waits","height":7,"target":900}"#.to_owned(),
            ),
            (
                UserEvent::Notice(Notice::OurClockDiffers { offset_millis: 75_000 }),
                r#"{"event":"warning","code":"own_clock","message":"this machine's clock is 75 s behind those of most peers: please set it, or blocks will be refused"}"#
                    .to_owned(),
            ),
            (
                UserEvent::Warning("mDNS does not start".to_owned()),
                r#"{"event":"warning","code":"node","message":"mDNS does not start"}"#.to_owned(),
            ),
            (UserEvent::Fatal("full".to_owned()), r#"{"event":"fatal","message":"full"}"#.to_owned()),
            (UserEvent::PeerDisconnected(row), format!(r#"{{"event":"peer_disconnected",{peer}"#)),
        ];
        for (told, want) in cases {
            roster.learn(&told);
            assert_eq!(event(&told, &identity, &roster), Some(want));
        }
        assert_eq!(event(&UserEvent::Indexed(place), &identity, &roster), None);
        let clock = UserEvent::Notice(Notice::ClockDiffers { peer: PeerKey(1), offset_millis: 1 });
        let clock = event(&clock, &identity, &roster).expect("people read it");
        assert!(
            clock.starts_with(r#"{"event":"warning","code":"peer_clock","message":"the clock of peer …"#),
            "{clock}"
        );
    }

    #[test]
    fn rolled_back_transactions_have_their_fates() {
        let signed = fixture::block().body.transactions[0].clone();
        let transaction = CheckedTransaction::recall(signed, &fixture::network());
        let place = Place { height: Height(7), id: BlockId([0xab; 32]) };
        let fates = [
            (Fate::Mined, r#""mined","reason":null"#),
            (Fate::Pending, r#""pending","reason":null"#),
            (Fate::Gone(GoneReason::NoCoins), r#""gone","reason":"its account no longer has the coins""#),
        ];
        for (fate, want) in fates {
            let transactions = vec![RolledBack { transaction: transaction.clone(), place, fate }];
            let told = UserEvent::Notice(Notice::RolledBack { transactions, untold: 3 });
            let id = transaction.id();
            let want = format!(
                r#"{{"event":"rolled_back","transactions":[{{"id":"{id}","height":7,"block":"{ID}","fate":{want}}}],"untold":3}}"#
            );
            assert_eq!(event(&told, &fixture::identity(), &Roster::default()), Some(want));
        }
    }

    #[test]
    fn a_refused_reorganisation_is_a_warning() {
        let checkpoint = Place { height: Height(1_200), id: BlockId([0xab; 32]) };
        let refused = Notice::ReorganisationRefused { checkpoint, peer: PeerKey(1), height: Height(1_300) };
        let line = event(&UserEvent::Notice(refused), &fixture::identity(), &Roster::default());
        let want = r#"{"event":"warning","code":"reorganisation_refused","message":"refused a chain that leaves ours below the checkpoint at height 1,200: peer that has left has more work, at height 1,300 (see `help checkpoint`)"}"#;
        assert_eq!(line.as_deref(), Some(want));
    }

    #[test]
    fn help_has_every_command() {
        let line = answer("help", &Ok(CommandOutcome::Help { commands: COMMANDS.iter().map(Into::into).collect() }));
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["result"]["commands"].as_array().map(Vec::len), Some(COMMANDS.len()));
    }
}
