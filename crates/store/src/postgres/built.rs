//! What others built on a table or a column, as the server knows it.

use postgres::types::Type;

use super::connect::Postgres;
use super::visible::visible;
use crate::StoreError;

/// What depends on the table, or on the column of this number, by kind and name. Left out is what
/// belongs to it and came with it: its types, defaults, own constraints and the sequence that counts
/// it up.
const DEPEND: &str = concat!(
    "WITH t AS (SELECT c.oid, c.reltype, y.typarray FROM pg_class c JOIN pg_type y ON y.oid = c.reltype \
    WHERE c.oid = to_regclass($1)), \
    d AS (SELECT DISTINCT d.classid, d.objid, d.objsubid FROM t, pg_depend d WHERE d.deptype <> 'i' AND ( \
      (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND (d.refobjsubid = $2 OR $2 = 0)) \
      OR ($2 = 0 AND d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.reltype, t.typarray)))) \
    SELECT DISTINCT CASE \
    WHEN r.oid = t.oid THEN 'column ' || a.attname \
    WHEN r.oid IS NOT NULL THEN CASE WHEN r.relkind IN ('i', 'I') THEN 'index ' WHEN r.relkind = 'S' THEN 'sequence ' \
      WHEN r.relkind = 'v' THEN 'view ' WHEN r.relkind = 'm' THEN 'materialized view ' ELSE 'table ' END || \
      CASE WHEN ",
    visible!("r"),
    " THEN '' ELSE r.relnamespace::regnamespace || '.' END || r.relname \
    WHEN g.oid IS NOT NULL THEN 'trigger ' || g.tgname \
    WHEN k.conrelid = t.oid THEN 'constraint ' || k.conname \
    ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END AS what \
    FROM t, d \
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
    LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid \
    LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid \
    LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid \
    LEFT JOIN pg_class r ON r.oid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid \
      WHEN w.ev_class <> (SELECT oid FROM t) THEN w.ev_class \
      WHEN k.contype = 'f' AND k.conrelid <> (SELECT oid FROM t) THEN k.conrelid \
      WHEN f.adnum <> $2 AND $2 > 0 THEN f.adrelid END \
    LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = COALESCE(f.adnum, NULLIF(d.objsubid, 0)) \
    WHERE NOT COALESCE(g.tgisinternal, false) \
    AND NOT COALESCE(f.adrelid = t.oid AND (f.adnum = $2 OR $2 = 0), false) \
    AND NOT COALESCE(k.conrelid = t.oid AND ($2 = 0 OR k.contype = 'n'), false) \
    AND NOT COALESCE(r.oid = t.oid AND $2 = 0, false) \
    AND NOT (COALESCE(r.relkind = 'S', false) AND EXISTS (SELECT 1 FROM pg_depend s JOIN pg_attrdef o ON o.oid = s.objid \
      WHERE s.classid = 'pg_attrdef'::regclass AND s.refobjid = r.oid AND o.adrelid = t.oid)) \
    UNION ALL SELECT 'privileges on it: ' || a.attacl::text FROM t JOIN pg_attribute a ON a.attrelid = t.oid \
      WHERE a.attnum = $2 AND $2 > 0 AND a.attacl IS NOT NULL \
    UNION ALL SELECT 'a comment on it' FROM t WHERE $2 > 0 AND col_description(t.oid, $2::int4) IS NOT NULL \
    ORDER BY what"
);

const NUMBER: &str =
    "SELECT attnum::int8 FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2";

impl Postgres {
    /// Returns what others built on a table that is called so in a statement, or on a column of it.
    pub(super) fn built(
        &self,
        spelled: &str,
        column: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let mut number = 0;
        if let Some(column) = column {
            let found = self.look(NUMBER, &[(&spelled, Type::TEXT), (&column, Type::TEXT)])?;
            let Some(found) = found.first().and_then(|row| row[0].int()) else {
                return Ok(vec![]);
            };
            number = found;
        }
        let found = self.look(DEPEND, &[(&spelled, Type::TEXT), (&number, Type::INT8)])?;
        let what = found.iter().filter_map(|row| row[0].text());
        Ok(what.map(str::to_owned).collect())
    }
}
