//! A registry's answer as the manifest of a plugin: what is believed of it is what it says, and no larger than may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trainyard_fuzz::assert_plain;
use trainyard_fuzz::plugin::COMPONENT;
use trainyard_fuzz::source::check_manifest;

fuzz_target!(|data: &[u8]| {
    match check_manifest(data) {
        Err(fault) => assert_plain(&fault.to_string()),
        Ok(layer) => {
            assert!(layer.size <= COMPONENT as u64);
            // Another reader refuses numbers that nobody looks at.
            let Ok(manifest) = serde_json::from_slice::<Value>(data) else { return };
            let layers = manifest["layers"].as_array().expect("it has layers");
            assert_eq!(layers.len(), 1);
            assert_eq!(layers[0]["digest"], layer.digest.to_string());
            assert_eq!(layers[0]["size"], layer.size);
        }
    }
});
