//! Disks that fail at every call and fill up at every block.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::disk::DiskFailure;
use super::*;

/// By how much the size of a small disk grows from run to run, in bytes: a prime, so that it ends at every part of a
/// block.
const ROOM_STEP_BYTES: u64 = 4093;

/// How runs ended: the last commit acknowledged and the code of the error, and how often.
#[derive(Default)]
struct Endings(BTreeMap<(Option<usize>, &'static str), u64>);

impl Endings {
    fn note(&mut self, run: &Run) {
        let code = run.result.as_ref().map_or_else(StoreError::code, |()| "(finished)");
        *self.0.entry((run.commits(), code)).or_default() += 1;
    }

    fn print(&self, what: &str) {
        eprintln!("{what}:\n{:>18} {:18} {:>6}", "acknowledged", "ended with", "runs");
        for ((commits, code), count) in &self.0 {
            let commits = commits.map_or("no store yet".to_owned(), |commits| format!("{commits} commits"));
            eprintln!("{commits:>18} {code:18} {count:6}");
        }
    }
}

/// The files after a run: everything that was written, as after the end of the process, and only synced data, as after
/// a power cut.
fn remains(disk: &FakeDisk) -> [disk::DiskImage; 2] {
    let mut last_synced = disk::DiskImage::default();
    disk::replay(disk::DiskImage::default(), &disk.steps(), |_, synced, _| last_synced.clone_from(synced));
    [disk.files(), last_synced]
}

/// The store can be opened, holds the last acknowledged commit or the one under way, and can be written to.
fn assert_recovers(disk: &FakeDisk, folder: &Path, script: &Script, least: usize) {
    for files in remains(disk) {
        let disk = FakeDisk::with(files);
        let (mut store, stored) = open_on(&disk, folder, &script.network).expect("a store");
        let found = Picture::of(&store, &stored, &script.network).expect("readable");
        let commit = commit_of(&found, script, least).unwrap_or_else(|| panic!("after commit {least}: {found:#?}"));
        script.commits[commit..].iter().for_each(|batches| store.write(batches).expect("writable"));
        drop(store);
        let found = picture(&disk, folder, &script.network).expect("a store");
        assert_eq!(Some(&found), script.pictures.last(), "after commit {least}");
    }
}

#[test]
fn a_disk_that_fails_at_any_call_stops_the_writer_and_loses_nothing() {
    let (script, folder) = (Script::short(), tempfile::tempdir().expect("a temporary folder"));
    let whole = FakeDisk::default();
    Run::record(&whole, folder.path(), &script).result.expect("written");
    for (lasts, what) in [(false, "one call fails"), (true, "all calls fail from some call on")] {
        let mut endings = Endings::default();
        for call in 0..whole.calls() {
            let disk = FakeDisk::failing(DiskFailure { call, kind: ErrorKind::Other, lasts });
            let run = Run::record(&disk, folder.path(), &script);
            endings.note(&run);
            match &run.result {
                // It failed where nobody needed it: when the file was closed, or for a reader.
                Ok(()) => assert_eq!(run.commits(), Some(script.commits.len()), "call {call}"),
                Err(error) => {
                    assert_eq!(error.code(), "io_error", "call {call}: {error}");
                    assert!(error.to_string().lines().count() == 1, "{error}");
                }
            }
            if let Some(least) = run.commits() {
                assert_recovers(&disk, folder.path(), &script, least);
            }
        }
        endings.print(&format!("{what} ({} runs)", whole.calls()));
        assert!(endings.0.keys().any(|(commits, code)| *commits == Some(1) && *code == "io_error"));
    }
}

#[test]
fn a_disk_that_fills_up_at_any_byte_says_so_and_loses_nothing() {
    let (script, folder) = (Script::full(), tempfile::tempdir().expect("a temporary folder"));
    let whole = FakeDisk::default();
    Run::record(&whole, folder.path(), &script).result.expect("written");
    let mut endings = Endings::default();
    let rooms = (0..whole.taken_bytes()).step_by(usize::try_from(ROOM_STEP_BYTES).expect("small"));
    for room in rooms {
        let disk = FakeDisk::of_size(room);
        let run = Run::record(&disk, folder.path(), &script);
        endings.note(&run);
        if let Err(error) = &run.result {
            assert_eq!(error.code(), "disk_full", "{room} bytes: {error}");
        }
        let Some(least) = run.commits() else { continue };
        // Starting again before there is room may fail, for the same reason only, and spoils nothing.
        match picture(&disk, folder.path(), &script.network) {
            Ok(found) => assert!(commit_of(&found, &script, least).is_some(), "{room} bytes: {found:#?}"),
            Err(error) => assert_eq!(error.code(), "disk_full", "{room} bytes: {error}"),
        }
        assert_recovers(&disk, folder.path(), &script, least);
    }
    endings.print(&format!("the disk is full after 0 to {} bytes", whole.taken_bytes()));
    assert!(endings.0.keys().any(|(commits, code)| *commits > Some(1) && *code == "disk_full"));
}

#[test]
fn after_a_failure_readers_see_the_last_commit_or_nothing_and_no_write_succeeds() {
    let (script, folder) = (Script::full(), tempfile::tempdir().expect("a temporary folder"));
    let new = FakeDisk::default();
    create_on(&new, &script.network).expect("a new store");
    let mut failed = 0;
    for call in 0.. {
        let disk = FakeDisk::with(new.files());
        let (mut store, _) = open_on(&disk, folder.path(), &script.network).expect("a store");
        disk.fail(DiskFailure { call: disk.calls() + call, kind: ErrorKind::Other, lasts: false });
        let result = script
            .commits
            .iter()
            .enumerate()
            .try_for_each(|(number, batches)| store.write(batches).map_err(|error| (number, error)));
        let Err((number, error)) = result else { break };
        failed += 1;
        assert_eq!(error.code(), "io_error", "call {call}: {error}");
        if let Ok(snapshot) = store.reader().snapshot() {
            assert_eq!(snapshot.tip(), script.pictures[number].tip(&script.network), "call {call}");
        }
        store.write(&script.commits[number]).expect_err("the store can't be written any more");
    }
    assert!(failed > 20, "{failed}");
}
