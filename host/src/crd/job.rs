//! The schemas that every kind of job has: replica specs, run policy, status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::pod_template::{POD_TEMPLATE, complete};
use super::schema;

/// The map from replica types to replica specs.
pub(super) fn replica_specs() -> Value {
    json!({
        "description": "The replicas of the job: a replica spec for each replica type.",
        "type": "object",
        "additionalProperties": {
            "description": "How many pods of one replica type run, and what they are.",
            "type": "object",
            "properties": {
                "replicas": int32("How many pods of this type the job has."),
                "restartPolicy": text(
                    "What becomes of a failed pod: Always, OnFailure, Never or ExitCode. With \
                     ExitCode, an exit code of 128 or more is worth another try and any other is \
                     final. It takes the place of the restart policy in the template."
                ),
                "template": *POD_TEMPLATE,
            },
        },
    })
}

/// There in every stored job: v1's Python client cannot read one without (bug 33).
pub(super) fn run_policy() -> Value {
    json!({
        "description": "When the job stops, what is left of it then, how its pods are scheduled.",
        "type": "object",
        "default": {},
        "properties": {
            "activeDeadlineSeconds": {
                "description": "How many seconds after its start the job fails if it still runs. \
                                No limit when left out.",
                "type": "integer",
                "format": "int64",
            },
            "backoffLimit": int32(
                "How many restarts the job may have; one more and it fails. No limit when left out."
            ),
            "cleanPodPolicy": text(
                "Which pods are deleted when the job has ended: All, Running or None."
            ),
            "managedBy": text(
                "Who looks after the job: kubeflow.org/training-operator (also when left out) or \
                 kueue.x-k8s.io/multikueue. It cannot be changed."
            ),
            "schedulingPolicy": scheduling_policy(),
            "suspend": {
                "description": "Whether the job is held: its pods are deleted, and made again \
                                when it is held no more.",
                "type": "boolean",
                "default": false,
            },
            "ttlSecondsAfterFinished": int32(
                "How many seconds after its end the job is deleted. Never when left out."
            ),
        },
    })
}

fn scheduling_policy() -> Value {
    json!({
        "description": "How a gang scheduler treats the pods of the job, where one is in use.",
        "type": "object",
        "properties": {
            "minAvailable": int32("How many pods have to fit at once. All when left out."),
            "minResources": {
                "description": "The resources that have to be free at once. Those that the pods \
                                request when left out.",
                "type": "object",
                "additionalProperties": schema::quantity(),
            },
            "priorityClass": text("The priority class of the pod group. For Volcano."),
            "queue": {
                "description": "The queue of the pod group. It cannot be changed. For Volcano.",
                "type": "string",
                // A transition rule: it is asked only where the old and the new job have a queue.
                "x-kubernetes-validations": [{
                    "rule": "self == oldSelf",
                    "message": "spec.runPolicy.schedulingPolicy.queue is immutable",
                }],
            },
            "scheduleTimeoutSeconds": int32(
                "How many seconds pods wait for the rest of their gang. For scheduler-plugins."
            ),
        },
    })
}

/// What the operator writes.
pub(super) fn status() -> Value {
    json!({
        "description": "How the job stands.",
        "type": "object",
        "properties": {
            "completionTime": time("When the job ended."),
            "conditions": {
                "description": "What became true of the job, in order.",
                "type": "array",
                "items": condition(),
            },
            "lastReconcileTime": time("When the operator last held back pods for their gang."),
            "pluginDigest": text("Of the plugin that planned the job, which stays with it. Only of kinds of a FrameworkPlugin."),
            "replicaStatuses": {
                "description": "The pods of the job, counted by replica type.",
                "type": "object",
                "additionalProperties": replica_status(),
            },
            "restarts": int32(
                "Restarts that count towards the back-off limit, made by the operator."
            ),
            "startTime": time("When the job started, or started again after it was suspended."),
        },
    })
}

fn condition() -> Value {
    json!({
        "description": "Something that is, or was, true of the job.",
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "lastTransitionTime": time("When the status of this condition last changed."),
            "lastUpdateTime": time("When anything in this condition last changed."),
            "message": text("Why, in a sentence."),
            "reason": text("Why, in a word."),
            "status": text("True, False or Unknown."),
            "type": text("Created, Running, Restarting, Suspended, Succeeded or Failed."),
        },
    })
}

fn replica_status() -> Value {
    json!({
        "description": "The pods of one replica type; a pending pod is in no count. The field \
                        labelSelector is deprecated and never written.",
        "type": "object",
        "properties": {
            "active": int32("Pods that run."),
            "failed": int32("Pods that failed, or that run and are being deleted."),
            "labelSelector": schema::of::<LabelSelector>(complete),
            "selector": text("Selects these pods by label. Only of kinds that can be scaled."),
            "succeeded": int32("Pods that succeeded."),
        },
    })
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

fn int32(description: &str) -> Value {
    json!({"description": description, "type": "integer", "format": "int32"})
}

fn time(description: &str) -> Value {
    json!({"description": description, "type": "string", "format": "date-time"})
}
