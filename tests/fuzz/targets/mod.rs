//! The fuzz targets: functions that take any bytes and panic on a bug.
//!
//! This folder is shared with `fuzz_targets`, where each becomes a program for cargo-fuzz.

mod decoders;
mod engine;
#[cfg(feature = "node")]
mod files;
mod scenarios;
mod texts;

/// The target's name, which its folder in the corpus has too, and the function that runs an input.
type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const ALL: &[FuzzTarget] = &[
    ("blocks", decoders::blocks),
    ("announcements", decoders::announcements),
    ("transactions", decoders::transactions),
    ("bundles", decoders::bundles),
    ("headers", decoders::headers),
    ("requests", decoders::requests),
    ("responses", decoders::responses),
    ("records", texts::records),
    ("receipts", texts::receipts),
    ("values", texts::values),
    ("scenarios", scenarios::scenarios),
    #[cfg(feature = "node")]
    ("commands", files::commands),
    #[cfg(feature = "node")]
    ("networks", files::networks),
    #[cfg(feature = "node")]
    ("aliases", files::aliases),
    #[cfg(feature = "node")]
    ("wallets", files::wallets),
    #[cfg(feature = "node")]
    ("keys", files::keys),
    ("engine", engine::engine),
];

/// Runs the target of that name.
pub(crate) fn run(name: &str, data: &[u8]) {
    let (_, target) = ALL.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("there is no target {name}"));
    target(data);
}
