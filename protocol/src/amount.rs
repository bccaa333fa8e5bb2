//! Amounts of coins. The unit is 10^-8 coin; arithmetic is checked.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of units in one coin.
pub const UNITS_PER_COIN: u64 = 100_000_000;
const DECIMALS: usize = 8;

/// A number of coins in units of 10^-8 coin. Written as a decimal number of coins without needless zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Amount(u64);

impl Amount {
    /// Zero coins.
    pub const ZERO: Self = Self(0);
    /// One coin.
    pub const COIN: Self = Self(UNITS_PER_COIN);
    /// The largest amount there is: 184467440737.09551615 coins.
    pub const MAX: Self = Self(u64::MAX);

    /// An amount of `units`, each 10^-8 coin.
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// The amount in units of 10^-8 coin.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The sum, if it fits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, if `other` is not the larger one.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

/// The reason why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// The text has a minus sign.
    #[error("an amount cannot be negative")]
    Negative,
    /// The text has something other than digits and one point.
    #[error("an amount is a decimal number of coins such as 2.5")]
    NotANumber,
    /// The text has more than 8 decimals, which is finer than the unit.
    #[error("an amount has at most 8 decimals")]
    TooManyDecimals,
    /// The amount needs more than 64 bits of units.
    #[error("an amount is at most {}", Amount::MAX)]
    TooLarge,
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (negative, magnitude) = text.strip_prefix('-').map_or((false, text), |magnitude| (true, magnitude));
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only(whole) || !digits_only(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(AmountError::NotANumber);
        }
        if negative {
            return Err(AmountError::Negative);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err(AmountError::TooManyDecimals);
        }
        let mut units: u64 = 0;
        let padding = std::iter::repeat_n(b'0', DECIMALS - fraction.len());
        for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
            units = units
                .checked_mul(10)
                .and_then(|units| units.checked_add(u64::from(digit - b'0')))
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Self(units))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coins, rest) = (self.0 / UNITS_PER_COIN, self.0 % UNITS_PER_COIN);
        let text = format!("{coins}.{rest:08}");
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The wei in one unit of an [`Amount`].
pub const WEI_PER_UNIT: u128 = 10_000_000_000;
const WEI_DECIMALS: usize = 18;

/// The balance of an account, in units of 10^-18 coin, as in Ethereum. Transfers, fees and rewards move whole units of
/// 10^-8 coin. Written as a decimal number of coins without needless zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Wei(pub u128);

impl Wei {
    /// Zero coins.
    pub const ZERO: Self = Self(0);

    /// This many units of 10^-8 coin, at most 2^94 of them.
    pub fn from_units(units: u128) -> Self {
        Self(units * WEI_PER_UNIT)
    }

    /// The sum, if it fits.
    pub fn checked_add(self, other: impl Into<Self>) -> Option<Self> {
        self.0.checked_add(other.into().0).map(Self)
    }

    /// The difference, if `other` is not the larger one.
    pub fn checked_sub(self, other: impl Into<Self>) -> Option<Self> {
        self.0.checked_sub(other.into().0).map(Self)
    }

    /// The difference, zero if `other` is the larger one.
    pub fn saturating_sub(self, other: impl Into<Self>) -> Self {
        Self(self.0.saturating_sub(other.into().0))
    }

    /// The most that a transfer can move of it: its whole units of 10^-8 coin.
    pub fn whole_units(self) -> Amount {
        Amount(u64::try_from(self.0 / WEI_PER_UNIT).unwrap_or(u64::MAX))
    }
}

impl From<Amount> for Wei {
    fn from(amount: Amount) -> Self {
        Self::from_units(amount.0.into())
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coin = 10_u128.pow(WEI_DECIMALS as u32);
        let text = format!("{}.{:0WEI_DECIMALS$}", self.0 / coin, self.0 % coin);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let cases = [
            ("0", Ok(0)),
            ("1", Ok(UNITS_PER_COIN)),
            ("2.5", Ok(250_000_000)),
            (".5", Ok(50_000_000)),
            ("5.", Ok(500_000_000)),
            ("0.00000001", Ok(1)),
            ("1.500000000", Ok(150_000_000)),
            ("184467440737.09551615", Ok(u64::MAX)),
            ("184467440737.09551616", Err(AmountError::TooLarge)),
            ("99999999999999999999999", Err(AmountError::TooLarge)),
            ("0.000000001", Err(AmountError::TooManyDecimals)),
            ("-1", Err(AmountError::Negative)),
            ("-99999999999999999999999", Err(AmountError::Negative)),
            ("-0.000000001", Err(AmountError::Negative)),
            ("--1", Err(AmountError::NotANumber)),
            ("-x", Err(AmountError::NotANumber)),
            ("NaN", Err(AmountError::NotANumber)),
            ("inf", Err(AmountError::NotANumber)),
            ("1e3", Err(AmountError::NotANumber)),
            ("+1", Err(AmountError::NotANumber)),
            ("1,5", Err(AmountError::NotANumber)),
            ("1.2.3", Err(AmountError::NotANumber)),
            (".", Err(AmountError::NotANumber)),
            ("", Err(AmountError::NotANumber)),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Amount>().map(Amount::units), want, "{text}");
        }
    }

    #[test]
    fn shown_without_needless_zeros() {
        for text in ["0", "1", "10", "2.5", "0.00000001", "184467440737.09551615"] {
            assert_eq!(text.parse::<Amount>().expect("a valid amount").to_string(), text);
        }
    }
}
