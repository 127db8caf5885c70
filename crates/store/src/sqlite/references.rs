//! Foreign keys as SQLite itself resolves them: names fold in ASCII alone, a key without columns means the
//! primary key, and whether the parent's columns are a key at all SQLite says.

use std::collections::{BTreeMap, BTreeSet};

use super::additions::said;
use super::catalogue::{table, text};
use super::connect::{Sqlite, quoted};
use super::values::{Affinity, affinity};
use crate::catalogue::{Children, ForeignKey, Table, Unresolved};
use crate::{Cell, Key, Row, StoreError};

/// Reads the foreign keys of a table that is known but for them.
pub(super) fn read(target: &Sqlite, table: &mut Table) -> Result<(), StoreError> {
    // foreign_key_list: id, seq, table, from, to, on_update, on_delete, match.
    let list = format!("PRAGMA foreign_key_list({})", quoted(&table.name));
    let rows = target.rows(&list, &[])?;
    if rows.is_empty() {
        return Ok(());
    }
    let mismatch = mismatch(target, &table.name)?;
    let ids: BTreeSet<i64> = rows.iter().filter_map(|row| row[0].int()).collect();
    for id in ids {
        let mut parts: Vec<&Row> = rows.iter().filter(|row| row[0].int() == Some(id)).collect();
        parts.sort_by_key(|row| row[1].int());
        let written = text(&parts[0][2]).unwrap_or_default();
        let columns = parts.iter().map(|row| table.position(row[3].text()?));
        let columns = columns.collect::<Option<Vec<usize>>>();
        let referencing = format!("referencing {}", quoted(&written));
        let refused = mismatch
            .as_ref()
            .filter(|said| said.ends_with(&referencing));
        let to: Vec<Option<&str>> = parts.iter().map(|row| row[4].text()).collect();
        let found = match (parent(target, &written, &to)?, columns, refused) {
            (Err(why), ..) => Err(why),
            (Ok(_), None, _) => Err("a column of its own is missing".into()),
            (Ok(_), Some(_), Some(said)) => Err(said.clone()),
            (Ok(found), Some(columns), None) => Ok((columns, found)),
        };
        match found {
            Ok((columns, (parent, parent_columns, collations))) => {
                table.foreign_keys.push(ForeignKey {
                    on_delete_sets: columns.clone(),
                    columns,
                    parent,
                    parent_columns,
                    on_update: text(&parts[0][5]).unwrap_or_default(),
                    on_delete: text(&parts[0][6]).unwrap_or_default(),
                    inherited: false,
                    collations,
                });
            }
            Err(why) => table.unresolved.push(Unresolved {
                table: table.name.clone(),
                parent: written,
                why,
            }),
        }
    }
    Ok(())
}

/// What SQLite says where a parent's columns are no key of it: of the first such foreign key of a table.
fn mismatch(target: &Sqlite, child: &str) -> Result<Option<String>, StoreError> {
    let check = format!("PRAGMA foreign_key_check({})", quoted(child));
    match target.conn.prepare(&check) {
        Ok(_) => Ok(None),
        Err(error) => {
            let said = said(&error);
            if said.starts_with("foreign key mismatch") {
                return Ok(Some(said));
            }
            Err(target.error(&error))
        }
    }
}

/// A parent as the catalogue spells it, its columns, and the collation of each.
type Parent = (String, Vec<String>, Vec<String>);

/// Finds the parent of a key, or says what is missing.
fn parent(
    target: &Sqlite,
    written: &str,
    to: &[Option<&str>],
) -> Result<Result<Parent, String>, StoreError> {
    let find = "SELECT name FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type = 'table'";
    let found = target.rows(find, &[written.into()])?;
    let Some(name) = found.first().and_then(|row| text(&row[0])) else {
        return Ok(Err(format!("there is no table {written}")));
    };
    let info = target.rows(&format!("PRAGMA table_xinfo({})", quoted(&name)), &[])?;
    let named = |row: &&Row| text(&row[1]);
    let mut columns = Vec::new();
    if to.iter().all(Option::is_none) {
        let mut key: Vec<&Row> = info.iter().filter(|row| row[5].int() > Some(0)).collect();
        key.sort_by_key(|row| row[5].int());
        columns.extend(key.iter().filter_map(named));
    } else {
        for to in to.iter().flatten() {
            let is = |row: &&Row| {
                let name = row[1].text();
                name.is_some_and(|name| name.eq_ignore_ascii_case(to))
            };
            match info.iter().find(is).as_ref().and_then(named) {
                Some(column) => columns.push(column),
                None => return Ok(Err(format!("{name} has no column {to}"))),
            }
        }
    }
    if columns.len() != to.len() {
        return Ok(Err(format!(
            "the primary key of {name} has another number of columns"
        )));
    }
    let mut key = info.iter().filter(|row| row[5].int() > Some(0));
    let only = match (key.next(), key.next()) {
        (Some(only), None) => only[1].text(),
        _ => None,
    };
    let by_rowid = columns.len() == 1 && only == Some(columns[0].as_str());
    Ok(match collations(target, &name, &columns)? {
        Some(collations) => Ok((name, columns, collations)),
        // INTEGER PRIMARY KEY is the row's own number, without an index.
        None if by_rowid => Ok((name, columns, vec!["BINARY".into()])),
        None => Err(format!("{} is no key of {name}", columns.join(", "))),
    })
}

/// The collations by which a key's columns are compared: those of the unique index that serves it, if any.
fn collations(
    target: &Sqlite,
    table: &str,
    columns: &[String],
) -> Result<Option<Vec<String>>, StoreError> {
    let list = format!("PRAGMA index_list({})", quoted(table));
    for index in target.rows(&list, &[])? {
        // index_xinfo: seqno, cid, name, desc, coll, key.
        let name = text(&index[1]).unwrap_or_default();
        let parts = target.rows(&format!("PRAGMA index_xinfo({})", quoted(&name)), &[])?;
        let keys: Vec<&Row> = parts.iter().filter(|row| row[5].int() == Some(1)).collect();
        let (Some(1), Some(0)) = (index[2].int(), index[4].int()) else {
            continue;
        };
        let of = |column: &String| {
            let part = keys.iter().find(|row| row[2].text() == Some(column));
            part.and_then(|row| text(&row[4]))
        };
        let found: Option<Vec<String>> = columns.iter().map(of).collect();
        if let (Some(found), true) = (found, keys.len() == columns.len()) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What a table refers to in words, as it is written: the parent may be missing.
pub(super) fn words(target: &Sqlite, table: &str) -> Result<Vec<String>, StoreError> {
    // foreign_key_list: id, seq, table, from, to, on_update, on_delete, match.
    let list = format!("PRAGMA foreign_key_list({})", quoted(table));
    let mut keys: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for row in target.rows(&list, &[])? {
        keys.entry(row[0].int().unwrap_or_default())
            .or_default()
            .push(row);
    }
    let words = |mut parts: Vec<Row>| {
        parts.sort_by_key(|row| row[1].int());
        let listed = |place: usize| {
            let names = parts.iter().filter_map(|row| row[place].text());
            names.map(quoted).collect::<Vec<_>>().join(", ")
        };
        let text = |place: usize| parts[0][place].text().unwrap_or_default();
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {}",
            listed(3),
            quoted(text(2)),
            listed(4),
            text(6)
        )
    };
    Ok(keys.into_values().map(words).collect())
}

/// Returns what refers to a table.
pub(super) fn children(target: &Sqlite, parent: &Table) -> Result<Children, StoreError> {
    let find = "SELECT DISTINCT m.name FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS k \
                WHERE m.type = 'table' AND k.\"table\" = ?1 COLLATE NOCASE ORDER BY m.name";
    let mut children = Children::default();
    for row in target.rows(find, &[parent.name.as_str().into()])? {
        let name = text(&row[0]).unwrap_or_default();
        let Some(child) = table(target, &name)? else {
            continue;
        };
        let keys = child.foreign_keys.iter();
        let keys = keys.filter(|key| key.parent == parent.name).cloned();
        children.keys.extend(keys.map(|key| (child.clone(), key)));
        let lost = child.unresolved.into_iter();
        children
            .unresolved
            .extend(lost.filter(|key| key.parent.eq_ignore_ascii_case(&parent.name)));
    }
    Ok(children)
}

/// Compares with columns of a child as the key does: by the parent's collations, and as numbers
/// where the parent's column is one for numbers.
pub(super) fn terms(
    target: &Sqlite,
    (child, key): (&Table, &ForeignKey),
    parent: &Table,
    values: &[Cell],
) -> String {
    let term = |(at, place): (usize, &usize)| {
        let slot = target.slot(at + 1, &values[at]);
        let own = &child.columns[*place];
        let declared = key.parent_columns.get(at).and_then(|name| {
            let place = parent.position(name)?;
            Some(parent.columns[place].declared.as_str())
        });
        let number = matches!(values[at], Cell::Int(_) | Cell::Real(_))
            && is_numeric(declared.unwrap_or_default())
            && !is_numeric(&own.declared);
        let value = match key.collations.get(at) {
            _ if number => format!("CAST({slot} AS NUMERIC)"),
            Some(collation) => format!("{slot} COLLATE {}", quoted(collation)),
            None => slot,
        };
        format!("{value} = {}", quoted(&own.name))
    };
    let terms: Vec<String> = key.columns.iter().enumerate().map(term).collect();
    terms.join(" AND ")
}

fn is_numeric(declared: &str) -> bool {
    matches!(
        affinity(declared),
        Affinity::Integer | Affinity::Real | Affinity::Numeric
    )
}

/// A page of the rows that refer to a row by a key, in the order of `order` and after `after`.
pub(super) fn referring(
    target: &Sqlite,
    (child, key): (&Table, &ForeignKey),
    parent: &Table,
    order: &[usize],
    (values, after): &(Vec<Cell>, Option<Key>),
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let name = |place: &usize| quoted(&child.columns[*place].name);
    let ordered: Vec<String> = order.iter().map(name).collect();
    let ordered = ordered.join(", ");
    let mut params = values.clone();
    let mut start = String::new();
    if let Some(after) = after {
        let places = target.slots(params.len() + 1, &after.0);
        start = format!("AND ({ordered}) > ({})", places.join(", "));
        params.extend(after.0.iter().cloned());
    }
    let order = if ordered.is_empty() {
        String::new()
    } else {
        format!("ORDER BY {ordered}")
    };
    let sql = format!(
        "SELECT {} FROM {} WHERE {} {start} {order} LIMIT {limit}",
        target.whole(child),
        quoted(&child.name),
        terms(target, (child, key), parent, values)
    );
    target.read_whole(child, &sql, &params)
}
