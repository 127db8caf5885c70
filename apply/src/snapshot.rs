//! The copy of the target that is taken before a run.

use contract::Talk;
use store::{Snapshot, StoreError, Which};
use system::Signals;

use crate::Args;

/// Takes the snapshot that was asked for and notes it with the new run. A run that is gone on with
/// has its own, or none: the target is not what it was before it.
pub(crate) fn take(
    args: &Args,
    talk: &Talk,
    which: &mut Which,
    signals: &Signals,
) -> Result<Option<Snapshot>, StoreError> {
    let Some(folder) = &args.snapshot else {
        return Ok(None);
    };
    let Which::New(new) = which else {
        talk.warn(
            "--snapshot: the run has begun already, no snapshot of before it can be taken now",
        );
        return Ok(None);
    };
    let snapshot = args
        .to
        .snapshot(folder.as_deref(), &new.id, new.started, signals)?;
    talk.say(format!(
        "snapshot {}: {} bytes, sha256 {}",
        snapshot.path, snapshot.bytes, snapshot.sha256
    ));
    new.snapshot = Some(snapshot.to_json());
    Ok(Some(snapshot))
}

/// Removes a snapshot whose run was refused: nothing refers to it.
pub(crate) fn discard(snapshot: Option<&Snapshot>) {
    if let Some(snapshot) = snapshot {
        std::fs::remove_file(&snapshot.path).ok();
    }
}
