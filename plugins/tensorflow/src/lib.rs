//! TensorFlow: every replica gets `TF_CONFIG`, which has the endpoints of all of them and its own place among them.

use trainyard_plugin::plan::{env, literal, rank, replica};
use trainyard_plugin::serde_json::Value as Json;
use trainyard_plugin::{
    Assessment, Containers, Description, Each, EachWhat, Endpoint, Env, Form, Framework, Issue, Job, JobPlan, Kind,
    MASTER, Network, Observed, Phase, Piece, Port, Refusal, Replica, ReplicaPlan, ReplicaType, RestartPolicy, Total,
    Verdict, WORKER, Which, issue, types, verdict,
};

const CHIEF: &str = "Chief";
const EVALUATOR: &str = "Evaluator";
const PS: &str = "PS";
const CONTAINER: &str = "tensorflow";

/// The plugin.
pub struct TensorFlow;

trainyard_plugin::export!(TensorFlow);

impl Framework for TensorFlow {
    fn describe() -> Description {
        Description {
            name: "tensorflow".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "TFJob".into(),
                plural: "tfjobs".into(),
                replica_specs: "tfReplicaSpecs".into(),
                replica_types: [CHIEF, EVALUATOR, MASTER, PS, WORKER].map(ReplicaType::from).into(),
                container: CONTAINER.into(),
                port: Some(Port { name: "tfjob-port".into(), number: 2222 }),
                restart_policy: RestartPolicy::Never,
                spec_properties: include_str!("spec-properties.json").into(),
                ..Kind::default()
            }],
            objects: Vec::new(),
            settings_schema: "{}".into(),
        }
    }

    /// Replica types may have any name.
    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        let mut issues: Vec<_> = issue::replica_map(job).into_iter().collect();
        issues.extend(job.replica_types().into_iter().flat_map(|each| issue::containers(job, each)));
        let both = job.has(CHIEF) && job.has(MASTER);
        let one = || issue::forbidden("spec.tfReplicaSpecs", "must not have more than 1 Chief or Master role");
        issues.extend(both.then(one));
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let replicas = job.replica_types().into_iter().map(|replica_type| ReplicaPlan {
            leads: match replica_type {
                CHIEF | MASTER => Which::All,
                WORKER if !is_led(job) => Which::First,
                _ => Which::None,
            },
            env: config(job, replica_type).into_iter().collect(),
            ..replica(replica_type)
        });
        let (replicas, network) = (replicas.collect(), Network::ServicePerReplica);
        Ok(JobPlan { replicas, network, objects: Vec::new(), ssh_keys: Vec::new() })
    }

    /// The chief decides, else worker 0 or all workers. Nothing comes after the first end, so that a job has one.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        let of_job = format!("TFJob {}/{}", job.namespace, job.name);
        let mut verdicts = Vec::new();
        for total in job.kind().replica_types.iter().filter_map(|known| seen.total(&known.name)) {
            let is_worker = total.replica_type == WORKER;
            let decides = if is_led(job) { [CHIEF, MASTER].contains(&&*total.replica_type) } else { is_worker };
            if decides && (total.succeeded == total.wanted || (is_worker && worker_0_is_enough(job, seen))) {
                verdicts.push(Verdict::Succeeded(format!("{of_job} successfully completed.")));
                break;
            }
            if decides && total.active > 0 {
                verdicts.push(Verdict::Running(format!("{of_job} is running.")));
            }
            if total.restarting > 0 {
                verdicts.clear(); // a job that restarts is not said to run
            } else if total.failed > 0 && !(is_worker && is_dynamic(job)) {
                let Total { failed, replica_type, .. } = total;
                let why = format!("has failed because {failed} {replica_type} replica(s) failed.");
                verdicts.push(verdict::failed(format!("{of_job} {why}")));
                break;
            }
        }
        verdicts.into()
    }
}

fn is_led(job: &Job) -> bool {
    job.has(CHIEF) || job.has(MASTER)
}

/// Workers come and go: each knows the parameter servers and itself.
fn is_dynamic(job: &Job) -> bool {
    job.flag("/enableDynamicWorker")
}

fn worker_0_is_enough(job: &Job, seen: &Observed) -> bool {
    let worker_0 = seen.pods.iter().find(|pod| pod.replica_type == WORKER && pod.index == 0);
    let is_done = worker_0.is_some_and(|pod| pod.phase == Phase::Succeeded && pod.exit_code == Some(0));
    is_done && job.text("/successPolicy") != Some("AllWorkers")
}

/// `TF_CONFIG`; not for a replica that is alone.
fn config(job: &Job, replica_type: &str) -> Option<Env> {
    let replicas = job.kind().replica_types.iter().map(|known| job.replicas(&known.name));
    if replicas.fold(0, u32::saturating_add) == 1 {
        return None;
    }
    let (cluster, end) = if is_dynamic(job) {
        (sparse_cluster(job, replica_type), "}}")
    } else {
        (cluster(job), r#"},"environment":"cloud"}"#)
    };
    let task = literal(format!(r#"}},"task":{{"type":{},"index":"#, quoted(replica_type)));
    let pieces = [vec![literal(r#"{"cluster":{"#)], cluster, vec![task, rank(0), literal(end)]];
    let config = env("TF_CONFIG", types::Value::Text(pieces.concat()));
    Some(Env { to: Containers::Named(CONTAINER.into()), ..config })
}

/// `"ps":["…"],"worker":["…","…"]`
fn cluster(job: &Job) -> Vec<Piece> {
    let mut types = job.replica_types();
    types.sort_by_key(|each| each.to_lowercase());
    let mut pieces = Vec::new();
    for (index, replica_type) in types.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        pieces.push(literal(format!("{comma}{}:", quoted(replica_type))));
        pieces.extend(endpoints(replica_type));
    }
    pieces
}

/// `"worker":{"1":"…"},"ps":["…"]` for worker 1; a parameter server knows itself only, any other replica nobody.
fn sparse_cluster(job: &Job, replica_type: &str) -> Vec<Piece> {
    let host = Piece::Host(Endpoint { replica: Replica::This, form: Form::Qualified });
    let this = [host, literal(":"), Piece::Port(Replica::This)];
    match replica_type {
        WORKER => {
            let servers = if job.has(PS) { endpoints(PS).into() } else { vec![literal("null")] };
            let index = [literal(r#""worker":{""#), rank(0), literal(r#"":""#)];
            [&index[..], &this, &[literal(r#""},"ps":"#)], &servers].concat()
        }
        PS => [&[literal(r#""worker":{},"ps":[""#)], &this[..], &[literal(r#""]"#)]].concat(),
        _ => vec![literal(r#""worker":{},"ps":[]"#)],
    }
}

/// `["train-ps-0.ml.svc:2222","train-ps-1.ml.svc:2222"]`
fn endpoints(replica_type: &str) -> [Piece; 3] {
    let each = Each {
        replica_type: replica_type.into(),
        running_only: false,
        before: "\"".into(),
        what: EachWhat::HostAndPort(Form::Qualified),
        after: "\"".into(),
        separator: ",".into(),
    };
    [literal("["), Piece::Each(each), literal("]")]
}

/// A replica type as TensorFlow spells it.
fn quoted(replica_type: &str) -> Json {
    replica_type.to_lowercase().into()
}

#[cfg(test)]
mod tests;
