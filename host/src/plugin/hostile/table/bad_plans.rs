//! Who answers a plan that takes what was not given. The condition of the job says where, and nothing of
//! the plan is made.

use jiff::Timestamp;
use serde_json::{Value, json};
use trainyard_core::contract::{
    Containers, Fragment, Mount, Object, ObjectExisting, ReplicaPlan, Which, WhileSuspended,
};
use trainyard_core::fill::Addresses;
use trainyard_core::gang::{self, GangScheduler};
use trainyard_core::grants::Grants;
use trainyard_core::observed::Observed as Seen;
use trainyard_core::think::{Framework, think};

use super::*;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = of_pods();
    cases.extend(of_containers());
    cases.extend(of_objects());
    cases.push(bad(
        "40",
        "more objects than any job needs",
        |plan| plan.objects = vec![object(&map()); 65],
        "objects: 65",
    ));
    cases.push(bad("40b", "no pods for a replica type", |plan| plan.replicas.clear(), "the plan has replica types []"));
    cases.push(bad(
        "40c",
        "pods of a type that is not there",
        |plan| plan.replicas.push(replica("Launcher")),
        "Launcher",
    ));
    cases.push(bad("40d", "a key under another's name", |plan| plan.ssh_keys.push("theirs".into()), "ssh_keys[0]"));
    cases.push(case("40e", "a plan as it should be", plan_of(&plan()), ("Created", "")));
    cases
}

fn of_pods() -> Vec<Case> {
    let volume = |number, name, source: Value, message| {
        let mut volume = json!({"name": "x"});
        trainyard_core::json::merge(&mut volume, &source);
        bad(number, name, move |plan| plan.replicas[0].volumes.push(volume.to_string()), message)
    };
    vec![
        volume("41", "the node's files", json!({"hostPath": {"path": "/"}}), "replicas[0].volumes[0].hostPath.path"),
        volume("41b", "somebody's secret", json!({"secret": {"secretName": "admin"}}), "volumes[0].secret.secretName"),
        volume("41c", "somebody's config", json!({"configMap": {"name": "admin"}}), "volumes[0].configMap.name"),
        volume("41d", "somebody's data", json!({"persistentVolumeClaim": {"claimName": "admin"}}), "claimName"),
        volume("41e", "a driver of the node", json!({"csi": {"driver": "x"}}), "volumes[0].csi"),
        volume(
            "41f",
            "a token for the API server",
            json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
            "projected.sources[0].serviceAccountToken",
        ),
        bad(
            "41g",
            "a service account of more power",
            |plan| plan.replicas[0].service_account = Some("admin".into()),
            "replicas[0].service_account",
        ),
        bad(
            "41h",
            "a volume that is no JSON",
            |plan| plan.replicas[0].volumes.push("{".into()),
            "a volume is not the JSON it should be",
        ),
        bad(
            "41i",
            "a mount that the node shares",
            |plan| {
                let shared = json!({"name": "x", "mountPath": "/x", "mountPropagation": "Bidirectional"});
                plan.replicas[0].mounts.push(mount(&shared));
            },
            "replicas[0].mounts[0]",
        ),
    ]
}

fn of_containers() -> Vec<Case> {
    let init = |number, name, fields: Value, message| {
        let mut container = json!({"name": "init", "image": "train:1"});
        trainyard_core::json::merge(&mut container, &fields);
        bad(number, name, move |plan| plan.replicas[0].init_containers.push(fragment(&container)), message)
    };
    vec![
        init("42", "an image of its own", json!({"image": "evil:1"}), "init_containers[0].image"),
        init("42b", "all of the node", json!({"securityContext": {"privileged": true}}), "securityContext.privileged"),
        init(
            "42c",
            "one power of the node",
            json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
            "securityContext.capabilities.add[0]",
        ),
        init("42d", "a port of the node", json!({"ports": [{"containerPort": 1, "hostPort": 1}]}), "ports[0].hostPort"),
        init("42e", "a secret as environment", json!({"envFrom": [{"secretRef": {"name": "admin"}}]}), "envFrom[0]"),
        init(
            "42f",
            "to stay beside the user's",
            json!({"restartPolicy": "Always"}),
            "init_containers[0].restartPolicy",
        ),
    ]
}

fn of_objects() -> Vec<Case> {
    let made = |number, name, change: Value, message| {
        let mut made = map();
        trainyard_core::json::merge(&mut made, &change);
        bad(number, name, move |plan| plan.objects.push(object(&made)), message)
    };
    vec![
        made("43", "a kind that it did not announce", json!({"kind": "Secret"}), "objects[0].object"),
        made("43b", "another namespace", json!({"metadata": {"namespace": "kube-system"}}), "metadata.namespace"),
        made("43c", "an owner", json!({"metadata": {"ownerReferences": [{"uid": "x"}]}}), "metadata.ownerReferences"),
        made("43d", "a finalizer", json!({"metadata": {"finalizers": ["x/y"]}}), "metadata.finalizers"),
        made("43e", "another's name", json!({"metadata": {"name": "coredns"}}), "metadata.name"),
        made("43f", "a label of the system", json!({"metadata": {"labels": {"kubernetes.io/x": "y"}}}), "labels"),
        made("43g", "a name that is none", json!({"metadata": {"name": "job-\n"}}), "metadata.name"),
        bad(
            "43h",
            "lists in lists",
            |plan| {
                let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
                let json =
                    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"job-x"}},"data":{deep}}}"#);
                plan.objects.push(Object { object: Fragment { json, fills: vec![] }, ..object(&map()) });
            },
            "objects[0]",
        ),
    ]
}

/// A plan that is good but for that.
fn bad(number: &'static str, name: &'static str, change: impl FnOnce(&mut JobPlan), message: &'static str) -> Case {
    let mut plan = plan();
    change(&mut plan);
    case(number, name, plan_of(&plan), ("PluginFailed", message))
}

fn plan_of(plan: &JobPlan) -> Attack {
    Attack::Guest(When::Answered, Box::new(Guest { answer: Some(plan.clone()), ..good() }))
}

/// What becomes of a job with its plan: the last thing said of it, if none of the plan is made, and what its user is told.
pub(super) fn judge(plugin: &Plugin) -> Ended {
    let description = plugin.description();
    let framework = Framework {
        kind: &description.kinds[0],
        plugin: &description.name,
        digest: None,
        announced: &description.objects,
        grants: &Grants::default(),
        planner: plugin,
        settings: &json!({}),
        addresses: &Addresses::Cluster { domain: None },
        gang: &GangScheduler::Off,
    };
    let template = json!({"spec": {"containers": [{"name": "test", "image": "train:1"}]}});
    let job = json!({
        "apiVersion": "example.com/v1",
        "kind": "TestJob",
        "metadata": {"name": "job", "namespace": "ns", "uid": "uid", "resourceVersion": "1"},
        "spec": {"testReplicaSpecs": {"Worker": {"replicas": 1, "template": template}}},
    });
    let seen = Seen {
        now: Timestamp::UNIX_EPOCH,
        pods: vec![],
        services: vec![],
        objects: vec![],
        gang: gang::Seen::default(),
        names: std::collections::BTreeMap::new(),
    };
    let thought = think(&framework, &job, &seen).unwrap();
    let said: Vec<_> = thought.events.iter().map(|event| event.message.as_str()).collect();
    let status = thought.status.unwrap();
    let last = status.conditions.last().map(|condition| condition.reason.as_str());
    match (last, thought.batches.is_empty()) {
        (Some("TestJobPluginFailed"), true) => ("PluginFailed", said.join("; ")),
        (Some("TestJobCreated"), false) => ("Created", said.join("; ")),
        other => ("Odd", format!("{other:?} {said:?}")),
    }
}

pub(super) fn plan() -> JobPlan {
    JobPlan { replicas: vec![replica("Worker")], network: Network::None, objects: vec![], ssh_keys: vec![] }
}

fn replica(name: &str) -> ReplicaPlan {
    ReplicaPlan {
        replica_type: name.into(),
        leads: Which::None,
        env: vec![],
        default_command: None,
        init_containers: vec![],
        volumes: vec![],
        mounts: vec![],
        service_account: None,
        after: vec![],
    }
}

fn map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job-config"}})
}

fn fragment(json: &Value) -> Fragment {
    Fragment { json: json.to_string(), fills: vec![] }
}

fn object(json: &Value) -> Object {
    let (existing, while_suspended) = (ObjectExisting::UpdateOurs, WhileSuspended::Keep);
    Object { object: fragment(json), existing, while_suspended }
}

fn mount(json: &Value) -> Mount {
    Mount { to: Containers::All, mount: json.to_string() }
}
