//! Where plugins come from: this binary, a registry, a ConfigMap, a file. What comes out of here is what was meant.
//!
//! A tag is looked up once, and is a digest from then on. A digest that was pinned is compared, a signature that is wanted
//! is checked, and both before anybody gets to see a byte. What a registry gave is kept in a [`Cache`].

mod access;
mod artifact;
mod cache;
mod credentials;
mod error;
mod manifest;
mod push;
mod reference;
mod registry;
mod signature;
#[cfg(test)]
#[path = "../../tests/src/sigstore.rs"]
#[expect(unreachable_pub, reason = "of the tests of the whole program, too")]
pub(crate) mod sigstore;

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

pub use self::access::{Access, Login, Mirror, Patience};
pub use self::cache::Cache;
pub use self::credentials::{Credential, DockerConfig};
pub use self::error::{Fault, SourceError};
pub use self::manifest::check as check_manifest;
pub use self::push::{Pushed, push};
pub use self::reference::{Reference, ReferenceError, Version};
pub use self::registry::{Progress, PushWatcher, Watcher};
pub use self::signature::{Identity, Policy, PublicKey, SignatureError};
use crate::bundled::BUNDLED;
use crate::plugin::{COMPONENT, Digest};

/// Where a plugin's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In this binary, under that name.
    Bundled(String),
    /// In a registry.
    Oci(Reference),
    /// In a ConfigMap, which the caller has read.
    ConfigMap {
        /// Its name and key, for messages.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// On this machine.
    File {
        /// Which.
        path: PathBuf,
        /// The folder that it has to be in, wherever links lead.
        within: Option<PathBuf>,
    },
}

/// What has to be true of what comes.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// The digest of the component itself. (That of a manifest is written in its reference.)
    pub digest: Option<Digest>,
    /// Whose signature it has to have.
    pub signature: Policy,
}

/// A component that is what was demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub component: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// That of the manifest which names it in its registry: what a tag was.
    pub manifest: Option<Digest>,
    /// How fresh the answer is.
    pub freshness: Freshness,
}

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What there is, or all there will ever be: a digest means one thing.
    Current,
    /// What a tag was when its registry last answered; it does not now.
    Remembered,
}

/// Fetches a component. With a cache, what was fetched before is not fetched again.
pub async fn fetch(
    source: &Source,
    demand: &Demand,
    access: &Access,
    cache: Option<&Arc<Cache>>,
    watch: Watcher<'_>,
) -> Result<Fetched, SourceError> {
    let fetched = match source {
        Source::Oci(reference) => artifact::fetch(reference, demand, access, cache, watch).await,
        Source::Bundled(_) | Source::ConfigMap { .. } | Source::File { .. } => local(source, demand),
    };
    fetched.map_err(|fault| fault.of(source))
}

fn local(source: &Source, demand: &Demand) -> Result<Fetched, Fault> {
    if demand.signature != Policy::None {
        return Err(SignatureError::NoPlace.into());
    }
    let component = match source {
        Source::Bundled(name) => {
            let bundled = BUNDLED.iter().find(|bundled| bundled.name == name);
            let names = || BUNDLED.iter().map(|bundled| bundled.name).collect::<Vec<_>>().join(", ");
            bundled.ok_or_else(|| Fault::NotFound(format!("there are: {}", names())))?.component.to_vec()
        }
        Source::ConfigMap { bytes, .. } => bytes.clone(),
        Source::File { path, within } => read(path, within.as_deref())?,
        Source::Oci(reference) => return Err(Fault::NotFound(reference.to_string())),
    };
    let digest = Digest::of(&component);
    check_pin(demand.digest, digest, None)?;
    Ok(Fetched { component, digest, manifest: None, freshness: Freshness::Current })
}

/// Compares with what was pinned. Who pins the manifest's digest is told where it belongs.
fn check_pin(pinned: Option<Digest>, found: Digest, manifest: Option<Digest>) -> Result<(), Fault> {
    match pinned {
        Some(wanted) if manifest == Some(wanted) => Err(Fault::Configuration(format!(
            "{wanted} is the digest of the manifest, and belongs into the reference, after @; that of the component is {found}"
        ))),
        Some(wanted) if wanted != found => Err(Fault::DigestMismatch { what: "the component", wanted, found }),
        _ => Ok(()),
    }
}

/// Reads a file: a plain one, in that folder, of a bearable size. It is opened once: what is looked at is what is read.
fn read(path: &Path, within: Option<&Path>) -> Result<Vec<u8>, Fault> {
    let disk = |source: std::io::Error| {
        let is_missing = source.kind() == std::io::ErrorKind::NotFound;
        if is_missing {
            Fault::NotFound(String::new())
        } else {
            Fault::Disk { what: "it cannot be read".into(), source }
        }
    };
    // A pipe would keep us waiting for ever.
    let opened = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty());
    let file = File::from(opened.map_err(|error| disk(error.into()))?);
    let about = file.metadata().map_err(disk)?;
    if let Some(folder) = within
        && !is_within(&about, path, folder).unwrap_or(false)
    {
        return Err(Fault::Configuration(format!("it is not in {}, where plugins have to be", folder.display())));
    }
    if !about.is_file() {
        return Err(Fault::NotAPlugin("it is no file".into()));
    }
    let (mut bytes, limit) = (Vec::new(), COMPONENT as u64);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(disk)?;
    if bytes.len() as u64 > limit {
        return Err(Fault::TooLarge { what: "the component", limit });
    }
    Ok(bytes)
}

/// Whether this very file is below the folder, wherever links lead.
fn is_within(file: &Metadata, path: &Path, folder: &Path) -> std::io::Result<bool> {
    let real = fs::canonicalize(path)?;
    let there = fs::metadata(&real)?;
    let is_it = (there.dev(), there.ino()) == (file.dev(), file.ino());
    Ok(is_it && real.starts_with(fs::canonicalize(folder)?))
}

/// `bundled name`, a reference, `configMap name`, a path.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bundled(name) => write!(f, "bundled {name}"),
            Self::Oci(reference) => write!(f, "{reference}"),
            Self::ConfigMap { name, .. } => write!(f, "configMap {name}"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
