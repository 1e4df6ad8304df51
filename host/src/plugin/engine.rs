//! The engine that compiles and runs plugins, and the thread that moves its clock.
//!
//! Whatever a pure function does not need is switched off. An [`Engine`] cannot be had without the thread that advances
//! its epoch: without it no deadline would ever pass.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{io, thread};

use wasmtime::{Config, Enabled, EngineWeak, OptLevel, PoolingAllocationConfig, Strategy};

use super::{
    compile::Compiler,
    gate::{Gate, Pass},
    limits,
};

/// One tick: a call is stopped at most this long after its deadline.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// A clock that has not moved for so long has stopped; on a machine that is only busy it is late by far less.
const STOPPED: Duration = Duration::from_secs(10);

/// Components compiled at once: each may take a lot of memory.
const COMPILES: u64 = 1;

/// Compiles and runs plugins; a cheap handle.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    pub(super) compiler: Compiler,
    gates: Arc<Gates>,
}

/// How much may go on at once, whoever's it is.
struct Gates {
    compiles: Gate,
    calls: Gate,
    memory: Gate,
    clock: Clock,
}

/// How often it has ticked, and when last.
struct Clock {
    start: Instant,
    ticks: AtomicU64,
    /// Milliseconds since `start`.
    last: AtomicU64,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The compiler does not know this processor or system.
    #[error("this machine cannot run plugins")]
    Unsupported(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system refuses a thread.
    #[error("the thread that keeps the deadlines of plugins did not start")]
    Ticker(#[source] io::Error),
}

impl Engine {
    /// An engine in which at most `calls` calls run at once.
    pub fn new(calls: NonZeroU32, compiler: Compiler) -> Result<Self, EngineError> {
        let pooled = wasmtime::Engine::new(base().allocation_strategy(pool(calls.get())));
        let engine = pooled.or_else(|error| {
            tracing::warn!(%error, "no memory pool for plugins (limited address space?): each call will be slower");
            wasmtime::Engine::new(&base())
        });
        let engine = engine.map_err(|error| EngineError::Unsupported(error.into_boxed_dyn_error()))?;
        let gates = Arc::new(Gates {
            compiles: Gate::new(COMPILES),
            calls: Gate::new(calls.get().into()),
            memory: Gate::new(limits::ALL_MEMORY as u64),
            clock: Clock::new(Instant::now()),
        });
        let (weak, shared) = (engine.weak(), gates.clone());
        let ticker = thread::Builder::new().name("plugin-ticker".into());
        ticker.spawn(move || tick(&weak, &shared.clock)).map_err(EngineError::Ticker)?;
        Ok(Self { wasmtime: engine, compiler, gates })
    }

    /// How often its clock has ticked. If it stands still, no deadline passes.
    pub fn ticks(&self) -> u64 {
        self.gates.clock.ticks.load(Relaxed)
    }

    /// Whether its clock moves: else no deadline passes any more, and only a new process helps.
    pub fn is_ticking(&self) -> bool {
        self.gates.clock.is_ticking(Instant::now())
    }

    /// Calls that run.
    pub fn calls(&self) -> u64 {
        self.gates.calls.inside()
    }

    /// Waits for a turn to compile.
    pub(super) fn compile_turn(&self) -> Option<Pass<'_>> {
        self.gates.compiles.enter(1, None)
    }

    /// Waits for room for a call that may use so much memory, not longer than `until`.
    pub(super) fn room(&self, memory: usize, until: Option<Instant>) -> Option<[Pass<'_>; 2]> {
        Some([self.gates.calls.enter(1, until)?, self.gates.memory.enter(memory as u64, until)?])
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }
}

impl Clock {
    fn new(start: Instant) -> Self {
        Self { start, ticks: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    fn tick(&self, now: Instant) {
        self.ticks.fetch_add(1, Relaxed);
        self.last.store(self.millis(now), Relaxed);
    }

    fn is_ticking(&self, now: Instant) -> bool {
        let still = self.millis(now).saturating_sub(self.last.load(Relaxed));
        Duration::from_millis(still) < STOPPED
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

fn tick(engine: &EngineWeak, clock: &Clock) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        clock.tick(Instant::now());
        drop(engine);
        thread::sleep(TICK);
    }
}

/// Deterministic, interruptible, and no proposal that a plugin could do without.
pub(super) fn base() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .shared_memory(false)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .max_wasm_stack(limits::STACK)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        // Registering unwind tables is quadratic on some systems, and only native debuggers read them.
        .native_unwind_info(false)
        .memory_init_cow(true)
        .parallel_compilation(true);
    config
}

/// Room for `calls` components at the caps of [`limits`], so that only the number of calls can exhaust it.
fn pool(calls: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(limits::INSTANCES))
        .total_memories(calls.saturating_mul(limits::MEMORIES))
        .total_tables(calls.saturating_mul(limits::TABLES))
        .max_core_instances_per_component(limits::INSTANCES)
        .max_memories_per_component(limits::MEMORIES)
        .max_tables_per_component(limits::TABLES)
        .max_memories_per_module(2)
        .max_tables_per_module(4)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::MEMORY_CEILING)
        .max_unused_warm_slots(calls)
        // Pages touched by the last call stay mapped and are wiped: half the cost of a small call.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_room_for_a_pool_still_runs() {
        let pooled = |calls| {
            let engine = Engine::new(NonZeroU32::new(calls).unwrap(), Compiler::Here).unwrap();
            engine.wasmtime().pooling_allocator_metrics().is_some()
        };
        assert!(pooled(2));
        assert!(!pooled(1 << 20), "a pool for a million calls needs more address space than there is");
    }

    #[test]
    fn the_ticker_ends_with_its_engine() {
        let engine = Engine::new(NonZeroU32::MIN, Compiler::Here).unwrap();
        let weak = engine.wasmtime().weak();
        drop(engine);
        // The last upgrade of the ticker may still be alive for an instant.
        while weak.upgrade().is_some() {
            thread::yield_now();
        }
        tick(&weak, &Clock::new(Instant::now()));
    }

    #[test]
    fn a_clock_that_does_not_move_is_noticed() {
        let start = Instant::now();
        let (clock, at) = (Clock::new(start), |seconds| start + Duration::from_secs(seconds));
        assert_eq!((clock.is_ticking(at(9)), clock.is_ticking(at(10))), (true, false), "it never began");
        clock.tick(at(9));
        assert_eq!((clock.is_ticking(at(18)), clock.is_ticking(at(19))), (true, false), "its last tick");
        clock.tick(at(40));
        assert!(clock.is_ticking(at(40)), "it goes on");
    }
}
