//! A scratch copy of a PostgreSQL database on the same server, for rehearsals.

use std::collections::BTreeMap;
use std::process::Stdio;

use postgres::types::Type;
use system::Signals;

use super::catalogue::TABLES;
use super::connect::{Postgres, quoted};
use super::tools::Tools;
use super::url::PostgresUrl;
use crate::{Cell, Fingerprint, Row, StoreError};

/// The other way, where no copy can be made.
const INSTEAD: &str =
    "or rehearse by --dry-run, which does all in one transaction that is rolled back";

/// How a database is made that is like this one, as `pg_dump --create` has it; whether the login may, and
/// what else it may do in this one. The names of the catalogue's columns are those of the server's version.
const LIKE: &str = "SELECT format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype) \
    || CASE j->>'datlocprovider' WHEN 'c' THEN ' LOCALE_PROVIDER libc' \
       WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', COALESCE(j->>'datlocale', j->>'daticulocale')) \
         || COALESCE(' ICU_RULES ' || quote_literal(j->>'daticurules'), '') \
       WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', j->>'datlocale') ELSE '' END, \
    r.rolcreatedb OR r.rolsuper, pg_is_in_recovery(), quote_ident(r.rolname), \
    CASE WHEN pg_has_role(d.datdba, 'MEMBER') THEN quote_ident(pg_get_userbyid(d.datdba)) END, \
    concat('CONNECT', CASE WHEN has_database_privilege(d.oid, 'CREATE') THEN ', CREATE' END, \
      CASE WHEN has_database_privilege(d.oid, 'TEMPORARY') THEN ', TEMPORARY' END) \
    FROM pg_database d CROSS JOIN to_jsonb(d) j JOIN pg_roles r ON r.rolname = current_user WHERE d.datname = current_database()";

/// What is set for this database, for all logins and for this one.
const SETTINGS: &str = "SELECT split_part(s.line, '=', 1), substr(s.line, strpos(s.line, '=') + 1) \
    FROM (SELECT setrole, unnest(setconfig) AS line FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase \
      WHERE d.datname = current_database() AND (setrole = 0 OR setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user))) s ORDER BY s.setrole";

/// What rehearsals left, or are at work in.
const OTHERS: &str = "SELECT datname::text FROM pg_database WHERE datname LIKE 'switchback\\_rehearsal\\_%' ORDER BY 1";

/// A scratch database; it goes when this is dropped.
pub(crate) struct Scratch {
    /// Where the database is that it is a copy of.
    of: PostgresUrl,
    url: PostgresUrl,
    /// Its name, until it is gone.
    name: Option<String>,
    notes: Vec<String>,
}

impl Scratch {
    /// Makes a database of a name that is not there yet and fills it by `pg_dump` and `pg_restore`.
    pub(crate) fn fill(
        url: &PostgresUrl,
        mark: &str,
        signals: &Signals,
    ) -> Result<Self, StoreError> {
        let target = Postgres::connect(url)?;
        let like = Like::of(&target)?;
        let find = Tools::find(&target, url, "a rehearsal", signals);
        let tools = find.map_err(|error| match error {
            StoreError::Refused { message } => StoreError::refused(format!("{message}; {INSTEAD}")),
            other => other,
        })?;
        let name = format!("switchback_rehearsal_{mark}");
        let note = |row: &Row| {
            format!(
                "database {0} is there, left by a rehearsal that was killed unless one is at work in it: DROP DATABASE {0}",
                row[0].text().unwrap_or_default()
            )
        };
        let mut scratch = Self {
            of: url.clone(),
            url: url.beside(&name).map_err(StoreError::refused)?,
            name: None,
            notes: target.look(OTHERS, &[])?.iter().map(note).collect(),
        };
        let made = format!(
            "CREATE DATABASE {} TEMPLATE template0 {}",
            quoted(&name),
            like.how
        );
        target.batch(&made).map_err(|error| {
            StoreError::refused(format!(
                "no copy can be made: {error}; correct that, {INSTEAD}"
            ))
        })?;
        scratch.name = Some(name.clone());
        scratch.settle(&target, &like)?;
        tools.pour(&name)?;
        if let Some(owner) = &like.owner {
            target.batch(&format!(
                "ALTER DATABASE {} OWNER TO {owner}",
                quoted(&name)
            ))?;
        }
        Ok(scratch)
    }

    /// Keeps others out, and sets what is set for the database that it is a copy of.
    fn settle(&mut self, target: &Postgres, like: &Like) -> Result<(), StoreError> {
        let name = self.name.as_deref().map(quoted).unwrap_or_default();
        target.batch(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"))?;
        target.batch(&format!(
            "GRANT {} ON DATABASE {name} TO {}",
            like.privileges, like.login
        ))?;
        for row in target.look(SETTINGS, &[])? {
            let text = |place: usize| row[place].text().unwrap_or_default().to_owned();
            let (setting, value) = (text(0), text(1));
            let set = || {
                target.batch("BEGIN")?;
                // In the transaction that was begun so, which is not one of ours.
                let sql = "SELECT pg_catalog.set_config($1, $2, true)";
                target.rows(sql, &[(&setting, Type::TEXT), (&value, Type::TEXT)])?;
                // A name with a dot is one of an extension's.
                let spelled: Vec<String> = setting.split('.').map(quoted).collect();
                let spelled = spelled.join(".");
                target.batch(&format!(
                    "ALTER DATABASE {name} SET {spelled} FROM CURRENT; COMMIT"
                ))
            };
            if let Err(error) = set() {
                target.batch("ROLLBACK")?;
                self.notes.push(format!(
                    "what is set for the target is not for the copy: {setting} ({error})"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> &PostgresUrl {
        &self.url
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Drops the database, whoever is in it.
    pub(crate) fn remove(&mut self) -> Result<(), StoreError> {
        let Some(name) = self.name.take() else {
            return Ok(());
        };
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&name));
        let dropped = Postgres::connect(&self.of).and_then(|target| target.batch(&drop));
        dropped.map_err(|error| StoreError::Unreachable {
            message: format!("the copy is still there: {error}; {drop}"),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever wants to know why it stays calls `remove`.
        self.remove().ok();
    }
}

/// How a copy is made.
struct Like {
    how: String,
    login: String,
    owner: Option<String>,
    privileges: String,
}

impl Like {
    fn of(target: &Postgres) -> Result<Self, StoreError> {
        let rows = target.look(LIKE, &[])?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::damaged("no database"))?;
        let text = |place: usize| row[place].text().unwrap_or_default().to_owned();
        let login = text(3);
        if row[2].int() == Some(1) {
            return Err(StoreError::refused(format!(
                "{} is a standby, on which no copy can be made: rehearse on the primary",
                target.describe()
            )));
        }
        if row[1].int() != Some(1) {
            return Err(StoreError::refused(format!(
                "a rehearsal makes a scratch database on the same server, and the login {login} may not: ALTER ROLE {login} CREATEDB, {INSTEAD}"
            )));
        }
        Ok(Self {
            how: text(0),
            login,
            owner: row[4].text().map(str::to_owned),
            privileges: text(5),
        })
    }
}

impl Tools {
    /// Fills an empty database of the same server with all that the database holds.
    fn pour(&self, into: &str) -> Result<(), StoreError> {
        let mut dump = self.command("pg_dump");
        dump.args([
            "--format=custom",
            "--compress=0",
            "--no-password",
            "--lock-wait-timeout=60s",
            // They would reach out of the copy.
            "--no-publications",
            "--no-subscriptions",
        ]);
        let broke = |program: &'static str| {
            move |error: std::io::Error| self.failed(program, &error.to_string())
        };
        dump.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut dump = dump.spawn().map_err(broke("pg_dump"))?;
        let rows = dump.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let said = system::signals::read_beside(dump.stderr.take());
        let mut restore = self.command("pg_restore");
        restore
            .args(["--no-password", "--no-comments", "--no-tablespaces"])
            .arg(format!("--dbname={into}"))
            .stdin(rows)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let restored = self.signals.output(&mut restore);
        if restored.is_err() {
            dump.kill().ok();
        }
        let dumped = dump.wait().map_err(broke("pg_dump"))?;
        let restored = restored.map_err(broke("pg_restore"))?;
        let said = said.join().unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        // Where the reading end broke, the other says why.
        if !dumped.success() && !said.contains("could not write") {
            return Err(self.failed("pg_dump", said.trim()));
        }
        let said_of_it = String::from_utf8_lossy(&restored.stderr);
        let faults = faults(&said_of_it);
        if !faults.is_empty()
            || !dumped.success()
            || restored.status.code().is_none_or(|code| code > 1)
        {
            let message = format!(
                "pg_restore of the copy: {}: {}; the login must be able to make all that the database holds, {INSTEAD}",
                restored.status,
                faults.join("; ")
            );
            return Err(StoreError::refused(message));
        }
        Ok(())
    }
}

/// The first errors that `pg_restore` met, each with the statement; but for that a newer one sets what an
/// older server does not know.
fn faults(said: &str) -> Vec<String> {
    let mut lines = said.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if !line.contains("error: ") || line.contains("unrecognized configuration parameter") {
            continue;
        }
        let statement = lines.next_if(|next| next.starts_with("Command was: "));
        found.push(
            [line, statement.unwrap_or_default()]
                .join(" ")
                .trim()
                .to_owned(),
        );
    }
    found.truncate(3);
    found
}

impl Postgres {
    /// Returns the content of every table but the ledger's: the hash of each row's text, added up by the
    /// server.
    pub(crate) fn contents(&self) -> Result<BTreeMap<String, Fingerprint>, StoreError> {
        let part = |n: usize| {
            format!(
                "COALESCE(sum(('x' || substr(h, {}, 8))::bit(32)::int8), 0)::text",
                n * 8 + 1
            )
        };
        let parts: Vec<String> = (0..8).map(part).collect();
        let parts = parts.join(", ");
        let mut contents = BTreeMap::new();
        for row in self.look(TABLES, &[])? {
            let [Cell::Text(name), Cell::Text(spelled)] = row.as_slice() else {
                continue;
            };
            let sql = format!(
                "SELECT count(*), {parts} FROM (SELECT encode(sha256(convert_to(ROW(t.*)::text, '{}')), 'hex') AS h FROM {spelled} t) s",
                self.encoding()
            );
            let found = self.look(&sql, &[])?;
            let row = found
                .first()
                .ok_or_else(|| StoreError::damaged("no count"))?;
            let rows = row[0].int().unwrap_or(0).unsigned_abs();
            let mut parts = [0; 8];
            for (part, cell) in parts.iter_mut().zip(&row[1..]) {
                *part = cell.text().and_then(|sum| sum.parse().ok()).unwrap_or(0);
            }
            contents.insert(name.clone(), Fingerprint::of_parts(rows, parts));
        }
        Ok(contents)
    }
}
