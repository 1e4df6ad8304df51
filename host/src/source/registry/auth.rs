//! What a registry asks of us before it answers: a password (basic), or a token that somebody else gives out (bearer).

mod challenge;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use ::http::{HeaderMap, HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use self::challenge::{Challenge, challenge};
use super::super::Fault;
use super::super::credentials::Credential;
use super::http::{Body, read};
use super::{Session, parse, success};

/// Bytes of the answer that has a token in it.
const TOKEN: u64 = 256 << 10;

/// The `Authorization` that these headers of a 401 ask for.
pub(super) async fn answer(session: &Session<'_>, headers: &HeaderMap) -> Result<HeaderValue, Fault> {
    let asked = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| challenge(value.to_str().ok()?));
    let asked: Vec<_> = asked.collect();
    let bearer = asked.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    let credential = session.endpoint.credential.as_ref();
    match (bearer.or(asked.first()), credential) {
        (Some(Challenge::Bearer { .. }), Some(Credential::Token(token))) => header(format!("Bearer {token}")),
        (Some(Challenge::Bearer { realm, service, scope }), _) => {
            let default = format!("repository:{}:{}", session.repository, session.actions);
            let scope = scope.as_ref().unwrap_or(&default);
            let token = token(session, realm, service.as_deref(), scope).await?;
            header(format!("Bearer {token}"))
        }
        (Some(Challenge::Basic), Some(Credential::Password { username, password })) => basic(username, password),
        (Some(Challenge::Basic), Some(Credential::Identity(_) | Credential::Token(_))) => Err(Fault::Unauthorized(
            "the registry asks for a user name and a password, and there is a token only".into(),
        )),
        (Some(Challenge::Basic), None) => {
            Err(Fault::Unauthorized("the registry asks for a user name and a password, and none is given".into()))
        }
        (None, _) => Err(Fault::Unauthorized("the registry does not say what it asks for".into())),
    }
}

/// Asks who gives out tokens for one, showing our credentials.
async fn token(session: &Session<'_>, realm: &str, service: Option<&str>, scope: &str) -> Result<String, Fault> {
    let uri = parse(realm)?;
    let is_plain = uri.scheme_str() != Some("https");
    if is_plain && !session.endpoint.url.starts_with("http://") {
        return Err(Fault::BadAnswer(format!("it wants our credentials sent to {realm:?}, which has no TLS")));
    }
    let mut fields = vec![("scope", scope)];
    fields.extend(service.map(|service| ("service", service)));
    let credential = session.endpoint.credential.as_ref();
    let request = match credential {
        // OAuth 2: https://distribution.github.io/distribution/spec/auth/oauth/
        Some(Credential::Identity(identity)) => {
            fields.extend([("grant_type", "refresh_token"), ("client_id", "trainyard"), ("refresh_token", identity)]);
            let body = Body::new(Bytes::from(form(&fields)));
            Request::post(&uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
        }
        Some(Credential::Password { .. } | Credential::Token(_)) | None => {
            let separator = if uri.query().is_some() { '&' } else { '?' };
            let mut request = Request::get(format!("{uri}{separator}{}", form(&fields)));
            if let Some(Credential::Password { username, password }) = credential {
                request = request.header(AUTHORIZATION, basic(username, password)?);
            }
            request.body(Body::default())
        }
    };
    let request = request.map_err(|error| Fault::BadAnswer(error.to_string()))?;
    let answer = match success(session.http.send(request).await?, StatusCode::OK, session.http).await {
        // That there is no such page is no news of the artifact.
        Err(Fault::NotFound(said)) => return Err(Fault::BadAnswer(format!("no tokens at {realm:?}: {said}"))),
        answer => answer?,
    };
    let body = read(answer, "the token", TOKEN, session.http.patience.stall, |_| {}).await?;
    let given: Given = serde_json::from_slice(&body).unwrap_or_default();
    let token = if given.token.is_empty() { given.access_token } else { given.token };
    if token.is_empty() {
        return Err(Fault::BadAnswer(format!("there is no token in what {realm:?} answers")));
    }
    Ok(token)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    token: String,
    access_token: String,
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, Fault> {
    header(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

/// A header that no log shows.
fn header(text: String) -> Result<HeaderValue, Fault> {
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|_| Fault::BadAnswer("a token that no header can hold".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `a=b&c=d`, every byte that means something in an address escaped.
fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_escaped() {
        let text = form(&[("scope", "repository:a/b:pull,push"), ("service", "é &=")]);
        assert_eq!(text, "scope=repository%3Aa%2Fb%3Apull%2Cpush&service=%C3%A9%20%26%3D");
    }
}
