//! The pod and the service of one replica: the user's template, and what the plan adds to it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value, json};

use crate::contract::{Containers, Env, Existing, Network, ReplicaId, ReplicaPlan, Value as EnvValue, Which};
use crate::fill::{self, FillError, Filler};
use crate::job::{Job, ReplicaSpec};
use crate::json;
use crate::label;

impl Which {
    /// Whether that index is meant.
    pub const fn has(self, index: u32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::First => index == 0,
            Self::Rest => index != 0,
        }
    }
}

/// The same plan, for many pods.
pub fn settled(filler: &Filler<'_>, plan: &ReplicaPlan) -> Result<ReplicaPlan, FillError> {
    let mut plan = plan.clone();
    for env in &mut plan.env {
        if let EnvValue::Text(pieces) = &mut env.value {
            *pieces = filler.settled(pieces)?;
        }
    }
    Ok(plan)
}

/// The pod of a replica.
pub fn pod(filler: &Filler<'_>, spec: &ReplicaSpec, plan: &ReplicaPlan, index: u32) -> Result<Value, FillError> {
    let this = ReplicaId { replica_type: spec.name.clone(), index };
    let mut pod_spec = spec.template.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    add_to_spec(&mut pod_spec, filler, plan, &this)?;
    pod_spec.insert("restartPolicy".into(), spec.restart_policy.of_pod().into());
    if filler.network == Network::SharedService {
        pod_spec.entry("hostname").or_insert_with(|| filler.job.pod_name(spec, index).into());
        pod_spec.entry("subdomain").or_insert_with(|| filler.job.name.as_str().into());
    }
    let containers = pod_spec.get_mut("containers").and_then(Value::as_array_mut);
    for (position, container) in containers.into_iter().flatten().filter_map(Value::as_object_mut).enumerate() {
        let is_meant = |to: &Containers| is_meant(to, json::items(&spec.template, "/spec/containers"), position);
        let meant = Meant {
            env: plan.env.iter().filter(|env| env.replicas.has(index) && is_meant(&env.to)).collect(),
            mounts: plan.mounts.iter().filter(|mount| is_meant(&mount.to)).map(|mount| mount.mount.as_str()).collect(),
            command: plan.default_command.as_ref().filter(|command| is_meant(&command.to)),
        };
        meant.add_to(container, filler, &this)?;
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_metadata(filler, spec, plan, index),
        "spec": pod_spec,
    }))
}

/// Whether the container at that place is meant.
pub(crate) fn is_meant(to: &Containers, containers: &[Value], position: usize) -> bool {
    match to {
        Containers::All => true,
        Containers::First => position == 0,
        Containers::Named(name) => {
            containers.iter().position(|container| json::text(container, "/name") == name) == Some(position)
        }
    }
}

/// The headless service of a replica, which selects its pod.
pub fn service(filler: &Filler<'_>, spec: &ReplicaSpec, index: u32) -> Value {
    let labels = label::of_replica(filler.kind, &filler.job.name, &spec.name, spec.index(index));
    headless(filler, &filler.job.pod_name(spec, index), &labels, &service_ports(filler, spec))
}

/// The one headless service of a job, whose pods are reached by hostname. It answers for pods that are not ready, too:
/// they have to find each other to become so.
pub fn shared_service(filler: &Filler<'_>) -> Value {
    let labels = label::of_job(filler.kind, &filler.job.name);
    let mut service = headless(filler, &filler.job.name, &labels, &[]);
    json::merge(&mut service, &json!({"spec": {"publishNotReadyAddresses": true}}));
    service
}

/// What makes the job the object's owner: its deletion is the object's, too.
pub fn owner_reference(filler: &Filler<'_>) -> Value {
    json!({
        "apiVersion": format!("{}/{}", filler.kind.group, filler.kind.version),
        "kind": filler.kind.kind,
        "name": filler.job.name,
        "uid": filler.job.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// What a plan adds to one container.
struct Meant<'a> {
    env: Vec<&'a Env>,
    mounts: Vec<&'a str>,
    command: Option<&'a crate::contract::Command>,
}

impl Meant<'_> {
    fn add_to(
        &self,
        container: &mut Map<String, Value>,
        filler: &Filler<'_>,
        this: &ReplicaId,
    ) -> Result<(), FillError> {
        for env in &self.env {
            let list = list(container, "env");
            if env.existing == Existing::Keep && list.iter().any(|other| json::text(other, "/name") == env.name) {
                continue;
            }
            list.push(match &env.value {
                EnvValue::Text(pieces) => json!({"name": env.name, "value": filler.text(pieces, Some(this))?}),
                EnvValue::Field(path) => json!({"name": env.name, "valueFrom": {"fieldRef": {"fieldPath": path}}}),
            });
        }
        for mount in &self.mounts {
            list(container, "volumeMounts").push(fill::json(mount, "a volume mount")?);
        }
        let has_command = container.get("command").and_then(Value::as_array).is_some_and(|words| !words.is_empty());
        if let Some(command) = self.command.filter(|_| !has_command) {
            container.insert("command".into(), command.command.clone().into());
            container.insert("args".into(), command.args.clone().into());
        }
        Ok(())
    }
}

fn add_to_spec(
    pod_spec: &mut Map<String, Value>,
    filler: &Filler<'_>,
    plan: &ReplicaPlan,
    this: &ReplicaId,
) -> Result<(), FillError> {
    for container in &plan.init_containers {
        let container = filler.fragment(container, "an init container", Some(this))?;
        list(pod_spec, "initContainers").push(container);
    }
    for volume in &plan.volumes {
        list(pod_spec, "volumes").push(fill::json(volume, "a volume")?);
    }
    let names_none = pod_spec.get("serviceAccountName").and_then(Value::as_str).is_none_or(str::is_empty);
    if let Some(account) = plan.service_account.as_ref().filter(|_| names_none) {
        pod_spec.insert("serviceAccountName".into(), account.as_str().into());
    }
    Ok(())
}

/// Of the template's metadata labels, annotations and finalizers reach the pod; our labels win.
fn pod_metadata(filler: &Filler<'_>, spec: &ReplicaSpec, plan: &ReplicaPlan, index: u32) -> Value {
    let Job { name, namespace, .. } = filler.job;
    let mut labels = label::of_replica(filler.kind, name, &spec.name, spec.index(index));
    if plan.leads.has(index) {
        labels.insert(label::JOB_ROLE.into(), "master".into());
    }
    let template = spec.template.get("metadata").unwrap_or(&Value::Null);
    let kept = ["labels", "annotations", "finalizers"].into_iter();
    let kept = kept
        .filter_map(|field| Some((field.to_owned(), template.get(field).filter(|value| !value.is_null())?.clone())));
    let mut metadata = kept.collect::<Map<_, _>>().into();
    json::merge(
        &mut metadata,
        &json!({
            "name": filler.job.pod_name(spec, index),
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(filler)],
        }),
    );
    metadata
}

fn headless(filler: &Filler<'_>, name: &str, labels: &label::Labels, ports: &[Value]) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": filler.job.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(filler)],
        },
        "spec": {"clusterIP": "None", "selector": labels},
    });
    if !ports.is_empty() {
        json::merge(&mut service, &json!({"spec": {"ports": ports}}));
    }
    service
}

/// The ports of the container that trains: each number and protocol once, each with a name of its own, so that the API
/// server takes the service whatever the user wrote (bug 15).
fn service_ports(filler: &Filler<'_>, spec: &ReplicaSpec) -> Vec<Value> {
    let container = spec.container(&filler.kind.container).unwrap_or(&Value::Null);
    let mut ports = BTreeMap::new();
    let mut order = Vec::new();
    for port in json::items(container, "/ports") {
        let number = port.get("containerPort").and_then(Value::as_u64).unwrap_or_default();
        let protocol = Some(json::text(port, "/protocol")).filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
        let name = Some(json::text(port, "/name"))
            .filter(|name| !name.is_empty() && !ports.values().any(|other| other == name));
        let name = name.map_or_else(|| format!("{}-{number}", protocol.to_lowercase()), str::to_owned);
        if let Entry::Vacant(entry) = ports.entry((number, protocol)) {
            entry.insert(name.clone());
            order.push(match protocol {
                "TCP" => json!({"name": name, "port": number}),
                protocol => json!({"name": name, "port": number, "protocol": protocol}),
            });
        }
    }
    order
}

/// The list of that name, made where there is none.
fn list<'a>(fields: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let value = fields.entry(name).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    #[expect(clippy::expect_used, reason = "made an array just above")]
    value.as_array_mut().expect("an array")
}

#[cfg(test)]
mod tests;
