//! What a run did to the row of a record, whoever came after it.

use std::collections::HashMap;

use serde_json::Value;
use store::ledger::{self, Change, Entry};
use store::{Key, Sql, StoreError, Table};

/// Returns the last change that a run made to a record, found from what the id map says of the
/// record now: later runs keep the entry that they found. `None` where the run left the record alone.
pub(crate) fn last_change(
    sql: &mut dyn Sql,
    run: i64,
    entry: &Entry,
) -> Result<Option<Change>, StoreError> {
    let mut at = (entry.run, entry.seq);
    while at.0 >= run {
        let Some(change) = ledger::change(sql, at.0, at.1)? else {
            return Ok(None);
        };
        if at.0 == run {
            return Ok(Some(change));
        }
        match change.entry {
            Some(Some(before)) => at = (before.run, before.seq),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Returns, for each row of a table, the ID of the later run that touched it last and was not rolled back.
pub(crate) fn later_runs(
    sql: &mut dyn Sql,
    run: i64,
    table: &Table,
    rows: &[&Key],
) -> Result<Vec<Option<String>>, StoreError> {
    let mut names: HashMap<i64, String> = HashMap::new();
    let later = ledger::later_touches(sql, run, table, rows)?;
    let name_of = |later: Option<i64>| {
        let Some(later) = later else { return Ok(None) };
        if let Some(name) = names.get(&later) {
            return Ok(Some(name.clone()));
        }
        let name = run_id(sql, later)?;
        names.insert(later, name.clone());
        Ok(Some(name))
    };
    later.into_iter().map(name_of).collect()
}

/// Returns the earlier run whose snapshot was restored, where that took the run back: what stands then
/// is what was before the earlier one.
pub(crate) fn restored(sql: &mut dyn Sql, run: &str) -> Result<Option<String>, StoreError> {
    let rows = sql.query(
        "SELECT run, detail FROM ledger.audit WHERE action = 'migration:rollback:level2' ORDER BY seq",
        &[],
    )?;
    let mut found = None;
    for row in &rows {
        let detail = row[1]
            .text()
            .and_then(|json| serde_json::from_str(json).ok());
        let took = |detail: Value| {
            let runs = detail["runs"].as_array()?;
            Some(runs.iter().any(|id| id == run))
        };
        if detail.and_then(took) == Some(true) {
            found = row[0].text().filter(|first| *first != run);
        }
    }
    Ok(found.map(str::to_owned))
}

/// Returns the ID of a run by its number.
pub(crate) fn run_id(sql: &mut dyn Sql, seq: i64) -> Result<String, StoreError> {
    let rows = sql.query("SELECT id FROM ledger.runs WHERE seq = ?1", &[seq.into()])?;
    let id = rows.first().and_then(|row| row[0].text());
    Ok(id.map_or_else(|| format!("number {seq}"), str::to_owned))
}
