//! Complete dumps, as states that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tests::Db;

use crate::shell::{hex, named, query, quoted, unhex};

/// All that a database holds but the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Definitions.
    pub schema: Vec<String>,
    /// Tables by name (`schema.table`; on SQLite the table alone).
    pub tables: BTreeMap<String, Rows>,
}

/// The rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its primary key, by place.
    pub key: Vec<usize>,
    /// Key -> rowid, of a table of SQLite that has some of its own.
    pub rowids: BTreeMap<Vec<String>, String>,
    /// Key -> cells, as literals of SQL. Without a primary key all cells are the key.
    pub cells: BTreeMap<Vec<String>, Vec<String>>,
}

impl Rows {
    /// The place of a column.
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name == column)
    }

    fn insert(&mut self, cells: Vec<String>, rowid: &str) {
        let mut key: Vec<String> = self.key.iter().map(|place| cells[*place].clone()).collect();
        if key.is_empty() {
            key.clone_from(&cells);
            key.push(self.cells.len().to_string());
        }
        self.rowids.insert(key.clone(), rowid.to_owned());
        self.cells.insert(key, cells);
    }
}

const BETWEEN: char = '\x1f';

impl State {
    /// Reads a database.
    pub fn of(db: &Db) -> Self {
        match db {
            Db::Sqlite(_) => sqlite(db),
            Db::Postgres(_) => postgres(db),
        }
    }

    /// Says in which rows two states differ, the first ten.
    pub fn differences(&self, now: &Self) -> String {
        let mut text = String::new();
        for (mark, these, those) in [("-", self, now), ("+", now, self)] {
            for line in these
                .lines()
                .iter()
                .filter(|line| !those.lines().contains(line))
                .take(10)
            {
                writeln!(text, "  {mark} {line}").unwrap();
            }
        }
        text
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.schema.clone();
        for (name, table) in &self.tables {
            for (key, cells) in &table.cells {
                let rowid = &table.rowids[key];
                let cells: Vec<String> = table
                    .columns
                    .iter()
                    .zip(cells)
                    .map(|(name, cell)| format!("{name}={cell}"))
                    .collect();
                lines.push(format!("{name} {rowid}: {}", cells.join(" | ")).replace('\n', "\\n"));
            }
        }
        lines
    }

    /// The same without some tables.
    pub fn without(&self, left_out: impl Fn(&str) -> bool) -> Self {
        let mut other = self.clone();
        other.tables.retain(|name, _| !left_out(name));
        other
    }
}

/// The text that bytes are in a database's encoding, if they are one.
fn decoded(bytes: &[u8], wide: bool) -> Option<String> {
    if !wide {
        return String::from_utf8(bytes.to_vec()).ok();
    }
    let word = |two: &[u8]| Some(u16::from_le_bytes([*two.first()?, *two.get(1)?]));
    let words: Option<Vec<u16>> = bytes.chunks(2).map(word).collect();
    String::from_utf16(&words?).ok()
}

/// A cell of SQLite: text comes as `t` and the hex of its bytes, the rest as `quote` writes it.
fn cell(shown: &str, wide: bool) -> String {
    let Some(digits) = shown.strip_prefix('t') else {
        return shown.to_owned();
    };
    let bytes = unhex(digits);
    decoded(&bytes, wide).map_or_else(
        || format!("CAST(X'{}' AS TEXT)", hex(&bytes)),
        |text| quoted(&text),
    )
}

fn sqlite(db: &Db) -> State {
    let mine = "m.name NOT LIKE 'switchback\\_%' ESCAPE '\\' AND m.tbl_name NOT LIKE 'switchback\\_%' ESCAPE '\\'";
    let script = format!(
        "SELECT 'e', encoding FROM pragma_encoding; SELECT 'd', hex(m.type || ' ' || m.name || ' ' || coalesce(m.sql, '')) FROM sqlite_schema m WHERE {mine} ORDER BY m.type, m.name;
         SELECT 'c', hex(m.name), hex(p.name), p.pk, m.sql LIKE '%WITHOUT ROWID%' OR m.name = 'sqlite_sequence' FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) p
         WHERE m.type = 'table' AND {mine} ORDER BY m.name, p.cid;"
    );
    let mut state = State::default();
    let mut wide = false;
    // Tables whose rows have no numbers of their own.
    let mut bare: BTreeSet<String> = BTreeSet::new();
    let mut keys: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for line in String::from_utf8(query(db, &script)).unwrap().lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let name = |at: usize| decoded(&unhex(parts[at]), wide).unwrap();
        match parts[0] {
            "d" => state.schema.push(name(1)),
            "e" => wide = parts[1] != "UTF-8",
            _ => {
                let table = state.tables.entry(name(1)).or_default();
                let part: usize = parts[3].parse().unwrap();
                if part > 0 {
                    keys.entry(name(1))
                        .or_default()
                        .push((part, table.columns.len()));
                }
                table.columns.push(name(2));
                if parts[4] == "1" {
                    bare.insert(name(1));
                }
            }
        }
    }
    let mut script = String::new();
    for (number, (name, table)) in state.tables.iter_mut().enumerate() {
        let mut key = keys.remove(name).unwrap_or_default();
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, place)| place).collect();
        write!(script, "SELECT {number}").unwrap();
        for column in &table.columns {
            let column = named(column);
            write!(script, " || char(31) || CASE typeof({column}) WHEN 'text' THEN 't' || hex(CAST({column} AS BLOB)) ELSE quote({column}) END").unwrap();
        }
        let counted = !bare.contains(name);
        let rowid = if counted { "rowid" } else { "''" };
        let table = named(name);
        writeln!(script, " || char(31) || {rowid} FROM {table} ORDER BY 1;").unwrap();
    }
    let names: Vec<String> = state.tables.keys().cloned().collect();
    for line in String::from_utf8(query(db, &script)).unwrap().lines() {
        let (number, cells) = line.split_once(BETWEEN).unwrap();
        let (cells, rowid) = cells.rsplit_once(BETWEEN).unwrap();
        let cells = cells.split(BETWEEN).map(|shown| cell(shown, wide));
        let table = &names[number.parse::<usize>().unwrap()];
        let table = state.tables.get_mut(table).unwrap();
        table.insert(cells.collect(), rowid);
    }
    state
}

const CATALOGUE: &str = "
SELECT 'd', (format('column %I.%I.%I %s %s %s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
  a.attnotnull, a.attidentity::text || a.attgenerated::text, replace(pg_get_expr(d.adbin, d.adrelid), E'\\n', '\\n')))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE OURS AND c.relkind IN ('r', 'p') ORDER BY n.nspname, c.relname, a.attnum;
SELECT 'd', format('constraint %I.%I %I %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE OURS ORDER BY 2;
SELECT 'd', pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE OURS ORDER BY 2;
SELECT 'd', pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE OURS AND NOT t.tgisinternal ORDER BY 2;
SELECT 'c', n.nspname || '.' || c.relname, a.attname, coalesce(array_position(i.indkey::int[], a.attnum::int), -1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE OURS AND c.relkind = 'r' ORDER BY n.nspname, c.relname, a.attnum;
SELECT format('SELECT ''t'', %L', n.nspname || '.' || c.relname), format('COPY %I.%I TO STDOUT', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE OURS AND c.relkind = 'r' ORDER BY n.nspname, c.relname \\gexec
";

/// A cell as COPY writes it.
fn copied(text: &str) -> String {
    if text == "\\N" {
        return "NULL".into();
    }
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => plain.push(match letters.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\x08',
                'f' => '\x0c',
                'v' => '\x0b',
                other => other,
            }),
            (letter, false) => plain.push(letter),
        }
    }
    quoted(&plain)
}

fn postgres(db: &Db) -> State {
    let ours = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'switchback')";
    let out = query(db, &CATALOGUE.replace("OURS", ours));
    let mut state = State::default();
    let mut keys: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
    let mut table: Option<String> = None;
    for line in String::from_utf8(out).unwrap().split_terminator('\n') {
        let parts: Vec<&str> = line.split(BETWEEN).collect();
        match (&table, parts.as_slice()) {
            (_, ["t", name]) => table = Some((*name).to_owned()),
            (None, ["d", text]) => state.schema.push((*text).to_owned()),
            (None, ["c", name, column, part]) => {
                let rows = state.tables.entry((*name).to_owned()).or_default();
                let part: i64 = part.parse().unwrap();
                if part >= 0 {
                    keys.entry((*name).to_owned())
                        .or_default()
                        .push((part, rows.columns.len()));
                }
                rows.columns.push((*column).to_owned());
            }
            (Some(name), _) => {
                let rows = state.tables.get_mut(name).unwrap();
                if rows.key.is_empty() {
                    let mut key = keys.remove(name).unwrap_or_default();
                    key.sort_unstable();
                    rows.key = key.into_iter().map(|(_, place)| place).collect();
                }
                rows.insert(line.split('\t').map(copied).collect(), "");
            }
            (None, other) => panic!("{other:?}"),
        }
    }
    for (name, mut key) in keys {
        key.sort_unstable();
        state.tables.get_mut(&name).unwrap().key =
            key.into_iter().map(|(_, place)| place).collect();
    }
    state
}
