//! One suite, two targets: which tests run on which, by their paths.

use std::collections::BTreeSet;

/// Where tests run that are not on both targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Sqlite,
    Postgres,
    /// They touch no target.
    Neither,
}

use Alone::{Neither, Postgres, Sqlite};

/// Tests that are not on both targets: their program, how their paths begin, where they are, and why.
const ALONE: [(&str, &str, Alone, &str); 13] = [
    ("faults", "bundles::", Neither, "a bundle is for no target"),
    ("faults", "calls::parse_", Neither, "parse opens none"),
    ("faults", "calls::validate_", Neither, "validate opens none"),
    ("faults", "calls::", Sqlite, "a file; for a server: talk"),
    (
        "faults",
        "disk::a_read_only_",
        Sqlite,
        "a file's modes; for a server: failover",
    ),
    (
        "faults",
        "holders::a_reader_of_a_wal_",
        Sqlite,
        "a file's journal",
    ),
    ("faults", "manners::a_filter_", Neither, "filters open none"),
    ("faults", "matrix::", Neither, "looks at the tests"),
    (
        "faults",
        "power::a_power_cut_after_",
        Neither,
        "a bundle's disk",
    ),
    (
        "faults",
        "power::a_power_cut_loses_",
        Sqlite,
        "a file's disk; a server's is its own care",
    ),
    ("faults", "talk::", Postgres, "a server; for a file: calls"),
    ("servers", "", Postgres, "faults that only a server has"),
    (
        "postgres",
        "",
        Postgres,
        "what only PostgreSQL knows, or has of its own",
    ),
];

/// Programs in which every test is on both targets, or among those.
const HELD: [&str; 4] = ["faults", "servers", "postgres", "properties"];

/// The tests of a program.
#[derive(Debug, Default)]
pub struct Suite {
    /// How many run on SQLite.
    pub sqlite: usize,
    /// How many run on PostgreSQL.
    pub postgres: usize,
    /// How many touch no target.
    pub neither: usize,
    /// Those of one target, or of none, for no known reason.
    pub loose: Vec<String>,
    /// What is wrong with them, or with the reasons.
    pub faults: Vec<String>,
}

impl Suite {
    /// Sorts the tests of a program.
    pub fn of(program: &str, tests: &[String]) -> Self {
        let mut this = Self::default();
        let there: BTreeSet<&str> = tests.iter().map(String::as_str).collect();
        let mut used = BTreeSet::new();
        for test in tests {
            let on = |target: &str| test.split("::").any(|part| part == target);
            let twin = |of: &str, other: &str| {
                let parts = test.split("::");
                let parts: Vec<&str> = parts
                    .map(|part| if part == of { other } else { part })
                    .collect();
                there.contains(&*parts.join("::"))
            };
            let reason = ALONE
                .iter()
                .find(|(of, begin, ..)| *of == program && test.starts_with(begin));
            if on("sqlite") && twin("sqlite", "postgres") {
                this.sqlite += 1;
            } else if on("postgres") && twin("postgres", "sqlite") {
                this.postgres += 1;
            } else if let Some((_, begin, alone, _)) = reason {
                used.insert(*begin);
                match alone {
                    Sqlite => this.sqlite += 1,
                    Postgres => this.postgres += 1,
                    Neither => this.neither += 1,
                }
            } else {
                this.loose.push(test.clone());
            }
        }
        if HELD.contains(&program) {
            let say = |test: &String| format!("{program}: {test} is not on both targets");
            this.faults.extend(this.loose.iter().map(say));
        }
        for (of, begin, ..) in ALONE {
            if of == program && !used.contains(begin) {
                this.faults
                    .push(format!("{program}: no test begins with {begin:?}"));
            }
        }
        this
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sqlite {}, postgres {}", self.sqlite, self.postgres)?;
        if self.neither + self.loose.len() > 0 {
            write!(f, ", others {}", self.neither + self.loose.len())?;
        }
        Ok(())
    }
}

/// Returns the names in what a test program says to `--list`.
pub fn listed(said: &str) -> Vec<String> {
    let names = said.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}
