//! The program as its users meet it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::{Club, Said};

/// A run of all kinds: a new team and two new members (one sponsors the other, the second is the
/// team's captain), an update of Ann and Bob, a payment, a payment and a member deleted.
const ALL: [&str; 8] = [
    r#"{"entity":"team","key":"t9","fields":{"name":"Blue"},"refs":{"captain":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"member","key":"m8","fields":{"email":"eve@example.org","phone":"8"},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"member","key":"m9","fields":{"email":"fay@example.org","balance":2.25},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"a1"}}}"#,
    r#"{"entity":"member","key":"a1","fields":{"email":"ann@example.org","phone":"111"},"refs":{"team":{"entity":"team","key":"t9"},"sponsor":{"entity":"member","key":"m8"}}}"#,
    r#"{"entity":"member","key":"b1","fields":{"email":"bob@example.org","phone":"222"}}"#,
    r#"{"entity":"payment","key":"p1","fields":{"order":"second"},"refs":{"member":{"entity":"member","key":"m9"}}}"#,
    r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#,
    r#"{"entity":"old_member","key":"x3","op":"delete","target":"m3"}"#,
];

fn done(said: &Said) {
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn inserts_updates_and_deletes_come_back_value_for_value() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&ALL);
    assert_ne!(club.dump(), before);
    let said = club.rollback(&[&run]);
    done(&said);
    assert_eq!(club.dump(), before);
    assert!(
        said.err
            .contains(&format!("Rolled back 8 entries from run {run}")),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("Member: 5 of 5 rows are what they were"),
        "{}",
        said.err
    );
    assert_eq!(said.out, "", "stdout is for data");
    assert_eq!(
        club.text("SELECT status || kept FROM switchback_runs"),
        "rolled-back0"
    );
    assert_eq!(
        club.text("SELECT action FROM switchback_audit ORDER BY seq DESC"),
        "migration:rollback:level1"
    );
    assert_eq!(
        club.text("SELECT count(*) FROM switchback_ids"),
        "Integer(0)"
    );
}

#[test]
fn every_batch_size_gives_the_same() {
    for size in ["1", "2", "3"] {
        let club = Club::new();
        let before = club.dump();
        let run = club.apply(&ALL);
        done(&club.rollback(&[&run, "--batch-size", size]));
        assert_eq!(club.dump(), before);
    }
}

#[test]
fn a_second_rollback_says_so_and_changes_nothing() {
    let club = Club::new();
    let run = club.apply(&ALL);
    done(&club.rollback(&[&run]));
    let after = std::fs::read(club.path()).unwrap();
    let said = club.rollback(&[&run]);
    done(&said);
    assert!(said.err.contains("already rolled back"), "{}", said.err);
    assert_eq!(std::fs::read(club.path()).unwrap(), after);
}

#[test]
fn the_same_bundle_can_be_applied_again_after_a_rollback() {
    let club = Club::new();
    let before = club.dump();
    let first = club.apply(&ALL);
    done(&club.rollback(&[&first]));
    let second = club.apply(&ALL);
    assert_eq!(club.text("SELECT count(*) FROM Member"), "Integer(4)");
    done(&club.rollback(&[&second]));
    assert_eq!(club.dump(), before);
}

#[test]
fn a_row_changed_since_stops_it_before_the_first_write() {
    let club = Club::new();
    let run = club.apply(&ALL);
    club.sql("UPDATE Member SET team = NULL WHERE id = 'm1'; UPDATE Member SET email = 'eva@example.org' WHERE id = 'm8'");
    let before = club.dump();
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains(
            "Member m1 (member a1): was changed since: team: the run wrote \"t9\", now it is NULL"
        ),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("now it is \"eva@example.org\""),
        "{}",
        said.err
    );
    assert!(said.err.contains("nothing was written"), "{}", said.err);
    assert_eq!(club.dump(), before);
    assert_eq!(club.text("SELECT status FROM switchback_runs"), "completed");

    let said = club.rollback(&[&run, "--force"]);
    done(&said);
    assert_eq!(club.text("SELECT team FROM Member WHERE id = 'm1'"), "t1");
    assert_eq!(
        club.text("SELECT count(*) FROM Member WHERE id = 'm8'"),
        "Integer(0)"
    );
}

#[test]
fn what_is_in_the_way_can_be_left_and_taken_back_later() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&ALL);
    club.sql("UPDATE Member SET email = 'fae@example.org' WHERE id = 'm9'");
    let said = club.rollback(&[&run, "--skip-conflicts"]);
    done(&said);
    // Fay stays, and so does what she belongs to, and what belongs to nothing else is back.
    assert_eq!(
        club.text("SELECT email FROM Member WHERE id = 'm9'"),
        "fae@example.org"
    );
    assert_eq!(
        club.text("SELECT count(*) FROM Team WHERE id = 't9'"),
        "Integer(1)"
    );
    assert_eq!(
        club.text("SELECT count(*) FROM Member WHERE id = 'm8'"),
        "Integer(0)"
    );
    assert_eq!(club.text("SELECT phone FROM Member WHERE id = 'm1'"), "");
    assert!(said.err.contains("kept in place"), "{}", said.err);
    assert_eq!(
        club.text("SELECT status FROM switchback_runs"),
        "rolled-back"
    );

    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 1, "still in the way: {said:?}");
    club.sql("UPDATE Member SET email = 'fay@example.org' WHERE id = 'm9'");
    let said = club.rollback(&[&run]);
    done(&said);
    assert_eq!(club.dump(), before);
    assert_eq!(club.text("SELECT kept FROM switchback_runs"), "Integer(0)");
    assert!(club.rollback(&[&run]).err.contains("already rolled back"));
}

#[test]
fn an_edit_of_a_column_that_the_run_did_not_write_survives_and_is_told() {
    let club = Club::new();
    let run = club.apply(&ALL[4..5]);
    club.sql("UPDATE Member SET balance = 77 WHERE id = 'm2'");
    let said = club.rollback(&[&run]);
    done(&said);
    assert_eq!(
        club.text("SELECT balance FROM Member WHERE id = 'm2'"),
        "Integer(77)"
    );
    assert_eq!(
        club.text("SELECT phone FROM Member WHERE id = 'm2'"),
        "Null"
    );
    assert_eq!(
        club.text("SELECT updatedAt FROM Member WHERE id = 'm2'"),
        "2020-01-02"
    );
    assert!(
        said.err.contains("m2 is back, edited elsewhere since"),
        "{}",
        said.err
    );
}

#[test]
fn volatile_and_run_stamped_columns_never_conflict() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&ALL);
    club.sql("UPDATE Member SET note = 'later', stamp = 'x'");
    done(&club.rollback(&[&run]));
    assert_eq!(club.dump(), before);
}

#[test]
fn the_tag_alone_goes_from_a_list_that_others_changed() {
    let club = Club::new();
    let run = club.apply(&ALL[4..5]);
    let tagged = club.text("SELECT tags FROM Member WHERE id = 'm2'");
    assert!(tagged.contains(&run.replace('-', "")), "{tagged}");
    club.sql("UPDATE Member SET tags = json_insert(tags, '$[#]', 'mine') WHERE id = 'm2'");
    done(&club.rollback(&[&run]));
    assert_eq!(
        club.text("SELECT tags FROM Member WHERE id = 'm2'"),
        r#"["old","mine"]"#
    );
}

#[test]
fn both_rows_of_a_record_that_was_moved_from_one_to_the_other_are_proved() {
    let mut club = Club::new();
    club.batch = 1;
    let before = club.dump();
    let run = club.apply(&[
        ALL[4],
        r#"{"entity":"member","key":"b1","op":"remap","to":"m1"}"#,
        r#"{"entity":"member","key":"b1","fields":{"email":"ann@example.org","phone":"333"}}"#,
    ]);
    let said = club.rollback(&[&run]);
    done(&said);
    assert_eq!(club.dump(), before);
    assert!(
        said.err.contains("Member: 2 of 2 rows are what they were"),
        "{}",
        said.err
    );
}

#[test]
fn secret_values_are_not_shown() {
    let club = Club::new();
    let run = club.apply(&ALL[4..5]);
    club.sql("UPDATE Member SET phone = '5550100' WHERE id = 'm2'");
    let said = club.rollback(&[&run, "--json"]);
    assert_eq!(said.code, 1);
    // A run ID may hold any digits.
    let all = (said.out + &said.err).replace(&run, "RUN");
    assert!(
        all.contains("phone") && !all.contains("5550100") && !all.contains("222"),
        "{all}"
    );
}

#[test]
fn rows_that_others_depend_on_stay_and_no_cascade_takes_them() {
    let club = Club::new();
    let run = club.apply(&ALL[..4]);
    club.sql("INSERT INTO \"Pay ment\" (\"member\", \"order\") VALUES ('m9', 'theirs'), ('m9', 'theirs too')");
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err
            .contains("2 rows of Pay ment depend on it by member (on delete cascade)"),
        "{}",
        said.err
    );
    done(&club.rollback(&[&run, "--force"]));
    assert_eq!(
        club.text("SELECT count(*) FROM \"Pay ment\" WHERE member = 'm9'"),
        "Integer(2)"
    );
}

#[test]
fn a_place_that_is_taken_is_named() {
    let club = Club::new();
    let run = club.apply(&[r#"{"entity":"old_member","key":"x3","op":"delete","target":"m3"}"#]);
    club.sql("INSERT INTO Member (id, email) VALUES ('z', 'cy@example.org')");
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err
            .contains("email = \"cy@example.org\" is taken by row z now"),
        "{}",
        said.err
    );
    club.sql("DELETE FROM Member WHERE id = 'z'; INSERT INTO Member (id, email) VALUES ('m3', 'new@example.org')");
    let said = club.rollback(&[&run]);
    assert!(
        said.code == 1 && said.err.contains("there is a row m3 again"),
        "{said:?}"
    );
    club.sql("DELETE FROM Member WHERE id = 'm3'");
    done(&club.rollback(&[&run]));
}

#[test]
fn a_deleted_row_whose_parent_is_missing_now_is_named() {
    let club = Club::new();
    let run = club.apply(&[r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#]);
    club.sql("DELETE FROM Member WHERE id = 'm1'");
    let said = club.rollback(&[&run]);
    assert!(
        said.code == 1
            && said
                .err
                .contains("it belongs to row m1 of Member, which is missing"),
        "{said:?}"
    );
}

#[test]
fn parent_and_child_that_were_both_deleted_come_back() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&[
        r#"{"entity":"old_payment","key":"x1","op":"delete","target":1}"#,
        r#"{"entity":"old_member","key":"x1","op":"delete","target":"m1"}"#,
    ]);
    assert_eq!(club.text("SELECT count(*) FROM Member"), "Integer(2)");
    done(&club.rollback(&[&run]));
    assert_eq!(club.dump(), before);
}

#[test]
fn a_row_that_is_gone_already_is_counted_as_gone() {
    let club = Club::new();
    let run = club.apply(&ALL);
    club.sql("DELETE FROM \"Pay ment\"; DELETE FROM Member WHERE id = 'm2'");
    let said = club.rollback(&[&run]);
    done(&said);
    assert!(said.err.contains("Rolled back 6 entries"), "{}", said.err);
    assert!(
        said.err
            .contains("Member: 4 of 5 rows are what they were, 1 gone already"),
        "{}",
        said.err
    );
}

#[test]
fn a_later_run_of_the_same_rows_must_go_first() {
    let club = Club::new();
    let before = club.dump();
    let first = club.apply(&ALL[4..5]);
    let second = club.apply(&[
        r#"{"entity":"member","key":"b1","fields":{"email":"bob@example.org","phone":"333"}}"#,
    ]);
    for flags in [&[][..], &["--force"], &["--skip-conflicts"], &["--check"]] {
        let args: Vec<&str> = [first.as_str()].iter().chain(flags).copied().collect();
        let said = club.rollback(&args);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.err
                .contains(&format!("can't be rolled back before {second}")),
            "{}",
            said.err
        );
    }
    done(&club.rollback(&[&second]));
    done(&club.rollback(&[&first]));
    assert_eq!(club.dump(), before);
}

#[test]
fn a_run_that_wrote_nothing_is_said_to_have() {
    let club = Club::new();
    let run = club.apply(&[]);
    let said = club.rollback(&[&run]);
    done(&said);
    assert!(said.err.contains("wrote nothing"), "{}", said.err);
    assert_eq!(
        club.text("SELECT status FROM switchback_runs"),
        "rolled-back"
    );
}

#[test]
fn an_unknown_run_and_no_run_at_all_are_refused() {
    let club = Club::new();
    let said = club.rollback(&["nonsense"]);
    assert_eq!(said.code, 4);
    assert!(
        said.err.contains("Migration run nonsense not found"),
        "{}",
        said.err
    );
    let run = club.apply(&ALL);
    let before = club.dump();
    let other = "01890000-0000-7000-8000-000000000000";
    let said = club.rollback(&[other]);
    assert_eq!(said.code, 4);
    assert!(
        said.err
            .contains(&format!("Migration run {other} not found")),
        "{}",
        said.err
    );
    let said = club.rollback(&[]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains(&run) && said.err.contains("completed"),
        "{}",
        said.err
    );
    let said = club.rollback(&[&run, "--resume"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert_eq!(club.dump(), before);
}

#[test]
fn a_bad_url_is_not_repeated() {
    let club = Club::new();
    let said = club.rollback(&["x", "--to", "mysql://me:hunter2@host/db"]);
    assert_eq!(said.code, 2);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}

#[test]
fn check_answers_and_writes_nothing() {
    let club = Club::new();
    let run = club.apply(&ALL);
    let file = std::fs::read(club.path()).unwrap();
    let said = club.rollback(&[&run, "--check", "--json"]);
    done(&said);
    assert_eq!(std::fs::read(club.path()).unwrap(), file);
    let lines: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 9, "a line a row, and the answer");
    assert_eq!(lines[8]["canRollback"], true);
    assert!(
        lines[..8]
            .iter()
            .all(|line| line["verdict"] == "reversible")
    );
    club.sql("UPDATE Member SET team = NULL WHERE id = 'm1'");
    let said = club.rollback(&[&run, "--check", "--json"]);
    assert_eq!(said.code, 1);
    let changed = said
        .out
        .lines()
        .find(|line| line.contains("\"changed\""))
        .unwrap();
    let changed: serde_json::Value = serde_json::from_str(changed).unwrap();
    assert_eq!(changed["columns"][0]["run"], "t9");
    assert_eq!(changed["columns"][0]["now"], serde_json::Value::Null);
}

#[test]
fn check_passes_on_a_read_only_file() {
    let club = Club::new();
    let run = club.apply(&ALL);
    let mut mode = std::fs::metadata(club.path()).unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(club.path(), mode).unwrap();
    let file = std::fs::read(club.path()).unwrap();
    done(&club.rollback(&[&run, "--check"]));
    assert_eq!(std::fs::read(club.path()).unwrap(), file);
}

#[test]
fn a_live_holder_of_the_lock_is_not_disturbed() {
    let club = Club::new();
    let run = club.apply(&ALL);
    let before = club.dump();
    club.sql(&format!(
        "UPDATE switchback_lock SET run = '{run}', since = 1, expires = (unixepoch() + 20) * 1000, holder = \
         '{{\"host\":\"elsewhere\",\"boot\":\"b\",\"process\":1,\"started\":\"\",\"operator\":\"bob\",\"run\":\"{run}\"}}'"
    ));
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 11);
    assert!(
        said.err.contains("Migration already in progress")
            && said.err.contains("by bob on elsewhere"),
        "{}",
        said.err
    );
    club.sql("UPDATE switchback_runs SET status = 'rolling-back'");
    let said = club.rollback(&[&run]);
    assert!(
        said.code == 11 && said.err.contains("Rollback already in progress"),
        "{said:?}"
    );
    assert_eq!(club.dump(), before);
    club.sql("UPDATE switchback_lock SET expires = 1");
    done(&club.rollback(&[&run]));
}

#[test]
fn a_kept_metadata_row_is_marked_and_named() {
    let mut club = Club::new();
    club.plan += r#"
[metadata]
table = "Meta"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
fields = { content = { run = "json", type = "json" } }
"#;
    let run = club.apply(&ALL);
    let said = club.rollback(&[&run]);
    done(&said);
    assert_eq!(
        club.text("SELECT json_extract(content, '$.status') FROM Meta"),
        "rolled-back"
    );
    assert!(
        said.err.contains("stays, marked rolled-back"),
        "{}",
        said.err
    );
    assert!(said.err.contains("Rolled back 8 entries"), "{}", said.err);
}

#[test]
fn a_counter_goes_back_unless_somebody_moved_it() {
    let club = Club::new();
    let run = club.apply(&ALL);
    club.sql("INSERT INTO \"Pay ment\" (\"member\", \"order\") VALUES ('m2', 'theirs')");
    done(&club.rollback(&[&run]));
    assert_eq!(
        club.text("SELECT seq FROM sqlite_sequence WHERE name = 'Pay ment'"),
        "Integer(3)"
    );
}

#[test]
fn columns_added_since_do_no_harm_and_missing_ones_are_named() {
    let club = Club::new();
    let run = club.apply(&ALL);
    club.sql("ALTER TABLE Member ADD COLUMN extra TEXT DEFAULT 'e'");
    done(&club.rollback(&[&run]));
    let run = club.apply(&ALL);
    club.sql("ALTER TABLE Member DROP COLUMN picture");
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.err.contains("column `picture` of Member is missing"),
        "{}",
        said.err
    );
}

#[test]
fn a_row_that_the_target_will_not_let_go_is_named_and_can_be_skipped() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&ALL);
    club.sql("CREATE TRIGGER no BEFORE DELETE ON \"Pay ment\" BEGIN SELECT RAISE(ABORT, 'payments stay'); END");
    let said = club.rollback(&[&run]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.err.contains("the target refuses: payments stay"),
        "{}",
        said.err
    );
    club.sql("DROP TRIGGER no");
    done(&club.rollback(&[&run, "--resume"]));
    assert_eq!(club.dump(), before);
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_end() {
    let club = Club::new();
    let before = club.dump();
    let run = club.apply(&ALL);
    let clock = Instant::now();
    done(&club.rollback(&[&run, "--batch-size", "1"]));
    let whole = clock.elapsed();
    let mut interrupted = 0;
    for round in 1..=20 {
        let run = club.apply(&ALL);
        let mut child = club
            .command(&[&run, "--batch-size", "1", "--quiet"])
            .spawn()
            .unwrap();
        std::thread::sleep(whole * round / 21);
        child.kill().ok();
        child.wait().unwrap();
        let status = club.text("SELECT status FROM switchback_runs ORDER BY seq DESC");
        interrupted += i32::from(status == "rolling-back");
        done(&club.rollback(&[&run, "--batch-size", "1"]));
        assert_eq!(club.dump(), before, "round {round}");
    }
    assert!(interrupted > 0, "no kill came while it was at work");
}

#[test]
fn stopped_by_a_signal_it_finishes_the_batch_and_can_be_gone_on_with() {
    let club = Club::new();
    let before = club.dump();
    let lines: Vec<String> = (0..3000)
        .map(|n| format!(r#"{{"entity":"team","key":"k{n}","fields":{{"name":"n{n}"}}}}"#))
        .collect();
    let run = club.apply(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let child = club
        .command(&[&run, "--batch-size", "1"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while club.text("SELECT count(*) < 2990 FROM Team") == "Integer(0)" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let err = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(143), "{err}");
    assert!(err.contains(&format!("rollback --resume {run}")), "{err}");
    assert_eq!(
        club.text("SELECT status FROM switchback_runs"),
        "rolling-back"
    );
    assert_eq!(club.text("SELECT holder FROM switchback_lock"), "Null");
    done(&club.rollback(&["--resume", &run]));
    assert_eq!(club.dump(), before);
}

#[test]
fn a_file_that_a_crash_left_half_written_can_be_checked() {
    let club = Club::new();
    let run = club.apply(&ALL);
    // A journal that is still to be played back: the state of the file is the one before.
    let copy = club.folder.path().join("copy.db");
    let conn = rusqlite::Connection::open(club.path()).unwrap();
    conn.execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE Member SET email = email || 'x'")
        .unwrap();
    conn.execute_batch("CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, hex(randomblob(200)) FROM n")
        .unwrap();
    std::fs::copy(club.path(), &copy).unwrap();
    let journal = club.folder.path().join("club.db-journal");
    std::fs::copy(journal, club.folder.path().join("copy.db-journal")).unwrap();
    drop(conn);
    let url = format!("sqlite:{}", copy.display());
    let said = club.rollback(&[&run, "--check", "--to", &url]);
    done(&said);
}

#[test]
fn whoever_stays_in_a_circle_stays_whole() {
    let club = Club::new();
    let run = club.apply(&ALL[..4]);
    let row = "SELECT quote(sponsor) || quote(team) || quote(email) FROM Member WHERE id = 'm9'";
    let fay = club.text(row);
    // The team was written before the late reference of Fay, and stays: so must she, as its captain.
    club.sql("UPDATE Team SET name = 'Navy' WHERE id = 't9'");
    let said = club.rollback(&[&run, "--skip-conflicts"]);
    done(&said);
    assert_eq!(club.text(row), fay);
    assert_eq!(club.text("SELECT captain FROM Team WHERE id = 't9'"), "m9");
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn record(&mut self) -> String {
        let (key, other, team) = (self.roll(8), self.roll(8), self.roll(4));
        let email = self.roll(12);
        match self.roll(8) {
            0 => format!(
                r#"{{"entity":"team","key":"k{team}","fields":{{"name":"n{email}"}},"refs":{{"captain":{{"entity":"member","key":"k{key}"}}}}}}"#
            ),
            1 => format!(
                r#"{{"entity":"payment","key":"k{key}","fields":{{"order":"{email}"}},"refs":{{"member":{{"entity":"member","key":"k{other}"}}}}}}"#
            ),
            2 => format!(
                r#"{{"entity":"old_payment","key":"k{key}","op":"delete","target":{other}}}"#
            ),
            3 => format!(
                r#"{{"entity":"old_member","key":"k{key}","op":"delete","target":"m{other}"}}"#
            ),
            4 => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"e{email}","phone":null}},"refs":{{"team":{{"entity":"team","key":"k{team}"}}}}}}"#
            ),
            5 => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"ann@example.org","balance":{email}}}}}"#
            ),
            _ => format!(
                r#"{{"entity":"member","key":"k{key}","fields":{{"email":"e{email}","balance":{email}.5}},"refs":{{"sponsor":{{"entity":"member","key":"k{other}"}}}}}}"#
            ),
        }
    }
}

#[test]
fn runs_of_any_kind_one_after_the_other_come_back_one_after_the_other() {
    let mut changes = 0;
    for seed in 0..25 {
        let mut dice = Dice(seed);
        let mut club = Club::new();
        (club.batch, club.lenient) = (1, true);
        let mut runs = Vec::new();
        for _ in 0..3 {
            let before = club.dump();
            let lines: Vec<String> = (0..30).map(|_| dice.record()).collect();
            let run = club.apply(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            runs.push((run, before, lines));
        }
        changes += club
            .text("SELECT count(*) FROM switchback_changes")
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse::<u32>()
            .unwrap();
        while let Some((run, before, lines)) = runs.pop() {
            let said = club.rollback(&[&run, "--batch-size", "7"]);
            assert_eq!(said.code, 0, "seed {seed}: {said:?}\n{}", lines.join("\n"));
            assert_eq!(club.dump(), before, "seed {seed}\n{}", lines.join("\n"));
        }
    }
    assert!(
        changes > 500,
        "too few of the records can be applied: {changes}"
    );
}
