//! `quipu wallet …`: what it takes and what it does. No node runs for it; one may run in the same folder meanwhile.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::error::WalletError;
use super::folder::Folder;
use super::password::{Password, Sources};
use super::session::{create, list};
use super::words::PATH_TEXT;
use crate::protocol::Address;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a wallet; its recovery phrase is shown once
    New(New),
    /// All wallets of the data folder
    List,
}

/// `wallet new`.
#[derive(Debug, Args)]
pub struct New {
    /// 1 to 32 of A-Z a-z 0-9 . _ -
    name: String,
    #[command(flatten)]
    protection: Protection,
}

/// Whether a file is written with a password.
#[derive(Debug, Args)]
struct Protection {
    /// Leave the file without a password: whoever can read it has the key
    #[arg(long)]
    no_password: bool,
}

/// A command and what it is about.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Where.
    pub data_dir: PathBuf,
    /// Where passwords may be.
    pub passwords: Sources,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// `wallet new`.
    Made {
        /// Its name.
        name: String,
        /// Its address.
        address: Address,
        /// The recovery phrase, here and nowhere else.
        words: String,
        /// Where the key is derived from it.
        path: &'static str,
    },
    /// `wallet list`.
    List {
        /// Sorted by name.
        wallets: Vec<Row>,
    },
}

/// A wallet in a list.
#[derive(Debug, Serialize)]
pub struct Row {
    name: String,
    address: Option<Address>,
    encrypted: Option<bool>,
    current: bool,
}

impl Request {
    /// The command's name in answers.
    pub fn name(&self) -> &'static str {
        match self.command {
            Command::New(_) => "wallet new",
            Command::List => "wallet list",
        }
    }

    /// Does it.
    pub fn run(&self) -> Result<Done, WalletError> {
        let folder = Folder::new(&self.data_dir);
        match &self.command {
            Command::New(new) => {
                let password: Option<Password> = if new.protection.no_password {
                    None
                } else {
                    Some(self.passwords.new_one(false, "Password of the new wallet: ")?)
                };
                let (address, words) = create(&folder, &new.name.parse()?, password.as_ref())?;
                Ok(Done::Made { name: new.name.clone(), address, words: words.phrase().to_owned(), path: PATH_TEXT })
            }
            Command::List => {
                let rows = list(&folder, folder.choose().ok().flatten().as_ref())?;
                let wallets = rows
                    .into_iter()
                    .map(|row| Row {
                        address: row.state.as_ref().ok().map(|(address, _)| *address),
                        encrypted: row.state.as_ref().ok().map(|(_, encrypted)| *encrypted),
                        name: row.name,
                        current: row.is_current,
                    })
                    .collect();
                Ok(Done::List { wallets })
            }
        }
    }
}
