//! The way from the API server to the webhook of an operator that is outside of the cluster.

use anyhow::Result;
use serde_json::{Value, json};

use super::{ControlPlane, flags};

/// v1's name for the webhook configuration.
pub const CONFIGURATION: &str = "validator.training-operator.kubeflow.org";

/// The webhook of a kind, for the API server to find in a way of the admin's: `clientConfig`.
pub fn webhook(kind: &str, client: &Value) -> Value {
    let name = kind.to_lowercase();
    json!({
        "name": format!("validator.{name}.{}", CONFIGURATION.trim_start_matches("validator.")),
        "clientConfig": client,
        "rules": [{
            "apiGroups": ["kubeflow.org"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": [format!("{name}s")],
        }],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    })
}

/// By URL.
pub fn by_url(kind: &str, port: u16) -> Value {
    json!({"url": format!("https://127.0.0.1:{port}{}", path(kind))})
}

/// By the Service that [`ControlPlane::add_way_out`] makes.
pub fn by_service(kind: &str, port: u16) -> Value {
    json!({"service": {"name": "outside", "namespace": "kubeflow", "port": port, "path": path(kind)}})
}

fn path(kind: &str) -> String {
    format!("/validate-kubeflow-org-v1-{}", kind.to_lowercase())
}

impl ControlPlane {
    /// A Service that leads to this machine, in the namespace of the operator, which is made as well.
    pub fn add_way_out(&self) -> Result<()> {
        let of = |name: &str| json!({"name": name, "namespace": "kubeflow"});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}});
        let spec = json!({"type": "ExternalName", "externalName": "localhost"});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": of("outside"), "spec": spec});
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [namespace, service]}).to_string()).map(drop)
    }

    /// Installs a webhook configuration with these webhooks.
    pub fn add_webhooks(&self, webhooks: &[Value]) -> Result<()> {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": CONFIGURATION},
            "webhooks": webhooks,
        });
        self.kubectl_with(&["create", "-f", "-"], &configuration.to_string()).map(drop)
    }

    /// A port for the webhook of an operator.
    pub fn webhook_port(&self) -> Result<u16> {
        flags::free_port()
    }
}
