//! The lock: a lease on the target, one writer at a time, with a fencing token.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Sql, StoreError};

/// How long a lease lasts without being renewed, in milliseconds.
fn lasts() -> i64 {
    system::crash_number!("SWITCHBACK_LEASE", 30_000)
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The host's boot, where the system says (Linux: `/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// The namespace in which the process has its number, where the system says (Linux:
    /// `/proc/self/ns/pid`); programs of before did not.
    #[serde(default)]
    pub pid_ns: String,
    /// The process.
    pub process: u32,
    /// When the process started, where the system says (Linux: field 22 of `/proc/PID/stat`).
    pub started: String,
    /// Who runs it.
    pub operator: String,
    /// The run it works on.
    pub run: String,
}

impl Holder {
    /// Describes this process.
    #[must_use]
    pub fn here(operator: &str, run: &str) -> Self {
        let process = std::process::id();
        Self {
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            boot: boot(),
            pid_ns: pid_ns(),
            process,
            started: process_start(process).unwrap_or_default(),
            operator: operator.to_owned(),
            run: run.to_owned(),
        }
    }

    /// Tells whether the process ran on this host and is gone. Of one on another boot or in another namespace
    /// (a container of the same host name) that can't be told by its number: only its lease says.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        !self.is_elsewhere() && process_start(self.process).as_ref() != Some(&self.started)
    }

    /// Tells whether the process is gone where no lease says so: on this host another boot is one of before.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let here = Self::here("", "");
        self.is_gone() || (self.host == here.host && self.boot != here.boot)
    }

    /// Tells whether its number says nothing here: a container that is started again has another name, another
    /// namespace, or another boot of the machine below it.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let here = Self::here("", "");
        self.host != here.host
            || self.boot != here.boot
            || (!self.pid_ns.is_empty() && self.pid_ns != here.pid_ns)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "run {}, by {} on {}, process {}",
            self.run, self.operator, self.host, self.process
        )
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn pid_ns() -> String {
    let link = fs::read_link("/proc/self/ns/pid");
    link.map_or_else(
        |_| String::new(),
        |link| link.to_string_lossy().into_owned(),
    )
}

fn process_start(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in field 2 may hold blanks and parentheses: fields are counted after the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie is gone: it can't write any more.
    (fields.next()? != "Z").then_some(())?;
    fields.nth(18).map(str::to_owned)
}

/// A lease that we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Changes with every holder: a writer whose token is old writes nothing.
    pub token: i64,
}

/// The lock as it stands.
#[derive(Debug, Clone)]
pub struct Held {
    /// Who.
    pub holder: Holder,
    /// Since when, in milliseconds since 1970 by the target's clock.
    pub since: i64,
    /// Until when it lasts unless renewed.
    pub expires: i64,
    /// Whether it has expired, or its process is gone.
    pub void: bool,
}

impl Held {
    /// Returns the error that says who holds it, since when, and what can be done.
    #[must_use]
    pub fn locked(&self, take_over: bool) -> StoreError {
        let since = chrono::DateTime::from_timestamp_millis(self.since).unwrap_or_default();
        let since = since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let state = match (self.void, take_over) {
            (true, _) => {
                " (its process is gone or its lease ran out: --resume goes on with it, --take-over gives it up)"
            }
            (false, true) => " (it is alive: --take-over waits for its lease to run out)",
            (false, false) => "",
        };
        StoreError::Locked {
            holder: format!("{}, since {since}{state}", self.holder),
        }
    }
}

impl Held {
    /// Says that its lease is waited out.
    #[must_use]
    pub fn waited_for(&self, seconds: i64) -> String {
        format!(
            "{} holds the lock, on another host, boot or PID namespace, so that whether it lives can't be seen here: \
             waiting until its lease runs out, {seconds} s at most",
            self.holder
        )
    }
}

/// Returns who holds the lock.
///
/// # Errors
///
/// What the target said.
pub fn holder(sql: &mut dyn Sql) -> Result<Option<Held>, StoreError> {
    let now = sql.now()?;
    let rows = sql.query(
        "SELECT holder, since, expires FROM ledger.lock WHERE id = 1",
        &[],
    )?;
    let Some(row) = rows.first() else {
        return Err(StoreError::damaged("the lock is missing"));
    };
    let Some(json) = row[0].text() else {
        return Ok(None);
    };
    let holder: Holder = serde_json::from_str(json)
        .map_err(|error| StoreError::damaged(format!("the lock's holder: {error}")))?;
    let (since, expires) = (row[1].int().unwrap_or(0), row[2].int().unwrap_or(0));
    // A clock that was set back makes a lease look younger than it can be.
    let void = expires <= now || expires > now + 2 * lasts() || holder.is_gone();
    Ok(Some(Held {
        holder,
        since,
        expires,
        void,
    }))
}

/// Takes the lock, in the transaction at hand. A lease that is void is taken without asking for the
/// same run, and otherwise with `take_over`; the run it was for is then returned.
///
/// # Errors
///
/// [`StoreError::Locked`] where somebody else has it.
pub fn take(
    sql: &mut dyn Sql,
    new: &Holder,
    take_over: bool,
) -> Result<(Lease, Option<String>), StoreError> {
    let held = holder(sql)?;
    if let Some(held) = &held {
        let same = held.holder.run == new.run;
        if !(held.void && (same || take_over)) {
            return Err(held.locked(take_over));
        }
    }
    let now = sql.now()?;
    let json = serde_json::to_string(new).unwrap_or_default();
    sql.execute(
        "UPDATE ledger.lock SET token = token + 1, run = ?1, holder = ?2, since = ?3, expires = ?4 WHERE id = 1",
        &[new.run.as_str().into(), json.into(), now.into(), (now + lasts()).into()],
    )?;
    let rows = sql.query("SELECT token FROM ledger.lock WHERE id = 1", &[])?;
    let token = rows
        .first()
        .and_then(|row| row[0].int())
        .ok_or_else(|| StoreError::damaged("the lock is missing"))?;
    Ok((
        Lease { token },
        held.map(|held| held.holder.run)
            .filter(|run| *run != new.run),
    ))
}

/// Renews the lease, in the transaction at hand: whoever lost it writes nothing. Returns the time by
/// the target's clock.
///
/// # Errors
///
/// [`StoreError::LockLost`] where somebody took over.
pub fn renew(sql: &mut dyn Sql, lease: Lease) -> Result<i64, StoreError> {
    if let Some(now) = sql.prolong(lease.token, lasts())? {
        return Ok(now);
    }
    let holder = holder(sql)?.map_or_else(
        || "a program that has ended".into(),
        |held| held.holder.to_string(),
    );
    Err(StoreError::LockLost { holder })
}

/// Returns how often a lease is renewed by who has nothing else to write.
#[must_use]
pub fn renew_every() -> Duration {
    Duration::from_millis(lasts().unsigned_abs() / 3)
}

/// Renews the lease of this process, if it has one, by who does not know its token. One statement: it
/// stands at once.
///
/// # Errors
///
/// What the target said.
pub fn renew_own(sql: &mut dyn Sql, me: &Holder) -> Result<(), StoreError> {
    let now = sql.now()?;
    let json = serde_json::to_string(me).unwrap_or_default();
    sql.execute(
        "UPDATE ledger.lock SET expires = ?2 WHERE id = 1 AND holder = ?1",
        &[json.into(), (now + lasts()).into()],
    )
    .map(|_| ())
}

/// Gives the lock back, in the transaction at hand.
///
/// # Errors
///
/// What the target said.
pub fn release(sql: &mut dyn Sql, lease: Lease) -> Result<(), StoreError> {
    sql.execute(
        "UPDATE ledger.lock SET run = NULL, holder = NULL, since = NULL, expires = NULL WHERE id = 1 AND token = ?1",
        &[lease.token.into()],
    )
    .map(|_| ())
}
