//! What one call may use, and what a component may be made of.

use std::time::Duration;

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
