//! Who gets a turn, and who is left alone.

use std::thread;

use super::*;

fn limited(guest: &Guest, engine: &Engine, limits: Limits) -> Plugin {
    Plugin::load(engine, &guest.component(), limits).unwrap()
}

/// For who waits in vain.
fn impatient() -> Limits {
    Limits { wall: Duration::from_millis(100), ..Limits::default() }
}

#[test]
fn a_plugin_takes_no_more_than_its_turns() {
    let limits = Limits { concurrency: 1, ..impatient() };
    let (greedy, other) = (limited(&good(), &ENGINE, limits), load(&good().component()).unwrap());
    let turn = greedy.0.turns.enter(1, None);
    assert_eq!(greedy.default(&job("a")), Err(CallError::Busy));
    assert_eq!((greedy.counters().calls(Function::Default), greedy.in_flight()), (0, 1));
    assert_eq!(greedy.counters().ended(Function::Default, Ending::Busy), 1);
    assert_eq!(other.default(&job("a")), Ok("{}".into()), "others have their own");
    drop(turn);
    assert_eq!(greedy.default(&job("a")), Ok("{}".into()));
}

#[test]
fn all_calls_together_have_so_much_memory() {
    let engine = Engine::new(NonZeroU32::new(64).unwrap(), Compiler::Here).unwrap();
    let limits = Limits { memory: 256 << 20, ..impatient() };
    let plugin = limited(&good(), &engine, limits);
    // Three calls of 256 MiB, and one of 257.
    let three: Vec<_> = (0..3).map(|_| engine.room(256 << 20, None)).collect();
    let much = engine.room(257 << 20, Some(Instant::now()));
    assert!(much.is_none(), "a gigabyte is all there is");
    let fourth = engine.room(1, None);
    assert_eq!(plugin.default(&job("a")), Err(CallError::Busy));
    drop(fourth);
    assert_eq!(plugin.default(&job("a")), Ok("{}".into()));
    drop(three);
    assert_eq!(engine.calls(), 0);
}

#[test]
fn a_plugin_takes_at_most_half_of_the_memory() {
    let engine = Engine::new(NonZeroU32::new(64).unwrap(), Compiler::Here).unwrap();
    let [greedy, other] = [(); 2].map(|()| limited(&good(), &engine, Limits { memory: 256 << 20, ..impatient() }));
    let half = [(); 2].map(|()| greedy.0.room(None));
    assert_eq!(
        (greedy.default(&job("a")), greedy.in_flight()),
        (Err(CallError::Busy), 2),
        "it has turns, and no memory"
    );
    assert_eq!(other.default(&job("a")), Ok("{}".into()), "the other half is for others");
    drop(half);
    assert_eq!(greedy.default(&job("a")), Ok("{}".into()));
}

#[test]
fn who_waits_gets_a_turn() {
    let plugin =
        limited(&good(), &ENGINE, Limits { concurrency: 1, wall: Duration::from_mins(10), ..Limits::default() });
    let jobs: Vec<_> = (0..50).map(|n| job(&n.to_string())).collect();
    thread::scope(|scope| {
        let calls: Vec<_> = jobs.iter().map(|job| scope.spawn(|| plugin.default(job))).collect();
        assert!(calls.into_iter().all(|call| call.join().unwrap() == Ok("{}".into())));
    });
    assert_eq!((plugin.counters().calls(Function::Default), plugin.counters().waits().count), (50, 50));
}

#[test]
fn a_plugin_that_fails_is_left_alone_and_one_that_refuses_is_not() {
    let broken = load(&Guest { plan: "unreachable", ..good() }.component()).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(broken.circuit(), Circuit::Closed, "{name}");
        assert!(matches!(broken.plan(&job(name)), Err(CallError::Trap { .. })), "{name}");
    }
    assert!(matches!(broken.circuit(), Circuit::Open { .. }));
    match broken.plan(&job("f")) {
        Err(CallError::Degraded { again }) => assert!(again <= Duration::from_secs(30)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(broken.plan(&job("a")), Err(CallError::Trap { .. })), "what is known is known");
    assert_eq!(broken.counters().calls(Function::Plan), 5);
    // An `err` whose refusal is an empty list of issues.
    let refusing = Guest { plan: "(i32.store8 (i32.const 64) (i32.const 1)) (i32.const 64)", ..good() };
    let refusing = load(&refusing.component()).unwrap();
    for name in 0..20 {
        let refused = refusing.plan(&job(&name.to_string()));
        assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
    }
    assert_eq!(refusing.circuit(), Circuit::Closed);
}

#[test]
fn what_fails_for_one_job_only_fails_for_that_job() {
    // The name is the first text of the context: `!` is bad.
    let body = "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 33)) (then unreachable)) (i32.const 64)";
    let plugin = load(&Guest { plan: body, ..good() }.component()).unwrap();
    for round in 0..20 {
        assert!(matches!(plugin.plan(&job("!")), Err(CallError::Trap { .. })), "{round}");
        assert!(plugin.plan(&job(&format!("good-{round}"))).is_ok(), "{round}");
    }
    assert_eq!((plugin.circuit(), plugin.counters().ended(Function::Plan, Ending::Trap)), (Circuit::Closed, 1));
}

#[test]
fn a_job_that_changes_is_still_one_job() {
    let plugin = load(&Guest { assess: "unreachable", ..good() }.component()).unwrap();
    let assess = |name, attempt| plugin.assess(&job(name), &Observed { attempt, ..nothing_seen() });
    for attempt in 0..20 {
        assert!(matches!(assess("a", attempt), Err(CallError::Trap { .. })), "{attempt}");
    }
    assert_eq!((plugin.circuit(), plugin.counters().calls(Function::Assess)), (Circuit::Closed, 20));
    for name in ["b", "c"] {
        assert!(matches!(assess(name, 0), Err(CallError::Trap { .. })), "{name}");
    }
    assert!(matches!(plugin.circuit(), Circuit::Open { .. }), "three jobs are not one job's trouble");
}

#[test]
fn an_error_that_will_repeat_is_met_once() {
    for (name, guest, function) in [
        ("an endless loop", Guest { plan: LOOP, ..good() }, Function::Plan),
        ("a crash", Guest { plan: "unreachable", ..good() }, Function::Plan),
        ("recursion", Guest { fields: "(func $f (call $f))", plan: "(call $f) unreachable", ..good() }, Function::Plan),
        ("a bad pointer", Guest { default: Some("(i32.const -64)"), ..good() }, Function::Default),
        ("no JSON", Guest { default: Some(ZEROS), ..good() }, Function::Default),
        ("a no", Guest { plan: "(i32.store8 (i32.const 64) (i32.const 1)) (i32.const 64)", ..good() }, Function::Plan),
    ] {
        let plugin = load(&guest.component()).unwrap();
        let ask = || match function {
            Function::Plan => plugin.plan(&job("a")).map(|_| ()),
            Function::Default => plugin.default(&job("a")).map(|_| ()),
            Function::Describe | Function::Validate | Function::Assess => unreachable!("no case asks for it"),
        };
        let first = ask().expect_err(name);
        assert!(first.is_repeatable(), "{name}: {first:?}");
        assert_eq!((ask(), ask()), (Err(first.clone()), Err(first)), "{name}");
        let counters = plugin.counters();
        assert_eq!((counters.calls(function), counters.remembered(function)), (1, 2), "{name}");
    }
}
