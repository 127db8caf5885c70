//! A small migration that is broken at every step, and the oracle that judges what is left.

mod held;
mod migration;
mod place;
mod points;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

pub use held::{Held, begins, count, names, signal};
pub use migration::MARKS;
use migration::{PLAN, POSTGRES, POSTGRES_COUNTER, SOURCES, SQLITE};
pub use place::{Place, batches, ledger};
pub use points::{each, long, say, some, spread, tally};

use crate::postgres::{Database, Server};
use crate::{Db, Done, Target, command, db, finish, spawn};

/// The run ID of every run here: with it and the time fixed, two runs differ in nothing.
pub const RUN: &str = "01900000-0000-7000-8000-00000000000b";

/// How many batches of three the migration has.
pub const BATCHES: u64 = 8;

/// Where everything is: in memory where the system allows it, as killing a process needs no disk.
#[derive(Debug)]
pub struct Lab {
    folder: tempfile::TempDir,
    /// The database before the migration and after an undisturbed run.
    base: Db,
    done: Db,
    /// What they hold.
    pub before: String,
    /// What they hold after an undisturbed run.
    pub after: String,
    /// The ledger after an undisturbed run.
    pub ledger: String,
    /// What the tables hold, by the number of batches that stand.
    states: Mutex<BTreeMap<u64, String>>,
    /// The same while a run is taken back, by the changes that are left.
    undone: Mutex<BTreeMap<u64, String>>,
}

impl Lab {
    /// A laboratory with databases of a kind.
    pub fn on(target: Target) -> Self {
        match target {
            Target::Sqlite => Self::sqlite(memory()),
            Target::Postgres => Self::on_server(&Server::shared()),
        }
    }

    /// A laboratory in a folder, with SQLite databases `before.db` and `after.db`.
    pub fn sqlite(folder: tempfile::TempDir) -> Self {
        let file = folder.path().join("before.db");
        db::run(&file, SQLITE);
        Self::with(folder, Db::Sqlite(file))
    }

    /// A laboratory with databases on a server.
    pub fn on_server(server: &std::sync::Arc<Server>) -> Self {
        Self::with(memory(), Db::Postgres(Database::on(server, POSTGRES)))
    }

    /// Makes the bundle `B`, and the database after an undisturbed run.
    fn with(folder: tempfile::TempDir, base: Db) -> Self {
        let root = folder.path();
        fs::write(root.join("migration.toml"), PLAN).unwrap();
        for (name, text) in SOURCES {
            fs::write(root.join(name), text).unwrap();
        }
        let done = base.copy(&root.join("after.db"));
        let before = base.dump();
        let mut lab = Self {
            folder,
            base,
            done,
            before,
            after: String::new(),
            ledger: String::new(),
            states: Mutex::default(),
            undone: Mutex::default(),
        };
        let stream = lab.stream();
        let _ = run(
            command("bundle", lab.root(), ["-o", "B"]).stdin(Stdio::piped()),
            Some(stream),
        )
        .code(0);
        let place = lab.applied("after");
        let _ = run(&mut lab.apply(&place), None).code(0);
        lab.after = place.db.dump();
        lab.ledger = ledger(&place.db);
        lab.done = place.db.copy(&lab.path("after.db"));
        lab.undone = Mutex::new(BTreeMap::from([
            (0, lab.before.clone()),
            (1000, lab.after.clone()),
        ]));
        lab.states = Mutex::new(BTreeMap::from([
            (0, lab.before.clone()),
            (BATCHES, lab.after.clone()),
        ]));
        lab
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// What parse and validate hand to bundle.
    pub fn stream(&self) -> Vec<u8> {
        let records = run(&mut command("parse", self.root(), [] as [&str; 0]), None).code(0);
        let mut validate = command("validate", self.root(), [] as [&str; 0]);
        let checked = run(
            validate.stdin(Stdio::piped()),
            Some(records.out.into_bytes()),
        );
        checked.code(0).out.into_bytes()
    }

    /// Makes a folder of its own, with a copy of the database as it was before the migration.
    pub fn place(&self, name: &str) -> Place {
        Place::with(self.path(name), &self.base)
    }

    /// The same as it was after an undisturbed run.
    pub fn applied(&self, name: &str) -> Place {
        Place::with(self.path(name), &self.done)
    }

    /// A command that applies the bundle, each batch in a commit of its own.
    pub fn apply(&self, place: &Place) -> Command {
        self.apply_by("crash/apply", place)
    }

    /// The same by the plain program, which gathers batches for a commit as the target would.
    pub fn apply_by(&self, program: &str, place: &Place) -> Command {
        let bundle = self.path("B");
        let mut apply = command(program, &place.folder, [bundle.as_os_str()]);
        apply.args(["--to", &place.url, "--batch-size", "3", "--run-id", RUN]);
        apply.args(["--now", "2099-05-01T00:00:00Z"]);
        if program.starts_with("crash/") {
            apply.args(["--commit-every", "0"]);
        }
        apply
    }

    /// A command that goes on where the ledger says that the run stands: with `--resume` where there
    /// is a run, else from the start.
    pub fn go_on(&self, place: &Place) -> Command {
        let mut apply = self.apply(place);
        if place.run_is_there() {
            apply.arg("--resume");
        }
        apply
    }

    /// A command that takes the run back, three changes at a time.
    pub fn rollback(place: &Place) -> Command {
        Self::rollback_by("crash/rollback", place, RUN)
    }

    /// The same by another program, or of another run. Its window is over: the clock of its start is
    /// fixed.
    pub fn rollback_by(program: &str, place: &Place, run: &str) -> Command {
        let mut rollback = command(program, &place.folder, [run, "--to", &place.url]);
        rollback.args(["--batch-size", "3", "--outside-window"]);
        rollback
    }

    /// Judges a database that a fault was put into, before anything mends it. Returns how many
    /// batches stand.
    pub fn judge(&self, place: &Place) -> u64 {
        whole(&place.db);
        let dump = place.db.dump();
        let stand = if place.run_is_there() {
            batches(&place.db)
        } else {
            0
        };
        let queries = MARKS.map(|(query, _)| format!("({query})")).join(", ");
        let found = place.db.rows(&format!("SELECT {queries}")).remove(0);
        for (no, (found, (_, marks))) in (1..).zip(found.iter().zip(MARKS)) {
            let expected = if no <= stand { marks } else { "0" };
            assert_eq!(found, expected, "batch {no}: {stand} stand");
        }
        let acknowledged = place.acknowledged();
        assert!(
            acknowledged <= stand,
            "batch {acknowledged} was said to stand, {stand} do"
        );
        let mut states = self.states.lock().unwrap();
        let state = states.entry(stand).or_insert_with(|| dump.clone());
        let why = format!("{stand} batches stand, and the rows are others than last time");
        db::same(&dump, state, &why);
        stand
    }

    /// Goes on with a run that a fault stopped, and takes it back; from a copy, takes it back at
    /// once. Ends where undisturbed runs end.
    pub fn mend(&self, place: &Place) {
        let twin = place.copy();
        self.mend_beside(place, &twin);
        twin.remove();
    }

    /// The same with a copy that is there already.
    pub fn mend_beside(&self, place: &Place, twin: &Place) {
        let there = twin.run_is_there();
        if !(there && twin.status() == "completed") {
            forget_numbers(&place.db);
            let mut apply = self.apply(place);
            apply.args(there.then_some("--resume"));
            let _ = run(&mut apply, None).code(0);
        }
        db::same(&place.db.dump(), &self.after, "after resume");
        db::same(&ledger(&place.db), &self.ledger, "after resume");
        self.take_back(place);
        if there {
            self.take_back(twin);
        }
    }

    /// Judges a database whose rollback was disturbed: what the ledger says is still to be undone
    /// decides what the tables hold.
    pub fn judge_undone(&self, place: &Place) {
        whole(&place.db);
        let left = "SELECT CASE status WHEN 'completed' THEN 1000 WHEN 'rolled-back' THEN 0 ELSE undo_seq END \
                    FROM switchback_runs";
        let left: u64 = place.db.ask(left).parse().unwrap();
        let dump = place.db.dump();
        let mut states = self.undone.lock().unwrap();
        let state = states.entry(left).or_insert_with(|| dump.clone());
        let why = format!("changes before {left} are left, and the rows are others than last time");
        db::same(&dump, state, &why);
    }

    /// Takes the run back, twice.
    pub fn take_back(&self, place: &Place) {
        let _ = run(&mut Self::rollback(place), None).code(0);
        db::same(&place.db.dump(), &self.before, "after rollback");
        let again = run(&mut Self::rollback(place), None).code(0);
        let _ = again.says(&["nothing was changed"]);
        db::same(&place.db.dump(), &self.before, "after a second rollback");
    }
}

/// What an exit code says must be so.
pub fn judge_exit(done: &Done, killed: bool, place: &Place) {
    match done.code {
        0 => assert_eq!(place.status(), "completed"),
        5 => assert!(
            !place.run_is_there(),
            "exit 5, but the run has begun: {}",
            done.err
        ),
        3 => assert!(place.run_is_there(), "exit 3, but nothing was written"),
        134 | 137 if killed => {}
        other => panic!("exit {other}: {}", done.err),
    }
}

/// A database is in order by its own rules, and nobody is in it any more.
pub fn whole(db: &Db) {
    match db {
        Db::Sqlite(_) => {
            assert_eq!(db.ask("PRAGMA integrity_check"), "ok");
            assert!(db.rows("PRAGMA foreign_key_check").is_empty());
        }
        Db::Postgres(database) => database.settle(),
    }
}

/// Sets PostgreSQL's counters back to what the rows say.
pub fn forget_numbers(db: &Db) {
    if let Db::Postgres(database) = db {
        let _ = database.ask(POSTGRES_COUNTER);
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command, input: Option<Vec<u8>>) -> Done {
    finish(spawn(command), input)
}

/// Makes a temporary folder in memory, where there is such a place.
pub fn memory() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        tempfile::tempdir_in(shm).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
