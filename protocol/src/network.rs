//! A network is a set of parameters. Its genesis block carries their hash, so nodes that disagree about any parameter
//! are on different networks from the first block on.

use bincode::Encode;
use serde::{Deserialize, Serialize};

use crate::account::Address;
use crate::amount::Amount;
use crate::block::{Block, Body, Context, Header, Height, Reward, VERSION};
use crate::encode::{EncodedSize, List, encode};
use crate::hash::{BlockId, ParametersHash, tagged_hash};
use crate::history::Peaks;
use crate::time::{Millis, UnixMillis};
use crate::work::{Retarget, Target};

/// The longest block of any network, in bytes, so that every block fits into one message.
pub const BLOCK_BYTES_LIMIT: usize = 4 << 20;
/// The least limit on a block's length, in bytes, so that every block has room for a large record.
const BLOCK_BYTES_LEAST: usize = 16 << 10;
/// The longest name of a network, in bytes.
const NAME_BYTES_MAX: usize = 32;
/// The beginning of the names of rooms.
const ROOM_PREFIX: &str = "room-";
/// The longest name of a room, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = NAME_BYTES_MAX - ROOM_PREFIX.len();
/// The most accounts that own something before the first block.
pub const OPENING_BALANCES_MAX: usize = 1024;

/// The largest chain id that wallets take (MetaMask): twice of it and 36 is exact in a JavaScript number.
const CHAIN_ID_MAX: u64 = 4_503_599_627_370_476;

/// The parameters that all nodes of a network share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The network's name: 1 to 32 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// The genesis block's timestamp, in Unix milliseconds.
    pub genesis_time: UnixMillis,
    /// The wanted time between blocks, in milliseconds.
    pub target_spacing: Millis,
    /// A block that is late by this many milliseconds doubles the target of the next one. 0 fixes the difficulty.
    pub half_life: Millis,
    /// The milliseconds since its parent from which on a late block gets an easier target itself, and no longer only the
    /// next one.
    pub grace: Millis,
    /// The easiest target, in compact form. The genesis block has it.
    pub easiest_target: Target,
    /// The most milliseconds that a block's timestamp may be ahead of a node's clock.
    pub future_time_max: Millis,
    /// The coins that each block creates.
    pub subsidy: Amount,
    /// The least fee of a transaction.
    pub fee_min: Amount,
    /// The longest block, in bytes.
    pub block_bytes_max: u32,
    /// What accounts own before the first block, in the order of their addresses.
    #[serde(default)]
    pub opening_balances: Vec<OpeningBalance>,
    /// The limits of contracts, on a network that has them.
    #[serde(default)]
    pub contracts: Option<Contracts>,
}

/// What an account owns before the first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningBalance {
    /// The account's address.
    pub address: Address,
    /// Its coins, more than zero.
    pub amount: Amount,
}

impl EncodedSize for OpeningBalance {
    const ENCODED_BYTES_MIN: usize = 28;
}

/// The limits of contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// The most gas that the transactions of a block may use together.
    pub block_gas: u64,
    /// The most gas that one transaction may ask for.
    pub transaction_gas: u64,
    /// The chain id of EIP-155. 0 stands for 2^32 plus the first four bytes of the genesis block's id, as a big-endian
    /// number.
    pub chain_id: u64,
}

/// A parameter that makes no working network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ParametersError {
    /// The parameter's name.
    pub field: &'static str,
    /// The problem, and what would be right.
    pub problem: String,
}

impl EncodedSize for Contracts {
    const ENCODED_BYTES_MIN: usize = 24;
}

impl Parameters {
    /// The default network: a block every 10 seconds, the difficulty follows the hash rate.
    pub fn lan() -> Self {
        Self {
            name: "lan".to_owned(),
            genesis_time: UnixMillis(1_793_491_200_000), // 2026-11-01T00:00:00Z
            target_spacing: Millis::from_secs(10),
            half_life: Millis::from_secs(180),
            grace: Millis::from_secs(60),
            easiest_target: Target(0x1e03_ffff), // 2^22 hashes: about a quarter of a second on one core
            future_time_max: Millis::from_secs(60),
            subsidy: Amount::COIN,
            fee_min: Amount::ZERO,
            block_bytes_max: 1 << 20,
            opening_balances: Vec::new(),
            contracts: Some(Contracts { block_gas: 30_000_000, transaction_gas: 8_000_000, chain_id: 0 }),
        }
    }

    /// A network for tests and lessons: almost any nonce meets the target, and the difficulty never changes.
    pub fn dev() -> Self {
        Self { name: "dev".to_owned(), half_life: Millis(0), easiest_target: Target(0x2100_ffff), ..Self::lan() }
    }

    /// A network for lessons: a block every 5 seconds, which one browser can find, and quick to follow the hash rate.
    pub fn class() -> Self {
        Self {
            name: "class".to_owned(),
            target_spacing: Millis::from_secs(5),
            half_life: Millis::from_secs(60),
            grace: Millis::from_secs(30),
            easiest_target: Target(0x1f00_ffff), // 2^16 hashes
            ..Self::lan()
        }
    }

    /// A network of its own for those who know the room's name: `class` as `room-NAME`. The name is checked with the
    /// others.
    pub fn room(name: &str) -> Self {
        Self { name: format!("{ROOM_PREFIX}{name}"), ..Self::class() }
    }

    /// The built-in network of that name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "lan" => Some(Self::lan()),
            "class" => Some(Self::class()),
            "dev" => Some(Self::dev()),
            _ => name.strip_prefix(ROOM_PREFIX).filter(|room| !room.is_empty()).map(Self::room),
        }
    }

    /// The hash of their encoding, which the genesis block carries.
    pub fn hash(&self) -> ParametersHash {
        ParametersHash(tagged_hash("quipu network 2", &[&self.encoding()]))
    }

    /// The bytes that are hashed: every parameter, in the order of the fields.
    pub fn encoding(&self) -> Vec<u8> {
        #[derive(Encode)]
        struct Encoded {
            name: List<u8>,
            genesis_time: UnixMillis,
            target_spacing: Millis,
            half_life: Millis,
            grace: Millis,
            easiest_target: Target,
            future_time_max: Millis,
            subsidy: Amount,
            fee_min: Amount,
            block_bytes_max: u32,
            opening_balances: List<OpeningBalance>,
            contracts: List<Contracts>,
        }
        encode(&Encoded {
            name: self.name.bytes().collect(),
            genesis_time: self.genesis_time,
            target_spacing: self.target_spacing,
            half_life: self.half_life,
            grace: self.grace,
            easiest_target: self.easiest_target,
            future_time_max: self.future_time_max,
            subsidy: self.subsidy,
            fee_min: self.fee_min,
            block_bytes_max: self.block_bytes_max,
            opening_balances: self.opening_balances.clone().into(),
            contracts: self.contracts.into_iter().collect(),
        })
    }

    fn check(&self) -> Result<(), ParametersError> {
        let fail = |field, problem: String| Err(ParametersError { field, problem });
        let name_char = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX || !self.name.bytes().all(name_char) {
            return fail("name", format!("use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -"));
        }
        if self.easiest_target.expand().is_none() {
            return fail("easiest_target", format!("{} is not a canonical compact target", self.easiest_target));
        }
        if self.target_spacing == Millis(0) {
            return fail("target_spacing", "must be at least 1 millisecond".to_owned());
        }
        let length = self.block_bytes_max as usize;
        if !(BLOCK_BYTES_LEAST..=BLOCK_BYTES_LIMIT).contains(&length) {
            return fail("block_bytes_max", format!("must be from {BLOCK_BYTES_LEAST} to {BLOCK_BYTES_LIMIT}"));
        }
        if self.opening_balances.len() > OPENING_BALANCES_MAX {
            return fail("opening_balances", format!("must be at most {OPENING_BALANCES_MAX}"));
        }
        if let Some(pair) = self.opening_balances.windows(2).find(|pair| pair[0].address >= pair[1].address) {
            let problem = format!("must be in the order of addresses, each once; see {}", pair[1].address);
            return fail("opening_balances", problem);
        }
        if let Some(empty) = self.opening_balances.iter().find(|one| one.amount == Amount::ZERO) {
            return fail("opening_balances", format!("leave {} out, which owns nothing", empty.address));
        }
        if let Some(contracts) = self.contracts {
            if contracts.transaction_gas == 0 || contracts.transaction_gas > contracts.block_gas {
                return fail("contracts", "transaction_gas must be from 1 to block_gas".to_owned());
            }
            if contracts.chain_id > CHAIN_ID_MAX {
                return fail("contracts", format!("chain_id must be at most {CHAIN_ID_MAX}"));
            }
        }
        Ok(())
    }
}

/// A network: checked parameters, and the genesis block that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    parameters: Parameters,
    genesis: Block,
    genesis_id: BlockId,
}

impl Network {
    /// Checks the parameters and makes the genesis block, which needs no work and creates no coins.
    pub fn new(parameters: Parameters) -> Result<Self, ParametersError> {
        parameters.check()?;
        let reward = Reward { to: Address([0; 20]), amount: Amount::ZERO };
        let context = Context::of(Peaks::default().root());
        let body = Body { context, reward, transactions: List::default() };
        let header = Header {
            version: VERSION,
            height: Height::GENESIS,
            parent: BlockId(parameters.hash().0),
            root: body.root(),
            timestamp: parameters.genesis_time,
            target: parameters.easiest_target,
            nonce: 0,
        };
        Ok(Self { parameters, genesis: Block { header, body }, genesis_id: header.id() })
    }

    /// The parameters, which were checked.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The block at height 0.
    pub fn genesis(&self) -> &Block {
        &self.genesis
    }

    /// The id of the block at height 0, which identifies the network.
    pub fn genesis_id(&self) -> BlockId {
        self.genesis_id
    }

    /// The part of protocol names and topics that keeps networks apart: the first eight bytes of the genesis id, in
    /// hex.
    pub fn tag(&self) -> String {
        hex::encode(&self.genesis_id.0[..8])
    }

    /// The rule by which targets follow the time between blocks.
    pub fn retarget(&self) -> Retarget {
        Retarget {
            spacing: self.parameters.target_spacing,
            half_life: self.parameters.half_life,
            grace: self.parameters.grace,
            easiest: self.parameters.easiest_target,
        }
    }

    /// The longest block, in bytes.
    pub fn block_bytes_max(&self) -> usize {
        self.parameters.block_bytes_max as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_makes_another_network() {
        let base = Parameters::lan();
        let opening = OpeningBalance { address: Address([1; 20]), amount: Amount::COIN };
        let changes: [fn(&mut Parameters, OpeningBalance); 15] = [
            |p, _| p.name = "lab".to_owned(),
            |p, _| p.genesis_time.0 += 1,
            |p, _| p.target_spacing.0 += 1,
            |p, _| p.half_life.0 += 1,
            |p, _| p.grace.0 += 1,
            |p, _| p.easiest_target = Target(0x1e03_fffe),
            |p, _| p.future_time_max.0 += 1,
            |p, _| p.subsidy = Amount::ZERO,
            |p, _| p.fee_min = Amount::COIN,
            |p, _| p.block_bytes_max -= 1,
            |p, opening| p.opening_balances = vec![opening],
            |p, opening| p.opening_balances = vec![OpeningBalance { address: Address([2; 20]), ..opening }],
            |p, _| p.contracts = None,
            |p, _| p.contracts = p.contracts.map(|limits| Contracts { block_gas: limits.block_gas + 1, ..limits }),
            |p, _| p.contracts = p.contracts.map(|limits| Contracts { chain_id: 1, ..limits }),
        ];
        let mut ids = vec![Network::new(base.clone()).expect("valid").genesis_id()];
        for change in changes {
            let mut parameters = base.clone();
            change(&mut parameters, opening);
            let id = Network::new(parameters).expect("valid").genesis_id();
            assert!(!ids.contains(&id));
            ids.push(id);
        }
    }

    #[test]
    fn parameters_that_cannot_work_are_refused() {
        let changes: [fn(&mut Parameters); 5] = [
            |p| p.name = "Ünsinn".to_owned(),
            |p| p.name = String::new(),
            |p| p.easiest_target = Target(0),
            |p| p.target_spacing = Millis(0),
            |p| p.block_bytes_max = u32::MAX,
        ];
        for change in changes {
            let mut parameters = Parameters::lan();
            change(&mut parameters);
            assert!(Network::new(parameters).is_err());
        }
    }
}
