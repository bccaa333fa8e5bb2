//! What the prompt learns on the way: names of accounts, wallets and peers, and what completion offers.

use super::{Mode, PromptSession};
use crate::engine::View;
use crate::node::api::names::Names;
use crate::node::prompt::completion::Known;

impl PromptSession<'_> {
    /// Reads each wallet's file, so not after every command.
    pub(super) fn learn_names(&mut self) {
        self.identity.names = Names::of(self.handle);
        self.learn_wallets();
    }

    pub(super) fn learn_wallets(&self) {
        self.learn(|known| {
            let wallets = self.handle.wallets().list().unwrap_or_default();
            known.learn_names(&self.identity.names, wallets.into_iter().map(|wallet| wallet.name));
        });
    }

    /// Names come with the first status of a peer.
    pub(super) fn learn_peers(&mut self, view: &View) {
        for peer in view.peers.iter().filter(|peer| peer.height.is_some()) {
            if self.roster.learn_name(peer.peer, &peer.nickname) {
                self.learn(|known| known.learn_peer(&peer.nickname));
            }
        }
    }

    /// Completion is for the line editor alone.
    pub(super) fn learn(&self, learn: impl FnOnce(&Known)) {
        if self.mode == Mode::Terminal {
            learn(&self.known);
        }
    }
}
