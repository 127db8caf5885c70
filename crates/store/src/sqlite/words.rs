//! The words of SQL as the catalogue keeps it: what no pragma tells is found there.

/// A word; names in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// A keyword, a number, or a name without quotes.
    Plain(String),
    /// A name in quotes.
    Quoted(String),
    /// A string or a sign.
    Other,
}

/// Tells whether a table's SQL says, by `ON CONFLICT`, that a statement which breaks one of its
/// constraints does anything but fail and be undone: replace rows of others, leave its own out, or end
/// the transaction. `ON` is a reserved word, so that no name is taken for a clause.
pub(super) fn has_conflict_clause(sql: &str) -> bool {
    let words = words(sql);
    let is = |word: &Word, text: &str| matches!(word, Word::Plain(plain) if plain == text);
    words
        .windows(3)
        .any(|three| is(&three[0], "ON") && is(&three[1], "CONFLICT") && !is(&three[2], "ABORT"))
}

/// Tells whether SQL mentions a name, given in upper case.
pub(super) fn mentions(sql: &str, name: &str) -> bool {
    words(sql)
        .iter()
        .any(|word| matches!(word, Word::Plain(text) | Word::Quoted(text) if text == name))
}

/// Cuts SQL into words; comments are left out.
fn words(sql: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        if end > 0 {
            words.push(Word::Plain(rest[..end].to_ascii_uppercase()));
            rest = &rest[end..];
            continue;
        }
        let after = &rest[first.len_utf8()..];
        let cut = |close: &str| after.split_once(close).unwrap_or((after, ""));
        let quoted = |close: &str| {
            let (name, behind) = cut(close);
            (Some(Word::Quoted(name.to_ascii_uppercase())), behind)
        };
        let (word, behind) = match first {
            '-' if after.starts_with('-') => (None, cut("\n").1),
            '/' if after.starts_with('*') => (
                None,
                after[1..].split_once("*/").map_or("", |(_, behind)| behind),
            ),
            '\'' => (Some(Word::Other), cut("'").1),
            '"' => quoted("\""),
            '`' => quoted("`"),
            '[' => quoted("]"),
            c if c.is_ascii_whitespace() => (None, after),
            _ => (Some(Word::Other), after),
        };
        words.extend(word);
        rest = behind;
    }
    words
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_found_however_it_is_written() {
        for sql in [
            "CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)",
            "create table t (a unique on\n--x\nconflict/* y */ignore)",
            "CREATE TABLE t (a NOT NULL ON CONFLICT FAIL, b)",
            "CREATE TABLE \"it's\" (a, UNIQUE (a) ON CONFLICT ROLLBACK)",
        ] {
            assert!(has_conflict_clause(sql), "{sql}");
        }
    }

    #[test]
    fn names_strings_and_comments_are_no_clauses() {
        for sql in [
            "CREATE TABLE t (a UNIQUE, b DEFAULT ' ON CONFLICT REPLACE')",
            "CREATE TABLE t (\"a ON CONFLICT REPLACE\" UNIQUE, [on conflict ignore], `on conflict fail`)",
            "CREATE TABLE t (a UNIQUE -- ON CONFLICT REPLACE\n, b /* ON CONFLICT IGNORE */)",
            "CREATE TABLE t (a UNIQUE ON CONFLICT ABORT)",
            "CREATE TABLE t (a REFERENCES p ON DELETE CASCADE, conflict, replace)",
            "CREATE TABLE t (a DEFAULT 'it''s ON CONFLICT REPLACE')",
        ] {
            assert!(!has_conflict_clause(sql), "{sql}");
        }
    }
}
