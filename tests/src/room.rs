//! A temporary folder with a plan, sources and a database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::postgres::Database;
use crate::{Db, Done, Target, command, finish, program, spawn};

/// Returns the folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Returns the folders of the workspace's packages, in order.
#[must_use]
pub fn packages() -> Vec<PathBuf> {
    let below = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path())
    };
    let mut packages: Vec<PathBuf> = below(repository())
        .chain(below(repository().join("crates")))
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .collect();
    packages.sort();
    packages
}

/// A temporary folder in which the programs run; it goes when the test ends.
#[derive(Debug)]
pub struct Room {
    folder: tempfile::TempDir,
    /// The database: a file `t.db` in the folder, or one on the tests' server.
    pub db: Db,
    /// Whether `$MIGRATION_PLAN` names the plan.
    own_plan: bool,
}

impl Room {
    /// Makes an empty folder, and an empty database; a file is made once it is written to.
    #[must_use]
    #[track_caller]
    pub fn new(target: impl Into<Target>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = match target.into() {
            Target::Sqlite => Db::Sqlite(folder.path().join("t.db")),
            Target::Postgres => Db::Postgres(Database::with("")),
        };
        Self {
            folder,
            db,
            own_plan: false,
        }
    }

    /// Has `$MIGRATION_PLAN` name the plan, as its owner does whose hooks are to run.
    #[must_use]
    pub fn with_own_plan(mut self) -> Self {
        self.own_plan = true;
        self
    }

    /// Returns a command that runs a program in the folder.
    #[must_use]
    pub fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = command(name, self.folder.path(), args);
        if self.own_plan {
            command.env("MIGRATION_PLAN", self.path("migration.toml"));
        }
        command
    }

    /// Makes a folder with a plan, sources by name, and the database from SQL.
    #[must_use]
    #[track_caller]
    pub fn with(
        target: impl Into<Target>,
        plan: &str,
        sources: &[(&str, &str)],
        sql: &str,
    ) -> Self {
        let room = Self::new(target);
        room.write("migration.toml", plan);
        for (name, text) in sources {
            room.write(name, text);
        }
        room.sql(sql);
        room
    }

    /// Makes a folder that holds a copy of an example, and its database.
    #[must_use]
    #[track_caller]
    pub fn example(target: impl Into<Target>, name: &str) -> Self {
        let room = Self::new(target);
        copy(&repository().join("examples").join(name), &room.path(""));
        match &room.db {
            Db::Sqlite(_) => {
                room.sql(&room.read("schema.sql"));
                room.sql(&room.read("before.sql"));
            }
            Db::Postgres(database) => {
                let schema = format!("tests/tests/postgres/{name}.sql");
                database.sql(&fs::read_to_string(repository().join(schema)).unwrap());
                database.sql(&example_rows(name));
            }
        }
        room
    }

    /// Returns the path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, making the folders above it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a text that a file must hold.
    #[track_caller]
    pub fn mend(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} lacks {from:?}");
        self.write(name, text.replace(from, to));
    }

    /// Runs a program in the folder to its end.
    #[must_use]
    pub fn run(&self, name: &str, args: &[&str]) -> Done {
        finish(spawn(&mut self.command(name, args)), None)
    }

    /// Runs a program with a standard input.
    #[must_use]
    pub fn feed(&self, name: &str, args: &[&str], input: impl Into<Vec<u8>>) -> Done {
        let mut command = self.command(name, args);
        finish(spawn(command.stdin(Stdio::piped())), Some(input.into()))
    }

    /// Runs `parse | validate | bundle -o NAME`, joined by pipes of the system, and returns how each
    /// of them ended.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> [Done; 3] {
        let folder = self.folder.path();
        let mut parse = spawn(&mut command("parse", folder, [] as [&str; 0]));
        let mut validate = command("validate", folder, ["--rejects", "rejects.ndjson"]);
        let mut validate = spawn(validate.stdin(parse.stdout.take().unwrap()));
        let mut bundle = command("bundle", folder, ["-o", name]);
        let bundle = spawn(bundle.stdin(validate.stdout.take().unwrap()));
        let bundle = std::thread::spawn(move || finish(bundle, None));
        let validate = std::thread::spawn(move || finish(validate, None));
        let parse = finish(parse, None);
        [parse, validate.join().unwrap(), bundle.join().unwrap()]
    }

    /// Makes a bundle of the sources, which must succeed, and returns its ID.
    #[track_caller]
    pub fn bundle(&self, name: &str) -> String {
        let [parse, validate, bundle] = self.pipeline(name);
        let _ = (parse.code(0), validate.code(0));
        bundle.code(0).id()
    }

    /// Makes a bundle of record lines that name no place: the first is line 2 of `source.csv`, and so on.
    /// Returns its name: `B1`, `B2`, ….
    #[track_caller]
    pub fn seal(&self, lines: &[&str]) -> String {
        let mut names = (1..).map(|number| format!("B{number}"));
        let name = names.find(|name| !self.path(name).exists()).unwrap();
        let placed = lines.iter().zip(2..).map(|(line, number)| {
            let parts = ["fields", "refs", "target", "to"].map(|part| format!(",\"{part}\":"));
            let end = parts.iter().filter_map(|part| line.find(part)).min();
            let (head, tail) = line.split_at(end.unwrap());
            format!("{head},\"at\":{{\"file\":\"source.csv\",\"line\":{number}}}{tail}\n")
        });
        let args = ["-o", &name, "--unsealed", "--allow-empty"];
        let _ = self
            .feed("bundle", &args, placed.collect::<String>())
            .code(0);
        name
    }

    /// Runs the recipe `migrate` with a target.
    #[must_use]
    pub fn migrate(&self, target: &str, options: &[&str]) -> Done {
        let mut bash = Command::new("bash");
        bash.args(["-c", &recipe(), "migrate", "migration.toml", target])
            .args(options)
            .env("SWITCHBACK_BIN", program("apply").parent().unwrap())
            .current_dir(self.folder.path());
        bash.output().unwrap().into()
    }

    /// Returns the URL of the database.
    #[must_use]
    pub fn url(&self) -> String {
        self.db.url()
    }

    /// Runs a program with the database as its target: `--to` comes last.
    #[must_use]
    pub fn on(&self, name: &str, args: &[&str]) -> Done {
        let url = self.url();
        let args: Vec<&str> = args.iter().copied().chain(["--to", &url]).collect();
        self.run(name, &args)
    }

    /// Rolls back where the whole can't be tried first, for want of room or time: it stops where it stops.
    #[must_use]
    pub fn untried(&self, args: &[&str]) -> Done {
        let url = self.url();
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--max-seconds=0", "--to", &url])
            .collect();
        let mut rollback = self.command("rollback", &args);
        finish(spawn(rollback.env("TMPDIR", self.path("nowhere"))), None)
    }

    /// Applies a bundle, which must succeed, and returns the run ID.
    #[track_caller]
    pub fn apply(&self, bundle: &str) -> String {
        self.on("apply", &[bundle]).code(0).id()
    }

    /// Returns what the database holds, our own tables left out.
    #[must_use]
    pub fn dump(&self) -> String {
        self.db.dump()
    }

    /// Runs statements in the database, as somebody else would.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        self.db.sql(sql);
    }

    /// Asks the database for one row, its values as text with `|` between them.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        self.db.ask(sql)
    }
}

/// Returns the rows that an example's database holds before, for PostgreSQL, where SQLite's 0 and 1 stand for
/// booleans, and lists are JSON.
#[must_use]
pub fn example_rows(name: &str) -> String {
    let path = repository().join("examples").join(name).join("before.sql");
    let rows = fs::read_to_string(path).unwrap();
    format!(
        "UPDATE pg_cast SET castcontext = 'a' \
         WHERE castsource = 'int4'::regtype AND casttarget = 'bool'::regtype;\n{}",
        rows.replace("'[", "'{").replace("]'", "}'")
    )
}

/// Returns the lines of the recipe `migrate`, less their indentation.
#[must_use]
pub fn recipe() -> String {
    let justfile = fs::read_to_string(repository().join("justfile")).unwrap();
    let (_, recipe) = justfile
        .split_once("\nmigrate PLAN TARGET *OPTIONS:\n")
        .unwrap();
    let lines: Vec<&str> = recipe
        .lines()
        .map_while(|line| line.strip_prefix("    "))
        .collect();
    assert!((20..40).contains(&lines.len()), "{} lines", lines.len());
    lines.join("\n")
}

/// Copies a folder and all in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}
