//! Passwords: from a terminal without echo, from a file, from the environment. Never from an argument, which other
//! users of the machine can read. They are cleared from memory when dropped, and nothing prints them.

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::WalletError;
use super::limits::PASSWORD_BYTES_MAX;
use crate::node::private_file;

/// The longest password file, in bytes.
const PASSWORD_FILE_BYTES_MAX: usize = 4096;
/// The environment variable for the password of an existing or a new wallet.
pub const PASSWORD_VARIABLE: &str = "QUIPU_WALLET_PASSWORD";
/// The environment variable for the new password where there is an old one too.
pub const NEW_PASSWORD_VARIABLE: &str = "QUIPU_WALLET_NEW_PASSWORD";

/// A password: 1 to 1,023 bytes, any but line ends. Cleared when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// Checks the bytes of a password.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, WalletError> {
        match bytes.len() {
            0 => Err(WalletError::EmptyPassword),
            1..=PASSWORD_BYTES_MAX => Ok(Self(bytes)),
            _ => Err(WalletError::LongPassword),
        }
    }

    /// Asks in the terminal, without echo. `prompt` is shown as it is.
    pub fn ask(prompt: &str) -> Result<Self, WalletError> {
        let typed = rpassword::prompt_password(prompt).map_err(terminal_failed)?;
        Self::new(Zeroizing::new(typed.into_bytes()))
    }

    /// Asks twice for a new password.
    pub fn ask_new(prompt: &str) -> Result<Self, WalletError> {
        let first = Self::ask(prompt)?;
        let second = Self::ask("The same again: ")?;
        if *first.0 == *second.0 { Ok(first) } else { Err(WalletError::PasswordsDiffer) }
    }

    /// The first line of a file, without its end.
    pub fn from_file(file: &Path) -> Result<Self, WalletError> {
        let failed = |source| WalletError::PasswordFile { file: file.to_owned(), source };
        let content = private_file::read(file, PASSWORD_FILE_BYTES_MAX).map_err(failed)?;
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self::new(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
    }

    /// The value of a variable of the environment, if it is set.
    fn from_environment(variable: &str) -> Result<Option<Self>, WalletError> {
        // Set but empty counts as not set, as with all other variables.
        let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        Self::new(Zeroizing::new(value.into_encoded_bytes())).map(Some)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn terminal_failed(source: io::Error) -> WalletError {
    WalletError::Unusable { verb: "read", file: PathBuf::from("the terminal"), source }
}

/// Sources of passwords besides the terminal.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--password-file`.
    pub file: Option<PathBuf>,
    /// `--new-password-file`.
    pub new_file: Option<PathBuf>,
}

impl Sources {
    /// The password that was given for an existing wallet, if any. Never asks.
    pub fn given(&self) -> Result<Option<Password>, WalletError> {
        Self::look(self.file.as_deref(), PASSWORD_VARIABLE)
    }

    /// The new password that was given where there is an old one too, if any. Never asks.
    pub fn new_given(&self) -> Result<Option<Password>, WalletError> {
        Self::look(self.new_file.as_deref(), NEW_PASSWORD_VARIABLE)
    }

    /// The password of an existing wallet; asks for it if there is a terminal.
    pub fn existing(&self, prompt: &str) -> Result<Password, WalletError> {
        match self.given()? {
            Some(password) => Ok(password),
            None if io::stdin().is_terminal() => Password::ask(prompt),
            None => Err(WalletError::NoPasswordGiven {
                option: "--password-file FILE",
                variable: PASSWORD_VARIABLE,
                no_password: "",
            }),
        }
    }

    /// A new password; asks twice if there is a terminal. Where no old one is needed (`has_old` is false), it may come
    /// from the sources of the old one.
    pub fn new_one(&self, has_old: bool, prompt: &str) -> Result<Password, WalletError> {
        let mut found = self.new_given()?;
        if found.is_none() && !has_old {
            found = self.given()?;
        }
        let (option, variable) = if has_old {
            ("--new-password-file FILE", NEW_PASSWORD_VARIABLE)
        } else {
            ("--password-file FILE", PASSWORD_VARIABLE)
        };
        match found {
            Some(password) => Ok(password),
            None if io::stdin().is_terminal() => Password::ask_new(prompt),
            None => Err(WalletError::NoPasswordGiven {
                option,
                variable,
                no_password: ", or say --no-password for a wallet without one",
            }),
        }
    }

    fn look(file: Option<&Path>, variable: &str) -> Result<Option<Password>, WalletError> {
        match file {
            Some(file) => Password::from_file(file).map(Some),
            None => Password::from_environment(variable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("password");
        for (content, want) in [
            ("secret", Ok("secret")),
            ("secret\n", Ok("secret")),
            ("secret\r\nsecond\n", Ok("secret")),
            (" with blanks \n", Ok(" with blanks ")),
            ("", Err("bad_password")),
            ("\nsecond", Err("bad_password")),
            (&"x".repeat(PASSWORD_BYTES_MAX + 1), Err("bad_password")),
        ] {
            std::fs::write(&file, content).expect("written");
            let found = Password::from_file(&file);
            match (&found, want) {
                (Ok(password), Ok(want)) => assert_eq!(password.as_bytes(), want.as_bytes()),
                (Err(error), Err(code)) => assert_eq!(error.code(), code),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(Password::from_file(folder.path()).expect_err("a folder").code(), "password_file");
    }

    #[test]
    fn nothing_prints_it() {
        let password = Password::new(Zeroizing::new(b"hunter2".to_vec())).expect("fine");
        assert_eq!(format!("{password:?}"), "Password(…)");
    }
}
