//! Deletes, and corrections of the id map.

use contract::Record;
use contract::plan::OnDrift;
use serde_json::Value;

use super::resolve::error;
use super::rows::row_before;
use super::{Bound, Decided, Fault, Writer};
use crate::cell::row_hash;
use crate::ledger::{Action, Change, Entry};
use crate::{Engine, Image, Key, Row};

impl<E: Engine> Writer<E> {
    /// Deletes the row of a record, unless others depend on it.
    pub(super) fn delete(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
    ) -> Result<Decided, Fault> {
        let binding = &bound.binding;
        let entry = self
            .engine
            .entries(bound.entity, &[&record.key])?
            .pop()
            .flatten();
        let digest = record.digest().to_vec();
        let mut decided = Decided {
            at: record.at.clone(),
            key: record.key.clone(),
            action: "unchanged",
            target: None,
            before: None,
            columns: vec![],
            drifted: vec![],
            overwritten: vec![],
        };
        let key = match (&entry, &record.target) {
            (Some(entry), _) if entry.gone => return Ok(decided),
            (Some(entry), _) => entry.target.clone(),
            (None, Some(target)) => self.key_from(bound, target),
            (None, None) => {
                let message = "no row is known by this key: nothing was ever applied under it";
                return Err(Fault::Record(vec![error(None, "missing", message)]));
            }
        };
        decided.target = Some(key.clone());
        let row = self.row_at(bound, &key)?;
        decided.before = row_before(entry.as_ref(), row.as_ref(), self.the_run()?.seq);
        if entry.is_none() && row.is_none() {
            let message = format!("{} has no row {key}", binding.table.name);
            return Err(Fault::Record(vec![error(None, "missing", message)]));
        }
        if entry.is_none() {
            self.check_claim(bound, record, &key)?;
        }
        if let (Some(entry), Some(row)) = (&entry, &row)
            && !self.may_delete(bound, entry, row, &mut decided)?
        {
            return Ok(decided);
        }
        let seq = self.next_seq()?;
        let run = self.the_run()?.seq;
        let earlier = self.chain(entry.as_ref(), seq)?;
        let tombstone = Entry {
            entity: bound.entity,
            source: record.key.clone(),
            claim: bound.claim,
            target: key.clone(),
            gone: true,
            digest,
            sums: vec![],
            run,
            seq,
        };
        let mut change = Change {
            seq,
            batch,
            shape: bound.shape,
            action: Action::Map,
            target: key.clone(),
            identity: Some((bound.entity, record.key.clone())),
            before: Image::default(),
            after: Image::default(),
            sums: vec![],
            hash: [0; 16],
            earlier,
            later: None,
            entry: Some(entry.map(Box::new)),
        };
        if let Some(row) = row {
            self.check_dependents(bound, &row, None)?;
            self.engine
                .delete(&binding.table, &binding.key, std::slice::from_ref(&key))?;
            change.action = Action::Delete;
            change.hash = row_hash(&row);
            change.before = Image(row.into_iter().enumerate().collect());
            decided.action = "deleted";
        }
        self.engine
            .put_entries(&[(bound.entity, record.key.clone(), Some(tombstone))])?;
        self.engine.put_changes(run, &[change])?;
        Ok(decided)
    }

    /// Decides by `on_drift` about a row that was edited since it was applied last.
    fn may_delete(
        &self,
        bound: &Bound,
        entry: &Entry,
        row: &Row,
        decided: &mut Decided,
    ) -> Result<bool, Fault> {
        let binding = &bound.binding;
        let edited = |(place, sum): &&(usize, u64)| {
            !binding.is_loose(*place) && self.comparable(bound, *place, &row[*place]).sum() != *sum
        };
        let name = |(place, _): &(usize, u64)| binding.table.columns[*place].name.clone();
        let edited: Vec<String> = entry.sums.iter().filter(edited).map(name).collect();
        match binding.entity.on_drift {
            _ if edited.is_empty() => Ok(true),
            OnDrift::Overwrite => {
                decided.overwritten = edited;
                Ok(true)
            }
            OnDrift::Keep => {
                decided.drifted = edited;
                Ok(false)
            }
            OnDrift::Fail => {
                let message = format!(
                    "it was edited since ({}), and `on_drift` is \"fail\"",
                    edited.join(", ")
                );
                Err(Fault::Record(vec![error(None, "drift", message)]))
            }
        }
    }

    /// Points an id-map entry at another row.
    pub(super) fn remap(
        &mut self,
        bound: &Bound,
        batch: i64,
        record: &Record,
    ) -> Result<Decided, Fault> {
        let fault =
            |rule: &str, message: String| Err(Fault::Record(vec![error(None, rule, message)]));
        let entry = self
            .engine
            .entries(bound.entity, &[&record.key])?
            .pop()
            .flatten();
        let Some(entry) = entry.filter(|entry| !entry.gone) else {
            return fault(
                "missing",
                "no row is known by this key: there is nothing to correct".into(),
            );
        };
        let Some(to) = record.to.as_ref().filter(|to| !to.is_null()) else {
            return fault("to", "a remap needs the target key in `to`".into());
        };
        let key = self.key_from(bound, to);
        let mut decided = Decided {
            at: record.at.clone(),
            key: record.key.clone(),
            action: "unchanged",
            target: Some(key.clone()),
            before: None,
            columns: vec![],
            drifted: vec![],
            overwritten: vec![],
        };
        if entry.target == key {
            return Ok(decided);
        }
        if self.row_at(bound, &key)?.is_none() {
            return fault(
                "to",
                format!("{} has no row {key}", bound.binding.table.name),
            );
        }
        self.check_claim(bound, record, &key)?;
        decided.action = "remapped";
        let seq = self.next_seq()?;
        let run = self.the_run()?.clone();
        let now = Entry {
            target: key.clone(),
            digest: record.digest().to_vec(),
            sums: vec![],
            run: run.seq,
            seq,
            ..entry.clone()
        };
        let detail = serde_json::json!({
            "entity": record.entity, "key": record.key,
            "old": entry.target.to_string(), "new": key.to_string(),
        });
        let at = self.engine.now()?;
        if let Some(holder) = self.holder.clone() {
            self.audit(&run, at, "migration:mapping:corrected", &holder, &detail)?;
        }
        self.map_only(bound, batch, record, key, Some(entry), now)?;
        Ok(decided)
    }

    /// Reads a target key of a record line: a value, or a list of them for a composite.
    fn key_from(&self, bound: &Bound, value: &Value) -> Key {
        let parts: &[Value] = match value {
            Value::Array(parts) => parts,
            one => std::slice::from_ref(one),
        };
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let cell = |(place, value): (&usize, &Value)| {
            self.engine
                .key_cell(&bound.binding.table.columns[*place], &text(value))
        };
        Key(bound.binding.key.iter().zip(parts).map(cell).collect())
    }
}
