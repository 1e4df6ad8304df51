//! `trainyard plan` says what the operator does.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use trainyard_tests::{ControlPlane, ROOT};

use super::place::{Place, name, text, trainyard};

const EXAMPLES: [&str; 12] = [
    "pytorch/simple.yaml",
    "pytorch/digits.yaml",
    "pytorch/elastic.yaml",
    "xgboost/simple.yaml",
    "xgboost/digits.yaml",
    "tensorflow/simple.yaml",
    "tensorflow/digits.yaml",
    "paddle/simple.yaml",
    "paddle/digits.yaml",
    "jax/simple.yaml",
    "jax/digits.yaml",
    "mpi/simple.yaml",
];

/// Kinds of object that a job may have, and what of them a namespace has before any job.
const KINDS: [&str; 8] = [
    "pods",
    "services",
    "horizontalpodautoscalers",
    "secrets",
    "configmaps",
    "serviceaccounts",
    "roles",
    "rolebindings",
];
const FURNITURE: [&str; 4] =
    ["Service/kubernetes", "ConfigMap/kube-root-ca.crt", "ServiceAccount/default", "RoleBinding/training-operator"];

/// What follows the replicas that run; before any does it is as planned.
const FOLLOWS: &str = ".data.discover_hosts.sh";

/// What Kubernetes itself adds to the end of lists: the volume with the pod's token, and how long it stays on a lost node.
const GROW: [&str; 3] = ["volumes", "volumeMounts", "tolerations"];

type Objects = BTreeMap<String, Value>;

#[test]
fn the_operator_makes_what_plan_prints() -> Result<()> {
    let Some(cluster) = ControlPlane::shared()? else { return Ok(()) };
    let place = Place::at(cluster, "default".to_owned())?; // where plan believes a job without namespace to be
    let _operator = place.operator(&[], &[])?;
    for example in EXAMPLES {
        let file = format!("{ROOT}/examples/{example}");
        let planned: Value = serde_json::from_str(&trainyard(&["plan", "-f", &file, "-o", "json"])?)?;
        let planned = by_name(&planned);
        ensure!(!planned.is_empty(), "nothing is planned for {example}");
        place.kubectl(&["apply", "-f", &file])?;
        let made = place.cluster.wait_until(60, "what is planned", || {
            let mut made = Objects::new();
            for kind in KINDS {
                made.append(&mut by_name(&place.get(kind)?));
            }
            made.retain(|name, _| !FURNITURE.contains(&name.as_str()));
            ensure!(made.keys().eq(planned.keys()), "{:?} instead of {:?}", made.keys(), planned.keys());
            Ok(made)
        })?;
        for (object, planned) in &planned {
            covers(&made[object], planned, object)?;
            for field in ["labels", "annotations"] {
                assert_eq!(made[object]["metadata"][field], planned["metadata"][field], "{object}");
            }
        }
        place.kubectl(&["delete", "-f", &file])?;
        place.wait_until_made(&[])?;
    }
    Ok(())
}

#[test]
fn all_examples_are_compared() -> Result<()> {
    let mut found = Vec::new();
    let examples = format!("{ROOT}/examples");
    for folder in fs::read_dir(&examples)? {
        for entry in fs::read_dir(folder?.path())? {
            let file = entry?.path();
            let is_job = file.extension().is_some_and(|extension| extension == "yaml");
            let name = file.strip_prefix(&examples)?.to_str().context("a name is not UTF-8")?;
            found.extend(is_job.then(|| name.to_owned()));
        }
    }
    found.sort();
    let mut compared = EXAMPLES;
    compared.sort_unstable();
    assert_eq!(found, compared);
    Ok(())
}

fn by_name(list: &Value) -> Objects {
    let objects = list["items"].as_array().into_iter().flatten();
    objects.map(|object| (format!("{}/{}", text(&object["kind"]), name(object)), object.clone())).collect()
}

/// Whether all that is planned was made so. Only a cluster knows the job's uid.
fn covers(made: &Value, planned: &Value, path: &str) -> Result<()> {
    match (made, planned) {
        (Value::Object(made), Value::Object(planned)) => planned.iter().try_for_each(|(field, planned)| {
            if planned == "" && !made.contains_key(field) {
                return Ok(()); // an empty text is stored as none
            }
            let path = format!("{path}.{field}");
            covers(made.get(field).with_context(|| format!("{path} is not there"))?, planned, &path)
        }),
        (Value::Array(made), Value::Array(planned)) => {
            let grows = GROW.iter().any(|list| path.ends_with(list));
            ensure!(made.len() == planned.len() || grows, "{path}: {} instead of {}", made.len(), planned.len());
            planned.iter().enumerate().try_for_each(|(index, planned)| {
                let path = format!("{path}[{index}]");
                covers(made.get(index).with_context(|| format!("{path} is not there"))?, planned, &path)
            })
        }
        (made, planned) => {
            let follows = path.ends_with(FOLLOWS) && text(made).starts_with(&text(planned));
            ensure!(made == planned || follows, "{path} is {made} instead of {planned}");
            Ok(())
        }
    }
}
