//! What `wit/` looks like in Rust: generated, not written.

#![allow(missing_docs, unsafe_code, unused_qualifications, reason = "generated from wit/, which has the docs")]
#![allow(clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated from wit/")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "trainyard_plugin::bindings",
});
