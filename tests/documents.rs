//! Documents that rot are worse than none: links lead somewhere, files and names that are spoken of exist, and the
//! README stays a page. What `Cargo.toml` promises of Rust's version holds for dependencies too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const README_LINES_MAX: usize = 250;

/// Where the repository's files are. A path in a text begins with one of these.
const FOLDERS: [&str; 8] = ["src/", "protocol/", "tests/", "scripts/", "docs/", "examples/", ".ci/", ".github/"];
/// What belongs to others, or is made.
const NOT_OURS: [&str; 4] = ["target", "node_modules", ".git", "corpus"];

#[test]
fn links_lead_somewhere() {
    let mut findings = Findings::default();
    for file in files(&["md"]) {
        for target in links(&read(&file)) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = file.parent().expect("a file is in a folder");
            let there = if path.is_empty() { file.clone() } else { folder.join(path) };
            let is_right = there.exists() && (anchor.is_empty() || headings(&read(&there)).contains(anchor));
            findings.note(is_right, || format!("{} links to {target}", file.display()));
        }
    }
    findings.judge(100);
}

#[test]
fn files_that_are_spoken_of_exist() {
    let mut findings = Findings::default();
    for file in files(&["md", "rs", "toml", "txt", ""]) {
        let text = read(&file);
        let is_code = file.extension().is_some_and(|extension| extension == "rs");
        let comments = text.lines().filter_map(|line| line.split_once("//")).map(|(_, comment)| comment);
        let text = if is_code { comments.collect::<Vec<_>>().join("\n") } else { text };
        for path in paths(&text) {
            let places = [path.clone(), format!("{path}.rs"), format!("protocol/{path}")];
            let is_there = places.iter().any(|place| Path::new(place).exists());
            findings.note(is_there, || format!("{} speaks of {path}", file.display()));
        }
    }
    findings.judge(200);
}

/// Rows of docs/architecture.md, under "Where is …": a question, and `file` with `names`.
#[test]
fn things_are_where_the_architecture_says() {
    let text = read(Path::new("docs/architecture.md"));
    let table = text.split("\n## Where is").nth(1).expect("a heading").split("\n## ").next().expect("a part");
    let mut findings = Findings::default();
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let quoted: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let (file, names) = quoted.split_first().expect("it has a quotation");
        let source = fs::read_to_string(file).unwrap_or_default();
        for name in names {
            findings.note(has_word(&source, name), || format!("{name} is in {file}"));
        }
    }
    findings.judge(20);
}

/// In zsh and fish an unquoted `?` or `*` in an address is a pattern, and `&` ends the command in every shell.
#[test]
fn addresses_in_command_lines_are_quoted() {
    let mut findings = Findings::default();
    for file in files(&["md", "rs", "py", "js"]) {
        for line in read(&file).lines().filter(|line| line.contains("curl ")) {
            for (at, _) in line.match_indices("http://") {
                let address: &str = line[at..].split(['\'', '"', ' ', '`', '|']).next().unwrap_or_default();
                let is_quoted = line[..at].ends_with(['\'', '"']);
                let is_right = is_quoted || !address.contains(['?', '&', '*', '[', '{', ';']);
                findings.note(is_right, || format!("{}: {line}", file.display()));
            }
        }
    }
    findings.judge(10);
}

#[test]
fn commands_of_cargo_exist() {
    let manifest = read(Path::new("Cargo.toml"));
    let mut findings = Findings::default();
    for file in files(&["md"]) {
        let text = read(&file);
        for option in ["--bench ", "--test ", "--example "] {
            for rest in text.split(option).skip(1) {
                let name: String = rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
                if name.is_empty() {
                    continue;
                }
                let places = ["tests/{}.rs", "examples/{}.rs", "protocol/tests/{}.rs", "protocol/tests/{}/main.rs"];
                let is_there = manifest.contains(&format!("name = \"{name}\""))
                    || places.iter().any(|place| Path::new(&place.replace("{}", &name)).exists());
                findings.note(is_there, || format!("{} says {option}{name}", file.display()));
            }
        }
    }
    findings.judge(10);
}

#[test]
fn the_readme_is_a_page() {
    let lines = read(Path::new("README.md")).lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, at most {README_LINES_MAX}: move some to docs/");
}

/// Clippy's `incompatible_msrv` looks at our own code.
#[test]
fn dependencies_need_no_newer_rust_than_ours() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    let ours = version(packages.iter().find(|one| one["name"] == "quipu").expect("this package"));
    assert!(ours > (1, 0), "no rust-version is stated");
    let newer: Vec<String> = packages
        .iter()
        .filter(|one| version(one) > ours)
        .map(|one| format!("{} {} needs {}", one["name"], one["version"], one["rust_version"]))
        .collect();
    assert!(packages.len() > 100 && newer.is_empty(), "newer than {ours:?}: {newer:?}");
}

/// All that is wrong, told at once.
#[derive(Default)]
struct Findings {
    count: usize,
    wrong: Vec<String>,
}

impl Findings {
    fn note(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        self.count += 1;
        self.wrong.extend((!is_right).then(what));
    }

    /// Fewer than `least` findings: what to look for is not found any more.
    fn judge(self, least: usize) {
        assert!(self.count >= least, "only {} were found", self.count);
        assert!(self.wrong.is_empty(), "not so:\n{}", self.wrong.join("\n"));
    }
}

fn version(package: &Value) -> (u32, u32) {
    let mut parts =
        package["rust_version"].as_str().unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Of what is built on this machine: nothing else has been downloaded.
fn metadata() -> Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg(host())
        .output()
        .expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc built this test");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host").to_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All files of ours with these extensions.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let list = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        for entry in fs::read_dir(list).expect("readable") {
            let name = entry.expect("readable").file_name().into_string().expect("our names are UTF-8");
            let path = folder.join(&name);
            let extension = path.extension().map_or("", |extension| extension.to_str().expect("UTF-8"));
            if path.is_dir() {
                folders.extend((!NOT_OURS.contains(&name.as_str())).then_some(path));
            } else if extensions.contains(&extension) && !name.starts_with('.') && !name.starts_with("LICENSE") {
                found.push(path);
            }
        }
    }
    found
}

/// Targets of `[text](target)` within the repository.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
        .map(str::to_owned)
        .collect()
}

/// As code hosts name headings.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |char: &char| char.is_alphanumeric() || " -_".contains(*char);
    titles.map(|title| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

/// Paths from the repository's root, as texts and comments name them.
fn paths(text: &str) -> BTreeSet<String> {
    let in_path = |char: char| char.is_alphanumeric() || "/._-".contains(char);
    let words = text.split(|char: char| !in_path(char)).map(|word| word.trim_end_matches(['.', '-', '/']));
    let is_ours = |word: &&str| FOLDERS.iter().any(|folder| word.starts_with(folder));
    words.filter(is_ours).filter(|word| !word.contains("NAME") && !word.contains("//")).map(str::to_owned).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let in_name = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(in_name) && !text[at + word.len()..].starts_with(in_name))
}
