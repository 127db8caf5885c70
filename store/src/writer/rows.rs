//! Writing rows: what was decided is done, read back, compared, and noted.

use contract::Record;
use contract::plan::IdFrom;
use serde_json::Value;
use uuid::Uuid;

use super::decide::{Decision, Found, Wanted, decide};
use super::resolve::{Located, error, run_value};
use super::{Bound, Decided, Fault, Writer};
use crate::binding::From;
use crate::cell::row_hash;
use crate::ledger::{self, Action, Change, Entry};
use crate::{Cell, Engine, Image, Key, Row, StoreError};

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

impl<E: Engine> Writer<E> {
    /// Puts a record: inserts its row, updates it, or leaves it.
    pub(super) fn put(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        late: bool,
    ) -> Result<Decided, Fault> {
        let wanted = self.wanted(bound, record, late)?;
        let located = self.locate(bound, record, &wanted)?;
        let full = record.digest().to_vec();
        let digest = if late {
            full.clone()
        } else {
            put_digest(bound, record, &full)
        };
        let same = located
            .entry
            .as_ref()
            .is_some_and(|entry| entry.digest == digest || entry.digest == full);
        let run = self.the_run()?.seq;
        let decision = {
            let canonical = |place: usize| {
                located
                    .row
                    .as_ref()
                    .map_or(Cell::Null, |row| self.comparable(bound, place, &row[place]))
            };
            let found = located.row.as_ref().map(|_| Found {
                canonical: &canonical,
            });
            decide(
                &bound.binding.entity,
                located.entry.as_ref(),
                found,
                &wanted,
                same,
            )
        };
        let names = |places: &[usize]| -> Vec<String> {
            places
                .iter()
                .map(|place| bound.binding.table.columns[*place].name.clone())
                .collect()
        };
        let mut decided = Decided {
            at: record.at.clone(),
            key: record.key.clone(),
            action: "unchanged",
            target: located.row.as_ref().map(|row| bound.binding.key_of(row)),
            before: row_before(located.entry.as_ref(), located.row.as_ref(), run),
            columns: vec![],
            drifted: vec![],
            overwritten: vec![],
        };
        match decision {
            Decision::Fail {
                rule,
                message,
                column,
            } => {
                let column = column.map(|place| bound.binding.table.columns[place].name.as_str());
                return Err(Fault::Record(vec![error(column, rule, message)]));
            }
            Decision::Insert if late => {
                let message = "its row is not there, so that its late references can't be written";
                return Err(Fault::Record(vec![error(None, "gone", message)]));
            }
            Decision::Insert => {
                decided.action = "created";
                let key = self.insert(bound, batch, record, &wanted, located.entry, digest)?;
                let derived = bound
                    .binding
                    .id
                    .is_some_and(|(_, from)| from != IdFrom::Target);
                decided.target = (derived || !self.dry).then_some(key);
            }
            Decision::Update {
                columns,
                overwritten,
                kept,
            } => {
                decided.action = if late { "linked" } else { "updated" };
                decided.columns = names(&columns);
                (decided.overwritten, decided.drifted) = (names(&overwritten), names(&kept));
                self.update(bound, batch, record, &wanted, located, &columns, digest)?;
            }
            Decision::Unchanged { drifted, remember } => {
                decided.drifted = names(&drifted);
                if remember {
                    self.remember(bound, batch, record, &wanted, located, digest)?;
                }
            }
            Decision::Skip { reason, adopt } => {
                decided.action = "skipped";
                decided.columns = vec![reason.to_owned()];
                if adopt {
                    self.remember(bound, batch, record, &[], located, Vec::new())?;
                }
            }
        }
        Ok(decided)
    }

    /// A cell as it is compared: a tag of a run in the tag column does not count.
    pub(super) fn comparable(&self, bound: &Bound, place: usize, cell: &Cell) -> Cell {
        let cell = if bound.binding.tag == Some(place) {
            without_tags(bound, cell)
        } else {
            cell.clone()
        };
        self.engine.canonical(bound.binding.field(place), &cell)
    }

    fn insert(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        wanted: &[Wanted],
        entry: Option<Entry>,
        digest: Vec<u8>,
    ) -> Result<Key, Fault> {
        let mut cells: Vec<(usize, Cell)> = Vec::new();
        if let (Some((place, _)), Some(id)) = (bound.binding.id, self.own_id(bound, record)) {
            cells.push((place, id));
        }
        cells.extend(
            wanted
                .iter()
                .map(|wanted| (wanted.place, wanted.cell.clone())),
        );
        self.add_run_columns(bound, None, &mut cells)?;
        let key = self.insert_row(bound, batch, &cells, Action::Insert, |writer, key, seq| {
            writer.check_claim(bound, record, key)?;
            let now = writer.entry(
                bound,
                record,
                key.clone(),
                wanted,
                entry.as_ref(),
                digest,
                seq,
            )?;
            Ok(Some((record.key.clone(), entry, now)))
        })?;
        Ok(key)
    }

    /// Inserts a row, reads it back, compares it and notes the change. `identify` gives the
    /// record's key with its entry before and after.
    pub(super) fn insert_row(
        &mut self,
        bound: &Bound,
        batch: i64,
        cells: &[(usize, Cell)],
        action: Action,
        identify: impl FnOnce(
            &mut Self,
            &Key,
            i64,
        ) -> Result<Option<(String, Option<Entry>, Entry)>, Fault>,
    ) -> Result<Key, Fault> {
        let binding = &bound.binding;
        self.note_counter(bound)?;
        let places: Vec<usize> = cells.iter().map(|(place, _)| *place).collect();
        let values: Vec<Cell> = cells.iter().map(|(_, cell)| cell.clone()).collect();
        let key = self
            .engine
            .insert(&binding.table, &places, &[values], &binding.key)?
            .pop();
        let key = key.ok_or_else(|| Fault::Some("the insert returned no key".into()))?;
        let row = self.read_back(bound, &key, cells)?;
        let seq = self.next_seq()?;
        let sum = |(place, cell): (usize, &Cell)| {
            // The upper half of the checksum is enough to name a column that changed.
            u32::try_from(self.engine.canonical(binding.field(place), cell).sum() >> 32)
                .unwrap_or_default()
        };
        let sums = row.iter().enumerate().map(sum).collect();
        let mut change = Change {
            seq,
            batch,
            shape: bound.shape,
            action,
            target: key.clone(),
            identity: None,
            before: Image::default(),
            after: Image::default(),
            sums,
            hash: row_hash(&row),
            earlier: None,
            later: None,
            entry: None,
        };
        if let Some((source, before, now)) = identify(self, &key, seq)? {
            change.identity = Some((bound.entity, source.clone()));
            change.earlier = self.chain(before.as_ref(), seq)?;
            change.entry = Some(before.map(Box::new));
            self.engine
                .put_entries(&[(bound.entity, source, Some(now))])?;
        }
        let run = self.the_run()?.seq;
        self.engine.put_changes(run, &[change])?;
        Ok(key)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what was decided, and what it was decided on"
    )]
    fn update(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        wanted: &[Wanted],
        located: Located,
        columns: &[usize],
        digest: Vec<u8>,
    ) -> Result<(), Fault> {
        let binding = &bound.binding;
        let before = located
            .row
            .ok_or_else(|| Fault::Some("the row is gone".into()))?;
        let key = binding.key_of(&before);
        self.check_key_change(bound, &before, columns)?;
        let chosen = wanted
            .iter()
            .filter(|wanted| columns.contains(&wanted.place));
        let mut cells: Vec<(usize, Cell)> = chosen
            .map(|wanted| (wanted.place, wanted.cell.clone()))
            .collect();
        let mut written = columns.to_vec();
        if self.add_run_columns(bound, Some(&before), &mut cells)? {
            written.extend(binding.tag.filter(|place| !columns.contains(place)));
        }
        self.engine.update(
            &binding.table,
            &binding.key,
            &[(key.clone(), cells.clone())],
            false,
        )?;
        // The key itself may be among the columns that were written.
        let new_key = Key(binding
            .key
            .iter()
            .zip(&key.0)
            .map(|(place, old)| {
                cells
                    .iter()
                    .find(|(written, _)| written == place)
                    .map_or(old, |(_, cell)| cell)
                    .clone()
            })
            .collect());
        let after = self.read_back(bound, &new_key, &cells)?;
        let seq = self.next_seq()?;
        let kept = |place: &usize| {
            before[*place] != after[*place] || binding.is_loose(*place) || written.contains(place)
        };
        let image = (0..before.len())
            .filter(kept)
            .map(|place| (place, before[place].clone()))
            .collect();
        let now = self.entry(
            bound,
            record,
            new_key.clone(),
            wanted,
            located.entry.as_ref(),
            digest,
            seq,
        )?;
        let change = Change {
            seq,
            batch,
            shape: bound.shape,
            action: Action::Update,
            target: new_key,
            identity: Some((bound.entity, record.key.clone())),
            before: Image(image),
            after: Image(
                written
                    .iter()
                    .map(|place| (*place, after[*place].clone()))
                    .collect(),
            ),
            sums: vec![],
            hash: row_hash(&before),
            earlier: self.chain(located.entry.as_ref(), seq)?,
            later: None,
            entry: Some(located.entry.map(Box::new)),
        };
        let run = self.the_run()?.seq;
        self.engine
            .put_entries(&[(bound.entity, record.key.clone(), Some(now))])?;
        self.engine.put_changes(run, &[change])?;
        Ok(())
    }

    /// Notes in the id map what it does not know yet; the row stays as it is.
    fn remember(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        wanted: &[Wanted],
        located: Located,
        digest: Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(row) = located.row else {
            return Ok(());
        };
        let key = bound.binding.key_of(&row);
        let seq = self.next_seq()?;
        let now = self.entry(
            bound,
            record,
            key.clone(),
            wanted,
            located.entry.as_ref(),
            digest,
            seq,
        )?;
        self.map_only(bound, batch, record, key, located.entry, now)
    }

    pub(super) fn map_only(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
        key: Key,
        before: Option<Entry>,
        now: Entry,
    ) -> Result<(), Fault> {
        let change = Change {
            seq: now.seq,
            batch,
            shape: bound.shape,
            action: Action::Map,
            target: key,
            identity: Some((bound.entity, record.key.clone())),
            before: Image::default(),
            after: Image::default(),
            sums: vec![],
            hash: [0; 16],
            earlier: self.chain(before.as_ref(), now.seq)?,
            later: None,
            entry: Some(before.map(Box::new)),
        };
        let run = self.the_run()?.seq;
        self.engine
            .put_entries(&[(bound.entity, record.key.clone(), Some(now))])?;
        self.engine.put_changes(run, &[change])?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "all that an entry is made of")]
    fn entry(
        &mut self,
        bound: &Bound,
        record: &Record,
        target: Key,
        wanted: &[Wanted],
        before: Option<&Entry>,
        digest: Vec<u8>,
        seq: i64,
    ) -> Result<Entry, StoreError> {
        let mut sums: Vec<(usize, u64)> =
            before.map(|entry| entry.sums.clone()).unwrap_or_default();
        sums.retain(|(place, _)| wanted.iter().all(|wanted| wanted.place != *place));
        sums.extend(
            wanted
                .iter()
                .map(|wanted| (wanted.place, wanted.canonical.sum())),
        );
        sums.sort_unstable();
        let run = self.the_run()?.seq;
        Ok(Entry {
            entity: bound.entity,
            source: record.key.clone(),
            claim: bound.claim,
            target,
            gone: false,
            digest,
            sums,
            run,
            seq,
        })
    }

    pub(super) fn next_seq(&mut self) -> Result<i64, StoreError> {
        let run = self.the_run()?;
        run.last_seq += 1;
        Ok(run.last_seq)
    }

    /// Links this change to the same run's change of the same row before it.
    pub(super) fn chain(
        &mut self,
        before: Option<&Entry>,
        seq: i64,
    ) -> Result<Option<i64>, StoreError> {
        let run = self.the_run()?.seq;
        let Some(before) = before.filter(|entry| entry.run == run) else {
            return Ok(None);
        };
        ledger::supersede(&mut self.engine, run, before.seq, seq)?;
        Ok(Some(before.seq))
    }

    /// Adds what only a run knows, and the tag. Returns whether the tag was added.
    fn add_run_columns(
        &mut self,
        bound: &Bound,
        before: Option<&Row>,
        cells: &mut Vec<(usize, Cell)>,
    ) -> Result<bool, Fault> {
        let binding = &bound.binding;
        let stamped = binding
            .columns
            .iter()
            .any(|column| matches!(column.from, From::Run(_)));
        if !stamped && binding.tag.is_none() {
            return Ok(false);
        }
        let run = self.the_run()?.clone();
        for column in &binding.columns {
            let From::Run(value) = column.from else {
                continue;
            };
            let value = run_value(&run, value, column.field.kind);
            let cell =
                self.engine
                    .encode(&column.field, &binding.table.columns[column.place], &value);
            let name = binding.table.columns[column.place].name.as_str();
            cells.push((
                column.place,
                cell.map_err(|message| Fault::Record(vec![error(Some(name), "type", message)]))?,
            ));
        }
        let (Some(place), Some(tag)) = (binding.tag, binding.tag_text(&run.id)) else {
            return Ok(false);
        };
        let written = cells.iter().position(|(other, _)| *other == place);
        let present = written
            .map(|at| &cells[at].1)
            .or_else(|| before.map(|row| &row[place]));
        let mut items = elements(bound, present.unwrap_or(&Cell::Null)).ok_or_else(|| {
            let name = binding.table.columns[place].name.as_str();
            Fault::Record(vec![error(
                Some(name),
                "tag",
                "it holds no list that a tag can be added to",
            )])
        })?;
        if items.iter().any(|item| item.as_str() == Some(&tag)) {
            return Ok(false);
        }
        items.push(Value::String(tag));
        let cell = list_cell(bound, &items);
        match written {
            Some(at) => cells[at].1 = cell,
            None => cells.push((place, cell)),
        }
        Ok(true)
    }

    /// Reads a row back inside the transaction: triggers may have changed it after the statement.
    fn read_back(
        &mut self,
        bound: &Bound,
        key: &Key,
        sent: &[(usize, Cell)],
    ) -> Result<Row, Fault> {
        let binding = &bound.binding;
        let row = self.row_at(bound, key)?;
        let row = row.ok_or_else(|| {
            Fault::Some(format!(
                "the row {key} of {} was not kept",
                binding.table.name
            ))
        })?;
        let mut errors = Vec::new();
        for (place, sent) in sent.iter().filter(|(place, _)| !binding.is_loose(*place)) {
            let field = binding.field(*place);
            if self.engine.canonical(field, &row[*place]) != self.engine.canonical(field, sent) {
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
        if errors.is_empty() {
            Ok(row)
        } else {
            Err(Fault::Record(errors))
        }
    }

    /// Notes the counter of a table before the run's first insert into it.
    fn note_counter(&mut self, bound: &Bound) -> Result<(), StoreError> {
        let table = &bound.binding.table;
        if !table.counted {
            return Ok(());
        }
        let mut counters: serde_json::Map<String, Value> =
            serde_json::from_str(&self.the_run()?.counters).unwrap_or_default();
        if counters.contains_key(&table.name) {
            return Ok(());
        }
        let before = self.engine.counter(table)?;
        counters.insert(table.name.clone(), serde_json::json!([before, before]));
        self.the_run()?.counters = Value::Object(counters).to_string();
        Ok(())
    }
}

/// The hash of a row as it was before the run; none of a row that the run itself has written.
pub(super) fn row_before(entry: Option<&Entry>, row: Option<&Row>, run: i64) -> Option<[u8; 16]> {
    let own = entry.is_some_and(|entry| entry.run == run);
    row.filter(|_| !own).map(|row| row_hash(row))
}

/// The digest that the put pass leaves: of a record with late references one that is not yet whole.
fn put_digest(bound: &Bound, record: &Record, whole: &[u8]) -> Vec<u8> {
    let is_late = |name: &String| {
        bound
            .binding
            .entity
            .fields
            .get(name)
            .is_some_and(|field| field.late)
    };
    if record.refs.keys().any(is_late) {
        contract::Digest::of(&[b"late", whole].concat())
            .short()
            .to_vec()
    } else {
        whole.to_vec()
    }
}

/// Returns the elements of a list cell; none of a NULL; `None` of what is no list.
fn elements(bound: &Bound, cell: &Cell) -> Option<Vec<Value>> {
    let text = match cell {
        Cell::Null => return Some(vec![]),
        Cell::Text(text) => text,
        _ => return None,
    };
    match separator(bound) {
        Some(separator) if text.is_empty() && !separator.is_empty() => Some(vec![]),
        Some(separator) => Some(text.split(separator).map(Value::from).collect()),
        None => serde_json::from_str(text).ok(),
    }
}

fn list_cell(bound: &Bound, items: &[Value]) -> Cell {
    match separator(bound) {
        Some(separator) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Cell::Text(texts.join(separator))
        }
        None => Cell::Text(Value::Array(items.to_vec()).to_string()),
    }
}

fn separator(bound: &Bound) -> Option<&str> {
    match bound.binding.field(bound.binding.tag?)?.store.as_ref()? {
        contract::plan::ListOut::Separated(separator) => Some(separator),
        _ => None,
    }
}

/// A list without the tags of runs. An empty one counts as NULL, which a tag would have made it.
fn without_tags(bound: &Bound, cell: &Cell) -> Cell {
    let Some(mut items) = elements(bound, cell) else {
        return cell.clone();
    };
    items.retain(|item| item.as_str().is_none_or(|text| !bound.binding.is_tag(text)));
    if items.is_empty() {
        Cell::Null
    } else {
        list_cell(bound, &items)
    }
}
