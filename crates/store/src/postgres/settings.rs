//! The settings under which statements run.
//!
//! Nobody else's code is called: the catalogue and the ledger are asked under a search path without schemas of
//! users, and statements on tables of users, which run under the login's, name the schema of every function,
//! operator and type.
//!
//! There are two lists. What changes the text of a value, or of a statement, is pinned for all that is done
//! here. `TimeZone` and `DateStyle` are pinned for reading alone: where a statement fires what users wrote
//! (defaults, checks, triggers, deferred ones too), these two and the search path are the login's. Values
//! go there in forms that none of the three changes, and most come back in forms that they don't change:
//! so the two are set to and fro only where a table has columns of a type that has no such form, and where
//! the login's are others than those for reading.

use std::cell::Cell as Flag;

use postgres::types::Type;

use super::connect::Postgres;
use crate::{Cell, Row, StoreError, Table};

/// Pinned for all that is done. One that the server does not know is left out.
const ALWAYS: [(&str, &str); 18] = [
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    ("jit", "off"),
    ("enable_seqscan", "off"),
    // A page is read in the order of the index, not sorted out of all that lies before it.
    ("enable_bitmapscan", "off"),
    // A batch goes by the index: whoever knows how many keys it holds would read all of a table.
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("idle_in_transaction_session_timeout", "10min"),
    ("client_connection_check_interval", "5s"),
    // Rows that a policy would hide make an error instead.
    ("row_security", "off"),
    ("lock_timeout", "5s"),
];

/// Pinned for reading alone.
const READING: &str = "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC';";

/// The login's, for statements that fire what users wrote.
const LOGIN: &str = "SET LOCAL DateStyle TO DEFAULT; SET LOCAL TimeZone TO DEFAULT;";

/// Under it no name leads to a schema of users. Temporary tables come last: another client of the same session
/// may have left some.
const NOBODY: &str = "SET LOCAL search_path = pg_catalog, pg_temp";

/// Keeps where the login's search path leads, for questions that are asked without it.
const PATH: &str = "SELECT pg_catalog.set_config('switchback.path', pg_catalog.current_schemas(true)::pg_catalog.text, true);";

/// Names of the zone in which the text of an instant is the same as in UTC.
const UTC: [&str; 6] = ["UTC", "UCT", "GMT", "ZULU", "UNIVERSAL", "GREENWICH"];

/// The encoding of a database that has none: its text may be any bytes.
const NONE: &str = "SQL_ASCII";

/// What is known of a server's settings: each by name, whether it is one, and its value for the login.
const ASKED: &str = "SELECT s.name, current_setting(s.name, true) IS NOT NULL, \
    COALESCE((SELECT p.reset_val FROM pg_settings p WHERE p.name = s.name), current_setting(s.name, true)) \
    FROM unnest($1) AS s (name) UNION ALL SELECT 'encoding', true, getdatabaseencoding() \
    UNION ALL SELECT 'superuser', rolsuper, NULL FROM pg_roles WHERE rolname = current_user";

/// The settings of a connection.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The statements that make the pinned ones.
    always: String,
    /// Whether the login's `TimeZone` or `DateStyle` give values other texts than those for reading.
    differ: bool,
    /// Whether those for reading are set in the transaction; `None` where that is not known.
    reading: Flag<Option<bool>>,
    /// Whether the search path leads to no schema of users in the transaction; `None` where that is not known.
    nobody: Flag<Option<bool>>,
    /// The database's encoding.
    encoding: String,
    /// Whether the login's sessions fire no triggers and foreign keys.
    replica: bool,
}

impl Postgres {
    /// Finds the settings that the server knows, and the login's.
    pub(super) fn learn_settings(&mut self) -> Result<(), StoreError> {
        let mut names: Vec<&str> = ALWAYS.iter().map(|(name, _)| *name).collect();
        names.extend(["DateStyle", "TimeZone", "synchronous_commit"]);
        names.extend(["session_replication_role", "track_counts"]);
        let found = self.look(ASKED, &[(&names, Type::TEXT_ARRAY)])?;
        let row = |name: &str| found.iter().find(|row| row[0].text() == Some(name));
        let known = |name: &str| row(name).is_some_and(|row: &Row| row[1] == Cell::Int(1));
        let value = |name: &str| row(name).and_then(|row| row[2].text()).unwrap_or_default();
        let mut settings: Vec<(&str, String)> = ALWAYS
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        if value("synchronous_commit") == "off" {
            settings.push(("synchronous_commit", "on".into()));
        }
        // What triggers write is counted so; a superuser alone may say so.
        if value("track_counts") == "off" && known("superuser") {
            settings.push(("track_counts", "on".into()));
        }
        let encoding = value("encoding").to_owned();
        if encoding == NONE {
            // Bytes come and go as they are.
            settings.push(("client_encoding", NONE.into()));
        }
        let asked = |name: &'static str| Some((name, self.url.option(name)?));
        settings.extend(
            ["lock_timeout", "statement_timeout"]
                .into_iter()
                .filter_map(asked),
        );
        settings.extend(
            self.url
                .option("schema")
                .map(|schema| ("search_path", schema)),
        );
        let set = |(name, value): &(&str, String)| {
            format!("SET LOCAL {name} = '{}';", value.replace('\'', "''"))
        };
        let zone = value("TimeZone").to_ascii_uppercase();
        let zone = zone.strip_prefix("ETC/").unwrap_or(&zone);
        let settings = Settings {
            always: settings.iter().map(set).collect::<String>() + PATH,
            differ: !UTC.contains(&zone) || !value("DateStyle").starts_with("ISO"),
            reading: Flag::new(None),
            nobody: Flag::new(None),
            encoding,
            replica: value("session_replication_role") == "replica",
        };
        self.settings = settings;
        Ok(())
    }

    /// The statements at the beginning of a transaction that reads alone.
    pub(super) fn begin_reading(&self) -> String {
        self.settings.reading.set(Some(true));
        self.settings.nobody.set(Some(false));
        format!("{} {READING}", self.settings.always)
    }

    /// The statements at the beginning of a transaction that may fire what users wrote.
    pub(super) fn begin_firing(&self) -> String {
        self.settings.reading.set(Some(false));
        self.settings.nobody.set(Some(false));
        format!("{} {LOGIN}", self.settings.always)
    }

    /// Says that a savepoint may have taken settings back.
    pub(super) fn unsettled(&self) {
        self.settings.reading.set(None);
        self.settings.nobody.set(None);
    }

    /// Pins what values are read under. Nothing is sent where the login's is no different.
    pub(super) fn pin(&self) -> Result<(), StoreError> {
        // Outside of a transaction each question has one of its own, in which it is pinned.
        if self.open.get() && self.settings.differ && self.settings.reading.get() != Some(true) {
            self.batch(READING)?;
            self.settings.reading.set(Some(true));
        }
        Ok(())
    }

    /// Has no name lead to a schema of users: what the server says names every schema but its own, and
    /// functions, operators and types are the server's.
    pub(super) fn as_nobody(&self) -> Result<(), StoreError> {
        if self.settings.nobody.get() != Some(true) {
            self.batch(NOBODY)?;
            self.settings.nobody.set(Some(true));
        }
        Ok(())
    }

    /// Goes back to the login's search path, before what users wrote is fired.
    pub(super) fn as_login(&self) -> Result<(), StoreError> {
        if self.open.get() && self.settings.nobody.get() != Some(false) {
            self.batch(&self.login_path())?;
            self.settings.nobody.set(Some(false));
        }
        Ok(())
    }

    fn login_path(&self) -> String {
        let path = self.url.option("schema").map_or_else(
            || "DEFAULT".to_owned(),
            |schema| format!("'{}'", schema.replace('\'', "''")),
        );
        format!("SET LOCAL search_path TO {path};")
    }

    /// Pins what the values of a table are read under, if they depend on it.
    pub(super) fn pin_for(&self, table: &Table) -> Result<(), StoreError> {
        if self.is_unsteady(table) {
            return self.pin();
        }
        Ok(())
    }

    /// Goes back to the login's settings, before what users wrote is fired.
    pub(super) fn unpin(&self) -> Result<(), StoreError> {
        match self.unpinning().as_str() {
            "" => Ok(()),
            statements => self.batch(statements),
        }
    }

    /// The same, as statements to be sent at once with what fires.
    pub(super) fn unpinning(&self) -> String {
        let mut statements = String::new();
        if self.open.get() && self.settings.nobody.get() != Some(false) {
            self.settings.nobody.set(Some(false));
            statements = self.login_path();
        }
        if self.open.get() && self.settings.differ && self.settings.reading.get() != Some(false) {
            self.settings.reading.set(Some(false));
            statements += LOGIN;
        }
        statements
    }

    /// Tells whether the text of a value of the table depends on `TimeZone` or `DateStyle`.
    fn is_unsteady(&self, table: &Table) -> bool {
        let mut columns = table.columns.iter();
        columns.any(|column| self.type_of(column).unsteady)
    }

    /// Tells whether rows that a statement returns which fires what users wrote are no rows to be kept:
    /// they were read under the login's settings.
    pub(super) fn returns_unsteady(&self, table: &Table) -> bool {
        self.settings.differ && self.is_unsteady(table)
    }

    /// Says that neither foreign keys nor triggers would fire, if so.
    pub(super) fn fires_nothing(&self) -> Option<String> {
        let why = || {
            format!(
                "session_replication_role is replica for this login or database: no foreign key and no trigger would \
                 fire; ALTER ROLE {} RESET session_replication_role, or ALTER DATABASE … RESET it",
                self.login()
            )
        };
        self.settings.replica.then(why)
    }

    /// Tells whether the database's encoding has all characters.
    pub(super) fn is_unicode(&self) -> bool {
        ["UTF8", NONE].contains(&self.settings.encoding.as_str())
    }

    /// The encoding in which texts have the same bytes everywhere.
    pub(super) fn encoding(&self) -> &'static str {
        if self.settings.encoding == NONE {
            NONE
        } else {
            "UTF8"
        }
    }
}
