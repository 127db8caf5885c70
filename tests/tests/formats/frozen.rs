//! Samples of every version, never edited again, are what the rules say.

use std::fs;
use std::path::PathBuf;

use crate::reader::tables::Tables;
use crate::reader::{bundle, files, ledger, stream};

/// The folder of a version's files.
pub fn folder(version: &str) -> PathBuf {
    tests::repository().join("tests/formats").join(version)
}

fn bytes(version: &str, name: &str) -> Vec<u8> {
    fs::read(folder(version).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Holds all the files of a version against the rules.
fn holds(version: &str) {
    let parsed = stream::read(&bytes(version, "parsed.ndjson"), true);
    assert_eq!((parsed.records.len(), parsed.rejects.len()), (8, 1));
    let validated = stream::read(&bytes(version, "validated.ndjson"), true);
    assert_eq!((validated.records.len(), validated.rejects.len()), (6, 3));
    let rejected = stream::read(&bytes(version, "rejects.ndjson"), false);
    assert_eq!(rejected.seal, validated.seal);
    let sealed = bundle::read(&folder(version).join("bundle"));
    assert_eq!(sealed.records.len(), 6);
    assert_eq!(
        files::decisions(&bytes(version, "decisions.ndjson")).len(),
        9
    );
    let failures = files::failures(&bytes(version, "failures.ndjson"));
    assert_eq!(failures.len(), 1);
    let (_, run, batch, status) = files::checkpoint(&bytes(version, "checkpoint.json"));
    assert_eq!((run.as_str(), batch, status.as_str()), (RUN, 3, "failed"));
    let dump = String::from_utf8(bytes(version, "ledger.sql")).unwrap();
    let tables = Tables::load(&dump);
    let run = &tables.ledger("runs")[0];
    assert_eq!(run["bundle"].text(), sealed.id);
    assert_eq!(run["plan"].text(), sealed.plan);
    let checked = ledger::check(&tables, &sealed.records, Some(&JSON));
    assert_eq!(
        (
            checked.changes,
            checked.rows,
            checked.entries,
            checked.derived,
            checked.audit
        ),
        (8, 2, 5, 2, 2)
    );
    assert!(checked.images > 0);
}

/// The columns of the samples that hold JSON.
pub const JSON: [(&str, &str); 1] = [("visit", "notes")];

/// The run of every sample.
pub const RUN: &str = "01a00000-0000-7000-8000-000000000001";

#[test]
fn whole_ledgers_of_both_databases_are_what_the_rules_say() {
    let dump = |name: &str| String::from_utf8(bytes("v1", name)).unwrap();
    let database = tests::postgres::Database::with(&dump("ledger-postgres.sql"));
    let sealed = bundle::read(&folder("v1/bundle"));
    for tables in [
        Tables::load(&dump("ledger-sqlite.sql")),
        Tables::session(database.session()),
    ] {
        let checked = ledger::check(&tables, &sealed.records, None);
        assert_eq!(checked.audit, 5);
        assert!(checked.changes > 20 && checked.entries > 5, "{checked:?}");
    }
}

#[test]
fn files_of_version_2_are_what_the_rules_say() {
    holds("v2/stages");
}

#[test]
fn files_of_version_1_are_what_the_rules_say() {
    holds("v1/stages");
}
