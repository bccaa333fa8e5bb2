//! The report: one HTML file that needs nothing else, for people to look at and to pass on.
//!
//! Always true: it is well-formed XML too, it loads nothing from anywhere, and it has no script. It is written beside
//! its place and moved there; it never replaces a file that is not a report.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

use super::charts::{self, Chart};
use super::facts::RunFacts;
use super::scenario::Scenario;
use super::svg::escape;
use super::{SimulateError, summary, tree};
use crate::files;
use crate::text::grouped;

/// The beginning of every report.
const BEGINNING: &str = "<!DOCTYPE html>\n<!-- A report of quipu simulate -->\n";
const STYLE: &str = include_str!("report.css");

/// Fails if the place is taken by a file that is not a report.
pub(super) fn refuse_to_replace(file: &Path) -> Result<(), SimulateError> {
    let mut beginning = [0; BEGINNING.len()];
    let is_report = match files::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Something is there.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => false,
        Err(error) => return Err(SimulateError::WriteFailed { file: file.to_owned(), error }),
        Ok(mut opened) => opened.read_exact(&mut beginning).is_ok() && beginning == *BEGINNING.as_bytes(),
    };
    if is_report { Ok(()) } else { Err(SimulateError::FileExists { file: file.to_owned() }) }
}

/// Writes a report, in place of an earlier one.
pub(super) fn write(file: &Path, scenario: &Scenario, facts: &RunFacts) -> Result<(), SimulateError> {
    // Checked again, for a file that appeared meanwhile.
    refuse_to_replace(file)?;
    let failed = |error| SimulateError::WriteFailed { file: file.to_owned(), error };
    files::replace(file, page(scenario, facts).as_bytes()).map_err(failed)
}

fn page(scenario: &Scenario, facts: &RunFacts) -> String {
    let (name, description) = (escape(&scenario.name), escape(&scenario.description));
    let what = escape(&summary::what_ran(facts));
    let mut page = format!(
        "{BEGINNING}<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<title>{name}: a simulation</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n<p class=\"quiet\">{what}</p>\n\
         <p>{description}</p>\n"
    );
    page += &tiles(facts);
    if let Some((svg, caption)) = tree::draw(&facts.blocks) {
        let key = "<span class=\"key\"></span>best chain<span class=\"key stale\"></span>stale";
        figure(&mut page, "Block tree", key, "tree", &Chart { svg, caption });
    }
    figure(&mut page, "Time between blocks", "", "dots", &charts::intervals(scenario, facts));
    figure(&mut page, "Difficulty", "", "", &charts::difficulty(scenario, facts));
    figure(&mut page, "Propagation", "", "", &charts::propagation(facts));
    if let Some(chart) = charts::miners(facts) {
        let key =
            "<span class=\"key other\"></span>share of the hash rate<span class=\"key\"></span>share of the best chain";
        figure(&mut page, "Who found the blocks", key, "", &chart);
    }
    if let Some(chart) = charts::selfish(facts) {
        let key =
            "<span class=\"key\"></span>by the formula<span class=\"key other\"></span>the share of the hash rate";
        figure(&mut page, "Selfish mining", key, "selfish", &chart);
        page += &selfish_table(facts);
    }
    if let Some(chart) = charts::reorganisations(facts) {
        figure(&mut page, "Reorganisations", "", "", &chart);
    }
    figure(&mut page, "Messages", "", "", &charts::messages(facts));
    page += "<h2>In numbers</h2>\n<table>\n";
    for (row, value) in summary::rows(facts) {
        writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(row), escape(&value))
            .expect("a text takes everything");
    }
    page += "</table>\n";
    let toml = escape(&scenario.toml);
    let again = escape(&format!("quipu simulate {}.toml{}", scenario.name, again(scenario)));
    writeln!(
        page,
        "<h2>The scenario</h2>\n<p>Saved as a file, this gives the same run, with the same trace, on every machine: \
         <code>{again}</code></p>\n<pre>{toml}</pre>\n</main>\n</body>\n</html>"
    )
    .expect("a text takes everything");
    page
}

fn selfish_table(facts: &RunFacts) -> String {
    let row = |cells: &[String; 5], tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = row(&summary::SELFISH_COLUMNS.map(str::to_owned), "th");
    let rows: String = facts.selfish.iter().map(|phase| row(&summary::selfish_row(phase), "td")).collect();
    format!("<table>\n{head}{rows}</table>\n")
}

/// The command-line options that may differ from the file.
fn again(scenario: &Scenario) -> String {
    let hours = scenario.span.0 as f64 / 3_600_000.0;
    format!(" --nodes {} --hours {hours} --seed {}", scenario.setup.nodes, scenario.setup.seed)
}

fn tiles(facts: &RunFacts) -> String {
    let summary = &facts.summary;
    let agree = if summary.agreed { ("", "yes") } else { (" bad", "no") };
    let checks = if facts.checks.broken.is_none() { ("", "yes") } else { (" bad", "no") };
    let deepest = summary.reorg_depths.last_key_value().map_or(0, |(depth, _)| *depth);
    let tiles = [
        (agree.0, agree.1.to_owned(), "all nodes agree"),
        (checks.0, checks.1.to_owned(), "all checks hold"),
        ("", grouped(summary.height), "height of the best chain"),
        ("", summary::percent(summary.stale_rate), "of all blocks are stale"),
        ("", format!("{} ms", grouped(summary.propagation_ms.p50)), "from a block to half of the nodes"),
        ("", grouped(deepest), "blocks in the deepest reorganisation"),
        ("", format!("{:.1}", summary.messages_per_node_second), "messages a second and node"),
    ];
    let tile = |(class, value, what)| format!("<div class=\"tile{class}\"><b>{value}</b><span>{what}</span></div>\n");
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.map(tile).concat())
}

fn figure(page: &mut String, name: &str, key: &str, class: &str, chart: &Chart) {
    let Chart { svg, caption } = chart;
    let key = if key.is_empty() { String::new() } else { format!("<p class=\"quiet\">{key}</p>\n") };
    let caption = escape(caption);
    write!(
        page,
        "<h2>{name}</h2>\n{key}<figure class=\"{class}\">\n{svg}<figcaption>{caption}</figcaption>\n</figure>\n"
    )
    .expect("a text takes everything");
}
