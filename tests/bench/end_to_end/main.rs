//! Whole nodes as real processes over loopback, each figure beside the bare limit that it is compared with, measured in
//! the same run: `scripts/bench`.
//!
//! Absolute times shift with the machine and with its other load; ratios shift less, since figure and reference take
//! turns wherever they can. BenchResults go to `target/bench`: `results.json` with every run, and an SVG plot for each
//! scaling.
//!
//! | module | content |
//! | --- | --- |
//! | `rows` | one file for each benchmark: the quantity, its reference and its target |
//! | `limits` | the limits of the bare libraries and of the machine |
//! | `network`, `traffic` | links between processes, the delay of news over them, the bytes that cross them |
//! | `chain`, `fixture`, `submit`, `sender` | chains that nodes start with, and transactions that they are given |
//! | `figure`, `report`, `plot` | figures, and their display and storage |
//!
//! Not here: benchmarks of single functions. Mining has a program of its own (`cargo bench --bench mining`), which is
//! called.

mod chain;
mod figure;
mod fixture;
mod limits;
mod network;
mod plot;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../process.rs"]
mod process;
mod report;
mod rows;
mod sender;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../statistics.rs"]
mod statistics;
mod submit;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use libp2p::Multiaddr;

use figure::{PlotLine, Point};
use limits::LimitRole;
use report::{BenchResults, BenchRun};
use rows::Benchmark;

/// Measures whole nodes over loopback, beside the bare limits.
#[derive(Debug, Parser)]
#[command(name = "scripts/bench", max_term_width = 100)]
struct BenchArguments {
    /// The benchmarks to run; all if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Show the names, and measure nothing
    #[arg(long)]
    list: bool,

    /// Number of runs; the table then has medians and the range of the ratio
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Smaller sizes, to test the benchmarks: the figures mean little
    #[arg(long)]
    quick: bool,

    /// Also measure clean builds, which takes minutes
    #[arg(long)]
    build: bool,

    /// Also run each benchmark of whole nodes with this earlier build of `quipu`, in turns
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,

    /// Print the README's table of these results instead
    #[arg(long, value_name = "results.json")]
    markdown: Option<PathBuf>,

    /// Ignored: `cargo bench` passes it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,

    /// The role of this process, if another one has started it
    #[arg(long, hide = true)]
    role: Option<LimitRole>,

    /// The peers to dial in that role
    #[arg(long, hide = true)]
    peer: Vec<Multiaddr>,
}

/// The run that benchmarks are part of.
pub(crate) struct Context {
    /// Whether sizes are smaller.
    pub(crate) quick: bool,
    /// Whether clean builds are measured too.
    pub(crate) build: bool,
    points: Vec<Point>,
}

impl Context {
    /// A size: the first one, or the second in a quick run.
    pub(crate) fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// A point of one of the benchmark's plots.
    pub(crate) fn point(&mut self, plot: &str, line: PlotLine, x: f64, y: f64) {
        self.points.push(Point { plot: plot.to_owned(), line, x, y });
    }
}

fn main() -> ExitCode {
    let arguments = BenchArguments::parse();
    if let Some(role) = arguments.role {
        limits::play(role, &arguments.peer);
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scripts/bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &BenchArguments) -> Result<()> {
    if let Some(file) = &arguments.markdown {
        print!("{}", BenchResults::read(file)?.markdown());
        return Ok(());
    }
    if arguments.list {
        for Benchmark { name, what, .. } in rows::ALL {
            println!("{name:<24} {what}");
        }
        return Ok(());
    }
    let chosen = choose(&arguments.names)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("results.json");
    let mut results = BenchResults::new();
    for number in 1..=arguments.runs {
        results.runs.push(BenchRun::default());
        for benchmark in &chosen {
            eprintln!("run {number} of {}: {}", arguments.runs, benchmark.name);
            let measure = |context: &mut Context| (benchmark.run)(context).with_context(|| benchmark.name.to_owned());
            let mut context = Context { quick: arguments.quick, build: arguments.build, points: Vec::new() };
            let mut rows = measure(&mut context)?;
            if let Some(program) = arguments.before.as_ref().filter(|_| benchmark.runs_nodes) {
                eprintln!("the same with {}", program.display());
                process::set_program(Some(program.clone()));
                let before = measure(&mut Context { points: Vec::new(), ..context });
                process::set_program(None);
                for (row, before) in rows.iter_mut().zip(before?) {
                    row.before = (row.what == before.what).then_some(before.value);
                }
            }
            let run = results.runs.last_mut().expect("just pushed");
            run.rows.extend(rows);
            run.points.append(&mut context.points);
            // Earlier results stay, whatever happens later.
            results.write(&file)?;
        }
    }
    let frames: Vec<_> = chosen.iter().flat_map(|benchmark| benchmark.plots).collect();
    let points: Vec<_> = results.runs.iter().flat_map(|run| &run.points).collect();
    plot::draw(&folder, &frames, &points)?;
    print!("{}", results.table());
    eprintln!("{} and the plots beside it have all of it", file.display());
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static Benchmark>> {
    if let Some(unknown) = names.iter().find(|name| rows::ALL.iter().all(|benchmark| benchmark.name != **name)) {
        bail!("there is no benchmark {unknown}; --list shows all");
    }
    let is_chosen = |benchmark: &&Benchmark| names.is_empty() || names.iter().any(|name| name == benchmark.name);
    Ok(rows::ALL.iter().filter(is_chosen).collect())
}
