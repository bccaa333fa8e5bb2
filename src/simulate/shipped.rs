//! The scenarios that come with the program.

/// The scenarios' names, in the order in which they are listed.
pub(super) const NAMES: [&str; 7] = ["lan", "internet", "partition", "selfish", "shock", "slow", "churn"];

const TEXTS: [&str; 7] = [
    include_str!("scenarios/lan.toml"),
    include_str!("scenarios/internet.toml"),
    include_str!("scenarios/partition.toml"),
    include_str!("scenarios/selfish.toml"),
    include_str!("scenarios/shock.toml"),
    include_str!("scenarios/slow.toml"),
    include_str!("scenarios/churn.toml"),
];

/// The TOML of a shipped scenario.
pub(super) fn text_of(name: &str) -> Option<&'static str> {
    NAMES.iter().zip(TEXTS).find(|(other, _)| **other == name).map(|(_, text)| text)
}
