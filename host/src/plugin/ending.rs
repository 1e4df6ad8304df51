//! How calls end, in one word each: for metrics and conditions.

use super::{CallError, breaker::Verdict, memo::Answer};

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Answered,
    /// With the plugin's own no.
    Refused,
    /// It computed too much.
    OutOfFuel,
    /// It took too long.
    Deadline,
    /// It wanted too much memory.
    Memory,
    /// It recursed too deep.
    StackOverflow,
    /// It answered too much.
    OutputTooLarge,
    /// It logged too much.
    LogFlood,
    /// It crashed.
    Trap,
    /// It answered nonsense.
    BadOutput,
    /// There was no room; it did not run.
    Busy,
    /// The plugin fails too often; it did not run.
    Degraded,
    /// Our bug.
    HostBug,
}

impl Ending {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Answered,
        Self::Refused,
        Self::OutOfFuel,
        Self::Deadline,
        Self::Memory,
        Self::StackOverflow,
        Self::OutputTooLarge,
        Self::LogFlood,
        Self::Trap,
        Self::BadOutput,
        Self::Busy,
        Self::Degraded,
        Self::HostBug,
    ];

    /// As metrics and conditions spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "Answered",
            Self::Refused => "Refused",
            Self::OutOfFuel => "OutOfFuel",
            Self::Deadline => "DeadlineExceeded",
            Self::Memory => "OutOfMemory",
            Self::StackOverflow => "StackOverflow",
            Self::OutputTooLarge => "OutputTooLarge",
            Self::LogFlood => "LogFlood",
            Self::Trap => "Crashed",
            Self::BadOutput => "BadOutput",
            Self::Busy => "Busy",
            Self::Degraded => "Degraded",
            Self::HostBug => "HostBug",
        }
    }

    /// Whether the plugin was called.
    pub fn has_run(self) -> bool {
        !matches!(self, Self::Busy | Self::Degraded)
    }

    pub(super) fn of(answer: &Answer) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(error) => error.ending(),
        }
    }

    /// What it says of the plugin.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            // A no is an answer, and the user's fault at most.
            Self::Answered | Self::Refused => Verdict::Good,
            Self::OutOfFuel
            | Self::Deadline
            | Self::Memory
            | Self::StackOverflow
            | Self::OutputTooLarge
            | Self::LogFlood
            | Self::Trap
            | Self::BadOutput => Verdict::Fault,
            Self::Busy | Self::Degraded | Self::HostBug => Verdict::Unknown,
        }
    }
}

impl CallError {
    /// In one word.
    pub fn ending(&self) -> Ending {
        match self {
            Self::OutOfFuel { .. } => Ending::OutOfFuel,
            Self::Deadline { .. } => Ending::Deadline,
            Self::Memory { .. } => Ending::Memory,
            Self::StackOverflow { .. } => Ending::StackOverflow,
            Self::OutputTooLarge { .. } => Ending::OutputTooLarge,
            Self::LogFlood { .. } => Ending::LogFlood,
            Self::Trap { .. } => Ending::Trap,
            Self::BadOutput { .. } => Ending::BadOutput,
            Self::Refused(_) => Ending::Refused,
            Self::Busy => Ending::Busy,
            Self::Degraded { .. } => Ending::Degraded,
            Self::HostBug(_) => Ending::HostBug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_numbered_in_order() {
        for (number, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, number, "{ending:?}");
        }
    }
}
