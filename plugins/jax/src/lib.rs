//! JAX: every replica joins one process group, whose coordinator is worker 0.

use trainyard_plugin::plan::{env, host, literal, port, rank, replica};
use trainyard_plugin::verdict::{self, Enough};
use trainyard_plugin::{
    Assessment, Description, Framework, Issue, Job, JobPlan, Kind, Network, Observed, Port, Refusal, ReplicaPlan,
    RestartPolicy, WORKER, Which, issue,
};

/// The plugin.
pub struct Jax;

trainyard_plugin::export!(Jax);

impl Framework for Jax {
    fn describe() -> Description {
        Description {
            name: "jax".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "JAXJob".into(),
                plural: "jaxjobs".into(),
                replica_specs: "jaxReplicaSpecs".into(),
                replica_types: vec![WORKER.into()],
                container: "jax".into(),
                port: Some(Port { name: "jaxjob-port".into(), number: 6666 }),
                restart_policy: RestartPolicy::Never,
                scales: Some(WORKER.into()),
                ..Kind::default()
            }],
            objects: Vec::new(),
            settings_schema: "{}".into(),
        }
    }

    fn validate(job: &Job, _old: Option<&Job>) -> Vec<Issue> {
        let mut issues: Vec<_> = issue::replica_map(job).into_iter().collect();
        for replica_type in job.replica_types() {
            issues.extend(issue::known_type(job, replica_type));
            issues.extend(issue::containers(job, replica_type));
        }
        issues
    }

    fn plan(job: &Job) -> Result<JobPlan, Refusal> {
        let environment = vec![
            env("PYTHONUNBUFFERED", "1"),
            env("COORDINATOR_PORT", port(WORKER, 0)),
            env("COORDINATOR_ADDRESS", host(WORKER, 0)),
            env("NUM_PROCESSES", literal(job.total_replicas())),
            env("PROCESS_ID", rank(0)),
        ];
        let workers = ReplicaPlan { leads: Which::First, env: environment, ..replica(WORKER) };
        let network = Network::ServicePerReplica;
        Ok(JobPlan { replicas: vec![workers], network, objects: Vec::new(), ssh_keys: Vec::new() })
    }

    /// All workers together decide.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        verdict::of_master_or_workers(job, seen, Enough::All)
    }
}

#[cfg(test)]
mod tests;
