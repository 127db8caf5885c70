//! Does a trigger write rows other than the one that fired it?

/// Reads the text of a trigger. Only an UPDATE of the trigger's own table that is bound to the row
/// (`WHERE … = NEW.…`) counts as the row's own; whatever else it writes is elsewhere.
pub(super) fn writes_elsewhere(sql: &str, table: &str) -> bool {
    let words = words(sql);
    let body = words
        .iter()
        .position(|word| word == "BEGIN")
        .map_or(&[][..], |begin| &words[begin + 1..]);
    let own = table.to_ascii_uppercase();
    body.split(|word| word == ";")
        .any(|statement| match statement.first().map(String::as_str) {
            Some("INSERT" | "REPLACE" | "DELETE" | "WITH") => true,
            Some("UPDATE") => {
                let named = statement
                    .iter()
                    .skip(1)
                    .find(|word| !matches!(word.as_str(), "OR" | "IGNORE" | "REPLACE"));
                let bound = statement
                    .iter()
                    .skip_while(|word| *word != "WHERE")
                    .any(|word| {
                        word.strip_prefix("NEW.")
                            .or_else(|| word.strip_prefix("OLD."))
                            .is_some()
                    });
                named != Some(&own) || !bound
            }
            _ => false,
        })
}

/// Cuts SQL into upper-case words and semicolons; strings and comments are left out, quotes are
/// taken off names, and `NEW . id` is one word.
pub(super) fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = sql;
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word).to_ascii_uppercase());
        }
    };
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '-' if rest.starts_with('-') => {
                rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            }
            '/' if rest.starts_with('*') => {
                rest = rest.split_once("*/").map_or("", |(_, rest)| rest);
            }
            '\'' => rest = rest.split_once('\'').map_or("", |(_, rest)| rest),
            '"' | '`' | '[' => {
                let close = if c == '[' { ']' } else { c };
                let (name, after) = rest.split_once(close).unwrap_or((rest, ""));
                word.push_str(name);
                rest = after;
            }
            ';' => {
                end(&mut word);
                word.push(';');
                end(&mut word);
            }
            '.' => word.push('.'),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            _ => end(&mut word),
        }
    }
    end(&mut word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_trigger_writes_its_own_row() {
        let sql = "CREATE TRIGGER touch AFTER UPDATE ON \"Member\" FOR EACH ROW BEGIN \
                   UPDATE \"Member\" SET updatedAt = 'INSERT INTO x' WHERE id = NEW.id; END";
        assert!(!writes_elsewhere(sql, "Member"));
        assert!(!writes_elsewhere(
            "CREATE TRIGGER t BEFORE INSERT ON m BEGIN SELECT RAISE(ABORT, 'no'); END",
            "m"
        ));
    }

    #[test]
    fn a_trigger_that_writes_other_rows_is_told() {
        for body in [
            "INSERT INTO log VALUES (NEW.id)",
            "UPDATE other SET n = 1 WHERE id = NEW.id",
            "UPDATE m SET n = 1",
            "SELECT 1; DELETE FROM m WHERE id = OLD.id",
        ] {
            let sql = format!("CREATE TRIGGER t AFTER UPDATE ON m BEGIN {body}; END");
            assert!(writes_elsewhere(&sql, "m"), "{body}");
        }
    }
}
