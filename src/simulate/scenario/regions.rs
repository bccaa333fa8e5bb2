//! Regions of nodes, and the latencies between them: a matrix in a file beside the scenario, such as
//!
//! ```text
//! region,  nodes, europe, america, asia   # one way, in milliseconds
//! europe,     50,     12,      45,  120
//! america,    30,     45,      20,   90
//! asia,       20,    120,      90,   25
//! ```
//!
//! The first line names the regions. Below it each region has a line, in the same order: its part of all nodes (of
//! their sum), and the latency to each region, symmetric. The first nodes are in the first region, and so on:
//! `"0%-50%"` here is europe. NodesPart that join later are dealt out from the first region on again.

use crate::sim::setup::Regions;

/// The most regions.
const REGIONS_MAX: usize = 256;
/// The greatest latency, in milliseconds: an hour.
const LATENCY_MILLIS_MAX: u64 = 3_600_000;
/// The greatest weight of a region.
const WEIGHT_MAX: u64 = 1_000_000;

/// The regions of `nodes` nodes.
pub(super) fn parse(text: &str, nodes: usize) -> Result<Regions, String> {
    let mut lines = (1..).zip(text.lines()).map(|(number, line)| (number, cells(line)));
    let mut lines = lines.by_ref().filter(|(_, cells)| !cells.is_empty());
    let (_, heading) = lines.next().ok_or("is empty: name the regions in its first line")?;
    let names = match &heading[..] {
        ["region", "nodes", names @ ..] if !names.is_empty() && names.len() <= REGIONS_MAX => names,
        _ => return Err(format!("line 1: begin with region,nodes and the names of 1 to {REGIONS_MAX} regions")),
    };
    let (mut weights, mut latency_millis) = (Vec::new(), Vec::new());
    for (number, cells) in lines {
        let fail = |problem: String| format!("line {number}: {problem}");
        let Some(name) = names.get(weights.len()) else {
            return Err(fail("there are more lines than regions: name them all in line 1".to_owned()));
        };
        if cells[0] != *name || cells.len() != names.len() + 2 {
            return Err(fail(format!("this is for {name}: write that, its nodes, and {} latencies", names.len())));
        }
        let number = |cell: &&str, most: u64| match cell.parse() {
            Ok(value) if value <= most => Ok(value),
            _ => Err(fail(format!("{cell:?} is not a whole number up to {most}"))),
        };
        weights.push(number(&cells[1], WEIGHT_MAX)?);
        let row: Result<Vec<u64>, String> = cells[2..].iter().map(|cell| number(cell, LATENCY_MILLIS_MAX)).collect();
        latency_millis.push(row?);
    }
    if weights.len() < names.len() {
        return Err(format!("{} has no line: give each region one", names[weights.len()]));
    }
    for (a, b) in (0..names.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let (there, back) = (latency_millis[a][b], latency_millis[b][a]);
        if there != back {
            return Err(format!("{} to {} is {there} and back {back}: write the same twice", names[a], names[b]));
        }
    }
    let all: u64 = weights.iter().sum();
    if all == 0 {
        return Err("all regions are empty: give at least one of them nodes".to_owned());
    }
    Ok(Regions { of: places(&weights, all, nodes), latency_millis })
}

/// The cells of a line, without comments and blanks.
fn cells(line: &str) -> Vec<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    if line.is_empty() { Vec::new() } else { line.split([',', ';']).map(str::trim).collect() }
}

/// The region of each node, in runs as long as the weights say.
fn places(weights: &[u64], all: u64, nodes: usize) -> Vec<usize> {
    let mut places = Vec::with_capacity(nodes);
    let mut sum = 0;
    for (region, weight) in weights.iter().enumerate() {
        sum += weight;
        places.resize((sum as u128 * nodes as u128 / u128::from(all)) as usize, region);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "region, nodes, north, south # ms\n\nnorth, 3, 5, 80\nsouth; 1; 80; 9\n";

    #[test]
    fn a_map_has_places_and_ways() {
        let regions = parse(MAP, 8).expect("valid");
        assert_eq!(regions.of, [0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(regions.latency_millis, [[5, 80], [80, 9]]);
        for nodes in 1..30 {
            assert_eq!(parse(MAP, nodes).expect("valid").of.len(), nodes, "every node has a region");
        }
    }

    #[test]
    fn errors_name_their_line() {
        let cases = [
            ("", "is empty"),
            ("name,nodes,a\n", "line 1: begin with region,nodes"),
            ("region,nodes\n", "line 1: begin with"),
            ("region,nodes,a,b\na,1,2,3\n", "b has no line"),
            ("region,nodes,a\na,1,2\na,1,2\n", "line 3: there are more lines"),
            ("region,nodes,a\nb,1,2\n", "line 2: this is for a"),
            ("region,nodes,a\na,1\n", "line 2: this is for a"),
            ("region,nodes,a\na,1,-2\n", "line 2: \"-2\" is not a whole number up to 3600000"),
            ("region,nodes,a\na,9999999,2\n", "line 2: \"9999999\" is not a whole"),
            ("region,nodes,a,b\na,1,2,3\nb,1,4,2\n", "b to a is 4 and back 3"),
            ("region,nodes,a\na,0,2\n", "all regions are empty"),
        ];
        for (text, words) in cases {
            let problem = parse(text, 4).expect_err(text);
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
