//! Threads whose end does not go unseen, and panics that are errors.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Starts a thread. Should it panic, `failed` gets one line that says so.
///
/// A thread that died alone would leave the others waiting for it for ever.
pub fn spawn(
    name: &'static str,
    failed: impl FnOnce(String) + Send + 'static,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(format!("quipu-{name}")).spawn(move || {
        // State shared with the body is not used again: the node shuts down.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            let text = panic_text(&*panic);
            failed(format!("a fault in quipu itself stopped its {name} thread ({text}): please report it"));
        }
    })
}

/// A thread that runs until it is told to end.
#[derive(Debug)]
pub struct Stoppable {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Stoppable {
    /// Starts a thread as [`spawn`] does. `body` returns soon after its receiver is disconnected.
    pub fn spawn(
        name: &'static str,
        failed: impl FnOnce(String) + Send + 'static,
        body: impl FnOnce(Receiver<()>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let thread = spawn(name, failed, move || body(stopped))?;
        Ok(Self { stop, thread })
    }

    /// Tells the thread to end, and leaves waiting for it to the caller.
    pub fn signal(self) -> JoinHandle<()> {
        drop(self.stop);
        self.thread
    }

    /// Tells the thread to end, and waits until it has.
    pub fn stop(self) {
        // A panic was reported where it happened.
        let _ = self.signal().join();
    }
}

/// Competing threads get about ten times as much of the processor. With 19 it would be seventy times, and a machine
/// that is busy for long would find no block at all.
#[cfg(target_os = "linux")]
const LOW_PRIORITY_NICE: i32 = 10;

/// Gives this thread a low priority, so that its work uses little but idle time. It can't be raised again. Linux only:
/// elsewhere priorities belong to whole processes or need C, and nothing happens.
pub fn lower_priority() {
    // A system that refuses (a sandbox may) leaves the thread as it was.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, LOW_PRIORITY_NICE);
}

/// Runs `body` and turns a panic into an error, without output on stderr. For code whose panic means that its input is
/// damaged. State that the body may have left inconsistent must not be used afterwards.
///
/// A second panic while the first one cleans up ends the process, whatever one does; then `last_words` are printed.
pub fn catch<T>(last_words: String, body: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let outer = take_hook();
        set_hook(Box::new(move |info| {
            CAUGHT.with_borrow_mut(|caught| match caught {
                None => outer(info),
                Some(caught) if !caught.panicked => caught.panicked = true,
                Some(caught) => crate::output::show(format_args!("{}\n", caught.last_words)),
            });
        }));
    });
    let before = CAUGHT.replace(Some(Caught { last_words, panicked: false }));
    let result = catch_unwind(AssertUnwindSafe(body));
    CAUGHT.set(before);
    result.map_err(|panic| panic_text(&*panic))
}

/// The innermost [`catch`] on this thread, for the panic hook.
struct Caught {
    last_words: String,
    panicked: bool,
}

thread_local! {
    static CAUGHT: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

/// The first line of a panic's message.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.and_then(|text| text.lines().next()).unwrap_or("unknown cause").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told() {
        let (tell, told) = bounded(1);
        let failed = move |line| tell.send(line).expect("the test waits");
        let thread = spawn("test", failed, || panic!("seven\nlines")).expect("a thread");
        thread.join().expect("the panic was caught");
        let line = told.recv().expect("told");
        assert!(line.contains("test thread (seven)") && line.lines().count() == 1, "{line}");
    }

    #[test]
    fn a_thread_ends_when_it_is_told_to() {
        let (tell, told) = bounded(1);
        let body = move |stopped: Receiver<()>| {
            let end = stopped.recv();
            tell.send(end.is_err()).expect("the test waits");
        };
        let thread = Stoppable::spawn("test", |line| panic!("{line}"), body).expect("a thread");
        assert!(told.is_empty(), "it runs on");
        thread.stop();
        assert_eq!(told.try_recv(), Ok(true));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_low_priority_is_that_of_one_thread() {
        let priority = || rustix::process::getpriority_process(None).expect("a priority");
        let before = priority();
        let lowered = std::thread::spawn(move || {
            lower_priority();
            priority()
        });
        assert_eq!((lowered.join().expect("a priority"), priority()), (LOW_PRIORITY_NICE, before));
    }

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(catch(String::new(), || 5), Ok(5));
        assert_eq!(catch(String::new(), || panic!("number {}", 6)), Err::<(), _>("number 6".to_owned()));
    }
}
