//! Bytes as a plugin, before it is compiled: what is valid is never called damaged, what is too much is above its cap, what
//! is pushed is what is pulled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::plugin::{Digest, LoadError, NotAComponent, check, names, scan};
use trainyard_fuzz::source::{Layer, check_manifest, pushed};
use trainyard_fuzz::{assert_plain, shaped};
use wasmparser::{Encoding, Parser, Payload, Validator};

fuzz_target!(|data: &[u8]| {
    let bytes = shaped(data);
    let scanned = scan(&bytes);
    match &scanned {
        Err(LoadError::Excess(excess)) => assert!(excess.found > excess.cap.limit(), "{excess}"),
        Err(LoadError::NotAComponent(NotAComponent::Damaged(why))) => {
            assert_plain(why);
            assert!(!is_valid(&bytes), "valid, and yet {why}");
        }
        Err(other) => panic!("{other}"),
        Ok(()) => {}
    }
    match check(&bytes) {
        Ok(()) => assert!(scanned.is_ok(), "let in unscanned"),
        Err(error) => assert_plain(&error.to_string()),
    }
    if let Some(manifest) = pushed(&bytes) {
        assert!(names(&bytes).is_ok());
        let layer = check_manifest(&manifest).expect("what is pushed can be pulled");
        assert_eq!(layer, Layer { digest: Digest::of(&bytes), size: bytes.len() as u64 });
    }
});

/// As another reader sees it.
fn is_valid(bytes: &[u8]) -> bool {
    let is_component = matches!(
        Parser::new(0).parse_all(bytes).next(),
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. }))
    );
    is_component && Validator::new().validate_all(bytes).is_ok()
}
