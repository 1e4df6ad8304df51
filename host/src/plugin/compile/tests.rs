use std::fs;
use std::io::Write as _;
use std::os::raw::c_int;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, dumpable_behavior, getpriority_process, waitpid};

use super::*;
use crate::bundled::BUNDLED;

/// Makes the tests' program answer to [`COMPILE`] as the operator's does, before it looks for tests: so they run the
/// operator's child.
#[used]
#[expect(unsafe_code, reason = "the only place before a test program's own main")]
// SAFETY: the C library calls what is in this section with these arguments, after the standard library has got its own.
#[unsafe(link_section = ".init_array")]
static ANSWER: extern "C" fn(c_int, *const *const u8, *const *const u8) = answer;

extern "C" fn answer(_: c_int, _: *const *const u8, _: *const *const u8) {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE) {
        std::process::exit(child::status().into());
    }
}

static GO: AtomicBool = AtomicBool::new(false);

/// Loops in loops: 81 KB for minutes of work.
fn deep() -> String {
    let loops = |depth| format!("{}(local.set 0 (local.get 499)){}", "(loop ".repeat(depth), ")".repeat(depth));
    format!("(component (core module (func (local {}) {})))", "i32 ".repeat(500), loops(5000))
}

#[test]
fn a_bomb_ends_with_the_limit_it_meets_and_nothing_else_does() {
    // On a machine that is busy.
    let limits = CompileLimits { wall: Duration::from_hours(1), ..CompileLimits::default() };
    let deep = deep();
    let many = format!("(component (core module {}))", "(func)".repeat(262_144));
    for (name, text, limits, expected) in [
        (
            "5000 loops in loops",
            &deep,
            CompileLimits { cpu: 1, ..limits },
            Err(CompileLimit::Cpu { seconds: 1 }.into()),
        ),
        (
            "262144 functions",
            &many,
            // Enough to begin, as the next test shows.
            CompileLimits { memory: 256 << 20, ..limits },
            Err(CompileLimit::Memory { bytes: 256 << 20 }.into()),
        ),
        (
            "no time at all",
            &deep,
            CompileLimits { wall: Duration::ZERO, ..limits },
            Err(CompileLimit::Time { limit: Duration::ZERO }.into()),
        ),
        (
            "an answer that is too long",
            &"(component (core module (func)))".to_owned(),
            CompileLimits { output: 100, ..limits },
            Err(CompileLimit::Output { bytes: 100 }.into()),
        ),
        ("no plugin, but good", &"(component)".to_owned(), limits, Ok(())),
    ] {
        let compiled = parent::compile(&limits, &wat::parse_str(text).unwrap(), &GO);
        assert_eq!(compiled.map(|_| ()), expected, "{name}");
    }
    let invalid = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    match parent::compile(&limits, &invalid, &GO) {
        Err(LoadError::Compile(why)) => assert!(why.contains("type mismatch"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_waits_for_any_more_ends() {
    let deep = wat::parse_str(deep()).unwrap();
    let late = parent::compile(&CompileLimits::default(), &deep, &AtomicBool::new(true)).map(|_| ());
    assert!(matches!(late, Err(LoadError::CompileLimit(CompileLimit::Time { .. }))), "{late:?}");
}

/// With the smallest of these numbers they would still compile; with the largest, a whole interpreter does.
#[test]
fn bundled_plugins_compile_in_a_sixth_of_the_memory() {
    let limits = CompileLimits { memory: 256 << 20, ..CompileLimits::default() };
    for bundled in BUNDLED {
        let code = parent::compile(&limits, bundled.component, &GO).map(|code| code.bytes.is_empty());
        assert_eq!(code, Ok(false), "{}", bundled.name);
    }
}

/// A child that has given away what it does not need, and waits for its component.
fn confined() -> parent::Running {
    let mut child = parent::start().unwrap();
    child.0.stdin.as_mut().unwrap().write_all(&child::header(&CompileLimits::default())).unwrap();
    // The last of its limits.
    while !proc(&child, "limits").contains("Max processes             0                    0") {
        assert_eq!(child.0.try_wait().unwrap(), None, "it lives");
        std::thread::yield_now();
    }
    child
}

fn proc(parent::Running(child): &parent::Running, file: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap()
}

#[test]
fn the_child_has_nothing_and_can_get_nothing() {
    let secret = std::env::current_exe().unwrap();
    let open = fs::File::open(&secret).unwrap();
    let child = confined();
    assert_eq!(proc(&child, "environ"), "");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", child.0.id())).unwrap();
    let mut files = descriptors.map(|each| fs::read_link(each.unwrap().path()).unwrap());
    assert!(!files.any(|file| file == secret), "what its parent has open");
    drop(open);
    let limits = proc(&child, "limits");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(|each| each.parse().unwrap()).collect::<Vec<u64>>()
    };
    for (name, expected) in [
        ("Max cpu time", [60, 61]),
        ("Max file size", [0, 0]),
        ("Max core file size", [0, 0]),
        ("Max processes", [0, 0]),
        ("Max open files", [0, 0]),
        ("Max address space", [3 << 29, 3 << 29]),
    ] {
        assert_eq!(limit(name), expected, "{name}");
    }
    assert!(proc(&child, "status").contains("NoNewPrivs:\t1"));
    let ours = getpriority_process(None).unwrap();
    let theirs = getpriority_process(Some(Pid::from_child(&child.0))).unwrap();
    assert_eq!(theirs, (ours + 10).min(19), "the operator comes first");
    assert_eq!(proc(&child, "oom_score_adj"), "1000\n", "it dies first");
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable), "it cannot look into us");
    let pid = Pid::from_child(&child.0);
    drop(child);
    assert_eq!(waitpid(Some(pid), WaitOptions::NOHANG).unwrap_err(), Errno::CHILD, "nothing is left of it");
}

#[test]
fn a_child_that_cannot_begin_says_nothing_of_the_component() {
    let mut child = parent::start().unwrap();
    // Half of a header.
    child.0.stdin.take().unwrap().write_all(&[0; 8]).unwrap();
    let unfit = child.0.wait().unwrap();
    assert_eq!(unfit.code(), Some(child::UNFIT.into()));
    let unable = ExitStatus::from_raw(1 << 8);
    for (name, status, said, expected) in [
        ("its set-up", unfit, "Resource temporarily unavailable", LoadError::NoCompiler(String::new())),
        ("its set-up, for want of memory", unfit, "Cannot allocate memory", LoadError::NoCompiler(String::new())),
        ("the component", unable, "unknown import", LoadError::Compile(String::new())),
        ("the component's size", unable, "out of memory", CompileLimit::Memory { bytes: 3 << 29 }.into()),
    ] {
        let ended = parent::Ended { code: vec![], said: said.into(), is_late: false, status, memory: 0 };
        let failed = parent::judge(ended, &CompileLimits::default()).unwrap_err();
        assert_eq!(failed.reason(), expected.reason(), "{name}");
    }
}

#[test]
fn the_operator_has_the_rest_of_the_memory() {
    for (name, room, expected) in [
        ("no limit, or none that can be read", None, 1536),
        ("a large one", Some(8192), 1536),
        ("a small one", Some(1024), 768),
        ("hardly any", Some(128), 512),
    ] {
        assert_eq!(parent::share(1536 << 20, room.map(|room: u64| room << 20)), expected << 20, "{name}");
    }
}

#[test]
fn the_child_dies_with_its_parent() {
    // To the system, the parent is the thread.
    let mut child = std::thread::spawn(confined).join().unwrap();
    assert!(child.0.stdin.is_some(), "there may be more to come");
    assert_eq!(child.0.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
}
