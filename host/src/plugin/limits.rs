//! What one call may use, and the meter that enforces memory.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Result};

use super::error::is_of_system;

/// Stack of a plugin in bytes. The calling thread needs four times as much, which is the default of Rust and tokio.
pub(super) const STACK: usize = 512 << 10;
/// No plugin gets more memory than this, whatever its [`Limits`].
pub(super) const MEMORY_CEILING: usize = 1 << 30;
/// Bytes of memory that all calls together may use: each takes what it may use from it before it starts, so that no call
/// is refused memory because of another.
pub(super) const ALL_MEMORY: usize = 1 << 30;
/// How much of that the calls of one plugin may take together, so that others go on. A single call that may use more
/// goes in alone.
pub(super) const SHARE: usize = ALL_MEMORY / 2;
/// Bytes of a component; the largest in the wild (a whole Python interpreter) has 18 MiB.
pub const COMPONENT: usize = 32 << 20;
/// Live resource handles. The contract has no resources; the adapters of some toolchains do.
pub(super) const HANDLES: usize = 256;
/// Core instances, memories and tables in one component, and elements in a table: what the components of the known
/// toolchains need, and a little.
pub(super) const INSTANCES: u32 = 64;
pub(super) const MEMORIES: u32 = 4;
pub(super) const TABLES: u32 = 8;
pub(super) const TABLE_ELEMENTS: usize = 20_000;

/// What one call of a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time; 1 s. Meant for a slow machine: [`Self::fuel`] should run out first, since it does so every time.
    pub wall: Duration,
    /// Instructions, roughly; 2e8, which is about 0.2 s. A plan takes less than 1e6 in Rust, 5e6 in an interpreter.
    pub fuel: u64,
    /// Bytes of all its memories together; 64 MiB. At most 1 GiB.
    pub memory: usize,
    /// Bytes of an answer; 8 MiB.
    pub output: usize,
    /// Bytes it may log; 64 KiB.
    pub log_bytes: usize,
    /// Lines it may log; 256.
    pub log_lines: u32,
    /// Bytes of answers that are remembered, over all calls; 8 MiB.
    pub memo: u64,
    /// Calls at once; 4. More wait, for half of [`Self::wall`] at most.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(1),
            fuel: 200_000_000,
            memory: 64 << 20,
            output: 8 << 20,
            log_bytes: 64 << 10,
            log_lines: 256,
            memo: 8 << 20,
            concurrency: 4,
        }
    }
}

/// Adds up the memories of one call.
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    used: usize,
    /// Whether the plugin asked for more than it may have: what fails afterwards fails for want of memory.
    pub(super) denied: bool,
}

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.min(MEMORY_CEILING), used: 0, denied: false }
    }

    /// Bytes in use. Memories only grow, so this is the peak, too.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.denied = true;
            return Ok(false);
        }
        // Beyond the maximum of its own memory it will be refused, and nothing grows.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.used = total;
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> Result<()> {
        // A plugin that hears of it fails as if it was its own fault, and that would be remembered.
        if is_of_system(&error) { Err(error) } else { Ok(()) }
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut meter = Meter::new(100);
        for (what, current, desired, maximum, allowed, used) in [
            ("the first memory", 0, 60, None, true, 60),
            ("a second one", 0, 30, Some(200), true, 90),
            ("growing the first too far", 60, 80, None, false, 90),
            ("growing the second beyond its own maximum", 30, 40, Some(35), true, 90),
            ("growing the second to the limit", 30, 40, None, true, 100),
        ] {
            assert_eq!(
                (meter.memory_growing(current, desired, maximum).unwrap(), meter.used()),
                (allowed, used),
                "{what}"
            );
        }
        assert!(meter.denied);
        let beyond = wasmtime::format_err!("memory growth exceeds memory type's limits");
        assert!(meter.memory_grow_failed(beyond).is_ok(), "the plugin hears of it");
        let refused = meter.memory_grow_failed(rustix::io::Errno::NOMEM.into()).unwrap_err();
        assert!(is_of_system(&refused), "the call ends");
    }
}
