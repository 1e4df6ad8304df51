//! A second look, at pods as they will be made: against the user's template, whatever the plan says and however it was
//! merged. One pod of each type is looked at; the others differ from it in ranks and addresses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Checked, PlanFault, forbidden, within};
use crate::action::Action;
use crate::diff::Batch;
use crate::job::Job;
use crate::json;
use crate::label;

/// Compares the pods that would be made with their templates.
pub fn pods(job: &Job, batches: &[Batch]) -> Result<(), PlanFault> {
    let mut seen = BTreeSet::new();
    for action in batches.iter().flatten() {
        let Action::CreatePod { pod, .. } = action else { continue };
        let labels = pod.pointer("/metadata/labels").unwrap_or(&Value::Null);
        let replica_type = labels.get(label::REPLICA_TYPE).and_then(Value::as_str).unwrap_or_default();
        if seen.insert(replica_type) {
            let spec = job.replicas.iter().find(|spec| spec.name.to_lowercase() == replica_type);
            let template = spec.map_or(&Value::Null, |spec| &spec.template);
            within(&format!("pods[{replica_type}]"), check(template, pod))?;
        }
    }
    Ok(())
}

fn check(template: &Value, pod: &Value) -> Checked {
    let [asked, made] = [template, pod].map(|object| object.get("metadata").unwrap_or(&Value::Null));
    within(
        "metadata",
        fields(asked, made, |field, asked, made| match field {
            "name" | "namespace" | "ownerReferences" => Ok(()),
            "labels" => fields(
                asked,
                made,
                |key, asked, made| {
                    if key.starts_with(label::PREFIX) { Ok(()) } else { same(asked, made) }
                },
            ),
            // Nothing else of a template's metadata reaches its pods.
            "annotations" | "finalizers" => same(asked, made),
            _ => same(&Value::Null, made),
        }),
    )?;
    let [asked, made] = [template, pod].map(|object| object.get("spec").unwrap_or(&Value::Null));
    within(
        "spec",
        fields(asked, made, |field, asked, made| match field {
            "restartPolicy" => Ok(()), // the replica spec's
            "hostname" | "subdomain" if asked.is_null() => Ok(()),
            "serviceAccountName" if asked.is_null() || asked == "" => Ok(()),
            "initContainers" | "volumes" => begins(asked, made, same),
            "containers" if json::items(asked, "").len() == json::items(made, "").len() => {
                begins(asked, made, container)
            }
            _ => same(asked, made),
        }),
    )
}

fn container(asked: &Value, made: &Value) -> Checked {
    let has_command = !json::items(asked, "/command").is_empty();
    fields(asked, made, |field, asked, made| match field {
        "command" | "args" if !has_command => Ok(()),
        "env" | "volumeMounts" => begins(asked, made, same),
        _ => same(asked, made),
    })
}

/// Compares all fields that either has.
fn fields(asked: &Value, made: &Value, compare: impl Fn(&str, &Value, &Value) -> Checked) -> Checked {
    let none = Map::new();
    let [asked, made] = [asked, made].map(|object| object.as_object().unwrap_or(&none));
    asked.keys().chain(made.keys().filter(|field| !asked.contains_key(*field))).try_for_each(|field| {
        let [asked, made] = [asked, made].map(|object| object.get(field).unwrap_or(&Value::Null));
        within(field, compare(field, asked, made))
    })
}

/// Whether a list begins with what was asked for, one by one.
fn begins(asked: &Value, made: &Value, compare: fn(&Value, &Value) -> Checked) -> Checked {
    let asked = json::items(asked, "");
    let made = json::items(made, "");
    let pairs = asked.iter().enumerate().map(|(index, asked)| (index, asked, made.get(index).unwrap_or(&Value::Null)));
    pairs.into_iter().try_for_each(|(index, asked, made)| within(&format!("[{index}]"), compare(asked, made)))
}

fn same(asked: &Value, made: &Value) -> Checked {
    if asked == made { Ok(()) } else { Err(forbidden(made)) }
}
