//! An artifact of a registry: from a reference to a component that is what it should be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::access::Access;
use super::manifest::{Layer, Manifest};
use super::registry::{Http, Session, Watcher};
use super::signature::{self, Policy, PublicKey, SignatureError, Signed};
use super::{Cache, Demand, Fault, Fetched, Freshness, Reference, Version, check_pin, manifest};
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
    let limit = access.patience.whole;
    let mut fetch = Fetch { sessions: sessions.collect(), cache, whole: limit, seen: BTreeSet::new() };
    let fetched = timeout(limit, fetch.component(reference, demand, watch)).await;
    fetched.unwrap_or(Err(Fault::Timeout { what: "all of it", limit }))
}

struct Fetch<'a> {
    /// Mirrors, then the registry.
    sessions: Vec<Session<'a>>,
    cache: Option<&'a Arc<Cache>>,
    whole: Duration,
    /// All that it took.
    seen: BTreeSet<Digest>,
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
    Blob(Layer, &'static str, Watcher<'a>),
}

impl Fetch<'_> {
    async fn component(
        &mut self,
        reference: &Reference,
        demand: &Demand,
        watch: Watcher<'_>,
    ) -> Result<Fetched, Fault> {
        let found = self.manifest(reference).await?;
        let layer = Manifest::parse(&found.bytes)?.component()?;
        check_pin(demand.digest, layer.digest, Some(found.digest))?;
        let signatures = match &demand.signature {
            Policy::None => Vec::new(),
            Policy::Keys(keys) => self.signatures(reference, found.digest, keys).await?,
        };
        let component = self.blob(layer, "the component", watch).await?;
        self.remember(reference, found.digest).await?;
        for (reference, digest) in signatures {
            self.remember(&reference, digest).await?;
        }
        let Found { digest: manifest, freshness, .. } = found;
        Ok(Fetched { component, digest: layer.digest, manifest: Some(manifest), freshness })
    }

    /// What a reference is. A digest is asked for if it is not in the cache, a tag always; if nobody answers, it is what it
    /// was.
    async fn manifest(&mut self, reference: &Reference) -> Result<Found, Fault> {
        if let Version::Digest(digest) = *reference.version() {
            let kept = self.kept(digest).await?;
            let bytes = match kept {
                Some(bytes) => bytes,
                None => self.ask(Wanted::Manifest(reference.version())).await?,
            };
            return self.keep(bytes, Freshness::Current).await;
        }
        match self.ask(Wanted::Manifest(reference.version())).await {
            Ok(bytes) => self.keep(bytes, Freshness::Current).await,
            Err(fault) if fault.is_passing() => match self.remembered(reference).await? {
                Some(bytes) => {
                    tracing::warn!(%reference, %fault, "the registry does not answer; going on with what the tag last was");
                    self.keep(bytes, Freshness::Remembered).await
                }
                None => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Checks the signatures: those that are here, and only if they are no good those in the registry, as they may be new.
    /// Answers where they are.
    async fn signatures(
        &mut self,
        reference: &Reference,
        manifest: Digest,
        keys: &[PublicKey],
    ) -> Result<Vec<(Reference, Digest)>, Fault> {
        let tag = signature::tag(manifest);
        let by_tag = reference.at(Version::Tag(tag.clone()));
        let bundles = reference.at(Version::Tag(signature::referrers_tag(manifest)));
        let beside = [(&by_tag, Wanted::Manifest(by_tag.version())), (&bundles, Wanted::Referrers(manifest))];
        let (mut signed, mut places) = (Vec::new(), Vec::new());
        for (place, _) in beside {
            if let Some(bytes) = self.remembered(place).await? {
                let found = self.keep(bytes, Freshness::Remembered).await?;
                signed.extend(self.signed(place, &found).await.unwrap_or_default());
                places.push((place.clone(), found.digest));
            }
        }
        if signature::check(keys, &signed, manifest).is_ok() {
            return Ok(places);
        }
        signed.clear();
        places.clear();
        let mut verdict = SignatureError::Unsigned { tag };
        for (place, wanted) in beside {
            let found = match self.ask(wanted).await {
                Err(Fault::NotFound(_)) => continue,
                found => self.keep(found?, Freshness::Current).await?,
            };
            signed.extend(self.signed(place, &found).await?);
            places.push((place.clone(), found.digest));
            match signature::check(keys, &signed, manifest) {
                Ok(()) => return Ok(places),
                // A list of referrers has others on it, too, or nobody.
                Err(_) if signed.is_empty() => {}
                Err(error) => verdict = error,
            }
        }
        Err(verdict.into())
    }

    /// What a manifest has signatures of: its own layers, or those of the bundles that it lists.
    async fn signed(&mut self, place: &Reference, found: &Found) -> Result<Vec<Signed>, Fault> {
        let mut signed = Vec::new();
        let Manifest { mut layers, manifests, .. } = Manifest::parse(&found.bytes)?;
        let bundles = manifests.iter().filter(|listed| listed.artifact_type.starts_with(signature::BUNDLE));
        for listed in bundles.take(signature::MOST) {
            let named = listed.blob("a bundle", manifest::LARGEST)?.digest;
            let bundle = self.manifest(&place.at(Version::Digest(named))).await?;
            layers.extend(Manifest::parse(&bundle.bytes)?.layers);
        }
        let is_signature = |layer: &&manifest::Descriptor| {
            layer.media_type == signature::PAYLOAD || layer.media_type.starts_with(signature::BUNDLE)
        };
        for layer in layers.iter().filter(is_signature).take(signature::MOST) {
            let blob = layer.blob("a signature", signature::LARGEST)?;
            let bytes = self.blob(blob, "a signature", &|_| {}).await?;
            signed.extend(match layer.annotations.get(signature::ANNOTATION) {
                Some(signature) => Signed::of_payload(bytes, signature),
                None => Signed::of_bundle(&bytes),
            });
        }
        Ok(signed)
    }

    async fn blob(&mut self, layer: Layer, what: &'static str, watch: Watcher<'_>) -> Result<Vec<u8>, Fault> {
        self.seen.insert(layer.digest);
        if let Some(bytes) = self.kept(layer.digest).await? {
            return Ok(bytes);
        }
        let bytes = self.ask(Wanted::Blob(layer, what, watch)).await?;
        self.keep(bytes, Freshness::Current).await.map(|found| found.bytes)
    }

    /// Asks one after the other until one has it. The answer of the last, the registry itself, is what counts.
    async fn ask(&self, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
        // Manifests are small: who is slow with one must leave time for what comes next, if only to look into the cache.
        let whole = match wanted {
            Wanted::Manifest(_) | Wanted::Referrers(_) => self.whole / 4,
            Wanted::Blob(..) => self.whole,
        };
        let mut fault = Fault::Configuration("there is no registry to ask".into());
        for (session, left) in self.sessions.iter().zip((1..=self.sessions.len()).rev()) {
            // A mirror that is slow leaves time for those behind it.
            let share = whole / u32::try_from(left).unwrap_or(u32::MAX);
            match timeout(share, ask(session, wanted)).await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(found)) => fault = found,
                Err(_) => fault = Fault::Timeout { what: "an answer", limit: share },
            }
            if left > 1 {
                tracing::warn!(mirror = session.url(), %fault, "the mirror does not help");
            }
        }
        Err(fault)
    }

    async fn remembered(&self, reference: &Reference) -> Result<Option<Vec<u8>>, Fault> {
        let asked = reference.clone();
        match self.disk("the cache cannot be read", move |cache| cache.resolved(&asked)).await?.flatten() {
            Some(digest) => self.kept(digest).await,
            None => Ok(None),
        }
    }

    async fn kept(&self, digest: Digest) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.disk("the cache cannot be read", move |cache| cache.get(digest)).await?.flatten())
    }

    /// Into the cache under its own name.
    async fn keep(&mut self, bytes: Vec<u8>, freshness: Freshness) -> Result<Found, Fault> {
        let bytes = Arc::new(bytes);
        let written = Arc::clone(&bytes);
        let digest = self.disk("the cache cannot be written", move |cache| cache.put(&written)).await?;
        let digest = digest.unwrap_or_else(|| Digest::of(&bytes));
        self.seen.insert(digest);
        Ok(Found { digest, bytes: Arc::unwrap_or_clone(bytes), freshness })
    }

    async fn remember(&self, reference: &Reference, manifest: Digest) -> Result<(), Fault> {
        let (reference, seen) = (reference.clone(), self.seen.clone());
        let remember = move |cache: &Cache| cache.remember(&reference, manifest, &seen);
        self.disk("the cache cannot be written", remember).await.map(|_| ())
    }

    /// Beside the other work of this process: disks are slow, and hashing is not free.
    async fn disk<T: Send + 'static>(
        &self,
        what: &str,
        act: impl FnOnce(&Cache) -> std::io::Result<T> + Send + 'static,
    ) -> Result<Option<T>, Fault> {
        let Some(cache) = self.cache.map(Arc::clone) else { return Ok(None) };
        let done = spawn_blocking(move || act(&cache)).await;
        let done = done.map_err(std::io::Error::other).and_then(|done| done);
        done.map(Some).map_err(|source| Fault::Disk { what: what.into(), source })
    }
}

async fn ask(session: &Session<'_>, wanted: Wanted<'_>) -> Result<Vec<u8>, Fault> {
    match wanted {
        Wanted::Blob(layer, what, watch) => session.blob(layer, what, watch).await,
        Wanted::Referrers(digest) => match session.referrers(digest).await {
            // Of registries that are older than that question, and of what answers 404 with a page for people.
            Err(Fault::NotFound(_)) => session.manifest(&signature::referrers_tag(digest)).await,
            list => list,
        },
        Wanted::Manifest(Version::Tag(tag)) => session.manifest(tag).await,
        Wanted::Manifest(Version::Digest(wanted)) => {
            let bytes = session.manifest(&wanted.to_string()).await?;
            match Digest::of(&bytes) {
                found if found == *wanted => Ok(bytes),
                found => Err(Fault::DigestMismatch { what: "the manifest", wanted: *wanted, found }),
            }
        }
    }
}
