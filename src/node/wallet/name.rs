//! Names of wallets, which are names of files too.

use std::fmt;
use std::str::FromStr;

use super::error::WalletError;
use super::limits::NAME_BYTES_MAX;

/// A name that was checked: 1 to 32 of `A-Z a-z 0-9 . _ -`, not starting with a dot or a dash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalletName(String);

impl WalletName {
    /// The wallet that the first start makes.
    pub fn default_name() -> Self {
        Self("default".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Some systems do not tell `Team.pem` and `team.pem` apart, so nobody may have both.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for WalletName {
    type Err = WalletError;

    fn from_str(text: &str) -> Result<Self, WalletError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_good =
            (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(['.', '-']);
        if is_good {
            Ok(Self(text.to_owned()))
        } else {
            Err(WalletError::BadName { name: text.chars().take(40).collect() })
        }
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        let long = "x".repeat(NAME_BYTES_MAX);
        for good in ["a", "default", "Team.2026_b-1", "0", &long] {
            assert_eq!(good.parse::<WalletName>().expect(good).as_str(), good);
        }
        let longer = format!("{long}x");
        for bad in ["", ".", "..", ".hidden", "-x", "a b", "a/b", "a\\b", "é", "a\n", "a:b", &longer] {
            let error = bad.parse::<WalletName>().expect_err(bad);
            assert_eq!(error.code(), "bad_wallet_name");
            assert!(!error.to_string().contains('\n'));
        }
    }
}
