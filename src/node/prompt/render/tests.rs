//! Text for people.

use super::*;
use crate::node::api::error::Code;
use crate::node::api::rows::{BlockPage, Mined, Sent, StandingBlock};
use crate::node::prompt::command::{COMMANDS, find};
use crate::node::prompt::fixture;
use crate::protocol::record::Content;
use crate::protocol::{Action, Address, Amount, BlockId, TransactionId, UnixMillis};

fn shown(result: &Result<CommandOutcome, Failure>) -> String {
    Renderer { style: Style { colour: false }, identity: &fixture::identity(), page: None, folder: None }.answer(result)
}

fn places(count: u64) -> Vec<PlaceRow> {
    (1..=count).map(|height| PlaceRow { height: Height(height), id: BlockId([0xab; 32]) }).collect()
}

#[test]
fn mined_blocks_are_listed_summed_up_or_cut_short() {
    let mined = |blocks, wanted| shown(&Ok(CommandOutcome::Mined { mined: Mined { blocks: places(blocks) }, wanted }));
    assert_eq!(mined(2, 2), "mined block 1 (abababab)\nmined block 2 (abababab)");
    assert_eq!(mined(2_000, 2_000), "mined 2,000 blocks, the last one:\nmined block 2,000 (abababab)");
    assert_eq!(mined(0, 5), "stopped after 0 of 5 blocks");
    assert_eq!(mined(1, 5), "stopped after 1 of 5 blocks\nmined block 1 (abababab)");
}

#[test]
fn a_resolution_says_whose_chain_it_is() {
    let resolved = |replaced, asked| {
        let tip = PlaceRow { height: Height(7), id: BlockId([1; 32]) };
        shown(&Ok(CommandOutcome::Resolved(Resolved { replaced, answered: asked, asked, tip, kept_back_until: None })))
    };
    assert!(resolved(true, 2).starts_with("our chain was replaced"));
    assert!(resolved(false, 2).starts_with("our chain is authoritative"));
    assert!(resolved(false, 0).starts_with("no peer is connected"));
}

#[test]
fn blocks_and_chains() {
    let block = BlockRow::new(&fixture::block(), &fixture::network());
    let standing = StandingBlock { block: block.clone(), best_chain: true, confirmations: 1, size: 500 };
    let text = shown(&Ok(CommandOutcome::Block(Box::new(standing))));
    for words in [
        "block 1 on the best chain",
        "2026-11-01 00:00:00 UTC",
        "(you)",
        "0x2100ffff: needs 0 zero bits, ",
        "reward    1.25 to you",
        "transfer  2.5 from 0x",
        "fee 0.25",
        "record    \"p \"7\"\" by",
        "record    0xff00 by",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = shown(&Ok(CommandOutcome::Chain(BlockPage { length: 20_001, blocks: vec![block], next: Some(2) })));
    assert!(text.starts_with("block 1 of 20,001\n"), "{text}");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[2].ends_with("you            3") && lines[3] == "`chain 2` goes on", "{text}");
}

#[test]
fn records_are_shown_by_what_they_say() {
    let file = Content::File { sha256: [7; 32], name: "bill.pdf".to_owned(), size: 12_345 };
    let record = Record { tags: vec!["delivery".parse().expect("a tag")], content: file };
    let data = String::from_utf8(record.to_data().expect("short")).expect("JSON");
    let mut block = BlockRow::new(&fixture::block(), &fixture::network());
    block.transactions[2].data = Some(Data::Text(data));
    let text = shown(&Ok(CommandOutcome::Pending(block.transactions)));
    assert!(text.contains("record    #delivery file bill.pdf (12,345 bytes) by"), "{text}");
}

#[test]
fn what_others_write_cannot_steer_the_terminal() {
    let mut block = BlockRow::new(&fixture::block(), &fixture::network());
    block.transactions[2].data = Some(Data::Text("\x1b[2J\nmined block".to_owned() + &"x".repeat(4_000)));
    let text = shown(&Ok(CommandOutcome::Pending(block.transactions)));
    assert!(!text.contains('\x1b') && text.lines().all(|line| line.chars().count() < 200), "{text}");
    let peer = Peer {
        peer_id: "12D3KooWabcdefgh".to_owned(),
        address: "/ip4/10.0.0.2/tcp/7787".parse().expect("valid"),
        name: "\x1b]0;evil\x07".to_owned(),
        agent: String::new(),
        height: None,
        tip: None,
        direction: Direction::Inbound,
        ping_ms: Some(3),
        clock_offset_millis: Some(-90_000),
    };
    let text = shown(&Ok(CommandOutcome::Peers(vec![peer])));
    assert!(!text.contains('\x1b') && text.contains("…abcdefgh") && text.contains("off by 90 s"), "{text}");
    assert!(!shown(&Err(Failure::new(Code::ConnectFailed, "\x1b[1m"))).contains('\x1b'));
}

#[test]
fn balances_and_status() {
    let balance = |pending| {
        shown(&Ok(CommandOutcome::Balance(AccountRow {
            address: fixture::me(),
            balance: Amount::from_units(250_000_000).into(),
            spendable: Amount::COIN,
            nonce: 1,
            pending,
            alias: None,
        })))
    };
    let end = "at 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed (you), 1 transaction made";
    assert_eq!(balance(0), format!("2.5 {end}"));
    let spent = "1 of it can be spent now, with";
    assert_eq!(balance(1), format!("2.5 {end}\n{spent} 1 pending transaction"));
    assert_eq!(balance(2), format!("2.5 {end}\n{spent} 2 pending transactions"));
    let status = NodeStatus::new(
        &fixture::identity(),
        &fixture::view(),
        &fixture::wallet(),
        3,
        (Vec::new(), None),
        UnixMillis(13_000),
    );
    let text = shown(&Ok(CommandOutcome::Status(Box::new(status))));
    for words in ["lab2", "made 12 s ago", "on, 4.2 MH/s", "12,000 / 20,000 (60 %)", "balance 2.5"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn progress_lines() {
    let view = fixture::view();
    assert_eq!(sync_line(&view.syncing.expect("syncing")), "syncing 12,000 / 20,000 (60 %)");
    let almost = SyncView { height: Height(19_999), target: Height(20_000) };
    assert_eq!(sync_line(&almost), "syncing 19,999 / 20,000 (99 %)");
    assert_eq!(sync_line(&SyncView { height: Height(0), target: Height(0) }), "syncing 0 / 0 (0 %)");
    assert_eq!(sync_end(Height(20_001), Height(20_000)).text, "up to date at height 20,001");
    assert!(sync_end(Height(12_000), Height(20_000)).text.starts_with("stopped syncing at height 12,000 of 20,000"));
    let line = mining_line(&view.mining, 5_000, &fixture::network());
    assert_eq!(line.as_deref(), Some("mining block 2 of 5, 4.2 MH/s, 5 s; Ctrl-C stops it"));
    assert_eq!(mining_line(&MiningView::default(), 0, &fixture::network()), None);
    let days = MiningView { job: Some((24, 100_000)), ..view.mining };
    let line = mining_line(&days, 7_000, &Network::new(Parameters::lan()).expect("valid"));
    assert_eq!(line.as_deref(), Some("mining block 25 of 100,000, 4.2 MH/s, 7 s, about 11 d to go; Ctrl-C stops it"));
}

#[test]
fn help_fits_a_terminal() {
    let text = shown(&Ok(CommandOutcome::Help { commands: COMMANDS.iter().map(Into::into).collect() }));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(text.lines().count(), COMMANDS.len() + 1);
    for entry in COMMANDS {
        let text = shown(&Ok(CommandOutcome::Help { commands: vec![entry.into()] }));
        assert!(text.lines().all(|line| line.chars().count() <= 82), "{text}");
    }
    let text = shown(&Ok(CommandOutcome::Help { commands: vec![find("mine").expect("there").into()] }));
    assert!(text.starts_with("mine [N|on|off|pending] [--to WHO]") && text.contains("Ctrl-C"), "{text}");
}

#[test]
fn the_banner_says_who_where_and_what_next() {
    let identity = fixture::identity();
    let renderer = Renderer { style: Style { colour: false }, identity: &identity, page: None, folder: None };
    let listen = vec!["/ip4/192.168.100.100/tcp/7787".parse().expect("valid")];
    let status = NodeStatus::new(
        &identity,
        &fixture::view(),
        &fixture::wallet(),
        0,
        (listen, Some(([127, 0, 0, 1], 7788).into())),
        UnixMillis(2_000),
    );
    let text = renderer.banner(&status, CommandsFrom::Terminal);
    let place = "/ip4/192.168.100.100/tcp/7787";
    for words in [
        "lab2",
        "network dev",
        "0x5aAeb6",
        "balance 2.5",
        "height 7",
        place,
        "http://127.0.0.1:7788",
        "on this LAN",
        "`help`",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let page = format!("http://127.0.0.1:7788/#token={}", "a".repeat(32));
    let with_token = Renderer { page: Some(&page), ..renderer }.banner(&status, CommandsFrom::Terminal);
    assert!(with_token.contains(&page) && !text.contains("token"), "{with_token}");
    assert!(text.lines().chain(with_token.lines()).all(|line| line.chars().count() <= 80), "{with_token}");
    assert!(renderer.banner(&status, CommandsFrom::Nowhere).contains("SIGTERM"));
    let identity = Identity { finds_peers: false, ..fixture::identity() };
    let text = Renderer { identity: &identity, ..renderer }.banner(&status, CommandsFrom::Terminal);
    assert!(text.contains("--peer") && !text.contains("by themselves"), "{text}");
}

#[test]
fn what_was_signed_is_said_word_for_word() {
    let sent = |action| {
        let sent = Sent { id: TransactionId([0xab; 32]), fee: Amount::ZERO, file: None, signed: Some(action) };
        shown(&Ok(CommandOutcome::Sent(sent))).lines().next().unwrap_or_default().to_owned()
    };
    let record = |tags: &[&str], content| {
        let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        sent(Action::Record { data: Record { tags, content }.to_data().expect("short").into() })
    };
    assert_eq!(record(&[], Content::Text(" a  b".to_owned())), "recorded \" a  b\", no tags");
    assert_eq!(record(&["x"], Content::Json("[1.10]".to_owned())), "recorded JSON [1.10], tag x");
    let long = "x".repeat(3000);
    assert_eq!(record(&["x", "y"], Content::Text(long.clone())), format!("recorded \"{long}\", tags x, y"));
    let (to, amount) = (Address([7; 20]), "2.5".parse().expect("an amount"));
    assert_eq!(sent(Action::Transfer { to, amount }), format!("paid 2.5 to {to}, fee 0"));
}
