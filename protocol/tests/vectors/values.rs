//! Makes the vectors of hashes, texts, targets, trees and networks.

use ethnum::U256;
use quipu_protocol::account::AddressError;
use quipu_protocol::block::Reward;
use quipu_protocol::compact::LeafHasher;
use quipu_protocol::encode::encode;
use quipu_protocol::hash::tagged_hash;
use quipu_protocol::work::Retarget;
use quipu_protocol::{Address, Amount, BlockId, LeafHash, Millis, Network, Parameters, PublicKey, Target, UnixMillis};
use quipu_protocol::{Header, Height, merkle};

use crate::form::*;
use crate::world::{key, network, parameters};

pub(crate) fn hashes() -> Hashes {
    let tagged = ["quipu network 1", "quipu reward 1", ""].map(|tag| {
        let message = if tag.is_empty() { Vec::new() } else { b"abc".to_vec() };
        let hash = hex::encode(tagged_hash(tag, &[&message]));
        Tagged { tag: tag.to_owned(), message: HexBytes(message), hash }
    });
    let header = Header {
        version: quipu_protocol::block::VERSION,
        height: Height(0x0102_0304_0506_0708),
        parent: BlockId([0x11; 32]),
        root: LeafHash([0x22; 32]),
        timestamp: UnixMillis(1_793_491_200_123),
        target: Target(0x1e03_ffff),
        nonce: u64::MAX - 1,
    };
    let block_ids = [header, network("lan").genesis().header, network("dev").genesis().header]
        .map(|header| BlockIdCase { header: HexBytes(encode(&header)), id: header.id().to_string() });
    let reward = Reward { to: Address([0x33; 20]), amount: Amount::COIN };
    let reward_ids = [BlockId([0; 32]), header.id()].map(|parent| RewardIdCase {
        parent: parent.to_string(),
        reward: HexBytes(encode(&reward)),
        id: reward.id(&parent).to_string(),
        leaf: reward.leaf().to_string(),
    });
    let short_ids = [[0; 32], [0x44; 32], header.id().0].map(LeafHash).map(|leaf| ShortIdCase {
        header: HexBytes(encode(&header)),
        leaf: leaf.to_string(),
        hash: LeafHasher::of(&header).hash(&leaf).to_string(),
    });
    Hashes {
        about: "Tagged hashes, ids of headers, ids and leaves of rewards, hashes of leaves for short ids.".to_owned(),
        tagged: tagged.into(),
        block_ids: block_ids.into(),
        reward_ids: reward_ids.into(),
        short_ids: short_ids.into(),
    }
}

pub(crate) fn addresses() -> Addresses {
    let of_keys = (1..=4)
        .map(|seed| {
            let public_key = key(seed).public_key();
            let PublicKey::Ed25519(bytes) = public_key;
            KeyCase { public_key: hex::encode(bytes), address: public_key.address().to_string() }
        })
        .collect();
    let accepted = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", // these four are from EIP-55
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0xd1220a0cf47c7b9be7a2e6ba89f429762e7b9adb", // no checksum
        "0xD1220A0CF47C7B9BE7A2E6BA89F429762E7B9ADB",
        "0x0000000000000000000000000000000000000000",
    ];
    let accepted = accepted.map(|text| {
        let address: Address = text.parse().expect("a valid address");
        AddressCase { text: text.to_owned(), bytes: HexBytes(address.0.to_vec()) }
    });
    let refused = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAec", // last digit
        "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", // case of one digit
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
        "0x",
        "",
    ];
    assert_eq!(refused[0].parse::<Address>(), Err(AddressError::Checksum));
    Addresses {
        about: "Addresses of Ed25519 keys; texts that are an address, texts that are none.".to_owned(),
        of_keys,
        accepted: accepted.into(),
        refused: refused.map(str::to_owned).into(),
    }
}

pub(crate) fn amounts() -> Amounts {
    let shown = [0, 1, 10, 99_999_999, 100_000_000, 250_000_000, 1_000_000_000_000, u64::MAX]
        .map(|units| AmountCase { text: Amount::from_units(units).to_string(), units: units.to_string() });
    let accepted = [".5", "5.", "007", "1.500000000000", "184467440737.09551615"].map(|text| {
        let amount: Amount = text.parse().expect("a valid amount");
        AmountCase { text: text.to_owned(), units: amount.units().to_string() }
    });
    let refused = [
        "",
        ".",
        "-",
        "-1",
        "-0",
        "+1",
        "1e3",
        "1,5",
        "1.2.3",
        " 1",
        "1 ",
        "0x1",
        "NaN",
        "inf",
        "0.000000001",
        "184467440737.09551616",
        "99999999999999999999999",
    ];
    Amounts {
        about: "How amounts are written; other texts that are read as an amount; texts that are refused.".to_owned(),
        shown: shown.into(),
        accepted: accepted.into(),
        refused: refused.map(str::to_owned).into(),
    }
}

fn hex_bound(bound: U256) -> String {
    hex::encode(bound.to_be_bytes())
}

pub(crate) fn targets() -> Targets {
    let compact = [
        0x1e03_ffff,
        0x2100_ffff,
        0x207f_ffff,
        0x2007_ffff,
        0x1d00_ffff,
        0x1c00_8000,
        0x1b7f_ffff,
        0x1a12_3456,
        0x1501_0000,
        0x1501_0001,
    ];
    let compact = compact.map(|compact| {
        let target = Target(compact);
        let bound = hex_bound(target.expand().expect("a canonical target"));
        CompactCase { compact: target.to_string(), bound, work: target.work().to_string() }
    });
    let refused = [
        0,
        0x0100_0001,
        0x1d00_0000,
        0x1d80_ffff,
        0x1e00_00ff,
        0x1e00_7fff,
        0x2200_ffff,
        0x2101_0000,
        0x2280_0000,
        0x1500_ffff,
        0x147f_ffff,
        0xff7f_ffff,
        0xffff_ffff,
    ];
    for compact in refused {
        assert_eq!(Target(compact).expand(), None, "{compact:#x}");
    }
    let one = U256::ONE;
    let bounds = [
        U256::MAX,
        one << 255,
        (one << 255) - one,
        (one << 248) - one,
        one << 160,
        (one << 160) + (one << 145),
        (one << 160) + (one << 144),
        (one << 160) + (one << 144) - one,
        U256::from(0x0012_3456_789a_bcde_u64) << 170,
    ];
    let compress =
        bounds.map(|bound| CompressCase { bound: hex_bound(bound), compact: Target::compress(bound).to_string() });
    Targets {
        about: "Compact targets with their bound (256 bits, big endian) and work; numbers that are no compact target; \
                bounds and the largest target that does not exceed them; the retargeting rule."
            .to_owned(),
        compact: compact.into(),
        refused: refused.map(|compact| Target(compact).to_string()).into(),
        compress: compress.into(),
        retarget: retarget(),
    }
}

fn retarget() -> Vec<RetargetCase> {
    let lan = network("lan").retarget();
    let widest = Retarget { easiest: Target(0x2100_ffff), ..lan };
    let jumpy = Retarget { half_life: Millis(1), ..widest };
    let fixed = Retarget { half_life: Millis(0), ..lan };
    let old = Retarget { grace: Millis(0), ..lan };
    let (hard, year) = (0x1c12_3456, 365 * 86_400_000);
    let cases = [
        ("a parent on time: nothing changes", lan, hard, 10_000, 10_000),
        ("the block's own time does not matter before the grace is over", lan, hard, 10_000, 0),
        ("nor at its very end", lan, hard, 10_000, 60_000),
        ("a millisecond after the grace: too little to change a target", lan, hard, 10_000, 60_001),
        ("a second after the grace", lan, hard, 10_000, 61_000),
        ("one half-life after the grace: twice the target", lan, hard, 10_000, 240_000),
        ("a parent a millisecond late: too little to change a target", lan, hard, 10_001, 10_000),
        ("a parent a millisecond early: rounding is towards minus infinity", lan, hard, 9_999, 10_000),
        ("a parent a second late", lan, hard, 11_000, 10_000),
        ("a parent at its own parent's time", lan, hard, 0, 10_000),
        ("a parent late by the grace", lan, hard, 70_000, 10_000),
        ("a parent late by years: what is beyond the grace counted at the parent itself", lan, hard, 10 * year, 10_000),
        ("both late by more than the grace", lan, hard, 371_234, 371_234),
        ("17 half-lives after the grace: shifted up, not down", lan, 0x1a12_3456, 10_000, 3_120_000),
        ("clamped at the easiest", lan, hard, 10_000, year),
        ("clamped at the easiest, by a factor of 2^1000000", jumpy, hard, 10_000, 1_060_000),
        ("clamped at the easiest, at the end of time", lan, hard, u64::MAX, u64::MAX),
        ("clamped at the hardest", lan, 0x1501_0000, 0, 0),
        ("just under the easiest", lan, 0x1e03_ffff, 9_000, 10_000),
        ("the widest bound, early", widest, 0x2100_ffff, 0, 0),
        ("the widest bound, late: the product needs more than 256 bits", widest, 0x2100_ffff, 20_000, 240_000),
        ("a parent under half of the widest bound", widest, 0x207f_ffff, 20_000, 240_000),
        ("a half-life of a millisecond, 40 of them early", jumpy, 0x207f_ffff, 9_960, 0),
        ("no grace: only the block's own time matters", old, hard, 0, 11_000),
        ("no grace, and at once", old, hard, 60_000, 0),
        ("a grace shorter than the spacing", Retarget { grace: Millis(4_000), ..lan }, hard, 9_000, 9_000),
        ("a grace without end", Retarget { grace: Millis(u64::MAX), ..lan }, hard, 190_000, year),
        ("a fixed difficulty, early", fixed, 0x1e03_ffff, 0, 0),
        ("a fixed difficulty, late", fixed, 0x1e03_ffff, year, year),
    ];
    let case = |(name, rule, parent, before, since): (&str, Retarget, u32, u64, u64)| RetargetCase {
        name: name.to_owned(),
        spacing: rule.spacing.0.to_string(),
        half_life: rule.half_life.0.to_string(),
        grace: rule.grace.0.to_string(),
        easiest: rule.easiest.to_string(),
        parent_target: Target(parent).to_string(),
        before: before.to_string(),
        since: since.to_string(),
        target: rule.target_after(Target(parent), Millis(before), Millis(since)).to_string(),
    };
    cases.map(case).into()
}

pub(crate) fn merkle_trees() -> Merkle {
    let certificate_transparency =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .map(|text| hex::decode(text).expect("hex"));
    let mut lists: Vec<Vec<Vec<u8>>> = (0..=8).map(|count| certificate_transparency[..count].to_vec()).collect();
    let mut repeated = certificate_transparency[..3].to_vec();
    repeated.push(repeated[2].clone());
    lists.push(repeated);
    let case = |leaves: Vec<Vec<u8>>| {
        let root = merkle::root(leaves.iter().map(|bytes| merkle::leaf(bytes))).to_string();
        MerkleCase { leaves: leaves.into_iter().map(HexBytes).collect(), root }
    };
    Merkle {
        about: "Roots over leaves given as the bytes that are hashed. Up to eight leaves these are the cases of \
                Certificate Transparency; the last repeats the third leaf of the fourth case and has another root."
            .to_owned(),
        cases: lists.into_iter().map(case).collect(),
    }
}

pub(crate) fn networks() -> Networks {
    let case = |parameters: Parameters| {
        let network = Network::new(parameters.clone()).expect("valid parameters");
        NetworkCase {
            name: parameters.name.clone(),
            genesis_time: parameters.genesis_time.0.to_string(),
            target_spacing: parameters.target_spacing.0.to_string(),
            half_life: parameters.half_life.0.to_string(),
            grace: parameters.grace.0.to_string(),
            easiest_target: parameters.easiest_target.to_string(),
            future_time_max: parameters.future_time_max.0.to_string(),
            subsidy: parameters.subsidy.units().to_string(),
            fee_min: parameters.fee_min.units().to_string(),
            block_bytes_max: parameters.block_bytes_max,
            opening_balances: parameters.opening_balances.clone(),
            contracts: parameters.contracts,
            encoding: HexBytes(parameters.encoding()),
            hash: parameters.hash().to_string(),
            genesis: HexBytes(encode(network.genesis())),
            genesis_id: network.genesis_id().to_string(),
            tag: network.tag(),
        }
    };
    Networks {
        about: "The presets `lan`, `class` and `dev`, and three networks that only the vectors use. The other files name them."
            .to_owned(),
        cases: parameters().into_iter().map(case).collect(),
    }
}
