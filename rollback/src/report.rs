//! What rollback says: findings and the outcome, for people and for programs.

use std::io::Write;

use contract::talk::counted;
use contract::{Exit, Failure, Record, Talk};
use serde_json::{Value, json};
use store::StoreError;
use store::ledger::{Action, Run};
use store::undo::{Choice, Dependents, Differs, Finding, RunsValue, Values, Verdict};

use crate::Args;
use crate::added::AddedProof;
use crate::course::Course;
use crate::eligible::Eligibility;
use crate::evidence::{Evidence, Identity, says};
use crate::proof::{Proof, TableProof};

/// So many rows in the way are told to people, with what the run wrote; `--json` tells all.
const TOLD: usize = 1000;

/// Findings and the outcome.
pub(crate) struct Report<'a> {
    out: &'a mut dyn Write,
    pub(crate) talk: &'a Talk,
    json: bool,
    choice: Choice,
    pub(crate) course: Course,
    /// Whether the outcome was told.
    told: bool,
    /// Rows in the way that were not told yet.
    waiting: Vec<Finding>,
    rows: u64,
    /// Columns and tables that the run added.
    added: u64,
    gone: u64,
    /// Rows that are left in place or stop everything.
    conflicts: u64,
    forced: u64,
    /// Rows of others that depend on these.
    dependents: u64,
    later_runs: Vec<String>,
}

impl<'a> Report<'a> {
    pub fn new(args: &Args, out: &'a mut dyn Write, talk: &'a Talk) -> Self {
        Self {
            out,
            talk,
            json: args.json,
            choice: args.choice(),
            course: Course::new(talk),
            told: false,
            waiting: Vec::new(),
            rows: 0,
            added: 0,
            gone: 0,
            conflicts: 0,
            forced: 0,
            dependents: 0,
            later_runs: Vec::new(),
        }
    }

    /// Starts a part of the work that deals with so many changes.
    pub fn begin(&mut self, stage: &'static str, total: u64) {
        self.course.begin(stage, total);
    }

    /// So many changes more are dealt with.
    pub fn done(&mut self, count: u64) {
        self.course.done(count);
    }

    /// Starts to count anew.
    pub fn forget(&mut self) {
        (self.rows, self.gone, self.conflicts, self.forced) = (0, 0, 0, 0);
        (self.dependents, self.added) = (0, 0);
        self.waiting.clear();
        self.later_runs.clear();
    }

    pub fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// Takes a row's verdict; `new`: nothing was said of the row yet. A line that can't be written is only lost talk.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "what the check calls for each row may fail"
    )]
    pub fn finding(&mut self, finding: Finding, new: bool) -> Result<(), StoreError> {
        self.done(1);
        match finding.action {
            Action::Map => {}
            Action::Column | Action::Table => self.added += u64::from(new),
            _ => self.rows += u64::from(new),
        }
        self.gone += u64::from(finding.verdict == Verdict::Gone);
        if finding.verdict.is_clear() {
            if self.json {
                let line = finding.to_json();
                self.line(&line);
            }
            return Ok(());
        }
        if let Verdict::LaterRun(run) = &finding.verdict
            && !self.later_runs.contains(run)
        {
            self.later_runs.push(run.clone());
        }
        if let Verdict::DependedOn(dependents) = &finding.verdict {
            self.dependents += dependents.iter().map(|one| one.count).sum::<u64>();
        }
        if self.choice.takes(&finding.verdict) {
            self.forced += 1;
        } else {
            self.conflicts += 1;
        }
        if self.waiting.len() < TOLD {
            self.waiting.push(finding);
        } else if self.json {
            let line = finding.to_json();
            self.line(&line);
        }
        Ok(())
    }

    /// Tells of the rows in the way, with what the run's bundle says of them.
    pub fn conclude(&mut self, evidence: &mut Evidence) -> anyhow::Result<()> {
        self.course.hide();
        let waiting = std::mem::take(&mut self.waiting);
        let wanted: Vec<Identity> = waiting
            .iter()
            .filter_map(|finding| finding.record.clone())
            .collect();
        let records = evidence.records(&wanted)?;
        let told = waiting.len() as u64;
        for finding in waiting {
            let record = finding
                .record
                .as_ref()
                .and_then(|identity| records.get(identity));
            if self.json {
                let line = with_evidence(&finding, record);
                self.line(&line);
            }
            self.talk.warn(in_words(&finding, record));
        }
        let more = (self.conflicts + self.forced).saturating_sub(told);
        if more > 0 {
            self.talk.warn(format!(
                "and {} more; --json lists all",
                counted(more, "row")
            ));
        }
        Ok(())
    }

    /// Why nothing may be written, if so.
    pub fn in_the_way(&self, run: &Run) -> Option<Failure> {
        let id = &run.id;
        if !self.later_runs.is_empty() {
            let runs = self.later_runs.join(", ");
            let message = format!(
                "run {id} can't be rolled back before {runs}: it touched the same rows later; nothing was written"
            );
            let hint = format!("rollback {}", self.later_runs[0]);
            return Some(Failure::new(Exit::No, message).hint(hint));
        }
        if self.conflicts == 0 || self.choice.skip || self.choice.force {
            return None;
        }
        let message = format!(
            "{} of {} of run {id} can't be reversed as {} now; nothing was written",
            self.conflicts,
            self.all(),
            they_are(self.conflicts)
        );
        Some(Failure::new(Exit::No, message).hint(
            "--skip-conflicts leaves them and reverses the rest; --force does so too, and reverses rows that were changed since",
        ))
    }

    /// What the run touched, in words.
    fn all(&self) -> String {
        match self.added {
            0 => counted(self.rows, "row"),
            added => format!(
                "{} and {added} added columns or tables",
                counted(self.rows, "row")
            ),
        }
    }

    /// The answer of `--check`.
    pub fn checked(&mut self, run: &Run, eligible: &Eligibility) {
        let reason = self.in_the_way(run).map(|failure| failure.message);
        let can = reason.is_none();
        let mut line = eligible.to_json(run, reason.as_deref());
        line["rows"] = json!(self.rows);
        line["added"] = json!(self.added);
        line["gone"] = json!(self.gone);
        line["conflicts"] = json!(self.conflicts + self.forced);
        line["forced"] = json!(self.forced);
        line["dependents"] = json!(self.dependents);
        self.line(&line);
        if run.last_seq == 0 {
            self.talk.say(format!(
                "run {} wrote nothing: there is nothing to roll back",
                run.id
            ));
        } else if can {
            let left = if self.conflicts > 0 {
                format!(", {} would stay as they are", self.conflicts)
            } else {
                String::new()
            };
            self.talk.say(format!(
                "run {} can be rolled back: {}, {} of them gone already{left}; nothing was written",
                run.id,
                self.all(),
                self.gone
            ));
        }
    }

    /// The outcome.
    pub fn rolled_back(&mut self, run: &Run, proof: &Proof) {
        let nothing = if run.last_seq == 0 {
            ": it wrote nothing"
        } else {
            ""
        };
        self.talk.say(format!(
            "Rolled back {} from run {}{nothing}",
            counted(proof.reversed(), "entry"),
            run.id
        ));
        for table in &proof.tables {
            self.talk.say(table_line(table));
            for row in &table.elsewhere.told {
                self.talk.say(format!(
                    "{}: {row} is back, edited elsewhere since",
                    table.table
                ));
            }
            for row in &table.marked.told {
                self.talk.say(format!(
                    "{}: {row} stays, marked rolled-back, as the plan says",
                    table.table
                ));
            }
            for row in &table.wrong.told {
                self.talk.warn(format!("{}: {row}", table.table));
            }
        }
        for added in &proof.added {
            if added.wrong() {
                self.talk.warn(added.line());
            } else {
                self.talk.say(added.line());
            }
        }
        for wrong in &proof.wrong_entries.told {
            self.talk.warn(format!("id map: {wrong}"));
        }
        if run.kept > 0 {
            self.talk.warn(format!(
                "{} kept in place; once nothing is in the way, rollback {} takes back what is left too",
                counted(run.kept.unsigned_abs(), "change"),
                run.id
            ));
        }
        if !proof.holds() {
            self.talk.warn(format!(
                "the proof fails: run {} is rolled back, but the rows above are not what they were",
                run.id
            ));
        }
        let tables: Vec<Value> = proof.tables.iter().map(TableProof::to_json).collect();
        let restored: serde_json::Map<String, Value> = proof
            .tables
            .iter()
            .map(|table| (table.table.clone(), table.restored().into()))
            .collect();
        let status = match (proof.holds(), run.kept) {
            (false, _) => "FAILED",
            (true, 0) => "SUCCESS",
            (true, _) => "PARTIAL",
        };
        let error = (!proof.holds()).then_some("the proof fails: rows are not what they were");
        let mut line = json!({
            "run": run.id,
            "status": run.status.word(),
            "reversed": proof.reversed(),
            "kept": run.kept,
            "proved": proof.holds(),
            "restored": restored,
            "conflicts": self.conflicts + self.forced,
            "forced": self.forced,
            "tables": tables,
            "added": proof.added.iter().map(AddedProof::to_json).collect::<Vec<_>>(),
        });
        self.told = true;
        self.course.end(error);
        extend(&mut line, self.course.to_json(status, error));
        self.line(&line);
    }

    /// The outcome, where it was not told yet: it stopped before its end.
    pub fn end(&mut self, id: &str, ended: &anyhow::Result<Exit>) {
        let error = match ended {
            _ if self.told => return,
            Ok(Exit::Done) => return,
            Ok(_) => "stopped by a signal".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        self.told = true;
        let exit = ended.as_ref().map_or_else(contract::code_of, |exit| *exit);
        let wrote = !matches!(
            exit,
            Exit::No | Exit::Usage | Exit::Refused | Exit::Unreachable | Exit::Locked
        );
        let status = if wrote { "PARTIAL" } else { "FAILED" };
        self.course.end(Some(&error));
        let conflicts = self.conflicts + self.forced;
        let mut line = json!({"run": id, "conflicts": conflicts, "forced": self.forced});
        extend(&mut line, self.course.to_json(status, Some(&error)));
        self.line(&line);
    }

    /// Writes a line of JSON, where it is asked for.
    pub fn line(&mut self, value: &Value) {
        if self.json {
            writeln!(self.out, "{value}").ok();
            self.out.flush().ok();
        }
    }
}

/// Adds the members of an object to another.
fn extend(line: &mut Value, more: Value) {
    if let (Value::Object(line), Value::Object(more)) = (line, more) {
        line.extend(more);
    }
}

/// What follows a number of rows.
pub(crate) fn they_are(count: u64) -> &'static str {
    if count == 1 { "it is" } else { "they are" }
}

fn table_line(table: &TableProof) -> String {
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
        (table.gone, "gone already"),
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
fn with_evidence(finding: &Finding, record: Option<&Record>) -> Value {
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

fn in_words(finding: &Finding, record: Option<&Record>) -> String {
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
        Verdict::Reversible | Verdict::Marked => "can be reversed".into(),
    };
    match finding.action {
        Action::Column => format!("column {}.{}: {what}", finding.table, finding.key),
        Action::Table => format!("table {}: {what}", finding.table),
        _ => format!("{} {}{at}: {what}", finding.table, finding.key),
    }
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
