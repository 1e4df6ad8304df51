//! An artifact of a registry: from a reference to a component that is what it should be, and back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::access::Access;
use super::manifest::{Layer, Manifest};
use super::registry::{Http, PushWatcher, Session, Watcher};
use super::signature::{self, Policy, PublicKey, SignatureError, Signed};
use super::{Cache, Demand, Fault, Fetched, Freshness, Reference, SourceError, Version, check_pin, manifest};
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
            Policy::None => None,
            Policy::Keys(keys) => Some(self.signatures(reference, found.digest, keys).await?),
        };
        let component = self.blob(layer, "the component", watch).await?;
        self.remember(reference, found.digest).await?;
        if let Some((reference, digest)) = signatures {
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
    async fn signatures(
        &mut self,
        reference: &Reference,
        manifest: Digest,
        keys: &[PublicKey],
    ) -> Result<(Reference, Digest), Fault> {
        let tag = signature::tag(manifest);
        let beside = reference.at(Version::Tag(tag.clone()));
        if let Some(bytes) = self.remembered(&beside).await? {
            let found = self.keep(bytes, Freshness::Remembered).await?;
            if self.check(&found, keys, manifest).await.is_ok() {
                return Ok((beside, found.digest));
            }
        }
        let found = match self.ask(Wanted::Manifest(beside.version())).await {
            Err(Fault::NotFound(_)) => return Err(SignatureError::Unsigned { tag }.into()),
            found => self.keep(found?, Freshness::Current).await?,
        };
        self.check(&found, keys, manifest).await?;
        Ok((beside, found.digest))
    }

    async fn check(&mut self, found: &Found, keys: &[PublicKey], manifest: Digest) -> Result<(), Fault> {
        let layers = Manifest::parse(&found.bytes)?.layers;
        let payloads = layers.iter().filter(|layer| layer.media_type == signature::PAYLOAD).take(signature::MOST);
        let mut signed = Vec::new();
        for layer in payloads {
            let blob = layer.blob("a signature", signature::LARGEST)?;
            let signature = layer.annotations.get(signature::ANNOTATION).cloned().unwrap_or_default();
            signed.push(Signed { payload: self.blob(blob, "a signature", &|_| {}).await?, signature });
        }
        Ok(signature::check(keys, &signed, manifest)?)
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
            Wanted::Manifest(_) => self.whole / 4,
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

/// What a component is called in the registry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its reference with the digest of the manifest.
    pub reference: Reference,
    /// That of the component.
    pub digest: Digest,
}

/// Pushes a component as others push theirs. The same bytes twice are one artifact.
pub async fn push(
    component: Vec<u8>,
    reference: &Reference,
    access: &Access,
    watch: PushWatcher,
) -> Result<Pushed, SourceError> {
    let pushed = push_to(component, reference, access, watch).await;
    pushed.map_err(|fault| fault.of(reference))
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
