//! Texts that the ledger keeps of a source, where the target's encoding lacks some of Unicode.

use std::borrow::Cow;
use std::fmt::Write;

use crate::Sql;

/// JSON, its characters beyond ASCII in JSON's own escapes where the target may lack them: it reads back
/// as it was.
pub(super) fn json(sql: &dyn Sql, text: String) -> String {
    if sql.has_all_characters() || text.is_ascii() {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            plain.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(plain, "\\u{unit:04x}").ok();
            }
        }
    }
    plain
}

/// Words for people, in the same case with `\u{…}` for each of those characters.
pub(super) fn words<'a>(sql: &dyn Sql, text: &'a str) -> Cow<'a, str> {
    if sql.has_all_characters() || text.is_ascii() {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            plain.push(c);
        } else {
            plain.extend(c.escape_unicode());
        }
    }
    plain.into()
}
