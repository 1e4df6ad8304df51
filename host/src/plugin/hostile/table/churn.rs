//! State, determinism, churn and a full house: 25 and what belongs to it.

use super::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("25", "a counter that would count calls", own(counter), ("Answered", "")),
        case("25b", "100 loads, good and bad in turn, all called", own(reloads), ("Answered", "")),
        case("25c", "let go of in the middle of a call", own(let_go), ("OutOfFuel", "")),
        case("+", "as many calls as there may be", own(full_house), ("Busy", "")),
        case("+", "failing for every job", own(degraded), ("Degraded", "left alone")),
    ]
}

const COUNT: &str = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 108) (i32.const 1))
    (i32.store (i32.const 112) (global.get $calls))
    (i32.const 64)";

fn counter(engine: &Engine) -> Ended {
    let guest = Guest { fields: "(global $calls (mut i32) (i32.const 0))", assess: COUNT, ..good() };
    let plugin = Plugin::load(engine, &guest.component(), limits()).unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(plugin.assess(&job(name), &nothing_seen()).unwrap().check_after, Some(1), "{name}");
    }
    ended(plugin.assess(&job("d"), &nothing_seen()))
}

fn reloads(engine: &Engine) -> Ended {
    let (sound, broken) = (good().component(), Guest { describe: Some("unreachable"), ..good() }.component());
    let mut serving = Plugin::load(engine, &sound, limits()).unwrap();
    for n in 0..50 {
        let error = Plugin::load(engine, &broken, limits()).err().unwrap();
        assert_eq!(error.reason(), "ProbeFailed");
        assert!(serving.plan(&job(&n.to_string())).is_ok(), "the one before goes on");
        serving = Plugin::load(engine, &sound, limits()).unwrap();
    }
    ended(serving.plan(&job("a")))
}

/// The call has what it needs for as long as it needs it.
fn let_go(engine: &Engine) -> Ended {
    let plugin = Plugin::load(engine, &Guest { plan: LOOP, ..good() }.component(), limits()).unwrap();
    let loaded = Arc::downgrade(&plugin.0);
    let (caller, in_flight) = (plugin.clone(), plugin.clone());
    let calling = thread::spawn(move || ended(caller.plan(&job("a"))));
    while in_flight.in_flight() == 0 && !calling.is_finished() {
        thread::yield_now();
    }
    drop((plugin, in_flight));
    let end = calling.join().unwrap();
    assert!(loaded.upgrade().is_none(), "then it goes");
    end
}

fn full_house(engine: &Engine) -> Ended {
    let own = Limits { concurrency: 1, wall: Duration::from_millis(100), ..limits() };
    let plugin = Plugin::load(engine, &good().component(), own).unwrap();
    let _turn = plugin.0.turns.enter(1, None);
    ended(plugin.plan(&job("a")))
}

fn degraded(engine: &Engine) -> Ended {
    let plugin = Plugin::load(engine, &Guest { plan: "unreachable", ..good() }.component(), limits()).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        assert!(matches!(plugin.plan(&job(name)), Err(CallError::Trap { .. })), "{name}");
    }
    ended(plugin.plan(&job("f")))
}
