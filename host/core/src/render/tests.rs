use std::collections::BTreeSet;

use super::*;
use crate::contract::{Command, Fragment, Mount, Piece};
use crate::fill::Addresses;
use crate::fixture;

fn with<T>(worker: Value, network: Network, test: impl Fn(&Filler<'_>, &ReplicaSpec) -> T) -> T {
    let kind = fixture::kind();
    let object = fixture::object(json!({"testReplicaSpecs": {"Worker": worker}}));
    let job = Job::parse(&kind, &object).unwrap();
    let addresses = Addresses::Cluster { domain: None };
    let filler = Filler { kind: &kind, job: &job, network, addresses: &addresses, running: &BTreeSet::new() };
    test(&filler, &job.replicas[0])
}

fn render(worker: Value, plan: &ReplicaPlan, index: u32) -> Value {
    with(worker, Network::ServicePerReplica, |filler, spec| pod(filler, spec, plan, index).unwrap())
}

fn env(name: &str, to: Containers, replicas: Which, existing: Existing) -> Env {
    Env { name: name.into(), value: EnvValue::Text(vec![Piece::Rank(1)]), to, replicas, existing }
}

#[test]
fn a_plan_adds_and_never_takes_away() {
    let template = json!({
        "metadata": {"labels": {"mine": "1", label::JOB_NAME: "other"}, "annotations": {"a": "b"}, "finalizers": ["f/f"], "name": "x"},
        "spec": {
            "containers": [{"name": "test", "env": [{"name": "A", "value": "1"}], "newField": {"x": 1}}, {"name": "side"}],
            "initContainers": [{"name": "first"}],
            "restartPolicy": "Always",
            "newField": [1],
        },
    });
    let plan = ReplicaPlan {
        leads: Which::First,
        env: vec![env("A", Containers::All, Which::All, Existing::Append)],
        init_containers: vec![Fragment { json: r#"{"name":"second"}"#.into(), fills: vec![] }],
        volumes: vec![r#"{"name":"v","emptyDir":{}}"#.into()],
        mounts: vec![Mount { to: Containers::First, mount: r#"{"name":"v","mountPath":"/v"}"#.into() }],
        service_account: Some("account".into()),
        ..fixture::replica("Worker")
    };
    let port = json!([{"name": "test-port", "containerPort": 2222}]);
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "train-worker-0",
            "namespace": "ns",
            "labels": {
                "mine": "1",
                label::OPERATOR_NAME: "testjob-controller",
                label::JOB_NAME: "train",
                label::REPLICA_TYPE: "worker",
                label::REPLICA_INDEX: "0",
                label::JOB_ROLE: "master",
            },
            "annotations": {"a": "b"},
            "finalizers": ["f/f"],
            "ownerReferences": [{
                "apiVersion": "example.com/v1", "kind": "TestJob", "name": "train", "uid": "job-uid",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "containers": [
                {
                    "name": "test",
                    "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "1"}],
                    "newField": {"x": 1},
                    "ports": port,
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                },
                {"name": "side", "env": [{"name": "A", "value": "1"}]},
            ],
            "initContainers": [{"name": "first"}, {"name": "second"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "serviceAccountName": "account",
            "restartPolicy": "Never",
            "newField": [1],
        },
    });
    assert_eq!(render(json!({"restartPolicy": "ExitCode", "template": template}), &plan, 0), expected);
}

#[test]
fn env_reaches_the_containers_and_replicas_it_names() {
    let template = json!({"spec": {"containers": [{"name": "side"}, {"name": "test"}, {"name": "test"}]}});
    for (to, replicas, index, expected) in [
        (Containers::All, Which::All, 1, [1, 1, 1]),
        (Containers::First, Which::All, 1, [1, 0, 0]),
        (Containers::Named("test".into()), Which::All, 1, [0, 1, 0]),
        (Containers::Named("none".into()), Which::All, 1, [0, 0, 0]),
        (Containers::All, Which::First, 1, [0, 0, 0]),
        (Containers::All, Which::Rest, 1, [1, 1, 1]),
        (Containers::All, Which::None, 0, [0, 0, 0]),
    ] {
        let env = vec![env("A", to.clone(), replicas, Existing::Append)];
        let pod = render(json!({"template": template}), &ReplicaPlan { env, ..fixture::replica("Worker") }, index);
        let containers = pod["spec"]["containers"].as_array().unwrap();
        let counts: Vec<_> = containers.iter().map(|each| each["env"].as_array().map_or(0, Vec::len)).collect();
        assert_eq!(counts, expected, "{to:?} {replicas:?}");
    }
}

#[test]
fn what_the_user_set_stays_where_the_plan_says_so() {
    let template = json!({"spec": {"serviceAccountName": "mine", "containers": [
        {"name": "test", "command": ["mine"], "args": ["a"], "env": [{"name": "A", "value": "mine"}]},
        {"name": "side", "args": ["replaced"]},
    ]}});
    let plan = ReplicaPlan {
        env: vec![env("A", Containers::All, Which::All, Existing::Keep)],
        default_command: Some(Command { to: Containers::All, command: vec!["sleep".into()], args: vec!["1".into()] }),
        service_account: Some("theirs".into()),
        ..fixture::replica("Worker")
    };
    let pod = render(json!({"template": template}), &plan, 0);
    let container = |index: usize| pod["spec"]["containers"][index].clone();
    assert_eq!(pod["spec"]["serviceAccountName"], "mine");
    assert_eq!((&container(0)["command"], &container(0)["args"]), (&json!(["mine"]), &json!(["a"])));
    assert_eq!(container(0)["env"], json!([{"name": "A", "value": "mine"}]));
    assert_eq!((&container(1)["command"], &container(1)["args"]), (&json!(["sleep"]), &json!(["1"])));
}

#[test]
fn service_ports_are_valid_whatever_the_user_wrote() {
    for (name, ports, expected) in [
        ("the default", json!([]), json!([{"name": "test-port", "port": 2222}])),
        (
            "unnamed",
            json!([{"containerPort": 80}]),
            json!([{"name": "tcp-80", "port": 80}, {"name": "test-port", "port": 2222}]),
        ),
        ("the same number", json!([{"name": "mine", "containerPort": 2222}]), json!([{"name": "mine", "port": 2222}])),
        (
            "another protocol",
            json!([{"name": "udp", "containerPort": 2222, "protocol": "UDP"}]),
            json!([{"name": "udp", "port": 2222, "protocol": "UDP"}, {"name": "test-port", "port": 2222}]),
        ),
    ] {
        let template = json!({"spec": {"containers": [{"name": "test", "ports": ports}]}});
        let service =
            with(json!({"template": template}), Network::ServicePerReplica, |filler, spec| service(filler, spec, 0));
        assert_eq!(service["spec"]["ports"], expected, "{name}");
    }
}

#[test]
fn a_service_selects_its_pod() {
    let worker = json!({"template": fixture::template()});
    let service = with(worker.clone(), Network::ServicePerReplica, |filler, spec| service(filler, spec, 1));
    let labels = json!({
        label::OPERATOR_NAME: "testjob-controller", label::JOB_NAME: "train",
        label::REPLICA_TYPE: "worker", label::REPLICA_INDEX: "1",
    });
    assert_eq!(service["metadata"]["name"], "train-worker-1");
    assert_eq!((&service["metadata"]["labels"], &service["spec"]["selector"]), (&labels, &labels));
    assert_eq!(service["spec"]["clusterIP"], "None");
    let pod =
        with(worker, Network::SharedService, |filler, spec| pod(filler, spec, &fixture::replica("Worker"), 1).unwrap());
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("train-worker-1"), &json!("train")));
}
