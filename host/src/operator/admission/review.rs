//! One review over HTTP: read, answered by the core, and logged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::sync::{Semaphore, watch as flag};
use tokio::task::block_in_place;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};
use trainyard_core::admission::{self, Answer, NotAReview, Verdict};
use trainyard_core::json::text;

use super::configuration::{self, Hook};
use super::metrics::Reviews;
use crate::catalog::LoadedKind;
use crate::operator::roster::{Kinds, Plans};

/// As in controller-runtime: the old object and the new one, of 3 MiB at most each, and something around them.
const MAX_BYTES: usize = 7 << 20;
/// How long a client may take to send that; the API server gives up after ten seconds itself.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Reviews of one kind that are in its plugin at once: however slow that is, other kinds have turns of their own. More than
/// a plugin answers at once, unless it is told otherwise, would only wait on a thread.
const AT_ONCE: usize = 4;

/// Who reviews jobs, of whatever kinds there are now.
struct Reviewer {
    kinds: flag::Receiver<Arc<Kinds>>,
    reviews: Reviews,
    turns: Turns,
}

/// Of each kind, by its path.
#[derive(Default)]
struct Turns(Mutex<BTreeMap<String, Arc<Semaphore>>>);

/// The paths of all kinds.
pub(super) fn router(kinds: flag::Receiver<Arc<Kinds>>, reviews: Reviews) -> axum::Router {
    let reviewer = Reviewer { kinds, reviews, turns: Turns::default() };
    axum::Router::new().fallback(post(answer)).with_state(Arc::new(reviewer))
}

async fn answer(State(reviewer): State<Arc<Reviewer>>, uri: Uri, body: Body) -> Response {
    let body = match timeout(MAX_WAIT, to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return no(StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}")),
        Err(_) => return no(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    let served = reviewer.served(uri.path());
    // Whatever else strangers think of shares one.
    let turns = served.as_ref().map_or("", |_| uri.path());
    let Ok(_turn) = reviewer.turns.of(turns).acquire_owned().await else {
        return no(StatusCode::SERVICE_UNAVAILABLE, "this operator ends");
    };
    let review = |answered: &dyn Fn(&Value) -> Response| match serde_json::from_slice(&body) {
        Ok(review) => answered(&review),
        Err(error) => no(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}")),
    };
    // A plugin may compute for a while.
    block_in_place(|| match served {
        Some(plans) => reviewer.reviews.count(uri.path(), || {
            let response = review(&|review| planned(&plans, review));
            (response.status().as_u16(), response)
        }),
        None => review(&|review| unplanned(uri.path(), review)),
    })
}

impl Reviewer {
    fn served(&self, path: &str) -> Option<Arc<Plans>> {
        let kinds = self.kinds.borrow();
        kinds.values().find(|plans| Hook::of(&plans.active.kind).path == path).cloned()
    }
}

impl Turns {
    fn of(&self, path: &str) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Kinds come and go: those that nobody waits for have as many turns as new ones.
        turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        turns.entry(path.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

/// A job is reviewed by the version that planned it, if that is loaded.
fn planned(plans: &Plans, review: &Value) -> Response {
    let job = review.pointer("/request/object").unwrap_or(&Value::Null);
    let LoadedKind { kind, plugin, settings, .. } = &**plans.of(job).unwrap_or(&plans.active);
    told(admission::review(kind, review, &plugin.description().name, plugin, settings), review)
}

/// A kind whose plugin is not loaded: it may be on its way here, as in another replica, or have gone a moment ago. Its users
/// are not locked out.
fn unplanned(path: &str, review: &Value) -> Response {
    let kind = ["group", "version", "kind"].map(|field| text(review, &format!("/request/kind/{field}")));
    let [group, version, name] = kind;
    if configuration::path(group, version, name) != path {
        return no(StatusCode::NOT_FOUND, &format!("nobody reviews at {path}"));
    }
    told(admission::unread(kind, review), review)
}

fn told(answer: Result<Answer, NotAReview>, review: &Value) -> Response {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ (NotAReview::OtherType { .. } | NotAReview::Missing(_) | NotAReview::OtherKind { .. })) => {
            return no(StatusCode::BAD_REQUEST, &error.to_string());
        }
    };
    let job = format_args!("{}/{}", text(review, "/request/namespace"), text(review, "/request/name")).to_string();
    let kind = text(review, "/request/kind/kind");
    match &answer.verdict {
        Verdict::Allowed => debug!(job, kind, "allowed"),
        Verdict::Denied(why) => info!(job, kind, why, "refused"),
        Verdict::Broken(why) => error!(job, kind, why, "not reviewed"),
        Verdict::Unavailable(why) => warn!(job, kind, why, "not reviewed"),
    }
    ([(header::CONTENT_TYPE, "application/json")], answer.review().to_string()).into_response()
}

fn no(status: StatusCode, why: &str) -> Response {
    warn!(status = status.as_u16(), why, "a request that is no review");
    (status, why.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde_json::json;

    use super::*;
    use crate::catalog::{Catalog, Needs};
    use crate::operator::metrics::Page;
    use crate::operator::roster::Roster;
    use crate::plugin::{Compiler, Engine};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_review_is_answered_and_anything_else_is_refused_with_its_reason() {
        let engine = Engine::new(NonZeroU32::new(4).unwrap(), Compiler::Here).unwrap();
        let catalog = Catalog::load(&engine, &[], &[], &Needs::All).unwrap();
        let kind = catalog.kinds()[0].clone();
        let uri: Uri = Hook::of(&kind.kind).path.parse().unwrap();
        let reviewer = Arc::new(Reviewer {
            kinds: Roster::new(&catalog).kinds(),
            reviews: Reviews::new(&Page::default()),
            turns: Turns::default(),
        });
        let job = json!({"metadata": {"name": "0"}, "spec": {}});
        let of = json!({"group": kind.kind.group, "version": kind.kind.version, "kind": kind.kind.kind});
        let request = json!({"uid": "u-1", "kind": of, "operation": "CREATE", "object": job});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        for (name, body, status, expected) in [
            ("a review", review.to_string(), 200, "metadata.name: Invalid value: \\\"0\\\": should match"),
            ("nothing", String::new(), 400, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
            ("half of one", "{\"apiVersion\": ".into(), 400, "the body is not JSON: EOF while parsing"),
            ("something else", "{}".into(), 400, "expected admission.k8s.io/v1 AdmissionReview, found \"\" \"\""),
            ("too much", " ".repeat(MAX_BYTES + 1), 400, "the body cannot be read: length limit exceeded"),
        ] {
            let response = answer(State(reviewer.clone()), uri.clone(), Body::from(body)).await;
            assert_eq!(response.status(), status, "{name}");
            let text = to_bytes(response.into_body(), MAX_BYTES).await.unwrap();
            let text = String::from_utf8(text.into()).unwrap();
            assert!(text.contains(expected), "{name}: {text}");
        }
        let review = review.to_string().replace(&kind.kind.kind, "StrangeJob");
        let path: Uri = uri.path().replace(&kind.kind.kind.to_lowercase(), "strangejob").parse().unwrap();
        let response = answer(State(reviewer.clone()), path, Body::from(review.clone())).await;
        let text = to_bytes(response.into_body(), MAX_BYTES).await.unwrap();
        let answer_of = serde_json::from_slice::<Value>(&text).unwrap();
        assert_eq!(answer_of["response"]["allowed"], true, "its plugin is not loaded: {answer_of}");
        assert!(answer_of["response"]["warnings"][0].as_str().unwrap().contains("is not loaded for the moment"));
        let elsewhere = answer(State(reviewer), "/validate-nothing".parse().unwrap(), Body::from(review)).await;
        assert_eq!(elsewhere.status(), 404);
    }

    #[test]
    fn a_flood_of_one_kind_takes_no_turn_of_another() {
        let turns = Turns::default();
        let turn = |path| turns.of(path).try_acquire_owned().ok();
        let flood: Vec<_> = (0..AT_ONCE).map(|_| turn("/a")).collect();
        assert!(flood.iter().all(Option::is_some) && turn("/a").is_none(), "it has its own");
        assert!(turn("/b").is_some(), "as has the other");
        drop(flood);
        assert!(turn("/a").is_some());
        assert_eq!(turns.0.lock().unwrap().len(), 1, "those that are not used are not kept");
    }
}
