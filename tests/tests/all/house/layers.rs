//! Which package may depend on which.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use trainyard_tests::ROOT;

/// All that the core is made of, down to the last crate. None of them does input or output, waits, or runs plugins.
const CORE: &[&str] = &[
    "dyn-clone",
    "itoa",
    "jiff",
    "jiff-core",
    "memchr",
    "proc-macro2",
    "quote",
    "ref-cast",
    "ref-cast-impl",
    "schemars",
    "schemars_derive",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_derive_internals",
    "serde_json",
    "syn",
    "thiserror",
    "thiserror-impl",
    "trainyard-core",
    "unicode-ident",
    "zmij",
];
const SDK: &str = "trainyard-plugin";
/// In `plugins/`, but no plugins.
const PLUGIN_TOOLS: &[&str] = &[SDK, "trainyard-plugin-build"];

#[test]
fn the_core_can_do_no_io() -> Result<()> {
    let tree = cargo(&[
        "tree",
        "--package",
        "trainyard-core",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let new: Vec<_> = found.iter().filter(|name| !CORE.contains(name)).collect();
    assert!(new.is_empty(), "the core depends on {new:?}: if they do no I/O and have no clock, add them to CORE");
    ensure!(found.contains("trainyard-core"), "cargo tree says nothing of the core");
    Ok(())
}

#[test]
fn plugins_depend_on_the_sdk_only() -> Result<()> {
    let packages = packages()?;
    let plugins: Vec<_> = packages.iter().filter(|package| package.is_plugin()).collect();
    ensure!(!plugins.is_empty(), "there is no plugin in plugins/");
    for plugin in plugins {
        assert_eq!(plugin.dependencies, [SDK.to_owned()].into(), "{}", plugin.name);
        let ours: Vec<_> = plugin.test_dependencies.iter().filter(|name| name.starts_with("trainyard")).collect();
        assert!(ours.is_empty(), "the tests of {} depend on {ours:?}", plugin.name);
    }
    Ok(())
}

#[test]
fn nothing_links_a_plugin() -> Result<()> {
    let packages = packages()?;
    let plugins: BTreeSet<_> =
        packages.iter().filter(|package| package.is_plugin()).map(|plugin| &plugin.name).collect();
    for package in &packages {
        let linked: Vec<_> = package.dependencies.iter().filter(|name| plugins.contains(name)).collect();
        assert!(linked.is_empty(), "{} depends on {linked:?}: a plugin is loaded, never linked", package.name);
    }
    Ok(())
}

#[test]
fn every_package_keeps_the_lints() -> Result<()> {
    for package in packages()? {
        let manifest = fs::read_to_string(&package.manifest)?;
        ensure!(manifest.contains("[lints]\nworkspace = true\n"), "{} has lints of its own, or none", package.manifest);
    }
    Ok(())
}

struct Package {
    name: String,
    manifest: String,
    dependencies: BTreeSet<String>,
    test_dependencies: BTreeSet<String>,
}

impl Package {
    fn is_plugin(&self) -> bool {
        self.manifest.contains("/plugins/") && !PLUGIN_TOOLS.contains(&self.name.as_str())
    }
}

fn packages() -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    Ok(packages.iter().map(package).collect())
}

fn package(found: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dependencies = |tests: bool| {
        let all = found["dependencies"].as_array().into_iter().flatten();
        all.filter(|each| (each["kind"] == "dev") == tests).map(|each| text(&each["name"])).collect()
    };
    Package {
        name: text(&found["name"]),
        manifest: text(&found["manifest_path"]),
        dependencies: dependencies(false),
        test_dependencies: dependencies(true),
    }
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let done = Command::new(env!("CARGO")).args(arguments).arg("--locked").current_dir(ROOT).output()?;
    ensure!(done.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}
