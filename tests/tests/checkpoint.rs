//! The checkpoint file is a convenience; the ledger decides.

use std::fs;

use tests::db::same;
use tests::{Case, Db, Room};

tests::both!(
    the_checkpoint_says_where_the_run_is,
    the_checkpoint_goes_when_the_run_completes,
    without_the_checkpoint_nothing_is_lost,
    a_damaged_checkpoint_is_told_with_its_offset_and_the_ledger_is_used,
    a_foreign_checkpoint_is_told_and_left,
    a_dry_run_never_touches_the_checkpoint_of_a_live_run,
);

const PLAN: &str = r#"
name = "readings"
system = "stations"
[[entity]]
name = "reading"
source = { format = "csv", files = ["readings.csv"], key = "id" }
table = "reading"
id = { column = "id", from = "key" }
fields.level = { from = "level", type = "integer" }
"#;

const SCHEMA: &str =
    "CREATE TABLE reading (id TEXT PRIMARY KEY, level INTEGER CHECK (level <> 5));";

const FILE: &str = ".migration-checkpoint.json";

/// A run of eight records in batches of two that stopped at the third batch.
fn stopped(case: Case) -> Room {
    let csv = "id,level\na,1\nb,2\nc,3\nd,4\ne,5\nf,6\ng,7\nh,8\n";
    let room = Room::with(case, PLAN, &[("readings.csv", csv)], SCHEMA);
    room.bundle("B");
    room.on("apply", &["B", "--batch-size", "2"]).code(3);
    room
}

/// The table without its check, so that the run can be resumed.
fn mended(room: &Room) {
    room.sql(match room.db {
        Db::Sqlite(_) => {
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET sql = replace(sql, '<> 5', '<> 0') WHERE name = 'reading'"
        }
        Db::Postgres(_) => "ALTER TABLE reading DROP CONSTRAINT reading_level_check",
    });
}

fn resumes(room: &Room, words: &[&str]) {
    mended(room);
    room.on("apply", &["B", "--resume"])
        .code(0)
        .says(words)
        .says(&["2 batches applied already"]);
    assert_eq!(
        room.ask("SELECT string_agg(id, ',' ORDER BY id) FROM reading"),
        "a,b,c,d,e,f,g,h"
    );
    assert!(!room.path(FILE).exists(), "removed when the run completes");
}

fn the_checkpoint_says_where_the_run_is(case: Case) {
    let room = stopped(case);
    let found: serde_json::Value = serde_json::from_str(&room.read(FILE)).unwrap();
    assert_eq!(found["run_id"], room.ask("SELECT id FROM switchback_runs"));
    assert_eq!(found["entries_imported"], 4);
    assert_eq!(found["current_batch"], 2, "the last batch that stands");
    assert_eq!(found["current_file"], "readings.csv");
    assert_eq!(found["status"], "failed");
    for key in [
        "format",
        "started_at",
        "last_checkpoint_at",
        "files_processed",
        "bundle",
    ] {
        assert!(!found[key].is_null(), "{key}");
    }
}

fn the_checkpoint_goes_when_the_run_completes(case: Case) {
    let room = stopped(case);
    assert!(room.path(FILE).exists(), "kept when the run fails");
    resumes(&room, &[]);
}

fn without_the_checkpoint_nothing_is_lost(case: Case) {
    let room = stopped(case);
    fs::remove_file(room.path(FILE)).unwrap();
    resumes(&room, &["there is no checkpoint file"]);
}

fn a_damaged_checkpoint_is_told_with_its_offset_and_the_ledger_is_used(case: Case) {
    let room = stopped(case);
    let whole = fs::read(room.path(FILE)).unwrap();
    fs::write(room.path(FILE), &whole[..whole.len() / 2]).unwrap();
    resumes(&room, &["is damaged at byte", "the ledger is used"]);
}

fn a_foreign_checkpoint_is_told_and_left(case: Case) {
    let room = stopped(case);
    room.mend(
        FILE,
        &room.ask("SELECT id FROM switchback_runs"),
        "some-other-run",
    );
    mended(&room);
    room.on("apply", &["B", "--resume"])
        .code(0)
        .says(&["is of run some-other-run"]);
    assert_eq!(room.ask("SELECT count(*) FROM reading"), "8");
}

fn a_dry_run_never_touches_the_checkpoint_of_a_live_run(case: Case) {
    let room = stopped(case);
    let before = (room.read(FILE), room.dump());
    room.on("apply", &["B", "--dry-run"]).code(1);
    assert_eq!(room.read(FILE), before.0);
    same(&room.dump(), &before.1, "a dry run writes nothing");
}
