//! Shards on threads of their own, in step.
//!
//! This is the one place below `node` that knows threads, and nothing depends on their scheduling: within a window no
//! shard can hear of another, and their messages are handed over between two windows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::shard::Shard;
use super::wheel::Delivery;
use crate::protocol::Millis;

/// Attempts to see the others' progress before a thread yields its core. A window takes microseconds.
const SPINS_MAX: u32 = 100;

/// Messages to one shard from another in one window.
type Mailbox = Mutex<Vec<(Millis, Delivery)>>;

/// Runs all shards to `end`, in windows that are at most as long as the shortest latency.
pub(crate) fn run(shards: &mut [Shard], from: Millis, end: Millis, window: Millis) {
    if let [only] = shards {
        return only.run(end);
    }
    let count = shards.len();
    // Two mailboxes for each pair, used in turn: a fast thread writes into one while others still read the other.
    let mail: Vec<Mailbox> = (0..2 * count * count).map(|_| Mutex::default()).collect();
    let mailbox = |turn: usize, to: usize, from: usize| &mail[(turn % 2 * count + to) * count + from];
    let meeting = Meeting::new(count);
    thread::scope(|scope| {
        for (own, shard) in shards.iter_mut().enumerate() {
            let meeting = &meeting;
            scope.spawn(move || {
                let _alarm = Alarm(meeting);
                let mut at = from;
                let mut turn = 0;
                while at < end {
                    at = (at + window).min(end);
                    shard.run(at);
                    for to in (0..count).filter(|to| *to != own) {
                        let mut letters = mailbox(turn, to, own).lock().expect("no thread fails with a letter in hand");
                        std::mem::swap(&mut *letters, &mut shard.outboxes[to]);
                    }
                    meeting.wait();
                    for from in (0..count).filter(|from| *from != own) {
                        let mut letters =
                            mailbox(turn, own, from).lock().expect("no thread fails with a letter in hand");
                        letters.drain(..).for_each(|(at, record)| shard.wheel.push(at, record));
                    }
                    turn += 1;
                }
            });
        }
    });
}

/// Hands over the messages between shards, without threads.
pub(crate) fn hand_over(shards: &mut [Shard]) {
    for from in 0..shards.len() {
        for to in 0..shards.len() {
            let letters = std::mem::take(&mut shards[from].outboxes[to]);
            letters.into_iter().for_each(|(at, record)| shards[to].wheel.push(at, record));
        }
    }
}

/// A barrier for the threads.
struct Meeting {
    members: usize,
    arrived: AtomicUsize,
    /// The number of completed meetings.
    over: AtomicUsize,
    failed: AtomicBool,
}

impl Meeting {
    fn new(members: usize) -> Self {
        Self { members, arrived: AtomicUsize::new(0), over: AtomicUsize::new(0), failed: AtomicBool::new(false) }
    }

    fn wait(&self) {
        let over = self.over.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.store(0, Ordering::Release);
            self.over.store(over + 1, Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.over.load(Ordering::Acquire) == over {
            assert!(!self.failed.load(Ordering::Relaxed), "another thread of the simulation has failed");
            spins += 1;
            if spins < SPINS_MAX {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Releases the other threads when a thread has failed.
struct Alarm<'a>(&'a Meeting);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}
