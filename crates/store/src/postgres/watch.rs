//! What triggers and foreign keys write beside our own statements: the server counts the rows that a
//! transaction inserts, updates and deletes in each table, and no function's text is read.
//!
//! The counts include what was undone to a savepoint, so that a function which writes in a block of its
//! own and undoes it is taken for one that writes. What empties, makes or alters a table is seen by the lock
//! that it takes. Not seen: what is written to foreign tables, to large objects and by event triggers.

use std::collections::{HashMap, HashSet};

use postgres::types::Type;

use super::connect::Postgres;
use super::visible::visible;
use crate::catalogue::Table;
use crate::watch::Stray;
use crate::{Cell, Row, Sql as _, StoreError};

/// Rows that the transaction has inserted, updated and deleted so far, by table; without a name those of
/// the table that is watched, with its partitions.
const COUNTS: &str = concat!(
    "WITH RECURSIVE tree (id) AS (SELECT $1::text::regclass::oid \
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.id) \
    SELECT CASE WHEN c.oid IN (SELECT id FROM tree) THEN '' WHEN ",
    visible!("c"),
    " THEN c.relname::text \
      ELSE c.nspname || '.' || c.relname END, \
    sum(c.inserted)::int8, sum(c.updated)::int8, sum(c.deleted)::int8 \
    FROM (SELECT c.oid, c.relname, n.nspname, pg_stat_get_xact_tuples_inserted(c.oid) AS inserted, \
      pg_stat_get_xact_tuples_updated(c.oid) AS updated, pg_stat_get_xact_tuples_deleted(c.oid) AS deleted \
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' \
      AND c.relpersistence <> 't' AND n.nspname NOT IN ('switchback', 'pg_catalog') OFFSET 0) AS c \
    WHERE c.inserted + c.updated + c.deleted > 0 GROUP BY 1"
);

/// The tables that the transaction has locked against all others, as TRUNCATE and most commands that define
/// something do (PostgreSQL: section 13.3, "Explicit Locking"); those that are watched without a name.
const SEIZED: &str = concat!(
    "WITH RECURSIVE tree (id) AS (SELECT $1::text::regclass::oid \
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.id) \
    SELECT CASE WHEN c.oid IN (SELECT id FROM tree) THEN '' WHEN ",
    visible!("c"),
    " THEN c.relname::text \
      ELSE n.nspname || '.' || c.relname END FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' \
    AND n.nspname NOT IN ('switchback', 'pg_catalog', 'pg_toast')"
);

/// The triggers that some kinds of statement fire on a table or its partitions, and whether each is a
/// BEFORE ROW trigger. tgtype: 1 is ROW, 2 BEFORE, 4 INSERT, 8 DELETE, 16 UPDATE (PostgreSQL:
/// `src/include/catalog/pg_trigger.h`).
const FIRED: &str = "WITH RECURSIVE tree (id) AS (SELECT $1::text::regclass::oid \
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.id) \
    SELECT t.tgname::text, bool_and(t.tgtype & 3 = 3) FROM pg_trigger t \
    WHERE t.tgrelid IN (SELECT id FROM tree) AND NOT t.tgisinternal AND t.tgenabled <> 'D' \
    AND t.tgtype::int8 & $2 <> 0 GROUP BY 1 ORDER BY 1";

/// The bits of `tgtype` for INSERT, UPDATE and DELETE.
const EVENTS: [i64; 3] = [4, 16, 8];

/// Rows inserted, updated and deleted.
type Counts = [i64; 3];

/// A table while it is watched.
pub(super) struct Watching {
    table: String,
    before: HashMap<String, Counts>,
    /// Locked against all others before.
    seized: HashSet<String>,
    sent: Counts,
    /// The versions of rows that our statements left: partition, and place in it.
    versions: (Vec<i64>, Vec<String>),
}

/// A kind of statement, by its place in [`Counts`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Insert,
    Update,
    Delete,
}

impl Postgres {
    pub(super) fn start_watch(&mut self, table: &Table) -> Result<(), StoreError> {
        self.watching = None;
        if !table.triggers.is_empty() {
            self.watching = Some(Watching {
                table: table.name.clone(),
                before: self.counts(&table.name)?,
                seized: self.seized(&table.name)?,
                sent: [0; 3],
                versions: (vec![], vec![]),
            });
        }
        Ok(())
    }

    fn counts(&self, table: &str) -> Result<HashMap<String, Counts>, StoreError> {
        let name = self.quoted(table);
        let rows = self.look(COUNTS, &[(&name, Type::TEXT)])?;
        let count = |row: &Row| {
            let number = |place: usize| row[place].int().unwrap_or(0);
            (text(row), [number(1), number(2), number(3)])
        };
        Ok(rows.iter().map(count).collect())
    }

    fn seized(&self, table: &str) -> Result<HashSet<String>, StoreError> {
        let name = self.quoted(table);
        let rows = self.look(SEIZED, &[(&name, Type::TEXT)])?;
        Ok(rows.iter().map(text).collect())
    }

    /// What a statement on a table has to return, besides, for [`Postgres::sent_rows`].
    pub(super) fn version_columns(&self, table: &Table) -> &'static str {
        let watched = |watching: &Watching| watching.table == table.name;
        if self.watching.as_ref().is_some_and(watched) {
            "t.tableoid::pg_catalog.int8, t.ctid::pg_catalog.text"
        } else {
            ""
        }
    }

    /// Notes that so many rows were sent to a table. `returned`: rows that end with the columns of
    /// [`Postgres::version_columns`], which are taken off.
    pub(super) fn sent_rows(
        &mut self,
        table: &Table,
        event: Event,
        count: usize,
        returned: &mut [Row],
    ) {
        let watched = |watching: &&mut Watching| watching.table == table.name;
        let Some(watching) = self.watching.as_mut().filter(watched) else {
            return;
        };
        watching.sent[event as usize] += i64::try_from(count).unwrap_or(i64::MAX);
        for row in returned {
            if let (Some(Cell::Text(place)), Some(Cell::Int(partition))) = (row.pop(), row.pop()) {
                watching.versions.0.push(partition);
                watching.versions.1.push(place);
            }
        }
    }

    pub(super) fn end_watch(&mut self, accepted: &[String]) -> Result<Vec<Stray>, StoreError> {
        let Some(watching) = self.watching.take() else {
            return Ok(vec![]);
        };
        let mut found: Vec<(String, i64)> = Vec::new();
        for (table, now) in self.counts(&watching.table)? {
            let before = watching.before.get(&table).copied().unwrap_or_default();
            let own = table.is_empty();
            let sent = if own { watching.sent } else { [0; 3] };
            let mut more = [0, 1, 2].map(|place| now[place] - before[place] - sent[place]);
            if own {
                // A row that goes to another partition is deleted here and inserted there.
                let moved = (-more[1]).min(more[0]).min(more[2]).max(0);
                more = [more[0] - moved, more[1] + moved, more[2] - moved];
                // Rows of ours that were updated once more are no others.
                let alone = more[0] <= 0 && more[2] <= 0 && more[1] > 0;
                if alone && more[1] == self.touched_again(&watching)? {
                    continue;
                }
            }
            let rows = more.iter().filter(|count| **count > 0).sum();
            if rows > 0 {
                found.push((table, rows));
            }
        }
        for table in self.seized(&watching.table)? {
            let counted = found.iter().any(|(name, _)| *name == table);
            if !counted && !watching.seized.contains(&table) {
                found.push((table, 0));
            }
        }
        if found.is_empty() {
            return Ok(vec![]);
        }
        found.sort();
        self.suspected(&watching, found, accepted)
    }

    /// How many of the rows that our statements left have another version now.
    fn touched_again(&self, watching: &Watching) -> Result<i64, StoreError> {
        let (partitions, places) = &watching.versions;
        let sql = format!(
            "SELECT count(*) FROM unnest($1, $2) AS k (partition, place) JOIN {} AS t \
             ON t.ctid = k.place::tid AND t.tableoid = k.partition::oid",
            self.quoted(&watching.table)
        );
        let same = self.look(
            &sql,
            &[(partitions, Type::INT8_ARRAY), (places, Type::TEXT_ARRAY)],
        )?;
        let same = same.first().and_then(|row| row[0].int()).unwrap_or(0);
        Ok(i64::try_from(places.len()).unwrap_or(i64::MAX) - same)
    }

    /// Which triggers may have written so. The server does not say: where the plan accepts one of those
    /// that fired, rows of other tables are taken for its own, unless an AFTER trigger fired that it does
    /// not accept; a BEFORE ROW trigger is usually there to change its row.
    fn suspected(
        &self,
        watching: &Watching,
        found: Vec<(String, i64)>,
        accepted: &[String],
    ) -> Result<Vec<Stray>, StoreError> {
        let all = watching.sent == [0; 3];
        let events = EVENTS.iter().zip(&watching.sent);
        let events: i64 = events
            .filter(|(_, sent)| all || **sent > 0)
            .map(|(event, _)| event)
            .sum();
        let name = self.quoted(&watching.table);
        let fired = self.look(FIRED, &[(&name, Type::TEXT), (&events, Type::INT8)])?;
        let (known, unknown): (Vec<&Row>, Vec<&Row>) =
            fired.iter().partition(|row| accepted.contains(&text(row)));
        let mut strays = Vec::new();
        for (table, rows) in found {
            let own = table.is_empty();
            let after = |row: &&&Row| own || known.is_empty() || row[1].int() != Some(1);
            let triggers: Vec<String> = unknown.iter().filter(after).map(|row| text(row)).collect();
            if triggers.is_empty() && !known.is_empty() {
                continue;
            }
            strays.push(Stray {
                of: watching.table.clone(),
                table: if own { watching.table.clone() } else { table },
                rows: rows.unsigned_abs(),
                triggers,
            });
        }
        Ok(strays)
    }

    /// Returns the triggers that a kind of statement fires on a table.
    pub(super) fn fired_by(&self, table: &Table, event: Event) -> Result<Vec<String>, StoreError> {
        let name = self.quoted(&table.name);
        let event = EVENTS[event as usize];
        let fired = self.look(FIRED, &[(&name, Type::TEXT), (&event, Type::INT8)])?;
        Ok(fired.iter().map(text).collect())
    }

    /// Says that nothing can be counted, where the server does not and the plan does not accept all
    /// triggers.
    pub(super) fn uncounted(
        &self,
        table: &Table,
        accepted: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let unknown = table.triggers.iter().map(|trigger| &trigger.name);
        let unknown: Vec<&String> = unknown.filter(|name| !accepted.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(vec![]);
        }
        let counts = self.look("SELECT current_setting('track_counts')", &[])?;
        if counts.first().is_some_and(|row| text(row) == "on") {
            return Ok(vec![]);
        }
        let fault = |name: &String| {
            format!(
                "what trigger `{name}` on {} writes can't be counted, as track_counts is off: turn it on, or accept the \
                 trigger by name in `accept_triggers`",
                table.name
            )
        };
        Ok(unknown.into_iter().map(fault).collect())
    }
}

fn text(row: &Row) -> String {
    row[0].text().unwrap_or_default().to_owned()
}
