//! How far a transfer is, for whoever sits at a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::source::{Progress, PushWatcher};

/// A line that is written over.
#[derive(Clone)]
pub(super) struct Bar(Option<Arc<Shown>>);

struct Shown {
    verb: &'static str,
    last: Mutex<String>,
}

impl Bar {
    pub(super) fn new(verb: &'static str) -> Self {
        let is_watched = io::stderr().is_terminal();
        Self(is_watched.then(|| Arc::new(Shown { verb, last: Mutex::default() })))
    }

    pub(super) fn show(&self, progress: Progress) {
        let Some(Shown { verb, last }) = self.0.as_deref() else { return };
        let line = line(verb, progress);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != line {
            // Nobody listens: nothing to be done about it.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            *last = line;
        }
    }

    pub(super) fn pushing(&self) -> PushWatcher {
        let bar = self.clone();
        Arc::new(move |progress| bar.show(progress))
    }

    /// Leaves nothing behind.
    pub(super) fn end(&self) {
        let is_shown = |shown: &Arc<Shown>| !shown.last.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if self.0.as_ref().is_some_and(is_shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// `pulling 1.5 of 18.4 MiB`
fn line(verb: &str, Progress { done, total }: Progress) -> String {
    // A tenth of a MiB is enough to see it move.
    let [done, total] = [done, total].map(|bytes| bytes * 10 / (1 << 20));
    format!("{verb} {}.{} of {}.{} MiB", done / 10, done % 10, total / 10, total % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_tenths_of_a_mebibyte() {
        for (done, total, expected) in [
            (0, 0, "pulling 0.0 of 0.0 MiB"),
            (1 << 19, 1 << 20, "pulling 0.5 of 1.0 MiB"),
            (19_293_798, 19_293_798, "pulling 18.3 of 18.3 MiB"),
        ] {
            assert_eq!(line("pulling", Progress { done, total }), expected);
        }
    }
}
