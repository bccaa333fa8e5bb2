//! The ledger: all accounts, and the rules on blocks that need them.

use std::collections::HashMap;

use bincode::{Decode, Encode};
use foldhash::fast::RandomState;

use crate::account::Address;
use crate::amount::{Amount, Wei};
use crate::check::{CheckedBlock, CheckedTransaction};
use crate::encode::{EncodedSize, List};
use crate::network::Network;
use crate::transaction::Action;
use crate::violation::Violation;

/// The state of one address. An address that was never used has the default: no coins, nonce 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// The coins that the account owns.
    pub balance: Wei,
    /// The number of transactions that the account has made, which is the nonce of its next one.
    pub nonce: u64,
}

/// The effect of a block on one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AccountChange {
    /// The account's address.
    pub address: Address,
    /// The account before the block.
    pub before: Account,
    /// The account after the block.
    pub after: Account,
}

impl EncodedSize for AccountChange {
    const ENCODED_BYTES_MIN: usize = 20 + 24 + 24;
}

/// The effect of a block on all accounts, in the order of addresses: enough to apply it and to revert it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Delta {
    /// One entry for each account that the block touches.
    pub changes: List<AccountChange>,
}

/// All accounts after some block.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    accounts: HashMap<Address, Account, RandomState>,
}

impl Ledger {
    /// The accounts before the first block: the network's opening balances.
    pub fn opening(network: &Network) -> Self {
        let openings = network.parameters().opening_balances.iter();
        Self::from_accounts(openings.map(|one| (one.address, Account { balance: one.amount.into(), nonce: 0 })))
    }

    /// Replaces accounts by what was stored of them.
    pub fn restore(&mut self, accounts: impl IntoIterator<Item = (Address, Account)>) {
        self.accounts.extend(accounts);
    }

    /// A ledger of stored accounts.
    pub fn from_accounts(accounts: impl IntoIterator<Item = (Address, Account)>) -> Self {
        Self { accounts: accounts.into_iter().collect() }
    }

    /// The account at an address.
    pub fn account(&self, address: &Address) -> Account {
        self.accounts.get(address).copied().unwrap_or_default()
    }

    /// The sum of all balances.
    pub fn total(&self) -> Wei {
        Wei(self.accounts.values().map(|account| account.balance.0).sum())
    }

    /// The number of accounts that own anything or were ever used.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether no account was ever used.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Applies the rules that need accounts, R15 to R18, to a block on top of this state, and returns the block's
    /// effect. The ledger itself stays as it is.
    pub fn connect(&self, block: &CheckedBlock, network: &Network) -> Result<Delta, Violation> {
        let mut overlay = Overlay::with_room(self, block.transactions().len());
        let mut reward = network.parameters().subsidy;
        for transaction in block.transactions() {
            overlay.apply(transaction)?;
            reward = reward.checked_add(transaction.signed().transaction.fee).ok_or(Violation::Overflow)?;
        }
        if block.reward().amount != reward {
            return Err(Violation::Reward { amount: block.reward().amount, expected: reward });
        }
        overlay.credit(block.reward().to, reward)?;
        Ok(overlay.into_delta())
    }

    /// Applies the effect of a block.
    pub fn apply(&mut self, delta: &Delta) {
        for change in delta.changes.iter() {
            self.replace(change.address, change.before, change.after);
        }
    }

    /// Reverts the effect of a block.
    pub fn revert(&mut self, delta: &Delta) {
        for change in delta.changes.iter() {
            self.replace(change.address, change.after, change.before);
        }
    }

    fn replace(&mut self, address: Address, from: Account, to: Account) {
        let previous = match self.accounts.get_mut(&address) {
            // Usually the account exists and stays.
            Some(account) if to != Account::default() => Some(std::mem::replace(account, to)),
            Some(_) => self.accounts.remove(&address),
            None if to == Account::default() => None,
            None => self.accounts.insert(address, to),
        };
        assert_eq!(previous.unwrap_or_default(), from, "a delta is applied to the state that it was made for");
    }
}

/// Transactions applied in turn on top of a ledger, which itself stays as it is.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a Ledger,
    touched: HashMap<Address, Touched, RandomState>,
}

/// An account of the ledger below, and its state in the overlay.
#[derive(Debug, Clone, Copy)]
struct Touched {
    before: Account,
    after: Account,
}

impl<'a> Overlay<'a> {
    /// An overlay without any transaction.
    pub fn new(base: &'a Ledger) -> Self {
        Self { base, touched: HashMap::default() }
    }

    /// An overlay with room for the accounts of this many transactions and a reward.
    fn with_room(base: &'a Ledger, transactions: usize) -> Self {
        let touched = HashMap::with_capacity_and_hasher(2 * transactions + 1, RandomState::default());
        Self { base, touched }
    }

    /// The state of one account in the overlay.
    pub fn account(&self, address: &Address) -> Account {
        self.touched.get(address).map_or_else(|| self.base.account(address), |touched| touched.after)
    }

    fn touch(&mut self, address: Address) -> &mut Account {
        let base = self.base;
        let touched = self.touched.entry(address).or_insert_with(|| {
            let account = base.account(&address);
            Touched { before: account, after: account }
        });
        &mut touched.after
    }

    /// Applies a transaction if it keeps R15, R16 and R18. Changes nothing if it does not.
    pub fn apply(&mut self, transaction: &CheckedTransaction) -> Result<(), Violation> {
        let sender = transaction.sender();
        let content = &transaction.signed().transaction;
        let account = self.touch(sender);
        let before = *account;
        if content.nonce != before.nonce {
            return Err(Violation::Nonce { id: transaction.id(), nonce: content.nonce, expected: before.nonce });
        }
        let spent = content.spends().ok_or(Violation::Overflow)?;
        let too_little = || Violation::Balance { id: transaction.id(), sender, balance: before.balance };
        let balance = before.balance.checked_sub(spent).ok_or_else(too_little)?;
        let nonce = before.nonce.checked_add(1).ok_or(Violation::Overflow)?;
        // The sender pays before the receiver is credited, so a transfer to oneself cannot overflow.
        *account = Account { balance, nonce };
        if let Action::Transfer { to, amount } = &content.action
            && let Err(violation) = self.credit(*to, *amount)
        {
            *self.touch(sender) = before;
            return Err(violation);
        }
        Ok(())
    }

    fn credit(&mut self, to: Address, amount: Amount) -> Result<(), Violation> {
        let account = self.touch(to);
        account.balance = account.balance.checked_add(amount).ok_or(Violation::Overflow)?;
        Ok(())
    }

    fn into_delta(self) -> Delta {
        let is_changed = |(_, touched): &(Address, Touched)| touched.before != touched.after;
        let touched: Vec<_> = self.touched.into_iter().filter(is_changed).collect();
        let places = sorted(&touched);
        // Deltas are kept for long, so they carry no spare capacity.
        let mut changes = Vec::with_capacity(touched.len());
        changes.extend(places.map(|place| {
            let (address, Touched { before, after }) = touched[place];
            AccountChange { address, before, after }
        }));
        // The fast sort above compares only the first bytes of addresses.
        changes.sort_unstable_by_key(|change| change.address);
        Delta { changes: changes.into() }
    }
}

/// The positions of the list's items in the order of the first 5 bytes of their addresses. Sorting numbers is several
/// times as fast as sorting the items.
fn sorted<T>(list: &[(Address, T)]) -> impl Iterator<Item = usize> {
    const PLACE_BITS: u32 = 24;
    assert!(list.len() >> PLACE_BITS == 0, "a block has far fewer transactions");
    let key = |(place, (address, _)): (u64, &(Address, T))| {
        let head = u64::from_be_bytes(*address.0.first_chunk().expect("20 bytes hold 8"));
        (head >> PLACE_BITS << PLACE_BITS) | place
    };
    let mut keys: Vec<u64> = (0..).zip(list).map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as usize % (1 << PLACE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::SecretKey;
    use crate::block::{Body, Context, Header, Height, Reward, VERSION};
    use crate::check::{check_block, check_header, check_transaction};
    use crate::history::Peaks;
    use crate::network::Parameters;
    use crate::transaction::{SignedTransaction, Transaction};

    struct LedgerFixture {
        network: Network,
        ledger: Ledger,
        key: SecretKey,
        me: Address,
    }

    fn world(balance: u64) -> LedgerFixture {
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let key = SecretKey::from_seed([1; 32]);
        let me = key.public_key().address();
        let account = Account { balance: Amount::from_units(balance).into(), nonce: 0 };
        LedgerFixture { network, ledger: Ledger::from_accounts([(me, account)]), key, me }
    }

    impl LedgerFixture {
        fn transfer(&self, nonce: u64, to: Address, amount: u64, fee: u64) -> SignedTransaction {
            let action = Action::Transfer { to, amount: Amount::from_units(amount) };
            let transaction =
                Transaction { sender: self.key.public_key(), nonce, fee: Amount::from_units(fee), action };
            transaction.sign(&self.network.genesis_id(), &self.key)
        }

        fn block(&self, reward: u64, transactions: Vec<SignedTransaction>) -> CheckedBlock {
            let reward = Reward { to: Address([7; 20]), amount: Amount::from_units(reward) };
            let context = Context::of(Peaks::default().root());
            let body = Body { context, reward, transactions: transactions.into() };
            let mut header = Header {
                version: VERSION,
                height: Height(1),
                parent: self.network.genesis_id(),
                root: body.root(),
                timestamp: self.network.genesis().header.timestamp,
                target: self.network.parameters().easiest_target,
                nonce: 0,
            };
            while check_header(&header, &self.network).is_err() {
                header.nonce += 1;
            }
            check_block(crate::Block { header, body }, &self.network).expect("valid without its context")
        }

        fn connect(&self, reward: u64, transactions: Vec<SignedTransaction>) -> Result<Delta, u8> {
            self.ledger.connect(&self.block(reward, transactions), &self.network).map_err(|error| error.rule())
        }
    }

    const COIN: u64 = crate::amount::UNITS_PER_COIN;
    const OTHER: Address = Address([5; 20]);

    #[test]
    fn a_block_moves_coins_and_is_undone() {
        let mut world = world(1000);
        let delta = world
            .connect(COIN + 3, vec![world.transfer(0, OTHER, 100, 1), world.transfer(1, OTHER, 200, 2)])
            .expect("valid");
        world.ledger.apply(&delta);
        let balance = |address: Address| world.ledger.account(&address).balance.whole_units().units();
        assert_eq!((balance(world.me), balance(OTHER), balance(Address([7; 20]))), (697, 300, COIN + 3));
        assert_eq!(world.ledger.account(&world.me).nonce, 2);
        world.ledger.revert(&delta);
        assert_eq!(world.ledger.account(&world.me), Account { balance: Amount::from_units(1000).into(), nonce: 0 });
        assert_eq!(world.ledger.len(), 1, "accounts that were not there are not there again");
    }

    #[test]
    fn the_same_nonce_twice_in_one_block() {
        let world = world(1000);
        let twice = vec![world.transfer(0, OTHER, 100, 0), world.transfer(0, OTHER, 200, 0)];
        assert_eq!(world.connect(COIN, twice), Err(15));
        assert_eq!(world.connect(COIN, vec![world.transfer(1, OTHER, 100, 0)]), Err(15));
    }

    #[test]
    fn nobody_spends_missing_coins() {
        let world = world(1000);
        assert!(world.connect(COIN + 1, vec![world.transfer(0, OTHER, 999, 1)]).is_ok());
        assert_eq!(world.connect(COIN + 1, vec![world.transfer(0, OTHER, 1000, 1)]), Err(16));
        assert_eq!(world.connect(COIN, vec![world.transfer(0, world.me, 1001, 0)]), Err(16));
        let both = vec![world.transfer(0, OTHER, 600, 0), world.transfer(1, OTHER, 600, 0)];
        assert_eq!(world.connect(COIN, both), Err(16));
    }

    #[test]
    fn changes_are_in_the_order_of_addresses_also_of_those_that_begin_alike() {
        let world = world(1000);
        let alike = |at, byte| {
            let mut address = [5; 20];
            address[at] = byte;
            Address(address)
        };
        let to = (0..20).flat_map(|at| [alike(at, 4), alike(at, 6)]);
        let transfers = (0..).zip(to).map(|(nonce, to)| world.transfer(nonce, to, 1, 0)).collect();
        let delta = world.connect(COIN, transfers).expect("valid");
        // The sender and the miner are the other two.
        assert_eq!(delta.changes.len(), 42);
        assert!(delta.changes.is_sorted_by(|one, next| one.address < next.address));
    }

    #[test]
    fn the_reward_is_exact() {
        let world = world(1000);
        assert_eq!(world.connect(COIN + 1, vec![]), Err(17));
        assert_eq!(world.connect(COIN - 1, vec![]), Err(17));
        assert_eq!(world.connect(COIN, vec![world.transfer(0, OTHER, 1, 1)]), Err(17));
    }

    #[test]
    fn sums_do_not_wrap() {
        let world = world(u64::MAX);
        assert_eq!(world.connect(COIN, vec![world.transfer(0, OTHER, u64::MAX, 1)]), Err(18));
        assert_eq!(world.connect(COIN, vec![world.transfer(0, OTHER, 1, u64::MAX - 1)]), Err(18));
        // A balance has room for more than the largest amount.
        assert!(world.connect(COIN, vec![world.transfer(0, Address([7; 20]), u64::MAX, 0)]).is_ok());
        assert!(world.connect(COIN, vec![world.transfer(0, world.me, u64::MAX, 0)]).is_ok());
    }

    #[test]
    fn a_refused_transaction_changes_nothing() {
        let world = world(u64::MAX);
        let ledger = Ledger::from_accounts([
            (world.me, Account { balance: Amount::from_units(5).into(), nonce: 0 }),
            (OTHER, Account { balance: Wei(u128::MAX), nonce: 0 }),
        ]);
        let mut overlay = Overlay::new(&ledger);
        let checked = check_transaction(world.transfer(0, OTHER, 1, 0), &world.network).expect("well formed");
        assert_eq!(overlay.apply(&checked), Err(Violation::Overflow));
        assert_eq!(overlay.into_delta(), Delta::default());
    }
}
