use super::*;

fn outcome(again: Again) -> Result<(Version, Freshness), Failure> {
    let failure = Failure::fetched("Unavailable", "it is down");
    Err(Failure { again, ..failure })
}

#[test]
fn what_may_go_better_is_tried_again_later_and_later() {
    for (again, failures, seconds) in [
        (Again::OnChange, 1, None),
        (Again::Soon, 1, Some(10)),
        (Again::Soon, 9, Some(10)),
        (Again::BackOff, 1, Some(1)),
        (Again::BackOff, 2, Some(2)),
        (Again::BackOff, 9, Some(256)),
        (Again::BackOff, 10, Some(300)),
        (Again::BackOff, u32::MAX, Some(300)),
    ] {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(pause(&outcome(again), failures), expected, "{again:?} after {failures}");
    }
}

#[test]
fn what_was_tried_is_not_tried_at_every_look() {
    let now = Instant::now();
    let later = |seconds| now + Duration::from_secs(seconds);
    let tried = |again, before| Tried::of("wanted".into(), outcome(again), before, now);
    for (name, tried, key, at, expected) in [
        ("of no use before a change", tried(Again::OnChange, 0), "wanted", later(100_000), true),
        ("something else is wanted", tried(Again::OnChange, 0), "other", now, false),
        ("just failed", tried(Again::BackOff, 0), "wanted", now, true),
        ("failed a second ago", tried(Again::BackOff, 0), "wanted", later(1), false),
        ("failed for the third time", tried(Again::BackOff, 2), "wanted", later(3), true),
        ("failed for the third time, a while ago", tried(Again::BackOff, 2), "wanted", later(4), false),
        ("failed, and something else is wanted", tried(Again::BackOff, 2), "other", now, false),
    ] {
        assert_eq!(tried.is_good(key, at), expected, "{name}");
    }
    assert_eq!((tried(Again::BackOff, 2).failures, tried(Again::OnChange, 2).failures), (3, 0));
}
