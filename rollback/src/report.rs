//! What rollback says: findings and the outcome, for people and for programs.

use std::io::Write;

use contract::talk::counted;
use contract::{Exit, Failure, Talk, Visible};
use serde_json::{Value, json};
use store::ledger::{Action, Run, RunStatus};
use store::undo::{self, Choice, Dependents, Finding, Scene, Trap, Verdict};
use store::{Sql, StoreError};

use crate::Args;
use crate::added::AddedProof;
use crate::course::Course;
use crate::eligible::Eligibility;
use crate::evidence::{Evidence, Identity};
use crate::moved::Moved;
use crate::proof::{Proof, TableProof};
use crate::words::{in_words, set_null, table_line, they_are, with_evidence};

/// So many rows in the way are told to people, with what the run wrote; `--json` tells all.
const TOLD: usize = 1000;

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Rollback,
    DryRun,
    /// A trial before the first write: nobody hears of it.
    Trial,
}

/// Findings and the outcome.
pub(crate) struct Report<'a> {
    out: &'a mut dyn Write,
    pub(crate) talk: &'a Talk,
    json: bool,
    what: What,
    choice: Choice,
    pub(crate) course: Course,
    /// What the target is now, in words, once the run is rolled back.
    pub(crate) changed: Option<String>,
    /// Whether the outcome was told.
    told: bool,
    /// Rows in the way that were not told yet.
    waiting: Vec<Finding>,
    /// How many rows were told of.
    named: u64,
    rows: u64,
    /// Columns and tables that the run added.
    added: u64,
    gone: u64,
    /// Rows that already are what they were.
    as_before: u64,
    /// Rows with a change of others in a column that never conflicts: it goes.
    overwritten: u64,
    /// Rows that can be reversed, with a word on what that does to what others wrote.
    noted: u64,
    /// References of others that are set NULL.
    detached: u64,
    /// Rows that are left in place or stop everything.
    conflicts: u64,
    forced: u64,
    /// Rows of others that depend on these.
    dependents: u64,
    /// Whether --detach would take something out of the way.
    detachable: bool,
    later_runs: Vec<String>,
}

impl<'a> Report<'a> {
    pub fn new(args: &Args, out: &'a mut dyn Write, talk: &'a Talk) -> Self {
        Self {
            out,
            talk,
            json: args.json,
            what: if args.dry_run {
                What::DryRun
            } else {
                What::Rollback
            },
            choice: args.choice(),
            course: Course::new(talk),
            changed: None,
            told: false,
            waiting: Vec::new(),
            named: 0,
            rows: 0,
            added: 0,
            gone: 0,
            as_before: 0,
            overwritten: 0,
            noted: 0,
            detached: 0,
            conflicts: 0,
            forced: 0,
            dependents: 0,
            detachable: false,
            later_runs: Vec::new(),
        }
    }

    /// A report that nobody hears, not even who asked for lines of JSON.
    pub fn unheard(args: &Args, out: &'a mut dyn Write, talk: &'a Talk) -> Self {
        Self {
            json: false,
            what: What::Trial,
            ..Self::new(args, out, talk)
        }
    }

    /// Tells whether what is reported lasts.
    pub fn lasts(&self) -> bool {
        self.what == What::Rollback
    }

    /// Tells whether anybody hears it.
    pub fn is_heard(&self) -> bool {
        self.what != What::Trial
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
        self.named = 0;
        (self.dependents, self.added) = (0, 0);
        (self.as_before, self.overwritten) = (0, 0);
        (self.noted, self.detached) = (0, 0);
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
        self.as_before += u64::from(finding.verdict == Verdict::AsBefore);
        if finding.verdict.is_clear()
            && finding.overwritten.is_empty()
            && finding.detached.is_empty()
        {
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
            let set_null = |one: &Dependents| one.on_delete.eq_ignore_ascii_case("SET NULL");
            self.detachable |= dependents.iter().all(set_null);
            self.dependents += dependents.iter().map(|one| one.count).sum::<u64>();
        }
        self.detached += finding.detached.len() as u64;
        if finding.verdict.is_clear() {
            self.noted += 1;
            self.overwritten += u64::from(!finding.overwritten.is_empty());
        } else if self.choice.takes(&finding.verdict) {
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
            if !finding.verdict.is_clear() || !finding.overwritten.is_empty() {
                self.talk.warn(in_words(&finding, record, self.choice));
            }
            if self.choice.takes(&finding.verdict) {
                self.detaching(&finding);
            }
        }
        let all = self.conflicts + self.forced + self.noted;
        self.named += told;
        let more = all.saturating_sub(self.named);
        if more > 0 {
            self.talk.warn(format!(
                "and {} more; --json lists all",
                counted(more, "row")
            ));
        }
        Ok(())
    }

    /// Takes rows that a trial of the whole left in place.
    pub fn would_stay(
        &mut self,
        findings: Vec<Finding>,
        count: u64,
        evidence: &mut Evidence,
    ) -> anyhow::Result<()> {
        let more = count.saturating_sub(findings.len() as u64);
        for finding in findings {
            self.finding(finding, false)?;
        }
        self.conflicts += more;
        self.conclude(evidence)
    }

    /// Tells of the rows that the target refused to reverse, which nothing seemed to be in the way of before.
    pub fn refused(&mut self, scene: &Scene, evidence: &mut Evidence) -> anyhow::Result<()> {
        let (left, _) = scene.left_in_place();
        let failed = |finding: &&Finding| matches!(finding.verdict, Verdict::Failed(_));
        let refused: Vec<&Finding> = left.iter().filter(failed).collect();
        if refused.is_empty() {
            return Ok(());
        }
        for finding in refused {
            self.finding(finding.clone(), false)?;
        }
        self.conclude(evidence)
    }

    /// Tells of the references that are set NULL when a row goes.
    fn detaching(&self, finding: &Finding) {
        for detached in finding.detached.iter().take(TOLD) {
            let goes = format!("{} {} goes", finding.table, finding.key);
            self.talk.warn(format!("{}, as {goes}", set_null(detached)));
        }
        if finding.detached.len() > TOLD {
            let more = counted((finding.detached.len() - TOLD) as u64, "reference");
            self.talk.warn(format!("and {more} more; --json lists all"));
        }
    }

    /// Lists what the rollback detached, as the ledger has it, and says how it can be restored.
    pub fn detached(&mut self, sql: &mut dyn Sql, run: &Run) -> Result<(), StoreError> {
        self.detached = 0;
        undo::detached(sql, run, &mut |detached| {
            self.detached += 1;
            self.line(&json!({"run": run.id, "detached": detached.to_json()}));
            Ok::<(), StoreError>(())
        })?;
        if self.detached > 0 {
            self.talk.say(format!(
                "{} of others set NULL; once their parents are there again, the lines of rollback {} --export set them back",
                counted(self.detached, "reference"),
                run.id
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
        let mut hint = "--skip-conflicts leaves them and reverses the rest; --force does so too, and reverses rows that were changed since".to_owned();
        if self.detachable && !self.choice.detach {
            hint.push_str(
                "; --detach sets references NULL whose foreign key says on delete set null",
            );
        }
        Some(Failure::new(Exit::No, message).hint(hint))
    }

    /// Why a rollback with this choice would not take back the whole run, though it would begin: nobody
    /// asked to leave what it can't reverse, or nothing would be reversed.
    fn in_part(&self, run: &Run) -> Option<Failure> {
        let all = (self.rows + self.added).saturating_sub(self.gone);
        let nothing = all <= self.conflicts && run.status != RunStatus::RolledBack;
        if self.conflicts == 0 || (self.choice.skip && !nothing) {
            return None;
        }
        let message = format!(
            "{} of {} of run {} would stay as {} now; nothing was written",
            self.conflicts,
            self.all(),
            run.id,
            they_are(self.conflicts)
        );
        Some(Failure::new(Exit::No, message).hint(
            "--force reverses what was changed since and leaves the rest, exit 1; --skip-conflicts asks to leave it",
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

    /// The answer of `--check`, and why it is no, if so.
    ///
    /// `untried`: tables of which only trying shows whether rows come back. `accepted`: those of which the
    /// plan accepts that they may not.
    pub fn checked(
        &mut self,
        run: &Run,
        eligible: &Eligibility,
        untried: &[Trap],
        accepted: &[String],
    ) -> Option<Failure> {
        let no = self.in_the_way(run).or_else(|| self.in_part(run));
        let reason = no.as_ref().map(|failure| failure.message.clone());
        let can = reason.is_none();
        let mut line = eligible.to_json(run, reason.as_deref());
        line["rows"] = json!(self.rows);
        line["added"] = json!(self.added);
        line["gone"] = json!(self.gone);
        line["as_before"] = json!(self.as_before);
        line["overwritten"] = json!(self.overwritten);
        line["detached"] = json!(self.detached);
        line["conflicts"] = json!(self.conflicts + self.forced);
        line["forced"] = json!(self.forced);
        line["dependents"] = json!(self.dependents);
        let tables: Vec<&str> = untried.iter().map(|trap| trap.table.as_str()).collect();
        line["untried"] = json!(tables);
        line["accepted_no_undo"] = json!(accepted);
        self.line(&line);
        for trap in untried {
            self.talk.warn(format!(
                "whether rows of {} come back ({}) shows once it is tried: rollback {} --dry-run",
                trap.table,
                trap.what.join(", "),
                run.id
            ));
        }
        if !accepted.is_empty() {
            self.talk.warn(format!(
                "the run's plan accepts that rows of {} may not come back (accept_no_undo)",
                accepted.join(", ")
            ));
        }
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
            let already = if self.as_before > 0 {
                format!(", {} as before the run", self.as_before)
            } else {
                String::new()
            };
            self.talk.say(format!(
                "run {} can be rolled back: {}, {} of them gone already{already}{left}; nothing was written",
                run.id,
                self.all(),
                self.gone
            ));
        }
        no
    }

    /// What the proof found, table by table, and what else is to be said of rows that are back.
    fn proved(&self, proof: &Proof) {
        for table in &proof.tables {
            self.talk.say(table_line(table));
            for row in &table.elsewhere.told {
                self.talk.say(format!(
                    "{}: {row} is back, edited elsewhere since",
                    table.table
                ));
            }
            for row in &table.gone.told {
                self.talk.say(format!("{}: {row}", table.table));
            }
            for row in &table.marked.told {
                self.talk.say(format!(
                    "{}: {row} stays, marked rolled-back, as the plan says",
                    table.table
                ));
            }
            for row in &table.described.told {
                self.talk.say(format!(
                    "{}: {row}, which describes the run, stays as it is, as the plan says",
                    table.table
                ));
            }
            for row in &table.wrong.told {
                self.talk.warn(format!("{}: {row}", table.table));
            }
        }
        for row in proof.moved.iter().take(TOLD) {
            self.talk.warn(format!(
                "{} {}: its rowid was {}, which was taken: it is back under another",
                row.table, row.key, row.rowid
            ));
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
    }

    /// The outcome.
    pub fn rolled_back(&mut self, run: &Run, proof: &Proof) {
        self.changed = Some(format!("run {} is rolled back", run.id));
        let nothing = if run.last_seq == 0 {
            ": it wrote nothing"
        } else {
            ""
        };
        let would = if self.what == What::DryRun {
            "dry run, nothing written: "
        } else {
            ""
        };
        self.talk.say(format!(
            "{would}Rolled back {} from run {}{nothing}",
            counted(proof.reversed(), "entry"),
            run.id
        ));
        if self.as_before > 0 {
            self.talk.say(format!(
                "as before the run already: {}",
                counted(self.as_before, "row")
            ));
        }
        self.proved(proof);
        if run.kept > 0 {
            self.talk.warn(format!(
                "{} kept in place; once nothing is in the way, rollback {} takes back what is left too",
                counted(run.kept.unsigned_abs(), "change"),
                run.id
            ));
            if !self.choice.skip {
                self.talk.warn(format!(
                    "run {} is taken back in part, which nobody asked for: --skip-conflicts does",
                    run.id
                ));
            }
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
            "dry_run": self.what == What::DryRun,
            "reversed": proof.reversed(),
            "kept": run.kept,
            "proved": proof.holds(),
            "restored": restored,
            "conflicts": self.conflicts + self.forced,
            "forced": self.forced,
            "detached": self.detached,
            "moved": proof.moved.iter().map(Moved::to_json).collect::<Vec<_>>(),
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
        let exit = ended.as_ref().map_or_else(store::code_of, |exit| *exit);
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
            writeln!(Visible::json(&mut *self.out), "{value}").ok();
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
