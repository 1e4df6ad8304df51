//! Elastic policies: the field `elasticPolicy` of several kinds.

use serde_json::{Value, json};

use crate::{Job, WORKER};

/// Whether the job has an elastic policy.
pub fn is_elastic(job: &Job) -> bool {
    job.field("/elasticPolicy").is_some()
}

/// The bounds of an elastic policy as part of a merge patch: each defaults to the other, both to the number of workers.
pub fn bounds(job: &Job) -> Value {
    let [min, max] = ["/elasticPolicy/minReplicas", "/elasticPolicy/maxReplicas"].map(|field| job.number(field));
    let workers = job.replicas(WORKER).into();
    json!({"minReplicas": min.or(max).unwrap_or(workers), "maxReplicas": max.or(min).unwrap_or(workers)})
}
