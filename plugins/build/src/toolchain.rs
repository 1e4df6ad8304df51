//! Who compiles: the toolchain of the package if it has the target, else one that can build the standard library.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Neither an operating system nor WASI.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What a cargo around us, a wrapper or clippy means for its own rustc and not for this one.
const FOREIGN: [&str; 14] = [
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// A cargo and its rustc.
#[derive(Clone)]
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
    /// Links what the toolchain builds of the standard library; none where that is installed.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// The best for a package, whose folder may choose one with a `rust-toolchain.toml`.
    pub(crate) fn find(package: &Path) -> Option<Self> {
        let program = |variable, name: &str| env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
        let active = Self::of(program("CARGO", "cargo"), program("RUSTC", "rustc"), package);
        let debian = Self::of("/usr/bin/cargo".into(), "/usr/bin/rustc".into(), package);
        let found: Vec<_> = [active, debian].into_iter().flatten().collect();
        if let Some(ready) = found.iter().find(|each| each.sysroot.join("lib/rustlib").join(TARGET).is_dir()) {
            return Some(ready.clone());
        }
        // Debian's rustc comes without a linker for WebAssembly, rustup's without the sources: together they do.
        let linker = found.iter().find_map(Self::rust_lld).or_else(|| on_path("wasm-ld"))?;
        let able = found.into_iter().find(|each| each.sources().join("library/Cargo.lock").is_file())?;
        Some(Self { linker: Some(linker), ..able })
    }

    /// A cargo that builds for [`TARGET`] and takes from the environment only what concerns it.
    pub(crate) fn cargo(&self, package: &Path) -> Command {
        let mut cargo = Command::new(&self.cargo);
        let profiles = env::vars_os().map(|(name, _)| name);
        let profiles = profiles.filter(|name| name.to_string_lossy().starts_with("CARGO_PROFILE_"));
        for name in FOREIGN.into_iter().map(OsString::from).chain(profiles) {
            cargo.env_remove(name);
        }
        cargo.current_dir(package).env("RUSTC", &self.rustc).env("CARGO_INCREMENTAL", "0");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.remapped());
        if let Some(linker) = &self.linker {
            cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }

    fn of(cargo: PathBuf, rustc: PathBuf, package: &Path) -> Option<Self> {
        let output = Command::new(&rustc).args(["--print", "sysroot"]).current_dir(package).output().ok()?;
        let sysroot = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
        output.status.success().then_some(Self { cargo, rustc, sysroot, linker: None })
    }

    fn sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    fn rust_lld(&self) -> Option<PathBuf> {
        let hosts = self.sysroot.join("lib/rustlib").read_dir().ok()?.flatten();
        hosts.map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.is_file())
    }

    /// Flags that keep the paths of this machine out of panic messages.
    fn remapped(&self) -> OsString {
        let sources = self.sources();
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let registries = home.and_then(|home| home.join("registry/src").read_dir().ok());
        let crates = registries.into_iter().flatten().flatten().map(|registry| (registry.path(), "/crates"));
        let std = [sources.canonicalize().ok(), Some(sources)].into_iter().flatten().map(|sources| (sources, "/rustc"));
        let flags = crates.chain(std).map(|(from, to)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flag
        });
        // The separator of this variable: a space may be part of a path.
        flags.collect::<Vec<_>>().join("\u{1f}".as_ref())
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
