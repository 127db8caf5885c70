//! The program: plan, files, stage.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use contract::plan::LoadedPlan;
use contract::{Exit, Failure, RecordWriter};
use system::files::AtomicFile;

use crate::Args;
use crate::prepared::Prepared;
use crate::sources::{Files, Root};
use crate::stage::Stage;

/// Runs the stage.
///
/// # Errors
///
/// What is wrong with the arguments, the plan or a source. Then no seal was written, and the next
/// stage refuses what was.
pub fn run(args: &Args, out: impl Write) -> anyhow::Result<Exit> {
    let plan = LoadedPlan::read(&args.plan)?;
    let root = Root::new(args.root.as_deref().unwrap_or(plan.folder()))?;
    let mut work = Vec::new();
    for entity in &plan.plan.entity {
        let prepared = Prepared::new(&plan, entity).map_err(|error| {
            let message = format!("{}: entity `{}`: {error}", plan.path.display(), entity.name);
            Failure::new(Exit::Usage, message)
        })?;
        work.push((prepared, root.files(entity, !args.files.is_empty())?));
    }
    select(&root, &args.files, &mut work)?;
    let rejects = match &args.rejects {
        Some(path) => {
            let file = AtomicFile::create(path);
            Some(RecordWriter::new(
                file.with_context(|| format!("writing {}", path.display()))?,
            ))
        }
        None => None,
    };
    let dropping = work
        .iter()
        .filter(|(prepared, _)| !prepared.entity.source.drop.is_empty());
    let hidden = dropping
        .flat_map(|(_, files)| files.keys().cloned())
        .collect();
    let mut stage = Stage::new(args.talk(), args.explain, out, rejects, hidden);
    for (prepared, files) in &work {
        stage.entity(prepared, files)?;
    }
    stage.finish(plan.digest, args.rejects.as_deref())?;
    Ok(Exit::Done)
}

/// Leaves only the files that the command line names.
fn select(root: &Root, wanted: &[PathBuf], work: &mut [(Prepared, Files)]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut names = BTreeSet::new();
    for path in wanted {
        let name = root.name_of(path)?;
        if !work.iter().any(|(_, files)| files.contains_key(&name)) {
            return Err(Failure::new(
                Exit::Usage,
                format!("no entity of the plan reads {name}"),
            ));
        }
        names.insert(name);
    }
    for (_, files) in work {
        files.retain(|name, _| names.contains(name));
    }
    Ok(())
}
