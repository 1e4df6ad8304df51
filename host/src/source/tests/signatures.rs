//! Signatures: where they are kept, what is beside them, and what is remembered of them.

use trainyard_core::grants::Pattern;

use super::*;
use crate::source::sigstore::Sigstore;

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A key, and a rig that wants its signature.
async fn rig() -> (KeyPair, Rig, Digest) {
    let mut rig = Rig::new().await;
    let key = new_key();
    rig.demand.signature = Policy::Keys(vec![PublicKey::parse(key.public_key_pem().as_bytes()).unwrap()]);
    let manifest = Digest::of(&rig.liar.manifest_of("a", "1"));
    (key, rig, manifest)
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn is(mut listed: Value, artifact_type: &str) -> Value {
    listed["artifactType"] = artifact_type.into();
    listed
}

#[tokio::test]
async fn only_what_is_signed_for_itself_by_a_trusted_key_is_fetched() {
    let mut rig = Rig::new().await;
    let [ours, theirs] = [(), ()].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let manifest = Digest::of(&rig.liar.manifest_of("a", "1"));
    let other = Digest::of(b"other");
    let public = PublicKey::parse(ours.public_key_pem().as_bytes()).unwrap();
    rig.demand.signature = Policy::Keys(vec![public]);
    let tag = signature::tag(manifest);
    let unsigned = format!("signature: it is not signed: beside it is neither {tag} nor a bundle");
    assert_eq!(rig.fault(":1").await, ("Signature", unsigned));
    rig.sign(&theirs, manifest, manifest);
    let untrusted = "signature: none of its 1 signatures is by a trusted key".to_owned();
    assert_eq!(rig.fault(":1").await, ("Signature", untrusted));
    rig.sign(&ours, manifest, other);
    let another = format!("signature: the signature is for {other}, not for {manifest}");
    assert_eq!(rig.fault(":1").await, ("Signature", another));
    assert!(!rig.has_kept(COMPONENT), "no byte is fetched of what is not trusted");
    rig.sign(&ours, manifest, manifest);
    assert_eq!(rig.fetch(":1").await.unwrap().digest, Digest::of(COMPONENT));
    rig.liar.stop().await;
    assert_eq!(rig.fetch(":1").await.unwrap().freshness, Freshness::Remembered, "signatures are remembered, too");
    let public = PublicKey::parse(theirs.public_key_pem().as_bytes()).unwrap();
    rig.demand.signature = Policy::Keys(vec![public]);
    assert_eq!(rig.fault(":1").await.0, "Unavailable", "and checked with the keys of today");
}

#[tokio::test]
async fn bundles_are_found_where_registries_and_clients_list_them() {
    type Path = fn(Digest) -> String;
    let by_registry: Path = |manifest| format!("/v2/a/referrers/{manifest}");
    let by_clients: Path = |manifest| format!("/v2/a/manifests/sha256-{}", manifest.hex());
    for (name, list, artifact_type) in [
        ("by the registry", by_registry, Some(BUNDLE)),
        ("by clients", by_clients, Some(BUNDLE)),
        ("by clients that write the type of the config", by_clients, Some(EMPTY)),
        ("by clients that write no type", by_clients, None),
    ] {
        let (ours, rig, manifest) = rig().await;
        let listed = |key: &KeyPair| {
            let bundle = rig.bundle(key, manifest);
            let others = is(named(manifest::MANIFEST, b"a list of parts"), "application/spdx+json");
            [others, artifact_type.map_or(bundle.clone(), |artifact_type| is(bundle, artifact_type))]
        };
        rig.lists(&list(manifest), &listed(&new_key()));
        let untrusted = "signature: none of its 1 signatures is by a trusted key".to_owned();
        assert_eq!(rig.fault(":1").await, ("Signature", untrusted), "{name}");
        rig.lists(&list(manifest), &listed(&ours));
        assert_eq!(rig.fetch(":1").await.unwrap().digest, Digest::of(COMPONENT), "{name}");
        rig.liar.stop().await;
        assert_eq!(rig.fetch(":1").await.unwrap().freshness, Freshness::Remembered, "{name}");
    }
}

#[tokio::test]
async fn what_is_signed_without_a_key_is_found_as_all_bundles() {
    let (key, mut rig, manifest) = rig().await;
    let (sigstore, issuer) = (Sigstore::new().unwrap(), "https://accounts.example");
    let root = sigstore.trusted_root().unwrap().to_string();
    let identity = Identity::new(Pattern("dev@team.example".into()), issuer.into(), root).unwrap();
    rig.demand.signature = Policy::Identity(identity);
    let signed = |who: &str| is(rig.keeps(&sigstore.sign(who, issuer, &manifest.hex()).unwrap()), BUNDLE);
    let list = format!("/v2/a/referrers/{manifest}");
    rig.sign(&key, manifest, manifest);
    rig.lists(&list, &[is(rig.bundle(&key, manifest), BUNDLE)]);
    let (reason, text) = rig.fault(":1").await;
    assert_eq!(reason, "Signature", "a key is nobody: {text}");
    rig.lists(&list, &[signed("ops@team.example"), signed("dev@team.example")]);
    assert_eq!(rig.fetch(":1").await.unwrap().digest, Digest::of(COMPONENT));
    rig.liar.stop().await;
    assert_eq!(rig.fetch(":1").await.unwrap().freshness, Freshness::Remembered);
}

#[tokio::test]
async fn an_empty_list_of_the_registry_hides_none_of_clients() {
    let (ours, rig, manifest) = rig().await;
    rig.lists(&format!("/v2/a/referrers/{manifest}"), &[]);
    let bundle = rig.bundle(&ours, manifest);
    rig.lists(&format!("/v2/a/manifests/sha256-{}", manifest.hex()), &[is(bundle, BUNDLE)]);
    assert_eq!(rig.fetch(":1").await.unwrap().digest, Digest::of(COMPONENT));
}

#[tokio::test]
async fn what_cannot_be_used_hides_no_good_signature() {
    let bad = |rig: &Rig| {
        let broken = b"no manifest".as_slice();
        rig.liar.has_manifest("a", "broken", broken);
        let without = json!({"schemaVersion": 2, "layers": [named(BUNDLE, b"gone")]}).to_string();
        rig.liar.has_manifest("a", "without", without.as_bytes());
        let noise = json!({"schemaVersion": 2, "layers": [named(BUNDLE, b"noise")]}).to_string();
        rig.liar.has_manifest("a", "noise", noise.as_bytes());
        rig.liar.has_blob("a", b"noise");
        let lying = json!({"schemaVersion": 2, "layers": [named(BUNDLE, b"lying")]}).to_string();
        rig.liar.has_manifest("a", "lying", lying.as_bytes());
        rig.liar.answers(&format!("/v2/a/blobs/{}", Digest::of(b"lying")), Answer::Bytes(b"LYING".into()));
        let mut sha512 = named(manifest::MANIFEST, b"");
        sha512["digest"] = "sha512:12".into();
        let mut large = named(manifest::MANIFEST, b"large");
        large["size"] = (1 << 30).into();
        let all = [broken, without.as_bytes(), noise.as_bytes(), lying.as_bytes(), b"not there"];
        let named = all.map(|bytes| named(manifest::MANIFEST, bytes)).into_iter();
        named.chain([sha512, large]).map(|bad| is(bad, BUNDLE)).collect::<Vec<_>>()
    };
    let (ours, rig, manifest) = rig().await;
    let list = format!("/v2/a/referrers/{manifest}");
    for each in bad(&rig) {
        rig.lists(&list, std::slice::from_ref(&each));
        let (reason, text) = rig.fault(":1").await;
        assert_eq!(reason, "Signature", "{each}: {text}");
        let good = is(rig.bundle(&ours, manifest), BUNDLE);
        rig.lists(&list, &[json!("no descriptor"), each.clone(), good]);
        assert_eq!(rig.fetch(":1").await.unwrap().digest, Digest::of(COMPONENT), "{each}");
        fs::remove_dir_all(rig.folder.path().join("refs")).unwrap();
    }
    rig.lists(&list, &bad(&rig));
    let (_, text) = rig.fault(":1").await;
    let why = "signature: no signature beside it can be read: not a plugin: its manifest is broken: ";
    assert!(text.starts_with(why), "{text}");
    let down = named(BUNDLE, b"down");
    let listed = json!({"schemaVersion": 2, "layers": [down]}).to_string();
    rig.liar.has_manifest("a", "down", listed.as_bytes());
    rig.liar.answers(&format!("/v2/a/blobs/{}", Digest::of(b"down")), Answer::Status(503));
    let unavailable = is(named(manifest::MANIFEST, listed.as_bytes()), BUNDLE);
    rig.lists(&list, &[bad(&rig), vec![unavailable]].concat());
    assert_eq!(rig.fault(":1").await.0, "Unavailable", "it may have been the good one");
}

#[tokio::test]
async fn a_registry_that_lists_without_end_is_not_followed() {
    let (ours, rig, manifest) = rig().await;
    let theirs = new_key();
    let listed = (0..80).map(|number| {
        let mut bundle = rig.bundle(&theirs, manifest);
        bundle["annotations"] = json!({"number": number.to_string()});
        is(bundle, BUNDLE)
    });
    let mut listed: Vec<_> = listed.collect();
    listed.push(is(rig.bundle(&ours, manifest), BUNDLE));
    rig.lists(&format!("/v2/a/referrers/{manifest}"), &listed);
    let (reason, text) = rig.fault(":1").await;
    assert_eq!((reason, &*text), ("Signature", "signature: none of its 64 signatures is by a trusted key"));
    assert!(rig.liar.asked().len() < 150);
}

#[tokio::test]
async fn a_signature_is_remembered_by_what_it_signs() {
    let (ours, rig, manifest) = rig().await;
    rig.sign(&ours, manifest, manifest);
    let signed = rig.fetch(":1").await.unwrap();
    // Somebody moves the tag, and takes the signature away.
    rig.liar.has("a", "2", b"what an attacker puts there");
    let moved = rig.liar.manifest_of("a", "2");
    let before = rig.liar.manifest_of("a", "1");
    rig.liar.answers("/v2/a/manifests/1", Answer::Bytes(moved));
    rig.liar.answers(&format!("/v2/a/manifests/{}", signature::tag(manifest)), Answer::Status(404));
    assert_eq!(rig.fault(":1").await.0, "Signature");
    assert_eq!(rig.fetch(&format!("@{manifest}")).await.unwrap(), signed, "what was good is good");
    rig.liar.has_manifest("a", "3", &before);
    assert_eq!(rig.fetch(":3").await.unwrap(), signed, "under whatever tag");
    rig.liar.stop().await;
    let remembered = Fetched { freshness: Freshness::Remembered, ..signed };
    assert_eq!(rig.fetch(":1").await.unwrap(), remembered, "the tag was never believed to be the other");
}
