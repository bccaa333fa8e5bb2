//! The one way to stdout and to stderr.
//!
//! Every write is checked. A reader that closes its end of a pipe has seen enough, which is no failure; anything else
//! is told on stderr, and the program ends with a status that is not 0.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

/// Writes a text to stdout, all of it, in one piece. stdout keeps no copy of whole lines: they may be a secret.
pub fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The result of a write, where a reader that wants no more is no failure.
pub fn unless_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// What was not written, in words.
pub fn unwritten(error: &io::Error) -> String {
    format!("cannot write to stdout: {error}")
}

/// The system's words when a process, or the machine, has no more room for open files (EMFILE, ENFILE).
const NO_DESCRIPTORS: [&str; 2] = ["(os error 24)", "(os error 23)"];

/// A message with what helps, where the system says only what is wrong, whoever passed its words on.
pub fn with_remedy(message: &str) -> Cow<'_, str> {
    if cfg!(unix) && NO_DESCRIPTORS.iter().any(|words| message.contains(words)) {
        return format!(
            "{message}: allow more of them, with `ulimit -n 1024` in the shell or LimitNOFILE= of a service"
        )
        .into();
    }
    message.into()
}

/// Writes a line to stderr. A stderr that takes nothing leaves no place for a message.
pub fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "quipu: {message}");
}

/// Writes to stderr something that the next of its kind writes over.
pub fn show(progress: impl Display) {
    let _ = write!(io::stderr(), "{progress}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_lack_of_descriptors_is_told_with_the_remedy() {
        for raw in [24, 23] {
            let message = format!("cannot use a/b: {}", io::Error::from_raw_os_error(raw));
            let told = with_remedy(&message);
            assert!(told.starts_with(&message) && told.contains("ulimit -n"), "{told}");
        }
        let message = io::Error::from_raw_os_error(2).to_string();
        assert_eq!(with_remedy(&message), message);
    }

    #[test]
    fn only_a_closed_pipe_is_no_failure() {
        for (kind, is_fine) in [
            (io::ErrorKind::BrokenPipe, true),
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::WriteZero, false),
            (io::ErrorKind::Other, false),
        ] {
            assert_eq!(unless_closed(Err(kind.into())).is_ok(), is_fine, "{kind:?}");
        }
        assert!(unless_closed(Ok(())).is_ok());
    }
}
