//! Opening a PostgreSQL database, and the settings under which values have one text.

use std::cell::{Cell as Flag, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls};
use system::crash_point;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::config;
use super::error::{is_refusal, sorted, sorted_of};
use super::settings::Settings;
use super::tls::{self, Mode};
use super::url::PostgresUrl;
use super::values::ColumnType;
use super::watch::Watching;
use crate::{Row, StoreError, Table, TableName};

/// How long the answer to COMMIT may take, unless the URL says otherwise. A server that waits for a
/// standby waits for ever, and `statement_timeout` does not end that.
const COMMIT: Duration = Duration::from_secs(60);

/// How far a transaction is that is never committed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    /// Whether it is open.
    pub begun: bool,
    /// Whether one that would be committed is under way in it, as a savepoint.
    pub inside: bool,
}

/// An open PostgreSQL database.
pub struct Postgres {
    /// None once it was given up.
    client: RefCell<Option<Client>>,
    pub(super) url: PostgresUrl,
    /// What is known of the types of columns, by the type as it is declared.
    pub(super) types: HashMap<String, ColumnType>,
    /// Tables that were read, by the name they were asked by.
    pub(super) tables: HashMap<String, Option<Table>>,
    /// The same, by their full name.
    pub(super) tables_at: HashMap<TableName, Option<Table>>,
    /// How a table is called in a statement, by its name.
    pub(super) names: HashMap<String, String>,
    /// The sequence behind a column, by table and position.
    pub(super) sequences: HashMap<(String, usize), String>,
    /// Constraints that are checked at COMMIT only, as a statement names them.
    pub(super) deferred: BTreeSet<String>,
    /// The highest id that was given to a sequence's column in this transaction.
    pub(super) given: BTreeMap<String, i64>,
    /// When tables were last seen to have no wide row, by their number.
    pub(super) narrow: HashMap<i64, Instant>,
    /// What its statements run under.
    pub(super) settings: Settings,
    /// The version of the ledger, once one was seen.
    pub(super) ledger: Flag<Option<i64>>,
    /// How many temporary tables were made.
    pub(super) stages: Flag<u64>,
    /// Whether a transaction is open, and whether it writes.
    pub(super) open: Flag<bool>,
    pub(super) writes: bool,
    /// Whether what is asked outside of transactions is asked under the settings too.
    sets: bool,
    /// Where all that is done is one transaction that is never committed.
    pub(super) held: Option<Held>,
    /// The table that is watched.
    pub(super) watching: Option<Watching>,
    /// Whether a statement of the transaction failed, so that the server takes no other.
    pub(super) broken: Flag<bool>,
}

impl Postgres {
    /// Opens a database for writing.
    ///
    /// # Errors
    ///
    /// It can't be reached, refuses the login, or can't be written (a standby).
    pub fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let mut this = Self::connect(url)?;
        this.sets = true;
        let read_only = this.look("SELECT current_setting('transaction_read_only')", &[])?;
        if read_only
            .first()
            .is_some_and(|row| row[0].text() == Some("on"))
        {
            let message = format!("{} is read-only: a standby, or set so", this.describe());
            return Err(StoreError::Unreachable { message });
        }
        if let Some(why) = this.fires_nothing() {
            return Err(StoreError::refused(why));
        }
        this.writes = true;
        Ok(this)
    }

    /// Opens a database for writing, but commits nothing: all goes when this is dropped.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub fn open_held(url: &PostgresUrl) -> Result<Self, StoreError> {
        let mut this = Self::open(url)?;
        this.held = Some(Held::default());
        Ok(this)
    }

    /// Opens a database for reading alone, in one snapshot that lasts as long as this value.
    ///
    /// # Errors
    ///
    /// It can't be reached, or refuses the login.
    pub fn open_reader(url: &PostgresUrl) -> Result<Self, StoreError> {
        let this = Self::connect(url)?;
        this.batch(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
            this.begin_reading()
        ))?;
        this.open.set(true);
        Ok(this)
    }

    /// Connects, for statements outside of transactions.
    pub(super) fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let failed = |message: String| StoreError::Unreachable {
            message: format!("{url}: {message}"),
        };
        let (config, mode) = config(url).map_err(failed)?;
        // The client panics where it can't open what it needs beside its socket.
        let spare = std::iter::repeat_n("/dev/null", 8).map(std::fs::File::open);
        let spare: Result<Vec<_>, _> = spare.collect();
        drop(spare.map_err(|error| failed(error.to_string()))?);
        let client = if mode == Mode::Disable {
            config.connect(NoTls)
        } else {
            config.connect(MakeRustlsConnect::new(
                tls::client(url, mode).map_err(failed)?,
            ))
        };
        let client = client.map_err(|error| match sorted(&url.to_string(), &error) {
            // A refused login is no refused statement.
            StoreError::Statement { message, .. } | StoreError::Constraint { message, .. } => {
                failed(message)
            }
            other => other,
        })?;
        let mut this = Self {
            client: RefCell::new(Some(client)),
            url: url.clone(),
            types: HashMap::new(),
            tables: HashMap::new(),
            tables_at: HashMap::new(),
            names: HashMap::new(),
            sequences: HashMap::new(),
            deferred: BTreeSet::new(),
            given: BTreeMap::new(),
            narrow: HashMap::new(),
            settings: Settings::default(),
            ledger: Flag::new(None),
            stages: Flag::new(0),
            open: Flag::new(false),
            writes: false,
            sets: false,
            held: None,
            watching: None,
            broken: Flag::new(false),
        };
        this.learn_settings()?;
        Ok(this)
    }

    /// Does what belongs to no transaction in one of its own, where the settings hold. A pooler may give
    /// the session to others afterwards: nothing is set in it.
    pub(super) fn alone<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.open.get() || !self.sets {
            return work();
        }
        self.in_its_own(work)
    }

    /// Does it in a transaction of its own.
    fn in_its_own<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; {}",
            self.begin_reading()
        );
        self.with(|client| client.batch_execute(&begin))?;
        self.open.set(true);
        let done = work();
        self.open.set(false);
        // Not COMMIT: by that word whoever reads the server's log finds what we wrote.
        let end = if done.is_ok() { "END" } else { "ROLLBACK" };
        let ended = self.with(|client| client.batch_execute(end));
        if ended.is_ok() {
            self.broken.set(false);
        }
        let done = done?;
        ended.map(|()| done)
    }

    /// Makes the settings again that [`Postgres::settle_down`] left.
    pub(super) fn usual(&self) -> Result<(), StoreError> {
        self.batch(&format!("RESET search_path; {}", self.begin_reading()))
    }

    /// Asks what no index serves: the plan may read whole tables, once.
    pub(super) fn ask_widely(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.widely(|| self.ask(sql, params))
    }

    fn widely(
        &self,
        ask: impl FnOnce() -> Result<Vec<Row>, StoreError>,
    ) -> Result<Vec<Row>, StoreError> {
        let joins = |on: &str| {
            format!("SET LOCAL enable_hashjoin = {on}; SET LOCAL enable_mergejoin = {on}")
        };
        self.alone(|| {
            self.batch(&joins("on"))?;
            let found = ask()?;
            self.batch(&joins("off"))?;
            Ok(found)
        })
    }

    /// Makes the next question about a table ask the server.
    pub(super) fn forget_tables(&mut self) {
        self.tables.clear();
        self.tables_at.clear();
    }

    /// The login, for a statement.
    pub(super) fn login(&self) -> String {
        quoted(&self.url.user().unwrap_or_default())
    }

    pub(super) fn describe(&self) -> String {
        self.url.to_string()
    }

    pub(super) fn error(&self, error: &postgres::Error) -> StoreError {
        self.broken.set(true);
        sorted(&self.describe(), error)
    }

    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        self.with_statement(None, work)
    }

    /// Does something with the connection; an error names the statement, where it may be at fault.
    fn with_statement<T>(
        &self,
        statement: Option<&str>,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut client = self.client.borrow_mut();
        let client = client.as_mut().ok_or_else(|| self.given_up())?;
        work(client).map_err(|error| {
            self.broken.set(true);
            sorted_of(&self.describe(), &error, statement)
        })
    }

    /// What a crash point that fails says: as if the connection was lost.
    #[cfg(feature = "crash")]
    fn injected(&self, error: &std::io::Error) -> StoreError {
        self.broken.set(true);
        let message = format!("{}: {error}", self.describe());
        StoreError::Unreachable { message }
    }

    fn given_up(&self) -> StoreError {
        let message = format!("{}: the connection was given up", self.describe());
        StoreError::Unreachable { message }
    }

    /// Runs statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        crash_point!(
            &format!("postgres.{}", sql.split(' ').next().unwrap_or(sql)),
            |error| self.injected(&error)
        );
        self.with_statement(Some(sql), |client| client.batch_execute(sql))
    }

    /// Commits. Waits for the answer until the deadline, then gives the connection up.
    /// `login`: what sets the login's settings for what waits for it.
    pub(super) fn try_commit(&self, login: &str) -> Result<(), StoreError> {
        let seconds = self
            .url
            .option("commit_timeout")
            .and_then(|text| text.parse().ok());
        crash_point!("postgres.COMMIT", |error| self.injected(&error));
        let commit = format!("{login}COMMIT");
        let deadline = seconds.map_or(COMMIT, Duration::from_secs);
        let mut client = self.client.take().ok_or_else(|| self.given_up())?;
        let (tell, told) = mpsc::channel();
        let asked = std::thread::Builder::new().spawn(move || {
            let done = client.batch_execute(&commit);
            // Nobody listens any more after the deadline: the connection ends here.
            tell.send((client, done)).ok();
        });
        // Without a thread nothing was asked, and the connection is gone.
        asked.map_err(|error| StoreError::Unreachable {
            message: format!("{}: COMMIT: {error}", self.describe()),
        })?;
        let unknown = |message: String| StoreError::Unknown {
            message: format!("{}: {message}", self.describe()),
        };
        let Ok((client, done)) = told.recv_timeout(deadline) else {
            return Err(unknown(format!(
                "no answer within {} s",
                deadline.as_secs()
            )));
        };
        self.client.replace(Some(client));
        // The answer may be lost after the deed.
        crash_point!("postgres.answer", |error| unknown(error.to_string()));
        match done {
            Ok(()) => Ok(()),
            Err(error) if is_refusal(&error) => Err(self.error(&error)),
            Err(error) => Err(unknown(error.to_string())),
        }
    }

    /// Runs a query on tables of users, unprepared: nothing that needs the same session afterwards. Under the
    /// login's search path, as it may fire what users wrote: it names the schema of all that it calls itself.
    pub(super) fn ask(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.alone(|| {
            self.as_login()?;
            self.rows(sql, params)
        })
    }

    /// Runs a query on the catalogue or the ledger: what it calls is the server's own, whatever others put
    /// into the schemas of the login's search path.
    pub(super) fn look(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.safely(|| self.rows(sql, params))
    }

    /// The same of what no index serves.
    pub(super) fn look_widely(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.widely(|| self.look(sql, params))
    }

    /// Does something where no name leads to a schema of users.
    fn safely<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let work = || {
            self.as_nobody()?;
            work()
        };
        if self.open.get() {
            work()
        } else {
            self.in_its_own(work)
        }
    }

    pub(super) fn rows(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        crash_point!("postgres.ask", |error| self.injected(&error));
        let found = self.with_statement(Some(sql), |client| client.query_typed(sql, params))?;
        found.iter().map(|row| self.row(row)).collect()
    }

    /// Runs a statement on a table of users and returns how many rows it touched.
    pub(super) fn run(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, StoreError> {
        self.alone(|| {
            self.as_login()?;
            self.touch(sql, params)
        })
    }

    /// Runs a statement on the ledger and returns how many rows it touched.
    pub(super) fn note(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, StoreError> {
        self.safely(|| self.touch(sql, params))
    }

    fn touch(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, StoreError> {
        crash_point!("postgres.run", |error| self.injected(&error));
        self.with_statement(Some(sql), |client| client.execute_typed(sql, params))
    }

    /// Sends data for a COPY, and returns how many rows the server took.
    pub(super) fn copy(
        &self,
        sql: &str,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<u64, StoreError> {
        crash_point!("postgres.COPY", |error| self.injected(&error));
        let mut client = self.client.borrow_mut();
        let client = client.as_mut().ok_or_else(|| self.given_up())?;
        let failed = |error: postgres::Error| {
            self.broken.set(true);
            sorted_of(&self.describe(), &error, Some(sql))
        };
        let mut copy = client.copy_in(sql).map_err(failed)?;
        write(&mut copy).map_err(|error| {
            self.broken.set(true);
            let message = format!("{}: {error}", self.describe());
            StoreError::Unreachable { message }
        })?;
        copy.finish().map_err(failed)
    }

    fn row(&self, row: &postgres::Row) -> Result<Row, StoreError> {
        let cells = (0..row.len()).map(|place| row.try_get(place));
        let cells = cells.collect::<Result<_, _>>();
        cells.map_err(|error| self.error(&error))
    }
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
