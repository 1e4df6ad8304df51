//! The table of hostile plugins, in a process of its own: each against an engine that compiles in children, while a good
//! plugin is called all the time. Each ends as expected; then nothing is left of it, and a good version of it loads.

mod bad_answers;
mod bad_bytes;
mod bad_plans;
mod bombs;
mod churn;
mod components;
mod greedy;

use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::{fs, thread};

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::*;

/// What a guest does, and how that has to end: in one word, and with these words in the message.
struct Case {
    /// Of the list in the design, and a letter where one entry has several.
    number: &'static str,
    name: &'static str,
    attack: Attack,
    word: &'static str,
    message: &'static str,
}

/// How it goes about it.
enum Attack {
    /// When these bytes are loaded.
    Bytes(Box<dyn Fn() -> Vec<u8>>),
    /// When this guest is.
    Guest(When, Box<Guest>),
    /// In several ways, or with limits of its own.
    Own(Box<dyn Fn(&Engine) -> Ended>),
}

/// In one word, and what is told.
type Ended = (&'static str, String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Loaded,
    /// Asked for the defaults of a job.
    Default,
    /// Asked for the plan of a job.
    Plan,
    /// Its plan is looked at.
    Answered,
}

impl Attack {
    fn run(&self, engine: &Engine) -> Ended {
        let load = |bytes: &[u8]| Plugin::load(engine, bytes, limits());
        match self {
            Self::Bytes(bytes) => loading(load(&bytes())),
            Self::Guest(When::Loaded, guest) => loading(load(&guest.component())),
            Self::Guest(When::Default, guest) => ended(load(&guest.component()).unwrap().default(&job("a"))),
            Self::Guest(When::Plan, guest) => ended(load(&guest.component()).unwrap().plan(&job("a"))),
            Self::Guest(When::Answered, guest) => bad_plans::judge(&load(&guest.component()).unwrap()),
            Self::Own(attack) => attack(engine),
        }
    }
}

fn loading(loaded: Result<Plugin, LoadError>) -> Ended {
    match loaded {
        Ok(_) => ("Loaded", String::new()),
        Err(error) => (error.reason(), error.to_string()),
    }
}

fn case(
    number: &'static str,
    name: &'static str,
    attack: Attack,
    (word, message): (&'static str, &'static str),
) -> Case {
    Case { number, name, attack, word, message }
}

fn loads(bytes: impl Fn() -> Vec<u8> + 'static) -> Attack {
    Attack::Bytes(Box::new(bytes))
}

fn loads_guest(guest: Guest) -> Attack {
    Attack::Guest(When::Loaded, Box::new(guest))
}

fn plans(guest: Guest) -> Attack {
    Attack::Guest(When::Plan, Box::new(guest))
}

fn defaults(guest: Guest) -> Attack {
    Attack::Guest(When::Default, Box::new(guest))
}

fn own(attack: impl Fn(&Engine) -> Ended + 'static) -> Attack {
    Attack::Own(Box::new(attack))
}

fn ended<T>(answer: Result<T, CallError>) -> Ended {
    match answer {
        Ok(_) => (Ending::Answered.as_str(), String::new()),
        Err(error) => (error.ending().as_str(), error.to_string()),
    }
}

fn limits() -> Limits {
    Limits { fuel: FUEL, ..Limits::default() }
}

/// An engine as the operator's.
fn engine(limits: CompileLimits) -> Engine {
    Engine::new(NonZeroU32::new(8).unwrap(), Compiler::Child(limits)).unwrap()
}

/// Bytes that may stay: the allocator's own, not the guests'.
const RESIDENT: u64 = 24 << 20;

#[test]
fn whatever_a_plugin_does_the_others_go_on() {
    let itself = std::env::current_exe().unwrap();
    let inner = "plugin::hostile::table::the_table_in_a_process_of_its_own";
    let done = Command::new(itself).args(["--exact", inner, "--ignored", "--nocapture"]).output().unwrap();
    let table = String::from_utf8_lossy(&done.stdout);
    let rows = table.lines().filter(|line| !["test ", "running "].iter().any(|word| line.starts_with(word)));
    // Past the test harness: the table is of interest when all is well, too.
    std::io::stdout().write_all((rows.collect::<Vec<_>>().join("\n") + "\n").as_bytes()).unwrap();
    assert!(done.status.success() && table.contains("no failure"), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
#[ignore = "run by the test before it"]
fn the_table_in_a_process_of_its_own() {
    let engine = engine(CompileLimits { wall: Duration::from_hours(1), ..CompileLimits::default() });
    let healthy = Plugin::load(&engine, &good().component(), limits()).unwrap();
    let calls = Calls::default();
    for _ in 0..100 {
        calls.call(&healthy);
    }
    let before = calls.latency();
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let calling = scope.spawn(|| call_all_the_time(&healthy, &calls, stopped));
        let count = run(&engine, &calls.count, &calling);
        drop(stop);
        calling.join().unwrap();
        println!("{count} hostile plugins, {} healthy calls, no failure", calls.count.load(Relaxed));
        println!("latency of healthy calls, in us: p50, p99, max {before:?} before, {:?} beside", calls.latency());
    });
    assert_eq!((engine.calls(), healthy.circuit()), (0, Circuit::Closed));
}

/// Calls of the good plugin, and how long they took.
#[derive(Default)]
struct Calls {
    count: AtomicU64,
    times: Mutex<Vec<Duration>>,
}

impl Calls {
    /// Each time another job.
    fn call(&self, healthy: &Plugin) {
        let empty = JobPlan { replicas: vec![], network: Network::None, objects: vec![], ssh_keys: vec![] };
        let (job, start) = (job(&self.count.load(Relaxed).to_string()), Instant::now());
        assert_eq!(healthy.plan(&job).as_ref(), Ok(&empty));
        self.times.lock().unwrap().push(start.elapsed());
        self.count.fetch_add(1, Relaxed);
    }

    /// Median, 99th percentile and longest of the calls since it was asked last, in microseconds.
    fn latency(&self) -> [u128; 3] {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap());
        times.sort();
        [50, 99, 100].map(|percent| times[(times.len() * percent).div_ceil(100) - 1].as_micros())
    }
}

/// Fifty times a second.
fn call_all_the_time(healthy: &Plugin, calls: &Calls, stopped: Receiver<()>) {
    while stopped.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
        calls.call(healthy);
    }
}

fn cases() -> Vec<Case> {
    [greedy::cases(), bad_answers::cases(), bad_bytes::cases(), bad_plans::cases(), bombs::cases(), churn::cases()]
        .into_iter()
        .flatten()
        .collect()
}

fn run(engine: &Engine, calls: &AtomicU64, calling: &thread::ScopedJoinHandle<'_, ()>) -> usize {
    let cases = cases();
    let before = resident();
    println!("{:<4} {:<58} {:<18} {:>7} healthy calls", "", "hostile plugin", "ends with", "memory");
    let mut wrong = vec![];
    for Case { number, name, attack, word, message } in &cases {
        let called = calls.load(Relaxed);
        let (ending, said) = attack.run(engine);
        let left = wait(WaitOptions::NOHANG);
        Plugin::load(engine, &good().component(), limits()).expect("a good version");
        while calls.load(Relaxed) == called {
            assert!(!calling.is_finished(), "{number} {name}: the healthy plugin has failed");
            thread::yield_now();
        }
        let (grown, calls) = (resident().saturating_sub(before), calls.load(Relaxed) - called);
        println!("{number:<4} {name:<58} {ending:<18} {:>4} KiB {calls:>5}", grown >> 10);
        let is_expected = ending == *word && said.contains(message);
        if !is_expected || grown > RESIDENT || left.err() != Some(Errno::CHILD) {
            wrong.push(format!("{number} {name}: {ending}, {said}; {grown} bytes are left, or a child"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    cases.len()
}

/// Bytes of memory of this process.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
