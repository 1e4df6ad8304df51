//! Who uses too much: 1 to 9, 16, 17.

use super::*;

#[expect(clippy::too_many_lines, reason = "one entry for each guest")]
pub(super) fn cases() -> Vec<Case> {
    let fuel = ("OutOfFuel", "all 10000000 units");
    vec![
        case("1", "an endless loop", plans(Guest { plan: LOOP, ..good() }), fuel),
        case("1b", "an endless loop with endless fuel", own(endless), ("DeadlineExceeded", "200ms")),
        case(
            "2",
            "an endless start",
            loads_guest(Guest { fields: "(start $s) (func $s (loop $a (br $a)))", ..good() }),
            ("ProbeFailed", "out of fuel"),
        ),
        case("3", "an endless loop where its input is put", plans(Guest { realloc: LOOP, ..good() }), fuel),
        case(
            "4",
            "a crash at the start",
            loads_guest(Guest { fields: "(start $s) (func $s unreachable)", ..good() }),
            ("ProbeFailed", "unreachable"),
        ),
        case(
            "4b",
            "a crash when it says what it is",
            loads_guest(Guest { describe: Some("unreachable"), ..good() }),
            ("ProbeFailed", "unreachable"),
        ),
        case("5", "a crash for one job only", own(one_job), ("Answered", "")),
        case(
            "6",
            "endless recursion",
            plans(Guest { fields: "(func $f (call $f))", plan: "(call $f) unreachable", ..good() }),
            ("StackOverflow", "524288"),
        ),
        case(
            "7",
            "taking all memory, and using it",
            plans(Guest { plan: GROW, ..good() }),
            ("OutOfMemory", "67108864 of"),
        ),
        case(
            "8",
            "four gigabytes from the start",
            loads_guest(Guest { pages: 65536, ..good() }),
            ("TooMuch", "bytes of a memory at the start: 4294967296"),
        ),
        case(
            "8b",
            "more from the start than a call may use",
            loads_guest(Guest { pages: 1025, ..good() }),
            ("ProbeFailed", "out of memory"),
        ),
        case(
            "9",
            "a table of ten millions from the start",
            loads_guest(Guest { fields: "(table 10000000 funcref)", ..good() }),
            ("TooMuch", "elements of a table at the start: 10000000"),
        ),
        case(
            "9b",
            "a table that grows: to 20000, and it is told",
            plans(Guest { fields: "(table $t 1 funcref)", plan: TABLE, ..good() }),
            ("Answered", ""),
        ),
        case("16", "an endless log", own(flood), ("LogFlood", "65536 bytes or 256 lines")),
        case(
            "16b",
            "a log of one endless line",
            plans(Guest {
                imports: LOG,
                plan: "(call $log (i32.const 3) (i32.const 131072) (i32.const 900000)) unreachable",
                ..good()
            }),
            ("LogFlood", "65536 bytes"),
        ),
        case("17", "endless handles of a resource", plans(resources()), ("BadOutput", "handle")),
        case(
            "+",
            "filling memory over and over",
            plans(Guest {
                plan: "(loop $a (memory.fill (i32.const 0) (i32.const 0) (i32.const 1048576)) (br $a)) unreachable",
                ..good()
            }),
            fuel,
        ),
        case("+", "200 calls of nine tenths of their fuel", own(heavy), ("Answered", "")),
    ]
}

const GROW: &str = "(local $at i32)
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (local.set $at (i32.const 1048576))
    (loop $use
        (i32.store (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $use (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    unreachable";

const TABLE: &str = "
    (loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1))))
    (if (i32.ne (table.size $t) (i32.const 20000)) (then unreachable))
    (i32.const 64)";

fn endless(engine: &Engine) -> Ended {
    let limits = Limits { fuel: u64::MAX, wall: Duration::from_millis(200), ..Limits::default() };
    ended(Plugin::load(engine, &Guest { plan: LOOP, ..good() }.component(), limits).unwrap().plan(&job("a")))
}

fn one_job(engine: &Engine) -> Ended {
    let plan = "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 33)) (then unreachable)) (i32.const 64)";
    let plugin = Plugin::load(engine, &Guest { plan, ..good() }.component(), limits()).unwrap();
    let bad = plugin.plan(&job("!"));
    assert!(matches!(bad, Err(CallError::Trap { .. })), "{bad:?}");
    assert_eq!(plugin.circuit(), Circuit::Closed);
    ended(plugin.plan(&job("a")))
}

fn flood(engine: &Engine) -> Ended {
    let plan = "(loop $a (call $log (i32.const 0) (i32.const 0) (i32.const 1024)) (br $a)) unreachable";
    let plugin = Plugin::load(engine, &Guest { imports: LOG, plan, ..good() }.component(), limits()).unwrap();
    let answer = plugin.plan(&job("a"));
    assert_eq!(plugin.counters().dropped_lines(), 1, "the line that ended the call");
    ended(answer)
}

fn resources() -> Guest {
    Guest {
        packages: vec![
            "package a:b; interface x { resource r { constructor(); } }
            world w { export x; include trainyard:framework/plugin@0.1.0; }",
        ],
        imports: r#"(import "[export]a:b/x" "[resource-new]r" (func $new (param i32) (result i32)))"#,
        fields: r#"(func (export "a:b/x#[constructor]r") (result i32) (call $new (i32.const 0)))"#,
        plan: "(loop $a (drop (call $new (i32.const 0))) (br $a)) unreachable",
        ..good()
    }
}

/// About four units of fuel a turn.
fn heavy(engine: &Engine) -> Ended {
    let plan = "(local $n i32) (local.set $n (i32.const 1000000))
        (loop $a (br_if $a (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.const 64)";
    let plugin = Plugin::load(engine, &Guest { plan, ..good() }.component(), limits()).unwrap();
    plugin.plan(&job("a")).unwrap();
    let fuel = plugin.counters().fuels(Function::Plan).sum;
    let tight = Limits { fuel: fuel * 10 / 9, ..Limits::default() };
    let plugin = Plugin::load(engine, &Guest { plan, ..good() }.component(), tight).unwrap();
    for n in 0..200 {
        assert!(plugin.plan(&job(&n.to_string())).is_ok(), "{n}");
    }
    ended(plugin.plan(&job("b")))
}
