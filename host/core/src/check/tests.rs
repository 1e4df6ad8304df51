use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::action::Action;
use crate::contract::{
    Command, Containers, Content, Each, EachWhat, Env, Existing, Fill, Form, Fragment, Gate, GateState, Mount, Network,
    Object, ObjectExisting, Piece, ReplicaPlan, Value as EnvValue, Which, WhileSuspended,
};
use crate::fill::Addresses;
use crate::fixture;
use crate::json;

/// What a plugin announces in these tests.
const ANNOUNCED: [(&str, &str); 10] = [
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
];

/// A job whose user names a config map, a service account and a claim, and has a container with much in it.
pub(super) fn job() -> Value {
    let mut job = fixture::job();
    job["spec"]["hostfile"] = "users-hosts".into();
    job["spec"]["testReplicaSpecs"]["Worker"]["template"] = json!({"spec": {
        "serviceAccountName": "users-account",
        "priorityClassName": "users-class",
        "containers": [{
            "name": "test",
            "image": "train:1",
            "env": [{"name": "A", "value": "users"}],
            "volumeMounts": [{"name": "data", "mountPath": "/data/"}],
        }],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "users-claim"}}],
    }});
    job
}

pub(super) fn checked_by(planned: &JobPlan, grants: &Value) -> Result<(), String> {
    let grants: Grants = serde_json::from_value(grants.clone()).unwrap();
    let kind = fixture::kind();
    let job = Job::parse(&kind, &job()).unwrap();
    let announced: Vec<_> = ANNOUNCED
        .iter()
        .map(|(api_version, kind)| ObjectKind { api_version: (*api_version).into(), kind: (*kind).into() })
        .collect();
    let settings = json!({"image": "settings/image:1", "template": "- name: x\n  image: 'settings/template:1'\n"});
    let running = BTreeSet::from(["train-worker-0".to_owned()]);
    let addresses = Addresses::Cluster { domain: None };
    let filler = Filler { kind: &kind, job: &job, network: planned.network, addresses: &addresses, running: &running };
    let allowed = Allowed { announced: &announced, grants: &grants, settings: &settings };
    plan(planned, &filler, allowed).map_err(|fault| fault.to_string())
}

fn good() -> JobPlan {
    fixture::plan(vec![fixture::replica("Master"), fixture::replica("Worker")])
}

/// A plan that asks for much, and for nothing that is not safe.
pub(super) fn good_and_rich() -> JobPlan {
    let mut plan = good();
    plan.objects.push(object(&config_map("train-config")));
    plan.ssh_keys.push("train-keys".into());
    let worker = &mut plan.replicas[1];
    worker.after.push(Gate { replica_type: "Master".into(), state: GateState::Ready });
    worker.env.push(env("A", text("last wins\n")));
    worker.env.push(env("IP", EnvValue::Field("status.podIP".into())));
    worker.env.push(env("LABEL", EnvValue::Field("metadata.labels['app']".into())));
    worker.service_account = Some("users-account".into());
    worker.volumes.push(json!({"name": "keys", "secret": {"secretName": "train-keys"}}).to_string());
    worker.volumes.push(json!({"name": "config", "configMap": {"name": "train-config"}}).to_string());
    for (to, name, path) in [
        (Containers::All, "keys", "/root/.ssh"),
        (Containers::First, "data", "/again"),
        (Containers::Named("test".into()), "config", "/etc/config"),
        (Containers::Named("other".into()), "config", "/data"),
    ] {
        worker.mounts.push(Mount { to, mount: json!({"name": name, "mountPath": path}).to_string() });
    }
    let fills = vec![Fill { at: "/args/0".into(), content: Content::Text(vec![Piece::Rank(1)]) }];
    let container = json!({"name": "init", "image": "settings/image:1", "args": ["x"]});
    worker.init_containers.push(Fragment { json: container.to_string(), fills });
    plan
}

fn broken(break_it: impl FnOnce(&mut JobPlan)) -> Result<(), String> {
    let mut planned = good();
    break_it(&mut planned);
    checked_by(&planned, &json!({}))
}

/// Of the workers.
fn on(break_it: &dyn Fn(&mut ReplicaPlan)) -> Result<(), String> {
    broken(|plan| break_it(&mut plan.replicas[1]))
}

fn env(name: &str, value: EnvValue) -> Env {
    Env { name: name.into(), value, to: Containers::All, replicas: Which::All, existing: Existing::Append }
}

fn text(text: &str) -> EnvValue {
    EnvValue::Text(vec![Piece::Literal(text.into())])
}

fn whole(json: &Value) -> Fragment {
    Fragment { json: json.to_string(), fills: vec![] }
}

fn object(object: &Value) -> Object {
    let (existing, while_suspended) = (ObjectExisting::UpdateOurs, WhileSuspended::Keep);
    Object { object: whole(object), existing, while_suspended }
}

fn each(replica_type: &str, before: &str, running_only: bool) -> Each {
    let (after, separator) = (String::new(), String::new());
    let [replica_type, before] = [replica_type, before].map(str::to_owned);
    Each { replica_type, running_only, before, what: EachWhat::Name, after, separator }
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// A volume of the workers, under these grants.
fn volume(source: &Value, grants: &Value) -> Result<(), String> {
    let mut planned = good();
    planned.objects.push(object(&config_map("train-made")));
    planned.ssh_keys.push("train-key".into());
    let mut volume = json!({"name": "x"});
    json::merge(&mut volume, source);
    planned.replicas[1].volumes.push(volume.to_string());
    let named = |checked: Result<(), String>| {
        checked.map_err(|fault| fault.strip_prefix("replicas[1].volumes[0].").unwrap_or(&fault).to_owned())
    };
    named(checked_by(&planned, grants))
}

/// An init container of the workers, under these grants.
fn init(fields: &Value, grants: &Value) -> Result<(), String> {
    let mut container = json!({"name": "init", "image": "train:1"});
    json::merge(&mut container, fields);
    let mut planned = good();
    planned.replicas[1].init_containers.push(whole(&container));
    let checked = checked_by(&planned, grants);
    checked.map_err(|fault| fault.strip_prefix("replicas[1].init_containers[0].").unwrap_or(&fault).to_owned())
}

/// These objects, under these grants, which have all kinds but secrets.
fn objects(objects: &[Value], grants: &Value) -> Result<(), String> {
    let mut planned = good();
    planned.objects.extend(objects.iter().map(object));
    checked_by(&planned, &with_kinds(grants))
}

fn with_kinds(grants: &Value) -> Value {
    let kinds = ANNOUNCED.iter().filter(|(_, kind)| *kind != "Secret");
    let kinds: Vec<_> = kinds.map(|(api_version, kind)| json!({"apiVersion": api_version, "kind": kind})).collect();
    let mut all = json!({"objects": kinds});
    json::merge(&mut all, grants);
    all
}

fn refused(fault: &str) -> Result<(), String> {
    Err(fault.to_owned())
}

#[test]
fn a_good_plan_passes() {
    assert_eq!(broken(|_| ()), Ok(()));
    assert_eq!(checked_by(&good_and_rich(), &json!({})), Ok(()));
}

#[test]
fn a_bad_plan_is_refused_with_a_path() {
    let gate = |name: &str| Gate { replica_type: name.into(), state: GateState::Ready };
    for (fault, expected) in [
        (
            broken(|plan| plan.replicas.truncate(1)),
            r#"replicas: the plan has replica types ["Master"], the job has ["Master", "Worker"]"#,
        ),
        (
            broken(|plan| plan.replicas.push(fixture::replica("Worker"))),
            r#"replicas: the plan has replica types ["Master", "Worker", "Worker"], the job has ["Master", "Worker"]"#,
        ),
        (
            on(&|worker| worker.after.push(gate("Worker"))),
            r#"replicas[1].after[0].replica_type: "Worker" is not another replica type of the job"#,
        ),
        (
            on(&|worker| worker.after.push(gate("PS"))),
            r#"replicas[1].after[0].replica_type: "PS" is not another replica type of the job"#,
        ),
        (
            broken(|plan| {
                plan.replicas[0].after.push(gate("Worker"));
                plan.replicas[1].after.push(gate("Master"));
            }),
            r#"replicas: "Master" is not a type whose gates can open: they lead in a circle"#,
        ),
        (
            on(&|worker| worker.env.push(env("A=B", text("")))),
            r#"replicas[1].env[0].name: "A=B" is not the name of an environment variable"#,
        ),
        (
            on(&|worker| worker.env.push(env("", text("")))),
            r#"replicas[1].env[0].name: "" is not the name of an environment variable"#,
        ),
        (
            on(&|worker| worker.env.push(env("A", text("\u{1b}[2J")))),
            r#"replicas[1].env[0].value.text[0]: "\u001b[2J" is not free of control characters"#,
        ),
        (
            on(&|worker| {
                let list = Piece::Each(each("Worker", "\0", false));
                worker.env.push(env("A", EnvValue::Text(vec![list])));
            }),
            r#"replicas[1].env[0].value.text[0]: "\u0000" is not free of control characters"#,
        ),
        (
            on(&|worker| worker.env.push(env("A", EnvValue::Field("spec.containers".into())))),
            r#"replicas[1].env[0].value: "spec.containers" is not a field of the pod that its containers may read"#,
        ),
        (
            on(&|worker| {
                let (command, args) = (vec!["sh".into()], vec!["\u{7}".into()]);
                worker.default_command = Some(Command { to: Containers::All, command, args });
            }),
            r#"replicas[1].default_command.args[0]: "\u0007" is not free of control characters"#,
        ),
    ] {
        assert_eq!(fault, refused(expected));
    }
}

#[test]
fn a_bad_volume_mount_or_name_is_refused_with_a_path() {
    let mount = |mount: Value| Mount { to: Containers::All, mount: mount.to_string() };
    for (fault, expected) in [
        (
            on(&|worker| worker.volumes.push("[]".into())),
            "replicas[1].volumes[0]: not a JSON object: it is another JSON value",
        ),
        (
            on(&|worker| worker.volumes.push("{".into())),
            "replicas[1].volumes[0]: not a JSON object: EOF while parsing an object at line 1 column 1",
        ),
        (on(&|worker| worker.volumes.push("{}".into())), r#"replicas[1].volumes[0].name: "" is not a DNS label"#),
        (
            on(&|worker| worker.volumes.push(r#"{"name":"data","emptyDir":{}}"#.into())),
            r#"replicas[1].volumes[0].name: "data" is there twice"#,
        ),
        (
            on(&|worker| worker.mounts.push(mount(json!({"name": "x", "mountPath": "/x"})))),
            r#"replicas[1].mounts[0].mount.name: "x" is not a volume of the pod"#,
        ),
        (
            on(&|worker| worker.mounts.push(mount(json!({"name": "data", "mountPath": "x"})))),
            r#"replicas[1].mounts[0].mount.mountPath: "x" is not an absolute path"#,
        ),
        (
            on(&|worker| worker.mounts.push(mount(json!({"name": "data", "mountPath": "/a/../.."})))),
            r#"replicas[1].mounts[0].mount.mountPath: "/a/../.." is not an absolute path"#,
        ),
        (
            on(&|worker| worker.mounts.push(mount(json!({"name": "data", "mountPath": "/x", "subPath": "../.."})))),
            r#"replicas[1].mounts[0].mount.subPath: "../.." is not a path within the volume"#,
        ),
        (
            on(&|worker| {
                let mount_on_node = json!({"name": "data", "mountPath": "/x", "mountPropagation": "Bidirectional"});
                worker.mounts.push(mount(mount_on_node));
            }),
            r#"replicas[1].mounts[0].mount.mountPropagation: "Bidirectional" is not granted"#,
        ),
        (
            on(&|worker| worker.mounts.push(mount(json!({"name": "data", "mountPath": "/data"})))),
            r#"replicas[1].mounts[0].mount.mountPath: "/data" is there twice"#,
        ),
        (
            broken(|plan| plan.replicas[0].service_account = Some("cluster-admin".into())),
            r#"replicas[0].service_account: "cluster-admin" is not granted"#,
        ),
        (broken(|plan| plan.ssh_keys.push("../x".into())), r#"ssh_keys[0]: "../x" is not a name of an object"#),
        (
            broken(|plan| plan.ssh_keys = vec!["train-keys".into(), "train-keys".into()]),
            r#"ssh_keys[1]: "train-keys" is there twice"#,
        ),
    ] {
        assert_eq!(fault, refused(expected));
    }
}

#[test]
fn a_volume_is_the_pods_own_or_named_or_granted() {
    let none = json!({});
    for source in [
        json!({"emptyDir": {"medium": "Memory"}}),
        json!({"configMap": {"name": "train-made"}}),
        json!({"configMap": {"name": "users-hosts"}}),
        json!({"secret": {"secretName": "train-key", "defaultMode": 0o400}}),
        json!({"persistentVolumeClaim": {"claimName": "users-claim"}}),
        json!({"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
        json!({"projected": {"sources": [{"configMap": {"name": "train-made"}}, {"secret": {"name": "train-key"}}]}}),
    ] {
        assert_eq!(volume(&source, &none), Ok(()), "{source}");
    }
    let token = json!({"serviceAccountToken": {"audience": "vault", "path": "t"}});
    for (source, expected, grants) in [
        (
            json!({"hostPath": {"path": "/dev/shm"}}),
            r#"hostPath.path: "/dev/shm" is not granted"#,
            json!({"hostPaths": ["/dev/shm"]}),
        ),
        (
            json!({"hostPath": {"path": "/mnt/a"}}),
            r#"hostPath.path: "/mnt/a" is not granted"#,
            json!({"hostPaths": ["/mnt/*"]}),
        ),
        (
            json!({"configMap": {"name": "other"}}),
            r#"configMap.name: "other" is not granted"#,
            json!({"configMaps": ["other"]}),
        ),
        (
            json!({"secret": {"secretName": "admin"}}),
            r#"secret.secretName: "admin" is not granted"#,
            json!({"secrets": ["*"]}),
        ),
        (
            json!({"persistentVolumeClaim": {"claimName": "theirs"}}),
            r#"persistentVolumeClaim.claimName: "theirs" is not granted"#,
            json!({"volumeClaims": ["their*"]}),
        ),
        (
            json!({"projected": {"sources": [{"secret": {"name": "admin"}}]}}),
            r#"projected.sources[0].secret.name: "admin" is not granted"#,
            json!({"secrets": ["admin"]}),
        ),
        (
            json!({"projected": {"sources": [token]}}),
            r#"projected.sources[0].serviceAccountToken: {"audience":"vault","path":"t"} is not granted"#,
            json!({"tokenAudiences": ["vault"]}),
        ),
        (
            json!({"nfs": {"server": "s", "path": "/"}}),
            r#"nfs: {"path":"/","server":"s"} is not granted"#,
            json!({"volumes": ["nfs"]}),
        ),
        (json!({"csi": {"driver": "d"}}), r#"csi: {"driver":"d"} is not granted"#, json!({"volumes": ["csi"]})),
        (json!({"ephemeral": {}}), "ephemeral: {} is not granted", json!({"volumes": ["ephemeral"]})),
    ] {
        assert_eq!(volume(&source, &none), refused(expected));
        assert_eq!(volume(&source, &grants), Ok(()), "{source}");
    }
    for (source, expected, grants) in [
        (
            json!({"hostPath": {"path": "/mnt/../etc"}}),
            r#"hostPath.path: "/mnt/../etc" is not granted"#,
            json!({"hostPaths": ["/mnt/*"]}),
        ),
        (json!({"hostPath": {}}), "hostPath.path: null is not granted", json!({"hostPaths": ["*"]})),
        (
            json!({"secret": {"secretName": ["train-key"]}}),
            r#"secret.secretName: ["train-key"] is not granted"#,
            none.clone(),
        ),
        (json!({"projected": {"sources": {}}}), "projected.sources: {} is not a list", none.clone()),
        (
            json!({"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "spec"}}]}}),
            r#"downwardAPI.items[0].fieldRef.fieldPath: "spec" is not a field of the pod that its containers may read"#,
            none.clone(),
        ),
    ] {
        assert_eq!(volume(&source, &grants), refused(expected));
    }
}

/// Else a plan takes the name of somebody's object, or reads what somebody else put into it.
#[test]
fn what_a_plan_makes_has_a_name_of_the_job() {
    let named = |api_version: &str, kind: &str, name: &str| {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        let checked = objects(&[object], &json!({}));
        checked.map_err(|fault| fault.strip_prefix("objects[0].object.metadata.name: ").unwrap_or(&fault).to_owned())
    };
    let no_name = |name: &str| refused(&format!("{name:?} is not the name of the job, or that with a dash and more"));
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("apps/v1", "Deployment"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "Role"),
    ] {
        for name in ["train", "train-config", "train-a.b"] {
            let role = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "rules": []});
            let checked = if kind == "Role" { objects(&[role], &json!({})) } else { named(api_version, kind, name) };
            assert_eq!(checked, Ok(()), "{kind} {name}");
        }
        for name in ["theirs", "training", "train.x", "users-hosts", "my-train-config"] {
            assert_eq!(named(api_version, kind, name), no_name(name), "{kind}");
        }
    }
    assert_eq!(named("v1", "ServiceAccount", "users-account"), Ok(()), "the user's own choice");
    assert_eq!(named("v1", "ConfigMap", "users-account"), no_name("users-account"));
    let key = |key: &str| broken(|plan| plan.ssh_keys.push(key.into()));
    assert_eq!((key("train-ssh"), key("train")), (Ok(()), Ok(())));
    assert_eq!(key("theirs"), no_name("theirs").map_err(|fault| format!("ssh_keys[0]: {fault}")));
}

#[test]
fn an_init_container_is_no_stronger_than_the_pod() {
    let none = json!({});
    for fields in [
        json!({"image": "settings/template:1"}),
        json!({"command": ["sh", "-c", "a\nb\tc"], "resources": {"limits": {"cpu": "4", "memory": "8Gi"}}}),
        json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]}),
        json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "users-hosts", "key": "k"}}}]}),
        json!({"volumeMounts": [{"name": "data", "mountPath": "/x"}], "ports": [{"containerPort": 22}]}),
        json!({"securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000, "privileged": false,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }}),
    ] {
        assert_eq!(init(&fields, &none), Ok(()), "{fields}");
    }
}

#[test]
fn what_makes_an_init_container_stronger_is_granted() {
    let none = json!({});
    let privileged = json!({"privileged": true});
    for (fields, expected, grants) in [
        (json!({"image": "evil:1"}), r#"image: "evil:1" is not granted"#, json!({"images": ["evil:*"]})),
        (
            json!({"securityContext": {"privileged": true}}),
            "securityContext.privileged: true is not granted",
            privileged.clone(),
        ),
        (
            json!({"securityContext": {"runAsUser": 0}}),
            "securityContext.runAsUser: 0 is not granted",
            privileged.clone(),
        ),
        (
            json!({"securityContext": {"runAsNonRoot": false}}),
            "securityContext.runAsNonRoot: false is not granted",
            privileged.clone(),
        ),
        (
            json!({"securityContext": {"procMount": "Unmasked"}}),
            r#"securityContext.procMount: "Unmasked" is not granted"#,
            privileged.clone(),
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            r#"securityContext.seccompProfile: {"type":"Unconfined"} is not granted"#,
            privileged,
        ),
        (
            json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
            r#"securityContext.capabilities.add[0]: "SYS_ADMIN" is not granted"#,
            json!({"capabilities": ["SYS_ADMIN"]}),
        ),
        (
            json!({"ports": [{"containerPort": 22, "hostPort": 22}]}),
            "ports[0].hostPort: 22 is not granted",
            json!({"hostNamespaces": ["Network"]}),
        ),
        (
            json!({"envFrom": [{"secretRef": {"name": "admin"}}]}),
            r#"envFrom[0].secretRef.name: "admin" is not granted"#,
            json!({"secrets": ["admin"]}),
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "admin", "key": "k"}}}]}),
            r#"env[0].valueFrom.secretKeyRef.name: "admin" is not granted"#,
            json!({"secrets": ["admin"]}),
        ),
    ] {
        assert_eq!(init(&fields, &none), refused(expected));
        assert_eq!(init(&fields, &grants), Ok(()), "{fields}");
    }
}

#[test]
fn what_an_init_container_never_says() {
    let none = json!({});
    for (fields, expected) in [
        (json!({"name": "Init"}), r#"name: "Init" is not a DNS label"#),
        (json!({"name": "test"}), r#"name: "test" is there twice"#),
        (json!({"image": "i"}), r#"image: "i" is not granted"#), // the master's
        (
            json!({"volumeDevices": [{"name": "data", "devicePath": "/dev/x"}]}),
            r#"volumeDevices: [{"devicePath":"/dev/x","name":"data"}] is not granted"#,
        ),
        (json!({"lifecycle": {}}), "lifecycle: {} is not granted"),
        (json!({"restartPolicy": "Always"}), r#"restartPolicy: "Always" is not granted"#),
        (json!({"command": "sh"}), r#"command: "sh" is not a list"#),
        (json!({"command": ["\u{1b}c"]}), r#"command[0]: "\u001bc" is not free of control characters"#),
        (json!({"args": [1]}), "args[0]: 1 is not text"),
        (
            json!({"env": [{"name": "A", "value": "\u{1}"}]}),
            r#"env[0].value: "\u0001" is not free of control characters"#,
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {}}}]}),
            "env[0].valueFrom.fileKeyRef: {} is not granted",
        ),
        (
            json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}),
            r#"volumeMounts[0].name: "x" is not a volume of the pod"#,
        ),
        (json!({"resources": {"limits": {"nvidia.com/gpu": 8}}}), "resources.limits.nvidia.com/gpu: 8 is not granted"),
        (json!({"resources": {"requests": {"memory": "1Ti"}}}), r#"resources.requests.memory: "1Ti" is not granted"#),
        (json!({"resources": {"requests": {"cpu": "many"}}}), r#"resources.requests.cpu: "many" is not a quantity"#),
        (json!({"resources": {"claims": []}}), "resources.claims: [] is not granted"),
        (json!({"securityContext": 1}), "securityContext: 1 is not an object"),
    ] {
        assert_eq!(init(&fields, &none), refused(expected));
    }
}

/// What a replica gets filled in could make another's image of a granted one.
#[test]
fn only_words_and_variables_of_init_containers_are_filled() {
    let fill = |at: &str, content| {
        let container =
            json!({"name": "init", "image": "train:1", "args": ["x"], "env": [{"name": "A", "value": "x"}]});
        let fills = vec![Fill { at: at.into(), content }];
        broken(|plan| plan.replicas[1].init_containers.push(Fragment { json: container.to_string(), fills }))
    };
    let rank = || Content::Text(vec![Piece::Rank(0)]);
    assert_eq!((fill("/args/0", rank()), fill("/env/0/value", rank())), (Ok(()), Ok(())));
    for (at, content, expected) in [
        ("/image", rank(), r#"at: "/image" is not for a plugin to say"#),
        ("/securityContext", rank(), r#"at: "/securityContext" is not for a plugin to say"#),
        ("/env/0/valueFrom", rank(), r#"at: "/env/0/valueFrom" is not for a plugin to say"#),
        ("", rank(), r#"at: "" is not for a plugin to say"#),
        ("/args/x", rank(), r#"at: "/args/x" is not for a plugin to say"#),
        (
            "/args/0",
            Content::Strings(each("Worker", "", false)),
            r#"content: "Worker" is not text: it is a list of replicas"#,
        ),
        (
            "/args/0",
            Content::Text(vec![Piece::Literal("\u{1b}".into())]),
            r#"content.text[0]: "\u001b" is not free of control characters"#,
        ),
    ] {
        assert_eq!(fill(at, content), refused(&format!("replicas[1].init_containers[0].fills[0].{expected}")));
    }
}

#[test]
fn an_object_is_of_a_kind_that_is_announced_and_granted() {
    let named = |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "train-x"}});
    for (object, expected) in [
        (named("v1", "ConfigMap"), Ok(())),
        (named("apps/v1", "Deployment"), Ok(())),
        (named("v1", "Secret"), refused(r#"objects[0].object.kind: "v1 Secret" is not granted"#)),
        (named("v1", "Pod"), refused(r#"objects[0].object.kind: "v1 Pod" is not a kind that the plugin announced"#)),
        (
            named("v2", "ConfigMap"),
            refused(r#"objects[0].object.kind: "v2 ConfigMap" is not a kind that the plugin announced"#),
        ),
        (json!({}), refused(r#"objects[0].object.kind: " " is not a kind that the plugin announced"#)),
        (
            named("rbac.authorization.k8s.io/v1", "ClusterRole"),
            refused(r#"objects[0].object.kind: "ClusterRole" is not for a plugin to say"#),
        ),
    ] {
        assert_eq!(objects(std::slice::from_ref(&object), &json!({})), expected);
    }
    let service = named("v1", "Service");
    let expected = refused(r#"objects[0].object.kind: "v1 Service" is not granted"#);
    assert_eq!(broken(|plan| plan.objects.push(object(&service))), expected, "only config maps need no grant");
    let twice = objects(&[config_map("train-x"), config_map("train-x")], &json!({}));
    assert_eq!(twice, refused(r#"objects[1]: "/ConfigMap/train-x" is there twice"#));
}

#[test]
fn the_metadata_of_an_object_is_name_labels_and_annotations() {
    let long = "a".repeat(300);
    let with = |metadata: &Value| {
        let mut object = config_map("train-x");
        json::merge(&mut object, &json!({"metadata": metadata}));
        let checked = objects(&[object], &json!({}));
        checked.map_err(|fault| fault.strip_prefix("objects[0].object.metadata.").unwrap_or(&fault).to_owned())
    };
    let key = "is not a key of labels and annotations";
    for (metadata, expected) in [
        (json!({"labels": {"app": "x", "team": ""}, "annotations": {"a": "any text\n"}}), Ok(())),
        (json!({"namespace": "kube-system"}), refused(r#"namespace: "kube-system" is not for a plugin to say"#)),
        (json!({"ownerReferences": []}), refused("ownerReferences: [] is not for a plugin to say")),
        (json!({"finalizers": ["x"]}), refused(r#"finalizers: ["x"] is not for a plugin to say"#)),
        (json!({"generateName": "x"}), refused(r#"generateName: "x" is not for a plugin to say"#)),
        (json!({"uid": "x"}), refused(r#"uid: "x" is not for a plugin to say"#)),
        (json!({"name": "A"}), refused(r#"name: "A" is not a name of an object"#)),
        (json!({"name": ""}), refused(r#"name: "" is not a name of an object"#)),
        (json!({"name": "a..b"}), refused(r#"name: "a..b" is not a name of an object"#)),
        (json!({"name": "../../secrets/x"}), refused(r#"name: "../../secrets/x" is not a name of an object"#)),
        (json!({"name": long}), refused(&format!(r#"name: "{}… is not a name of an object"#, &long[..124]))),
        (json!({"labels": []}), refused("labels: [] is not an object")),
        (json!({"labels": {"a": "b c"}}), refused(r#"labels.a: "b c" is not a value of a label or an annotation"#)),
        (json!({"annotations": {"a": 1}}), refused("annotations.a: 1 is not a value of a label or an annotation")),
        (json!({"labels": {"": "x"}}), refused(&format!(r#"labels: "" {key}"#))),
        (json!({"labels": {"a/b/c": "x"}}), refused(&format!(r#"labels: "a/b/c" {key}"#))),
        (json!({"labels": {"/a": "x"}}), refused(&format!(r#"labels: "/a" {key}"#))),
        (
            json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
            refused(r#"labels: "pod-security.kubernetes.io/enforce" is not for a plugin to say"#),
        ),
        (json!({"annotations": {"k8s.io/x": ""}}), refused(r#"annotations: "k8s.io/x" is not for a plugin to say"#)),
        (
            json!({"labels": {"training.kubeflow.org/job-name": "theirs"}}),
            refused(r#"labels: "training.kubeflow.org/job-name" is not for a plugin to say"#),
        ),
        (
            json!({"annotations": {"replicator.example/replicate-to": "*"}}),
            refused(r#"annotations: "replicator.example/replicate-to" is not for a plugin to say"#),
        ),
    ] {
        assert_eq!(with(&metadata), expected, "{metadata}");
    }
}

#[test]
fn an_object_holds_nothing_by_which_a_plugin_gets_further() {
    let target = |name: &str| json!({"apiVersion": "example.com/v1", "kind": "TestJob", "name": name});
    let scaler = |name: &str| {
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "train-x"},
            "spec": {"scaleTargetRef": target(name)},
        })
    };
    let account = |more: Value| {
        let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "train-x"}});
        json::merge(&mut account, &more);
        account
    };
    let mut config = config_map("train-x");
    config["spec"] = json!({});
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "train-x"}, "spec": {}});
    service["status"] = json!({});
    for (object, expected) in [
        (scaler("train"), Ok(())),
        (account(json!({"automountServiceAccountToken": false})), Ok(())),
        (
            scaler("theirs"),
            refused(
                r#"objects[0].object.spec.scaleTargetRef: {"apiVersion":"example.com/v1","kind":"TestJob","name":"theirs"} is not the job"#,
            ),
        ),
        (config, refused("objects[0].object.spec: {} is not for a plugin to say")),
        (service, refused("objects[0].object.status: {} is not for a plugin to say")),
        (
            account(json!({"metadata": {"annotations": {"role-arn": "admin"}}})),
            refused(r#"objects[0].object.metadata.annotations: {"role-arn":"admin"} is not for a plugin to say"#),
        ),
        (
            account(json!({"secrets": [{"name": "x"}]})),
            refused(r#"objects[0].object.secrets: [{"name":"x"}] is not for a plugin to say"#),
        ),
    ] {
        assert_eq!(objects(&[object], &json!({})), expected);
    }
}

/// A kind that is granted is no way around what is not.
#[test]
fn pods_in_objects_are_held_to_the_same_rules() {
    let deployment = |pod: &Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "train:1"}]});
        json::merge(&mut spec, pod);
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "train-x"},
            "spec": {"template": {"spec": spec}},
        })
    };
    let none = json!({});
    assert_eq!(objects(&[deployment(&none)], &none), Ok(()));
    let volumes = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]});
    for (pod, expected, grants) in [
        (json!({"hostNetwork": true}), "hostNetwork: true is not granted", json!({"hostNamespaces": ["Network"]})),
        (json!({"hostPID": true}), "hostPID: true is not granted", json!({"hostNamespaces": ["Pid"]})),
        (json!({"hostIPC": "x"}), r#"hostIPC: "x" is not granted"#, json!({"hostNamespaces": ["Ipc"]})),
        (
            json!({"serviceAccountName": "admin"}),
            r#"serviceAccountName: "admin" is not granted"#,
            json!({"serviceAccounts": ["admin"]}),
        ),
        (
            json!({"securityContext": {"sysctls": []}}),
            "securityContext.sysctls: [] is not granted",
            json!({"privileged": true}),
        ),
        (volumes, r#"volumes[0].hostPath.path: "/" is not granted"#, json!({"hostPaths": ["/"]})),
        (
            json!({"containers": [{"name": "c", "image": "evil"}]}),
            r#"containers[0].image: "evil" is not granted"#,
            json!({"images": ["evil"]}),
        ),
        (
            json!({"initContainers": [{"name": "c", "image": "train:1", "securityContext": {"privileged": true}}]}),
            "initContainers[0].securityContext.privileged: true is not granted",
            json!({"privileged": true}),
        ),
    ] {
        let expected = format!("objects[0].object.spec.template.spec.{expected}");
        assert_eq!(objects(&[deployment(&pod)], &none), refused(&expected));
        assert_eq!(objects(&[deployment(&pod)], &grants), Ok(()), "{pod}");
    }
}

/// Whom it runs beside, before whom, and on which node, is not a plugin's to say, unless the user says the same.
#[test]
fn a_pod_in_an_object_has_no_power_that_the_users_has_not() {
    let checked = |field: &str, value: &Value| {
        let spec = json!({"containers": [{"name": "c", "image": "train:1"}], field: value});
        let template = json!({"spec": spec});
        let metadata = json!({"name": "train-x"});
        let spec = json!({"template": template});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
        objects(&[deployment], &json!({}))
    };
    for (field, value) in [
        ("nodeName", json!("control-plane")),
        ("nodeSelector", json!({"a": "b"})),
        ("affinity", json!({})),
        ("topologySpreadConstraints", json!([])),
        ("tolerations", json!([{"operator": "Exists"}])),
        ("priorityClassName", json!("system-node-critical")),
        ("priority", json!(2_000_000_000)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("hostAliases", json!([{"ip": "10.0.0.1", "hostnames": ["registry"]}])),
        ("imagePullSecrets", json!([{"name": "admin"}])),
        ("runtimeClassName", json!("host")),
        ("schedulerName", json!("theirs")),
        ("dnsPolicy", json!("None")),
        ("dnsConfig", json!({"nameservers": ["10.0.0.1"]})),
        ("hostname", json!("db")),
        ("subdomain", json!("db")),
        ("setHostnameAsFQDN", json!(true)),
        ("shareProcessNamespace", json!(true)),
        ("overhead", json!({"cpu": "8"})),
        ("resourceClaims", json!([])),
        ("readinessGates", json!([])),
        ("schedulingGates", json!([])),
        ("hostUsers", json!(true)),
        ("automountServiceAccountToken", json!(true)),
        ("ephemeralContainers", json!([])),
    ] {
        let path = format!("objects[0].object.spec.template.spec.{field}");
        assert_eq!(checked(field, &value), refused(&format!("{path}: {value} is not for a plugin to say")));
    }
    assert_eq!(checked("automountServiceAccountToken", &json!(false)), Ok(()));
    assert_eq!(checked("restartPolicy", &json!("Always")), Ok(()));
    assert_eq!(checked("priorityClassName", &json!("users-class")), Ok(()), "the user's template has it");
}

/// No grant changes that.
#[test]
fn services_and_claims_reach_nothing_that_is_there() {
    let checked = |kind: &str, spec: &Value| {
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "train-x"}, "spec": spec});
        let checked = objects(&[object], &json!({"privileged": true}));
        checked.map_err(|fault| fault.strip_prefix("objects[0].object.spec.").unwrap_or(&fault).to_owned())
    };
    let ports = json!([{"name": "a", "port": 80, "targetPort": 8080}]);
    let service = json!({"type": "ClusterIP", "clusterIP": "None", "selector": {"app": "train"}, "ports": ports});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    assert_eq!((checked("Service", &service), checked("PersistentVolumeClaim", &claim)), (Ok(()), Ok(())));
    for (kind, path, spec) in [
        ("Service", r#"externalIPs: ["1.2.3.4"]"#, json!({"externalIPs": ["1.2.3.4"]})),
        ("Service", r#"externalName: "db""#, json!({"externalName": "db"})),
        ("Service", r#"type: "ExternalName""#, json!({"type": "ExternalName"})),
        ("Service", r#"type: "NodePort""#, json!({"type": "NodePort"})),
        ("Service", r#"type: "LoadBalancer""#, json!({"type": "LoadBalancer"})),
        ("Service", r#"loadBalancerIP: "1.2.3.4""#, json!({"loadBalancerIP": "1.2.3.4"})),
        ("Service", r#"loadBalancerClass: "a/b""#, json!({"loadBalancerClass": "a/b"})),
        ("Service", r#"clusterIP: "10.0.0.10""#, json!({"clusterIP": "10.0.0.10"})),
        ("Service", "ports[0].nodePort: 30000", json!({"ports": [{"port": 80, "nodePort": 30000}]})),
        ("PersistentVolumeClaim", r#"volumeName: "theirs""#, json!({"volumeName": "theirs"})),
        ("PersistentVolumeClaim", "selector: {}", json!({"selector": {}})),
        (
            "PersistentVolumeClaim",
            r#"dataSource: {"kind":"PersistentVolumeClaim","name":"theirs"}"#,
            json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "theirs"}}),
        ),
        ("PersistentVolumeClaim", "dataSourceRef: {}", json!({"dataSourceRef": {}})),
    ] {
        assert_eq!(checked(kind, &spec), refused(&format!("{path} is not for a plugin to say")));
    }
}

/// What a controller makes from a template is held to what holds for the plan's own.
#[test]
fn what_is_made_from_a_template_has_no_more_power() {
    let set = |template: &Value, claim: &Value| {
        let mut pod = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}});
        json::merge(&mut pod, template);
        let spec = json!({"template": pod, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]});
        let set = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "train-x"}, "spec": spec});
        let checked = objects(&[set], &json!({"volumes": ["ephemeral"]}));
        checked.map_err(|fault| fault.strip_prefix("objects[0].object.spec.").unwrap_or(&fault).to_owned())
    };
    let none = json!({});
    assert_eq!(set(&none, &json!({"accessModes": ["ReadWriteOnce"]})), Ok(()));
    let theirs = json!({"volumeName": "theirs"});
    let ephemeral = json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": theirs}}});
    for (template, claim, expected) in [
        (&none, &theirs, r#"volumeClaimTemplates[0].spec.volumeName: "theirs""#),
        (
            &json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "admin"}}}),
            &none,
            r#"template.metadata.annotations: "k8s.v1.cni.cncf.io/networks""#,
        ),
        (
            &json!({"metadata": {"ownerReferences": [{"name": "x"}]}}),
            &none,
            r#"template.metadata.ownerReferences: [{"name":"x"}]"#,
        ),
        (
            &json!({"spec": {"volumes": [ephemeral]}}),
            &none,
            r#"template.spec.volumes[0].ephemeral.volumeClaimTemplate.spec.volumeName: "theirs""#,
        ),
    ] {
        assert_eq!(set(template, claim), refused(&format!("{expected} is not for a plugin to say")));
    }
    let volume =
        volume(&json!({"ephemeral": {"volumeClaimTemplate": {"spec": theirs}}}), &json!({"volumes": ["ephemeral"]}));
    let path = "ephemeral.volumeClaimTemplate.spec.volumeName";
    assert_eq!(volume, refused(&format!(r#"{path}: "theirs" is not for a plugin to say"#)));
}

/// It would be taken for the replica's, which then has none.
#[test]
fn no_object_takes_the_name_of_a_replica() {
    let named = |name: &str, network: Network| {
        let mut planned = JobPlan { network, ..good() };
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {}});
        planned.objects.push(object(&service));
        checked_by(&planned, &with_kinds(&json!({})))
    };
    let (each, shared) = (Network::ServicePerReplica, Network::SharedService);
    for (name, network) in [("train", shared), ("train-master-0", each), ("train-worker-1", each)] {
        let expected = format!("objects[0].object.metadata.name: {name:?} is not for a plugin to say");
        assert_eq!(named(name, network), refused(&expected));
    }
    for name in ["train", "train-worker", "train-master-0-x"] {
        assert_eq!(named(name, each), Ok(()), "{name}");
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn role(rules: &Value) -> Value {
    json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": "train-r"}, "rules": rules})
}

fn binding(role: &Value, subject: &Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": {"name": "train-b"},
        "roleRef": role, "subjects": [subject],
    })
}

/// The operator may do all of this, so the API server would let it pass.
#[test]
fn a_role_is_about_the_job() {
    let rule = |resource: &str, verbs: &[&str], names: &[&str]| {
        let mut rule = json!({"apiGroups": [""], "resources": [resource], "verbs": verbs});
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    let none = json!({});
    for good in [
        rule("pods", &["get", "list", "watch"], &[]),
        rule("pods/exec", &["create"], &["train-worker-0", "train-worker-1", "train-master-0"]),
    ] {
        assert_eq!(objects(&[role(&json!([good]))], &none), Ok(()), "{good}");
    }
    for bad in [
        rule("pods/exec", &["create"], &[]),
        rule("pods/exec", &["create"], &["train-worker-0", "theirs-0"]),
        rule("pods/exec", &["create"], &["train-worker-2"]),
        rule("pods/exec", &["create"], &["train-worker-00"]),
        rule("pods/exec", &["*"], &["train-worker-0"]),
        rule("secrets", &["get"], &[]),
        rule("secrets", &["get"], &["train-worker-0"]),
        rule("pods", &["create"], &[]),
        rule("pods", &["get", "delete"], &[]),
        rule("*", &["get"], &[]),
        json!({"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["get"]}),
    ] {
        let path = "objects[0].object.rules[0]";
        assert_eq!(objects(&[role(&json!([bad]))], &none), refused(&format!("{path}: {} is not granted", shown(&bad))));
        let rules = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
        assert_eq!(objects(&[role(&json!([bad]))], &rules), Ok(()), "{bad}");
    }
    let logs = json!({"rules": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]});
    assert_eq!(objects(&[role(&json!([rule("pods/log", &["get"], &[])]))], &logs), Ok(()));
    let more = rule("pods/log", &["get", "delete"], &[]);
    let expected = format!("objects[0].object.rules[0]: {more} is not granted");
    assert_eq!(objects(&[role(&json!([more]))], &logs), refused(&expected));
    for (rules, expected) in [
        (json!({}), "rules: {} is not a list"),
        (json!(["x"]), r#"rules[0]: "x" is not an object"#),
        (json!([{"nonResourceURLs": ["/"]}]), r#"rules[0].nonResourceURLs: ["/"] is not for a plugin to say"#),
        (json!([{"verbs": [1]}]), "rules[0].verbs[0]: 1 is not text"),
    ] {
        assert_eq!(objects(&[role(&rules)], &none), refused(&format!("objects[0].object.{expected}")));
    }
}

#[test]
fn a_binding_is_of_the_plans_role_to_the_jobs_account() {
    let account = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    let of = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    let to = |name: &str, namespace: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace});
    let bound = |binding: Value| objects(&[account("train-a"), role(&json!([])), binding], &json!({}));
    assert_eq!(bound(binding(&of("Role", "train-r"), &to("train-a", "ns"))), Ok(()));
    assert_eq!(bound(binding(&of("Role", "train-r"), &to("users-account", "ns"))), Ok(()));
    let role_fault = |role: &Value| refused(&format!("objects[2].object.roleRef: {role} is not a role of the plan"));
    for role in [of("Role", "admin"), of("ClusterRole", "train-r"), of("ClusterRole", "cluster-admin")] {
        assert_eq!(bound(binding(&role, &to("train-a", "ns"))), role_fault(&role));
    }
    for subject in [
        to("default", "ns"),
        to("train-a", "kube-system"),
        to("train-a", ""),
        json!({"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}),
        json!({"kind": "User", "name": "train-a", "namespace": "ns"}),
    ] {
        let expected = format!("objects[2].object.subjects[0]: {subject} is not a service account of the job");
        assert_eq!(bound(binding(&of("Role", "train-r"), &subject)), refused(&expected));
    }
    let mut planned = good();
    planned.objects.push(Object { existing: ObjectExisting::UseAny, ..object(&role(&json!([]))) });
    let expected = r#"objects[0].existing: "UseAny" is not for a plugin to say"#;
    assert_eq!(checked_by(&planned, &with_kinds(&json!({}))), refused(expected), "nobody knows what is in it");
}

/// They are made one after the other: what comes later may never come.
#[test]
fn an_object_leans_on_those_before_it_only() {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "train-a"}});
    let reference = json!({"apiGroup": RBAC, "kind": "Role", "name": "train-r"});
    let subject = json!({"kind": "ServiceAccount", "name": "train-a", "namespace": "ns"});
    let (role, binding) = (role(&json!([])), binding(&reference, &subject));
    for (all, expected) in [
        (vec![&account, &role, &binding], Ok(())),
        (
            vec![&account, &binding, &role],
            refused(&format!("objects[1].object.roleRef: {reference} is not a role of the plan")),
        ),
        (
            vec![&role, &binding, &account],
            refused(&format!("objects[1].object.subjects[0]: {subject} is not a service account of the job")),
        ),
    ] {
        let all: Vec<_> = all.into_iter().cloned().collect();
        assert_eq!(objects(&all, &json!({})), expected);
    }
}

#[test]
fn what_another_has_is_used_where_v1_does_so() {
    for (api_version, kind, is_shared) in [
        ("v1", "ConfigMap", true),
        ("v1", "ServiceAccount", true),
        ("v1", "Service", false),
        ("v1", "PersistentVolumeClaim", false),
        ("apps/v1", "Deployment", false),
    ] {
        let named = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "train-x"}});
        let mut planned = good();
        planned.objects.push(Object { existing: ObjectExisting::UseAny, ..object(&named) });
        let expected = refused(r#"objects[0].existing: "UseAny" is not for a plugin to say"#);
        let expected = if is_shared { Ok(()) } else { expected };
        assert_eq!(checked_by(&planned, &with_kinds(&json!({}))), expected, "{kind}");
    }
}

/// What is checked is what will be made: an object is completed first.
#[test]
fn a_fill_of_an_object_gets_around_nothing() {
    let fill = |object: &Value, at: &str, content| {
        let fills = vec![Fill { at: at.into(), content }];
        let mut planned = good();
        planned.objects.push(Object { object: Fragment { json: object.to_string(), fills }, ..self::object(object) });
        checked_by(&planned, &with_kinds(&json!({})))
    };
    let literal = |text: &str| Content::Text(vec![Piece::Literal(text.into())]);
    let while_one_runs = Content::Text(vec![Piece::Literal("train-x".into()), Piece::Each(each("Worker", "/", true))]);
    let names = Content::Strings(each("Worker", "", false));
    let commands = json!([{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"], "resourceNames": []}]);
    assert_eq!(fill(&role(&commands), "/rules/0/resourceNames", names), Ok(()));
    for (object, at, content, expected) in [
        (config_map("train-x"), "/kind", literal("Secret"), r#"objects[0].object.kind: "v1 Secret" is not granted"#),
        (
            config_map("train-x"),
            "/metadata/namespace",
            literal("kube-system"),
            r#"objects[0].object.metadata.namespace: "kube-system" is not for a plugin to say"#,
        ),
        (
            config_map("train-x"),
            "/metadata/name",
            while_one_runs,
            r#"objects[0].object.metadata.name: "train-x/train-worker-0" is not a name of an object"#,
        ),
        (
            role(&json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])),
            "/rules/0/resources/0",
            literal("secrets"),
            r#"objects[0].object.rules[0]: {"apiGroups":[""],"resources":["secrets"],"verbs":["get"]} is not granted"#,
        ),
        (
            config_map("train-x"),
            "/nowhere/x",
            literal(""),
            r#"objects[0].object: there is no "/nowhere/x" in the object that is to be filled"#,
        ),
        (
            config_map("train-x"),
            "/data",
            Content::Text(vec![Piece::Rank(0)]),
            "objects[0].object: an object belongs to no replica, so it has no rank and no address of its own",
        ),
    ] {
        assert_eq!(fill(&object, at, content), refused(expected));
    }
}

#[test]
fn a_plan_is_as_small_as_it_says() {
    let many = |count: usize, size: usize| {
        broken(|plan| {
            let value = EnvValue::Text(vec![Piece::Literal("x".repeat(size))]);
            plan.replicas[0].env = (0..count).map(|index| env(&format!("E{index}"), value.clone())).collect();
        })
    };
    let listed = |pieces: usize, separator: usize| {
        broken(|plan| {
            let all = Each {
                what: EachWhat::Host(Form::Short),
                separator: "x".repeat(separator),
                ..each("Worker", "", false)
            };
            plan.replicas[0].env.push(env("E", EnvValue::Text(vec![Piece::Each(all); pieces])));
        })
    };
    let config = |size: usize, count: usize| {
        broken(|plan| {
            let data = "x".repeat(size);
            plan.objects = (0..count)
                .map(|index| {
                    let mut config = config_map(&format!("train-{index}"));
                    config["data"] = json!({"a": data});
                    object(&config)
                })
                .collect();
        })
    };
    for (checked, expected) in [
        (many(512, 1), Ok(())),
        (many(513, 1), refused("replicas[0].env: 513 variables are more than 512")),
        (many(1, 131_000), Ok(())),
        (many(2, 131_000), refused("replicas[0]: 262004 bytes are more than 131840")),
        (listed(1, 1000), Ok(())),
        (listed(1024, 1000), refused("replicas[0]: 2074625 bytes are more than 131840")),
        (listed(1025, 1), refused("replicas[0].env[0].value: 1025 pieces are more than 1024")),
        (config(1_000_000, 6), Ok(())),
        (config(1_600_000, 1), refused("objects[0].object: 1600084 bytes are more than 1572864")),
        (config(1_000_000, 7), refused("objects: 7000588 bytes are more than 6291456")),
        (config(1, 65), refused("objects: 65 objects are more than 64")),
        (broken(|plan| plan.ssh_keys = vec!["x".into(); 17]), refused("ssh_keys: 17 keys are more than 16")),
        (
            broken(|plan| plan.replicas[1].init_containers = vec![whole(&json!({})); 17]),
            refused("replicas[1].init_containers: 17 init containers are more than 16"),
        ),
        (
            broken(|plan| plan.replicas[1].volumes = vec!["{}".into(); 65]),
            refused("replicas[1].volumes: 65 volumes are more than 64"),
        ),
    ] {
        assert_eq!(checked, expected);
    }
}

#[test]
fn a_text_in_json_is_not_deep() {
    for (depth, expected) in [
        (62, Ok(())),
        (64, refused("objects[0].object: 65 levels are more than 64")),
        (10_000, refused("objects[0].object: not a JSON object: recursion limit exceeded at line 1 column 704")),
    ] {
        let (open, close) = (r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let metadata = r#""metadata":{"name":"train"}"#;
        let json = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap",{metadata},"data":{open}1{close}}}"#);
        let object = Object { object: Fragment { json, fills: vec![] }, ..object(&json!({})) };
        assert_eq!(broken(|plan| plan.objects.push(object)), expected, "{depth}");
    }
}

/// An address list of every replica fits, however large the job; etcd's limit is beyond it.
#[test]
fn a_large_job_has_room_for_its_addresses() {
    let kind = fixture::kind();
    let mut object = fixture::job();
    object["spec"]["testReplicaSpecs"]["Worker"]["replicas"] = crate::job::MAX_REPLICAS.into();
    let job = Job::parse(&kind, &object).unwrap();
    let all =
        Each { what: EachWhat::HostAndPort(Form::Qualified), separator: "\",\"".into(), ..each("Worker", "", false) };
    let mut planned = good();
    planned.replicas[0].env.push(env("CLUSTER", EnvValue::Text(vec![Piece::Each(all)])));
    let (running, addresses) = (BTreeSet::new(), Addresses::Cluster { domain: Some("cluster.local".into()) });
    let filler = Filler {
        kind: &kind,
        job: &job,
        network: Network::ServicePerReplica,
        addresses: &addresses,
        running: &running,
    };
    let allowed = Allowed { announced: &[], grants: &Grants::default(), settings: &Value::Null };
    assert_eq!(plan(&planned, &filler, allowed), Ok(()));
}

/// Whatever a plan says and however it is merged, of the user's template nothing is lost and little is added.
#[test]
fn a_pod_that_is_not_the_users_is_not_made() {
    let kind = fixture::kind();
    let mut object = job();
    object["spec"]["testReplicaSpecs"]["Worker"]["template"]["metadata"] =
        json!({"name": "ignored", "labels": {"team": "a"}, "annotations": {"b": "c"}});
    let job = Job::parse(&kind, &object).unwrap();
    let (running, addresses) = (BTreeSet::new(), Addresses::Cluster { domain: None });
    let filler =
        Filler { kind: &kind, job: &job, network: Network::SharedService, addresses: &addresses, running: &running };
    let mut planned = fixture::replica("Worker");
    planned.env.push(env("A", text("b")));
    planned.volumes.push(r#"{"name":"x","emptyDir":{}}"#.into());
    planned.mounts.push(Mount { to: Containers::All, mount: r#"{"name":"x","mountPath":"/x"}"#.into() });
    planned.default_command = Some(Command { to: Containers::All, command: vec!["sleep".into()], args: vec![] });
    let pod = crate::render::pod(&filler, job.replica("Worker").unwrap(), &planned, 0).unwrap();
    let looked = |change: &Value| {
        let mut pod = pod.clone();
        json::merge(&mut pod, change);
        let create = Action::CreatePod { pod, overwrites_restart_policy: false, keeps_scheduler: false };
        pods(&job, &[vec![create]]).map_err(|fault| fault.to_string())
    };
    assert_eq!(looked(&json!({})), Ok(()));
    let container = |change: &Value| {
        let mut container = pod["spec"]["containers"][0].clone();
        json::merge(&mut container, change);
        json!({"spec": {"containers": [container]}})
    };
    let twice = json!({"spec": {"containers": [pod["spec"]["containers"][0], {"name": "evil", "image": "evil"}]}});
    for (change, expected) in [
        (json!({"spec": {"hostNetwork": true}}), "spec.hostNetwork: true"),
        (json!({"spec": {"serviceAccountName": "admin"}}), r#"spec.serviceAccountName: "admin""#),
        (json!({"spec": {"nodeName": "n"}}), r#"spec.nodeName: "n""#),
        (json!({"spec": {"volumes": []}}), "spec.volumes[0]: null"),
        (container(&json!({"image": "evil"})), r#"spec.containers[0].image: "evil""#),
        (
            container(&json!({"securityContext": {"privileged": true}})),
            r#"spec.containers[0].securityContext: {"privileged":true}"#,
        ),
        (
            container(&json!({"env": [{"name": "A", "value": "b"}]})),
            r#"spec.containers[0].env[0]: {"name":"A","value":"b"}"#,
        ),
        (container(&json!({"resources": {}})), "spec.containers[0].resources: {}"),
        (twice.clone(), &format!("spec.containers: {}", shown(&twice["spec"]["containers"]))),
        (json!({"metadata": {"labels": {"team": "b"}}}), r#"metadata.labels.team: "b""#),
        (json!({"metadata": {"labels": {"other": "b"}}}), r#"metadata.labels.other: "b""#),
        (json!({"metadata": {"annotations": null}}), "metadata.annotations: null"),
        (json!({"metadata": {"finalizers": ["x"]}}), r#"metadata.finalizers: ["x"]"#),
    ] {
        assert_eq!(looked(&change), refused(&format!("pods[worker].{expected} is not for a plugin to say")));
    }
}
