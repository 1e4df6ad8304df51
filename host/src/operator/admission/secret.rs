//! What the Secret with the certificate should hold: v1's keys, made where nothing is there or it will not do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::certificate::{self, Authority, Certificate, Pems};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// The names, or the machine, will not do.
    #[error("no certificate can be made for {}", .0.iter().cloned().collect::<Vec<_>>().join(", "))]
    NotMade(BTreeSet<String>, #[source] rcgen::Error),
    /// It would be made again and again.
    #[error("the certificate made for {} is not good for them", .0.iter().cloned().collect::<Vec<_>>().join(", "))]
    NotGood(BTreeSet<String>),
}

/// The certificate in a Secret, if there is one.
pub(super) fn certificate(secret: &Secret) -> Option<Certificate> {
    Certificate::read(&pems(secret)?)
}

/// The bundle by which the API server is to know us: the authority, and one that it replaces.
pub(super) fn bundle(secret: &Secret) -> String {
    pems(secret).map(|pems| pems.ca_crt).unwrap_or_default()
}

/// What to store in place of what is there; None where that is good for a server of these names.
pub(super) fn renewed(
    stored: Option<&Secret>,
    shown: Option<&Certificate>,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Option<Secret>, SecretError> {
    let found = stored.and_then(certificate);
    if let (Some(stored), Some(found)) = (stored, found.as_ref().filter(|found| found.is_good(names, now))) {
        return Ok(without_outdated(stored, found, now));
    }
    let is_good = |pems: &Pems| Certificate::read(pems).is_some_and(|made| made.is_good(names, now));
    let by_the_same = stored.and_then(pems).and_then(|pems| certificate::reissue(&pems, names, now).ok());
    let made = match by_the_same.filter(is_good) {
        Some(made) => made,
        None => by_another(found.as_ref(), shown, names, now)?,
    };
    if is_good(&made) {
        Ok(Some(with(stored.cloned().unwrap_or_default(), made)))
    } else {
        Err(SecretError::NotGood(names.clone()))
    }
}

/// A new authority. One that others still have to do with stays in the bundle: those before, and that of the certificate
/// `shown` until now, which may have been in a Secret that somebody has deleted.
fn by_another(
    found: Option<&Certificate>,
    shown: Option<&Certificate>,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Pems, SecretError> {
    let mut made = certificate::issue(names, now).map_err(|error| SecretError::NotMade(names.clone(), error))?;
    let shown = shown.and_then(|shown| shown.authority(now));
    let before = found.into_iter().flat_map(|found| &found.authorities).chain(shown);
    let before: BTreeSet<_> =
        before.filter(|authority| authority.is_valid(now)).map(|each| each.pem.as_str()).collect();
    made.ca_crt.extend(before);
    Ok(made)
}

fn without_outdated(stored: &Secret, found: &Certificate, now: Timestamp) -> Option<Secret> {
    let (outdated, kept): (Vec<&Authority>, Vec<_>) =
        found.authorities.iter().partition(|authority| found.is_outdated(authority, now));
    if outdated.is_empty() {
        return None;
    }
    let pems = Pems { ca_crt: kept.iter().map(|authority| authority.pem.as_str()).collect(), ..pems(stored)? };
    Some(with(stored.clone(), pems))
}

/// The name of the Secret, which is the caller's to set.
pub(super) fn named(secret: Secret, name: &str) -> Secret {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..secret.metadata };
    Secret { metadata, ..secret }
}

fn pems(secret: &Secret) -> Option<Pems> {
    let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    Some(Pems {
        ca_crt: text("ca.crt")?,
        ca_key: text("ca.key")?,
        tls_crt: text("tls.crt")?,
        tls_key: text("tls.key")?,
    })
}

fn with(secret: Secret, pems: Pems) -> Secret {
    let Pems { ca_crt, ca_key, tls_crt, tls_key } = pems;
    let ours = [("ca.crt", ca_crt), ("ca.key", ca_key), ("tls.crt", tls_crt), ("tls.key", tls_key)];
    let mut data: BTreeMap<_, _> = secret.data.unwrap_or_default();
    data.extend(ours.map(|(key, pem)| (key.to_owned(), ByteString(pem.into_bytes()))));
    Secret { data: Some(data), ..secret }
}

#[cfg(test)]
mod tests;
