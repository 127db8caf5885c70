//! What the tables of a SQLite file look like.

use super::connect::{Sqlite, quoted};
use super::triggers::writes_elsewhere;
use crate::catalogue::{Column, ForeignKey, Table, Trigger};
use crate::{Cell, Row, StoreError};

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
        name,
        columns,
        primary_key,
        indexes: vec![],
        foreign_keys: vec![],
        triggers: vec![],
    };
    read_indexes(target, &mut table)?;
    read_foreign_keys(target, &mut table)?;
    read_triggers(target, &mut table)?;
    Ok(Some(table))
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
        let (Some(columns), Some(0)) = (columns, index[4].int()) else {
            continue;
        };
        if index[2].int() == Some(1) && !table.uniques.contains(&columns) {
            table.uniques.push(columns.clone());
        }
        table.indexes.push(columns);
    }
    Ok(())
}

fn read_foreign_keys(target: &Sqlite, table: &mut Table) -> Result<(), StoreError> {
    // foreign_key_list: id, seq, table, from, to, on_update, on_delete, match.
    let rows = target.rows(
        &format!("PRAGMA foreign_key_list({})", quoted(&table.name)),
        &[],
    )?;
    let mut ids: Vec<i64> = rows.iter().filter_map(|row| row[0].int()).collect();
    ids.dedup();
    for id in ids {
        let mut parts: Vec<&Row> = rows.iter().filter(|row| row[0].int() == Some(id)).collect();
        parts.sort_by_key(|row| row[1].int());
        let parent = text(&parts[0][2]).unwrap_or_default();
        let columns = parts
            .iter()
            .filter_map(|row| table.position(row[3].text()?))
            .collect();
        let mut parent_columns: Vec<String> =
            parts.iter().filter_map(|row| text(&row[4])).collect();
        if parent_columns.is_empty() {
            // Without columns the parent's primary key is meant.
            let info = target.rows(&format!("PRAGMA table_info({})", quoted(&parent)), &[])?;
            let mut key: Vec<_> = info.iter().filter(|row| row[5].int() > Some(0)).collect();
            key.sort_by_key(|row| row[5].int());
            parent_columns = key.iter().filter_map(|row| text(&row[1])).collect();
        }
        table.foreign_keys.push(ForeignKey {
            columns,
            parent,
            parent_columns,
            on_update: text(&parts[0][5]).unwrap_or_default(),
            on_delete: text(&parts[0][6]).unwrap_or_default(),
        });
    }
    Ok(())
}

fn read_triggers(target: &Sqlite, table: &mut Table) -> Result<(), StoreError> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name";
    for row in target.rows(sql, &[table.name.as_str().into()])? {
        let body = text(&row[1]).unwrap_or_default();
        let name = text(&row[0]).unwrap_or_default();
        table.triggers.push(Trigger {
            name,
            writes_elsewhere: writes_elsewhere(&body, &table.name),
        });
    }
    Ok(())
}

fn text(cell: &Cell) -> Option<String> {
    cell.text().map(str::to_owned)
}
