//! Options that were not typed as such: a word processor makes dashes of hyphens, and one hyphen is quickly lost.

use crate::text::distance;

/// Characters with the property Dash of Unicode (PropList.txt of the Unicode Character Database, version 17.0), and the
/// soft hyphen.
pub(super) const DASHES: [char; 32] = [
    '-',
    '\u{58a}',
    '\u{5be}',
    '\u{1400}',
    '\u{1806}',
    '\u{2010}',
    '\u{2011}',
    '\u{2012}',
    '\u{2013}',
    '\u{2014}',
    '\u{2015}',
    '\u{2053}',
    '\u{207b}',
    '\u{208b}',
    '\u{2212}',
    '\u{2e17}',
    '\u{2e1a}',
    '\u{2e3a}',
    '\u{2e3b}',
    '\u{2e40}',
    '\u{2e5d}',
    '\u{301c}',
    '\u{3030}',
    '\u{30a0}',
    '\u{fe31}',
    '\u{fe32}',
    '\u{fe58}',
    '\u{fe63}',
    '\u{ff0d}',
    '\u{10d6e}',
    '\u{10ead}',
    '\u{ad}',
];

/// The option that a word looks like: dashes of any kind, and the name of one of `options`, in any case.
pub(super) fn look_alike(word: &str, options: &[&'static str]) -> Option<&'static str> {
    let name = word.trim_start_matches(DASHES);
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    let has_dashes = name.len() < word.len() && !name.is_empty();
    let same = |option: &&&str| option.trim_start_matches('-').eq_ignore_ascii_case(name);
    options.iter().find(same).copied().filter(|_| has_dashes)
}

/// The option that a word with two plain hyphens misses by one letter, or by two that changed places.
pub(super) fn misspelt(word: &str, options: &[&'static str]) -> Option<&'static str> {
    let (name, _) = word.split_once('=').unwrap_or((word, ""));
    let name = name.strip_prefix("--").filter(|name| !name.is_empty())?.to_lowercase();
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let is_near = |option: &str| {
        let option = option.trim_start_matches('-');
        distance(&name, option) <= 1 || letters(&name) == letters(option)
    };
    options.iter().copied().find(|option| is_near(option))
}

/// The same for a word that is not the option itself.
pub(super) fn slip(word: &str, options: &[&'static str]) -> Option<&'static str> {
    let is_itself =
        |option: &str| word.strip_prefix(option).is_some_and(|tail| tail.is_empty() || tail.starts_with('='));
    look_alike(word, options).filter(|option| !is_itself(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_option() {
        let options = ["--tag", "--fee"];
        let dashes = ["\u{2013}\u{2013}", "\u{2014}", "-", "\u{2212}-", "\u{2010}\u{2011}", "---", "\u{ad}--"];
        for dash in dashes {
            for (name, option) in [("tag", "--tag"), ("fee=1", "--fee"), ("TAG", "--tag")] {
                let word = format!("{dash}{name}");
                assert_eq!(
                    (look_alike(&word, &options), slip(&word, &options)),
                    (Some(option), Some(option)),
                    "{word}"
                );
            }
        }
        for (word, option) in [("--tags", "--tag"), ("--tga=x", "--tag"), ("--jsno", "--json"), ("--Fees", "--fee")] {
            assert_eq!(misspelt(word, &["--tag", "--fee", "--json"]), Some(option), "{word}");
        }
        for word in ["--", "--to", "--oneline", "tags", "-tags", "\u{2013}tags", "--="] {
            assert_eq!(misspelt(word, &options), None, "{word}");
        }
        assert_eq!((look_alike("--tag=a", &options), slip("--tag=a", &options)), (Some("--tag"), None));
        for word in ["tag", "", "-", "--", "--tags", "\u{2013} tag", "--tag2", "~tag"] {
            assert_eq!(look_alike(word, &options), None, "{word}");
        }
    }
}
