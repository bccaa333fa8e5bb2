//! Cut off while a wallet is written.

use std::path::Path;

use super::{FEW, password, seal};
use crate::files::faults::cut_everywhere;
use crate::node::wallet::WalletError;
use crate::node::wallet::folder::Folder;
use crate::node::wallet::pem::WalletFile;

fn file(folder: &Path) -> std::path::PathBuf {
    Folder::new(folder).file(&"a".parse().expect("a name"))
}

fn read(folder: &Path) -> Option<WalletFile> {
    let content = std::fs::read(file(folder)).ok()?;
    Some(WalletFile::parse(&content, FEW).expect("a whole file"))
}

fn add(folder: &Path, word: Option<&str>) -> Result<(), WalletError> {
    Folder::new(folder).add(&"a".parse().expect("a name"), &seal(1, word.map(password).as_ref(), FEW))
}

/// At any moment one password opens it, the old one or the new one; and the key is the same.
#[test]
fn a_wallet_opens_with_the_old_or_the_new_password_wherever_it_is_cut() {
    for (old, new) in [(Some("old"), Some("new")), (None, Some("new")), (Some("old"), None)] {
        let change = |folder: &Path| {
            let sealed = seal(1, new.map(password).as_ref(), FEW);
            Folder::new(folder).replace(&"a".parse().expect("a name"), &sealed)
        };
        let look = |folder: &Path, is_new: bool| {
            let wallet = read(folder).expect("there");
            let word = if is_new { new } else { old };
            assert_eq!(wallet.is_encrypted(), word.is_some());
            assert_eq!(*wallet.open(word.map(password).as_ref()).expect("the password"), [1; 32]);
        };
        cut_everywhere(|folder| add(folder, old).expect("new"), change, look);
    }
}

#[test]
fn a_new_wallet_is_there_whole_or_not_at_all() {
    let change = |folder: &Path| match add(folder, Some("secret")) {
        // It was there before the cut. Its key goes with it, whatever else the crash has left of it.
        Err(WalletError::NameTaken { name }) => {
            let folder_of_wallets = Folder::new(folder);
            folder_of_wallets.remove(&name.parse().expect("a name"))?;
            assert_eq!(std::fs::read_dir(file(folder).parent().expect("wallets")).expect("a folder").count(), 0);
            add(folder, Some("secret"))
        }
        result => result,
    };
    cut_everywhere(|_| {}, change, |folder, is_new| assert_eq!(read(folder).is_some(), is_new));
}

#[test]
fn the_wallet_to_start_with_is_the_old_or_the_new_one() {
    let set = |folder: &Path, name: &str| Folder::new(folder).set_current(&name.parse().expect("a name"));
    let prepare = |folder: &Path| {
        add(folder, None).expect("new");
        set(folder, "a").expect("written");
    };
    let look = |folder: &Path, is_new: bool| {
        let current = Folder::new(folder).current().expect("readable").expect("one");
        assert_eq!(current.to_string(), if is_new { "b" } else { "a" });
    };
    cut_everywhere(prepare, |folder| set(folder, "b"), look);
}
