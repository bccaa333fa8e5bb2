//! Numbers in bodies, read as they are written.
//!
//! A parser that makes a binary fraction of each number changes amounts: 0.1 is none, and above 2^53 whole numbers get lost
//! as well. Here the digits are kept and read as a decimal. What is not a whole number of units is refused.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::node::api::error::{Code, Failure};
use crate::node::api::parse;
use crate::protocol::{Amount, UnixMillis};

/// The largest power of ten that matters: beyond it, any digit but 0 is too large or too fine for an amount or a time.
const EXPONENT_MAX: i64 = 40;
/// The decimals of a time in seconds.
const SECOND_DECIMALS: usize = 3;

/// Coins: a JSON number, or a text as the prompt takes it. Kept as written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Coins(Box<str>);

impl Coins {
    /// The amount; `what` names it in the error.
    pub(super) fn amount(&self, what: &str) -> Result<Amount, Failure> {
        match self.text() {
            Some(text) => parse::amount(text.trim(), what),
            None => plain(&self.0)
                .parse()
                .map_err(|error| parse::bad(Code::BadAmount, &self.0, &format!("not a valid {what}: {error}"))),
        }
    }

    /// Whether it is a text of nothing but blanks.
    pub(super) fn is_blank(&self) -> bool {
        self.text().is_some_and(|text| text.trim().is_empty())
    }

    fn text(&self) -> Option<String> {
        serde_json::from_str(&self.0).ok()
    }
}

/// Shown as a number with all its decimals.
impl From<Amount> for Coins {
    fn from(amount: Amount) -> Self {
        Self(amount.to_string().into())
    }
}

impl fmt::Debug for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Coins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?);
        if raw.starts_with('"') || is_number(&raw) {
            return Ok(Self(raw));
        }
        Err(D::Error::custom("coins are a number, or a text such as \"2.5\""))
    }
}

impl Serialize for Coins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.0).serialize(serializer)
    }
}

impl PartialSchema for Coins {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new().item(text).item(ObjectBuilder::new().schema_type(Type::Number)).into()
    }
}

impl ToSchema for Coins {
    fn name() -> Cow<'static, str> {
        "Coins".into()
    }
}

/// A time as a number of Unix seconds with up to three decimals. Kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seconds(Box<str>);

impl Seconds {
    /// The milliseconds, unless there is a fraction of one, or more than 64 bits of them.
    pub(super) fn millis(&self) -> Option<UnixMillis> {
        let number = plain(&self.0);
        let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
        let fraction = fraction.trim_end_matches('0');
        let padding = SECOND_DECIMALS.checked_sub(fraction.len())?;
        // A sign is no digit.
        format!("{whole}{fraction}{}", "0".repeat(padding)).parse().ok().map(UnixMillis)
    }
}

impl From<UnixMillis> for Seconds {
    fn from(UnixMillis(millis): UnixMillis) -> Self {
        let text = format!("{}.{:03}", millis / 1000, millis % 1000);
        // One decimal stays, as programs write the time.
        Self(text.strip_suffix("00").or(text.strip_suffix('0')).unwrap_or(&text).into())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?);
        if is_number(&raw) { Ok(Self(raw)) } else { Err(D::Error::custom("a time is a number of seconds")) }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.0).serialize(serializer)
    }
}

/// Whether a JSON value is a number.
fn is_number(value: &str) -> bool {
    value.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

fn raw(value: &str) -> Box<RawValue> {
    RawValue::from_string(value.to_owned()).expect("a JSON value was read or written")
}

/// A JSON number without its exponent and of the same value, except that exponents that no amount and no time has are cut
/// to [`EXPONENT_MAX`].
fn plain(number: &str) -> Cow<'_, str> {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else { return number.into() };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let significant = trimmed.trim_start_matches('0');
    if significant.is_empty() {
        return format!("{sign}0").into();
    }
    let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent: i64 = exponent.parse().unwrap_or(beyond);
    let power = exponent.saturating_add((digits.len() - trimmed.len()) as i64).saturating_sub(fraction.len() as i64);
    let power = power.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    if power >= 0 {
        return format!("{sign}{significant}{}", "0".repeat(power as usize)).into();
    }
    let decimals = power.unsigned_abs() as usize;
    let padded = format!("{}{significant}", "0".repeat((decimals + 1).saturating_sub(significant.len())));
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    format!("{sign}{whole}.{fraction}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(json: &str) -> Result<String, &'static str> {
        let coins: Coins = serde_json::from_str(json).map_err(|_| "no coins")?;
        coins.amount("amount").map(|amount| amount.to_string()).map_err(|failure| failure.code.as_str())
    }

    #[test]
    fn numbers_are_what_their_digits_say() {
        let exact = [
            ("0.1", "0.1"),
            ("1e2", "100"),
            ("1E-8", "0.00000001"),
            ("1e-08", "0.00000001"),
            ("12.5e+1", "125"),
            ("0.00012e3", "0.12"),
            ("1.50000000000000000000", "1.5"),
            ("150000000000000000000e-20", "1.5"),
            ("0e99999999999999999999", "0"),
            ("0.0E-5", "0"),
            ("184467440737.09551615", "184467440737.09551615"),
            ("18446744073709551615e-8", "184467440737.09551615"),
            ("90071992.54740993", "90071992.54740993"),
            ("\"2.5\"", "2.5"),
            ("\" 2.5 \"", "2.5"),
            (r#""\u0032""#, "2"),
        ];
        for (json, wanted) in exact {
            assert_eq!(amount(json), Ok(wanted.to_owned()), "{json}");
        }
    }

    #[test]
    fn numbers_that_are_no_amount_are_refused() {
        let refused = [
            "0.30000000000000004",
            "1e-9",
            "1.000000001",
            "12345678901234567890.12345678",
            "184467440737.09551616",
            "1e400",
            "1e-400",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "-0",
            "-0e5",
            "-1",
            "-1e-400",
            "\"1e2\"",
            "\"\"",
            "\"0,5\"",
        ];
        for json in refused {
            assert_eq!(amount(json), Err("bad_amount"), "{json}");
        }
        for json in ["true", "[1]", "{}", "null"] {
            assert_eq!(amount(json), Err("no coins"), "{json}");
        }
    }

    #[test]
    fn amounts_and_times_come_back_as_they_were_shown() {
        for units in [0, 1, 100_000_000, 250_000_000, 9_007_199_254_740_993, u64::MAX] {
            let shown = serde_json::to_string(&Coins::from(Amount::from_units(units))).expect("a number");
            assert!(is_number(&shown), "{shown}");
            let read: Coins = serde_json::from_str(&shown).expect("our own form");
            assert_eq!(read.amount("amount").map(Amount::units), Ok(units), "{shown}");
        }
        for (millis, form) in
            [(0, "0.0"), (10, "0.01"), (1_793_491_200_123, "1793491200.123"), (u64::MAX, "18446744073709551.615")]
        {
            let shown = serde_json::to_string(&Seconds::from(UnixMillis(millis))).expect("a number");
            assert_eq!(shown, form);
            let read: Seconds = serde_json::from_str(&shown).expect("our own form");
            assert_eq!(read.millis(), Some(UnixMillis(millis)), "{shown}");
        }
    }

    #[test]
    fn a_time_is_whole_milliseconds() {
        let millis = |json: &str| serde_json::from_str::<Seconds>(json).ok()?.millis().map(|at| at.0);
        for (json, wanted) in [("1.7e9", 1_700_000_000_000), ("5", 5_000), ("0.5000", 500), ("1e-3", 1)] {
            assert_eq!(millis(json), Some(wanted), "{json}");
        }
        for json in ["-1", "0.0005", "1e-4", "18446744073709551.616", "1e300", "\"5\"", "null"] {
            assert_eq!(millis(json), None, "{json}");
        }
    }
}
