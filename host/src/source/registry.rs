//! One registry, spoken to by the protocol of the OCI.
//!
//! Registries are strangers: no answer is longer than what is asked for, none may take for ever, credentials go to nobody
//! but the registry and whom it names over TLS, and what comes is believed by its digest alone. (`oci-client` reads
//! manifests, tokens and errors of any length into memory, and would add 63 crates; this is made of what is in the tree.)

mod auth;
mod http;
mod push;

use std::sync::Mutex;

use ::http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use ::http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

pub(super) use self::http::Http;
use self::http::{Body, read};
pub use self::http::{Progress, Watcher};
pub use self::push::PushWatcher;
use super::access::Endpoint;
use super::manifest::{self, Layer};
use super::{Fault, Reference};
use crate::plugin::{Digest, Digester, one_line};

/// Hops from a registry to where it keeps its blobs.
const REDIRECTS: usize = 5;

/// Bytes of an error that are read.
const ERROR: u64 = 8 << 10;

/// Talks to one registry about one repository.
pub(super) struct Session<'a> {
    http: &'a Http,
    endpoint: Endpoint,
    repository: String,
    /// `pull`, or `pull,push`.
    actions: &'static str,
    /// What we were last let in with.
    authorization: Mutex<Option<HeaderValue>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(http: &'a Http, endpoint: Endpoint, reference: &Reference, actions: &'static str) -> Self {
        let repository = reference.repository().to_owned();
        Self { http, endpoint, repository, actions, authorization: Mutex::default() }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// The manifest of that tag or digest, as it comes; who asks for a digest compares.
    pub(super) async fn manifest(&self, version: &str) -> Result<Vec<u8>, Fault> {
        let url = format!("{}/v2/{}/manifests/{version}", self.endpoint.url, self.repository);
        let answer = self.get(&url, manifest::ACCEPTED).await?;
        read(answer, "the manifest", manifest::LARGEST, self.http.patience.stall, |_| {}).await
    }

    /// The list of what refers to a manifest, where the registry keeps one.
    pub(super) async fn referrers(&self, manifest: Digest) -> Result<Vec<u8>, Fault> {
        let url = format!("{}/v2/{}/referrers/{manifest}", self.endpoint.url, self.repository);
        let answer = self.get(&url, manifest::ACCEPTED).await?;
        read(answer, "the list of referrers", manifest::LARGEST, self.http.patience.stall, |_| {}).await
    }

    /// A blob, no byte of which is wrong. It may be shorter than the manifest says only in a lie, which its digest shows.
    pub(super) async fn blob(&self, layer: Layer, what: &'static str, watch: Watcher<'_>) -> Result<Vec<u8>, Fault> {
        let url = format!("{}/v2/{}/blobs/{}", self.endpoint.url, self.repository, layer.digest);
        let answer = self.get(&url, "*/*").await?;
        let (mut digester, mut done) = (Digester::default(), 0);
        let bytes = read(answer, what, layer.size, self.http.patience.stall, |chunk| {
            digester.update(chunk);
            done += chunk.len() as u64;
            watch(Progress { done, total: layer.size });
        })
        .await?;
        let found = digester.finish();
        if found != layer.digest {
            return Err(Fault::DigestMismatch { what, wanted: layer.digest, found });
        }
        Ok(bytes)
    }

    async fn get(&self, url: &str, accept: &'static str) -> Result<Response<Incoming>, Fault> {
        let mut uri = parse(url)?;
        for _ in 0..=REDIRECTS {
            let request = |uri: &Uri| {
                let request = Request::get(uri).header(ACCEPT, accept);
                request.body(Body::default()).map_err(|error| Fault::BadAnswer(error.to_string()))
            };
            let answer = self.send(&uri, &request).await?;
            if !answer.status().is_redirection() {
                return success(answer, StatusCode::OK, self.http).await;
            }
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            uri = next(&uri, location, answer.status())?;
        }
        Err(Fault::BadAnswer(format!("more than {REDIRECTS} redirections")))
    }

    /// Sends a request; if the registry asks who we are, tells it and sends it again.
    async fn send(
        &self,
        uri: &Uri,
        request: &(dyn Fn(&Uri) -> Result<Request<Body>, Fault> + Send + Sync),
    ) -> Result<Response<Incoming>, Fault> {
        let is_registry = is_same_server(uri, &parse(&self.endpoint.url)?);
        let authorized = |authorization: Option<HeaderValue>| {
            let mut request = request(uri)?;
            // To whom we are sent is another matter: credentials stay here.
            if let Some(authorization) = authorization.filter(|_| is_registry) {
                request.headers_mut().insert(AUTHORIZATION, authorization);
            }
            Ok::<_, Fault>(request)
        };
        let known = self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let answer = self.http.send(authorized(known)?).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || !is_registry {
            return Ok(answer);
        }
        let authorization = auth::answer(self, answer.headers()).await?;
        *self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(authorization.clone());
        self.http.send(authorized(Some(authorization))?).await
    }
}

/// Where an answer sends us, never from TLS to plain HTTP.
fn next(from: &Uri, location: Option<&str>, status: StatusCode) -> Result<Uri, Fault> {
    let location = location.ok_or_else(|| Fault::BadAnswer(format!("{status} without a location")))?;
    let uri = relative(from, location)?;
    let is_downgrade = uri.scheme_str() != Some("https") && from.scheme_str() == Some("https");
    if is_downgrade || !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(Fault::BadAnswer(format!("it sends us to {}, which has no TLS", host(&uri))));
    }
    Ok(uri)
}

/// The answer, if it is good; else what it means.
async fn success(answer: Response<Incoming>, wanted: StatusCode, http: &Http) -> Result<Response<Incoming>, Fault> {
    let status = answer.status();
    if status == wanted {
        return Ok(answer);
    }
    // What it says is a help; that it could not be read is none.
    let body = read(answer, "the error", ERROR, http.patience.stall, |_| {}).await.unwrap_or_default();
    let said = match reason(&body) {
        said if said.is_empty() => status.to_string(),
        said => format!("{}: {said}", status.as_str()),
    };
    Err(match status.as_u16() {
        401 | 403 => Fault::Unauthorized(said),
        404 => Fault::NotFound(said),
        408 | 429 | 500..=599 => Fault::Unavailable(said),
        _ => Fault::BadAnswer(said),
    })
}

/// What a registry says of an error: `{"errors": [{"code": …, "message": …}]}`.
fn reason(body: &[u8]) -> String {
    let Ok(said) = serde_json::from_slice::<serde_json::Value>(body) else { return String::new() };
    let message = match trainyard_core::json::text(&said, "/errors/0/message") {
        "" => trainyard_core::json::text(&said, "/errors/0/code"),
        message => message,
    };
    one_line(message).chars().take(200).collect()
}

fn parse(url: &str) -> Result<Uri, Fault> {
    url.parse().map_err(|error| Fault::BadAnswer(one_line(&format!("{url:?} is no address: {error}"))))
}

/// A location is a whole address, or a path on the same server.
fn relative(from: &Uri, location: &str) -> Result<Uri, Fault> {
    if location.starts_with('/') && !location.starts_with("//") {
        return parse(&format!("{}://{}{location}", from.scheme_str().unwrap_or("https"), host(from)));
    }
    let uri = location.parse::<Uri>().ok().filter(|uri| uri.authority().is_some());
    uri.ok_or_else(|| Fault::BadAnswer(one_line(&format!("it sends us to {location:?}, which is no address"))))
}

fn host(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

fn is_same_server(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

#[cfg(test)]
mod tests {
    use super::super::Credential;
    use super::*;

    #[test]
    fn what_a_registry_says_is_one_short_line() {
        let long = format!(r#"{{"errors": [{{"message": "{}"}}]}}"#, "x".repeat(300));
        for (body, expected) in [
            (r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}"#, "manifest unknown"),
            (r#"{"errors": [{"code": "DENIED"}]}"#, "DENIED"),
            (r#"{"errors": [{"message": "a\nb\u001b[1m"}]}"#, "a b [1m"),
            (r#"{"errors": []}"#, ""),
            ("<html>", ""),
            (&long, &"x".repeat(200)),
        ] {
            assert_eq!(reason(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn nothing_leads_from_tls_to_plain_http() {
        for (from, to, expected) in [
            ("https://registry.example/x", "https://cdn.example/x", Ok("https://cdn.example/x")),
            ("https://registry.example/x", "http://cdn.example/x", Err("it sends us to cdn.example, which has no TLS")),
            ("http://registry.example/x", "http://cdn.example/x", Ok("http://cdn.example/x")),
        ] {
            let found = next(&parse(from).unwrap(), Some(to), StatusCode::FOUND).map(|uri| uri.to_string());
            let found =
                found.map_err(|fault| fault.to_string().replace("the registry answers what it should not: ", ""));
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{to}");
        }
    }

    #[tokio::test]
    async fn no_password_is_sent_without_tls_to_who_gives_out_tokens() {
        let http = Http::new(&super::super::Access::default()).unwrap();
        let credential = Some(Credential::Password { username: "user".into(), password: "secret".into() });
        let endpoint = Endpoint { url: "https://registry.example".into(), credential };
        let session = Session::new(&http, endpoint, &"registry.example/a:1".parse().unwrap(), "pull");
        let challenge = HeaderValue::from_static("Bearer realm=\"http://127.0.0.1:1/token\"");
        let headers = [(::http::header::WWW_AUTHENTICATE, challenge)].into_iter().collect();
        let fault = auth::answer(&session, &headers).await.unwrap_err().to_string();
        let message = "it wants our credentials sent to \"http://127.0.0.1:1/token\", which has no TLS";
        assert_eq!(fault, format!("the registry answers what it should not: {message}"));
    }

    #[test]
    fn a_location_is_a_path_or_an_address() {
        let from = parse("https://registry.example:5000/v2/a/blobs/x").unwrap();
        for (location, expected) in [
            ("/v2/uploads/1?x=y", Ok("https://registry.example:5000/v2/uploads/1?x=y")),
            ("https://cdn.example/blob?sig=1", Ok("https://cdn.example/blob?sig=1")),
            ("uploads/1", Err("it sends us to \"uploads/1\", which is no address")),
            ("//elsewhere.example/x", Err("it sends us to \"//elsewhere.example/x\", which is no address")),
        ] {
            let found = relative(&from, location).map(|uri| uri.to_string());
            let found =
                found.map_err(|fault| fault.to_string().replace("the registry answers what it should not: ", ""));
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{location}");
        }
    }
}
