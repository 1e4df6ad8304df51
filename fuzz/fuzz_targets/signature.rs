//! Three lines as a payload, its signature and a bundle: without the private keys, which nobody has, none of them counts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use trainyard_core::grants::Pattern;
use trainyard_fuzz::plugin::Digest;
use trainyard_fuzz::source::{Identity, Policy, PublicKey, is_trusted};

static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    let pems = [include_bytes!("../keys/p256.pub").as_slice(), include_bytes!("../keys/ed25519.pub")];
    let keys = pems.map(|pem| PublicKey::parse(pem).expect("a public key")).into();
    let root = include_str!("../keys/trusted_root.json").to_owned();
    let anybody = Identity::new(Pattern("*".into()), "https://accounts.example".into(), root);
    [Policy::Keys(keys), Policy::Identity(anybody.expect("a trusted root"))]
});

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (payload, signature, bundle) = (line(), line(), line());
    for policy in &*POLICIES {
        assert!(!is_trusted(policy, payload, signature, bundle, Digest::of(b"")));
    }
});
