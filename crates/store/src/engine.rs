//! What a SQL database must be able to do, so that the one writer, undo and ledger serve them all.
//!
//! Everything that goes with the number of rows takes slices: PostgreSQL makes one statement over
//! arrays of a call, SQLite one prepared statement a row (its [`Engine::WAVE`] is 1).

use std::borrow::Cow;
use std::time::Duration;

use contract::plan::{Add, Field};
use serde_json::Value;

use crate::additions::{Addition, Planned};
use crate::catalogue::{Children, Column, ForeignKey, Table, TableName};
use crate::ledger::{Action, Change, Dialect, Entry, Mapping, Statement};
use crate::watch::Stray;
use crate::{Cell, Key, Row, StoreError};

/// About how many bytes of rows, or of images of rows, are held together.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Statements of small number: the ledger's runs, batches, audit and lock.
///
/// A statement names the ledger's tables as `ledger.runs` and its parameters as `?1`, `?2`, …; the
/// target puts its own spelling in their place.
pub trait Sql {
    /// Runs a query on the ledger and returns all rows.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn query(&mut self, sql: &'static str, params: &[Cell]) -> Result<Vec<Row>, StoreError> {
        self.query_made(&sql.into(), params)
    }

    /// Runs a statement on the ledger and returns how many rows it touched.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn execute(&mut self, sql: &'static str, params: &[Cell]) -> Result<u64, StoreError> {
        self.execute_made(&sql.into(), params)
    }

    /// Runs a query on the ledger that is made of parts, and returns all rows.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn query_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<Vec<Row>, StoreError>;

    /// Returns columns of a run's changes, newest first, from before `before`: at most `limit` rows, and no more once
    /// their images have 8 MiB, but one at least.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn changes_before(
        &mut self,
        columns: &'static str,
        run: i64,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Runs a statement on the ledger that is made of parts, and returns how many rows it touched.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn execute_made(&mut self, sql: &Statement, params: &[Cell]) -> Result<u64, StoreError>;

    /// Returns the target's clock, in milliseconds since 1970 (UTC).
    ///
    /// # Errors
    ///
    /// What the target said.
    fn now(&mut self) -> Result<i64, StoreError>;

    /// Makes the lease that has this token last so many milliseconds from now, and returns the
    /// target's clock; nothing where the token is no longer the lease's.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn prolong(&mut self, token: i64, lasts: i64) -> Result<Option<i64>, StoreError> {
        let now = self.now()?;
        let prolonged = self.execute(
            "UPDATE ledger.lock SET expires = ?2 WHERE id = 1 AND token = ?1",
            &[token.into(), (now + lasts).into()],
        )?;
        Ok((prolonged == 1).then_some(now))
    }

    /// Asks a question of the user's, outside of any transaction of ours. It can change nothing.
    ///
    /// # Errors
    ///
    /// What the target said; [`StoreError::Refused`] where the answer is not one yes or no.
    fn is_true(&mut self, question: &str) -> Result<bool, StoreError>;

    /// Returns the version that the target's ledger names, or `None` where there is none. It is asked once,
    /// until [`Sql::forget_ledger`] or the end of the transaction.
    ///
    /// # Errors
    ///
    /// What the target said; a ledger that names no version.
    fn ledger_version(&mut self) -> Result<Option<i64>, StoreError>;

    /// Makes [`Sql::ledger_version`] ask the target.
    fn forget_ledger(&mut self);

    /// Tells whether the target has a ledger.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn has_ledger(&mut self) -> Result<bool, StoreError> {
        Ok(self.ledger_version()?.is_some())
    }

    /// Returns how the ledger's tables are written.
    fn dialect(&self) -> Dialect;

    /// Returns a table of the user's, or `None` where there is none of that name.
    ///
    /// # Errors
    ///
    /// What the target said; a view or another thing that can't be written is refused by name.
    fn table(&mut self, name: &str) -> Result<Option<Table>, StoreError>;

    /// The same for a table that is only read: it may be one that can't be written, such as one with
    /// rules.
    ///
    /// # Errors
    ///
    /// What the target said; a view is refused by name.
    fn readable(&mut self, name: &str) -> Result<Option<Table>, StoreError> {
        self.table(name)
    }

    /// Returns the foreign keys that refer to rows of a table: to itself, to its partitions, and to what it
    /// is a partition of.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn children(&mut self, parent: &Table) -> Result<Children, StoreError>;

    /// Returns a table of the user's by its full name, whatever the login looks at first.
    ///
    /// # Errors
    ///
    /// As [`Sql::table`].
    fn table_at(&mut self, name: &TableName) -> Result<Option<Table>, StoreError>;

    /// Returns the full name of the table that has this number of the target's, where it has any.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn table_name(&mut self, oid: i64) -> Result<Option<TableName>, StoreError> {
        let _ = oid;
        Ok(None)
    }

    /// Returns what a table that is not there would be called for people, as [`Table::name`].
    ///
    /// # Errors
    ///
    /// What the target said.
    fn called(&mut self, name: &TableName) -> Result<String, StoreError> {
        Ok(name.table.clone())
    }

    /// Returns the full names of all tables that somebody may call so, without a schema or with one.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn homes(&mut self, name: &str) -> Result<Vec<TableName>, StoreError>;

    /// Returns the names of all tables of the user's (the ledger's are left out), sorted.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn tables(&mut self) -> Result<Vec<String>, StoreError>;

    /// Returns all that the target says of a table, its indexes and triggers, as a text that stays the
    /// same as long as none of it changes; none where there is no such table.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn definition(&mut self, table: &str) -> Result<Option<String>, StoreError>;

    /// Returns the type of a column and what is said of it (its default), as a text that stays the same as
    /// long as none of it changes; none where there is no such column.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn column_definition(
        &mut self,
        table: &str,
        column: &str,
    ) -> Result<Option<String>, StoreError>;

    /// Tells whether [`Sql::definition`] of a table is still what was noted, by this build or an older one.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn is_defined(&mut self, table: &str, noted: &str) -> Result<bool, StoreError> {
        Ok(self.definition(table)?.as_deref() == Some(noted))
    }

    /// Tells the same of [`Sql::column_definition`].
    ///
    /// # Errors
    ///
    /// What the target said.
    fn is_column_defined(
        &mut self,
        table: &str,
        column: &str,
        noted: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.column_definition(table, column)?.as_deref() == Some(noted))
    }

    /// Returns what the tables of these names will look like once what a plan adds is there; nothing
    /// is left of finding out.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn planned(&mut self, add: &Add, names: &[&str]) -> Result<Planned, StoreError>;

    /// Returns the statements that add a column or a table, and give the rows that are there their
    /// value.
    fn adding(&self, addition: &Addition) -> Vec<String>;

    /// Returns what others built on a table, or on a column of it, by kind and name (`index a`,
    /// `view b`, `table c`): what would break, or go with it.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn built_on(&mut self, table: &str, column: Option<&str>) -> Result<Vec<String>, StoreError>;

    /// Returns a page of the rows in which a column has none of some values, in the order of `key` and
    /// after `after`: at most `limit` rows.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn unlike(
        &mut self,
        table: &Table,
        column: usize,
        values: &[Cell],
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Returns, for each key, the rows whose columns have its values (NULL equals nothing).
    ///
    /// # Errors
    ///
    /// What the target said.
    fn fetch(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Returns of how many of the keys, the first of them, the rows can be held together: they have 8 MiB, or
    /// it is one. All where rows are read one by one.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn held_together(
        &mut self,
        _table: &Table,
        _by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<usize, StoreError> {
        Ok(keys.len())
    }

    /// Returns what [`Sql::fetch`] does for the first of the keys: for as many as have rows of 8 MiB
    /// together, and for one at least.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn fetch_some(
        &mut self,
        table: &Table,
        by: &[usize],
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Returns, for each key, a page of the rows whose columns have its values, in the order of
    /// `order` and after the place given with the key: at most `limit` rows.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn fetch_page(
        &mut self,
        table: &Table,
        by: &[usize],
        order: &[usize],
        keys: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Returns, for each row of a parent, given by the values that a foreign key refers to, a page of the
    /// rows that the target itself takes for its children: at most `limit`, in the order of `order` and
    /// after the place given with the values.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn referring(
        &mut self,
        child: (&Table, &ForeignKey),
        parent: &Table,
        order: &[usize],
        values: &[(Vec<Cell>, Option<Key>)],
        limit: usize,
    ) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Returns, for each row of a child, given by the values of its foreign key, the rows that the target
    /// itself takes for its parent.
    ///
    /// # Errors
    ///
    /// What the target said; that the parent lacks a column of the key.
    fn referred(
        &mut self,
        child: (&Table, &ForeignKey),
        parent: &Table,
        values: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Row>>, StoreError>;

    /// Counts the rows of a table, up to so many if that is said.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn count(&mut self, table: &Table, most: Option<u64>) -> Result<u64, StoreError>;

    /// Returns a page of a table in the order of its key, after `after`: at most `limit` rows.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn page(
        &mut self,
        table: &Table,
        key: &[usize],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Counts the rows of a table whose parent is missing, and returns the first `limit` of them. A
    /// row with a NULL in the foreign key has no parent to miss.
    ///
    /// # Errors
    ///
    /// What the target said; that the parent table or its columns are missing, too.
    fn orphans(
        &mut self,
        child: &Table,
        key: &ForeignKey,
        limit: usize,
    ) -> Result<(u64, Vec<Row>), StoreError>;

    /// Returns the id-map entry of each source key.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn entries(&mut self, entity: i64, keys: &[&str]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Returns the id-map entry that holds each target key, entries of deleted rows last.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn claims(&mut self, claim: i64, targets: &[Key]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Returns a table's name, as the catalogue spells it, for a statement.
    fn quoted(&self, table: &str) -> String {
        format!("\"{}\"", table.replace('"', "\"\""))
    }

    /// Returns the form in which the ledger's `target` columns hold a row's key.
    fn target_cell(&self, key: &Key) -> Cell {
        key.to_cell()
    }

    /// Returns the number of each of some rows that no column shows, where the target has such numbers.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn rowids(
        &mut self,
        table: &Table,
        key: &[usize],
        keys: &[Key],
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let _ = (table, key);
        Ok(vec![None; keys.len()])
    }

    /// Makes the cell that each value of a record becomes in a column, or says in words why the column
    /// can't hold it exactly. PostgreSQL is asked for the text of types that it alone knows, SQLite
    /// never.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn encode(
        &self,
        field: &Field,
        column: &Column,
        values: &[&Value],
    ) -> Result<Vec<Result<Cell, String>>, StoreError>;

    /// The same for one value.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn encode_one(
        &self,
        field: &Field,
        column: &Column,
        value: &Value,
    ) -> Result<Result<Cell, String>, StoreError> {
        let cell = self.encode(field, column, &[value])?.pop();
        cell.ok_or_else(|| StoreError::damaged("a value has no cell"))
    }

    /// Says why a column is no place for what a field holds, if so: before the first write.
    fn misfit(&self, field: &Field, column: &Column) -> Option<String>;

    /// Says what the login may not do with a table of which some columns are written, or, of none,
    /// with the ledger.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn lacks(&mut self, table: Option<(&Table, &[usize])>) -> Result<Vec<String>, StoreError>;

    /// Says what triggers of a table may write beside the row that fires them, as far as the target tells
    /// that beforehand and the plan does not accept it (`accepted`: triggers by name).
    ///
    /// # Errors
    ///
    /// What the target said.
    fn trigger_faults(
        &mut self,
        table: &Table,
        accepted: &[String],
    ) -> Result<Vec<String>, StoreError>;

    /// Returns the triggers that fire when a change of this kind is undone.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn fired(&mut self, table: &Table, undone: Action) -> Result<Vec<String>, StoreError>;

    /// Says why triggers of a table may rewrite what rollback restores, if nothing keeps them quiet.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn loud(&mut self, table: &Table) -> Result<Option<String>, StoreError>;

    /// Says which columns of a table hold text that the target would not write back as it is, and how that is
    /// put right.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn odd_text(&mut self, table: &Table) -> Result<Vec<String>, StoreError> {
        let _ = table;
        Ok(vec![])
    }

    /// Has what is deleted from now on overwritten in the file, where a target would leave it in free pages: rows
    /// that hold secrets, and what the ledger kept of them.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn overwrite_deleted(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Says why the login can't give a ledger of version 1 the tables of version 2, if so.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn no_upgrade(&mut self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Tells whether a trigger or a constraint may end the transaction in which it fires, with all that it holds.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn may_end_transactions(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Tells whether a column holds JSON, so that a text in it is JSON text: PostgreSQL's `json` and
    /// `jsonb`, in SQLite a declared type that contains the word.
    fn is_json(&self, column: &Column) -> bool;

    /// Makes the cell of a row's key that is written as text, or says in words why it is not spelled as
    /// the column's type spells it: the target would read `007` as 7.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn spelled_key(&self, column: &Column, text: &str) -> Result<Result<Cell, String>, StoreError>;

    /// Makes the cell for a key that is written as text.
    fn key_cell(&self, column: &Column, text: &str) -> Cell;

    /// Returns the form in which two cells of a column are compared: json without regard to
    /// layout, lists by element, decimals by value where the plan says so, others as they are.
    fn canonical<'a>(&self, field: Option<&Field>, cell: &'a Cell) -> Cow<'a, Cell>;

    /// Returns the form of a cell that every target shares, for [`crate::fingerprint`]: only json loses
    /// anything by it, its layout. `FORMAT.md` says it in words.
    fn portable(&self, column: &Column, cell: Cell) -> Cell;

    /// Tells whether a text of the target may hold any character of Unicode.
    fn has_all_characters(&self) -> bool {
        true
    }

    /// Says why nothing may be written as this login, whatever it is, if so.
    fn barred(&self) -> Option<String> {
        None
    }

    /// Returns the name of the target for people, without a password.
    fn describe(&self) -> String;
}

/// What a target must be able to do beyond that to be written.
pub trait Engine: Sql {
    /// How many records are resolved and written together.
    const WAVE: usize;

    /// How long batches are gathered for one commit unless asked otherwise: not at all where rows stay
    /// locked meanwhile that others want to write.
    const GATHER: Duration;

    /// Starts a transaction that keeps other writers out of the rows it touches.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Makes the transaction last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`] where it can't be told whether it does.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Undoes the transaction.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn rollback(&mut self) -> Result<(), StoreError>;

    /// Sets a savepoint.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn savepoint(&mut self, name: &str) -> Result<(), StoreError>;

    /// Keeps what was done since a savepoint, once its deferred constraints hold.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn release(&mut self, name: &str) -> Result<(), StoreError>;

    /// Keeps what was done since a savepoint, and lets its deferred constraints wait.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn keep(&mut self, name: &str) -> Result<(), StoreError> {
        self.release(name)
    }

    /// Checks, and fires, all that waits for the end of the transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] for what does not hold.
    fn settle_all(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Tells whether the target has undone the whole transaction by itself.
    fn is_lost(&self) -> bool {
        false
    }

    /// Undoes what was done since a savepoint, and drops it.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn undo_to(&mut self, name: &str) -> Result<(), StoreError>;

    /// Makes the ledger's tables, in the transaction at hand.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn create_ledger(&mut self) -> Result<(), StoreError>;

    /// Changes the catalogue, or all rows of a table at once, in the transaction at hand; no trigger
    /// fires.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] where the target refuses it.
    fn alter(&mut self, statement: &str) -> Result<(), StoreError>;

    /// Inserts rows that set the same columns and returns the key of each, and the whole row where
    /// the target told it and nothing can have changed it since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] for what a record did wrong.
    fn insert(
        &mut self,
        table: &Table,
        columns: &[usize],
        rows: &[Vec<Cell>],
        key: &[usize],
    ) -> Result<Vec<(Key, Option<Row>)>, StoreError>;

    /// Inserts rows that set the same columns, each under its number where that is known and free. Returns
    /// the keys.
    ///
    /// # Errors
    ///
    /// As [`Engine::insert`].
    fn insert_at(
        &mut self,
        table: &Table,
        columns: &[usize],
        rows: &[(Option<i64>, Vec<Cell>)],
        key: &[usize],
    ) -> Result<Vec<Key>, StoreError> {
        let cells: Vec<Vec<Cell>> = rows.iter().map(|(_, cells)| cells.clone()).collect();
        let inserted = self.insert(table, columns, &cells, key)?;
        Ok(inserted.into_iter().map(|(key, _)| key).collect())
    }

    /// Sets columns of rows. `quietly`: without firing triggers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] for what a record did wrong.
    fn update(
        &mut self,
        table: &Table,
        key: &[usize],
        changes: &[(Key, Vec<(usize, Cell)>)],
        quietly: bool,
    ) -> Result<(), StoreError>;

    /// Deletes rows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Constraint`] where another row depends on one.
    fn delete(&mut self, table: &Table, key: &[usize], keys: &[Key]) -> Result<(), StoreError>;

    /// Returns the columns, by position, of a table's constraint or index that an error names; none
    /// where the target names the column itself.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn columns_of(&mut self, _: &Table, _: &str) -> Result<Vec<usize>, StoreError> {
        Ok(vec![])
    }

    /// Returns the first column that refuses its value by itself, where the target can be asked without
    /// writing; asked in a savepoint that is undone.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn first_refused(
        &mut self,
        _: &Table,
        _: &[(usize, Cell)],
    ) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }

    /// Begins to count what triggers, and the actions of foreign keys, write beside the rows that are
    /// sent to a table.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn watch(&mut self, table: &Table) -> Result<(), StoreError>;

    /// Ends that, and returns what was written so and the plan does not accept (`accepted`: triggers by
    /// name).
    ///
    /// # Errors
    ///
    /// What the target said.
    fn strays(&mut self, accepted: &[String]) -> Result<Vec<Stray>, StoreError>;

    /// Writes changes of a run.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn put_changes(&mut self, run: i64, changes: &[Change]) -> Result<(), StoreError>;

    /// Notes of changes that a later one of the same run touched the same row: both by sequence.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn supersede(&mut self, run: i64, pairs: &[(i64, i64)]) -> Result<(), StoreError>;

    /// Writes id-map entries: each identity gets the entry, or none.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn put_entries(&mut self, entries: &[Mapping]) -> Result<(), StoreError>;

    /// Returns the counter of a table that counts ids, or `None` before the first.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn counter(&mut self, table: &Table) -> Result<Option<i64>, StoreError>;

    /// Sets the counter of a table.
    ///
    /// # Errors
    ///
    /// What the target said.
    fn set_counter(&mut self, table: &Table, value: Option<i64>) -> Result<(), StoreError>;
}
