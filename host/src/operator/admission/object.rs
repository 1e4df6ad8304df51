//! One object of the cluster, known by its name: watched, and written.

use std::fmt::Debug;

use futures::{Stream, StreamExt as _};
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::operator::watch::{code, version};

/// What is known of an object: nothing yet, that it is not there, or what it is.
pub(super) type Seen<K> = Option<Option<K>>;

/// The API server does not let us look.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(String);

/// What there is of that name, now and whenever it changes.
pub(super) fn watch<K>(api: &Api<K>, name: &str) -> impl Stream<Item = watcher::Result<Option<K>>> + Unpin + use<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    Box::pin(watcher::watch_object(api.clone(), name).default_backoff())
}

/// The next that a watch of one object shows.
pub(super) async fn next<K>(
    events: &mut (impl Stream<Item = watcher::Result<Option<K>>> + Unpin),
    what: &str,
) -> Result<Option<K>, Forbidden> {
    loop {
        match events.next().await {
            Some(Ok(seen)) => return Ok(seen),
            Some(Err(error)) if code(&error) == Some(403) => return Err(Forbidden(error.to_string())),
            Some(Err(error)) => warn!(what, %error, "a watch failed and begins anew"),
            // A watch has no end.
            None => std::future::pending().await,
        }
    }
}

/// A watch may lag behind our own writes.
pub(super) fn newer<K: Resource>(known: &mut Seen<K>, seen: Option<K>) {
    let of = |object: &Option<K>| object.as_ref().map(version::<K>);
    let is_older = known.as_ref().and_then(of) > of(&seen) && seen.is_some();
    if !is_older {
        *known = Some(seen);
    }
}

/// As it was read, or new: whoever else wrote in between wins.
pub(super) async fn write<K>(api: &Api<K>, object: &K) -> kube::Result<K>
where
    K: Resource + Clone + Serialize + DeserializeOwned + Debug,
{
    let name = object.meta().name.as_deref().unwrap_or_default();
    match object.meta().resource_version {
        Some(_) => api.replace(name, &PostParams::default(), object).await,
        None => api.create(&PostParams::default(), object).await,
    }
}
