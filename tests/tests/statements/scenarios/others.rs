//! What only some targets and logins have.

use std::fs;

use tests::repository;

use super::keys;
use crate::place::Place;

/// A ledger that a program of before left behind, which the first write makes one of today.
#[allow(
    clippy::needless_pass_by_value,
    reason = "a scenario has its place to itself"
)]
pub fn a_ledger_of_before(place: Place) {
    let folder = repository().join("tests/formats/v1");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    if let tests::Db::Postgres(database) = &place.room.db {
        database.sql(&read("ledger-postgres.sql"));
    } else {
        place.room.sql(&read("ledger-sqlite.sql"));
    }
    let (first, second) = (
        "01900000-0000-7000-8000-00000000000a",
        "01900000-0000-7000-8000-00000000000b",
    );
    for run in [first, second] {
        place.on("verify", &[run]);
    }
    place
        .on("rollback", &[second, "--check", "--outside-window"])
        .code(0);
    place.on("rollback", &[second, "--outside-window"]).code(0);
    place.on("verify", &[second]);
}

/// One that owns its tables and may do nothing else.
pub fn a_login_that_may_do_little(place: Place) {
    let place = &keys::filled(place, "code,label\nN,New\n");
    let database = place.room.db.postgres();
    let clerk = database.owned_by_a_clerk();
    let url = database.url().replace("//app@", &format!("//{clerk}@"));
    let run = place.at(&url, "apply", &["B", "--snapshot"]).code(0).id();
    place.at(&url, "verify", &[&run]);
    let file = super::snapshot(place, &run);
    place.at(&url, "rollback", &[&run]);
    place.at(&url, "rollback", &["--snapshot", &file]);
}

/// A copy of a database for which something is set.
pub fn a_rehearsal(place: Place) {
    let place = place.of_example("members");
    let database = place.room.db.postgres();
    database.sql(&format!(
        "ALTER DATABASE {0} SET work_mem = '5MB'; GRANT CONNECT ON DATABASE {0} TO pg_monitor",
        database.name
    ));
    place.room.bundle("B");
    place.on("apply", &["B", "--rehearse"]).code(0);
}
