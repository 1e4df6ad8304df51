//! Every command of `docs/loading-plugins.md`, in its order, as an admin would type them.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use trainyard_tests::registry::{Door, PASSWORD, Registry, USER};
use trainyard_tests::sigstore::Sigstore;
use trainyard_tests::{ROOT, binary};

use super::place::{Place, ring};
use crate::operator::place::text;
use crate::run::registry::{put_bundle, sign};

/// What the registry is called where nothing real can be.
const HOST: &str = "registry.example";

/// Who signs in it without a key.
const WORKFLOW: &str = "https://github.com/team/ring/.github/workflows/release.yaml@refs/tags/v2";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The commands between fences of a guide.
fn blocks(guide: &str) -> Vec<&str> {
    guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The digest of what `team/ring` has under a tag.
fn manifest(program: &Path, registry: &Registry, home: &Path, tag: &str) -> Result<String> {
    let about = Command::new(program)
        .args(["plugin", "inspect", "-o", "json"])
        .arg(format!("{}/team/ring:{tag}", registry.host()))
        .arg("--ca")
        .arg(registry.ca())
        .env("DOCKER_CONFIG", home)
        .output()?;
    Ok(text(&serde_json::from_slice::<Value>(&about.stdout)?["manifest"]))
}

#[test]
fn every_command_of_the_guide_works() -> Result<()> {
    let Some(place) = Place::new()? else { return Ok(()) };
    let _operator = place.operator()?;
    let registry = Registry::start(Door::Locked)?;
    let (key, sigstore) = (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, Sigstore::new()?);
    let folder = tempfile::tempdir()?;
    let auth = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let login = json!({"auths": {registry.host(): {"auth": auth}}});
    for (name, content) in [
        ("ring.wasm", ring("1")?),
        ("ring-2.wasm", ring("2")?),
        ("carousel.yaml", fs::read(format!("{ROOT}/tests/guests/ring/job.yaml"))?),
        ("ca.crt", fs::read(registry.ca())?),
        ("config.json", login.to_string().into_bytes()),
        ("cosign.pub", key.public_key_pem().into_bytes()),
        ("trusted_root.json", sigstore.trusted_root()?.to_string().into_bytes()),
    ] {
        fs::write(folder.path().join(name), content)?;
    }
    let program = binary::trainyard()?;
    let programs = [program.parent().context("it is in a folder")?, place.cluster.binaries()];
    let path = env::join_paths(
        programs
            .map(ToOwned::to_owned)
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").context("there is no PATH")?)),
    )?;

    let guide = fs::read_to_string(format!("{ROOT}/docs/loading-plugins.md"))?;
    let blocks = blocks(&guide);
    ensure!(blocks.len() > 10, "the guide has {} blocks of commands", blocks.len());
    for block in blocks {
        let mut commands = block.replace(HOST, registry.host());
        if let Some(signing) = block.lines().find(|line| line.starts_with("cosign sign ")) {
            // cosign may not be here: what it would do is done through another door of the same registry.
            let tag = signing.rsplit(':').next().unwrap_or_default();
            let manifest = manifest(&program, &registry, folder.path(), tag)?;
            let (door, sha256) = (registry.back_door()?, manifest.trim_start_matches("sha256:"));
            if signing.contains("--key") {
                sign(&door, "team/ring", &key, &manifest, &format!("sha256-{sha256}.sig"))?;
            } else {
                put_bundle(&door, "team/ring", &sigstore.sign(WORKFLOW, ISSUER, sha256)?, &manifest)?;
            }
            commands = commands.lines().skip(1).collect::<Vec<_>>().join("\n");
        }
        let ended = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("KUBECONFIG", place.cluster.kubeconfig())
            .env("DOCKER_CONFIG", folder.path())
            .output()?;
        let [out, err] = [&ended.stdout, &ended.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        ensure!(ended.status.success(), "{commands}\n{out}{err}\n{}", place.status("ring").unwrap_or_default());
        println!("{commands}\n{out}");
    }
    Ok(())
}
