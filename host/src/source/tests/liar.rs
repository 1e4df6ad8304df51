//! A registry that says what it is told to say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::IntervalStream;

use crate::plugin::Digest;

pub(super) struct Liar {
    host: String,
    lies: Arc<Lies>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Lies {
    answers: Mutex<BTreeMap<String, Answer>>,
    asked: Mutex<Vec<String>>,
    /// What `Authorization` it wants, and what it says to whom has another.
    wanted: Mutex<Option<(String, String)>>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Bytes(Vec<u8>),
    OneAfterTheOther(Vec<Vec<u8>>),
    Status(u16),
    Redirect(String),
    /// Bytes without end.
    Endless(u16),
    /// Not even a head.
    Nothing,
    /// A head, and nothing after it.
    Silence,
    /// A byte now and then.
    Drip,
}

impl Liar {
    pub(super) async fn start() -> Self {
        let lies = Arc::new(Lies::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&lies));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, lies, task }
    }

    /// Nobody listens there any more.
    pub(super) async fn stop(&self) {
        self.task.abort();
        // The port is closed when the task is gone, which the next connection would otherwise race with.
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn answers(&self, path: &str, answer: Answer) {
        self.lies.answers.lock().unwrap().insert(path.into(), answer);
    }

    pub(super) fn has_blob(&self, repository: &str, bytes: &[u8]) {
        self.answers(&format!("/v2/{repository}/blobs/{}", Digest::of(bytes)), Answer::Bytes(bytes.to_vec()));
    }

    pub(super) fn has_manifest(&self, repository: &str, tag: &str, bytes: &[u8]) {
        for version in [tag, &Digest::of(bytes).to_string()] {
            self.answers(&format!("/v2/{repository}/manifests/{version}"), Answer::Bytes(bytes.to_vec()));
        }
    }

    pub(super) fn has(&self, repository: &str, tag: &str, component: &[u8]) {
        self.has_blob(repository, component);
        let layer = json!({"mediaType": "application/wasm", "digest": Digest::of(component).to_string(), "size": component.len()});
        self.has_manifest(repository, tag, json!({"schemaVersion": 2, "layers": [layer]}).to_string().as_bytes());
    }

    pub(super) fn manifest_of(&self, repository: &str, tag: &str) -> Vec<u8> {
        let answers = self.lies.answers.lock().unwrap();
        let Answer::Bytes(bytes) = &answers[&format!("/v2/{repository}/manifests/{tag}")] else {
            panic!("{tag} is no plain manifest")
        };
        bytes.clone()
    }

    /// Lets in who shows this, and tells others that challenge.
    pub(super) fn wants(&self, authorization: &str, challenge: &str) {
        *self.lies.wanted.lock().unwrap() = Some((authorization.into(), challenge.into()));
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lies.asked.lock().unwrap())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(lies): State<Arc<Lies>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let shown = request.headers().get(AUTHORIZATION).map_or("", |shown| shown.to_str().unwrap()).to_owned();
    let asked = request.uri().path_and_query().map_or("", |path| path.as_str());
    let mut line = format!("{} {asked}", request.method());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    if !shown.is_empty() {
        line = format!("{line} as {shown}");
    }
    if !body.is_empty() {
        line = format!("{line} with {}", String::from_utf8_lossy(&body));
    }
    lies.asked.lock().unwrap().push(line);
    if let Some((wanted, challenge)) = &*lies.wanted.lock().unwrap()
        && *wanted != shown
        && path.starts_with("/v2/")
    {
        return Response::builder().status(401).header(WWW_AUTHENTICATE, challenge).body(Body::empty()).unwrap();
    }
    let says_nothing = matches!(lies.answers.lock().unwrap().get(&path), Some(Answer::Nothing));
    if says_nothing {
        std::future::pending::<()>().await;
    }
    let mut answers = lies.answers.lock().unwrap();
    match answers.get_mut(&path) {
        None | Some(Answer::Nothing) => plain(404, Body::empty()),
        Some(Answer::Bytes(bytes)) => plain(200, Body::from(bytes.clone())),
        Some(Answer::OneAfterTheOther(all)) => {
            let next = if all.len() > 1 { all.remove(0) } else { all[0].clone() };
            plain(200, Body::from(next))
        }
        Some(Answer::Status(status)) => plain(*status, Body::empty()),
        Some(Answer::Redirect(to)) => {
            Response::builder().status(307).header(LOCATION, to.as_str()).body(Body::empty()).unwrap()
        }
        Some(Answer::Endless(status)) => {
            plain(*status, Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(CHUNK))))
        }
        Some(Answer::Silence) => plain(200, Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())),
        Some(Answer::Drip) => {
            let ticks = IntervalStream::new(tokio::time::interval(Duration::from_millis(30)));
            plain(200, Body::from_stream(ticks.map(|_| Ok::<_, Infallible>(Bytes::from_static(b"x")))))
        }
    }
}

const CHUNK: Bytes = Bytes::from_static(&[b'x'; 4096]);

fn plain(status: u16, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
