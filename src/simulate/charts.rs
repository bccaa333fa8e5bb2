//! The charts of a report: first the numbers of each, then the drawing.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::facts::{ChainBlock, RunFacts};
use super::scenario::Scenario;
use super::summary::{self, Share};
use super::svg::{self, Axis, Plot, escape, short};
use crate::protocol::Millis;
use crate::sim::adversary::selfish::revenue;
use crate::text::{counted, grouped};

/// The most dots in a chart; more are drawn as means of neighbours.
const DOTS_MAX: usize = 1_200;
/// The most events that are marked, and the rows of their names.
const EVENTS_MAX: usize = 16;
const EVENT_ROWS: usize = 3;
/// Bars of a histogram.
const BINS: usize = 40;
/// The number of medians at which the histogram of propagation ends.
const MEDIANS_MAX: f64 = 12.0;
/// Blocks of a running mean.
const MEAN_BLOCKS: usize = 20;
/// Sizes of the chart of miners, in units of the drawing.
const ROW_HEIGHT: f64 = 34.0;
const NAME_WIDTH: f64 = 90.0;
const VALUE_WIDTH: f64 = 60.0;

/// A drawing and its caption.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) svg: String,
    pub(super) caption: String,
}

/// The time from each block to the next.
pub(super) fn intervals(scenario: &Scenario, facts: &RunFacts) -> Chart {
    let spacing = scenario.setup.network.parameters().target_spacing;
    let points = interval_points(&facts.chain);
    let mut plot = Plot::new(time_axis(facts), Axis { label: "seconds", from: 0.0, to: largest(&points) });
    let (dots, by) = thinned(&points, DOTS_MAX);
    for (minutes, seconds) in &dots {
        let at = summary::clock((minutes * 60_000.0) as u64);
        plot.dot(*minutes, *seconds, &format!("{seconds:.1} s, at {at}"));
    }
    plot.line(&thinned(&running_mean(&points, MEAN_BLOCKS), DOTS_MAX).0);
    mark_events(&mut plot, scenario);
    let wanted = spacing.0 as f64 / 1000.0;
    plot.level(wanted, &format!("wanted: {} s", short(wanted)));
    let mean = points.iter().map(|(_, seconds)| seconds).sum::<f64>() / points.len().max(1) as f64;
    let dots = if by > 1 { format!("the mean of {by} blocks") } else { "a block".to_owned() };
    let caption =
        format!("Each dot is {dots}, the line is the mean of the last {MEAN_BLOCKS}. All together: {mean:.1} s.");
    Chart { svg: plot.finish("Time between blocks"), caption }
}

/// The number of hashes for each block.
pub(super) fn difficulty(scenario: &Scenario, facts: &RunFacts) -> Chart {
    let points: Vec<(f64, f64)> = facts.chain.iter().map(|block| (minutes(block.at), block.hashes as f64)).collect();
    let mut plot = Plot::new(time_axis(facts), Axis { label: "hashes a block", from: 0.0, to: largest(&points) });
    plot.line(&thinned(&points, DOTS_MAX).0);
    mark_events(&mut plot, scenario);
    let range = points.iter().map(|(_, hashes)| *hashes);
    let (least, most) = (range.clone().fold(f64::INFINITY, f64::min), range.fold(0.0, f64::max));
    let caption = match points.is_empty() {
        true => "There were no blocks.".to_owned(),
        false => format!("From {} to {} hashes.", grouped(least as u64), grouped(most as u64)),
    };
    Chart { svg: plot.finish("Difficulty"), caption }
}

/// The delays of blocks to other nodes.
pub(super) fn propagation(facts: &RunFacts) -> Chart {
    let times = facts.summary.propagation_ms;
    // A node that was cut off gets a block late; that must not hide the usual delays.
    let to = (times.p99 as f64 * 1.25).min(times.p50 as f64 * MEDIANS_MAX).ceil();
    let histogram = Histogram::of(&facts.delays, to);
    let mut plot = histogram.plot("milliseconds after it was found", "% of all arrivals", "ms");
    let marks = [("half", times.p50), ("95 %", times.p95), ("99 %", times.p99)];
    for (row, (name, value)) in marks.into_iter().filter(|(_, value)| *value as f64 <= to).enumerate() {
        plot.mark(value as f64, &format!("{name}: {} ms", grouped(value)), row);
    }
    let beyond = match histogram.beyond {
        0 => String::new(),
        count => format!(" {} took longer than is shown.", counted(count, "more arrival")),
    };
    let all = counted(facts.delays.len() as u64, "arrival");
    let caption = format!("{all} of a block at a node that ran when the block was found.{beyond}");
    Chart { svg: plot.finish("Propagation of blocks"), caption }
}

/// The number of messages of each node.
pub(super) fn messages(facts: &RunFacts) -> Chart {
    let seconds = facts.summary.virtual_seconds.max(1.0);
    let rates: Vec<f64> = facts.messages.iter().map(|count| *count as f64 / seconds).collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let histogram = Histogram::of_reals(&rates, most);
    let plot = histogram.plot("messages a second", "% of all nodes", "a second");
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = facts.summary.messages_per_node_second;
    let caption =
        format!("From {least:.1} to {most:.1} a second, {mean:.1} on average. NodesPart with more links send more.");
    Chart { svg: plot.finish("Messages by node"), caption }
}

/// The depths of nodes' reorganisations.
pub(super) fn reorganisations(facts: &RunFacts) -> Option<Chart> {
    let depths = &facts.summary.reorg_depths;
    let (deepest, _) = depths.last_key_value()?;
    let most = depths.values().max().copied().unwrap_or_default() as f64;
    let x = Axis { label: "blocks taken off", from: 0.0, to: *deepest as f64 + 1.0 };
    let mut plot = Plot::new(x, Axis { label: "times, on all nodes", from: 0.0, to: most });
    for (depth, count) in depths {
        let (from, to) = (*depth as f64 - 0.4, *depth as f64 + 0.4);
        plot.bar(from, to, *count as f64, &format!("{}: {} times", counted(*depth, "block"), grouped(*count)));
    }
    let all: u64 = depths.values().sum();
    let caption = format!(
        "{} on all nodes, the deepest took {} off.",
        counted(all, "reorganisation"),
        counted(*deepest, "block")
    );
    Some(Chart { svg: plot.finish("Depths of reorganisations"), caption })
}

/// Each miner's share of the chain against its hash rate.
pub(super) fn miners(facts: &RunFacts) -> Option<Chart> {
    let (shares, others) = summary::shares(&facts.summary);
    let most = shares.iter().flat_map(|share| [share.hash_rate, share.chain]).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let mut rows = String::new();
    for (number, share) in shares.iter().enumerate() {
        draw_miner(&mut rows, share, number as f64 * ROW_HEIGHT, most);
    }
    let name = "Share of the best chain against share of the hash rate";
    let svg = svg::drawing(name, shares.len() as f64 * ROW_HEIGHT, &rows);
    let rest = others.map_or_else(String::new, |others| {
        let (rate, chain) = (summary::percent(others.hash_rate), summary::percent(others.chain));
        format!(" {} together: {rate} of the hash rate, {chain} of the chain.", others.name)
    });
    let caption = format!("By chance the two differ: of a few hundred blocks, by a few percent.{rest}");
    Some(Chart { svg, caption })
}

/// Selfish miners' shares of the chain against their hash rates, and the formula for the mean of their gammas.
pub(super) fn selfish(facts: &RunFacts) -> Option<Chart> {
    const STEPS: usize = 48;
    let phases = &facts.selfish;
    if phases.is_empty() {
        return None;
    }
    let gamma = phases.iter().map(|phase| phase.gamma).sum::<f64>() / phases.len() as f64;
    let most = phases.iter().map(|phase| phase.chain * 100.0).fold(60.0, f64::max);
    let x = Axis { label: "% of the hash rate", from: 0.0, to: 50.0 };
    let mut plot = Plot::new(x, Axis { label: "% of the best chain", from: 0.0, to: most });
    let at = |step: usize| step as f64 / STEPS as f64 * 0.48;
    let curve: Vec<(f64, f64)> = (0..=STEPS).map(at).map(|a| (a * 100.0, revenue(a, gamma).max(0.0) * 100.0)).collect();
    plot.other_line(&[(0.0, 0.0), (50.0, 50.0)]);
    plot.line(&curve);
    for phase in phases {
        let [who, rate, chain, ..] = summary::selfish_row(phase);
        plot.point(phase.hash_rate * 100.0, phase.chain * 100.0, &format!("{who}: {chain} of the chain for {rate}"));
    }
    let caption = format!(
        "Dots are what came out. The line is Eyal and Sirer's formula for a gamma of {gamma:.2}, the mean of what was \
         measured: where it is above the straight one, keeping blocks back pays."
    );
    Some(Chart { svg: plot.finish("Share of the best chain against share of the hash rate"), caption })
}

fn draw_miner(rows: &mut String, share: &Share, top: f64, most: f64) {
    let room = svg::WIDTH - NAME_WIDTH - VALUE_WIDTH;
    let name = escape(&share.name);
    writeln!(
        rows,
        "  <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
        NAME_WIDTH - 10.0,
        top + 18.0
    )
    .expect("a text takes everything");
    for (line, (class, what, part)) in
        [("bar other", "of the hash rate", share.hash_rate), ("bar", "of the best chain", share.chain)]
            .iter()
            .enumerate()
    {
        let y = top + 2.0 + 13.0 * line as f64;
        let width = (room * part / most).max(1.0);
        let value = summary::percent(*part);
        writeln!(
            rows,
            "  <rect class=\"{class}\" x=\"{NAME_WIDTH:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"11\">\
             <title>{name}: {value} {what}</title></rect>\n  \
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{value}</text>",
            NAME_WIDTH + width + 6.0,
            y + 10.0
        )
        .expect("a text takes everything");
    }
}

fn minutes(at: Millis) -> f64 {
    at.0 as f64 / 60_000.0
}

fn time_axis(facts: &RunFacts) -> Axis {
    Axis { label: "minutes of virtual time", from: 0.0, to: facts.summary.virtual_seconds / 60.0 }
}

fn largest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, y)| *y).fold(0.0, f64::max)
}

/// Marks the events, unless there are too many to read.
fn mark_events(plot: &mut Plot, scenario: &Scenario) {
    if scenario.events.len() <= EVENTS_MAX {
        for (number, (at, name)) in scenario.events.iter().enumerate() {
            plot.mark(minutes(*at), name, number % EVENT_ROWS);
        }
    }
}

/// For each block the time of its discovery in minutes, and the seconds since its parent's. The first block has no
/// parent that was found.
fn interval_points(chain: &[ChainBlock]) -> Vec<(f64, f64)> {
    let pairs = chain.windows(2);
    pairs.map(|pair| (minutes(pair[1].at), pair[1].at.saturating_sub(pair[0].at).0 as f64 / 1000.0)).collect()
}

/// At each point the mean of it and of those before it.
fn running_mean(points: &[(f64, f64)], of: usize) -> Vec<(f64, f64)> {
    let mean = |window: &[(f64, f64)]| window.iter().map(|(_, y)| y).sum::<f64>() / window.len() as f64;
    points.windows(of).map(|window| (window[of - 1].0, mean(window))).collect()
}

/// At most `most` points, each the mean of `by` neighbours, and `by`.
fn thinned(points: &[(f64, f64)], most: usize) -> (Vec<(f64, f64)>, usize) {
    let by = points.len().div_ceil(most).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let (x, y) = chunk.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / chunk.len() as f64, y / chunk.len() as f64)
    };
    (points.chunks(by).map(mean).collect(), by)
}

/// The number of values in each of [`BINS`] equal parts from 0 on.
#[derive(Debug, PartialEq)]
struct Histogram {
    width: f64,
    counts: BTreeMap<usize, u64>,
    /// The number of values above the last part.
    beyond: u64,
    all: u64,
}

impl Histogram {
    fn of(values: &[u64], to: f64) -> Self {
        let reals: Vec<f64> = values.iter().map(|value| *value as f64).collect();
        Self::of_reals(&reals, to)
    }

    fn of_reals(values: &[f64], to: f64) -> Self {
        let width = if to > 0.0 { to / BINS as f64 } else { 1.0 };
        let mut histogram = Self { width, counts: BTreeMap::new(), beyond: 0, all: values.len() as u64 };
        for value in values {
            // The upper end belongs to the last part.
            let bin = if *value == to && to > 0.0 { BINS - 1 } else { (value / width) as usize };
            match bin {
                0..BINS => *histogram.counts.entry(bin).or_default() += 1,
                _ => histogram.beyond += 1,
            }
        }
        histogram
    }

    /// A plot of each part's share of all values, in percent.
    fn plot(&self, x_label: &'static str, y_label: &'static str, unit: &str) -> Plot {
        let percent = |count: u64| 100.0 * count as f64 / self.all.max(1) as f64;
        let most = self.counts.values().max().map_or(0.0, |count| percent(*count));
        let x = Axis { label: x_label, from: 0.0, to: self.width * BINS as f64 };
        let mut plot = Plot::new(x, Axis { label: y_label, from: 0.0, to: most });
        for (bin, count) in &self.counts {
            let (from, to) = (*bin as f64 * self.width, (*bin + 1) as f64 * self.width);
            let title =
                format!("{} to {} {unit}: {:.1} % ({})", short(from), short(to), percent(*count), grouped(*count));
            plot.bar(from, to, percent(*count), &title);
        }
        plot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Height;

    #[test]
    fn intervals_are_between_neighbours() {
        let block = |height, at| ChainBlock { height: Height(height), at: Millis(at), hashes: 1 };
        let chain = [block(1, 30_000), block(2, 60_000), block(3, 90_500)];
        let points = interval_points(&chain);
        assert_eq!(points.len(), 2);
        assert_eq!(points[0], (1.0, 30.0));
        assert_eq!(points[1].1, 30.5);
        assert!(interval_points(&chain[..1]).is_empty());
    }

    #[test]
    fn means() {
        let points = [(0.0, 2.0), (1.0, 4.0), (2.0, 9.0)];
        assert_eq!(running_mean(&points, 2), [(1.0, 3.0), (2.0, 6.5)]);
        assert!(running_mean(&points, 4).is_empty());
        assert_eq!(thinned(&points, 2), (vec![(0.5, 3.0), (2.0, 9.0)], 2));
        assert_eq!(thinned(&points, 3), (points.to_vec(), 1));
        assert_eq!(thinned(&[], 3), (vec![], 1));
    }

    #[test]
    fn a_histogram_counts_everything_once() {
        let histogram = Histogram::of(&[0, 1, 2, 3, 39, 79, 80, 81, 500], 80.0);
        assert_eq!(histogram.width, 2.0);
        assert_eq!(histogram.counts, BTreeMap::from([(0, 2), (1, 2), (19, 1), (39, 2)]));
        assert_eq!((histogram.beyond, histogram.all), (2, 9));
        assert_eq!(Histogram::of(&[0, 0], 0.0).counts, BTreeMap::from([(0, 2)]));
        assert_eq!(Histogram::of(&[], 0.0).counts, BTreeMap::new());
    }
}
