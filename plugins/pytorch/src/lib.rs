//! PyTorch: every replica joins one process group whose rank 0 is the master; elastic ones meet at a rendezvous instead.

use trainyard_plugin::elastic::{self, is_elastic};
use trainyard_plugin::plan::{env, host, literal, object, port, rank, replica};
use trainyard_plugin::serde_json::{Map, Value, json};
use trainyard_plugin::verdict::{self, Enough};
use trainyard_plugin::{
    Assessment, Description, Env, Fragment, Framework, Issue, Job, JobPlan, Kind, MASTER, Network, Object, ObjectKind,
    Observed, Port, Refusal, ReplicaPlan, ReplicaType, RestartPolicy, WORKER, Which, WhileSuspended, issue, template,
};

/// The plugin.
pub struct PyTorch;

trainyard_plugin::export!(PyTorch);

impl Framework for PyTorch {
    fn describe() -> Description {
        Description {
            name: "pytorch".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "PyTorchJob".into(),
                plural: "pytorchjobs".into(),
                replica_specs: "pytorchReplicaSpecs".into(),
                replica_types: [MASTER, WORKER].map(ReplicaType::from).into(),
                container: "pytorch".into(),
                port: Some(Port { name: "pytorchjob-port".into(), number: 23456 }),
                restart_policy: RestartPolicy::OnFailure,
                spec_properties: include_str!("spec-properties.json").into(),
                scales: Some(WORKER.into()),
                ..Kind::default()
            }],
            objects: vec![ObjectKind { api_version: "autoscaling/v2".into(), kind: "HorizontalPodAutoscaler".into() }],
            settings_schema: include_str!("settings-schema.json").into(),
        }
    }

    fn default(job: &Job) -> Result<Value, Refusal> {
        let mut spec = Map::new();
        if ["/nprocPerNode", "/elasticPolicy/nProcPerNode"].iter().all(|field| job.field(field).is_none()) {
            spec.insert("nprocPerNode".into(), "auto".into());
        }
        if is_elastic(job) {
            spec.insert("elasticPolicy".into(), elastic::bounds(job));
        }
        Ok(json!({"spec": spec}))
    }

    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        let mut issues = elastic_issues(job);
        issues.extend(issue::replica_map(job));
        for replica_type in job.replica_types() {
            issues.extend(issue::known_type(job, replica_type));
            issues.extend(issue::containers(job, replica_type));
            issues.extend(match replica_type {
                MASTER => issue::exactly_one(job, MASTER),
                other => issue::at_least_one(job, other),
            });
        }
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let mut replicas = Vec::new();
        for replica_type in job.replica_types() {
            let waits = replica_type == WORKER && job.has(MASTER);
            replicas.push(ReplicaPlan {
                leads: match replica_type {
                    MASTER => Which::All,
                    _ if job.has(MASTER) => Which::None,
                    _ => Which::First,
                },
                env: environment(job, replica_type),
                init_containers: if waits { wait_for_master(job)? } else { Vec::new() },
                ..replica(replica_type)
            });
        }
        let objects = autoscaler(job).into_iter().collect();
        Ok(JobPlan { replicas, network: Network::ServicePerReplica, objects, ssh_keys: Vec::new() })
    }

    /// The master decides; without one all workers together, or, when they are elastic, the first that succeeds.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        verdict::of_master_or_workers(job, seen, if is_elastic(job) { Enough::One } else { Enough::All })
    }
}

fn elastic_issues(job: &Job) -> Vec<Issue> {
    let mut issues = Vec::new();
    if is_elastic(job) && !job.has(WORKER) {
        issues.push(issue::required(job.path(WORKER), "must be configured if elastic policy is used"));
    }
    if job.field("/elasticPolicy/nProcPerNode").is_some() {
        let path = "spec.elasticPolicy.nProcPerNode";
        issues.push(issue::warning(path, format!("{path} is deprecated, use spec.nprocPerNode instead")));
        let both = job.field("/nprocPerNode").is_some();
        issues.extend(both.then(|| issue::forbidden(path, "must not be used with spec.nprocPerNode")));
    }
    issues.extend(issue::within(job, "/elasticPolicy/nProcPerNode", 1..=i32::MAX.into()));
    issues.extend(issue::within(job, "/elasticPolicy/rdzvPort", 1..=u16::MAX.into()));
    issues.extend(issue::elastic_bounds(job));
    issues
}

fn environment(job: &Job, replica_type: &str) -> Vec<Env> {
    let replicas = job.total_replicas();
    let processes = job.text("/nprocPerNode");
    // Ranks are those of pods, the world that of processes: torchrun computes both anew.
    let world = i64::from(replicas).saturating_mul(processes.and_then(|number| number.parse().ok()).unwrap_or(1));
    let first = u32::from(replica_type == WORKER);
    let mut table = vec![env("PYTHONUNBUFFERED", "1")];
    if job.has(MASTER) {
        table.extend([
            env("MASTER_PORT", port(MASTER, 0)),
            env("PET_MASTER_PORT", port(MASTER, 0)),
            env("MASTER_ADDR", host(MASTER, 0)),
            env("PET_MASTER_ADDR", host(MASTER, 0)),
            env("WORLD_SIZE", literal(world)),
            env("RANK", rank(first)),
            env("PET_NODE_RANK", rank(first)),
        ]);
    }
    table.extend(processes.map(|processes| env("PET_NPROC_PER_NODE", processes)));
    if is_elastic(job) {
        table.extend(rendezvous(job));
    } else {
        table.push(env("PET_NNODES", literal(replicas)));
    }
    table
}

fn rendezvous(job: &Job) -> Vec<Env> {
    let text = |field| job.text(&format!("/elasticPolicy/{field}"));
    let number = |field| job.number(&format!("/elasticPolicy/{field}"));
    let workers = i64::from(job.replicas(WORKER));
    let host = text("rdzvHost").map_or_else(|| host(WORKER, 0), literal);
    let port = number("rdzvPort").map_or_else(|| port(WORKER, 0), literal);
    let [min, max] = ["minReplicas", "maxReplicas"].map(|field| number(field).unwrap_or(workers));
    let options = job.list("/elasticPolicy/rdzvConf").iter();
    let options =
        options.map(|option| ["key", "value"].map(|part| option[part].as_str().unwrap_or_default()).join("="));
    let options: Vec<_> = options.collect();
    let table = [
        Some(env("PET_RDZV_ENDPOINT", [host, literal(":"), port])),
        Some(env("PET_RDZV_BACKEND", text("rdzvBackend").unwrap_or("c10d"))),
        Some(env("PET_NNODES", format!("{min}:{max}"))),
        number("maxRestarts").map(|restarts| env("PET_MAX_RESTARTS", literal(restarts))),
        number("nProcPerNode").map(|processes| env("PET_NPROC_PER_NODE", literal(processes))),
        text("rdzvId").map(|id| env("PET_RDZV_ID", id)),
        (!options.is_empty()).then(|| env("PET_RDZV_CONF", options.join(","))),
        job.flag("/elasticPolicy/standalone").then(|| env("PET_STANDALONE", "")),
    ];
    table.into_iter().flatten().collect()
}

/// A worker that comes up before the master has an address would fail at once.
fn wait_for_master(job: &Job) -> Result<Vec<Fragment>, Refusal> {
    let setting = |name: &str, default: &str| literal(job.setting(name).unwrap_or_else(|| default.to_owned()));
    let template = job.setting("init-container-template-file").filter(|template| !template.is_empty());
    let values = [
        ("MasterAddr", host(MASTER, 0)),
        ("InitContainerImage", setting("init-container-image", "alpine:3.10")),
        ("MaxTries", setting("init-container-max-tries", "100")),
    ];
    template::fragments(template.as_deref().unwrap_or(include_str!("init-container.yaml")), &values)
        .map_err(|reason| Refusal::Unsupported(format!("setting init-container-template-file: {reason}")))
}

fn autoscaler(job: &Job) -> Option<Object> {
    let metrics = job.field("/elasticPolicy/metrics")?;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": job.name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": job.name},
            "minReplicas": job.field("/elasticPolicy/minReplicas"),
            "maxReplicas": job.field("/elasticPolicy/maxReplicas"),
            "metrics": metrics,
        },
    });
    Some(Object { while_suspended: WhileSuspended::Delete, ..object(&autoscaler) })
}

#[cfg(test)]
mod tests;
