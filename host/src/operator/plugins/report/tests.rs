use super::*;

fn words(status: &FrameworkPluginStatus) -> Vec<String> {
    let words = |each: &Condition| format!("{}={} {}", each.type_, each.status, each.reason);
    status.conditions.iter().map(words).collect()
}

fn failed(step: Step, reason: &str) -> Failure {
    Failure::new(step, reason, "why", Again::OnChange)
}

#[test]
fn conditions_tell_how_far_a_plugin_is() {
    let said = |failure: Option<&Failure>| {
        let report =
            Report { generation: Some(3), active: None, retained: &[], failure, is_remembered: false, notice: None };
        words(&status(&report, None, Timestamp::UNIX_EPOCH))
    };
    let unsigned = failed(Step::Verified, "Signature");
    assert_eq!(
        said(Some(&unsigned)),
        [
            "Fetched=True Fetched",
            "Verified=False Signature",
            "Compiled=Unknown NotTried",
            "Ready=False Signature",
            "Degraded=False AsWanted",
        ]
    );
    let taken = Failure::conflict("somebody has it".into());
    assert_eq!(said(Some(&taken))[2..4], ["Compiled=True Compiled", "Ready=False KindConflict"]);
    let unknown = ["Fetched", "Verified", "Compiled"].map(|step| format!("{step}=Unknown NotTried"));
    let suspended = ["Ready=False Suspended", "Degraded=False AsWanted"].map(str::to_owned);
    assert_eq!(said(None), [unknown.as_slice(), &suspended].concat());
}

#[test]
fn what_does_not_plan_for_the_moment_still_has_kinds_and_jobs() {
    let loaded = |digest: &str| Loaded { digest: digest.into(), ..Loaded::default() };
    let before = FrameworkPluginStatus {
        active: Some(loaded("b")),
        kinds: vec!["example.com/v1 RingJob".into()],
        ..FrameworkPluginStatus::default()
    };
    let retained = [loaded("b"), loaded("a")];
    let broken = failed(Step::Fetched, "Unavailable");
    let taken = |digest| Failure::conflict("somebody had it first".into()).about(loaded(digest));
    let (of_these, of_a_new_one) = (taken("b"), taken("c"));
    for (failure, has_kinds) in
        [(None, true), (Some(&broken), true), (Some(&of_these), false), (Some(&of_a_new_one), true)]
    {
        let report =
            Report { generation: None, active: None, retained: &retained, failure, is_remembered: false, notice: None };
        let told = status(&report, Some(&before), Timestamp::UNIX_EPOCH);
        assert_eq!((&told.active, told.retained.as_slice()), (&None, retained.as_slice()));
        assert_eq!(told.kinds == before.kinds, has_kinds, "{failure:?}");
        assert_eq!(status(&report, Some(&told), Timestamp::UNIX_EPOCH), told);
    }
}

#[test]
fn what_a_source_says_is_tried_again_where_others_may_see_to_it() {
    use crate::source::SignatureError;

    let oci = Source::Oci("registry.example/ring:1".parse().unwrap());
    let (map, file) =
        (Source::ConfigMap { name: "ring".into(), bytes: vec![] }, Source::File { path: "/a".into(), within: None });
    let unsigned = || Fault::Signature(SignatureError::Unsigned { tag: "x.sig".into() });
    for (source, fault, step, again) in [
        (&oci, Fault::Unavailable("it is down".into()), Step::Fetched, Again::BackOff),
        (&oci, Fault::NotFound(String::new()), Step::Fetched, Again::BackOff),
        (&oci, Fault::Unauthorized(String::new()), Step::Fetched, Again::BackOff),
        (&oci, unsigned(), Step::Verified, Again::BackOff),
        (&oci, Fault::NotAPlugin("an image".into()), Step::Fetched, Again::OnChange),
        (&oci, Fault::TooLarge { what: "it", limit: 1 }, Step::Fetched, Again::OnChange),
        (&file, Fault::NotFound(String::new()), Step::Fetched, Again::BackOff),
        (&map, Fault::NotAPlugin("a text".into()), Step::Fetched, Again::OnChange),
        (&map, unsigned(), Step::Verified, Again::OnChange),
    ] {
        let error = SourceError { from: "somewhere".into(), fault };
        let failure = Failure::of_source(&error, source);
        assert_eq!(
            (failure.step, failure.again, failure.reason.as_str()),
            (step, again, error.fault.reason()),
            "{error}"
        );
    }
}

#[test]
fn times_are_those_of_before_where_nothing_has_changed() {
    let report = |failure| Report {
        generation: Some(1),
        active: None,
        retained: &[],
        failure,
        is_remembered: false,
        notice: None,
    };
    let at = |second| Timestamp::from_second(second).unwrap();
    let (first, second) = (failed(Step::Fetched, "NotFound"), failed(Step::Compiled, "Compile"));
    let one = status(&report(Some(&first)), None, at(1));
    assert_eq!(status(&report(Some(&first)), Some(&one), at(2)), one, "nothing to write");
    let other = status(&report(Some(&second)), Some(&one), at(2));
    let times: Vec<_> = other.conditions.iter().map(|each| each.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [2, 2, 2, 1, 1], "Ready stays False");
    assert_eq!(other.last_error.as_deref(), Some("Compile: why"));
}

#[test]
fn messages_are_one_line_and_not_long() {
    let failure = Failure::ready("X", format!("a\nb\u{1b}[2J{}", "x".repeat(5000)));
    assert!(failure.message.len() <= LONGEST + 3 && !failure.message.contains(char::is_control), "{}", failure.message);
}
