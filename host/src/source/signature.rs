//! Who stands behind an artifact: signatures as cosign makes them, with a key or without, checked without asking anybody.
//!
//! cosign keeps them beside the artifact, in one of two ways: under the tag `sha256-<hex>.sig`, made of the digest of its
//! manifest, a layer for each signature with a payload that names the digest; or, since version 3, as bundles that refer to
//! the manifest. That something is well signed says nothing yet: it has to be about our artifact.

mod bundle;
mod crypto;
mod identity;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Digest as _, Sha512, VerifyingKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::plugin::{Digest, one_line};

/// Whose signature is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody's.
    #[default]
    None,
    /// That of one of these keys: of several while they are exchanged.
    Keys(Vec<PublicKey>),
    /// That of somebody whom an issuer of identities knows.
    Identity(Identity),
}

/// Why an artifact is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature beside it, or of another kind.
    #[error("it is not signed: beside it is neither {tag} nor a bundle")]
    Unsigned {
        /// Where cosign would have put it.
        tag: String,
    },
    /// There is something where signatures are.
    #[error("no signature beside it can be read: {0}")]
    Unreadable(String),
    /// There are signatures, and none of them by one of the keys.
    #[error("none of its {found} signatures is by a trusted key")]
    NotTrusted {
        /// How many were looked at.
        found: usize,
    },
    /// There are signatures, and none of them by whom it should be.
    #[error("none of its {found} signatures is by {wanted}: {why}")]
    NotBy {
        /// How many were looked at.
        found: usize,
        /// Subject and issuer.
        wanted: String,
        /// What is wrong with the last.
        why: String,
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
    /// A trusted root that is none.
    #[error("not a trusted root of Sigstore: {0}")]
    TrustedRoot(String),
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
        verified.is_ok() || (self.kind == Kind::Ed25519 && self.has_signed_the_hash(payload, signature))
    }

    /// As cosign does with a key of Ed25519 since 2.5 (Ed25519ph, RFC 8032 5.1), but for bundles.
    fn has_signed_the_hash(&self, payload: &[u8], signature: &[u8]) -> bool {
        let key = self.bytes.as_slice().try_into().ok().and_then(|bytes| VerifyingKey::from_bytes(bytes).ok());
        let signature = signature.try_into().ok();
        key.zip(signature).is_some_and(|(key, signature)| {
            key.verify_prehashed_strict(Sha512::new_with_prefix(payload), None, &signature).is_ok()
        })
    }
}

/// Where cosign puts the signatures of a manifest.
pub(super) fn tag(manifest: Digest) -> String {
    format!("sha256-{}.sig", manifest.hex())
}

pub(super) use self::bundle::BUNDLE;
pub use self::identity::Identity;

/// The media type of a payload, and the annotation with its signature.
pub(super) const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Bytes of a payload or a bundle, and how many are looked at in one place: who signs anew each day is not left out soon.
pub(super) const LARGEST: u64 = 256 << 10;
pub(super) const MOST: usize = 64;

/// Where registries that know nothing of referrers keep the list of them.
pub(super) fn referrers_tag(manifest: Digest) -> String {
    format!("sha256-{}", manifest.hex())
}

/// Something signed.
pub(super) struct Signed {
    message: Vec<u8>,
    signature: Vec<u8>,
    /// The digests of the manifests that it vouches for.
    about: Vec<String>,
    /// All of the bundle that it was in.
    bundle: Option<String>,
}

impl Signed {
    /// A payload, and its signature in base64.
    pub(super) fn of_payload(payload: Vec<u8>, signature: &str) -> Option<Self> {
        let claim = serde_json::from_slice::<Payload>(&payload).ok().filter(|claim| claim.critical.kind == KIND);
        let about = claim.into_iter().map(|claim| claim.critical.image.digest).collect();
        Some(Self { message: payload, signature: BASE64_STANDARD.decode(signature).ok()?, about, bundle: None })
    }
}

/// Whether one of these says, by whom the policy wants it, that this manifest is what it should be.
pub(super) fn check(policy: &Policy, signed: &[Signed], manifest: Digest) -> Result<(), SignatureError> {
    let (mut about, mut distrust) = (Vec::new(), String::new());
    for each in signed {
        match policy.trusts(each) {
            Ok(()) => about.extend(&each.about),
            Err(why) => distrust = why,
        }
    }
    if about.iter().any(|digest| **digest == manifest.to_string()) {
        return Ok(());
    }
    let found = signed.len();
    Err(match (about.first(), policy) {
        (Some(other), _) => {
            SignatureError::Other { found: one_line(other).chars().take(80).collect(), wanted: manifest }
        }
        (None, Policy::Identity(wanted)) => SignatureError::NotBy { found, wanted: wanted.name(), why: distrust },
        (None, Policy::None | Policy::Keys(_)) => SignatureError::NotTrusted { found },
    })
}

impl Policy {
    /// Whether this is signed by whom it should be, or why not; what it is about is another question.
    fn trusts(&self, signed: &Signed) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Keys(keys) if keys.iter().any(|key| key.has_signed(&signed.message, &signed.signature)) => Ok(()),
            Self::Keys(_) => Err("it is by another key".into()),
            Self::Identity(identity) => identity.has_signed(signed),
        }
    }
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
        Signed::of_payload(payload.into(), &signature).unwrap()
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
            let altered =
                |signed: Signed| Signed { message: good.clone().into(), about: vec![wanted.to_string()], ..signed };
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
                    Err(SignatureError::NotTrusted { found: 1 }),
                ),
                ("ours, no payload", vec![sign(&ours, "{}")], Err(SignatureError::NotTrusted { found: 1 })),
            ] {
                let policy = Policy::Keys(vec![our_key.clone(), old_key.clone()]);
                assert_eq!(check(&policy, &signed, wanted), expected, "{name}");
            }
        }
    }

    /// Made with Go's `crypto/ed25519`, as cosign's are: the second with `Options{Hash: crypto.SHA512}`.
    #[test]
    fn ed25519_signs_a_message_or_its_hash() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n\
                   -----END PUBLIC KEY-----\n";
        let (key, wanted) = (PublicKey::parse(pem.as_bytes()).unwrap(), Digest::of(b""));
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":""}},"image":{{"docker-manifest-digest":"{wanted}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        let check = |payload: &str, signature: &str| {
            let signed = Signed::of_payload(payload.into(), signature).unwrap();
            check(&Policy::Keys(vec![key.clone()]), &[signed], wanted)
        };
        for signature in [
            "j2+yj2gbUQHqI4boPHOtB8kJlu7+62PPWhaBe9RgYk7QkFHVEFQTTIZoEj7FdJd+yxlAc2ziGV1h5Jqq1misDw==",
            "2fA/uzGjFJ6Dh/mhRUEFu/y33KZi5m5lZq6nzriQXROwHSVg1QOoEsO+O7a+cypL21z7lPxFDuIubMy8KZbuCw==",
        ] {
            assert_eq!(check(&payload, signature), Ok(()), "{signature}");
            let other = format!("{payload} ");
            assert_eq!(check(&other, signature), Err(SignatureError::NotTrusted { found: 1 }), "{signature}");
        }
    }

    #[test]
    fn a_signature_is_base64() {
        assert!(Signed::of_payload(b"{}".to_vec(), "!").is_none());
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
