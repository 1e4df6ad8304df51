//! Registries that fail or lie, a cache whose bits flip, an operator that is killed: what runs was verified, and goes on.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use trainyard::plugin::Digest;
use trainyard_tests::registry::{Door, Registry};
use trainyard_tests::sigstore::Sigstore;

use super::outage::push;
use super::place::{Place, ROLE, ring};
use super::story::runs;
use crate::operator::place::{text, trainyard};
use crate::run::registry::{put_bundle, sign};

/// The digest of the manifest that a tag is.
fn manifest(registry: &Registry, tag: &str) -> Result<String> {
    let about = trainyard(&["plugin", "inspect", "-o", "json", &reference(registry, tag), "--plain-http"])?;
    Ok(text(&serde_json::from_str::<Value>(&about)?["manifest"]))
}

fn reference(registry: &Registry, tag: &str) -> String {
    format!("{}/ring:{tag}", registry.host())
}

fn oci(reference: &str) -> Value {
    json!({"oci": {"reference": reference, "plainHttp": true}})
}

/// Says that the artifact of one tag is smaller than it is.
fn belittle(registry: &Registry, component: &[u8], tag: &str) -> Result<()> {
    let config = b"{}";
    registry.put_blob("ring", &Digest::of(config).to_string(), config)?;
    registry.put_blob("ring", &Digest::of(component).to_string(), component)?;
    let blob = |media_type: &str, bytes: &[u8], size: usize| json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.wasm.config.v0+json", config, config.len()),
        "layers": [blob("application/wasm", component, component.len() / 2)],
    });
    registry.put_manifest("ring", tag, &manifest)
}

#[test]
fn a_registry_that_lies_changes_nothing() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let _operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let registry = Registry::start(Door::Open)?;
    let (first, second) = (push(&registry, "1")?, push(&registry, "2")?);
    place.plugin("ring", &json!({"source": oci(&reference(&registry, "1"))}))?;
    place.wait_until_active("ring", &first)?;

    let [ours, theirs] =
        [KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?];
    let signed = |tag: &str| json!({"source": oci(&reference(&registry, tag)), "signature": {"keys": [ours.public_key_pem()]}, "digest": null});
    let (one, two) = (manifest(&registry, "1")?, manifest(&registry, "2")?);
    let signature_of = |manifest: &str| format!("{}.sig", manifest.replace(':', "-"));
    sign(&registry, "ring", &theirs, &two, &signature_of(&two))?;
    belittle(&registry, &ring("3")?, "3")?;
    // Nobody ever answers: connections wait in its queue.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("{}/ring:1", silent.local_addr()?);

    for (name, spec, condition, reason) in [
        (
            "a tag that is not what it was pinned to",
            json!({"source": oci(&reference(&registry, "2")), "digest": Digest::of(b"what it was").to_string()}),
            "Verified",
            "DigestMismatch",
        ),
        ("somebody else's signature", signed("2"), "Verified", "Signature"),
        (
            "a size that is not so",
            json!({"source": oci(&reference(&registry, "3")), "digest": null, "signature": null}),
            "Fetched",
            "TooLarge",
        ),
        ("silence", json!({"source": oci(&silent)}), "Fetched", "Timeout"),
    ] {
        place.plugin("ring", &spec)?;
        assert_eq!(place.wait_for("ring", condition, "False")?, reason, "{name}");
        assert_eq!(place.wait_for("ring", "Ready", "True")?, "Loaded", "{name}");
        assert_eq!(place.status("ring")?["active"]["digest"], json!(first), "{name}");
        println!("{name}: {}", text(&place.status("ring")?["lastError"]));
        // The next one's condition is not this one's.
        place
            .plugin("ring", &json!({"source": oci(&reference(&registry, "1")), "digest": first, "signature": null}))?;
        place.wait_for("ring", "Degraded", "False")?;
    }
    runs(&place.cluster, "despite-lies")?;

    // Signed by us, but it is another artifact that is: then this one, and nobody touches the plugin.
    sign(&registry, "ring", &ours, &two, &signature_of(&one))?;
    place.plugin("ring", &signed("1"))?;
    assert_eq!(place.wait_for("ring", "Verified", "False")?, "Signature");
    place.plugin("ring", &signed("2"))?;
    assert_eq!(place.wait_for("ring", "Verified", "False")?, "Signature");
    sign(&registry, "ring", &ours, &two, &signature_of(&two))?;
    place.wait_until_active("ring", &second)?;
    runs(&place.cluster, "signed")?;
    Ok(())
}

#[test]
fn who_has_signed_is_as_true_as_the_trusted_root() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let _operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let (registry, ours, theirs) = (Registry::start(Door::Open)?, Sigstore::new()?, Sigstore::new()?);
    let (subject, issuer) = ("dev@team.example", "https://accounts.example");
    let digest = push(&registry, "1")?;
    let manifest = manifest(&registry, "1")?;
    let signed = ours.sign(subject, issuer, manifest.trim_start_matches("sha256:"))?;
    put_bundle(&registry, "ring", &signed, &manifest)?;
    let root = json!({"configMap": {"name": "sigstore"}});
    let identity = json!({"subject": subject, "issuer": issuer, "trustedRoot": root});
    let source = oci(&reference(&registry, "1"));
    place.plugin("ring", &json!({"source": source, "signature": {"identity": identity}}))?;
    assert_eq!(place.wait_for("ring", "Fetched", "False")?, "NotFound");

    // From here on nobody touches the plugin.
    let believe = |sigstore: &Sigstore| {
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "sigstore", "namespace": "kubeflow"},
            "data": {"trusted_root.json": sigstore.trusted_root()?.to_string()},
        });
        place.cluster.apply(&map.to_string())
    };
    believe(&theirs)?;
    assert_eq!(place.wait_for("ring", "Verified", "False")?, "Signature");
    believe(&ours)?;
    place.wait_until_active("ring", &digest)?;
    runs(&place.cluster, "believed")?;
    believe(&theirs)?;
    assert_eq!(place.wait_for("ring", "Verified", "False")?, "Signature");
    assert_eq!(place.wait_for("ring", "Ready", "True")?, "Loaded", "what works goes on");
    Ok(())
}

/// Flips a bit in each file of a cache.
fn flip(folder: &Path) -> Result<usize> {
    let mut flipped = 0;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let mut bytes = fs::read(&path)?;
        let middle = bytes.len() / 2;
        *bytes.get_mut(middle).context("it is empty")? ^= 1;
        fs::write(&path, bytes)?;
        flipped += 1;
    }
    Ok(flipped)
}

#[test]
fn flipped_bits_are_fetched_again_and_never_run() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let operator = place.operator()?;
    place.cluster.apply(ROLE)?;
    let registry = Registry::start(Door::Open)?;
    let first = push(&registry, "1")?;
    place.plugin("ring", &json!({"source": oci(&reference(&registry, "1"))}))?;
    place.wait_until_active("ring", &first)?;
    drop(operator);

    ensure!(flip(&place.cache().join("blobs/sha256"))? > 0, "nothing is kept");
    let operator = place.operator()?;
    runs(&place.cluster, "fetched-again")?;
    assert_eq!(place.wait_for("ring", "Fetched", "True")?, "Fetched");
    drop(operator);

    flip(&place.cache().join("blobs/sha256"))?;
    drop(registry);
    let _operator = place.operator()?;
    assert_eq!(place.wait_for("ring", "Fetched", "False")?, "Unavailable");
    assert_eq!(place.wait_for("ring", "Ready", "False")?, "Unavailable");
    Ok(())
}

#[test]
fn an_operator_that_is_killed_while_it_loads_begins_again() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let registry = Registry::start(Door::Open)?;
    place.cluster.apply(ROLE)?;
    let mut operator = place.operator()?;
    // From before the plugin is seen until after it is ready.
    for milliseconds in [0, 50, 100, 200, 400] {
        let tag = milliseconds.to_string();
        let digest = push(&registry, &tag)?;
        place.plugin("ring", &json!({"source": oci(&reference(&registry, &tag))}))?;
        sleep(Duration::from_millis(milliseconds));
        drop(operator);
        let was = text(&place.status("ring")?["active"]["digest"]);
        println!(
            "killed after {milliseconds} ms: active was {}",
            if was == digest { "the new one" } else { "another" }
        );
        operator = place.operator()?;
        place.wait_until_active("ring", &digest)?;
        place.wait_for("ring", "Ready", "True")?;
        place.wait_for("ring", "Degraded", "False")?;
        runs(&place.cluster, &format!("after-{milliseconds}"))?;
        let planned = place.cluster.get("default", &format!("ringjob/after-{milliseconds}"))?;
        assert_eq!(text(&planned["status"]["pluginDigest"]), digest);
        assert_eq!(fs::read_dir(place.cache().join("tmp"))?.count(), 0, "what was being written is gone");
    }
    Ok(())
}
