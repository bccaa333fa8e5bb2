//! Bodies of side branches: in memory and bounded, until their chain has more work.

use quipu_protocol::{Block, BlockId, Parameters, Request};

use super::super::chain::ASIDE_BYTES_MAX;
use super::super::event::{Event, Ticket, Verdict};
use super::{Bench, headers};

impl Bench {
    fn is_on_disk(&self, block: &Block) -> bool {
        let id: BlockId = block.header.id();
        self.disk.stored().headers.iter().any(|stored| stored.id == id)
    }
}

#[test]
fn a_side_branch_is_written_when_it_has_more_work() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    let (ours, side) = (bench.chain(&genesis, 2, 1), bench.chain(&genesis, 3, 2));
    for block in &ours {
        bench.gossip_block(peer, block);
    }
    for block in &side[..2] {
        assert_eq!(bench.gossip_block(peer, block), Verdict::Ignore);
        assert!(!bench.is_on_disk(block));
    }
    assert!(bench.occupancy("aside_bytes") > 0);
    // The store would not find those in memory.
    let ids: Vec<_> = side[..2].iter().chain(&ours).map(|block| block.header.id()).collect();
    bench.event(Event::Request { peer, ticket: Ticket(1), request: Request::Blocks { ids: ids.clone().into() } });
    let served: Vec<_> = bench.seen.served.concat().iter().map(|place| place.id).collect();
    assert_eq!(served, ids[2..]);
    assert_eq!(bench.gossip_block(peer, &side[2]), Verdict::Accept);
    assert!(side.iter().all(|block| bench.is_on_disk(block)) && ours.iter().all(|block| bench.is_on_disk(block)));
    assert_eq!((bench.tip(), bench.occupancy("aside_bytes")), (side[2].header.id(), 0));
}

#[test]
fn what_was_put_aside_is_fetched_again_after_a_restart() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    let (ours, side) = (bench.chain(&genesis, 2, 1), bench.chain(&genesis, 3, 2));
    for block in ours.iter().chain(&side[..2]) {
        bench.gossip_block(peer, block);
    }
    bench.restart();
    assert_eq!((bench.tip(), bench.occupancy("headers")), (ours[1].header.id(), 3));
    let peer = bench.connect_with(&side[2].header, 3);
    bench.answer_headers(peer, &headers(&side));
    bench.answer_blocks(peer, &side);
    assert_eq!(bench.tip(), side[2].header.id());
}

/// Siblings of the tip, each as long as can be: they take no more memory than the bound, and nothing of the disk.
#[test]
fn siblings_are_bounded_and_the_first_ones_stay() {
    let mut bench = Bench::with(Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() });
    let (honest, flooder) = (bench.connect(), bench.connect());
    let genesis = bench.genesis();
    let ours = bench.chain(&genesis, 2, 1);
    for block in &ours {
        bench.gossip_block(honest, block);
    }
    let first = bench.block(&ours[0].header, 9, vec![]);
    bench.gossip_block(honest, &first);
    let length = quipu_protocol::encode::encode(&bench.large_chain(&genesis, 1, 20)[0]).len();
    let count = (ASIDE_BYTES_MAX / length) as u8 + 3;
    for branch in 20..20 + count {
        // Two of less work than the first, then more with as much than there is room for.
        let on = if branch < 22 { genesis } else { ours[0].header };
        let sibling = &bench.large_chain(&on, 1, branch)[0];
        assert_eq!(bench.gossip_block(flooder, sibling), Verdict::Ignore);
        assert!(bench.occupancy("aside_bytes") <= ASIDE_BYTES_MAX);
        assert!(!bench.is_on_disk(sibling));
    }
    assert!(bench.occupancy("aside_bytes") > ASIDE_BYTES_MAX - 2 * length, "the bound was reached");
    // The first is there still: its child has more work, and needs nothing else.
    let child = bench.block(&first.header, 9, vec![]);
    assert_eq!(bench.gossip_block(honest, &child), Verdict::Accept);
    assert_eq!(bench.tip(), child.header.id());
}
