//! How the work ends when it does not end well: what is said, what is tried, and the exit code.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use chrono::Utc;
use contract::{Exit, Failure};
use store::ledger::{self, Run, RunStatus};
use store::{End, StoreError, Target};
use system::Signal;

use crate::hooks;
use crate::job::{Job, Stop, records};
use crate::which::refused;

impl Job<'_> {
    /// An error of the target while the run is under way.
    pub(crate) fn lost(&self, error: &StoreError) -> Failure {
        if self.args.dry_run {
            return Failure::new(error.exit(), format!("dry run: {error}"));
        }
        self.irreversible
            .set(matches!(error, StoreError::Irreversible { .. }));
        let run = &self.checkpoint.run_id;
        let mut message = error.to_string();
        if let StoreError::Unknown { .. } = error {
            message = format!("{message}; {}", self.read_again());
        }
        let hint = format!(
            "the ledger says what was committed: apply --resume={run} goes on, rollback {run} takes it back"
        );
        Failure::new(Exit::Partial, message).hint(hint)
    }

    /// After an error at COMMIT the ledger, read on a fresh connection, is the only truth.
    fn read_again(&self) -> String {
        let stands = || -> Result<bool, StoreError> {
            let mut found = false;
            // As a writer: it waits until the transaction of the lost connection has ended.
            self.args.to.open_to_undo()?.note(&mut |sql| {
                if let Some(run) = ledger::find_run(sql, &self.checkpoint.run_id)? {
                    ledger::each_batch(sql, run.seq, |batch| {
                        found |= Some(batch.no) == self.trying;
                    })?;
                }
                Ok(())
            })?;
            Ok(found)
        };
        match stands() {
            Ok(true) => "the ledger, read again, says that it was committed".into(),
            Ok(false) => "the ledger, read again, says that it was not committed".into(),
            Err(error) => {
                format!("the ledger can't be read now ({error}): outcome unknown, run --resume")
            }
        }
    }

    /// Ends a run that can't go on, as well as the target lets us.
    pub(crate) fn give_up(
        &mut self,
        target: &mut dyn Target,
        run: &Run,
        error: &anyhow::Error,
    ) -> anyhow::Result<Exit> {
        if self.args.dry_run {
            target.abandon().map_err(refused)?;
            return Err(Failure::new(store::code_of(error), format!("{error:#}")).into());
        }
        let end = End {
            records: records(self.bundle),
            batches: usize::MAX,
            interrupted: false,
            reason: Some(format!("{error:#}")),
            at: Utc::now().timestamp_millis(),
        };
        let ended = target.commit(true).and_then(|_| target.finish(&end));
        match ended {
            Ok(run) => {
                self.end_checkpoint(&run);
                hooks::run(self.args, target.sql(), &run.id, self.permission, self.talk);
            }
            Err(second) => self
                .talk
                .warn(format!("the run could not be ended either: {second}")),
        }
        let nothing = run.last_seq == 0 && self.checkpoint.current_batch == 0;
        if self.irreversible.get() && nothing {
            let hint = "nothing of it is committed; accept it in the plan, or change what keeps it from being taken back";
            return Err(Failure::new(Exit::Refused, format!("{error:#}"))
                .hint(hint)
                .into());
        }
        let hint = format!(
            "apply --resume={0} goes on, rollback {0} takes it back",
            run.id
        );
        Err(Failure::new(Exit::Partial, format!("{error:#}"))
            .hint(hint)
            .into())
    }

    /// Takes the run back by the program that does that, and ends with 1 when nothing of it is left.
    pub(crate) fn roll_back(&self, run: &Run) -> anyhow::Result<Exit> {
        let reason = run.reason.as_deref().unwrap_or("the run failed");
        self.talk
            .say(format!("taking run {} back, as --on-failure asks", run.id));
        let program = std::env::current_exe()?.with_file_name("rollback");
        let allowed = self.args.allow_production.as_ref();
        let allowed = allowed.map(|name| format!("--allow-production={name}"));
        let status = Command::new(&program)
            .arg(&run.id)
            .args(allowed)
            .args(self.hooks_in_words())
            // Not among its arguments: they can be seen by others.
            .env("DATABASE_URL", self.args.to.whole())
            .args(["--operator", &self.args.operator(), "--reason", reason])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| {
                Failure::new(Exit::Partial, format!("{}: {error}", program.display()))
            })?;
        if status.success() {
            return Ok(Exit::No);
        }
        let message = format!("rollback ended with {status}: the ledger says what was committed");
        Err(Failure::new(Exit::Partial, message)
            .hint(format!("rollback {}", run.id))
            .into())
    }

    /// What permits rollback to run the hooks that apply may run, and has it sign its entries.
    fn hooks_in_words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--bundle".into(), self.args.bundle.clone().into()];
        if self.args.no_hooks {
            words.push("--no-hooks".into());
        }
        if self.args.hooks {
            words.push("--hooks".into());
        }
        if let Some(key) = &self.args.audit_key {
            words.extend(["--audit-key".into(), key.clone().into()]);
        }
        for name in &self.args.hook_env {
            words.extend(["--hook-env".into(), name.into()]);
        }
        if let Some(plan) = &self.args.plan {
            words.extend(["--plan".into(), plan.clone().into()]);
        }
        words
    }

    pub(crate) fn reason(&self) -> Option<String> {
        match &self.stopped {
            Some(Stop::Limit(reason) | Stop::Changed(reason)) => Some(reason.clone()),
            Some(Stop::Signal(Signal::Terminate)) => Some("stopped by SIGTERM".into()),
            Some(Stop::Signal(Signal::Interrupt)) => Some("stopped by SIGINT".into()),
            Some(Stop::Slow) => Some("the dry run took longer than --max-seconds".into()),
            Some(Stop::Failed) | None => self.report.reason(),
        }
    }

    pub(crate) fn exit(&self, run: &Run) -> Exit {
        let counts = &run.counts;
        let whole = counts.failed == 0 && counts.not_attempted == 0;
        match self.stopped {
            Some(Stop::Signal(signal)) => signal.into(),
            None if whole && run.status == RunStatus::Completed => Exit::Done,
            _ if self.args.dry_run => Exit::No,
            _ => Exit::Partial,
        }
    }
}
