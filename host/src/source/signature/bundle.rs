//! Signatures as cosign makes them since version 3: a bundle of Sigstore with a statement of in-toto in an envelope (DSSE).
//!
//! Who has the public key needs nothing else that a bundle holds: no certificate, no entry of a transparency log. Who has
//! not finds that in it, too.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use trainyard_core::json::{items, text};

use super::Signed;

/// Media types of bundles begin so; a version follows.
pub(in crate::source) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.";

const STATEMENT: &str = "application/vnd.in-toto+json";
/// What `cosign sign` says. Of attestations the same key may make many, and not all of them are praise.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

impl Signed {
    /// What is in a bundle.
    pub(in crate::source) fn of_bundle(bundle: &[u8]) -> Option<Self> {
        let Bundle { dsse_envelope: Envelope { payload, payload_type, signatures } } =
            serde_json::from_slice(bundle).ok()?;
        let payload = BASE64_STANDARD.decode(payload).ok()?;
        let [signature] = &*signatures else { return None };
        let signature = BASE64_STANDARD.decode(&signature.sig).ok()?;
        // https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
        let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
        let about = if payload_type == STATEMENT { about(&payload) } else { Vec::new() };
        let bundle = str::from_utf8(bundle).ok().map(ToOwned::to_owned);
        Some(Self { message: [head.as_bytes(), &payload].concat(), signature, about, bundle })
    }
}

fn about(statement: &[u8]) -> Vec<String> {
    let Ok(statement) = serde_json::from_slice::<Value>(statement) else { return Vec::new() };
    if text(&statement, "/predicateType") != SIGNED {
        return Vec::new();
    }
    let digests = items(&statement, "/subject").iter().map(|subject| text(subject, "/digest/sha256"));
    digests.filter(|digest| !digest.is_empty()).map(|digest| format!("sha256:{digest}")).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
    use serde_json::json;

    use super::super::{Policy, PublicKey, SignatureError, check};
    use super::*;
    use crate::plugin::Digest;

    fn bundle(key: &KeyPair, statement: &Value, payload_type: &str) -> Vec<u8> {
        let statement = statement.to_string();
        let message = format!("DSSEv1 {} {payload_type} {} {statement}", payload_type.len(), statement.len());
        let signature = BASE64_STANDARD.encode(key.sign(message.as_bytes()).unwrap());
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": BASE64_STANDARD.encode(statement),
                "payloadType": payload_type,
                "signatures": [{"sig": signature}],
            },
        });
        bundle.to_string().into_bytes()
    }

    fn statement(digest: Digest, predicate: &str) -> Value {
        let subject = json!([{"digest": {"sha256": digest.hex()}}]);
        json!({"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicate, "predicate": {}})
    }

    #[test]
    fn a_bundle_counts_if_key_digest_and_predicate_fit() {
        let [ours, theirs] = [(), ()].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        let key = PublicKey::parse(ours.public_key_pem().as_bytes()).unwrap();
        let (wanted, other) = (Digest::of(b"manifest"), Digest::of(b"other"));
        let good = statement(wanted, SIGNED);
        let untrusted = Err(SignatureError::NotTrusted { found: 1 });
        for (name, bundle, expected) in [
            ("ours", bundle(&ours, &good, STATEMENT), Ok(())),
            ("another's", bundle(&theirs, &good, STATEMENT), untrusted.clone()),
            ("ours, of another type", bundle(&ours, &good, "text/plain"), untrusted.clone()),
            (
                "ours for another digest",
                bundle(&ours, &statement(other, SIGNED), STATEMENT),
                Err(SignatureError::Other { found: other.to_string(), wanted }),
            ),
            (
                "an attestation",
                bundle(&ours, &statement(wanted, "https://cosign.sigstore.dev/attestation/vuln/v1"), STATEMENT),
                untrusted,
            ),
        ] {
            let signed = Signed::of_bundle(&bundle).unwrap();
            assert_eq!(check(&Policy::Keys(vec![key.clone()]), &[signed], wanted), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_bundle_is_none() {
        for bundle in [&b""[..], b"{}", br#"{"dsseEnvelope": {"payload": "!", "payloadType": "", "signatures": []}}"#] {
            assert!(Signed::of_bundle(bundle).is_none(), "{}", bundle.escape_ascii());
        }
    }
}
