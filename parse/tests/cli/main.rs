//! `parse` as a user runs it: stdout, stderr and exit code.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod manners;
mod mapping;
mod sources;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a plan and its sources.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new(plan: &str, files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        place.write("migration.toml", plan.as_bytes());
        for (name, bytes) in files {
            place.write(name, bytes);
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parse"));
        command
            .current_dir(self.path())
            .env_remove("MIGRATION_PLAN");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(&self.command().args(args).output().unwrap())
    }
}

pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

impl Ran {
    /// All lines but the seal, and the seal.
    pub(crate) fn sealed(&self) -> (Vec<Value>, Value) {
        assert_eq!(self.code, 0, "{}", self.err);
        let mut lines: Vec<Value> = self
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let seal = lines.pop().unwrap()["end"].clone();
        assert!(seal.is_object(), "{}", self.out);
        (lines, seal)
    }

    /// The record lines as they stand.
    pub(crate) fn records(&self) -> Vec<&str> {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
            .lines()
            .filter(|line| line.starts_with("{\"entity\""))
            .collect()
    }

    /// The fields of the only record.
    pub(crate) fn fields(&self) -> String {
        let records = self.records();
        assert_eq!(records.len(), 1, "{}{}", self.out, self.err);
        let record: Value = serde_json::from_str(records[0]).unwrap();
        record["fields"].to_string()
    }

    /// What is wrong with the only reject: field, rule and message of each error.
    pub(crate) fn errors(&self) -> Vec<(String, String, String)> {
        let (lines, _) = self.sealed();
        let rejects: Vec<&Value> = lines
            .iter()
            .filter(|line| line.get("reject").is_some())
            .collect();
        assert_eq!(rejects.len(), 1, "{}{}", self.out, self.err);
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let errors = rejects[0]["reject"]["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| {
                (
                    text(&error["field"]),
                    text(&error["rule"]),
                    text(&error["message"]),
                )
            })
            .collect()
    }

    /// Fails with this code, says this, and seals nothing.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(
            self.err.contains(said),
            "said: {}\nexpected: {said}",
            self.err
        );
        assert!(!self.out.contains("{\"end\""), "{}", self.out);
    }
}

/// A plan with one entity `e`; `source` stands inside `source = {…}`.
pub(crate) fn plan(source: &str, rest: &str) -> String {
    format!(
        "name = \"t\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"T\"\nmatch = [\"a\"]\nsource = {{ {source} }}\n{rest}\n"
    )
}

/// A CSV plan over `f.csv` with key `k`, whose fields are given.
pub(crate) fn csv_plan(fields: &str) -> String {
    plan(
        "format = \"csv\", files = [\"f.csv\"], key = \"k\"",
        &format!("[entity.fields]\n{fields}"),
    )
}

/// One row `1,<cell>` under `k,a`, mapped by one field `a`.
pub(crate) fn one_cell(field: &str, cell: &str) -> Ran {
    let text = format!("k,a\n1,{cell}\n");
    Place::new(
        &csv_plan(&format!("a = {{ from = \"a\", {field} }}")),
        &[("f.csv", text.as_bytes())],
    )
    .run(&["-q"])
}
