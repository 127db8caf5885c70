//! Does a trigger write rows other than the one that fired it?

/// Functions that look at nothing but their arguments and the clock.
const HARMLESS: [&str; 15] = [
    "NOW",
    "CLOCK_TIMESTAMP",
    "STATEMENT_TIMESTAMP",
    "TRANSACTION_TIMESTAMP",
    "TIMEZONE",
    "COALESCE",
    "NULLIF",
    "LOWER",
    "UPPER",
    "TRIM",
    "BTRIM",
    "CURRENT_TIMESTAMP",
    "IF",
    "AND",
    "OR",
];

/// Reads the body of a trigger's function. Only a BEFORE ROW trigger in PL/pgSQL that does nothing
/// but set columns of NEW is the row's own; whatever else it may do is elsewhere.
pub(super) fn writes_elsewhere(before_row: bool, language: &str, body: &str) -> bool {
    if !before_row || language != "plpgsql" {
        return true;
    }
    let words = words(body);
    let Some(inner) = words
        .strip_prefix(&["BEGIN".to_owned()])
        .map(|inner| inner.strip_suffix(&[";".to_owned()]).unwrap_or(inner))
        .and_then(|inner| inner.strip_suffix(&["END".to_owned()]))
    else {
        return true;
    };
    let calls = inner
        .windows(2)
        .any(|pair| pair[1] == "(" && named(&pair[0]) && !HARMLESS.contains(&pair[0].as_str()));
    calls || !inner.split(|word| word == ";").all(is_own)
}

fn named(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

/// `NEW.x := …`, `RETURN NEW`, `RAISE …`, and those under an `IF … THEN`.
fn is_own(statement: &[String]) -> bool {
    let words: Vec<&str> = statement.iter().map(String::as_str).collect();
    if words.contains(&"SELECT") {
        return false;
    }
    match words.as_slice() {
        [] | ["END", "IF"] | ["RETURN", "NEW" | "OLD" | "NULL"] | ["RAISE", ..] => true,
        ["IF" | "ELSIF", rest @ ..] => rest
            .iter()
            .position(|word| *word == "THEN")
            .is_some_and(|then| is_own(&statement[then + 2..])),
        ["ELSE", ..] => is_own(&statement[1..]),
        [column, sign, ..] => column.starts_with("NEW.") && matches!(*sign, ":=" | "="),
        [_] => false,
    }
}

/// Cuts a body into upper-case words and signs; comments are left out, a string is `''`.
fn words(body: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = body.trim_start();
    while let Some(c) = rest.chars().next() {
        let part = |rest: &str| {
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"')))
                .unwrap_or(rest.len())
        };
        let taken = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '\'' {
            words.push("''".into());
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if c.is_alphanumeric() || c == '_' || c == '"' {
            let end = part(rest).max(1);
            words.push(rest[..end].replace('"', "").to_uppercase());
            end
        } else if rest.starts_with(":=") {
            words.push(":=".into());
            2
        } else {
            words.push(c.to_string());
            c.len_utf8()
        };
        rest = rest[taken..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_of_the_row_itself_is_its_own() {
        for body in [
            "BEGIN NEW.updated_at = now(); RETURN NEW; END;",
            "\nBEGIN\n  -- INSERT INTO x\n  NEW.\"updatedAt\" := CURRENT_TIMESTAMP;\n  RETURN NEW;\nEND",
            "BEGIN IF NEW.a IS DISTINCT FROM OLD.a THEN NEW.b := lower(NEW.a) || 'delete from t'; END IF; RETURN NEW; END",
            "BEGIN IF NEW.a < 0 THEN RAISE EXCEPTION 'a is %', NEW.a USING HINT = 'mend it'; END IF; RETURN NEW; END",
        ] {
            assert!(!writes_elsewhere(true, "plpgsql", body), "{body}");
            assert!(writes_elsewhere(false, "plpgsql", body), "an AFTER trigger");
        }
    }

    #[test]
    fn whatever_may_write_is_elsewhere() {
        for body in [
            "BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END",
            "BEGIN NEW.a := audit(NEW.id); RETURN NEW; END",
            "BEGIN NEW.a := (SELECT f FROM g); RETURN NEW; END",
            "BEGIN PERFORM pg_notify('x', ''); RETURN NEW; END",
            "BEGIN EXECUTE 'x'; RETURN NEW; END",
            "BEGIN RAISE EXCEPTION '%', audit(NEW.id); END",
            "DECLARE a int := f(); BEGIN RETURN NEW; END",
            "BEGIN IF NEW.a = 1 THEN DELETE FROM t; END IF; RETURN NEW; END",
            "",
        ] {
            assert!(writes_elsewhere(true, "plpgsql", body), "{body}");
        }
        assert!(writes_elsewhere(true, "sql", "BEGIN RETURN NEW; END"));
    }
}
