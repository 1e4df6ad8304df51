//! A plan is checked before it is believed.

use serde_json::Value;

use crate::contract::{JobPlan, ObjectKind, ReplicaPlan};
use crate::job::Job;
use crate::json;
use crate::name;

/// What is wrong with a plan, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PlanFault {
    /// JSON path into the plan: `replicas[0].volumes[1]`.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The plan and the job do not have the same types.
    #[error("the plan has replica types {planned:?}, the job has {wanted:?}")]
    WrongTypes {
        /// In the plan.
        planned: Vec<String>,
        /// In the job.
        wanted: Vec<String>,
    },
    /// A gate on a type that is not there, or on itself.
    #[error("{0:?} is no other replica type of the job")]
    NoSuchGate(String),
    /// An environment variable without a proper name.
    #[error("{0:?} is no name of an environment variable")]
    EnvName(String),
    /// Text that should be a JSON object.
    #[error("not a JSON object: {0}")]
    NotAnObject(String),
    /// A kind that `describe` did not announce.
    #[error("the plugin did not announce objects of {0}")]
    Unannounced(String),
    /// A name that Kubernetes will not take.
    #[error("{0:?} is no valid name")]
    Name(String),
    /// What the host alone may set, or what was not granted.
    #[error("a plan may not set {0:?}")]
    NotGranted(String),
}

/// Volumes that reach nothing but the pod's own and the namespace's own.
const VOLUMES: [&str; 6] = ["configMap", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret"];
/// Metadata of objects that is the host's.
const HOSTS_METADATA: [&str; 4] = ["finalizers", "generateName", "namespace", "ownerReferences"];

/// Compares a plan with the job and with what plugins may do.
pub fn plan(plan: &JobPlan, job: &Job, announced: &[ObjectKind]) -> Result<(), PlanFault> {
    let mut planned: Vec<_> = plan.replicas.iter().map(|replica| replica.replica_type.clone()).collect();
    let mut wanted: Vec<_> = job.replicas.iter().map(|spec| spec.name.clone()).collect();
    planned.sort();
    wanted.sort();
    if planned != wanted {
        return Err(at("replicas", Fault::WrongTypes { planned, wanted }));
    }
    for (index, planned) in plan.replicas.iter().enumerate() {
        replica(planned, job).map_err(|fault| fault.below(&format!("replicas[{index}]")))?;
    }
    for (index, planned) in plan.objects.iter().enumerate() {
        let path = format!("objects[{index}]");
        object(&planned.object.json, announced).map_err(|fault| fault.below(&path))?;
    }
    match plan.ssh_keys.iter().find(|key| !name::is_dns_label(key)) {
        Some(key) => Err(at("ssh_keys", Fault::Name(key.clone()))),
        None => Ok(()),
    }
}

fn replica(plan: &ReplicaPlan, job: &Job) -> Result<(), PlanFault> {
    for gate in &plan.after {
        if gate.replica_type == plan.replica_type || job.replica(&gate.replica_type).is_none() {
            return Err(at("after", Fault::NoSuchGate(gate.replica_type.clone())));
        }
    }
    let bad = |name: &str| name.is_empty() || name.contains(|each: char| each == '=' || each.is_control());
    if let Some(env) = plan.env.iter().find(|env| bad(&env.name)) {
        return Err(at("env", Fault::EnvName(env.name.clone())));
    }
    for (index, text) in plan.volumes.iter().enumerate() {
        volume(text).map_err(|fault| at(&format!("volumes[{index}]"), fault))?;
    }
    for (index, container) in plan.init_containers.iter().enumerate() {
        let path = format!("init_containers[{index}]");
        let container = parse(&container.json).map_err(|fault| at(&path, fault))?;
        if container.get("securityContext").is_some() {
            return Err(at(&path, Fault::NotGranted("securityContext".into())));
        }
    }
    Ok(())
}

fn volume(text: &str) -> Result<(), Fault> {
    let volume = parse(text)?;
    let source = volume.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
    match source.into_iter().find(|field| *field != "name" && !VOLUMES.contains(field)) {
        Some(source) => Err(Fault::NotGranted(source.to_owned())),
        None => Ok(()),
    }
}

fn object(text: &str, announced: &[ObjectKind]) -> Result<(), PlanFault> {
    let object = parse(text).map_err(|fault| at("object", fault))?;
    let text = |pointer| json::text(&object, pointer).to_owned();
    let kind = ObjectKind { api_version: text("/apiVersion"), kind: text("/kind") };
    if !announced.contains(&kind) {
        return Err(at("object", Fault::Unannounced(format!("{} {}", kind.api_version, kind.kind))));
    }
    if let Some(field) =
        HOSTS_METADATA.into_iter().find(|field| object.pointer(&format!("/metadata/{field}")).is_some())
    {
        return Err(at("object.metadata", Fault::NotGranted(field.to_owned())));
    }
    let name = text("/metadata/name");
    let is_valid = !name.is_empty() && name.len() <= MAX_NAME && name.split('.').all(name::is_dns_label);
    if is_valid { Ok(()) } else { Err(at("object.metadata.name", Fault::Name(name))) }
}

/// The longest name of an object, in bytes.
const MAX_NAME: usize = 253;

fn parse(text: &str) -> Result<Value, Fault> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Fault::NotAnObject("it is another JSON value".into())),
        Err(error) => Err(Fault::NotAnObject(error.to_string())),
    }
}

fn at(path: &str, fault: Fault) -> PlanFault {
    PlanFault { path: path.to_owned(), fault }
}

impl PlanFault {
    fn below(self, parent: &str) -> Self {
        Self { path: format!("{parent}.{}", self.path), fault: self.fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{
        Containers, Env, Existing, Fragment, Gate, GateState, Object, ObjectExisting, Value as EnvValue, Which,
        WhileSuspended,
    };
    use crate::fixture;

    fn broken(break_it: impl FnOnce(&mut JobPlan)) -> Result<(), String> {
        let kind = fixture::kind();
        let job = Job::parse(&kind, &fixture::job()).unwrap();
        let mut good = fixture::plan(vec![fixture::replica("Master"), fixture::replica("Worker")]);
        break_it(&mut good);
        let announced = [ObjectKind { api_version: "v1".into(), kind: "ConfigMap".into() }];
        plan(&good, &job, &announced).map_err(|fault| fault.to_string())
    }

    fn with_object(json: &str) -> Result<(), String> {
        let object = Fragment { json: json.into(), fills: vec![] };
        let object = Object { object, existing: ObjectExisting::KeepOurs, while_suspended: WhileSuspended::Keep };
        broken(|plan| plan.objects.push(object))
    }

    #[test]
    fn a_good_plan_passes() {
        assert_eq!(broken(|_| ()), Ok(()));
        let config = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"train-config"}}"#;
        assert_eq!(with_object(config), Ok(()));
    }

    #[test]
    fn a_bad_plan_is_refused_with_a_path() {
        let gate = |name: &str| Gate { replica_type: name.into(), state: GateState::Ready };
        let env = Env {
            name: "A=B".into(),
            value: EnvValue::Text(vec![]),
            to: Containers::All,
            replicas: Which::All,
            existing: Existing::Append,
        };
        let init = Fragment { json: r#"{"name":"x","securityContext":{"privileged":true}}"#.into(), fills: vec![] };
        for (fault, expected) in [
            (
                broken(|plan| plan.replicas.truncate(1)),
                r#"replicas: the plan has replica types ["Master"], the job has ["Master", "Worker"]"#,
            ),
            (
                broken(|plan| plan.replicas[1].after.push(gate("Worker"))),
                r#"replicas[1].after: "Worker" is no other replica type of the job"#,
            ),
            (
                broken(|plan| plan.replicas[1].after.push(gate("PS"))),
                r#"replicas[1].after: "PS" is no other replica type of the job"#,
            ),
            (
                broken(|plan| plan.replicas[0].env.push(env)),
                r#"replicas[0].env: "A=B" is no name of an environment variable"#,
            ),
            (
                broken(|plan| plan.replicas[0].volumes.push(r#"{"name":"x","hostPath":{"path":"/"}}"#.into())),
                r#"replicas[0].volumes[0]: a plan may not set "hostPath""#,
            ),
            (
                broken(|plan| plan.replicas[0].volumes.push("[]".into())),
                "replicas[0].volumes[0]: not a JSON object: it is another JSON value",
            ),
            (
                broken(|plan| plan.replicas[0].init_containers.push(init)),
                r#"replicas[0].init_containers[0]: a plan may not set "securityContext""#,
            ),
            (
                with_object(r#"{"apiVersion":"v1","kind":"Secret"}"#),
                "objects[0].object: the plugin did not announce objects of v1 Secret",
            ),
            (
                with_object(r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"kube-system"}}"#),
                r#"objects[0].object.metadata: a plan may not set "namespace""#,
            ),
            (
                with_object(r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"A"}}"#),
                r#"objects[0].object.metadata.name: "A" is no valid name"#,
            ),
            (broken(|plan| plan.ssh_keys.push("../x".into())), r#"ssh_keys: "../x" is no valid name"#),
        ] {
            assert_eq!(fault, Err(expected.to_owned()));
        }
    }
}
