//! What a source file says to the compiler: no comments, no texts, and on request no tests.

/// The code with comments and the contents of texts blanked out. Lines stay where they are.
pub(super) fn code(source: &str) -> String {
    let mut rest = source;
    let mut code = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let length = literal(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// How long the comment or the literal is that this begins with, in bytes; 0 if it begins with neither.
fn literal(rest: &str, before: Option<char>) -> usize {
    let up_to = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return up_to(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return up_to(rest.find("*/").map(|at| at + 2));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !before.is_some_and(|char| char.is_alphanumeric())) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let content = hashes + 2;
            return up_to(rest[content..].find(&end).map(|at| content + at + end.len()));
        }
    }
    if let Some(text) = rest.strip_prefix('"') {
        return up_to(end_of_text(text, '"').map(|at| at + 1));
    }
    if let Some(char) = rest.strip_prefix('\'') {
        // A lifetime has no end.
        let is_char = char.starts_with('\\') || char.chars().nth(1) == Some('\'');
        return if is_char { end_of_text(char, '\'').map_or(0, |at| at + 1) } else { 0 };
    }
    0
}

/// Behind the closing quote of a text.
fn end_of_text(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            char if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Splits code into what is compiled always and what is compiled for tests alone.
pub(super) fn without_tests(code: &str) -> (String, String) {
    const MARK: &str = "#[cfg(test)]";
    let (mut always, mut tests) = (String::new(), String::new());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        always.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let length = item_length(item);
        tests.push_str(&item[..length]);
        rest = &item[length..];
    }
    always.push_str(rest);
    (always, tests)
}

/// An item ends with its block, or with a semicolon outside of all brackets.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, char) in item.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && !item[at + 1..].trim_start().starts_with([';', ',']) {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Whether code has this name as a whole: `rand_chacha` is not `rand`.
pub(super) fn is_named(name: &str, code: &str) -> bool {
    let in_a_name = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(name).any(|(at, _)| {
        let starts = !code[..at].ends_with(in_a_name);
        let ends = !name.ends_with(in_a_name) || !code[at + name.len()..].starts_with(in_a_name);
        starts && ends
    })
}

/// The paths that code names: all imports, and what else begins with `crate`, `self` or `super`.
pub(super) fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let words = words(code);
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        if word == "use" {
            at = use_tree(&words, at + 1, &[], &mut found);
        } else if word == "in" && at > 0 && words[at - 1] == "(" {
            // A visibility names a module and imports nothing.
            while at < words.len() && words[at] != ")" {
                at += 1;
            }
        } else if ["crate", "self", "super"].contains(&word) && words.get(at + 1).is_some_and(|next| next == "::") {
            at = use_tree(&words, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads `a::{b, c as d, e::*}` from a word on, and gives the word behind it.
fn use_tree(words: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    let before = at;
                    at = use_tree(words, at, &path, found);
                    at += usize::from(at == before || words.get(at).is_some_and(|word| word == ","));
                }
                return at + 1;
            }
            Some(name) if name.starts_with(|char: char| char.is_alphabetic() || char == '_') => {
                // In a group, `self` is what stands before it.
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                at += 1;
            }
            _ => at += 1,
        }
        if words.get(at).is_some_and(|word| word == "::") {
            at += 1;
            continue;
        }
        if words.get(at).is_some_and(|word| word == "as") {
            at += 2;
        }
        found.push(path);
        return at;
    }
}

/// Names, `::`, and every other character alone.
fn words(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_name = false;
    for char in code.chars() {
        let is_name = char.is_alphanumeric() || char == '_';
        match words.last_mut() {
            Some(word) if is_name && in_name => word.push(char),
            Some(word) if char == ':' && *word == ":" => *word = "::".to_owned(),
            _ if char.is_whitespace() => {}
            _ => words.push(char.to_string()),
        }
        in_name = is_name;
    }
    words
}
