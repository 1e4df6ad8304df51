//! Requests to the API server: each says what it did to the object it names, in the words a pass needs.

use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderValue, Request as HttpRequest};
use kube::Client;
use kube::core::{ApiResource, GroupVersionKind, Request, params};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use trainyard_core::action::Target;
use trainyard_core::json::text;

use super::throttle::Throttle;

/// A client of one API server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    throttle: Option<Arc<Throttle>>,
    turns: Arc<Semaphore>,
}

/// Requests under way at once. Each has a connection of its own, which is kept for a while and costs memory on both sides.
const PARALLEL: usize = 64;

/// Instead of all of an object its metadata.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// There is an object of that name.
    #[error("{0}")]
    AlreadyExists(String),
    /// The object is not what it was when we read it.
    #[error("{0}")]
    Conflict(String),
    /// There is none.
    #[error("{0}")]
    NotFound(String),
    /// The API server says no; its words.
    #[error("{0}")]
    Refused(String),
    /// The API server does not answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(#[source] Box<kube::Error>),
}

impl Api {
    pub(super) fn new(client: Client, throttle: Option<Throttle>) -> Self {
        Self { client, throttle: throttle.map(Arc::new), turns: Arc::new(Semaphore::new(PARALLEL)) }
    }

    /// Creates an object; answers it as stored.
    pub(super) async fn create<T: DeserializeOwned>(&self, object: &Value) -> Result<T, ApiError> {
        let request = Request::new(path(object)).create(&params::PostParams::default(), object.to_string().into());
        self.send(request).await
    }

    /// Creates an object; answers its metadata as stored. The rest is as it was sent.
    ///
    /// <https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>
    pub(super) async fn create_for_metadata<T: DeserializeOwned>(&self, object: &Value) -> Result<T, ApiError> {
        let mut request = Request::new(path(object)).create(&params::PostParams::default(), object.to_string().into());
        if let Ok(request) = &mut request {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
        }
        self.send(request).await
    }

    /// Reads an object that another names.
    pub(super) async fn get<T: DeserializeOwned>(&self, like: &Value) -> Result<T, ApiError> {
        self.send(Request::new(path(like)).get(text(like, "/metadata/name"), &params::GetParams::default())).await
    }

    /// Replaces an object, as read: its `resourceVersion` guards it.
    pub(super) async fn replace<T: DeserializeOwned>(&self, object: &Value) -> Result<T, ApiError> {
        let name = text(object, "/metadata/name");
        let request =
            Request::new(path(object)).replace(name, &params::PostParams::default(), object.to_string().into());
        self.send(request).await
    }

    /// Replaces the status of an object, as read: its `resourceVersion` guards it.
    pub(super) async fn replace_status(&self, object: &Value, status: Value) -> Result<Value, ApiError> {
        let field = |pointer| text(object, pointer);
        // The API server takes the status and leaves the rest as it is stored.
        let body = json!({
            "apiVersion": field("/apiVersion"),
            "kind": field("/kind"),
            "metadata": {
                "name": field("/metadata/name"),
                "namespace": field("/metadata/namespace"),
                "uid": field("/metadata/uid"),
                "resourceVersion": field("/metadata/resourceVersion"),
            },
            "status": status,
        });
        let request = Request::new(path(object));
        let params = params::PostParams::default();
        self.send(request.replace_subresource("status", field("/metadata/name"), &params, body.to_string().into()))
            .await
    }

    /// Deletes the object of that name and uid; None where it has gone already. `like` names its kind and namespace.
    pub(super) async fn delete(&self, like: &Value, target: &Target) -> Result<Option<Value>, ApiError> {
        let preconditions = params::Preconditions { uid: Some(target.uid.clone()), resource_version: None };
        let params = params::DeleteParams { preconditions: Some(preconditions), ..params::DeleteParams::default() };
        match self.send(Request::new(path(like)).delete(&target.name, &params)).await {
            Ok(object) => Ok(Some(object)),
            // Another object has its name by now.
            Err(ApiError::NotFound(_) | ApiError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<HttpRequest<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, ApiError> {
        let request = request.map_err(|error| ApiError::Refused(error.to_string()))?;
        if let Some(throttle) = &self.throttle {
            throttle.wait().await;
        }
        let _turn = self.turns.acquire().await; // never closed
        self.client.request(request).await.map_err(ApiError::from)
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable(Box::new(error)) };
        match (status.code, status.reason.as_str()) {
            (409, "AlreadyExists") => Self::AlreadyExists(status.message),
            (409, _) => Self::Conflict(status.message),
            (404, _) => Self::NotFound(status.message),
            _ => Self::Refused(status.message),
        }
    }
}

/// Where objects of a kind are in a namespace.
pub(super) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn path(object: &Value) -> String {
    let resource = resource(text(object, "/apiVersion"), text(object, "/kind"));
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    format!("{root}/{}/namespaces/{}/{}", resource.api_version, text(object, "/metadata/namespace"), resource.plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_where_kubernetes_keeps_them() {
        for (api_version, kind, expected) in [
            ("v1", "Pod", "/api/v1/namespaces/ns/pods"),
            ("kubeflow.org/v1", "PyTorchJob", "/apis/kubeflow.org/v1/namespaces/ns/pytorchjobs"),
            (
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers",
            ),
        ] {
            let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": "ns"}});
            assert_eq!(path(&object), expected);
        }
    }
}
