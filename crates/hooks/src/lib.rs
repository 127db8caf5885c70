//! Hooks: what is told to others once a run stands. Each is a step in the ledger, noted in the
//! transaction of the event it is for and run after its commit: a crash between the two leaves it to
//! be run by whoever goes on with the run. A hook is run at least once; a failure undoes nothing.

mod command;
mod permission;
mod webhook;

pub use permission::Permission;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use contract::plan::{Hook, LoadedPlan};
use contract::{Exit, Talk};
use store::ledger::{self, Holder, HookStep, Run};
use store::{Sql, StoreError};

/// What became of a hook.
struct Ended {
    tries: u32,
    /// Why it failed, without anything secret.
    failed: Option<String>,
}

/// What became of the hooks that were due.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    /// How many were run.
    pub ran: u64,
    /// How many of these are required, and failed: they stay due.
    pub owed: u64,
}

impl Told {
    /// Returns how a program ends that would end so: without what is required the work is done in part.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Exit {
        if exit == Exit::Done && self.owed > 0 {
            Exit::Partial
        } else {
            exit
        }
    }
}

/// Runs the hooks of a run that are due and permitted, in order, and says which failed and which are left
/// due. Whatever goes wrong is a warning.
pub fn run(
    sql: &mut dyn Sql,
    id: &str,
    operator: &str,
    permission: &Permission,
    talk: &Talk,
) -> Told {
    let mut told = Told::default();
    if let Err(error) = all(sql, id, operator, permission, talk, &mut told) {
        talk.warn(format!(
            "the hooks of run {id} could not all be run ({error}): the data is committed, and --resume runs them"
        ));
    }
    told
}

fn all(
    sql: &mut dyn Sql,
    id: &str,
    operator: &str,
    permission: &Permission,
    talk: &Talk,
    told: &mut Told,
) -> Result<(), StoreError> {
    let Some(run) = ledger::find_run(sql, id)? else {
        return Ok(());
    };
    let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone())
        .map_err(|error| StoreError::damaged(error.to_string()))?;
    let (hooks, digest) = (plan.plan.hook, plan.digest);
    let me = Holder::here(operator, id);
    let mut last = 0;
    while !hooks.is_empty()
        && let Some(step) = ledger::next_hook(sql, run.seq, last)?
    {
        last = step.no;
        let place = usize::try_from(step.hook).unwrap_or_default();
        let Some(hook) = place.checked_sub(1).and_then(|place| hooks.get(place)) else {
            return Err(StoreError::damaged(format!(
                "the plan has no hook {}",
                step.hook
            )));
        };
        let name = format!("hook {} ({}) on {}", step.hook, name(hook), step.event);
        if let Some(denied) = permission.denies(digest, hook) {
            talk.warn(format!("{name} is left due: {}", denied.why));
            continue;
        }
        if let Some(other) = at_work(sql, &step, hook, &me)? {
            talk.warn(format!(
                "{name} is being run by process {} on {}",
                other.process, other.host
            ));
            continue;
        }
        if !ledger::claim_hook(sql, &step, &me)? {
            continue;
        }
        system::crash_point!("hook.claimed", StoreError::unreachable);
        // A hook may take longer than the lock lasts, which a run under way holds meanwhile. That it
        // can't be renewed is seen by the next batch.
        let renew = &mut || {
            ledger::renew_own(sql, &me).ok();
        };
        let ended = meanwhile(ledger::renew_every(), renew, || {
            one(&run, &step, hook, permission)
        });
        let Some(ended) = ended else {
            return Err(StoreError::damaged(format!("{name} broke off")));
        };
        system::crash_point!("hook.ran", StoreError::unreachable);
        told.ran += 1;
        match &ended.failed {
            None => talk.detail(format!("{name}: done")),
            Some(why) if hook.required => {
                told.owed += 1;
                talk.warn(format!(
                    "{name} failed: {why}; what the run wrote is committed, the hook stays due: --resume runs it again"
                ));
            }
            Some(why) => talk.warn(format!(
                "{name} failed: {why}; what the run wrote is committed"
            )),
        }
        let (tries, failed) = (ended.tries, ended.failed.as_deref());
        ledger::settle_hook(sql, &step, tries, failed, hook.required)?;
        system::crash_point!("hook.settled", StoreError::unreachable);
    }
    Ok(())
}

/// Does some work on a thread of its own, and something else every so often until it is done. `None`:
/// the work panicked.
fn meanwhile<T: Send>(
    every: Duration,
    tick: &mut dyn FnMut(),
    work: impl FnOnce() -> T + Send,
) -> Option<T> {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        scope.spawn(move || tell.send(work()).ok());
        loop {
            match told.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => tick(),
                ended => return ended.ok(),
            }
        }
    })
}

/// Who else runs it now, if somebody does: a process that is there, and not for longer than it may take.
fn at_work(
    sql: &mut dyn Sql,
    step: &HookStep,
    hook: &Hook,
    me: &Holder,
) -> Result<Option<Holder>, StoreError> {
    let longest = webhook::longest(hook.timeout) + Duration::from_secs(5);
    let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
    let age = sql.now()?.saturating_sub(step.at);
    let holder = step.holder.clone();
    Ok(holder.filter(|holder| holder != me && (0..longest).contains(&age) && !holder.is_lost()))
}

fn name(hook: &Hook) -> &str {
    match (&hook.command, &hook.webhook) {
        (Some(command), _) => command.first().map_or("", String::as_str),
        (None, Some(webhook)) => webhook.url_env.as_deref().unwrap_or("webhook"),
        (None, None) => "",
    }
}

fn one(run: &Run, step: &HookStep, hook: &Hook, permission: &Permission) -> Ended {
    let timeout = Duration::from_secs(hook.timeout);
    match (&hook.command, &hook.webhook) {
        (Some(command), _) => Ended {
            tries: 1,
            failed: command::run(command, &environment(run, step, permission), timeout).err(),
        },
        (None, Some(target)) => webhook::post(target, run, step, permission, timeout),
        (None, None) => Ended {
            tries: 0,
            failed: None,
        },
    }
}

/// The whole environment of a command.
fn environment(run: &Run, step: &HookStep, permission: &Permission) -> Vec<(String, String)> {
    let of_run = [
        ("SWITCHBACK_RUN", run.id.as_str()),
        ("SWITCHBACK_EVENT", &step.event),
        ("SWITCHBACK_STATUS", run.status.word()),
        ("SWITCHBACK_NAME", &run.name),
    ];
    let of_run = of_run.map(|(name, value)| (name.to_owned(), value.to_owned()));
    permission.environment().into_iter().chain(of_run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_renewed_while_a_hook_runs() {
        let mut ticks = 0;
        let every = Duration::from_millis(20);
        let done = meanwhile(every, &mut || ticks += 1, || thread::sleep(every * 10));
        assert_eq!(done, Some(()));
        assert!((2..=10).contains(&ticks), "{ticks}");
    }
}
