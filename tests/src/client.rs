//! A plain client of the API server. To start kubectl costs as much CPU as twenty of its requests.

use std::path::Path;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use serde::Serialize;
use tokio::runtime::Runtime;

/// A user of the API server.
pub struct Client {
    /// What drives `client`.
    pub runtime: Runtime,
    /// Connects when it is first used.
    pub client: kube::Client,
}

impl Client {
    /// Acts as the kubeconfig says.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        Self::of(Kubeconfig::read_from(kubeconfig)?)
    }

    pub(crate) fn of(kubeconfig: Kubeconfig) -> Result<Self> {
        let runtime = Runtime::new()?;
        let client = runtime.block_on(async {
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            anyhow::Ok(kube::Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Creates all of them at this path, so many at a time.
    pub fn create(&self, path: &str, objects: &[impl Serialize], parallel: usize) -> Result<()> {
        let request = |object| {
            let body = serde_json::to_vec(object)?;
            anyhow::Ok(Request::new(path).create(&PostParams::default(), body)?)
        };
        let requests: Vec<_> = objects.iter().map(request).collect::<Result<_>>()?;
        let send = |request| async { self.client.request_text(request).await.map(drop) };
        let all = futures::stream::iter(requests).map(send).buffer_unordered(parallel).try_collect::<()>();
        self.runtime.block_on(all).with_context(|| format!("creating objects at {path}"))
    }

    /// Deletes all objects at this path, pods without grace.
    pub fn delete_all(&self, path: &str) -> Result<()> {
        let now = DeleteParams::default().grace_period(0);
        let request = Request::new(path).delete_collection(&now, &ListParams::default())?;
        self.runtime.block_on(self.client.request_text(request)).map(drop).with_context(|| format!("deleting {path}"))
    }
}
