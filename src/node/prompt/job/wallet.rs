//! Wallets and names.

use std::time::Duration;

use super::CommandRunner;
use crate::node::api::error::{Code, Failure};
use crate::node::api::queries;
use crate::node::api::rows::{AliasRow, WalletMade, WalletRow};
use crate::node::prompt::command::WalletCommand;
use crate::node::prompt::outcome::{CommandOutcome, WalletChange};
use crate::protocol::Address;

const MINUTE: u64 = 60;

impl CommandRunner<'_> {
    pub(super) fn aliases(&self, name: Option<&str>) -> Result<CommandOutcome, Failure> {
        let mut rows = queries::aliases(self.handle);
        rows.retain(|row| name.is_none_or(|name| row.name == name));
        match name {
            Some(name) if rows.is_empty() => {
                Err(Failure::new(Code::NotFound, format!("there is no name {name}; `alias` shows all")))
            }
            _ => Ok(CommandOutcome::Aliases(rows)),
        }
    }

    pub(super) fn set_alias(&self, name: &str, address: Address) -> Result<CommandOutcome, Failure> {
        if self.handle.wallets().list()?.iter().any(|wallet| wallet.name == name) {
            return Err(Failure::new(Code::NameTaken, format!("{name} is one of your wallets: choose another name")));
        }
        self.handle.aliases().set(name, address)?;
        Ok(CommandOutcome::AliasSet(AliasRow { name: name.to_owned(), address }))
    }

    pub(super) fn remove_alias(&self, name: &str) -> Result<CommandOutcome, Failure> {
        let address = self.handle.aliases().remove(name)?;
        Ok(CommandOutcome::AliasRemoved(AliasRow { name: name.to_owned(), address }))
    }

    pub(super) fn wallet(&self, command: &WalletCommand) -> Result<CommandOutcome, Failure> {
        let wallets = self.handle.wallets();
        let change = match command {
            WalletCommand::List => return Ok(CommandOutcome::Wallets(queries::wallets(self.handle)?)),
            WalletCommand::New(name) => return self.make_wallet(name),
            WalletCommand::Use(name) => {
                wallets.use_wallet(name, None)?;
                // Rewards go to this account from now on.
                self.handle.use_account(wallets.address()).wait()?;
                WalletChange::Used
            }
            WalletCommand::Unlock { minutes } => {
                let current = wallets.current();
                if current.is_encrypted {
                    let password = self.passwords.existing(&format!("password of the wallet {}: ", current.name))?;
                    let limit = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(MINUTE)));
                    wallets.unlock(&password, limit)?;
                }
                WalletChange::Unlocked { minutes: *minutes }
            }
            WalletCommand::Lock => {
                wallets.lock()?;
                WalletChange::Locked
            }
        };
        Ok(CommandOutcome::Wallet { wallet: WalletRow::from(&wallets.current()), change })
    }

    fn make_wallet(&self, name: &str) -> Result<CommandOutcome, Failure> {
        let wallets = self.handle.wallets();
        if self.handle.aliases().find(name).is_some() {
            return Err(Failure::new(Code::NameTaken, format!("{name} is an alias: choose another name")));
        }
        // Before a question that would be in vain.
        wallets.check_free(name)?;
        let password = self.passwords.new_one(false, &format!("password for the new wallet {name}: "))?;
        let (address, words) = wallets.create(name, Some(&password))?;
        Ok(CommandOutcome::WalletMade(WalletMade { name: name.to_owned(), address, words }))
    }
}
