//! A migration of one batch with a snapshot and hooks, small enough to be broken at every step of
//! applying it, taking it back and going back to its snapshot; and the oracle for all three.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::lab::{Place, RUN, batches, ledger, memory, run, whole};
use tests::postgres::Database;
use tests::{Case, Db, Done, Target, command, db};

use crate::listener::Listener;

const PLAN: &str = r#"
name = "desk"
system = "faults"

[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "key" }
match = ["name"]
on_match = "update"
[entity.fields]
name = { from = "name", required = true }
size = { from = "size" }
"#;

/// What is done to a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `apply --snapshot`
    Apply,
    /// `rollback RUN`
    Rollback,
    /// `rollback --snapshot FILE`
    Restore,
}

/// Where everything is.
pub struct Desk {
    folder: tempfile::TempDir,
    listener: Listener,
    /// The databases before the run, after it, and once somebody has edited that.
    bases: [Db; 3],
    /// What their tables hold.
    before: String,
    after: String,
    edited: String,
    ledger: String,
    /// The snapshot's file.
    snapshot: PathBuf,
}

impl Desk {
    /// Makes the bundle, and the databases and the snapshot by an undisturbed run in `after/`.
    pub fn new(case: Case) -> Self {
        let folder = memory();
        let root = folder.path();
        let listener = Listener::new();
        let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
        write(
            "migration.toml",
            &format!("{PLAN}{}", hooks(listener.port())),
        );
        write("people.csv", "id,name,size\n1,Ann,4\n2,Bo,5\n");
        let base = match case.target {
            Target::Sqlite => Db::Sqlite(root.join("before.db")),
            Target::Postgres => Db::Postgres(Database::with("")),
        };
        base.sql(
            "CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, size TEXT); \
             INSERT INTO person VALUES ('old', 'Ann', NULL), ('other', 'Eve', '9');",
        );
        let records = run(&mut command("parse", root, [] as [&str; 0]), None).code(0);
        let mut bundle = command("bundle", root, ["-o", "B"]);
        let _ = run(
            bundle.stdin(std::process::Stdio::piped()),
            Some(records.out.into_bytes()),
        )
        .code(0);
        let place = Place::with(root.join("after"), &base);
        let _ = run(&mut apply(root, "apply", &place), None).code(0);
        let (before, after, ledger) = (base.dump(), place.db.dump(), ledger(&place.db));
        let done = place.db.copy(&root.join("after.db"));
        place.db.sql("UPDATE person SET size = 'more'");
        Self {
            listener,
            before,
            after,
            edited: place.db.dump(),
            ledger,
            snapshot: snapshot(&place),
            bases: [base, done, place.db],
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder with what a task begins with.
    pub fn place(&self, task: Task, name: &str) -> Place {
        let place = Place::with(self.path(name), &self.bases[task as usize]);
        if task != Task::Apply {
            fs::create_dir_all(kept(&place)).unwrap();
            fs::copy(&self.snapshot, snapshot(&place)).unwrap();
            fs::copy(self.path("after/log"), place.path("log")).unwrap();
        }
        self.listener.forget();
        place
    }

    /// The command of a task.
    pub fn command(&self, program: &str, task: Task, place: &Place) -> Command {
        let url = &place.url;
        if task == Task::Apply {
            return apply(self.folder.path(), program, place);
        }
        let file = snapshot(place);
        let what = match task {
            Task::Restore => vec!["--snapshot", file.to_str().unwrap()],
            _ => vec![RUN, "--outside-window"],
        };
        let mut rollback = command(program, &place.folder, what);
        rollback.args(["--to", url]);
        rollback.env("MIGRATION_PLAN", self.folder.path().join("migration.toml"));
        rollback
    }

    /// Judges what a fault left, before anything mends it.
    pub fn judge(&self, task: Task, place: &Place, done: &Done, point: &str) -> Vec<[String; 3]> {
        let killed = point.to_lowercase().starts_with("kill");
        whole(&place.db);
        let there = task != Task::Apply || place.run_is_there();
        let status = if there { place.status() } else { String::new() };
        let dump = place.db.dump();
        let stands = if task == Task::Apply {
            there && batches(&place.db) == 1
        } else {
            status != "rolled-back" && !half_back(task, place)
        };
        let present = if task == Task::Restore {
            &self.edited
        } else {
            &self.after
        };
        let expected = if stands { present } else { &self.before };
        db::same(&dump, expected, &format!("{status}: {}", done.err));
        match (done.code, task) {
            (0, Task::Apply) => assert_eq!(status, "completed"),
            (0, _) => assert_eq!(status, "rolled-back"),
            (3, Task::Apply) => assert!(there, "exit 3, but no run: {}", done.err),
            (3, _) => assert!(
                status != "completed" || done.err.contains("the outcome of a commit is unknown"),
                "exit 3, but all is as it was: {}",
                done.err
            ),
            (5, Task::Apply) => assert!(!there, "exit 5, but there is a run: {}", done.err),
            // Asking for more than it may, level 1 says 5 also where its work is begun: nothing is undone.
            (5, _) => assert!(stands, "exit 5, but data was taken back: {}", done.err),
            (134 | 137, _) if killed => {}
            (other, _) => panic!("exit {other}: {}", done.err),
        }
        self.judge_files(task, place, there, killed);
        if there {
            self.judge_hooks(place, None, !killed)
        } else {
            Vec::new()
        }
    }

    /// Every file that has a snapshot's name is one, and what has a run is the run's.
    fn judge_files(&self, task: Task, place: &Place, there: bool, killed: bool) {
        let mut own = 0;
        for file in files(&kept(place)) {
            let name = file.file_name().unwrap().to_str().unwrap();
            if name.contains(".tmp") {
                assert!(killed, "{name} is left");
                continue;
            }
            if name.contains("before-restore") {
                assert!(task == Task::Restore);
                db::same(&holds(place, &file), &self.edited, "the safety copy");
                continue;
            }
            own += 1;
            db::same(&holds(place, &file), &self.before, name);
            if !there {
                // It is whole, but no run's: nobody is offered it, nobody can go back to it.
                let mut restore = self.command("rollback", Task::Restore, place);
                let _ = run(&mut restore, None).code(4);
            }
        }
        assert!(own == 1 || !there && own == 0, "{own} snapshots");
        for file in files(&place.folder) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(killed || !name.contains(".tmp"), "{name} is left");
        }
    }

    /// What was told of each event that is in the ledger; `before` are the hooks as they stood before
    /// the run was gone on with. Returns the hooks as they stand, `twice` where they were told twice.
    fn judge_hooks(
        &self,
        place: &Place,
        before: Option<&[[String; 3]]>,
        twice: bool,
    ) -> Vec<[String; 3]> {
        let heard = self.heard(place);
        let hooks = "SELECT event, hook, status FROM switchback_hooks ORDER BY no";
        let rows = place.db.rows(hooks);
        let mut rows: Vec<[String; 3]> = rows
            .into_iter()
            .map(|row| row.try_into().unwrap())
            .collect();
        let mut known = 0;
        for (no, [event, hook, status]) in rows.iter_mut().enumerate() {
            let line = format!("{event} {hook}");
            let count = heard.iter().filter(|heard| **heard == line).count();
            known += count;
            let was = before
                .and_then(|before| before.get(no))
                .map(|row| row[2].as_str());
            let fits = match (status.as_str(), was) {
                ("pending", _) => count == 0,
                ("running", None) => count <= 1,
                // It ran to its end once, and once more where nobody knew that it had.
                ("done" | "failed", Some("twice")) => count == 2,
                ("done" | "failed", Some("running")) => (1..=2).contains(&count),
                ("done" | "failed", None) if twice => (1..=2).contains(&count),
                ("done" | "failed", _) => count == 1,
                _ => false,
            };
            assert!(
                fits,
                "{line} is {status} (was {was:?}) and was told {count} times"
            );
            if count == 2 {
                "twice".clone_into(status);
            }
        }
        assert_eq!(
            known,
            heard.len(),
            "told without a word in the ledger: {heard:?}"
        );
        rows
    }

    /// Goes on where a fault left off; ends where an undisturbed run ends, and takes it back.
    pub fn mend(&self, task: Task, place: &Place, before: &[[String; 3]]) {
        let there = task != Task::Apply || place.run_is_there();
        let due = before
            .iter()
            .any(|row| matches!(row[2].as_str(), "pending" | "running"));
        let status = if there { place.status() } else { String::new() };
        let ended = ["completed", "rolled-back"].contains(&status.as_str());
        let mut go_on = match task {
            Task::Apply if there => {
                let mut apply = self.command("apply", task, place);
                apply.arg("--resume");
                apply
            }
            // What restored has nothing more to do but to tell it.
            Task::Restore if status == "rolled-back" => {
                let mut resume = self.command("rollback", Task::Rollback, place);
                resume.arg("--resume");
                resume
            }
            _ => self.command(task.program(), task, place),
        };
        if task != Task::Apply || !ended || due {
            let _ = run(&mut go_on, None).code(0);
        }
        let after = self.judge_hooks(place, Some(before), false);
        assert!(after.len() >= before.len());
        if task == Task::Apply {
            db::same(&place.db.dump(), &self.after, "after resume");
            assert_eq!(ledger(&place.db), self.ledger, "after resume");
            let noted = place.db.ask("SELECT snapshot FROM switchback_runs");
            let noted: serde_json::Value = serde_json::from_str(&noted).unwrap();
            assert_eq!(noted["path"], snapshot(place).to_str().unwrap());
            let _ = run(&mut self.command("rollback", Task::Rollback, place), None).code(0);
            self.judge_hooks(place, Some(&after), false);
        }
        db::same(&place.db.dump(), &self.before, "taken back");
        assert_eq!(place.status(), "rolled-back");
        let told =
            "SELECT count(*) FROM switchback_hooks WHERE event = 'rolled-back' AND status = 'done'";
        assert_eq!(place.db.ask(told), "2");
        let audit = ["audit", "--to", &place.url];
        let _ = run(&mut command("verify", &place.folder, audit), None).code(0);
    }

    /// What the commands wrote, and what was posted.
    fn heard(&self, place: &Place) -> Vec<String> {
        let log = fs::read_to_string(place.path("log")).unwrap_or_default();
        log.lines()
            .map(str::to_owned)
            .chain(self.listener.heard())
            .collect()
    }
}

impl Task {
    pub fn program(self) -> &'static str {
        if self == Self::Apply {
            "apply"
        } else {
            "rollback"
        }
    }
}

/// A command, a webhook, and a command that fails.
fn hooks(port: u16) -> String {
    let logs = |no: u32| format!("echo $SWITCHBACK_EVENT {no} >> log");
    format!(
        "[[hook]]\non = [\"started\", \"completed\", \"rolled-back\"]\ncommand = [\"sh\", \"-c\", \"{}\"]\n\
         [[hook]]\non = [\"rolled-back\"]\nwebhook = {{ url = \"http://127.0.0.1:{port}/2\" }}\n\
         [[hook]]\non = [\"completed\"]\ncommand = [\"sh\", \"-c\", \"{}; exit 1\"]\n",
        logs(1),
        logs(3)
    )
}

/// Whether the one batch of a rollback stands that has not ended.
fn half_back(task: Task, place: &Place) -> bool {
    task == Task::Rollback && place.db.ask("SELECT undo_seq FROM switchback_runs") == "1"
}

/// The folder of a place's snapshots.
fn kept(place: &Place) -> PathBuf {
    place.path(".switchback/snapshots")
}

/// The run's snapshot.
fn snapshot(place: &Place) -> PathBuf {
    let name = match &place.db {
        Db::Sqlite(_) => "t.db",
        Db::Postgres(database) => &database.name,
    };
    kept(place).join(format!("{name}.{RUN}.snapshot"))
}

/// What a snapshot holds, which must be whole: read by the database's own means.
fn holds(place: &Place, file: &Path) -> String {
    match &place.db {
        Db::Sqlite(_) => {
            assert_eq!(db::ask(file, "PRAGMA integrity_check"), "ok");
            db::dump(file)
        }
        Db::Postgres(_) => {
            let empty = Database::with("");
            assert_eq!(empty.restored_by_hand(file.to_str().unwrap()), "");
            let content = empty.content();
            empty.remove();
            content
        }
    }
}

/// The command of applying.
fn apply(root: &Path, program: &str, place: &Place) -> Command {
    let mut apply = command(program, &place.folder, [root.join("B").as_os_str()]);
    apply.args(["--to", &place.url, "--run-id", RUN, "--snapshot"]);
    apply.args(["--now", "2099-05-01T00:00:00Z"]);
    apply.env("MIGRATION_PLAN", root.join("migration.toml"));
    apply
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
