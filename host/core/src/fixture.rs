//! A made-up kind, a job of it, pods, and a plugin that answers what a test wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::*;
use crate::gang;
use crate::label;
use crate::observed::{self, ContainerStatus, Observed as Seen, PodStatus, Terminated};
use crate::planner::{Planner, PlannerError};

pub(crate) fn kind() -> Kind {
    let replica_type = |name: &str| ReplicaType { name: name.into(), replicas: 1, single: false };
    Kind {
        group: "example.com".into(),
        version: "v1".into(),
        kind: "TestJob".into(),
        plural: "testjobs".into(),
        short_names: vec![],
        replica_specs: "testReplicaSpecs".into(),
        replica_types: vec![replica_type("Master"), replica_type("Worker")],
        container: "test".into(),
        port: Some(Port { name: "test-port".into(), number: 2222 }),
        restart_policy: RestartPolicy::OnFailure,
        replace_failed: true,
        spec_properties: "{}".into(),
        scales: None,
        columns: vec![],
    }
}

pub(crate) fn object(spec: Value) -> Value {
    let metadata = json!({"name": "train", "namespace": "ns", "uid": "job-uid", "resourceVersion": "1"});
    json!({"apiVersion": "example.com/v1", "kind": "TestJob", "metadata": metadata, "spec": spec})
}

pub(crate) fn template() -> Value {
    json!({"spec": {"containers": [{"name": "test", "image": "i"}]}})
}

/// One master, two workers.
pub(crate) fn job() -> Value {
    object(json!({"runPolicy": {}, "testReplicaSpecs": {
        "Master": {"replicas": 1, "template": template()},
        "Worker": {"replicas": 2, "template": template()},
    }}))
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn seen(second: i64, pods: Vec<observed::Pod>) -> Seen {
    Seen {
        now: at(second),
        pods: pods.into_iter().map(Arc::new).collect(),
        services: vec![],
        objects: vec![],
        gang: gang::Seen::default(),
        names: BTreeMap::new(),
    }
}

pub(crate) fn pod(replica_type: &str, index: u32, phase: &str, exit: Option<i32>) -> observed::Pod {
    let name = crate::name::replica("train", replica_type, Some(index));
    let labels = label::of_replica(&kind(), "train", replica_type, Some(index));
    let terminated = exit.map(|exit_code| Terminated { exit_code, ..Terminated::default() });
    let state = observed::ContainerState { terminated, waiting: None };
    let container = ContainerStatus { name: "test".into(), state, restart_count: 0 };
    observed::Pod {
        meta: observed::Meta { uid: format!("uid-{name}"), name, labels, created: Some(at(0)), deleting: false },
        node: None,
        status: PodStatus { phase: Some(phase.into()), container_statuses: vec![container], ..PodStatus::default() },
    }
}

/// Answers the same whatever it is asked.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    /// A merge patch; empty: of nothing.
    pub(crate) defaults: Json,
    pub(crate) issues: Vec<Issue>,
    pub(crate) plan: Option<JobPlan>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) restart: Option<Restart>,
    pub(crate) check_after: Option<u32>,
}

impl Planner for Scripted {
    fn defaults(&self, _: &Context) -> Result<Json, PlannerError> {
        Ok(if self.defaults.is_empty() { "{}".into() } else { self.defaults.clone() })
    }

    fn validate(&self, _: &Context, _: Option<&str>) -> Result<Vec<Issue>, PlannerError> {
        Ok(self.issues.clone())
    }

    fn plan(&self, ctx: &Context) -> Result<JobPlan, PlannerError> {
        let job: Value = serde_json::from_str(&ctx.job).unwrap();
        let types = job["spec"]["testReplicaSpecs"].as_object().unwrap();
        Ok(self.plan.clone().unwrap_or_else(|| plan(types.keys().map(|name| replica(name)).collect())))
    }

    fn assess(&self, _: &Context, _: &Observed) -> Result<Assessment, PlannerError> {
        let (verdicts, restart) = (self.verdicts.clone(), self.restart.clone());
        Ok(Assessment { verdicts, restart, events: vec![], check_after: self.check_after })
    }
}

pub(crate) fn plan(replicas: Vec<ReplicaPlan>) -> JobPlan {
    JobPlan { replicas, network: Network::ServicePerReplica, objects: vec![], ssh_keys: vec![] }
}

pub(crate) fn replica(name: &str) -> ReplicaPlan {
    ReplicaPlan {
        replica_type: name.into(),
        leads: Which::None,
        env: vec![],
        default_command: None,
        init_containers: vec![],
        volumes: vec![],
        mounts: vec![],
        service_account: None,
        after: vec![],
    }
}
