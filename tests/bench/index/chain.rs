//! A long chain of records on the network `dev`, made in the same way each time.

use std::sync::Arc;
use std::thread;

use quipu::engine::event::Place;
use quipu::protocol::check::check_header;
use quipu::protocol::encode::{DECODE_BYTES_MAX, decode, encode};
use quipu::protocol::hash::sha256;
use quipu::protocol::{
    Action, Address, Amount, Block, CheckedBlock, CheckedTransaction, Header, Height, Network, Parameters, Reward,
    SecretKey, Transaction, TransactionId, UnixMillis,
};
use quipu::random::Random;

/// Records in each block.
pub(crate) const RECORDS: usize = 5;
const ACCOUNTS: u64 = 4000;
const TAGS: u64 = 1000;
/// The most tags of a record; each has at least one.
const RECORD_TAGS: u64 = 3;
const BLOCK_MILLIS: u64 = 10_000;
/// Blocks whose records are signed together.
const CHUNK_BLOCKS: usize = 1000;

/// Encoded blocks, one after the other.
pub(crate) struct RecordChain {
    pub(crate) network: Arc<Network>,
    bytes: Vec<u8>,
    /// The end of each block.
    ends: Vec<usize>,
    tip: Place,
    keys: Vec<SecretKey>,
}

impl RecordChain {
    pub(crate) fn make(blocks: usize) -> Self {
        let network = Arc::new(Network::new(Parameters::dev()).expect("a preset is valid"));
        let keys = (0..ACCOUNTS).map(|number| SecretKey::from_seed(sha256(&[&number.to_le_bytes()]))).collect();
        let tip = Place { height: Height::GENESIS, id: network.genesis_id() };
        let mut parent = network.genesis().header;
        let mut chain = Self { network, bytes: Vec::new(), ends: Vec::new(), tip, keys };
        let mut nonces = vec![0_u64; chain.keys.len()];
        for first in (0..blocks).step_by(CHUNK_BLOCKS) {
            let count = CHUNK_BLOCKS.min(blocks - first);
            let planned = (first * RECORDS..(first + count) * RECORDS).map(|number| {
                let who = random(number as u64, 0) % ACCOUNTS;
                let nonce = &mut nonces[who as usize];
                *nonce += 1;
                (number as u64, who as usize, *nonce - 1)
            });
            let planned: Vec<_> = planned.collect();
            let mut signed = chain.sign(&planned).into_iter();
            for _ in 0..count {
                let block = chain.assemble(&parent, signed.by_ref().take(RECORDS).collect());
                parent = *block.header();
                chain.bytes.extend(encode(&block));
                chain.ends.push(chain.bytes.len());
                chain.tip = Place { height: parent.height, id: block.id() };
            }
        }
        chain
    }

    pub(crate) fn tip(&self) -> Place {
        self.tip
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// All blocks in their order.
    pub(crate) fn chunks(&self, blocks: usize) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        (0..self.ends.len()).step_by(blocks).map(move |first| {
            let ends = first..self.ends.len().min(first + blocks);
            ends.map(|at| self.block(at))
        })
    }

    fn block(&self, at: usize) -> &[u8] {
        &self.bytes[at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at]]
    }

    pub(crate) fn records(&self) -> u64 {
        (self.ends.len() * RECORDS) as u64
    }

    /// The id of a record's transaction.
    pub(crate) fn id_of(&self, record: u64) -> TransactionId {
        let (at, position) = (record as usize / RECORDS, record as usize % RECORDS);
        let block: Block = decode(self.block(at), DECODE_BYTES_MAX).expect("well formed");
        block.body.transactions[position].transaction.id(&self.network.genesis_id())
    }

    /// One of the accounts.
    pub(crate) fn address(&self, number: u64) -> Address {
        self.keys[(number % ACCOUNTS) as usize].public_key().address()
    }

    /// The time of the block with a record.
    pub(crate) fn time_of(&self, record: u64) -> UnixMillis {
        let height = record / RECORDS as u64 + 1;
        UnixMillis(self.network.genesis().header.timestamp.0 + height * BLOCK_MILLIS)
    }

    fn sign(&self, planned: &[(u64, usize, u64)]) -> Vec<CheckedTransaction> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let one = |(number, who, nonce): &(u64, usize, u64)| {
            let (key, action) = (&self.keys[*who], Action::Record { data: data(*number).into_bytes().into() });
            let transaction = Transaction { sender: key.public_key(), nonce: *nonce, fee: Amount::ZERO, action };
            CheckedTransaction::sign(transaction, key, &self.network).expect("well formed")
        };
        thread::scope(|scope| {
            let parts = planned.chunks(planned.len().div_ceil(cores));
            let threads: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        })
    }

    fn assemble(&self, parent: &Header, records: Vec<CheckedTransaction>) -> CheckedBlock {
        let height = parent.height.next();
        let reward = Reward { to: self.address(height.0), amount: self.network.parameters().subsidy };
        // The index does not look at it.
        let context = self.network.genesis().body.context;
        let mut header = Header {
            version: quipu::protocol::block::VERSION,
            height,
            parent: parent.id(),
            root: CheckedBlock::root_of(&context, &reward, &records),
            timestamp: UnixMillis(parent.timestamp.0 + BLOCK_MILLIS),
            target: parent.target,
            nonce: 0,
        };
        while check_header(&header, &self.network).is_err() {
            header.nonce += 1;
        }
        CheckedBlock::assemble(header, context, reward, records, &self.network).expect("valid")
    }
}

/// The content of a record.
pub(crate) fn text(record: u64) -> String {
    format!("pallet {record} left the warehouse in good order and was sealed")
}

/// One of the tags.
pub(crate) fn tag(number: u64) -> String {
    format!("tag-{}", number % TAGS)
}

fn data(record: u64) -> String {
    let count = random(record, 1) % RECORD_TAGS;
    // They differ, because their distance is below the number of tags.
    let tags = (0..=count).map(|at| format!("{:?}", tag(random(record, 2) + at)));
    let tags = tags.collect::<Vec<_>>().join(",");
    format!(r#"{{"quipu":1,"tags":[{tags}],"text":"{}"}}"#, text(record))
}

/// A number that looks random, the same each time.
pub(crate) fn random(number: u64, salt: u64) -> u64 {
    // Halved, so that a little can be added.
    Random::new(number.wrapping_mul(8).wrapping_add(salt)).bits() >> 1
}
