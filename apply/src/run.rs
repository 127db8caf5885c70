//! What goes before the first batch: whatever can be refused is refused here.

use std::collections::BTreeMap;
use std::io::Write;

use contract::bundle::{BatchSize, Bundle};
use contract::{Answer, Exit, Failure, Talk};
use store::{LookupCode, Target, TargetUrl, Which, ledger, sign_with};
use system::Signals;

use crate::Args;
use crate::cut;
use crate::decide::decide;
use crate::guard;
use crate::hooks;
use crate::job::Job;
use crate::rehearse::rehearse;
use crate::settle::resolve;
use crate::snapshot;
use crate::throttle::Throttle;
use crate::which::{not_started, refused, which};

/// Applies a bundle.
///
/// # Errors
///
/// With the exit code of the table; after a write the ledger says what stands.
pub fn run(args: &Args, out: &mut dyn Write, talk: &Talk) -> anyhow::Result<Exit> {
    let mut answer = Answer::new(out);
    let (exit, run) = go(args, &mut answer, talk)?;
    let changed = run.map(|run| format!("run {run} has written: verify report {run} says what"));
    Ok(answer.end(exit, changed.as_deref(), talk)?)
}

/// Returns how the program ends, and the ID of the run that has changed the target, if one has.
fn go(args: &Args, out: &mut Answer<'_>, talk: &Talk) -> anyhow::Result<(Exit, Option<String>)> {
    let signals = Signals::listen()?;
    if let Some(key) = &args.audit_key {
        sign_with(key).map_err(|why| Failure::new(Exit::Usage, format!("--audit-key: {why}")))?;
    }
    let bundle = Bundle::open(&args.bundle)?;
    bundle.check()?;
    if let Some(note) = &args.resolve {
        return Ok((resolve(args, &bundle, note, talk)?, None));
    }
    if args.rehearse {
        let exit = rehearse(args, &bundle, &signals, out, talk)?;
        return Ok((exit, None));
    }
    let environment = guard::environment(args, &bundle)?;
    let permission = hooks::permission(args, &bundle, talk)?;
    let mut target = args.to.open().map_err(refused)?;
    let problems = target.preflight(bundle.plan()).map_err(refused)?;
    if !problems.is_empty() {
        let message = "the target does not fit the plan:";
        return Err(Failure::new(Exit::Refused, message)
            .rows(problems)
            .hint("nothing was written; correct the plan or the target")
            .into());
    }
    Throttle::check(args, target.sql())?;
    if let Some((run, told)) =
        hooks::left(args, &bundle, target.sql(), &permission, talk).map_err(refused)?
    {
        talk.say(format!(
            "run {} is {}: its hooks were due, and were run",
            run.id, run.status
        ));
        if !args.json {
            writeln!(out, "{}", run.id)?;
        }
        return Ok((told.exit(Exit::Done), Some(run.id)));
    }
    let mut start = which(args, &bundle, environment, target.sql(), (talk, &signals))?;
    if let Which::New(_) = start.run {
        look_up(&bundle, target.as_mut())?;
    }
    if args.dry_run {
        announce_dry_run(args, &bundle, talk);
    }
    let size = match &start.run {
        Which::New(new) => BatchSize::new(new.batch_size),
        Which::Resume(run) => run.batches(),
    };
    let passes = cut::passes(&bundle, size);
    let batches = passes.iter().map(|pass| pass.batches).sum();
    if let Some(no) = args
        .only_batch
        .filter(|no| *no < 1 || no.unsigned_abs() > batches)
    {
        let message = format!("the run has batches 1 to {batches}, not {no}");
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let resumed = matches!(start.run, Which::Resume(_));
    if !args.dry_run && (args.expect.is_some() || guard::limits_rows(&bundle.plan().plan.limits)) {
        let how = (args, &bundle, talk);
        decide(how, target, start.clone(), &passes, &signals)?;
        target = args.to.open().map_err(refused)?;
        if !resumed {
            look_up(&bundle, target.as_mut())?;
        }
    }
    let snapshot = snapshot::take(args, talk, &mut start.run, &signals).map_err(|error| {
        // What ends this ends the program that makes the copy, too.
        match signals.stop() {
            Some(signal) => Failure::new(
                signal.into(),
                format!("stopped before the run began: {error}"),
            ),
            None => refused(error),
        }
    })?;
    for renamed in ledger::renamed(target.sql(), &bundle.plan().plan).map_err(refused)? {
        talk.say(renamed.to_string());
    }
    let id = start.run.id().to_owned();
    let policy = start.policy;
    let given_up = hooks::holding(args, target.sql()).map_err(refused)?;
    let run = target.start(bundle.plan(), start).map_err(|error| {
        let failure = not_started(args, &id, error);
        if failure.exit != Exit::Partial {
            snapshot::discard(snapshot.as_ref());
        }
        failure
    })?;
    let mut job = Job::new(args, talk, &bundle, &permission, signals, &run, policy)?;
    if !args.dry_run {
        job.announce(out);
        if let Some(old) = given_up.filter(|old| *old != run.id) {
            hooks::run(args, target.sql(), &old, &permission, talk);
        }
        hooks::run(args, target.sql(), &run.id, &permission, talk);
    }
    job.added(target.as_mut(), &run).map_err(refused)?;
    let exit = job.work(target.as_mut(), &run, &passes, resumed, out)?;
    Ok((exit, Some(run.id).filter(|_| !args.dry_run)))
}

/// Looks up every code of the bundle, each once.
fn look_up(bundle: &Bundle, target: &mut dyn Target) -> anyhow::Result<()> {
    let plan = &bundle.plan().plan;
    let mut codes: BTreeMap<(String, String, String), LookupCode> = BTreeMap::new();
    let looks_up = |entity: &str| {
        let fields = plan.entity(entity).map(|entity| &entity.fields);
        fields.is_some_and(|fields| fields.values().any(|field| field.lookup.is_some()))
    };
    cut::scan(bundle, looks_up, |record| {
        for (column, code) in &record.lookups {
            let field = plan
                .entity(&record.entity)
                .and_then(|entity| entity.fields.get(column));
            let Some((field, lookup)) =
                field.and_then(|field| Some((field, field.lookup.as_ref()?)))
            else {
                continue;
            };
            codes
                .entry((record.entity.clone(), column.clone(), code.clone()))
                .or_insert_with(|| LookupCode {
                    entity: record.entity.clone(),
                    column: column.clone(),
                    lookup: lookup.clone(),
                    code: code.clone(),
                    secret: field.secret,
                    at: record.at.clone(),
                });
        }
    })?;
    let codes: Vec<LookupCode> = codes.into_values().collect();
    let faults = target.look_up(&codes).map_err(refused)?;
    if faults.is_empty() {
        return Ok(());
    }
    let line = |fault: &store::LookupFault| {
        format!(
            "{}: {}.{}: {}",
            fault.code.at, fault.code.entity, fault.code.column, fault.message
        )
    };
    let message = "codes that the target does not know, or knows several times:";
    Err(Failure::new(Exit::Refused, message)
        .rows(faults.iter().map(line))
        .hint("nothing was written; add the codes to the target, or map them")
        .into())
}

/// Says which locks a dry run holds until it ends.
fn announce_dry_run(args: &Args, bundle: &Bundle, talk: &Talk) {
    talk.say(format!(
        "dry run: {} {} until it ends, {} s at most",
        args.to,
        args.to.kept_from_others(),
        args.max_seconds
    ));
    let mut tables: Vec<&str> = bundle
        .plan()
        .plan
        .add
        .column
        .iter()
        .map(|new| new.table.as_str())
        .collect();
    tables.dedup();
    if matches!(args.to, TargetUrl::Postgres(_)) && !tables.is_empty() {
        talk.say(format!(
            "dry run: nobody else reads {} either where a column is missing (ACCESS EXCLUSIVE)",
            tables.join(", ")
        ));
    }
}
