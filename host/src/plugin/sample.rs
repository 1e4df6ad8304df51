//! A description in which everything is set, for tests to break.

use trainyard_core::contract::{Column, Description, Kind, ObjectKind, Port, ReplicaType, RestartPolicy};

pub(super) fn description() -> Description {
    let replica_type = |name: &str, single| ReplicaType { name: name.into(), replicas: 1, single };
    Description {
        name: "test".into(),
        version: "1.2.3".into(),
        kinds: vec![Kind {
            group: "example.com".into(),
            version: "v1".into(),
            kind: "TestJob".into(),
            plural: "testjobs".into(),
            short_names: vec!["tj".into()],
            replica_specs: "testReplicaSpecs".into(),
            replica_types: vec![replica_type("Worker", false), replica_type("Launcher", true)],
            container: "test".into(),
            port: Some(Port { name: "test-port".into(), number: 65535 }),
            restart_policy: RestartPolicy::ExitCode,
            replace_failed: true,
            spec_properties: r#"{"x":{"type":"string"}}"#.into(),
            scales: Some("Worker".into()),
            columns: vec![Column { name: "State".into(), json_path: ".status.x".into(), kind: "string".into() }],
        }],
        objects: vec![ObjectKind { api_version: "v1".into(), kind: "ConfigMap".into() }],
        settings_schema: "{}".into(),
    }
}
