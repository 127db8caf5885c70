//! The inverse of a run as record lines: for a person, or for another bundle. It needs the ledger
//! alone, and makes do with a damaged one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use contract::plan::LoadedPlan;
use contract::record::{At, Op};
use contract::seal::{Account, Seal};
use contract::stream::RecordWriter;
use contract::talk::counted;
use contract::{Exit, Failure, Record, Talk};
use serde_json::{Map, Value, json};
use store::ledger::{self, Action, Change, Run, RunStatus, Shape};
use store::{Cell, Key, Sql, StoreError};

use crate::inverse::Inverse;
use crate::run::refused;

/// How many changes are read at a time.
const PAGE: usize = 1000;

/// Writes the inverse of a run: a line a row, newest change first, and the seal. `save_plan`: where
/// to write a plan under which the other programs take the lines. `with_secrets`: values of secret columns are
/// among them.
pub(crate) fn export(
    sql: &mut dyn Sql,
    run: &Run,
    (save_plan, with_secrets): (Option<&Path>, bool),
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone())?;
    let out = BufWriter::new(out);
    let mut export = Export {
        system: plan.plan.system.clone(),
        file: format!("run-{}", run.id),
        shapes: BTreeMap::new(),
        inverse: Inverse::default(),
        again: 0,
        lost: 0,
        secret: if with_secrets {
            BTreeMap::new()
        } else {
            secret(&plan.plan)
        },
        left_out: BTreeSet::new(),
        first_lost: None,
    };
    let mut out = RecordWriter::new(out);
    let left = left(sql, run).map_err(refused)?;
    let detached = detached(sql, run).map_err(refused)?;
    let standing = (1..=run.last_seq).rev();
    let standing = standing.filter(|seq| left.as_ref().is_none_or(|left| left.contains(seq)));
    for seq in detached.into_iter().chain(standing) {
        match export.record(sql, run, seq) {
            Ok(Some(record)) => {
                out.record(&record)?;
            }
            Ok(None) => {}
            Err(StoreError::Damaged { message }) => {
                export.lost += 1;
                export
                    .first_lost
                    .get_or_insert(format!("change {seq}: {message}"));
            }
            Err(error) => return Err(refused(error).into()),
        }
    }
    by_hand(sql, run, &plan.plan, talk).map_err(refused)?;
    let digest = match save_plan {
        None => plan.digest,
        Some(path) => {
            let text = export.inverse.plan(sql, &plan, &export.file)?;
            system::files::write_atomic(path, text.as_bytes())
                .with_context(|| format!("writing {}", path.display()))?;
            LoadedPlan::parse(path, text)?.digest
        }
    };
    let account = |(entity, count): (&String, u64)| Account {
        entity: entity.clone(),
        file: export.file.clone(),
        items: count,
        used: count,
        records: count,
        ..Account::default()
    };
    let accounts: Vec<Account> = export.inverse.counts().map(account).collect();
    let records = accounts.iter().map(|account| account.records).sum();
    let seal = Seal {
        stage: "rollback".into(),
        rules: contract::RULES,
        plan: digest,
        sources: Vec::new(),
        records,
        rejected: 0,
        ignored: 0,
        filtered: 0,
        accounts,
        before: Vec::new(),
        follow_up: false,
        unsealed: false,
        lines: Some(out.lines()),
        edited: contract::Edited::No,
        run: Some(run.id.clone()),
    };
    out.seal(&seal)?;
    talk.say(format!(
        "{} of run {} can be reversed by these lines",
        counted(records, "row"),
        run.id
    ));
    export.warn(run, save_plan.is_some(), talk);
    match export.first_lost {
        None => Ok(Exit::Done),
        Some(first) => {
            let message = format!(
                "{} changes of run {} do not read, or hold what no line can, and are left out; the first: {first}",
                export.lost, run.id
            );
            Err(Failure::new(Exit::No, message)
                .hint("rollback --snapshot takes back the whole target, if there is one")
                .into())
        }
    }
}

/// Returns the secret columns of each entity.
fn secret(plan: &contract::Plan) -> BTreeMap<String, Vec<String>> {
    let of = |entity: &contract::plan::Entity| {
        let fields = entity.fields.iter().filter(|(_, field)| field.secret);
        fields.map(|(column, _)| column.clone()).collect()
    };
    plan.entity
        .iter()
        .map(|entity| (entity.name.clone(), of(entity)))
        .collect()
}

/// Returns the changes that were left of a run that is rolled back; none of one that is not.
fn left(sql: &mut dyn Sql, run: &Run) -> Result<Option<BTreeSet<i64>>, StoreError> {
    if run.status != RunStatus::RolledBack {
        return Ok(None);
    }
    let mut left = BTreeSet::new();
    let mut before = i64::MAX;
    loop {
        let page = ledger::kept(sql, run.seq, before, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(Some(left));
        };
        before = last.seq;
        let stays = page.iter().filter(|kept| kept.reason != "gone");
        left.extend(stays.map(|kept| kept.seq));
    }
}

/// Returns the changes by which a rollback of the run set references of others NULL, newest first.
fn detached(sql: &mut dyn Sql, run: &Run) -> Result<Vec<i64>, StoreError> {
    let statement = "SELECT seq FROM ledger.changes WHERE run = ?1 AND seq > ?2 ORDER BY seq DESC";
    let rows = sql.query(statement, &[run.seq.into(), run.last_seq.into()])?;
    Ok(rows.iter().filter_map(|row| row[0].int()).collect())
}

/// Says what no record line can: how to take away what the run added.
fn by_hand(
    sql: &mut dyn Sql,
    run: &Run,
    plan: &contract::Plan,
    talk: &Talk,
) -> Result<(), StoreError> {
    for added in ledger::added(sql, run.seq, plan)?.iter().rev() {
        let column = added.column.as_deref();
        talk.say(format!(
            "{} was added by the run; after the lines: {};",
            store::called(&added.table, column),
            store::drop_statement(sql, &added.table, column)
        ));
    }
    Ok(())
}

struct Export {
    system: String,
    file: String,
    shapes: BTreeMap<i64, Shape>,
    inverse: Inverse,
    /// Rows that the run inserted and then changed, by a late reference.
    again: u64,
    lost: u64,
    /// The secret columns of each entity, where their values are left out.
    secret: BTreeMap<String, Vec<String>>,
    /// Those of them that were.
    left_out: BTreeSet<String>,
    first_lost: Option<String>,
}

impl Export {
    /// Says what the lines do not take back.
    fn warn(&self, run: &Run, with_plan: bool, talk: &Talk) {
        if !self.left_out.is_empty() {
            let columns: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            talk.warn(format!(
                "secret columns are left out, so that these lines do not restore them: {}; rollback {} does, and --with-secrets writes them here",
                columns.join(", "),
                run.id
            ));
        }
        if with_plan && self.again > 0 {
            talk.warn(format!(
                "{} that the run inserted got late references: a bundle does not delete rows that refer to one another in a \
                 circle; rollback {} does",
                counted(self.again, "row"), run.id
            ));
        }
    }

    /// What takes back all that the run did to a row, told at its last change.
    fn record(
        &mut self,
        sql: &mut dyn Sql,
        run: &Run,
        seq: i64,
    ) -> Result<Option<Record>, StoreError> {
        let missing = || StoreError::Damaged {
            message: "it is missing".into(),
        };
        let last = ledger::change(sql, run.seq, seq)?.ok_or_else(missing)?;
        if last.later.is_some() {
            return Ok(None);
        }
        let shape = self.shape(sql, last.shape)?;
        let (mut before, mut actions) = (last.before.0.clone(), vec![last.action]);
        let place = |(place, _): &(usize, Cell)| *place;
        let mut written: BTreeSet<usize> = last.after.0.iter().map(place).collect();
        let mut at = last.earlier;
        while let Some(seq) = at {
            let change = ledger::change(sql, run.seq, seq)?.ok_or_else(missing)?;
            // What was there before the first of them counts.
            before.retain(|(place, _)| change.before.get(*place).is_none());
            written.extend(change.after.0.iter().map(place));
            before.extend(change.before.0);
            actions.push(change.action);
            at = change.earlier;
        }
        let no_row = [Action::Map, Action::Keep, Action::Column, Action::Table];
        actions.retain(|action| !no_row.contains(action));
        let (Some(newest), Some(action)) = (actions.first(), actions.last().copied()) else {
            return Ok(None);
        };
        if action == Action::Insert && *newest == Action::Delete {
            return Ok(None);
        }
        let (entity, source) = self.name(sql, &last, &shape)?;
        let secret: Vec<String> = match self.secret.get(&entity) {
            // Which row it is must be said.
            Some(columns) => columns
                .iter()
                .filter(|column| !shape.key.contains(column))
                .cloned()
                .collect(),
            None => Vec::new(),
        };
        let inverse = self.inverse.entity(sql, &entity, &shape)?;
        // The id map does not know rows of others.
        inverse.others |= action == Action::Detach;
        inverse.records += 1;
        self.again += u64::from(action == Action::Insert && actions.len() > 1);
        let (op, target, fields) = if action == Action::Insert {
            (Op::Delete, Some(key(&last.target)?), Map::new())
        } else {
            // Which row it is, for whoever has no id map.
            let place = |name: &String| shape.columns.iter().position(|column| column == name);
            let own = shape.key.iter().filter_map(place).zip(last.target.0);
            before.retain(|(place, _)| {
                let column = shape.columns.get(*place);
                column.is_some_and(|column| !shape.key.contains(column))
            });
            if action == Action::Detach {
                // The references alone: what a trigger made of it is its own affair.
                before.retain(|(place, _)| written.contains(place));
            }
            before.extend(own);
            before.sort_by_key(|(place, _)| *place);
            let mut fields = Map::new();
            for (place, cell) in before {
                let column = &shape.columns[place];
                if secret.contains(column) {
                    self.left_out.insert(format!("{}.{column}", shape.table));
                    continue;
                }
                if inverse.note(column, &cell) {
                    let json = inverse.is_json(column).then(|| cell.text()).flatten();
                    let value = match json {
                        Some(text) => parsed(column, text)?,
                        None => value(cell).map_err(|error| StoreError::Damaged {
                            message: format!("column {column} of {}: {error}", shape.table),
                        })?,
                    };
                    fields.insert(column.clone(), value);
                }
            }
            (Op::Put, None, fields)
        };
        Ok(Some(Record {
            entity,
            key: source,
            op,
            target,
            to: None,
            at: At {
                file: self.file.clone(),
                line: seq.unsigned_abs(),
                item: None,
            },
            fields,
            refs: indexmap::IndexMap::new(),
            lookups: indexmap::IndexMap::new(),
        }))
    }

    fn shape(&mut self, sql: &mut dyn Sql, id: i64) -> Result<Shape, StoreError> {
        if let Some(shape) = self.shapes.get(&id) {
            return Ok(shape.clone());
        }
        let shape = ledger::shape_of(sql, id)?;
        self.shapes.insert(id, shape.clone());
        Ok(shape)
    }

    /// The record's entity and key; of a row without identity its table and key.
    fn name(
        &self,
        sql: &mut dyn Sql,
        change: &Change,
        shape: &Shape,
    ) -> Result<(String, String), StoreError> {
        let Some((entity, source)) = &change.identity else {
            // The name of an entity is of these characters.
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let name = shape.table.chars().map(plain).collect();
            return Ok((name, change.target.to_string()));
        };
        let name = ledger::entity_of(sql, *entity, &self.system)?;
        Ok((name, source.clone()))
    }
}

fn key(key: &Key) -> Result<Value, StoreError> {
    let key = match key.0.as_slice() {
        [only] => value(only.clone()),
        cells => cells.iter().cloned().map(value).collect(),
    };
    key.map_err(|message| StoreError::Damaged { message })
}

/// What a column of JSON holds, as a record line says it.
fn parsed(column: &str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged {
        message: format!("{column} held a text that is no JSON: no record line can say that"),
    })
}

/// The value of a line, or why a line can't hold it: a line is Unicode.
fn value(cell: Cell) -> Result<Value, String> {
    Ok(match cell {
        Cell::Raw(_) | Cell::Folded(_) => return Err(format!("{cell}")),
        Cell::Null => Value::Null,
        Cell::Int(number) => json!(number),
        Cell::Real(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| json!(number.to_string()), Value::Number),
        Cell::Text(text) => Value::String(text),
        Cell::Blob(bytes) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").ok();
                hex
            });
            json!({"hex": hex})
        }
    })
}
