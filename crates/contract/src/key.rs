//! Composite keys: several source values joined into the one string that identifies a record.

/// Joins the parts of a key with `|`. A `|` or `\` inside a part is escaped with `\`, so that
/// different parts never give the same key. One part alone is kept as it is.
#[must_use]
pub fn join<S: AsRef<str>>(parts: &[S]) -> String {
    if let [only] = parts {
        return only.as_ref().to_owned();
    }
    let mut key = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push('|');
        }
        for c in part.as_ref().chars() {
            if matches!(c, '|' | '\\') {
                key.push('\\');
            }
            key.push(c);
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_hold_the_separator_stay_apart() {
        assert_eq!(join(&["a", "b"]), "a|b");
        assert_eq!(join(&["a|b", ""]), "a\\|b|");
        assert_ne!(join(&["a|", "b"]), join(&["a", "|b"]));
        assert_eq!(join(&["a|b"]), "a|b");
    }
}
