//! A fetch and the cache. The cache holds copies: when its disk is full or fails, it is told once and done without.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;

use super::super::{Cache, Reference};
use super::Fetch;
use crate::plugin::Digest;

impl Fetch<'_> {
    /// What a reference last was, if that is still here.
    pub(super) async fn remembered(&mut self, reference: &Reference) -> Option<(Digest, Vec<u8>)> {
        let asked = reference.clone();
        let digest = self.disk(move |cache| cache.resolved(&asked)).await.flatten()?;
        Some((digest, self.kept(digest).await?))
    }

    pub(super) async fn kept(&mut self, digest: Digest) -> Option<Vec<u8>> {
        let bytes = self.disk(move |cache| cache.get(digest)).await.flatten()?;
        self.seen.insert(digest);
        Some(bytes)
    }

    /// Into the cache under its own name; and back.
    pub(super) async fn keep(&mut self, digest: Digest, bytes: Vec<u8>) -> Vec<u8> {
        let bytes = Arc::new(bytes);
        let written = Arc::clone(&bytes);
        self.disk(move |cache| cache.put(&written)).await;
        self.seen.insert(digest);
        Arc::unwrap_or_clone(bytes)
    }

    pub(super) async fn remember(&self, reference: &Reference, manifest: Digest) {
        let (reference, seen) = (reference.clone(), self.seen.clone());
        self.disk(move |cache| cache.remember(&reference, manifest, &seen)).await;
    }

    /// Beside the other work of this process: disks are slow, and hashing is not free.
    async fn disk<T: Send + 'static>(&self, act: impl FnOnce(&Cache) -> io::Result<T> + Send + 'static) -> Option<T> {
        let cache = Arc::clone(self.cache?);
        let acting = Arc::clone(&cache);
        let done = spawn_blocking(move || act(&acting)).await.map_err(io::Error::other).and_then(|done| done);
        if let Err(error) = &done
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            let folder = cache.folder().display();
            tracing::warn!(%folder, %error, "the cache of plugins fails; what is fetched is not kept");
        }
        done.ok()
    }
}
