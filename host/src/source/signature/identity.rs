//! Signatures without a key of one's own (keyless): a certificate of some minutes says who has signed, and a transparency
//! log or a timestamp says that it was in those minutes.
//!
//! All of that is in a bundle of Sigstore, and is checked against a trusted root that the admin gives: nobody is asked.
//! <https://docs.sigstore.dev/about/bundle/>

use std::sync::Once;

use sigstore_verify::crypto::install_default_provider;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};
use trainyard_core::grants::Pattern;

use super::crypto::Crypto;
use super::{SignatureError, Signed};
use crate::plugin::one_line;

/// Who has to have signed, in the words of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    subject: Pattern,
    issuer: String,
    trusted_root: String,
}

impl Identity {
    /// With the `trusted_root.json` of a Sigstore: its authorities and logs. A log that it does not name is not asked for.
    pub fn new(subject: Pattern, issuer: String, trusted_root: String) -> Result<Self, SignatureError> {
        let identity = Self { subject, issuer, trusted_root };
        identity.verifier().map(|_| identity).map_err(|why| SignatureError::TrustedRoot(plain(&why)))
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("{:?} of {:?}", self.subject.0, self.issuer)
    }

    /// Why this is not signed by whom it should be.
    pub(super) fn has_signed(&self, signed: &Signed) -> Result<(), String> {
        self.check(signed).map_err(|why| plain(&why))
    }

    fn check(&self, signed: &Signed) -> Result<(), String> {
        let bundle = signed.bundle.as_deref().ok_or("it is not in a bundle")?;
        let bundle = Bundle::from_json(bundle).map_err(|error| error.to_string())?;
        // What it is about is compared with what we have by our caller, as with all signatures.
        let about = signed.about.first().and_then(|digest| digest.strip_prefix("sha256:"));
        let about = Sha256Hash::from_hex(about.ok_or("it is not about an artifact")?);
        let artifact = Artifact::from(about.map_err(|error| error.to_string())?);
        let (verifier, policy) = self.verifier()?;
        let verified = verifier.verify(artifact, &bundle, &policy).map_err(|error| error.to_string())?;
        let subject = verified.identity().map_or("nobody", |subject| subject.as_str());
        let issuer = verified.issuer().unwrap_or("nobody");
        if self.subject.is_of(subject) && self.issuer == issuer {
            return Ok(());
        }
        Err(format!("it is by {subject:?} of {issuer:?}"))
    }

    fn verifier(&self) -> Result<(Verifier, VerificationPolicy), String> {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| {
            let _ = install_default_provider(&Crypto); // Nobody else does.
        });
        let root = TrustedRoot::from_json(&self.trusted_root).map_err(|error| error.to_string())?;
        if root.certificate_authorities.is_empty() {
            return Err("it names no certificate authority".into());
        }
        if root.tlogs.is_empty() && root.timestamp_authorities.is_empty() {
            return Err("it names neither a transparency log nor a timestamp authority".into());
        }
        let mut policy = VerificationPolicy::any_identity();
        if root.tlogs.is_empty() {
            policy = policy.skip_tlog_unsafe();
        }
        if root.ctlogs.is_empty() {
            policy = policy.skip_sct();
        }
        Ok((Verifier::new(&root).map_err(|error| error.to_string())?, policy))
    }
}

/// Strangers' words among them: one line, and not a long one.
fn plain(why: &str) -> String {
    one_line(why).chars().take(300).collect()
}

#[cfg(test)]
mod tests;
