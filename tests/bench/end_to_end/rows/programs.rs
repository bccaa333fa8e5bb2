//! The miner and the engine, by benchmarks that are programs of their own (`cargo bench --bench mining`, `--bench
//! micro`), built with the profile of everything else here.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::binary::cargo;
use crate::Context;
use crate::figure::FigureRow;

pub(super) const MINING: &str = "mining";
pub(super) const ENGINE: &str = "engine";

pub(super) fn mining(_: &mut Context) -> Result<Vec<FigureRow>> {
    rows_of("mining")
}

pub(super) fn engine(_: &mut Context) -> Result<Vec<FigureRow>> {
    rows_of("micro")
}

/// The rows that such a program prints. It is built first, which can take minutes.
fn rows_of(program: &str) -> Result<Vec<FigureRow>> {
    let mut command = cargo(Path::new(env!("CARGO_MANIFEST_DIR")));
    command.args(["bench", "--quiet", "--profile", "release", "--bench", program, "--", "--rows"]);
    let output = command.stderr(Stdio::inherit()).output().context("cargo")?;
    let text = String::from_utf8(output.stdout).with_context(|| format!("{program} does not say text"))?;
    // It also fails if a target is missed, which the rows show.
    let rows: Vec<FigureRow> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!rows.is_empty(), "`cargo bench --bench {program}` told no figure: see what it says by itself");
    Ok(rows)
}
