//! The statements that stand in the sources: string literals that begin as SQL does, or as a part of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::{packages, repository};

use crate::strings::strings;

/// Which database a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A string literal, its places (`{…}`) left open.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    /// File and line.
    pub place: String,
    /// As it stands, its blanks as one.
    pub text: String,
}

/// What a database puts before the names of the ledger's tables, and before the number of a parameter.
pub type Spelling = (&'static str, &'static str);

/// What a statement begins with.
const VERBS: [&str; 24] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "WITH",
    "CREATE",
    "ALTER",
    "DROP",
    "SET",
    "RESET",
    "COPY",
    "SAVEPOINT",
    "RELEASE",
    "ROLLBACK",
    "BEGIN",
    "COMMIT",
    "LOCK",
    "GRANT",
    "REVOKE",
    "PRAGMA",
    "ATTACH",
    "DETACH",
    "VACUUM",
    "ANALYZE",
];

/// What a part of one begins with.
const PARTS: [&str; 26] = [
    "FROM",
    "WHERE",
    "AND",
    "ORDER",
    "GROUP",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "FOR",
    "JOIN",
    "CROSS",
    "LEFT",
    "ON",
    "USING",
    "VALUES",
    "UNION",
    "EXCEPT",
    "EXISTS",
    "CASE",
    "COALESCE",
    "RETURNING",
    "OVERRIDING",
    "DEFAULT",
    "PRIMARY",
    "UNIQUE",
    "FOREIGN",
];

/// What begins as SQL does and is never sent: names of what a foreign key does, and words that are looked for
/// in a definition.
const NAMES: [&str; 4] = [
    "SET NULL",
    "SET DEFAULT",
    "CREATE VIRTUAL",
    "DEFAULT VALUES",
];

/// Returns the statements for a database, of all programs that may open one.
pub fn of_sources(dialect: Dialect) -> Vec<Literal> {
    let mut found = BTreeSet::new();
    let tests = ["tests", "fuzz"].map(|name| repository().join(name));
    let packages = packages();
    let programs = packages.iter().filter(|package| !tests.contains(package));
    for package in programs {
        walk(&package.join("src"), dialect, &mut found);
    }
    found.into_iter().collect()
}

fn walk(folder: &Path, dialect: Dialect, found: &mut BTreeSet<Literal>) {
    let other = match dialect {
        Dialect::Sqlite => "postgres",
        Dialect::Postgres => "sqlite",
    };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with(other) {
                walk(&path, dialect, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(repository()).unwrap();
            found.extend(of_file(&name.display().to_string(), &text));
        }
    }
}

/// The statements of a file. Its tests come last.
pub fn of_file(name: &str, text: &str) -> impl Iterator<Item = Literal> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let literals = strings(text).into_iter().map(move |(line, text)| Literal {
        place: format!("{name}:{line}"),
        text: one_line(&text),
    });
    literals.filter(Literal::is_sql)
}

impl Literal {
    fn is_sql(&self) -> bool {
        let mut words = self
            .text
            .split([' ', ';', '('])
            .filter(|word| !word.is_empty());
        let mut first = words.next().unwrap_or_default();
        // What another statement may stand before.
        while first.starts_with('{') && first.ends_with('}') {
            first = words.next().unwrap_or_default();
        }
        if let Some((_, glued)) = first.rsplit_once('}') {
            first = glued;
        }
        let begins = VERBS.contains(&first) || PARTS.contains(&first);
        begins && words.next().is_some() && !NAMES.contains(&self.text.as_str())
    }

    /// Its statements as a database would get them, if nothing is put in.
    pub fn statements(&self, (ledger, parameter): Spelling) -> Vec<String> {
        let sql = self.text.replace("ledger.", ledger).replace('?', parameter);
        let each = sql.split(';').map(str::trim);
        each.filter(|sql| !sql.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Tells whether one of the statements that came may have been made of a text: its words, in their order,
/// whatever was put in between.
pub fn is_among(text: &str, came: &BTreeSet<String>) -> bool {
    let words = words(text);
    came.iter().any(|statement| {
        let mut rest = statement.as_str();
        words.iter().all(|word| match rest.find(word.as_str()) {
            Some(at) => {
                rest = &rest[at + word.len()..];
                true
            }
            None => false,
        })
    })
}

/// What stands between the places of a text.
fn words(text: &str) -> Vec<String> {
    let open = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut words = Vec::new();
    let mut rest = open.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        words.push(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    words.push(rest);
    let plain = |word: &&str| one_line(&word.replace('\u{1}', "{").replace('\u{2}', "}"));
    words.iter().map(plain).collect()
}

/// A text with one blank where there are several.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
