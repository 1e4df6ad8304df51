//! The labels by which v1's users and tools find a job's pods and services.

use std::collections::BTreeMap;

use crate::contract::Kind;

/// What all of them begin with.
pub const PREFIX: &str = "training.kubeflow.org/";
/// `<kind in lower case>-controller`: which controller made the object.
pub const OPERATOR_NAME: &str = "training.kubeflow.org/operator-name";
/// The job.
pub const JOB_NAME: &str = "training.kubeflow.org/job-name";
/// The replica type, in lower case.
pub const REPLICA_TYPE: &str = "training.kubeflow.org/replica-type";
/// The index within the type, from 0. A type with a single replica has none.
pub const REPLICA_INDEX: &str = "training.kubeflow.org/replica-index";
/// `master` on the pods that lead.
pub const JOB_ROLE: &str = "training.kubeflow.org/job-role";

/// Labels by name, in order.
pub type Labels = BTreeMap<String, String>;

/// What all objects of a job carry.
pub fn of_job(kind: &Kind, job: &str) -> Labels {
    [(OPERATOR_NAME, operator_name(kind)), (JOB_NAME, job.replace('/', "-"))].map(owned).into()
}

/// What all pods of a replica type carry.
pub fn of_type(kind: &Kind, job: &str, replica_type: &str) -> Labels {
    let mut labels = of_job(kind, job);
    labels.extend([owned((REPLICA_TYPE, replica_type.to_lowercase()))]);
    labels
}

/// What the pod and the service of one replica carry; it selects exactly that pod.
pub fn of_replica(kind: &Kind, job: &str, replica_type: &str, index: Option<u32>) -> Labels {
    let mut labels = of_type(kind, job, replica_type);
    labels.extend(index.map(|index| owned((REPLICA_INDEX, index.to_string()))));
    labels
}

/// `a=1,b=2`, as `status.replicaStatuses[].selector` spells it.
pub fn selector(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

/// Controller, event source and label value: `pytorchjob-controller`.
pub fn operator_name(kind: &Kind) -> String {
    format!("{}-controller", kind.kind.to_lowercase())
}

fn owned((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}
