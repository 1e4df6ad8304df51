//! How registries are reached: by which hosts, as whom, over which trust, and how long we wait.

use std::time::Duration;

use super::credentials::{Credential, DockerConfig};
use super::{Fault, Reference, reference};

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Without TLS. Everybody on the way can read the credentials and, of a tag, choose the artifact.
    pub plain_http: bool,
    /// Authorities (PEM) that are trusted beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// Asked before the registry itself, in this order.
    pub mirrors: Vec<Mirror>,
    /// Who we are.
    pub login: Login,
    /// How long we wait.
    pub patience: Patience,
}

/// Who we are to a registry.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Nobody.
    #[default]
    Anonymous,
    /// Given for this very registry.
    Credential(Credential),
    /// Whoever the user is, if the registry is in it.
    DockerConfig(DockerConfig),
    /// A secret that was named for this very artifact: if the registry is not in it, somebody has made a mistake.
    PullSecret(DockerConfig),
}

/// How long we wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection; 10 s.
    pub connect: Duration,
    /// For the next bytes; 15 s.
    pub stall: Duration,
    /// For everything; 120 s.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), stall: Duration::from_secs(15), whole: Duration::from_mins(2) }
    }
}

/// Another registry with the same artifacts: `mirror.example:5000`, with `http://` in front if it has no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    host: String,
    plain_http: bool,
}

impl std::str::FromStr for Mirror {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let plain = text.strip_prefix("http://");
        let host = plain.or_else(|| text.strip_prefix("https://")).unwrap_or(text).trim_end_matches('/');
        if !reference::is_host(host) {
            return Err(Fault::Configuration(format!("not a mirror: {text:?} is not a host, or a host and a port")));
        }
        Ok(Self { host: host.into(), plain_http: plain.is_some() })
    }
}

/// One place where an artifact may be.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// `https://registry.example:5000`
    pub(super) url: String,
    pub(super) credential: Option<Credential>,
}

impl Access {
    /// Where an artifact may be, in the order in which to ask.
    pub(super) fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Fault> {
        let mut endpoints = Vec::new();
        for mirror in &self.mirrors {
            let credential = self.login.to(&mirror.host, reference.repository(), false)?;
            endpoints.push(Endpoint { url: url(&mirror.host, mirror.plain_http), credential });
        }
        endpoints.push(self.origin(reference)?);
        Ok(endpoints)
    }

    /// The registry itself.
    pub(super) fn origin(&self, reference: &Reference) -> Result<Endpoint, Fault> {
        let credential = self.login.to(reference.registry(), reference.repository(), true)?;
        let host = if reference.registry() == "docker.io" { "registry-1.docker.io" } else { reference.registry() };
        Ok(Endpoint { url: url(host, self.plain_http), credential })
    }
}

impl Login {
    fn to(&self, registry: &str, repository: &str, is_origin: bool) -> Result<Option<Credential>, Fault> {
        match self {
            Self::Anonymous => Ok(None),
            // Given for the registry, and no business of its mirrors.
            Self::Credential(credential) => Ok(is_origin.then(|| credential.clone())),
            Self::DockerConfig(config) => config.find(registry, repository),
            Self::PullSecret(config) => match config.find(registry, repository)? {
                None if is_origin => Err(Fault::Configuration(format!(
                    "the pull secret has no credentials for {registry}, but for: {}",
                    config.registries().join(", ")
                ))),
                found => Ok(found),
            },
        }
    }
}

fn url(host: &str, plain_http: bool) -> String {
    format!("{}://{host}", if plain_http { "http" } else { "https" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(login: Login) -> Access {
        let mirrors = ["mirror.example", "http://10.0.0.1:5000/"].map(|text| text.parse().unwrap());
        Access { mirrors: mirrors.into(), login, ..Access::default() }
    }

    fn asked(access: &Access, reference: &str) -> Result<Vec<(String, Option<Credential>)>, String> {
        let endpoints = access.endpoints(&reference.parse().unwrap()).map_err(|fault| fault.to_string())?;
        Ok(endpoints.into_iter().map(|endpoint| (endpoint.url, endpoint.credential)).collect())
    }

    #[test]
    fn mirrors_are_asked_first_and_get_no_credentials_of_others() {
        let token = Credential::Token("t".into());
        let mirrors = || [("https://mirror.example".to_owned(), None), ("http://10.0.0.1:5000".to_owned(), None)];
        let expected = mirrors().into_iter().chain([("https://registry.example".to_owned(), Some(token.clone()))]);
        let found = asked(&access(Login::Credential(token)), "registry.example/a:1");
        assert_eq!(found, Ok(expected.collect()));
        let expected = mirrors().into_iter().chain([("https://registry-1.docker.io".to_owned(), None)]);
        assert_eq!(asked(&access(Login::Anonymous), "docker.io/a:1"), Ok(expected.collect()));
    }

    #[test]
    fn a_pull_secret_has_to_know_the_registry() {
        let config = DockerConfig::parse(br#"{"auths": {"a.example": {"registrytoken": "t"}}}"#).unwrap();
        let message = "the pull secret has no credentials for b.example, but for: a.example";
        assert_eq!(asked(&access(Login::PullSecret(config.clone())), "b.example/x:1").unwrap_err(), message);
        assert_eq!(asked(&access(Login::PullSecret(config.clone())), "a.example/x:1").unwrap().len(), 3);
        assert_eq!(asked(&access(Login::DockerConfig(config)), "b.example/x:1").unwrap().len(), 3);
    }

    #[test]
    fn a_mirror_is_a_host() {
        for text in ["", "http://", "mirror.example/path", "user@mirror.example", "ftp://mirror.example"] {
            let message = format!("not a mirror: {text:?} is not a host, or a host and a port");
            assert_eq!(text.parse::<Mirror>().unwrap_err().to_string(), message);
        }
    }
}
