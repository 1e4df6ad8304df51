//! Who we are, and to whom we say so.

use super::liar::{Answer, Liar};
use super::{COMPONENT, Rig};
use crate::plugin::Digest;
use crate::source::{Access, Credential, Login};

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn password() -> Login {
    Login::Credential(Credential::Password { username: "user".into(), password: "secret".into() })
}

async fn rig(login: Login) -> Rig {
    let rig = Rig::new().await;
    Rig { access: Access { login, ..rig.access.clone() }, ..rig }
}

#[tokio::test]
async fn a_password_is_shown_when_it_is_asked_for() {
    let rig = rig(password()).await;
    rig.liar.wants(BASIC, "Basic realm=\"x\"");
    rig.fetch(":1").await.unwrap();
    let (manifest, blob) = ("GET /v2/a/manifests/1", format!("GET /v2/a/blobs/{}", Digest::of(COMPONENT)));
    let expected = [manifest.to_owned(), format!("{manifest} as {BASIC}"), format!("{blob} as {BASIC}")];
    assert_eq!(rig.liar.asked(), expected);
    rig.liar.wants("Basic other", "Basic realm=\"x\"");
    assert_eq!(rig.fault(":1").await, ("Unauthorized", "unauthorized: 401 Unauthorized".into()));
}

#[tokio::test]
async fn without_credentials_it_is_said_what_is_missing() {
    let rig = rig(Login::Anonymous).await;
    rig.liar.wants(BASIC, "Basic realm=\"x\"");
    let message = "unauthorized: the registry asks for a user name and a password, and none is given";
    assert_eq!(rig.fault(":1").await, ("Unauthorized", message.into()));
}

#[tokio::test]
async fn a_token_is_fetched_with_a_password_or_without() {
    for (name, login, shown) in
        [("password", password(), format!(" as {BASIC}")), ("anonymous", Login::Anonymous, String::new())]
    {
        let (rig, tokens) = (rig(login).await, Liar::start().await);
        tokens.answers("/token", Answer::Bytes(br#"{"token": "t1"}"#.to_vec()));
        rig.liar.wants("Bearer t1", &format!("Bearer realm=\"http://{}/token\",service=\"s\"", tokens.host()));
        rig.fetch(":1").await.unwrap();
        assert_eq!(tokens.asked(), [format!("GET /token?scope=repository%3Aa%3Apull&service=s{shown}")], "{name}");
        assert_eq!(rig.liar.asked().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let (rig, tokens) = (rig(Login::Credential(Credential::Identity("i d".into()))).await, Liar::start().await);
    tokens.answers("/token", Answer::Bytes(br#"{"access_token": "t1"}"#.to_vec()));
    rig.liar.wants("Bearer t1", &format!("Bearer realm=\"http://{}/token\",service=\"s\"", tokens.host()));
    rig.fetch(":1").await.unwrap();
    let form = "scope=repository%3Aa%3Apull&service=s&grant_type=refresh_token&client_id=trainyard&refresh_token=i%20d";
    assert_eq!(tokens.asked(), [format!("POST /token with {form}")]);
}

#[tokio::test]
async fn what_a_token_server_does_wrong_is_told() {
    let (rig, tokens) = (rig(password()).await, Liar::start().await);
    let realm = format!("http://{}/token", tokens.host());
    rig.liar.wants("Bearer t1", &format!("Bearer realm=\"{realm}\""));
    for (answer, reason, message) in [
        (Answer::Status(401), "Unauthorized", "unauthorized: 401 Unauthorized".to_owned()),
        (
            Answer::Status(404),
            "BadAnswer",
            format!("the registry answers what it should not: no tokens at {realm:?}: 404 Not Found"),
        ),
        (
            Answer::Bytes(b"<html>".to_vec()),
            "BadAnswer",
            format!("the registry answers what it should not: there is no token in what {realm:?} answers"),
        ),
        (Answer::Endless(200), "TooLarge", "too large: the token has more than 262144 bytes".into()),
        (
            Answer::Bytes(br#"{"token": "a\nb"}"#.to_vec()),
            "BadAnswer",
            "the registry answers what it should not: a token that no header can hold".into(),
        ),
        (Answer::Bytes(br#"{"token": "old"}"#.to_vec()), "Unauthorized", "unauthorized: 401 Unauthorized".into()),
    ] {
        tokens.answers("/token", answer);
        assert_eq!(rig.fault(":1").await, (reason, message));
    }
}

#[tokio::test]
async fn blobs_may_be_elsewhere_and_credentials_stay() {
    let (rig, elsewhere) = (rig(password()).await, Liar::start().await);
    rig.liar.wants(BASIC, "Basic realm=\"x\"");
    elsewhere.answers("/blob", Answer::Bytes(COMPONENT.into()));
    let blob = format!("/v2/a/blobs/{}", Digest::of(COMPONENT));
    rig.liar.answers(&blob, Answer::Redirect(format!("http://{}/blob?x=y", elsewhere.host())));
    rig.fetch(":1").await.unwrap();
    assert_eq!(elsewhere.asked(), ["GET /blob?x=y"]);
    rig.liar.has("a", "2", b"another");
    let blob = format!("/v2/a/blobs/{}", Digest::of(b"another"));
    for (to, message) in [
        (&*blob, "the registry answers what it should not: more than 5 redirections"),
        (
            "file:///etc/passwd",
            "the registry answers what it should not: it sends us to \"file:///etc/passwd\", which is no address",
        ),
        ("ftp://x/y", "the registry answers what it should not: it sends us to x, which has no TLS"),
    ] {
        rig.liar.answers(&blob, Answer::Redirect(to.into()));
        assert_eq!(rig.fault(":2").await, ("BadAnswer", message.into()));
    }
}
