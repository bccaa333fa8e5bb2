//! SIGINT, SIGTERM and the end of the terminal, as messages. A signal that comes while the node is already leaving ends
//! the process.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

/// The system's word for a process that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

/// A request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C: stop the running command, or else the node.
    Interrupt,
    /// Stop the node.
    Terminate,
}

#[derive(Debug)]
pub struct Signals {
    pub receiver: Receiver<Signal>,
    leaving: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over the signals, on a thread of their own.
    pub fn take_over() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let leaving = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = crossbeam_channel::bounded(16);
        let (installed, was_installed) = crossbeam_channel::bounded(1);
        let seen = leaving.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(watch(&sender, &seen, &installed));
        })?;
        // From here on no signal kills the process in the middle of something.
        was_installed.recv().map_err(|_| io::Error::other("the thread for signals ended"))??;
        Ok(Self { receiver, leaving })
    }

    /// The node is leaving: the next signal does not wait for it.
    pub fn leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

fn deliver(signal: Signal, sender: &Sender<Signal>, leaving: &AtomicBool) {
    if leaving.load(Ordering::Relaxed) {
        crate::output::complain("leaving at once");
        std::process::exit(EXIT_INTERRUPTED);
    }
    // A reader that leaves sixteen of them unread will not read the next one.
    let _ = sender.try_send(signal);
}

#[cfg(unix)]
async fn watch(sender: &Sender<Signal>, leaving: &AtomicBool, installed: &Sender<io::Result<()>>) {
    use tokio::signal::unix::{SignalKind, signal};
    // `nohup` takes the terminal away and wants the signal to be ignored, as it then is.
    let window = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut hangup = window.then(|| signal(SignalKind::hangup()).ok()).flatten();
    let [Ok(mut interrupt), Ok(mut terminate)] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal) else {
        let _ = installed.send(Err(io::Error::other("the system lets no signal be handled")));
        return;
    };
    let _ = installed.send(Ok(()));
    loop {
        let signal = tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            () = window_closed(&mut hangup) => Signal::Terminate,
        };
        deliver(signal, sender, leaving);
    }
}

#[cfg(unix)]
async fn window_closed(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn watch(sender: &Sender<Signal>, leaving: &AtomicBool, installed: &Sender<io::Result<()>>) {
    let _ = installed.send(Ok(()));
    while tokio::signal::ctrl_c().await.is_ok() {
        deliver(Signal::Interrupt, sender, leaving);
    }
}
