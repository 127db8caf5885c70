//! Settling by hand a rollback that failed for good.

use contract::{Exit, Talk};
use store::TargetUrl;
use store::ledger::Holder;
use store::undo;
use system::Signals;

use crate::Args;
use crate::guard;
use crate::run::refused;

/// Says in the ledger that people have dealt with what rollback could not do.
pub(crate) fn resolve(
    args: &Args,
    url: &TargetUrl,
    (id, note): (&str, &str),
    signals: &Signals,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let mut target = url.open_to_undo().map_err(refused)?;
    let run = crate::run::find(target.sql(), id, (talk, signals))?;
    guard::check(args, url, &run)?;
    let holder = Holder::here(&args.operator(), id);
    let run = undo::resolve(target.as_mut(), id, &holder, note).map_err(refused)?;
    talk.say(format!(
        "run {} is rolled-back, settled by hand: {note}",
        run.id
    ));
    if run.kept > 0 {
        talk.warn(format!(
            "{} changes of it count as kept; rollback {} would try to take them back",
            run.kept, run.id
        ));
    }
    Ok(Exit::Done)
}
