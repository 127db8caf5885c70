//! Keys of which nobody knows to which rows they refer: from or to a table of the run they are refused,
//! elsewhere they are a warning.

use tests::Case;

use super::{applied, plan};

mod sqlite {
    tests::on_target!(
        Sqlite,
        a_key_that_can_not_be_resolved_is_refused_before_the_first_write,
        a_key_that_was_broken_since_stops_a_rollback_before_its_first_write,
        a_broken_key_elsewhere_is_a_warning
    );
}

const MEMBER: &str = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, code TEXT)";

/// Children whose key SQLite can't resolve, and what is said of each.
const BROKEN: [(&str, &str); 5] = [
    ("owner TEXT REFERENCES member (absent)", "no column absent"),
    ("owner TEXT REFERENCES Member (Code)", "no key of member"),
    ("owner TEXT REFERENCES member (name)", "mismatch"),
    (
        "a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES member",
        "primary key",
    ),
    ("owner TEXT REFERENCES member (rowid)", "no column rowid"),
];

fn a_key_that_can_not_be_resolved_is_refused_before_the_first_write(case: Case) {
    for (key, why) in BROKEN {
        // An index by another collation than the column's own makes no key of it for a child.
        let schema = format!(
            "{MEMBER}; CREATE UNIQUE INDEX by_name ON member (name COLLATE NOCASE);
             CREATE TABLE badge (no INTEGER PRIMARY KEY, {key})"
        );
        let room = tests::Room::with(case, &plan("member"), &[], &schema);
        let before = room.dump();
        let bundle = room.seal(&[r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#]);
        for args in [&[&*bundle][..], &[&bundle, "--dry-run"]] {
            let said = ["the foreign key from badge to ", "can't be resolved"];
            let done = room.on("apply", args).code(4).says(&said);
            assert!(done.err.to_lowercase().contains(why), "{}", done.err);
        }
        assert_eq!(room.dump(), before);
        assert!(!room.db.has_ledger());
    }
    // Its own key, too.
    let own =
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, team TEXT REFERENCES team (id))";
    let room = tests::Room::with(case, &plan("member"), &[], own);
    let bundle = room.seal(&[r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#]);
    let _ = room
        .on("apply", &[&bundle])
        .code(4)
        .says(&["the foreign key from member to team can't be resolved: there is no table team"]);
}

fn a_key_that_was_broken_since_stops_a_rollback_before_its_first_write(case: Case) {
    let (room, run) = applied(case, "member", MEMBER);
    room.sql("CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES member (code))");
    let before = room.dump();
    let said = ["the foreign key from badge to member can't be resolved"];
    for args in [&[&*run][..], &[&run, "--check"], &[&run, "--force"]] {
        let _ = room.on("rollback", args).code(4).says(&said);
        assert_eq!(room.dump(), before);
    }
    let _ = room.on("verify", &[&run]).code(1).prints(&said);
    room.sql("CREATE UNIQUE INDEX by_code ON member (code)");
    let _ = room.on("verify", &[&run]).code(0);
    let _ = room.on("rollback", &[&run]).code(0);
}

fn a_broken_key_elsewhere_is_a_warning(case: Case) {
    let schema = format!(
        "{MEMBER}; CREATE TABLE other (id INTEGER); CREATE TABLE leaf (no INTEGER PRIMARY KEY, o INT REFERENCES other (id))"
    );
    let (room, run) = applied(case, "member", &schema);
    let said = ["the foreign key from leaf to other can't be resolved"];
    let _ = room.on("verify", &[&run]).code(0).prints(&said);
    let _ = room.on("rollback", &[&run]).code(0);
}
