//! A second reader of every format, written from `crates/contract/FORMAT.md` alone. It shares no code with the
//! programs: what it finds is what a stranger would find. Each function names the rule that it follows.

pub mod bundle;
pub mod cell;
pub mod files;
pub mod ledger;
pub mod record;
pub mod stream;
pub mod tables;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Reads JSON; numbers keep their digits.
pub fn json(text: &[u8]) -> serde_json::Value {
    let text = std::str::from_utf8(text).expect("UTF-8");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The lines of a text that each end in a line feed.
pub fn lines(text: &[u8]) -> Vec<&[u8]> {
    assert_eq!(text.last(), Some(&b'\n'), "the last line is cut");
    text[..text.len() - 1]
        .split(|byte| *byte == b'\n')
        .collect()
}
