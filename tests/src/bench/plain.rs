//! The pods of a large job once more, by a plain client: the rate at which this API server takes them.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource as _};

use super::place::{OPERATOR, Place};
use super::say;
use crate::Client;
use crate::control_plane::Request;

/// Requests under way at once: as many as our operator's, and more than the API server gains from.
const PARALLEL: usize = 64;

/// The same pods again, by a plain client with the operator's rights, when the others are gone and no operator runs. A
/// `ConfigMap` owns them, for the job is gone: the garbage collector keeps a list of who owns whom.
/// Answers the client's requests.
pub(super) fn create(place: &Place, namespace: &str) -> Result<Vec<Request>> {
    let api = Api::<Pod>::namespaced(place.admin.client.clone(), namespace);
    let pods = place.admin.runtime.block_on(api.list(&ListParams::default()))?.items;
    place.clear(namespace)?;
    let namespace = place.cluster.namespace("plain")?;
    let maps = Api::<ConfigMap>::namespaced(place.admin.client.clone(), &namespace);
    let owner = ConfigMap {
        metadata: ObjectMeta { name: Some("owner".into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let owner = place.admin.runtime.block_on(maps.create(&PostParams::default(), &owner))?;
    let owner = owner.controller_owner_ref(&()).context("the API server gave it no name")?;
    let pods: Vec<Pod> = pods.into_iter().map(|pod| as_sent(pod, &owner)).collect();
    say(&format!("creating {} such pods by a plain client", pods.len()));
    let since = Timestamp::now();
    Client::new(&place.kubeconfig)?.create(&format!("/api/v1/namespaces/{namespace}/pods"), &pods, PARALLEL)?;
    let requests = place.requests(OPERATOR, since)?;
    place.clear(&namespace)?;
    Ok(requests)
}

/// A pod as the operator sent it: without what the API server, its admission and the scheduler have added.
fn as_sent(pod: Pod, owner: &OwnerReference) -> Pod {
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
    let owner_references = Some(vec![owner.clone()]);
    let metadata = ObjectMeta { name, labels, annotations, owner_references, ..ObjectMeta::default() };
    Pod { metadata, spec, status: None }
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
            "metadata": {"name": "a", "labels": {"b": "c"}, "uid": "1", "resourceVersion": "2"},
            "spec": {
                "containers": [{"name": "d", "image": "e", "volumeMounts": [data, token]}],
                "volumes": [{"name": "kube-api-access-x2x4z"}, {"name": "data", "emptyDir": {}}],
                "nodeName": "fake-1",
                "serviceAccountName": "default",
                "priority": 0,
            },
            "status": {"phase": "Running"},
        });
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "3"});
        let sent = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "labels": {"b": "c"}, "ownerReferences": [owner]},
            "spec": {
                "containers": [{"name": "d", "image": "e", "volumeMounts": [data]}],
                "volumes": [{"name": "data", "emptyDir": {}}],
                "priority": 0,
            },
        });
        let again = as_sent(serde_json::from_value(stored).unwrap(), &serde_json::from_value(owner).unwrap());
        assert_eq!(serde_json::to_value(again).unwrap(), sent);
    }
}
