//! What the tables of a PostgreSQL database look like.

use postgres::types::Type;

use super::connect::{Postgres, quoted};
use super::triggers::writes_elsewhere;
use super::values::{ColumnType, Kind};
use crate::catalogue::{Column, ForeignKey, Table, Trigger};
use crate::{Row, StoreError};

/// Tables of other people: the name as it is given here, schema first where the search path does not
/// lead to it, and as a statement spells it.
pub(super) const TABLES: &str = "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text \
    ELSE n.nspname || '.' || c.relname END AS name, \
    format('%I.%I', n.nspname, c.relname) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' \
    AND n.nspname NOT IN ('switchback', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' \
    ORDER BY name";

const FIND: &str = "SELECT c.oid::int8, c.relname::text, n.nspname::text, c.relkind::text, \
    pg_table_is_visible(c.oid), EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'switchback' \
    AND ((c.relname = $1 AND pg_table_is_visible(c.oid)) OR n.nspname || '.' || c.relname = $1) \
    ORDER BY pg_table_is_visible(c.oid) AND c.relname = $1 DESC LIMIT 1";

const COLUMNS: &str = "SELECT a.attnum::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
    a.attidentity <> '' OR (a.atthasdef AND a.attgenerated = ''), a.attgenerated <> '', \
    b.typname::text, b.typcategory::text, b.typtype::text, format_type(b.oid, -1), \
    pg_get_serial_sequence($2, a.attname) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const INDEXES: &str = "SELECT i.indisprimary, i.indisunique, i.indkey::text, i.indnkeyatts::int8 \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam \
    WHERE i.indrelid = $1::int8::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
    AND m.amname IN ('btree', 'hash') ORDER BY i.indisprimary DESC, c.relname";

const FOREIGN_KEYS: &str = "SELECT c.oid::int8, k.own::int8, CASE WHEN pg_table_is_visible(p.oid) THEN p.relname::text \
    ELSE n.nspname || '.' || p.relname END, a.attname::text, c.confdeltype::text, c.confupdtype::text \
    FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace, \
    unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (own, other, place) JOIN pg_attribute a ON a.attnum = k.other \
    WHERE c.conrelid = $1::int8::oid AND c.contype = 'f' AND c.conparentid = 0 AND a.attrelid = p.oid \
    ORDER BY c.conname, k.place";

const DEFERRED: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.conname) \
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace \
    WHERE c.conrelid = $1::int8::oid AND c.condeferred";

// tgtype: 1 is ROW, 2 is BEFORE, 64 is INSTEAD OF (PostgreSQL: src/include/catalog/pg_trigger.h).
const TRIGGERS: &str = "SELECT DISTINCT t.tgname::text, t.tgtype & 67 = 3, l.lanname::text, p.prosrc \
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang \
    WHERE (t.tgrelid = $1::int8::oid OR t.tgrelid IN (SELECT relid FROM pg_partition_tree($1::int8::oid::regclass))) \
    AND NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1";

pub(super) fn tables(target: &Postgres) -> Result<Vec<String>, StoreError> {
    Ok(target
        .ask(TABLES, &[])?
        .iter()
        .map(|row| text(row, 0))
        .collect())
}

pub(super) fn table(target: &mut Postgres, asked: &str) -> Result<Option<Table>, StoreError> {
    let found = target.ask(FIND, &[(&asked, Type::TEXT)])?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let (relation, schema) = (text(row, 1), text(row, 2));
    let rules = row[5].int() == Some(1);
    match text(row, 3).as_str() {
        "r" | "p" if rules => {
            let message = format!(
                "{asked} has rules, which rewrite what is written to it: it can't be written safely"
            );
            return Err(StoreError::refused(message));
        }
        "r" | "p" => {}
        _ => {
            let message =
                format!("{asked} is a view or a foreign table: it can't be written safely");
            return Err(StoreError::refused(message));
        }
    }
    let name = if row[4].int() == Some(1) {
        relation.clone()
    } else {
        format!("{schema}.{relation}")
    };
    let spelled = format!("{}.{}", quoted(&schema), quoted(&relation));
    let oid = row[0].int().unwrap_or_default();
    let (numbers, columns) = columns(target, &name, &spelled, oid)?;
    let mut table = Table {
        name,
        columns,
        primary_key: vec![],
        uniques: vec![],
        indexes: vec![],
        foreign_keys: foreign_keys(target, oid, &numbers)?,
        triggers: triggers(target, oid)?,
        // A sequence does not go back: nothing of it is to be restored.
        counted: false,
        deferred: false,
    };
    indexes(target, oid, &numbers, &mut table)?;
    for row in target.ask(DEFERRED, &[(&oid, Type::INT8)])? {
        target.deferred.insert(text(&row, 0));
        table.deferred = true;
    }
    target.names.insert(table.name.clone(), spelled);
    Ok(Some(table))
}

fn columns(
    target: &mut Postgres,
    table: &str,
    spelled: &str,
    oid: i64,
) -> Result<(Vec<i64>, Vec<Column>), StoreError> {
    let rows = target.ask(COLUMNS, &[(&oid, Type::INT8), (&spelled, Type::TEXT)])?;
    let (mut numbers, mut columns) = (Vec::new(), Vec::new());
    for row in &rows {
        let yes = |place: usize| row[place].int() == Some(1);
        let declared = text(row, 2);
        let kind = Kind::of(&text(row, 6), &text(row, 7), &text(row, 8));
        target.types.insert(
            declared.clone(),
            ColumnType {
                kind,
                cast: text(row, 9),
            },
        );
        if let Some(sequence) = row[10].text() {
            target
                .sequences
                .insert((table.to_owned(), columns.len()), sequence.to_owned());
        }
        numbers.push(row[0].int().unwrap_or_default());
        columns.push(Column {
            name: text(row, 1),
            declared,
            not_null: yes(3),
            has_default: yes(4),
            generated: yes(5),
        });
    }
    Ok((numbers, columns))
}

fn indexes(
    target: &Postgres,
    oid: i64,
    numbers: &[i64],
    table: &mut Table,
) -> Result<(), StoreError> {
    for row in target.ask(INDEXES, &[(&oid, Type::INT8)])? {
        let keys = usize::try_from(row[3].int().unwrap_or_default()).unwrap_or_default();
        let listed = text(&row, 2);
        let place = |number: &str| place(numbers, number.parse().ok()?);
        let Some(columns) = listed
            .split(' ')
            .take(keys)
            .map(place)
            .collect::<Option<Vec<usize>>>()
        else {
            continue;
        };
        if row[0].int() == Some(1) {
            table.primary_key.clone_from(&columns);
        }
        if row[1].int() == Some(1) && !table.uniques.contains(&columns) {
            table.uniques.push(columns.clone());
        }
        table.indexes.push(columns);
    }
    Ok(())
}

fn foreign_keys(
    target: &Postgres,
    oid: i64,
    numbers: &[i64],
) -> Result<Vec<ForeignKey>, StoreError> {
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for row in target.ask(FOREIGN_KEYS, &[(&oid, Type::INT8)])? {
        let id = row[0].int().unwrap_or_default();
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                columns: vec![],
                parent: text(&row, 2),
                parent_columns: vec![],
                on_delete: action(&text(&row, 4)),
                on_update: action(&text(&row, 5)),
            };
            keys.push((id, key));
        }
        let own = row[1].int().and_then(|number| place(numbers, number));
        if let (Some((_, key)), Some(own)) = (keys.last_mut(), own) {
            key.columns.push(own);
            key.parent_columns.push(text(&row, 3));
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn triggers(target: &Postgres, oid: i64) -> Result<Vec<Trigger>, StoreError> {
    let rows = target.ask(TRIGGERS, &[(&oid, Type::INT8)])?;
    let trigger = |row: &Row| Trigger {
        name: text(row, 0),
        writes_elsewhere: writes_elsewhere(row[1].int() == Some(1), &text(row, 2), &text(row, 3)),
    };
    Ok(rows.iter().map(trigger).collect())
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

fn place(numbers: &[i64], number: i64) -> Option<usize> {
    numbers.iter().position(|other| *other == number)
}

fn text(row: &Row, place: usize) -> String {
    row[place].text().unwrap_or_default().to_owned()
}
