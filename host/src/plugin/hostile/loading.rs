//! Guests that are not let in.

use super::guest::component;
use super::*;

#[test]
fn what_is_no_plugin_is_refused_before_it_runs() {
    let core = wat::parse_str(good().module()).unwrap();
    let other =
        component(r#"(module (func (export "run")))"#, CONTRACT, &["package a:b; world w { export run: func(); }"]);
    let future = Guest { contract: CONTRACT.replace("@0.1.0;", "@0.9.0;"), ..good() }.component();
    let missing = |found: &[&str]| LoadError::MissingExport { found: found.iter().map(ToString::to_string).collect() };
    let good = good().component();
    for (name, bytes, expected) in [
        ("nothing", &[][..], NotAComponent::Empty.into()),
        ("noise", b"\x7fnoise", NotAComponent::NotWasm.into()),
        ("text", b"(component)", NotAComponent::Text.into()),
        ("a core module", &core, NotAComponent::CoreModule.into()),
        ("machine code", &ENGINE.wasmtime().precompile_component(&good).unwrap(), NotAComponent::Precompiled.into()),
        ("too much", &vec![0; (32 << 20) + 1], Excess { cap: Cap::Bytes, found: (32 << 20) + 1 }.into()),
        ("another world", &other, missing(&["run"])),
        ("the future", &future, LoadError::UnsupportedTrack { found: "0.9".into() }),
    ] {
        assert_eq!(load(bytes).err(), Some(expected), "{name}");
    }
    let damaged = load(&good[..good.len() - 9]).err();
    assert!(matches!(damaged, Some(LoadError::NotAComponent(NotAComponent::Damaged(_)))), "{damaged:?}");
}

#[test]
fn an_import_that_is_not_granted_is_named() {
    let evil = Guest {
        packages: vec![
            "package evil:host@1.2.3; interface x { shoot: func(); }",
            "package a:b; world w { import evil:host/x@1.2.3; include trainyard:framework/plugin@0.1.0; }",
        ],
        imports: r#"(import "evil:host/x@1.2.3" "shoot" (func))"#,
        ..good()
    };
    let wasi = Guest {
        packages: vec![
            "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }",
            "package a:b; world w { import wasi:random/random@0.2.0; include trainyard:framework/plugin@0.1.0; }",
        ],
        imports: r#"(import "wasi:random/random@0.2.0" "get-random-u64" (func (result i64)))"#,
        ..good()
    };
    for (guest, expected) in [
        (evil, "the plugin imports evil:host/x@1.2.3, which no plugin is granted"),
        (
            wasi,
            "the plugin imports wasi:random/random@0.2.0, which no plugin is granted; build it without WASI (Rust: \
             target wasm32-unknown-unknown; componentize-py: --stub-wasi; componentize-qjs: --stub-wasi --sync)",
        ),
    ] {
        assert_eq!(load(&guest.component()).err().map(|error| error.to_string()), Some(expected.to_owned()));
    }
}

#[test]
fn a_plugin_that_does_not_answer_is_not_loaded() {
    let mut twice = sample::description();
    twice.kinds.push(twice.kinds[0].clone());
    let duplicate = DescriptionError::Duplicate { path: "kinds[1].kind".into(), value: "testjob.example.com".into() };
    let unreachable = CallError::Trap { reason: "wasm trap: wasm `unreachable` instruction executed".into() };
    for (name, guest, expected) in [
        ("the same kind twice", Guest::good(twice), duplicate.into()),
        (
            "an endless start",
            Guest { fields: "(start $s) (func $s (loop $again (br $again)))", ..good() },
            LoadError::Probe(CallError::OutOfFuel { limit: FUEL }),
        ),
        (
            "a crash at the start",
            Guest { fields: "(start $s) (func $s unreachable)", ..good() },
            LoadError::Probe(unreachable.clone()),
        ),
        ("a crash", Guest { describe: Some("unreachable"), ..good() }, LoadError::Probe(unreachable)),
        (
            "more memory than a call may have",
            Guest { pages: 1025, ..good() },
            LoadError::Probe(CallError::Memory { used: 0, limit: 64 << 20 }),
        ),
        (
            "more memory than there is",
            Guest { pages: 65536, ..good() },
            Excess { cap: Cap::Memory, found: 4 << 30 }.into(),
        ),
    ] {
        assert_eq!(load(&guest.component()).err(), Some(expected), "{name}");
    }
}

#[test]
fn an_interface_of_other_types_is_no_plugin() {
    let contract = CONTRACT.replace("counts: bool,\n", "counts: bool,\n    why: option<string>,\n");
    assert_ne!(contract, CONTRACT);
    let error = load(&Guest { contract, ..good() }.component()).err();
    let detail = "failed to convert function to given type: type mismatch with results: type mismatch for field \
        restart: expected record of 3 fields, found 4 fields"
        .to_owned();
    assert_eq!(error, Some(LoadError::Probe(CallError::BadOutput { detail })));
}

#[test]
fn a_function_smuggled_into_a_granted_interface_is_not_linked() {
    let guest = Guest {
        contract: CONTRACT.replace("interface types {", "interface types { shoot: func();"),
        imports: r#"(import "trainyard:framework/types@0.1.0" "shoot" (func))"#,
        ..good()
    };
    match load(&guest.component()).err() {
        Some(LoadError::Mismatch(why)) => assert!(why.contains("shoot"), "{why}"),
        other => panic!("{other:?}"),
    }
}
