//! Columns and tables that a plan adds: tried first in a transaction that is rolled back, where the
//! server itself says what can be added, and what can be taken away again.

use contract::plan::{Add, NewColumn, NewTable};
use postgres::types::Type;

use super::connect::{Postgres, quoted};
use super::definition::Keys;
use super::error::refusal;
use crate::additions::{Addition, Planned, drop_statement, literal, on_delete};
use crate::catalogue::ForeignKey;
use crate::trial::{Found, Trial, try_out};
use crate::{Sql, StoreError, Table};

impl Postgres {
    /// Tries out what a plan adds. Nothing else of the transaction at hand is lost.
    pub(super) fn try_additions(
        &mut self,
        add: &Add,
        names: &[&str],
    ) -> Result<Planned, StoreError> {
        let inside = self.open.get();
        let begun = if inside {
            self.batch("SAVEPOINT trial")
        } else {
            self.open.set(true);
            self.broken.set(false);
            let settings = self.begin_firing();
            self.batch(&format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {settings}"
            ))
        };
        let planned = begun.and_then(|()| try_out(self, add, names));
        let ended = if inside {
            self.batch("ROLLBACK TO trial; RELEASE trial")
        } else {
            self.open.set(false);
            self.batch("ROLLBACK")
        };
        self.unsettled();
        self.broken.set(ended.is_err());
        self.forget_tables();
        let planned = planned?;
        ended.map(|()| planned)
    }

    /// Returns the statements that add it. The rows that are there get their value as a default that
    /// lasts for a moment: none of them is written, and no trigger fires.
    pub(super) fn adding_of(&self, addition: &Addition) -> Vec<String> {
        let Addition::Column(new) = addition else {
            return vec![addition.statement(self)];
        };
        let Some(initial) = &new.initial else {
            return vec![addition.statement(self)];
        };
        let first = NewColumn {
            default: Some(initial.clone()),
            ..new.clone()
        };
        let default = match &new.default {
            Some(default) => format!("SET DEFAULT {}", literal(default)),
            None => "DROP DEFAULT".into(),
        };
        let (table, column) = (self.quoted(&new.table), quoted(&new.column));
        vec![
            Addition::Column(first).statement(self),
            format!("ALTER TABLE {table} ALTER COLUMN {column} {default}"),
        ]
    }

    /// Changes the catalogue. What waits for the COMMIT is checked first, as the server changes no
    /// table that has some of it.
    pub(super) fn change_catalogue(&mut self, statement: &str) -> Result<(), StoreError> {
        self.forget_tables();
        self.settle()?;
        self.unpin()?;
        let mut why = None;
        let done = self.with(|client| {
            let done = client.batch_execute(statement);
            why = done.as_ref().err().and_then(refusal);
            done
        });
        match why {
            Some(message) => Err(StoreError::constraint(message)),
            None => done,
        }
    }

    /// Runs statements and says why the server refuses them, if it does: nothing of them stands then.
    fn attempt(&mut self, statements: &[String]) -> Result<Result<(), String>, StoreError> {
        self.batch("SAVEPOINT attempt")?;
        let done = statements
            .iter()
            .try_for_each(|statement| self.change_catalogue(statement));
        match done {
            Ok(()) => self.batch("RELEASE attempt").map(Ok),
            Err(
                StoreError::Constraint { message, .. }
                | StoreError::Statement { message, .. }
                | StoreError::Refused { message },
            ) => {
                self.batch("ROLLBACK TO attempt; RELEASE attempt")?;
                self.unsettled();
                self.broken.set(false);
                Ok(Err(message))
            }
            Err(other) => Err(other),
        }
    }

    /// What a temporary table looks like that is made for it.
    fn sample(&mut self, addition: &Addition) -> Result<Result<String, String>, StoreError> {
        let name = format!("pg_temp.{}", addition.table());
        let spelled = format!("pg_temp.{}", quoted(addition.table()));
        self.names.insert(name.clone(), spelled.clone());
        let make = match addition {
            Addition::Column(new) => {
                let new = NewColumn {
                    table: name,
                    ..new.clone()
                };
                vec![
                    format!("CREATE TABLE {spelled} ()"),
                    Addition::Column(new).statement(self),
                ]
            }
            // A temporary table may not refer to one that lasts.
            Addition::Table(new) => {
                let new = NewTable {
                    table: name,
                    foreign_keys: vec![],
                    ..new.clone()
                };
                vec![Addition::Table(new).statement(self)]
            }
        };
        if let Err(message) = self.attempt(&make)? {
            return Ok(Err(message));
        }
        match addition {
            Addition::Column(new) => self.column_words(&spelled, &new.column).map(Ok),
            Addition::Table(new) => {
                let keys = self.wanted_keys(new)?;
                self.table_words(&spelled, &keys).map(Ok)
            }
        }
    }

    fn wanted_keys(&mut self, new: &NewTable) -> Result<Keys, StoreError> {
        let mut keys = Keys::default();
        for key in &new.foreign_keys {
            let parent = self.table(&key.table)?;
            let parent = parent.map_or_else(|| key.table.clone(), |parent| parent.name);
            keys.add(&key.columns, &parent, &key.to, on_delete(key.on_delete));
        }
        Ok(keys)
    }
}

impl Trial for Postgres {
    fn sql(&mut self) -> &mut dyn Sql {
        self
    }

    fn find(&mut self, addition: &mut Addition) -> Result<Found, StoreError> {
        let table = match self.table(addition.table()) {
            Err(StoreError::Refused { message }) => return Ok(Found::Unfit(message)),
            other => other?,
        };
        Ok(match (addition, table) {
            (Addition::Table(new), None) => {
                self.learn_schema(&new.table)?;
                for key in &new.foreign_keys {
                    self.learn_parent(&key.table)?;
                }
                Found::Nothing
            }
            (Addition::Table(_), Some(table)) => {
                let spelled = self.quoted(&table.name);
                Found::There(self.table_words(&spelled, &keys_of(&table))?)
            }
            (Addition::Column(_), None) => Found::NoTable,
            (Addition::Column(new), Some(table)) => {
                new.table.clone_from(&table.name);
                if table.position(&new.column).is_some() {
                    let spelled = self.quoted(&table.name);
                    Found::There(self.column_words(&spelled, &new.column)?)
                } else {
                    Found::Nothing
                }
            }
        })
    }

    fn wanted(&mut self, addition: &Addition) -> Result<String, StoreError> {
        self.batch("SAVEPOINT sample")?;
        let words = self.sample(addition)?;
        self.batch("ROLLBACK TO sample; RELEASE sample")?;
        self.unsettled();
        self.forget_tables();
        Ok(words.unwrap_or_else(|message| format!("nothing that PostgreSQL makes ({message})")))
    }

    fn make(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError> {
        let made = self.attempt(&self.adding_of(addition))?;
        if let (Ok(()), Addition::Column(new)) = (&made, addition) {
            let words = self.column_words(&self.quoted(&new.table), &new.column)?;
            if words.contains("nextval(") {
                let message = format!(
                    "{} counts up: what rows have in it could not be told from what others put there",
                    new.kind
                );
                return Ok(Err(message));
            }
        }
        Ok(made)
    }

    fn take_away(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError> {
        let drop = drop_statement(self, addition.table(), addition.column());
        self.attempt(&[drop])
    }
}

impl Postgres {
    /// Learns how a table is called that a new one refers to: one that is there, or is made before it.
    fn learn_parent(&mut self, name: &str) -> Result<(), StoreError> {
        match self.table(name) {
            Ok(Some(table)) => {
                let spelled = self.quoted(&table.name);
                self.names.insert(name.to_owned(), spelled);
                Ok(())
            }
            // What can't be referred to is for the server to say.
            Ok(None) | Err(StoreError::Refused { .. }) => self.learn_schema(name),
            Err(other) => Err(other),
        }
    }

    /// Learns how a table is called that is to be made in a schema which its name begins with.
    fn learn_schema(&mut self, table: &str) -> Result<(), StoreError> {
        let Some((schema, name)) = table.split_once('.') else {
            return Ok(());
        };
        let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
        if !self.look(sql, &[(&schema, Type::TEXT)])?.is_empty() {
            let spelled = format!("{}.{}", quoted(schema), quoted(name));
            self.names.insert(table.to_owned(), spelled);
        }
        Ok(())
    }
}

fn keys_of(table: &Table) -> Keys {
    let mut keys = Keys::default();
    for key in &table.foreign_keys {
        let name = |place: &usize| table.columns[*place].name.clone();
        let ForeignKey {
            columns,
            parent,
            parent_columns,
            on_delete,
            ..
        } = key;
        let columns: Vec<String> = columns.iter().map(name).collect();
        keys.add(&columns, parent, parent_columns, on_delete);
    }
    keys
}
