use trainyard_core::contract::{ReplicaType, RestartPolicy};

use super::*;

fn llama() -> Kind {
    Kind {
        group: "zoo.example".into(),
        version: "v1".into(),
        kind: "LlamaJob".into(),
        plural: "llamajobs".into(),
        short_names: vec!["lj".into()],
        replica_specs: "llamaReplicaSpecs".into(),
        replica_types: vec![ReplicaType { name: "Worker".into(), replicas: 1, single: false }],
        container: "llama".into(),
        port: None,
        restart_policy: RestartPolicy::Never,
        replace_failed: true,
        spec_properties: r#"{"herd": {"type": "string"}}"#.into(),
        scales: Some("Worker".into()),
        columns: vec![],
    }
}

fn at<'a>(definition: &'a Value, pointer: &str) -> &'a Value {
    definition.pointer(pointer).unwrap_or_else(|| panic!("the definition has no {pointer}"))
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status";

#[test]
fn names_are_the_kinds() {
    let definition = of(&llama()).unwrap();
    for (pointer, expected) in [
        ("/metadata/name", json!("llamajobs.zoo.example")),
        ("/metadata/annotations", json!({"controller-gen.kubebuilder.io/version": "v0.16.5"})),
        ("/spec/group", json!("zoo.example")),
        ("/spec/scope", json!("Namespaced")),
        (
            "/spec/names",
            json!({
                "kind": "LlamaJob", "listKind": "LlamaJobList",
                "plural": "llamajobs", "singular": "llamajob", "shortNames": ["lj"],
            }),
        ),
    ] {
        assert_eq!(*at(&definition, pointer), expected, "{pointer}");
    }
}

#[test]
fn there_are_short_names_only_where_a_plugin_wants_some() {
    let definition = of(&Kind { short_names: vec![], ..llama() }).unwrap();
    assert_eq!(at(&definition, "/spec/names").get("shortNames"), None);
}

#[test]
fn a_kind_that_scales_has_a_scale_subresource() {
    let scale = json!({
        "specReplicasPath": ".spec.llamaReplicaSpecs.Worker.replicas",
        "statusReplicasPath": ".status.replicaStatuses.Worker.active",
        "labelSelectorPath": ".status.replicaStatuses.Worker.selector",
    });
    for (scales, expected) in [(Some("Worker"), json!({"status": {}, "scale": scale})), (None, json!({"status": {}}))] {
        let definition = of(&Kind { scales: scales.map(str::to_owned), ..llama() }).unwrap();
        assert_eq!(*at(&definition, "/spec/versions/0/subresources"), expected, "{scales:?}");
    }
}

#[test]
fn columns_are_the_plugins_or_state_and_age() {
    let wool = Column { name: "Wool".into(), json_path: ".spec.wool".into(), kind: "integer".into() };
    for (name, columns, expected) in [
        (
            "none",
            vec![],
            json!([
                {"name": "State", "jsonPath": ".status.conditions[-1:].type", "type": "string"},
                {"name": "Age", "jsonPath": ".metadata.creationTimestamp", "type": "date"},
            ]),
        ),
        ("one", vec![wool], json!([{"name": "Wool", "jsonPath": ".spec.wool", "type": "integer"}])),
    ] {
        let definition = of(&Kind { columns, ..llama() }).unwrap();
        assert_eq!(*at(&definition, "/spec/versions/0/additionalPrinterColumns"), expected, "{name}");
    }
}

#[test]
fn a_definition_asks_for_little() {
    let definition = of(&llama()).unwrap();
    let spec = at(&definition, &format!("{SPEC}/properties")).as_object().unwrap();
    assert_eq!(spec.keys().collect::<Vec<_>>(), ["herd", "llamaReplicaSpecs", "runPolicy"]);
    let replica_spec = format!("{SPEC}/properties/llamaReplicaSpecs/additionalProperties");
    for (schema, expected) in [
        ("/spec/versions/0/schema/openAPIV3Schema".to_owned(), None),
        (SPEC.to_owned(), Some(json!(["llamaReplicaSpecs"]))),
        (format!("{SPEC}/properties/runPolicy"), None),
        (format!("{SPEC}/properties/runPolicy/properties/schedulingPolicy"), None),
        (replica_spec.clone(), None),
        (format!("{replica_spec}/properties/template"), None),
        (format!("{replica_spec}/properties/template/properties/spec"), Some(json!(["containers"]))),
        (STATUS.to_owned(), None),
        (format!("{STATUS}/properties/conditions/items"), Some(json!(["type", "status"]))),
        (format!("{STATUS}/properties/replicaStatuses/additionalProperties"), None),
    ] {
        assert_eq!(at(&definition, &schema).get("required").cloned(), expected, "{schema}");
    }
}

#[test]
fn a_run_policy_and_its_suspend_have_a_default_and_the_queue_a_rule() {
    let definition = of(&llama()).unwrap();
    let mut run_policy = at(&definition, &format!("{SPEC}/properties/runPolicy")).clone();
    assert_eq!(run_policy.as_object_mut().unwrap().remove("default"), Some(json!({})));
    let properties = run_policy["properties"].as_object_mut().unwrap();
    assert_eq!(properties["suspend"]["default"], json!(false));
    let queue = &properties["schedulingPolicy"]["properties"]["queue"];
    assert_eq!(
        queue["x-kubernetes-validations"],
        json!([{
            "rule": "self == oldSelf",
            "message": "spec.runPolicy.schedulingPolicy.queue is immutable",
        }]),
    );
    properties.remove("suspend");
    properties["schedulingPolicy"]["properties"].as_object_mut().unwrap().remove("queue");
    let rest = run_policy.to_string();
    assert!(!rest.contains("\"default\"") && !rest.contains("x-kubernetes-validations"), "{rest}");
}

#[test]
fn a_plugin_may_refer_to_types_of_kubernetes() {
    let metrics =
        r##"{"metrics": {"type": "array", "items": {"$ref": "#/$defs/io.k8s.api.autoscaling.v2.MetricSpec"}}}"##;
    let definition = of(&Kind { spec_properties: metrics.into(), ..llama() }).unwrap();
    let metric = at(&definition, &format!("{SPEC}/properties/metrics/items"));
    for (pointer, required) in [
        ("", json!(["type"])),
        ("/properties/containerResource", json!(["container", "name", "target"])),
        ("/properties/external", json!(["metric", "target"])),
        ("/properties/object", json!(["describedObject", "metric", "target"])),
        ("/properties/object/properties/describedObject", json!(["kind", "name"])),
        ("/properties/pods", json!(["metric", "target"])),
        ("/properties/pods/properties/metric", json!(["name"])),
        ("/properties/resource", json!(["name", "target"])),
        ("/properties/resource/properties/target", json!(["type"])),
    ] {
        let mut found = at(metric, pointer)["required"].clone();
        found.as_array_mut().unwrap().sort_by_key(Value::to_string);
        assert_eq!(found, required, "{pointer}");
        assert_ne!(at(metric, pointer).get("description"), None, "{pointer}");
    }
    assert_eq!(at(metric, "/properties/resource/properties/target/properties/value/x-kubernetes-int-or-string"), true);
    let selector = "/properties/pods/properties/metric/properties/selector";
    assert_eq!(at(metric, selector)["x-kubernetes-map-type"], "atomic");
}

#[test]
fn a_plugin_at_fault_is_told_where() {
    for (name, spec_properties, expected) in [
        ("no JSON", "herd", "spec-properties of kind LlamaJob is not a JSON object"),
        ("a list", "[]", "spec-properties of kind LlamaJob is not a JSON object"),
        (
            "not a schema",
            r#"{"herd": "string"}"#,
            r#"spec-properties of kind LlamaJob: the schema of "herd" is not an object: "string""#,
        ),
        (
            "a type that is not there",
            r##"{"herd": {"type": "array", "items": {"$ref": "#/$defs/Llama"}}}"##,
            r##"spec-properties of kind LlamaJob: the schema of "herd" refers to "#/$defs/Llama", which is not known"##,
        ),
        (
            "the host's run policy",
            r#"{"runPolicy": {"type": "object"}}"#,
            r#"spec-properties of kind LlamaJob: "runPolicy" is the host's to define"#,
        ),
        (
            "the host's replica map",
            r#"{"llamaReplicaSpecs": {"type": "object"}}"#,
            r#"spec-properties of kind LlamaJob: "llamaReplicaSpecs" is the host's to define"#,
        ),
    ] {
        let error = of(&Kind { spec_properties: spec_properties.into(), ..llama() }).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
    }
}

#[test]
fn a_replica_map_may_not_be_called_run_policy() {
    let error = of(&Kind { replica_specs: "runPolicy".into(), ..llama() }).unwrap_err();
    let expected = r#"spec-properties of kind LlamaJob: "runPolicy" is the host's to define"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_definition_fits_etcd() {
    let size = of(&llama()).unwrap().to_string().len();
    assert!(size < 400_000, "{size} bytes; etcd takes 1.5 MB, with every applier's managed fields");
}
