//! One SVG for each scaling.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use quipu::simulate::svg::{Axis, Plot, short};

use crate::figure::{PlotLine, Point};
use crate::statistics::spread;

/// The fixed parts of a plot.
pub(crate) struct Frame {
    /// The file's name, without its ending.
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// The names of the two lines.
    pub(crate) ours: &'static str,
    pub(crate) reference: &'static str,
}

/// The drawings carry classes; alone, each needs its colours.
const STYLE: &str = "\
<style>
svg { background: #fcfcfb; font: 12px system-ui, sans-serif; }
.tick, .axis { fill: #6b6a64; }
.note { fill: #1f1f1d; paint-order: stroke; stroke: #fcfcfb; stroke-width: 4px; }
.grid { stroke: #e6e5df; }
.line { fill: none; stroke: #2a78d6; stroke-width: 2; stroke-linejoin: round; }
.line.other { stroke: #8c8a80; stroke-dasharray: 5 3; }
.dot { fill: #2a78d6; }
.dot.other { fill: #8c8a80; }
</style>
";

/// Draws the plots with points, the median of all runs at each place.
pub(crate) fn draw(folder: &Path, frames: &[&Frame], points: &[&Point]) -> Result<()> {
    for frame in frames {
        let lines = [PlotLine::Ours, PlotLine::Reference].map(|line| {
            let own = points.iter().filter(|point| point.plot == frame.file && point.line == line);
            medians(own.map(|point| (point.x, point.y)))
        });
        if lines.iter().all(Vec::is_empty) {
            continue;
        }
        let file = folder.join(frame.file).with_extension("svg");
        let [ours, reference] = lines;
        let text = drawing(frame, &ours, &reference);
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn drawing(frame: &Frame, ours: &[(f64, f64)], reference: &[(f64, f64)]) -> String {
    let most = |of: fn(&(f64, f64)) -> f64| ours.iter().chain(reference).map(of).fold(0.0, f64::max);
    let (x, y) = (most(|point| point.0), most(|point| point.1));
    let mut plot =
        Plot::new(Axis { label: frame.x, from: 0.0, to: x * 1.02 }, Axis { label: frame.y, from: 0.0, to: y });
    plot.other_line(reference);
    plot.line(ours);
    let title = |line: &str, (x, y): (f64, f64)| format!("{line}: {} at {}", short(y), short(x));
    reference.iter().for_each(|at| plot.other_dot(at.0, at.1, &title(frame.reference, *at)));
    ours.iter().for_each(|at| plot.dot(at.0, at.1, &title(frame.ours, *at)));
    let mut name = format!("{}: {} (blue)", frame.name, frame.ours);
    if !reference.is_empty() {
        write!(name, ", {} (grey)", frame.reference).expect("a text takes everything");
    }
    plot.caption(&name);
    plot.finish(&name).replacen('\n', &format!("\n{STYLE}"), 1)
}

/// The median at each place, from left to right.
fn medians(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let same = points.chunk_by(|one, other| one.0 == other.0);
    same.map(|chunk| (chunk[0].0, spread(&chunk.iter().map(|point| point.1).collect::<Vec<_>>()).0)).collect()
}
