//! Checks of the columns and tables that the plan adds.

use super::add::{NewColumn, NewTable};
use super::check::{Checked, fault};
use super::load::Step;
use super::{OnRollback, Plan, spelling};

/// Words that say more of a column than its type: each has a key of its own, or can't be added.
const NO_TYPE: [&str; 13] = [
    "not",
    "null",
    "default",
    "primary",
    "unique",
    "references",
    "check",
    "collate",
    "generated",
    "as",
    "constraint",
    "autoincrement",
    "identity",
];

pub(super) fn check_add(plan: &Plan) -> Checked {
    for (place, table) in plan.add.table.iter().enumerate() {
        let at = way("table", place);
        let before = &plan.add.table[..place];
        if before.iter().any(|other| same(&other.table, &table.table)) {
            return fault(
                &at,
                &["table"],
                format!("table `{}` is added twice", table.table),
            );
        }
        check_table(table, &at)?;
        let marked = plan
            .metadata
            .as_ref()
            .filter(|metadata| metadata.on_rollback == OnRollback::Keep);
        if marked.is_some_and(|metadata| same(&metadata.table, &table.table)) {
            let message = "rollback drops this table, and [metadata] asks to keep a row in it: say `on_rollback = \"delete\"`";
            return fault(&at, &["table"], message);
        }
    }
    for (place, column) in plan.add.column.iter().enumerate() {
        let at = way("column", place);
        let twin = |other: &NewColumn| {
            same(&other.table, &column.table) && same(&other.column, &column.column)
        };
        if plan.add.column[..place].iter().any(twin) {
            let message = format!("column {}.{} is added twice", column.table, column.column);
            return fault(&at, &["column"], message);
        }
        if plan
            .add
            .table
            .iter()
            .any(|table| same(&table.table, &column.table))
        {
            let message = format!(
                "table `{}` is added by this plan: name the column among its `columns`",
                column.table
            );
            return fault(&at, &["table"], message);
        }
        check_type(&column.kind, &at)?;
        for (key, value) in [("default", &column.default), ("initial", &column.initial)] {
            check_constant(value.as_ref(), key, &at)?;
        }
        if column.not_null && column.default.is_none() {
            let message =
                "`not_null` needs a `default`: what do rows get that leave the column out?";
            return fault(&at, &["not_null"], message);
        }
    }
    Ok(())
}

fn way(list: &str, place: usize) -> [Step; 3] {
    [
        Step::Key("add".into()),
        Step::Key(list.into()),
        Step::Place(place),
    ]
}

/// Names that differ in case alone are one name to some targets.
fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn check_table(table: &NewTable, at: &[Step]) -> Checked {
    if table.columns.is_empty() {
        return fault(at, &["columns"], "a table needs columns");
    }
    if table.primary_key.is_empty() {
        let message = "`primary_key` names no column: what identifies a row?";
        return fault(at, &["primary_key"], message);
    }
    for (name, column) in &table.columns {
        let mut at = at.to_vec();
        at.extend([Step::Key("columns".into()), Step::Key(name.clone())]);
        check_type(&column.kind, &at)?;
        check_constant(column.default.as_ref(), "default", &at)?;
    }
    let known = |key: &str, columns: &[String]| {
        let unknown = columns
            .iter()
            .find(|column| !table.columns.contains_key(*column));
        unknown.map_or(Ok(()), |column| {
            let near = spelling::suggestion(column, table.columns.keys().map(String::as_str));
            let message = format!("`{key}` names `{column}`, which is no column of it{near}");
            fault(at, &[key], message)
        })
    };
    known("primary_key", &table.primary_key)?;
    for unique in &table.unique {
        known("unique", unique)?;
    }
    for key in &table.foreign_keys {
        known("foreign_keys", &key.columns)?;
        if key.columns.is_empty() || key.columns.len() != key.to.len() {
            let message = "a foreign key has as many `columns` as it has in `to`, at least one";
            return fault(at, &["foreign_keys"], message);
        }
    }
    Ok(())
}

fn check_type(kind: &str, at: &[Step]) -> Checked {
    if !is_type(kind) {
        let message = format!("{kind:?} is no type");
        return fault(at, &["type"], message);
    }
    let word = kind
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .find(|word| NO_TYPE.iter().any(|more| same(more, word)));
    word.map_or(Ok(()), |word| {
        let message =
            format!("`type` holds the type alone; `{word}` in {kind:?} is more than that");
        fault(at, &["type"], message)
    })
}

/// Tells whether a text is one type, as SQL writes it: words, quoted names, `.`, numbers and words in one
/// pair of parentheses, a pair of brackets for each dimension of an array. It is put into a statement as it is.
fn is_type(kind: &str) -> bool {
    let (mut inside, mut quoted) = (None, false);
    for c in kind.trim().chars() {
        match (c, inside) {
            ('"', _) => quoted = !quoted,
            (c, _) if c.is_alphanumeric() || c == '_' || c == ' ' => {}
            (_, _) if quoted => return false,
            ('.', None) | (',' | '.' | '-' | '+', Some('(')) => {}
            ('(' | '[', None) => inside = Some(c),
            (')', Some('(')) | (']', Some('[')) => inside = None,
            _ => return false,
        }
    }
    !kind.trim().is_empty() && !quoted && inside.is_none()
}

fn check_constant(value: Option<&toml::Value>, key: &str, at: &[Step]) -> Checked {
    match value {
        Some(toml::Value::Float(number)) if !number.is_finite() => {
            fault(at, &[key], format!("`{key}` is no finite number"))
        }
        None
        | Some(
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_),
        ) => Ok(()),
        Some(_) => fault(
            at,
            &[key],
            format!("`{key}` is a text, a number or a boolean"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::plan::LoadedPlan;

    fn wrong(more: &str) -> String {
        let text = format!(
            "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"t\"\nmatch = [\"a\"]\n\
             source = {{ format = \"csv\", files = [\"a\"], key = \"k\" }}\nfields.a = {{ from = \"a\" }}\n{more}\n"
        );
        LoadedPlan::parse(Path::new("p"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_type_is_written_as_sql_writes_it() {
        for kind in [
            "TEXT",
            "numeric(10, 2)",
            "timestamp(3) with time zone",
            "public.vector(1536)",
            "\"Odd name\"",
            "geometry(Point, 4326)",
            "integer[][3]",
            "character varying (20)",
            "DECIMAL(10,-2)",
        ] {
            assert!(super::is_type(kind), "{kind}");
        }
    }

    #[test]
    fn what_can_not_be_added_is_refused_with_its_line() {
        let column = "[[add.column]]\ntable = \"t\"\ncolumn = \"c\"\n";
        let table = "[[add.table]]\ntable = \"n\"\ncolumns.id = { type = \"TEXT\" }\n";
        for (more, says) in [
            (format!("{column}typ = \"TEXT\""), "did you mean `type`"),
            (
                format!("{column}type = \"TEXT NOT NULL\""),
                "p:12:1: `type` holds the type alone",
            ),
            (
                format!("{column}type = \"integer, DROP COLUMN note\""),
                "is no type",
            ),
            (format!("{column}type = \"numeric(1\""), "is no type"),
            (format!("{column}type = \"numeric(1))\""), "is no type"),
            (format!("{column}type = 'a\".\"b'"), "is no type"),
            (
                format!("{column}type = \"TEXT; DROP TABLE t\""),
                "is no type",
            ),
            (
                format!("{column}type = \"TEXT\"\nnot_null = true"),
                "needs a `default`",
            ),
            (
                format!("{column}type = \"TEXT\"\ndefault = [1]"),
                "a text, a number or a boolean",
            ),
            (
                format!("{column}type = \"TEXT\"\n{column}type = \"TEXT\""),
                "is added twice",
            ),
            (
                format!("{table}primary_key = [\"ID\"]"),
                "did you mean `id`",
            ),
            (format!("{table}primary_key = []"), "names no column"),
            (
                format!(
                    "{table}primary_key = [\"id\"]\n[[add.column]]\ntable = \"N\"\ncolumn = \"c\"\ntype = \"TEXT\""
                ),
                "among its `columns`",
            ),
            (
                format!(
                    "{table}primary_key = [\"id\"]\nforeign_keys = [{{ columns = [\"id\"], table = \"t\", to = [] }}]"
                ),
                "as many `columns`",
            ),
            ("[[add.colum]]".to_owned(), "did you mean `column`"),
        ] {
            let error = wrong(&more);
            assert!(error.contains(says), "{more}\n{error}");
        }
    }
}
