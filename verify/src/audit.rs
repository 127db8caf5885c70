//! The audit trail: is it whole, and what does it say?

use std::io::Write;

use contract::talk::counted;
use contract::{Digest, Exit, Failure};
use serde_json::{Value, json};
use store::ledger::{self, AuditEntry, Signed};
use store::{AuditKey, Sql, StoreError};

use crate::args::{Args, Since, What};
use crate::figures::moment;
use crate::finding::{Check, Fault};
use crate::operators::{Work, by_operator, is_rollback};
use crate::scene::{find_run, target_error};
use crate::trail;

/// Checks the chain and lists its entries.
pub(crate) fn show(
    sql: &mut dyn Sql,
    question: &What,
    args: &Args,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let What::Audit {
        run,
        rollbacks,
        days,
        by_operator: by,
        since,
        audit_key,
    } = question
    else {
        return Ok(Exit::Done);
    };
    let (kept, day) = match since {
        Some(Since::Hash(hash)) if !by => (Some(hash), None),
        Some(Since::Day(day)) if *by => (None, Some(day)),
        None => (None, None),
        Some(_) => {
            let message =
                "--since: a day goes with --by-operator, and without it the hash of an entry";
            return Err(Failure::new(Exit::Usage, message).into());
        }
    };
    let run = run.as_deref().map(|run| find_run(sql, run)).transpose()?;
    let (mut check, mut entries) = if ledger::version(sql).map_err(target_error)?.is_some() {
        let check = trail::check(sql, None)?;
        (check, ledger::list_audit(sql).map_err(target_error)?)
    } else {
        (trail::begun().found("no ledger"), vec![])
    };
    let key = audit_key.as_deref().map(AuditKey::read).transpose();
    let key = key.map_err(|why| Failure::new(Exit::Usage, format!("--audit-key: {why}")))?;
    let unsigned = match &key {
        Some(key) if !entries.is_empty() => unsigned(sql, key).map_err(target_error)?,
        _ => vec![],
    };
    let head = entries.last().map(|entry| hex(&entry.hash));
    if let Some(kept) = kept {
        after(kept, &mut entries, &mut check);
    }
    let first = entries.first().map_or(i64::MAX, |entry| entry.seq);
    for (seq, how) in unsigned {
        if seq >= first {
            check.add(Fault::error(format!("entry {seq} {how}")));
        }
    }
    if let Some(run) = &run {
        entries.retain(|entry| entry.run.as_ref() == Some(&run.id));
    }
    if *rollbacks {
        let from = sql.now().map_err(target_error)? - i64::from(*days) * 86_400_000;
        entries.retain(|entry| entry.at >= from && is_rollback(&entry.action));
    }
    if *by {
        let midnight = day.and_then(|day| day.and_hms_opt(0, 0, 0));
        let since = midnight.map_or(i64::MIN, |time| time.and_utc().timestamp_millis());
        operators(&by_operator(&entries, since), &check, args, out)?;
    } else if args.json {
        let entries: Vec<Value> = entries.iter().map(to_json).collect();
        writeln!(
            out,
            "{}",
            json!({"check": check, "entries": entries, "head": head})
        )?;
    } else {
        for entry in &entries {
            let run = entry.run.as_deref().unwrap_or("-");
            writeln!(
                out,
                "{:>5}  {}  {}  run {run}, by {} on {}  {}",
                entry.seq,
                moment(entry.at),
                entry.action,
                entry.operator,
                entry.host,
                entry.detail
            )?;
        }
        if let Some(head) = &head {
            writeln!(out, "head {head}")?;
        }
        crate::print::check(&check, args.verbose, out)?;
    }
    out.flush()?;
    Ok(if check.passed { Exit::Done } else { Exit::No })
}

/// Returns the entries that a key did not sign, each with what is the matter.
fn unsigned(sql: &mut dyn Sql, key: &AuditKey) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let mut found = Vec::new();
    ledger::each_signed(sql, key, |entry, signed| match signed {
        Signed::Yes => {}
        Signed::No => found.push((entry.seq, "is not signed")),
        Signed::Otherwise => found.push((
            entry.seq,
            "is not signed with this key, or was changed since",
        )),
    })?;
    Ok(found)
}

/// Leaves the entries after the one of a hash that was kept elsewhere. Where there is none, the chain was cut, or
/// written anew.
fn after(kept: &Digest, entries: &mut Vec<AuditEntry>, check: &mut Check) {
    let is_it = |entry: &AuditEntry| entry.hash == kept.bytes();
    if let Some(place) = entries.iter().position(is_it) {
        entries.drain(..=place);
        return;
    }
    // The newest pruning keeps the hash of the last entry that it removed.
    let anchors = entries.iter().rev().filter_map(|entry| {
        let detail: Value = serde_json::from_str(&entry.detail).ok()?;
        (entry.action == ledger::AUDIT_PRUNED).then(|| detail["hash"] == kept.to_string())
    });
    if anchors.into_iter().next() != Some(true) {
        check.add(Fault::error(format!(
            "no entry has the hash {kept}: the trail was cut or written anew since that was kept, or its entry was pruned"
        )));
    }
}

/// Prints what each operator did.
fn operators(all: &[Work], check: &Check, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.json {
        writeln!(out, "{}", json!({"check": check, "operators": all}))?;
        return Ok(());
    }
    for work in all {
        writeln!(
            out,
            "{}: {}, {} s, {}",
            work.operator,
            counted(work.runs, "run"),
            work.seconds,
            counted(work.rollbacks, "rollback")
        )?;
    }
    Ok(crate::print::check(check, args.verbose, out)?)
}

fn to_json(entry: &AuditEntry) -> Value {
    let detail: Value =
        serde_json::from_str(&entry.detail).unwrap_or_else(|_| entry.detail.clone().into());
    json!({
        "seq": entry.seq, "at": moment(entry.at), "action": entry.action, "run": entry.run,
        "operator": entry.operator, "host": entry.host, "detail": detail, "hash": hex(&entry.hash),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
