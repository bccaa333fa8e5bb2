//! Makes the vectors of texts that are no receipt, or not written as one.

use quipu_protocol::receipt::ChainProof;
use quipu_protocol::{Height, Work};

use crate::receipts::{edited, fixed, sampled, with_bytes, witnessed};

/// Texts that are not a receipt, or not written as one.
pub(crate) fn unreadable() -> Vec<(&'static str, &'static str, String)> {
    let text = fixed().to_json();
    let replaced = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from} stands once in a receipt");
        text.replace(from, to)
    };
    let tip = format!("\"{}\"", fixed().tip);
    let bytes = |edit: &dyn Fn(&mut Vec<u8>)| with_bytes(&fixed(), edit);
    // The fixed receipt's proof: position 1 of 2, one hash, height 1, 4 confirmations, a context, headers.
    let (height, confirmations) = (34, 35);
    let sampled = sampled();
    let ChainProof::Sampled { opening, .. } = &sampled.proof else { unreachable!("it is sampled") };
    assert_eq!((opening.block, opening.tip, opening.tail), (Height(7), Height(100), Height(92)));
    let of_sampled = |at: usize, byte: u8| with_bytes(&sampled, |bytes| bytes[at] = byte);
    vec![
        ("nothing", "form", String::new()),
        ("an empty object", "form", "{}".to_owned()),
        ("cut off", "form", text[..text.len() / 2].to_owned()),
        ("something behind it", "form", format!("{text}{{}}")),
        ("version 1", "version", replaced("\"quipu_receipt\": 2", "\"quipu_receipt\": 1")),
        ("version 3 with other fields", "version", "{\"more\": [1], \"quipu_receipt\": 3}".to_owned()),
        ("an unknown field", "form", replaced("  \"tip\"", "  \"note\": 1,\n  \"tip\"")),
        ("a missing field", "form", replaced(&format!(",\n  \"tip\": {tip}"), "")),
        ("a repeated field", "form", replaced("  \"tip\"", &format!("  \"tip\": {tip},\n  \"tip\""))),
        ("an unknown parameter", "form", replaced("\"fee_min\": \"0\"", "\"fee_min\": \"0\", \"fee_max\": \"0\"")),
        ("a number as text", "form", replaced("1793491200000", "\"1793491200000\"")),
        ("a name that is no text", "form", replaced("\"dev\"", "\"\\ud800\"")),
        ("an unknown form", "form", replaced("\"full\"", "\"short\"")),
        ("another form than the proof's", "form", replaced("\"full\"", "\"sampled\"")),
        ("no padding", "form", text.replace('=', "")),
        ("a blank in a proof", "form", text.replacen("\"proof\": \"", "\"proof\": \" ", 1)),
        ("Base64 for URLs", "form", text.replace(['+', '/'], "_")),
        ("a proof that is cut off", "form", bytes(&|bytes| bytes.truncate(bytes.len() - 1))),
        ("a proof with something behind it", "form", bytes(&|bytes| bytes.push(0))),
        ("a number with a needless byte", "form", bytes(&|bytes| drop(bytes.splice(0..1, [0x81, 0])))),
        ("the position of the reward", "form", bytes(&|bytes| bytes[0] = 0)),
        ("a position beyond the leaves", "form", bytes(&|bytes| bytes[0] = 2)),
        ("more leaves than a block can have", "form", {
            bytes(&|bytes| drop(bytes.splice(1..2, [0x81, 0x80, 0x80, 0x80, 0x10])))
        }),
        ("genesis", "form", bytes(&|bytes| bytes[height] = 0)),
        ("a height beyond 2^32", "form", {
            bytes(&|bytes| drop(bytes.splice(height..height + 1, [0x80, 0x80, 0x80, 0x80, 0x10])))
        }),
        ("no confirmation", "form", bytes(&|bytes| bytes[confirmations] = 0)),
        ("a header is missing", "form", bytes(&|bytes| bytes[confirmations] = 5)),
        ("more headers than a receipt may have", "form", {
            bytes(&|bytes| drop(bytes.splice(confirmations..confirmations + 1, [0x80, 0x80, 0x04])))
        }),
        ("a time beyond 2^64", "form", {
            bytes(&|bytes| {
                // The end of genesis' time.
                let time = confirmations + 1 + 32 + 64;
                bytes[time..time + 8].fill(0xff);
            })
        }),
        ("no tail", "form", of_sampled(36, 0)),
        ("a tail beyond the tip", "form", of_sampled(36, 94)),
        ("an opened block in the tail", "form", of_sampled(38, 84)),
        ("an outcome of no kind", "form", {
            with_bytes(&witnessed(), |bytes| {
                // Behind position, leaves, two hashes, height and distance.
                assert_eq!(bytes[68], 0);
                bytes[68] = 2;
            })
        }),
        ("no outcome in 33 bytes", "form", {
            with_bytes(&witnessed(), |bytes| drop(bytes.splice(68..69, [vec![1], vec![0; 32]].concat())))
        }),
        ("a node with more work than its blocks can have", "form", {
            let changed = edited(witnessed(), |receipt| {
                let ChainProof::Witnessed { nodes, .. } = &mut receipt.proof else { unreachable!("it is witnessed") };
                // One block's node: it is beside that of the block.
                nodes.last_mut().expect("a node").work = Work(1 << 99);
            });
            changed.to_json()
        }),
        ("fields in another order", "not_canonical", {
            replaced("  \"quipu_receipt\": 2,\n", "").replacen("\n}", ",\n  \"quipu_receipt\": 2\n}", 1)
        }),
        ("hex digits in upper case", "not_canonical", text.replace(&tip, &tip.to_uppercase())),
        ("an amount with needless zeros", "not_canonical", replaced("\"subsidy\": \"1\"", "\"subsidy\": \"1.0\"")),
        ("a needless escape", "not_canonical", replaced("\"dev\"", "\"\\u0064ev\"")),
    ]
}
