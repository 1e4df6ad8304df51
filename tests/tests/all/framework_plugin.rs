//! `FrameworkPlugin` as an admin meets it: kubectl, and an API server without operator.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trainyard_core::json::merge;
use trainyard_tests::ControlPlane;

use crate::crd::cluster;
use crate::operator::place::{install_kinds, trainyard};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";

/// An API server that knows the kind.
fn place() -> Result<Option<&'static ControlPlane>> {
    let Some(cluster) = cluster()? else { return Ok(None) };
    install_kinds(cluster, &trainyard(&["crds", "FrameworkPlugin"])?)?;
    // What is explained is served a moment after what is stored.
    for words in [["get", "fwp"], ["explain", "fwp"]] {
        cluster.wait_until(60, "the kind to be served", || cluster.kubectl(&words))?;
    }
    Ok(Some(cluster))
}

fn plugin(name: &str, spec: &Value) -> String {
    let metadata = json!({"name": name});
    json!({"apiVersion": "trainyard.dev/v1alpha1", "kind": "FrameworkPlugin", "metadata": metadata, "spec": spec})
        .to_string()
}

/// In a registry, and with this.
fn oci(more: Value) -> Value {
    let mut spec = json!({"source": {"oci": {"reference": "registry.example:5000/team/ring:1.2"}}});
    merge(&mut spec, &more);
    spec
}

fn limits(limits: Value) -> Value {
    oci(json!({"limits": limits}))
}

#[test]
fn what_makes_sense_is_stored() -> Result<()> {
    let Some(cluster) = place()? else { return Ok(()) };
    let reference = |reference: &str| oci(json!({"source": {"oci": {"reference": reference}}}));
    for (index, spec) in [
        oci(json!({})),
        reference("oci://localhost/ring:latest"),
        reference("[::1]:5000/a-b/c__d.e:v1"),
        reference(&format!("registry.example/ring@{DIGEST}")),
        reference(&format!("registry.example/ring:1@{DIGEST}")),
        json!({"source": {"bundled": {"name": "one"}}, "digest": DIGEST}),
        json!({"source": {"file": {"path": "/plugins/ring.wasm"}}, "settings": {"a": {"b": [1, null]}}}),
        oci(json!({"signature": {"keys": [KEY]}, "source": {"oci": {
            "pullSecret": {"name": "login"}, "ca": {"pem": "x"}, "plainHttp": true, "mirrors": ["http://mirror.example"],
        }}})),
        limits(json!({"fuel": 1, "time": "1ms", "memory": "64Ki", "output": "1Ki", "log": 0, "concurrency": 1})),
        limits(json!({"time": "30s", "memory": 1_073_741_824, "output": "64Mi", "log": "1Mi", "concurrency": 64})),
        limits(json!({"time": "1.5s", "memory": "1.5e6"})),
        oci(json!({"upgradePolicy": "Immediate", "suspend": true, "definitions": "Delete"})),
        oci(json!({"grants": {
            "objects": [{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}],
            "hostNamespaces": ["Network"], "images": ["alpine:*"], "privileged": true,
        }})),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("good-{index}");
        cluster.apply(&plugin(&name, spec))?;
        let stored = cluster.get("", &format!("frameworkplugin/{name}"))?["spec"].clone();
        let mut expected = json!({"upgradePolicy": "NewJobs", "suspend": false, "definitions": "Retain"});
        merge(&mut expected, spec);
        assert_eq!(stored, expected, "{spec}");
    }
    cluster.apply(&plugin("keys", &json!({"source": {"configMap": {"name": "ring"}}})))?;
    assert_eq!(cluster.get("", "frameworkplugin/keys")?["spec"]["source"]["configMap"]["key"], "plugin.wasm");
    Ok(())
}

#[test]
fn what_makes_none_is_refused_with_a_reason() -> Result<()> {
    let Some(cluster) = place()? else { return Ok(()) };
    let reference = |reference: &str| oci(json!({"source": {"oci": {"reference": reference}}}));
    let bundled = json!({"bundled": {"name": "one"}});
    let one_of = "spec.source: Invalid value: \"object\": give exactly one of: bundled, configMap, file, oci";
    let in_full = "spec.source.oci.reference: Invalid value: \"string\": write it in full";
    let time = "spec.limits.time: Invalid value: \"string\": write a time from 1ms to 30s";
    for (spec, expected) in [
        (json!({}), "spec.source: Required value"),
        (json!({"source": {}}), one_of),
        (oci(json!({"source": bundled})), one_of),
        (reference("ring:1"), in_full),
        (reference("registry.example/ring"), in_full),
        (reference("registry.example/ring@sha256:12"), in_full),
        (reference("user@registry.example/ring:1"), in_full),
        (reference("registry.example/ring:1 "), in_full),
        (oci(json!({"source": {"oci": {"ca": {}}}})), "give exactly one of: configMap, pem"),
        (
            oci(json!({"source": {"oci": {"pullSecret": {"name": "Login"}}}})),
            "spec.source.oci.pullSecret.name: Invalid",
        ),
        (json!({"source": {"file": {"path": "ring.wasm"}}}), "spec.source.file.path: Invalid value"),
        (json!({"source": {"configMap": {"name": "a", "key": "a/b"}}}), "spec.source.configMap.key: Invalid value"),
        (oci(json!({"digest": DIGEST.to_uppercase()})), "spec.digest: Invalid value"),
        (
            json!({"source": bundled, "signature": {"keys": [KEY]}}),
            "spec.signature: Forbidden: only artifacts of a registry can be signed; pin the digest of this one",
        ),
        (oci(json!({"signature": {"keys": []}})), "spec.signature.keys: Invalid value"),
        (oci(json!({"signature": {"keys": ["-----BEGIN PRIVATE KEY-----"]}})), "spec.signature.keys[0]: Invalid value"),
        (limits(json!({"fuel": 0})), "spec.limits.fuel: Invalid value"),
        (limits(json!({"concurrency": 65})), "spec.limits.concurrency: Invalid value"),
        (limits(json!({"time": "31s"})), time),
        (limits(json!({"time": "soon"})), time),
        (limits(json!({"memory": "1Q"})), "write an amount of bytes from 64Ki to 1Gi"),
        (limits(json!({"memory": 1})), "write an amount of bytes from 64Ki to 1Gi"),
        (limits(json!({"output": "1Gi"})), "write an amount of bytes from 1Ki to 64Mi"),
        (limits(json!({"log": -1})), "write an amount of bytes from 0 to 1Mi"),
        (oci(json!({"upgradePolicy": "Never"})), "spec.upgradePolicy: Unsupported value: \"Never\""),
        (oci(json!({"definitions": "Keep"})), "spec.definitions: Unsupported value: \"Keep\""),
        (oci(json!({"grants": {"hostNamespaces": ["User"]}})), "Unsupported value: \"User\""),
        (oci(json!({"settings": []})), "spec.settings: Invalid value"),
        (oci(json!({"limits": {"cpu": 1}})), "unknown field \"spec.limits.cpu\""),
    ] {
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        let refused = cluster.kubectl_with(&arguments, &plugin("bad", &spec));
        ensure!(refused.is_err(), "{spec} is taken");
        let told = refused.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(told.contains(expected), "{spec}: {told}");
        assert!(!told.contains("rule evaluation error"), "{spec}: {told}");
    }
    Ok(())
}

#[test]
fn kubectl_shows_at_a_glance_how_it_stands() -> Result<()> {
    let Some(cluster) = place()? else { return Ok(()) };
    cluster.apply(&plugin("shown", &oci(json!({}))))?;
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Serving", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let active = json!({"digest": DIGEST, "source": "bundled one", "version": "1.2"});
    let status = json!({"status": {"conditions": [condition], "kinds": ["example.dev/v1 RingJob"], "active": active}});
    cluster.kubectl(&[
        "patch",
        "fwp",
        "shown",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status.to_string(),
    ])?;
    let lines = cluster.kubectl(&["get", "fwp", "shown"])?;
    let cells: Vec<Vec<_>> = lines.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    let cells: Vec<Vec<_>> =
        cells.into_iter().map(|row| row.into_iter().filter(|cell| !cell.is_empty()).collect()).collect();
    let [titles, row] = cells.as_slice() else { anyhow::bail!("{lines}") };
    assert_eq!(*titles, ["NAME", "READY", "REASON", "KINDS", "VERSION", "AGE"]);
    assert_eq!(row[..5], ["shown", "True", "Serving", r#"["example.dev/v1 RingJob"]"#, "1.2"]);
    let wide = cluster.kubectl(&["get", "fwp", "shown", "--output=wide"])?;
    assert!(wide.contains(DIGEST) && wide.contains("bundled one"), "{wide}");
    Ok(())
}

#[test]
fn kubectl_explains_every_field() -> Result<()> {
    let Some(cluster) = place()? else { return Ok(()) };
    let explained = cluster.kubectl(&["explain", "fwp.spec.source.oci.reference"])?;
    assert!(
        explained.contains("FIELD: reference <string>") && explained.contains("is that artifact for ever"),
        "{explained}"
    );
    let explained = cluster.kubectl(&["explain", "fwp", "--recursive"])?;
    assert!(
        explained.contains("upgradePolicy\t<string>") && explained.contains("enum: NewJobs, Immediate"),
        "{explained}"
    );
    Ok(())
}
