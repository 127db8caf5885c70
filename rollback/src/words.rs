//! What rollback finds, in words for people.

use contract::Record;
use contract::talk::counted;
use serde_json::{Value, json};
use store::ledger::Action;
use store::undo::{Choice, Dependents, Detached, Differs, Finding, RunsValue, Values, Verdict};

use crate::evidence::says;
use crate::proof::TableProof;

/// What follows a number of rows.
pub(crate) fn they_are(count: u64) -> &'static str {
    if count == 1 { "it is" } else { "they are" }
}

pub(crate) fn table_line(table: &TableProof) -> String {
    let of = counted(table.rows, "row");
    let are = if table.rows == 1 {
        "is what it was"
    } else {
        "are what they were"
    };
    let mut parts = vec![format!(
        "{}: {} of {of} {are}",
        table.table, table.as_before
    )];
    for (count, what) in [
        (table.elsewhere.count, "back, edited elsewhere since"),
        (table.kept, "kept"),
        (table.gone.count, "gone already"),
        (
            table.further.count,
            "taken back further with an earlier run",
        ),
        (table.marked.count, "marked"),
        (table.wrong.count, "NOT what they were"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let line = parts.join(", ");
    let Some((now, before)) = &table.fingerprint else {
        return line;
    };
    match before {
        None => format!("{line}; the table is {now}, what it was before the run was not noted"),
        Some(before) if *before == now.to_string() => format!("{line}; table equal ({now})"),
        Some(before) if table.restored() == table.rows => format!(
            "{}: this run's {of} {} back; the table also differs by changes outside the run ({now}; before: {before})",
            table.table,
            if table.rows == 1 { "is" } else { "are" }
        ),
        Some(before) => format!("{line}; the table differs ({now}; before: {before})"),
    }
}

/// A finding with the values of the bundle in place of checksums.
pub(crate) fn with_evidence(finding: &Finding, record: Option<&Record>) -> Value {
    let mut line = finding.to_json();
    let Some(record) = record else { return line };
    line["at"] = json!(record.at);
    if let (Some(columns), Verdict::Changed(differs)) =
        (line["columns"].as_array_mut(), &finding.verdict)
    {
        for (column, differs) in columns.iter_mut().zip(differs) {
            if let (RunsValue::Sum(_), false, Some(value)) =
                (&differs.run, differs.secret, says(record, &differs.column))
            {
                column["run"] = value;
            }
        }
    }
    line
}

pub(crate) fn in_words(finding: &Finding, record: Option<&Record>, choice: Choice) -> String {
    let at = match (record, &finding.record) {
        (Some(record), _) => format!(" ({})", record.at),
        (None, Some((entity, key))) => format!(" ({entity} {key})"),
        (None, None) => String::new(),
    };
    let what = match &finding.verdict {
        Verdict::Changed(columns) => {
            let words: Vec<String> = columns
                .iter()
                .map(|column| differs(column, record))
                .collect();
            format!("was changed since: {}", words.join("; "))
        }
        Verdict::LaterRun(run) => format!("was touched by run {run} later"),
        Verdict::DependedOn(dependents) => {
            let words: Vec<String> = dependents.iter().map(depends).collect();
            words.join("; ")
        }
        Verdict::Values(values) => holds(values),
        Verdict::BuiltOn(what) => format!("can't go before these: {}", what.join(", ")),
        Verdict::PlaceTaken(why) => why.clone(),
        Verdict::Failed(why) => format!("the target refuses: {why}"),
        Verdict::Gone => "is gone already".into(),
        Verdict::AsBefore => "already is what it was before the run".into(),
        Verdict::Reversible | Verdict::Marked => "can be reversed".into(),
    };
    // Of a row that stays, nothing goes.
    let what = if choice.takes(&finding.verdict) {
        overwritten(what, finding, record)
    } else {
        what
    };
    match finding.action {
        Action::Detach => format!("{} {}: {what}", finding.table, finding.key),
        Action::Column => format!("column {}.{}: {what}", finding.table, finding.key),
        Action::Table => format!("table {}: {what}", finding.table),
        _ => format!("{} {}{at}: {what}", finding.table, finding.key),
    }
}

/// Adds what others changed in columns that never conflict: it does not outlive the rollback.
fn overwritten(what: String, finding: &Finding, record: Option<&Record>) -> String {
    let columns = finding.overwritten.iter();
    let left = |column| differs(column, record).replacen("the run wrote", "the run left", 1);
    let words: Vec<String> = columns.map(left).collect();
    if words.is_empty() {
        return what;
    }
    format!(
        "{what}; what others wrote since to columns that never conflict goes: {}",
        words.join("; ")
    )
}

fn holds(values: &Values) -> String {
    let one = |(key, cell): &(store::Key, store::Cell)| {
        if values.secret {
            key.to_string()
        } else {
            format!("{key}: {cell}")
        }
    };
    let some: Vec<String> = values.some.iter().map(one).collect();
    let more = if values.count > some.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!(
        "{} with values that the run did not leave there ({}{more})",
        counted(values.count, "row"),
        some.join(", ")
    )
}

fn differs(column: &Differs, record: Option<&Record>) -> String {
    let name = &column.column;
    if column.secret {
        return format!("{name} (its values are secret)");
    }
    let run = match (&column.run, record.and_then(|record| says(record, name))) {
        (RunsValue::Is(cell), _) => cell.to_string(),
        (RunsValue::Sum(_), Some(value)) => value.to_string(),
        (RunsValue::Sum(sum), None) => format!("a value with checksum {sum:08x}"),
    };
    format!("{name}: the run wrote {run}, now it is {}", column.now)
}

/// `comment 7: member (it was "m9") is set NULL`.
pub(crate) fn set_null(detached: &Detached) -> String {
    let columns = detached.columns.iter();
    let columns: Vec<String> = columns
        .map(|(name, cell)| format!("{name} (it was {cell})"))
        .collect();
    format!(
        "{} {}: {} is set NULL",
        detached.table,
        detached.key,
        columns.join(", ")
    )
}

fn depends(dependents: &Dependents) -> String {
    let Dependents {
        table,
        columns,
        on_delete,
        count,
    } = dependents;
    format!(
        "{} of {table} {} on it by {columns} (on delete {})",
        counted(*count, "row"),
        if *count == 1 { "depends" } else { "depend" },
        on_delete.to_lowercase()
    )
}
