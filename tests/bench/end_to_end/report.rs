//! The forms of the figures: a table for people, JSON of every run, and the table of the documentation.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use quipu::text::grouped;
use serde::{Deserialize, Serialize};

use crate::figure::{FigureRow, FigureTarget, Point};
use crate::statistics::spread;

/// All runs, and the machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BenchResults {
    machine: Machine,
    /// The date in UTC.
    date: String,
    commit: String,
    pub(crate) runs: Vec<BenchRun>,
}

/// The figures of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BenchRun {
    pub(crate) rows: Vec<FigureRow>,
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    rustc: String,
}

impl BenchResults {
    /// BenchResults of this machine, now, without a run.
    pub(crate) fn new() -> Self {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = information.lines().find_map(|line| line.strip_prefix("model name"));
        let machine = Machine {
            processor: model.unwrap_or("unknown").trim_start_matches(['\t', ' ', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: said("uname", &["-sr"]),
            rustc: said("rustc", &["--version"]),
        };
        let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
        Self { machine, date: said("date", &["--utc", "+%F"]), commit, runs: Vec::new() }
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = || format!("{}: not the results of an earlier run", file.display());
        let text = std::fs::read_to_string(file).with_context(shown)?;
        serde_json::from_str(&text).with_context(shown)
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("numbers and texts")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    /// The same figure of all runs that have it, in the order in which figures came first.
    fn figures(&self) -> Vec<FigureSummary<'_>> {
        let mut figures: Vec<FigureSummary<'_>> = Vec::new();
        for row in self.runs.iter().flat_map(|run| &run.rows) {
            match figures.iter_mut().find(|figure| (&figure.0[0].name, &figure.0[0].what) == (&row.name, &row.what)) {
                Some(figure) => figure.0.push(row),
                None => figures.push(FigureSummary(vec![row])),
            }
        }
        figures
    }

    /// The table for a terminal.
    pub(crate) fn table(&self) -> String {
        let head = ["", "figure", "before", "reference", "ratio", "target", ""].map(str::to_owned);
        let mut lines = vec![head];
        let mut name = "";
        for figure in self.figures() {
            let row = figure.0[0];
            if name != row.name {
                lines.push([row.name.as_str(), "", "", "", "", "", ""].map(str::to_owned));
                name = &row.name;
            }
            let [what, cells @ ..] = figure.cells();
            let [value, before, reference, ratio, target, status] = cells;
            lines.push([format!("  {what}"), value, before, reference, ratio, target, status]);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..7).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(text, "{}", padded.collect::<Vec<_>>().join("  ").trim_end()).expect("a text takes everything");
        }
        text
    }

    /// The table for the documentation.
    pub(crate) fn markdown(&self) -> String {
        let Machine { processor, cores, kernel, rustc } = &self.machine;
        let mut text = format!(
            "{}, {} of `scripts/bench`, commit {}: {processor}, {cores} cores, {kernel}, {rustc}.\n\n\
             | what | figure | before | reference, in the same run | ratio | target | |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
            self.date,
            if self.runs.len() == 1 { "one run".to_owned() } else { format!("medians of {} runs", self.runs.len()) },
            self.commit,
        );
        for figure in self.figures() {
            let [what, cells @ ..] = figure.cells();
            writeln!(text, "| {}: {what} | {} |", figure.0[0].name, cells.join(" | "))
                .expect("a text takes everything");
        }
        text
    }
}

/// The rows of several runs for the same quantity.
struct FigureSummary<'a>(Vec<&'a FigureRow>);

impl FigureSummary<'_> {
    /// Quantity, figure, the earlier build's, reference, ratio, target, and whether it is met:
    /// medians, with the range of the ratio.
    fn cells(&self) -> [String; 7] {
        let FigureRow { what, unit, .. } = self.0[0];
        let of =
            |value: fn(&FigureRow) -> Option<f64>| self.0.iter().filter_map(|row| value(row)).collect::<Vec<f64>>();
        let value = format!("{} {unit}", number(spread(&of(|row| Some(row.value))).0)).trim_end().to_owned();
        let (judged, least, most) = spread(&of(|row| Some(row.judged())));
        let range = if self.0.len() == 1 { String::new() } else { format!(" ({} to {})", number(least), number(most)) };
        let (reference, ratio) = match &self.0[0].reference {
            Some(reference) => {
                let value = spread(&of(|row| row.reference.as_ref().map(|reference| reference.value))).0;
                (
                    format!("{}: {}", format!("{} {unit}", number(value)).trim_end(), reference.what),
                    number(judged) + &range,
                )
            }
            None => (String::new(), range.trim().to_owned()),
        };
        let (target, status) = match self.0[0].target {
            Some(target) => {
                let text = match target {
                    FigureTarget::AtLeast(bound) => format!("≥ {bound}"),
                    FigureTarget::AtMost(bound) => format!("≤ {bound}"),
                };
                (text, if target.is_met(judged) { "met" } else { "missed" }.to_owned())
            }
            None => (String::new(), String::new()),
        };
        [what.clone(), value, self.before(), reference, ratio, target, status]
    }
}

impl FigureSummary<'_> {
    /// The earlier build's figure, and the range of the ratio to it.
    fn before(&self) -> String {
        let before: Vec<f64> = self.0.iter().filter_map(|row| row.before).collect();
        if before.is_empty() {
            return String::new();
        }
        let ratios: Vec<f64> = self.0.iter().filter_map(|row| Some(row.value / row.before?)).collect();
        let (ratio, least, most) = spread(&ratios);
        let range = if ratios.len() == 1 { String::new() } else { format!(" ({} to {})", number(least), number(most)) };
        format!("{}: {}{range} ×", number(spread(&before).0), number(ratio))
    }
}

/// A number with its significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        1000.0.. => grouped(value.round() as u64),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. | 0.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}

/// The first line that a program prints, or that it is unknown.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
