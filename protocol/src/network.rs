//! A network is a set of parameters. Its genesis block carries their hash, so nodes that disagree about any parameter
//! are on different networks from the first block on.

use bincode::Encode;
use serde::{Deserialize, Serialize};

use crate::account::Address;
use crate::amount::Amount;
use crate::block::{Block, Body, Header, Height, Reward, VERSION};
use crate::encode::{List, encode};
use crate::hash::{BlockId, ParametersHash, tagged_hash};
use crate::time::{Millis, UnixMillis};
use crate::work::{Retarget, Target};

/// The longest block of any network, in bytes, so that every block fits into one message.
pub const BLOCK_BYTES_LIMIT: usize = 4 << 20;
/// The least limit on a block's length, in bytes, so that every block has room for a large record.
const BLOCK_BYTES_LEAST: usize = 16 << 10;
/// The longest name of a network, in bytes.
const NAME_BYTES_MAX: usize = 32;

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
    /// A block that is late by this many milliseconds gets twice its parent's target. 0 fixes the difficulty.
    pub half_life: Millis,
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

impl Parameters {
    /// The default network: a block every 10 seconds, the difficulty follows the hash rate.
    pub fn lan() -> Self {
        Self {
            name: "lan".to_owned(),
            genesis_time: UnixMillis(1_793_491_200_000), // 2026-11-01T00:00:00Z
            target_spacing: Millis::from_secs(10),
            half_life: Millis::from_secs(180),
            easiest_target: Target(0x1e03_ffff), // 2^22 hashes: about a quarter of a second on one core
            future_time_max: Millis::from_secs(60),
            subsidy: Amount::COIN,
            fee_min: Amount::ZERO,
            block_bytes_max: 1 << 20,
        }
    }

    /// A network for tests and lessons: almost any nonce meets the target, and the difficulty never changes.
    pub fn dev() -> Self {
        Self { name: "dev".to_owned(), half_life: Millis(0), easiest_target: Target(0x2100_ffff), ..Self::lan() }
    }

    /// The built-in network of that name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "lan" => Some(Self::lan()),
            "dev" => Some(Self::dev()),
            _ => None,
        }
    }

    /// The hash of their encoding, which the genesis block carries.
    pub fn hash(&self) -> ParametersHash {
        ParametersHash(tagged_hash("quipu network 1", &[&self.encoding()]))
    }

    /// The bytes that are hashed: every parameter, in the order of the fields.
    pub fn encoding(&self) -> Vec<u8> {
        #[derive(Encode)]
        struct Encoded {
            name: List<u8>,
            genesis_time: UnixMillis,
            target_spacing: Millis,
            half_life: Millis,
            easiest_target: Target,
            future_time_max: Millis,
            subsidy: Amount,
            fee_min: Amount,
            block_bytes_max: u32,
        }
        encode(&Encoded {
            name: self.name.bytes().collect(),
            genesis_time: self.genesis_time,
            target_spacing: self.target_spacing,
            half_life: self.half_life,
            easiest_target: self.easiest_target,
            future_time_max: self.future_time_max,
            subsidy: self.subsidy,
            fee_min: self.fee_min,
            block_bytes_max: self.block_bytes_max,
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
        let body = Body { reward, transactions: List::default() };
        let header = Header {
            version: VERSION,
            height: Height::GENESIS,
            parent: BlockId(parameters.hash().0),
            body_root: body.root(),
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
        let changes: [fn(&mut Parameters); 9] = [
            |p| p.name = "lab".to_owned(),
            |p| p.genesis_time.0 += 1,
            |p| p.target_spacing.0 += 1,
            |p| p.half_life.0 += 1,
            |p| p.easiest_target = Target(0x1e03_fffe),
            |p| p.future_time_max.0 += 1,
            |p| p.subsidy = Amount::ZERO,
            |p| p.fee_min = Amount::COIN,
            |p| p.block_bytes_max -= 1,
        ];
        let mut ids = vec![Network::new(base.clone()).expect("valid").genesis_id()];
        for change in changes {
            let mut parameters = base.clone();
            change(&mut parameters);
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
