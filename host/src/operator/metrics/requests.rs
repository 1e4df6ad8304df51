//! Requests to the API server, counted where the client sends them, watches included.

use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use prometheus::IntCounterVec;
use tower::{Layer, Service};

use super::page::Page;

/// The counter; as a layer of a client it counts what goes through.
#[derive(Clone, Debug)]
pub(in crate::operator) struct Requests {
    counters: IntCounterVec,
    host: String,
}

impl Requests {
    pub(super) fn new(page: &Page) -> Self {
        let help = "Number of HTTP requests, partitioned by status code, method, and host.";
        let counters = page.counters("rest_client_requests_total", help, &["code", "host", "method"]);
        Self { counters, host: String::new() }
    }

    /// Of the API server at that address.
    pub(in crate::operator) fn to(&self, server: &http::Uri) -> Self {
        let host = server.authority().map(ToString::to_string).unwrap_or_default();
        Self { host, ..self.clone() }
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, requests: self.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone, Debug)]
pub(in crate::operator) struct Counted<S> {
    inner: S,
    requests: Requests,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let Requests { counters, host } = self.requests.clone();
        let method = request.method().clone();
        let answer = self.inner.call(request).map(move |answer| {
            // client-go's word for no answer at all.
            let code =
                answer.as_ref().map_or_else(|_| "<error>".to_owned(), |answer| answer.status().as_str().to_owned());
            counters.with_label_values(&[code.as_str(), &host, method.as_str()]).inc();
            answer
        });
        answer.boxed()
    }
}
