//! The bytes that cross each link between processes of this machine, counted by their sockets (ss of iproute2): all of
//! them, in both directions, including encryption and everything that is not about blocks.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The ports of both ends of a connection, the smaller one first, and the bytes that both have sent.
pub(crate) type LinkTraffic = BTreeMap<(u16, u16), u64>;

/// The bytes so far, on connections with one of these ports at an end.
pub(crate) fn so_far(ports: &[u16]) -> Result<LinkTraffic> {
    let missing = "ss is needed to count bytes on sockets: please install iproute2";
    let output = Command::new("ss").args(["-tinHO", "state", "established"]).output().context(missing)?;
    if !output.status.success() {
        bail!("ss: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut traffic = LinkTraffic::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((ends, sent)) = parse(line) else { continue };
        if ports.contains(&ends.0) || ports.contains(&ends.1) {
            *traffic.entry(ends).or_default() += sent;
        }
    }
    Ok(traffic)
}

/// Parses queues, local end, remote end, and `bytes_sent:` among the rest, which is missing if nothing was sent.
fn parse(line: &str) -> Option<((u16, u16), u64)> {
    let port = |end: &str| end.rsplit(':').next()?.parse::<u16>().ok();
    let mut words = line.split_whitespace().skip(2);
    let (local, remote) = (port(words.next()?)?, port(words.next()?)?);
    let sent = words.find_map(|word| word.strip_prefix("bytes_sent:")).map_or(Some(0), |sent| sent.parse().ok())?;
    Some(((local.min(remote), local.max(remote)), sent))
}

/// The bytes that crossed each link between two counts, sorted.
pub(crate) fn between(before: &LinkTraffic, after: &LinkTraffic) -> Vec<u64> {
    let of = |ends: &(u16, u16)| before.get(ends).copied().unwrap_or_default();
    let mut crossed: Vec<u64> = after.iter().map(|(ends, bytes)| bytes.saturating_sub(of(ends))).collect();
    crossed.sort_unstable();
    crossed
}
