//! Guesses what a person meant.

/// No slip of the finger is in a longer word.
const WORD_BYTES_MAX: usize = 64;

/// The known word that differs from this one in a letter or two.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let within = if word.chars().count() <= 3 { 1 } else { 2 };
    let is_short = |word: &str| word.len() <= WORD_BYTES_MAX;
    let known = known.into_iter().filter(|known| is_short(word) && is_short(known));
    let distances = known.map(|known| (distance(word, known), known));
    distances.filter(|(distance, _)| *distance <= within).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Letters to insert, remove or change (Levenshtein 1966).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<_> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in right.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
