//! Lines broken between words, for a terminal of a known width.
//!
//! A word is never broken, so that an id, an address or a path can be copied in one piece: the terminal itself goes on
//! with it on its next row. The rest of a line is indented as its column was.

use unicode_width::UnicodeWidthChar;
use zeroize::Zeroizing;

/// A narrower terminal breaks lines itself.
const COLUMNS_MIN: usize = 20;
/// Blanks between two columns of a table.
const GAP: &str = "  ";
const ESCAPE: char = '\x1b';

/// The text with line feeds where a row of the terminal is full.
pub(super) fn wrap(text: &str, columns: usize) -> Zeroizing<String> {
    // Room from the start: a buffer that grows leaves copies of a secret behind.
    let mut wrapped = Zeroizing::new(String::with_capacity(text.len() * 2));
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            wrapped.push('\n');
        }
        if columns < COLUMNS_MIN || width(line) <= columns {
            wrapped.push_str(line);
        } else {
            wrap_line(line, columns, &mut wrapped);
        }
    }
    wrapped
}

fn wrap_line(line: &str, columns: usize, wrapped: &mut String) {
    let indent = indent(line, columns);
    let mut row = 0;
    let mut rest = line;
    let mut is_first = true;
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let word_end = rest[blanks..].find(' ').map_or(rest.len(), |at| at + blanks);
        let (gap, word) = rest[..word_end].split_at(blanks);
        let (needed, alone) = (gap.len() + width(word), indent + width(word));
        // A word that fits no row is broken by the terminal, wherever it begins.
        if !is_first && !word.is_empty() && row + needed > columns && alone <= columns {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            row = alone;
        } else {
            wrapped.push_str(gap);
            row += needed;
        }
        wrapped.push_str(word);
        row = if row > columns { row % columns } else { row };
        is_first &= word.is_empty();
        rest = &rest[word_end..];
    }
}

/// The column where the rest of a line goes on: that of its last column of text in the first half, or its own indent.
fn indent(line: &str, columns: usize) -> usize {
    let plain = without_colours(line);
    let own = plain.len() - plain.trim_start_matches(' ').len();
    let mut indent = own;
    let mut from = own;
    while let Some(at) = plain[from..].find(GAP).map(|at| at + from) {
        let column = at + (plain[at..].len() - plain[at..].trim_start_matches(' ').len());
        if column >= plain.len() || width(&plain[..column]) > columns / 2 {
            break;
        }
        indent = width(&plain[..column]);
        from = column;
    }
    if indent > columns / 2 { own.min(columns / 2) } else { indent }
}

/// Columns that a text takes. What sets colours takes none.
fn width(text: &str) -> usize {
    let mut is_escape = false;
    text.chars()
        .map(|c| {
            let was_escape = is_escape;
            is_escape = c == ESCAPE || was_escape && c != 'm';
            if c == ESCAPE || was_escape { 0 } else { c.width().unwrap_or(0) }
        })
        .sum()
}

fn without_colours(text: &str) -> Zeroizing<String> {
    let mut is_escape = false;
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars() {
        let was_escape = is_escape;
        is_escape = c == ESCAPE || was_escape && c != 'm';
        if c != ESCAPE && !was_escape {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Style, Tone};

    #[test]
    fn lines_break_between_words() {
        let cases = [
            ("one two three four five", 20, "one two three four\nfive"),
            ("one two three four five", 23, "one two three four five"),
            ("first line\nsecond line that is longer", 20, "first line\nsecond line that is\nlonger"),
            ("  indented by two, and long", 20, "  indented by two,\n  and long"),
            ("  tx TO    send some coins away", 24, "  tx TO    send some\n           coins away"),
            ("", 20, ""),
            ("four five six seven eight", 10, "four five six seven eight"),
            ("日本語 日本語 日本語 日本語", 20, "日本語 日本語 日本語\n日本語"),
        ];
        for (text, columns, want) in cases {
            assert_eq!(*wrap(text, columns), want, "{text:?} at {columns}");
        }
    }

    #[test]
    fn words_stay_whole() {
        let id = "df".repeat(32);
        let text = format!("sent {id}\nIt waits for {id} and others");
        let wrapped = wrap(&text, 40);
        assert_eq!(wrapped.lines().next(), text.lines().next(), "it fits no row");
        assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        for columns in 0..120 {
            let wrapped = wrap(&text, columns);
            assert_eq!(wrapped.matches(&id).count(), 2, "{columns}");
        }
    }

    #[test]
    fn colours_take_no_room() {
        let style = Style { colour: true };
        let text = style.paint(Tone::Warning, "one two three four");
        assert_eq!(*wrap(&text, 20), text);
        let text = style.paint(Tone::Strong, "  one") + "  two three four five six";
        assert_eq!(width(&text), 30);
        assert_eq!(*wrap(&text, 20), style.paint(Tone::Strong, "  one") + "  two three\n       four five six");
    }

    #[test]
    fn no_row_is_longer_than_the_terminal_if_no_word_is() {
        let text =
            "  name      several words of text, which go on and on  and a second gap that is far to the right of it";
        for columns in COLUMNS_MIN..140 {
            let wrapped = wrap(text, columns);
            assert!(wrapped.lines().all(|line| width(line) <= columns), "{columns}: {wrapped:?}");
        }
    }
}
