//! The pods of a large job once more, by a plain client: the rate at which this API server takes them.

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;

use super::place::Place;
use super::say;
use crate::Client;
use crate::control_plane::{ADMINS, Request};

const PLAIN: &str = "plain-client";
/// Requests under way at once: as many as our operator's, and more than the API server gains from.
const PARALLEL: usize = 64;

/// The same pods again, by a plain client, when the others are gone and no operator runs.
/// Answers its requests.
pub(super) fn create(place: &Place, namespace: &str) -> Result<Vec<Request>> {
    let api = Api::<Pod>::namespaced(place.admin.client.clone(), namespace);
    let pods = place.admin.runtime.block_on(api.list(&ListParams::default()))?.items;
    let pods: Vec<Pod> = pods.into_iter().map(as_sent).collect();
    place.clear(namespace)?;
    let namespace = place.cluster.namespace("plain")?;
    say(&format!("creating {} such pods by a plain client", pods.len()));
    let since = Timestamp::now();
    Client::new(&place.cluster.kubeconfig_of(PLAIN, ADMINS)?)?.create(
        &format!("/api/v1/namespaces/{namespace}/pods"),
        &pods,
        PARALLEL,
    )?;
    let requests = place.requests(PLAIN, since)?;
    place.clear(&namespace)?;
    Ok(requests)
}

/// A pod as the operator sent it: without what the API server, its admission and the scheduler have added.
fn as_sent(pod: Pod) -> Pod {
    let ObjectMeta { name, labels, annotations, .. } = pod.metadata;
    let spec = pod.spec.map(|spec| PodSpec {
        containers: spec.containers.into_iter().map(without_token).collect(),
        init_containers: spec.init_containers.map(|all| all.into_iter().map(without_token).collect()),
        volumes: spec.volumes.map(|all| all.into_iter().filter(|volume| !is_token(&volume.name)).collect()),
        node_name: None,
        service_account: None,
        service_account_name: None,
        tolerations: None,
        ..spec
    });
    Pod { metadata: ObjectMeta { name, labels, annotations, ..ObjectMeta::default() }, spec, status: None }
}

fn without_token(mut container: Container) -> Container {
    container.volume_mounts.iter_mut().for_each(|mounts| mounts.retain(|mount| !is_token(&mount.name)));
    container
}

/// Each pod gets the token of its service account, as a volume and a mount of such a name.
fn is_token(name: &str) -> bool {
    name.starts_with("kube-api-access-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_sent_again_as_it_was_sent() {
        let token = json!({"name": "kube-api-access-x2x4z", "mountPath": "/var/run/secrets"});
        let data = json!({"name": "data", "mountPath": "/data"});
        let stored = json!({
            "metadata": {"name": "a", "labels": {"b": "c"}, "uid": "1", "resourceVersion": "2", "ownerReferences": []},
            "spec": {
                "containers": [{"name": "d", "image": "e", "volumeMounts": [data, token]}],
                "volumes": [{"name": "kube-api-access-x2x4z"}, {"name": "data", "emptyDir": {}}],
                "nodeName": "fake-1",
                "serviceAccountName": "default",
                "priority": 0,
            },
            "status": {"phase": "Running"},
        });
        let sent = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "labels": {"b": "c"}},
            "spec": {
                "containers": [{"name": "d", "image": "e", "volumeMounts": [data]}],
                "volumes": [{"name": "data", "emptyDir": {}}],
                "priority": 0,
            },
        });
        assert_eq!(serde_json::to_value(as_sent(serde_json::from_value(stored).unwrap())).unwrap(), sent);
    }
}
