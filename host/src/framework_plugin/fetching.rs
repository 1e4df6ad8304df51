//! From what an admin wrote to what is fetched, how, and what has to be true of it.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use trainyard_core::grants::Pattern;

use super::{
    Ca, ConfigMapSource, FrameworkPluginSpec, IdentitySpec, OciSource, SignatureSpec, SourceSpec, SpecError,
    TrustedRootSpec,
};
use crate::plugin::Digest;
use crate::source::{Access, Demand, DockerConfig, Identity, Login, Policy, PublicKey, Source, Version};

/// What a spec names in the operator's namespace, as far as it is there.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Those of [`FrameworkPluginSpec::config_maps`], by name.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// That of [`SourceSpec::pull_secret`].
    pub pull_secret: Option<Secret>,
}

impl SourceSpec {
    /// The secret that it needs.
    pub fn pull_secret(&self) -> Option<&str> {
        match self {
            Self::Oci(source) => source.pull_secret.as_ref().map(|secret| secret.name.as_str()),
            Self::Bundled(_) | Self::ConfigMap(_) | Self::File(_) => None,
        }
    }
}

impl FrameworkPluginSpec {
    /// The config maps that it needs: when one changes, so may the component, or whether it is trusted.
    pub fn config_maps(&self) -> Vec<&str> {
        let source = match &self.source {
            SourceSpec::ConfigMap(source) => Some(&*source.name),
            SourceSpec::Oci(OciSource { ca: Some(Ca::ConfigMap(ca)), .. }) => Some(&*ca.name),
            SourceSpec::Oci(_) | SourceSpec::Bundled(_) | SourceSpec::File(_) => None,
        };
        let signature = match &self.signature {
            Some(SignatureSpec::Identity(identity)) => {
                let TrustedRootSpec::ConfigMap(root) = &identity.trusted_root;
                Some(&*root.name)
            }
            Some(SignatureSpec::Keys(_)) | None => None,
        };
        source.into_iter().chain(signature).collect()
    }

    /// Where the component is. Files have to be in that folder, if there is one.
    pub fn source(&self, found: &Found, files: Option<&Path>) -> Result<Source, SpecError> {
        Ok(match &self.source {
            SourceSpec::Bundled(source) => Source::Bundled(source.name.clone()),
            SourceSpec::Oci(source) => {
                let reference = source.reference.parse();
                Source::Oci(reference.map_err(|error| SpecError::invalid("spec.source.oci.reference", error))?)
            }
            SourceSpec::ConfigMap(source) => {
                let bytes = component(source, found)?;
                Source::ConfigMap { name: format!("{}/{}", source.name, source.key), bytes }
            }
            SourceSpec::File(source) if !source.path.starts_with('/') => {
                let why = format!("{:?} does not start with /", source.path);
                return Err(SpecError::invalid("spec.source.file.path", why));
            }
            SourceSpec::File(source) => {
                Source::File { path: (&source.path).into(), within: files.map(Path::to_path_buf) }
            }
        })
    }

    /// What has to be true of it.
    pub fn demand(&self, found: &Found) -> Result<Demand, SpecError> {
        let digest = self.digest.as_deref().map(str::parse).transpose();
        let digest = digest.map_err(|error| SpecError::invalid("spec.digest", error))?;
        let signature = match &self.signature {
            None => Policy::None,
            Some(SignatureSpec::Keys(keys)) => Policy::Keys(public_keys(keys)?),
            Some(SignatureSpec::Identity(wanted)) => Policy::Identity(identity(wanted, found)?),
        };
        Ok(Demand { digest, signature })
    }

    /// How its registry is reached; of other sources nothing in particular.
    pub fn access(&self, found: &Found) -> Result<Access, SpecError> {
        let SourceSpec::Oci(source) = &self.source else { return Ok(Access::default()) };
        let mirrors = source.mirrors.iter().enumerate().map(|(index, mirror)| {
            let wrong = |error| SpecError::invalid(format!("spec.source.oci.mirrors[{index}]"), error);
            mirror.parse().map_err(wrong)
        });
        Ok(Access {
            plain_http: source.plain_http,
            ca: source.ca.as_ref().map(|ca| authorities(ca, found)).transpose()?,
            mirrors: mirrors.collect::<Result<_, _>>()?,
            login: login(self.source.pull_secret(), found)?,
            ..Access::default()
        })
    }
}

/// Where something came from, for people: with what a tag was, and with the kind of source in front.
pub fn provenance(source: &Source, manifest: Option<Digest>) -> String {
    match (source, manifest) {
        (Source::Oci(reference), Some(digest)) => format!("oci {}", reference.at(Version::Digest(digest))),
        (Source::Oci(reference), None) => format!("oci {reference}"),
        (Source::File { path, .. }, _) => format!("file {}", path.display()),
        (Source::Bundled(_) | Source::ConfigMap { .. }, _) => source.to_string(),
    }
}

fn public_keys(keys: &[String]) -> Result<Vec<PublicKey>, SpecError> {
    if keys.is_empty() {
        return Err(SpecError::invalid("spec.signature.keys", "there is none: nobody could have signed"));
    }
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let wrong = |error| SpecError::invalid(format!("spec.signature.keys[{index}]"), error);
        PublicKey::parse(key.as_bytes()).map_err(wrong)
    });
    keys.collect()
}

fn identity(wanted: &IdentitySpec, found: &Found) -> Result<Identity, SpecError> {
    let TrustedRootSpec::ConfigMap(root) = &wanted.trusted_root;
    let field = "spec.signature.identity.trustedRoot.configMap";
    let text = text(field, &root.name, &root.key, found)?;
    let identity = Identity::new(Pattern(wanted.subject.clone()), wanted.issuer.clone(), text);
    // The map may be mended, as it may come.
    identity.map_err(|error| SpecError::absent(field, format!("ConfigMap {:?}: {error}", root.name)))
}

fn component(source: &ConfigMapSource, found: &Found) -> Result<Vec<u8>, SpecError> {
    let ConfigMapSource { name, key } = source;
    let binary = config_map("spec.source.configMap.name", name, found)?.binary_data.as_ref();
    let bytes = binary.and_then(|binary| binary.get(key)).map(|bytes| bytes.0.clone());
    bytes.ok_or_else(|| {
        let keys = keys(binary.into_iter().flat_map(BTreeMap::keys));
        SpecError::absent("spec.source.configMap.key", format!("ConfigMap {name:?} has no binaryData {key:?}; {keys}"))
    })
}

fn authorities(ca: &Ca, found: &Found) -> Result<Vec<u8>, SpecError> {
    let ca = match ca {
        Ca::Pem(text) => return Ok(text.clone().into_bytes()),
        Ca::ConfigMap(ca) => ca,
    };
    text("spec.source.oci.ca.configMap", &ca.name, &ca.key, found).map(String::into_bytes)
}

/// What is under a key of a config map's data.
fn text(field: &str, name: &str, key: &str, found: &Found) -> Result<String, SpecError> {
    let data = config_map(&format!("{field}.name"), name, found)?.data.as_ref();
    let text = data.and_then(|data| data.get(key)).cloned();
    text.ok_or_else(|| {
        let keys = keys(data.into_iter().flat_map(BTreeMap::keys));
        SpecError::absent(format!("{field}.key"), format!("ConfigMap {name:?} has no data {key:?}; {keys}"))
    })
}

fn config_map<'a>(field: &str, name: &str, found: &'a Found) -> Result<&'a ConfigMap, SpecError> {
    let absent = || SpecError::absent(field, format!("there is no ConfigMap {name:?} in the operator's namespace"));
    found.config_maps.get(name).ok_or_else(absent)
}

/// As `kubectl create secret docker-registry` makes them, and as it did in old times.
fn login(name: Option<&str>, found: &Found) -> Result<Login, SpecError> {
    let Some(name) = name else { return Ok(Login::Anonymous) };
    let absent = |why| SpecError::absent("spec.source.oci.pullSecret.name", why);
    let secret = found.pull_secret.as_ref();
    let secret = secret.ok_or_else(|| absent(format!("there is no Secret {name:?} in the operator's namespace")))?;
    let value = |key| secret.data.iter().flatten().find(|(name, _)| *name == key).map(|(_, bytes)| bytes.0.as_slice());
    let config = match (value(".dockerconfigjson"), value(".dockercfg")) {
        (Some(config), _) => DockerConfig::parse(config),
        (None, Some(auths)) => DockerConfig::parse(&[br#"{"auths":"#, auths, b"}"].concat()),
        (None, None) => {
            let keys = keys(secret.data.iter().flat_map(BTreeMap::keys));
            return Err(absent(format!("Secret {name:?} has no .dockerconfigjson; {keys}")));
        }
    };
    config.map(Login::PullSecret).map_err(|fault| absent(format!("Secret {name:?}: {fault}")))
}

fn keys<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    let keys: Vec<_> = keys.map(String::as_str).collect();
    if keys.is_empty() { "it has none".into() } else { format!("it has: {}", keys.join(", ")) }
}
