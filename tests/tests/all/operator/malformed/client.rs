//! Sends jobs as bytes, many at once, and as strictly as kubectl does.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt as _;
use http::Request;
use trainyard::catalog::LoadedKind;

use super::rows::Row;
use super::{Place, Sent};

/// Requests under way at once.
const PARALLEL: usize = 16;

pub(super) struct Client {
    user: trainyard_tests::Client,
    namespace: String,
}

impl Client {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let user = trainyard_tests::Client::new(&place.cluster.kubeconfig())?;
        Ok(Self { user, namespace: place.namespace.clone() })
    }

    /// Each row makes a good job bad; its number is part of the job's name.
    pub(super) fn send_all(&self, kind: &Arc<LoadedKind>, rows: Vec<(usize, Row)>) -> Result<Vec<Sent>> {
        let send = |(number, row): (usize, Row)| async move {
            let name = row.name_of_job(kind, number);
            let refused = self.send(kind, row.body(kind, &name)).await.with_context(|| row.name.clone())?;
            Ok(Sent { kind: kind.clone(), row, name, refused })
        };
        let sent = futures::stream::iter(rows).map(send).buffered(PARALLEL).collect::<Vec<_>>();
        self.user.runtime.block_on(sent).into_iter().collect()
    }

    /// What the API server has against it.
    async fn send(&self, kind: &LoadedKind, body: Vec<u8>) -> Result<Option<String>> {
        let path = format!("/apis/{}/namespaces/{}/{}", kind.api_version(), self.namespace, kind.kind.plural);
        let request =
            Request::post(format!("{path}?fieldValidation=Strict")).header("Content-Type", "application/json");
        match self.user.client.request::<serde_json::Value>(request.body(body)?).await {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
            Err(error) => Err(error.into()),
        }
    }
}
