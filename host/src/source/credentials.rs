//! Who we are to a registry, read from what `docker login` writes and pull secrets hold (`.dockerconfigjson`).
//!
//! A helper program is not run: in an operator there is none, and on a laptop it would be a stranger's program that gets
//! to see which plugin is asked for. That credentials are in a helper is said, and how to do without.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::Fault;

/// What a registry wants to see.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user's, or a robot's.
    Password {
        /// Who.
        username: String,
        /// How we prove it.
        password: String,
    },
    /// Exchanged for a token at each visit (`identitytoken`).
    Identity(String),
    /// Shown as it is (`registrytoken`).
    Token(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Credential::Password",
            Self::Identity(_) => "Credential::Identity",
            Self::Token(_) => "Credential::Token",
        })
    }
}

/// A docker config file, of which only the credentials are read.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.auths.keys()).finish()
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// More than any file of this kind has.
const LARGEST: usize = 1 << 20;

impl DockerConfig {
    /// Reads one. What it says of other things than credentials may be anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > LARGEST {
            return Err(Fault::TooLarge { what: "the docker config", limit: LARGEST as u64 });
        }
        // What serde says of a secret may quote it: only where it stands is told.
        serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Fault::Configuration(format!("the docker config is not what it should be at line {line} column {column}"))
        })
    }

    /// The credentials for a repository: of all keys that fit the one with the longest path, and of those the one that says
    /// most of the host.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Fault> {
        let fitting = self.auths.iter().filter_map(|(key, entry)| Some((fits(key, registry, repository)?, key, entry)));
        let mut fitting: Vec<_> = fitting.collect();
        fitting.sort_by_key(|(fit, ..)| std::cmp::Reverse(*fit));
        for (_, key, entry) in &fitting {
            if let Some(credential) = entry.credential(key)? {
                return Ok(Some(credential));
            }
        }
        let mut helpers = self.cred_helpers.iter().filter(|(key, _)| fits(key, registry, repository).is_some());
        let helper = helpers.next().map(|(_, helper)| helper);
        // A store writes an empty entry for what it keeps.
        let store = (!fitting.is_empty() && !self.creds_store.is_empty()).then_some(&self.creds_store);
        match helper.or(store) {
            None => Ok(None),
            Some(helper) => Err(Fault::Configuration(format!(
                "the credentials for {registry} are kept by docker-credential-{helper}, which is not run; give a user \
                 name and a password"
            ))),
        }
    }

    /// The registries it knows, for messages.
    pub fn registries(&self) -> Vec<&str> {
        self.auths.keys().map(String::as_str).collect()
    }
}

impl Entry {
    fn credential(&self, key: &str) -> Result<Option<Credential>, Fault> {
        let wrong = || {
            Fault::Configuration(format!("the docker config has an auth for {key} that is no base64 of user:password"))
        };
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::Token(self.registrytoken.clone())));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::Identity(self.identitytoken.clone())));
        }
        if !self.username.is_empty() {
            return Ok(Some(Credential::Password { username: self.username.clone(), password: self.password.clone() }));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let decoded = BASE64_STANDARD.decode(self.auth.trim()).map_err(|_| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
        // Docker pads with zeros.
        let (username, password) = decoded.trim_end_matches('\0').split_once(':').ok_or_else(wrong)?;
        Ok(Some(Credential::Password { username: username.into(), password: password.into() }))
    }
}

/// Docker Hub goes by many names.
const HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// How well a key fits; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// Of the repository's path, in bytes.
    path: usize,
    /// Without a `*`.
    is_exact: bool,
    /// Of the host, in bytes, beside a `*`.
    host: usize,
}

/// How well a key fits, if it does: scheme and API version are left out, hosts compared label by label
/// with `*` for any, and a path has to be the repository's start. So do kubelets.
fn fits(key: &str, registry: &str, repository: &str) -> Option<Fit> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key).trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let is_hub = |name: &str| HUB.contains(&name);
    let rest = repository.strip_prefix(path)?;
    let is_start = path.is_empty() || rest.is_empty() || rest.starts_with('/');
    let fit = Fit { path: path.len(), is_exact: !host.contains('*'), host: host.replace('*', "").len() };
    (is_start && (is_host(host, registry) || (is_hub(host) && is_hub(registry)))).then_some(fit)
}

fn is_host(pattern: &str, host: &str) -> bool {
    let (patterns, labels) = (pattern.split('.'), host.split('.'));
    patterns.clone().count() == labels.clone().count()
        && patterns.zip(labels).all(|(pattern, label)| match pattern.split_once('*') {
            None => pattern.eq_ignore_ascii_case(label),
            Some((start, end)) => {
                let rest = label.strip_prefix(start);
                rest.is_some_and(|rest| rest.ends_with(end) && !rest.contains(':') || rest == end)
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(config: &serde_json::Value, registry: &str, repository: &str) -> Result<Option<Credential>, String> {
        let config = DockerConfig::parse(config.to_string().as_bytes()).unwrap();
        config.find(registry, repository).map_err(|fault| fault.to_string())
    }

    fn password(username: &str, password: &str) -> Credential {
        Credential::Password { username: username.into(), password: password.into() }
    }

    #[test]
    fn every_way_to_write_credentials_is_read() {
        for (name, entry, expected) in [
            ("auth", json!({"auth": "dTpwOnE="}), Some(password("u", "p:q"))),
            ("padded auth", json!({"auth": "dTpwAAA="}), Some(password("u", "p"))),
            ("user and password", json!({"username": "u", "password": "p", "email": "e"}), Some(password("u", "p"))),
            ("both", json!({"auth": "eDp5", "username": "u", "password": "p"}), Some(password("u", "p"))),
            ("identity token", json!({"auth": "dTo=", "identitytoken": "t"}), Some(Credential::Identity("t".into()))),
            ("registry token", json!({"registrytoken": "t"}), Some(Credential::Token("t".into()))),
            ("nothing", json!({}), None),
        ] {
            let config = json!({"auths": {"registry.example": entry}, "HttpHeaders": {"a": "b"}});
            assert_eq!(find(&config, "registry.example", "a"), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_key_may_have_a_scheme_a_port_and_a_path() {
        for (key, registry, repository, fitting) in [
            ("registry.example", "registry.example", "a/b", true),
            ("https://registry.example", "registry.example", "a", true),
            ("http://registry.example/v2/", "registry.example", "a", true),
            ("https://registry.example/v1/", "registry.example", "a", true),
            ("registry.example:5000", "registry.example:5000", "a", true),
            ("registry.example:5000", "registry.example", "a", false),
            ("registry.example", "registry.example:5000", "a", false),
            ("registry.example/a", "registry.example", "a/b", true),
            ("registry.example/a", "registry.example", "a", true),
            ("registry.example/a", "registry.example", "ab", false),
            ("*.example", "registry.example", "a", true),
            ("reg*y.example", "registry.example", "a", true),
            ("*.example", "a.registry.example", "a", false),
            ("*.example", "registry.other", "a", false),
            ("*", "localhost:5000", "a", false),
            ("https://index.docker.io/v1/", "docker.io", "library/a", true),
            ("docker.io", "docker.io", "library/a", true),
            ("example", "registry.example", "a", false),
        ] {
            let config = json!({"auths": {key: {"auth": "dTpw"}}});
            let expected = fitting.then(|| password("u", "p"));
            assert_eq!(find(&config, registry, repository), Ok(expected), "{key} for {registry}/{repository}");
        }
    }

    #[test]
    fn the_longest_path_wins() {
        let config = json!({"auths": {
            "registry.example": {"username": "all", "password": ""},
            "registry.example/team/plugin": {"username": "plugin", "password": ""},
            "registry.example/team": {"username": "team", "password": ""},
        }});
        for (repository, expected) in [("team/plugin", "plugin"), ("team/other", "team"), ("other", "all")] {
            assert_eq!(find(&config, "registry.example", repository), Ok(Some(password(expected, ""))), "{repository}");
        }
    }

    #[test]
    fn the_host_that_says_most_wins() {
        let keys =
            ["*.example", "a.reg*.example", "a.registry.example", "a.*.example", "*.example/team", "*.*.example"];
        let config = |keys: &[&str]| {
            let auths: serde_json::Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), json!({"username": key, "password": ""}))).collect();
            json!({"auths": auths})
        };
        let order = ["a.registry.example", "a.reg*.example", "a.*.example", "*.*.example"];
        for (index, expected) in order.iter().enumerate() {
            let known: Vec<_> = keys.into_iter().filter(|key| !order[..index].contains(key)).collect();
            assert_eq!(find(&config(&known), "a.registry.example", "team/x"), Ok(Some(password(expected, ""))));
        }
        let found = find(&config(&["*.*.example/team", "a.registry.example"]), "a.registry.example", "team/x");
        assert_eq!(found, Ok(Some(password("*.*.example/team", ""))), "a path says more");
    }

    #[test]
    fn what_is_in_a_helper_is_said() {
        let message = |helper: &str| {
            Err(format!(
                "the credentials for registry.example are kept by docker-credential-{helper}, which is not run; give a \
                 user name and a password"
            ))
        };
        for (name, config, expected) in [
            ("a helper", json!({"credHelpers": {"registry.example": "ecr"}}), message("ecr")),
            (
                "a store",
                json!({"credsStore": "desktop", "auths": {"https://registry.example": {}}}),
                message("desktop"),
            ),
            ("a store of another", json!({"credsStore": "desktop", "auths": {"other.example": {}}}), Ok(None)),
            (
                "a store and a password",
                json!({"credsStore": "desktop", "auths": {"registry.example": {"auth": "dTpw"}}}),
                Ok(Some(password("u", "p"))),
            ),
        ] {
            assert_eq!(find(&config, "registry.example", "a"), expected, "{name}");
        }
    }

    #[test]
    fn a_broken_config_is_told_without_its_secrets() {
        let auth = |auth: &str| json!({"auths": {"registry.example": {"auth": auth}}}).to_string();
        for (name, text, expected) in [
            ("no JSON", "secret".to_owned(), "the docker config is not what it should be at line 1 column 1"),
            (
                "another type",
                r#"{"auths": {"a": "secret"}}"#.to_owned(),
                "the docker config is not what it should be at line 1 column 24",
            ),
            (
                "no base64",
                auth("secret!"),
                "the docker config has an auth for registry.example that is no base64 of user:password",
            ),
            (
                "no colon",
                auth("c2VjcmV0"),
                "the docker config has an auth for registry.example that is no base64 of user:password",
            ),
        ] {
            let config = DockerConfig::parse(text.as_bytes());
            let found = config.and_then(|config| config.find("registry.example", "a"));
            assert_eq!(found.unwrap_err().to_string(), expected, "{name}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config =
            DockerConfig::parse(br#"{"auths": {"a.example": {"username": "u", "password": "secret"}}}"#).unwrap();
        let credential = config.find("a.example", "x").unwrap();
        assert!(!format!("{config:?} {credential:?}").contains("secret"));
    }
}
