//! Certificates as values: made, read, and judged at a given time.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, RootCertStore};
use yasna::BERReader;

/// v1's lifetimes.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
/// A certificate with less left than this is renewed.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long before it was made a certificate begins, for clocks that are behind.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
/// How long an authority stays known beside the one that replaces it.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// Who does the cryptography of the webhook.
pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

/// What a server shows and what its clients have to know, as the Secret keeps it: PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pems {
    /// The authority, and behind it those that it replaces.
    pub(super) ca_crt: String,
    pub(super) ca_key: String,
    pub(super) tls_crt: String,
    pub(super) tls_key: String,
}

/// A certificate that a server can show.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// Who may have signed it, newest first.
    pub(super) authorities: Vec<Authority>,
}

/// A certificate authority that clients know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) pem: String,
    der: CertificateDer<'static>,
}

/// A new authority, and a certificate signed by it for servers of these names and addresses.
pub(super) fn issue(names: &BTreeSet<String>, now: Timestamp) -> Result<Pems, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = authority(now)?.self_signed(&key)?;
    signed(certificate.pem(), key, names, now)
}

/// A certificate by the authority that is there, for other names or a longer time. It is no good where the authority is
/// not one of ours, or will not last.
pub(super) fn reissue(before: &Pems, names: &BTreeSet<String>, now: Timestamp) -> Result<Pems, rcgen::Error> {
    signed(before.ca_crt.clone(), KeyPair::from_pem(&before.ca_key)?, names, now)
}

fn signed(ca_crt: String, ca_key: KeyPair, names: &BTreeSet<String>, now: Timestamp) -> Result<Pems, rcgen::Error> {
    let name = names.first().map(String::as_str).unwrap_or_default();
    let mut server = params(name, now, LIFETIME, names.iter().cloned().collect())?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // All our authorities have one name: this says which.
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &Issuer::new(authority(now)?, &ca_key))?;
    Ok(Pems { ca_crt, ca_key: ca_key.serialize_pem(), tls_crt: certificate.pem(), tls_key: key.serialize_pem() })
}

fn authority(now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut authority = params("training-operator-ca", now, AUTHORITY_LIFETIME, vec![])?;
    authority.distinguished_name.push(DnType::OrganizationName, "training-operator");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(authority)
}

fn params(
    name: &str,
    now: Timestamp,
    lifetime: SignedDuration,
    names: Vec<String>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = SystemTime::from(now - BACKDATED).into();
    params.not_after = SystemTime::from(now + lifetime).into();
    Ok(params)
}

/// Whether a certificate can carry this name: of a host, or an IP address.
pub(super) fn is_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

impl Certificate {
    /// None where it is none, or the key is another's.
    pub(super) fn read(pems: &Pems) -> Option<Self> {
        let chain = CertificateDer::pem_slice_iter(pems.tls_crt.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(pems.tls_key.as_bytes()).ok()?;
        let key = CertifiedKey::from_der(chain, key, &PROVIDER).ok()?;
        Some(Self { key: Arc::new(key), authorities: Authority::all(&pems.ca_crt) })
    }

    /// Whether it answers for all of these names, now and for long enough.
    pub(super) fn is_good(&self, names: &BTreeSet<String>, now: Timestamp) -> bool {
        let until = now + RENEW_BEFORE;
        self.authorities.iter().any(|authority| {
            let lasts = authority.validity().is_some_and(|(from, to)| from <= now && until < to);
            lasts && [now, until].into_iter().all(|time| self.is_signed_by(authority, time))
        }) && names.iter().all(|name| self.is_for(name))
    }

    /// Whether a client would see no difference.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// The authority under which it is good now.
    pub(super) fn authority(&self, now: Timestamp) -> Option<&Authority> {
        self.authorities.iter().find(|authority| self.is_signed_by(authority, now))
    }

    /// The authorities that nobody needs any more: the one that took their place has been known for long enough.
    pub(super) fn is_outdated(&self, authority: &Authority, now: Timestamp) -> bool {
        let successor = self.authority(now).filter(|successor| *successor != authority);
        let began = successor.and_then(Authority::validity).map(|(from, _)| from + BACKDATED);
        began.is_some_and(|began| began + OVERLAP <= now) && !self.is_signed_by(authority, now)
    }

    fn is_signed_by(&self, authority: &Authority, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        let (added, [leaf, intermediates @ ..]) = (roots.add(authority.der.clone()), self.key.cert.as_slice()) else {
            return false;
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().try_into().unwrap_or_default()));
        let algorithms = PROVIDER.signature_verification_algorithms.all;
        let verify = |leaf| verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, now, algorithms);
        added.and_then(|()| ParsedCertificate::try_from(leaf)).and_then(verify).is_ok()
    }

    fn is_for(&self, name: &str) -> bool {
        let verify = |leaf| {
            let name = ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))?;
            verify_server_name(&ParsedCertificate::try_from(leaf)?, &name)
        };
        self.key.end_entity_cert().and_then(verify).is_ok()
    }
}

impl Authority {
    /// Those of a bundle; what is none is left out.
    pub(super) fn all(bundle: &str) -> Vec<Self> {
        let blocks = bundle.split_inclusive("-----END CERTIFICATE-----");
        let read = |block: &str| {
            let der = CertificateDer::from_pem_slice(block.as_bytes()).ok()?;
            Some(Self { pem: format!("{}\n", block.trim()), der })
        };
        blocks.filter_map(read).collect()
    }

    /// Whether it is good now.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.validity().is_some_and(|(from, to)| from <= now && now < to)
    }

    /// From when to when: the fourth field of a certificate, behind its version, serial number, algorithm and issuer.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>
    fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = yasna::parse_der(&self.der, |reader| {
            reader.read_sequence(|reader| {
                let validity = reader.next().read_sequence(|reader| {
                    reader.read_optional(|reader| reader.read_tagged(yasna::Tag::context(0), skip))?;
                    for _ in ["serial number", "algorithm", "issuer"] {
                        skip(reader.next())?;
                    }
                    let validity =
                        reader.next().read_sequence(|reader| Ok((time(reader.next())?, time(reader.next())?)));
                    while reader.read_optional(skip)?.is_some() {}
                    validity
                })?;
                for _ in ["algorithm", "signature"] {
                    skip(reader.next())?;
                }
                Ok(validity)
            })
        })
        .ok()?;
        Some((Timestamp::from_second(from).ok()?, Timestamp::from_second(to).ok()?))
    }
}

fn skip(reader: BERReader<'_, '_>) -> yasna::ASN1Result<()> {
    reader.read_der().map(drop)
}

/// Seconds since 1970.
fn time(reader: BERReader<'_, '_>) -> yasna::ASN1Result<i64> {
    if reader.lookahead_tag()? == yasna::tags::TAG_UTCTIME {
        return Ok(reader.read_utctime()?.datetime().unix_timestamp());
    }
    Ok(reader.read_generalized_time()?.datetime().unix_timestamp())
}

#[cfg(test)]
mod tests;
