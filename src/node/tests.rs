//! Whole nodes on loopback.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use libp2p::Multiaddr;

use super::config::Config;
use super::event::UserEvent;
use super::index::Period;
use super::keys::load_or_create_identity;
use super::wallet::Wallets;
use super::{Node, StartError, start};
use crate::engine::event::{CommandError, MiningMode, Notice};
use crate::protocol::check::check_block;
use crate::protocol::{Action, Address, Amount, Height, Network, Parameters, TransactionId};

/// Longer than anything here takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(folder: &Path, peers: Vec<Multiaddr>) -> Config {
    Config {
        data_dir: folder.to_owned(),
        name: "test".to_owned(),
        network: Arc::new(Network::new(Parameters::dev()).expect("a preset is valid")),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        peers,
        mdns: false,
        index: true,
        http: None,
        mine: MiningMode::Off,
        threads: 1,
        json: false,
        prompt: false,
        log: String::new(),
    }
}

pub(crate) fn try_start(folder: &Path, peers: Vec<Multiaddr>) -> Result<Node, StartError> {
    let identity = load_or_create_identity(folder).expect("an identity");
    start(config(folder, peers), identity, Wallets::open(folder, None, None).expect("a wallet"))
}

pub(crate) fn node(folder: &Path) -> Node {
    try_start(folder, vec![]).expect("a node")
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) fn mine(node: &Node, count: u64) -> Height {
    let places = node.handle().mine(count, None).wait().expect("nothing stops it");
    assert_eq!(places.len() as u64, count);
    places.last().expect("at least one").height
}

/// Sends something from the node's own account.
pub(crate) fn send(node: &Node, action: Action) -> TransactionId {
    let handle = node.handle();
    handle.send(handle.key().expect("no password"), action, Some(Amount::ZERO)).wait().expect("accepted").0
}

pub(crate) fn end(node: Node) -> Result<(), String> {
    node.handle().shut_down();
    node.join()
}

pub(crate) fn wait_for(events: &Receiver<UserEvent>, mut wanted: impl FnMut(&UserEvent) -> bool) {
    while !wanted(&events.recv_timeout(PATIENCE).expect("the node tells it")) {}
}

#[test]
fn what_is_answered_is_shown_and_durable() {
    let folder = folder();
    let first = node(folder.path());
    assert_eq!(mine(&first, 20), Height(20));
    assert_eq!(first.handle().view().tip.height, Height(20), "an answer is not ahead of the view");
    let snapshot = first.handle().reader().snapshot().expect("readable");
    assert_eq!(snapshot.tip(), first.handle().view().tip, "a view is not ahead of the disk");
    let action = Action::Transfer { to: Address([3; 20]), amount: Amount::COIN };
    send(&first, action);
    assert_eq!(end(first), Ok(()));

    let second = node(folder.path());
    assert_eq!((second.handle().view().tip.height, second.handle().view().pending), (Height(20), 1));
    assert_eq!(mine(&second, 1), Height(21));
    let state = second.handle().account(Address([3; 20])).wait().expect("answered");
    assert_eq!(state.account.balance, Amount::COIN.into());
}

#[test]
fn events_come_in_order_from_ready_on() {
    let folder = folder();
    let node = node(folder.path());
    mine(&node, 5);
    let events: Vec<_> = node.handle().subscribe().try_iter().collect();
    assert!(matches!(&events[0], UserEvent::Ready { listen, .. } if !listen.is_empty()), "{events:?}");
    let heights = events.iter().filter_map(|event| match event {
        UserEvent::Notice(Notice::Tip { tip, ours: true, .. }) => Some(tip.height.0),
        _ => None,
    });
    assert_eq!(heights.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_folder_has_one_node_and_is_free_after_it() {
    let folder = folder();
    let first = node(folder.path());
    let error = try_start(folder.path(), vec![]).err().expect("in use");
    assert_eq!(error.code(), "data_dir_in_use");
    let handle = first.handle();
    drop(first);
    node(folder.path());
    assert!(handle.reader().snapshot().is_err(), "an old handle keeps nothing open");
}

#[test]
fn an_address_that_cannot_be_listened_on() {
    let (one, other) = (folder(), folder());
    let first = node(one.path());
    let taken = first.handle().listen();
    let config = |listen| Config {
        data_dir: other.path().to_owned(),
        name: "test".to_owned(),
        network: Arc::new(first.handle().network().clone()),
        listen,
        peers: vec![],
        mdns: false,
        index: true,
        http: None,
        mine: MiningMode::Off,
        threads: 1,
        json: false,
        prompt: false,
        log: String::new(),
    };
    let try_start = |listen| {
        let identity = load_or_create_identity(other.path()).expect("an identity");
        start(config(listen), identity, Wallets::open(other.path(), None, None).expect("a wallet"))
    };
    let mut taken = taken[0].clone();
    taken.pop();
    let error = try_start(vec![taken]).err().expect("in use");
    assert_eq!(error.code(), "cannot_listen");
    // Nothing of the failed start is left.
    try_start(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]).expect("a node");
}

#[test]
fn commands_are_answered_even_at_the_end() {
    let folder = folder();
    let node = node(folder.path());
    let handle = node.handle();
    let endless = handle.mine(1_000_000, None);
    let events = handle.subscribe();
    wait_for(&events, |event| matches!(event, UserEvent::Notice(Notice::Tip { .. })));
    assert_eq!(end(node), Ok(()));
    assert_eq!(endless.wait(), Err(CommandError::Closing));
    assert_eq!(handle.pending().wait(), Err(CommandError::Closing));
    assert!(handle.connect("/ip4/127.0.0.1/tcp/1".parse().expect("an address")).is_err());
}

#[test]
fn a_node_that_starts_late_gets_the_chain() {
    let (one, other) = (folder(), folder());
    let first = node(one.path());
    mine(&first, 700);
    let second = try_start(other.path(), first.handle().listen()).expect("a node");
    let events = second.handle().subscribe();
    wait_for(&events, |event| matches!(event, UserEvent::PeerConnected(_)));
    wait_for(&events, |event| matches!(event, UserEvent::Notice(Notice::Tip { tip, .. }) if tip.height == Height(700)));
    assert_eq!(second.handle().view().tip, first.handle().view().tip);
    let height = mine(&second, 1);
    let events = first.handle().subscribe();
    wait_for(&events, |event| matches!(event, UserEvent::Notice(Notice::Tip { tip, .. }) if tip.height == height));
    assert_eq!((end(second), end(first)), (Ok(()), Ok(())));
}

#[test]
fn what_is_answered_is_indexed_for_the_next_question() {
    let folder = folder();
    let first = node(folder.path());
    let indexed = first.handle().subscribe_internal_only(|event| matches!(event, UserEvent::Indexed(_)));
    mine(&first, 20);
    let action = Action::Record { data: b"a fact".to_vec().into() };
    let id = send(&first, action);
    mine(&first, 1);
    let found = |node: &Node| {
        let handle = node.handle();
        let view = handle.index().expect("it keeps one").view().expect("in time");
        let history = view.history(&handle.address(), Period::default(), None, 100).expect("readable");
        (view.find(&id).expect("readable").map(|location| location.place.height), history.entries.len())
    };
    assert_eq!(found(&first), (Some(Height(21)), 22));
    let tip = first.handle().view().tip;
    wait_for(&indexed, |event| matches!(event, UserEvent::Indexed(place) if *place == tip));
    assert_eq!(end(first), Ok(()));
    assert_eq!(found(&node(folder.path())), (Some(Height(21)), 22));
}

#[test]
fn a_node_without_an_index_makes_none() {
    let folder = folder();
    let config = Config { index: false, ..config(folder.path(), vec![]) };
    let identity = load_or_create_identity(folder.path()).expect("an identity");
    let wallets = Wallets::open(folder.path(), None, None).expect("a wallet");
    let node = start(config, identity, wallets).expect("a node");
    assert_eq!(mine(&node, 3), Height(3));
    assert!(node.handle().index().is_none());
    assert_eq!(end(node), Ok(()));
    assert!(!folder.path().join("index.redb").exists());
}

/// Each question gets the answer that belongs to it: none of them panics.
#[test]
fn questions_get_their_own_answers() {
    let folder = folder();
    let node = node(folder.path());
    let handle = node.handle();
    let to = Address([3; 20]);
    assert_eq!(handle.mine(1, None).wait().map(|places| places.len()), Ok(1));
    assert_eq!(handle.cancel_mining().wait(), Ok(()));
    assert_eq!(handle.set_mining(MiningMode::Off, None).wait(), Ok(()));
    let id = send(&node, Action::Transfer { to, amount: Amount::COIN });
    let pending = handle.pending().wait().expect("answered");
    assert_eq!(pending.iter().map(|waits| waits.id()).collect::<Vec<_>>(), [id]);
    assert_eq!(handle.pending_transaction(id).wait(), Ok(pending.first().cloned()));
    assert_eq!(handle.submit(pending[0].clone()).wait(), Ok((id, Amount::ZERO)), "it waits already");
    let state = handle.account(handle.address()).wait().expect("answered");
    assert_eq!((state.account.nonce, state.pending), (0, 1));
    let resolution = handle.resolve().wait().expect("answered");
    assert_eq!((resolution.replaced, resolution.asked, resolution.tip.height), (false, 0, Height(1)));
    let checkpoint = handle.set_checkpoint(Some(Height(1))).wait().expect("answered");
    assert_eq!(checkpoint, Some(resolution.tip));
    let (block, _) =
        handle.reader().snapshot().expect("readable").block(&resolution.tip.id).expect("readable").expect("there");
    let checked = check_block(block, handle.network()).expect("it was mined here");
    assert_eq!(handle.submit_block(checked).wait(), Ok(true), "it is there already");
    assert_eq!(handle.use_account(to).wait(), Ok(()));
    assert_eq!(end(node), Ok(()));
}
