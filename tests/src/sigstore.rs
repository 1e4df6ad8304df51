//! A Sigstore of our own: an authority that certifies whoever is named, and logs with one entry each.
//!
//! What it makes is what `cosign sign` leaves in a registry, and the `trusted_root.json` to check it with.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// Fulcio, Rekor and a log of certificates.
#[derive(Debug)]
pub struct Sigstore {
    authority: KeyPair,
    log: KeyPair,
    certificates: KeyPair,
}

/// The media type of its bundles.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const STATEMENT: &str = "application/vnd.in-toto+json";
/// Within the day for which its certificates are good, in seconds and in milliseconds.
const SIGNED: i64 = 1_704_110_400;
const CERTIFIED: u64 = 1_704_110_399_000;

/// <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>
const ISSUER: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];
/// RFC 6962, 3.3.
const TIMESTAMPS: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

impl Sigstore {
    /// Another one each time.
    pub fn new() -> Result<Self> {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        Ok(Self { authority: key()?, log: key()?, certificates: key()? })
    }

    /// As `cosign trusted-root create` writes it.
    pub fn trusted_root(&self) -> Result<Value> {
        let log = |url: &str, key: &KeyPair| {
            json!({
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": encoded(&key.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": "2020-01-01T00:00:00Z"},
                },
                "logId": {"keyId": encoded(&id(key))},
            })
        };
        let certificate = authority().self_signed(&self.authority)?;
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log("https://rekor.example", &self.log)],
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "fulcio"},
                "uri": "https://fulcio.example",
                "certChain": {"certificates": [{"rawBytes": encoded(certificate.der())}]},
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            }],
            "ctlogs": [log("https://certificates.example", &self.certificates)],
            "timestampAuthorities": [],
        }))
    }

    /// A bundle in which that subject, whom that issuer has let in, says `cosign sign` of a manifest with that SHA-256.
    pub fn sign(&self, subject: &str, issuer: &str, sha256: &str) -> Result<Value> {
        self.says(subject, issuer, sha256, "https://sigstore.dev/cosign/sign/v1")
    }

    /// A bundle with another statement about it.
    pub fn says(&self, subject: &str, issuer: &str, sha256: &str, predicate: &str) -> Result<Value> {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": sha256}}],
            "predicateType": predicate,
            "predicate": {},
        });
        let statement = statement.to_string();
        let signer = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = self.certificate(&signer, subject, issuer)?;
        let head = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), statement.len());
        let signature = encoded(&signer.sign(format!("{head}{statement}").as_bytes())?);
        Ok(json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": encoded(&certificate)},
                "tlogEntries": [self.entry(&statement, &signature, &certificate)?],
            },
            "dsseEnvelope": {
                "payload": encoded(statement.as_bytes()),
                "payloadType": STATEMENT,
                "signatures": [{"sig": signature}],
            },
        }))
    }

    /// What Rekor keeps of it, as the first and only entry, and how it says so.
    fn entry(&self, statement: &str, signature: &str, certificate: &[u8]) -> Result<Value> {
        let hash = |bytes| json!({"algorithm": "sha256", "value": hex(digest(&SHA256, bytes).as_ref())});
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", encoded(certificate));
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(b"{}"),
                "payloadHash": hash(statement.as_bytes()),
                "signatures": [{"signature": signature, "verifier": encoded(pem.as_bytes())}],
            },
        });
        let body = body.to_string();
        let encoded_body = encoded(body.as_bytes());
        let promise = format!(
            r#"{{"body":"{encoded_body}","integratedTime":{SIGNED},"logID":"{}","logIndex":0}}"#,
            hex(&id(&self.log))
        );
        // A tree with one leaf: RFC 6962, 2.1.
        let root = encoded(digest(&SHA256, &[&[0], body.as_bytes()].concat()).as_ref());
        let head = format!("rekor.example\n1\n{root}\n");
        let (name, signed) = (id(&self.log), self.log.sign(head.as_bytes())?);
        let note = encoded(&[name.get(..4).context("a digest has 32 bytes")?, &signed].concat());
        Ok(json!({
            "logIndex": "0",
            "logId": {"keyId": encoded(&name)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": SIGNED.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": encoded(&self.log.sign(promise.as_bytes())?)},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": root,
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": format!("{head}\n\u{2014} rekor.example {note}\n")},
            },
            "canonicalizedBody": encoded_body,
        }))
    }

    /// Signed twice: first without, for the log of certificates, and then with what that says.
    fn certificate(&self, signer: &KeyPair, subject: &str, issuer: &str) -> Result<Vec<u8>> {
        let authority = Issuer::new(authority(), &self.authority);
        let mut params = CertificateParams::default();
        let is_uri = subject.contains("://");
        let subject = subject.try_into()?;
        params.subject_alt_names = vec![if is_uri { SanType::URI(subject) } else { SanType::Rfc822Name(subject) }];
        params.serial_number = Some(SerialNumber::from(7_u64));
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2024, 1, 2);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let content = der(0x0c, issuer.as_bytes())?;
        params.custom_extensions = vec![CustomExtension::from_oid_content(ISSUER, content)];
        let before = params.signed_by(signer, &authority)?;
        let timestamp = self.timestamp(before.der())?;
        params.custom_extensions.push(CustomExtension::from_oid_content(TIMESTAMPS, timestamp));
        Ok(params.signed_by(signer, &authority)?.der().to_vec())
    }

    /// <https://www.rfc-editor.org/rfc/rfc6962#section-3.2>
    fn timestamp(&self, certificate: &[u8]) -> Result<Vec<u8>> {
        // What is signed of a certificate is the first field in it; both have two bytes of length.
        let length = certificate.get(6..8).context("a certificate is longer")?;
        ensure!(certificate.get(5) == Some(&0x82), "a certificate is longer than 255 bytes");
        let length = length.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte));
        let signed = certificate.get(4..8 + length).context("a certificate is whole")?;
        let authority = digest(&SHA256, &self.authority.subject_public_key_info());
        let (version, none) = ([0], [0, 0]);
        let time = CERTIFIED.to_be_bytes();
        let length = u32::try_from(signed.len())?.to_be_bytes();
        let message = [&version[..], &[0], &time, &[0, 1], authority.as_ref(), &length[1..], signed, &none].concat();
        let signature = self.certificates.sign(&message)?;
        let ecdsa_with_sha256 = [4, 3];
        let parts = [&version[..], &id(&self.certificates), &time, &none, &ecdsa_with_sha256];
        let timestamp = [&parts.concat()[..], &sized(&signature)?].concat();
        der(4, &sized(&sized(&timestamp)?)?)
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "fulcio");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

/// By which logs are known.
fn id(key: &KeyPair) -> Vec<u8> {
    digest(&SHA256, &key.subject_public_key_info()).as_ref().to_vec()
}

/// With a length of two bytes in front.
fn sized(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok([&u16::try_from(bytes.len())?.to_be_bytes(), bytes].concat())
}

fn der(tag: u8, bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u8::try_from(bytes.len())?;
    let long: &[u8] = if length < 0x80 { &[] } else { &[0x81] };
    Ok([&[tag], long, &[length], bytes].concat())
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
