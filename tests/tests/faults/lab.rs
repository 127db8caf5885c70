//! A small migration that is broken at every step, and the oracle that judges what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tests::{Done, command, db, finish, spawn};

use crate::migration::{MARKS, PLAN, SOURCES, TABLES};
pub use crate::place::Place;
use crate::place::{batches, ledger};

/// The run ID of every run here: with it and the time fixed, two runs differ in nothing.
pub const RUN: &str = "01900000-0000-7000-8000-00000000000b";

/// How many batches of three the migration has.
pub const BATCHES: u64 = 8;

/// Where everything is: in memory where the system allows it, as killing a process needs no disk.
pub struct Lab {
    folder: tempfile::TempDir,
    /// The tables before the migration and after an undisturbed run.
    pub before: String,
    pub after: String,
    /// The ledger after an undisturbed run.
    pub ledger: String,
    /// What the tables hold, by the number of batches that stand.
    states: Mutex<BTreeMap<u64, String>>,
    /// The same while a run is taken back, by the changes that are left.
    undone: Mutex<BTreeMap<u64, String>>,
}

impl Lab {
    pub fn new() -> Self {
        Self::in_folder(memory())
    }

    /// Makes the bundle `B`, the database `before.db`, and `after.db` by an undisturbed run.
    pub fn in_folder(folder: tempfile::TempDir) -> Self {
        let root = folder.path();
        fs::write(root.join("migration.toml"), PLAN).unwrap();
        for (name, text) in SOURCES {
            fs::write(root.join(name), text).unwrap();
        }
        db::run(&root.join("before.db"), TABLES);
        let before = db::dump(&root.join("before.db"));
        let mut lab = Self {
            folder,
            before,
            after: String::new(),
            ledger: String::new(),
            states: Mutex::default(),
            undone: Mutex::default(),
        };
        let stream = lab.stream();
        let _ = run(
            command("bundle", lab.root(), ["-o", "B"]).stdin(std::process::Stdio::piped()),
            Some(stream),
        )
        .code(0);
        let place = lab.place("after");
        let _ = run(&mut lab.apply(&place), None).code(0);
        lab.after = db::dump(&place.db());
        lab.ledger = ledger(&place.db());
        fs::copy(place.db(), lab.path("after.db")).unwrap();
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

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// What parse and validate hand to bundle.
    pub fn stream(&self) -> Vec<u8> {
        let records = run(&mut command("parse", self.root(), [] as [&str; 0]), None).code(0);
        let mut validate = command("validate", self.root(), [] as [&str; 0]);
        let checked = run(
            validate.stdin(std::process::Stdio::piped()),
            Some(records.out.into_bytes()),
        );
        checked.code(0).out.into_bytes()
    }

    /// Makes a folder of its own, with a copy of the database as it was before the migration.
    pub fn place(&self, name: &str) -> Place {
        self.copy_of("before.db", name)
    }

    /// Makes a folder of its own, with a copy of a database.
    pub fn copy_of(&self, base: &str, name: &str) -> Place {
        let place = Place(self.path(name));
        fs::create_dir(&place.0).unwrap();
        fs::copy(self.path(base), place.db()).unwrap();
        place
    }

    /// A command that applies the bundle, each batch in a commit of its own.
    pub fn apply(&self, place: &Place) -> Command {
        self.apply_by("crash/apply", place)
    }

    /// The same by the plain program, which gathers batches for a commit.
    pub fn apply_by(&self, program: &str, place: &Place) -> Command {
        let bundle = self.path("B");
        let mut apply = command(program, &place.0, [bundle.as_os_str()]);
        apply.args(["--to", &place.url(), "--batch-size", "3", "--run-id", RUN]);
        apply.args(["--now", "2099-05-01T00:00:00Z"]);
        apply.env("SWITCHBACK_GROUP", "0");
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
        let mut rollback = command(program, &place.0, [run, "--to", &place.url()]);
        rollback.args(["--batch-size", "3", "--outside-window"]);
        rollback
    }

    /// Judges a database that a fault was put into, before anything mends it. Returns how many
    /// batches stand.
    pub fn judge(&self, place: &Place) -> u64 {
        let path = place.db();
        assert_eq!(db::ask(&path, "PRAGMA integrity_check"), "ok");
        assert!(db::rows(&path, "PRAGMA foreign_key_check").is_empty());
        let dump = db::dump(&path);
        let stand = if place.run_is_there() {
            batches(&path)
        } else {
            0
        };
        for (no, (query, marks)) in (1..).zip(MARKS) {
            let expected = if no <= stand { marks } else { "0" };
            assert_eq!(db::ask(&path, query), expected, "batch {no}: {stand} stand");
        }
        let acknowledged = place.acknowledged();
        assert!(
            acknowledged <= stand,
            "batch {acknowledged} was said to stand, {stand} do"
        );
        let mut states = self.states.lock().unwrap();
        let state = states.entry(stand).or_insert_with(|| dump.clone());
        assert_eq!(
            *state, dump,
            "{stand} batches stand, and the rows are others than last time"
        );
        stand
    }

    /// Goes on with a run that a fault stopped, and takes it back; from a copy, takes it back at
    /// once. Ends where undisturbed runs end.
    pub fn mend(&self, place: &Place) {
        self.mend_beside(place, &place.copy());
    }

    /// The same with a copy that is there already.
    pub fn mend_beside(&self, place: &Place, twin: &Place) {
        let there = twin.run_is_there();
        if !(there && twin.status() == "completed") {
            let mut apply = self.apply(place);
            apply.args(there.then_some("--resume"));
            let _ = run(&mut apply, None).code(0);
        }
        assert_eq!(db::dump(&place.db()), self.after, "after resume");
        assert_eq!(ledger(&place.db()), self.ledger, "after resume");
        self.take_back(place);
        if there {
            self.take_back(twin);
        }
    }

    /// Judges a database whose rollback was disturbed: what the ledger says is still to be undone
    /// decides what the tables hold.
    pub fn judge_undone(&self, place: &Place) {
        let path = place.db();
        assert_eq!(db::ask(&path, "PRAGMA integrity_check"), "ok");
        assert!(db::rows(&path, "PRAGMA foreign_key_check").is_empty());
        let place = "SELECT CASE status WHEN 'completed' THEN 1000 WHEN 'rolled-back' THEN 0 ELSE undo_seq END \
                     FROM switchback_runs";
        let left: u64 = db::ask(&path, place).parse().unwrap();
        let dump = db::dump(&path);
        let mut states = self.undone.lock().unwrap();
        let state = states.entry(left).or_insert_with(|| dump.clone());
        assert_eq!(
            *state, dump,
            "changes before {left} are left, and the rows are others than last time"
        );
    }

    /// Takes the run back, twice.
    pub fn take_back(&self, place: &Place) {
        let _ = run(&mut Self::rollback(place), None).code(0);
        assert_eq!(db::dump(&place.db()), self.before, "after rollback");
        let again = run(&mut Self::rollback(place), None).code(0);
        let _ = again.says(&["nothing was changed"]);
        assert_eq!(
            db::dump(&place.db()),
            self.before,
            "after a second rollback"
        );
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
