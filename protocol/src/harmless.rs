//! Foreign text made harmless: which characters never reach a reader as they are.
//!
//! One rule for everything that shows text of strangers: names of peers, records, tags, names of files, quoted lines. The
//! page has the same table (`app/harmless.js`); a test compares the two.
//!
//! Not here: markup and commands. Text is never read as either.

/// Control characters, line and paragraph separators (General_Category Cc, Zl, Zp), what reorders text (Bidi_Control),
/// what shows nothing (Default_Ignorable_Code_Point), and interlinear annotations (U+FFF9 to U+FFFB), which hide text
/// between them. From UnicodeData.txt, PropList.txt and DerivedCoreProperties.txt of the Unicode Character Database,
/// version 17.0; none has changed since version 14.0.
const CONFUSING: [(u32, u32); 19] = [
    (0x0, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// Whether a character steers a terminal, reorders or hides text, or breaks a line.
pub fn confuses(c: char) -> bool {
    let code = u32::from(c);
    let at = CONFUSING.partition_point(|(_, last)| *last < code);
    CONFUSING.get(at).is_some_and(|(first, _)| *first <= code)
}

/// The ranges of these characters, for readers in other languages.
pub fn confusing() -> &'static [(u32, u32)] {
    &CONFUSING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_confuses() {
        assert!(CONFUSING.is_sorted_by(|one, next| one.0 <= one.1 && one.1 + 1 < next.0));
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let hidden =
            "\u{ad}\u{34f}\u{115f}\u{180e}\u{200b}\u{2060}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{1d173}\u{e0041}\u{e0fff}";
        for c in bidi.chars().chain(hidden.chars()).chain("\0\t\n\r\u{1b}\u{7f}\u{9b}\u{2028}\u{2029}\u{fff9}".chars())
        {
            assert!(confuses(c), "{c:?}");
        }
        for c in
            " ~\u{a0}éeßя中\u{301}\u{5d0}\u{627}\u{2010}\u{2027}\u{202f}\u{fffc}\u{fffd}🙂\u{e1000}\u{10ffff}".chars()
        {
            assert!(!confuses(c), "{c:?}");
        }
    }
}
