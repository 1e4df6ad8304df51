//! Who stands behind an artifact: signatures as cosign makes them with a key, checked without asking anybody.
//!
//! cosign keeps them beside the artifact, under the tag `sha256-<hex>.sig` made of the digest of its manifest. Each is a
//! layer: a payload that names the digest, and in an annotation the signature of the payload. That a payload is well signed
//! says nothing yet: it has to name our artifact.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::plugin::Digest;

/// Whose signature is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody's.
    #[default]
    None,
    /// That of one of these keys: of several while they are exchanged.
    Keys(Vec<PublicKey>),
}

/// Why an artifact is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature beside it, or of another kind.
    #[error("it is not signed: there is no {tag} beside it")]
    Unsigned {
        /// Where cosign would have put it.
        tag: String,
    },
    /// There are signatures, and none of them by one of the keys.
    #[error("none of its {found} signatures is by a trusted key")]
    NotTrusted {
        /// How many were looked at.
        found: usize,
    },
    /// Well signed, but about something else.
    #[error("the signature is for {found}, not for {wanted}")]
    Other {
        /// What it is for.
        found: String,
        /// What it should be for.
        wanted: Digest,
    },
    /// A source that has no place for one.
    #[error("only artifacts of a registry can be signed; pin the digest of this one")]
    NoPlace,
    /// A key that is none.
    #[error("not a public key: {0}; it should be a PEM of type PUBLIC KEY, of ECDSA with P-256 or of Ed25519")]
    Key(&'static str),
}

/// A key with which signatures are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    EcdsaP256,
    Ed25519,
}

/// What stands before the key itself in the DER of a `SubjectPublicKeyInfo`: there is one way to write it, RFC 5480, 8410.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const ED: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

impl PublicKey {
    /// Reads `cosign.pub`.
    pub fn parse(pem: &[u8]) -> Result<Self, SignatureError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| SignatureError::Key("it is no such PEM"))?;
        let rest = |prefix, length| der.strip_prefix(prefix).filter(|rest| rest.len() == length);
        // An uncompressed point begins with a 4.
        let point = rest(P256, 65).filter(|point| point.first() == Some(&4));
        let key = |kind, bytes: &[u8]| Ok(Self { kind, bytes: bytes.to_vec() });
        match (point, rest(ED, 32)) {
            (Some(point), _) => key(Kind::EcdsaP256, point),
            (None, Some(bytes)) => key(Kind::Ed25519, bytes),
            (None, None) => Err(SignatureError::Key("it is of another algorithm")),
        }
    }

    fn has_signed(&self, payload: &[u8], signature: &[u8]) -> bool {
        let verified = match self.kind {
            Kind::EcdsaP256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.bytes).verify(payload, signature),
            Kind::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(payload, signature),
        };
        verified.is_ok()
    }
}

/// Where cosign puts the signatures of a manifest.
pub(super) fn tag(manifest: Digest) -> String {
    format!("sha256-{}.sig", manifest.hex())
}

/// The media type of a payload, and the annotation with its signature.
pub(super) const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Bytes of a payload, and how many are looked at.
pub(super) const LARGEST: u64 = 64 << 10;
pub(super) const MOST: usize = 16;

/// A payload and its signature in base64.
pub(super) struct Signed {
    pub(super) payload: Vec<u8>,
    pub(super) signature: String,
}

/// Whether one of these says, by one of the keys, that this manifest is what it should be.
pub(super) fn check(keys: &[PublicKey], signed: &[Signed], manifest: Digest) -> Result<(), SignatureError> {
    let mut error = SignatureError::NotTrusted { found: signed.len() };
    for Signed { payload, signature } in signed {
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { continue };
        if !keys.iter().any(|key| key.has_signed(payload, &signature)) {
            continue;
        }
        match serde_json::from_slice::<Payload>(payload) {
            Ok(Payload { critical }) if critical.kind == KIND && critical.image.digest == manifest.to_string() => {
                return Ok(());
            }
            Ok(Payload { critical }) => {
                let found = critical.image.digest.chars().filter(|letter| !letter.is_control()).take(80).collect();
                error = SignatureError::Other { found, wanted: manifest };
            }
            Err(_) => {}
        }
    }
    Err(error)
}

const KIND: &str = "cosign container image signature";

/// <https://github.com/containers/image/blob/main/docs/containers-signature.5.md>
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm, SigningKey as _,
    };

    use super::*;

    fn key(algorithm: &'static SignatureAlgorithm) -> (KeyPair, PublicKey) {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let public = PublicKey::parse(pair.public_key_pem().as_bytes()).unwrap();
        (pair, public)
    }

    fn sign(pair: &KeyPair, payload: &str) -> Signed {
        let signature = BASE64_STANDARD.encode(pair.sign(payload.as_bytes()).unwrap());
        Signed { payload: payload.into(), signature }
    }

    fn payload(digest: &str, kind: &str) -> String {
        let identity = serde_json::json!({"docker-reference": "registry.example/team/plugin"});
        let image = serde_json::json!({"docker-manifest-digest": digest});
        serde_json::json!({"critical": {"identity": identity, "image": image, "type": kind}, "optional": null})
            .to_string()
    }

    #[test]
    fn a_signature_counts_if_key_and_digest_fit() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let ((ours, our_key), (theirs, _), (old, old_key)) = (key(algorithm), key(algorithm), key(&PKCS_ED25519));
            let (wanted, other) = (Digest::of(b"manifest"), Digest::of(b"other"));
            let good = payload(&wanted.to_string(), KIND);
            let bad = payload(&other.to_string(), KIND);
            let altered = |mut signed: Signed| {
                signed.payload = good.clone().into_bytes();
                signed
            };
            let for_other = || SignatureError::Other { found: other.to_string(), wanted };
            for (name, signed, expected) in [
                ("ours", vec![sign(&ours, &good)], Ok(())),
                ("by the old key", vec![sign(&old, &good)], Ok(())),
                ("ours among others", vec![sign(&theirs, &good), sign(&ours, &bad), sign(&ours, &good)], Ok(())),
                ("none", vec![], Err(SignatureError::NotTrusted { found: 0 })),
                ("another's", vec![sign(&theirs, &good)], Err(SignatureError::NotTrusted { found: 1 })),
                ("ours for another digest", vec![sign(&ours, &bad)], Err(for_other())),
                (
                    "ours under another payload",
                    vec![altered(sign(&ours, &bad))],
                    Err(SignatureError::NotTrusted { found: 1 }),
                ),
                (
                    "ours of another kind",
                    vec![sign(&ours, &payload(&wanted.to_string(), "atomic container signature"))],
                    Err(SignatureError::Other { found: wanted.to_string(), wanted }),
                ),
                (
                    "no base64",
                    vec![Signed { payload: good.clone().into(), signature: "!".into() }],
                    Err(SignatureError::NotTrusted { found: 1 }),
                ),
                ("ours, no payload", vec![sign(&ours, "{}")], Err(SignatureError::NotTrusted { found: 1 })),
            ] {
                assert_eq!(check(&[our_key.clone(), old_key.clone()], &signed, wanted), expected, "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        for (pem, why) in [
            (String::new(), "it is no such PEM"),
            (p256.serialize_pem(), "it is no such PEM"),
            (p384.public_key_pem(), "it is of another algorithm"),
        ] {
            assert_eq!(PublicKey::parse(pem.as_bytes()), Err(SignatureError::Key(why)));
        }
    }
}
