//! Wallets and names.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::Renderer;
use crate::node::api::rows::{AliasRow, WalletMade, WalletRow};
use crate::node::prompt::outcome::WalletChange;
use crate::node::wallet::words::numbered;
use crate::text::{Tone, counted, harmless};

impl Renderer<'_> {
    pub(super) fn aliases(&self, rows: &[AliasRow]) -> String {
        if rows.is_empty() {
            return "no names are given yet: `alias NAME ADDRESS` gives one".to_owned();
        }
        let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
        rows.iter().map(|row| format!("{:<width$}  {}\n", harmless(&row.name, 32), row.address)).collect()
    }

    pub(super) fn wallets(&self, rows: &[WalletRow]) -> String {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for row in rows {
            let mark = if row.current { "*" } else { " " };
            let state = match (row.encrypted, row.locked) {
                (false, _) => "no password",
                (true, true) => "locked",
                (true, false) => "unlocked",
            };
            let what = match (&row.address, &row.problem) {
                (Some(address), _) => format!("{address}  {state}"),
                (None, problem) => self.style.paint(Tone::Error, problem.as_deref().unwrap_or("unreadable")),
            };
            writeln!(text, "{mark} {:<width$}  {what}", row.name).expect("a string takes everything");
        }
        text + "* is the node's own account; `wallet use NAME` changes that."
    }

    pub(super) fn wallet(&self, wallet: &WalletRow, change: WalletChange) -> String {
        let name = &wallet.name;
        let address = wallet.address.map(|address| address.to_string()).unwrap_or_default();
        match change {
            WalletChange::Used if wallet.locked => {
                format!("the node's account is now {address} ({name}, locked: `wallet unlock` to sign)")
            }
            WalletChange::Used => format!("the node's account is now {address} ({name})"),
            WalletChange::Unlocked { minutes: Some(minutes) } => {
                format!("{name} is unlocked for {}", counted(minutes, "minute"))
            }
            WalletChange::Unlocked { minutes: None } => format!("{name} is unlocked until `wallet lock`"),
            WalletChange::Locked => format!("{name} is locked: its key has left the memory"),
        }
    }

    pub(super) fn wallet_made(&self, made: &WalletMade) -> String {
        let WalletMade { name, address, words } = made;
        let warning = "These words bring the key back when the file or the password is lost. They are shown this\n\
                       once: write them on paper. Anyone who reads them has the coins.";
        let words = Zeroizing::new(self.style.paint(Tone::Strong, numbered(words.phrase()).trim_end()));
        let made = format!("made the wallet {name}: {address}\n");
        let then = format!("\n{warning}\n`wallet use {name}` makes it the node's own account.");
        // In one piece: a buffer that grows leaves copies of the secret behind.
        [made.as_str(), &words, &then].concat()
    }
}
