//! The plugins that are loaded, and the kinds they bring.
//!
//! A bundled plugin and a file are loaded by the same path. A file's kind takes the place of a bundled one.

mod granted;
mod planner;
pub(crate) mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use serde_json::Value;
use trainyard_core::contract::{Kind, ObjectKind};
use trainyard_core::fill::Addresses;
use trainyard_core::gang::GangScheduler;
use trainyard_core::grants::Grants;
use trainyard_core::think::Framework;

pub use self::granted::{Granted, GrantsError};
pub use self::settings::{Setting, SettingError};
use crate::bundled::{BUNDLED, Bundled};
use crate::plugin::{Engine, Limits, LoadError, Plugin};

/// Kinds, each with the plugin that plans for it.
#[derive(Clone)]
pub struct Catalog {
    kinds: Vec<Arc<LoadedKind>>,
}

/// A kind, and all that is needed to think about a job of it.
#[derive(Clone)]
pub struct LoadedKind {
    /// What the plugin says of it.
    pub kind: Kind,
    /// Kinds of extra object that the plugin announced.
    pub announced: Vec<ObjectKind>,
    /// Who plans.
    pub plugin: Plugin,
    /// The admin's settings for the plugin.
    pub settings: Value,
    /// What its plans may do beyond the safe set.
    pub grants: Grants,
    /// The plugin's digest, where others for the kind may be loaded beside it, and a job stays with the one it began with.
    pub pin: Option<String>,
    /// Whether it is of a file that the program was started with.
    pub is_file: bool,
    /// The `FrameworkPlugin` that brings it; nothing, where the program was started with it.
    pub owner: Option<String>,
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file that is not there, or not for us.
    #[error("cannot read plugin {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no plugin.
    #[error("cannot load plugin {from}")]
    NotLoaded {
        /// The file, or the name of a bundled plugin.
        from: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// Two files for one kind.
    #[error("{kind} is brought by two plugins: {one} and {other}")]
    Twice {
        /// Group, version and kind.
        kind: String,
        /// The first file.
        one: String,
        /// The second file.
        other: String,
    },
    /// A setting that no plugin takes.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Grants that cannot be read, or are nobody's.
    #[error(transparent)]
    Grants(#[from] GrantsError),
}

/// Which bundled plugins are loaded. To compile one takes longer than most commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// All.
    All,
    /// Those of these kinds, in any case, and those that are set.
    Kinds(BTreeSet<String>),
}

/// No plugin for a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no loaded plugin runs {wanted}; there are: {}", .known.join(", "))]
pub struct UnknownKind {
    /// What was asked for.
    pub wanted: String,
    /// What there is.
    pub known: Vec<String>,
}

impl Catalog {
    /// Loads the bundled plugins that somebody needs, and those files.
    pub fn load(engine: &Engine, files: &[PathBuf], settings: &[Setting], needs: &Needs) -> Result<Self, CatalogError> {
        let mut sources: Vec<Source> = Vec::new();
        for bundled in needs.of(settings) {
            let (from, grants) = (bundled.name.to_owned(), granted::of_bundled(bundled));
            sources.push(Source { from, bytes: bundled.component.into(), grants, is_file: false });
        }
        for path in files {
            let bytes = std::fs::read(path);
            let bytes = bytes.map_err(|source| CatalogError::Unreadable { path: path.clone(), source })?;
            sources.push(Source { from: path.display().to_string(), bytes, grants: Grants::default(), is_file: true });
        }
        let plugins = load_all(engine, &sources)?;
        let kinds = claims(&sources, &plugins)?;
        let named: Vec<_> = kinds.iter().map(|(_, plugin, ..)| plugin.description()).collect();
        settings::check(&named, settings)?;
        let loaded = kinds.iter().map(|(kind, plugin, grants, is_file)| {
            Ok(Arc::new(LoadedKind {
                kind: (*kind).clone(),
                announced: plugin.description().objects.clone(),
                plugin: (*plugin).clone(),
                settings: settings::of(plugin.description(), settings)?,
                grants: (*grants).clone(),
                pin: None,
                is_file: *is_file,
                owner: None,
            }))
        });
        Ok(Self { kinds: loaded.collect::<Result<_, SettingError>>()? })
    }

    /// All kinds, those of bundled plugins first.
    pub fn kinds(&self) -> &[Arc<LoadedKind>] {
        &self.kinds
    }

    /// The kind of an object.
    pub fn find(&self, api_version: &str, kind: &str) -> Result<&Arc<LoadedKind>, UnknownKind> {
        let found = self.kinds.iter().find(|loaded| loaded.kind.kind == kind && loaded.api_version() == api_version);
        found.ok_or_else(|| self.unknown(format!("{api_version} {kind}")))
    }

    /// The kind of that name (`kubectl`'s way: kind, plural or short name, in any case).
    pub fn find_by_name(&self, name: &str) -> Result<&Arc<LoadedKind>, UnknownKind> {
        let is_meant = |kind: &Kind| {
            let mut names = [&kind.kind, &kind.plural].into_iter().chain(&kind.short_names);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        self.kinds.iter().find(|loaded| is_meant(&loaded.kind)).ok_or_else(|| self.unknown(name.to_owned()))
    }

    /// These kinds only. None named: all.
    pub fn only(self, names: &[String]) -> Result<Self, UnknownKind> {
        if names.is_empty() {
            return Ok(self);
        }
        let mut kinds: Vec<Arc<LoadedKind>> = Vec::new();
        for name in names {
            let found = self.find_by_name(name)?;
            if !kinds.iter().any(|kind| Arc::ptr_eq(kind, found)) {
                kinds.push(found.clone());
            }
        }
        Ok(Self { kinds })
    }

    fn unknown(&self, wanted: String) -> UnknownKind {
        let bundled = BUNDLED.iter().flat_map(|bundled| bundled.kinds).filter_map(|kind| kind.rsplit_once('/'));
        let bundled = bundled.map(|(api_version, kind)| format!("{api_version} {kind}"));
        let loaded = self.kinds.iter().map(ToString::to_string);
        let loaded = loaded.filter(|loaded| !bundled.clone().any(|bundled| bundled == *loaded));
        UnknownKind { wanted, known: bundled.clone().chain(loaded).collect() }
    }
}

impl LoadedKind {
    /// `kubeflow.org/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.kind)
    }

    /// Whether jobs would not notice which of both plans for them.
    pub fn is_same(&self, other: &Self) -> bool {
        let plugin = |loaded: &Self| (loaded.plugin.digest(), loaded.plugin.limits().clone());
        self.kind == other.kind
            && self.announced == other.announced
            && plugin(self) == plugin(other)
            && (&self.settings, &self.grants, &self.pin) == (&other.settings, &other.grants, &other.pin)
    }

    /// What thinks about a job of this kind whose replicas are at those addresses; nobody schedules its gang.
    pub fn framework<'a>(&'a self, addresses: &'a Addresses) -> Framework<'a> {
        Framework {
            kind: &self.kind,
            plugin: &self.plugin.description().name,
            digest: self.pin.as_deref(),
            announced: &self.announced,
            grants: &self.grants,
            planner: &self.plugin,
            settings: &self.settings,
            addresses,
            gang: &GangScheduler::Off,
        }
    }
}

/// `kubeflow.org/v1 PyTorchJob`
impl std::fmt::Display for LoadedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind.kind)
    }
}

impl Needs {
    /// Those of these kinds; all, if none is named, or one by its plural or a short name, which only its plugin knows.
    pub fn of_kinds(names: &[String]) -> Self {
        let mut bundled = BUNDLED.iter().flat_map(|bundled| bundled.kinds).filter_map(|kind| kind.rsplit('/').next());
        let is_kind = |name: &String| bundled.any(|kind| kind.eq_ignore_ascii_case(name));
        if names.is_empty() || !names.iter().all(is_kind) {
            Self::All
        } else {
            Self::Kinds(names.iter().cloned().collect())
        }
    }

    fn of(&self, settings: &[Setting]) -> impl Iterator<Item = &'static Bundled> {
        BUNDLED.iter().filter(move |bundled| match self {
            Self::All => true,
            Self::Kinds(kinds) => {
                let mut own = bundled.kinds.iter().filter_map(|kind| kind.rsplit('/').next());
                own.any(|own| kinds.iter().any(|kind| own.eq_ignore_ascii_case(kind)))
                    || settings.iter().any(|setting| setting.may_be_of(bundled.name))
            }
        })
    }
}

struct Source {
    from: String,
    bytes: Vec<u8>,
    grants: Grants,
    is_file: bool,
}

/// Side by side: compiling is what takes the time.
fn load_all(engine: &Engine, sources: &[Source]) -> Result<Vec<Plugin>, CatalogError> {
    let load = |source: &Source| {
        let loaded = Plugin::load(engine, &source.bytes, Limits::default());
        loaded.map_err(|error| CatalogError::NotLoaded { from: source.from.clone(), source: error })
    };
    thread::scope(|scope| {
        let threads: Vec<_> = sources.iter().map(|source| scope.spawn(move || load(source))).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect()
    })
}

/// A kind, who plans for it, what that may do, and whether it is of a file.
type Claim<'a> = (&'a Kind, &'a Plugin, &'a Grants, bool);

/// Which plugin a kind belongs to.
fn claims<'a>(sources: &'a [Source], plugins: &'a [Plugin]) -> Result<Vec<Claim<'a>>, CatalogError> {
    let mut order = Vec::new();
    let mut owners: BTreeMap<String, (&Source, &Kind, &Plugin)> = BTreeMap::new();
    for (source, plugin) in sources.iter().zip(plugins) {
        for kind in &plugin.description().kinds {
            let name = format!("{} {}", api_version(kind), kind.kind);
            match owners.insert(name.clone(), (source, kind, plugin)) {
                None => order.push(name),
                Some((other, ..)) if !other.is_file => {}
                Some((other, ..)) => {
                    return Err(CatalogError::Twice {
                        kind: name,
                        one: other.from.clone(),
                        other: source.from.clone(),
                    });
                }
            }
        }
    }
    let claims = order.iter().filter_map(|name| owners.get(name));
    Ok(claims.map(|(source, kind, plugin)| (*kind, *plugin, &source.grants, source.is_file)).collect())
}

fn api_version(kind: &Kind) -> String {
    format!("{}/{}", kind.group, kind.version)
}
