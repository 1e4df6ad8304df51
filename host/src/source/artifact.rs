//! An artifact of a registry: from a reference to a component that is what it should be.

mod keeping;
mod signatures;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::timeout;

use super::access::Access;
use super::manifest::{Layer, Manifest};
use super::registry::{Http, Session, Watcher};
use super::signature::Policy;
use super::{Cache, Demand, Fault, Fetched, Freshness, Reference, Version, check_pin};
use crate::plugin::Digest;

/// Fetches a component that satisfies the demand.
pub(super) async fn fetch(
    reference: &Reference,
    demand: &Demand,
    access: &Access,
    cache: Option<&Arc<Cache>>,
    watch: Watcher<'_>,
) -> Result<Fetched, Fault> {
    let http = Http::new(access)?;
    let endpoints = access.endpoints(reference)?;
    let sessions = endpoints.into_iter().map(|endpoint| Session::new(&http, endpoint, reference, "pull"));
    let sessions: Vec<_> = sessions.collect();
    let limit = access.patience.whole;
    let (seen, is_told) = (BTreeSet::new(), AtomicBool::new(false));
    let mut fetch = Fetch { sessions: &sessions, cache, whole: limit, seen, is_told };
    let fetched = timeout(limit, fetch.component(reference, demand, watch)).await;
    fetched.unwrap_or(Err(Fault::Timeout { what: "all of it", limit }))
}

struct Fetch<'a> {
    /// Mirrors, then the registry.
    sessions: &'a [Session<'a>],
    cache: Option<&'a Arc<Cache>>,
    whole: Duration,
    /// All that it took.
    seen: BTreeSet<Digest>,
    /// Whether trouble with the cache has been told.
    is_told: AtomicBool,
}

/// A manifest that fits its digest.
struct Found {
    digest: Digest,
    bytes: Vec<u8>,
    freshness: Freshness,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Manifest(&'a Version),
    /// A list of what refers to a manifest.
    Referrers(Digest),
    Signature(Layer),
    Component(Layer, Watcher<'a>),
}

impl Fetch<'_> {
    async fn component(
        &mut self,
        reference: &Reference,
        demand: &Demand,
        watch: Watcher<'_>,
    ) -> Result<Fetched, Fault> {
        let Found { digest: manifest, bytes, freshness } = self.manifest(reference).await?;
        let layer = Manifest::parse(&bytes)?.component()?;
        check_pin(demand.digest, layer.digest, Some(manifest))?;
        let signature = match &demand.signature {
            Policy::None => None,
            policy @ (Policy::Keys(_) | Policy::Identity(_)) => {
                Some(self.signature(reference, manifest, policy).await?)
            }
        };
        let component = self.blob(layer, Wanted::Component(layer, watch)).await?;
        // Only now: what a tag was before is better than what is not trusted.
        self.remember(reference, manifest).await;
        if let Some((place, list)) = signature {
            self.remember(&place, list).await;
        }
        Ok(Fetched { component, digest: layer.digest, manifest: Some(manifest), freshness })
    }

    /// What a reference is. A digest is asked for if it is not in the cache, a tag always; if nobody answers, it is what it
    /// was.
    async fn manifest(&mut self, reference: &Reference) -> Result<Found, Fault> {
        if let Version::Digest(digest) = *reference.version()
            && let Some(bytes) = self.kept(digest).await
        {
            return Ok(Found { digest, bytes, freshness: Freshness::Current });
        }
        let fault = match self.ask(Wanted::Manifest(reference.version())).await {
            Ok(bytes) => {
                let digest = Digest::of(&bytes);
                let bytes = self.keep(digest, bytes).await;
                return Ok(Found { digest, bytes, freshness: Freshness::Current });
            }
            Err(fault) if fault.is_passing() => fault,
            Err(fault) => return Err(fault),
        };
        let Some((digest, bytes)) = self.remembered(reference).await else { return Err(fault) };
        tracing::warn!(%reference, %fault, "the registry does not answer; going on with what the tag last was");
        Ok(Found { digest, bytes, freshness: Freshness::Remembered })
    }

    async fn blob(&mut self, layer: Layer, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
        if let Some(bytes) = self.kept(layer.digest).await {
            return Ok(bytes);
        }
        let bytes = self.ask(wanted).await?;
        Ok(self.keep(layer.digest, bytes).await)
    }

    /// Asks one after the other until one has it. The answer of the last, the registry itself, is what counts.
    async fn ask(&self, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
        let mut fault = Fault::Configuration("there is no registry to ask".into());
        for (session, left) in self.sessions.iter().zip((1..=self.sessions.len()).rev()) {
            match self.ask_one(session, left, wanted).await {
                Ok(bytes) => return Ok(bytes),
                Err(found) => fault = found,
            }
            if left > 1 {
                tracing::warn!(mirror = session.url(), %fault, "the mirror does not help");
            }
        }
        Err(fault)
    }

    /// Asks one of those that are left.
    async fn ask_one(&self, session: &Session<'_>, left: usize, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
        // What is small must leave time for what comes next, if only to look into the cache.
        let whole = match wanted {
            Wanted::Manifest(_) | Wanted::Referrers(_) => self.whole / 4,
            Wanted::Signature(_) => self.whole / 8,
            Wanted::Component(..) => self.whole,
        };
        // And a mirror that is slow for those behind it.
        let limit = whole / u32::try_from(left).unwrap_or(u32::MAX);
        timeout(limit, ask(session, wanted)).await.unwrap_or(Err(Fault::Timeout { what: "an answer", limit }))
    }
}

async fn ask(session: &Session<'_>, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
    match wanted {
        Wanted::Component(layer, watch) => session.blob(layer, "the component", watch).await,
        Wanted::Signature(layer) => session.blob(layer, "a signature", &|_| {}).await,
        Wanted::Referrers(digest) => session.referrers(digest).await,
        Wanted::Manifest(Version::Tag(tag)) => {
            let bytes = session.manifest(tag).await?;
            // What is between us and a mirror likes to answer with a page for people.
            Manifest::parse(&bytes).map(|_| bytes)
        }
        Wanted::Manifest(Version::Digest(wanted)) => {
            let bytes = session.manifest(&wanted.to_string()).await?;
            match Digest::of(&bytes) {
                found if found == *wanted => Ok(bytes),
                found => Err(Fault::DigestMismatch { what: "the manifest", wanted: *wanted, found }),
            }
        }
    }
}
