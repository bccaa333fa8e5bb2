//! The command on receipts of stored chains and of real nodes.

use std::fs;

use serde_json::Value;

use super::*;
use crate::engine::event::Notice;
use crate::node::Node;
use crate::node::api::receipt::{Extent, MakeError, ReceiptOptions, make};
use crate::node::event::UserEvent;
use crate::node::fixture::{Chain, batch};
use crate::node::store::{FolderLock, Store};
use crate::node::tests::{end, folder, mine, node, send, try_start, wait_for};
use crate::protocol::check::check_transaction;
use crate::protocol::record::{Content, Record};
use crate::protocol::{Action, Amount, Parameters, Transaction, UnixMillis};

const TEXT: &str = "shipment 17 \u{1b}[2J arrived";

/// A folder with the files of these tests: a receipt for a file's fingerprint, one for a text and one for a transfer,
/// all in block 2 of a chain of four blocks.
struct World {
    folder: tempfile::TempDir,
    chain: Chain,
}

impl World {
    fn new() -> Self {
        let (folder, mut chain) = (folder(), Chain::new(1));
        fs::write(folder.path().join("report.pdf"), b"abc").expect("writable");
        fs::write(folder.path().join("text"), TEXT).expect("writable");
        let report =
            Content::File { sha256: crate::protocol::hash::sha256(&[b"abc"]), name: "report.pdf".to_owned(), size: 3 };
        let tags = vec!["lot-17".parse().expect("a tag")];
        let records = [Record { tags, content: report }, Record::text(TEXT)];
        chain.mine(vec![]);
        let signed = (0..).zip(records).map(|(nonce, record)| {
            let action = Action::Record { data: record.to_data().expect("short").into() };
            let transaction = Transaction { sender: chain.key.public_key(), nonce, fee: Amount::ZERO, action };
            let signed = transaction.sign(&chain.network.genesis_id(), &chain.key);
            check_transaction(signed, &chain.network).expect("well formed")
        });
        let transactions = signed.chain([chain.transfer(2)]).collect();
        chain.mine(transactions);
        chain.mine(vec![]);
        chain.mine(vec![]);
        let world = Self { folder, chain };
        let lock = FolderLock::acquire(&world.data_dir(), "test").expect("free");
        let (mut store, _) = Store::open(lock, &world.chain.network).expect("a store");
        store.write(&[batch(1, world.chain.writes_above(0))]).expect("written");
        let snapshot = store.reader().snapshot().expect("readable");
        for (position, name) in ["file.receipt", "text.receipt", "transfer.receipt"].iter().enumerate() {
            for (form, name) in [(None, (*name).to_owned()), (Some(Form::Witnessed), format!("witnessed.{name}"))] {
                let wanted = ReceiptOptions { extent: Extent::All, form };
                let show = |tip| Ok::<_, MakeError>(world.chain.show(Height(2), tip, form));
                let receipt = make(&snapshot, &world.chain.network, (Height(2), position), wanted, show);
                let receipt = receipt.expect("it is there").expect("nothing has changed");
                fs::write(world.path(&name), receipt.to_json()).expect("writable");
            }
        }
        world
    }

    fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, receipt: &str) -> VerifyArguments {
        VerifyArguments { receipt: self.path(receipt), file: None, witness: None, node: None }
    }

    fn verify(&self, arguments: &VerifyArguments) -> Result<Verified, VerifyError> {
        verify(arguments, VerifyContext { data_dir: Some(&self.data_dir()), name: None, network: None })
    }

    /// The code of the error.
    fn refused(&self, arguments: &VerifyArguments, is_unreadable: bool) -> &'static str {
        let error = self.verify(arguments).expect_err("not proven");
        assert_eq!(error.is_unreadable(), is_unreadable, "{error}");
        error.code()
    }
}

#[test]
fn what_is_proven_is_said_in_words_and_in_json() {
    let world = World::new();
    let id = |height: usize| world.chain.blocks[height - 1].0.id();
    let with = |receipt, file: Option<&str>, witness: Option<BlockId>| {
        let arguments =
            VerifyArguments { file: file.map(|file| world.path(file)), witness, ..world.arguments(receipt) };
        Report { verified: world.verify(&arguments).expect("proven"), hash_rate: 4_000_000 }
    };
    let sender = world.chain.address().to_string();
    let report = with("file.receipt", Some("report.pdf"), Some(id(4)));
    let text = report.to_text();
    let words = [
        &format!("proven: {sender} signed this, and it is in block 2 of network dev"),
        "file report.pdf, 3 bytes, SHA-256 ba7816bf",
        "tags lot-17",
        "report.pdf is what was recorded",
        "dev, the built-in one",
        "2026-10-31 23:59:00 UTC, if",
        "2026-11-01 00:00:00 UTC, by",
        "3 blocks, up to 4",
        "3 hashes, which this machine would redo in less than a second at 4.0 MH/s",
        &format!("block 4, {}", id(4)),
    ];
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
    let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    let result = &json["result"];
    assert_eq!((&json["ok"], &json["command"]), (&json!(true), &json!("verify")));
    assert_eq!(result["transaction"]["sender"], json!(sender));
    assert_eq!(result["record"]["file"]["size"], json!(3));
    assert_eq!((&result["record"]["tags"], &result["file"]), (&json!(["lot-17"]), &json!(true)));
    assert_eq!(result["block"]["id"], json!(id(2)));
    assert_eq!((&result["confirmations"], &result["work"], &result["node"]), (&json!(3), &json!("3"), &Value::Null));
    assert_eq!(result["witness"], json!({ "height": 4, "id": id(4) }));
    assert_eq!(result["earliest"], json!(UnixMillis(1_793_491_140_000)));

    let text = with("text.receipt", Some("text"), Some(id(2))).to_text();
    assert!(text.contains("\"shipment 17 \u{fffd}[2J arrived\""), "nothing steers the terminal: {text}");
    let text = with("witnessed.file.receipt", None, Some(id(4))).to_text();
    assert!(text.contains("No work is shown"), "{text}");
    let text = with("transfer.receipt", None, None).to_text();
    assert!(text.contains("a transfer of 1 to 0x"), "{text}");
}

#[test]
fn what_is_asked_for_must_hold() {
    let world = World::new();
    let given = |receipt, file: &str| VerifyArguments { file: Some(world.path(file)), ..world.arguments(receipt) };
    let witness_of = |receipt, id| VerifyArguments { witness: Some(id), ..world.arguments(receipt) };
    let witnessed = |id| witness_of("file.receipt", id);
    let id = |height: usize| world.chain.blocks[height - 1].0.id();
    let cases = [
        (given("file.receipt", "text"), false, "other_file"),
        (given("text.receipt", "report.pdf"), false, "other_file"),
        (given("transfer.receipt", "text"), false, "no_record"),
        (given("file.receipt", "none"), true, "io_error"),
        (given("file.receipt", "data"), true, "io_error"),
        (witnessed(BlockId([7; 32])), false, "not_witnessed"),
        (witnessed(id(1)), false, "not_witnessed"), // the parent
        (world.arguments("witnessed.file.receipt"), true, "needs_witness"),
        // Only the tip: those who know the transaction's own block know nothing of the tip.
        (witness_of("witnessed.file.receipt", id(2)), false, "not_witnessed"),
        (witness_of("witnessed.file.receipt", id(3)), false, "not_witnessed"),
        (world.arguments("none"), true, "io_error"),
        (world.arguments("text"), true, "form"),
    ];
    for (arguments, is_unreadable, code) in cases {
        assert_eq!(world.refused(&arguments, is_unreadable), code, "{arguments:?}");
    }
    let place = VerifyContext { data_dir: Some(&world.data_dir()), name: None, network: None };
    let statuses = ["file.receipt", "none"].map(|receipt| run(&world.arguments(receipt), place, true));
    assert_eq!((statuses, run(&given("file.receipt", "text"), place, false)), ([PROVEN, UNREADABLE], REFUTED));
}

#[test]
fn a_network_is_the_one_that_it_seems() {
    let world = World::new();
    let lan = Arc::new(Network::new(Parameters::lan()).expect("a preset is valid"));
    let arguments = world.arguments("file.receipt");
    let verify_in = |network| {
        verify(&arguments, VerifyContext { data_dir: Some(&world.data_dir()), name: None, network: Some(network) })
    };
    assert!(verify_in(&world.chain.network).expect("proven").is_built_in);
    let error = verify_in(&lan).expect_err("another network");
    assert_eq!(error.to_string(), "the receipt is of network dev (989058142a61b6f6), not of lan (6ad16c7dd830c9da)");

    let named =
        |name: &str| Network::new(Parameters { name: name.to_owned(), subsidy: Amount::ZERO, ..Parameters::dev() });
    let (false_dev, knots) = (named("dev").expect("valid"), named("knots").expect("valid"));
    assert_eq!(check_network(&false_dev, None).expect_err("false").code(), "not_built_in");
    assert!(!check_network(&knots, None).expect("a network of its own"));
}

#[test]
fn each_change_of_the_file_is_refused_and_leaves_it_alone() {
    let world = World::new();
    let path = world.path("file.receipt");
    let good = fs::read(&path).expect("readable");
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).expect("writable");
        assert!(world.verify(&world.arguments("file.receipt")).is_err(), "byte {at}");
        assert_eq!(fs::read(&path).expect("readable"), bad);
    }
}

#[test]
fn a_folder_that_no_node_uses_is_read() {
    let world = World::new();
    let asked = VerifyArguments { node: Some(None), ..world.arguments("file.receipt") };
    let verified = world.verify(&asked).expect("it is on the best chain");
    assert_eq!(verified.node, Some(Height(4)));
    // A longer branch takes the place of all blocks from the second on.
    let mut other = Chain::new(2);
    (0..6).for_each(|_| other.mine(vec![]));
    let lock = FolderLock::acquire(&world.data_dir(), "test").expect("free");
    let (mut store, _) = Store::open(lock, &world.chain.network).expect("a store");
    let writes = world.chain.undo_above(0).into_iter().chain(other.writes_above(0)).collect();
    store.write(&[batch(2, writes)]).expect("written");
    drop(store);
    let error = world.verify(&asked).expect_err("replaced");
    assert_eq!(error.code(), "not_best");
    assert_eq!(
        error.to_string(),
        "block 2 is not in the best chain of that node (its height is 6): it was replaced by a reorganisation"
    );
    assert!(world.verify(&world.arguments("file.receipt")).is_ok(), "the receipt alone stays as valid as it was");

    let (data_dir, nowhere) = (world.data_dir(), world.path("nowhere"));
    fs::rename(&data_dir, &nowhere).expect("free");
    assert_eq!(world.refused(&asked, true), "cannot_ask");
    assert!(!data_dir.exists(), "asking makes no folder");
}

/// A record in a block of a node, and a receipt for it.
fn recorded(node: &Node, folder: &Path) -> PathBuf {
    let data = Record::text("x").to_data().expect("short").into();
    send(node, Action::Record { data });
    let height = mine(node, 1);
    let snapshot = node.handle().reader().snapshot().expect("readable");
    let options = ReceiptOptions { extent: Extent::All, form: None };
    let show = |tip| {
        let shown = node.handle().shown_chain(height, tip, None).wait().expect("a running node");
        Ok::<_, MakeError>(shown.map(|shown| *shown))
    };
    let receipt = make(&snapshot, node.handle().network(), (height, 0), options, show);
    let receipt = receipt.expect("it is there").expect("nothing has changed");
    let path = folder.join("x.receipt");
    fs::write(&path, receipt.to_json()).expect("writable");
    path
}

#[test]
fn a_running_node_is_asked() {
    let (one, other, work) = (folder(), folder(), folder());
    let first = node(one.path());
    let receipt = recorded(&first, work.path());
    let ask_for = |node: Option<Multiaddr>| {
        let arguments = VerifyArguments { receipt: receipt.clone(), file: None, witness: None, node: Some(node) };
        verify(&arguments, VerifyContext { data_dir: Some(one.path()), name: None, network: None })
    };
    // The block is the tip, then it is not; over the lock file and by address.
    assert_eq!(ask_for(None).expect("it is the tip").node, Some(Height(1)));
    let address = first.handle().listen()[0].clone();
    assert_eq!(ask_for(Some(address)).expect("it is the tip").node, Some(Height(1)));
    mine(&first, 2);
    assert_eq!(ask_for(None).expect("it is on the chain").node, Some(Height(3)));

    // Another node has never seen it; then its chain wins.
    let second = node(other.path());
    let address = second.handle().listen()[0].clone();
    let error = ask_for(Some(address.clone())).expect_err("it has no block");
    assert!(error.to_string().contains("it is not there yet, or was replaced"), "{error}");
    mine(&second, 9);
    let error = ask_for(Some(address.clone())).expect_err("it has other blocks");
    assert!(error.to_string().contains("(its height is 9): it was replaced by a reorganisation"), "{error}");
    let events = first.handle().subscribe();
    first.handle().connect(address).expect("connected");
    wait_for(&events, |event| matches!(event, UserEvent::Notice(Notice::Tip { tip, .. }) if tip.height == Height(9)));
    let error = ask_for(None).expect_err("replaced");
    assert_eq!((error.code(), error.is_unreadable()), ("not_best", false));
    assert_eq!((end(first), end(second)), (Ok(()), Ok(())));
    assert_eq!(ask_for(None).expect_err("replaced").code(), "not_best");
}

#[test]
fn a_node_that_is_not_there_is_no_refutation() {
    let (one, work) = (folder(), folder());
    let first = node(one.path());
    let receipt = recorded(&first, work.path());
    let address = first.handle().listen()[0].clone();
    let arguments = VerifyArguments { receipt, file: None, witness: None, node: Some(Some(address)) };
    let place = VerifyContext { data_dir: Some(one.path()), name: None, network: None };
    assert!(verify(&arguments, place).is_ok());
    assert_eq!(end(first), Ok(()));
    let peers = fs::read_to_string(one.path().join("peers.json")).unwrap_or_default();
    assert!(!peers.contains("peer_id"), "who only asked is not remembered: {peers}");
    let error = verify(&arguments, place).expect_err("nobody listens");
    assert_eq!((error.code(), error.is_unreadable()), ("cannot_ask", true));
    assert!(try_start(one.path(), vec![]).is_ok());
}

#[test]
fn the_command_line() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: VerifyArguments,
    }
    let parse = |words: &[&str]| {
        let words = ["verify", "r"].iter().chain(words);
        <Line as clap::Parser>::try_parse_from(words).map(|line| line.arguments)
    };
    let address: Multiaddr = "/ip4/10.0.0.1/tcp/7787".parse().expect("an address");
    assert_eq!(parse(&[]).expect("valid").node, None);
    assert_eq!(parse(&["--node"]).expect("valid").node, Some(None));
    assert_eq!(parse(&["--node=/ip4/10.0.0.1/tcp/7787"]).expect("valid").node, Some(Some(address)));
    let id = BlockId([0xab; 32]);
    assert_eq!(parse(&["--witness", &id.to_string()]).expect("valid").witness, Some(id));
    for (wrong, hint) in [("--node=lab2", "/ip4/192.168.1.5/tcp/7787"), ("--witness=12", "64 hex digits")] {
        let error = parse(&[wrong]).expect_err("must be refused").to_string();
        assert!(error.contains(hint), "{error}");
    }
}
