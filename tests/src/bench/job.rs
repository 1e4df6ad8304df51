//! The jobs that are measured: their pods take a while to start and a while to end.

use serde_json::{Value, json};

/// A kind of job, as its users know it.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
    replica_specs: &'static str,
    container: &'static str,
    /// Where there is one of them beside the workers.
    leader: Option<&'static str>,
}

pub(super) const PYTORCH: Kind = Kind {
    name: "PyTorchJob",
    plural: "pytorchjobs",
    replica_specs: "pytorchReplicaSpecs",
    container: "pytorch",
    leader: Some("Master"),
};
pub(super) const TENSORFLOW: Kind =
    Kind { name: "TFJob", plural: "tfjobs", replica_specs: "tfReplicaSpecs", container: "tensorflow", leader: None };

/// How the pods of a job live; for the nodes to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// They start as soon as they have a node, and all run as long.
    Short,
    /// They start within five seconds and run for ever.
    Endless,
}

impl Kind {
    /// A job of so many pods.
    pub(super) fn job(&self, name: &str, pods: u32, life: Life) -> Value {
        let annotations = match life {
            Life::Short => json!({"test/start-after": "200ms", "test/complete-after": "5s"}),
            Life::Endless => json!({"test/start-after": "1s", "test/start-by": "5s"}),
        };
        let container = json!({"name": self.container, "image": "example.com/train:1", "args": ["--epochs", "3"]});
        let template = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [container]}});
        let replicas = |count| json!({"replicas": count, "restartPolicy": "OnFailure", "template": template});
        let mut specs = json!({"Worker": replicas(pods - u32::from(self.leader.is_some()))});
        if let (Some(leader), Some(specs)) = (self.leader, specs.as_object_mut()) {
            specs.insert(leader.to_owned(), replicas(1));
        }
        json!({
            "apiVersion": "kubeflow.org/v1",
            "kind": self.name,
            "metadata": {"name": name},
            "spec": {self.replica_specs: specs},
        })
    }

    /// Where the API server has jobs of this kind.
    pub(super) fn path(&self, namespace: &str) -> String {
        format!("/apis/kubeflow.org/v1/namespaces/{namespace}/{}", self.plural)
    }
}
