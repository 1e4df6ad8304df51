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
        let report = Report { generation: Some(3), active: None, former: &[], failure, notice: None };
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
    assert_eq!(said(None)[3], "Ready=False Suspended");
}

#[test]
fn times_are_those_of_before_where_nothing_has_changed() {
    let report = |failure| Report { generation: Some(1), active: None, former: &[], failure, notice: None };
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
