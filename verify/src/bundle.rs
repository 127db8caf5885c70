//! The bundle of a run.

use std::path::Path;

use contract::bundle::Bundle;
use contract::{Exit, Failure};
use store::ledger::Run;

/// Opens the bundle that was given, or the one that is still where the run found it, and hashes
/// every file.
pub(crate) fn find(run: &Run, given: Option<&Path>) -> anyhow::Result<Option<Bundle>> {
    let kept = run
        .bundle_path
        .as_deref()
        .map(Path::new)
        .filter(|path| path.exists());
    let Some(path) = given.or(kept) else {
        return Ok(None);
    };
    let bundle = Bundle::open(path)?;
    bundle.check()?;
    let id = bundle.id().to_string();
    if id == run.bundle {
        return Ok(Some(bundle));
    }
    let message = format!(
        "{}: it is another bundle ({id}); the run applied {}",
        path.display(),
        run.bundle
    );
    let hint = "name the run's bundle by --bundle DIR, or move this one away to check against the ledger alone";
    Err(Failure::new(Exit::Refused, message).hint(hint).into())
}
