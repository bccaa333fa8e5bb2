//! Memory that a busy moment has taken goes back to the system.
//!
//! glibc keeps what is freed, in an arena for each few threads, for the next time. After a flood that is many times
//! what the node needs, for good. So this compares now and then the size of the process with what is in use. Once the
//! difference has grown, and the process grows no more, it asks for the unused pages to be given back (malloc_trim(3)).
//! Other systems' allocators do so by themselves.

use std::io;

use super::thread::Stoppable;

/// Starts looking, where that is of use.
pub(super) fn start(failed: impl FnOnce(String) + Send + 'static) -> io::Result<Option<Stoppable>> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return Stoppable::spawn("memory", failed, |stopped| glibc::run(&stopped)).map(Some);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        drop(failed);
        Ok(None)
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::fs;
    use std::time::Duration;

    use crossbeam_channel::{Receiver, RecvTimeoutError};
    use rustix::param::page_size;

    /// Between two looks. Giving back takes about a millisecond, and the pages cost as much again if they are needed.
    const LOOK_INTERVAL: Duration = Duration::from_secs(5);
    /// Unused memory that is not worth giving back: this part of the process.
    const KEPT_PART: usize = 10;
    /// A process that has grown by less than this part since the last look grows no more.
    const GROWING_PART: usize = 20;

    pub(super) fn run(stopped: &Receiver<()>) {
        // What comes right after the start counts as growth.
        let mut watch = Watch { least: unused_bytes(), ..Watch::default() };
        while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            // Without proc(5) nothing is given back.
            let (Some(resident), Some(unused)) = (resident_bytes(), unused_bytes()) else { return };
            if watch.is_time(resident, unused) {
                give_back();
                let left = resident_bytes().unwrap_or(resident);
                tracing::debug!(resident, left, "gave unused memory back");
                watch.gave_back(left, unused_bytes().unwrap_or(unused));
            }
        }
    }

    /// Decides when to give back.
    #[derive(Debug, Default)]
    pub(super) struct Watch {
        /// The least that was unused since the last time. Some always is: programs and stacks, which are not allocated, and
        /// the rest of each page.
        least: Option<usize>,
        /// The size of the process at the last look.
        last: usize,
    }

    impl Watch {
        /// Whether much is unused in a process that grows no more.
        pub(super) fn is_time(&mut self, resident: usize, unused: usize) -> bool {
            let last = std::mem::replace(&mut self.last, resident);
            let grows = resident > last + last / GROWING_PART;
            let least = self.least.get_or_insert(unused);
            *least = unused.min(*least);
            !grows && unused - *least > resident / KEPT_PART
        }

        pub(super) fn gave_back(&mut self, resident: usize, unused: usize) {
            *self = Self { least: Some(unused), last: resident };
        }
    }

    /// The resident memory of this process (proc(5)).
    fn resident_bytes() -> Option<usize> {
        let pages = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<usize>().ok()?;
        Some(pages * page_size())
    }

    /// The part of the resident memory that is not allocated. (mallinfo2(3) would count beyond 4 GiB, but needs glibc 2.33.)
    #[allow(unsafe_code)]
    fn unused_bytes() -> Option<usize> {
        // SAFETY: it may be called at any time by any thread, and only reads.
        let info = unsafe { libc::mallinfo() };
        let [small, large] = [info.uordblks, info.hblkhd].map(|bytes| bytes.cast_unsigned() as usize);
        Some(resident_bytes()?.saturating_sub(small + large))
    }

    #[allow(unsafe_code)]
    fn give_back() {
        // SAFETY: it may be called at any time by any thread, and changes nothing that is in use.
        unsafe { libc::malloc_trim(0) };
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn memory_is_given_back_once_after_it_has_grown() {
            let mut watch = Watch::default();
            let sizes = [(100, 20), (100, 20), (105, 25), (300, 220), (900, 500), (900, 500)];
            let due: Vec<bool> = sizes.map(|(resident, unused)| watch.is_time(resident, unused)).into();
            assert_eq!(due, [false, false, false, false, false, true], "not while it grows");
            watch.gave_back(420, 20);
            assert!(!watch.is_time(420, 20), "what is in use can't be given back");
            assert!(watch.is_time(420, 70), "what is freed later can be, though the process is as large as before");
            watch.gave_back(380, 30);
            assert!(!watch.is_time(380, 10) && !watch.is_time(380, 40) && watch.is_time(380, 49), "from the least on");
        }

        #[test]
        fn what_was_freed_leaves_the_process() {
            const FREED_BYTES: usize = 12_000 * (16 << 10);
            // Small pieces between which something stays: free memory in the middle, which the allocator keeps.
            let attempt = || {
                let (mut freed, mut kept) = (Vec::new(), Vec::new());
                for _ in 0..FREED_BYTES / (16 << 10) {
                    freed.push(vec![1_u8; 16 << 10]);
                    kept.push(vec![1_u8; 64]);
                }
                let (full, before) = (resident_bytes()?, unused_bytes()?);
                drop(freed);
                let unused = unused_bytes()?;
                give_back();
                let left = resident_bytes()?;
                drop(kept);
                Some(unused > before + FREED_BYTES / 2 && left + FREED_BYTES / 2 < full)
            };
            // The process has other tests, which allocate meanwhile.
            assert!((0..5).any(|_| attempt().expect("proc(5)")));
        }
    }
}
