//! The faults: every column of every table altered, every row removed, rows made again or without a key, the audit trail
//! written anew. Tables and columns are asked of the catalogue.

use tests::Db;

use super::audit;
use super::scenes::Scene;

/// A fault.
pub struct Plant {
    /// `TABLE.COLUMN ROW HOW`.
    pub name: String,
    /// Of each kind some are drawn.
    pub kind: String,
    /// The table that it changes.
    pub table: String,
    pub sql: Vec<String>,
}

/// A column of a table.
struct Column {
    name: String,
    declared: String,
    key: bool,
}

impl Plant {
    pub fn all(scene: &Scene) -> Vec<Self> {
        let mut all = Vec::new();
        for table in scene.tables() {
            let columns = columns(scene, &table);
            let quoted = scene.quoted(&table);
            let rows = rows(scene, &table, &columns);
            if rows.is_empty() {
                continue;
            }
            for row in rows {
                for (column, (kind, value)) in columns.iter().zip(&row.cells) {
                    for (how, new) in others(scene, column, kind, value) {
                        all.push(Self {
                            name: format!("{table}.{} {} {how}", column.name, row.name),
                            kind: format!("{table}.{}", column.name),
                            table: table.clone(),
                            sql: vec![format!(
                                "UPDATE {quoted} SET \"{}\" = {new} WHERE {}",
                                column.name, row.place
                            )],
                        });
                    }
                }
                all.extend(without_a_key(scene, &table, &columns, &row));
                all.push(Self {
                    name: format!("{table} {} removed", row.name),
                    kind: format!("{table} removed"),
                    table: table.clone(),
                    sql: vec![format!("DELETE FROM {quoted} WHERE {}", row.place)],
                });
            }
            all.push(Self {
                name: format!("{table} all removed"),
                kind: format!("{table} all removed"),
                table: table.clone(),
                sql: vec![format!("DELETE FROM {quoted}")],
            });
        }
        all.extend(again());
        all.extend(audit::rewritten(scene));
        all
    }
}

/// A row of the ledger made once more, with NULL for its key: SQLite lets that pass where the key is one column.
fn without_a_key(scene: &Scene, table: &str, columns: &[Column], row: &Row) -> Option<Plant> {
    let sqlite = matches!(scene.room.db, Db::Sqlite(_));
    let keys = columns.iter().filter(|column| column.key).count();
    if !sqlite || keys != 1 || !table.starts_with("ledger.") {
        return None;
    }
    let cell = |column: &Column| {
        if column.key {
            "NULL".to_owned()
        } else {
            format!("\"{}\"", column.name)
        }
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    let quoted = scene.quoted(table);
    Some(Plant {
        name: format!("{table} {} without a key", row.name),
        kind: format!("{table} without a key"),
        table: table.into(),
        sql: vec![format!(
            "INSERT INTO {quoted} SELECT {} FROM {quoted} WHERE {}",
            cells.join(", "),
            row.place
        )],
    })
}

/// Rows that are made: one beside a row of the run, one that a rollback took away, one that a run deleted.
fn again() -> Vec<Plant> {
    let made = |name: &str, table: &str, columns: &str, values: &str| Plant {
        name: format!("{table} {name} made"),
        kind: format!("{table} {name} made"),
        table: table.into(),
        sql: vec![format!(
            "INSERT INTO \"{table}\" ({columns}) VALUES ({values})"
        )],
    };
    vec![
        made(
            "twin",
            "Member",
            "\"id\", \"email\"",
            "'z1', 'EVE@example.org'",
        ),
        made("created", "Team", "\"id\", \"name\"", "'t1', 'Red'"),
        made(
            "created",
            "Member",
            "\"id\", \"email\"",
            "'n1', 'eve@example.org'",
        ),
        made(
            "deleted",
            "Member",
            "\"id\", \"email\"",
            "'m3', 'cyd@example.org'",
        ),
        made(
            "stranger",
            "Member",
            "\"id\", \"email\"",
            "'z2', 'zoe@example.org'",
        ),
    ]
}

/// A row: its name, what finds it, and the kind and text of each of its cells.
struct Row {
    name: String,
    place: String,
    cells: Vec<(String, String)>,
}

fn columns(scene: &Scene, table: &str) -> Vec<Column> {
    let sql = match &scene.room.db {
        Db::Sqlite(_) => format!(
            "SELECT name, lower(type), pk FROM pragma_table_info('{}') ORDER BY cid",
            scene.quoted(table).replace('"', "")
        ),
        Db::Postgres(_) => format!(
            "SELECT attname, format_type(atttypid, NULL), coalesce(attnum = ANY(indkey::int2[]), false)::int \
             FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
             WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            scene.quoted(table)
        ),
    };
    let column = |row: Vec<String>| Column {
        name: row[0].clone(),
        declared: row[1].clone(),
        key: row[2] != "0",
    };
    ask(scene, &sql).into_iter().map(column).collect()
}

fn rows(scene: &Scene, table: &str, columns: &[Column]) -> Vec<Row> {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = format!("\"{}\"", column.name);
            match &scene.room.db {
                Db::Sqlite(_) => format!(
                    "typeof({name}), CASE typeof({name}) WHEN 'blob' THEN hex({name}) \
                     ELSE coalesce(CAST({name} AS TEXT), '') END"
                ),
                Db::Postgres(_) if column.declared == "bytea" => format!(
                    "CASE WHEN {name} IS NULL THEN 'null' ELSE 'blob' END, coalesce(encode({name}, 'hex'), '')"
                ),
                Db::Postgres(_) => format!(
                    "CASE WHEN {name} IS NULL THEN 'null' ELSE '{}' END, coalesce({name}::text, '')",
                    column.declared
                ),
            }
        })
        .collect();
    let keys: Vec<String> = columns
        .iter()
        .filter(|column| column.key)
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        cells.join(", "),
        scene.quoted(table),
        keys.join(", ")
    );
    let row = |row: Vec<String>| {
        let cells: Vec<(String, String)> = row
            .chunks(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        let key: Vec<(&Column, &str)> = columns
            .iter()
            .zip(&cells)
            .filter(|(column, _)| column.key)
            .map(|(column, (_, text))| (column, &**text))
            .collect();
        let name: Vec<&str> = match table {
            // Their numbers tell nobody anything.
            "ledger.names" => vec![&cells[1].1, &cells[2].1],
            _ => key.iter().map(|(_, text)| *text).collect(),
        };
        let place: Vec<String> = key
            .iter()
            .map(|(column, text)| format!("CAST(\"{}\" AS TEXT) = {}", column.name, quoted(text)))
            .collect();
        Row {
            name: name.join("/"),
            place: place.join(" AND "),
            cells,
        }
    };
    ask(scene, &sql).into_iter().map(row).collect()
}

/// Returns other values of a cell, each with a word for it.
fn others(scene: &Scene, column: &Column, kind: &str, value: &str) -> Vec<(&'static str, String)> {
    let declared = column.declared.as_str();
    let postgres = matches!(scene.room.db, Db::Postgres(_));
    if kind == "null" {
        let new = match declared {
            "bytea" => "'\\x01'",
            "blob" => "x'01'",
            "boolean" => "true",
            "json" | "jsonb" => "'{\"planted\":1}'",
            "text[]" => "'{planted}'",
            other if is_number(other) => "1",
            _ => "'planted'",
        };
        return vec![("filled", new.to_owned())];
    }
    let mut all = match kind {
        "blob" => {
            let hex = |hex: &str| {
                if postgres {
                    format!("'\\x{hex}'")
                } else {
                    format!("x'{hex}'")
                }
            };
            let mut others = vec![];
            if value.is_empty() {
                others.push(("filled", hex("01")));
            } else {
                let (head, last) = value.split_at(value.len() - 1);
                let last = if last == "0" { "1" } else { "0" };
                others.push(("changed", hex(&format!("{head}{last}"))));
                others.push(("empty", hex("")));
            }
            others
        }
        "boolean" => vec![("changed", format!("NOT \"{}\"", column.name))],
        "json" | "jsonb" => vec![("changed", "'{\"planted\":1}'".to_owned())],
        "text[]" => vec![("changed", "'{planted}'".to_owned())],
        kind if is_number(kind) => {
            let name = &column.name;
            vec![
                ("more", format!("\"{name}\" + 1")),
                ("less", format!("\"{name}\" - 1")),
            ]
        }
        _ => {
            let mut others = vec![
                ("longer", quoted(&format!("{value}x"))),
                ("empty", "''".into()),
            ];
            // Of JSON, which must stay readable, another figure.
            if let Some(at) = value.find(|c: char| c.is_ascii_digit()) {
                let digit = u8::from(value.as_bytes()[at] == b'1') + 1;
                let other = format!("{}{digit}{}", &value[..at], &value[at + 1..]);
                others.push(("another", quoted(&other)));
            }
            others.retain(|(_, new)| *new != quoted(value));
            others
        }
    };
    if !column.key {
        all.push(("null", "NULL".into()));
    }
    all
}

fn is_number(kind: &str) -> bool {
    ["int", "numeric", "real", "double"]
        .iter()
        .any(|word| kind.contains(word))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Asks the database in its own words.
pub fn ask(scene: &Scene, sql: &str) -> Vec<Vec<String>> {
    match &scene.room.db {
        Db::Sqlite(_) => scene.room.db.rows(sql),
        Db::Postgres(database) => database.rows(sql),
    }
}
