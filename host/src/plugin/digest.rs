//! The name that cannot lie: the SHA-256 of bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// SHA-256 of some bytes; shown as `sha256:<hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits after `sha256:`.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The digest of bytes that are still coming.
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// More of them.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// That was all.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: {0:?} is not sha256: and 64 digits of 0-9 and a-f")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    /// As registries write it, and in no other way: a name has one spelling.
    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let wrong = || NotADigest(text.chars().take(100).collect());
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(is_lower_hex));
            *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_as_registries_do() {
        // FIPS 180-4, the empty message.
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn has_one_spelling() {
        let good = Digest::of(b"x").to_string();
        let digits = good.trim_start_matches("sha256:");
        for bad in [
            String::new(),
            digits.to_owned(),
            good.to_uppercase(),
            format!("sha256:{}", digits.to_uppercase()),
            format!("sha512:{digits}"),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            format!("sha256:+{}", &digits[1..]),
            format!("sha256:é{}", &digits[2..]),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest(bad.clone())), "{bad}");
        }
    }

    #[test]
    fn does_not_mind_how_bytes_come() {
        let mut digester = Digester::default();
        for bytes in [&b"a"[..], b"", b"bc"] {
            digester.update(bytes);
        }
        assert_eq!(digester.finish(), Digest::of(b"abc"));
    }
}
