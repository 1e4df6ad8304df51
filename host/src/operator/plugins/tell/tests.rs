use super::*;
use crate::framework_plugin::Loaded;

/// With that active version and that former one, and Ready and Degraded.
fn status(active: &str, former: &str, ready: [&str; 2], degraded: [&str; 2]) -> FrameworkPluginStatus {
    let loaded = |digest: &str| Loaded { digest: digest.into(), ..Loaded::default() };
    let some = |digest: &str| Some(loaded(digest)).filter(|_| !digest.is_empty());
    let condition = |kind, [status, reason]: [&str; 2]| {
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(condition).unwrap()
    };
    FrameworkPluginStatus {
        active: some(active),
        retained: some(former).into_iter().collect(),
        conditions: vec![condition("Ready", ready), condition("Degraded", degraded)],
        ..FrameworkPluginStatus::default()
    }
}

#[test]
fn events_tell_the_story_and_each_part_once() {
    let (loaded, fine) = (["True", "Loaded"], ["False", "AsWanted"]);
    let good = |digest| status(digest, "", loaded, fine);
    let with = |bad| status("a", "", loaded, ["True", bad]);
    let none = |reason| status("", "", ["False", reason], fine);
    for (name, before, now, past, expected) in vec![
        ("the first version", None, good("a"), "", vec!["Normal Loaded"]),
        ("nothing new", Some(good("a")), good("a"), "", vec![]),
        ("another version", Some(good("a")), good("b"), "", vec!["Normal Replaced"]),
        ("one that was active", Some(good("b")), good("a"), "a", vec!["Normal RolledBack"]),
        ("one that jobs are on", Some(status("b", "a", loaded, fine)), good("a"), "", vec!["Normal RolledBack"]),
        ("a bad candidate", Some(good("a")), with("CompileFailed"), "", vec!["Warning CompileFailed"]),
        ("the same candidate", Some(with("CompileFailed")), with("CompileFailed"), "", vec![]),
        ("another bad one", Some(with("CompileFailed")), with("Signature"), "", vec!["Warning Signature"]),
        ("all is well again", Some(with("Signature")), good("a"), "", vec![]),
        ("deleted, with jobs", Some(good("a")), with("InUse"), "", vec!["Warning InUse"]),
        ("suspended", Some(good("a")), none("Suspended"), "", vec!["Normal Withdrawn", "Normal Suspended"]),
        ("still suspended", Some(none("Suspended")), none("Suspended"), "", vec![]),
        ("never loaded", None, none("NotFound"), "", vec!["Warning NotFound"]),
    ] {
        let past: Vec<_> = [past.to_owned()].into_iter().filter(|past| !past.is_empty()).collect();
        let events = events(&now, before.as_ref(), &past);
        let kind = |event: &Event| if event.warning { "Warning" } else { "Normal" };
        let words: Vec<_> = events.iter().map(|event| format!("{} {}", kind(event), event.reason)).collect();
        assert_eq!(words, expected, "{name}");
    }
}
