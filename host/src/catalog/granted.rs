//! What plans of a plugin may do: of a bundled one what it needs, of a file what `--grants PLUGIN=FILE` says.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use trainyard_core::contract::ObjectKind;
use trainyard_core::grants::Grants;

use super::{Catalog, CatalogError, LoadedKind};
use crate::bundled::{BUNDLED, Bundled};

/// Grants for a plugin, as the admin gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    plugin: String,
    file: PathBuf,
}

/// What is wrong with grants.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// A file that is not there, or not for us.
    #[error("--grants {plugin}: cannot read {}", .file.display())]
    Unreadable {
        /// Whose.
        plugin: String,
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file with something else in it.
    #[error("--grants {plugin}: {} holds no grants: {why}", .file.display())]
    NotGrants {
        /// Whose.
        plugin: String,
        /// The file.
        file: PathBuf,
        /// In the words of the parser.
        why: String,
    },
    /// A name that does not say whose they are.
    #[error("--grants {plugin}: several loaded plugins call themselves so")]
    Several {
        /// The name.
        plugin: String,
    },
    /// No plugin has that name.
    #[error("--grants {plugin}: no such plugin is loaded; there are: {}", .known.join(", "))]
    NoSuchPlugin {
        /// Whose.
        plugin: String,
        /// Those that are loaded.
        known: Vec<String>,
    },
}

impl FromStr for Granted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((plugin, file)) if !plugin.is_empty() && !file.is_empty() => {
                Ok(Self { plugin: plugin.to_owned(), file: file.into() })
            }
            Some(_) | None => Err("write PLUGIN=FILE"),
        }
    }
}

impl Granted {
    fn read(&self) -> Result<Grants, GrantsError> {
        let Self { plugin, file } = self.clone();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(source) => return Err(GrantsError::Unreadable { plugin, file, source }),
        };
        serde_saphyr::from_str(&text).map_err(|error| {
            let why = error.to_string();
            GrantsError::NotGrants { plugin, file, why }
        })
    }
}

impl Catalog {
    /// With these grants in place of those that the plugins have.
    pub fn with_grants(mut self, all: &[Granted]) -> Result<Self, CatalogError> {
        for granted in all {
            let grants = granted.read()?;
            let is_meant = |loaded: &&Arc<LoadedKind>| loaded.plugin.description().name == granted.plugin;
            let digests: BTreeSet<_> =
                self.kinds.iter().filter(is_meant).map(|loaded| loaded.plugin.digest()).collect();
            match digests.len() {
                // A bundled plugin that nobody needs is not loaded.
                0 if BUNDLED.iter().any(|bundled| bundled.name == granted.plugin) => continue,
                0 => {
                    let names = self.kinds.iter().map(|loaded| loaded.plugin.description().name.clone());
                    let known = names.collect::<BTreeSet<_>>().into_iter().collect();
                    return Err(GrantsError::NoSuchPlugin { plugin: granted.plugin.clone(), known }.into());
                }
                1 => {}
                _ => return Err(GrantsError::Several { plugin: granted.plugin.clone() }.into()),
            }
            for loaded in &mut self.kinds {
                if loaded.plugin.description().name == granted.plugin {
                    *loaded = Arc::new(LoadedKind { grants: grants.clone(), ..loaded.as_ref().clone() });
                }
            }
        }
        Ok(self)
    }
}

impl LoadedKind {
    /// Kinds of extra object that jobs of this kind may have: those that are announced and granted.
    pub fn objects(&self) -> Vec<ObjectKind> {
        self.grants.among(&self.announced)
    }
}

/// What a plugin in this binary needs.
pub(super) fn of_bundled(bundled: &Bundled) -> Grants {
    #[expect(clippy::expect_used, reason = "it is a part of the binary, and a test reads it")]
    bundled.grants.map_or_else(Grants::default, |json| serde_json::from_str(json).expect("grants are grants"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::chain;

    #[test]
    fn every_bundled_plugin_has_grants_that_can_be_read() {
        let granting = BUNDLED.iter().filter(|bundled| of_bundled(bundled) != Grants::default());
        assert_eq!(granting.count(), BUNDLED.iter().filter(|bundled| bundled.grants.is_some()).count());
    }

    #[test]
    fn grants_are_given_by_name() {
        let given = "ring=grants.yaml".parse::<Granted>();
        assert_eq!(given, Ok(Granted { plugin: "ring".into(), file: "grants.yaml".into() }));
        for text in ["ring", "=x", "ring=", ""] {
            assert_eq!(text.parse::<Granted>(), Err("write PLUGIN=FILE"), "{text}");
        }
    }

    #[test]
    fn a_file_of_grants_is_read_or_named() {
        let file = std::env::temp_dir().join(format!("trainyard-grants-{}", std::process::id()));
        let granted = Granted { plugin: "ring".into(), file: file.clone() };
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let read = granted.read().map_err(|error| chain(&error));
            std::fs::remove_file(&file).unwrap();
            read
        };
        let images = vec![trainyard_core::grants::Pattern("alpine:*".into())];
        assert_eq!(read("images: ['alpine:*']"), Ok(Grants { images, ..Grants::default() }));
        let file = file.display();
        let unknown = read("image: x").unwrap_err();
        assert!(unknown.starts_with(&format!("--grants ring: {file} holds no grants: ")), "{unknown}");
        assert!(unknown.contains("unknown field `image`"), "{unknown}");
        let missing = granted.read().map_err(|error| chain(&error));
        let expected = format!("--grants ring: cannot read {file}: No such file or directory (os error 2)");
        assert_eq!(missing, Err(expected));
    }
}
