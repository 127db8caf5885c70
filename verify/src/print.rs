//! The report of the checks.

use std::io::{self, Write};

use contract::talk::counted;
use serde_json::json;
use store::ledger::Run;

use crate::figures::moment;
use crate::finding::{Check, Fault, Level};

/// How many rows at fault are listed for people, without and with `-v`.
const FEW: usize = 10;
const MANY: usize = 1000;

/// Prints the report for people.
pub(crate) fn human(
    run: &Run,
    checks: &[Check],
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "run {} of {}: {}, started {} by {} on {}",
        run.id,
        run.name,
        run.status,
        moment(run.started),
        run.operator,
        run.host
    )?;
    writeln!(out, "into {}", run.target)?;
    for one in checks {
        check(one, verbose, out)?;
    }
    let failed = checks.iter().filter(|check| !check.passed).count();
    let warned = checks
        .iter()
        .filter(|check| check.passed && check.warnings > 0)
        .count();
    writeln!(
        out,
        "{}: {}, {failed} failed, {warned} with warnings",
        if failed == 0 { "passed" } else { "FAILED" },
        counted(checks.len() as u64, "check")
    )
}

/// Prints one check with the rows at fault.
pub(crate) fn check(check: &Check, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    let word = match check.severity {
        None => "pass",
        Some(Level::Warning) => "warn",
        Some(Level::Error) => "FAIL",
    };
    let mut found = check.found.split("; ");
    let first = found.next().unwrap_or_default();
    writeln!(out, "  {word}  {:<10}  {first}", check.name)?;
    for more in found {
        writeln!(out, "{:20}{more}", "")?;
    }
    if check.severity.is_none() {
        return Ok(());
    }
    writeln!(out, "        expected: {}", check.expected)?;
    let limit = if verbose { MANY } else { FEW };
    // What fails the check comes first.
    let mut rows: Vec<&Fault> = check.rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.severity));
    for row in rows.iter().take(limit) {
        writeln!(out, "        {}", line(row))?;
    }
    let all = check.errors + check.warnings;
    let more = all - rows.len().min(limit) as u64;
    if more > 0 {
        let hint = if verbose { "" } else { " (-v lists more)" };
        writeln!(out, "        and {more} more{hint}")?;
    }
    Ok(())
}

/// `members.csv:12: member WA004: Member 3f…: phone: expected "x", found "y": edited after the run`
fn line(fault: &Fault) -> String {
    let mut parts = Vec::new();
    if fault.severity == Level::Warning {
        parts.push("warning".to_owned());
    }
    parts.extend(fault.at.as_ref().map(ToString::to_string));
    parts.extend(fault.record.clone());
    match (&fault.table, &fault.key) {
        (Some(table), Some(key)) => parts.push(format!("{table} {key}")),
        (Some(table), None) => parts.push(table.clone()),
        _ => {}
    }
    parts.extend(fault.column.clone());
    if let (Some(expected), Some(found)) = (&fault.expected, &fault.found) {
        parts.push(format!("expected {expected}, found {found}"));
    }
    parts.push(fault.message.clone());
    parts.join(": ")
}

/// Prints the report for programs.
pub(crate) fn json(run: &Run, checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    let failed = checks.iter().filter(|check| !check.passed).count();
    let warned = checks
        .iter()
        .filter(|check| check.passed && check.warnings > 0)
        .count();
    let report = json!({
        "run": run.id, "bundle": run.bundle, "status": run.status, "target": run.target,
        "passed": failed == 0, "checks": checks,
        "summary": {"total": checks.len(), "passed": checks.len() - failed, "failed": failed, "warnings": warned},
    });
    writeln!(out, "{report}")
}
