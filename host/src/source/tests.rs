//! Sources and their lies: whatever a registry does, what is fetched is what was meant, or there is an error that says why.

mod liar;
mod local;
mod login;
mod mirrors;
mod signatures;
mod trouble;

use std::fs;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::liar::{Answer, Liar};
use super::*;
use crate::plugin::Digest;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 a component";

/// A registry, a cache, and what is fetched from one into the other.
struct Rig {
    liar: Liar,
    folder: TempDir,
    access: Access,
    demand: Demand,
}

impl Rig {
    /// An honest registry with one component under `a:1`.
    async fn new() -> Self {
        let liar = Liar::start().await;
        liar.has("a", "1", COMPONENT);
        let access = Access { plain_http: true, ..Access::default() };
        Self { liar, folder: tempfile::tempdir().unwrap(), access, demand: Demand::default() }
    }

    async fn fetch(&self, version: &str) -> Result<Fetched, SourceError> {
        let reference: Reference = format!("{}/a{version}", self.liar.host()).parse().unwrap();
        let cache = Arc::new(Cache::open(self.folder.path(), 1 << 30).unwrap());
        let (source, demand, access) = (Source::Oci(reference), self.demand.clone(), self.access.clone());
        // As the operator does: in a task of its own.
        let fetched = tokio::spawn(async move { fetch(&source, &demand, &access, Some(&cache), &|_| {}).await });
        let fetched = fetched.await.unwrap();
        self.assert_the_cache_tells_the_truth();
        fetched
    }

    async fn fault(&self, version: &str) -> (&'static str, String) {
        let error = self.fetch(version).await.unwrap_err();
        let text = error.to_string();
        let (from, text) = text.split_at(error.from.len());
        assert!(from.starts_with(self.liar.host()), "{from}");
        (error.fault.reason(), text.trim_start_matches(": ").to_owned())
    }

    fn assert_the_cache_tells_the_truth(&self) {
        for entry in fs::read_dir(self.folder.path().join("blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let hash = Digest::of(&fs::read(&path).unwrap()).hex();
            assert_eq!(path.file_name().unwrap().to_str(), Some(&*hash), "a file under a wrong name");
        }
        assert_eq!(fs::read_dir(self.folder.path().join("tmp")).unwrap().count(), 0, "half a file");
    }

    fn has_kept(&self, bytes: &[u8]) -> bool {
        self.folder.path().join("blobs/sha256").join(Digest::of(bytes).hex()).exists()
    }

    /// A bundle as cosign 3 makes it, and how a list names it, but for what it is.
    fn bundle(&self, key: &KeyPair, signed: Digest) -> Value {
        let statement = json!({
            "subject": [{"digest": {"sha256": signed.hex()}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
        });
        let (statement, kind) = (statement.to_string(), "application/vnd.in-toto+json");
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let [payload, signature] = [statement.into_bytes(), key.sign(message.as_bytes()).unwrap()]
            .map(|bytes| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes));
        let envelope = json!({"payload": payload, "payloadType": kind, "signatures": [{"sig": signature}]});
        self.keeps(&json!({"dsseEnvelope": envelope}))
    }

    /// A bundle beside the rest, and how a list names it.
    fn keeps(&self, bundle: &Value) -> Value {
        let bundle = bundle.to_string().into_bytes();
        let manifest = json!({"schemaVersion": 2, "layers": [named(BUNDLE, &bundle)]}).to_string().into_bytes();
        self.liar.has_blob("a", &bundle);
        self.liar.has_manifest("a", "bundle", &manifest);
        named(manifest::MANIFEST, &manifest)
    }

    fn lists(&self, path: &str, listed: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": listed});
        self.liar.answers(path, Answer::Bytes(index.to_string().into_bytes()));
    }

    fn sign(&self, key: &KeyPair, signed: Digest, claimed: Digest) {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": ""},
                "image": {"docker-manifest-digest": claimed.to_string()},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key.sign(&payload).unwrap());
        let manifest = json!({"schemaVersion": 2, "layers": [{
            "mediaType": signature::PAYLOAD,
            "digest": Digest::of(&payload).to_string(),
            "size": payload.len(),
            "annotations": {signature::ANNOTATION: signature},
        }]});
        self.liar.has_blob("a", &payload);
        self.liar.has_manifest("a", &signature::tag(signed), manifest.to_string().as_bytes());
    }
}

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn named(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

fn short(patience: Patience) -> Access {
    Access { plain_http: true, patience, ..Access::default() }
}

const PATIENT: Patience =
    Patience { connect: Duration::from_secs(20), stall: Duration::from_secs(20), whole: Duration::from_secs(40) };

#[tokio::test]
async fn an_artifact_is_fetched_once() {
    let rig = Rig::new().await;
    let manifest = rig.liar.manifest_of("a", "1");
    let fetched = rig.fetch(":1").await.unwrap();
    let expected = Fetched {
        component: COMPONENT.into(),
        digest: Digest::of(COMPONENT),
        manifest: Some(Digest::of(&manifest)),
        freshness: Freshness::Current,
    };
    assert_eq!(fetched, expected);
    let blob = format!("GET /v2/a/blobs/{}", Digest::of(COMPONENT));
    assert_eq!(rig.liar.asked(), ["GET /v2/a/manifests/1", &blob]);
    assert_eq!(rig.fetch(":1").await.unwrap(), expected);
    assert_eq!(rig.liar.asked(), ["GET /v2/a/manifests/1"], "a tag is looked up, the rest is here");
    assert_eq!(rig.fetch(&format!("@{}", Digest::of(&manifest))).await.unwrap(), expected);
    assert_eq!(rig.liar.asked(), [""; 0], "a digest means one thing for ever");
}

#[tokio::test]
async fn what_is_not_what_it_is_called_is_refused() {
    let rig = Rig::new().await;
    let (blob, manifest) = (Digest::of(COMPONENT), rig.liar.manifest_of("a", "1"));
    let digest = Digest::of(&manifest);
    let other = Digest::of(b"other");

    rig.liar.answers(&format!("/v2/a/blobs/{blob}"), Answer::Bytes(b"other".to_vec()));
    let message = format!("digest mismatch: the component is {other}, wanted {blob}");
    assert_eq!(rig.fault(":1").await, ("DigestMismatch", message));
    assert!(!rig.has_kept(b"other"));

    rig.liar.answers(&format!("/v2/a/manifests/{other}"), Answer::Bytes(manifest));
    let message = format!("digest mismatch: the manifest is {digest}, wanted {other}");
    assert_eq!(rig.fault(&format!("@{other}")).await, ("DigestMismatch", message));

    rig.liar.has("a", "1", COMPONENT);
    let rig = Rig { demand: Demand { digest: Some(other), ..Demand::default() }, ..rig };
    let message = format!("digest mismatch: the component is {blob}, wanted {other}");
    assert_eq!(rig.fault(":1").await, ("DigestMismatch", message));
    assert!(!rig.has_kept(COMPONENT), "refused before it was fetched");

    let rig = Rig { demand: Demand { digest: Some(digest), ..Demand::default() }, ..rig };
    let message = format!(
        "{digest} is the digest of the manifest, and belongs into the reference, after @; that of the component is {blob}"
    );
    assert_eq!(rig.fault(":1").await, ("Configuration", message));
    let rig = Rig { demand: Demand { digest: Some(blob), ..Demand::default() }, ..rig };
    assert_eq!(rig.fetch(":1").await.unwrap().digest, blob);
}

#[tokio::test]
async fn a_tag_that_moves_while_we_fetch_is_what_it_was() {
    let mut rig = Rig::new().await;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let before = rig.liar.manifest_of("a", "1");
    rig.liar.has("a", "2", b"what an attacker puts there");
    let after = rig.liar.manifest_of("a", "2");
    rig.sign(&key, Digest::of(&before), Digest::of(&before));
    rig.liar.answers("/v2/a/manifests/1", Answer::OneAfterTheOther(vec![before.clone(), after]));
    let public = PublicKey::parse(key.public_key_pem().as_bytes()).unwrap();
    rig.demand.signature = Policy::Keys(vec![public]);
    let fetched = rig.fetch(":1").await.unwrap();
    assert_eq!((fetched.digest, fetched.manifest), (Digest::of(COMPONENT), Some(Digest::of(&before))));
    let lookups = rig.liar.asked().into_iter().filter(|asked| asked.ends_with("/manifests/1")).count();
    assert_eq!(lookups, 1, "a tag is looked up once");
    let tag = signature::tag(Digest::of(&rig.liar.manifest_of("a", "2")));
    let message = format!("signature: it is not signed: beside it is neither {tag} nor a bundle");
    assert_eq!(rig.fault(":1").await, ("Signature", message), "what it is now is not signed");
    assert!(!rig.has_kept(b"what an attacker puts there"));
}

#[tokio::test]
async fn no_answer_is_longer_than_what_is_asked_for() {
    let rig = Rig::new().await;
    let blob = format!("/v2/a/blobs/{}", Digest::of(COMPONENT));
    for (name, path, version, message) in [
        ("a blob", &*blob, ":1", "too large: the component has more than 20 bytes".to_owned()),
        ("a manifest", "/v2/a/manifests/2", ":2", "too large: the manifest has more than 1048576 bytes".to_owned()),
    ] {
        rig.liar.answers(path, Answer::Endless(200));
        assert_eq!(rig.fault(version).await, ("TooLarge", message), "{name}");
    }
    rig.liar.answers("/v2/a/manifests/3", Answer::Endless(500));
    let message = "unavailable: 500 Internal Server Error".to_owned();
    assert_eq!(rig.fault(":3").await, ("Unavailable", message), "an error");
    rig.liar.answers(
        "/v2/a/manifests/4",
        Answer::Bytes(
            br#"{"schemaVersion": 2, "layers": [{"mediaType":
        "application/wasm", "size": 33554433, "digest":
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#
                .to_vec(),
        ),
    );
    let message = "too large: the component has more than 33554432 bytes".to_owned();
    assert_eq!(rig.fault(":4").await, ("TooLarge", message), "by its own word");
}

#[tokio::test]
async fn nobody_keeps_us_waiting() {
    let mut rig = Rig::new().await;
    let blob = format!("/v2/a/blobs/{}", Digest::of(COMPONENT));
    let moment = Duration::from_millis(50);
    rig.liar.answers(&blob, Answer::Silence);
    rig.access = short(Patience { stall: moment, ..PATIENT });
    assert_eq!(rig.fault(":1").await, ("Timeout", "timeout: the component took longer than 50ms".into()), "silence");
    rig.liar.answers(&blob, Answer::Drip);
    rig.access = short(Patience { whole: moment * 8, ..PATIENT });
    let (reason, _) = rig.fault(":1").await;
    assert_eq!(reason, "Timeout", "a byte now and then");
    rig.liar.answers("/v2/a/manifests/1", Answer::Drip);
    assert_eq!(rig.fault(":1").await, ("Timeout", "timeout: an answer took longer than 100ms".into()), "of a manifest");
}

#[tokio::test]
async fn other_artifacts_are_no_plugins() {
    let rig = Rig::new().await;
    let manifest: Value = serde_json::from_slice(&rig.liar.manifest_of("a", "1")).unwrap();
    let layer = &manifest["layers"][0];
    for (manifest, message) in [
        (
            json!({"schemaVersion": 2, "layers": [layer, layer]}),
            "not a plugin: it has 2 layers, and not the one that is a component",
        ),
        (
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [layer]}),
            &format!("not a plugin: it is an index of several artifacts; name one of them: {}", Digest::of(COMPONENT)),
        ),
        (
            json!("<html>"),
            "not a plugin: its manifest is broken: invalid type: string \"<html>\", expected struct Manifest at line 1 column 8",
        ),
    ] {
        rig.liar.has_manifest("a", "2", manifest.to_string().as_bytes());
        assert_eq!(rig.fault(":2").await, ("NotAPlugin", message.to_owned()));
    }
}
