//! The meter that holds a call to its memory, and to the instances, memories and tables of [`limits`](super::limits).

use wasmtime::{ResourceLimiter, Result};

use super::error::is_of_system;
use super::limits::{INSTANCES, MEMORIES, MEMORY_CEILING, TABLE_ELEMENTS, TABLES};

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
