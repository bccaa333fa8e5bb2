//! Blocks as tutorials show them, with everything that is needed to make them again.
//!
//! A block is `{index, timestamp, transactions, proof, previous_hash}`: its height, when it was made (in Unix seconds),
//! the reward and the transactions, the nonce, the id of the block below; and `hash` (its id), `version`, `target`,
//! `history` (the commitment to all blocks below) and `outcome` (of contracts; none here). A
//! transaction is `{sender, recipient, amount}`, and `id`, `fee`, `nonce`, `public_key`, `signature`, `data` (the bytes
//! of a
//! record, in hex; null in a transfer). The reward comes first, its sender is `"0"`, and of these it has only `id`.

use serde::{Deserialize, Serialize};

use crate::node::http::exact::{Coins, Seconds};
use crate::protocol::block::VERSION;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, Body, Context, Header, Height, HistoryHash, Network, OutcomeHash,
    PublicKey, Reward, Signature, SignedTransaction, Target, Transaction,
};

/// The sender of a reward.
const NOBODY: &str = "0";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BlockJson {
    index: u64,
    timestamp: Seconds,
    transactions: Vec<TransactionJson>,
    proof: u64,
    previous_hash: BlockId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<BlockId>,
    #[serde(default = "known_version")]
    version: u32,
    target: String,
    /// The commitment to all blocks below.
    history: HistoryHash,
    /// What contracts did.
    #[serde(default = "no_outcome")]
    outcome: OutcomeHash,
}

/// A transaction, or a reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TransactionJson {
    sender: String,
    recipient: Option<Address>,
    amount: Coins,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee: Option<Coins>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

fn known_version() -> u32 {
    VERSION
}

fn no_outcome() -> OutcomeHash {
    OutcomeHash::NONE
}

impl BlockJson {
    /// Converts it to the shown form.
    pub(super) fn new(block: &Block, network: &Network) -> Self {
        let Block { header, body } = block;
        let others = body.transactions.iter().map(|signed| TransactionJson::new(signed, network));
        let reward = TransactionJson::reward(&body.reward, header);
        Self {
            index: header.height.0,
            timestamp: header.timestamp.into(),
            transactions: std::iter::once(reward).chain(others).collect(),
            proof: header.nonce,
            previous_hash: header.parent,
            hash: Some(header.id()),
            version: header.version,
            target: header.target.to_string(),
            history: body.context.history,
            outcome: body.context.outcome,
        }
    }

    /// Converts it back, or says why it is no block. Its rules are not checked.
    pub(super) fn understood(&self) -> Result<Block, String> {
        let Some((reward, others)) = self.transactions.split_first() else {
            return Err("its first transaction is the reward, and it has none".to_owned());
        };
        let context = Context { history: self.history, outcome: self.outcome };
        let body = Body { context, reward: reward.as_reward()?, transactions: signed(others)?.into() };
        let header = Header {
            version: self.version,
            height: Height(self.index),
            parent: self.previous_hash,
            root: body.root(),
            timestamp: self.timestamp.millis().ok_or("timestamp: Unix time in seconds, with up to three decimals")?,
            target: target(&self.target)?,
            nonce: self.proof,
        };
        let id = header.id();
        match self.hash {
            Some(hash) if hash != id => Err(format!("what it says has the hash {id}")),
            _ => Ok(Block { header, body }),
        }
    }
}

fn signed(transactions: &[TransactionJson]) -> Result<Vec<SignedTransaction>, String> {
    let one = |(at, transaction): (usize, &TransactionJson)| {
        transaction.as_signed().map_err(|problem| format!("transaction {}: {problem}", at + 1))
    };
    transactions.iter().enumerate().map(one).collect()
}

impl TransactionJson {
    /// Converts it to the shown form.
    pub(super) fn new(signed: &SignedTransaction, network: &Network) -> Self {
        let SignedTransaction { transaction, signature } = signed;
        let (recipient, amount, data) = match &transaction.action {
            Action::Transfer { to, amount } => (Some(*to), *amount, None),
            Action::Record { data } => (None, Amount::ZERO, Some(hex::encode(&**data))),
        };
        let (PublicKey::Ed25519(key), Signature::Ed25519(signature)) = (&transaction.sender, signature);
        Self {
            sender: transaction.sender.address().to_string(),
            recipient,
            amount: amount.into(),
            id: Some(transaction.id(&network.genesis_id()).to_string()),
            fee: Some(transaction.fee.into()),
            nonce: Some(transaction.nonce),
            public_key: Some(hex::encode(key)),
            signature: Some(hex::encode(signature)),
            data,
        }
    }

    fn reward(reward: &Reward, header: &Header) -> Self {
        Self {
            sender: NOBODY.to_owned(),
            recipient: Some(reward.to),
            amount: reward.amount.into(),
            id: Some(reward.id(&header.parent).to_string()),
            fee: None,
            nonce: None,
            public_key: None,
            signature: None,
            data: None,
        }
    }

    fn as_reward(&self) -> Result<Reward, String> {
        match self.recipient {
            Some(to) if self.sender == NOBODY => Ok(Reward { to, amount: amount("amount", &self.amount)? }),
            _ => Err("its first transaction is the reward: the sender is \"0\", and it has a recipient".to_owned()),
        }
    }

    fn as_signed(&self) -> Result<SignedTransaction, String> {
        let public_key = PublicKey::Ed25519(bytes("public_key", self.public_key.as_deref())?);
        let action = match (&self.data, self.recipient) {
            (Some(data), None) => {
                let data = hex::decode(data).map_err(|_| "data: the record's bytes in hex".to_owned())?;
                Action::Record { data: data.into() }
            }
            (None, Some(to)) => Action::Transfer { to, amount: amount("amount", &self.amount)? },
            _ => return Err("it has either a recipient or data".to_owned()),
        };
        let fee = self.fee.as_ref().map_or(Ok(Amount::ZERO), |fee| amount("fee", fee))?;
        let nonce = self.nonce.ok_or("nonce: is missing")?;
        let transaction = Transaction { sender: public_key, nonce, fee, action };
        if self.sender != transaction.sender.address().to_string() {
            return Err("sender: is not the address of public_key".to_owned());
        }
        let signature = Signature::Ed25519(bytes("signature", self.signature.as_deref())?);
        Ok(SignedTransaction { transaction, signature })
    }
}

fn amount(name: &str, coins: &Coins) -> Result<Amount, String> {
    coins.amount(name).map_err(|failure| format!("{name}: {failure}"))
}

fn target(text: &str) -> Result<Target, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let problem = |_| "target: a compact target such as 0x1e03ffff".to_owned();
    u32::from_str_radix(digits, 16).map(Target).map_err(problem)
}

fn bytes<const N: usize>(name: &str, text: Option<&str>) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let problem = || format!("{name}: {} hex digits", 2 * N);
    hex::decode_to_slice(text.ok_or_else(problem)?, &mut bytes).map_err(|_| problem())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fixture::Chain;

    fn chain() -> Chain {
        let mut chain = Chain::new(1);
        chain.mine(vec![]);
        let record = |data: &[u8]| Action::Record { data: data.to_vec().into() };
        let records = [record("ä \u{202e}\u{0}".as_bytes()), record(&[0xff, 0])];
        let records = records.into_iter().zip(1..).map(|(action, nonce)| chain.signed(&chain.key, nonce, action));
        let all = std::iter::once(chain.transfer(0)).chain(records).collect();
        chain.mine(all);
        chain
    }

    #[test]
    fn what_is_shown_is_enough_to_make_the_block_again() {
        let chain = chain();
        for block in chain.blocks.iter().map(|(block, _)| block.to_block()).chain([chain.network.genesis().clone()]) {
            let text = serde_json::to_string(&BlockJson::new(&block, &chain.network)).expect("numbers and texts");
            let read: BlockJson = serde_json::from_str(&text).expect("our own form");
            assert_eq!(read.understood(), Ok(block));
        }
    }

    #[test]
    fn what_tutorials_show_is_there() {
        let chain = chain();
        let block = chain.blocks[1].0.to_block();
        let shown = serde_json::to_value(BlockJson::new(&block, &chain.network)).expect("numbers and texts");
        assert_eq!((&shown["index"], &shown["previous_hash"]), (&2.into(), &block.header.parent.to_string().into()));
        assert_eq!(shown["timestamp"].as_f64(), Some(block.header.timestamp.0 as f64 / 1000.0));
        let (reward, transfer) = (&shown["transactions"][0], &shown["transactions"][1]);
        assert_eq!((&reward["sender"], &reward["amount"]), (&"0".into(), &1.into()));
        assert_eq!((&transfer["sender"], &transfer["amount"]), (&chain.address().to_string().into(), &1.into()));
    }

    #[test]
    fn a_block_that_was_changed_is_not_the_one_it_says() {
        let chain = chain();
        let shown = BlockJson::new(&chain.blocks[1].0.to_block(), &chain.network);
        let mut proof = shown.clone();
        proof.proof += 1;
        let mut amount = shown.clone();
        amount.transactions[1].amount = Amount::from_units(2).into();
        let mut nobody = shown.clone();
        nobody.transactions.remove(0);
        let mut thief = shown;
        thief.transactions[1].sender = Address([7; 20]).to_string();
        for changed in [proof, amount, nobody, thief] {
            assert!(changed.understood().is_err(), "{changed:?}");
        }
    }
}
