//! A folder and a database whose statements are noted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tests::postgres::{Database, Server};
use tests::{Db, Done, Room, Target, command, example_rows, finish, repository, spawn};

/// A folder, and an empty database.
pub struct Place {
    pub room: Room,
    /// Where the statements on a file are noted.
    log: Option<PathBuf>,
}

impl Place {
    /// A database on a server, which notes the statements itself.
    pub fn on_server(server: &Arc<Server>) -> Self {
        let mut room = Room::new(Target::Sqlite);
        room.db = Db::Postgres(Database::on(server, ""));
        Self { room, log: None }
    }

    /// A file; the programs note their statements in `log`.
    pub fn in_file(log: &Path) -> Self {
        Self {
            room: Room::new(Target::Sqlite),
            log: Some(log.to_owned()),
        }
    }

    /// Makes it the place of a plan, with its sources and tables.
    pub fn with(self, plan: &str, sources: &[(&str, &str)], sql: &str) -> Self {
        self.room.write("migration.toml", plan);
        for (name, text) in sources {
            self.room.write(name, text);
        }
        self.room.sql(sql);
        self.room.bundle("B");
        self
    }

    /// Makes it the place of an example, on a server.
    pub fn of_example(self, name: &str) -> Self {
        let mut room = Room::example(Target::Sqlite, name);
        room.db = self.room.db;
        let schema = repository().join(format!("tests/tests/postgres/{name}.sql"));
        room.db.postgres().sql(&fs::read_to_string(schema).unwrap());
        room.db.postgres().sql(&example_rows(name));
        Self { room, ..self }
    }

    /// Tells whether the database is on a server.
    pub fn is_on_server(&self) -> bool {
        matches!(self.room.db, Db::Postgres(_))
    }

    /// Returns what is for this target of two things that differ.
    pub fn either<T>(&self, sqlite: T, postgres: T) -> T {
        match self.room.db {
            Db::Sqlite(_) => sqlite,
            Db::Postgres(_) => postgres,
        }
    }

    /// Runs a program with the database as its target. It may refuse, find faults or stop, but does not break.
    #[track_caller]
    pub fn on(&self, program: &str, args: &[&str]) -> Done {
        self.at(&self.room.url(), program, args)
    }

    /// The same with another URL.
    #[track_caller]
    pub fn at(&self, url: &str, program: &str, args: &[&str]) -> Done {
        let name = self.either(format!("crash/{program}"), program.to_owned());
        let args = args.iter().copied().chain(["--to", url]);
        let mut command = command(&name, &self.room.path(""), args);
        if let Some(log) = &self.log {
            command.env("SWITCHBACK_STATEMENTS", log);
        }
        if let Db::Postgres(database) = &self.room.db {
            command.env("PG_BIN", database.server.bin());
        }
        let done = finish(spawn(&mut command), None);
        assert!(
            [0, 1, 3, 4].contains(&done.code),
            "{program}: exit {}\n{}",
            done.code,
            done.err
        );
        done
    }

    /// Applies a bundle, which must succeed, and returns the run's ID.
    #[track_caller]
    pub fn apply(&self, bundle: &str) -> String {
        self.on("apply", &[bundle]).code(0).id()
    }
}
