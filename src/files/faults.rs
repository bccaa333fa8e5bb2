//! Ends of the process and power cuts between any two steps of the parent module.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::WriteStep;

thread_local! {
    static PLAN: RefCell<Plan> = const { RefCell::new(Plan { left: None, done: Vec::new(), crashed: false }) };
}

/// The plan of this thread.
struct Plan {
    /// How many more steps are done before the process ends.
    left: Option<usize>,
    done: Vec<WriteStep>,
    crashed: bool,
}

/// Counts a step. The one that the process ends before, and all after it, are not done.
pub(super) fn step(step: WriteStep) -> io::Result<()> {
    PLAN.with_borrow_mut(|plan| match &mut plan.left {
        Some(0) => {
            plan.crashed = true;
            Err(io::Error::other("the process has ended"))
        }
        left => {
            *left = left.map(|left| left - 1);
            plan.done.push(step);
            Ok(())
        }
    })
}

/// Whether the process is to have ended.
pub(super) fn has_crashed() -> bool {
    PLAN.with_borrow(|plan| plan.crashed)
}

/// Runs `body`, which ends after this number of steps, and returns the steps that it took.
fn run_until<T>(steps: Option<usize>, body: impl FnOnce() -> T) -> (T, Vec<WriteStep>) {
    PLAN.set(Plan { left: steps, done: Vec::new(), crashed: false });
    let result = body();
    let plan = PLAN.replace(Plan { left: None, done: Vec::new(), crashed: false });
    (result, plan.done)
}

/// Cuts `change`, made to a folder that `prepare` has filled, before each of its steps. Then `look` must find the old
/// state or, once the new file was moved to its place, the new one; the change must succeed when repeated; and no
/// temporary file may be left after that. `look` gets the folder, and whether the new state is allowed.
///
/// A power cut takes unsynced data from the temporary file and undoes unsynced moves.
pub(crate) fn cut_everywhere<E: std::fmt::Debug>(
    prepare: impl Fn(&Path),
    change: impl Fn(&Path) -> Result<(), E>,
    look: impl Fn(&Path, bool),
) {
    let folder = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare(folder.path());
        folder
    };
    let whole = folder();
    let (result, steps) = run_until(None, || change(whole.path()));
    result.expect("nothing fails");
    look(whole.path(), true);
    assert_ordered(&steps);
    for cut in 0..steps.len() {
        // How much of an unsynced file is left: nothing, half of it, all.
        for halves in 0..3 {
            let folder = folder();
            let (result, done) = run_until(Some(cut), || change(folder.path()));
            result.expect_err("the process has ended");
            assert_eq!(done, steps[..cut]);
            let is_synced = done.contains(&WriteStep::Sync);
            for (file, length) in left_behind(folder.path()) {
                if !is_synced {
                    let file = fs::OpenOptions::new().write(true).open(&file).expect("left behind");
                    file.set_len(length * halves / 2).expect("writable");
                }
                // As by a process with another number.
                let name = file.file_name().and_then(|name| name.to_str()).expect("ours").to_owned();
                let middle = name.trim_end_matches(".tmp").rsplit_once('.').expect("it has a number").0.to_owned();
                fs::rename(&file, file.with_file_name(format!("{middle}.1-1.tmp"))).expect("renamed");
            }
            look(folder.path(), done.contains(&WriteStep::Move));
            change(folder.path()).expect("it works the next time");
            look(folder.path(), true);
            assert_eq!(left_behind(folder.path()), BTreeMap::new(), "cut before step {cut} of {steps:?}");
        }
    }
}

/// Nothing is moved before it is synced, and each move is synced in the end.
fn assert_ordered(steps: &[WriteStep]) {
    let mut unsynced = 0;
    for step in steps {
        match step {
            WriteStep::Create => {}
            WriteStep::Write => unsynced += 1,
            WriteStep::Sync => unsynced -= 1,
            WriteStep::Move => assert_eq!(unsynced, 0, "{steps:?}"),
            WriteStep::SyncFolder => {}
        }
    }
    let last_move = steps.iter().rposition(|step| *step == WriteStep::Move).expect("something is moved");
    assert!(steps[last_move..].contains(&WriteStep::SyncFolder), "{steps:?}");
}

/// The files in a folder and those below that were being made, with their lengths.
fn left_behind(folder: &Path) -> BTreeMap<std::path::PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))).expect("readable");
        if metadata.is_dir() {
            found.append(&mut left_behind(&path));
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            found.insert(path, metadata.len());
        }
    }
    found
}

#[test]
fn a_file_is_the_old_one_or_the_new_one_wherever_it_is_cut() {
    let content = |folder: &Path| fs::read_to_string(folder.join("a.txt")).ok();
    let old_or_new = |old: Option<&'static str>| {
        move |folder: &Path, moved: bool| {
            let want = if moved { Some("new") } else { old };
            assert_eq!(content(folder).as_deref(), want);
        }
    };
    let old = |folder: &Path| fs::write(folder.join("a.txt"), "old").expect("written");
    cut_everywhere(old, |folder| super::replace(&folder.join("a.txt"), b"new"), old_or_new(Some("old")));
    let write_new = |folder: &Path| match super::write_new(&folder.join("a.txt"), b"new") {
        // It is there already: it was moved before the cut.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    };
    cut_everywhere(|_| {}, write_new, old_or_new(None));
}

#[test]
fn what_another_process_is_making_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let files = [".a.pem.1-1.tmp", ".a.pem.1-2.tmp", ".a.pem.x.tmp", ".b.pem.1-1.tmp", ".a.1-1.tmp", "a.pem.1-1.tmp"];
    files.iter().for_each(|name| fs::write(path(name), "x").expect("written"));
    let open = fs::File::open(path(files[1])).expect("there");
    open.lock().expect("nobody else has it");
    super::replace(&path("a.pem"), b"new").expect("written");
    let there: Vec<_> = files.iter().filter(|name| path(name).exists()).collect();
    assert_eq!(there, files[1..].iter().collect::<Vec<_>>());
}

#[test]
fn each_new_folder_is_synced_into_the_one_above() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inner = folder.path().join("a/b/c");
    let make = || super::make_folder(&inner, true);
    let (result, steps) = run_until(None, make);
    result.expect("made");
    assert_eq!(steps, [WriteStep::SyncFolder; 3]);
    assert_eq!(run_until(None, make).1, [], "it was there");
}
