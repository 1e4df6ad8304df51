//! The name of an artifact in a registry: `registry.example:5000/team/plugin:1.2`, or with `@sha256:…` instead of the tag.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

use crate::plugin::Digest;

/// Where an artifact is. A tag may mean another artifact tomorrow, a digest never.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Version,
}

/// Which one of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Whatever it is called today.
    Tag(String),
    /// The SHA-256 of its manifest.
    Digest(Digest),
}

/// A text that names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reference: {text:?}: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
}

const NO_REGISTRY: &str = "it names no registry; write it in full, as in registry.example/team/plugin:1.0";
const NO_VERSION: &str = "it has neither a tag (:1.0) nor a digest (@sha256:…)";
const BAD_REPOSITORY: &str =
    "parts of a repository are a-z and 0-9, with . - _ between them, and have at most 255 characters together";
const BAD_TAG: &str = "a tag is at most 128 of a-z, A-Z, 0-9 and . - _, and does not start with . or -";
const BAD_DIGEST: &str = "a digest is sha256: and 64 digits of 0-9 and a-f";
const BAD_REGISTRY: &str = "a registry is a host, or a host and a port";

impl Reference {
    /// `registry.example:5000`
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `team/plugin`
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Its tag or digest.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Another of the same repository.
    #[must_use]
    pub fn at(&self, version: Version) -> Self {
        Self { version, ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |reason| ReferenceError { text: text.chars().take(300).collect(), reason };
        let name = text.strip_prefix("oci://").unwrap_or(text);
        let (name, digest) = name.split_once('@').map_or((name, None), |(name, digest)| (name, Some(digest)));
        let (registry, path) = name.split_once('/').ok_or_else(|| wrong(NO_REGISTRY))?;
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(wrong(NO_REGISTRY));
        }
        if !is_host(registry) {
            return Err(wrong(BAD_REGISTRY));
        }
        let (path, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        if path.len() > 255 || !path.split('/').all(is_repository_part) {
            return Err(wrong(BAD_REPOSITORY));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(BAD_TAG));
        }
        let version = match (digest, tag) {
            // A tag beside a digest is for people.
            (Some(digest), _) => Version::Digest(digest.parse().map_err(|_| wrong(BAD_DIGEST))?),
            (None, Some(tag)) => Version::Tag(tag.into()),
            (None, None) => return Err(wrong(NO_VERSION)),
        };
        Ok(Self { registry: registry.into(), repository: repository(registry, path), version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.version {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// What Docker calls `docker.io/x` is `library/x` there.
fn repository(registry: &str, path: &str) -> String {
    if registry == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.into() }
}

/// A host and perhaps a port; no user, no path.
pub(super) fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok_and(|authority| {
        let (host, port) = (authority.host(), authority.port_u16());
        !host.is_empty() && port.map_or_else(|| host == text, |port| format!("{host}:{port}") == text)
    })
}

fn is_repository_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |separator: &str| {
        matches!(separator, "." | "_" | "__") || (!separator.is_empty() && separator.bytes().all(|byte| byte == b'-'))
    };
    let words: Vec<_> = part.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit()).collect();
    part.bytes().next().is_some_and(is_word)
        && part.bytes().next_back().is_some_and(is_word)
        && words.iter().filter(|separator| !separator.is_empty()).all(|separator| is_separator(separator))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_is_read_as_others_do() {
        for (text, registry, repository, shown) in [
            ("registry.example/team/plugin:1.2", "registry.example", "team/plugin", "registry.example/team/plugin:1.2"),
            ("oci://localhost/a:latest", "localhost", "a", "localhost/a:latest"),
            ("127.0.0.1:5000/a-b/c__d.e:v1", "127.0.0.1:5000", "a-b/c__d.e", "127.0.0.1:5000/a-b/c__d.e:v1"),
            ("[::1]:5000/a:1", "[::1]:5000", "a", "[::1]:5000/a:1"),
            ("docker.io/plugin:1", "docker.io", "library/plugin", "docker.io/library/plugin:1"),
            ("docker.io/team/plugin:1", "docker.io", "team/plugin", "docker.io/team/plugin:1"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.registry(), reference.repository()), (registry, repository), "{text}");
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let reference: Reference = format!("registry.example/a:1@{DIGEST}").parse().unwrap();
        assert_eq!(reference.to_string(), format!("registry.example/a@{DIGEST}"));
        assert_eq!(reference.version(), &Version::Digest(Digest::of(b"")));
    }

    #[test]
    fn what_names_nothing_is_refused_with_a_reason() {
        let long = format!("registry.example/{}:1", "a".repeat(256));
        let long_tag = format!("registry.example/a:{}", "1".repeat(129));
        for (text, reason) in [
            ("", NO_REGISTRY),
            ("plugin:1", NO_REGISTRY),
            ("team/plugin:1", NO_REGISTRY),
            ("registry.example/a", NO_VERSION),
            ("localhost:5000/a", NO_VERSION),
            ("registry.example/:1", BAD_REPOSITORY),
            ("registry.example/A:1", BAD_REPOSITORY),
            ("registry.example/a//b:1", BAD_REPOSITORY),
            ("registry.example/../b:1", BAD_REPOSITORY),
            ("registry.example/a..b:1", BAD_REPOSITORY),
            ("registry.example/a?b:1", BAD_REPOSITORY),
            (&long, BAD_REPOSITORY),
            ("registry.example/a:", BAD_TAG),
            ("registry.example/a:-1", BAD_TAG),
            ("registry.example/a:1/2", BAD_TAG),
            (&long_tag, BAD_TAG),
            ("registry.example/a@sha256:12", BAD_DIGEST),
            ("registry.example:/a:1", BAD_REGISTRY),
            ("registry.example:port/a:1", BAD_REGISTRY),
            ("registry.example:70000/a:1", BAD_REGISTRY),
            ("user:secret@registry.example/a:1", NO_REGISTRY),
            ("https://registry.example/a:1", BAD_REGISTRY),
            ("registry .example/a:1", BAD_REGISTRY),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(ReferenceError { text: text.into(), reason }), "{text}");
        }
    }
}
