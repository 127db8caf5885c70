//! Giving way to others who use the target: waiting before a batch, while no transaction is open.

use std::time::{Duration, Instant};

use contract::{Exit, Failure, Talk};
use store::ledger::{self, Counts, Holder};
use store::{Sql, StoreError};
use system::Signals;

use crate::Args;

/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often a signal is looked for meanwhile.
const LISTEN: Duration = Duration::from_millis(50);

/// What may make a run wait.
pub(crate) struct Throttle<'a> {
    args: &'a Args,
    me: Holder,
    /// Not before this may the next batch begin.
    next: Instant,
    /// When the lock was renewed last.
    renewed: Instant,
    /// What was said last, and since when it is waited for.
    said: Option<(&'static str, Instant)>,
    /// That the rate makes the run wait is said once.
    paced: bool,
    /// That the query fails is said once.
    failed: bool,
}

/// A reason to wait, and for how long at most until it is looked at again.
struct Wait {
    why: &'static str,
    text: String,
    at_most: Duration,
}

impl<'a> Throttle<'a> {
    pub(crate) fn new(args: &'a Args, run: &str) -> Self {
        Self {
            args,
            me: Holder::here(&args.operator(), run),
            next: Instant::now(),
            renewed: Instant::now(),
            said: None,
            paced: false,
            failed: false,
        }
    }

    /// Makes sure that the query has an answer, before anything is written.
    ///
    /// # Errors
    ///
    /// It has none.
    pub(crate) fn check(args: &Args, sql: &mut dyn Sql) -> Result<(), Failure> {
        let Some(query) = &args.throttle_query else {
            return Ok(());
        };
        match sql.is_true(query) {
            Ok(_) | Err(StoreError::Busy { .. }) => Ok(()),
            Err(error) => Err(
                Failure::new(Exit::Refused, format!("--throttle-query: {error}")).hint(
                    "nothing was written; it is one SELECT that is true while the target is busy",
                ),
            ),
        }
    }

    /// Tells whether anything may make this run wait: then every batch is committed before the next.
    /// A dry run waits for nobody: it would hold its locks for longer.
    pub(crate) fn is_set(&self) -> bool {
        let Args {
            max_rows_per_second: rate,
            throttle_query: query,
            throttle_file: file,
            ..
        } = self.args;
        !self.args.dry_run && (rate.is_some() || query.is_some() || file.is_some())
    }

    /// Notes what a batch wrote.
    pub(crate) fn wrote(&mut self, counts: &Counts) {
        if let Some(rate) = self.args.max_rows_per_second {
            let rows = counts.created + counts.updated + counts.deleted + counts.linked;
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            self.next = self.next.max(Instant::now()) + Duration::from_secs(1) * rows / rate.max(1);
        }
    }

    /// Waits a little, keeping the lock, where the next batch should not begin yet, and returns for
    /// what; a signal ends the wait at once. No transaction may be open.
    pub(crate) fn wait(
        &mut self,
        sql: &mut dyn Sql,
        signals: &Signals,
        talk: &Talk,
    ) -> Option<String> {
        let wait = self.reason(sql, talk);
        self.say(wait.as_ref(), talk);
        let wait = wait?;
        // That it can't be renewed is seen by the next batch.
        if self.renewed.elapsed() >= ledger::renew_every() {
            ledger::renew_own(sql, &self.me).ok();
            self.renewed = Instant::now();
        }
        let began = Instant::now();
        while began.elapsed() < wait.at_most && signals.stop().is_none() {
            std::thread::sleep(LISTEN.min(wait.at_most.saturating_sub(began.elapsed())));
        }
        Some(wait.text)
    }

    fn reason(&mut self, sql: &mut dyn Sql, talk: &Talk) -> Option<Wait> {
        let wait = |why, text: String| Wait {
            why,
            text: format!("waiting: {text}"),
            at_most: LOOK.min(ledger::renew_every()),
        };
        if let Some(file) = &self.args.throttle_file
            && file.exists()
        {
            return Some(wait("file", format!("{} is there", file.display())));
        }
        if self.is_busy(sql, talk) {
            let text = "the target is busy, says --throttle-query";
            return Some(wait("query", text.into()));
        }
        let left = self.next.saturating_duration_since(Instant::now());
        let rate = self.args.max_rows_per_second.filter(|_| !left.is_zero())?;
        let paced = wait("rate", format!("no more than {rate} rows a second"));
        Some(Wait {
            at_most: paced.at_most.min(left),
            ..paced
        })
    }

    /// A query that fails in mid-run holds nobody up.
    fn is_busy(&mut self, sql: &mut dyn Sql, talk: &Talk) -> bool {
        let Some(query) = &self.args.throttle_query else {
            return false;
        };
        match sql.is_true(query) {
            Ok(answer) => answer,
            Err(StoreError::Busy { .. }) => true,
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    talk.warn(format!(
                        "--throttle-query: {error}; the run does not wait for it"
                    ));
                }
                false
            }
        }
    }

    /// Says once that it is waited, and for the target or a file also that it is over.
    fn say(&mut self, wait: Option<&Wait>, talk: &Talk) {
        let why = wait.map(|wait| wait.why);
        if let Some((_, since)) = self.said.take_if(|(said, _)| Some(*said) != why) {
            let seconds = since.elapsed().as_secs_f64();
            talk.say(format!("going on after {seconds:.0} s"));
        }
        let Some(wait) = wait else { return };
        if wait.why == "rate" {
            if !std::mem::replace(&mut self.paced, true) {
                talk.say(&wait.text);
            }
        } else if self.said.is_none() {
            talk.say(&wait.text);
            self.said = Some((wait.why, Instant::now()));
        }
    }
}
