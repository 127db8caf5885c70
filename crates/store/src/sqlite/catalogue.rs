//! What the tables of a SQLite file look like.

use super::connect::{Sqlite, quoted};
use super::references;
use super::words::has_conflict_clause;
use crate::catalogue::{Column, Table, TableName, Trigger};
use crate::{Cell, StoreError};

/// The schema of every table.
pub(super) const SCHEMA: &str = "main";

pub(super) fn tables(target: &Sqlite) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               AND name NOT LIKE 'switchback\\_%' ESCAPE '\\' ORDER BY name";
    Ok(target
        .rows(sql, &[])?
        .into_iter()
        .filter_map(|row| text(&row[0]))
        .collect())
}

pub(super) fn table(target: &Sqlite, name: &str) -> Result<Option<Table>, StoreError> {
    let found = target.rows(
        "SELECT name, type, sql FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
        &[name.into()],
    )?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let sql = text(&row[2]).unwrap_or_default();
    let kind = sql.trim_start().to_ascii_uppercase();
    if text(&row[1]).as_deref() == Some("view") || kind.starts_with("CREATE VIRTUAL") {
        return Err(StoreError::refused(format!(
            "{name} is a view or a virtual table: it can't be written safely"
        )));
    }
    let name = text(&row[0]).unwrap_or_default();
    let info = target.rows(&format!("PRAGMA table_xinfo({})", quoted(&name)), &[])?;
    // xinfo: cid, name, type, notnull, dflt_value, pk, hidden (2 and 3 are generated columns).
    let mut primary_key: Vec<(i64, usize)> = Vec::new();
    let mut columns = Vec::new();
    for (place, row) in info.iter().enumerate() {
        let key = row[5].int().unwrap_or(0);
        if key > 0 {
            primary_key.push((key, place));
        }
        columns.push(Column {
            name: text(&row[1]).unwrap_or_default(),
            declared: text(&row[2]).unwrap_or_default(),
            not_null: row[3].int() == Some(1),
            has_default: !row[4].is_null(),
            generated: matches!(row[6].int(), Some(2 | 3)),
        });
    }
    primary_key.sort_unstable();
    let primary_key: Vec<usize> = primary_key.into_iter().map(|(_, place)| place).collect();
    if let [only] = primary_key[..]
        && columns[only].declared.eq_ignore_ascii_case("INTEGER")
        && !kind.contains("WITHOUT ROWID")
    {
        columns[only].has_default = true;
    }
    let mut table = Table {
        deferred: kind
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains("INITIALLY DEFERRED"),
        counted: !target
            .rows(
                "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'",
                &[],
            )?
            .is_empty()
            && kind.contains("AUTOINCREMENT"),
        uniques: if primary_key.is_empty() {
            vec![]
        } else {
            vec![primary_key.clone()]
        },
        id: TableName {
            schema: SCHEMA.to_owned(),
            table: name.clone(),
        },
        oid: None,
        name,
        columns,
        primary_key,
        indexes: vec![],
        foreign_keys: vec![],
        hidden_uniques: vec![],
        unresolved: vec![],
        kin: vec![],
        alone: false,
        triggers: vec![],
        conflict_clause: has_conflict_clause(&sql),
        rowid: None,
        folded: vec![],
    };
    table.rowid = rowid(target, &table)?;
    read_indexes(target, &mut table)?;
    references::read(target, &mut table)?;
    read_triggers(target, &mut table)?;
    Ok(Some(table))
}

/// The name of the number that SQLite gives each row, unless a column is that number, the table has none,
/// or its columns have all of the names.
fn rowid(target: &Sqlite, table: &Table) -> Result<Option<&'static str>, StoreError> {
    // table_list: schema, name, type, ncol, wr (WITHOUT ROWID), strict.
    let pragma = format!("PRAGMA main.table_list({})", quoted(&table.name));
    let listed = target.rows(&pragma, &[])?;
    if listed.first().is_none_or(|row| row[4].int() != Some(0)) {
        return Ok(None);
    }
    // index_list: seq, name, unique, origin (pk), partial. A primary key without an index is the number.
    let indexes = target.rows(&format!("PRAGMA index_list({})", quoted(&table.name)), &[])?;
    let has_own = indexes.iter().any(|index| index[3].text() == Some("pk"));
    if !table.primary_key.is_empty() && !has_own {
        return Ok(None);
    }
    let is_free = |name: &&str| {
        let mut columns = table.columns.iter();
        columns.all(|column| !column.name.eq_ignore_ascii_case(name))
    };
    Ok(["rowid", "_rowid_", "oid"].into_iter().find(is_free))
}

fn read_indexes(target: &Sqlite, table: &mut Table) -> Result<(), StoreError> {
    // index_list: seq, name, unique, origin, partial. index_info: seqno, cid (-2: expression), name.
    for index in target.rows(&format!("PRAGMA index_list({})", quoted(&table.name)), &[])? {
        let name = text(&index[1]).unwrap_or_default();
        let columns = target.rows(&format!("PRAGMA index_info({})", quoted(&name)), &[])?;
        let columns: Option<Vec<usize>> = columns
            .iter()
            .map(|row| row[1].int().and_then(|place| usize::try_from(place).ok()))
            .collect();
        let unique = index[2].int() == Some(1);
        let (Some(columns), Some(0)) = (columns, index[4].int()) else {
            if unique {
                table.hidden_uniques.push(name);
            }
            continue;
        };
        if unique && !table.uniques.contains(&columns) {
            table.uniques.push(columns.clone());
        }
        table.indexes.push(columns);
    }
    Ok(())
}

fn read_triggers(target: &Sqlite, table: &mut Table) -> Result<(), StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name";
    for row in target.rows(sql, &[table.name.as_str().into()])? {
        let name = text(&row[0]).unwrap_or_default();
        table.triggers.push(Trigger { name });
    }
    Ok(())
}

pub(super) fn text(cell: &Cell) -> Option<String> {
    cell.text().map(str::to_owned)
}
