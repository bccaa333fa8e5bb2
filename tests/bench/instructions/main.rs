//! Instruction counts of the hot paths, against the figures in `instructions.json`: `scripts/instructions`.
//!
//! Each path runs once in a process of its own under valgrind's callgrind, which counts in [`paths::counted`] and
//! nowhere else. Valgrind emulates a processor of its own, with AVX2 and without AVX-512 and SHA instructions, so the
//! counts are the same on every x86-64 machine that has AVX2; only the compiler makes a difference, and a little the C
//! library. Hash maps with a random seed move a count by a few in ten thousand, and sorting after them by one in a
//! hundred.
//!
//! Not here: times (`cargo bench --bench micro`), and caches, which callgrind could only guess.

mod compare;
mod paths;
#[path = "../shell.rs"]
mod shell;
#[path = "../world.rs"]
mod world;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;

use compare::{Figures, Judgement};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every path takes as many instructions as its figure says.
fn run() -> Result<bool, String> {
    // Cargo passes `--bench` to every benchmark.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    if arguments.next_if(|argument| argument == "--count").is_some() {
        let name = arguments.next().ok_or("--count needs the name of a path")?;
        let (_, path) = paths::ALL.iter().find(|(path, _)| *path == name).ok_or(format!("there is no path {name}"))?;
        path();
        return Ok(true);
    }
    let bless = arguments.next_if(|argument| argument == "--bless").is_some();
    let parts: Vec<String> = arguments.collect();
    let is_meant = |name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()));
    let names: Vec<&str> = paths::ALL.iter().map(|(name, _)| *name).filter(|name| is_meant(name)).collect();
    if names.is_empty() {
        return Err(format!("no path is named like {}: {}", parts.join(" or "), paths::names().join(", ")));
    }
    check_machine()?;
    let counts = count_all(&names)?;
    if bless {
        Figures::update(&counts)?;
        println!("{} figures written to {}", counts.len(), compare::FILE);
        return Ok(true);
    }
    let figures = Figures::read()?;
    let mut is_good = true;
    for (name, count) in counts {
        let judgement = figures.judge(name, count);
        is_good &= !matches!(judgement, Judgement::Fails(_));
        println!("{name:<28} {count:>13}  {judgement}");
    }
    Ok(is_good)
}

/// The figures hold on one kind of processor, as valgrind emulates it, and only valgrind counts.
fn check_machine() -> Result<(), String> {
    #[cfg(target_arch = "x86_64")]
    let fits = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let fits = false;
    if !fits {
        return Err("the figures are for x86-64 processors with AVX2: please run this on one".to_owned());
    }
    let version = Command::new("valgrind").arg("--version").output();
    version
        .map(drop)
        .map_err(|error| format!("valgrind does not start ({error}): please install it, as a package of the system"))
}

/// Counts each path, as many at the same time as there are cores.
fn count_all<'a>(names: &[&'a str]) -> Result<Vec<(&'a str, u64)>, String> {
    let waiting = Mutex::new(names.iter().enumerate());
    let work = || -> Result<Vec<_>, String> {
        let mut counted = Vec::new();
        loop {
            let next = waiting.lock().expect("nobody panics while it is held").next();
            let Some((at, name)) = next else { return Ok(counted) };
            counted.push((at, *name, count(name)?));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = thread::scope(|scope| -> Result<Vec<_>, String> {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut counts = Vec::new();
        for thread in threads {
            counts.extend(thread.join().expect("a problem is an error there")?);
        }
        Ok(counts)
    })?;
    counts.sort_unstable();
    Ok(counts.into_iter().map(|(_, name, count)| (name, count)).collect())
}

fn count(name: &str) -> Result<u64, String> {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--demangle=no"])
        .arg(format!("--toggle-collect=*{}*", paths::COUNTED))
        .arg(program)
        .args(["--count", name])
        // Other variables in the environment move the heap, and with it a count by a hundredth.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name} under valgrind: {}\n{said}", output.status));
    }
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("{name}: nothing was counted; was the program stripped of its symbols?\n{said}"))
}
