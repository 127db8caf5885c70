//! Writing to SQLite.

use std::time::Duration;

use rusqlite::config::DbConfig;

use super::additions;
use super::connect::{Sqlite, quoted};
use super::sql::{equals, spelled};
use crate::catalogue::Table;
use crate::engine::Engine;
use crate::ledger::{Change, Mapping, statements};
use crate::{Cell, Key, Row, StoreError};

impl Sqlite {
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

impl Engine for Sqlite {
    const WAVE: usize = 1;
    const GATHER: Duration = Duration::from_millis(200);

    fn begin(&mut self) -> Result<(), StoreError> {
        self.batch("BEGIN IMMEDIATE")?;
        let same = self.check_identity();
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
        statements("BLOB", "", " WITHOUT ROWID")
            .iter()
            .try_for_each(|sql| self.batch(&spelled(sql)))
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
        let name = |column: &usize| quoted(&table.columns[*column].name);
        let names: Vec<String> = columns.iter().map(name).collect();
        let places: Vec<String> = (1..=columns.len())
            .map(|place| format!("?{place}"))
            .collect();
        let values = if columns.is_empty() {
            "DEFAULT VALUES".to_owned()
        } else {
            format!("({}) VALUES ({})", names.join(", "), places.join(", "))
        };
        let key: Vec<String> = key.iter().map(name).collect();
        let sql = format!(
            "INSERT INTO {} {values} RETURNING {}",
            quoted(&table.name),
            key.join(", ")
        );
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let returned = self.rows(&sql, row)?.into_iter().next();
            let key = returned.ok_or_else(|| StoreError::Constraint {
                message: format!(
                    "a trigger of {} kept the row from being inserted",
                    table.name
                ),
            })?;
            keys.push((Key(key), None));
        }
        Ok(keys)
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
            let set = |(place, (column, _)): (usize, &(usize, Cell))| {
                format!("{} = ?{}", quoted(&table.columns[*column].name), place + 1)
            };
            let sets: Vec<String> = cells.iter().enumerate().map(set).collect();
            let sql = format!(
                "UPDATE {} SET {} WHERE {}",
                quoted(&table.name),
                sets.join(", "),
                equals(table, key, cells.len() + 1)
            );
            let params: Vec<Cell> = cells
                .iter()
                .map(|(_, cell)| cell.clone())
                .chain(row.0.iter().cloned())
                .collect();
            match self.run(&sql, &params)? {
                1 => Ok(()),
                count => Err(StoreError::Constraint {
                    message: format!("{count} rows of {} have key {row}", table.name),
                }),
            }
        });
        self.fire_triggers(true)?;
        done
    }

    fn delete(&mut self, table: &Table, key: &[usize], keys: &[Key]) -> Result<(), StoreError> {
        let sql = format!(
            "DELETE FROM {} WHERE {}",
            quoted(&table.name),
            equals(table, key, 1)
        );
        keys.iter()
            .try_for_each(|row| match self.run(&sql, &row.0)? {
                1 => Ok(()),
                count => Err(StoreError::Constraint {
                    message: format!("{count} rows of {} have key {row}", table.name),
                }),
            })
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
                           (entity, source, claim, target, gone, digest, sums, run, seq) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        const DELETE: &str = "DELETE FROM switchback_ids WHERE entity = ?1 AND source = ?2";
        entries.iter().try_for_each(|mapping| {
            let Some(entry) = &mapping.entry else {
                let identity = [mapping.entity.into(), mapping.source.as_str().into()];
                return self.run(DELETE, &identity).map(|_| ());
            };
            self.run(PUT, &entry.to_row()).map(|_| ())
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
