//! With a Sigstore of our own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::{Policy, check};
use super::*;
use crate::plugin::Digest;
use crate::source::sigstore::Sigstore;

const ISSUER: &str = "https://accounts.example";
const WORKFLOW: &str = "https://forge.example/team/ring/release.yaml@refs/tags/v1";

fn policy(subject: &str, issuer: &str, root: &Value) -> Policy {
    Policy::Identity(Identity::new(Pattern(subject.into()), issuer.into(), root.to_string()).unwrap())
}

fn judge(policy: &Policy, bundle: &Value, manifest: Digest) -> Result<(), String> {
    let signed: Vec<_> = Signed::of_bundle(bundle.to_string().as_bytes()).into_iter().collect();
    check(policy, &signed, manifest).map_err(|error| error.to_string())
}

/// The same, but for what is at this path.
fn with(value: &Value, path: &str, other: impl Into<Value>) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(path).unwrap_or_else(|| panic!("there is no {path}")) = other.into();
    value
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

#[test]
fn who_is_named_has_to_have_signed() {
    let sigstore = Sigstore::new().unwrap();
    let root = sigstore.trusted_root().unwrap();
    let (manifest, other) = (Digest::of(b"manifest"), Digest::of(b"other"));
    let sign = |subject, issuer| sigstore.sign(subject, issuer, &manifest.hex()).unwrap();
    let (by_mail, by_workflow) = (sign("dev@team.example", ISSUER), sign(WORKFLOW, ISSUER));
    for (subject, bundle) in [
        ("dev@team.example", &by_mail),
        (WORKFLOW, &by_workflow),
        ("https://forge.example/team/ring/release.yaml@*", &by_workflow),
    ] {
        assert_eq!(judge(&policy(subject, ISSUER, &root), bundle, manifest), Ok(()), "{subject}");
    }
    let wanted = policy("dev@team.example", ISSUER, &root);
    let about_other = sigstore.sign("dev@team.example", ISSUER, &other.hex()).unwrap();
    let praise = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let attestation = sigstore.says("dev@team.example", ISSUER, &manifest.hex(), praise).unwrap();
    let by = |why: &str| format!("none of its 1 signatures is by \"dev@team.example\" of \"{ISSUER}\": {why}");
    for (name, bundle, why) in [
        ("another", &by_workflow, by(&format!("it is by {WORKFLOW:?} of {ISSUER:?}"))),
        (
            "of another issuer",
            &sign("dev@team.example", "https://accounts.other"),
            by("it is by \"dev@team.example\" of \"https://accounts.other\""),
        ),
        (
            "with more behind",
            &sign("dev@team.example.org", ISSUER),
            by(&format!("it is by \"dev@team.example.org\" of {ISSUER:?}")),
        ),
        ("about something else", &about_other, format!("the signature is for {other}, not for {manifest}")),
        ("no signature", &attestation, by("it is not about an artifact")),
    ] {
        assert_eq!(judge(&wanted, bundle, manifest), Err(why), "{name}");
    }
    let stranger = Sigstore::new().unwrap().sign("dev@team.example", ISSUER, &manifest.hex()).unwrap();
    assert!(judge(&wanted, &stranger, manifest).unwrap_err().contains("log"), "of another Sigstore");
}

/// Each part stands for something that an attacker could do without, were it not looked at.
#[test]
fn no_part_of_a_bundle_can_be_missed_or_exchanged() {
    let sigstore = Sigstore::new().unwrap();
    let root = sigstore.trusted_root().unwrap();
    let manifest = Digest::of(b"manifest");
    let policy = policy("dev@team.example", ISSUER, &root);
    let good = sigstore.sign("dev@team.example", ISSUER, &manifest.hex()).unwrap();
    let other = sigstore.sign("dev@team.example", ISSUER, &Digest::of(b"other").hex()).unwrap();
    assert_eq!(judge(&policy, &good, manifest), Ok(()));
    let at = |path: &str| format!("{ENTRY}{path}");
    let swapped = |path: &str| with(&good, path, other.pointer(path).unwrap().clone());
    let (promise, proof) = (at("/inclusionPromise"), at("/inclusionProof"));
    for (path, bundle, why) in [
        ("payload", swapped("/dsseEnvelope/payload"), "invalid signature"),
        ("signature", swapped("/dsseEnvelope/signatures/0/sig"), "invalid signature"),
        ("certificate", swapped("/verificationMaterial/certificate"), "invalid signature"),
        ("entry", swapped(ENTRY), "log entry does not match the bundle"),
        ("no entry", with(&good, "/verificationMaterial/tlogEntries", json!([])), "must have an inclusion proof"),
        ("body", swapped(&at("/canonicalizedBody")), "invalid inclusion promise"),
        ("time", with(&good, &at("/integratedTime"), "1704110401"), "invalid inclusion promise"),
        ("no promise", with(&good, &promise, Value::Null), "no verified timestamp"),
        ("promise", swapped(&promise), "invalid inclusion promise"),
        ("no proof", with(&good, &proof, Value::Null), "must have an inclusion proof"),
        ("proof", swapped(&proof), "invalid inclusion proof"),
        ("root", swapped(&format!("{proof}/rootHash")), "does not match checkpoint"),
        ("checkpoint", swapped(&format!("{proof}/checkpoint")), "does not match checkpoint"),
        ("log", with(&good, &at("/logId/keyId"), BASE64_STANDARD.encode([0; 32])), "No log key"),
        ("media type", with(&good, "/mediaType", "application/json"), "Invalid media type"),
    ] {
        let told = judge(&policy, &bundle, manifest).unwrap_err();
        assert!(told.contains(why), "{path}: {told}");
    }
}

#[test]
fn a_trusted_root_says_what_is_asked_for() {
    let sigstore = Sigstore::new().unwrap();
    let (root, stranger) = (sigstore.trusted_root().unwrap(), Sigstore::new().unwrap().trusted_root().unwrap());
    let manifest = Digest::of(b"manifest");
    let good = sigstore.sign("dev@team.example", ISSUER, &manifest.hex()).unwrap();
    let judge = |root: &Value| judge(&policy("dev@team.example", ISSUER, root), &good, manifest);
    let swapped = |path: &str| with(&root, path, stranger.pointer(path).unwrap().clone());
    assert_eq!(judge(&with(&root, "/ctlogs", json!([]))), Ok(()), "without a log of certificates none is asked for");
    let later = "2025-01-01T00:00:00Z";
    for (name, root, why) in [
        ("another authority", swapped("/certificateAuthorities"), "certificate chain is invalid"),
        ("another log", swapped("/tlogs"), "No log key"),
        ("another log of certificates", swapped("/ctlogs"), "invalid signed certificate timestamp"),
        (
            "an authority of another time",
            with(&root, "/certificateAuthorities/0/validFor/start", later),
            "no trusted certificate authority is valid at 2024-01-01T12:00:00Z",
        ),
        ("a log of another time", with(&root, "/tlogs/0/publicKey/validFor/start", later), "No log key"),
    ] {
        let told = judge(&root).unwrap_err();
        assert!(told.contains(why), "{name}: {told}");
    }
    for (name, root, why) in [
        ("nothing", String::new(), "EOF while parsing"),
        ("no authority", with(&root, "/certificateAuthorities", json!([])).to_string(), "no certificate authority"),
        ("no clock", with(&root, "/tlogs", json!([])).to_string(), "neither a transparency log nor a timestamp"),
        (
            "a broken key",
            with(&root, "/tlogs/0/publicKey/rawBytes", BASE64_STANDARD.encode("key")).to_string(),
            "not a trusted root",
        ),
    ] {
        let error = Identity::new(Pattern("*".into()), ISSUER.into(), root).unwrap_err().to_string();
        assert!(error.starts_with("not a trusted root of Sigstore: ") && error.contains(why), "{name}: {error}");
    }
}
