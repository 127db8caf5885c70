//! A small migration that is broken at every step, and the oracle that judges what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tests::{Done, command, db, finish, spawn};

/// The run ID of every run here: with it and the time fixed, two runs differ in nothing.
pub const RUN: &str = "01900000-0000-7000-8000-00000000000b";

/// How many batches of three the migration has.
pub const BATCHES: u64 = 8;

const PLAN: &str = r#"
name = "small"
system = "faults"

[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
match = ["email"]
on_match = "update"
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
sponsor = { from = "sponsor", ref = "person", late = true }
updated = { run = "started_at" }

[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "id" }
table = "visit"
id = { column = "no", from = "target" }
[entity.fields]
person = { from = "person", ref = "person", required = true }
day = { from = "day", type = "date", required = true }

[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "no" }
table = "leaver"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

const SOURCES: [(&str, &str); 3] = [
    (
        "people.csv",
        "id,email,name,sponsor\np1,p1@example.org,One,p3\np2,p2@example.org,Two,\n\
         p3,p3@example.org,Three,p1\np4,p4@example.org,Four,p2\n",
    ),
    (
        "visits.csv",
        "id,person,day\nv1,p1,2024-01-01\nv2,p4,2024-01-02\nv3,p2,2024-01-02\nv4,p3,2024-01-04\n",
    ),
    ("leavers.csv", "no\n1\n2\n3\n4\n"),
];

const TABLES: &str = "
CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  sponsor TEXT REFERENCES person (id), note TEXT DEFAULT 'none', updated TEXT NOT NULL);
CREATE INDEX person_sponsor ON person (sponsor);
CREATE TABLE visit (no INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT NOT NULL REFERENCES person (id),
  day TEXT NOT NULL);
CREATE INDEX visit_person ON visit (person);
CREATE TABLE leaver (no INTEGER PRIMARY KEY, name TEXT, photo BLOB, size REAL);
INSERT INTO person VALUES ('old', 'p2@example.org', 'Second', NULL, NULL, 'long ago');
INSERT INTO visit VALUES (41, 'old', '2001-01-01');
INSERT INTO leaver VALUES (1, 'a', x'00ff', 0.1), (2, 'b', NULL, 2.5), (3, 'c', x'01', 3), (4, 'd', NULL, NULL),
  (5, 'e', NULL, NULL);";

/// What each batch does to the tables, said without our code: a query that counts its marks, and
/// how many there are once it stands. Before it stands there is none.
const MARKS: [(&str, &str); 8] = [
    (
        "SELECT count(*) FROM person WHERE name IN ('One', 'Two', 'Three')",
        "3",
    ),
    ("SELECT count(*) FROM person WHERE name = 'Four'", "1"),
    (
        "SELECT count(*) FROM visit JOIN person ON person = id WHERE (name, day) IN (VALUES \
         ('One', '2024-01-01'), ('Four', '2024-01-02'), ('Two', '2024-01-02'))",
        "3",
    ),
    ("SELECT count(*) FROM visit WHERE day = '2024-01-04'", "1"),
    (
        "SELECT count(*) FROM person a JOIN person b ON a.sponsor = b.id WHERE (a.name, b.name) IN (VALUES \
         ('One', 'Three'), ('Three', 'One'))",
        "2",
    ),
    (
        "SELECT count(*) FROM person a JOIN person b ON a.sponsor = b.id WHERE (a.name, b.name) = ('Four', 'Two')",
        "1",
    ),
    ("SELECT 3 - count(*) FROM leaver WHERE no IN (1, 2, 3)", "3"),
    ("SELECT 1 - count(*) FROM leaver WHERE no = 4", "1"),
];

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
        let bundle = self.path("B");
        let mut apply = command("crash/apply", &place.0, [bundle.as_os_str()]);
        apply.args(["--to", &place.url(), "--batch-size", "3", "--run-id", RUN]);
        apply.args(["--now", "2024-05-01T00:00:00Z"]);
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
        let mut rollback = command("crash/rollback", &place.0, [RUN, "--to", &place.url()]);
        rollback.args(["--batch-size", "3"]);
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
        let run_is_there = place.run_is_there();
        if run_is_there {
            let copy = place.copy();
            self.take_back(&copy);
        }
        if !(run_is_there && place.status() == "completed") {
            let _ = run(&mut self.go_on(place), None).code(0);
        }
        assert_eq!(db::dump(&place.db()), self.after, "after resume");
        assert_eq!(ledger(&place.db()), self.ledger, "after resume");
        self.take_back(place);
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

/// A folder with a database in it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn db(&self) -> PathBuf {
        self.0.join("t.db")
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.db().display())
    }

    /// Tells whether the ledger knows the run.
    pub fn run_is_there(&self) -> bool {
        let ledger = "SELECT count(*) FROM sqlite_master WHERE name = 'switchback_runs'";
        db::ask(&self.db(), ledger) == "1"
            && db::ask(&self.db(), "SELECT count(*) FROM switchback_runs") == "1"
    }

    pub fn status(&self) -> String {
        db::ask(&self.db(), "SELECT status FROM switchback_runs")
    }

    /// Returns the last batch that apply said stands.
    fn acknowledged(&self) -> u64 {
        let said = fs::read(self.0.join(".migration-checkpoint.json"));
        said.map_or(0, |bytes| {
            let said: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            said["current_batch"].as_u64().unwrap()
        })
    }

    /// Copies the folder, the database as any reader finds it.
    fn copy(&self) -> Self {
        let copy = Self(self.0.with_extension("copy"));
        fs::create_dir(&copy.0).unwrap();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }

    pub fn remove(self) {
        fs::remove_dir_all(self.0.with_extension("copy")).ok();
        fs::remove_dir_all(self.0).unwrap();
    }
}

/// Returns how many batches the ledger says stand; they must be the first ones, each with all its
/// changes, and there must be no change without one.
fn batches(path: &Path) -> u64 {
    let rows = db::rows(
        path,
        "SELECT no, coalesce(last_seq - first_seq + 1, 0), (SELECT count(*) FROM switchback_changes c \
         WHERE c.run = b.run AND c.batch = b.no AND c.seq BETWEEN b.first_seq AND b.last_seq) \
         FROM switchback_batches b WHERE status = 'applied' ORDER BY no",
    );
    for (place, row) in rows.iter().enumerate() {
        assert_eq!(
            row[0],
            (place + 1).to_string(),
            "batches stand out of order"
        );
        assert_eq!(row[1], row[2], "batch {}: changes", row[0]);
    }
    let strays = "SELECT count(*) FROM switchback_changes WHERE batch > 0 AND batch NOT IN \
                  (SELECT no FROM switchback_batches WHERE status = 'applied')";
    assert_eq!(
        db::ask(path, strays),
        "0",
        "changes of batches that do not stand"
    );
    rows.len() as u64
}

/// Returns the ledger but what the clock and the process put in it.
fn ledger(path: &Path) -> String {
    let rows = [
        "SELECT id, status, counts, counters, lookups, last_seq, reason FROM switchback_runs ORDER BY seq",
        "SELECT run, no, phase, entity, records, status, counts, first_seq, last_seq, error FROM switchback_batches \
         ORDER BY run, no",
        "SELECT * FROM switchback_changes ORDER BY run, seq",
        "SELECT * FROM switchback_ids ORDER BY entity, source",
        "SELECT kind, name FROM switchback_names ORDER BY id",
    ]
    .map(|query| db::rows(path, query));
    rows.concat()
        .iter()
        .map(|row| row.join("|") + "\n")
        .collect()
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
