use super::*;
use crate::bundled::BUNDLED;

fn module(fields: &str) -> String {
    format!("(component (core module {fields}))")
}

fn function(body: &str) -> String {
    module(&format!("(func {body})"))
}

/// A function whose body has so many bytes: a count of locals, instructions and an end.
fn body(bytes: usize) -> String {
    let (large, small) = ((bytes - 2) / 19, (bytes - 2) % 19);
    function(&("(drop (v128.const i64x2 0 0))".repeat(large) + &"nop ".repeat(small)))
}

/// A component with so many of what is capped.
fn with(cap: Cap, n: usize) -> String {
    let many = |before: &str, each: &str, after: &str| format!("{before}{}{after}", each.repeat(n));
    match cap {
        Cap::Bytes => unreachable!("it is not made of text"),
        Cap::Depth => format!("(component {}{})", "(component ".repeat(n), ")".repeat(n)),
        Cap::Components => format!("(component {})", "(component)".repeat(n - 1)),
        Cap::Modules => many("(component ", "(core module)", ")"),
        Cap::Instances => many("(component (core module $m)", "(core instance (instantiate $m))", ")"),
        Cap::Types => many("(component ", "(type u8)", ")"),
        Cap::Items => many("(component (import \"a\" (func $f))", "(core func (canon lower (func $f)))", ")").replacen(
            "(core func (canon lower (func $f)))",
            "",
            1,
        ),
        Cap::Entries => module(&"(global i32 (i32.const 0))".repeat(n)),
        Cap::Functions => module(&"(func)".repeat(n)),
        Cap::Body => body(n),
        Cap::Blocks => function(&("(block ".repeat(n) + &")".repeat(n))),
        Cap::Loops => function(&("(loop ".repeat(n) + &")".repeat(n))),
        // Of two kinds, for they are stored in groups.
        Cap::Locals => function(&("(local i64)".to_owned() + &"(local i32)".repeat(n - 1))),
        Cap::Targets => function(&format!("(br_table {} 0 (i32.const 0))", "0 ".repeat(n))),
        Cap::Memories => module(&"(memory 0)".repeat(n)),
        Cap::Memory => module(&format!("(memory {})", n.div_ceil(64 << 10))),
        Cap::Tables => module(&"(table 0 funcref)".repeat(n)),
        Cap::Table => module(&format!("(table {n} funcref)")),
    }
}

#[test]
fn what_is_too_much_is_named_and_what_is_not_passes() {
    for cap in [
        Cap::Depth,
        Cap::Components,
        Cap::Modules,
        Cap::Instances,
        Cap::Types,
        Cap::Items,
        Cap::Entries,
        Cap::Functions,
        Cap::Body,
        Cap::Blocks,
        Cap::Loops,
        Cap::Locals,
        Cap::Targets,
        Cap::Memories,
        Cap::Memory,
        Cap::Tables,
        Cap::Table,
    ] {
        let step = if cap == Cap::Memory { 64 << 10 } else { 1 };
        let limit = usize::try_from(cap.limit()).unwrap();
        let found = |n: usize| scan(&wat::parse_str(with(cap, n)).unwrap());
        assert_eq!(found(limit), Ok(()), "{cap}");
        let excess = Excess { cap, found: cap.limit() + step as u64 };
        assert_eq!(found(limit + step), Err(excess.into()), "{cap}");
    }
    let large = vec![0; (32 << 20) + 1];
    assert_eq!(scan(&large), Err(Excess { cap: Cap::Bytes, found: (32 << 20) + 1 }.into()));
}

#[test]
fn blocks_beside_each_other_are_not_deep() {
    let wide = function(&"(block) (loop) (if (i32.const 0) (then (loop)) (else))".repeat(3000));
    assert_eq!(scan(&wat::parse_str(wide).unwrap()), Ok(()));
}

#[test]
fn what_is_inside_counts() {
    let inner = "(component (core module (func) (memory 1)))".repeat(3);
    let outer = format!("(component {inner} (core module {}))", "(memory 1)".repeat(2));
    let error = scan(&wat::parse_str(outer).unwrap());
    assert_eq!(error, Err(Excess { cap: Cap::Memories, found: 5 }.into()));
}

#[test]
fn what_cannot_be_read_is_damaged() {
    let whole = wat::parse_str(function("(block nop)")).unwrap();
    for missing in 1..8 {
        let error = scan(&whole[..whole.len() - missing]);
        assert!(matches!(error, Err(LoadError::NotAComponent(NotAComponent::Damaged(_)))), "{missing}: {error:?}");
    }
}

#[test]
fn the_bundled_plugins_pass() {
    for bundled in BUNDLED {
        assert_eq!(scan(bundled.component), Ok(()), "{}", bundled.name);
    }
}
