//! What older versions of the formats had and this one has not: taken out when they are read.

use serde_json::Value;

/// Takes out of the accounts what version 1 of the seal and the manifest held: the figure `dropped`, which no
/// stage ever counted.
///
/// # Errors
///
/// Says so where it is not 0, or not there: no stage of version 1 wrote that.
pub(crate) fn accounts_of_version_1(whole: &mut Value) -> Result<(), String> {
    let accounts = whole.get_mut("accounts").and_then(Value::as_array_mut);
    for account in accounts.into_iter().flatten() {
        let dropped = account
            .as_object_mut()
            .and_then(|account| account.shift_remove("dropped"));
        if dropped.as_ref().and_then(Value::as_u64) != Some(0) {
            return Err(format!(
                "an account of version 1 says \"dropped\":0, this one {}",
                dropped.unwrap_or(Value::Null)
            ));
        }
    }
    Ok(())
}
