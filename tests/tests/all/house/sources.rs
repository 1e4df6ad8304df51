//! Our Rust files, as the compiler finds them: from each crate's root along its `mod`s.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use trainyard_tests::ROOT;

/// A file that a crate is made of.
pub(super) struct Source {
    /// From the root of the clone.
    pub(super) path: String,
    /// Without tests, which come last in a file. Empty when the whole file is compiled for tests only.
    pub(super) code: String,
}

pub(super) fn all() -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for root in files_below(Path::new(ROOT))?.iter().filter(|file| is_crate_root(file)) {
        let path = relative(root);
        // `tests/src` holds no tests but what tests stand on.
        let tests_only = path.split('/').any(|folder| folder == "tests") && !path.starts_with("tests/src/");
        follow(root, tests_only, &mut found);
    }
    ensure!(found.iter().any(|source| source.path == "host/core/src/lib.rs"), "the core is not found");
    ensure!(found.iter().any(|source| source.code.contains("pub fn ")), "no code is found");
    Ok(found)
}

/// Files that no crate is made of: the compiler never sees them, and never says so.
pub(super) fn orphans() -> Result<BTreeSet<String>> {
    let reached: BTreeSet<String> = all()?.into_iter().map(|source| source.path).collect();
    let files = files_below(Path::new(ROOT))?;
    let mut orphans: BTreeSet<String> = files.iter().map(|file| relative(file)).collect();
    orphans.retain(|file| !reached.contains(file));
    Ok(orphans)
}

fn relative(file: &Path) -> String {
    file.strip_prefix(ROOT).unwrap_or(file).display().to_string()
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Where Cargo looks by itself, and where cargo-fuzz would.
fn is_crate_root(file: &Path) -> bool {
    let up = |levels| file.ancestors().nth(levels).unwrap_or(file);
    let is_package = |folder: &Path| folder.join("Cargo.toml").is_file();
    let (name, folder) = (file.file_name().unwrap_or_default(), up(1));
    let in_source = folder.ends_with("src") && is_package(up(2));
    let program = |folder: &Path, levels| {
        (folder.ends_with("src/bin") && is_package(up(levels + 1)))
            || (["tests", "examples", "benches", "fuzz_targets"].iter().any(|kind| folder.ends_with(kind))
                && is_package(up(levels)))
    };
    (in_source && (name == "lib.rs" || name == "main.rs"))
        || (name == "build.rs" && is_package(folder))
        || program(folder, 2)
        || (name == "main.rs" && program(up(2), 3))
}

fn follow(file: &Path, tests_only: bool, found: &mut Vec<Source>) {
    let Ok(text) = fs::read_to_string(file) else { return }; // one that is missing is the compiler's to tell
    let folder = module_folder(file);
    let (mut code, mut in_tests) = (String::new(), tests_only);
    let mut attributes = Vec::new();
    for line in text.lines() {
        let for_tests = in_tests || attributes.contains(&"#[cfg(test)]");
        if let Some(module) = declared_module(line) {
            let path =
                attributes.iter().find_map(|attribute| attribute.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
            follow(&module_file(file, &folder, module, path), for_tests, found);
        } else if for_tests && line.contains("mod ") {
            in_tests = true;
        }
        if line.starts_with("#[") {
            attributes.push(line);
        } else {
            attributes.clear();
        }
        if !in_tests && !attributes.contains(&"#[cfg(test)]") {
            code.push_str(line);
            code.push('\n');
        }
    }
    found.push(Source { path: relative(file), code });
}

/// Where the modules of a file are: beside a root or a `mod.rs`, else in a folder of its name.
fn module_folder(file: &Path) -> PathBuf {
    let beside = is_crate_root(file) || file.file_name().is_some_and(|name| name == "mod.rs");
    if beside { file.with_file_name("") } else { file.with_extension("") }
}

/// The `x` of `mod x;`, `pub mod x;`, `pub(crate) mod x;`.
fn declared_module(line: &str) -> Option<&str> {
    let (before, rest) = line.trim().split_once("mod ")?;
    let name = rest.strip_suffix(';')?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

fn module_file(file: &Path, folder: &Path, module: &str, path: Option<&str>) -> PathBuf {
    let plain = folder.join(module).with_extension("rs");
    match path {
        Some(path) => file.with_file_name(path),
        None if plain.is_file() => plain,
        None => folder.join(module).join("mod.rs"),
    }
}
