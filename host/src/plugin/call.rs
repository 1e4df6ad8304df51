//! One call: a fresh sandbox with its limits, used once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::{
    CallError, answer,
    engine::TICK,
    error::explain,
    limits::{HANDLES, Limits},
    log::{LogBudget, one_line},
    memo::Answer,
    meter::Meter,
    v0_1::Prepared,
};

/// The functions of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// What the plugin is.
    Describe,
    /// What the user left out.
    Default,
    /// What is wrong with the job.
    Validate,
    /// What to add to the job.
    Plan,
    /// What the pods mean.
    Assess,
}

impl Function {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Describe, Self::Default, Self::Validate, Self::Plan, Self::Assess];

    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Default => "default",
            Self::Validate => "validate",
            Self::Plan => "plan",
            Self::Assess => "assess",
        }
    }
}

/// What the host keeps for one call.
pub(super) struct State {
    pub(super) plugin: String,
    pub(super) log: LogBudget,
    meter: Meter,
}

/// What came of a call, and what it cost.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) time: Duration,
    pub(super) fuel: u64,
    pub(super) memory: usize,
    /// Lines of log.
    pub(super) dropped: u64,
}

/// The limits of one call.
#[derive(Clone, Copy)]
pub(super) struct Allowance<'a> {
    pub(super) limits: &'a Limits,
    /// What is left of the time it may take.
    pub(super) wall: Duration,
}

impl<'a> Allowance<'a> {
    /// All that a call may use.
    pub(super) fn whole(limits: &'a Limits) -> Self {
        Self { limits, wall: limits.wall }
    }
}

/// Calls `function` of `prepared`. `plugin` is its name in logs.
pub(super) fn call(
    prepared: &Prepared,
    allowance: Allowance<'_>,
    plugin: &str,
    function: Function,
    input: &[u8],
) -> Outcome {
    let limits = allowance.limits;
    let start = Instant::now();
    let run = || {
        let mut store = store(prepared, allowance, plugin)?;
        let result = prepared.call(&mut store, function, input);
        Ok::<_, wasmtime::Error>((result, store))
    };
    let failed = |why: &str| Outcome {
        answer: Err(CallError::HostBug(one_line(why))),
        time: start.elapsed(),
        fuel: 0,
        memory: 0,
        dropped: 0,
    };
    match without_panic(run) {
        Ok(Ok((result, store))) => {
            let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
            let State { meter, log, .. } = store.data();
            let answer = result.map_err(|failure| explain(failure, meter, limits, plugin, function));
            // A plugin that answers what nobody can read is at fault as one that crashes is.
            let answer = answer.and_then(|json| answer::check(function, &json).map(|()| json.into()));
            Outcome { answer, time: start.elapsed(), fuel, memory: meter.used(), dropped: log.dropped }
        }
        Ok(Err(error)) => failed(&error.to_string()),
        Err(panic) => failed(&panic),
    }
}

/// What `run` answers, or what it panicked with: a bug in one call must not end the others.
fn without_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!("panic: {}", text.unwrap_or("without a message"))
    })
}

/// A sandbox that nothing has used before, and nothing will use again.
pub(super) fn store(prepared: &Prepared, allowance: Allowance<'_>, plugin: &str) -> wasmtime::Result<Store<State>> {
    let Allowance { limits, wall } = allowance;
    let state = State { plugin: plugin.into(), log: LogBudget::new(limits), meter: Meter::new(limits.memory) };
    let mut store = Store::new(prepared.engine(), state);
    store.limiter(|state| &mut state.meter);
    store.set_fuel(limits.fuel)?;
    // The first tick may be near, so one more than the deadline has.
    let ticks = wall.as_nanos().div_ceil(TICK.as_nanos());
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1));
    store.set_hostcall_fuel(limits.output);
    store.set_max_component_handles(HANDLES);
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(without_panic(|| 1), Ok(1));
        assert_eq!(without_panic(|| panic!("the {} is gone", "roof")), Err::<(), _>("panic: the roof is gone".into()));
        assert_eq!(without_panic(|| panic!("gone")), Err::<(), _>("panic: gone".into()));
    }
}
