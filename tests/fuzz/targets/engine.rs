//! Sequences of engine events, read from bytes: peers come, go, spread, answer and ask; the user commands; checks, disk
//! and miner finish in some order; time passes; the node crashes and restarts.
//!
//! After any sequence: connected blocks are valid and condemned ones are not, by the reference model; accounts on disk
//! are the model's; the tip is only left for more work; each ticket gets one answer; containers stay in their bounds.
//! At the end nothing is left in flight, and one honest peer is enough to get the best chain.

mod pool;
mod shell;

use std::sync::OnceLock;

use quipu::engine::event::{Command, Event, Fault, Gossip, Key, MINE_COUNT_MAX, MiningMode, PeerKey, RequestFailure};
use quipu::protocol::compact::{ID_BITS_MAX, ID_BITS_MIN};
use quipu::protocol::{
    Action, Amount, Block, Bundle, CheckedBlock, CompactBlock, Height, Millis, Request, Response, Status, UnixMillis,
    Work,
};

use pool::ScriptPool;
use shell::FuzzShell;

/// The most steps of one script. Further bytes are not read.
const STEPS_MAX: usize = 400;
/// The most sessions at the same time, as a shell bounds them.
const PEERS_MAX: usize = 6;

/// Runs a script; some twice, since the same events must give the same effects.
pub(crate) fn engine(data: &[u8]) {
    static POOL: OnceLock<ScriptPool> = OnceLock::new();
    let pool = POOL.get_or_init(ScriptPool::new);
    let is_traced = data.first().is_some_and(|first| first % 8 == 0);
    let trace = run(pool, data, is_traced);
    if is_traced {
        assert_eq!(run(pool, data, true), trace, "the same events give the same effects");
    }
}

/// The hash of all effects, if they are traced.
fn run(pool: &ScriptPool, data: &[u8], is_traced: bool) -> Option<[u8; 32]> {
    let mut shell = FuzzShell::new(pool, is_traced);
    let mut script = ByteScript(data);
    for _ in 0..STEPS_MAX {
        if script.0.is_empty() {
            break;
        }
        step(&mut shell, &mut script);
        shell.check_bounds();
    }
    shell.finish();
    shell.trace()
}

/// The rest of the bytes. An empty script reads as zeros.
struct ByteScript<'a>(&'a [u8]);

impl ByteScript<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        let number = u16::from_le_bytes([self.byte(), if bound > 256 { self.byte() } else { 0 }]);
        usize::from(number) % bound.max(1)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

fn step(shell: &mut FuzzShell<'_>, script: &mut ByteScript<'_>) {
    match script.byte() % 32 {
        0 | 1 if shell.peers.len() < PEERS_MAX => {
            let branch = script.below(shell.pool.branches.len());
            shell.connect(branch);
        }
        2 => {
            if let Some(peer) = pick_peer(shell, script).filter(|_| script.byte() < 128) {
                shell.disconnect(peer);
            }
        }
        3..=7 => gossip(shell, script),
        8..=13 => answer(shell, script),
        14 => {
            if let Some((peer, key, _)) = take_ask(shell, script) {
                let failures = [
                    RequestFailure::Unreachable,
                    RequestFailure::Refused,
                    RequestFailure::Timeout,
                    RequestFailure::Malformed,
                ];
                let failure = *script.pick(&failures).expect("there are some");
                shell.handle(Event::Response { peer, key, result: Err(failure) });
            }
        }
        15 | 16 => {
            if let Some(peer) = pick_peer(shell, script) {
                let request = request(shell, script);
                shell.request(peer, request);
            }
        }
        17 | 18 => {
            let command = command(shell, script);
            shell.command(command);
        }
        19 | 20 => {
            let millis = [0, 1, 50, 1_000, 1_000, 4_000, 5_000, 5_000, 30_000, 600_000];
            shell.wait(Millis(*script.pick(&millis).expect("there are some")));
        }
        21..=23 => shell.finish_check(script.byte().into()),
        24..=27 => shell.run_disk(),
        28 => shell.find_nonce(),
        29 => {
            for _ in 0..script.below(6) {
                answer_all(shell);
            }
        }
        30 if script.byte() < 128 => shell.crash(),
        31 if script.byte() < 32 => {
            if let Some(peer) = pick_peer(shell, script) {
                shell.handle(Event::Misbehaved { peer, fault: Fault::Malformed });
            }
        }
        _ => {
            shell.handle(Event::HashRate(script.byte().into()));
        }
    }
}

fn pick_peer(shell: &FuzzShell<'_>, script: &mut ByteScript<'_>) -> Option<PeerKey> {
    let peers: Vec<PeerKey> = shell.peers.keys().copied().collect();
    script.pick(&peers).copied()
}

fn gossip(shell: &mut FuzzShell<'_>, script: &mut ByteScript<'_>) {
    let Some(peer) = pick_peer(shell, script) else { return };
    let kind = script.byte();
    let gossip = if kind < 85 {
        let some =
            (0..1 + kind % 4).map(|_| script.pick(&shell.pool.any_transactions).expect("the pool has some").clone());
        let bundle = Bundle::pack(some).pop().expect("it has one at least");
        Gossip::Transactions(bundle)
    } else {
        let block = script.pick(&shell.pool.blocks).expect("the pool has some").clone();
        if script.byte() < 128 { Gossip::Block(Box::new(block)) } else { compact(shell, script, block) }
    };
    shell.gossip(peer, gossip);
}

/// A compact announcement of a block, with its own ids or those of other transactions.
fn compact(shell: &FuzzShell<'_>, script: &mut ByteScript<'_>, mut block: Block) -> Gossip {
    if script.byte() < 32 {
        block.body.transactions = shell.pool.any_transactions.iter().take(script.below(6)).cloned().collect();
    }
    let block = CheckedBlock::recall(block, shell.pool.network());
    let id_bits = ID_BITS_MIN + script.byte() % (ID_BITS_MAX - ID_BITS_MIN + 1);
    Gossip::Compact(Box::new(CompactBlock::with_id_bits(&block, [], id_bits)))
}

fn take_ask(shell: &mut FuzzShell<'_>, script: &mut ByteScript<'_>) -> Option<(PeerKey, Key, Request)> {
    let at = script.below(shell.asked.len());
    (at < shell.asked.len()).then(|| shell.asked.remove(at))
}

/// Answers a question: mostly from the peer's branch, otherwise with anything.
fn answer(shell: &mut FuzzShell<'_>, script: &mut ByteScript<'_>) {
    let Some((peer, key, request)) = take_ask(shell, script) else { return };
    let branch = shell.peers[&peer];
    let response = match script.byte() % 16 {
        0 => anything(shell, script),
        1 => {
            // The right kind, but not all of it.
            let mut response = shell.pool.answer(branch, &request, shell.unix());
            match &mut response {
                Response::Headers(all) => {
                    let missing = script.below(all.len().min(8));
                    *all = all.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, header)| *header).collect();
                }
                Response::Blocks(all) => *all = all.iter().skip(script.below(3)).cloned().collect(),
                Response::Transactions(all) | Response::BlockTransactions(all) => {
                    *all = all.iter().take(script.below(3)).cloned().collect();
                }
                Response::Status(status) => status.work = Work(u128::from(script.byte()) << 100),
                Response::Pending(_) => {}
            }
            response
        }
        _ => shell.pool.answer(branch, &request, shell.unix()),
    };
    shell.handle(Event::Response { peer, key, result: Ok(response) });
}

/// Makes all peers answer correctly for a while.
fn answer_all(shell: &mut FuzzShell<'_>) {
    for (peer, key, request) in std::mem::take(&mut shell.asked) {
        // One answer may have got another peer cut off.
        if let Some(branch) = shell.peers.get(&peer) {
            let response = shell.pool.answer(*branch, &request, shell.unix());
            shell.handle(Event::Response { peer, key, result: Ok(response) });
        }
    }
    shell.settle();
}

fn anything(shell: &FuzzShell<'_>, script: &mut ByteScript<'_>) -> Response {
    let pool = shell.pool;
    let (from, count) = (script.below(pool.blocks.len()), script.below(20));
    let some = pool.blocks.iter().skip(from).take(count);
    match script.byte() % 6 {
        0 => Response::Status(Status {
            tip: pool.blocks[from].header.id(),
            height: Height(if count == 0 { u64::MAX } else { count as u64 }),
            work: Work(u128::MAX >> count),
            clock: UnixMillis(shell.unix().0.wrapping_add(script.byte().into())),
            pending: count as u64,
            nickname: vec![script.byte(); count].into(),
        }),
        1 => Response::Headers(some.map(|block| block.header).collect()),
        2 => Response::Blocks(some.cloned().collect()),
        3 => Response::Pending(pool.transaction_ids.iter().skip(from % 8).take(count).copied().collect()),
        4 => Response::BlockTransactions(pool.any_transactions.iter().skip(from % 8).take(count).cloned().collect()),
        _ => Response::Transactions(pool.any_transactions.iter().skip(from % 8).take(count).cloned().collect()),
    }
}

fn request(shell: &FuzzShell<'_>, script: &mut ByteScript<'_>) -> Request {
    let pool = shell.pool;
    let (from, count) = (script.below(pool.blocks.len()), script.below(20));
    let ids = || pool.blocks.iter().skip(from).take(count).map(|block| block.header.id()).collect();
    match script.byte() % 6 {
        0 => match anything(shell, script) {
            Response::Status(status) => Request::Status(status),
            _ => Request::Pending,
        },
        1 => Request::Headers { locator: ids() },
        2 => Request::Blocks { ids: ids() },
        3 => Request::Pending,
        4 => {
            let places = (0..count as u32).map(|place| place * (1 + from as u32 % 3)).collect();
            Request::BlockTransactions { block: pool.blocks[from].header.id(), places }
        }
        _ => {
            let ids = pool.transaction_ids.iter().take(count).copied();
            Request::Transactions { ids: ids.collect() }
        }
    }
}

fn command(shell: &FuzzShell<'_>, script: &mut ByteScript<'_>) -> Command {
    let keys = shell.pool.forge.keys();
    let key = script.pick(keys).expect("there are some").clone();
    let address = script.pick(keys).expect("there are some").public_key().address();
    let number = u64::from(script.byte());
    match script.byte() % 11 {
        0 => Command::Mine { count: number.clamp(1, MINE_COUNT_MAX), to: Some(address).filter(|_| number % 2 == 0) },
        1 => Command::CancelMining,
        2 => {
            let modes = [MiningMode::Off, MiningMode::On, MiningMode::Pending];
            Command::SetMining { mode: modes[number as usize % 3], to: None }
        }
        3 | 4 => {
            let amount = Amount::from_units(number * Amount::COIN.units() / 100);
            let action = if number == 7 {
                Action::Record { data: vec![1; 9].into() }
            } else {
                Action::Transfer { to: address, amount }
            };
            Command::Send { key, action, fee: (number > 0).then_some(Amount::from_units(number)) }
        }
        5 => Command::Pending,
        6 => Command::Account { address },
        7 => {
            let id = *script.pick(&shell.pool.transaction_ids).expect("there are some");
            Command::Transaction { id }
        }
        8 => Command::Resolve,
        9 => Command::UseAccount { address },
        _ => Command::SetCheckpoint { height: Some(Height(number)).filter(|_| number < 200) },
    }
}
