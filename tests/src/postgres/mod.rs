//! PostgreSQL servers of the tests' own: one throwaway cluster of each kind a test program, one database a test,
//! and a look into it that shares no code with the programs.

mod server;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls, SimpleQueryMessage};

pub use server::{Server, bin, bin_of_vectors, demote, free_port, hand_over, is_root, kill};

/// A database of a test's own.
#[derive(Debug)]
pub struct Database {
    /// The server that it is on.
    pub server: Arc<Server>,
    /// Its name.
    pub name: String,
}

impl Database {
    /// Makes a database on the shared server and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn with(sql: &str) -> Self {
        Self::on(&Server::shared(), sql)
    }

    /// Makes a database on PostgreSQL 18 with pgvector, and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn with_vectors(sql: &str) -> Self {
        let sql = format!("CREATE EXTENSION vector; {sql}");
        Self::on(&Server::with_vectors(), &sql)
    }

    /// Makes a database on a server and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn on(server: &Arc<Server>, sql: &str) -> Self {
        let this = Self::made(server, "");
        this.sql(sql);
        this
    }

    /// Makes a database whose encoding has fewer characters than Unicode, and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn encoded(encoding: &str, sql: &str) -> Self {
        let how = format!("ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        let this = Self::made(&Server::shared(), &how);
        this.sql(sql);
        this
    }

    fn made(server: &Arc<Server>, how: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::named(server, "postgres").sql(&format!("CREATE DATABASE {name} {how}"));
        Self::named(server, &name)
    }

    /// Returns a database that is there.
    #[must_use]
    pub fn named(server: &Arc<Server>, name: &str) -> Self {
        Self {
            server: Arc::clone(server),
            name: name.to_owned(),
        }
    }

    /// Copies the database, once nobody is in it.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::made(&self.server, &format!("TEMPLATE {}", self.name))
    }

    /// Gives the database another name, once nobody is in it.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        self.settle();
        Self::named(&self.server, "postgres")
            .sql(&format!("ALTER DATABASE {} RENAME TO {name}", self.name));
        Self::named(&self.server, name)
    }

    /// Removes the database, whoever is in it.
    pub fn remove(self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        Self::named(&self.server, "postgres").sql(&sql);
    }

    /// Returns the URL, by TCP.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.server.port)
    }

    /// Returns the URL, by another port of this host: a proxy's.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://app@127.0.0.1:{port}/{}", self.name)
    }

    /// Returns the URL, by the socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!(
            "postgres://app@/{}?host={}&port={}",
            self.name,
            self.server.folder.display(),
            self.server.port
        )
    }

    /// Opens a session, as the application would.
    ///
    /// # Panics
    ///
    /// The server is not there.
    #[must_use]
    #[track_caller]
    pub fn session(&self) -> Client {
        let config = format!(
            "host={} port={} user=app dbname={} application_name=test",
            self.server.folder.display(),
            self.server.port,
            self.name
        );
        Client::connect(&config, NoTls).unwrap()
    }

    /// Returns one of PostgreSQL's programs, about to speak to the database.
    #[must_use]
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.server.bin.join(program));
        command.arg("-h").arg(&self.server.folder).args([
            "-p",
            &self.server.port.to_string(),
            "-U",
            "app",
            "-d",
            &self.name,
        ]);
        command
    }

    /// Runs statements by `psql`, as somebody else would.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        self.try_sql(sql)
            .unwrap_or_else(|said| panic!("{sql}\n{said}"));
    }

    /// Runs statements by `psql` that the server may refuse.
    ///
    /// # Errors
    ///
    /// What `psql` said.
    pub fn try_sql(&self, sql: &str) -> Result<(), String> {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"]);
        command
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(sql.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8(output.stderr).unwrap())
    }

    /// Returns the rows of a query, each value as text.
    #[must_use]
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let said = self.session().simple_query(sql);
        let said = said.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let text = |at| row.get(at).unwrap_or("NULL").to_owned();
                Some((0..row.len()).map(text).collect())
            }
            _ => None,
        };
        said.into_iter().filter_map(row).collect()
    }

    /// Asks for one value, as text; NULL is nothing.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        let lines: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
        lines.join("\n")
    }

    /// Waits until nobody else is in the database: a server notices by and by that a client is gone.
    pub fn settle(&self) {
        const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                              AND pid <> pg_backend_pid() AND application_name <> 'test'";
        let mut session = self.session();
        while session.query_one(OTHERS, &[]).unwrap().get::<_, i64>(0) > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Restores an archive into the database as people do, and returns what `pg_restore` complained of.
    #[must_use]
    #[track_caller]
    pub fn restored_by_hand(&self, archive: &str) -> String {
        let mut command = self.client("pg_restore");
        let output = command.arg(archive).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }

    /// Gives the database and all in it to a role that may do nothing else, and returns its name.
    #[must_use]
    #[track_caller]
    pub fn owned_by_a_clerk(&self) -> String {
        let role = format!("clerk_{}", self.name);
        self.sql(&format!(
            "CREATE ROLE {role} LOGIN; ALTER DATABASE {} OWNER TO {role}; ALTER SCHEMA public OWNER TO {role};
             DO $$ DECLARE r record; BEGIN
               FOR r IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relkind IN ('r', 'p', 'S', 'v')
                 AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_depend d
                   WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
               LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', r.name); END LOOP;
               FOR r IN SELECT oid::regtype AS name FROM pg_type WHERE typtype IN ('e', 'd')
                 AND typnamespace = 'public'::regnamespace
               LOOP EXECUTE format('ALTER TYPE %s OWNER TO {role}', r.name); END LOOP;
               FOR r IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO {role}', r.name); END LOOP; END $$;",
            self.name
        ));
        role
    }

    /// Returns all that the database holds but the ledger: schema, rows and sequences, rows sorted.
    #[must_use]
    #[track_caller]
    pub fn dump(&self) -> String {
        self.dumped(&["--exclude-schema=switchback"])
    }

    /// Returns all that the database holds, the ledger too.
    #[must_use]
    #[track_caller]
    pub fn everything(&self) -> String {
        self.dumped(&[])
    }

    #[track_caller]
    fn dumped(&self, options: &[&str]) -> String {
        let mut command = self.client("pg_dump");
        let output = command.arg("--inserts").args(options).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        // Newer pg_dump guards its text by a word that is another each time.
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        let mut lines: Vec<&str> = lines.collect();
        // Where a row lies in its table is no content; values may span lines, which stay together
        // well enough: both dumps are sorted alike.
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Returns the dump without the sequences, which do not go back.
    #[must_use]
    #[track_caller]
    pub fn content(&self) -> String {
        let dump = self.dump();
        let lines = dump
            .lines()
            .filter(|line| !line.contains("pg_catalog.setval"));
        lines.collect::<Vec<_>>().join("\n")
    }
}
