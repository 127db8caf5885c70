//! Writing to SQLite.

use std::time::Duration;

use rusqlite::config::DbConfig;

use super::additions;
use super::connect::{Sqlite, quoted};
use super::programs::Event;
use super::sql::spelled;
use crate::catalogue::Table;
use crate::engine::Engine;
use crate::ledger::{Change, Mapping, statements, stored_source};
use crate::watch::Stray;
use crate::{Cell, Key, Row, Sql as _, StoreError};

impl Sqlite {
    /// Inserts a row and returns its key. `at`: the number it is to have, with the name of that.
    fn insert_one(
        &mut self,
        table: &Table,
        (columns, cells): (&[usize], &[Cell]),
        key: &[usize],
        at: Option<(&str, i64)>,
    ) -> Result<Key, StoreError> {
        let name = |column: &usize| quoted(&table.columns[*column].name);
        let mut names: Vec<String> = columns.iter().map(name).collect();
        let mut slots = self.slots(1, cells);
        // A whole number is written as it is.
        if let Some((rowid, number)) = at {
            names.push(rowid.to_owned());
            slots.push(number.to_string());
        }
        let values = if names.is_empty() {
            "DEFAULT VALUES".to_owned()
        } else {
            format!("({}) VALUES ({})", names.join(", "), slots.join(", "))
        };
        let sql = format!(
            "INSERT {}INTO {} {values} RETURNING {}",
            or_abort(table),
            quoted(&table.name),
            self.reads(key.iter().map(name))
        );
        let inserted = self.counted(table, Event::Insert, |this| this.read(table, &sql, cells))?;
        let returned = inserted.into_iter().next();
        returned.map(Key).ok_or_else(|| {
            let message = format!(
                "a trigger of {} kept the row from being inserted",
                table.name
            );
            StoreError::constraint(message)
        })
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.try_batch(sql).map_err(|error| self.error(&error))
    }

    fn fire_triggers(&mut self, fire: bool) -> Result<(), StoreError> {
        if self.triggers != fire {
            let set = self
                .conn
                .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fire);
            set.map_err(|error| self.error(&error))?;
            self.triggers = fire;
        }
        Ok(())
    }
}

/// Makes a statement fail, where a constraint of the table would replace rows of others or leave its
/// own out. Not said of other tables: it holds for what their triggers write, too.
fn or_abort(table: &Table) -> &'static str {
    if table.conflict_clause {
        "OR ABORT "
    } else {
        ""
    }
}

impl Engine for Sqlite {
    const WAVE: usize = 1;
    const GATHER: Duration = Duration::from_millis(200);

    fn begin(&mut self) -> Result<(), StoreError> {
        self.batch("BEGIN IMMEDIATE")?;
        self.forget_ledger();
        let same = self.check_identity().and_then(|()| self.forget_programs());
        if same.is_err() {
            self.rollback()?;
        }
        same
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        match self.try_batch("COMMIT") {
            Ok(()) => Ok(()),
            // The transaction is still open: nothing was committed, and it can be undone.
            Err(error) if !self.conn.is_autocommit() => {
                let error = self.error(&error);
                self.batch("ROLLBACK")?;
                Err(error)
            }
            Err(error) => Err(StoreError::Unknown {
                message: self.error(&error).to_string(),
            }),
        }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        // It may have been made in this transaction.
        self.forget_ledger();
        // SQLite undoes a transaction by itself after some errors (a full disk).
        if self.conn.is_autocommit() {
            Ok(())
        } else {
            self.batch("ROLLBACK")
        }
    }

    fn savepoint(&mut self, name: &str) -> Result<(), StoreError> {
        self.batch(&format!("SAVEPOINT {name}"))
    }

    fn release(&mut self, name: &str) -> Result<(), StoreError> {
        self.batch(&format!("RELEASE {name}"))
    }

    fn undo_to(&mut self, name: &str) -> Result<(), StoreError> {
        if self.conn.is_autocommit() {
            return Err(StoreError::Unreachable {
                message: "SQLite undid the whole transaction".into(),
            });
        }
        self.batch(&format!("ROLLBACK TO {name}; RELEASE {name}"))
    }

    fn create_ledger(&mut self) -> Result<(), StoreError> {
        statements(&self.dialect())
            .iter()
            .try_for_each(|sql| self.batch(&spelled(sql)))?;
        self.forget_ledger();
        Ok(())
    }

    fn alter(&mut self, statement: &str) -> Result<(), StoreError> {
        self.fire_triggers(false)?;
        let done = self
            .try_batch(statement)
            .map_err(|error| additions::refused(self, &error));
        self.fire_triggers(true)?;
        done
    }

    fn insert(
        &mut self,
        table: &Table,
        columns: &[usize],
        rows: &[Vec<Cell>],
        key: &[usize],
    ) -> Result<Vec<(Key, Option<Row>)>, StoreError> {
        let one = |row: &Vec<Cell>| Ok((self.insert_one(table, (columns, row), key, None)?, None));
        rows.iter().map(one).collect()
    }

    fn insert_at(
        &mut self,
        table: &Table,
        columns: &[usize],
        rows: &[(Option<i64>, Vec<Cell>)],
        key: &[usize],
    ) -> Result<Vec<Key>, StoreError> {
        let mut keys: Vec<Option<Key>> = rows.iter().map(|_| None).collect();
        if let Some(rowid) = table.rowid {
            let taken = format!("SELECT 1 FROM {} WHERE {rowid} = ?1", quoted(&table.name));
            for (done, (number, cells)) in keys.iter_mut().zip(rows) {
                let Some(number) = *number else { continue };
                if self.rows(&taken, &[number.into()])?.is_empty() {
                    let at = Some((rowid, number));
                    *done = Some(self.insert_one(table, (columns, cells), key, at)?);
                }
            }
        }
        // A number that SQLite chooses is one that none of the others needs.
        let rest = keys.into_iter().zip(rows).map(|(done, (_, cells))| {
            done.map_or_else(|| self.insert_one(table, (columns, cells), key, None), Ok)
        });
        rest.collect()
    }

    fn update(
        &mut self,
        table: &Table,
        key: &[usize],
        changes: &[(Key, Vec<(usize, Cell)>)],
        quietly: bool,
    ) -> Result<(), StoreError> {
        self.fire_triggers(!quietly)?;
        let done = changes.iter().try_for_each(|(row, cells)| {
            let set = |(place, (column, cell)): (usize, &(usize, Cell))| {
                format!(
                    "{} = {}",
                    quoted(&table.columns[*column].name),
                    self.slot(place + 1, cell)
                )
            };
            let sets: Vec<String> = cells.iter().enumerate().map(set).collect();
            let sql = format!(
                "UPDATE {}{} SET {} WHERE {}",
                or_abort(table),
                quoted(&table.name),
                sets.join(", "),
                self.equals(table, key, cells.len() + 1, &row.0)
            );
            let params: Vec<Cell> = cells
                .iter()
                .map(|(_, cell)| cell.clone())
                .chain(row.0.iter().cloned())
                .collect();
            match self.counted(table, Event::Update, |this| this.run(&sql, &params))? {
                1 => Ok(()),
                count => Err(StoreError::constraint(format!(
                    "{count} rows of {} have key {row}",
                    table.name
                ))),
            }
        });
        self.fire_triggers(true)?;
        done
    }

    fn delete(&mut self, table: &Table, key: &[usize], keys: &[Key]) -> Result<(), StoreError> {
        keys.iter().try_for_each(|row| {
            let sql = format!(
                "DELETE FROM {} WHERE {}",
                quoted(&table.name),
                self.equals(table, key, 1, &row.0)
            );
            match self.counted(table, Event::Delete, |this| this.run(&sql, &row.0))? {
                1 => Ok(()),
                count => Err(StoreError::constraint(format!(
                    "{count} rows of {} have key {row}",
                    table.name
                ))),
            }
        })
    }

    fn watch(&mut self, table: &Table) -> Result<(), StoreError> {
        self.start_watch(table)
    }

    fn strays(&mut self, accepted: &[String]) -> Result<Vec<Stray>, StoreError> {
        self.end_watch(accepted)
    }

    fn is_lost(&self) -> bool {
        self.conn.is_autocommit()
    }

    fn put_changes(&mut self, run: i64, changes: &[Change]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO switchback_changes (run, seq, batch, shape, action, target, entity, source, \
                           before, after, hash, earlier, later, entry, checksum) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
        changes.iter().try_for_each(|change| {
            let mut row = change.to_row();
            row.insert(0, run.into());
            self.run(SQL, &row).map(|_| ())
        })
    }

    fn supersede(&mut self, run: i64, pairs: &[(i64, i64)]) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE switchback_changes SET later = ?3 WHERE run = ?1 AND seq = ?2";
        pairs.iter().try_for_each(|(seq, later)| {
            let row = [run.into(), (*seq).into(), (*later).into()];
            self.run(SQL, &row).map(|_| ())
        })
    }

    fn put_entries(&mut self, entries: &[Mapping]) -> Result<(), StoreError> {
        const PUT: &str = "INSERT OR REPLACE INTO switchback_ids \
                           (entity, source, claim, target, gone, digest, sums, run, seq, long) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        const DELETE: &str = "DELETE FROM switchback_ids WHERE entity = ?1 AND source = ?2";
        entries.iter().try_for_each(|mapping| {
            let Some(entry) = &mapping.entry else {
                let source = stored_source(&mapping.source);
                let identity = [mapping.entity.into(), source.as_ref().into()];
                return self.run(DELETE, &identity).map(|_| ());
            };
            self.run(PUT, &entry.to_ledger()).map(|_| ())
        })
    }

    fn counter(&mut self, table: &Table) -> Result<Option<i64>, StoreError> {
        let rows = self.rows(
            "SELECT seq FROM sqlite_sequence WHERE name = ?1",
            &[table.name.as_str().into()],
        )?;
        Ok(rows.first().and_then(|row| row[0].int()))
    }

    fn set_counter(&mut self, table: &Table, value: Option<i64>) -> Result<(), StoreError> {
        let name = Cell::from(table.name.as_str());
        match value {
            Some(value) => self
                .run(
                    "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1",
                    &[name, value.into()],
                )
                .map(|_| ()),
            None => self
                .run("DELETE FROM sqlite_sequence WHERE name = ?1", &[name])
                .map(|_| ()),
        }
    }
}
