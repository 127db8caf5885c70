//! Foreign keys as the server enforces them: of a table, its partitions, and what it is a partition of.

use postgres::types::Type;

use super::catalogue::{Asked, columns_of, place, table, text};
use super::connect::Postgres;
use super::visible::visible;
use crate::catalogue::{Children, ForeignKey, Table, Unresolved};
use crate::{Sql as _, StoreError};

/// A key that partitions have from their table, or to their table's, is told once; one that the server does
/// not enforce binds nobody. Columns by which a period is covered are compared in another way.
const FOREIGN_KEYS: &str = concat!(
    "SELECT c.oid::int8, k.own::int8, CASE WHEN ",
    visible!("p"),
    " THEN p.relname::text \
    ELSE n.nspname || '.' || p.relname END, a.attname::text, c.confdeltype::text, c.confupdtype::text, \
    c.conparentid <> 0, COALESCE((to_jsonb(c) ->> 'conperiod')::bool, false), \
    COALESCE(NULLIF(to_jsonb(c) -> 'confdelsetcols', 'null'::jsonb) @> to_jsonb(k.own), true) \
    FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace, \
    unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (own, other, place) JOIN pg_attribute a ON a.attnum = k.other \
    WHERE c.conrelid = $1::int8::oid AND c.contype = 'f' AND a.attrelid = p.oid \
    AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.oid = c.conparentid AND o.conrelid = c.conrelid) \
    AND COALESCE((to_jsonb(c) ->> 'conenforced')::bool, true) ORDER BY c.conname, k.place"
);

/// Tables of whose rows the rows of a table are, or that have some of them.
const KIN: &str = concat!(
    "WITH RECURSIVE below (oid) AS (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = $1::int8::oid \
      UNION SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid), \
    above (oid) AS (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = $1::int8::oid \
      UNION SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid) \
    SELECT CASE WHEN ",
    visible!("c"),
    " THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name, c.oid::int8 \
    FROM (SELECT oid FROM below UNION SELECT oid FROM above) k JOIN pg_class c ON c.oid = k.oid \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' ORDER BY name"
);

/// The keys that refer to any of some tables: of each, that of which partitions have theirs, and its table.
const CHILDREN: &str = "WITH RECURSIVE up (oid, parent) AS ( \
      SELECT c.oid, c.conparentid FROM pg_constraint c WHERE c.contype = 'f' AND c.confrelid = ANY ($1::text[]::oid[]) \
      UNION SELECT c.oid, c.conparentid FROM up u JOIN pg_constraint c ON c.oid = u.parent) \
    SELECT c.oid::int8, c.conrelid::int8, has_schema_privilege(r.relnamespace, 'USAGE') AND (has_table_privilege(r.oid, 'SELECT') \
      OR NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped \
        AND NOT has_column_privilege(r.oid, a.attnum, 'SELECT'))) AND NOT row_security_active(r.oid) \
    FROM up u JOIN pg_constraint c ON c.oid = u.oid JOIN pg_class r ON r.oid = c.conrelid \
    WHERE u.parent = 0 ORDER BY r.relname, c.conname";

/// Why a key is not followed that compares periods.
const PERIODS: &str = "it is one of periods";

/// Returns the tables of whose rows the rows of a table are, or that have some of them, each with its number.
pub(super) fn kin(target: &Postgres, oid: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let found = target.look(KIN, &[(&oid, Type::INT8)])?;
    let kin = found
        .iter()
        .filter_map(|row| Some((text(row, 0), row[1].int()?)));
    Ok(kin.collect())
}

/// Returns the foreign keys of a table, and those that can't be resolved.
pub(super) fn own(
    target: &Postgres,
    oid: i64,
    numbers: &[i64],
    table: &str,
) -> Result<(Vec<ForeignKey>, Vec<Unresolved>), StoreError> {
    let keys = numbered_keys(target, oid, numbers)?;
    let (by_period, keys): (Vec<Numbered>, Vec<Numbered>) =
        keys.into_iter().partition(|(_, period, _)| *period);
    let unresolved = |(_, _, key): Numbered| Unresolved {
        table: table.to_owned(),
        parent: key.parent,
        why: PERIODS.into(),
    };
    Ok((
        keys.into_iter().map(|(_, _, key)| key).collect(),
        by_period.into_iter().map(unresolved).collect(),
    ))
}

/// A foreign key, its number, and whether it is one of periods.
type Numbered = (i64, bool, ForeignKey);

fn numbered_keys(
    target: &Postgres,
    oid: i64,
    numbers: &[i64],
) -> Result<Vec<Numbered>, StoreError> {
    let mut keys: Vec<Numbered> = Vec::new();
    for row in target.look(FOREIGN_KEYS, &[(&oid, Type::INT8)])? {
        let id = row[0].int().unwrap_or_default();
        if keys.last().is_none_or(|(last, ..)| *last != id) {
            let key = ForeignKey {
                columns: vec![],
                parent: text(&row, 2),
                parent_columns: vec![],
                on_delete: action(&text(&row, 4)),
                on_delete_sets: vec![],
                on_update: action(&text(&row, 5)),
                inherited: row[6].int() == Some(1),
                collations: vec![],
            };
            keys.push((id, row[7].int() == Some(1), key));
        }
        let own = row[1].int().and_then(|number| place(numbers, number));
        if let (Some((_, _, key)), Some(own)) = (keys.last_mut(), own) {
            key.columns.push(own);
            if row[8].int() == Some(1) {
                key.on_delete_sets.push(own);
            }
            key.parent_columns.push(text(&row, 3));
        }
    }
    Ok(keys)
}

/// Returns what refers to a table, to its partitions, and to what it is a partition of; likewise by
/// inheritance.
pub(super) fn children(target: &mut Postgres, parent: &Table) -> Result<Children, StoreError> {
    let spelled = target.quoted(&parent.name);
    let own = "SELECT to_regclass($1)::oid::int8";
    let own = target.look(own, &[(&spelled, Type::TEXT)])?;
    let Some(own) = own.first().and_then(|row| row[0].int()) else {
        return Ok(Children::default());
    };
    let oids = kin(target, own)?
        .into_iter()
        .map(|(_, oid)| oid)
        .chain([own]);
    let oids: Vec<String> = oids.map(|oid| oid.to_string()).collect();
    let mut children = Children::default();
    for row in target.look(CHILDREN, &[(&oids, Type::TEXT_ARRAY)])? {
        let (Some(id), Some(oid)) = (row[0].int(), row[1].int()) else {
            continue;
        };
        let Some(child) = table(target, Asked::Number(oid))? else {
            continue;
        };
        let columns = target.quoted(&child.name);
        let (numbers, _) = columns_of(target, &child.name, &columns, oid)?;
        for (number, period, key) in numbered_keys(target, oid, &numbers)? {
            if number != id {
                continue;
            }
            let why = if period {
                PERIODS.into()
            } else if row[2].int() != Some(1) {
                format!(
                    "the login {} may not read all rows of {}",
                    target.login(),
                    child.name
                )
            } else if parent.positions(&key.parent_columns).is_err() {
                format!("{} lacks a column of it", parent.name)
            } else {
                children.keys.push((child.clone(), key));
                continue;
            };
            children.unresolved.push(Unresolved {
                table: child.name.clone(),
                parent: key.parent,
                why,
            });
        }
    }
    Ok(children)
}

fn action(letter: &str) -> String {
    match letter {
        "r" => "RESTRICT",
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "NO ACTION",
    }
    .into()
}
