//! How much a plan may hold: counted before anything is completed, for a small plan can be completed to a large one.

use serde_json::Value;

use super::{Checked, Fault, PlanFault, at, each, within};
use crate::contract::{
    Containers, Content, Each, EachWhat, Endpoint, Form, Fragment, JobPlan, Network, Piece, Replica, ReplicaId,
    ReplicaPlan, Value as EnvValue,
};
use crate::fill::{Addresses, Filler};
use crate::json;

const MOST_OBJECTS: usize = 64;
const MOST_KEYS: usize = 16;
const MOST_ENV: usize = 512;
const MOST_WORDS: usize = 512;
const MOST_INIT_CONTAINERS: usize = 16;
const MOST_VOLUMES: usize = 64;
const MOST_MOUNTS: usize = 128;
const MOST_GATES: usize = 64;
const MOST_FILLS: usize = 256;
const MOST_PIECES: usize = 1024;

/// Of a text in JSON. Beyond 128 the parser stops by itself.
const DEEPEST: usize = 64;
/// Of a pod or of an extra object: etcd takes no more.
const LARGEST: usize = 1_572_864;
/// Of all extra objects together.
const LARGEST_TOGETHER: usize = 4 * LARGEST;
/// What is added to one pod: this, and room to name every replica. A pass holds all pods that it makes.
const SMALL: usize = 131_072;
const FOR_A_REPLICA: usize = 256;

/// Counts, and sizes when completed.
pub(super) fn check(plan: &JobPlan, filler: &Filler<'_>) -> Checked {
    most(plan.objects.len(), MOST_OBJECTS, "objects", "objects")?;
    most(plan.ssh_keys.len(), MOST_KEYS, "ssh_keys", "keys")?;
    let measure = Measure(filler);
    each(&plan.replicas, "replicas", |replica| measure.check_replica(replica))?;
    each(&plan.objects, "objects", |object| {
        check_fragment(&object.object, "object")?;
        most(measure.fragment(&object.object), LARGEST, "object", BYTES)
    })?;
    let sizes = plan.objects.iter().map(|object| measure.fragment(&object.object));
    most(sizes.fold(0, usize::saturating_add), LARGEST_TOGETHER, "objects", BYTES)
}

/// Parses a JSON object of a plan.
pub(super) fn parse(text: &str) -> Result<Value, PlanFault> {
    let fault = |why: String| at("", Fault::NotAnObject(why));
    let value: Value = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    most(depth(&value), DEEPEST, "", "levels")?;
    if value.is_object() { Ok(value) } else { Err(fault("it is another JSON value".into())) }
}

const BYTES: &str = "bytes";

fn most(found: usize, most: usize, path: &str, what: &'static str) -> Checked {
    if found <= most { Ok(()) } else { Err(at(path, Fault::TooMuch { found, most, what })) }
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + below.unwrap_or(0)
}

/// How long texts are when they are completed, or a little less.
struct Measure<'a>(&'a Filler<'a>);

impl Measure<'_> {
    fn check_replica(&self, plan: &ReplicaPlan) -> Checked {
        let words = plan.default_command.as_ref().map_or(0, |command| command.command.len() + command.args.len());
        for (found, limit, path, what) in [
            (plan.env.len(), MOST_ENV, "env", "variables"),
            (words, MOST_WORDS, "default_command", "words"),
            (plan.init_containers.len(), MOST_INIT_CONTAINERS, "init_containers", "init containers"),
            (plan.volumes.len(), MOST_VOLUMES, "volumes", "volumes"),
            (plan.mounts.len(), MOST_MOUNTS, "mounts", "mounts"),
            (plan.after.len(), MOST_GATES, "after", "gates"),
        ] {
            most(found, limit, path, what)?;
        }
        each(&plan.env, "env", |env| match &env.value {
            EnvValue::Text(pieces) => most(pieces.len(), MOST_PIECES, "value", "pieces"),
            EnvValue::Field(_) => Ok(()),
        })?;
        each(&plan.init_containers, "init_containers", |container| check_fragment(container, ""))?;
        let all = usize::try_from(self.0.job.total_replicas()).unwrap_or(usize::MAX);
        most(self.replica(plan), LARGEST.min(all.saturating_mul(FOR_A_REPLICA).saturating_add(SMALL)), "", BYTES)
    }

    /// What is added to one pod.
    fn replica(&self, plan: &ReplicaPlan) -> usize {
        let template = self.0.job.replica(&plan.replica_type).map(|spec| &spec.template);
        let all = template.map_or(0, |template| json::items(template, "/spec/containers").len());
        let times = |to: &Containers| match to {
            Containers::All => all,
            Containers::First | Containers::Named(_) => 1,
        };
        let env = plan.env.iter().map(|env| {
            let value = match &env.value {
                EnvValue::Text(pieces) => self.pieces(pieces),
                EnvValue::Field(path) => path.len(),
            };
            sum([env.name.len(), value]).saturating_mul(times(&env.to))
        });
        let mounts = plan.mounts.iter().map(|mount| mount.mount.len().saturating_mul(times(&mount.to)));
        let command = plan.default_command.iter().map(|command| {
            let words = command.command.iter().chain(&command.args).map(String::len);
            sum(words).saturating_mul(times(&command.to))
        });
        let fragments = plan.init_containers.iter().map(|container| self.fragment(container));
        sum(env.chain(mounts).chain(command).chain(fragments).chain(plan.volumes.iter().map(String::len)))
    }

    fn fragment(&self, fragment: &Fragment) -> usize {
        let fills = fragment.fills.iter().map(|fill| match &fill.content {
            Content::Text(pieces) => self.pieces(pieces),
            Content::Strings(each) => self.all(each),
        });
        sum(fills).saturating_add(fragment.json.len())
    }

    fn pieces(&self, pieces: &[Piece]) -> usize {
        sum(pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Host(Endpoint { replica: Replica::At(ReplicaId { replica_type, .. }), form }) => {
                self.host(replica_type, *form)
            }
            Piece::Host(Endpoint { replica: Replica::This, form }) => self.host("", *form),
            Piece::Rank(_) | Piece::Port(_) => 10, // digits
            Piece::Each(each) => self.all(each),
        }))
    }

    fn all(&self, each: &Each) -> usize {
        let replicas = self.0.job.replica(&each.replica_type).map_or(0, |spec| spec.replicas);
        let what = match each.what {
            EachWhat::Name => self.name(&each.replica_type),
            EachWhat::Host(form) | EachWhat::HostAndPort(form) => self.host(&each.replica_type, form),
        };
        let one = sum([each.before.len(), what, each.after.len(), each.separator.len()]);
        one.saturating_mul(usize::try_from(replicas).unwrap_or(usize::MAX))
    }

    fn host(&self, replica_type: &str, form: Form) -> usize {
        let Filler { job, network, addresses, .. } = *self.0;
        let shared = if network == Network::SharedService { job.name.len() } else { 0 };
        let domain = match (form, addresses) {
            (Form::Qualified, Addresses::Cluster { domain }) => {
                sum([job.namespace.len(), domain.as_ref().map_or(0, String::len)])
            }
            (Form::Short, _) | (Form::Qualified, Addresses::Local { .. }) => 0,
        };
        sum([self.name(replica_type), shared, domain])
    }

    fn name(&self, replica_type: &str) -> usize {
        sum([self.0.job.name.len(), replica_type.len(), "-0".len()])
    }
}

fn check_fragment(fragment: &Fragment, path: &str) -> Checked {
    most(fragment.fills.len(), MOST_FILLS, path, "fills")?;
    let checked = each(&fragment.fills, "fills", |fill| match &fill.content {
        Content::Text(pieces) => most(pieces.len(), MOST_PIECES, "", "pieces"),
        Content::Strings(_) => Ok(()),
    });
    if path.is_empty() { checked } else { within(path, checked) }
}

fn sum(sizes: impl IntoIterator<Item = usize>) -> usize {
    sizes.into_iter().fold(0, usize::saturating_add)
}
