//! Guests that mean harm, on the real engine: whatever they do, the host gets exactly the error that names it.

mod fair;
mod guest;
mod loading;
mod table;

use std::{num::NonZeroU32, sync::LazyLock, time::Duration};

use trainyard_core::contract::{Context, JobPlan, Network, Observed};

use self::guest::{CONTRACT, Guest, ZEROS};
use super::{
    call::{self, Allowance},
    *,
};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(NonZeroU32::new(8).unwrap(), Compiler::Here).unwrap());

fn good() -> Guest {
    Guest::good(sample::description())
}

/// A hundredth of what a second is good for: it runs out first on the busiest machine.
const FUEL: u64 = 10_000_000;

fn load(bytes: &[u8]) -> Result<Plugin, LoadError> {
    Plugin::load(&ENGINE, bytes, Limits { fuel: FUEL, ..Limits::default() })
}

fn job(name: &str) -> Context {
    let text = |text: &str| text.to_owned();
    Context { name: text(name), namespace: text("ns"), job: text(r#"{"spec":{}}"#), settings: text("{}") }
}

fn nothing_seen() -> Observed {
    Observed { totals: vec![], pods: vec![], attempt: 0 }
}

const LOG: &str = r#"(import "trainyard:framework/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
const LOOP: &str = "(loop $again (br $again)) unreachable";

/// Answers a list that holds one long text over and over.
fn amplified() -> Guest {
    Guest {
        pages: 32,
        fields: "(global $at (mut i32) (i32.const 1048576))",
        plan: "(loop $next
            (i32.store (global.get $at) (i32.const 131072))
            (i32.store offset=4 (global.get $at) (i32.const 900000))
            (global.set $at (i32.add (global.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (global.get $at) (i32.const 1528576))))
            (i32.store (i32.const 88) (i32.const 1048576))
            (i32.store (i32.const 92) (i32.const 60000))
            (i32.const 64)",
        ..good()
    }
}

#[test]
fn a_guest_that_behaves_is_understood() {
    let plugin = load(&good().component()).unwrap();
    assert_eq!(plugin.description(), &sample::description());
    assert_eq!(plugin.default(&job("a")), Ok("{}".into()));
    assert_eq!(plugin.validate(&job("a"), Some("{}")), Ok(vec![]));
    let plan = JobPlan { replicas: vec![], network: Network::None, objects: vec![], ssh_keys: vec![] };
    assert_eq!(plugin.plan(&job("a")), Ok(plan));
    assert_eq!(plugin.assess(&job("a"), &nothing_seen()).unwrap().verdicts, []);
}

fn plan_fails<const N: usize>(cases: [(&str, Guest, CallError); N]) {
    for (name, guest, expected) in cases {
        let plugin = load(&guest.component()).unwrap();
        assert_eq!(plugin.plan(&job("a")), Err(expected), "{name}");
    }
}

#[test]
fn who_uses_too_much_is_stopped() {
    let memory = 64 << 20;
    plan_fails([
        ("an endless loop", Guest { plan: LOOP, ..good() }, CallError::OutOfFuel { limit: FUEL }),
        ("an endless loop before it starts", Guest { realloc: LOOP, ..good() }, CallError::OutOfFuel { limit: FUEL }),
        (
            "filling memory over and over",
            Guest {
                plan: "(loop $again (memory.fill (i32.const 0) (i32.const 0) (i32.const 1048576)) (br $again)) unreachable",
                ..good()
            },
            CallError::OutOfFuel { limit: FUEL },
        ),
        (
            "taking all memory there is",
            Guest {
                plan: "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
                ..good()
            },
            CallError::Memory { used: memory, limit: memory },
        ),
        (
            "endless recursion",
            Guest { fields: "(func $deep (call $deep))", plan: "(call $deep) unreachable", ..good() },
            CallError::StackOverflow { limit: 512 << 10 },
        ),
    ]);
}

#[test]
fn who_crashes_hurts_nobody() {
    let trap = |reason: &str| CallError::Trap { reason: reason.into() };
    plan_fails([
        (
            "a crash",
            Guest { plan: "unreachable", ..good() },
            trap("wasm trap: wasm `unreachable` instruction executed"),
        ),
        (
            "a read beyond memory",
            Guest { plan: "(i32.load (i32.const -4))", ..good() },
            trap("wasm trap: out of bounds memory access"),
        ),
        (
            "a table of a million entries",
            Guest {
                fields: "(table $t 1 funcref)",
                plan: "(if (i32.eq (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1)) (then unreachable)) (i32.const 64)",
                ..good()
            },
            trap("wasm trap: wasm `unreachable` instruction executed"),
        ),
    ]);
}

#[test]
fn who_says_too_much_is_cut_off() {
    let log_flood = CallError::LogFlood { bytes: 64 << 10, lines: 256 };
    plan_fails([
        (
            "an endless log",
            Guest {
                imports: LOG,
                plan: "(loop $again (call $log (i32.const 0) (i32.const 0) (i32.const 0)) (br $again)) unreachable",
                ..good()
            },
            log_flood.clone(),
        ),
        (
            "one endless line",
            Guest {
                imports: LOG,
                plan: "(call $log (i32.const 3) (i32.const 131072) (i32.const 900000)) unreachable",
                ..good()
            },
            log_flood,
        ),
        ("a list that holds one long text 60000 times", amplified(), CallError::OutputTooLarge { limit: 8 << 20 }),
    ]);
}

#[test]
fn a_broken_answer_is_named() {
    for (name, default, expected) in [
        ("text that is no JSON", ZEROS, "the merge patch is not the JSON it should be: EOF while parsing"),
        ("an answer outside memory", "(i32.const -64)", "pointer out of bounds of memory"),
        ("an answer at an odd address", "(i32.const 65)", "pointer not aligned"),
        (
            "text outside memory",
            "(i32.store (i32.const 68) (i32.const 1048570)) (i32.store (i32.const 72) (i32.const 7)) (i32.const 64)",
            "string pointer/length out of bounds of memory",
        ),
        (
            "text that is no text",
            "(i32.store (i32.const 72) (i32.const 1)) (i32.store8 (i32.const 0) (i32.const 255)) (i32.const 64)",
            "invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            "a case that there is not",
            "(i32.store8 (i32.const 64) (i32.const 9)) (i32.const 64)",
            "invalid expected discriminant",
        ),
    ] {
        let plugin = load(&Guest { default: Some(default), ..good() }.component()).unwrap();
        match plugin.default(&job("a")) {
            Err(CallError::BadOutput { detail }) => assert!(detail.contains(expected), "{name}: {detail}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let huge = "(i32.store (i32.const 72) (i32.const 50331648)) (i32.const 64)";
    let plugin = load(&Guest { default: Some(huge), pages: 1000, ..good() }.component()).unwrap();
    assert_eq!(plugin.default(&job("a")), Err(CallError::OutputTooLarge { limit: 8 << 20 }));
}

#[test]
fn a_deadline_ends_what_fuel_does_not() {
    let limits = Limits { fuel: u64::MAX, wall: Duration::from_millis(200), ..Limits::default() };
    let plugin = Plugin::load(&ENGINE, &Guest { plan: LOOP, ..good() }.component(), limits).unwrap();
    let deadline = Err(CallError::Deadline { limit: Duration::from_millis(200) });
    assert_eq!((plugin.plan(&job("a")), plugin.plan(&job("a"))), (deadline.clone(), deadline));
    assert_eq!(plugin.counters().calls(Function::Plan), 2, "it may pass, so it is tried again");
}

#[test]
fn nothing_is_carried_from_one_call_to_the_next() {
    let guest = Guest {
        fields: "(global $calls (mut i32) (i32.const 0))",
        // `check-after`: some(number of this call)
        assess: "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const 108) (i32.const 1))
            (i32.store (i32.const 112) (global.get $calls))
            (i32.const 64)",
        ..good()
    };
    let plugin = load(&guest.component()).unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(plugin.assess(&job(name), &nothing_seen()).unwrap().check_after, Some(1), "{name}");
    }
}

#[test]
fn an_answer_is_asked_for_once() {
    let plugin = load(&Guest { plan: "unreachable", ..good() }.component()).unwrap();
    let fuel = plugin.counters().fuel();
    for _ in 0..3 {
        plugin.default(&job("a")).unwrap();
        let trap = plugin.plan(&job("a")).unwrap_err();
        assert!(matches!(trap, CallError::Trap { .. }), "{trap:?}");
    }
    plugin.default(&job("b")).unwrap();
    let counters = plugin.counters();
    let seen = Function::ALL.map(|function| (counters.calls(function), counters.remembered(function)));
    assert_eq!(seen, [(1, 0), (2, 2), (0, 0), (1, 2), (0, 0)]);
    assert!(counters.fuel() > fuel && counters.peak_memory() == 1 << 20);
}

#[test]
fn a_full_house_is_busy_and_passes() {
    let engine = Engine::new(NonZeroU32::MIN, Compiler::Here).unwrap();
    let plugin = Plugin::load(&engine, &good().component(), Limits::default()).unwrap();
    let guest = plugin.0.prepared.clone();
    let mut store = call::store(&guest, Allowance::whole(plugin.limits()), "test").unwrap();
    guest.call(&mut store, Function::Describe, b"null").unwrap();
    assert_eq!(plugin.default(&job("a")), Err(CallError::Busy));
    drop(store);
    assert_eq!(plugin.default(&job("a")), Ok("{}".into()));
}
