//! The audit trail against the rows of runs: what was taken from one, or written anew, the other tells.

use std::fmt::Write as _;

use rusqlite::types::Value as Cell;
use sha2::{Digest as _, Sha256};
use tests::{Case, Room};

use super::{CLUB, applied, careless, club, named, verify};

tests::both!(
    a_trail_without_its_entries_or_without_the_last_one_is_found,
    a_trail_written_anew_under_another_operator_disagrees_with_the_runs,
    another_plan_operator_or_last_number_in_the_row_of_a_run_is_found,
    batches_and_failures_that_were_changed_are_found,
    an_entry_about_a_run_that_is_not_there_is_found,
    a_run_that_was_given_up_resumed_or_pruned_is_in_order,
);

/// Returns the messages of the audit check, which must fail.
#[track_caller]
fn audit(club: &Room, run: &str) -> String {
    let check = named(&verify(club, &[run, "--json"]).code(1), "audit");
    assert_eq!(check["passed"], false);
    check["rows"].to_string()
}

fn a_trail_without_its_entries_or_without_the_last_one_is_found(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    careless(
        &club,
        "CREATE TABLE kept AS SELECT * FROM switchback_audit; DELETE FROM switchback_audit WHERE seq = 2",
    );
    let found = audit(&club, &run);
    assert!(found.contains("its row is not as entry 1"), "{found}");
    careless(&club, "DELETE FROM switchback_audit");
    let found = audit(&club, &run);
    assert!(
        found.contains("no entry of its start") && found.contains("no entry of its end"),
        "{found}"
    );
    let _ = verify(&club, &["audit"]).code(1);
    careless(
        &club,
        "INSERT INTO switchback_audit SELECT * FROM kept; DROP TABLE kept",
    );
    let _ = verify(&club, &[&run]).code(0);
    let _ = club.on("rollback", &[&run]).code(0);
    careless(&club, "DELETE FROM switchback_audit WHERE seq = 3");
    let found = audit(&club, &run);
    assert!(found.contains("rolled-back"), "{found}");
}

fn a_trail_written_anew_under_another_operator_disagrees_with_the_runs(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    rewrite(&club, "UPDATE switchback_audit SET operator = 'eve'");
    let found = audit(&club, &run);
    assert!(
        found.contains(r#""expected":"eve","found":"ann""#),
        "{found}"
    );
    rewrite(
        &club,
        "UPDATE switchback_audit SET operator = 'ann' WHERE seq = 1",
    );
    let found = audit(&club, &run);
    assert!(found.contains("entry 2 is by eve"), "{found}");
}

fn another_plan_operator_or_last_number_in_the_row_of_a_run_is_found(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    for (column, to) in [
        ("plan", "plan || '# more'"),
        ("operator", "'eve'"),
        ("last_seq", "last_seq + 1"),
        ("last_seq", "last_seq - 1"),
        ("reason", "'none'"),
    ] {
        careless(
            &club,
            &format!(
                "CREATE TABLE kept AS SELECT * FROM switchback_runs; UPDATE switchback_runs SET {column} = {to}"
            ),
        );
        let found = audit(&club, &run);
        assert!(
            found.contains(&format!("\"column\":\"{column}\"")),
            "{found}"
        );
        careless(
            &club,
            &format!(
                "UPDATE switchback_runs SET {column} = (SELECT {column} FROM kept); DROP TABLE kept"
            ),
        );
    }
    let _ = verify(&club, &[&run]).code(0);
}

fn batches_and_failures_that_were_changed_are_found(case: Case) {
    let club = club(case);
    club.db
        .refuse("INSERT", "\"Mem ber\"", "NEW.email LIKE 'fay%'", "no fay");
    let bundle = club.seal(&CLUB[1..]);
    let args = [&bundle, "--on-error=record", "--max-failed-percent=100"];
    let run = club.on("apply", &args).code(3).id();
    careless(&club, "UPDATE switchback_batches SET at = at + 1");
    let found = audit(&club, &run);
    assert!(
        found.contains("the batches of the run are not those"),
        "{found}"
    );
    careless(
        &club,
        "UPDATE switchback_batches SET at = at - 1; DELETE FROM switchback_failures",
    );
    let found = audit(&club, &run);
    assert!(
        found.contains("the records of the run that failed are not those")
            && !found.contains("batches"),
        "{found}"
    );
}

fn an_entry_about_a_run_that_is_not_there_is_found(case: Case) {
    let club = club(case);
    let run = applied(&club, &CLUB);
    let _ = applied(&club, &CLUB);
    careless(&club, "DELETE FROM switchback_runs WHERE seq = 2");
    let found = audit(&club, &run);
    assert!(found.contains("which the ledger does not have"), "{found}");
}

fn a_run_that_was_given_up_resumed_or_pruned_is_in_order(case: Case) {
    let club = club(case);
    let first = applied(&club, &CLUB);
    // As if its process had died: the next one takes the lock from it.
    careless(
        &club,
        &format!(
            "DELETE FROM switchback_audit WHERE action = 'migration:completed';
             UPDATE switchback_runs SET status = 'in-progress', ended = NULL;
             UPDATE switchback_lock SET run = '{first}', since = 1000, expires = 2000, holder =
             '{{\"host\":\"elsewhere\",\"boot\":\"\",\"process\":7,\"started\":\"\",\"operator\":\"bea\",\"run\":\"{first}\"}}'"
        ),
    );
    let bundle = club.seal(&CLUB);
    let second = club.on("apply", &[&bundle, "--take-over"]).code(0).id();
    let _ = verify(&club, &["audit"])
        .code(0)
        .prints(&["migration:given-up"]);
    let _ = club.on("rollback", &[&first]).code(0);
    let _ = verify(&club, &["audit"]).code(0);
    let _ = verify(&club, &[&second]).code(1).prints(&["pass  audit"]);
    let _ = club
        .on("rollback", &["prune", "--now", "2099-01-01T00:00:00Z"])
        .code(0);
    let _ = verify(&club, &["audit"])
        .code(0)
        .prints(&["that were pruned"]);
    let third = applied(&club, &CLUB);
    let _ = verify(&club, &[&third]).code(0);
}

/// Changes entries and makes every hash anew, as somebody would who knows how.
#[track_caller]
pub(crate) fn rewrite(club: &Room, change: &str) {
    careless(club, change);
    let rows = club.db.rows(
        "SELECT seq, at, action, coalesce(run, ''), operator, host, detail FROM switchback_audit ORDER BY seq",
    );
    let mut before: Vec<u8> = Vec::new();
    for row in rows {
        let mut bytes = before.clone();
        for (place, text) in row.iter().enumerate() {
            let cell = match place {
                0 | 1 => Cell::Integer(text.parse().unwrap()),
                3 if text.is_empty() => Cell::Null,
                _ => Cell::Text(text.clone()),
            };
            encode(&cell, &mut bytes);
        }
        before = Sha256::digest(&bytes).to_vec();
        let hex = before.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        careless(
            club,
            &format!(
                "UPDATE switchback_audit SET hash = x'{hex}' WHERE seq = {}",
                row[0]
            ),
        );
    }
}

/// The canonical bytes of a cell, by the words of the format.
fn encode(cell: &Cell, out: &mut Vec<u8>) {
    match cell {
        Cell::Integer(number) => {
            out.push(b'i');
            out.extend(number.to_be_bytes());
        }
        Cell::Text(text) => {
            out.push(b't');
            out.extend((text.len() as u64).to_be_bytes());
            out.extend(text.as_bytes());
        }
        _ => out.push(b'n'),
    }
}
