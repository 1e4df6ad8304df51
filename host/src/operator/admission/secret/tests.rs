//! When a certificate is made, and what happens to the one before.

use serde_json::json;

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn names() -> BTreeSet<String> {
    ["training-operator.kubeflow.svc".to_owned()].into()
}

fn made(stored: Option<&Secret>, shown: Option<&Certificate>, now: &str) -> Option<Secret> {
    renewed(stored, shown, &names(), at(now)).unwrap()
}

fn authorities(secret: &Secret) -> Vec<Authority> {
    Authority::all(&bundle(secret))
}

#[test]
fn a_certificate_is_made_where_there_is_none_that_is_good() {
    let good = made(None, None, NOW).unwrap();
    let without = |key: &str| {
        let mut secret = good.clone();
        secret.data.as_mut().unwrap().remove(key);
        secret
    };
    let other_names = renewed(Some(&good), None, &["127.0.0.1".to_owned()].into(), at(NOW)).unwrap();
    assert!(other_names.is_some(), "for other names");
    for (name, stored, now, is_made) in [
        ("no secret", None, NOW, true),
        ("an empty one, as kustomize makes it", Some(Secret::default()), NOW, true),
        ("one without a certificate", Some(without("tls.crt")), NOW, true),
        ("one without its key", Some(without("tls.key")), NOW, true),
        ("one without the authority", Some(without("ca.crt")), NOW, true),
        ("a good one", Some(good.clone()), NOW, false),
        ("one with 91 days left", Some(good.clone()), "2026-10-02T00:00:00Z", false),
        ("one with 89 days left", Some(good.clone()), "2026-10-04T00:00:00Z", true),
        ("one that is over", Some(good.clone()), "2028-01-01T00:00:00Z", true),
    ] {
        let made = made(stored.as_ref(), None, now);
        assert_eq!(made.is_some(), is_made, "{name}");
        if let Some(secret) = made {
            assert!(certificate(&secret).unwrap().is_good(&names(), at(now)), "{name}");
        }
    }
}

#[test]
fn what_else_is_in_the_secret_stays() {
    let stored = json!({
        "metadata": {"name": "cert", "labels": {"a": "b"}, "resourceVersion": "7"},
        "type": "Opaque",
        "data": {"note": "aGVsbG8=", "tls.crt": ""},
    });
    let stored: Secret = serde_json::from_value(stored).unwrap();
    let made = made(Some(&stored), None, NOW).unwrap();
    assert_eq!((&made.metadata, &made.type_), (&stored.metadata, &stored.type_));
    let keys: Vec<_> = made.data.as_ref().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "ca.key", "note", "tls.crt", "tls.key"]);
    assert_eq!(named(made, "cert").metadata.name.as_deref(), Some("cert"));
}

#[test]
fn an_authority_signs_as_long_as_it_lasts() {
    let first = made(None, None, NOW).unwrap();
    let other_names: BTreeSet<_> = names().into_iter().chain(["127.0.0.1".to_owned()]).collect();
    let second = renewed(Some(&first), None, &other_names, at(NOW)).unwrap().unwrap();
    assert_eq!(bundle(&second), bundle(&first), "for other names");
    let third = made(Some(&second), None, "2027-12-31T00:00:00Z").unwrap();
    assert_eq!(bundle(&third), bundle(&first), "for another year");
    let fourth = made(Some(&third), None, "2035-11-01T00:00:00Z").unwrap();
    let [new, kept] = authorities(&fourth).try_into().unwrap();
    assert_eq!([kept], *authorities(&first), "ten years later");
    assert_eq!(certificate(&fourth).unwrap().authority(at("2035-11-01T00:00:00Z")), Some(&new));
}

#[test]
fn the_authority_before_is_known_until_the_new_one_has_spread() {
    let mut first = made(None, None, NOW).unwrap();
    let [old] = authorities(&first).try_into().unwrap();
    first.data.as_mut().unwrap().remove("tls.key");
    first.data.as_mut().unwrap().insert("ca.key".into(), ByteString::default());
    let shown = certificate(&made(None, None, NOW).unwrap());
    let second = made(Some(&first), shown.as_ref(), NOW).unwrap();
    let [new, kept] = authorities(&second).try_into().unwrap();
    assert_eq!(Some(&kept), shown.as_ref().unwrap().authority(at(NOW)));
    assert_ne!(new, old);
    assert_eq!(made(Some(&second), None, "2026-01-01T00:30:00Z"), None, "soon after");
    let third = made(Some(&second), None, "2026-01-01T01:00:00Z").unwrap();
    assert_eq!(authorities(&third), [new], "an hour later");
    let rest = |secret: &Secret| ["ca.key", "tls.crt", "tls.key"].map(|key| secret.data.as_ref().unwrap()[key].clone());
    assert_eq!(rest(&third), rest(&second));
    assert_eq!(made(Some(&third), None, "2026-01-02T00:00:00Z"), None);
}

#[test]
fn a_deleted_secret_takes_no_authority_along_that_is_in_use() {
    let shown = certificate(&made(None, None, NOW).unwrap()).unwrap();
    let secret = made(None, Some(&shown), NOW).unwrap();
    assert_eq!(authorities(&secret).get(1), shown.authority(at(NOW)));
    let secret = made(None, Some(&shown), "2028-01-01T00:00:00Z").unwrap();
    assert_eq!(authorities(&secret).len(), 1, "one that is over helps nobody");
}

#[test]
fn a_name_that_no_certificate_can_have_is_an_error() {
    let error = renewed(None, None, &["a b".to_owned()].into(), at(NOW)).unwrap_err();
    assert_eq!(error.to_string(), "the certificate made for a b is not good for them");
    let error = renewed(None, None, &["ä".to_owned()].into(), at(NOW)).unwrap_err();
    assert_eq!(error.to_string(), "no certificate can be made for ä");
}
