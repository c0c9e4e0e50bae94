//! What is kept of group keys and values that are very long: their beginning and a digest.
//!
//! Keys and values are of an attacker's choice, a command line for example. Cutting them off would make different
//! ones equal; the digest keeps them apart, and the beginning keeps them readable.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Bytes of a value that is kept as it is. A longer one is kept as its beginning, ` sha256:` and 64 hexadecimal
/// digits, together longer than this, so that it equals no value that is kept as it is.
pub const MOST_VALUE_BYTES: usize = 256;

/// Bytes of a group key that is kept as it is; a longer one is kept in the manner of [`MOST_VALUE_BYTES`].
pub const MOST_GROUP_BYTES: usize = 4096;

/// The bytes themselves, or what stands for them if they are more than `most`.
pub(super) fn keep(bytes: &[u8], most: usize) -> Cow<'_, [u8]> {
    if bytes.len() <= most {
        return Cow::Borrowed(bytes);
    }
    let mut digest = String::from(" sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    let beginning = bytes.get(..(most + 1).saturating_sub(digest.len())).unwrap_or_default();
    Cow::Owned([beginning, digest.as_bytes()].concat())
}
