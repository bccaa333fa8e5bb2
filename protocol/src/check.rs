//! The rules that need no state, and types that prove that they were applied.
//!
//! Checking a block without its context is the expensive half of validation (hashes and signatures). It
//! depends on nothing but the bytes and the network, so any number of threads can do it. The other half is
//! [`Ledger::connect`](crate::ledger::Ledger::connect).

mod signatures;

use std::sync::Arc;

use bincode::Encode;
use bincode::enc::Encoder;

use crate::account::{Address, SIGNATURE_BYTES, SecretKey};
use crate::block::{Block, Body, Context, Header, Height, Reward};
use crate::encode::{EncodedSize, decode, encode, encode_list};
use crate::hash::{BlockId, LeafHash, OutcomeHash, TransactionId};
use crate::history::Peaks;
use crate::merkle;
use crate::network::{BLOCK_BYTES_LIMIT, Network};
use crate::time::{Millis, UnixMillis};
use crate::transaction::{Action, RECORD_BYTES_MAX, SignedTransaction, Transaction};
use crate::violation::Violation;
use crate::work::Target;

/// The longest encoded transaction, in bytes: a full record.
pub const TRANSACTION_BYTES_MAX: usize = <SignedTransaction as EncodedSize>::ENCODED_BYTES_MIN + RECORD_BYTES_MAX;

/// A transaction that keeps every rule that needs no accounts (R1, R3, R8, R9, R10). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTransaction(Arc<CheckedParts>);

/// The sender's address comes next to the transaction, because connecting a block reads both, and those of old blocks
/// are in no cache.
#[derive(Debug, PartialEq, Eq)]
#[repr(C)]
struct CheckedParts {
    sender: Address,
    length: usize,
    signed: SignedTransaction,
    id: TransactionId,
    leaf: LeafHash,
}

impl CheckedTransaction {
    /// The transaction with its signature.
    pub fn signed(&self) -> &SignedTransaction {
        &self.0.signed
    }

    /// The transaction's identifier.
    pub fn id(&self) -> TransactionId {
        self.0.id
    }

    /// The address of the key that signed it.
    pub fn sender(&self) -> Address {
        self.0.sender
    }

    /// The Merkle leaf, which covers the signature.
    pub fn leaf(&self) -> LeafHash {
        self.0.leaf
    }

    /// Length of the encoding, in bytes.
    pub fn length(&self) -> usize {
        self.0.length
    }

    /// Signs a transaction with its sender's key, so that the signature need not be verified. Checks R3, R8 and R9.
    pub fn sign(transaction: Transaction, key: &SecretKey, network: &Network) -> Result<Self, Violation> {
        assert_eq!(transaction.sender, key.public_key(), "only the sender's key signs");
        let signed = transaction.sign(&network.genesis_id(), key);
        check_form(&signed, network)?;
        Ok(Self::new(signed, network))
    }

    /// Restores a transaction that this node checked before storing it. Only for bytes from the node's own store.
    pub fn recall(signed: SignedTransaction, network: &Network) -> Self {
        Self::new(signed, network)
    }

    fn new(signed: SignedTransaction, network: &Network) -> Self {
        let bytes = encode(&signed);
        // The signature is the last field.
        let (unsigned, _) = bytes.split_at(bytes.len() - SIGNATURE_BYTES);
        Self(Arc::new(CheckedParts {
            id: Transaction::id_of_encoding(unsigned, &network.genesis_id()),
            sender: signed.transaction.sender.address(),
            leaf: merkle::leaf(&bytes),
            length: bytes.len(),
            signed,
        }))
    }
}

/// A block that keeps every rule that needs no state (R1 to R10). Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedBlock {
    id: BlockId,
    header: Header,
    context: Context,
    reward: Reward,
    transactions: Arc<[CheckedTransaction]>,
    length: usize,
}

impl CheckedBlock {
    /// The block's identifier: the header's hash.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// The header, which meets its own target.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The commitments to the chain below and to contracts.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The miner's reward.
    pub fn reward(&self) -> &Reward {
        &self.reward
    }

    /// The transactions in the order in which they are applied.
    pub fn transactions(&self) -> &[CheckedTransaction] {
        &self.transactions
    }

    /// Length of the encoding, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The block as it travels, copied.
    pub fn to_block(&self) -> Block {
        let transactions = self.transactions.iter().map(|transaction| transaction.signed().clone()).collect();
        Block { header: self.header, body: Body { context: self.context, reward: self.reward, transactions } }
    }

    /// Restores a block that this node checked before storing it. Recomputes derived values and skips signatures. Only
    /// for bytes from the node's own store.
    pub fn recall(block: Block, network: &Network) -> Self {
        let length = encode(&block).len();
        let id = block.header.id();
        let transactions = block
            .body
            .transactions
            .into_vec()
            .into_iter()
            .map(|signed| CheckedTransaction::new(signed, network))
            .collect();
        let Body { context, reward, .. } = block.body;
        Self { id, header: block.header, context, reward, transactions, length }
    }

    /// Builds a block from checked transactions. Checks the remaining rules: R2, R4 to R7.
    pub fn assemble(
        header: Header,
        context: Context,
        reward: Reward,
        transactions: Vec<CheckedTransaction>,
        network: &Network,
    ) -> Result<Self, Violation> {
        Self::complete(header, CheckedBody::new(context, reward, transactions), network)
    }

    /// [`CheckedBlock::assemble`] with a body whose root is known, as a miner has when it finds a nonce.
    pub fn complete(header: Header, body: CheckedBody, network: &Network) -> Result<Self, Violation> {
        let id = check_header(&header, network)?;
        let CheckedBody { context, reward, transactions, root } = body;
        let length = Self::length_of(&transactions);
        check_length(length, network)?;
        check_root(&header, root)?;
        Ok(Self { id, header, context, reward, transactions: transactions.into(), length })
    }

    /// The length in bytes of a block with these transactions.
    pub fn length_of(transactions: &[CheckedTransaction]) -> usize {
        <Block as EncodedSize>::ENCODED_BYTES_MIN + transactions.iter().map(CheckedTransaction::length).sum::<usize>()
    }

    /// The root that a header must carry to commit to this body.
    pub fn root_of(context: &Context, reward: &Reward, transactions: &[CheckedTransaction]) -> LeafHash {
        let leaves = std::iter::once(reward.leaf()).chain(transactions.iter().map(CheckedTransaction::leaf));
        merkle::node(&context.leaf(), &merkle::root(leaves))
    }
}

/// A body that a miner seeks a header for: checked transactions, and the root over everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedBody {
    context: Context,
    reward: Reward,
    transactions: Vec<CheckedTransaction>,
    root: LeafHash,
}

impl CheckedBody {
    /// Computes the root over context, reward and transactions.
    pub fn new(context: Context, reward: Reward, transactions: Vec<CheckedTransaction>) -> Self {
        Self { root: CheckedBlock::root_of(&context, &reward, &transactions), context, reward, transactions }
    }

    /// The miner's reward.
    pub fn reward(&self) -> &Reward {
        &self.reward
    }

    /// The transactions in the order in which they are applied.
    pub fn transactions(&self) -> &[CheckedTransaction] {
        &self.transactions
    }

    /// The root that a header must carry to commit to this body.
    pub fn root(&self) -> LeafHash {
        self.root
    }
}

/// Encodes the bytes of [`CheckedBlock::to_block`] without the copy.
impl Encode for CheckedBlock {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.header.encode(encoder)?;
        self.context.encode(encoder)?;
        self.reward.encode(encoder)?;
        encode_list(self.transactions.iter().map(CheckedTransaction::signed), encoder)
    }
}

/// The part of a parent's header that its child's rules need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The parent's height.
    pub height: Height,
    /// The parent's timestamp.
    pub timestamp: UnixMillis,
    /// The parent's target.
    pub target: Target,
    /// The time from its own parent to the parent. Genesis came on time.
    pub interval: Millis,
}

impl Parent {
    /// The genesis block of a network.
    pub fn genesis(network: &Network) -> Self {
        let Header { height, timestamp, target, .. } = network.genesis().header;
        Self { height, timestamp, target, interval: network.parameters().target_spacing }
    }

    /// A child of this block.
    #[must_use]
    pub fn child(&self, header: &Header) -> Self {
        let Header { height, timestamp, target, .. } = *header;
        Self { height, timestamp, target, interval: timestamp.saturating_since(self.timestamp) }
    }

    /// The target of a child that claims this time.
    pub fn target_after(&self, timestamp: UnixMillis, network: &Network) -> Target {
        network.retarget().target_after(self.target, self.interval, timestamp.saturating_since(self.timestamp))
    }
}

/// Applies the rules on a header alone: R4, R5, R6, and R19 at height 0. Returns the header's id.
pub fn check_header(header: &Header, network: &Network) -> Result<BlockId, Violation> {
    let id = header.id();
    if header.height == Height::GENESIS {
        return if id == network.genesis_id() { Ok(id) } else { Err(Violation::Genesis { id }) };
    }
    if header.version != crate::block::VERSION {
        return Err(Violation::Version { version: header.version });
    }
    let easiest = network.parameters().easiest_target.expand();
    if header.target.expand().is_none_or(|bound| Some(bound) > easiest) {
        return Err(Violation::TargetForm { target: header.target });
    }
    if !header.target.is_met_by(&id) {
        return Err(Violation::WorkTooLow { id, target: header.target });
    }
    Ok(id)
}

/// Applies the rules on a header and its parent: R11, R12, R13.
pub fn check_header_in_context(header: &Header, parent: &Parent, network: &Network) -> Result<(), Violation> {
    check_header_order(header, parent)?;
    let expected = parent.target_after(header.timestamp, network);
    if header.target != expected {
        return Err(Violation::TargetRule { target: header.target, expected });
    }
    Ok(())
}

/// Applies the rules on a header and its parent that need no more of the parent than its header: R11, R12.
pub(crate) fn check_header_order(header: &Header, parent: &Parent) -> Result<(), Violation> {
    if header.height != parent.height.next() {
        return Err(Violation::Height { height: header.height, parent: parent.height });
    }
    if header.timestamp < parent.timestamp {
        return Err(Violation::TimeBeforeParent { timestamp: header.timestamp, parent: parent.timestamp });
    }
    Ok(())
}

/// Applies R14, the rule on a header and the local clock. The only one whose answer changes with time.
pub fn check_header_time(header: &Header, now: UnixMillis, network: &Network) -> Result<(), Violation> {
    let ahead = header.timestamp.saturating_since(now);
    let limit = network.parameters().future_time_max;
    if ahead > limit { Err(Violation::TimeTooFarAhead { ahead, limit }) } else { Ok(()) }
}

/// Applies the rules on a block's context and the blocks below it, R20 and R21.
pub fn check_context(context: &Context, below: &Peaks) -> Result<(), Violation> {
    let expected = below.root();
    if context.history != expected {
        return Err(Violation::History { claimed: context.history, expected });
    }
    if context.outcome != OutcomeHash::NONE {
        return Err(Violation::Outcome { claimed: context.outcome, expected: OutcomeHash::NONE });
    }
    Ok(())
}

/// Decodes a block and applies every rule that needs no state: R1 to R10.
///
/// The network's own limit is left to [`check_block`], which judges a body only after its root matches the header.
pub fn check_block_bytes(bytes: &[u8], network: &Network) -> Result<CheckedBlock, Violation> {
    check_block(decode(bytes, BLOCK_BYTES_LIMIT)?, network)
}

/// Applies every rule on a block that needs no state: R2 to R10. Verifies all signatures in one batch.
pub fn check_block(block: Block, network: &Network) -> Result<CheckedBlock, Violation> {
    let id = check_header(&block.header, network)?;
    let Block { header, body: Body { context, reward, transactions } } = block;
    let transactions: Vec<_> =
        transactions.into_vec().into_iter().map(|signed| CheckedTransaction::new(signed, network)).collect();
    // The root comes first: until it matches, these transactions say nothing about the header, not even their length.
    check_root(&header, CheckedBlock::root_of(&context, &reward, &transactions))?;
    let length = CheckedBlock::length_of(&transactions);
    check_length(length, network)?;
    for transaction in &transactions {
        check_form(transaction.signed(), network)?;
    }
    if let Some(at) = first_bad_signature(&transactions, network) {
        return Err(Violation::Signature { id: transactions[at].id() });
    }
    Ok(CheckedBlock { id, header, context, reward, transactions: transactions.into(), length })
}

/// Decodes a transaction and applies every rule that needs no accounts: R1, R3, R8, R9, R10.
pub fn check_transaction_bytes(bytes: &[u8], network: &Network) -> Result<CheckedTransaction, Violation> {
    check_transaction(decode(bytes, TRANSACTION_BYTES_MAX)?, network)
}

/// Applies every rule on a transaction that needs no accounts: R3, R8, R9, R10.
pub fn check_transaction(signed: SignedTransaction, network: &Network) -> Result<CheckedTransaction, Violation> {
    check_transactions(vec![signed], network).pop().expect("one in, one out")
}

/// Applies [`check_transaction`] to each, verifying all signatures in one batch unless one of them is bad.
pub fn check_transactions(
    signed: Vec<SignedTransaction>,
    network: &Network,
) -> Vec<Result<CheckedTransaction, Violation>> {
    check_lists(vec![signed], network).pop().expect("one in, one out")
}

/// Applies [`check_transactions`] to each list, verifying the signatures of all of them in one batch: the longer it is, the less
/// a signature costs. If one is bad, each list is verified alone, so that a bad list costs the others one batch more.
pub fn check_lists(
    lists: Vec<Vec<SignedTransaction>>,
    network: &Network,
) -> Vec<Vec<Result<CheckedTransaction, Violation>>> {
    let form = |signed| check_form(&signed, network).map(|()| CheckedTransaction::new(signed, network));
    let lists: Vec<Vec<_>> = lists.into_iter().map(|list| list.into_iter().map(form).collect()).collect();
    let well_formed: Vec<_> = lists.iter().flatten().flatten().cloned().collect();
    if batch_is_valid(&well_formed, network) {
        return lists;
    }
    let is_alone = lists.len() == 1;
    lists.into_iter().map(|list| check_signatures(list, is_alone, network)).collect()
}

/// The verdicts on a list of which each well-formed transaction may have a bad signature; `has_bad` if one of them is known to.
fn check_signatures(
    list: Vec<Result<CheckedTransaction, Violation>>,
    has_bad: bool,
    network: &Network,
) -> Vec<Result<CheckedTransaction, Violation>> {
    let well_formed: Vec<_> = list.iter().flatten().cloned().collect();
    if !has_bad && batch_is_valid(&well_formed, network) {
        return list;
    }
    let judge = |transaction: CheckedTransaction| {
        if signature_is_valid(&transaction, network) {
            Ok(transaction)
        } else {
            Err(Violation::Signature { id: transaction.id() })
        }
    };
    list.into_iter().map(|result| result.and_then(judge)).collect()
}

fn check_length(length: usize, network: &Network) -> Result<(), Violation> {
    let limit = network.block_bytes_max();
    if length > limit { Err(Violation::BlockTooLong { length, limit }) } else { Ok(()) }
}

fn check_root(header: &Header, actual: LeafHash) -> Result<(), Violation> {
    if actual == header.root { Ok(()) } else { Err(Violation::Root { claimed: header.root, actual }) }
}

fn check_form(signed: &SignedTransaction, network: &Network) -> Result<(), Violation> {
    let transaction = &signed.transaction;
    let least = network.parameters().fee_min;
    if transaction.fee < least {
        return Err(Violation::FeeTooLow { fee: transaction.fee, least });
    }
    match &transaction.action {
        Action::Transfer { amount, .. } if amount.units() == 0 => Err(Violation::EmptyTransfer),
        Action::Record { data } if data.len() > RECORD_BYTES_MAX => {
            Err(Violation::RecordTooLong { length: data.len(), limit: RECORD_BYTES_MAX })
        }
        _ => Ok(()),
    }
}

fn first_bad_signature(transactions: &[CheckedTransaction], network: &Network) -> Option<usize> {
    if batch_is_valid(transactions, network) {
        return None;
    }
    transactions.iter().position(|transaction| !signature_is_valid(transaction, network))
}

fn signature_is_valid(transaction: &CheckedTransaction, network: &Network) -> bool {
    let SignedTransaction { transaction, signature } = transaction.signed();
    transaction.sender.verify(&transaction.signing_bytes(&network.genesis_id()), signature)
}

fn batch_is_valid(transactions: &[CheckedTransaction], network: &Network) -> bool {
    match transactions {
        [] => true,
        [single] => signature_is_valid(single, network),
        _ => signatures::are_valid(transactions, &network.genesis_id()),
    }
}

#[cfg(test)]
mod tests;
