//! The questions that a script can ask a node, and the comparison of answers. The runner asks them.

use super::words::nearest;

/// A question about a node. Arguments may hold `$NAME`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) topic: Topic,
    /// The text after the word.
    pub(crate) argument: String,
}

/// The subject of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The best block's height.
    Height,
    /// The best block's id.
    Tip,
    /// How many peers are connected.
    Peers,
    /// How many transactions wait.
    Pending,
    /// The coins of an account, as a decimal number.
    Balance,
    /// How many records there are, up to 100.
    Records,
    /// The height up to which the chain is fixed, or `none`.
    Checkpoint,
    /// The miner of a block: a node's name, or else an address.
    Miner,
    /// The state of a transaction, as `watch` reports it: `unknown`, `pending`, `in_block`, `rolled_back`, `gone`.
    State,
    /// The number of blocks that confirm a transaction; 0 if none.
    Confirmations,
    /// The depth of the last reorganisation since the node started; 0 if there was none.
    Reorganised,
    /// The number of warnings with a code since the node started.
    Warnings,
}

/// Whether a question has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Maybe,
    Something,
}

/// All questions: the word, its argument in a usage, and whether that is required.
const QUESTIONS: [(&str, Topic, &str, Takes); 12] = [
    ("height", Topic::Height, "", Takes::Nothing),
    ("tip", Topic::Tip, "", Takes::Nothing),
    ("peers", Topic::Peers, "", Takes::Nothing),
    ("pending", Topic::Pending, "", Takes::Nothing),
    ("balance", Topic::Balance, " [WHO]", Takes::Maybe),
    ("records", Topic::Records, " [--tag T …]", Takes::Maybe),
    ("checkpoint", Topic::Checkpoint, "", Takes::Nothing),
    ("miner", Topic::Miner, " HEIGHT", Takes::Something),
    ("state", Topic::State, " $ID", Takes::Something),
    ("confirmations", Topic::Confirmations, " $ID", Takes::Something),
    ("reorganised", Topic::Reorganised, "", Takes::Nothing),
    ("warnings", Topic::Warnings, " CODE", Takes::Something),
];

impl Question {
    /// Reads `WORD [ARGUMENT]`. An error names the problem and the known words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (word, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let argument = argument.trim();
        let Some((_, topic, usage, takes)) = QUESTIONS.iter().find(|(known, ..)| *known == word) else {
            return Err(unknown(word));
        };
        let fits = match takes {
            Takes::Nothing => argument.is_empty(),
            Takes::Maybe => true,
            Takes::Something => !argument.is_empty(),
        };
        if !fits {
            return Err(format!("write it as `{word}{usage}`"));
        }
        Ok(Self { topic: *topic, argument: argument.to_owned() })
    }

    /// The question as a script writes it.
    pub(crate) fn text(&self) -> String {
        let word = QUESTIONS.iter().find(|(_, topic, ..)| *topic == self.topic).map_or("", |(word, ..)| word);
        format!("{word} {}", self.argument).trim_end().to_owned()
    }
}

fn unknown(word: &str) -> String {
    let words: Vec<_> = QUESTIONS.iter().map(|(word, ..)| *word).chain(["agree"]).collect();
    match nearest(word, words.iter().copied()) {
        Some(near) => format!("`{word}` is nothing that a node knows: did you mean `{near}`?"),
        None => format!("`{word}` is nothing that a node knows: ask for one of {}", words.join(", ")),
    }
}

/// The comparison of an answer with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// All comparisons, those with two characters first, so that the first match is the right one.
    const ALL: [(&str, Self); 6] = [
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("=", Self::Equal),
        ("<", Self::Below),
        (">", Self::Above),
    ];

    /// The sign in a script.
    pub(crate) fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("", |(sign, _)| sign)
    }

    /// The last sign that stands alone in a text, with the texts before and after it.
    pub(crate) fn split(text: &str) -> Option<(&str, Self, &str)> {
        let found = Self::ALL.iter().filter_map(|(sign, comparison)| {
            let at = text.rfind(&format!(" {sign} "))?;
            Some((at, *sign, *comparison))
        });
        let (at, sign, comparison) = found.max_by_key(|(at, ..)| *at)?;
        Some((text[..at].trim(), comparison, text[at + sign.len() + 2..].trim()))
    }

    /// Whether the comparison is true. Numbers are compared as numbers, with all their decimals; other texts are equal
    /// or not, and neither above nor below.
    pub(crate) fn holds(self, seen: &str, wanted: &str) -> bool {
        let (Some(left), Some(right)) = (hundred_millionths(seen), hundred_millionths(wanted)) else {
            return match self {
                Self::Equal => seen == wanted,
                Self::Unequal => seen != wanted,
                _ => false,
            };
        };
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// A decimal number with up to 8 decimals, as coins have them.
fn hundred_millionths(text: &str) -> Option<u128> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let is_number = (1..=20).contains(&whole.len()) && digits(whole) && decimals.len() <= 8 && digits(decimals);
    if !is_number {
        return None;
    }
    let decimals: u128 = format!("{decimals:0<8}").parse().ok()?;
    Some(whole.parse::<u128>().ok()? * 100_000_000 + decimals)
}
