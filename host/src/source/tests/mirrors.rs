//! Mirrors: asked first, believed no more than others, and never the last word.

use super::*;

async fn mirrored() -> (Rig, Liar) {
    let (mut rig, mirror) = (Rig::new().await, Liar::start().await);
    rig.access.mirrors = vec![format!("http://{}", mirror.host()).parse().unwrap()];
    (rig, mirror)
}

#[tokio::test]
async fn mirrors_are_asked_first_and_believed_no_more() {
    let mut rig = Rig::new().await;
    let (lying, honest, down) = (Liar::start().await, Liar::start().await, Liar::start().await);
    lying.has("a", "1", COMPONENT);
    lying.answers(&format!("/v2/a/blobs/{}", Digest::of(COMPONENT)), Answer::Bytes(b"other".to_vec()));
    honest.has("a", "1", COMPONENT);
    down.stop().await;
    rig.access.mirrors = [&down, &lying, &honest].map(|liar| format!("http://{}", liar.host()).parse().unwrap()).into();
    assert_eq!(rig.fetch(":1").await.unwrap().component, COMPONENT);
    let blob = format!("GET /v2/a/blobs/{}", Digest::of(COMPONENT));
    assert_eq!(lying.asked(), ["GET /v2/a/manifests/1", &blob]);
    assert_eq!(honest.asked(), [&*blob]);
    assert_eq!(rig.liar.asked(), [""; 0]);
    rig.liar.has("a", "2", b"only in the registry");
    assert_eq!(rig.fetch(":2").await.unwrap().component, b"only in the registry");
}

#[tokio::test]
async fn a_mirror_that_knows_nothing_of_a_tag_is_not_the_last_word() {
    for (name, answer) in [
        ("not found", Answer::Status(404)),
        ("forbidden", Answer::Status(403)),
        ("a page for people", Answer::Bytes(b"<html>Welcome to the proxy</html>".into())),
        ("JSON of another kind", Answer::Bytes(br#"{"errors": []}"#.into())),
        ("nothing", Answer::Bytes(vec![])),
    ] {
        let (rig, mirror) = mirrored().await;
        mirror.answers("/v2/a/manifests/1", answer);
        assert_eq!(rig.fetch(":1").await.unwrap().component, COMPONENT, "{name}");
        assert_eq!(mirror.asked().first().map(String::as_str), Some("GET /v2/a/manifests/1"), "{name}");
    }
}

#[tokio::test]
async fn a_mirror_without_the_signature_is_not_the_last_word() {
    let [ours, theirs] = [(), ()].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let empty = || Answer::Bytes(br#"{"schemaVersion": 2, "manifests": []}"#.into());
    for (name, referrers, tag) in [
        ("no list", Answer::Status(404), Answer::Status(404)),
        ("an empty list", empty(), Answer::Status(404)),
        ("a page for people", Answer::Bytes(b"<html>".into()), Answer::Bytes(b"<html>".into())),
        ("trouble", Answer::Status(503), Answer::Status(403)),
    ] {
        let (mut rig, mirror) = mirrored().await;
        mirror.has("a", "1", COMPONENT);
        let manifest = Digest::of(&mirror.manifest_of("a", "1"));
        mirror.answers(&format!("/v2/a/referrers/{manifest}"), referrers);
        mirror.answers(&format!("/v2/a/manifests/{}", signature::tag(manifest)), tag);
        rig.demand.signature = Policy::Keys(vec![PublicKey::parse(ours.public_key_pem().as_bytes()).unwrap()]);
        let unsigned =
            format!("signature: it is not signed: beside it is neither {} nor a bundle", signature::tag(manifest));
        assert_eq!(rig.fault(":1").await, ("Signature", unsigned), "{name}: the registry has the last word");
        rig.sign(&theirs, manifest, manifest);
        assert_eq!(rig.fault(":1").await.0, "Signature", "{name}");
        rig.sign(&ours, manifest, manifest);
        assert_eq!(rig.fetch(":1").await.unwrap().component, COMPONENT, "{name}");
    }
}
