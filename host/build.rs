//! Compiles the plugins that `plugins/bundled` names into components, which the binary carries.
//!
//! In a target folder of their own, which all profiles share: what has not changed is not compiled again.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

/// Beside each plugin: what all of them are made of. From the package's folder.
const SHARED: [&str; 5] = ["../plugins/bundled", "../plugins/sdk", "../wit", "../Cargo.toml", "../Cargo.lock"];

fn main() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let target = target(&out).join("plugins");
    let bundled = fs::read_to_string("../plugins/bundled").context("../plugins/bundled")?;
    let mut list = Vec::new();
    for line in bundled.lines() {
        let (name, kinds) = line.split_once(' ').context("plugins/bundled: a line is a plugin and its kinds")?;
        let kinds: Vec<_> = kinds.split(' ').collect();
        let package = Path::new("../plugins").join(name);
        let component = trainyard_plugin_build::component(&package, &target)?;
        let file = out.join(format!("{name}.wasm"));
        fs::write(&file, component).with_context(|| file.display().to_string())?;
        let component = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))");
        let grants = package.join("grants.json");
        let grants = grants.is_file().then(|| fs::read_to_string(&grants)).transpose();
        let grants = grants.with_context(|| format!("the grants of {name}"))?;
        list.push(format!(
            "Bundled {{ name: {name:?}, kinds: &{kinds:?}, component: {component}, grants: {grants:?} }},\n"
        ));
        println!("cargo::rerun-if-changed={}", package.display());
    }
    fs::write(out.join("bundled.rs"), format!("&[\n{}]\n", list.concat())).context("bundled.rs")?;
    for path in SHARED {
        println!("cargo::rerun-if-changed={path}");
    }
    Ok(())
}

/// The target folder around `OUT_DIR`: cargo marks it for backups to leave out.
fn target(out: &Path) -> &Path {
    out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(out)
}
