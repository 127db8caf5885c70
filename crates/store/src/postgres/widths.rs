//! How many wide rows are read together.

use std::time::{Duration, Instant};

use super::connect::{Postgres, quoted};
use super::values::Kind;
use crate::catalogue::{Column, Table};
use crate::engine::PAGE_BYTES;
use crate::{Cell, Sql, StoreError};

/// Values of more than some 2 kB lie apart from their row (PostgreSQL: "TOAST"): where nothing does, no row is wide.
const NO_ROW_IS_WIDE: &str = "SELECT 1 FROM pg_class c WHERE c.oid = $1::int8::oid \
    AND c.relkind = 'r' AND COALESCE(pg_relation_size(c.reltoastrelid), 0) = 0";

/// How long it is believed that no row is wide.
const NARROW: Duration = Duration::from_secs(1);

/// How many bytes of text a byte of another type's value may be, about.
const AS_TEXT: &str = "4";

impl Postgres {
    /// Returns of how many keys, the first of them, the rows can be read together: of one at least. Of all where no
    /// index serves, as the table would be read once more to tell.
    pub(super) fn fit_together(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<usize, StoreError> {
        if keys.len() < 2 || !table.serves(by) || !self.may_be_wide(table)? {
            return Ok(keys.len());
        }
        self.pin_for(table)?;
        let source = self.source(self.sent(table, by, keys.iter().map(Vec::as_slice)))?;
        let (from, name, same) = (
            &source.from,
            self.quoted(&table.name),
            self.matches(table, by, 0),
        );
        let size = format!(
            "COALESCE(pg_catalog.sum({}), 0)::pg_catalog.int8",
            self.size(table)
        );
        let sql = format!(
            "SELECT r.bytes FROM {from} CROSS JOIN LATERAL \
             (SELECT {size} AS bytes FROM {name} AS t WHERE {same}) AS r ORDER BY k.n"
        );
        let rows = self.ask(&sql, &source.params())?;
        let mut bytes = 0;
        for (place, row) in rows.iter().enumerate() {
            let more = row[0].int().unwrap_or(0);
            bytes += usize::try_from(more).unwrap_or(0);
            if bytes >= PAGE_BYTES {
                return Ok(place + 1);
            }
        }
        Ok(keys.len())
    }

    fn may_be_wide(&mut self, table: &Table) -> Result<bool, StoreError> {
        let Some(oid) = table.oid.filter(|_| table.kin.is_empty()) else {
            return Ok(true);
        };
        let seen = self.narrow.get(&oid);
        if seen.is_some_and(|seen| seen.elapsed() < NARROW) {
            return Ok(false);
        }
        let narrow = !self
            .look_texts(NO_ROW_IS_WIDE, &[oid.to_string().into()])?
            .is_empty();
        if narrow {
            self.narrow.insert(oid, Instant::now());
        }
        Ok(!narrow)
    }

    /// About how many bytes of a row `t` are sent.
    fn size(&self, table: &Table) -> String {
        let size = |(_, column): (usize, &Column)| {
            let of = format!("t.{}", quoted(&column.name));
            let kind = self.type_of(column);
            let bytes = match kind.kind {
                Kind::Bytes => format!("pg_catalog.octet_length({of})"),
                Kind::Text | Kind::Json => {
                    format!("pg_catalog.octet_length({of}::pg_catalog.text)")
                }
                _ => format!("pg_catalog.pg_column_size({of}) OPERATOR(pg_catalog.*) {AS_TEXT}"),
            };
            format!("COALESCE({bytes}, 0)::pg_catalog.int8")
        };
        let sent = |(place, _): &(usize, &Column)| !table.folded.contains(place);
        let sizes: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .filter(sent)
            .map(size)
            .collect();
        if sizes.is_empty() {
            return "0".to_owned();
        }
        sizes.join(" OPERATOR(pg_catalog.+) ")
    }
}
