use super::*;
use crate::fixture;

fn parse(spec: Value) -> Result<Job, FieldError> {
    Job::parse(&fixture::kind(), &fixture::object(spec))
}

fn template() -> Value {
    json!({"spec": {"containers": [{"name": "test", "image": "i"}]}})
}

#[test]
fn what_the_user_left_out_comes_from_the_kind() {
    let job =
        parse(json!({"testReplicaSpecs": {"WORKER": {"template": template()}, "Master": {"template": template()}}}));
    let job = job.unwrap();
    let seen: Vec<_> =
        job.replicas.iter().map(|spec| (spec.name.as_str(), spec.replicas, spec.restart_policy)).collect();
    assert_eq!(seen, [("Master", 1, RestartPolicy::OnFailure), ("Worker", 1, RestartPolicy::OnFailure)]);
    assert_eq!(job.replicas[0].port(&fixture::kind()), Some(2222));
    let context: Value = serde_json::from_str(&job.context(&json!({})).job).unwrap();
    let worker = &context["spec"]["testReplicaSpecs"]["Worker"];
    assert_eq!(
        worker["template"]["spec"]["containers"][0]["ports"],
        json!([{"name": "test-port", "containerPort": 2222}])
    );
    assert_eq!((&worker["replicas"], &worker["restartPolicy"]), (&json!(1), &json!("OnFailure")));
}

#[test]
fn what_the_user_wrote_stays() {
    let ports = json!([{"name": "test-port", "containerPort": 9}]);
    let template = json!({"spec": {"containers": [{"name": "side"}, {"name": "test", "ports": ports}], "newField": 1}});
    let job =
        parse(json!({"testReplicaSpecs": {"Worker": {"replicas": 3, "restartPolicy": "Never", "template": template}}}));
    let job = job.unwrap();
    assert_eq!(job.replicas[0].template, template);
    assert_eq!((job.replicas[0].replicas, job.replicas[0].restart_policy), (3, RestartPolicy::Never));
    assert_eq!(job.replicas[0].port(&fixture::kind()), Some(9));
}

#[test]
fn malformed_fields_are_named_with_their_value() {
    for (spec, error) in [
        (json!({"testReplicaSpecs": 5}), "spec.testReplicaSpecs: Invalid value: 5: must be an object"),
        (
            json!({"testReplicaSpecs": {"Worker": {"replicas": -1}}}),
            "spec.testReplicaSpecs[Worker].replicas: Invalid value: -1: must be an integer from 0 to 10000",
        ),
        (
            json!({"testReplicaSpecs": {"Worker": {"replicas": 2_147_483_647}}}),
            "spec.testReplicaSpecs[Worker].replicas: Invalid value: 2147483647: must be an integer from 0 to 10000",
        ),
        (
            json!({"testReplicaSpecs": {"Worker": {"restartPolicy": "Sometimes"}}}),
            "spec.testReplicaSpecs[Worker].restartPolicy: Unsupported value: \"Sometimes\": supported values: \
             \"Always\", \"OnFailure\", \"Never\", \"ExitCode\"",
        ),
        (
            json!({"runPolicy": {"backoffLimit": "x"}}),
            "spec.runPolicy: Invalid value: {\"backoffLimit\":\"x\"}: invalid type: string \"x\", expected i32",
        ),
    ] {
        assert_eq!(parse(spec).map(|_| ()).unwrap_err().to_string(), error);
    }
}

#[test]
fn a_plugins_defaults_go_on_top() {
    let job = parse(json!({"testReplicaSpecs": {}, "keep": 1, "empty": ""})).unwrap();
    let patch = json!({"spec": {"more": {"a": "new"}, "keep": 1, "empty": "filled", "none": null}});
    let job = job.with_defaults(&fixture::kind(), &patch).unwrap();
    let context: Value = serde_json::from_str(&job.context(&json!({})).job).unwrap();
    let expected = json!({"testReplicaSpecs": {}, "keep": 1, "empty": "filled", "more": {"a": "new"}});
    assert_eq!(context["spec"], expected);
    let spelled = ["new", "filled"].map(|text| job.spells(text));
    assert_eq!(spelled, [false, false], "these are no words of the user's");
}

/// Else the host would make pods, or look for them, where the plugin wants.
#[test]
fn a_plugin_fills_in_and_replaces_nothing() {
    let spec = json!({"testReplicaSpecs": {"Worker": {"template": template()}}, "keep": {"a": [1]}});
    let job = parse(spec).unwrap();
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    for (patch, expected) in [
        (json!([]), ": [] is not an object"),
        (
            json!({"metadata": {"namespace": "kube-system"}}),
            r#"metadata: {"namespace":"kube-system"} is not for a plugin to say"#,
        ),
        (json!({"status": {}}), "status: {} is not for a plugin to say"),
        (json!({"spec": 1}), "spec: 1 is not an object"),
        (
            json!({"spec": {"testReplicaSpecs": {"Worker": {"template": null}}}}),
            r#"spec.testReplicaSpecs: {"Worker":{"template":null}} is not for a plugin to say"#,
        ),
        (json!({"spec": {"keep": {"a": [2]}}}), "spec.keep.a: [2] is not for a plugin to say"),
        (json!({"spec": {"keep": null}}), "spec.keep: null is not for a plugin to say"),
        (
            json!({"spec": {"runPolicy": {"cleanPodPolicy": 1}}}),
            r#"spec.runPolicy: {"cleanPodPolicy":1} is not what a job may say"#,
        ),
        (json!({"spec": {"new": deep}}), "spec.new: 65 levels are more than 64"),
    ] {
        let refused = job.with_defaults(&fixture::kind(), &patch).map(|_| ()).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{patch}: {refused}");
    }
}

#[test]
fn a_status_write_changes_no_input_of_a_plugin() {
    let object = fixture::object(json!({"testReplicaSpecs": {}}));
    let mut written = object.clone();
    written["status"] = json!({"conditions": []});
    written["metadata"]["resourceVersion"] = "7".into();
    written["metadata"]["managedFields"] = json!([]);
    let context = |object| Job::parse(&fixture::kind(), object).unwrap().context(&json!({}));
    assert_eq!(context(&object), context(&written));
}
