//! HTTP with limits: on connections, on silence, on sizes.

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::super::access::{Access, Patience};
use super::Fault;
use crate::failure::chain;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes so far.
    pub done: u64,
    /// Bytes there are, as the sender says.
    pub total: u64,
}

/// Who is told of the progress.
pub type Watcher<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A client, and how patient it is.
pub(in crate::source) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    pub(super) patience: Patience,
}

impl Http {
    pub(in crate::source) fn new(access: &Access) -> Result<Self, Fault> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(access.patience.connect));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(access.ca.as_deref())?);
        let https = https.https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(https), patience: access.patience })
    }

    /// The head of the answer. Nothing is followed, nobody is told who we are.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Fault> {
        let limit = self.patience.connect + self.patience.stall;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let gone = Arc::clone(&request.body().gone);
        let mut sending = pin!(self.client.request(request));
        let sent = loop {
            let before = gone.load(Ordering::Relaxed);
            match timeout(limit, &mut sending).await {
                Ok(sent) => break sent,
                // It is slow, but it goes.
                Err(_) if gone.load(Ordering::Relaxed) > before => {}
                Err(_) => return Err(Fault::Timeout { what: "the registry's answer", limit }),
            }
        };
        // Its own text says "client error (Connect)", which helps nobody.
        sent.map_err(|error| {
            let cause = error.source().map_or_else(|| error.to_string(), chain);
            Fault::Unavailable(format!("{host}: {cause}"))
        })
    }
}

/// All of a body, if it is no longer than that and goes on coming.
pub(super) async fn read(
    answer: Response<Incoming>,
    what: &'static str,
    limit: u64,
    stall: Duration,
    mut each: impl FnMut(&[u8]),
) -> Result<Vec<u8>, Fault> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(stall, body.frame()).await.map_err(|_| Fault::Timeout { what, limit: stall })?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|error| Fault::Unavailable(format!("{what} broke off: {}", chain(&error))))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(Fault::TooLarge { what, limit });
        }
        each(&chunk);
        bytes.extend_from_slice(&chunk);
    }
}

/// The system's authorities and ours. A certificate that cannot be read is told: to go on without it would only fail later.
fn tls(ca: Option<&[u8]>) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    let wrong = |why: String| Fault::Configuration(format!("the CA is no certificate in PEM: {why}"));
    for certificate in ca.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if ca.is_some() && roots.is_empty() {
        return Err(wrong("there is none in it".into()));
    }
    // What is wrong with one of the system's is the system's.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| wrong(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What is sent, piece by piece, so that somebody can watch it go.
#[derive(Default)]
pub(super) struct Body {
    rest: Bytes,
    total: u64,
    watch: Option<Box<dyn Fn(Progress) + Send>>,
    /// Bytes that have been sent.
    gone: Arc<AtomicU64>,
}

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

impl Body {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { total: bytes.len() as u64, rest: bytes, ..Self::default() }
    }

    pub(super) fn watched(self, watch: impl Fn(Progress) + Send + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = PIECE.min(self.rest.len());
        let piece = self.rest.split_to(length);
        let done = self.total - self.rest.len() as u64;
        self.gone.store(done, Ordering::Relaxed);
        if let Some(watch) = &self.watch {
            watch(Progress { done, total: self.total });
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_is_none_is_told() {
        for (ca, why) in [
            (&b""[..], "there is none in it"),
            (b"no PEM", "there is none in it"),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "invalid peer certificate: BadEncoding",
            ),
        ] {
            let found = tls(Some(ca)).map(|_| ()).unwrap_err().to_string();
            assert_eq!(found, format!("the CA is no certificate in PEM: {why}"));
        }
    }
}
