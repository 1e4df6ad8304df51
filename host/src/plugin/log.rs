//! What a plugin says: its log lines go to ours, at its own level, as long as its budget lasts.

use trainyard_core::line;

use super::limits::Limits;

/// The levels of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// What is left of the log budget of one call.
#[derive(Debug)]
pub(super) struct LogBudget {
    bytes: usize,
    lines: u32,
    /// Lines that were refused.
    pub(super) dropped: u64,
}

/// The plugin logs more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log budget of the call is spent")]
pub(super) struct LogFlood;

impl LogBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { bytes: limits.log_bytes, lines: limits.log_lines, dropped: 0 }
    }

    /// Logs one line, or refuses it and so ends the call.
    pub(super) fn write(&mut self, plugin: &str, level: Level, message: &str) -> Result<(), LogFlood> {
        let left = self.bytes.checked_sub(message.len()).zip(self.lines.checked_sub(1));
        let Some((bytes, lines)) = left else {
            self.dropped += 1;
            return Err(LogFlood);
        };
        (self.bytes, self.lines) = (bytes, lines);
        let message = one_line(message);
        match level {
            Level::Debug => tracing::debug!(plugin, "{message}"),
            Level::Info => tracing::info!(plugin, "{message}"),
            Level::Warn => tracing::warn!(plugin, "{message}"),
            Level::Error => tracing::error!(plugin, "{message}"),
        }
        Ok(())
    }
}

/// A plugin's text without line ends and terminal escapes, with which it could forge what others say.
pub(crate) fn one_line(text: &str) -> String {
    line::of(text, LONGEST)
}

/// Of a line, in bytes.
const LONGEST: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_by_bytes_or_by_lines() {
        let limits = Limits { log_bytes: 10, log_lines: 3, ..Limits::default() };
        for (name, messages, expected) in [
            ("within both", vec!["12345", "12345", ""], Ok(())),
            ("a byte too many", vec!["12345", "123456"], Err(LogFlood)),
            ("a line too many", vec!["", "", "", ""], Err(LogFlood)),
        ] {
            let mut budget = LogBudget::new(&limits);
            let result = messages.iter().try_for_each(|message| budget.write("test", Level::Info, message));
            assert_eq!(result, expected, "{name}");
        }
    }

    #[test]
    fn a_message_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[31mc"), "a b [31mc");
    }
}
