//! One suite, two targets: which tests run on which, by their paths.

use std::collections::BTreeSet;

/// Tests that are not on both targets: their program, how their paths begin, where they are, and why. The
/// first that fits counts.
const ALONE: &str = "\
pipeline additions::built_on:: postgres: level 2 of a server; of a file nothing of others stays
pipeline additions::schemas::on_a_server:: postgres: a file has one schema
pipeline additions::server:: postgres: owners, readers and types that only a server has
pipeline answers::lost::a_filter_ neither: filters open none
pipeline answers::lost::every_program_ neither: help opens none
pipeline batches::a_batch_that_the_server_ postgres: a file asks for nothing again
pipeline bytes::on_a_server:: postgres: a file's columns take any type
pipeline docs:: neither: looks at the manual
pipeline foreign_keys::inheritance:: postgres: a file has none
pipeline foreign_keys::partitions:: postgres: a file has none
pipeline foreign_keys::resolved::of_a_file:: sqlite: a server folds no names, and resolves keys when they are made
pipeline foreign_keys::unresolved:: sqlite: a server keeps no such key
pipeline half_text:: sqlite: a server holds no half letters
pipeline json_columns::on_a_file:: sqlite: a server has types of JSON
pipeline json_columns::on_a_server:: postgres: a file has no jsonb
pipeline acceptance::sources:: neither: parse opens none
pipeline ledger_odds::postgres_alone:: postgres: owners and schemas
pipeline messages::a_password_ neither: no target is reached
pipeline messages::a_plan_ neither: no target is reached
pipeline pipe:: neither: the stages before a target
pipeline raw_text::on_a_server:: postgres: a database without an encoding
pipeline raw_text:: sqlite: a file's text may be any bytes; for a server: encodings
pipeline rehearsal::a_signal_while_ postgres: pg_dump's copy; a file's is made at once
pipeline rehearsal::the_copy_ postgres: pg_dump's copy
pipeline rehearsal::the_hot_journal_ sqlite: a file's journal
pipeline rehearsal::what_a_kill_ postgres: a server keeps the copy of a dead program
pipeline rehearsal::what_others_ sqlite: a file's journal
pipeline rehearsal::without_ postgres: rights and tools that a file does not ask for
pipeline renamed:: sqlite: a table without a number; for a server: tenants
pipeline reproducible:: neither: a bundle is for no target
pipeline rollback::broken_off::journal:: sqlite: a file's journal
pipeline rollback_tags:: neither: looks at how lists are drawn
pipeline secrets::file:: sqlite: a server's pages are its own care
pipeline secrets::on_18:: postgres: another version of the server
pipeline settings:: postgres: a file has none
pipeline settings_lists:: postgres: a file has none
pipeline snapshots:: sqlite: a copied file; for a server: snapshots of the program postgres
pipeline taken_back::detach_some:: postgres: a file's keys set all their columns
pipeline taken_back::rowids:: sqlite: a server has none
pipeline tampered::an_audit_entry_of_a_file_ sqlite: a server's entries all have numbers
pipeline tampered::triggers_on_the_ledger_of_a_file_ sqlite: a file; for a server: strangers of the program postgres
pipeline tenants:: postgres: a file has one schema
pipeline triggers::bare:: sqlite: rows without a number
pipeline triggers::broken:: sqlite: a server keeps no such trigger
pipeline triggers::copies:: sqlite: a server is not copied
pipeline triggers::description::a_mark_that_ends_ sqlite: a trigger of a server ends no transaction
pipeline triggers::file:: sqlite: conflict clauses, and rows without a number
pipeline triggers::server:: postgres: triggers that wait, and locks of rows
pipeline triggers_that_end_it:: sqlite: a trigger of a server ends no transaction
pipeline used_up:: sqlite: a server's counters end otherwise
pipeline versions:: neither: bundles and streams
faults bundles:: neither: a bundle is for no target
faults calls::parse_ neither: parse opens none
faults calls::validate_ neither: validate opens none
faults calls:: sqlite: a file; for a server: talk
faults disk::a_read_only_ sqlite: a file's modes; for a server: failover
faults holders::a_reader_of_a_wal_ sqlite: a file's journal
faults manners::a_filter_ neither: filters open none
faults matrix:: neither: looks at the tests
faults power::a_power_cut_after_ neither: a bundle's disk
faults power::a_power_cut_loses_ sqlite: a file's disk; a server's is its own care
faults talk:: postgres: a server; for a file: calls
servers - postgres: faults that only a server has
postgres - postgres: what only PostgreSQL knows, or has of its own
";

/// The tests of a program.
#[derive(Debug, Default)]
pub struct Suite {
    /// How many run on SQLite.
    pub sqlite: usize,
    /// How many run on PostgreSQL.
    pub postgres: usize,
    /// How many touch no target.
    pub neither: usize,
    /// Tests of one target, or of none, for no known reason; and reasons for none.
    pub faults: Vec<String>,
}

impl Suite {
    /// Sorts the tests of a program.
    pub fn of(program: &str, tests: &[String]) -> Self {
        let mut this = Self::default();
        let there: BTreeSet<&str> = tests.iter().map(String::as_str).collect();
        let alone = ALONE.lines().filter_map(|line| {
            let (of, rest) = line.split_once(' ')?;
            let (begin, rest) = rest.split_once(' ')?;
            let (target, _) = rest.split_once(": ")?;
            (of == program).then_some((begin.trim_matches('-'), target))
        });
        let alone: Vec<(&str, &str)> = alone.collect();
        let mut used = BTreeSet::new();
        for test in tests {
            let both = |target: &str, other: &str| {
                let parts = test.split("::");
                let twin: Vec<&str> = parts
                    .map(|part| if part == target { other } else { part })
                    .collect();
                let twin = twin.join("::");
                twin != *test && there.contains(&*twin)
            };
            let reason = alone.iter().find(|(begin, _)| test.starts_with(begin));
            let target = if both("sqlite", "postgres") {
                "sqlite"
            } else if both("postgres", "sqlite") {
                "postgres"
            } else if let Some((begin, target)) = reason {
                used.insert(*begin);
                *target
            } else {
                this.faults
                    .push(format!("{program}: {test} is not on both targets"));
                continue;
            };
            match target {
                "sqlite" => this.sqlite += 1,
                "postgres" => this.postgres += 1,
                _ => this.neither += 1,
            }
        }
        let idle = alone.iter().filter(|(begin, _)| !used.contains(begin));
        let say = |(begin, _): &(&str, &str)| format!("{program}: no test begins with {begin:?}");
        this.faults.extend(idle.map(say));
        this
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sqlite {}, postgres {}", self.sqlite, self.postgres)?;
        if self.neither > 0 {
            write!(f, ", neither {}", self.neither)?;
        }
        Ok(())
    }
}

/// Returns the names in what a test program says to `--list`.
pub fn listed(said: &str) -> Vec<String> {
    let names = said.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}
