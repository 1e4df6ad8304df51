//! Reviews, and what they are answered with.

use super::*;
use crate::contract::{Assessment, Context, Issue, JobPlan, Json, Observed, Problem, Severity};
use crate::fixture;

/// A plugin that answers one thing, and remembers nothing.
struct Plugin(Result<Vec<Issue>, PlannerError>);

impl Planner for Plugin {
    fn validate(&self, _: &Context, _: Option<&str>) -> Result<Vec<Issue>, PlannerError> {
        self.0.clone()
    }

    fn defaults(&self, _: &Context) -> Result<Json, PlannerError> {
        unreachable!("a review looks at the job as the user wrote it")
    }

    fn plan(&self, _: &Context) -> Result<JobPlan, PlannerError> {
        unreachable!("a review plans nothing")
    }

    fn assess(&self, _: &Context, _: &Observed) -> Result<Assessment, PlannerError> {
        unreachable!("a review has no pods")
    }
}

fn issue(severity: Severity, detail: &str) -> Issue {
    Issue { severity, path: "spec.x".into(), problem: Problem::Forbidden, detail: detail.into() }
}

fn request(operation: &str, object: Value, old: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "example.com", "version": "v1", "kind": "TestJob"},
            "operation": operation,
            "object": object,
            "oldObject": old,
        },
    })
}

fn answer(request: &Value, plugin: Result<Vec<Issue>, PlannerError>) -> Result<Answer, NotAReview> {
    review(&fixture::kind(), request, "test", &Plugin(plugin), &json!({}))
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = fixture::job();
    change(&mut object);
    object
}

#[test]
fn what_the_plugin_finds_decides() {
    let error = |detail| issue(Severity::Error, detail);
    for (name, plugin, verdict, warnings) in [
        ("nothing", Ok(vec![]), Verdict::Allowed, vec![]),
        ("a warning", Ok(vec![issue(Severity::Warning, "x is old")]), Verdict::Allowed, vec!["x is old"]),
        ("an error", Ok(vec![error("no x")]), Verdict::Denied("spec.x: Forbidden: no x".into()), vec![]),
        (
            "two errors and a warning",
            Ok(vec![error("a"), issue(Severity::Warning, "w"), error("b")]),
            Verdict::Denied("[spec.x: Forbidden: a, spec.x: Forbidden: b]".into()),
            vec!["w"],
        ),
        (
            "a refusal",
            Err(PlannerError::Refused(Refusal::Invalid(vec![error("no x")]))),
            Verdict::Denied("spec.x: Forbidden: no x".into()),
            vec![],
        ),
        (
            "something it cannot do",
            Err(PlannerError::Refused(Refusal::Unsupported("no GPUs".into()))),
            Verdict::Denied("unsupported: no GPUs".into()),
            vec![],
        ),
        (
            "its own fault",
            Err(PlannerError::Faulty("out of fuel".into())),
            Verdict::Broken("internal error: plugin test cannot tell whether the job is valid: out of fuel".into()),
            vec![],
        ),
        (
            "no answer",
            Err(PlannerError::Unavailable("deadline exceeded".into())),
            Verdict::Unavailable("plugin test could not look at the job, try again: deadline exceeded".into()),
            vec![],
        ),
    ] {
        let found = answer(&request("CREATE", fixture::job(), Value::Null), plugin).unwrap();
        let warnings = warnings.into_iter().map(str::to_owned).collect();
        assert_eq!(found, Answer { uid: "u-1".into(), verdict, warnings }, "{name}");
    }
}

#[test]
fn an_update_is_looked_at_where_it_changes_the_spec() {
    let other = || changed(|job| job["spec"]["runPolicy"]["backoffLimit"] = json!(3));
    let managed = || changed(|job| job["spec"]["runPolicy"]["managedBy"] = "kubeflow.org/training-operator".into());
    let immutable =
        "spec.runPolicy.managedBy: Invalid value: \"kubeflow.org/training-operator\": field is immutable".into();
    let refusing = || Ok(vec![issue(Severity::Error, "no x")]);
    let denied = || Verdict::Denied("spec.x: Forbidden: no x".into());
    for (name, operation, object, plugin, expected) in [
        (
            "the same spec",
            "UPDATE",
            changed(|job| job["metadata"]["labels"] = json!({"a": "b"})),
            refusing(),
            Verdict::Allowed,
        ),
        ("another spec", "UPDATE", other(), refusing(), denied()),
        (
            "another spec of a job that goes",
            "UPDATE",
            {
                let mut object = other();
                object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
                object
            },
            refusing(),
            Verdict::Allowed,
        ),
        ("another manager", "UPDATE", managed(), Ok(vec![]), Verdict::Denied(immutable)),
        ("a manager from the start", "CREATE", managed(), Ok(vec![]), Verdict::Allowed),
        ("a deletion", "DELETE", Value::Null, refusing(), Verdict::Allowed),
    ] {
        let old = if operation == "CREATE" { Value::Null } else { fixture::job() };
        assert_eq!(answer(&request(operation, object, old), plugin).unwrap().verdict, expected, "{name}");
    }
}

#[test]
fn a_subresource_is_no_job() {
    let mut scale = request("UPDATE", json!({"kind": "Scale"}), json!({"kind": "Scale"}));
    scale["request"]["subResource"] = "scale".into();
    scale["request"]["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    assert_eq!(answer(&scale, Ok(vec![])).unwrap().verdict, Verdict::Allowed);
}

#[test]
fn what_is_no_review_has_no_answer() {
    let broken = |change: fn(&mut Value)| {
        let mut request = request("CREATE", fixture::job(), Value::Null);
        change(&mut request);
        answer(&request, Ok(vec![])).unwrap_err().to_string()
    };
    for (found, expected) in [
        (
            broken(|request| request["apiVersion"] = "admission.k8s.io/v1beta1".into()),
            "expected admission.k8s.io/v1 AdmissionReview, found \"admission.k8s.io/v1beta1\" \"AdmissionReview\"",
        ),
        (broken(|request| *request = json!([])), "expected admission.k8s.io/v1 AdmissionReview, found \"\" \"\""),
        (broken(|request| request["request"]["uid"] = Value::Null), "request.uid: Required value"),
        (broken(|request| request["request"]["object"] = json!("x")), "request.object: Required value"),
        (
            broken(|request| request["request"]["kind"]["kind"] = "Pod".into()),
            "request.kind: expected example.com/v1 TestJob, found example.com/v1 Pod",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn answers_are_what_the_api_server_reads() {
    let response = |verdict, warnings: &[&str]| {
        let warnings = warnings.iter().map(|&warning| warning.to_owned()).collect();
        let review = Answer { uid: "u-1".into(), verdict, warnings }.review();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        review["response"].clone()
    };
    assert_eq!(
        response(Verdict::Allowed, &["x is old"]),
        json!({"uid": "u-1", "allowed": true, "status": null, "warnings": ["x is old"]})
    );
    for (verdict, code, reason) in [
        (Verdict::Denied("why".into()), 403, "Forbidden"),
        (Verdict::Broken("why".into()), 500, "InternalError"),
        (Verdict::Unavailable("why".into()), 503, "ServiceUnavailable"),
    ] {
        let status = json!({"code": code, "reason": reason, "message": "why"});
        assert_eq!(response(verdict, &[]), json!({"uid": "u-1", "allowed": false, "status": status, "warnings": []}));
    }
}

#[test]
fn without_a_plugin_only_what_is_the_same_for_all_kinds_is_looked_at() {
    let managed = |by: &str| changed(|job| job["spec"]["runPolicy"] = json!({"managedBy": by}));
    let (ours, theirs) = (managed("kubeflow.org/training-operator"), managed("kueue.x-k8s.io/multikueue"));
    let immutable = "spec.runPolicy.managedBy: Invalid value: \"kueue.x-k8s.io/multikueue\": field is immutable";
    let unknown = "spec.runPolicy.managedBy: Unsupported value: \"me\": supported values: \
                   \"kubeflow.org/training-operator\", \"kueue.x-k8s.io/multikueue\"";
    let strange = changed(|job| job["spec"]["anything"] = 1.into());
    for (name, request, refused) in [
        ("a plugin's own field", request("CREATE", strange, Value::Null), None),
        ("nobody manages so", request("CREATE", managed("me"), Value::Null), Some(unknown)),
        ("who manages changes", request("UPDATE", theirs, ours), Some(immutable)),
        ("it was so before", request("UPDATE", managed("me"), managed("me")), None),
    ] {
        let found = unread(["example.com", "v1", "TestJob"], &request).unwrap();
        let told = "the plugin of TestJob is not loaded for the moment: the job waits, and was not looked at";
        let expected = match refused {
            Some(why) => (Verdict::Denied(why.to_owned()), vec![]),
            None => (Verdict::Allowed, vec![told.to_owned()]),
        };
        assert_eq!((found.verdict, found.warnings), expected, "{name}");
    }
}
