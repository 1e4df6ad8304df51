//! What certificates are good for, and until when.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

const MADE: &str = "2026-01-01T00:00:00Z";

fn made(of: &[&str]) -> Certificate {
    Certificate::read(&issue(&names(of), at(MADE)).unwrap()).unwrap()
}

#[test]
fn a_certificate_is_good_for_its_names_until_it_is_to_be_renewed() {
    let certificate = made(&["training-operator.kubeflow.svc", "127.0.0.1", "::1", "hooks.example.com"]);
    let service = "training-operator.kubeflow.svc";
    for (name, of, now, expected) in [
        ("its service, at once", vec![service], MADE, true),
        ("every name it has", vec![service, "127.0.0.1", "::1", "hooks.example.com"], MADE, true),
        ("a name it has not", vec![service, "other.kubeflow.svc"], MADE, false),
        ("an address it has not", vec!["127.0.0.2"], MADE, false),
        ("by a clock that is behind", vec![service], "2025-12-31T23:30:00Z", true),
        ("before it was made", vec![service], "2025-12-31T22:30:00Z", false),
        ("91 days before its end", vec![service], "2026-10-02T00:00:00Z", true),
        ("89 days before its end", vec![service], "2026-10-04T00:00:00Z", false),
        ("a year later", vec![service], "2027-01-02T00:00:00Z", false),
    ] {
        assert_eq!(certificate.is_good(&names(&of), at(now)), expected, "{name}");
    }
}

#[test]
fn it_has_the_lifetimes_and_names_of_v1() {
    let certificate = made(&["a.b.svc"]);
    let authority = certificate.authority(at(MADE)).unwrap();
    assert_eq!(authority.validity(), Some((at("2025-12-31T23:00:00Z"), at("2035-12-30T00:00:00Z"))));
    let server = Authority { pem: String::new(), der: certificate.key.cert[0].clone() };
    assert_eq!(server.validity(), Some((at("2025-12-31T23:00:00Z"), at("2027-01-01T00:00:00Z"))));
    for name in ["training-operator-ca", "training-operator"] {
        let is_in = |der: &[u8]| der.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(is_in(&authority.der) && is_in(&certificate.key.cert[0]), "{name}");
    }
}

#[test]
fn an_authority_is_outdated_when_its_successor_has_been_known_for_an_hour() {
    let (now, before) = (issue(&names(&["a.b.svc"]), at(MADE)).unwrap(), made(&["a.b.svc"]));
    let old = &before.authorities[0];
    let certificate = Certificate::read(&Pems { ca_crt: now.ca_crt.clone() + &old.pem, ..now }).unwrap();
    let [new, kept] = certificate.authorities.as_slice() else { panic!("{:?}", certificate.authorities) };
    assert_eq!(kept, old);
    for (name, authority, time, expected) in [
        ("the old one, soon", old, "2026-01-01T00:59:59Z", false),
        ("the old one, later", old, "2026-01-01T01:00:00Z", true),
        ("the new one", new, "2026-01-01T01:00:00Z", false),
    ] {
        assert_eq!(certificate.is_outdated(authority, at(time)), expected, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_no_certificate() {
    let (one, other) = (issue(&names(&["a"]), at(MADE)).unwrap(), issue(&names(&["a"]), at(MADE)).unwrap());
    let read = |pems: &Pems| Certificate::read(pems).is_some();
    assert!(read(&one));
    for (name, broken) in [
        ("nothing", Pems { tls_crt: String::new(), ..one.clone() }),
        ("no key", Pems { tls_key: "-----BEGIN PRIVATE KEY-----".into(), ..one.clone() }),
        ("another's key", Pems { tls_key: other.tls_key, ..one.clone() }),
    ] {
        assert!(!read(&broken), "{name}");
    }
    let stranger = Certificate::read(&Pems { ca_crt: other.ca_crt, ..one }).unwrap();
    assert!(!stranger.is_good(&names(&["a"]), at(MADE)), "another's authority");
}

/// Made as v1 makes its own, with RSA keys of 2048 bits: what is in the Secret when v1 is replaced is good, or replaced.
#[test]
fn a_certificate_of_v1_is_read() {
    let pems = Pems {
        ca_crt: include_str!("v1/ca.crt").into(),
        ca_key: String::new(),
        tls_crt: include_str!("v1/tls.crt").into(),
        tls_key: include_str!("v1/tls.key").into(),
    };
    let certificate = Certificate::read(&pems).unwrap();
    let of = names(&["training-operator.kubeflow.svc"]);
    let server = Authority { pem: String::new(), der: certificate.key.cert[0].clone() };
    let (began, ends) = server.validity().unwrap();
    assert!(certificate.is_good(&of, began));
    assert!(!certificate.is_good(&of, ends));
    assert!(certificate.authorities[0].validity().unwrap().1 > at("2100-01-01T00:00:00Z"));
}
