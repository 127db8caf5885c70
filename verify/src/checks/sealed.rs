//! The bundle. One that does not add up has ended the program before the first check.

use contract::talk::counted;

use crate::finding::{Check, Fault};
use crate::scene::Scene;

pub(super) fn check(scene: &Scene<'_>) -> Check {
    let mut check = Check::new("bundle", format!("bundle {}", scene.run.bundle));
    let Some(bundle) = &scene.bundle else {
        let place = match &scene.run.bundle_path {
            Some(path) => format!("it is not at {path} any more"),
            None => "the run kept no place".into(),
        };
        check.add(Fault::warning(format!(
            "no bundle ({place}): records are checked against the checksums in the ledger alone; --bundle DIR names it"
        )));
        return check.found("no bundle");
    };
    let files = bundle.manifest().files(bundle.id()).len() + 1;
    check.found(format!(
        "{}: {}, each as the manifest says",
        bundle.folder().display(),
        counted(files as u64, "file")
    ))
}
