//! Into a registry: blobs first, the manifest that names them last, so that what can be seen is whole.

use std::sync::Arc;

use ::http::header::{CONTENT_TYPE, LOCATION};
use ::http::{Method, Request, StatusCode, Uri};
use bytes::Bytes;

use super::super::Fault;
use super::super::manifest::MANIFEST;
use super::http::{Body, Progress};
use super::{Session, host, is_same_server, parse, relative, success};
use crate::plugin::Digest;

/// Who is told of the progress of a push.
pub type PushWatcher = Arc<dyn Fn(Progress) + Send + Sync>;

impl Session<'_> {
    /// Puts a blob there, unless it is there.
    pub(in crate::source) async fn push_blob(&self, bytes: Bytes, watch: PushWatcher) -> Result<(), Fault> {
        let digest = Digest::of(&bytes);
        let base = format!("{}/v2/{}/blobs", self.endpoint.url, self.repository);
        let known = self.request(&Method::HEAD, &parse(&format!("{base}/{digest}"))?, &Body::default).await?;
        if known.status() == StatusCode::OK {
            watch(Progress { done: bytes.len() as u64, total: bytes.len() as u64 });
            return Ok(());
        }
        let uploads = parse(&format!("{base}/uploads/"))?;
        let begun = self.request(&Method::POST, &uploads, &Body::default).await?;
        let begun = success(begun, StatusCode::ACCEPTED, self.http).await?;
        let location = begun.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| Fault::BadAnswer("an upload without a location".into()))?;
        let location = relative(&uploads, location)?;
        // Bytes follow credentials: an upload elsewhere would be refused for want of them.
        if !is_same_server(&location, &uploads) {
            return Err(Fault::BadAnswer(format!("it wants the upload sent to {}", host(&location))));
        }
        let separator = if location.query().is_some() { '&' } else { '?' };
        let location = parse(&format!("{location}{separator}digest={digest}"))?;
        let body = || {
            let watch = Arc::clone(&watch);
            Body::new(bytes.clone()).watched(move |progress| watch(progress))
        };
        let done = self.request(&Method::PUT, &location, &body).await?;
        success(done, StatusCode::CREATED, self.http).await.map(|_| ())
    }

    /// Gives the blobs a name.
    pub(in crate::source) async fn push_manifest(&self, version: &str, manifest: Vec<u8>) -> Result<(), Fault> {
        let url = parse(&format!("{}/v2/{}/manifests/{version}", self.endpoint.url, self.repository))?;
        let manifest = Bytes::from(manifest);
        let done = self.request(&Method::PUT, &url, &|| Body::new(manifest.clone())).await?;
        success(done, StatusCode::CREATED, self.http).await.map(|_| ())
    }

    async fn request(
        &self,
        method: &Method,
        uri: &Uri,
        body: &(dyn Fn() -> Body + Send + Sync),
    ) -> Result<::http::Response<hyper::body::Incoming>, Fault> {
        let request = |uri: &Uri| {
            let mut request = Request::builder().method(method).uri(uri);
            match *method {
                Method::PUT if uri.path().contains("/manifests/") => request = request.header(CONTENT_TYPE, MANIFEST),
                Method::PUT => request = request.header(CONTENT_TYPE, "application/octet-stream"),
                _ => {}
            }
            request.body(body()).map_err(|error| Fault::BadAnswer(error.to_string()))
        };
        self.send(uri, &request).await
    }
}
