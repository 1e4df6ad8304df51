//! Turns a plugin's Rust package into a component: a nested cargo for `wasm32-unknown-unknown`, then wit-component.
//!
//! That target has no WASI, so the component can import nothing but the contract's log. The same sources and toolchain
//! give the same bytes on every machine: no path of the machine gets into them.

mod toolchain;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;
use toolchain::{TARGET, Toolchain};
use wit_component::ComponentEncoder;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing on this machine compiles to WebAssembly.
    #[error(
        "no Rust toolchain here can build for {TARGET}: run `rustup target add {TARGET}`, or on an offline Debian \
         `apt-get install rustc-web cargo-web rust-web-src lld`"
    )]
    NoToolchain,
    /// A program did not start, or a file could not be read.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// The program or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo said why on standard error.
    #[error("cargo could not build the plugin in {}: {status}", .package.display())]
    Cargo {
        /// The plugin's folder.
        package: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// The library is not a plugin.
    #[error("the library in {} is no plugin: {reason}", .package.display())]
    NotAPlugin {
        /// The plugin's folder.
        package: PathBuf,
        /// What it lacks, or has too much.
        reason: String,
    },
}

/// The component of the plugin whose `Cargo.toml` is in `package`. Builds in `target`, which may be shared by plugins and
/// kept between builds; what cargo has to say goes to standard error.
pub fn component(package: &Path, target: &Path) -> Result<Vec<u8>, BuildError> {
    let package = package.canonicalize().map_err(io(package))?;
    let target = std::path::absolute(target).map_err(io(target))?;
    let toolchain = Toolchain::find(&package).ok_or(BuildError::NoToolchain)?;
    let mut cargo = toolchain.cargo(&package);
    arguments(&mut cargo, &package, &target);
    let output = cargo.stderr(Stdio::inherit()).output().map_err(io(Path::new(cargo.get_program())))?;
    if !output.status.success() {
        return Err(BuildError::Cargo { package, status: output.status });
    }
    let module = module(&output.stdout);
    let module = std::fs::read(&module).map_err(io(&module))?;
    encode(&module).map_err(|reason| BuildError::NotAPlugin { package, reason })
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    |source| BuildError::Io { path, source }
}

/// The profile is small, and the same in every workspace: the operator compiles plugins to machine code at its start.
fn arguments(cargo: &mut Command, package: &Path, target: &Path) {
    let profile = [
        ("OPT_LEVEL", "s"),
        ("LTO", "fat"),
        ("CODEGEN_UNITS", "1"),
        ("PANIC", "abort"),
        ("STRIP", "symbols"),
        ("DEBUG", "false"),
    ];
    cargo
        .envs(profile.map(|(name, value)| (format!("CARGO_PROFILE_RELEASE_{name}"), value)))
        .args(["rustc", "--release", "--lib", "--crate-type=cdylib", "--message-format=json-render-diagnostics"])
        .args(["--target", TARGET, "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
}

/// The library among cargo's messages: the last artifact that is WebAssembly.
fn module(messages: &[u8]) -> PathBuf {
    let messages = String::from_utf8_lossy(messages);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let mut files = files.filter_map(|file| file.as_str().map(PathBuf::from));
    files.rfind(|file| file.extension().is_some_and(|extension| extension == "wasm")).unwrap_or_default()
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ComponentEncoder::default();
    let component = encoder.validate(true).module(module).and_then(ComponentEncoder::encode);
    let component = component.map_err(|error| format!("{error:#}"))?;
    // Without `export!` there is a component all the same, an empty one.
    let decoded = wit_component::decode(&component).map_err(|error| format!("{error:#}"))?;
    let exports = decoded.resolve().worlds.iter().any(|(_, world)| !world.exports.is_empty());
    exports
        .then_some(component)
        .ok_or_else(|| "it exports nothing, does it call `trainyard_plugin::export!`?".to_owned())
}
