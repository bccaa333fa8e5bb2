//! The parser.

use super::*;
use crate::node::api::query::Since;
use crate::protocol::receipt::Form;
use crate::protocol::record::Tag;
use crate::protocol::{BlockId, Millis, TransactionId, UnixMillis};

const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn command(line: &str) -> PromptCommand {
    parse(line).expect("a command").command.unwrap_or_else(|failure| panic!("{line}: {failure}"))
}

fn record(what: Recorded, tags: &[&str], fee: Option<&str>) -> PromptCommand {
    let fee = fee.map(|fee| fee.parse().expect("valid"));
    PromptCommand::Record(Recording { what, tags: tags.iter().map(|word| tag(word)).collect(), fee })
}

fn receipt(confirmations: Option<u64>, form: Option<Form>) -> PromptCommand {
    let (of, file) = (TransactionName::Short("85f9535d".to_owned()), PathBuf::from("a b.json"));
    PromptCommand::Receipt { of, confirmations, form, file }
}

fn tag(word: &str) -> Tag {
    word.parse().expect("valid")
}

fn failure(line: &str) -> (&'static str, String) {
    let failure = parse(line).expect("a command").command.expect_err(line);
    (failure.code.as_str(), failure.message)
}

#[test]
fn lines_without_a_command() {
    for line in ["", "  ", "\n", "# comment", "  # comment"] {
        assert_eq!(parse(line), None, "{line:?}");
    }
}

#[test]
fn every_command() {
    let address: Address = ADDRESS.parse().expect("valid");
    let (coins, fee): (Amount, Amount) = ("2.5".parse().expect("valid"), "0.1".parse().expect("valid"));
    let id = BlockId([0xab; 32]);
    let cases = [
        ("mine", PromptCommand::Mine { count: 1, to: None }),
        (" mine  5 ", PromptCommand::Mine { count: 5, to: None }),
        (&format!("mine --to {ADDRESS} 3"), PromptCommand::Mine { count: 3, to: Some(Who::Address(address)) }),
        (&format!("mine --to={ADDRESS}"), PromptCommand::Mine { count: 1, to: Some(Who::Address(address)) }),
        ("mine on", PromptCommand::SetMining { mode: MiningMode::On, to: None }),
        ("mine off", PromptCommand::SetMining { mode: MiningMode::Off, to: None }),
        (
            &format!("mine pending --to {ADDRESS}"),
            PromptCommand::SetMining { mode: MiningMode::Pending, to: Some(Who::Address(address)) },
        ),
        (&format!("tx {ADDRESS} 2.5"), PromptCommand::Tx { to: Who::Address(address), amount: coins, fee: None }),
        (
            &format!("tx {ADDRESS} 2.5 --fee 0.1\r\n"),
            PromptCommand::Tx { to: Who::Address(address), amount: coins, fee: Some(fee) },
        ),
        (
            &format!("tx --fee=0.1 {ADDRESS} 2.5"),
            PromptCommand::Tx { to: Who::Address(address), amount: coins, fee: Some(fee) },
        ),
        ("record  a  --b # ü ", record(Recorded::Text(" a  --b # ü ".to_owned()), &[], None)),
        ("records", PromptCommand::Records { filter: RecordFilter::default(), range: Range::default() }),
        (
            "records --tag delivery --from warehouse --since 2026-11-21T14:30 --find a.pdf --limit 5 --before 120.3",
            PromptCommand::Records {
                filter: RecordFilter {
                    tag: Some(tag("delivery")),
                    from: Some(Who::Name("warehouse".to_owned())),
                    since: Some(Since::At(UnixMillis(1_795_271_400_000))),
                    find: Some("a.pdf".to_owned()),
                },
                range: Range { before: Some("120.3".parse().expect("a place")), limit: Some(5) },
            },
        ),
        ("history", PromptCommand::History { of: None, range: Range::default() }),
        (
            "history warehouse --limit 3",
            PromptCommand::History {
                of: Some(Who::Name("warehouse".to_owned())),
                range: Range { before: None, limit: Some(3) },
            },
        ),
        ("watch", PromptCommand::Watching),
        ("watch 85F9535d", PromptCommand::Watch(TransactionName::Short("85f9535d".to_owned()))),
        (&format!("watch {id}"), PromptCommand::Watch(TransactionName::Id(TransactionId([0xab; 32])))),
        (&format!("again {id}"), PromptCommand::Again(TransactionName::Id(TransactionId([0xab; 32])))),
        (&format!("unwatch {id}"), PromptCommand::Unwatch(TransactionName::Id(TransactionId([0xab; 32])))),
        ("receipt 85f9535d a b.json", receipt(None, None)),
        ("receipt --confirmations 6 85f9535d a b.json", receipt(Some(6), None)),
        ("receipt 85f9535d a b.json --confirmations=6", receipt(Some(6), None)),
        ("receipt --form witnessed 85f9535d a b.json", receipt(None, Some(Form::Witnessed))),
        ("receipt 85f9535d a b.json --confirmations 6 --form full", receipt(Some(6), Some(Form::Full))),
        ("receipt 85f9535d --form=sampled a b.json", receipt(None, Some(Form::Sampled))),
        ("receipt --tip", PromptCommand::ReceiptTip),
        ("checkpoint", PromptCommand::Checkpoint),
        ("checkpoint 20,000", PromptCommand::SetCheckpoint(Some(Height(20_000)))),
        ("checkpoint off", PromptCommand::SetCheckpoint(None)),
        ("alias", PromptCommand::Aliases(None)),
        ("alias lab", PromptCommand::Aliases(Some("lab".to_owned()))),
        (&format!("alias lab {ADDRESS}"), PromptCommand::SetAlias { name: "lab".to_owned(), address }),
        ("unalias lab", PromptCommand::RemoveAlias("lab".to_owned())),
        ("tx lab 2.5", PromptCommand::Tx { to: Who::Name("lab".to_owned()), amount: coins, fee: None }),
        ("wallet", PromptCommand::Wallet(WalletCommand::List)),
        ("wallet new lab", PromptCommand::Wallet(WalletCommand::New("lab".to_owned()))),
        ("wallet use lab", PromptCommand::Wallet(WalletCommand::Use("lab".to_owned()))),
        ("wallet unlock", PromptCommand::Wallet(WalletCommand::Unlock { minutes: None })),
        ("wallet unlock 5", PromptCommand::Wallet(WalletCommand::Unlock { minutes: Some(5) })),
        ("unlock 5", PromptCommand::Wallet(WalletCommand::Unlock { minutes: Some(5) })),
        ("wallet lock", PromptCommand::Wallet(WalletCommand::Lock)),
        ("lock", PromptCommand::Wallet(WalletCommand::Lock)),
        ("chain", PromptCommand::Chain { from: None, count: None }),
        ("chain 7", PromptCommand::Chain { from: Some(Height(7)), count: None }),
        ("chain 7 2", PromptCommand::Chain { from: Some(Height(7)), count: Some(2) }),
        ("block 0", PromptCommand::Block(BlockName::Height(Height(0)))),
        ("block 20,000", PromptCommand::Block(BlockName::Height(Height(20_000)))),
        ("block 1024ccb2", PromptCommand::Block(BlockName::Short(0x1024_ccb2))),
        (&format!("block {id}"), PromptCommand::Block(BlockName::Id(id))),
        ("pending", PromptCommand::Pending),
        ("balance", PromptCommand::Balance(None)),
        (&format!("balance {}", ADDRESS.to_lowercase()), PromptCommand::Balance(Some(Who::Address(address)))),
        ("address", PromptCommand::Address),
        ("peers", PromptCommand::Peers),
        ("connect /ip4/1.2.3.4/tcp/5", PromptCommand::Connect("/ip4/1.2.3.4/tcp/5".parse().expect("valid"))),
        ("resolve", PromptCommand::Resolve),
        ("backup my copy", PromptCommand::Backup("my copy".into())),
        ("save my chain.json", PromptCommand::Save("my chain.json".into())),
        ("status", PromptCommand::Status),
        ("help", PromptCommand::Help(None)),
        ("help tx", PromptCommand::Help(find("tx"))),
        ("quit", PromptCommand::Quit),
        ("exit", PromptCommand::Quit),
    ];
    for (line, want) in &cases {
        assert_eq!(&command(line), want, "{line}");
    }
    for entry in COMMANDS {
        assert!(cases.iter().any(|(line, _)| line.trim_start().starts_with(entry.name)), "{} is tested", entry.name);
    }
}

#[test]
fn what_is_recorded() {
    let text = |text: &str, tags: &[&str], fee| record(Recorded::Text(text.to_owned()), tags, fee);
    let file = |file: &str, tags: &[&str]| record(Recorded::File(PathBuf::from(file)), tags, None);
    let json = |json: &str, tags: &[&str]| record(Recorded::Json(json.to_owned()), tags, None);
    let cases = [
        ("record hello", text("hello", &[], None)),
        ("record  a  b ", text(" a  b ", &[], None)),
        ("record \"quoted\"", text("\"quoted\"", &[], None)),
        ("record hello --tag a", text("hello", &["a"], None)),
        ("record hello  world --tag a --fee 0.5 --tag=b", text("hello  world", &["a", "b"], Some("0.5"))),
        ("record --tag a --tag=b --fee=0.5 -- hello --tag", text("hello --tag", &["a", "b"], Some("0.5"))),
        ("record --tag a hello --tag b --tag a", text("hello", &["a", "b"], None)),
        ("record -- hello --tag a", text("hello --tag a", &[], None)),
        ("record --tag a -- @home", text("@home", &["a"], None)),
        ("record -- it costs --fee or not", text("it costs --fee or not", &[], None)),
        ("quipu> record a – b", text("a – b", &[], None)),
        ("record quipu> mine", text("quipu> mine", &[], None)),
        ("record mail me @home", text("mail me @home", &[], None)),
        ("record @a b.pdf", file("a b.pdf", &[])),
        ("record @/tmp/a.pdf --tag delivery", file("/tmp/a.pdf", &["delivery"])),
        ("record --tag delivery @a.pdf", file("a.pdf", &["delivery"])),
        ("record --json {\"a\": [1]}", json("{\"a\": [1]}", &[])),
        ("record --json '{\"a\": 1}' --tag t", json("{\"a\": 1}", &["t"])),
        ("record --tag t --json 7", json("7", &["t"])),
    ];
    for (line, want) in cases {
        assert_eq!(command(line), want, "{line}");
    }
}

#[test]
fn moments() {
    let moment = |word: &str| match command(&format!("records --since {word}")) {
        PromptCommand::Records { filter: RecordFilter { since: Some(since), .. }, .. } => since,
        other => panic!("{other:?}"),
    };
    assert_eq!(moment("2026-11-01"), Since::At(UnixMillis(1_793_491_200_000)));
    assert_eq!(moment("2026-11-01T00:00:01"), Since::At(UnixMillis(1_793_491_201_000)));
    assert_eq!((moment("90s"), moment("7d")), (Since::Ago(Millis(90_000)), Since::Ago(Millis(604_800_000))));
}

#[test]
fn what_is_wrong_is_told_with_a_stable_code() {
    let typo = ADDRESS.replace("BeAed", "BeAec");
    let cases = [
        ("frobnicate".to_owned(), "unknown_command", "`help` shows all"),
        ("verify receipt.json".to_owned(), "unknown_command", "`quipu verify --help`"),
        ("blance".to_owned(), "unknown_command", "did you mean `balance`?"),
        ("transfer".to_owned(), "unknown_command", "`help`"),
        ("help minne".to_owned(), "unknown_command", "`mine"),
        ("mine 0".to_owned(), "bad_number", "at least 1"),
        ("mine 1000001".to_owned(), "bad_number", "at most 1,000,000"),
        ("mine -1".to_owned(), "bad_number", "at least 1"),
        ("mine 1.5".to_owned(), "bad_number", "whole number"),
        ("mine 99999999999999999999".to_owned(), "bad_number", "whole number"),
        ("mine maybe".to_owned(), "usage", "usage: mine"),
        ("mine 1 2".to_owned(), "usage", "usage: mine"),
        (format!("mine off --to {ADDRESS}"), "usage", "usage: mine"),
        ("mine --to".to_owned(), "usage", "usage: mine"),
        ("mine --too 3".to_owned(), "usage", "usage: mine"),
        ("mine --to 0x12".to_owned(), "bad_address", "40 hex digits"),
        ("tx".to_owned(), "usage", "usage: tx TO AMOUNT [--fee F]"),
        (format!("tx {ADDRESS}"), "usage", "usage: tx"),
        (format!("tx {ADDRESS} 1 2"), "usage", "usage: tx"),
        (format!("tx {ADDRESS} 1 --fee 1 --fee 2"), "usage", "usage: tx"),
        (format!("tx {typo} 1"), "bad_address", "checksum"),
        (format!("tx {ADDRESS} -1"), "bad_amount", "negative"),
        (format!("tx {ADDRESS} NaN"), "bad_amount", "decimal number"),
        (format!("tx {ADDRESS} 0.123456789"), "bad_amount", "8 decimals"),
        (format!("tx {ADDRESS} 184467440737.09551616"), "bad_amount", "at most"),
        (format!("tx {ADDRESS} 1 --fee -2"), "bad_amount", "fee"),
        ("record".to_owned(), "usage", "usage: record TEXT"),
        ("record --tag a".to_owned(), "usage", "usage: record TEXT"),
        ("record @".to_owned(), "usage", "usage: record TEXT"),
        ("record \u{2013}\u{2013}tag a b".to_owned(), "usage", "nothing was recorded"),
        ("record a \u{2014}fee 1".to_owned(), "usage", "write --fee with two plain hyphens"),
        ("record a b --tag".to_owned(), "usage", "`record -- TEXT`"),
        ("record it costs --fee or not".to_owned(), "usage", "nothing was recorded"),
        ("record @a.pdf -tag x".to_owned(), "usage", "nothing was recorded"),
        ("tx a 1 \u{2014}fee 1".to_owned(), "usage", "write --fee, with two plain hyphens"),
        ("receipt 85f9535d a.json \u{2013}confirmations 3".to_owned(), "usage", "write --confirmations"),
        ("record hello --fee 1 --fee 2".to_owned(), "usage", "usage: record TEXT"),
        ("record hello --fee x".to_owned(), "bad_amount", "fee"),
        (format!("record hello --tag {}", "x".repeat(33)), "bad_tag", "32"),
        (format!("record hello{}", (0..9).map(|n| format!(" --tag t{n}")).collect::<String>()), "bad_tag", "at most 8"),
        ("records --since yesterday".to_owned(), "bad_number", "2026-11-21"),
        ("records --since 2026-13-01".to_owned(), "bad_number", "2026-11-21"),
        ("records --limit 0".to_owned(), "bad_number", "1 to 1000"),
        ("records --before x".to_owned(), "bad_number", "120.3"),
        ("records warehouse".to_owned(), "usage", "usage: records"),
        ("history a b".to_owned(), "usage", "usage: history"),
        ("watch xyz".to_owned(), "bad_id", "64 hex digits"),
        ("receipt 85f9535d".to_owned(), "usage", "usage: receipt"),
        ("receipt 85f9535d a --confirmations 0".to_owned(), "bad_number", "at least 1"),
        ("receipt 85f9535d a --form short".to_owned(), "usage", "full, sampled or witnessed"),
        ("checkpoint x".to_owned(), "bad_number", "height"),
        (format!("alias 0xab {ADDRESS}"), "bad_name", "begins with a letter"),
        ("alias lab 0xab".to_owned(), "bad_address", "40 hex digits"),
        ("wallet open".to_owned(), "usage", "usage: wallet"),
        ("unlock x".to_owned(), "bad_number", "MINUTES"),
        ("chain x".to_owned(), "bad_number", "height"),
        ("chain 1 0".to_owned(), "bad_number", "COUNT"),
        ("block abc".to_owned(), "bad_id", "64 hex digits"),
        ("chain 20,00".to_owned(), "bad_number", "height"),
        ("connect 1.2.3.4:x".to_owned(), "bad_multiaddr", "192.168.1.5:7787"),
        ("save".to_owned(), "usage", "usage: save FILE"),
        ("status now".to_owned(), "usage", "usage: status"),
    ];
    for (line, code, words) in cases {
        let (got, message) = failure(&line);
        assert_eq!(got, code, "{line}: {message}");
        assert!(message.contains(words), "{line}: {message}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn the_name_of_a_failed_command_is_kept() {
    assert_eq!(parse("tx a b").expect("a command").name, "tx");
    assert_eq!(parse("wat 1").expect("a command").name, "wat");
}

#[test]
fn other_words_for_commands_are_understood() {
    for (line, meant) in [
        ("?", "help"),
        ("Exit", "quit"),
        ("MINE 2", "mine 2"),
        ("send 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 1", "tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 1"),
        ("pay lab 1", "tx lab 1"),
        ("help SEND", "help tx"),
    ] {
        let command = |line: &str| parse(line).expect("a command").command.expect("understood");
        assert_eq!(command(line), command(meant), "{line}");
    }
}

#[test]
fn escape_sequences_are_not_echoed() {
    assert!(!failure("\u{1b}[2J").1.contains('\u{1b}'));
}
