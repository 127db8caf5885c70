//! What the tables of a PostgreSQL database look like.

use postgres::types::{ToSql, Type};

use super::connect::{Postgres, quoted};
use super::references;
use super::values::{ColumnType, Kind};
use super::visible::{visible, visible_type};
use crate::catalogue::{Column, Table, TableName, Trigger};
use crate::{Row, StoreError};

/// Tables of other people: the name as it is given here, schema first where the search path does not
/// lead to it, and as a statement spells it.
pub(super) const TABLES: &str = concat!(
    "SELECT CASE WHEN ",
    visible!("c"),
    " THEN c.relname::text \
    ELSE n.nspname || '.' || c.relname END AS name, \
    format('%I.%I', n.nspname, c.relname) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' \
    AND n.nspname NOT IN ('switchback', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' \
    ORDER BY name"
);

const FIND: &str = concat!(
    "SELECT c.oid::int8, c.relname::text, n.nspname::text, c.relkind::text, \
    ",
    visible!("c"),
    ", EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid), \
    c.relkind = 'r' AND c.relhassubclass, \
    (SELECT count(*) FROM pg_class o JOIN pg_namespace m ON m.oid = o.relnamespace \
      WHERE o.relkind IN ('r', 'p') AND CASE WHEN ",
    visible!("o"),
    " THEN o.relname::text \
      ELSE m.nspname || '.' || o.relname END = CASE WHEN ",
    visible!("c"),
    " THEN c.relname::text \
      ELSE n.nspname || '.' || c.relname END), \
    (SELECT string_agg(h.inhrelid::regclass::text, chr(31) ORDER BY h.inhrelid::regclass::text) FROM pg_inherits h \
      WHERE h.inhparent = c.oid AND c.relkind = 'r') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'switchback' \
    AND CASE WHEN $2 > 0 THEN c.oid = $2::int8::oid WHEN $3 <> '' THEN n.nspname = $3 AND c.relname = $1 \
    ELSE (c.relname = $1 AND ",
    visible!("c"),
    ") OR n.nspname || '.' || c.relname = $1 END \
    ORDER BY ",
    visible!("c"),
    " AND c.relname = $1 DESC LIMIT 1"
);

const HOMES: &str = "SELECT n.nspname::text, c.relname::text \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('switchback', 'pg_catalog', 'information_schema') \
    AND (c.relname = $1 OR n.nspname || '.' || c.relname = $1) ORDER BY 1, 2";

const NAME: &str = "SELECT n.nspname::text, c.relname::text \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = $1::int8::oid AND c.relkind IN ('r', 'p') \
    AND n.nspname NOT IN ('switchback', 'pg_catalog', 'information_schema')";

/// An operator of the default operator class of a column's type, with its schema: by its number in a class of
/// `btree`, or in one of `hash` where there is no other.
macro_rules! own_operator {
    ($btree:literal, $hash:literal) => {
        concat!(
            "(SELECT quote_ident(w.nspname) || '.' || q.oprname FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod \
             JOIN pg_amop x ON x.amopfamily = o.opcfamily AND x.amoplefttype = o.opcintype AND x.amoprighttype = o.opcintype \
             AND x.amopstrategy = CASE m.amname WHEN 'btree' THEN ",
            $btree,
            " WHEN 'hash' THEN ",
            $hash,
            " END JOIN pg_operator q ON q.oid = x.amopopr JOIN pg_namespace w ON w.oid = q.oprnamespace \
             WHERE o.opcintype = b.oid AND o.opcdefault ORDER BY m.amname LIMIT 1)"
        )
    };
}

const COLUMNS: &str = concat!(
    "SELECT a.attnum::int8, a.attname::text, CASE WHEN ",
    visible_type!("y"),
    " \
    AND starts_with(format_type(a.atttypid, a.atttypmod), quote_ident(s.nspname) || '.') \
    THEN substr(format_type(a.atttypid, a.atttypmod), length(quote_ident(s.nspname)) + 2) \
    ELSE format_type(a.atttypid, a.atttypmod) END, a.attnotnull, \
    a.attidentity <> '' OR (a.atthasdef AND a.attgenerated = ''), a.attgenerated <> '', \
    CASE WHEN r.nspname = 'pg_catalog' OR b.typname = 'citext' THEN b.typname::text ELSE '' END, \
    b.typcategory::text, b.typtype::text, format('%I.%I', r.nspname, b.typname), \
    pg_get_serial_sequence($2, a.attname), \
    COALESCE(e.typcategory, b.typcategory) IN ('C', 'D', 'R') AND COALESCE(e.typname, b.typname) NOT IN \
    ('time', 'timetz', 'int4range', 'int8range', 'numrange', 'int4multirange', 'int8multirange', 'nummultirange') \
    AND NOT (e.oid IS NULL AND b.typname IN ('date', 'timestamp', 'timestamptz')), \
    b.typcategory IN ('A', 'C') AND EXISTS (WITH RECURSIVE part (oid) AS (SELECT b.oid UNION \
      SELECT x.oid FROM part JOIN pg_type y ON y.oid = part.oid CROSS JOIN LATERAL (SELECT y.typelem UNION ALL \
      SELECT y.typbasetype UNION ALL SELECT z.atttypid FROM pg_attribute z WHERE y.typrelid <> 0 \
      AND z.attrelid = y.typrelid AND z.attnum > 0 AND NOT z.attisdropped) x (oid) WHERE x.oid <> 0) \
      SELECT 1 FROM part JOIN pg_type y ON y.oid = part.oid WHERE y.typname IN ('regclass', 'regtype', 'regproc', \
      'regprocedure', 'regoper', 'regoperator', 'regconfig', 'regdictionary', 'regcollation')) \
    , format_type(a.atttypid, a.atttypmod), ",
    own_operator!("3", "1"),
    ", ",
    own_operator!("5", "0"),
    ", \
    COALESCE(e.typname, b.typname) IN ('varchar', 'bpchar', 'bit', 'varbit') \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
    JOIN pg_namespace r ON r.oid = b.typnamespace \
    JOIN pg_type y ON y.oid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END \
    JOIN pg_namespace s ON s.oid = y.typnamespace \
    LEFT JOIN pg_type e ON b.typcategory = 'A' AND e.oid = b.typelem \
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
);

const INDEXES: &str = "SELECT i.indisprimary, i.indisunique, i.indkey::text, i.indnkeyatts::int8 \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam \
    WHERE i.indrelid = $1::int8::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
    AND m.amname IN ('btree', 'hash') ORDER BY i.indisprimary DESC, c.relname";

const DEFERRED: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.conname) \
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace \
    WHERE c.conrelid = $1::int8::oid AND c.condeferred";

/// Triggers that fire, of the table and of its partitions; and unique indexes (and exclusions) that
/// [`INDEXES`] leaves out, by what they are or because only a partition has them.
const TRAPS: &str = "SELECT DISTINCT true, t.tgname::text FROM pg_trigger t \
    WHERE (t.tgrelid = $1::int8::oid OR t.tgrelid IN (SELECT relid FROM pg_partition_tree($1::int8::oid::regclass))) \
    AND NOT t.tgisinternal AND t.tgenabled <> 'D' \
    UNION SELECT false, c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
    WHERE (i.indrelid = $1::int8::oid OR i.indrelid IN (SELECT relid FROM pg_partition_tree($1::int8::oid::regclass))) \
    AND (i.indisunique OR i.indisexclusion) AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR i.indisexclusion \
    OR to_jsonb(i) ->> 'indnullsnotdistinct' = 'true' OR (i.indrelid <> $1::int8::oid \
    AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = i.indexrelid))) ORDER BY 1, 2";

pub(super) fn tables(target: &Postgres) -> Result<Vec<String>, StoreError> {
    Ok(target
        .look(TABLES, &[])?
        .iter()
        .map(|row| text(row, 0))
        .collect())
}

/// Returns the full names of all tables that may be called so.
pub(super) fn homes(target: &Postgres, name: &str) -> Result<Vec<TableName>, StoreError> {
    let rows = target.look(HOMES, &[(&name, Type::TEXT)])?;
    Ok(rows.iter().map(full).collect())
}

/// Returns the full name of the table of a number.
pub(super) fn table_name(target: &Postgres, oid: i64) -> Result<Option<TableName>, StoreError> {
    let rows = target.look(NAME, &[(&oid, Type::INT8)])?;
    Ok(rows.first().map(full))
}

fn full(row: &Row) -> TableName {
    TableName {
        schema: text(row, 0),
        table: text(row, 1),
    }
}

/// Which table is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// By its name, to be written.
    Written(&'a str),
    /// By its name, to be read alone.
    Read(&'a str),
    /// By its full name, to be written.
    At(&'a TableName),
    /// By the number that the server gave it, to be read alone.
    Number(i64),
}

pub(super) fn table(target: &mut Postgres, wish: Asked<'_>) -> Result<Option<Table>, StoreError> {
    let (asked, number, schema) = match wish {
        Asked::Written(name) | Asked::Read(name) => (name, 0, ""),
        Asked::At(name) => (name.table.as_str(), 0, name.schema.as_str()),
        Asked::Number(number) => ("", number, ""),
    };
    let params: [(&(dyn ToSql + Sync), Type); 3] = [
        (&asked, Type::TEXT),
        (&number, Type::INT8),
        (&schema, Type::TEXT),
    ];
    let found = target.look(FIND, &params)?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let (relation, schema) = (text(row, 1), text(row, 2));
    let rules = row[5].int() == Some(1);
    match text(row, 3).as_str() {
        "r" | "p" if rules && matches!(wish, Asked::Written(_) | Asked::At(_)) => {
            let message = format!(
                "{asked} has rules, which rewrite what is written to it: it can't be written safely"
            );
            return Err(StoreError::refused(message));
        }
        "r" if matches!(wish, Asked::Written(_) | Asked::At(_)) => {
            no_heirs(
                target,
                asked,
                &text(row, 8),
                matches!(wish, Asked::Written(_)),
            )?;
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
    if row[7].int().is_some_and(|called| called > 1) {
        return Err(StoreError::refused(format!(
            "two tables are called {name} here: one of that name, and one in the schema before the dot; say the schema in \
             the URL (`?schema=…`), so that the table is called by its own name, or rename one"
        )));
    }
    let spelled = format!("{}.{}", quoted(&schema), quoted(&relation));
    let oid = row[0].int().unwrap_or_default();
    let (numbers, columns) = columns_of(target, &name, &spelled, oid)?;
    let mixed = columns.iter().find(|column| target.type_of(column).names);
    if let Some(column) = mixed.filter(|_| matches!(wish, Asked::Written(_) | Asked::At(_))) {
        return Err(StoreError::refused(format!(
            "column {name}.{} of type {} holds names of objects of the database inside of a list or a row; the server \
             writes them by the search path of each login, so it can't be kept what they are",
            column.name, column.declared
        )));
    }
    let (foreign_keys, unresolved) = references::own(target, oid, &numbers, &name)?;
    let mut table = Table {
        id: TableName {
            schema,
            table: relation,
        },
        oid: Some(oid),
        name,
        columns,
        primary_key: vec![],
        uniques: vec![],
        indexes: vec![],
        foreign_keys,
        unresolved,
        kin: references::kin(target, oid)?
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        alone: row[6].int() == Some(1),
        hidden_uniques: vec![],
        triggers: vec![],
        conflict_clause: false,
        // A sequence does not go back: nothing of it is to be restored.
        counted: false,
        deferred: false,
        rowid: None,
        folded: vec![],
    };
    indexes(target, oid, &numbers, &mut table)?;
    traps(target, oid, &mut table)?;
    for row in target.look(DEFERRED, &[(&oid, Type::INT8)])? {
        target.deferred.insert(text(&row, 0));
        table.deferred = true;
    }
    target.names.insert(table.name.clone(), spelled);
    Ok(Some(table))
}

pub(super) fn columns_of(
    target: &mut Postgres,
    table: &str,
    spelled: &str,
    oid: i64,
) -> Result<(Vec<i64>, Vec<Column>), StoreError> {
    let rows = target.look(COLUMNS, &[(&oid, Type::INT8), (&spelled, Type::TEXT)])?;
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
                full: text(row, 13),
                equal: row[14].text().unwrap_or("pg_catalog.=").to_owned(),
                greater: row[15].text().unwrap_or("pg_catalog.>").to_owned(),
                cut: yes(16),
                unsteady: yes(11),
                names: yes(12),
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
    for row in target.look(INDEXES, &[(&oid, Type::INT8)])? {
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

fn traps(target: &Postgres, oid: i64, table: &mut Table) -> Result<(), StoreError> {
    for row in target.look(TRAPS, &[(&oid, Type::INT8)])? {
        let name = text(&row, 1);
        if row[0].int() == Some(1) {
            table.triggers.push(Trigger { name });
        } else {
            table.hidden_uniques.push(name);
        }
    }
    Ok(())
}

pub(super) fn place(numbers: &[i64], number: i64) -> Option<usize> {
    numbers.iter().position(|other| *other == number)
}

/// Refuses a table from which others inherit: all of these where it is to be written, else those that hold rows.
/// A row of an heir is seen through its parent, without the columns that the heir alone has.
fn no_heirs(target: &Postgres, table: &str, heirs: &str, all: bool) -> Result<(), StoreError> {
    let mut found = Vec::new();
    for heir in heirs.split('\u{1f}').filter(|heir| !heir.is_empty()) {
        if all || holds_rows(target, heir)? {
            found.push(heir);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(StoreError::refused(format!(
        "other tables inherit from {table}: {}; their rows can't be told from its own, so it can't be written safely",
        found.join(", ")
    )))
}

/// Tells whether a table, or one that inherits from it, holds a row; its name as a statement spells it.
fn holds_rows(target: &Postgres, table: &str) -> Result<bool, StoreError> {
    let found = target.look(&format!("SELECT EXISTS (SELECT 1 FROM {table})"), &[])?;
    Ok(found.first().is_some_and(|row| row[0].int() == Some(1)))
}

pub(super) fn text(row: &Row, place: usize) -> String {
    row[place].text().unwrap_or_default().to_owned()
}
