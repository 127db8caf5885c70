//! What the server says of a table, in words.

use postgres::types::Type;

use super::connect::{Postgres, quoted};
use crate::{Row, StoreError};

/// All of a table that DDL can change, a line a thing. Columns are in order but without their numbers:
/// a column that was dropped leaves a gap there, which nothing else shows.
const DEFINITION: &str = "SELECT string_agg(l.text, E'\\n' ORDER BY l.part, l.place, l.text) FROM pg_class c, LATERAL ( \
    SELECT 0, 0::int8, concat_ws(' ', 'table', c.relkind, c.relpersistence, 'owner', c.relowner::regrole, \
      'options', c.reloptions, 'row security', c.relrowsecurity, c.relforcerowsecurity, \
      'identity', c.relreplident, 'tablespace', c.reltablespace::int8, 'inherits', ( \
      SELECT string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid)) \
    UNION ALL SELECT 1, 0, concat('privileges ', c.relacl) WHERE c.relacl IS NOT NULL \
    UNION ALL SELECT 2, row_number() OVER (ORDER BY a.attnum), concat_ws(' ', 'column', quote_ident(a.attname), \
      format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, \
      'collation', NULLIF(a.attcollation, 0)::int8, 'default', pg_get_expr(d.adbin, d.adrelid), \
      'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage, \
      'privileges', a.attacl, 'options', a.attoptions) \
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    UNION ALL SELECT 3, 0, concat_ws(' ', 'constraint', quote_ident(conname), pg_get_constraintdef(oid)) \
      FROM pg_constraint WHERE conrelid = c.oid \
    UNION ALL SELECT 4, 0, concat_ws(' ', pg_get_indexdef(indexrelid), indisclustered, indisreplident, indisvalid) \
      FROM pg_index WHERE indrelid = c.oid \
    UNION ALL SELECT 5, 0, concat_ws(' ', pg_get_triggerdef(oid), tgenabled) \
      FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal \
    UNION ALL SELECT 6, 0, concat_ws(' ', pg_get_ruledef(oid), ev_enabled) FROM pg_rewrite WHERE ev_class = c.oid \
    UNION ALL SELECT 7, 0, concat_ws(' ', 'policy', quote_ident(polname), polcmd, polpermissive, polroles::text, \
      pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE polrelid = c.oid \
    UNION ALL SELECT 8, 0, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = c.oid \
    UNION ALL SELECT 9, 0, concat_ws(' ', 'comment on', (SELECT quote_ident(attname) FROM pg_attribute \
      WHERE attrelid = c.oid AND attnum = objsubid AND objsubid > 0), description) \
      FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid = c.oid \
    ) AS l (part, place, text) WHERE c.oid = $1::oid";

/// A sequence of its own is called after the table, and is no difference.
const COLUMNS: &str = "SELECT a.attname::text, concat_ws(' ', format_type(a.atttypid, a.atttypmod), \
    CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END, \
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, \
    CASE WHEN a.attgenerated <> '' THEN 'GENERATED ALWAYS AS' WHEN d.adbin IS NOT NULL THEN 'DEFAULT' END, \
    regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^nextval[(].*[)]$', 'nextval(…)'), CASE WHEN a.attidentity <> '' THEN 'GENERATED AS IDENTITY' END) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const CONSTRAINTS: &str = "SELECT pg_get_constraintdef(oid) AS words FROM pg_constraint \
    WHERE conrelid = $1::oid AND contype NOT IN ('f', 'n') ORDER BY contype <> 'p', words";

/// What a table refers to, in words.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub fn add(&mut self, columns: &[String], parent: &str, to: &[String], on_delete: &str) {
        self.0.push(format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {on_delete}",
            listed(columns),
            quoted(parent),
            listed(to)
        ));
        self.0.sort();
    }
}

fn listed(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

impl Postgres {
    /// The number of the table that is called so in a statement.
    fn number_of(&self, spelled: &str) -> Result<Option<i64>, StoreError> {
        let found = self.ask(
            "SELECT to_regclass($1)::oid::int8",
            &[(&spelled, Type::TEXT)],
        )?;
        Ok(found.first().and_then(|row| row[0].int()))
    }

    /// Returns all that the server says of a table that is called so in a statement, with full names:
    /// the same for every login.
    pub(super) fn define(&self, spelled: &str) -> Result<Option<String>, StoreError> {
        let number = self.number_of(spelled)?;
        self.without_a_path(|| self.defined(number))
    }

    /// Tells whether a text is what the server says of a table: with full names, or as builds of before
    /// noted it, with the names that the login sees.
    pub(super) fn is_defined_so(&self, spelled: &str, noted: &str) -> Result<bool, StoreError> {
        let is_so = |said: Option<String>| said.as_deref() == Some(noted);
        Ok(is_so(self.define(spelled)?) || is_so(self.defined(self.number_of(spelled)?)?))
    }

    fn defined(&self, number: Option<i64>) -> Result<Option<String>, StoreError> {
        self.pin()?;
        let found = self.ask(DEFINITION, &[(&number, Type::INT8)])?;
        Ok(found
            .first()
            .and_then(|row| row[0].text().map(str::to_owned)))
    }

    /// Returns what a column looks like, with full names; none where there is no such column.
    pub(super) fn define_column(
        &self,
        spelled: &str,
        column: &str,
    ) -> Result<Option<String>, StoreError> {
        let number = self.number_of(spelled)?;
        let words = self.without_a_path(|| self.words_of(number, column))?;
        Ok(Some(words).filter(|words| !words.is_empty()))
    }

    /// The same of a column as [`Postgres::is_defined_so`] of a table.
    pub(super) fn is_column_so(
        &self,
        spelled: &str,
        column: &str,
        noted: &str,
    ) -> Result<bool, StoreError> {
        let full = self.define_column(spelled, column)?;
        Ok(full.as_deref() == Some(noted) || self.column_words(spelled, column)? == noted)
    }

    /// What a column looks like.
    pub(super) fn column_words(&self, spelled: &str, column: &str) -> Result<String, StoreError> {
        self.words_of(self.number_of(spelled)?, column)
    }

    fn words_of(&self, number: Option<i64>, column: &str) -> Result<String, StoreError> {
        self.pin()?;
        let found = self.ask(COLUMNS, &[(&number, Type::INT8)])?;
        let found = found.iter().find(|row| row[0].text() == Some(column));
        Ok(found.map(|row| text(row, 1)).unwrap_or_default())
    }

    /// What a table looks like: columns, keys and what it refers to.
    pub(super) fn table_words(&self, spelled: &str, keys: &Keys) -> Result<String, StoreError> {
        let number = self.number_of(spelled)?;
        self.pin()?;
        let columns = self.ask(COLUMNS, &[(&number, Type::INT8)])?;
        let constraints = self.ask(CONSTRAINTS, &[(&number, Type::INT8)])?;
        let column = |row: &Row| format!("{} {}", quoted(&text(row, 0)), text(row, 1));
        let mut parts: Vec<String> = columns.iter().map(column).collect();
        parts.extend(constraints.iter().map(|row| text(row, 0)));
        parts.extend_from_slice(&keys.0);
        Ok(format!("({})", parts.join(", ")))
    }
}

fn text(row: &Row, place: usize) -> String {
    row[place].text().unwrap_or_default().to_owned()
}
