//! Nodes that are found and can't be joined: the user is told why, once for each network.

use std::collections::BTreeSet;

/// Networks that the user is told of. Nodes of further ones are passed over in silence.
const TOLD_MAX: usize = 8;
/// Digits of a protocol's version, and of a network's tag, that are worth showing.
const VERSION_DIGITS_MAX: usize = 5;
const TAG_DIGITS_MAX: usize = 16;

/// The reason for a program that doesn't say it is quipu.
pub(super) const NOT_OURS: &str = "speaks another network or is not quipu";

/// What nodes say of their protocol, as identify carries it: `/quipu/VERSION/NETWORK`.
#[derive(Debug)]
pub(super) struct Strangers {
    ours: String,
    told: BTreeSet<String>,
}

impl Strangers {
    pub(super) fn new(ours: &str) -> Self {
        Self { ours: ours.to_owned(), told: BTreeSet::new() }
    }

    /// The reason why a node that says this can't be joined; `None` if it is another program.
    pub(super) fn why(&self, theirs: &str) -> Option<String> {
        let (version, network) = parts(theirs)?;
        let (our_version, our_network) = parts(&self.ours)?;
        if version != our_version {
            let newer = version.parse::<u32>().ok()? > our_version.parse::<u32>().ok()?;
            let older_one = if newer { "this node" } else { "that node" };
            return Some(format!(
                "it says that it speaks version {version} of the protocol, this node {our_version}: update {older_one}"
            ));
        }
        (network != our_network).then(|| {
            format!(
                "it is of another network ({network}, this node's is {our_network}): start both with the same --network or --room"
            )
        })
    }

    /// Whether the user has not been told of these yet, and is told now.
    pub(super) fn is_news(&mut self, theirs: &str) -> bool {
        self.told.len() < TOLD_MAX && self.told.insert(theirs.to_owned())
    }
}

fn parts(text: &str) -> Option<(&str, &str)> {
    let (version, network) = text.strip_prefix("/quipu/")?.split_once('/')?;
    let is_version =
        (1..=VERSION_DIGITS_MAX).contains(&version.len()) && version.bytes().all(|digit| digit.is_ascii_digit());
    let is_tag =
        (1..=TAG_DIGITS_MAX).contains(&network.len()) && network.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_version && is_tag).then_some((version, network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_version_or_the_network() {
        let strangers = Strangers::new("/quipu/2/00ff");
        let why = |theirs: &str| strangers.why(theirs).unwrap_or_default();
        assert!(why("/quipu/3/00ff").ends_with("this node 2: update this node"));
        assert!(why("/quipu/1/abcd").ends_with("update that node"));
        assert!(why("/quipu/2/abcd").contains("abcd, this node's is 00ff"));
        for other in
            ["/quipu/2/00ff", "ipfs/0.1.0", "/quipu/2", "/quipu/2/xyz", "/quipu//00ff", "/quipu/123456/00ff", ""]
        {
            assert_eq!(why(other), "", "{other}");
        }
        assert_eq!(why(&format!("/quipu/2/{}", "a".repeat(17))), "");
    }

    #[test]
    fn each_is_told_once_and_few_in_all() {
        let mut strangers = Strangers::new("/quipu/2/00ff");
        let news = (0..20).chain(0..20).filter(|network| strangers.is_news(&format!("/quipu/2/{network}"))).count();
        assert_eq!(news, TOLD_MAX);
    }
}
