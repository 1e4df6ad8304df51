use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource as _;
use kube::core::DeserializeGuard;
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use trainyard_core::contract::Description;
use trainyard_core::grants::Pattern;

use super::*;
use crate::plugin::{Digest, Limits};
use crate::source::sigstore::Sigstore;
use crate::source::{Identity, Policy, PublicKey, Source};

static TRUSTED_ROOT: LazyLock<String> =
    LazyLock::new(|| Sigstore::new().and_then(|sigstore| sigstore.trusted_root()).unwrap().to_string());
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn spec(written: Value) -> FrameworkPluginSpec {
    let mut whole = json!({"source": {"bundled": {"name": "one"}}});
    trainyard_core::json::merge(&mut whole, &written);
    serde_json::from_value(whole).unwrap()
}

/// With that source.
fn from(source: Value) -> FrameworkPluginSpec {
    serde_json::from_value(json!({"source": source})).unwrap()
}

fn in_registry(more: Value) -> FrameworkPluginSpec {
    let mut oci = json!({"reference": "registry.example/team/ring:1"});
    trainyard_core::json::merge(&mut oci, &more);
    from(json!({"oci": oci}))
}

/// The operator's namespace: a ConfigMap with a component, an authority and a text, and that secret.
fn found(secret: Option<(&str, &str)>) -> Found {
    let config_map = ConfigMap {
        data: Some(
            [("ca.crt", "authority"), ("notes", "text"), ("trusted_root.json", &TRUSTED_ROOT), ("broken.json", "{}")]
                .map(|(key, text)| (key.into(), text.into()))
                .into(),
        ),
        binary_data: Some([("plugin.wasm".into(), ByteString(b"component".into()))].into()),
        ..ConfigMap::default()
    };
    let secret = secret.map(|(key, value)| Secret {
        data: Some([(key.into(), ByteString(value.into()))].into()),
        ..Secret::default()
    });
    Found {
        config_maps: [("ring".into(), config_map), ("empty".into(), ConfigMap::default())].into(),
        pull_secret: secret,
    }
}

/// A demand for who has signed, with the trusted root that is there.
fn identity(map: Value) -> Value {
    let root = json!({"configMap": map});
    let identity = json!({"subject": "dev@team.example", "issuer": "https://accounts.example", "trustedRoot": root});
    json!({"signature": {"identity": identity}})
}

fn told<T: std::fmt::Debug>(answer: Result<T, SpecError>) -> (&'static str, String) {
    let error = answer.unwrap_err();
    (error.reason(), error.to_string())
}

#[test]
fn what_is_left_out_has_a_default_and_is_not_written() {
    let spec = spec(json!({}));
    let expected = FrameworkPluginSpec {
        source: SourceSpec::Bundled(BundledSource { name: "one".into() }),
        digest: None,
        signature: None,
        limits: LimitsSpec::default(),
        grants: Grants::default(),
        settings: Map::new(),
        upgrade_policy: UpgradePolicy::NewJobs,
        suspend: false,
        definitions: Definitions::Retain,
    };
    assert_eq!(spec, expected);
    let written = json!({
        "source": {"bundled": {"name": "one"}}, "upgradePolicy": "NewJobs", "suspend": false, "definitions": "Retain",
    });
    assert_eq!(serde_json::to_value(&spec).unwrap(), written);
    assert_eq!(serde_json::to_value(FrameworkPluginStatus::default()).unwrap(), json!({}));
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    let bundled = json!({"bundled": {"name": "one"}});
    for (spec, expected) in [
        (json!({"source": bundled}), None),
        (json!({"source": bundled, "identities": []}), Some("Unknown field identities")),
        (json!({"source": bundled, "upgradePolicy": "Never"}), Some("Unknown variant Never")),
        (json!({"source": {"git": {}}}), Some("Unknown variant git")),
        (json!({"source": {}}), Some("map with a single key")),
        (json!({"source": {"file": {"path": "/a"}, "bundled": {"name": "one"}}}), Some("map with a single key")),
    ] {
        let object = json!({"metadata": {"name": "ring"}, "spec": spec});
        let read: DeserializeGuard<FrameworkPlugin> = serde_json::from_value(object).unwrap();
        assert_eq!(read.meta().name.as_deref(), Some("ring"));
        let why = read.0.err().map(|invalid| invalid.error).unwrap_or_default();
        assert!(why.contains(expected.unwrap_or_default()) && why.is_empty() == expected.is_none(), "{spec}: {why}");
    }
}

#[test]
fn a_source_is_where_it_says() {
    let folder = Path::new("/plugins");
    for (source, expected, shown) in [
        (json!({"bundled": {"name": "one"}}), Source::Bundled("one".into()), "bundled one".to_owned()),
        (
            json!({"oci": {"reference": "registry.example/team/ring:1"}}),
            Source::Oci("registry.example/team/ring:1".parse().unwrap()),
            format!("oci registry.example/team/ring@{DIGEST}"),
        ),
        (
            json!({"configMap": {"name": "ring"}}),
            Source::ConfigMap { name: "ring/plugin.wasm".into(), bytes: b"component".into() },
            "configMap ring/plugin.wasm".into(),
        ),
        (
            json!({"file": {"path": "/plugins/ring.wasm"}}),
            Source::File { path: "/plugins/ring.wasm".into(), within: Some(folder.into()) },
            "file /plugins/ring.wasm".into(),
        ),
    ] {
        let read = from(source.clone()).source(&found(None), Some(folder));
        assert_eq!(read.as_ref(), Ok(&expected), "{source}");
        let manifest = matches!(expected, Source::Oci(_)).then(|| Digest::of(b""));
        assert_eq!(provenance(&expected, manifest), shown);
    }
    let reference = Source::Oci("registry.example/ring:1".parse().unwrap());
    assert_eq!(provenance(&reference, None), "oci registry.example/ring:1");
}

#[test]
fn a_source_that_is_none_is_told() {
    let reference = "spec.source.oci.reference: not a reference: \"ring:1\": it names no registry; write it in full, as in \
                     registry.example/team/plugin:1.0";
    for (source, reason, expected) in [
        (json!({"oci": {"reference": "ring:1"}}), "InvalidSpec", reference),
        (
            json!({"file": {"path": "ring.wasm"}}),
            "InvalidSpec",
            "spec.source.file.path: \"ring.wasm\" does not start with /",
        ),
        (
            json!({"configMap": {"name": "other"}}),
            "NotFound",
            "spec.source.configMap.name: there is no ConfigMap \"other\" in the operator's namespace",
        ),
        (
            json!({"configMap": {"name": "ring", "key": "notes"}}),
            "NotFound",
            "spec.source.configMap.key: ConfigMap \"ring\" has no binaryData \"notes\"; it has: plugin.wasm",
        ),
        (
            json!({"configMap": {"name": "empty"}}),
            "NotFound",
            "spec.source.configMap.key: ConfigMap \"empty\" has no binaryData \"plugin.wasm\"; it has none",
        ),
    ] {
        let spec = from(source.clone());
        assert_eq!(told(spec.source(&found(None), None)), (reason, expected.to_owned()), "{source}");
    }
}

#[test]
fn a_source_says_what_it_needs() {
    for (spec, config_maps, secret) in [
        (spec(json!({})), vec![], None),
        (from(json!({"file": {"path": "/a"}})), vec![], None),
        (from(json!({"configMap": {"name": "ring"}})), vec!["ring"], None),
        (spec(identity(json!({"name": "roots"}))), vec!["roots"], None),
        (in_registry(json!({"ca": {"pem": "x"}})), vec![], None),
        (
            in_registry(json!({"ca": {"configMap": {"name": "roots"}}, "pullSecret": {"name": "login"}})),
            vec!["roots"],
            Some("login"),
        ),
    ] {
        assert_eq!((spec.config_maps(), spec.source.pull_secret()), (config_maps, secret), "{spec:?}");
    }
}

#[test]
fn a_registry_is_reached_as_it_says() {
    let login = r#"{"auths": {"registry.example": {"registrytoken": "t"}}}"#;
    let old = r#"{"registry.example": {"registrytoken": "t"}}"#;
    let known = r#"PullSecret({"registry.example"})"#;
    let secret = json!({"pullSecret": {"name": "login"}});
    for (name, more, given, ca, expected) in [
        ("nothing", json!({}), None, None, "Anonymous"),
        ("a PEM", json!({"ca": {"pem": "authority"}}), None, Some("authority"), "Anonymous"),
        ("a ConfigMap", json!({"ca": {"configMap": {"name": "ring"}}}), None, Some("authority"), "Anonymous"),
        ("a secret", secret.clone(), Some((".dockerconfigjson", login)), None, known),
        ("a secret of old", secret, Some((".dockercfg", old)), None, known),
    ] {
        let access = in_registry(more).access(&found(given)).unwrap();
        assert_eq!(access.ca.as_deref(), ca.map(str::as_bytes), "{name}");
        assert_eq!(format!("{:?}", access.login), expected, "{name}");
        assert!(!access.plain_http && access.mirrors.is_empty(), "{name}");
    }
    let mirrors = ["mirror.example", "http://10.0.0.1:5000"];
    let access = in_registry(json!({"mirrors": mirrors, "plainHttp": true})).access(&found(None)).unwrap();
    assert_eq!(access.mirrors, mirrors.map(|mirror| mirror.parse().unwrap()));
    assert!(access.plain_http);
    assert_eq!(spec(json!({})).access(&found(None)).unwrap().mirrors, []);
}

#[test]
fn a_way_to_a_registry_that_is_none_is_told() {
    let secret = json!({"pullSecret": {"name": "login"}});
    for (more, given, reason, expected) in [
        (
            json!({"mirrors": ["mirror.example", "mirror.example/path"]}),
            None,
            "InvalidSpec",
            "spec.source.oci.mirrors[1]: not a mirror: \"mirror.example/path\" is not a host, or a host and a port",
        ),
        (
            json!({"ca": {"configMap": {"name": "other"}}}),
            None,
            "NotFound",
            "spec.source.oci.ca.configMap.name: there is no ConfigMap \"other\" in the operator's namespace",
        ),
        (
            json!({"ca": {"configMap": {"name": "ring", "key": "tls.crt"}}}),
            None,
            "NotFound",
            "spec.source.oci.ca.configMap.key: ConfigMap \"ring\" has no data \"tls.crt\"; it has: broken.json, ca.crt, notes, trusted_root.json",
        ),
        (
            secret.clone(),
            None,
            "NotFound",
            "spec.source.oci.pullSecret.name: there is no Secret \"login\" in the operator's namespace",
        ),
        (
            secret.clone(),
            Some(("password", "p")),
            "NotFound",
            "spec.source.oci.pullSecret.name: Secret \"login\" has no .dockerconfigjson; it has: password",
        ),
        (
            secret,
            Some((".dockerconfigjson", "{\"auths\": s3cret}")),
            "NotFound",
            "spec.source.oci.pullSecret.name: Secret \"login\": the docker config is not what it should be at line 1 \
             column 11",
        ),
    ] {
        let told = told(in_registry(more.clone()).access(&found(given)));
        assert_eq!(told, (reason, expected.to_owned()), "{more}");
    }
}

#[test]
fn digest_and_signature_are_demanded() {
    let pem = KeyPair::generate_for(&PKCS_ED25519).unwrap().public_key_pem();
    let key = PublicKey::parse(pem.as_bytes()).unwrap();
    for (written, digest, signature) in [
        (json!({}), None, Policy::None),
        (json!({"digest": DIGEST}), Some(Digest::of(b"")), Policy::None),
        (json!({"signature": {"keys": [pem, pem]}}), None, Policy::Keys(vec![key.clone(), key])),
        (
            identity(json!({"name": "ring"})),
            None,
            Policy::Identity(
                Identity::new(
                    Pattern("dev@team.example".into()),
                    "https://accounts.example".into(),
                    TRUSTED_ROOT.clone(),
                )
                .unwrap(),
            ),
        ),
    ] {
        let demand = spec(written.clone()).demand(&found(None)).unwrap();
        assert_eq!((demand.digest, demand.signature), (digest, signature), "{written}");
    }
    for (written, expected) in [
        (json!({"name": "gone"}), "name: there is no ConfigMap \"gone\" in the operator's namespace"),
        (json!({"name": "empty"}), "key: ConfigMap \"empty\" has no data \"trusted_root.json\"; it has none"),
    ] {
        let expected = format!("spec.signature.identity.trustedRoot.configMap.{expected}");
        assert_eq!(told(spec(identity(written)).demand(&found(None))), ("NotFound", expected));
    }
    let broken = told(spec(identity(json!({"name": "ring", "key": "broken.json"}))).demand(&found(None))).1;
    let why = "spec.signature.identity.trustedRoot.configMap: ConfigMap \"ring\": not a trusted root of Sigstore: ";
    assert!(broken.starts_with(why), "{broken}");
    for (written, expected) in [
        (json!({"digest": "1"}), "spec.digest: not a digest: \"1\" is not sha256: and 64 digits of 0-9 and a-f"),
        (
            json!({"signature": {"keys": [pem, "k"]}}),
            "spec.signature.keys[1]: not a public key: it is no such PEM; it should be a PEM of type PUBLIC KEY, of ECDSA \
             with P-256 or of Ed25519",
        ),
        (json!({"signature": {"keys": []}}), "spec.signature.keys: there is none: nobody could have signed"),
    ] {
        assert_eq!(told(spec(written.clone()).demand(&found(None))), ("InvalidSpec", expected.to_owned()), "{written}");
    }
}

#[test]
fn limits_are_those_that_are_written() {
    let usual = Limits::default;
    for (written, expected) in [
        (json!({}), usual()),
        (json!({"fuel": 1}), Limits { fuel: 1, ..usual() }),
        (json!({"time": "1ms"}), Limits { wall: Duration::from_millis(1), ..usual() }),
        (json!({"time": "1.5s"}), Limits { wall: Duration::from_millis(1500), ..usual() }),
        (json!({"time": "1s500ms"}), Limits { wall: Duration::from_millis(1500), ..usual() }),
        (json!({"time": "0.5m"}), Limits { wall: Duration::from_secs(30), ..usual() }),
        (json!({"memory": "1Gi"}), Limits { memory: 1 << 30, ..usual() }),
        (json!({"memory": 65536}), Limits { memory: 1 << 16, ..usual() }),
        (json!({"output": "1M"}), Limits { output: 1_000_000, ..usual() }),
        (json!({"log": 0}), Limits { log_bytes: 0, ..usual() }),
        (json!({"concurrency": 64}), Limits { concurrency: 64, ..usual() }),
    ] {
        assert_eq!(spec(json!({"limits": written})).limits(), Ok(expected), "{written}");
    }
}

#[test]
fn limits_beyond_the_bounds_are_told() {
    let time = |text: &str| format!("spec.limits.time: {text:?} is no time from 1ms to 30s, as in 500ms");
    let amount = |field: &str, written: &str, bounds: &str| {
        format!("spec.limits.{field}: {written} is no amount of bytes from {bounds}")
    };
    for (written, expected) in [
        (json!({"fuel": 0}), "spec.limits.fuel: 0 is not from 1 to 100000000000".to_owned()),
        (json!({"fuel": u64::MAX}), format!("spec.limits.fuel: {} is not from 1 to 100000000000", u64::MAX)),
        (json!({"concurrency": 65}), "spec.limits.concurrency: 65 is not from 1 to 64".into()),
        (json!({"time": ""}), time("")),
        (json!({"time": "1"}), time("1")),
        (json!({"time": "-1s"}), time("-1s")),
        (json!({"time": "999us"}), time("999us")),
        (json!({"time": "30001ms"}), time("30001ms")),
        (json!({"time": "1 second"}), time("1 second")),
        (json!({"time": "PT1S"}), time("PT1S")),
        (json!({"memory": "1Q"}), amount("memory", "\"1Q\"", "64Ki to 1Gi")),
        (json!({"memory": "63Ki"}), amount("memory", "\"63Ki\"", "64Ki to 1Gi")),
        (json!({"memory": 1_073_741_825}), amount("memory", "1073741825", "64Ki to 1Gi")),
        (json!({"output": "65Mi"}), amount("output", "\"65Mi\"", "1Ki to 64Mi")),
        (json!({"log": -1}), amount("log", "-1", "0 to 1Mi")),
    ] {
        let told = told(spec(json!({"limits": written})).limits());
        assert_eq!(told, ("InvalidSpec", expected), "{written}");
    }
}

fn plugin(properties: Value) -> Description {
    let settings_schema = json!({"type": "object", "properties": properties}).to_string();
    Description { name: "ring".into(), version: String::new(), kinds: vec![], objects: vec![], settings_schema }
}

#[test]
fn settings_are_those_that_the_plugin_takes() {
    let plugin = plugin(json!({
        "any": {}, "fast": {"type": "boolean"}, "image": {"type": "string"}, "share": {"type": "number"},
        "steps": {"type": "array"}, "tree": {"type": "object"}, "tries": {"type": "integer"},
    }));
    let good = json!({
        "any": null, "fast": true, "image": "i", "share": 0.5, "steps": [1], "tree": {"a": 1}, "tries": -2,
    });
    assert_eq!(spec(json!({})).settings(&plugin), Ok(json!({})));
    assert_eq!(from(json!({"file": {"path": "/a"}})).settings(&plugin), Ok(json!({})));
    let mut with = spec(json!({}));
    with.settings = good.as_object().unwrap().clone();
    assert_eq!(with.settings(&plugin), Ok(good));
    for (written, expected) in [
        (
            json!({"colour": "red"}),
            "spec.settings.colour: plugin ring has no such setting; there are: any, fast, image, share, steps, tree, tries",
        ),
        (json!({"fast": "true"}), "spec.settings.fast: \"true\" is not true or false"),
        (json!({"image": 1}), "spec.settings.image: 1 is not a string"),
        (json!({"share": "half"}), "spec.settings.share: \"half\" is not a number"),
        (json!({"steps": {}}), "spec.settings.steps: {} is not a list"),
        (json!({"tree": []}), "spec.settings.tree: [] is not an object"),
        (json!({"tries": 1.5}), "spec.settings.tries: 1.5 is not an integer"),
    ] {
        let told = told(spec(json!({"settings": written})).settings(&plugin));
        assert_eq!(told, ("InvalidSpec", expected.to_owned()));
    }
    let told = told(spec(json!({"settings": {"colour": "red"}})).settings(&self::plugin(json!({}))));
    assert_eq!(told.1, "spec.settings.colour: plugin ring has no such setting; it has none");
    let newer = spec(json!({"settings": {"colour": "red", "fast": true, "image": 1, "tries": 2}}));
    assert_eq!(newer.fitting_settings(&plugin), json!({"fast": true, "tries": 2}));
}

#[test]
fn no_plugin_reads_a_file_that_nobody_named() {
    let file = std::env::temp_dir().join(format!("trainyard-template-{}", std::process::id()));
    std::fs::write(&file, "secret").unwrap();
    let plugin = plugin(json!({"init-template-file": {"type": "string", "default": file}}));
    let of = |source: Value| from(source).settings(&plugin);
    let answers = [
        of(json!({"bundled": {"name": "one"}})),
        of(json!({"file": {"path": "/a"}})),
        of(json!({"configMap": {"name": "a"}})),
        of(json!({"oci": {"reference": "r"}})),
    ];
    let given = spec(json!({"settings": {"init-template-file": "given"}})).settings(&plugin);
    std::fs::remove_file(&file).unwrap();
    let nothing = || Ok(json!({}));
    assert_eq!(
        answers,
        [nothing(), nothing(), nothing(), nothing()],
        "nor does a bundled one, but where v1 has such files"
    );
    assert_eq!(given, Ok(json!({"init-template-file": "given"})));
}

/// What API servers refuse, or would take otherwise than it is meant.
#[test]
fn the_definition_is_structural_and_explained() {
    let definition = definition();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
    let mut bad = Vec::new();
    check_schema(schema, "", &mut bad);
    assert_eq!(bad, [""; 0]);
    assert_eq!(definition["metadata"], json!({"name": "frameworkplugins.trainyard.dev"}));
    for name in ["FrameworkPlugin", "frameworkplugin", "FRAMEWORKPLUGINS", "fwp"] {
        assert!(is_called(name), "{name}");
    }
    assert!(!is_called("RingJob"));
}

fn check_schema(schema: &Value, path: &str, bad: &mut Vec<String>) {
    let fields = schema.as_object().unwrap();
    for word in ["oneOf", "anyOf", "allOf", "not", "nullable", "$ref"] {
        if fields.contains_key(word) {
            bad.push(format!("{path}: {word}"));
        }
    }
    if fields.contains_key("properties") && fields.contains_key("additionalProperties") {
        bad.push(format!("{path}: additionalProperties"));
    }
    if !fields.contains_key("type") && !fields.contains_key("x-kubernetes-int-or-string") {
        bad.push(format!("{path}: no type"));
    }
    if fields.get("default").is_some_and(Value::is_null) {
        bad.push(format!("{path}: default"));
    }
    let format = fields.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| !["int32", "int64", "date-time"].contains(&format)) {
        bad.push(format!("{path}: {format:?}"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property.get("description").is_none() {
            bad.push(format!("{path}: no description"));
        }
        check_schema(property, &path, bad);
    }
    if let Some(items) = fields.get("items") {
        check_schema(items, &format!("{path}[]"), bad);
    }
}
