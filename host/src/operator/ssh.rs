//! SSH keys for frameworks whose launcher reaches its workers by ssh. The host makes them: plugins have no randomness.

use serde_json::{Value, json};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// What turns the metadata of a secret into one with a new key.
pub(super) fn new_key() -> Value {
    #[expect(
        clippy::expect_used,
        reason = "Ed25519 keys need 32 random bytes and nothing else; both encodings are plain text"
    )]
    let (private, public) = {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("the system gives random bytes");
        let private = key.to_openssh(LineEnding::LF).expect("a key can be written");
        (private.to_string(), key.public_key().to_openssh().expect("a key can be written"))
    };
    json!({"type": "kubernetes.io/ssh-auth", "stringData": {"ssh-privatekey": private, "ssh-publickey": public}})
}
