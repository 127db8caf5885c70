//! Writing to PostgreSQL.

use std::time::Duration;

use postgres::types::Type;

use super::connect::{Postgres, quoted};
use super::error::is_there_already;
use super::sql::spelled;
use super::watch::Event;
use crate::catalogue::Table;
use crate::engine::Engine;
use crate::ledger::{Change, Mapping, statements};
use crate::watch::Stray;
use crate::{Cell, Key, Row, Sql, StoreError};

/// Waits for other writers of ours, by the row that is their lock, and tells the server's
/// administrator which run this is.
const EXCLUDE: &str = "SELECT pg_catalog.set_config('application_name', pg_catalog.concat('switchback ', run), true) \
                       FROM switchback.lock WHERE id OPERATOR(pg_catalog.=) 1 FOR UPDATE;";

impl Engine for Postgres {
    const WAVE: usize = 2_000;
    const GATHER: Duration = Duration::ZERO;

    fn begin(&mut self) -> Result<(), StoreError> {
        // What somebody did to a table meanwhile is seen.
        self.forget_tables();
        self.given.clear();
        if self.held.is_some_and(|held| held.begun) {
            return self.begin_held();
        }
        let alone = if self.has_ledger()? { EXCLUDE } else { "" };
        self.open.set(true);
        self.broken.set(false);
        let begun = self.batch(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {}{alone}",
            self.begin_firing()
        ));
        if begun.is_err() {
            self.rollback().ok();
            return begun;
        }
        if self.held.is_some() {
            return self.begin_held();
        }
        begun
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        // The server would answer the COMMIT of a failed transaction with a quiet ROLLBACK.
        if self.broken.get() {
            self.rollback()?;
            let message = format!(
                "{}: a statement failed, nothing of the transaction was committed",
                self.describe()
            );
            return Err(StoreError::Unreachable { message });
        }
        if self.held.is_some() {
            return self.end_held();
        }
        self.move_sequences()?;
        let login = self.unpinning();
        self.open.set(false);
        self.try_commit(&login)
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        // It may have been made in this transaction.
        self.ledger.set(None);
        if self.held.is_some_and(|held| held.begun) {
            return self.undo_held();
        }
        if !self.open.replace(false) {
            return Ok(());
        }
        self.batch("ROLLBACK")?;
        self.broken.set(false);
        // A column that was dropped is there again.
        self.forget_tables();
        Ok(())
    }

    fn savepoint(&mut self, name: &str) -> Result<(), StoreError> {
        self.batch(&format!("SAVEPOINT {name}"))
    }

    fn release(&mut self, name: &str) -> Result<(), StoreError> {
        self.settle()?;
        self.batch(&format!("RELEASE {name}"))
    }

    fn undo_to(&mut self, name: &str) -> Result<(), StoreError> {
        self.batch(&format!("ROLLBACK TO {name}; RELEASE {name}"))?;
        self.unsettled();
        self.broken.set(false);
        Ok(())
    }

    fn keep(&mut self, name: &str) -> Result<(), StoreError> {
        self.batch(&format!("RELEASE {name}"))
    }

    fn settle_all(&mut self) -> Result<(), StoreError> {
        self.batch(&format!(
            "{}SET CONSTRAINTS ALL IMMEDIATE",
            self.unpinning()
        ))?;
        if self.deferred.is_empty() {
            return Ok(());
        }
        // Those that waited, and no others, wait again.
        let names: Vec<&str> = self.deferred.iter().map(String::as_str).collect();
        self.batch(&format!("SET CONSTRAINTS {} DEFERRED", names.join(", ")))
    }

    fn create_ledger(&mut self) -> Result<(), StoreError> {
        self.make_ledger().map_err(|error| {
            // Another program made it at the same time, and it is there now.
            if is_there_already(&error) {
                let message = error.to_string();
                return StoreError::Again { message };
            }
            error
        })?;
        self.batch(EXCLUDE)
    }

    fn alter(&mut self, statement: &str) -> Result<(), StoreError> {
        self.change_catalogue(statement)
    }

    fn insert(
        &mut self,
        table: &Table,
        columns: &[usize],
        rows: &[Vec<Cell>],
        key: &[usize],
    ) -> Result<Vec<(Key, Option<Row>)>, StoreError> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let names: Vec<String> = columns
            .iter()
            .map(|place| quoted(&table.columns[*place].name))
            .collect();
        self.unpin()?;
        let name = self.quoted(&table.name);
        let mut returned = self.reads(table);
        let versions = self.version_columns(table);
        if !versions.is_empty() {
            returned = format!("{returned}, {versions}");
        }
        let mut found = if columns.is_empty() {
            let sql = format!("INSERT INTO {name} AS t DEFAULT VALUES RETURNING {returned}");
            let each = rows.iter().map(|_| self.ask(&sql, &[]));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        } else {
            let source = self.source(self.sent(table, columns, rows.iter().map(Vec::as_slice)))?;
            let sql = format!(
                "INSERT INTO {name} AS t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ORDER BY k.n RETURNING {returned}",
                names.join(", "),
                self.typed_columns(table, columns, 0).join(", "),
                source.from
            );
            self.ask(&sql, &source.params())?
        };
        if found.len() != rows.len() {
            let message = format!("a trigger of {} kept a row from being inserted", table.name);
            return Err(StoreError::constraint(message));
        }
        self.sent_rows(table, Event::Insert, rows.len(), &mut found);
        for (at, place) in columns.iter().enumerate() {
            if let Some(sequence) = self.sequences.get(&(table.name.clone(), *place)) {
                let given = rows.iter().filter_map(|row| row[at].int()).max();
                let highest = self.given.entry(sequence.clone()).or_insert(0);
                *highest = given.unwrap_or(0).max(*highest);
            }
        }
        let whole = table.triggers.is_empty() && !self.returns_unsteady(table);
        let told = |row: Row| {
            let key = Key(key.iter().map(|place| row[*place].clone()).collect());
            // What a trigger does after the statement is not in what it returned.
            (key, Some(row).filter(|_| whole))
        };
        Ok(self.whole(table, found).into_iter().map(told).collect())
    }

    fn update(
        &mut self,
        table: &Table,
        key: &[usize],
        changes: &[(Key, Vec<(usize, Cell)>)],
        quietly: bool,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.unpin()?;
        let loud = if quietly { self.silence(table)? } else { None };
        // Neighbours that set the same columns go in one statement.
        let same = |a: &(Key, Vec<(usize, Cell)>), b: &(Key, Vec<(usize, Cell)>)| {
            a.1.iter()
                .map(|(place, _)| place)
                .eq(b.1.iter().map(|(place, _)| place))
        };
        for group in changes.chunk_by(same) {
            self.update_alike(table, key, group)?;
        }
        loud.map_or(Ok(()), |sql| self.batch(&sql))
    }

    fn delete(&mut self, table: &Table, key: &[usize], keys: &[Key]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.unpin()?;
        let source = self.source(self.sent(table, key, keys.iter().map(|key| key.0.as_slice())))?;
        let sql = format!(
            "DELETE FROM {} AS t USING {} WHERE {}",
            self.quoted(&table.name),
            source.from,
            self.matches(table, key, 0)
        );
        let count = self.run(&sql, &source.params())?;
        self.sent_rows(table, Event::Delete, keys.len(), &mut []);
        touched(table, count, keys)
    }

    fn columns_of(&mut self, table: &Table, constraint: &str) -> Result<Vec<usize>, StoreError> {
        self.constrained(table, constraint)
    }

    fn first_refused(
        &mut self,
        table: &Table,
        cells: &[(usize, Cell)],
    ) -> Result<Option<usize>, StoreError> {
        self.refused(table, cells)
    }

    fn watch(&mut self, table: &Table) -> Result<(), StoreError> {
        self.start_watch(table)
    }

    fn strays(&mut self, accepted: &[String]) -> Result<Vec<Stray>, StoreError> {
        self.end_watch(accepted)
    }

    fn put_changes(&mut self, run: i64, changes: &[Change]) -> Result<(), StoreError> {
        self.write_changes(run, changes)
    }

    fn supersede(&mut self, run: i64, pairs: &[(i64, i64)]) -> Result<(), StoreError> {
        self.write_later(run, pairs)
    }

    fn put_entries(&mut self, entries: &[Mapping]) -> Result<(), StoreError> {
        self.write_entries(entries)
    }

    fn counter(&mut self, _: &Table) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    fn set_counter(&mut self, _: &Table, _: Option<i64>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Postgres {
    /// Checks now what the constraints that wait for the COMMIT would check then.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.deferred.iter().map(String::as_str).collect();
        let names = names.join(", ");
        self.batch(&format!(
            "{}SET CONSTRAINTS {names} IMMEDIATE; SET CONSTRAINTS {names} DEFERRED",
            self.unpinning()
        ))
    }

    fn make_ledger(&self) -> Result<(), StoreError> {
        self.batch("CREATE SCHEMA IF NOT EXISTS switchback")?;
        self.no_strangers()?;
        for sql in statements(&self.dialect()) {
            self.batch(&spelled(&sql))?;
        }
        Ok(())
    }

    /// Moves sequences past the ids that were given explicitly, so that the application's next insert
    /// works.
    fn move_sequences(&mut self) -> Result<(), StoreError> {
        for (sequence, given) in std::mem::take(&mut self.given) {
            let sql = format!(
                "SELECT setval($1::text::regclass, $2) FROM {sequence} WHERE last_value < $2 \
                 OR (last_value = $2 AND NOT is_called)"
            );
            self.look(&sql, &[(&sequence, Type::TEXT), (&given, Type::INT8)])?;
        }
        Ok(())
    }

    fn update_alike(
        &mut self,
        table: &Table,
        key: &[usize],
        group: &[(Key, Vec<(usize, Cell)>)],
    ) -> Result<(), StoreError> {
        let columns: Vec<usize> = group[0].1.iter().map(|(place, _)| *place).collect();
        if columns.is_empty() {
            return Ok(());
        }
        let typed = self.typed_columns(table, &columns, 0);
        let set = |(place, typed): (&usize, String)| {
            format!("{} = {typed}", quoted(&table.columns[*place].name))
        };
        let sets: Vec<String> = columns.iter().zip(typed).map(set).collect();
        let rows = group.iter().map(|(key, cells)| {
            let cells = cells.iter().map(|(_, cell)| cell);
            cells.chain(&key.0)
        });
        let all: Vec<usize> = columns.iter().chain(key).copied().collect();
        let source = self.source(self.sent(table, &all, rows))?;
        let sql = format!(
            "UPDATE {} AS t SET {} FROM {} WHERE {}",
            self.quoted(&table.name),
            sets.join(", "),
            source.from,
            self.matches(table, key, columns.len())
        );
        let versions = self.version_columns(table);
        let count = if versions.is_empty() {
            self.run(&sql, &source.params())?
        } else {
            let sql = format!("{sql} RETURNING {versions}");
            let mut updated = self.ask(&sql, &source.params())?;
            self.sent_rows(table, Event::Update, group.len(), &mut updated);
            updated.len() as u64
        };
        let keys: Vec<Key> = group.iter().map(|(key, _)| key.clone()).collect();
        touched(table, count, &keys)
    }

    /// Keeps triggers from firing, and returns the statement that lets them again. Who may not say
    /// so for the session alone has the table's triggers put off, which locks it until the commit.
    fn silence(&self, table: &Table) -> Result<Option<String>, StoreError> {
        if table.triggers.is_empty() {
            return Ok(None);
        }
        if self.may_silence()? {
            self.batch("SET LOCAL session_replication_role = replica")?;
            return Ok(Some("SET LOCAL session_replication_role TO DEFAULT".into()));
        }
        let name = self.quoted(&table.name);
        let all = |verb: &str| -> String {
            let one = |trigger: &crate::Trigger| {
                format!(
                    "ALTER TABLE {name} {verb} TRIGGER {};",
                    quoted(&trigger.name)
                )
            };
            table.triggers.iter().map(one).collect()
        };
        self.batch(&all("DISABLE"))?;
        Ok(Some(all("ENABLE")))
    }
}

fn touched(table: &Table, count: u64, keys: &[Key]) -> Result<(), StoreError> {
    if count == keys.len() as u64 {
        return Ok(());
    }
    let named = keys
        .first()
        .filter(|_| keys.len() == 1)
        .map(|key| format!(" with key {key}"));
    Err(StoreError::constraint(format!(
        "{count} rows of {}{} were there, not {}",
        table.name,
        named.unwrap_or_default(),
        keys.len()
    )))
}
