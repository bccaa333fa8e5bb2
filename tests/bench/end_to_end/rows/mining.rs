//! The miner, by its own benchmark (`cargo bench --bench mining`), built with the profile of everything else here.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::binary::cargo;
use crate::Context;
use crate::figure::Row;

pub(super) const NAME: &str = "mining";

pub(super) fn run(_: &mut Context) -> Result<Vec<Row>> {
    let mut command = cargo(Path::new(env!("CARGO_MANIFEST_DIR")));
    command.args(["bench", "--quiet", "--profile", "release", "--bench", "mining", "--", "--rows"]);
    let output = command.stderr(Stdio::inherit()).output().context("cargo")?;
    let text = String::from_utf8(output.stdout).context("the benchmark of mining does not say text")?;
    // It also fails if a target is missed, which the rows tell.
    let rows: Vec<Row> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!rows.is_empty(), "`cargo bench --bench mining` told no figure: see what it says by itself");
    Ok(rows)
}
