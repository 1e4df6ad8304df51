//! Who costs too much to compile: 22. What is known is named before it is compiled; what is not ends with its compiler.

use super::bad_bytes::{posing, posing_bytes};
use super::*;

pub(super) fn cases() -> Vec<Case> {
    let within = CompileLimits { wall: Duration::from_hours(1), ..CompileLimits::default() };
    let limit = |words| ("CompileLimit", words);
    vec![
        case(
            "22",
            "5000 loops in loops",
            posing(|| format!("(core module (func {} {}))", "loop ".repeat(5000), "end ".repeat(5000))),
            ("TooMuch", "depth of loops in a function: 101, at most 100"),
        ),
        case(
            "22b",
            "262144 functions",
            posing(|| format!("(core module {})", "(func)".repeat(262_144))),
            ("TooMuch", "functions: 262144, at most 50000"),
        ),
        case(
            "22c",
            "just so many loops, over and over",
            compiles(loops, CompileLimits { cpu: 2, ..within }),
            limit("2 s of processor time"),
        ),
        case(
            "22d",
            "just so many functions",
            compiles(functions, CompileLimits { memory: 192 << 20, ..within }),
            limit("201326592 bytes of memory"),
        ),
        case(
            "22e",
            "just so many functions, in no time",
            compiles(functions, CompileLimits { wall: Duration::ZERO, ..within }),
            limit("0ns on the clock"),
        ),
        case(
            "22f",
            "more machine code than is read",
            compiles(functions, CompileLimits { output: 1 << 20, memory: 8 << 30, ..within }),
            limit("1048576 bytes of machine code"),
        ),
    ]
}

/// How compiling this ends, with limits of its own. The text it is made from takes more memory than all else here.
fn compiles(parts: fn() -> String, limits: CompileLimits) -> Attack {
    let bytes = posing_bytes(&parts());
    own(move |_| {
        let engine = Engine::new(NonZeroU32::MIN, Compiler::Child(limits)).unwrap();
        let error = Plugin::load(&engine, &bytes, super::limits()).err().unwrap();
        (error.reason(), error.to_string())
    })
}

/// Within all caps.
fn loops() -> String {
    let step = |n| format!("(local.set {n} (i32.add (local.get {n}) (local.get {})))", n + 1);
    let steps: String = (0..1999).map(step).collect();
    let function = format!("(func (local {}) {}{steps}{})", "i32 ".repeat(2000), "loop ".repeat(99), "end ".repeat(99));
    format!("(core module {})", function.repeat(200))
}

/// As many as there may be.
fn functions() -> String {
    format!("(core module {})", "(func)".repeat(50_000))
}
