//! Three lines as a payload, its signature and a bundle: without the private keys, which nobody has, none of them counts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::plugin::Digest;
use trainyard_fuzz::source::{PublicKey, is_trusted};

static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    let pems = [include_bytes!("../keys/p256.pub").as_slice(), include_bytes!("../keys/ed25519.pub")];
    pems.map(|pem| PublicKey::parse(pem).expect("a public key")).into()
});

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (payload, signature, bundle) = (line(), line(), line());
    assert!(!is_trusted(&KEYS, payload, signature, bundle, Digest::of(b"")));
});
