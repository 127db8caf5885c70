//! The values of one record against its row.

use std::fmt::Write as _;

use contract::{Record, reject};
use serde_json::Value;
use store::ledger::Entry;
use store::{Binding, Bound, Cell, Column, From, Row};

use super::differ::{self, Cause};
use super::parents::Parents;
use super::records::{Checks, Item, Seen};
use crate::compare::holds;
use crate::finding::Fault;
use crate::scene::{Scene, target_error};

/// How many characters of a value are shown.
const SHOWN: usize = 60;

/// Compares every column that the record sets.
#[expect(
    clippy::too_many_arguments,
    reason = "a record, its row, and where findings go"
)]
pub(super) fn check(
    scene: &mut Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    row: &Row,
    parents: &Parents,
    checks: &mut Checks<'_>,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let record = item.record;
    let (mut left, mut unlisted) = (false, false);
    for bound in &binding.columns {
        let place = bound.place;
        if (bound.field.late && !item.late) || binding.is_loose(place) {
            continue;
        }
        let column = binding.table.columns[place].name.as_str();
        let cell = &row[place];
        let mut at = None;
        let expected = match expectation(scene, binding, bound, record, column, parents) {
            Expected::Nothing => continue,
            Expected::Value(value) => {
                let is_tag = |item: &str| binding.is_tag(item);
                let tagged: Option<&dyn Fn(&str) -> bool> = if binding.tag == Some(place) {
                    Some(&is_tag)
                } else {
                    None
                };
                seen.values += 1;
                let target = &binding.table.columns[place];
                if holds(&bound.field, &target.declared, value, cell, tagged)
                    || (tagged.is_none() && is_said_otherwise(scene, bound, target, value, cell))
                {
                    remembered(scene, binding, item, entry, (place, cell), checks);
                    continue;
                }
                at = value
                    .as_str()
                    .zip(cell.text())
                    .and_then(|(expected, found)| parting(expected, found));
                value.to_string()
            }
            Expected::Cell(wanted) => {
                seen.values += 1;
                if wanted.as_ref().is_some_and(|wanted| same(wanted, cell)) {
                    remembered(scene, binding, item, entry, (place, cell), checks);
                    continue;
                }
                wanted.map_or_else(
                    || "a code that the run looked up".into(),
                    |wanted| wanted.to_string(),
                )
            }
        };
        let cause = differ::cause(scene, binding, entry, place, row).map_err(target_error)?;
        let secret = bound.field.secret;
        let shown = |text: String| {
            if secret {
                reject::MASK.to_owned()
            } else {
                short(&text)
            }
        };
        let fault = match &cause {
            Cause::Run => Fault::error("the run left it so, the record says otherwise"),
            Cause::Later(run) => Fault::warning(format!("run {run} has written it since")),
            Cause::Edited => Fault::error("edited after the run"),
            Cause::Drift => Fault::error("edited by others; the run did not write this row"),
            Cause::Left => Fault::warning("edited by others before the run, which left it so"),
        };
        let fault = fault.row(&binding.table.name, &entry.target).values(
            column,
            shown(expected),
            shown(cell.to_string()),
        );
        let mut fault = item.named(fault);
        if let Some(from) = at.filter(|_| !secret) {
            fault.message = format!("{}; they differ from character {from} on", fault.message);
        }
        match cause {
            Cause::Drift => {
                unlisted = true;
                seen.drifts(fault);
            }
            Cause::Left => {
                left = true;
                checks.records.add(fault);
            }
            _ if bound.from == From::Ref => checks.references.add(fault),
            _ => checks.records.add(fault),
        }
    }
    seen.drifted += u64::from(left);
    seen.unlisted += u64::from(unlisted);
    Ok(())
}

/// Checks that the id map remembers the value: by that the next run tells what others edited.
fn remembered(
    scene: &Scene<'_>,
    binding: &Binding,
    item: &Item<'_>,
    entry: &Entry,
    (place, cell): (usize, &Cell),
    checks: &mut Checks<'_>,
) {
    let sum = || differ::sum(scene, binding, place, cell);
    if entry.run == scene.run.seq && entry.sum(place) != Some(sum()) {
        let message = "the id map has another checksum of the value than that of the row";
        let fault = Fault {
            column: Some(binding.table.columns[place].name.clone()),
            ..Fault::error(message)
        };
        let fault = fault.row(&binding.table.name, &entry.target);
        checks.mappings.add(item.named(fault));
    }
}

/// Tells whether a cell of a type that only the target knows (an address, an interval, a range) is
/// its own text of a value.
fn is_said_otherwise(
    scene: &Scene<'_>,
    bound: &Bound,
    column: &Column,
    value: &Value,
    cell: &Cell,
) -> bool {
    const COMMON: [&str; 13] = [
        "text",
        "character",
        "bool",
        "integer",
        "bigint",
        "smallint",
        "numeric",
        "real",
        "double",
        "timestamp",
        "date",
        "uuid",
        "json",
    ];
    let declared = column.declared.as_str();
    let common = COMMON.iter().any(|common| declared.starts_with(common));
    !cell.is_null()
        && (declared.ends_with("[]") || !common)
        && scene
            .sql
            .encode_one(&bound.field, column, value)
            .is_ok_and(|found| found.as_ref() == Ok(cell))
}

/// What a record says of a column.
enum Expected<'a> {
    /// Nothing: the column is not touched.
    Nothing,
    /// A value.
    Value(&'a Value),
    /// What a reference or a code stands for; none where that is not known any more.
    Cell(Option<Cell>),
}

fn expectation<'a>(
    scene: &Scene<'_>,
    binding: &Binding,
    bound: &Bound,
    record: &'a Record,
    column: &str,
    parents: &Parents,
) -> Expected<'a> {
    if let Some(value) = record.fields.get(column) {
        return Expected::Value(value);
    }
    match bound.from {
        From::Ref => match record
            .refs
            .get(column)
            .map(|to| parents.get(&(to.entity.clone(), to.key.clone())))
        {
            Some(Some(Some(cell))) => Expected::Cell(Some(cell.clone())),
            // A reference to nothing is named once, by the check of references.
            _ => Expected::Nothing,
        },
        From::Lookup => record
            .lookups
            .get(column)
            .map_or(Expected::Nothing, |code| {
                Expected::Cell(scene.lookup(&binding.entity.name, column, code))
            }),
        From::Field | From::Run(_) => Expected::Nothing,
    }
}

/// A key as another column holds it: a number may stand there as text.
fn same(wanted: &Cell, found: &Cell) -> bool {
    wanted == found || (!found.is_null() && text_of_cell(wanted) == text_of_cell(found))
}

/// Of two texts too long to be shown whole: the 1-based character from which on they differ.
fn parting(expected: &str, found: &str) -> Option<usize> {
    let long = expected.chars().count().max(found.chars().count()) > SHOWN;
    let same = expected.chars().zip(found.chars());
    long.then(|| same.take_while(|(a, b)| a == b).count() + 1)
}

/// A value for people.
fn short(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(SHOWN).collect::<String>())
}

pub(super) fn text_of_cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Blob(bytes) => hex(bytes),
        other => other.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
