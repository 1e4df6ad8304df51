//! A file as a public key, or a key of any content in the armour of such a file: what is accepted has the size of one.
#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::source::PublicKey;

fuzz_target!(|data: &[u8]| {
    let _ = PublicKey::parse(data);
    let pem = |der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        PublicKey::parse(format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").as_bytes())
    };
    if let Ok(key) = pem(data) {
        assert!(matches!(data.len(), 44 | 91), "{} bytes", data.len());
        assert!(pem(&[data, &[0]].concat()).is_err(), "with a byte more it is another file");
        let mut other = data.to_vec();
        if let Some(last) = other.last_mut() {
            *last ^= 1;
        }
        assert_ne!(pem(&other).as_ref(), Ok(&key), "every bit counts");
    }
});
