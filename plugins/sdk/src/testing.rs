//! For a plugin's own tests: jobs as the host hands them over, and answers as the host would complete them.

use serde_json::{Map, Value, json};

use crate::types::{self, Content, Problem, ReplicaId, Severity};
use crate::{
    Containers, Context, EachWhat, Existing, Form, Fragment, Framework, Issue, Job, JobPlan, Observed, Phase, Piece,
    Pod, Replica, Total, Which,
};

/// A job as the user wrote it, which is how `validate` sees it.
pub fn submitted<F: Framework>(object: &Value, settings: &Value) -> Job {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    Job::parse(&Context { name, namespace, job: object.to_string(), settings: settings.to_string() }, &F::describe())
}

/// A job with the plugin's defaults, which is how `plan` and `assess` see it.
#[expect(clippy::panic, reason = "a test that gets no job is to stop")]
pub fn defaulted<F: Framework>(object: &Value, settings: &Value) -> Job {
    let patch = F::default(&submitted::<F>(object, settings));
    let mut object = object.clone();
    merge(&mut object, &patch.unwrap_or_else(|refusal| panic!("the plugin has no defaults for this job: {refusal:?}")));
    submitted::<F>(&object, settings)
}

/// Errors as the API server tells them, warnings as they are.
pub fn told(issues: &[Issue]) -> Vec<String> {
    let told = issues.iter().map(|Issue { severity, path, problem, detail }| match (severity, problem) {
        (Severity::Warning, _) => format!("warning: {detail}"),
        (Severity::Error, Problem::Required) => format!("{path}: Required value: {detail}"),
        (Severity::Error, Problem::Forbidden) => format!("{path}: Forbidden: {detail}"),
        (Severity::Error, Problem::Invalid(value)) => format!("{path}: Invalid value: {value}: {detail}"),
        (Severity::Error, Problem::Duplicate(value)) => format!("{path}: Duplicate value: {value}"),
        (Severity::Error, Problem::NotSupported((value, supported))) => {
            let supported = format!("{supported:?}");
            let supported = supported.trim_matches(['[', ']']);
            format!("{path}: Unsupported value: {value}: supported values: {supported}")
        }
    });
    told.collect()
}

/// What a plan adds to the environment of the container that trains, as `NAME=value` lines.
pub fn env(job: &Job, plan: &JobPlan, replica_type: &str, index: u32) -> Vec<String> {
    let this = ReplicaId { replica_type: replica_type.to_owned(), index };
    let containers = job.containers(replica_type);
    let position = containers.iter().position(|each| each["name"] == job.kind().container.as_str()).unwrap_or_default();
    let container = containers.get(position).unwrap_or(&Value::Null);
    let of_user: Vec<_> =
        container["env"].as_array().into_iter().flatten().filter_map(|env| env["name"].as_str()).collect();
    let plans = plan.replicas.iter().filter(|each| each.replica_type == replica_type);
    let reaches = |env: &&types::Env| {
        let container = match &env.to {
            Containers::All => true,
            Containers::First => position == 0,
            Containers::Named(name) => container["name"] == name.as_str(),
        };
        let kept = env.existing == Existing::Keep && of_user.contains(&env.name.as_str());
        container && !kept && includes(env.replicas, index)
    };
    let lines = plans.flat_map(|each| &each.env).filter(reaches).map(|env| match &env.value {
        types::Value::Text(pieces) => format!("{}={}", env.name, text(job, pieces, Some(&this))),
        types::Value::Field(field) => format!("{}<-{field}", env.name),
    });
    lines.collect()
}

/// A fragment with its holes filled.
pub fn filled(job: &Job, fragment: &Fragment) -> Value {
    let mut value = serde_json::from_str(&fragment.json).unwrap_or_default();
    for fill in &fragment.fills {
        let content = match &fill.content {
            Content::Text(pieces) => text(job, pieces, None).into(),
            Content::Strings(each) => listed(job, each).into(),
        };
        let (parent, last) = fill.at.rsplit_once('/').unwrap_or_default();
        match Value::pointer_mut(&mut value, parent) {
            Some(Value::Object(fields)) => drop(fields.insert(last.to_owned(), content)),
            Some(Value::Array(items)) => {
                items.get_mut(last.parse().unwrap_or(usize::MAX)).into_iter().for_each(|hole| *hole = content.clone());
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
        }
    }
    value
}

/// A type whose pods are all pending, for `Total { active: 2, ..total("Worker", 2) }`.
pub fn total(replica_type: &str, wanted: u32) -> Total {
    let replica_type = replica_type.to_owned();
    Total { replica_type, wanted, active: 0, succeeded: 0, failed: 0, restarting: 0, evicted: 0 }
}

/// A replica's row, for `Pod { exit_code: Some(0), ..pod("Worker", 0, Phase::Succeeded) }`.
pub fn pod(replica_type: &str, index: u32, phase: Phase) -> Pod {
    let (reason, message) = (String::new(), String::new());
    let replica_type = replica_type.to_owned();
    let (ready, exit_code, restarts, node, disruption) = (phase == Phase::Running, None, 0, None, None);
    Pod { replica_type, index, phase, ready, exit_code, reason, message, restarts, node, disruption }
}

/// A job's first look at its pods.
pub fn observed(totals: impl IntoIterator<Item = Total>) -> Observed {
    Observed { totals: totals.into_iter().collect(), pods: Vec::new(), attempt: 0 }
}

const fn includes(which: Which, index: u32) -> bool {
    match which {
        Which::None => false,
        Which::All => true,
        Which::First => index == 0,
        Which::Rest => index > 0,
    }
}

fn text(job: &Job, pieces: &[Piece], this: Option<&ReplicaId>) -> String {
    let named = |replica: &Replica| match replica {
        Replica::This => this.cloned().unwrap_or_else(|| ReplicaId { replica_type: "?".to_owned(), index: 0 }),
        Replica::At(id) => id.clone(),
    };
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Rank(offset) => this.map_or_else(|| "?".to_owned(), |this| (offset + this.index).to_string()),
        Piece::Host(endpoint) => host(job, &named(&endpoint.replica), endpoint.form),
        Piece::Port(replica) => port(job, &named(replica).replica_type),
        Piece::Each(each) => listed(job, each).join(&each.separator),
    });
    pieces.collect()
}

fn host(job: &Job, ReplicaId { replica_type, index }: &ReplicaId, form: Form) -> String {
    let is_single = job.kind().replica_types.iter().any(|known| known.name == *replica_type && known.single);
    let index = if is_single { String::new() } else { format!("-{index}") };
    let name = format!("{}-{}{index}", job.name, replica_type.to_lowercase());
    match form {
        Form::Short => name,
        Form::Qualified => format!("{name}.{}.svc", job.namespace),
    }
}

fn port(job: &Job, replica_type: &str) -> String {
    let Some(default) = &job.kind().port else { return "?".to_owned() };
    let container = job.containers(replica_type).iter().find(|each| each["name"] == job.kind().container.as_str());
    let ports = container.and_then(|each| each["ports"].as_array());
    let port = ports.into_iter().flatten().find(|port| port["name"] == default.name.as_str());
    port.map_or_else(|| default.number.to_string(), |port| port["containerPort"].to_string())
}

fn listed(job: &Job, each: &types::Each) -> Vec<String> {
    let one = |index| {
        let id = ReplicaId { replica_type: each.replica_type.clone(), index };
        let what = match each.what {
            EachWhat::Name => host(job, &id, Form::Short),
            EachWhat::Host(form) => host(job, &id, form),
            EachWhat::HostAndPort(form) => format!("{}:{}", host(job, &id, form), port(job, &id.replica_type)),
        };
        format!("{}{what}{}", each.before, each.after)
    };
    (0..job.replicas(&each.replica_type)).map(one).collect()
}

/// JSON merge patch, RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let mut nothing = Map::new();
    let fields = target.as_object_mut().unwrap_or(&mut nothing);
    for (name, value) in patch {
        merge(fields.entry(name.clone()).or_insert(Value::Null), value);
    }
    fields.retain(|name, _| patch.get(name) != Some(&Value::Null));
}
