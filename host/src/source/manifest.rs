//! The manifest of a plugin in a registry: what is believed of it, and the one that we push.
//!
//! Ours is the CNCF layout for WebAssembly (a config of type `application/vnd.wasm.config.v0+json`, one layer of type
//! `application/wasm`), which `wkg` reads and writes, too. Of others only the layer matters: `oras` writes no config.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::Fault;
use crate::plugin::{COMPONENT, Digest, Names, names, one_line};

/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What a registry may answer when it is asked for a manifest. Indexes are among them to be refused by name.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// Bytes of a manifest; ours has 600.
pub(super) const LARGEST: u64 = 1 << 20;
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT_LAYER: &str = "application/wasm";
/// Of `application/wasm` before there was a layout, as some tools still push it.
const OLD_LAYERS: [&str; 2] =
    ["application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"];

/// A manifest, whatever it is of.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
    /// Of an index.
    #[serde(default, skip_serializing, deserialize_with = "usable")]
    pub(super) manifests: Vec<Descriptor>,
}

/// Those that are descriptors: in a list that everybody may add to one that is none hides no other.
fn usable<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<Descriptor>, D::Error> {
    let list = Vec::<serde_json::Value>::deserialize(list)?;
    Ok(list.into_iter().filter_map(|listed| serde_json::from_value(listed).ok()).collect())
}

/// A blob, as a manifest names it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    /// Of a manifest in an index.
    #[serde(default, skip_serializing)]
    pub(super) artifact_type: String,
}

/// A blob that may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub digest: Digest,
    /// What the manifest says: no more than this is read.
    pub size: u64,
}

/// The component that a manifest is of, if it is of one that may be fetched.
pub fn check(manifest: &[u8]) -> Result<Layer, Fault> {
    Manifest::parse(manifest)?.component()
}

impl Manifest {
    /// Reads one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let broken =
            |error: serde_json::Error| Fault::NotAPlugin(one_line(&format!("its manifest is broken: {error}")));
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// The component that it is of.
    pub(super) fn component(&self) -> Result<Layer, Fault> {
        let no = |why: String| Err(Fault::NotAPlugin(one_line(&why)));
        if !self.manifests.is_empty() || self.media_type.contains("index") || self.media_type.contains("manifest.list")
        {
            let named: Vec<_> = self.manifests.iter().take(3).map(|each| each.digest.as_str()).collect();
            return no(format!("it is an index of several artifacts; name one of them: {}", named.join(", ")));
        }
        if self.schema_version != 2 {
            return no(format!("its manifest has schema version {}, not 2", self.schema_version));
        }
        let [layer] = &*self.layers else {
            return no(format!("it has {} layers, and not the one that is a component", self.layers.len()));
        };
        if layer.media_type != COMPONENT_LAYER && !OLD_LAYERS.contains(&&*layer.media_type) {
            return no(format!("its layer is {:?}, not {COMPONENT_LAYER:?}", layer.media_type));
        }
        layer.blob("the component", COMPONENT as u64)
    }
}

impl Descriptor {
    /// What may be fetched of it, if it is not too large.
    pub(super) fn blob(&self, what: &'static str, limit: u64) -> Result<Layer, Fault> {
        let digest = self.digest.parse().map_err(|error| Fault::NotAPlugin(format!("{what} is {error}")))?;
        if self.size > limit {
            return Err(Fault::TooLarge { what, limit });
        }
        Ok(Layer { digest, size: self.size })
    }
}

/// What is pushed of a component: the config and the manifest that names both.
pub(super) struct Artifact {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// The layout for a component. The same component gives the same bytes, always: what is pushed twice is one artifact. So
/// its time of birth is the beginning of time.
pub(super) fn artifact(component: &[u8]) -> Result<Artifact, Fault> {
    let Names { imports, exports } = names(component).map_err(|error| Fault::NotAPlugin(error.to_string()))?;
    let digest = Digest::of(component).to_string();
    let config = serde_json::json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest],
        "component": {"exports": exports, "imports": imports},
    });
    let config = config.to_string().into_bytes();
    let descriptor = |media_type: &str, digest: String, size: usize| Descriptor {
        media_type: media_type.into(),
        digest,
        size: size as u64,
        annotations: BTreeMap::new(),
        artifact_type: String::new(),
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        config: Some(descriptor(CONFIG, Digest::of(&config).to_string(), config.len())),
        layers: vec![descriptor(COMPONENT_LAYER, digest, component.len())],
        manifests: Vec::new(),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|error| Fault::BadAnswer(error.to_string()))?;
    Ok(Artifact { config, manifest })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A component with nothing in it.
    const SMALLEST: &[u8] = b"\0asm\x0d\0\x01\0";

    fn good() -> Value {
        let artifact = artifact(SMALLEST).unwrap();
        serde_json::from_slice(&artifact.manifest).unwrap()
    }

    fn component(manifest: &Value) -> Result<Layer, String> {
        let parsed = Manifest::parse(manifest.to_string().as_bytes());
        parsed.and_then(|manifest| manifest.component()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_we_push_is_what_we_pull() {
        assert_eq!(component(&good()), Ok(Layer { digest: Digest::of(SMALLEST), size: 8 }));
        assert_eq!(good()["config"]["mediaType"], CONFIG);
    }

    #[test]
    fn what_others_push_is_pulled() {
        let layer = Layer { digest: Digest::of(SMALLEST), size: 8 };
        for (name, patch) in [
            (
                "oras",
                json!({"artifactType": "application/vnd.unknown.artifact.v1",
                       "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}").to_string(), "size": 2, "data": "e30="},
                       "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"}}),
            ),
            ("wkg", json!({"annotations": {"org.opencontainers.image.version": "1.0.0"}})),
            ("Docker's own type", json!({"mediaType": "application/vnd.docker.distribution.manifest.v2+json"})),
            ("no media type", json!({"mediaType": null})),
            ("no config", json!({"config": null})),
        ] {
            let mut manifest = good();
            trainyard_core::json::merge(&mut manifest, &patch);
            assert_eq!(component(&manifest), Ok(layer), "{name}");
        }
        for media_type in OLD_LAYERS {
            let mut manifest = good();
            manifest["layers"][0]["mediaType"] = media_type.into();
            assert_eq!(component(&manifest), Ok(layer), "{media_type}");
        }
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_a_reason() {
        let broken = |change: fn(&mut Value), expected: &str| {
            let mut manifest = good();
            change(&mut manifest);
            assert_eq!(component(&manifest).unwrap_err(), expected);
        };
        broken(
            |manifest| manifest["schemaVersion"] = 1.into(),
            "not a plugin: its manifest has schema version 1, not 2",
        );
        broken(
            |manifest| {
                *manifest = json!({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:12", "size": 1}]});
            },
            "not a plugin: it is an index of several artifacts; name one of them: sha256:12",
        );
        broken(
            |manifest| manifest["mediaType"] = "application/vnd.oci.image.index.v1+json".into(),
            "not a plugin: it is an index of several artifacts; name one of them: ",
        );
        broken(
            |manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"].as_array_mut().unwrap().push(layer);
            },
            "not a plugin: it has 2 layers, and not the one that is a component",
        );
        broken(
            |manifest| manifest["layers"] = json!([]),
            "not a plugin: it has 0 layers, and not the one that is a component",
        );
        broken(
            |manifest| manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            "not a plugin: its layer is \"application/vnd.oci.image.layer.v1.tar+gzip\", not \"application/wasm\"",
        );
        broken(
            |manifest| manifest["layers"][0]["digest"] = "sha512:12".into(),
            "not a plugin: the component is not a digest: \"sha512:12\" is not sha256: and 64 digits of 0-9 and a-f",
        );
        broken(
            |manifest| manifest["layers"][0]["size"] = (COMPONENT + 1).into(),
            "too large: the component has more than 33554432 bytes",
        );
        broken(
            |manifest| manifest["layers"][0]["size"] = (-1).into(),
            "not a plugin: its manifest is broken: invalid value: integer `-1`, expected u64 at line 1 column 290",
        );
    }
}
