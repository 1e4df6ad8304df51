//! XGBoost and LightGBM: the master tracks the workers; everyone knows its rank, LightGBM's also every worker's address.

use trainyard_plugin::plan::{each, env, host, literal, port, rank, replica};
use trainyard_plugin::{
    Assessment, Description, EachWhat, Env, Form, Framework, Issue, Job, JobPlan, Kind, MASTER, Network, Observed,
    Port, Refusal, ReplicaPlan, ReplicaType, RestartPolicy, Verdict, WORKER, Which, issue, verdict,
};

/// The plugin.
pub struct XGBoost;

trainyard_plugin::export!(XGBoost);

impl Framework for XGBoost {
    fn describe() -> Description {
        Description {
            name: "xgboost".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kinds: vec![Kind {
                group: "kubeflow.org".into(),
                kind: "XGBoostJob".into(),
                plural: "xgboostjobs".into(),
                replica_specs: "xgbReplicaSpecs".into(),
                replica_types: [MASTER, WORKER].map(ReplicaType::from).into(),
                container: "xgboost".into(),
                port: Some(Port { name: "xgboostjob-port".into(), number: 9999 }),
                restart_policy: RestartPolicy::Never,
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
            issues.extend((replica_type == MASTER).then(|| issue::exactly_one(job, MASTER)).flatten());
        }
        issues.extend((!job.has(MASTER)).then(|| issue::required(job.path(MASTER), "must be present")));
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

    /// The master decides. Before a job succeeds or fails it is said to run, be it for a moment.
    fn assess(job: &Job, seen: &Observed) -> Assessment {
        let running = Verdict::Running(format!("XGBoostJob {} is running.", job.name));
        let master = seen.total(MASTER);
        if master.is_some_and(|master| master.succeeded == master.wanted) {
            let succeeded = format!("XGBoostJob {} is successfully completed.", job.name);
            return vec![running, Verdict::Succeeded(succeeded)].into();
        }
        let totals = [MASTER, WORKER].into_iter().filter_map(|each| seen.total(each));
        let mut failures: Vec<_> =
            totals.filter(|total| total.failed > 0).map(|total| verdict::of_failures(job, total)).collect();
        if let Some(last) = failures.iter().position(|failure| matches!(failure, Verdict::Failed(_))) {
            failures.truncate(last + 1);
        }
        let runs = !failures.is_empty() || master.is_some_and(|master| master.active > 0);
        runs.then_some(running).into_iter().chain(failures).collect::<Vec<_>>().into()
    }
}

fn environment(job: &Job, replica_type: &str) -> Vec<Env> {
    let world = job.total_replicas();
    let first = if replica_type == MASTER { 0 } else { job.replicas(MASTER) };
    let mut table = vec![
        env("MASTER_PORT", port(MASTER, 0)),
        env("MASTER_ADDR", host(MASTER, 0)),
        env("WORLD_SIZE", literal(world)),
        env("RANK", rank(first)),
        env("PYTHONUNBUFFERED", "1"),
    ];
    if world > 1 {
        table.extend([
            env("WORKER_PORT", port(WORKER, 0)),
            env("WORKER_ADDRS", each(WORKER, EachWhat::Host(Form::Short))),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;
