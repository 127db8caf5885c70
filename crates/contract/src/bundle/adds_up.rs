//! What a manifest says must fit together before anything of it is believed.

use std::collections::BTreeSet;

use super::error::BundleError;
use super::manifest::Manifest;
use crate::Plan;
use crate::seal::Account;

/// Compares the figures of a manifest with one another and with its plan.
///
/// # Errors
///
/// Names what does not add up.
pub(super) fn check(manifest: &Manifest, plan: &Plan) -> Result<(), BundleError> {
    if (manifest.name.as_str(), manifest.system.as_str())
        != (plan.name.as_str(), plan.system.as_str())
    {
        let message = format!(
            "it is of {:?} from {:?}, its plan of {:?} from {:?}",
            manifest.name, manifest.system, plan.name, plan.system
        );
        return Err(damaged("manifest.json", message));
    }
    let dropped = super::left_out(plan, &manifest.accounts);
    let dropped: Vec<&String> = dropped.iter().collect();
    if manifest.sources_left_out.iter().collect::<Vec<_>>() != dropped {
        let message = "`sources_left_out` is not what its plan drops";
        return Err(damaged("manifest.json", message.into()));
    }
    let mut seen = BTreeSet::new();
    let sources = manifest.sources.iter().map(|source| &source.file);
    let sources = sources.map(|file| format!("sources/{file}"));
    let records = manifest.records.iter().map(|file| file.file.clone());
    let own = ["manifest.json", "plan.toml", "SHA256SUMS"].map(String::from);
    let all = own
        .into_iter()
        .chain([manifest.rejects.file.clone()])
        .chain(records)
        .chain(sources);
    for file in all {
        if seen.contains(&file) {
            return Err(damaged(&file, "the manifest names it twice".into()));
        }
        seen.insert(file);
    }
    let mut records = Some(0);
    for file in &manifest.records {
        let whole = file
            .segments
            .iter()
            .try_fold((0_u64, 0_u64), |sum, segment| {
                Some((
                    sum.0.checked_add(segment.records)?,
                    sum.1.checked_add(segment.bytes)?,
                ))
            });
        if whole != Some((file.records, file.bytes)) {
            let message = "its segments do not add up to it";
            return Err(damaged(&file.file, message.into()));
        }
        if plan.entity(&file.entity).is_none() {
            let message = format!("the plan has no entity {:?}", file.entity);
            return Err(damaged(&file.file, message));
        }
        records = add(records, file.records);
    }
    if let Some(wrong) = manifest.accounts.iter().find(|account| !account.adds_up()) {
        let message = format!(
            "the accounting of {} from {} does not add up",
            wrong.entity, wrong.file
        );
        return Err(damaged("manifest.json", message));
    }
    let sealed = manifest
        .accounts
        .iter()
        .map(|account: &Account| account.records);
    let sealed = sealed.fold(Some(0), add);
    match (sealed, records) {
        (Some(sealed), Some(records)) if sealed == records => Ok(()),
        (Some(sealed), Some(records)) => {
            let message = format!("it accounts for {sealed} records, its files hold {records}");
            Err(damaged("manifest.json", message))
        }
        _ => {
            let message = "the sum of its records is no number of 64 bits";
            Err(damaged("manifest.json", message.into()))
        }
    }
}

fn add(sum: Option<u64>, more: u64) -> Option<u64> {
    sum?.checked_add(more)
}

fn damaged(file: &str, message: String) -> BundleError {
    BundleError::Damaged {
        file: file.to_owned(),
        message,
    }
}
