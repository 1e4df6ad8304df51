//! A plan in one line: pods by replica type, GPUs, the gang.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Preview;
use super::preview::replica_type;
use crate::job_file::UserJob;

/// `PyTorchJob default/mnist: 3 pods (1 master, 2 worker), 3 GPUs, a gang of 3`
pub(super) fn of(job: &UserJob, preview: &Preview) -> String {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    for pod in preview.pods() {
        *types.entry(replica_type(pod)).or_default() += 1;
    }
    let pods = preview.pods().count();
    let gpus: u64 = preview.pods().map(gpus).sum();
    let gang = job.object.pointer("/spec/runPolicy/schedulingPolicy/minAvailable").and_then(Value::as_u64);
    let gang = gang.unwrap_or(preview.at_once as u64);
    let types: Vec<_> = types.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut parts = vec![format!("{} ({})", counted(pods as u64, "pod"), types.join(", "))];
    parts.push(counted(gpus, "GPU"));
    parts.push(format!("a gang of {gang}"));
    match pods.saturating_sub(preview.at_once) {
        0 => {}
        1 => parts.push("1 pod waits for others".to_owned()),
        more => parts.push(format!("{more} pods wait for others")),
    }
    format!("{job}: {}", parts.join(", "))
}

/// The sum of its limits on resources that are called a GPU: `nvidia.com/gpu`, `amd.com/gpu`.
fn gpus(pod: &Value) -> u64 {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let limits = containers.filter_map(|container| container.pointer("/resources/limits")?.as_object()).flatten();
    let count = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0);
    limits.filter(|(name, _)| name.contains("gpu")).map(|(_, value)| count(value)).sum()
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gpus_are_summed_over_containers_and_vendors() {
        let container = |limits: Value| json!({"resources": {"limits": limits}});
        let containers = [
            container(json!({"nvidia.com/gpu": 2, "cpu": 8, "memory": "1Gi"})),
            container(json!({"amd.com/gpu": "3"})),
            json!({"name": "no limits"}),
        ];
        assert_eq!(gpus(&json!({"spec": {"containers": containers}})), 5);
        assert_eq!((counted(1, "GPU"), counted(0, "GPU")), ("1 GPU".to_owned(), "0 GPUs".to_owned()));
    }
}
