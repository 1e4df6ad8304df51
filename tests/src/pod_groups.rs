//! The kinds of gang schedulers, as far as an operator can tell: pod groups that may say anything, and their status.

use anyhow::Result;
use serde_json::json;

use crate::ControlPlane;

/// Volcano's.
pub const VOLCANO: &str = "scheduling.volcano.sh/v1beta1";
/// Those of scheduler-plugins.
pub const SCHEDULER_PLUGINS: &str = "scheduling.x-k8s.io/v1alpha1";

/// Installs the kind `PodGroup` of that `apiVersion`; answers when the API server serves it.
pub fn install(cluster: &ControlPlane, api_version: &str) -> Result<()> {
    let (group, version) = api_version.split_once('/').unwrap_or((api_version, "v1"));
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name(api_version),
            // Who defines kinds under k8s.io has to say so.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
        },
        "spec": {
            "group": group,
            "names": {"kind": "PodGroup", "listKind": "PodGroupList", "plural": "podgroups", "singular": "podgroup"},
            "scope": "Namespaced",
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
            }],
        },
    });
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &definition.to_string())?;
    // kubectl itself fails where a definition has no status yet.
    let established = ["wait", "--for=condition=Established", "crd", &name(api_version), "--timeout=10s"];
    cluster.wait_until(60, "the kind PodGroup to be established", || cluster.kubectl(&established))?;
    // It is served a moment later.
    let list = ["get", &name(api_version), "--all-namespaces"];
    cluster.wait_until(60, "the kind PodGroup to be served", || cluster.kubectl(&list)).map(drop)
}

/// Takes the kind away, and with it all pod groups.
pub fn uninstall(cluster: &ControlPlane, api_version: &str) -> Result<()> {
    cluster.kubectl(&["delete", "crd", &name(api_version)]).map(drop)
}

/// `podgroups.<group>`: the name of the definition, and what kubectl calls the resource.
pub fn name(api_version: &str) -> String {
    format!("podgroups.{}", api_version.split('/').next().unwrap_or_default())
}
