//! Power cuts at every step of the disk.

use std::collections::BTreeMap;
use std::fs;

use super::disk::{DiskImage, DiskStep, Operation, replay};
use super::*;
use crate::random::Random;

/// Random subsets of surviving steps tried at each point, beside all, none and torn ones.
const RANDOM_CHOICES: u64 = 3;
/// One image of this many is opened from a file by [`Store::open`] itself.
const IMAGES_PER_FILE: u64 = 200;
/// One image of this many is written on to the end of the script.
const IMAGES_PER_CONTINUATION: u64 = 50;
/// One image of this many loses power again at each step while it is opened.
const IMAGES_PER_SECOND_CUT: u64 = 200;

/// An image that lost power again while it was opened.
const SECOND_CUT: &str = "cut again while opened";

/// The outcome of the images of one kind.
#[derive(Debug, Default)]
struct ImageCounts {
    images: u64,
    /// Images that held the last acknowledged commit, and those that held the one under way.
    last: u64,
    next: u64,
}

/// Opens images of disks that lost their power.
struct Cutter<'a> {
    script: &'a Script,
    folder: tempfile::TempDir,
    random: Random,
    images: u64,
    rows: BTreeMap<&'static str, ImageCounts>,
}

impl<'a> Cutter<'a> {
    fn new(script: &'a Script) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { script, folder, random: Random::new(1), images: 0, rows: BTreeMap::new() }
    }

    /// Cuts the power after each of these steps, which start from an empty disk. `least_at` gives the number of commits
    /// acknowledged after a number of steps; `None`: there is no store yet.
    fn cut_everywhere(&mut self, steps: &[DiskStep], least_at: impl Fn(usize) -> Option<usize>) {
        replay(DiskImage::default(), steps, |count, synced, unsynced| {
            if let Some(least) = least_at(count) {
                self.cut(synced, unsynced, least);
            }
        });
    }

    /// Tries subsets of these steps.
    fn cut(&mut self, synced: &DiskImage, unsynced: &[DiskStep], least: usize) {
        let image_of = |survivors: &mut dyn Iterator<Item = DiskStep>| {
            let mut files = synced.clone();
            survivors.for_each(|step| step.apply(&mut files));
            files
        };
        let Some((last, before)) = unsynced.split_last() else {
            return self.open("none of them", synced.clone(), least);
        };
        self.open("all of them", image_of(&mut unsynced.iter().cloned()), least);
        if let Operation::Write { bytes, .. } = &last.operation {
            let kept = usize::try_from(self.random.below(bytes.len() as u64)).expect("a small file");
            let torn = last.torn(kept);
            self.open("all, the last one torn", image_of(&mut before.iter().cloned().chain(torn.clone())), least);
            self.open("only a torn one", image_of(&mut torn.into_iter()), least);
            self.open("only the last one", image_of(&mut [last.clone()].into_iter()), least);
        }
        for _ in 0..RANDOM_CHOICES {
            let choice = self.random.bits();
            let mut at = 0;
            let chosen = unsynced.iter().filter(|_| {
                at += 1;
                choice.rotate_left(at) & 1 == 1
            });
            self.open("some of them", image_of(&mut chosen.cloned()), least);
        }
    }

    /// Opens an image and compares it with the script.
    fn open(&mut self, kind: &'static str, image: DiskImage, least: usize) {
        self.images += 1;
        let disk = FakeDisk::with(image.clone());
        let network = &self.script.network;
        let found = picture(&disk, self.folder.path(), network)
            .unwrap_or_else(|error| panic!("image {}, {kind} after commit {least}: {error}", self.images));
        let Some(commit) = commit_of(&found, self.script, least) else {
            panic!("image {}, {kind} after commit {least}: {found:#?}", self.images)
        };
        let row = self.rows.entry(kind).or_default();
        row.images += 1;
        if commit == least {
            row.last += 1;
        } else {
            row.next += 1;
        }
        if self.images.is_multiple_of(IMAGES_PER_FILE) {
            self.open_file(&image, &found);
        }
        if self.images.is_multiple_of(IMAGES_PER_CONTINUATION) {
            self.go_on(&disk, commit);
        }
        if self.images.is_multiple_of(IMAGES_PER_SECOND_CUT) && kind != SECOND_CUT {
            self.cut_again(image, commit);
        }
    }

    /// The same from real files.
    fn open_file(&mut self, image: &DiskImage, expected: &Picture) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in [open::FILE, open::JOURNAL_FILE].into_iter().zip(image) {
            fs::write(folder.path().join(name), content).expect("writable");
        }
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (store, stored) = Store::open(lock, &self.script.network).expect("a store");
        assert_eq!(&Picture::of(&store, &stored, &self.script.network).expect("readable"), expected);
        self.rows.entry("(of these, from real files)").or_default().images += 1;
    }

    /// A recovered store is as good as any: the rest of the script can be written.
    fn go_on(&mut self, disk: &FakeDisk, commit: usize) {
        let (network, folder) = (&self.script.network, self.folder.path());
        let (mut store, _) = open_on(disk, folder, network).expect("it was opened before");
        self.script.commits[commit..].iter().for_each(|batches| store.write(batches).expect("writable"));
        drop(store);
        assert_eq!(Some(&picture(disk, folder, network).expect("a store")), self.script.pictures.last());
        self.rows.entry("(of these, written on)").or_default().images += 1;
    }

    /// Power is lost again while the image is opened, and closed.
    fn cut_again(&mut self, image: DiskImage, commit: usize) {
        let disk = FakeDisk::with(image.clone());
        let _ = picture(&disk, self.folder.path(), &self.script.network).expect("it was opened before");
        replay(image, &disk.steps(), |_, synced, unsynced| self.open_again(synced, unsynced, commit));
    }

    fn open_again(&mut self, synced: &DiskImage, unsynced: &[DiskStep], commit: usize) {
        for choice in [0, u64::MAX, self.random.bits()] {
            let mut files = synced.clone();
            let chosen = unsynced.iter().enumerate().filter(|(at, _)| choice.rotate_left(*at as u32) & 1 == 1);
            chosen.for_each(|(_, step)| step.apply(&mut files));
            self.open(SECOND_CUT, files, commit);
        }
    }
}

#[test]
fn whatever_a_power_cut_leaves_is_some_commit_and_no_acknowledged_one_is_lost() {
    let script = Script::full();
    let (disk, folder) = (FakeDisk::default(), tempfile::tempdir().expect("a temporary folder"));
    let run = Run::record(&disk, folder.path(), &script);
    run.result.as_ref().expect("written");
    assert_eq!(run.commits(), Some(script.commits.len()));
    let steps = disk.steps();
    let mut cutter = Cutter::new(&script);
    let least_at = |end: usize| run.acknowledged.partition_point(|steps| *steps <= end).checked_sub(1);
    cutter.cut_everywhere(&steps, least_at);
    eprintln!(
        "{} commits, {} steps of the disk, cut after each; what survived of the unsynced:",
        script.commits.len(),
        steps.len()
    );
    eprintln!("{:28} {:>7} {:>18} {:>18}", "", "images", "last acknowledged", "one under way");
    for (kind, ImageCounts { images, last, next }) in &cutter.rows {
        eprintln!("{kind:28} {images:7} {last:18} {next:18}");
    }
    let row = |kind| &cutter.rows[kind];
    // Both outcomes are met, so the pictures can tell them apart.
    assert!(row("some of them").last > 0 && row("all of them").next > 0);
    assert!(cutter.images > 1000, "{}", cutter.images);
}
