//! What has to be done so that what is there becomes what the plan wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::{Action, Target};
use crate::census::{Census, Types};
use crate::contract::{
    Gate, GateState, JobPlan, Network, Object, ObjectExisting, ObjectKind, Phase, ReplicaPlan, WhileSuspended,
};
use crate::fill::{FillError, Filler};
use crate::job::Job;
use crate::json;
use crate::label;
use crate::observed::{Meta, Observed, Pod};
use crate::render;
use crate::run_policy::CleanPodPolicy;

/// Actions that may run side by side; the next batch waits for this one and is dropped if it fails.
pub type Batch = Vec<Action>;

/// Pods, services and their surplus: what is too much goes first, then type by type in the plan's order.
pub fn replicas(
    filler: &Filler<'_>,
    plan: &JobPlan,
    census: &Census<'_>,
    observed: &Observed,
) -> Result<Vec<Batch>, FillError> {
    let services: BTreeSet<_> = observed.services.iter().map(|service| service.name.as_str()).collect();
    let mut batches = vec![surplus(filler, plan, census, observed)];
    let mut most = pods_in_a_pass(filler.job);
    if filler.network == Network::SharedService && !services.contains(filler.job.name.as_str()) {
        batches.push(vec![Action::CreateService(render::shared_service(filler))]);
    }
    for (planned, types) in planned_types(plan, census) {
        if are_open(&planned.after, census) {
            let pods = missing_pods(filler, planned, types, most)?;
            most -= pods.len();
            batches.push(pods);
        }
        if filler.network == Network::ServicePerReplica {
            let names = (0..types.spec.replicas).map(|index| (index, filler.job.pod_name(types.spec, index)));
            let missing = names.filter(|(_, name)| !services.contains(name.as_str()));
            batches.push(
                missing.map(|(index, _)| Action::CreateService(render::service(filler, types.spec, index))).collect(),
            );
        }
    }
    Ok(batches)
}

/// Pods and services that stand for no replica.
pub fn surplus(filler: &Filler<'_>, plan: &JobPlan, census: &Census<'_>, observed: &Observed) -> Batch {
    let of_type =
        |types: &Types<'_>| (0..types.spec.replicas).map(|index| filler.job.pod_name(types.spec, index)).collect();
    let wanted: BTreeSet<String> = match filler.network {
        Network::None => BTreeSet::new(),
        Network::SharedService => [filler.job.name.clone()].into(),
        Network::ServicePerReplica => {
            planned_types(plan, census).flat_map(|(_, types)| -> Vec<_> { of_type(types) }).collect()
        }
    };
    let pods = census.surplus.iter().map(|pod| &pod.meta).filter(|pod| !pod.deleting);
    // As in v1 what is of a type that was taken out of the job stays, pods and services.
    let is_left = |service: &Meta| service.labels.get(label::REPLICA_TYPE).is_some_and(|name| !census.has(name));
    let is_surplus = |service: &&Arc<Meta>| !service.deleting && !wanted.contains(&service.name) && !is_left(service);
    let services = observed.services.iter().filter(is_surplus);
    let pods = pods.map(|pod| Action::DeletePod(target(pod)));
    pods.chain(services.map(|service| Action::DeleteService(target(service)))).collect()
}

fn planned_types<'a>(
    plan: &'a JobPlan,
    census: &'a Census<'_>,
) -> impl Iterator<Item = (&'a ReplicaPlan, &'a Types<'a>)> {
    let types = |planned: &ReplicaPlan| census.types().iter().find(|types| types.spec.name == planned.replica_type);
    plan.replicas.iter().filter_map(move |planned| Some((planned, types(planned)?)))
}

/// How many pods one pass may make. Where each lists all others, as `TF_CONFIG` does, their size grows with the square of
/// their number: ten thousand at once would be gigabytes.
pub fn pods_in_a_pass(job: &Job) -> usize {
    const ENTRIES: u32 = 4_000_000;
    usize::try_from(ENTRIES / job.total_replicas().max(1)).unwrap_or(usize::MAX)
}

/// Takes back what would be made; answers whether that was something.
pub fn withhold(batches: &mut [Batch]) -> bool {
    let makes = |action: &Action| matches!(action, Action::CreatePod { .. } | Action::CreateService(_));
    let withheld = batches.iter().flatten().any(makes);
    for batch in batches {
        batch.retain(|action| !makes(action));
    }
    withheld
}

/// What has to be done about extra objects.
#[derive(Debug, Default)]
pub struct Objects {
    /// In the plan's order, each in a batch of its own since a refusal stops there; then those that go.
    pub batches: Vec<Batch>,
    /// Objects of others that have names of the plan's: the job uses them, or cannot do without their going.
    pub others: Vec<(ObjectKind, String)>,
    /// The one, as the plan wants it, whose name another has: nothing that comes after it may be made.
    pub blocked: Option<Value>,
}

/// Extra objects are made and kept up to date; what the job owns and the plan no longer names goes.
pub fn objects(filler: &Filler<'_>, plan: &JobPlan, observed: &Observed) -> Result<Objects, FillError> {
    let mut stored: BTreeMap<_, _> = observed.objects.iter().map(|object| (key(object), object.as_ref())).collect();
    let mut objects = Objects::default();
    for (index, planned) in plan.objects.iter().enumerate() {
        let wanted = object(filler, planned, index)?;
        let key = key(&wanted);
        match (stored.remove(&key), planned.existing) {
            (None, existing) if observed.is_of_another(&key.0, &key.1, &filler.job.uid) => {
                objects.others.push(key);
                match existing {
                    ObjectExisting::UseAny => {}
                    ObjectExisting::KeepOurs | ObjectExisting::UpdateOurs => {
                        return Ok(Objects { blocked: Some(wanted), ..objects });
                    }
                }
            }
            (None, existing) => objects.batches.push(vec![Action::CreateObject { object: wanted, existing }]),
            (Some(_), ObjectExisting::UseAny | ObjectExisting::KeepOurs) => {}
            (Some(stored), ObjectExisting::UpdateOurs) if content_covers(stored, &wanted) => {}
            (Some(stored), ObjectExisting::UpdateOurs) => {
                objects.batches.push(vec![Action::ReplaceObject(with_content(stored, wanted))]);
            }
        }
    }
    let surplus = stored.into_values().filter(|object| !is_deleting(object));
    objects.batches.push(surplus.cloned().map(Action::DeleteObject).collect());
    Ok(objects)
}

/// The secrets with keys, without their data: asked for whenever pods are made, for nothing says whether they are there.
pub fn ssh_keys(filler: &Filler<'_>, plan: &JobPlan) -> Batch {
    let owner = render::owner_reference(filler);
    let secret = |name: &String| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": filler.job.namespace, "ownerReferences": [owner]},
        })
    };
    plan.ssh_keys.iter().map(|name| Action::CreateSshKey(secret(name))).collect()
}

/// The objects that a job without pods does not keep.
pub fn withdrawn_objects(filler: &Filler<'_>, plan: &JobPlan, observed: &Observed) -> Result<Batch, FillError> {
    let mut goes = BTreeSet::new();
    for (index, planned) in plan.objects.iter().enumerate() {
        if planned.while_suspended == WhileSuspended::Delete {
            goes.insert(key(&object(filler, planned, index)?));
        }
    }
    let there = observed.objects.iter().filter(|object| goes.contains(&key(object)) && !is_deleting(object));
    Ok(there.map(|object| Action::DeleteObject(object.as_ref().clone())).collect())
}

/// What goes when a job has ended: pods, and services but those of the pods that stay.
pub fn clean_up(policy: CleanPodPolicy, observed: &Observed) -> Batch {
    let goes: fn(&Pod) -> bool = match policy {
        CleanPodPolicy::None => return Batch::new(),
        CleanPodPolicy::Running => |pod| matches!(pod.phase(), Phase::Running | Phase::Pending),
        CleanPodPolicy::All => |_| true,
    };
    let (pods, staying): (Vec<_>, Vec<_>) = observed.pods.iter().partition(|pod| goes(pod));
    let staying: BTreeSet<_> = staying.into_iter().map(|pod| &pod.meta.name).collect();
    let services = observed.services.iter().filter(|service| !staying.contains(&service.name) && !service.deleting);
    let pods = pods.into_iter().filter(|pod| !pod.meta.deleting).map(|pod| Action::DeletePod(target(&pod.meta)));
    pods.chain(services.map(|service| Action::DeleteService(target(service)))).collect()
}

/// What a deletion names.
pub fn target(meta: &Meta) -> Target {
    Target { name: meta.name.clone(), uid: meta.uid.clone() }
}

fn missing_pods(filler: &Filler<'_>, plan: &ReplicaPlan, types: &Types<'_>, most: usize) -> Result<Batch, FillError> {
    let template = types.spec.template.pointer("/spec/restartPolicy").and_then(Value::as_str);
    let overwrites_restart_policy = template.is_some_and(|policy| !policy.is_empty());
    let missing = (0..types.spec.replicas).filter(|index| !types.pods.contains_key(index));
    let missing: Vec<_> = missing.take(most).collect();
    if missing.is_empty() {
        return Ok(Batch::new());
    }
    let plan = render::settled(filler, plan)?;
    let create = |index| {
        let pod = render::pod(filler, types.spec, &plan, index)?;
        Ok(Action::CreatePod { pod, overwrites_restart_policy, keeps_scheduler: false })
    };
    missing.into_iter().map(create).collect()
}

fn are_open(gates: &[Gate], census: &Census<'_>) -> bool {
    gates.iter().all(|gate| {
        let types = census.types().iter().find(|types| types.spec.name == gate.replica_type);
        types.is_none_or(|types| {
            let ready = types.pods.values().filter(|pod| passes(gate.state, pod)).count();
            u32::try_from(ready).is_ok_and(|ready| ready >= types.spec.replicas)
        })
    })
}

fn passes(state: GateState, pod: &Pod) -> bool {
    match state {
        GateState::Running => matches!(pod.phase(), Phase::Running | Phase::Succeeded),
        GateState::Ready => pod.is_ready() || pod.phase() == Phase::Succeeded,
        GateState::Succeeded => pod.phase() == Phase::Succeeded,
    }
}

fn object(filler: &Filler<'_>, planned: &Object, index: usize) -> Result<Value, FillError> {
    let mut object = filler.fragment(&planned.object, &format!("object {index}"), None)?;
    let metadata = json!({"namespace": filler.job.namespace, "ownerReferences": [render::owner_reference(filler)]});
    json::merge(&mut object, &json!({"metadata": metadata}));
    Ok(object)
}

fn key(object: &Value) -> (ObjectKind, String) {
    let [api_version, kind, name] =
        ["/apiVersion", "/kind", "/metadata/name"].map(|pointer| json::text(object, pointer).to_owned());
    (ObjectKind { api_version, kind }, name)
}

fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Whether all that is wanted, metadata apart, is stored. What the API server or others added does not count.
fn content_covers(stored: &Value, wanted: &Value) -> bool {
    content(wanted).all(|(field, value)| stored.get(field).is_some_and(|stored| covers(stored, value)))
}

fn covers(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| stored.get(name).is_some_and(|stored| covers(stored, value)))
        }
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| covers(stored, wanted))
        }
        (stored, wanted) => stored == wanted,
    }
}

/// The stored metadata, labels and annotations of others included, with the content that is wanted.
fn with_content(stored: &Value, wanted: Value) -> Value {
    let mut object = stored.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.extend(content(&wanted).map(|(field, value)| (field.clone(), value.clone())));
    }
    object
}

fn content(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten().filter(|(field, _)| *field != "metadata")
}
