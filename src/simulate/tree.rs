//! The block tree: the best chain as a straight line, stale branches beside it.
//!
//! A long chain is cut to the [`HEIGHTS_MAX`] heights with the most stale blocks, the last ones if there are none.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::summary::clock;
use super::svg::{WIDTH, drawing, escape};
use crate::protocol::BlockId;
use crate::sim::metrics::Made;
use crate::text::counted;

/// The most heights that are drawn.
const HEIGHTS_MAX: u64 = 72;
/// The most stale branches beside each other.
const LANES_MAX: usize = 10;
/// Sizes in units of the drawing.
const MARGIN: f64 = 14.0;
const TOP: f64 = 40.0;
const LANE_HEIGHT: f64 = 18.0;
const BLOCK: f64 = 7.0;
/// Heights between two labels.
const LABEL_STEP: u64 = 10;

/// The drawing and its caption. `None` without blocks.
pub(super) fn draw(blocks: &[Made]) -> Option<(String, String)> {
    let layout = Layout::of(blocks)?;
    let mut edges = String::new();
    let mut marks = String::new();
    let at: BTreeMap<BlockId, (f64, f64)> =
        layout.placed.iter().map(|placed| (placed.made.id, layout.place(placed.made.height.0, placed.lane))).collect();
    for placed in &layout.placed {
        let Made { id, parent, height, miner, at: found, .. } = placed.made;
        let (x, y) = at[id_of(placed)];
        // Blocks below the window are to the left of it.
        let (parent_x, parent_y) = at.get(parent).copied().unwrap_or((0.0, if placed.lane == 0 { y } else { TOP }));
        let class = if placed.lane == 0 { "edge" } else { "edge stale" };
        let middle = (parent_x + x) / 2.0;
        let path = format!("M{parent_x:.1},{parent_y:.1} C{middle:.1},{parent_y:.1} {middle:.1},{y:.1} {x:.1},{y:.1}");
        writeln!(edges, "  <path class=\"{class}\" d=\"{path}\" />").expect("a text takes everything");
        let class = if placed.lane == 0 { "block" } else { "block stale" };
        let title = format!("block {height}, found by node {miner} at {}, {id}", clock(found.0));
        let (left, top) = (x - BLOCK / 2.0, y - BLOCK / 2.0);
        writeln!(
            marks,
            "  <rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{BLOCK}\" height=\"{BLOCK}\" rx=\"2\">\
             <title>{}</title></rect>",
            escape(&title)
        )
        .expect("a text takes everything");
    }
    for height in (layout.from..=layout.to).filter(|height| height % LABEL_STEP == 0) {
        let (x, y) = layout.place(height, 0);
        writeln!(
            marks,
            "  <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{height}</text>",
            y - 16.0
        )
        .expect("a text takes everything");
    }
    let height = TOP + LANE_HEIGHT * layout.lanes as f64 + MARGIN;
    Some((drawing("The block tree", height, &(edges + &marks)), layout.caption(blocks)))
}

fn id_of<'a>(placed: &Placed<'a>) -> &'a BlockId {
    &placed.made.id
}

/// A block in its lane: 0 is the best chain.
#[derive(Debug)]
struct Placed<'a> {
    made: &'a Made,
    lane: usize,
}

#[derive(Debug)]
struct Layout<'a> {
    placed: Vec<Placed<'a>>,
    /// Heights, both included.
    from: u64,
    to: u64,
    /// The number of lanes beside the best chain.
    lanes: usize,
    /// The number of stale blocks of these heights for which there was no lane.
    left_out: u64,
}

impl<'a> Layout<'a> {
    fn of(blocks: &'a [Made]) -> Option<Self> {
        let (from, to) = window(blocks)?;
        let mut shown: Vec<&Made> = blocks.iter().filter(|made| (from..=to).contains(&made.height.0)).collect();
        shown.sort_by_key(|made| (made.height, made.at));
        let mut layout = Self { placed: Vec::new(), from, to, lanes: 0, left_out: 0 };
        // The last height of each lane, and the lane of each stale block.
        let mut ends: Vec<u64> = Vec::new();
        let mut lane_of: BTreeMap<BlockId, usize> = BTreeMap::new();
        for made in shown {
            if made.is_best {
                layout.placed.push(Placed { made, lane: 0 });
                continue;
            }
            let height = made.height.0;
            // A block continues its parent's lane, unless another child of that does. A free lane has room for the edge
            // to it.
            let own = lane_of.get(&made.parent).copied().filter(|lane| ends[*lane] + 1 == height);
            let free = || ends.iter().position(|end| end + 2 < height);
            let Some(lane) = own.or_else(free).or((ends.len() < LANES_MAX).then_some(ends.len())) else {
                layout.left_out += 1;
                continue;
            };
            if lane == ends.len() {
                ends.push(height);
            }
            ends[lane] = height;
            lane_of.insert(made.id, lane);
            layout.placed.push(Placed { made, lane: lane + 1 });
        }
        layout.lanes = ends.len();
        Some(layout)
    }

    fn place(&self, height: u64, lane: usize) -> (f64, f64) {
        let step = (WIDTH - 2.0 * MARGIN) / HEIGHTS_MAX as f64;
        (MARGIN + step * ((height - self.from) as f64 + 0.5), TOP + LANE_HEIGHT * lane as f64)
    }

    fn caption(&self, blocks: &[Made]) -> String {
        let stale = |made: &&Made| !made.is_best && (self.from..=self.to).contains(&made.height.0);
        let here = blocks.iter().filter(stale).count() as u64;
        let all = blocks.iter().filter(|made| !made.is_best).count() as u64;
        let highest = blocks.iter().map(|made| made.height.0).max().unwrap_or_default();
        let mut caption = format!("The best chain is the straight line; {} beside it.", counted(here, "stale block"));
        if self.from > 1 || self.to < highest {
            let why = if all > 0 { "where most stale blocks are" } else { "the last ones" };
            caption += &format!(" Shown are heights {} to {} of {highest}, {why} ({all} in all).", self.from, self.to);
        }
        if self.left_out > 0 {
            caption += &format!(" No room was left for {} of them.", self.left_out);
        }
        caption
    }
}

/// The first and the last height to show.
fn window(blocks: &[Made]) -> Option<(u64, u64)> {
    let highest = blocks.iter().map(|made| made.height.0).max()?;
    let lowest = blocks.iter().map(|made| made.height.0).min()?;
    if highest - lowest < HEIGHTS_MAX {
        return Some((lowest, highest));
    }
    let mut stale = vec![0u64; (highest - lowest + 1) as usize];
    for made in blocks.iter().filter(|made| !made.is_best) {
        stale[(made.height.0 - lowest) as usize] += 1;
    }
    let sums = stale.windows(HEIGHTS_MAX as usize).map(|window| window.iter().sum::<u64>());
    let most = sums.clone().max().unwrap_or_default();
    // The middle one of the best windows leaves most room on both sides of a long branch.
    let best: Vec<u64> = sums.zip(lowest..).filter(|(sum, _)| *sum == most).map(|(_, from)| from).collect();
    let from = if most == 0 { highest + 1 - HEIGHTS_MAX } else { *best.get(best.len() / 2)? };
    Some((from, from + HEIGHTS_MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Height, Millis};
    use crate::sim::id::NodeId;

    fn id(number: u64) -> BlockId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        BlockId(bytes)
    }

    /// A block by number, its parent's number, its height, and whether it is on the best chain.
    fn made(number: u64, parent: u64, height: u64, is_best: bool) -> Made {
        let (id, parent, height) = (id(number), id(parent), Height(height));
        Made { id, parent, height, miner: NodeId(0), at: Millis(number), is_best }
    }

    fn lanes(blocks: &[Made]) -> Vec<(u64, usize)> {
        let layout = Layout::of(blocks).expect("there are blocks");
        let mut lanes: Vec<_> = layout.placed.iter().map(|placed| (placed.made.at.0, placed.lane)).collect();
        lanes.sort_unstable();
        lanes
    }

    #[test]
    fn a_branch_keeps_its_lane_and_another_has_its_own() {
        let blocks = [
            made(1, 0, 1, true),
            made(2, 1, 2, true),
            made(3, 2, 3, true),
            made(12, 1, 2, false),
            made(13, 12, 3, false),
            made(23, 12, 3, false),
        ];
        assert_eq!(lanes(&blocks), [(1, 0), (2, 0), (3, 0), (12, 1), (13, 1), (23, 2)]);
    }

    #[test]
    fn a_lane_is_used_again_when_there_is_room() {
        let mut blocks: Vec<Made> = (1..=9).map(|height| made(height, height - 1, height, true)).collect();
        blocks.extend([made(12, 1, 2, false), made(14, 3, 4, false), made(17, 6, 7, false)]);
        let beside: Vec<_> = lanes(&blocks).into_iter().filter(|(_, lane)| *lane > 0).collect();
        assert_eq!(beside, [(12, 1), (14, 2), (17, 1)]);
    }

    #[test]
    fn a_long_chain_is_cut_to_its_stale_blocks() {
        let chain = |length| (1..=length).map(|height| made(height, height - 1, height, true)).collect::<Vec<_>>();
        assert_eq!(window(&chain(10)), Some((1, 10)));
        assert_eq!(window(&chain(500)), Some((500 + 1 - HEIGHTS_MAX, 500)));
        let mut forked = chain(500);
        forked.push(made(1_100, 99, 100, false));
        let (from, to) = window(&forked).expect("there are blocks");
        assert_eq!(to - from + 1, HEIGHTS_MAX);
        assert!((30..100).contains(&from), "in the middle: {from}");
        assert_eq!(window(&[]), None);
        let (_, caption) = draw(&forked).expect("there are blocks");
        assert!(caption.contains("of 500, where most stale blocks are (1 in all)"), "{caption}");
    }

    #[test]
    fn too_many_branches_are_counted() {
        let mut blocks = vec![made(1, 0, 1, true)];
        blocks.extend((0..LANES_MAX as u64 + 3).map(|number| made(100 + number, 0, 1, false)));
        assert_eq!(Layout::of(&blocks).expect("there are blocks").left_out, 3);
    }
}
