//! The ledger's tables as rows of cells, whichever database holds them.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;

use super::cell::Cell;

/// A row: column -> cell.
pub type Row = BTreeMap<String, Cell>;

/// A database that holds a ledger and the tables that it speaks of.
pub enum Tables {
    Sqlite(rusqlite::Connection),
    Postgres(std::cell::RefCell<postgres::Client>),
}

impl Tables {
    /// Loads the SQL text of a SQLite database, as its shell dumps it.
    pub fn load(dump: &str) -> Self {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        conn.execute_batch(dump).unwrap();
        Self::Sqlite(conn)
    }

    /// Opens a SQLite database.
    pub fn open(file: &std::path::Path) -> Self {
        Self::Sqlite(rusqlite::Connection::open(file).unwrap())
    }

    /// Takes a session of a PostgreSQL database.
    pub fn session(client: postgres::Client) -> Self {
        Self::Postgres(client.into())
    }

    /// The rows of one of the ledger's tables, in the order of its key.
    pub fn ledger(&self, table: &str) -> Vec<Row> {
        let (names, rows) = match self {
            Self::Sqlite(_) => self.rows(
                &format!("SELECT * FROM switchback_{table} ORDER BY 1, 2"),
                &[],
            ),
            Self::Postgres(_) => self.rows(
                &format!("SELECT * FROM switchback.{table} ORDER BY 1, 2"),
                &[],
            ),
        };
        let pair = |row: Vec<Cell>| names.iter().cloned().zip(row).collect();
        rows.into_iter().map(pair).collect()
    }

    /// The row of a table that has a key, its cells in the order of the table's columns.
    pub fn row(&self, table: &str, key: &str, value: &Cell) -> Option<Vec<Cell>> {
        let sql = match self {
            Self::Sqlite(_) => format!("SELECT * FROM \"{table}\" WHERE \"{key}\" = ?1"),
            Self::Postgres(_) => format!("SELECT * FROM \"{table}\" WHERE \"{key}\"::text = $1"),
        };
        self.rows(&sql, std::slice::from_ref(value)).1.pop()
    }

    fn rows(&self, sql: &str, params: &[Cell]) -> (Vec<String>, Vec<Vec<Cell>>) {
        match self {
            Self::Sqlite(conn) => sqlite_rows(conn, sql, params),
            Self::Postgres(client) => postgres_rows(&mut client.borrow_mut(), sql, params),
        }
    }
}

fn sqlite_rows(
    conn: &rusqlite::Connection,
    sql: &str,
    params: &[Cell],
) -> (Vec<String>, Vec<Vec<Cell>>) {
    let mut statement = conn.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let params = params.iter().map(|cell| match cell {
        Cell::Int(number) => rusqlite::types::Value::Integer(*number),
        other => rusqlite::types::Value::Text(other.text().to_owned()),
    });
    let read = |row: &rusqlite::Row<'_>| {
        let cells = (0..names.len()).map(|place| sqlite_cell(row.get_ref(place).unwrap()));
        Ok(cells.collect())
    };
    let rows = statement.query_map(rusqlite::params_from_iter(params), read);
    let rows = rows.unwrap().map(Result::unwrap).collect();
    (names, rows)
}

fn sqlite_cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => Cell::Text(text.to_vec()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

/// Whole numbers, bytes and texts; the tables of the samples have no others.
fn postgres_rows(
    client: &mut postgres::Client,
    sql: &str,
    params: &[Cell],
) -> (Vec<String>, Vec<Vec<Cell>>) {
    let texts: Vec<String> = params
        .iter()
        .map(|cell| match cell {
            Cell::Int(number) => number.to_string(),
            other => other.text().to_owned(),
        })
        .collect();
    let params: Vec<&(dyn postgres::types::ToSql + Sync)> =
        texts.iter().map(|text| text as _).collect();
    let statement = client.prepare(sql).unwrap();
    let names = statement
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    let rows = client.query(&statement, &params).unwrap();
    let read = |row: &postgres::Row| {
        let cells = row.columns().iter().enumerate().map(|(place, column)| {
            let cell = match column.type_().name() {
                "int8" => row.get::<_, Option<i64>>(place).map(Cell::Int),
                "int4" => row
                    .get::<_, Option<i32>>(place)
                    .map(|number| Cell::Int(number.into())),
                "bytea" => row.get::<_, Option<Vec<u8>>>(place).map(Cell::Bytes),
                _ => row
                    .get::<_, Option<String>>(place)
                    .map(|text| Cell::Text(text.into_bytes())),
            };
            cell.unwrap_or(Cell::Null)
        });
        cells.collect()
    };
    (names, rows.iter().map(read).collect())
}
