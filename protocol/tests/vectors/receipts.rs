//! Makes the vectors of receipts: texts with the proof in them, and texts that prove nothing, with the reason.

use data_encoding::BASE64;
use quipu_protocol::hash::sha256;
use quipu_protocol::history::{HistoryNode, halves};
use quipu_protocol::merkle::{self, AuditPath};
use quipu_protocol::receipt::{ChainProof, Content as BlockContent, Opening, Proof, ReceiptError, Shape};
use quipu_protocol::record::{Content, Record};
use quipu_protocol::{Action, Block, Header, Height, OutcomeHash, SignedTransaction, Target, UnixMillis, Work};

use crate::chains::{CaseChain, MINER};
use crate::form::{ReceiptAccepted, ReceiptCase, ReceiptRejected, Receipts};
use crate::records;
use crate::unreadable::unreadable;
use crate::world::{sign, transfer};

pub(crate) use quipu_protocol::receipt::Receipt;

fn record(record: &Record) -> Action {
    Action::Record { data: record.to_data().expect("within its limits").into() }
}

fn report() -> Record {
    let content = Content::File { sha256: sha256(&[b"abc"]), name: "report.pdf".to_owned(), size: 3 };
    Record { tags: vec!["lot-17".parse().expect("a tag")], content }
}

/// A chain with transactions in one block, from which receipts are made.
pub(crate) struct Story {
    chain: CaseChain,
    blocks: Vec<Block>,
    at: u64,
    position: usize,
}

impl Story {
    /// A chain on genesis, each block `millis` after the one before. The transactions are in block number `at`, and the receipts
    /// are for the one at `position`.
    fn new(
        network: &'static str,
        millis: impl IntoIterator<Item = u64>,
        at: u64,
        transactions: impl Fn(&CaseChain) -> Vec<SignedTransaction>,
        position: usize,
    ) -> Self {
        let mut chain = CaseChain::new(network);
        let transactions = transactions(&chain);
        for (height, millis) in (1..).zip(millis) {
            chain.good(millis, if height == at { transactions.clone() } else { vec![] });
        }
        let blocks = std::iter::once(chain.network.genesis().clone()).chain(chain.decoded()).collect();
        Self { chain, blocks, at, position }
    }

    fn tip(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    fn node(&self, range: std::ops::Range<u64>) -> HistoryNode {
        if range.end - range.start == 1 {
            return HistoryNode::of(&self.blocks[range.start as usize].header);
        }
        let (left, right) = halves(&range);
        HistoryNode::above(&self.node(left), &self.node(right))
    }

    fn below(&self, height: u64) -> Work {
        self.blocks[..height as usize].iter().map(|block| HistoryNode::of(&block.header).work).sum()
    }

    /// The receipt that shows these blocks.
    fn shaped(&self, shape: Shape) -> Receipt {
        let block = &self.blocks[self.at as usize];
        let leaves: Vec<_> = block.body.leaves().collect();
        let shown = shape.gather(|height| self.blocks[height as usize].header, |range| self.node(range));
        let content = |height: &Height| {
            let body = &self.blocks[height.0 as usize].body;
            BlockContent { outcome: body.context.outcome, root: merkle::root(body.leaves()) }
        };
        let contents = shown.missing().iter().map(content).collect();
        let proof = shown.proof(&block.body.context, contents);
        let inclusion = AuditPath::of(&leaves, 1 + self.position);
        Receipt::new(&self.chain.network, &block.body.transactions[self.position], inclusion, proof)
    }

    fn full(&self) -> Receipt {
        self.shaped(Shape::Full { block: Height(self.at), tip: Height(self.tip()) })
    }

    fn witnessed(&self, tip: u64) -> Receipt {
        self.shaped(Shape::Witnessed { block: Height(self.at), tip: Height(tip) })
    }

    fn opening(&self, tail: u64) -> Opening {
        let tip = (Height(self.tip()), &self.blocks[self.tip() as usize].header.id());
        Opening::with_tail(Height(self.at), Height(tail), tip, |height| self.below(height))
    }

    fn sampled(&self, tail: u64) -> Receipt {
        self.shaped(Shape::Sampled(self.opening(tail)))
    }
}

/// A text in the first of four blocks of `dev`.
fn plain() -> Story {
    let text = Record::text("shipment 17 arrived");
    Story::new("dev", [1000; 4], 1, |chain| vec![sign(&chain.network, MINER, 0, 0, record(&text))], 0)
}

/// A file's fingerprint: the second of three transactions in the third of six blocks of a network that retargets.
fn busy() -> Story {
    let transactions = |chain: &CaseChain| {
        let sign = |nonce, action| sign(&chain.network, MINER, nonce, 1000, action);
        vec![sign(0, transfer(2, 5)), sign(1, record(&report())), sign(2, transfer(3, 7))]
    };
    Story::new("knots", [20_000, 9_000, 4_000, 31_000, 2_500, 0], 3, transactions, 1)
}

/// A transfer in the last block.
fn moved() -> Story {
    Story::new("knots", [20_000, 12_000], 2, |chain| vec![chain.sign(MINER, 0, 1000, 2, 17)], 0)
}

/// A hundred blocks of a network that retargets, with the transactions in this one.
fn long(at: u64) -> Story {
    let millis = (0..100_u64).map(|number| number * number * 7919 % 20_000 + 90_000 * u64::from(number % 31 == 30));
    let transactions = |chain: &CaseChain| vec![sign(&chain.network, MINER, 0, 1000, record(&report()))];
    Story::new("knots", millis, at, transactions, 0)
}

/// Receipts in every form, on chains of two to a dozen blocks: another one for each number.
pub(crate) fn varied(number: u64) -> Receipt {
    let blocks = 2 + number % 11;
    let at = 1 + number / 11 % blocks;
    let millis = (0..blocks).map(|block| (number + 1) * (block + 3) * 7919 % 30_000);
    let text = Record::text(format!("receipt number {number}"));
    let story = Story::new("knots", millis, at, |chain| vec![sign(&chain.network, MINER, 0, 1000, record(&text))], 0);
    match number % 3 {
        0 => story.full(),
        1 if at < blocks => story.sampled(at + 1 + number / 3 % (blocks - at)),
        _ => story.witnessed(at + number / 3 % (blocks - at + 1)),
    }
}

pub(crate) fn fixed() -> Receipt {
    plain().full()
}

pub(crate) fn retargeted() -> Receipt {
    busy().full()
}

pub(crate) fn witnessed() -> Receipt {
    busy().witnessed(5)
}

pub(crate) fn sampled() -> Receipt {
    long(7).sampled(92)
}

/// The headers of a proof that has several.
pub(crate) fn headers(receipt: &mut Receipt) -> &mut Vec<Header> {
    match &mut receipt.proof {
        ChainProof::Full { headers, .. } | ChainProof::Sampled { headers, .. } => headers,
        other => panic!("{other:?} has no list of headers"),
    }
}

/// The same receipt with another last header, whose id it names as its tip.
pub(crate) fn with_last(mut receipt: Receipt, meets: bool, edit: impl FnOnce(&mut Header, &Header)) -> Receipt {
    let [.., parent, last] = headers(&mut receipt).as_mut_slice() else { unreachable!("at least two headers") };
    edit(last, parent);
    while last.target.is_met_by(&last.id()) != meets {
        last.nonce += 1;
    }
    receipt.tip = last.id();
    receipt
}

pub(crate) fn edited(mut receipt: Receipt, edit: impl FnOnce(&mut Receipt)) -> Receipt {
    edit(&mut receipt);
    receipt
}

/// The receipt with another proof in its text.
pub(crate) fn with_bytes(receipt: &Receipt, edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let text = receipt.to_json();
    let (before, rest) = text.split_once("\"proof\": \"").expect("a receipt has a proof");
    let (proof, after) = rest.split_once('"').expect("it ends");
    let mut bytes = BASE64.decode(proof.as_bytes()).expect("Base64");
    edit(&mut bytes);
    format!("{before}\"proof\": \"{}\"{after}", BASE64.encode(&bytes))
}

/// A block of the chain with the same height, parent and body as the one at a height, but dated differently: so it has work,
/// and commits to what is below it, but nothing stands on it.
fn sibling(story: &Story, height: u64) -> Header {
    let mut header = story.blocks[height as usize].header;
    header.timestamp = UnixMillis(header.timestamp.0 + 1);
    while !header.target.is_met_by(&header.id()) {
        header.nonce += 1;
    }
    header
}

/// A forged chain that holds another transaction in the block at a height, and goes on with real blocks where no header is
/// shown: all that is shown has work.
fn spliced() -> Receipt {
    let (mut story, real) = (long(7), long(8));
    let forged = std::mem::replace(&mut story.blocks, real.blocks);
    let opening = story.opening(92);
    // The first run of headers ends here.
    let end = opening.parts().headers[0].end as usize;
    story.blocks[..end].clone_from_slice(&forged[..end]);
    story.shaped(Shape::Sampled(opening))
}

/// A sampled receipt that leaves out a block which a sample hits.
fn evasive(story: &Story) -> Receipt {
    let opening = story.opening(92);
    let without = |left_out: &Height| {
        let others = opening.others.iter().copied().filter(|height| height != left_out).collect();
        story.shaped(Shape::Sampled(Opening { others, ..opening.clone() }))
    };
    let refused = |receipt: &Receipt| matches!(receipt.verify(), Err(ReceiptError::Samples { .. }));
    opening.others.iter().rev().map(without).find(refused).expect("a sample hits a block")
}

/// Readable receipts with an untrue claim.
fn refuted() -> Vec<(&'static str, &'static str, Receipt)> {
    let signed_as = |fee, action: &dyn Fn() -> Action| {
        Story::new("knots", [20_000], 1, |chain| vec![sign(&chain.network, MINER, 0, fee, action())], 0).full()
    };
    let other_genesis = moved().full().genesis;
    let mut cases = vec![
        ("parameters that make no network", "parameters", {
            edited(fixed(), |receipt| receipt.parameters.block_bytes_max = 1)
        }),
        ("a blank in the network's name", "parameters", {
            edited(fixed(), |receipt| receipt.parameters.name = "d ev".to_owned())
        }),
        ("another subsidy", "genesis", edited(fixed(), |receipt| receipt.parameters.subsidy = Default::default())),
        ("another genesis block", "genesis", edited(fixed(), |receipt| receipt.genesis = other_genesis)),
        ("the transaction is cut off", "transaction", edited(fixed(), |receipt| receipt.transaction.truncate(100))),
        ("no transaction", "transaction", edited(fixed(), |receipt| receipt.transaction.clear())),
        ("a fee below the least", "transaction_rule", signed_as(999, &|| transfer(2, 5))),
        ("a transfer of nothing", "transaction_rule", signed_as(1000, &|| transfer(2, 0))),
        ("another nonce than was signed", "signature", edited(fixed(), |receipt| receipt.transaction[36] ^= 1)),
        ("signed for another network", "signature", {
            let other = crate::world::network("riches");
            let signed = sign(&other, MINER, 0, 0, record(&Record::text("x")));
            edited(fixed(), |receipt| receipt.transaction = quipu_protocol::encode::encode(&signed))
        }),
        ("another position", "path", edited(retargeted(), |receipt| receipt.inclusion.position = 3)),
        ("another context", "path", {
            edited(fixed(), |receipt| {
                let ChainProof::Full { context, .. } = &mut receipt.proof else { unreachable!("it is full") };
                context.0[0] ^= 1;
            })
        }),
        (
            "the block of another transaction",
            "path",
            edited(retargeted(), |receipt| {
                let ChainProof::Full { height, .. } = &mut receipt.proof else { unreachable!("it is full") };
                *height = Height(4);
                headers(receipt).remove(0);
            }),
        ),
        ("a block at height 0 that is not genesis", "not_genesis", {
            edited(fixed(), |receipt| headers(receipt)[0].nonce = 7)
        }),
        ("a target of an easier time", "target", {
            with_last(retargeted(), true, |last, _| last.target = Target(0x2007_ffff))
        }),
        ("a first target that is none", "target", {
            edited(retargeted(), |receipt| headers(receipt)[0].target = Target(0))
        }),
        ("no work in the last header", "work", with_last(retargeted(), false, |last, _| last.nonce += 1)),
        ("no work in an ancestor", "work", {
            edited(retargeted(), |receipt| {
                let first = &mut headers(receipt)[0];
                while first.target.is_met_by(&first.id()) {
                    first.nonce += 1;
                }
            })
        }),
        ("another last header, with work", "tip", {
            let tip = fixed().tip;
            edited(with_last(fixed(), true, |last, _| last.nonce += 1), |receipt| receipt.tip = tip)
        }),
        ("a witness of another block", "tip", edited(busy().witnessed(3), |receipt| receipt.tip = fixed().tip)),
    ];
    cases.extend(refuted_with_history());
    cases
}

/// Changes headers, contents or nodes of a sampled proof.
type EditParts<'a> = &'a dyn Fn(&mut Vec<Header>, &mut Vec<BlockContent>, &mut Vec<HistoryNode>);

/// Readable receipts with an untrue claim about what is below blocks.
fn refuted_with_history() -> Vec<(&'static str, &'static str, Receipt)> {
    let story = long(7);
    let with_parts = |edit: EditParts<'_>| {
        edited(story.sampled(92), |receipt| {
            let ChainProof::Sampled { headers, contents, nodes, .. } = &mut receipt.proof else {
                unreachable!("it is sampled")
            };
            edit(headers, contents, nodes);
        })
    };
    let with_witness = |edit: &dyn Fn(&mut OutcomeHash, &mut BlockContent, &mut Vec<HistoryNode>)| {
        edited(busy().witnessed(5), |receipt| {
            let ChainProof::Witnessed { outcome, content, nodes, .. } = &mut receipt.proof else {
                unreachable!("it is witnessed")
            };
            edit(outcome, content, nodes);
        })
    };
    vec![
        ("witnessed: another outcome of the block", "path", {
            with_witness(&|outcome, _, _| *outcome = OutcomeHash([1; 32]))
        }),
        ("witnessed: another outcome of the tip", "history", {
            with_witness(&|_, content, _| content.outcome = OutcomeHash([1; 32]))
        }),
        ("witnessed: another root of the tip", "history", with_witness(&|_, content, _| content.root.0[5] ^= 1)),
        ("witnessed: another chain below the block", "path", with_witness(&|_, _, nodes| nodes[0].hash.0[0] ^= 1)),
        ("witnessed: more work above the block", "history", {
            with_witness(&|_, _, nodes| nodes.last_mut().expect("a node").work.0 += 1)
        }),
        ("sampled: more work below the block", "path", with_parts(&|_, _, nodes| nodes[0].work.0 += 1)),
        ("sampled: more work above the block", "history", {
            with_parts(&|_, _, nodes| nodes.last_mut().expect("a node").work.0 += 1)
        }),
        ("sampled: another root of a block", "history", with_parts(&|_, contents, _| contents[3].root.0[0] ^= 1)),
        ("sampled: another root of the tail's first block", "history", {
            with_parts(&|_, contents, _| {
                let tail = contents.len() - 2;
                contents[tail].root.0[0] ^= 1;
            })
        }),
        ("sampled: another root of the tip", "history", {
            with_parts(&|_, contents, _| contents.last_mut().expect("that of the tip").root.0[0] ^= 1)
        }),
        ("sampled: a sibling with work in place of a block", "history", {
            let opening = story.opening(92);
            let alone = opening.others.windows(2).find(|pair| pair[1].0 > pair[0].0 + 3).expect("blocks apart")[0];
            with_parts(&|headers, _, _| {
                let place = headers.iter_mut().find(|header| header.height == alone);
                *place.expect("its header is there") = sibling(&story, alone.0);
            })
        }),
        ("sampled: blocks of another chain above the block", "history", spliced()),
        ("sampled: a block is left out that a sample hits", "samples", evasive(&story)),
        ("sampled: a block of the tail has another target", "target", {
            with_last(story.sampled(92), true, |last, _| last.target = Target(0x2007_ffff))
        }),
        ("sampled: no work in a sampled block", "work", {
            with_parts(&|headers, _, _| {
                let last = headers.iter_mut().rev().find(|header| header.height.0 < 90).expect("a sampled block");
                while last.target.is_met_by(&last.id()) {
                    last.nonce += 1;
                }
            })
        }),
        ("sampled: another tip", "tip", edited(story.sampled(92), |receipt| receipt.tip.0[31] ^= 1)),
    ]
}

pub(crate) fn receipts() -> Receipts {
    let compact = fixed().to_compact_json();
    let accepted = [
        ("a text on genesis, at a fixed difficulty", fixed().to_json()),
        ("a file among other transactions, with retargeting", retargeted().to_json()),
        ("a transfer, in the last block", moved().full().to_json()),
        ("no blanks", compact),
        ("other blanks", fixed().to_json().replace('\n', "\r\n\t ")),
        ("witnessed by the block itself", busy().witnessed(3).to_json()),
        ("witnessed by the next block", busy().witnessed(4).to_json()),
        ("witnessed by a later block", witnessed().to_json()),
        ("witnessed, on genesis", plain().witnessed(4).to_json()),
        ("sampled, with a tail", sampled().to_json()),
        ("sampled, with the tip as its tail", long(1).sampled(100).to_json()),
        ("sampled, half of it in the tail", long(2).sampled(51).to_json()),
        ("sampled, of a block far from genesis", long(77).sampled(97).to_json()),
        ("sampled, of the block below the tail", long(50).sampled(51).to_json()),
    ];
    let accepted = accepted.map(|(name, receipt)| {
        let accept = judge(receipt.as_bytes()).unwrap_or_else(|rejected| panic!("{name}: {rejected:?}"));
        ReceiptCase { name: name.to_owned(), receipt, accept: Some(accept), reject: None }
    });
    let reject = |name: &str, receipt, unreadable, reason: &str| {
        let reject = Some(ReceiptRejected { unreadable, reason: reason.to_owned() });
        ReceiptCase { name: name.to_owned(), receipt, accept: None, reject }
    };
    let refuted = refuted().into_iter().map(|(name, reason, receipt)| reject(name, receipt.to_json(), false, reason));
    let unreadable = unreadable().into_iter().map(|(name, reason, text)| reject(name, text, true, reason));
    Receipts {
        about: "Texts that are offered as a receipt: what they prove, or why nothing. Numbers are decimal strings."
            .to_owned(),
        cases: accepted.into_iter().chain(refuted).chain(unreadable).collect(),
    }
}

/// The library's verdict.
pub(crate) fn judge(text: &[u8]) -> Result<ReceiptAccepted, ReceiptRejected> {
    let proof = Receipt::read(text).and_then(|receipt| receipt.verify());
    proof.map(|proof| facts(&proof)).map_err(|error: ReceiptError| ReceiptRejected {
        unreadable: error.is_unreadable(),
        reason: error.code().to_owned(),
    })
}

fn facts(proof: &Proof) -> ReceiptAccepted {
    let (block, tip) = (proof.block(), proof.tip());
    ReceiptAccepted {
        network: proof.network().parameters().name.clone(),
        genesis: proof.network().genesis_id().to_string(),
        id: proof.id().to_string(),
        sender: proof.sender().to_string(),
        record: proof.record().map(records::facts),
        form: proof.form().word().to_owned(),
        height: block.height.to_string(),
        block: block.id.to_string(),
        timestamp: block.timestamp.0.to_string(),
        parent_timestamp: proof.parent_timestamp().map(|timestamp| timestamp.0.to_string()),
        earliest: proof.earliest().0.to_string(),
        latest: proof.latest().map(|latest| latest.0.to_string()),
        confirmations: proof.confirmations().to_string(),
        work: proof.work().to_string(),
        tip: tip.id.to_string(),
        tip_height: tip.height.to_string(),
        tip_timestamp: tip.timestamp.0.to_string(),
    }
}
