//! A component into a registry.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout;

use super::access::Access;
use super::registry::{Http, PushWatcher, Session};
use super::{Fault, Reference, SourceError, Version, manifest};
use crate::plugin::Digest;

/// What a component is called in the registry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its reference with the digest of the manifest.
    pub reference: Reference,
    /// That of the component.
    pub digest: Digest,
}

/// Of the patience for a pull: who sends has less of the line.
const PATIENCE: u32 = 5;

/// Pushes a component as others push theirs. The same bytes twice are one artifact.
pub async fn push(
    component: Vec<u8>,
    reference: &Reference,
    access: &Access,
    watch: PushWatcher,
) -> Result<Pushed, SourceError> {
    let limit = access.patience.whole * PATIENCE;
    let pushed = timeout(limit, push_to(component, reference, access, watch)).await;
    pushed.unwrap_or(Err(Fault::Timeout { what: "all of it", limit })).map_err(|fault| fault.of(reference))
}

async fn push_to(
    component: Vec<u8>,
    reference: &Reference,
    access: &Access,
    watch: PushWatcher,
) -> Result<Pushed, Fault> {
    let manifest::Artifact { config, manifest } = manifest::artifact(&component)?;
    let (digest, named) = (Digest::of(&component), Digest::of(&manifest));
    let version = match reference.version() {
        Version::Tag(tag) => tag.clone(),
        Version::Digest(wanted) if *wanted == named => wanted.to_string(),
        Version::Digest(wanted) => {
            return Err(Fault::DigestMismatch { what: "the manifest", wanted: *wanted, found: named });
        }
    };
    let http = Http::new(access)?;
    // To the registry itself: mirrors are for reading.
    let session = Session::new(&http, access.origin(reference)?, reference, "pull,push");
    session.push_blob(Bytes::from(component), watch).await?;
    session.push_blob(Bytes::from(config), Arc::new(|_| {})).await?;
    session.push_manifest(&version, manifest).await?;
    Ok(Pushed { reference: reference.at(Version::Digest(named)), digest })
}
