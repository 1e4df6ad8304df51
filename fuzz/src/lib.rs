//! What reads the bytes of strangers: files of the host, without the client of clusters and the compiler of plugins around
//! them, which take minutes to build and are others' to try.

#![allow(dead_code, unused_imports, reason = "of these files only what reads is called")]

mod wasm;

pub use wasm::shaped;

/// Of `host/src/plugin`.
#[path = "../../host/src/plugin"]
pub mod plugin {
    mod component;
    mod digest;
    mod limits;
    mod log;
    mod scan;

    pub use self::component::{Names, NotAComponent, names};
    pub use self::digest::{Digest, Digester};
    pub use self::limits::COMPONENT;
    pub(crate) use self::log::one_line;
    pub use self::scan::{Cap, Excess, scan};

    /// Of the host's those variants that reading leads to.
    #[derive(Debug, thiserror::Error)]
    pub enum LoadError {
        #[error(transparent)]
        NotAComponent(#[from] NotAComponent),
        #[error(transparent)]
        Excess(#[from] Excess),
        #[error("exports {found:?}")]
        MissingExport { found: Vec<String> },
        #[error("track {found}")]
        UnsupportedTrack { found: String },
        #[error("imports {import}{hint}")]
        ForbiddenImport { import: String, hint: &'static str },
    }

    /// All that is looked at before a component is compiled.
    pub fn check(bytes: &[u8]) -> Result<(), LoadError> {
        component::kind(bytes)?;
        scan(bytes)?;
        component::check(bytes)
    }
}

/// Of `host/src/source`.
#[path = "../../host/src/source"]
pub mod source {
    mod access;
    mod credentials;
    mod error;
    mod manifest;
    mod reference;
    mod signature;

    #[path = "registry/auth"]
    mod auth {
        mod challenge;

        /// Realm, service and scope of what a registry asks for, if that is a token.
        pub fn bearer(header: &str) -> Option<[Option<String>; 3]> {
            match challenge::challenge(header)? {
                challenge::Challenge::Basic => None,
                challenge::Challenge::Bearer { realm, service, scope } => Some([Some(realm), service, scope]),
            }
        }
    }

    pub use self::access::{Access, Mirror};
    pub use self::auth::bearer;
    pub use self::credentials::{Credential, DockerConfig};
    pub use self::error::Fault;
    pub use self::manifest::{Layer, check as check_manifest};
    pub use self::reference::{Reference, Version};
    use self::signature::Signed;
    pub use self::signature::{Identity, Policy, PublicKey};
    use crate::plugin::Digest;

    /// The manifest that a component is pushed with.
    pub fn pushed(component: &[u8]) -> Option<Vec<u8>> {
        manifest::artifact(component).ok().map(|artifact| artifact.manifest)
    }

    /// Where a mirror is asked.
    pub fn address(mirror: Mirror) -> Option<String> {
        let access = Access { mirrors: vec![mirror], ..Access::default() };
        let reference = "registry.example/a:1".parse().ok()?;
        Some(access.endpoints(&reference).ok()?.into_iter().next()?.url)
    }

    /// Whether one of these signatures counts; what is told of those that do not is fit for people.
    pub fn is_trusted(policy: &Policy, payload: &str, signature: &str, bundle: &str, manifest: Digest) -> bool {
        let payload = Signed::of_payload(payload.into(), signature);
        let signed: Vec<_> = payload.into_iter().chain(Signed::of_bundle(bundle.as_bytes())).collect();
        let judged = signature::check(policy, &signed, manifest);
        judged.map_err(|error| super::assert_plain(&error.to_string())).is_ok()
    }
}

/// What may be said to people: one line, and not a long one.
pub fn assert_plain(text: &str) {
    assert!(!text.contains(char::is_control) && text.len() < 10_000, "{text:?}");
}
