//! What the server says of a table, in words.
//!
//! Builds of before noted that with the names that the login sees, so it is asked under the login's search path
//! too: every function, operator and type of these questions is named with its schema.

use postgres::types::Type;

use super::connect::{Postgres, quoted};
use super::sql::Param;
use crate::{Row, StoreError};

/// All of a table that DDL can change, a line a thing. Columns are in order but without their numbers:
/// a column that was dropped leaves a gap there, which nothing else shows.
const DEFINITION: &str = "SELECT pg_catalog.string_agg(l.text, E'\\n' ORDER BY l.part, l.place, l.text) FROM pg_catalog.pg_class c, LATERAL ( \
    SELECT 0, 0::pg_catalog.int8, pg_catalog.concat_ws(' ', 'table', c.relkind, c.relpersistence, 'owner', c.relowner::pg_catalog.regrole, \
      'options', c.reloptions, 'row security', c.relrowsecurity, c.relforcerowsecurity, \
      'identity', c.relreplident, 'tablespace', c.reltablespace::pg_catalog.int8, 'inherits', ( \
      SELECT pg_catalog.string_agg(h.inhparent::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY h.inhseqno) FROM pg_catalog.pg_inherits h WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid)) \
    UNION ALL SELECT 1, 0, pg_catalog.concat('privileges ', c.relacl) WHERE c.relacl IS NOT NULL \
    UNION ALL SELECT 2, pg_catalog.row_number() OVER (ORDER BY a.attnum), pg_catalog.concat_ws(' ', 'column', pg_catalog.quote_ident(a.attname), \
      pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, \
      'collation', CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) 0 THEN a.attcollation::pg_catalog.int8 END, 'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid), \
      'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage, \
      'privileges', a.attacl, 'options', a.attoptions) \
      FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum \
      WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped \
    UNION ALL SELECT 3, 0, pg_catalog.concat_ws(' ', 'constraint', pg_catalog.quote_ident(conname), pg_catalog.pg_get_constraintdef(oid)) \
      FROM pg_catalog.pg_constraint WHERE conrelid OPERATOR(pg_catalog.=) c.oid \
    UNION ALL SELECT 4, 0, pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(indexrelid), indisclustered, indisreplident, indisvalid) \
      FROM pg_catalog.pg_index WHERE indrelid OPERATOR(pg_catalog.=) c.oid \
    UNION ALL SELECT 5, 0, pg_catalog.concat_ws(' ', pg_catalog.pg_get_triggerdef(oid), tgenabled) \
      FROM pg_catalog.pg_trigger WHERE tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT tgisinternal \
    UNION ALL SELECT 6, 0, pg_catalog.concat_ws(' ', pg_catalog.pg_get_ruledef(oid), ev_enabled) FROM pg_catalog.pg_rewrite WHERE ev_class OPERATOR(pg_catalog.=) c.oid \
    UNION ALL SELECT 7, 0, pg_catalog.concat_ws(' ', 'policy', pg_catalog.quote_ident(polname), polcmd, polpermissive, polroles::pg_catalog.text, \
      pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid)) FROM pg_catalog.pg_policy WHERE polrelid OPERATOR(pg_catalog.=) c.oid \
    UNION ALL SELECT 8, 0, pg_catalog.pg_get_statisticsobjdef(oid) FROM pg_catalog.pg_statistic_ext WHERE stxrelid OPERATOR(pg_catalog.=) c.oid \
    UNION ALL SELECT 9, 0, pg_catalog.concat_ws(' ', 'comment on', (SELECT pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute \
      WHERE attrelid OPERATOR(pg_catalog.=) c.oid AND attnum OPERATOR(pg_catalog.=) objsubid AND objsubid OPERATOR(pg_catalog.>) 0), description) \
      FROM pg_catalog.pg_description WHERE classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND objoid OPERATOR(pg_catalog.=) c.oid \
    ) AS l (part, place, text) WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.oid";

/// A sequence of its own is called after the table, and is no difference.
const COLUMNS: &str = "SELECT a.attname::pg_catalog.text, pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), \
    CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) t.typcollation THEN 'COLLATE ' OPERATOR(pg_catalog.||) a.attcollation::pg_catalog.regcollation END, \
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, \
    CASE WHEN a.attgenerated OPERATOR(pg_catalog.<>) '' THEN 'GENERATED ALWAYS AS' WHEN d.adbin IS NOT NULL THEN 'DEFAULT' END, \
    pg_catalog.regexp_replace(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '^nextval[(].*[)]$', 'nextval(…)'), CASE WHEN a.attidentity OPERATOR(pg_catalog.<>) '' THEN 'GENERATED AS IDENTITY' END) \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum \
    WHERE a.attrelid OPERATOR(pg_catalog.=) $1::pg_catalog.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY a.attnum";

const CONSTRAINTS: &str = "SELECT pg_catalog.pg_get_constraintdef(oid) AS words FROM pg_catalog.pg_constraint \
    WHERE conrelid OPERATOR(pg_catalog.=) $1::pg_catalog.oid AND contype OPERATOR(pg_catalog.<>) ALL (ARRAY['f', 'n']::pg_catalog.\"char\"[]) ORDER BY contype OPERATOR(pg_catalog.<>) 'p', words";

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
        let found = self.look(
            "SELECT to_regclass($1)::oid::int8",
            &[(&spelled, Type::TEXT)],
        )?;
        Ok(found.first().and_then(|row| row[0].int()))
    }

    /// Returns all that the server says of a table that is called so in a statement, with full names:
    /// the same for every login.
    pub(super) fn define(&self, spelled: &str) -> Result<Option<String>, StoreError> {
        let number = self.number_of(spelled)?;
        self.defined(number, true)
    }

    /// Tells whether a text is what the server says of a table: with full names, or as builds of before
    /// noted it, with the names that the login sees.
    pub(super) fn is_defined_so(&self, spelled: &str, noted: &str) -> Result<bool, StoreError> {
        let is_so = |said: Option<String>| said.as_deref() == Some(noted);
        let number = self.number_of(spelled)?;
        Ok(is_so(self.defined(number, true)?) || is_so(self.defined(number, false)?))
    }

    /// `full`: with full names, else with those that the login sees.
    fn defined(&self, number: Option<i64>, full: bool) -> Result<Option<String>, StoreError> {
        self.pin()?;
        let params: [Param<'_>; 1] = [(&number, Type::INT8)];
        let found = if full {
            self.look(DEFINITION, &params)?
        } else {
            self.ask(DEFINITION, &params)?
        };
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
        let words = self.words_of(number, column, true)?;
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
        if full.as_deref() == Some(noted) {
            return Ok(true);
        }
        let number = self.number_of(spelled)?;
        Ok(self.words_of(number, column, false)? == noted)
    }

    /// What a column looks like.
    pub(super) fn column_words(&self, spelled: &str, column: &str) -> Result<String, StoreError> {
        self.words_of(self.number_of(spelled)?, column, true)
    }

    fn words_of(
        &self,
        number: Option<i64>,
        column: &str,
        full: bool,
    ) -> Result<String, StoreError> {
        self.pin()?;
        let params: [Param<'_>; 1] = [(&number, Type::INT8)];
        let found = if full {
            self.look(COLUMNS, &params)?
        } else {
            self.ask(COLUMNS, &params)?
        };
        let found = found.iter().find(|row| row[0].text() == Some(column));
        Ok(found.map(|row| text(row, 1)).unwrap_or_default())
    }

    /// What a table looks like: columns, keys and what it refers to.
    pub(super) fn table_words(&self, spelled: &str, keys: &Keys) -> Result<String, StoreError> {
        let number = self.number_of(spelled)?;
        self.pin()?;
        let columns = self.look(COLUMNS, &[(&number, Type::INT8)])?;
        let constraints = self.look(CONSTRAINTS, &[(&number, Type::INT8)])?;
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
