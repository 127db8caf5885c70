//! What the program does.

use std::io::Write;

use contract::{Exit, Failure, Talk, Visible};
use store::Sql;

use crate::args::{Args, What};
use crate::sample::Sample;
use crate::scene::{Scene, target_error};
use crate::{audit, checks, print, runs, summary};

/// Does what the command line asks for, and returns how the program ends.
///
/// # Errors
///
/// The run is unknown, its bundle does not add up, or something can't be read. A check that fails is
/// no error: it is `Exit::No`.
pub fn run(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    let mut out = if args.json {
        Visible::json(out)
    } else {
        Visible::lines(out)
    };
    answer(args, &mut out, talk)
}

fn answer(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    if args.what.is_some() && (args.run.is_some() || args.bundle.is_some() || args.sample.is_some())
    {
        let message =
            "RUN, --bundle and --sample are for the check of a run, and go with no command";
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let mut sql = args.target()?.read().map_err(target_error)?;
    match (&args.what, &args.run) {
        (Some(What::Runs), _) => runs::show(sql.as_mut(), args, out),
        (Some(What::Report { run }), _) => summary::show(sql.as_mut(), run, args, out),
        (Some(question @ What::Audit { .. }), _) => audit::show(sql.as_mut(), question, args, out),
        (None, run) => check(sql, run.as_deref().unwrap_or_default(), args, out, talk),
    }
}

fn check(
    sql: Box<dyn Sql>,
    id: &str,
    args: &Args,
    out: &mut dyn Write,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let mut scene = Scene::new(sql, id, args.bundle.as_deref(), talk)?;
    if store::ledger::pruned(scene.sql.as_mut(), &scene.run.id)
        .map_err(target_error)?
        .is_some()
    {
        talk.warn(format!(
            "run {} is pruned: what it changed is not kept any more, and it can't be rolled back",
            scene.run.id
        ));
    }
    let sample = match (&scene.bundle, args.sample) {
        (Some(bundle), Some(size)) => Some(Sample::draw(bundle, size, args.seed)?),
        (None, Some(_)) => {
            talk.warn("--sample needs the bundle: every record that the ledger knows is checked");
            None
        }
        (_, None) => None,
    };
    let checks = checks::all(&mut scene, sample)?;
    if args.json {
        print::json(&scene.run, &checks, out)?;
    } else {
        print::human(&scene.run, &checks, args.verbose, out)?;
    }
    out.flush()?;
    let passed = checks.iter().all(|check| check.passed);
    Ok(if passed { Exit::Done } else { Exit::No })
}
