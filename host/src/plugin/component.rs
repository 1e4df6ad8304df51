//! What some bytes are, found out without compiling them: a component? of our contract? asking for more than it grants?

use wasmparser::{Parser, Payload};

use super::{LoadError, one_line};

/// The track this host speaks; `v0_1` is its adapter.
pub const TRACK: &str = "0.1";
const FRAMEWORK: &str = "trainyard:framework/framework";
/// What a plugin may import. `types` has no functions: components name it because the types of their exports are its.
const GRANTED: [&str; 2] = ["trainyard:framework/log", "trainyard:framework/types"];

/// Why bytes are no component at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// Nothing.
    #[error("the file is empty")]
    Empty,
    /// Something else.
    #[error("it is no WebAssembly")]
    NotWasm,
    /// WebAssembly for people.
    #[error("it is WebAssembly text; turn it into a binary first")]
    Text,
    /// WebAssembly of the first generation.
    #[error("it is a core module; turn it into a component first")]
    CoreModule,
    /// Machine code. To run it would be to trust it.
    #[error("it is precompiled machine code; give the component it was made from")]
    Precompiled,
    /// Truncated or damaged.
    #[error("it is a damaged component: {0}")]
    Damaged(String),
}

/// Checks exports and imports.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let names = Names::read(bytes).map_err(|error| NotAComponent::Damaged(one_line(&error.to_string())))?;
    check_exports(&names.exports)?;
    names.imports.iter().try_for_each(|import| check_import(import))
}

/// Checks that they are a component. (Machine code is told apart by who knows the compiler.)
pub(super) fn kind(bytes: &[u8]) -> Result<(), NotAComponent> {
    let text = bytes.trim_ascii_start();
    if bytes.is_empty() {
        Err(NotAComponent::Empty)
    } else if Parser::is_component(bytes) {
        Ok(())
    } else if Parser::is_core_wasm(bytes) {
        Err(NotAComponent::CoreModule)
    } else if [&b"(component"[..], b"(module", b";;", b"(;"].iter().any(|start| text.starts_with(start)) {
        Err(NotAComponent::Text)
    } else {
        Err(NotAComponent::NotWasm)
    }
}

/// Imports and exports of the outermost component.
#[derive(Debug, Default)]
pub struct Names<'a> {
    /// What it asks for.
    pub imports: Vec<&'a str>,
    /// What it offers.
    pub exports: Vec<&'a str>,
}

/// What a component asks for and offers, whoever it is made for.
pub fn names(bytes: &[u8]) -> Result<Names<'_>, NotAComponent> {
    kind(bytes)?;
    Names::read(bytes).map_err(|error| NotAComponent::Damaged(one_line(&error.to_string())))
}

impl<'a> Names<'a> {
    fn read(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut names = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            #[expect(clippy::wildcard_enum_match_arm, reason = "wasmparser's enum, of which four cases matter here")]
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        names.imports.push(import?.name.name);
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        names.exports.push(export?.name.name);
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

fn check_exports(exports: &[&str]) -> Result<(), LoadError> {
    let versions = || exports.iter().filter_map(|name| version(name, FRAMEWORK));
    match versions().next() {
        _ if versions().any(|version| track(version) == TRACK) => Ok(()),
        Some(version) => Err(LoadError::UnsupportedTrack { found: one_line(track(version)) }),
        None => Err(LoadError::MissingExport { found: exports.iter().map(|name| one_line(name)).collect() }),
    }
}

fn check_import(import: &str) -> Result<(), LoadError> {
    if GRANTED.iter().filter_map(|interface| version(import, interface)).any(|version| track(version) == TRACK) {
        return Ok(());
    }
    let hint = if import.starts_with("wasi:") {
        "; build it without WASI (Rust: target wasm32-unknown-unknown; componentize-py: --stub-wasi; \
         componentize-qjs: --stub-wasi --sync)"
    } else {
        ""
    };
    Err(LoadError::ForbiddenImport { import: one_line(import), hint })
}

/// `0.1.3` of `trainyard:framework/log@0.1.3`.
fn version<'a>(name: &'a str, interface: &str) -> Option<&'a str> {
    name.strip_prefix(interface)?.strip_prefix('@')
}

/// The compatibility track of a version, as the component model canonicalises it: `1` of 1.2.3, `0.2` of 0.2.6.
fn track(version: &str) -> &str {
    let minor = version.strip_prefix("0.").map(|rest| 2 + rest.find('.').unwrap_or(rest.len()));
    let end = minor.or_else(|| version.find('.')).unwrap_or(version.len());
    version.get(..end).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_what_stays_compatible() {
        for (version, expected) in
            [("0.1.0", "0.1"), ("0.1.13", "0.1"), ("0.10.0", "0.10"), ("0.1", "0.1"), ("1.2.3", "1"), ("12", "12")]
        {
            assert_eq!(track(version), expected, "{version}");
        }
    }

    #[test]
    fn the_kind_of_bytes_is_named() {
        for (bytes, expected) in [
            (&b""[..], Err(NotAComponent::Empty)),
            (b"GIF89a", Err(NotAComponent::NotWasm)),
            (b"\0asm", Err(NotAComponent::NotWasm)),
            (b"\0asm\x01\0\0\0", Err(NotAComponent::CoreModule)),
            (b"\n  (component)", Err(NotAComponent::Text)),
            (b";; a comment", Err(NotAComponent::Text)),
            (b"\0asm\x0d\0\x01\0", Ok(())),
        ] {
            assert_eq!(kind(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
