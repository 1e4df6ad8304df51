//! The pod group that a job should have, and what of the stored one is to be changed for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::GangScheduler;
use crate::contract::{Gate, JobPlan};
use crate::fill::Filler;
use crate::job::{Job, ReplicaSpec};
use crate::json;
use crate::quantity::Quantity;
use crate::render;
use crate::run_policy::SchedulingPolicy;

/// What of a pod group's `spec` is ours, whatever is there; the queue is only until there is one.
const OURS: [&str; 4] = ["minMember", "minResources", "priorityClassName", "scheduleTimeoutSeconds"];
const DEFAULT_QUEUE: &str = "default";

/// As it is made.
pub(super) fn wanted(
    scheduler: &GangScheduler,
    api_version: &str,
    filler: &Filler<'_>,
    plan: &JobPlan,
    priorities: &BTreeMap<String, i32>,
) -> Value {
    let job = filler.job;
    let policy = job.run_policy.scheduling_policy.clone().unwrap_or_default();
    let members = members(job, plan);
    let all = members.iter().map(|spec| spec.replicas).sum::<u32>();
    let min_member = policy.min_available.map_or_else(|| i64::from(all), i64::from);
    let resources = match &policy.min_resources {
        Some(given) => given.iter().map(|(name, amount)| (name.clone(), canonical(amount))).collect(),
        None => min_resources(members, u32::try_from(min_member).unwrap_or(0), priorities),
    };
    let mut spec = Map::new();
    // What v1 leaves out where it is empty.
    if min_member != 0 {
        spec.insert("minMember".to_owned(), min_member.into());
    }
    if *scheduler == GangScheduler::Volcano || !resources.is_empty() {
        spec.insert("minResources".to_owned(), resources.into());
    }
    spec.extend(own_fields(scheduler, policy));
    let annotations =
        job.annotations().filter(|annotations| annotations.as_object().is_some_and(|all| !all.is_empty()));
    let mut group = json!({
        "apiVersion": api_version,
        "kind": "PodGroup",
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "ownerReferences": [render::owner_reference(filler)],
        },
        "spec": spec,
    });
    if let Some(annotations) = annotations {
        json::merge(&mut group, &json!({"metadata": {"annotations": annotations}}));
    }
    group
}

/// What one scheduler knows and the other does not.
fn own_fields(scheduler: &GangScheduler, policy: SchedulingPolicy) -> Vec<(String, Value)> {
    let fields = match scheduler {
        GangScheduler::Off => vec![],
        GangScheduler::Volcano => {
            let queue = policy.queue.filter(|queue| !queue.is_empty()).unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
            let class = policy.priority_class.filter(|class| !class.is_empty());
            vec![("queue", Some(queue.into())), ("priorityClassName", class.map(Value::from))]
        }
        GangScheduler::SchedulerPlugins(_) => {
            vec![("scheduleTimeoutSeconds", policy.schedule_timeout_seconds.map(Value::from))]
        }
    };
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Those who can start together: not who waits until others run.
fn members<'a>(job: &'a Job, plan: &JobPlan) -> Vec<&'a ReplicaSpec> {
    let is_closed = |gate: &Gate| job.replica(&gate.replica_type).is_some_and(|spec| spec.replicas > 0);
    let comes_later = |spec: &ReplicaSpec| {
        plan.replicas.iter().any(|planned| planned.replica_type == spec.name && planned.after.iter().any(is_closed))
    };
    job.replicas.iter().filter(|spec| !comes_later(spec)).collect()
}

/// What the first `count` members ask for, those of the highest priority first, in the job's order among equals.
fn min_resources(mut members: Vec<&ReplicaSpec>, count: u32, priorities: &BTreeMap<String, i32>) -> Map<String, Value> {
    let priority = |spec: &&ReplicaSpec| priorities.get(json::text(&spec.template, "/spec/priorityClassName")).copied();
    members.sort_by_key(|spec| Reverse(priority(spec).unwrap_or(0)));
    let mut left = count;
    let mut sum = BTreeMap::<String, Quantity>::new();
    for spec in members {
        let counted = spec.replicas.min(left);
        left -= counted;
        let containers = json::items(&spec.template, "/spec/containers").iter().filter(|_| counted > 0);
        for (name, amount) in containers.flat_map(requests) {
            // The API server refuses a pod that asks for what is no amount.
            let Some(amount) = Quantity::of(amount).map(|amount| amount.times(counted)) else { continue };
            sum.entry(name.clone()).and_modify(|sum| *sum = sum.plus(amount)).or_insert(amount);
        }
    }
    sum.into_iter().map(|(name, amount)| (name, amount.to_string().into())).collect()
}

/// What a container requests; its limits, where it says nothing of requests. Requests that are empty say something.
fn requests(container: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let resources = |which| container.pointer(which).and_then(Value::as_object);
    resources("/resources/requests").or_else(|| resources("/resources/limits")).into_iter().flatten()
}

fn canonical(amount: &Value) -> Value {
    Quantity::of(amount).map_or_else(|| amount.clone(), |amount| amount.to_string().into())
}

/// The stored pod group with our fields as they should be; None where they are.
pub(super) fn updated(stored: &Value, wanted: &Value) -> Option<Value> {
    let wanted = wanted.get("spec")?;
    let mut updated = stored.clone();
    let spec = updated.as_object_mut()?.entry("spec").or_insert_with(|| json!({})).as_object_mut()?;
    let has_queue = spec.get("queue").is_some_and(|queue| queue != "");
    for field in OURS.into_iter().chain((!has_queue).then_some("queue")) {
        match wanted.get(field) {
            Some(value) => spec.insert(field.to_owned(), value.clone()),
            None => spec.remove(field),
        };
    }
    (updated != *stored).then_some(updated)
}
