//! A real cache that is flushed by a hook: down, slow, or closed to us; and a kill between the commit
//! and the flush.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::lab::{Place, RUN, each, run, signal};
use tests::{Case, Done, Room, both, command, finish, spawn};

const SECRET: &str = "s3cret-t0ken";

/// A redis-server of our own, as long as this lives.
struct Cache {
    server: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Cache {
    /// Starts one on a port that was free just now, with a key in it that is stale once a run stands.
    fn on(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port.to_string();
        let server = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--requirepass", SECRET])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let server = server.unwrap_or_else(|error| {
            panic!("redis-server: {error}: apt-get install -y redis-server")
        });
        let cache = Self {
            server,
            port: port.parse().unwrap(),
            _folder: folder,
        };
        let began = Instant::now();
        while cache.ask(&["SET", "person:1", "stale"]) != "OK" {
            assert!(began.elapsed() < Duration::from_secs(20), "no cache");
            std::thread::sleep(Duration::from_millis(10));
        }
        cache
    }

    fn ask(&self, question: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string()]).args(question);
        let answer = cli.env("REDISCLI_AUTH", SECRET).output().unwrap();
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    }

    fn is_stale(&self) -> bool {
        self.ask(&["EXISTS", "person:1"]) != "0"
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Two people, and a hook that flushes the cache on this port after a run and after its rollback.
fn room(case: Case, port: u16) -> Room {
    let plan = format!(
        "name = \"people\"\nsystem = \"club\"\n[[entity]]\nname = \"person\"\ntable = \"person\"\n\
         source = {{ format = \"csv\", files = [\"people.csv\"], key = \"id\" }}\n\
         id = {{ column = \"id\", from = \"key\" }}\nfields.name = {{ from = \"name\" }}\n\
         [[hook]]\non = [\"completed\", \"rolled-back\"]\nrequired = true\ntimeout = 1\n\
         command = [\"redis-cli\", \"-e\", \"-p\", \"{port}\", \"FLUSHDB\"]\n"
    );
    let people = [("people.csv", "id,name\n1,Ann\n2,Bo\n")];
    let room = Room::with(
        case,
        &plan,
        &people,
        "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT)",
    );
    room.bundle("B");
    room.with_own_plan()
}

/// Runs a program that knows this password.
fn with(room: &Room, program: &str, args: &[&str], password: &str) -> Done {
    let url = room.url();
    let given = ["--hook-env", "REDISCLI_AUTH", "--to", &url];
    let args: Vec<&str> = args.iter().copied().chain(given).collect();
    let mut command = room.command(program, &args);
    finish(spawn(command.env("REDISCLI_AUTH", password)), None)
}

/// What was applied, then taken back, while the cache could not be flushed: it is said (3), the data
/// stands, and the flush is done by `--resume`.
fn flushed_later(room: &Room, password: &str, says: &str, mend: &dyn Fn() -> Cache) -> Cache {
    let done = with(room, "apply", &["B"], password);
    let done = done.code(3).says(&[says, "is committed", "--resume"]);
    assert!(!done.err.contains(SECRET), "{}", done.err);
    assert_eq!(room.ask("SELECT count(*) FROM person"), "2");
    assert_eq!(room.ask("SELECT status FROM switchback_runs"), "completed");
    let told = room.on("verify", &[&done.id()]).code(0);
    assert!(
        told.out.contains("hook 1 on completed is pending"),
        "{}",
        told.out
    );
    let _ = with(room, "apply", &["B", "--resume"], password).code(3);
    let cache = mend();
    assert!(cache.is_stale());
    let again = with(room, "apply", &["B", "--resume"], SECRET).code(0);
    assert_eq!(again.id(), done.id());
    assert!(!cache.is_stale());
    let _ = with(room, "apply", &["B", "--resume"], SECRET).code(4);
    cache
}

fn a_cache_that_is_down_is_flushed_by_resume(case: Case) {
    let port = free();
    let room = room(case, port);
    let cache = flushed_later(&room, SECRET, "it ended with 1", &|| Cache::on(port));
    drop(cache);
    let run = room.ask("SELECT id FROM switchback_runs");
    let _ = with(&room, "rollback", &[&run], SECRET)
        .code(3)
        .says(&["hook 1 (redis-cli) on rolled-back failed", "--resume"]);
    assert_eq!(room.ask("SELECT count(*) FROM person"), "0");
    let cache = Cache::on(port);
    let _ = with(&room, "rollback", &[&run, "--resume"], SECRET).code(0);
    assert!(!cache.is_stale());
}

fn a_cache_that_refuses_the_password_is_flushed_by_resume(case: Case) {
    let port = free();
    let cache = std::cell::Cell::new(Some(Cache::on(port)));
    let room = room(case, port);
    let _ = flushed_later(&room, "another", "it ended with 1", &|| {
        cache.take().unwrap()
    });
}

fn a_cache_that_does_not_answer_is_flushed_by_resume(case: Case) {
    let port = free();
    let cache = Cache::on(port);
    signal(&cache.server, "STOP");
    let cache = std::cell::Cell::new(Some(cache));
    let room = room(case, port);
    let _ = flushed_later(&room, SECRET, "it took longer than 1 s", &|| {
        let cache = cache.take().unwrap();
        signal(&cache.server, "CONT");
        cache
    });
}

/// From the run's last commit on, at every step.
fn a_kill_between_the_commit_and_the_flush_leaves_the_flush_to_resume(case: Case) {
    let cache = Cache::on(free());
    let room = room(case, cache.port);
    let apply = |folder: &str, asked: &str| {
        let place = Place::with(room.path(folder), &room.db);
        let bundle = room.path("B").display().to_string();
        let args = [&bundle, "--to", &place.url, "--run-id", RUN, "--hooks"];
        let mut apply = command("crash/apply", &place.folder, args);
        apply.args(["--hook-env", "REDISCLI_AUTH"]);
        apply.env("REDISCLI_AUTH", SECRET);
        let _ = cache.ask(&["SET", "person:1", "stale"]);
        let done = run(apply.env("SWITCHBACK_CRASH", asked), None);
        (done, place, apply)
    };
    let file = room.path("steps");
    let (done, _, _) = apply("count", &format!("count:{}", file.display()));
    let _ = done.code(0);
    let steps = fs::read_to_string(&file).unwrap();
    let steps: Vec<&str> = steps.lines().collect();
    let word = case.either("sqlite.COMMIT", "postgres.COMMIT");
    let commit = steps.iter().rposition(|step| *step == word).unwrap();
    let points = (commit + 2..=steps.len()).map(|step| format!("kill:{step}"));
    each(case.test, points, |point| {
        let (done, place, mut apply) = apply(point, point);
        let _ = done.code(134);
        place.db.settle();
        assert_eq!(place.status(), "completed");
        let ask = |sql: &str| place.db.ask(sql);
        let left = ask("SELECT status FROM switchback_hooks") != "done";
        assert!(left || !cache.is_stale(), "said to be flushed");
        let resumed = run(apply.env_remove("SWITCHBACK_CRASH").arg("--resume"), None);
        let _ = resumed.code(if left { 0 } else { 4 });
        assert!(!cache.is_stale());
        assert_eq!(ask("SELECT status FROM switchback_hooks"), "done");
        assert_eq!(ask("SELECT count(*) FROM person"), "2");
    });
}

both!(
    a_cache_that_is_down_is_flushed_by_resume,
    a_cache_that_refuses_the_password_is_flushed_by_resume,
    a_cache_that_does_not_answer_is_flushed_by_resume,
    a_kill_between_the_commit_and_the_flush_leaves_the_flush_to_resume,
);
