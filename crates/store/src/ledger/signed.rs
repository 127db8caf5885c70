//! Which audit entries are signed: a chain without a key proves order, a signature proves who wrote an entry.

use contract::Digest;
use serde_json::Value;

use super::audit::{self, AuditEntry};
use crate::signing::{self, AuditKey};
use crate::{Row, Sql, StoreError};

/// What stands before the signature, which is the last member of an entry's detail.
const SIGNATURE: &str = "\"signature\":\"";

/// How an entry is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// With the key.
    Yes,
    /// With another key, or it was changed since.
    Otherwise,
    /// Not at all.
    No,
}

/// Signs an entry if this process has a key, and returns its detail with the signature. `hash`: what the entry's
/// hash would be without one.
pub(super) fn sign(detail: &str, hash: &[u8]) -> Option<String> {
    let signature = signing::signature(hash)?;
    let open = detail.strip_suffix('}')?;
    let comma = if open == "{" { "" } else { "," };
    Some(format!("{open}{comma}{SIGNATURE}{signature}\"}}"))
}

/// Parts a detail into what was signed, and the signature.
fn parted(detail: &str) -> Option<(String, &str)> {
    let (open, rest) = detail.rsplit_once(SIGNATURE)?;
    let signature = rest.strip_suffix("\"}")?;
    Some((
        format!("{}}}", open.strip_suffix(',').unwrap_or(open)),
        signature,
    ))
}

/// Calls a function with each entry, in order, and how it is signed; that the entries follow from each other is
/// checked by [`audit::check`].
///
/// # Errors
///
/// What the target said.
pub fn each(
    sql: &mut dyn Sql,
    key: &AuditKey,
    mut visit: impl FnMut(&AuditEntry, Signed),
) -> Result<(), StoreError> {
    let mut before = audit::anchor(sql)?.map_or_else(Vec::new, |anchor| anchor.hash);
    audit::each(sql, |entry| {
        visit(&entry, of(&entry, &before, key));
        before = entry.hash;
    })
}

fn of(entry: &AuditEntry, before: &[u8], key: &AuditKey) -> Signed {
    let Some((detail, signature)) = parted(&entry.detail) else {
        return Signed::No;
    };
    let row: Row = vec![
        entry.seq.into(),
        entry.at.into(),
        entry.action.as_str().into(),
        entry.run.as_deref().into(),
        entry.operator.as_str().into(),
        entry.host.as_str().into(),
        detail.into(),
    ];
    if key.signed(&audit::hash(before, &row), signature) {
        Signed::Yes
    } else {
        Signed::Otherwise
    }
}

/// Returns the digest of the plan of a run that whoever has the key started.
///
/// # Errors
///
/// What the target said.
pub fn signed_plan(
    sql: &mut dyn Sql,
    run: &str,
    key: &AuditKey,
) -> Result<Option<Digest>, StoreError> {
    let mut plan = None;
    each(sql, key, |entry, how| {
        if entry.action != "migration:started" || entry.run.as_deref() != Some(run) {
            return;
        }
        // The first is that of the run's first transaction; others go on with it.
        plan.get_or_insert_with(|| {
            let detail: Value = serde_json::from_str(&entry.detail).ok()?;
            let plan = serde_json::from_value(detail["plan"].clone()).ok()?;
            (how == Signed::Yes).then_some(plan)
        });
    })?;
    Ok(plan.flatten())
}
