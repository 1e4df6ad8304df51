use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Every schema in the template, with its path.
fn schemas() -> Vec<(String, &'static Value)> {
    let mut found = vec![(String::new(), &*POD_TEMPLATE)];
    let mut next = 0;
    while let Some((path, schema)) = found.get(next).cloned() {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            found.push((format!("{path}.{name}"), property));
        }
        found.extend(schema.get("items").map(|it| (format!("{path}[]"), it)));
        found.extend(schema.get("additionalProperties").map(|it| (format!("{path}.*"), it)));
        next += 1;
    }
    found
}

fn at(path: &str) -> &'static Value {
    schemas().into_iter().find(|(found, _)| found == path).unwrap_or_else(|| panic!("no {path}")).1
}

#[test]
fn every_schema_is_structural() {
    for (path, schema) in schemas() {
        for keyword in schema.as_object().unwrap().keys() {
            let known = [
                "additionalProperties",
                "anyOf",
                "default",
                "description",
                "format",
                "items",
                "pattern",
                "properties",
                "required",
                "type",
                "x-kubernetes-int-or-string",
                "x-kubernetes-list-map-keys",
                "x-kubernetes-list-type",
                "x-kubernetes-map-type",
            ];
            assert!(known.contains(&keyword.as_str()), "{path} has {keyword}");
        }
        let either = schema.get("x-kubernetes-int-or-string").is_some();
        assert!(either ^ schema.get("type").is_some(), "{path}: {schema}");
        assert_eq!(either, schema.get("anyOf").is_some(), "{path}: {schema}");
    }
}

#[test]
fn lists_are_maps_by_keys_that_an_item_always_has() {
    let mut lists = BTreeSet::new();
    for (path, schema) in schemas() {
        let Some(keys) = schema.get("x-kubernetes-list-map-keys") else {
            continue;
        };
        let keys = keys.as_array().unwrap();
        let item = &schema["items"];
        for key in keys {
            let required = item["required"].as_array().is_some_and(|it| it.contains(key));
            let default = item["properties"][key.as_str().unwrap()].get("default").is_some();
            assert!(required || default, "{path} by {key}");
        }
        let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
        lists.insert(format!("{} by {}", path.rsplit('.').next().unwrap(), keys.join(", ")));
    }
    let expected = [
        "claims by name",
        "containers by name",
        "env by name",
        "ephemeralContainers by name",
        "hostAliases by ip",
        "imagePullSecrets by name",
        "initContainers by name",
        "ports by containerPort, protocol",
        "resourceClaims by name",
        "schedulingGates by name",
        "topologySpreadConstraints by topologyKey, whenUnsatisfiable",
        "volumeDevices by devicePath",
        "volumeMounts by mountPath",
        "volumes by name",
    ];
    assert_eq!(lists, expected.map(str::to_owned).into());
}

#[test]
fn the_tables_name_types_and_fields_that_exist() {
    let definitions = RefCell::new(BTreeMap::new());
    schema::of::<PodTemplateSpec>(|name, definition| {
        definitions.borrow_mut().insert(name.to_owned(), definition.clone());
    });
    let definitions = definitions.into_inner();
    let mut fields = vec![("PodSpec", "nodeSelector")];
    fields.extend(LIST_KEYS.iter().map(|(kind, field, _)| (*kind, *field)));
    fields.extend(SETS);
    fields.extend(REFERENCES.iter().map(|kind| (*kind, "name")));
    for (kind, defaults) in DEFAULTS.as_object().unwrap() {
        let defaults = defaults.as_object().unwrap();
        fields.extend(defaults.keys().map(|field| (kind.as_str(), field.as_str())));
    }
    for (kind, field) in fields {
        let definition = &definitions[&format!("{CORE}{kind}")];
        assert!(definition["properties"].get(field).is_some(), "{kind} has no {field}");
    }
    for kind in ATOMIC {
        assert!(definitions.contains_key(&format!("{CORE}{kind}")), "no type {kind}");
    }
}

#[test]
fn a_template_has_v1s_fields() {
    let fields = |path: &str| {
        let properties = at(path)["properties"].as_object().unwrap();
        properties.keys().map(String::as_str).collect::<Vec<_>>()
    };
    let metadata = ["annotations", "finalizers", "labels", "name", "namespace"];
    assert_eq!(fields(".metadata"), metadata);
    assert_eq!(fields(".spec.volumes[].ephemeral.volumeClaimTemplate.metadata"), metadata);
    assert_eq!(fields(".spec").len(), 42);
}

#[test]
fn a_template_has_v1s_keywords() {
    let quantity = schema::quantity()["pattern"].clone();
    for (path, keyword, expected) in [
        ("containers[]", "required", json!(["name"])),
        ("containers[].ports[].protocol", "default", json!("TCP")),
        ("containers[].livenessProbe.grpc.service", "default", json!("")),
        ("imagePullSecrets[].name", "default", json!("")),
        ("volumes[].azureDisk.readOnly", "default", json!(false)),
        ("volumes[].rbd.keyring", "default", json!("/etc/ceph/keyring")),
        ("activeDeadlineSeconds", "format", json!("int64")),
        ("containers[].resources.limits.*", "pattern", quantity),
        ("initContainers[].readinessProbe.httpGet.port", "x-kubernetes-int-or-string", json!(true)),
        ("containers[].restartPolicyRules[].exitCodes.values", "x-kubernetes-list-type", json!("set")),
        ("containers[].envFrom[].configMapRef", "x-kubernetes-map-type", json!("atomic")),
        ("containers[].env[].valueFrom.fieldRef", "x-kubernetes-map-type", json!("atomic")),
        ("nodeSelector", "x-kubernetes-map-type", json!("atomic")),
        ("topologySpreadConstraints[].labelSelector", "x-kubernetes-map-type", json!("atomic")),
    ] {
        assert_eq!(at(&format!(".spec.{path}"))[keyword], expected, "{path} {keyword}");
    }
}
