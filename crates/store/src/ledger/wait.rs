//! Waiting for the lease of a process that can't be looked at.

use std::thread::sleep;
use std::time::Duration;

use super::lock::{Held, holder};
use crate::{Sql, StoreError};

/// How often the lock is looked at meanwhile.
const EVERY: Duration = Duration::from_millis(250);

/// Returns who keeps others from a run. A process on another host, boot or PID namespace that works on
/// the same run may be gone: its lease is waited out, which is 30 s at most, and `say` is told once for how
/// many. One that renews it is alive. `stop` ends the wait.
///
/// # Errors
///
/// What the target said.
pub fn wait_out(
    sql: &mut dyn Sql,
    run: &str,
    say: &mut dyn FnMut(&Held, i64),
    stop: &dyn Fn() -> bool,
) -> Result<Option<Held>, StoreError> {
    let mut first: Option<i64> = None;
    loop {
        let Some(held) = holder(sql)?.filter(|held| !held.void) else {
            return Ok(None);
        };
        let renewed = first.is_some_and(|first| first != held.expires);
        if held.holder.run != run || !held.holder.is_elsewhere() || renewed || stop() {
            return Ok(Some(held));
        }
        if first.is_none() {
            let now = sql.now()?;
            say(&held, (held.expires - now + 999) / 1000);
            first = Some(held.expires);
        }
        sleep(EVERY);
    }
}
