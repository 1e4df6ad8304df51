//! `trainyard plugin` and a real registry.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use trainyard::bundled::BUNDLED;
use trainyard::plugin::Digest;
use trainyard_tests::binary;
use trainyard_tests::registry::{Door, PASSWORD, Registry, USER};
use trainyard_tests::sigstore::{BUNDLE, Sigstore};

use super::program::{Ended, Running};

/// Somebody with a plugin, and nothing of what this machine's user has stored.
struct Author {
    folder: TempDir,
    component: &'static [u8],
}

impl Author {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let component = BUNDLED.first().context("nothing is bundled")?.component;
        fs::write(folder.path().join("plugin.wasm"), component)?;
        Ok(Self { folder, component })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `trainyard plugin …`, where the words of a line are.
    fn plugin(&self, line: &str, input: &str) -> Result<Ended> {
        let mut command = Command::new(binary::trainyard()?);
        command.arg("plugin").args(line.split(' ').filter(|word| !word.is_empty())).current_dir(self.folder.path());
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
        command.env("DOCKER_CONFIG", self.folder.path());
        Running::of(command, input)?.end()
    }

    fn does(&self, line: &str, input: &str) -> Result<String> {
        let ended = self.plugin(line, input)?;
        anyhow::ensure!(ended.code == Some(0), "{line}: {ended:?}");
        Ok(ended.out)
    }

    /// Exit code, and what it says in one line.
    fn fails(&self, line: &str, input: &str) -> Result<(i32, String)> {
        let ended = self.plugin(line, input)?;
        assert_eq!(ended.out, "", "{line}");
        let said = ended.err.trim().strip_prefix("error: ").unwrap_or(&ended.err).to_owned();
        Ok((ended.code.context("it was killed")?, said))
    }
}

#[test]
fn a_plugin_goes_into_a_registry_and_comes_out_the_same() -> Result<()> {
    let (registry, author) = (Registry::start(Door::Locked)?, Author::new()?);
    let reference = format!("{}/team/plugin:1.0", registry.host());
    let door = format!("--ca {} --username {USER} --password-stdin", registry.ca().display());
    let digest = Digest::of(author.component).to_string();

    let pinned = author.does(&format!("push plugin.wasm {reference} {door}"), PASSWORD)?;
    let again = author.does(&format!("push plugin.wasm {reference} {door}"), &format!("{PASSWORD}\n"))?;
    assert_eq!(pinned, again, "the same bytes are the same artifact");

    let ended = author.plugin(&format!("pull {reference} {door} -o one.wasm"), PASSWORD)?;
    assert_eq!(ended.err, format!("pulled: {reference} to one.wasm, the component is {digest}\n"));
    author.does(&format!("pull {} {door} -o two.wasm", pinned.trim()), PASSWORD)?;
    for name in ["one.wasm", "two.wasm"] {
        assert_eq!(Digest::of(&fs::read(author.path(name))?).to_string(), digest, "{name}");
    }

    let auth = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {format!("https://{}", registry.host()): {"auth": auth}}});
    fs::write(author.path("config.json"), config.to_string())?;
    let ca = format!("--ca {}", registry.ca().display());
    let remote: Value = serde_json::from_str(&author.does(&format!("inspect -o json {reference} {ca}"), "")?)?;
    let local: Value = serde_json::from_str(&author.does("inspect -o json plugin.wasm", "")?)?;
    assert_eq!(remote["manifest"].as_str(), pinned.trim().split_once('@').map(|(_, digest)| digest));
    for about in [&remote, &local] {
        assert_eq!(about["digest"], json!(digest));
        assert_eq!(about["size"], json!(author.component.len()));
        let kinds: Vec<_> = about["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(kinds, BUNDLED[0].kinds.iter().map(|kind| spaced(kind)).collect::<Vec<_>>());
        assert!(about["imports"].to_string().contains("trainyard:framework/"), "{about}");
    }
    let text = author.does("inspect plugin.wasm", "")?;
    assert!(text.contains(&format!("\ndigest    {digest}\nsize      {} bytes\n", author.component.len())), "{text}");
    Ok(())
}

/// `kubeflow.org/v1 PyTorchJob` of `kubeflow.org/v1/PyTorchJob`.
fn spaced(kind: &str) -> String {
    kind.rsplit_once('/').map(|(group, kind)| format!("{group} {kind}")).unwrap_or_default()
}

#[test]
fn a_locked_registry_lets_nobody_in_without_key_and_certificate() -> Result<()> {
    let (registry, author) = (Registry::start(Door::Locked)?, Author::new()?);
    let reference = format!("{}/team/plugin:1.0", registry.host());
    let ca = format!("--ca {}", registry.ca().display());
    for (name, line, input, code, message) in [
        (
            "nobody",
            format!("pull {reference} {ca}"),
            "",
            2,
            format!("{reference}: unauthorized: the registry asks for a user name and a password, and none is given"),
        ),
        (
            "a wrong password",
            format!("push plugin.wasm {reference} {ca} --username {USER} --password-stdin"),
            "wrong",
            2,
            format!("{reference}: unauthorized: 401: authentication required"),
        ),
        (
            "no password",
            format!("pull {reference} {ca} --username {USER} --password-stdin"),
            "\n",
            2,
            "there is no password on standard input".into(),
        ),
        (
            "an unknown authority",
            format!("pull {reference}"),
            "",
            1,
            format!("{reference}: unavailable: 127.0.0.1: invalid peer certificate: UnknownIssuer"),
        ),
        (
            "plain HTTP",
            format!("pull {reference} --plain-http"),
            "",
            1,
            format!("{reference}: the registry answers what it should not: 400 Bad Request"),
        ),
        (
            "no such tag",
            format!("pull {}/team/other:1 {ca} --username {USER} --password-stdin", registry.host()),
            PASSWORD,
            2,
            format!("{}/team/other:1: not found: 404: manifest unknown", registry.host()),
        ),
    ] {
        assert_eq!(author.fails(&line, input)?, (code, message), "{name}");
    }
    assert!(!author.path("plugin.wasm.part").exists());
    assert_eq!(fs::read_dir(author.folder.path())?.count(), 1, "nothing is written but what was there");
    Ok(())
}

#[test]
fn only_plugins_are_pushed() -> Result<()> {
    let (registry, author) = (Registry::start(Door::Open)?, Author::new()?);
    let reference = format!("{}/plugin:1", registry.host());
    fs::write(author.path("text"), "no component")?;
    for (line, message) in [
        (format!("push text {reference} --plain-http"), "text: not a component: it is no WebAssembly".to_owned()),
        (format!("push missing {reference} --plain-http"), "missing: not found".into()),
        ("inspect text".into(), "text: not a component: it is no WebAssembly".into()),
        (
            "inspect missing".into(),
            "there is no file \"missing\", and it is not a reference: \"missing\": it names no registry; write it in \
             full, as in registry.example/team/plugin:1.0"
                .into(),
        ),
    ] {
        assert_eq!(author.fails(&line, "")?, (2, message), "{line}");
    }
    Ok(())
}

#[test]
fn what_is_signed_is_pulled_with_the_key_of_its_signer() -> Result<()> {
    let (registry, author) = (Registry::start(Door::Open)?, Author::new()?);
    let reference = format!("{}/plugin:1", registry.host());
    let pinned = author.does(&format!("push plugin.wasm {reference} --plain-http"), "")?;
    let manifest = pinned.trim().split_once('@').context("no digest")?.1;
    let [ours, theirs] =
        [KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?];
    fs::write(author.path("ours.pub"), ours.public_key_pem())?;
    fs::write(author.path("theirs.pub"), theirs.public_key_pem())?;
    let pull = format!("pull {reference} --plain-http -o signed.wasm");
    let tag = format!("{}.sig", manifest.replace(':', "-"));
    let unsigned = format!("{reference}: signature: it is not signed: beside it is neither {tag} nor a bundle");
    assert_eq!(author.fails(&format!("{pull} --key ours.pub"), "")?, (1, unsigned));
    sign(&registry, "plugin", &ours, manifest, &tag)?;
    let untrusted = format!("{reference}: signature: none of its 1 signatures is by a trusted key");
    assert_eq!(author.fails(&format!("{pull} --key theirs.pub"), "")?, (1, untrusted));
    assert!(!author.path("signed.wasm").exists());
    author.does(&format!("{pull} --key theirs.pub --key ours.pub"), "")?;
    assert_eq!(fs::read(author.path("signed.wasm"))?, author.component);
    Ok(())
}

#[test]
fn a_bundle_is_found_where_the_registry_knows_no_referrers() -> Result<()> {
    let (registry, author) = (Registry::start(Door::Open)?, Author::new()?);
    let reference = format!("{}/plugin:1", registry.host());
    let pinned = author.does(&format!("push plugin.wasm {reference} --plain-http"), "")?;
    let manifest = pinned.trim().split_once('@').context("no digest")?.1;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    fs::write(author.path("cosign.pub"), key.public_key_pem())?;
    let pull = format!("pull {reference} --plain-http --key cosign.pub -o signed.wasm");
    let unsigned = author.fails(&pull, "")?.1;
    assert!(unsigned.contains("it is not signed"), "{unsigned}");
    bundle(&registry, &key, manifest)?;
    author.does(&pull, "")?;
    assert_eq!(fs::read(author.path("signed.wasm"))?, author.component);
    Ok(())
}

#[test]
fn what_somebody_has_signed_without_a_key_is_pulled_by_name() -> Result<()> {
    let (registry, author, sigstore) = (Registry::start(Door::Open)?, Author::new()?, Sigstore::new()?);
    let reference = format!("{}/plugin:1", registry.host());
    let pinned = author.does(&format!("push plugin.wasm {reference} --plain-http"), "")?;
    let manifest = pinned.trim().split_once('@').context("no digest")?.1;
    fs::write(author.path("trusted_root.json"), sigstore.trusted_root()?.to_string())?;
    let issuer = "https://accounts.example";
    let pull = |who: &str| {
        let identity = format!("--certificate-identity {who} --certificate-oidc-issuer {issuer}");
        format!("pull {reference} --plain-http {identity} --trusted-root trusted_root.json -o signed.wasm")
    };
    let signed = sigstore.sign("dev@team.example", issuer, manifest.trim_start_matches("sha256:"))?;
    put_bundle(&registry, "plugin", &signed, manifest)?;
    let untrusted = format!(
        "{reference}: signature: none of its 1 signatures is by \"ops@team.example\" of \"{issuer}\": it is by \
         \"dev@team.example\" of \"{issuer}\""
    );
    assert_eq!(author.fails(&pull("ops@team.example"), "")?, (1, untrusted));
    assert!(!author.path("signed.wasm").exists());
    author.does(&pull("dev@team.example"), "")?;
    assert_eq!(fs::read(author.path("signed.wasm"))?, author.component);
    fs::write(author.path("trusted_root.json"), "{}")?;
    let broken = author.fails(&pull("dev@team.example"), "")?;
    assert!(broken.0 == 2 && broken.1.contains("trusted_root.json: not a trusted root of Sigstore: "), "{broken:?}");
    Ok(())
}

fn bundle(registry: &Registry, key: &KeyPair, manifest: &str) -> Result<()> {
    let kind = "application/vnd.in-toto+json";
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": manifest.trim_start_matches("sha256:")}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    });
    let statement = statement.to_string();
    let signature = key.sign(format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len()).as_bytes())?;
    let signatures = json!([{"sig": BASE64_STANDARD.encode(signature)}]);
    let envelope = json!({"payload": BASE64_STANDARD.encode(statement), "payloadType": kind, "signatures": signatures});
    put_bundle(registry, "plugin", &json!({"mediaType": BUNDLE, "dsseEnvelope": envelope}), manifest)
}

/// As cosign 3 does, whose client keeps the list itself where the registry answers 404, and calls what it lists by the type
/// of its config.
pub(crate) fn put_bundle(registry: &Registry, repository: &str, bundle: &Value, manifest: &str) -> Result<()> {
    let bundle = bundle.to_string();
    for bytes in [bundle.as_bytes(), b"{}"] {
        registry.put_blob(repository, &Digest::of(bytes).to_string(), bytes)?;
    }
    let empty = "application/vnd.oci.empty.v1+json";
    let of_bundle = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": blob(empty, b"{}"),
        "layers": [blob(BUNDLE, bundle.as_bytes())],
        "subject": {"mediaType": MANIFEST, "digest": manifest, "size": 1},
    });
    let mut listed = blob(MANIFEST, of_bundle.to_string().as_bytes());
    registry.put_manifest(repository, listed["digest"].as_str().unwrap_or_default(), &of_bundle)?;
    listed["artifactType"] = empty.into();
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": [listed]});
    registry.put_manifest(repository, &manifest.replace(':', "-"), &index)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn blob(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

/// As cosign does.
pub(crate) fn sign(registry: &Registry, repository: &str, key: &KeyPair, manifest: &str, tag: &str) -> Result<()> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": format!("{}/{repository}", registry.host())},
            "image": {"docker-manifest-digest": manifest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let config = b"{}";
    let mut layer = blob("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
    layer["annotations"] = json!({"dev.cosignproject.cosign/signature": BASE64_STANDARD.encode(key.sign(&payload)?)});
    for bytes in [&payload[..], config] {
        registry.put_blob(repository, &Digest::of(bytes).to_string(), bytes)?;
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob("application/vnd.oci.image.config.v1+json", config),
        "layers": [layer],
    });
    registry.put_manifest(repository, tag, &manifest)
}
