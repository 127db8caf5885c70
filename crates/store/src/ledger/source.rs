//! Source keys of any length: an index holds a digest in the place of a long one.

use std::borrow::Cow;

use contract::Digest;

/// What a digest begins with that is kept in the place of a key.
pub(super) const MARK: &str = "\u{1}sha256:";

/// The most bytes of a key that an index holds.
pub(super) const LONGEST: i64 = 1000;

/// Returns what the id map keeps of a key in `source`: the key, or, of one above 1,000 bytes (or that
/// looks like one), its marked SHA-256.
#[must_use]
pub fn stored(key: &str) -> Cow<'_, str> {
    if is_long(key) {
        Cow::Owned(format!("{MARK}{}", Digest::of(key.as_bytes())))
    } else {
        Cow::Borrowed(key)
    }
}

/// Returns what the id map keeps of a key in `long`: the key, where `source` does not.
#[must_use]
pub fn long(key: &str) -> Option<&str> {
    is_long(key).then_some(key)
}

fn is_long(key: &str) -> bool {
    i64::try_from(key.len()).is_ok_and(|bytes| bytes > LONGEST) || key.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_kept_alike() {
        let long = "k".repeat(1001);
        let kept = stored(&long);
        assert_eq!(kept.len(), MARK.len() + 64);
        assert_ne!(stored(&kept), kept);
        assert_eq!(stored(&"k".repeat(1000)), "k".repeat(1000));
        assert_eq!(super::long(&long), Some(long.as_str()));
        assert_eq!(super::long("k"), None);
    }
}
