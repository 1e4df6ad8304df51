//! Who is not let in: 10, 18 to 21.

use super::guest::component;
use super::*;

#[expect(clippy::too_many_lines, reason = "one entry for each guest")]
pub(super) fn cases() -> Vec<Case> {
    let core = || wat::parse_str(good().module()).unwrap();
    let machine_code = || ENGINE.wasmtime().precompile_component(&good().component()).unwrap();
    let truncated = || {
        let bytes = good().component();
        bytes[..bytes.len() - 9].to_vec()
    };
    let other_world =
        || component(r#"(module (func (export "run")))"#, CONTRACT, &["package a:b; world w { export run: func(); }"]);
    let other_types =
        Guest { contract: CONTRACT.replace("counts: bool,\n", "counts: bool,\n    why: option<string>,\n"), ..good() };
    let future = Guest { contract: CONTRACT.replace("@0.1.0;", "@0.9.0;"), ..good() };
    let denied = |what| ("ForbiddenImport", what);
    let no_component = |why| ("NotAComponent", why);
    let invalid = |why| ("CompileFailed", why);
    vec![
        case(
            "10",
            "2000 instances of a module",
            posing(|| format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(2000))),
            ("TooMuch", "instances of core modules: 65, at most 64"),
        ),
        case(
            "10b",
            "components in components",
            posing(|| format!("{}{}", "(component ".repeat(50), ")".repeat(50))),
            ("TooMuch", "depth of components in components: 9, at most 8"),
        ),
        case("18", "an import of sockets", loads_guest(importing("wasi:sockets", "network")), denied("wasi:sockets")),
        case("18b", "an import of files", loads_guest(importing("wasi:filesystem", "types")), denied("without WASI")),
        case("18c", "an import nobody knows", loads_guest(importing("evil:host", "x")), denied("evil:host/x")),
        case("19", "another world", loads(other_world), ("MissingExport", "run")),
        case("19b", "a record of other fields", loads_guest(other_types), ("ProbeFailed", "record of 3 fields")),
        case("19c", "a contract of the future", loads_guest(future), ("UnsupportedTrack", "0.9")),
        case("20", "nothing", loads(Vec::new), no_component("empty")),
        case("20b", "noise", loads(|| b"\x7fnoise".to_vec()), no_component("no WebAssembly")),
        case("20c", "a truncated component", loads(truncated), no_component("damaged")),
        case("20d", "a core module", loads(core), no_component("core module")),
        case("20e", "text", loads(|| b"(component)".to_vec()), no_component("text")),
        case("20f", "machine code", loads(machine_code), no_component("machine code")),
        case("20g", "too many bytes", loads(|| vec![0; (32 << 20) + 1]), ("TooMuch", "bytes: 33554433")),
        case(
            "21",
            "an endless wait in shared memory",
            posing(|| {
                "(core module (memory 1 1 shared) (func (drop (memory.atomic.wait32
                    (i32.const 0) (i32.const 0) (i64.const -1)))))"
                    .into()
            }),
            invalid("threads"),
        ),
        case("21b", "a memory of 64 bits", posing(|| "(core module (memory i64 1))".into()), invalid("64")),
        case(
            "21c",
            "an array of the garbage collector",
            posing(|| {
                "(core module (type $a (array i8)) (func (drop (array.new_default $a (i32.const 1600000000)))))".into()
            }),
            invalid("gc"),
        ),
        case(
            "+",
            "an exception that nobody catches",
            posing(|| "(core module (tag $e) (func (throw $e)))".into()),
            invalid("exceptions"),
        ),
    ]
}

/// A component that says it is a plugin, with these parts.
pub(super) fn posing(parts: impl Fn() -> String + 'static) -> Attack {
    loads(move || posing_bytes(&parts()))
}

pub(super) fn posing_bytes(parts: &str) -> Vec<u8> {
    let poses = r#"(instance $i) (export "trainyard:framework/framework@0.1.0" (instance $i))"#;
    wat::parse_str(format!("(component {parts} {poses})")).unwrap()
}

fn importing(package: &'static str, interface: &'static str) -> Guest {
    let leak = |text: String| -> &'static str { text.leak() };
    Guest {
        packages: vec![
            leak(format!("package {package}@0.2.0; interface {interface} {{ shoot: func(); }}")),
            leak(format!(
                "package a:b; world w {{ import {package}/{interface}@0.2.0; include trainyard:framework/plugin@0.1.0; }}"
            )),
        ],
        imports: leak(format!(r#"(import "{package}/{interface}@0.2.0" "shoot" (func))"#)),
        ..good()
    }
}
