//! PaddlePaddle: replicas meet at the first of them, worker 0 or, in parameter-server mode, master 0, which ranks them.

use trainyard_plugin::elastic::{self, is_elastic};
use trainyard_plugin::plan::{env, field, host, literal, port, replica};
use trainyard_plugin::serde_json::{Value, json};
use trainyard_plugin::verdict::{self, Enough};
use trainyard_plugin::{
    Assessment, Description, Env, Framework, Issue, Job, JobPlan, Kind, MASTER, Network, Observed, Port, Refusal,
    ReplicaPlan, ReplicaType, RestartPolicy, WORKER, Which, issue,
};

/// The plugin.
pub struct Paddle;

trainyard_plugin::export!(Paddle);

impl Framework for Paddle {
    fn describe() -> Description {
        Description {
            name: "paddle".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "PaddleJob".into(),
                plural: "paddlejobs".into(),
                replica_specs: "paddleReplicaSpecs".into(),
                replica_types: [MASTER, WORKER].map(ReplicaType::from).into(),
                container: "paddle".into(),
                port: Some(Port { name: "master".into(), number: 36543 }),
                restart_policy: RestartPolicy::OnFailure,
                spec_properties: include_str!("spec-properties.json").into(),
                scales: Some(WORKER.into()),
                ..Kind::default()
            }],
            objects: Vec::new(),
            settings_schema: "{}".into(),
        }
    }

    /// As in v1 an elastic policy gets its bounds, and nothing looks at it.
    fn default(job: &Job) -> Result<Value, Refusal> {
        Ok(if is_elastic(job) { json!({"spec": {"elasticPolicy": elastic::bounds(job)}}) } else { json!({}) })
    }

    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        let mut issues = issue::elastic_bounds(job);
        issues.extend(issue::replica_map(job));
        for replica_type in job.replica_types() {
            issues.extend(issue::known_type(job, replica_type));
            issues.extend(issue::containers_called(job, replica_type, r#""paddle""#));
        }
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let replicas = job.replica_types().into_iter().map(|replica_type| ReplicaPlan {
            leads: if replica_type == MASTER { Which::All } else { Which::None },
            env: environment(job, replica_type),
            ..replica(replica_type)
        });
        let (replicas, network) = (replicas.collect(), Network::ServicePerReplica);
        Ok(JobPlan { replicas, network, objects: Vec::new(), ssh_keys: Vec::new() })
    }

    /// All masters together decide; without one all workers.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        verdict::of_master_or_workers(job, seen, Enough::All)
    }
}

fn environment(job: &Job, replica_type: &str) -> Vec<Env> {
    let mut table = vec![
        env("PYTHONUNBUFFERED", "1"),
        env("PADDLE_JOB_ID", job.name.as_str()),
        env("PADDLE_NNODES", literal(job.total_replicas())),
    ];
    let meeting = if job.replicas(MASTER) > 0 { MASTER } else { WORKER };
    let elsewhere = env("PADDLE_MASTER", [host(meeting, 0), literal(":"), port(meeting, 0)]);
    if replica_type == meeting {
        // Who is the meeting place has to listen there: on an address of its own, not on that of its service.
        let here = env("PADDLE_MASTER", [literal("$(POD_IP_DUMMY):"), port(meeting, 0)]);
        table.extend([
            Env { replicas: Which::First, ..env("POD_IP_DUMMY", field("status.podIP")) },
            Env { replicas: Which::First, ..here },
            Env { replicas: Which::Rest, ..elsewhere },
        ]);
    } else {
        table.push(elsewhere);
    }
    if job.has(MASTER) {
        table.push(env(if replica_type == MASTER { "PADDLE_SERVER_NUM" } else { "PADDLE_TRAINER_NUM" }, "1"));
    }
    table
}

#[cfg(test)]
mod tests;
