//! The proof: every row that the run touched is compared with what the ledger says it was. It reads
//! alone, and shares nothing with the code that undid the run.

use std::collections::{BTreeMap, HashMap};

use contract::plan::Plan;
use serde_json::{Value, json};
use store::ledger::{self, Action, Added, Change, Entry, Format, Run, RunStatus, Shape};
use store::{
    Cell, Fingerprint, Key, Row, Sql, StoreError, Table, fingerprint, fold_compared, row_hash,
};

use crate::added::AddedProof;
use crate::former::wrong_columns;
use crate::moved::{Moved, rowid_before};

/// How many changes are read at a time.
const PAGE: usize = 1000;

/// So many rows are named.
const TOLD: usize = 100;

/// Rows that are named, up to a bound, and counted.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub count: u64,
    pub told: Vec<String>,
}

impl Named {
    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(text());
        }
    }
}

/// What was found in one table.
#[derive(Debug, Default)]
pub(crate) struct TableProof {
    pub table: String,
    /// Rows that the run touched.
    pub rows: u64,
    pub as_before: u64,
    pub elsewhere: Named,
    pub kept: u64,
    pub gone: Named,
    /// Rows that are back further: an earlier run that had changed them too was taken back since.
    pub further: Named,
    pub marked: Named,
    /// Rows that describe the run and stay, of which the plan asks for no mark.
    pub described: Named,
    pub wrong: Named,
    /// Of the whole table now, and before the run where that was noted.
    pub fingerprint: Option<(Fingerprint, Option<String>)>,
}

impl TableProof {
    /// How many rows have their values back.
    pub fn restored(&self) -> u64 {
        self.as_before + self.elsewhere.count + self.further.count
    }

    pub fn to_json(&self) -> Value {
        let mut line = json!({
            "table": self.table, "rows": self.rows, "as_before": self.as_before, "elsewhere": self.elsewhere.count,
            "kept": self.kept, "gone": self.gone.count, "further": self.further.count, "marked": self.marked.count, "described": self.described.count, "wrong": self.wrong.count,
        });
        if let Some((now, before)) = &self.fingerprint {
            let now = now.to_string();
            line["equal"] = json!(before.as_ref().map(|before| *before == now));
            line["fingerprint"] = json!(now);
            line["fingerprint_before"] = json!(before);
        }
        line
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub tables: Vec<TableProof>,
    pub wrong_entries: Named,
    /// Columns and tables that the run added.
    pub added: Vec<AddedProof>,
    /// Rows that are back under another rowid.
    pub moved: Vec<Moved>,
}

impl Proof {
    /// Tells whether all is what it was, but for what is named as kept.
    pub fn holds(&self) -> bool {
        self.wrong_entries.count == 0
            && self.tables.iter().all(|table| table.wrong.count == 0)
            && !self.added.iter().any(AddedProof::wrong)
    }

    /// Tells whether anything of the run was taken back.
    pub fn did_something(&self) -> bool {
        self.reversed() > 0 || self.added.iter().any(AddedProof::gone)
    }

    /// How many rows were taken back.
    pub fn reversed(&self) -> u64 {
        self.tables.iter().map(TableProof::restored).sum()
    }
}

/// Compares every row that the run touched with what it was before; `done` hears how many changes more
/// were looked at.
pub(crate) fn prove(
    sql: &mut dyn Sql,
    run: &Run,
    fingerprints: bool,
    done: &mut dyn FnMut(u64),
) -> Result<Proof, StoreError> {
    let plan = contract::plan::LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone());
    let plan = plan.map_err(|error| StoreError::Damaged {
        message: error.to_string(),
    });
    let plan = plan?.plan;
    let mut prover = Prover {
        kept: kept(sql, run)?,
        added: ledger::added(sql, run.seq, &plan)?,
        plan,
        run,
        seen: HashMap::new(),
        tables: BTreeMap::new(),
        wrong_entries: Named::default(),
        moved: Vec::new(),
        again: undone_before(sql, run)?,
    };
    let mut before = run.last_seq + 1;
    loop {
        let page = ledger::page_changes(sql, run.seq, before, PAGE)?;
        let Some(last) = page.last() else { break };
        before = last.seq;
        done(page.len() as u64);
        prover.rowids(sql, &page)?;
        let is_row = |change: &Change| !matches!(change.action, Action::Column | Action::Table);
        let starts = page
            .into_iter()
            .filter(|change| (change.earlier.is_none() && is_row(change)) || moves(change))
            .collect();
        prover.page(sql, starts)?;
    }
    let kept = |seq| prover.kept.contains_key(&seq);
    let added = AddedProof::all(sql, &prover.added, kept)?;
    let mut tables: Vec<TableProof> = prover.tables.into_values().collect();
    if fingerprints {
        let noted = noted(sql, run)?;
        for proof in &mut tables {
            if let Some(table) = sql.table(&proof.table)? {
                let now = fingerprint(sql, &table)?;
                // A run of format 1 noted them by the names that its login used.
                let full = noted.get(&table.id.to_string());
                let named = full.or_else(|| noted.get(&table.name));
                let named = named.or_else(|| noted.get(&table.id.table));
                let before = named.and_then(Value::as_str);
                proof.fingerprint = Some((now, before.map(str::to_owned)));
            }
        }
    }
    Ok(Proof {
        tables,
        added,
        wrong_entries: prover.wrong_entries,
        moved: prover.moved,
    })
}

/// The changes that were left in place, with the reason: as many as there were conflicts.
fn kept(sql: &mut dyn Sql, run: &Run) -> Result<BTreeMap<i64, String>, StoreError> {
    let mut all = BTreeMap::new();
    let mut before = i64::MAX;
    loop {
        let page = ledger::kept(sql, run.seq, before, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        before = last.seq;
        all.extend(page.into_iter().map(|kept| (kept.seq, kept.reason)));
    }
}

/// Tells whether the run was rolled back before: a rollback of it that ended is in the audit trail already.
fn undone_before(sql: &mut dyn Sql, run: &Run) -> Result<bool, StoreError> {
    let ends =
        "SELECT count(*) FROM ledger.audit WHERE run = ?1 AND action = 'migration:rollback:level1'";
    let rows = sql.query(ends, &[run.id.as_str().into()])?;
    Ok(rows.first().and_then(|row| row[0].int()) > Some(1))
}

/// The fingerprints that apply noted before the run, by table.
fn noted(sql: &mut dyn Sql, run: &Run) -> Result<serde_json::Map<String, Value>, StoreError> {
    let started = "SELECT detail FROM ledger.audit WHERE run = ?1 AND action = 'migration:started'";
    let rows = sql.query(started, &[run.id.as_str().into()])?;
    let detail = rows.first().and_then(|row| row[0].text());
    let detail: Option<Value> = detail.and_then(|detail| serde_json::from_str(detail).ok());
    Ok(
        match detail.map(|mut detail| detail["fingerprints"].take()) {
            Some(Value::Object(noted)) => noted,
            _ => serde_json::Map::new(),
        },
    )
}

/// Tells whether a change has the record stand for another row from here on: what comes after is about
/// that one.
pub(crate) fn moves(change: &Change) -> bool {
    change.action == Action::Map
        && matches!(&change.entry, Some(Some(entry)) if entry.target != change.target)
}

/// A table as it is now, with the columns of a shape: none where the run added it and it is gone.
struct Seen {
    shape: Shape,
    table: Table,
    places: Vec<Option<usize>>,
    key: Vec<usize>,
    key_of_shape: Vec<usize>,
}

/// Names a row that others took away, or gave another key, before the rollback came to it.
fn is_gone(key: &Key, action: Action) -> String {
    match action {
        Action::Insert => format!("{key} is gone already"),
        _ => format!("{key} is gone: what the run changed in it is not put back"),
    }
}

struct Prover<'a> {
    run: &'a Run,
    plan: Plan,
    kept: BTreeMap<i64, String>,
    added: Vec<Added>,
    seen: HashMap<i64, Option<Seen>>,
    tables: BTreeMap<String, TableProof>,
    wrong_entries: Named,
    moved: Vec<Moved>,
    /// Whether earlier runs may have been taken back since this one was: it is rolled back once more.
    again: bool,
}

impl Prover<'_> {
    /// Compares the rowids of rows that the run deleted and that are back.
    fn rowids(&mut self, sql: &mut dyn Sql, page: &[Change]) -> Result<(), StoreError> {
        let mut by_shape: BTreeMap<i64, Vec<(i64, Key)>> = BTreeMap::new();
        for change in page {
            let back = change.action == Action::Delete && !self.kept.contains_key(&change.seq);
            if back && let Some(rowid) = rowid_before(sql, self.run.seq, change)? {
                let deleted = (rowid, change.target.clone());
                by_shape.entry(change.shape).or_default().push(deleted);
            }
        }
        for (shape, deleted) in by_shape {
            self.see(sql, shape)?;
            if let Some(Some(seen)) = self.seen.get(&shape) {
                let moved = Moved::among(sql, (&seen.table, &seen.key), deleted)?;
                self.moved.extend(moved);
            }
        }
        Ok(())
    }

    fn page(&mut self, sql: &mut dyn Sql, starts: Vec<Change>) -> Result<(), StoreError> {
        self.entries(sql, &starts)?;
        let mut by_shape: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
        for start in starts {
            if let Some(change) = self.on_the_row(sql, start)? {
                by_shape.entry(change.shape).or_default().push(change);
            }
        }
        for (shape, changes) in by_shape {
            self.see(sql, shape)?;
            self.rows(sql, shape, changes)?;
        }
        Ok(())
    }

    /// The first change of the row itself: what only concerned the id map is passed over.
    fn on_the_row(&self, sql: &mut dyn Sql, first: Change) -> Result<Option<Change>, StoreError> {
        let mut change = first;
        while change.action == Action::Map {
            let Some(later) = change.later else {
                return Ok(None);
            };
            match ledger::change(sql, self.run.seq, later)? {
                Some(next) if !moves(&next) => change = next,
                _ => return Ok(None),
            }
        }
        Ok(Some(change))
    }

    fn see(&mut self, sql: &mut dyn Sql, number: i64) -> Result<(), StoreError> {
        if self.seen.contains_key(&number) {
            return Ok(());
        }
        let shape: Shape = ledger::shape_of(sql, number)?;
        let missing = |what: &str| StoreError::Damaged {
            message: format!("{what} of {} is missing", shape.table),
        };
        let table = shape.live(sql)?;
        if table.is_none() && Added::made(&self.added, &shape.table) {
            self.seen.insert(number, None);
            return Ok(());
        }
        let mut table = table.ok_or_else(|| missing("the table"))?;
        if self.run.format == Format::Two {
            fold_compared(&mut table, &self.plan);
        }
        let place = |name: &String| table.position(name).ok_or_else(|| missing(name));
        let key = shape.key.iter().map(place).collect::<Result<_, _>>()?;
        let place = |name: &String| match table.position(name) {
            None if Added::initial_of(&self.added, &shape.table, name).is_none() => {
                Err(missing(name))
            }
            place => Ok(place),
        };
        let places = shape.columns.iter().map(place).collect::<Result<_, _>>()?;
        let of_shape = |name: &String| {
            let at = shape.columns.iter().position(|column| column == name);
            at.ok_or_else(|| missing(name))
        };
        let key_of_shape = shape.key.iter().map(of_shape).collect::<Result<_, _>>()?;
        let seen = Seen {
            shape,
            table,
            places,
            key,
            key_of_shape,
        };
        self.seen.insert(number, Some(seen));
        Ok(())
    }

    fn rows(
        &mut self,
        sql: &mut dyn Sql,
        shape: i64,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        let Some(Some(seen)) = self.seen.get(&shape) else {
            return self.gone(sql, shape, &changes);
        };
        let keys: Vec<Key> = changes
            .iter()
            .map(|change| seen.key_before(change))
            .collect();
        let cells: Vec<Vec<Cell>> = keys.iter().map(|key| key.0.clone()).collect();
        let found = sql.fetch(&seen.table, &seen.key, &cells)?;
        let proof = self
            .tables
            .entry(seen.table.name.clone())
            .or_insert_with(|| TableProof {
                table: seen.table.name.clone(),
                ..TableProof::default()
            });
        let targets: Vec<&Key> = keys.iter().collect();
        let further = if self.again {
            ledger::taken_further(sql, self.run, &seen.table, &targets)?
        } else {
            vec![None; targets.len()]
        };
        for (((change, key), found), further) in
            changes.into_iter().zip(&keys).zip(found).zip(further)
        {
            proof.rows += 1;
            if further.is_some() && !self.kept.contains_key(&change.seq) {
                proof.further.add(|| key.to_string());
                continue;
            }
            let now = found.into_iter().next();
            match (
                self.kept.get(&change.seq).map(String::as_str),
                change.action,
                now,
            ) {
                (Some("gone"), action, _) => proof.gone.add(|| is_gone(key, action)),
                (Some(_), ..) => proof.kept += 1,
                (None, Action::Keep, Some(now)) => match seen.mark(&self.plan, &now) {
                    Some(Ok(())) => proof.marked.add(|| key.to_string()),
                    Some(Err(why)) => proof.wrong.add(|| {
                        format!("{key}, which describes the run, stays and is not marked rolled-back: {why}")
                    }),
                    None => proof.described.add(|| key.to_string()),
                },
                (None, Action::Insert | Action::Keep, None) => proof.as_before += 1,
                (None, Action::Insert, Some(_)) => {
                    proof.wrong.add(|| format!("{key} is there still"));
                }
                (None, _, None) => {
                    proof.wrong.add(|| format!("{key} is missing"));
                }
                (None, _, Some(now)) => {
                    if seen.hash(self.run.format, &self.added, &now) == change.hash {
                        proof.as_before += 1;
                        continue;
                    }
                    let live = (&seen.table, &seen.places[..]);
                    let wrong = wrong_columns(sql, self.run, &self.plan, live, &change, &now)?;
                    if wrong.is_empty() && change.action == Action::Update {
                        proof.elsewhere.add(|| key.to_string());
                    } else if wrong.is_empty() {
                        proof.as_before += 1;
                    } else {
                        proof
                            .wrong
                            .add(|| format!("{key} is not what it was: {}", wrong.join(", ")));
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows of a table that the run created and that is gone again.
    fn gone(
        &mut self,
        sql: &mut dyn Sql,
        shape: i64,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        let table = ledger::shape_of(sql, shape)?.table;
        let proof = self
            .tables
            .entry(table.clone())
            .or_insert_with(|| TableProof {
                table,
                ..TableProof::default()
            });
        for change in changes {
            proof.rows += 1;
            match self.kept.get(&change.seq).map(String::as_str) {
                Some("gone") => proof.gone.add(|| is_gone(&change.target, change.action)),
                Some(_) => proof.kept += 1,
                None => proof.as_before += 1,
            }
        }
        Ok(())
    }

    /// The id map: each record is known as it was before.
    fn entries(&mut self, sql: &mut dyn Sql, starts: &[Change]) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<i64, Vec<(&str, Option<&Entry>)>> = BTreeMap::new();
        for change in starts.iter().filter(|change| change.earlier.is_none()) {
            let stays = self
                .kept
                .get(&change.seq)
                .is_some_and(|reason| reason != "gone");
            if let (false, Some((entity, source)), Some(before)) =
                (stays, &change.identity, &change.entry)
            {
                wanted
                    .entry(*entity)
                    .or_default()
                    .push((source, before.as_deref()));
            }
        }
        for (entity, wanted) in wanted {
            let keys: Vec<&str> = wanted.iter().map(|(source, _)| *source).collect();
            for ((source, before), now) in wanted.iter().zip(sql.entries(entity, &keys)?) {
                let older = |now: &Entry| before.is_some_and(|before| now.run < before.run);
                let taken_further =
                    self.again && before.is_some() && now.as_ref().is_none_or(older);
                if *before != now.as_ref() && !taken_further {
                    self.wrong_entries
                        .add(|| format!("{source} is not mapped as it was"));
                }
            }
        }
        Ok(())
    }
}

impl Seen {
    /// Tells whether a row that describes the run says that it is rolled back, and if not, what it says;
    /// nothing where the plan asks for no mark.
    fn mark(&self, plan: &Plan, row: &Row) -> Option<Result<(), String>> {
        let column = plan.metadata.as_ref()?.status.as_ref()?;
        let Some(cell) = self.table.position(column).map(|place| &row[place]) else {
            return Some(Err(format!("it has no column {column}")));
        };
        let content: Option<Value> = cell.text().and_then(|text| serde_json::from_str(text).ok());
        let status = content
            .as_ref()
            .and_then(|content| content.get("status"))
            .and_then(Value::as_str);
        Some(match status {
            Some(status) if status == RunStatus::RolledBack.word() => Ok(()),
            Some(status) => Err(format!("its {column} says {status:?}")),
            None => Err(format!("its {column} is no JSON object with a status")),
        })
    }

    /// The key that a row had before the change.
    fn key_before(&self, change: &Change) -> Key {
        let part = |(place, now): (&usize, &Cell)| change.before.get(*place).unwrap_or(now).clone();
        Key(self
            .key_of_shape
            .iter()
            .zip(&change.target.0)
            .map(part)
            .collect())
    }

    /// The hash of a row as the run would have taken it.
    fn hash(&self, format: Format, added: &[Added], row: &Row) -> [u8; 16] {
        let row = Added::row_of_shape(added, &self.shape, &self.places, row);
        row_hash(format, &row)
    }
}
