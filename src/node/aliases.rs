//! Names that the user gives to addresses: `aliases.toml` in the data folder, one `name = "0x…"` a line.
//!
//! They belong to this user and never leave the machine; names that peers give themselves are never taken over. The
//! file may be edited while the node is stopped. If it can't be parsed, startup fails with the number of the line, and
//! the file stays as it is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::files::{read_text, replace};
use crate::protocol::Address;
use crate::protocol::message::printable_problem;
use crate::text::one_form;

/// The file in the data folder.
const FILE: &str = "aliases.toml";
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 32;
/// Words with a meaning of their own in answers.
const RESERVED: [&str; 4] = ["you", "nobody", "genesis", "off"];
/// The most names.
const ALIASES_MAX: usize = 1000;
/// The longest file, in bytes: more than this many names can take.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// All names. Cheap to clone; the clones share them.
#[derive(Debug, Clone)]
pub struct Aliases {
    file: PathBuf,
    names: Arc<Mutex<BTreeMap<String, Address>>>,
}

/// The reason why names can't be read or changed. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AliasError {
    /// The file is no list of names.
    #[error("{}: {problem}; mend it, or move it away to start without names", file.display())]
    Malformed {
        file: PathBuf,
        /// The mistake and its line.
        problem: String,
    },
    /// The file can't be read or written.
    #[error("cannot {verb} {}: {source}; check who owns it and its permissions", file.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        file: PathBuf,
        source: io::Error,
    },
    /// The name stands for something else.
    #[error("{name} is {address} already: `unalias {name}` frees it")]
    Taken {
        name: String,
        /// The name's address.
        address: Address,
    },
    /// There is no such name.
    #[error("there is no name {0}; `alias` shows all")]
    Unknown(String),
    /// There are too many.
    #[error("there are {ALIASES_MAX} names already: free one with `unalias`")]
    Full,
}

impl AliasError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "aliases_malformed",
            Self::File { .. } => "aliases_unusable",
            Self::Taken { .. } => "name_taken",
            Self::Unknown(_) => "not_found",
            Self::Full => "too_many",
        }
    }
}

/// Whether a word can be a name: 1 to 32 bytes, nothing that could be taken for an address, a number or an option.
pub fn check_name(word: &str) -> Result<(), String> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "\"'=#@\\".contains(c);
    if word.is_empty() || word.len() > NAME_BYTES_MAX {
        Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes"))
    } else if !word.starts_with(char::is_alphabetic) || word.contains(forbidden) {
        Err("a name begins with a letter and has no blanks and none of \" ' = # @ \\".to_owned())
    } else if RESERVED.contains(&word.to_lowercase().as_str()) {
        Err("answers use this word themselves: choose another name".to_owned())
    } else {
        Ok(())
    }
}

impl Aliases {
    /// Reads the names in a data folder. No file: no names.
    pub fn open(folder: &Path) -> Result<Self, AliasError> {
        let file = folder.join(FILE);
        let names = read(&file)?;
        Ok(Self { file, names: Arc::new(Mutex::new(names)) })
    }

    /// The address behind a name.
    pub fn find(&self, name: &str) -> Option<Address> {
        self.names().get(&*one_form(name)).copied()
    }

    /// All names, sorted.
    pub fn list(&self) -> Vec<(String, Address)> {
        self.names().iter().map(|(name, address)| (name.clone(), *address)).collect()
    }

    /// Gives an address a name, durably. It may have several.
    pub fn set(&self, name: &str, address: Address) -> Result<(), AliasError> {
        let (name, mut names) = (&*one_form(name), self.names());
        match names.get(name) {
            Some(found) if *found == address => return Ok(()),
            Some(found) => return Err(AliasError::Taken { name: name.to_owned(), address: *found }),
            None if names.len() >= ALIASES_MAX => return Err(AliasError::Full),
            None => {}
        }
        self.change(&mut names, |names| names.insert(name.to_owned(), address))
    }

    /// Forgets a name, durably.
    pub fn remove(&self, name: &str) -> Result<Address, AliasError> {
        let (name, mut names) = (&*one_form(name), self.names());
        let address = *names.get(name).ok_or_else(|| AliasError::Unknown(name.to_owned()))?;
        self.change(&mut names, |names| names.remove(name))?;
        Ok(address)
    }

    /// Changes the file first, so that nothing is known here that is not on disk.
    fn change<T>(
        &self,
        names: &mut BTreeMap<String, Address>,
        change: impl FnOnce(&mut BTreeMap<String, Address>) -> T,
    ) -> Result<(), AliasError> {
        let mut changed = names.clone();
        change(&mut changed);
        let text = toml::to_string(&changed).expect("names and addresses are TOML strings");
        replace(&self.file, text.as_bytes()).map_err(|source| AliasError::File {
            verb: "write",
            file: self.file.clone(),
            source,
        })?;
        *names = changed;
        Ok(())
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Address>> {
        self.names.lock()
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, Address>, AliasError> {
    let failed = |source| AliasError::File { verb: "read", file: file.to_owned(), source };
    let malformed =
        |problem: String| AliasError::Malformed { file: file.to_owned(), problem: printable_problem(&problem) };
    let text = match read_text(file, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(malformed(format!("is longer than {FILE_BYTES_MAX} bytes, so it is no list of names")));
        }
        Err(error) => return Err(failed(error)),
    };
    let written: BTreeMap<String, Address> = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        malformed(line.map_or(message.clone(), |line| format!("line {line}: {message}")))
    })?;
    let mut names = BTreeMap::new();
    for (name, address) in written {
        check_name(&name).map_err(|problem| malformed(format!("{name}: {problem}")))?;
        let name = one_form(&name).into_owned();
        if names.insert(name.clone(), address).is_some_and(|other| other != address) {
            return Err(malformed(format!("{name}: it is there twice, in two forms of its letters")));
        }
    }
    if names.len() > ALIASES_MAX { Err(malformed(format!("has more than {ALIASES_MAX} names"))) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::faults::cut_everywhere;

    const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    fn address(last: u8) -> Address {
        let mut bytes = [7; 20];
        bytes[19] = last;
        Address(bytes)
    }

    #[test]
    fn names_are_kept_and_never_replaced_in_silence() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let aliases = Aliases::open(folder.path()).expect("none yet");
        aliases.set("warehouse", address(1)).expect("free");
        aliases.set("Lager-ü", address(2)).expect("free");
        aliases.set("warehouse", address(1)).expect("the same again");
        let error = aliases.set("warehouse", address(2)).expect_err("taken");
        assert!(error.to_string().contains("`unalias warehouse`"), "{error}");
        for aliases in [&aliases, &Aliases::open(folder.path()).expect("readable")] {
            let want = [("Lager-ü".to_owned(), address(2)), ("warehouse".to_owned(), address(1))];
            assert_eq!(aliases.list(), want);
            assert_eq!((aliases.find("warehouse"), aliases.find("Warehouse")), (Some(address(1)), None));
        }
        assert_eq!(aliases.remove("warehouse").expect("there"), address(1));
        assert!(matches!(aliases.remove("warehouse"), Err(AliasError::Unknown(_))));
        assert_eq!(Aliases::open(folder.path()).expect("readable").list().len(), 1);
    }

    #[test]
    fn a_file_of_a_persons_hand() {
        let cases: [(&str, Result<usize, &str>); 8] = [
            ("", Ok(0)),
            ("# ours\nwarehouse = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\n", Ok(1)),
            ("a = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAec\"", Err("line 1: the address has a typing error")),
            ("a = 1", Err("line 1")),
            ("hello", Err("line 1")),
            ("\"a\\nb\" = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"", Err("a\\nb: a name begins")),
            ("\"0xab\" = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"", Err("begins with a letter")),
            (
                "a = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\na = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"",
                Err("line 2"),
            ),
        ];
        for (text, want) in cases {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = folder.path().join(FILE);
            fs::write(&file, text).expect("written");
            match (Aliases::open(folder.path()), want) {
                (Ok(aliases), Ok(count)) => assert_eq!(aliases.list().len(), count, "{text}"),
                (Err(error), Err(words)) => {
                    let line = error.to_string();
                    assert!(line.contains(words) && line.contains(FILE) && !line.contains('\n'), "{text}: {line}");
                }
                (result, want) => panic!("{text}: {result:?}, not {want:?}"),
            }
            assert_eq!(fs::read_to_string(&file).expect("still there"), text);
        }
    }

    /// An accent is a part of its letter on one system, and follows it on another.
    #[test]
    fn a_name_is_the_same_in_both_forms_of_its_letters() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (one, two) = ("José", "Jose\u{301}");
        for (kept, wanted) in [(one, two), (two, one)] {
            fs::write(folder.path().join(FILE), format!("\"{kept}\" = \"{ADDRESS}\"")).expect("written");
            let aliases = Aliases::open(folder.path()).expect("readable");
            assert_eq!(aliases.find(wanted), Some(ADDRESS.parse().expect("valid")));
            assert!(matches!(aliases.set(wanted, address(1)), Err(AliasError::Taken { .. })));
            aliases.remove(wanted).expect("there");
            aliases.set(kept, address(1)).expect("free");
            assert_eq!((aliases.find(wanted), aliases.list().len()), (Some(address(1)), 1));
        }
        fs::write(folder.path().join(FILE), format!("\"{one}\" = \"{ADDRESS}\"\n\"{two}\" = \"{}\"", address(1)))
            .expect("written");
        assert!(Aliases::open(folder.path()).expect_err("two owners").to_string().contains("twice"));
    }

    #[test]
    fn what_can_be_a_name() {
        for name in ["a", "warehouse", "Büro-2", "lab.2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for word in
            ["", ADDRESS, "0xab", "2.5", "-a", "--to", "a b", "a=b", "\"a\"", "@a", "#a", "You", "off", &"x".repeat(33)]
        {
            assert!(check_name(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_crash_leaves_the_old_names_or_the_new_ones() {
        let open = |folder: &Path| Aliases::open(folder).expect("whole");
        let one = |folder: &Path| open(folder).set("warehouse", address(1)).expect("free");
        let second = |folder: &Path| open(folder).set("shop", address(2));
        let look = |folder: &Path, is_new: bool| assert_eq!(open(folder).list().len(), 1 + usize::from(is_new));
        cut_everywhere(one, second, look);
    }

    #[test]
    fn what_cannot_be_written_is_not_known() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let aliases = Aliases::open(&folder.path().join("gone")).expect("none yet");
        assert!(matches!(aliases.set("a", address(1)), Err(AliasError::File { verb: "write", .. })));
        assert_eq!(aliases.list(), []);
    }
}
