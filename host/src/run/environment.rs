//! The environment of a container, as kubelet makes it from the pod; what only a cluster has is an error.

use serde_json::Value;
use trainyard_core::json;

use super::expand::expand;

/// Names and values; of the same name twice the last counts.
pub(super) type Environment = Vec<(String, String)>;

/// Why a variable has no value here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("variable {variable:?} {why}")]
pub(super) struct NoValue {
    pub(super) variable: String,
    pub(super) why: String,
}

/// The variables of a container of that pod, or all that stands in the way.
pub(super) fn of(pod: &Value, container: &Value) -> Result<Environment, Vec<NoValue>> {
    let mut errors = Vec::new();
    for source in json::items(container, "/envFrom") {
        for (field, what) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            if let Some(reference) = source.get(field).filter(|reference| !is_optional(reference)) {
                let why = format!("is one of all in {what} {:?}, which is not here", json::text(reference, "/name"));
                errors.push(NoValue { variable: format!("{}*", json::text(source, "/prefix")), why });
            }
        }
    }
    let mut environment = Environment::new();
    for variable in json::items(container, "/env") {
        let name = json::text(variable, "/name");
        let value = match variable.get("valueFrom").filter(|source| !source.is_null()) {
            None => Ok(Some(expand(json::text(variable, "/value"), |name| lookup(&environment, name)))),
            Some(source) => value_from(pod, source),
        };
        match value {
            Ok(value) => environment.extend(value.map(|value| (name.to_owned(), value))),
            Err(why) => errors.push(NoValue { variable: name.to_owned(), why }),
        }
    }
    if errors.is_empty() { Ok(environment) } else { Err(errors) }
}

/// The value that counts.
pub(super) fn lookup(environment: &Environment, name: &str) -> Option<String> {
    environment.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// None where the source is optional and not here.
fn value_from(pod: &Value, source: &Value) -> Result<Option<String>, String> {
    if let Some(path) = source.pointer("/fieldRef/fieldPath").and_then(Value::as_str) {
        return field(pod, path).map(Some).ok_or_else(|| format!("is field {path}, which a local run does not have"));
    }
    if let Some(resource) = source.pointer("/resourceFieldRef/resource").and_then(Value::as_str) {
        return Err(format!("is resource {resource}, which a local run does not limit"));
    }
    for (kind, what) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
        match source.get(kind) {
            Some(reference) if is_optional(reference) => return Ok(None),
            Some(reference) => {
                let [key, name] = ["/key", "/name"].map(|field| json::text(reference, field));
                return Err(format!("is key {key:?} of {what} {name:?}, which is not here"));
            }
            None => {}
        }
    }
    Err(format!("has a source that is not known: {source}"))
}

/// The fields that kubelet offers as variables.
///
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>
fn field(pod: &Value, path: &str) -> Option<String> {
    match path {
        "metadata.name" | "metadata.namespace" | "metadata.uid" | "spec.nodeName" | "spec.serviceAccountName" => {
            Some(json::text(pod, &format!("/{}", path.replace('.', "/"))).to_owned())
        }
        "status.podIP" | "status.podIPs" | "status.hostIP" | "status.hostIPs" => {
            Some(trainyard_core::fill::LOOPBACK.to_owned())
        }
        path => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            let map = match map {
                "metadata.labels" => "labels",
                "metadata.annotations" => "annotations",
                _ => return None,
            };
            let map = pod.pointer("/metadata")?.get(map);
            Some(map.and_then(|map| map.get(key)?.as_str()).unwrap_or_default().to_owned())
        }
    }
}

fn is_optional(reference: &Value) -> bool {
    reference.get("optional").and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(env: Value) -> Result<Vec<(String, String)>, Vec<String>> {
        let pod = json!({
            "metadata": {"name": "a-0", "namespace": "ns", "uid": "u", "labels": {"x/y": "l"}, "annotations": {"n": "a"}},
            "spec": {"nodeName": "here"},
        });
        of(&pod, &json!({"env": env})).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_come_from_where_they_say() {
        let field = |path: &str| json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
        for (env, expected) in [
            (json!([]), None),
            (json!([{"name": "A", "value": "1"}]), Some("1")),
            (json!([{"name": "A"}]), Some("")),
            (
                json!([{"name": "B", "value": "1"}, {"name": "A", "value": "$(B)$(C)"}, {"name": "C", "value": "2"}]),
                Some("1$(C)"),
            ),
            (json!([{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]), Some("12")),
            (field("metadata.name"), Some("a-0")),
            (field("metadata.namespace"), Some("ns")),
            (field("metadata.uid"), Some("u")),
            (field("metadata.labels['x/y']"), Some("l")),
            (field("metadata.annotations['n']"), Some("a")),
            (field("metadata.labels['none']"), Some("")),
            (field("spec.nodeName"), Some("here")),
            (field("status.podIP"), Some("127.0.0.1")),
            (json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]), None),
        ] {
            let found = made(env.clone()).unwrap();
            assert_eq!(lookup(&found, "A").as_deref(), expected, "{env}");
        }
    }

    #[test]
    fn what_only_a_cluster_has_is_named() {
        let from = |source: Value| json!([{"name": "A", "valueFrom": source}]);
        for (env, expected) in [
            (
                from(json!({"secretKeyRef": {"name": "s", "key": "k"}})),
                r#"variable "A" is key "k" of Secret "s", which is not here"#,
            ),
            (
                from(json!({"configMapKeyRef": {"name": "c", "key": "k"}})),
                r#"variable "A" is key "k" of ConfigMap "c", which is not here"#,
            ),
            (
                from(json!({"resourceFieldRef": {"resource": "limits.cpu"}})),
                r#"variable "A" is resource limits.cpu, which a local run does not limit"#,
            ),
            (
                from(json!({"fieldRef": {"fieldPath": "status.qosClass"}})),
                r#"variable "A" is field status.qosClass, which a local run does not have"#,
            ),
            (from(json!({"other": {}})), r#"variable "A" has a source that is not known: {"other":{}}"#),
        ] {
            assert_eq!(made(env), Err(vec![expected.to_owned()]));
        }
        let both = json!({"envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c", "optional": true}}]});
        let errors = of(&json!({}), &both).unwrap_err();
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [r#"variable "P_*" is one of all in Secret "s", which is not here"#]
        );
    }
}
