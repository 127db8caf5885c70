//! What the ledger says of a run against what its audit entries confirm: compared before it is believed.

use std::collections::BTreeMap;

use contract::Digest;
use serde_json::{Value, json};

use super::names::name_of;
use super::renames::{Rename, former_counters};
use super::{AuditEntry, Format, Run, RunStatus, runs};
use crate::{Sql, StoreError};

/// What the entries of one run confirm.
#[derive(Debug, Default)]
struct Confirmed {
    /// The number of the entry of its start, and what that says.
    opening: Option<(i64, Value)>,
    /// The same of the newest entry with figures; none where the run went on since.
    figures: Option<(i64, Value)>,
    /// The shapes of the tables that it wrote to, each with the number of its entry.
    tables: Vec<(i64, Value)>,
    /// Whether it was taken back, by the newest of the entries that say so.
    taken_back: bool,
    /// How many changes that left in place.
    kept: Option<Value>,
}

/// What the audit trail confirms.
#[derive(Debug, Default)]
struct Trail {
    runs: BTreeMap<String, Confirmed>,
    renames: Vec<Rename>,
    /// Entries of up to this time, in milliseconds since 1970 (UTC), were pruned.
    pruned_until: Option<i64>,
}

/// Makes sure that the ledger says of a run what its audit entries confirm: its plan, its tables, how far it
/// wrote, what it kept of counters and of its snapshot.
///
/// # Errors
///
/// [`StoreError::Damaged`] with what differs; what the target said.
pub fn confirm(sql: &mut dyn Sql, run: &Run) -> Result<(), StoreError> {
    confirm_all(sql, std::slice::from_ref(run))
}

/// The same of several runs.
///
/// # Errors
///
/// The same.
pub fn confirm_all(sql: &mut dyn Sql, runs: &[Run]) -> Result<(), StoreError> {
    let trail = Trail::read(sql)?;
    let nothing = Confirmed::default();
    for run in runs {
        let confirmed = trail.runs.get(&run.id).unwrap_or(&nothing);
        let fault = match trail.differs(run, confirmed)? {
            None => changes(sql, run, confirmed, &trail.renames)?,
            fault => fault,
        };
        if let Some(fault) = fault {
            return Err(StoreError::damaged(format!(
                "run {}: {fault}; nothing of it is believed, and nothing was written: `verify audit` lists what was changed",
                run.id
            )));
        }
    }
    Ok(())
}

impl Trail {
    fn read(sql: &mut dyn Sql) -> Result<Self, StoreError> {
        let mut trail = Self::default();
        match super::check_audit(sql)? {
            Ok(chain) => trail.pruned_until = (chain.pruned > 0).then_some(chain.until),
            Err(place) => {
                return Err(StoreError::damaged(format!(
                    "entry {place} of the audit trail does not follow from those before it: the trail was changed, and \
                     what it confirms of runs is not believed"
                )));
            }
        }
        let mut bad = None;
        super::each_audit(sql, |entry| {
            match serde_json::from_str::<Value>(&entry.detail) {
                Ok(detail) => trail.take(&entry, detail),
                Err(_) => bad = bad.or(Some(entry.seq)),
            }
        })?;
        match bad {
            Some(seq) => Err(StoreError::damaged(format!(
                "entry {seq} of the audit trail does not read"
            ))),
            None => Ok(trail),
        }
    }

    fn take(&mut self, entry: &AuditEntry, detail: Value) {
        self.renames.extend(Rename::of(entry, &detail));
        let what = entry.action.strip_prefix("migration:").unwrap_or_default();
        if what == "rollback:level2" {
            for (list, kept) in [("runs", Some(0.into())), ("again", None)] {
                for id in detail[list].as_array().into_iter().flatten() {
                    let of = self.runs.entry(id.as_str().unwrap_or_default().to_owned());
                    let of = of.or_default();
                    (of.taken_back, of.kept) = (true, kept.clone());
                }
            }
            return;
        }
        let Some(run) = &entry.run else { return };
        let of = self.runs.entry(run.clone()).or_default();
        let tables = detail["tables"].as_array().into_iter().flatten();
        let tables = tables.map(|table| (entry.seq, table.clone()));
        match what {
            "started" => {
                of.tables.extend(tables);
                of.opening = Some((entry.seq, detail));
            }
            "resumed" => {
                of.tables.extend(tables);
                of.figures = None;
                if let (Some((_, opening)), Some(shapes)) = (&mut of.opening, detail.get("shapes"))
                {
                    opening["shapes"] = shapes.clone();
                }
            }
            "mapping:corrected" => of.tables.extend(tables),
            "pruned" => of.kept = Some(0.into()),
            _ if detail.get("last_seq").is_some() => {
                if what.starts_with("rollback:level") || what == "rollback:resolved" {
                    (of.taken_back, of.kept) = (true, detail.get("kept").cloned());
                }
                of.figures = Some((entry.seq, detail));
            }
            // Entries of version 1 have no figures.
            "rollback:level0" | "rollback:level1" | "rollback:resolved" => {
                (of.taken_back, of.kept) = (true, detail.get("kept").cloned());
            }
            _ => {}
        }
    }

    /// Says what of a run's row is not what its entries confirm.
    fn differs(&self, run: &Run, confirmed: &Confirmed) -> Result<Option<String>, StoreError> {
        // What does not read is damage, whatever its entries say.
        runs::counters(run)?;
        let pruned = self.pruned_until.is_some_and(|until| run.started <= until);
        let Some((entry, opening)) = &confirmed.opening else {
            let fault = "the audit trail has no entry of its start";
            return Ok((!pruned).then(|| fault.to_owned()));
        };
        let shapes = run.tables.as_deref().map(digest);
        let said = [
            ("number", run.seq.into()),
            ("name", json!(run.name)),
            ("system", json!(run.system)),
            ("plan", digest(&run.plan)),
            ("lookups", digest(&run.lookups)),
            ("bundle", json!(run.bundle)),
            ("environment", json!(run.environment)),
            ("target", json!(run.target)),
            ("batch_size", run.batch_size.into()),
            ("format", (run.format as i64).into()),
            ("shapes", json!(shapes)),
            ("snapshot", snapshot(run)),
        ];
        if let Some(name) = first_other(run, opening, &said) {
            return Ok(Some(other(name, *entry)));
        }
        if let Some((entry, figures)) = &confirmed.figures {
            let counters = former_counters(&run.counters, &self.renames, *entry);
            let said = [
                ("plan", digest(&run.plan)),
                ("last_seq", run.last_seq.into()),
                ("counters", digest(&counters)),
            ];
            if let Some(name) = first_other(run, figures, &said) {
                return Ok(Some(other(name, *entry)));
            }
        }
        if run.status == RunStatus::RolledBack {
            let kept = confirmed.kept.as_ref();
            if !confirmed.taken_back || kept.is_some_and(|kept| *kept != json!(run.kept)) {
                let fault = "the audit trail does not say that it was rolled back so far";
                return Ok(Some(fault.to_owned()));
            }
        }
        Ok(None)
    }
}

/// Returns the first of these that an entry says otherwise. Entries of version 1 say less.
fn first_other<'n>(run: &Run, entry: &Value, said: &[(&'n str, Value)]) -> Option<&'n str> {
    let whole = run.format == Format::Two;
    let is_other = |(name, now): &&(&str, Value)| match entry.get(*name) {
        Some(then) => then != now,
        None => whole,
    };
    said.iter().find(is_other).map(|(name, _)| *name)
}

fn other(name: &str, entry: i64) -> String {
    let what = match name {
        "last_seq" => "the number of its last change",
        "shapes" => "the list of its tables",
        "number" => "its number",
        name => return format!("its {name} is not what entry {entry} of the audit trail confirms"),
    };
    format!("{what} is not what entry {entry} of the audit trail confirms")
}

fn digest(text: &str) -> Value {
    json!(Digest::of(text.as_bytes()))
}

/// The snapshot as it was when the run started: that it was removed since is in an entry of its own.
fn snapshot(run: &Run) -> Value {
    let Some(json) = &run.snapshot else {
        return Value::Null;
    };
    let mut snapshot: Value = serde_json::from_str(json).unwrap_or_else(|_| json.clone().into());
    if let Some(all) = snapshot.as_object_mut() {
        all.remove("pruned");
    }
    snapshot
}

/// Says what of a run's changes its entries do not confirm: those of tables that it did not name, those
/// behind its last one. The changes of a rollback (action 8) are neither.
fn changes(
    sql: &mut dyn Sql,
    run: &Run,
    confirmed: &Confirmed,
    renames: &[Rename],
) -> Result<Option<String>, StoreError> {
    let behind = "SELECT 1 FROM ledger.changes WHERE run = ?1 AND seq > ?2 AND action <> 8 LIMIT 1";
    if !sql
        .query(behind, &[run.seq.into(), run.last_seq.into()])?
        .is_empty()
    {
        let fault = format!(
            "the ledger has changes of it behind number {}, its last one",
            run.last_seq
        );
        return Ok(Some(fault));
    }
    if run.format == Format::One {
        return Ok(None);
    }
    let known: Vec<(String, Value)> = confirmed
        .tables
        .iter()
        .map(|(entry, table)| {
            let (mut name, rest) = named(table.clone());
            for rename in renames.iter().filter(|rename| rename.entry > *entry) {
                if rename.from == name {
                    name.clone_from(&rename.to);
                }
            }
            (name, rest)
        })
        .collect();
    let used = "SELECT DISTINCT shape FROM ledger.changes WHERE run = ?1 AND action <> 8";
    for row in sql.query(used, &[run.seq.into()])? {
        let id = row[0].int().unwrap_or_default();
        let text = name_of(sql, id)?;
        let shape = serde_json::from_str(&text)
            .map_err(|error| StoreError::damaged(format!("shape {id}: {error}")))?;
        let (name, rest) = named(shape);
        if confirmed.opening.is_some() && !known.contains(&(name.clone(), rest)) {
            let fault = format!(
                "what the ledger says of table {name} and its columns is not what the audit trail confirms"
            );
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// Parts a shape in the full name of its table, and the rest.
fn named(mut shape: Value) -> (String, Value) {
    let mut take = |key: &str| shape.as_object_mut().and_then(|all| all.remove(key));
    let (schema, table) = (take("schema"), take("table"));
    let text = |part: &Option<Value>| part.as_ref().and_then(Value::as_str).map(str::to_owned);
    let name = match (text(&schema), text(&table)) {
        (Some(schema), Some(table)) => format!("{schema}.{table}"),
        (_, table) => table.unwrap_or_default(),
    };
    (name, shape)
}
