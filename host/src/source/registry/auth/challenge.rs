//! The header `WWW-Authenticate` of a registry.

/// What a registry asks for: a password, or a token of that realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Reads `Bearer realm="https://…",service="…",scope="…"` or `Basic realm="…"`.
pub(super) fn challenge(text: &str) -> Option<Challenge> {
    let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        match name.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value.to_owned()),
            "service" => service = Some(value.to_owned()),
            "scope" => scope = Some(value.to_owned()),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let bearer = |service: Option<&str>, scope: Option<&str>| {
            let (service, scope) = (service.map(ToOwned::to_owned), scope.map(ToOwned::to_owned));
            Some(Challenge::Bearer { realm: "https://a.example/token".into(), service, scope })
        };
        for (text, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("Bearer realm=\"https://a.example/token\"", bearer(None, None)),
            (
                "Bearer realm=\"https://a.example/token\",service=\"a\",scope=\"repository:x:pull,push\",error=\"e\"",
                bearer(Some("a"), Some("repository:x:pull,push")),
            ),
            ("bearer Realm=https://a.example/token, service=a", bearer(Some("a"), None)),
            ("Bearer service=\"a\"", None),
            ("Bearer realm=\"https://a.example", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(challenge(text), expected, "{text}");
        }
    }
}
