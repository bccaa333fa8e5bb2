//! Pieces of text for people: numbers, times, names, colours, and foreign text made harmless.

use std::borrow::Cow;

use libp2p::PeerId;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::protocol::harmless::confuses;
use crate::protocol::{Address, UnixMillis};

/// An error quotes no more of what it is about.
const EXCERPT_CHARACTERS_MAX: usize = 80;

/// The byte order mark with which some programs begin a text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text from a file, from stdin or from a client, without the byte order mark that may be before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The same for the bytes of a text.
pub fn bytes_without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(text)
}

/// How a piece of text is meant. Only a terminal with colours shows the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Stands out.
    Strong,
    /// Steps back.
    Quiet,
    /// Something went well.
    Good,
    /// To be read.
    Warning,
    /// Something failed.
    Error,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Only where a terminal shows colours.
    pub colour: bool,
}

impl Style {
    /// The text in a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Quiet => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Error => "31",
            Tone::Plain => "",
        };
        if self.colour && !code.is_empty() { ["\x1b[", code, "m", text, "\x1b[0m"].concat() } else { text.to_owned() }
    }
}

/// `12345` as `12,345`.
pub fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The beginning of what somebody wrote, with everything escaped that is not to be printed.
pub fn excerpt(text: &str) -> String {
    let escaped = |c: char| match confuses(c) && !c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.escape_debug().to_string(),
    };
    text.chars().take(EXCERPT_CHARACTERS_MAX).map(escaped).collect()
}

/// `1 block`, `2 blocks`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A span of time, roughly: `12 s`, `3 min`, `5 h`, `2 d`.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", grouped(seconds / 86_400)),
    }
}

/// Hashes per second, roughly: `4.1 MH/s`.
pub fn hash_rate(per_second: u64) -> String {
    let scaled = |divisor: f64, unit| format!("{:.1} {unit}H/s", per_second as f64 / divisor);
    match per_second {
        0..1_000 => format!("{per_second} H/s"),
        1_000..1_000_000 => scaled(1e3, "k"),
        1_000_000..1_000_000_000 => scaled(1e6, "M"),
        _ => scaled(1e9, "G"),
    }
}

/// `2026-11-01 12:00:05`, in UTC.
pub fn date_time(at: UnixMillis) -> String {
    let (days, seconds) = (at.0 / 86_400_000, at.0 / 1000 % 86_400);
    // Days since 0000-03-01 in the proleptic Gregorian calendar, so that the leap day ends a year (Howard Hinnant,
    // "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A date (`2026-11-21`), or a date and a time (`2026-11-21T14:30`, `…:05`), in UTC.
pub fn date_time_of(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let numbers = |text: &str, separator| -> Option<Vec<u64>> {
        let digits = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        text.split(separator).map(|part| if digits(part) { part.parse().ok() } else { None }).collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let [year @ 1970..=9999, month @ 1..=12, day @ 1..=31] = date[..] else { return None };
    let (hour, minute, second) = match time[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The inverse of the algorithm in `date_time`.
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    let at = UnixMillis((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1000);
    // No 30th of February.
    date_time(at).starts_with(&format!("{year:04}-{month:02}-{day:02}")).then_some(at)
}

/// Both ends of an address: `0x5aAe…eAed`.
pub fn short_address(address: &Address) -> String {
    let text = address.to_string();
    format!("{}…{}", &text[..6], &text[text.len() - 4..])
}

/// The end of a peer id, where they differ.
pub fn short_peer(peer: &PeerId) -> String {
    let text = peer.to_string();
    format!("…{}", &text[text.len().saturating_sub(8)..])
}

/// Text from others, on one line, without [what confuses](crate::protocol::harmless), cut to a number of characters.
pub fn harmless(text: &str, characters_max: usize) -> String {
    let shown = |c| if confuses(c) { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = text.chars().take(characters_max).map(shown).collect();
    if text.chars().nth(characters_max).is_some() {
        shown.push('…');
    }
    shown
}

/// A name or a tag in the one form in which it is kept and looked up (NFC, UAX #15): `é` is one character or two, depending
/// on the machine where it is typed.
pub fn one_form(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect::<String>().into(),
    }
}

/// A text in the form in which texts are compared: case and the composition of letters do not count.
pub fn folded(text: &str) -> String {
    one_form(&text.to_lowercase()).into_owned()
}

/// Insertions, deletions and replacements between two words (Levenshtein). Long words are far from everything.
pub fn distance(one: &str, other: &str) -> usize {
    const WORD_BYTES_MAX: usize = 32;
    if one.len() > WORD_BYTES_MAX {
        return WORD_BYTES_MAX;
    }
    strsim::levenshtein(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number as u64), text);
        }
        assert_eq!((counted(1, "block"), counted(2_000, "block")), ("1 block".to_owned(), "2,000 blocks".to_owned()));
        assert_eq!([hash_rate(0), hash_rate(4_150), hash_rate(96_000_000)], ["0 H/s", "4.2 kH/s", "96.0 MH/s"]);
        assert_eq!([span(0), span(119_999), span(120_000), span(7_200_000)], ["0 s", "119 s", "2 min", "2 h"]);
        assert_eq!(span(u64::MAX), "213,503,982,334 d");
    }

    #[test]
    fn dates() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_799, "2000-02-29 23:59:59"),
            (1_793_491_200, "2026-11-01 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ];
        for (seconds, text) in cases {
            assert_eq!(date_time(UnixMillis(seconds * 1000 + 999)), text);
        }
        assert!(!date_time(UnixMillis(u64::MAX)).is_empty(), "a block may claim any time");
        for (seconds, text) in cases {
            assert_eq!(date_time_of(&text.replace(' ', "T")), Some(UnixMillis(seconds * 1000)));
        }
        assert_eq!(date_time_of("2026-11-01"), Some(UnixMillis(1_793_491_200_000)));
        for text in
            ["", "2026", "2026-02-29", "2026-00-10", "2026-1-1T24:00", "1969-12-31", "2026-11-01T10", "2026-11-1x"]
        {
            assert_eq!(date_time_of(text), None, "{text}");
        }
    }

    #[test]
    fn names_have_one_form() {
        for (text, form) in
            [("Jose\u{301}", "José"), ("José", "José"), ("a", "a"), ("\u{1112}\u{1161}", "하"), ("ﬁ", "ﬁ")]
        {
            assert_eq!(one_form(text), form, "{text}");
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\r\nü\u{202e}", 80), "a\u{fffd}[2Jb\u{fffd}\u{fffd}ü\u{fffd}");
        assert_eq!(harmless("a\u{200b}b\u{3164}c\u{2028}", 80), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!((harmless("abc", 3), harmless("abcd", 3)), ("abc".to_owned(), "abc…".to_owned()));
        assert_eq!(excerpt("a\n\u{202e}\u{3164}é"), "a\\n\\u{202e}\\u{3164}é");
    }

    #[test]
    fn colours_only_when_wanted() {
        assert_eq!(Style { colour: false }.paint(Tone::Error, "x"), "x");
        assert_eq!(Style { colour: true }.paint(Tone::Error, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Style { colour: true }.paint(Tone::Plain, "x"), "x");
    }
}
