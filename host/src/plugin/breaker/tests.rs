use super::*;

/// `(second, job, verdict)` of a call that is admitted at that second and ends in it.
type Call = (u64, u8, Verdict);

const GOOD: Verdict = Verdict::Good;
const FAULT: Verdict = Verdict::Fault;
const UNKNOWN: Verdict = Verdict::Unknown;

fn open(seconds: u64) -> Circuit {
    Circuit::Open { again: Duration::from_secs(seconds) }
}

fn after(calls: &[Call], second: u64) -> Circuit {
    let (mut breaker, start) = (Breaker::default(), Instant::now());
    let at = |second| start + Duration::from_secs(second);
    for &(second, job, verdict) in calls {
        assert_eq!(breaker.admit(at(second), Function::Plan), Ok(()), "a call at {second}");
        breaker.tell(at(second), Function::Plan, Digest::of(&[job]), verdict);
    }
    breaker.circuit(at(second))
}

/// Five faults for three jobs, in second 0.
const BAD: [Call; 5] = [(0, 1, FAULT), (0, 1, FAULT), (0, 2, FAULT), (0, 2, FAULT), (0, 3, FAULT)];

fn bad_and(then: &[Call]) -> Vec<Call> {
    [&BAD, then].concat()
}

#[test]
fn a_circuit_opens_when_a_plugin_fails_and_closes_when_it_answers() {
    let twelve = |verdict: fn(u8) -> Verdict| (0..12).map(|n| (u64::from(n), n, verdict(n))).collect::<Vec<_>>();
    for (name, calls, second, expected) in [
        ("nothing happened", vec![], 0, Circuit::Closed),
        ("four faults", BAD[..4].to_vec(), 0, Circuit::Closed),
        ("five in a row for three jobs", BAD.to_vec(), 0, open(30)),
        ("a hundred for two jobs", (0..100).map(|n| (0, n % 2, FAULT)).collect(), 0, Circuit::Closed),
        (
            "an answer between them",
            vec![(0, 1, FAULT), (0, 2, FAULT), (0, 3, FAULT), (0, 9, GOOD), (0, 4, FAULT), (0, 5, FAULT)],
            0,
            Circuit::Closed,
        ),
        (
            "a call that says nothing between them",
            vec![(0, 1, FAULT), (0, 2, FAULT), (0, 3, FAULT), (0, 9, UNKNOWN), (0, 4, FAULT), (0, 5, FAULT)],
            0,
            open(30),
        ),
        ("half of a minute's calls", twelve(|n| if n % 2 == 0 { GOOD } else { FAULT }), 11, Circuit::Closed),
        // The tenth of them is the sixth fault.
        ("more than half", twelve(|n| if n % 5 < 2 || n > 9 { GOOD } else { FAULT })[..10].to_vec(), 9, open(30)),
        (
            "more than half, but of two minutes",
            vec![
                (0, 1, FAULT),
                (1, 2, FAULT),
                (2, 0, GOOD),
                (3, 3, FAULT),
                (4, 4, FAULT),
                (5, 0, GOOD),
                (60, 5, FAULT),
                (61, 6, FAULT),
                (62, 0, GOOD),
                (63, 7, FAULT),
                (64, 8, FAULT),
            ],
            64,
            Circuit::Closed,
        ),
        ("the pause goes by", BAD.to_vec(), 29, open(1)),
        ("and is over", BAD.to_vec(), 30, Circuit::HalfOpen),
        ("one answer closes it", bad_and(&[(30, 1, GOOD)]), 30, Circuit::Closed),
        ("one fault opens it for longer", bad_and(&[(30, 1, FAULT)]), 30, open(60)),
        ("a call that says nothing leaves it", bad_and(&[(30, 1, UNKNOWN), (30, 1, UNKNOWN)]), 31, Circuit::HalfOpen),
        (
            "at most ten minutes",
            bad_and(&[
                (30, 1, FAULT),
                (90, 1, FAULT),
                (210, 1, FAULT),
                (450, 1, FAULT),
                (930, 1, FAULT),
                (1530, 1, FAULT),
            ]),
            1530,
            open(600),
        ),
        ("then again from the start", bad_and(&[(30, 1, FAULT), (90, 1, GOOD), (91, 1, FAULT)]), 91, Circuit::Closed),
    ] {
        assert_eq!(after(&calls, second), expected, "{name}");
    }
}

#[test]
fn one_call_tries_at_a_time() {
    let (mut breaker, start) = (Breaker::default(), Instant::now());
    for (_, job, verdict) in BAD {
        breaker.tell(start, Function::Plan, Digest::of(&[job]), verdict);
    }
    assert_eq!(breaker.admit(start, Function::Plan), Err(PAUSE));
    // A call that was under way when it opened.
    breaker.tell(start, Function::Plan, Digest::of(&[7]), GOOD);
    assert_eq!(breaker.admit(start, Function::Plan), Err(PAUSE));
    let later = start + PAUSE;
    assert_eq!((breaker.admit(later, Function::Plan), breaker.admit(later, Function::Plan)), (Ok(()), Err(TRIAL)));
}

#[test]
fn a_function_that_answers_says_nothing_of_another() {
    let (mut breaker, start) = (Breaker::default(), Instant::now());
    let mut call = |now, job: u8, function, verdict| {
        assert_eq!(breaker.admit(now, function), Ok(()));
        breaker.tell(now, function, Digest::of(&[job]), verdict);
        breaker.circuit(now)
    };
    for job in 0..4 {
        assert_eq!(call(start, job, Function::Validate, GOOD), Circuit::Closed);
        assert_eq!(call(start, job, Function::Plan, FAULT), Circuit::Closed);
    }
    assert_eq!(call(start, 4, Function::Validate, GOOD), Circuit::Closed);
    assert_eq!(call(start, 4, Function::Plan, FAULT), open(30));
    assert_eq!(call(start, 5, Function::Validate, GOOD), open(30), "which is called all the same");
    let later = start + PAUSE;
    assert_eq!(call(later, 5, Function::Validate, FAULT), Circuit::HalfOpen, "it was not about that");
    assert_eq!(call(later, 5, Function::Plan, GOOD), Circuit::Closed);
}
