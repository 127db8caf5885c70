//! Writing rows: what was decided is done, read back, compared, and noted.

use contract::{FieldError, Record};
use serde_json::Value;
use uuid::Uuid;

use super::decide::{Decision, Wanted};
use super::locate::Faults;
use super::resolve::error;
use super::wave::Task;
use super::{Bound, Fault, Writer};
use crate::{Cell, Engine, Key, Row, StoreError};

/// The namespace of ids that are derived from a record's identity (UUID version 5, RFC 9562).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0a_3c1e_7f0b_5d0e_9a53_1f8f_5c7e_2b41);

/// Returns the UUID that `id.from = "uuid"` gives a record: equal on every machine.
#[must_use]
pub fn derived_id(system: &str, entity: &str, key: &str) -> String {
    let identity = contract::key::join(&[system, entity, key]);
    Uuid::new_v5(&NAMESPACE, identity.as_bytes())
        .hyphenated()
        .to_string()
}

/// A row as it was written.
pub(super) struct Written {
    pub key: Key,
    /// Whether the run's tag was added.
    pub tagged: bool,
    /// As it was read back.
    pub after: Row,
}

/// A row that is to be written.
struct Draft {
    /// Its task, by place.
    task: usize,
    cells: Vec<(usize, Cell)>,
    tagged: bool,
}

impl<E: Engine> Writer<E> {
    /// Inserts and updates the rows of tasks, and reads them back.
    pub(super) fn write_rows(
        &mut self,
        bound: &Bound,
        tasks: &[Task<'_>],
    ) -> Result<Vec<Option<Written>>, Fault> {
        let (inserts, mut updates) = self.drafts(bound, tasks)?;
        let binding = &bound.binding;
        let mut keys: Vec<(Key, Option<Row>)> = Vec::with_capacity(updates.len() + inserts.len());
        let mut changes: Vec<(Key, Vec<(usize, Cell)>)> = Vec::with_capacity(updates.len());
        // The target takes those that set the same columns together.
        updates.sort_by(|a, b| columns(&a.cells).cmp(columns(&b.cells)));
        for draft in &mut updates {
            let before = tasks[draft.task].item.located.row.as_ref();
            let old = before.map_or(Key(vec![]), |row| binding.key_of(row));
            keys.push((moved(&binding.key, &old, &draft.cells), None));
            changes.push((old, std::mem::take(&mut draft.cells)));
        }
        let rows: Vec<&[(usize, Cell)]> =
            inserts.iter().map(|draft| draft.cells.as_slice()).collect();
        keys.extend(self.watched(&binding.table, |this| {
            this.engine
                .update(&binding.table, &binding.key, &changes, false)?;
            this.insert_rows(bound, &rows)
        })?);
        for (draft, (_, cells)) in updates.iter_mut().zip(changes) {
            draft.cells = cells;
        }
        let drafts: Vec<Draft> = updates.into_iter().chain(inserts).collect();
        let mut faults = Faults::new();
        let place = |draft: &Draft| tasks[draft.task].item.at;
        let mut written: Vec<Option<Written>> = tasks.iter().map(|_| None).collect();
        let unknown = keys.iter().filter(|(_, row)| row.is_none());
        let unknown: Vec<Key> = unknown.map(|(key, _)| key.clone()).collect();
        let mut found = self.rows_at(bound, &unknown)?.into_iter();
        for (draft, (key, row)) in drafts.iter().zip(keys) {
            let row = row.or_else(|| found.next().flatten());
            let row = kept(bound, &key, row)?;
            let errors = self.differences(bound, &row, &draft.cells);
            if !errors.is_empty() {
                faults.push((place(draft), errors));
            }
            written[draft.task] = Some(Written {
                key,
                tagged: draft.tagged,
                after: row,
            });
        }
        let created = |task: &usize| matches!(tasks[*task].decision, Decision::Insert);
        let created: Vec<usize> = drafts
            .iter()
            .map(|draft| draft.task)
            .filter(created)
            .collect();
        let asked = created
            .iter()
            .filter_map(|task| Some((tasks[*task].item.record, &written[*task].as_ref()?.key)));
        let asked: Vec<(&Record, &Key)> = asked.collect();
        let claimed = self.claimed(bound, &asked)?;
        let claimed = created.iter().zip(claimed);
        faults
            .extend(claimed.filter_map(|(task, error)| Some((tasks[*task].item.at, vec![error?]))));
        if !faults.is_empty() {
            return Err(Fault::of(faults));
        }
        Ok(written)
    }

    /// Makes the rows to be inserted, and those to be updated.
    fn drafts(
        &mut self,
        bound: &Bound,
        tasks: &[Task<'_>],
    ) -> Result<(Vec<Draft>, Vec<Draft>), Fault> {
        let (mut inserts, mut updates, mut faults) = (Vec::new(), Vec::new(), Faults::new());
        let stamps = self.run_cells(bound)?;
        for (place, task) in tasks.iter().enumerate() {
            let at = task.item.at;
            let before = task.item.located.row.as_ref();
            let mut cells: Vec<(usize, Cell)> = Vec::new();
            let mut want = |chosen: &dyn Fn(&Wanted) -> bool| {
                let wanted = task.item.wanted.iter().filter(|wanted| chosen(wanted));
                cells.extend(wanted.map(|wanted| (wanted.place, wanted.cell.clone())));
            };
            match &task.decision {
                Decision::Insert => {
                    want(&|_| true);
                    if let Some((id, _)) = bound.binding.id
                        && let Some(own) = self.own_id(bound, task.item.record)
                    {
                        cells.insert(0, (id, own));
                    }
                }
                Decision::Update { columns, .. } => {
                    want(&|wanted| columns.contains(&wanted.place));
                    if let Some(row) = before {
                        faults.extend(
                            self.check_key_change(bound, row, columns)?
                                .map(|error| (at, vec![error])),
                        );
                    }
                }
                _ => continue,
            }
            match &stamps {
                Ok(stamps) => cells.extend(stamps.iter().cloned()),
                Err(errors) => faults.push((at, errors.clone())),
            }
            let before = before.filter(|_| task.decision != Decision::Insert);
            match self.add_tag(bound, before, &mut cells) {
                Ok(tagged) => {
                    let draft = Draft {
                        task: place,
                        cells,
                        tagged,
                    };
                    if before.is_some() {
                        updates.push(draft);
                    } else {
                        inserts.push(draft);
                    }
                }
                Err(errors) => faults.push((at, errors)),
            }
        }
        if faults.is_empty() {
            Ok((inserts, updates))
        } else {
            Err(Fault::of(faults))
        }
    }

    /// Inserts rows, neighbours that set the same columns together, and returns their keys, and what the
    /// target told of them.
    pub(super) fn insert_rows(
        &mut self,
        bound: &Bound,
        rows: &[&[(usize, Cell)]],
    ) -> Result<Vec<(Key, Option<Row>)>, Fault> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let binding = &bound.binding;
        self.note_counter(bound)?;
        let mut keys: Vec<(Key, Option<Row>)> = Vec::with_capacity(rows.len());
        // In their order, which a counter of the target follows.
        for group in rows.chunk_by(|a, b| columns(a).eq(columns(b))) {
            let places: Vec<usize> = columns(group[0]).collect();
            let cells = |row: &&[(usize, Cell)]| row.iter().map(|(_, cell)| cell.clone()).collect();
            let values: Vec<Vec<Cell>> = group.iter().map(cells).collect();
            keys.extend(
                self.engine
                    .insert(&binding.table, &places, &values, &binding.key)?,
            );
        }
        if keys.len() < rows.len() {
            return Err(Fault::Some("the insert returned no key".into()));
        }
        Ok(keys)
    }

    /// Says which columns of a row that was read back are not as they were sent: triggers may have
    /// changed it after the statement.
    pub(super) fn differences(
        &self,
        bound: &Bound,
        row: &Row,
        sent: &[(usize, Cell)],
    ) -> Vec<FieldError> {
        let binding = &bound.binding;
        let mut errors = Vec::new();
        for (place, sent) in sent.iter().filter(|(place, _)| !binding.is_loose(*place)) {
            let field = binding.field(*place);
            if self.engine.canonical(field, &row[*place]) != self.engine.canonical(field, sent)
                && !super::stamps::same_list(bound, *place, &row[*place], sent)
            {
                let secret = field.is_some_and(|field| field.secret);
                let (sent, found) = if secret {
                    ("***".into(), "***".into())
                } else {
                    (sent.to_string(), row[*place].to_string())
                };
                let message =
                    format!("{sent} was sent and reads back as {found}: the target changed it");
                errors.push(error(
                    Some(&binding.table.columns[*place].name),
                    "readback",
                    message,
                ));
            }
        }
        errors
    }

    /// Notes the counter of a table before the run's first insert into it.
    fn note_counter(&mut self, bound: &Bound) -> Result<(), StoreError> {
        let table = &bound.binding.table;
        if !table.counted {
            return Ok(());
        }
        let mut counters = crate::ledger::counters_of(self.the_run()?)?;
        if counters.contains_key(&table.name) {
            return Ok(());
        }
        let before = self.engine.counter(table)?;
        counters.insert(table.name.clone(), serde_json::json!([before, before]));
        self.the_run()?.counters = Value::Object(counters).to_string();
        Ok(())
    }
}

fn columns(cells: &[(usize, Cell)]) -> impl Iterator<Item = usize> {
    cells.iter().map(|(place, _)| *place)
}

/// The row that was read back.
pub(super) fn kept(bound: &Bound, key: &Key, row: Option<Row>) -> Result<Row, Fault> {
    row.ok_or_else(|| {
        let table = &bound.binding.table.name;
        Fault::Some(format!("the row {key} of {table} was not kept"))
    })
}

/// The key of a row after an update: the key itself may be among the columns that were written.
fn moved(places: &[usize], old: &Key, cells: &[(usize, Cell)]) -> Key {
    let cell = |(place, old): (&usize, &Cell)| {
        let written = cells.iter().find(|(written, _)| written == place);
        written.map_or(old, |(_, cell)| cell).clone()
    };
    Key(places.iter().zip(&old.0).map(cell).collect())
}
