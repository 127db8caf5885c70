//! What the run added to the catalogue: it is there as it was made, and the rows of before have the values
//! that they got.

use std::collections::HashSet;

use contract::talk::counted;
use store::ledger::{self, Action, Added, Change, Shape};
use store::{Cell, Key, Row, Table};

use super::PAGE;
use crate::finding::{Check, Fault, Level};
use crate::scene::{Scene, target_error};

/// So many rows with another value are named.
const NAMED: usize = 1000;

/// Checks the additions of a run; none where it made none.
pub(super) fn check(scene: &mut Scene<'_>) -> anyhow::Result<Option<Check>> {
    let all = scene.added.clone();
    if all.is_empty() {
        return Ok(None);
    }
    let mut check = Check::new(
        "additions",
        "every column and table that the run added, with the values that the rows of before got",
    );
    let mut rows = 0;
    for one in &all {
        let sql = scene.sql.as_mut();
        let name = store::called(&one.table, one.column.as_deref());
        let fault = |fault: Fault| Fault {
            table: Some(one.table.clone()),
            column: one.column.clone(),
            ..fault
        };
        if !one.is_there(sql).map_err(target_error)? {
            let message = format!("the run added {name}, and it is gone");
            check.add(fault(Fault::error(message)));
            continue;
        }
        if one.is_changed(sql).map_err(target_error)? {
            let message = format!("the definition of {name} was changed after the run");
            let changed = if one.column.is_some() {
                Fault::error(message)
            } else {
                // An index that others made on it is no fault.
                Fault::warning(message)
            };
            check.add(fault(changed));
        }
        rows += values(scene, one, &mut check)?;
    }
    Ok(Some(check.found(format!(
        "{}, {} that no record speaks of",
        counted(all.len() as u64, "addition"),
        counted(rows, "value")
    ))))
}

/// Looks for rows that no longer have the value that all rows of before got. Returns how many have it.
fn values(scene: &mut Scene<'_>, added: &Added, check: &mut Check) -> anyhow::Result<u64> {
    let Some(table) = scene.table(&added.table).map_err(target_error)? else {
        return Ok(0);
    };
    let column = added.column.as_ref();
    let Some(place) = column.and_then(|column| table.position(column)) else {
        return Ok(0);
    };
    let wrote = Wrote::read(scene, &table, &table.columns[place].name)?;
    let now = scene.sql.count(&table, None).map_err(target_error)?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let Unlike { others, named, all } = unlike(scene, &table, place, added, &wrote)?;
    // Rows that were not there when the column was added may hold anything: so many others were made.
    let new = added.rows.map(|rows| now - rows - wrote.net);
    let edited = new.is_some_and(|new| i64::try_from(others).unwrap_or(i64::MAX) > new);
    let secret = scene.secret(&table.name, &table.columns[place].name);
    let shown = |cell: &Cell| {
        if secret {
            contract::reject::MASK.to_owned()
        } else {
            cell.to_string()
        }
    };
    for (key, cell) in named {
        let message = if edited {
            "the run gave it to the rows that were there, and it was edited since"
        } else {
            "edited, or made by others, after the run added the column"
        };
        let mut fault = Fault::error(message).row(&table.name, &key).values(
            &table.columns[place].name,
            shown(&added.initial),
            shown(&cell),
        );
        if !edited {
            fault.severity = Level::Warning;
        }
        check.add(fault);
    }
    Ok(now.unsigned_abs().saturating_sub(all))
}

/// Rows with another value in a column than it was added with.
#[derive(Default)]
struct Unlike {
    /// How many there are that no run gave that value.
    others: u64,
    /// The first of these.
    named: Vec<(Key, Cell)>,
    /// How many there are at all.
    all: u64,
}

/// Reads the rows with another value in a column than it was added with.
fn unlike(
    scene: &mut Scene<'_>,
    table: &Table,
    place: usize,
    added: &Added,
    wrote: &Wrote,
) -> anyhow::Result<Unlike> {
    let whole = table.whole_key();
    let key: Vec<usize> = whole
        .cloned()
        .unwrap_or_else(|| (0..table.columns.len()).collect());
    let key_of = |row: &Row| Key(key.iter().map(|place| row[*place].clone()).collect());
    let mut found = Unlike::default();
    let mut after: Option<Key> = None;
    loop {
        let values = std::slice::from_ref(&added.initial);
        let page = scene
            .sql
            .unlike(table, place, values, &key, after.as_ref(), PAGE)
            .map_err(target_error)?;
        found.all += page.len() as u64;
        for row in &page {
            if !wrote.explains(table, row) {
                found.others += 1;
                if found.named.len() < NAMED {
                    found.named.push((key_of(row), row[place].clone()));
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE && whole.is_some() => after = Some(key_of(last)),
            _ => return Ok(found),
        }
    }
}

/// Rows of a table that this run or a later one gave a value in a column: 16 bytes each.
struct Wrote {
    /// The columns that make keys, by the runs' plans.
    keys: Vec<Vec<String>>,
    rows: HashSet<[u8; 16]>,
    /// Rows that runs made, less those that they deleted.
    net: i64,
}

impl Wrote {
    fn read(scene: &mut Scene<'_>, table: &Table, column: &str) -> anyhow::Result<Self> {
        let mut wrote = Self {
            keys: Vec::new(),
            rows: HashSet::new(),
            net: 0,
        };
        let of_table = |(_, shape): &(i64, Shape)| shape.is_of(table) && !shape.key.is_empty();
        let shapes = ledger::shapes(scene.sql.as_mut()).map_err(target_error)?;
        let shapes: Vec<(i64, Shape)> = shapes.into_iter().filter(of_table).collect();
        let runs =
            "SELECT seq FROM ledger.runs WHERE seq >= ?1 AND status <> 'rolled-back' ORDER BY seq";
        let runs = scene.sql.query(runs, &[scene.run.seq.into()]);
        for run in runs
            .map_err(target_error)?
            .iter()
            .filter_map(|row| row[0].int())
        {
            let mut before = i64::MAX;
            loop {
                let page = ledger::page_changes(scene.sql.as_mut(), run, before, PAGE)
                    .map_err(target_error)?;
                let Some(last) = page.last() else { break };
                before = last.seq;
                for change in &page {
                    let shape = shapes.iter().find(|(id, _)| *id == change.shape);
                    if let Some((_, shape)) = shape {
                        wrote.see(change, shape, column);
                    }
                }
            }
        }
        Ok(wrote)
    }

    fn see(&mut self, change: &Change, shape: &Shape, column: &str) {
        let place = shape.columns.iter().position(|name| name == column);
        let gave = match change.action {
            Action::Insert | Action::Keep => {
                self.net += 1;
                true
            }
            Action::Delete => {
                self.net -= 1;
                false
            }
            _ => place.is_some_and(|place| change.after.get(place).is_some()),
        };
        if gave {
            if !self.keys.contains(&shape.key) {
                self.keys.push(shape.key.clone());
            }
            self.rows.insert(digest(&shape.key, &change.target.0));
        }
    }

    fn explains(&self, table: &Table, row: &Row) -> bool {
        self.keys.iter().any(|key| {
            let cell = |name: &String| table.position(name).map(|place| row[place].clone());
            let cells: Option<Vec<Cell>> = key.iter().map(cell).collect();
            cells.is_some_and(|cells| self.rows.contains(&digest(key, &cells)))
        })
    }
}

fn digest(key: &[String], cells: &[Cell]) -> [u8; 16] {
    let mut bytes = format!("{key:?}").into_bytes();
    bytes.extend(store::encode_all(cells));
    contract::Digest::of(&bytes).short()
}
