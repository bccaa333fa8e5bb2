//! The size of the program; with `--build` the time of a clean release build, beside one of libp2p alone with the same
//! features, versions and profile.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use toml::{Table, Value};

use crate::Context;
use crate::figure::FigureRow;
use crate::process::{folder, program};

pub(super) const NAME: &str = "binary";
const BINARY_MIB_MAX: f64 = 22.0;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let program = program();
    let length = fs::metadata(&program).with_context(|| format!("{}", Path::new(&program).display()))?.len();
    let size = FigureRow::new(NAME, "size of the release build", length as f64 / f64::from(1 << 20), "MiB");
    let mut rows = vec![size.at_most(BINARY_MIB_MAX)];
    if context.build {
        let ours = build(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let bare = build_libp2p()?;
        let row = FigureRow::new(NAME, "clean build, sources downloaded", ours.as_secs_f64(), "s");
        rows.push(row.beside("libp2p alone, with the same features", bare.as_secs_f64()));
    }
    Ok(rows)
}

/// The time of `cargo build --release` with nothing built before.
fn build(package: &Path) -> Result<Duration> {
    let target = folder();
    let mut command = cargo(package);
    command.args(["build", "--release", "--quiet", "--target-dir"]).arg(target.path());
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().context("cargo")?;
    let time = start.elapsed();
    ensure!(status.success(), "cargo build --release in {} failed", package.display());
    Ok(time)
}

/// cargo, for the package in this folder.
pub(super) fn cargo(package: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(package);
    // Variables of this program: build scripts of dependencies look at the same names, and would build them anew.
    let is_ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_ours)) {
        command.env_remove(name);
    }
    command
}

/// Builds libp2p in a crate that has nothing else. It lies below this one, so that the same configuration of cargo
/// holds.
fn build_libp2p() -> Result<Duration> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: Table = fs::read_to_string(own.join("Cargo.toml"))?.parse()?;
    let Some(Value::Table(libp2p)) = manifest["dependencies"].get("libp2p") else {
        anyhow::bail!("libp2p is not where Cargo.toml had it")
    };
    let mut libp2p = libp2p.clone();
    libp2p.remove("optional");
    let of = |name: &str, value: Value| Value::Table(Table::from_iter([(name.to_owned(), value)]));
    let package = [("name", "alone"), ("version", "0.0.0"), ("edition", "2024")];
    let package = package.map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())));
    let alone = Table::from_iter([
        ("package".to_owned(), Value::Table(Table::from_iter(package))),
        ("dependencies".to_owned(), of("libp2p", Value::Table(libp2p))),
        ("profile".to_owned(), of("release", manifest["profile"]["release"].clone())),
        ("workspace".to_owned(), Value::Table(Table::new())),
    ]);
    let folder = folder();
    fs::create_dir(folder.path().join("src"))?;
    fs::write(folder.path().join("src/main.rs"), "fn main() {\n    println!(\"{}\", libp2p::PeerId::random());\n}\n")?;
    fs::write(folder.path().join("Cargo.toml"), alone.to_string())?;
    fs::copy(own.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    build(folder.path())
}
