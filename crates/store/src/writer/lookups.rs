//! Codes that the plan looks up in the target, each once, before the first write.

use contract::At;
use contract::plan::Lookup;
use serde_json::Value;

use super::Lookups;
use crate::cell::{decode_all, encode_all};
use crate::{Cell, Sql, StoreError};

/// A code to look up.
#[derive(Debug, Clone)]
pub struct LookupCode {
    /// The entity and column that it is for.
    pub entity: String,
    /// The column.
    pub column: String,
    /// Where the plan says to look.
    pub lookup: Lookup,
    /// The code.
    pub code: String,
    /// Whether the code is not to be shown.
    pub secret: bool,
    /// The first record that has it.
    pub at: At,
}

/// A code that gave no answer.
#[derive(Debug, Clone)]
pub struct LookupFault {
    /// The code.
    pub code: LookupCode,
    /// What is wrong: no row, or how many.
    pub message: String,
}

pub(super) fn look_up(
    sql: &mut dyn Sql,
    codes: &[LookupCode],
    answers: &mut Lookups,
) -> Result<Vec<LookupFault>, StoreError> {
    let mut faults = Vec::new();
    for code in codes {
        let known = answers
            .get(&code.entity)
            .and_then(|columns| columns.get(&code.column)?.get(&code.code));
        if known.is_some() {
            continue;
        }
        match find(sql, code)? {
            Ok(cell) => {
                let columns = answers.entry(code.entity.clone()).or_default();
                columns
                    .entry(code.column.clone())
                    .or_default()
                    .insert(code.code.clone(), cell);
            }
            Err(message) => faults.push(LookupFault {
                code: code.clone(),
                message,
            }),
        }
    }
    Ok(faults)
}

fn find(sql: &mut dyn Sql, code: &LookupCode) -> Result<Result<Cell, String>, StoreError> {
    let lookup = &code.lookup;
    let Some(table) = sql.table(&lookup.table)? else {
        return Ok(Err(format!("there is no table `{}`", lookup.table)));
    };
    let Some(by) = table.position(&lookup.by) else {
        return Ok(Err(format!(
            "table {} has no column `{}`",
            table.name, lookup.by
        )));
    };
    let take = match (&lookup.column, table.primary_key.as_slice()) {
        (Some(column), _) => table.position(column),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let Some(take) = take else {
        return Ok(Err(format!(
            "table {} has no such column to take, or no single key",
            table.name
        )));
    };
    let key = sql.key_cell(&table.columns[by], &code.code);
    let rows = sql
        .fetch(&table, &[by], &[vec![key]])?
        .pop()
        .unwrap_or_default();
    let shown = if code.secret {
        contract::reject::MASK.to_owned()
    } else {
        format!("{:?}", code.code)
    };
    Ok(match rows.as_slice() {
        [row] => Ok(row[take].clone()),
        [] => Err(format!(
            "no row of {} has {} = {shown}",
            table.name, lookup.by
        )),
        rows => Err(format!(
            "{} rows of {} have {} = {shown}",
            rows.len(),
            table.name,
            lookup.by
        )),
    })
}

/// Writes the answers as the ledger keeps them.
pub(super) fn to_json(lookups: &Lookups) -> String {
    let cell = |cell: &Cell| match cell {
        Cell::Int(number) => Value::from(*number),
        Cell::Text(text) => Value::from(text.as_str()),
        other => {
            serde_json::json!({ "cell": encode_all(std::slice::from_ref(other)) })
        }
    };
    let json: std::collections::BTreeMap<
        _,
        std::collections::BTreeMap<_, std::collections::BTreeMap<_, Value>>,
    > = lookups
        .iter()
        .map(|(entity, columns)| {
            let columns = columns.iter().map(|(column, codes)| {
                (
                    column,
                    codes
                        .iter()
                        .map(|(code, value)| (code, cell(value)))
                        .collect(),
                )
            });
            (entity, columns.collect())
        })
        .collect();
    serde_json::to_string(&json).unwrap_or_default()
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json(json: &str) -> Result<Lookups, StoreError> {
    let damaged = || StoreError::damaged("the run's lookups do not read");
    let read: std::collections::BTreeMap<
        String,
        std::collections::BTreeMap<String, std::collections::BTreeMap<String, Value>>,
    > = serde_json::from_str(json).map_err(|_| damaged())?;
    let cell = |value: &Value| match value {
        Value::String(text) => Some(Cell::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(Cell::Int),
        other => {
            let bytes: Option<Vec<u8>> = other
                .get("cell")?
                .as_array()?
                .iter()
                .map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            decode_all(&bytes?).ok()?.pop()
        }
    };
    let mut lookups = Lookups::new();
    for (entity, columns) in read {
        for (column, codes) in columns {
            for (code, value) in codes {
                let value = cell(&value).ok_or_else(damaged)?;
                let columns = lookups.entry(entity.clone()).or_default();
                columns
                    .entry(column.clone())
                    .or_default()
                    .insert(code, value);
            }
        }
    }
    Ok(lookups)
}
