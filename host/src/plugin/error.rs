//! Why a call gave no answer, in one line and one variant for each reaction.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use trainyard_core::{
    contract::Refusal,
    field::{FieldError, aggregate},
};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::{
    Function, answer,
    limits::{Limits, STACK},
    log::{LogFlood, one_line},
    meter::Meter,
    v0_1::Failure,
};

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It computes too much.
    #[error("out of fuel: all {limit} units are used")]
    OutOfFuel {
        /// What it had.
        limit: u64,
    },
    /// It computes too long.
    #[error("deadline exceeded: {limit:?}")]
    Deadline {
        /// What it had.
        limit: Duration,
    },
    /// It was refused memory, and failed.
    #[error("out of memory: {used} of {limit} bytes are used and more was asked for")]
    Memory {
        /// Bytes it had when it failed.
        used: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// It recurses too deep.
    #[error("stack overflow: {limit} bytes are used")]
    StackOverflow {
        /// Bytes it had.
        limit: usize,
    },
    /// It answers too much.
    #[error("the answer is too large: more than {limit} bytes")]
    OutputTooLarge {
        /// Bytes it may answer.
        limit: usize,
    },
    /// It logs too much.
    #[error("log flood: more than {bytes} bytes or {lines} lines")]
    LogFlood {
        /// Bytes it may log.
        bytes: usize,
        /// Lines it may log.
        lines: u32,
    },
    /// It crashed.
    #[error("the plugin crashed: {reason}")]
    Trap {
        /// In the words of the engine.
        reason: String,
    },
    /// Its answer is none, or its types are not those of the contract.
    #[error("the plugin breaks the contract: {detail}")]
    BadOutput {
        /// What is wrong with it.
        detail: String,
    },
    /// The plugin's own no.
    #[error("{}", refusal(.0))]
    Refused(Refusal),
    /// As many calls run as may, or the machine has no room for another.
    #[error("too many calls of plugins run at once")]
    Busy,
    /// It fails too often to be asked.
    #[error("the plugin failed too often, and is left alone for {again:?}")]
    Degraded {
        /// When to ask again.
        again: Duration,
    },
    /// Not the plugin's fault.
    #[error("a bug of trainyard, not of the plugin: {0}")]
    HostBug(String),
}

impl CallError {
    /// Whether the same call will fail in the same way.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::OutOfFuel { .. }
            | Self::Memory { .. }
            | Self::StackOverflow { .. }
            | Self::OutputTooLarge { .. }
            | Self::LogFlood { .. }
            | Self::Trap { .. }
            | Self::BadOutput { .. }
            | Self::Refused(_) => true,
            Self::Deadline { .. } | Self::Busy | Self::Degraded { .. } | Self::HostBug(_) => false,
        }
    }
}

fn refusal(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::Unsupported(why) => format!("unsupported: {why}"),
        Refusal::Invalid(issues) => {
            let errors: Vec<_> = issues.iter().cloned().map(FieldError::from).collect();
            format!("the job is invalid: {}", aggregate(&errors))
        }
    };
    one_line(&text)
}

/// What the failure of a call means; the backtrace goes to the debug log.
pub(super) fn explain(failure: Failure, meter: &Meter, limits: &Limits, plugin: &str, function: Function) -> CallError {
    match failure {
        Failure::Stopped(error) => {
            tracing::debug!(plugin, function = function.as_str(), ?error, "call stopped");
            stopped(&error, meter, limits)
        }
        Failure::Refused(json) => refused(&json),
        Failure::Shape(error) => CallError::HostBug(error.to_string()),
    }
}

fn refused(json: &[u8]) -> CallError {
    match serde_json::from_slice(json) {
        Ok(refusal) => answer::check_refusal(&refusal).err().unwrap_or(CallError::Refused(refusal)),
        Err(error) => CallError::HostBug(error.to_string()),
    }
}

/// Whether the system refused something (memory, mostly), which says nothing of the plugin and may pass.
pub(super) fn is_of_system(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.is::<Errno>() || cause.is::<io::Error>())
}

fn stopped(error: &wasmtime::Error, meter: &Meter, limits: &Limits) -> CallError {
    if error.is::<PoolConcurrencyLimitError>() || is_of_system(error) {
        return CallError::Busy;
    }
    if error.is::<LogFlood>() {
        return CallError::LogFlood { bytes: limits.log_bytes, lines: limits.log_lines };
    }
    // A backtrace has many lines, and is for the debug log.
    let cause = if error.is::<WasmBacktrace>() { error.root_cause().to_string() } else { format!("{error:#}") };
    let cause = one_line(&cause);
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => CallError::OutOfFuel { limit: limits.fuel },
        Some(Trap::Interrupt) => CallError::Deadline { limit: limits.wall },
        Some(Trap::StackOverflow) => CallError::StackOverflow { limit: STACK },
        // The type of this error is private to wasmtime; `hostile.rs` fails if its words change.
        None if cause.contains("fuel allocated for hostcalls") => CallError::OutputTooLarge { limit: limits.output },
        // Refused at the start, or refused on the way and then crashed: guests abort when they get no memory.
        _ if meter.denied => CallError::Memory { used: meter.used(), limit: meter.limit() },
        Some(_) => CallError::Trap { reason: cause },
        // What is neither a trap nor ours was found while the answer was read: a pointer beyond memory, broken UTF-8.
        None => CallError::BadOutput { detail: cause },
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::contract::{Issue, Problem, Severity};

    use super::*;

    #[test]
    fn what_the_system_refuses_is_not_the_plugins_fault() {
        use wasmtime::error::Context as _;
        let of = |error: wasmtime::Error| stopped(&error, &Meter::new(1), &Limits::default());
        let errno = |errno: Errno| Err::<(), _>(errno).context("mmap failed to reserve 0x1000 bytes").unwrap_err();
        for (name, error, expected) in [
            ("no memory", errno(Errno::NOMEM), CallError::Busy),
            ("no thread", errno(Errno::AGAIN), CallError::Busy),
            ("no file", io::Error::from(Errno::MFILE).into(), CallError::Busy),
            ("the plugin", wasmtime::format_err!("bad"), CallError::BadOutput { detail: "bad".into() }),
        ] {
            assert_eq!(of(error), expected, "{name}");
        }
    }

    #[test]
    fn an_error_is_one_line_with_its_values() {
        let problem = Problem::Invalid("-1".into());
        let issue = Issue { severity: Severity::Error, path: "spec.x".into(), problem, detail: "no\nway".into() };
        for (error, text) in [
            (CallError::OutOfFuel { limit: 7 }, "out of fuel: all 7 units are used"),
            (CallError::Deadline { limit: Duration::from_millis(20) }, "deadline exceeded: 20ms"),
            (CallError::LogFlood { bytes: 7, lines: 2 }, "log flood: more than 7 bytes or 2 lines"),
            (
                CallError::Refused(Refusal::Invalid(vec![issue])),
                "the job is invalid: spec.x: Invalid value: -1: no way",
            ),
            (CallError::Refused(Refusal::Unsupported("\u{1b}[1mno".into())), "unsupported:  [1mno"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
