//! Standbys: one is not written to, one takes over in mid-run, one that is gone is not waited for.

use tests::Db;
use tests::lab::{Held, Lab, begins, names, run};
use tests::postgres::{Database, Server};

#[test]
fn a_standby_and_a_read_only_database_are_refused_at_once() {
    let primary = Server::start("");
    let lab = Lab::on_server(&primary);
    let mut place = lab.place("t");
    let standby = primary.standby();
    place.url = Database::named(&standby, &place.db.postgres().name).url();
    let _ = run(&mut lab.apply(&place), None)
        .code(5)
        .says(&["read-only"]);
    place.url = place.db.url();
    place.db.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); \
         END $$",
    );
    let _ = run(&mut lab.apply(&place), None)
        .code(5)
        .says(&["read-only"]);
    assert!(!place.db.has_ledger());
    // The one of both hosts that may be written to is found.
    let mut place = lab.place("u");
    place.url = both(&standby, &primary, place.db.postgres());
    let _ = run(&mut lab.apply(&place), None).code(0);
    assert_eq!(place.db.dump(), lab.after);
}

/// A URL with two hosts, of which the one that takes writes is meant.
fn both(first: &Server, second: &Server, database: &Database) -> String {
    format!(
        "postgres://app@127.0.0.1:{},127.0.0.1:{}/{}?target_session_attrs=read-write&commit_timeout=20",
        first.port, second.port, database.name
    )
}

#[test]
fn a_run_goes_on_where_a_standby_has_taken_over() {
    let primary = Server::start("");
    let lab = Lab::on_server(&primary);
    let place = lab.place("t");
    let steps = names(&mut lab.apply(&place), &place);
    for stand in [0, 2, 5] {
        let mut place = lab.place(&format!("after{stand}"));
        let standby = primary.standby();
        // What the primary commits is on the standby too.
        waits_for_standbys(&primary, "*");
        place.url = both(&primary, &standby, place.db.postgres());
        let step = begins(&steps, stand + 2) + 3;
        let held = Held::at(&mut lab.apply(&place), step, &place.path("gate"));
        primary.stop("immediate");
        standby.promote();
        let _ = held.go().code(3).says(&["--resume"]);
        place.db = Db::Postgres(Database::named(&standby, &place.db.postgres().name));
        assert_eq!(lab.judge(&place), stand as u64);
        lab.mend(&place);
        standby.stop("fast");
        primary.boot();
        waits_for_standbys(&primary, "");
    }
}

/// Sets whom a commit waits for, and waits until the server has read it.
fn waits_for_standbys(server: &std::sync::Arc<Server>, names: &str) {
    let database = Database::named(server, "postgres");
    database.sql(&format!(
        "SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '{names}';"
    ));
    database.sql("SELECT pg_reload_conf()");
    while database.ask("SHOW synchronous_standby_names") != names {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_commit_that_waits_for_a_standby_that_is_gone_ends_at_its_deadline() {
    let server = Server::start("");
    let lab = Lab::on_server(&server);
    let place = lab.place("count");
    let third_batch = begins(&names(&mut lab.apply(&place), &place), 4);
    let mut place = lab.place("t");
    place.url += "?commit_timeout=1";
    let held = Held::at(&mut lab.apply(&place), third_batch, &place.path("gate"));
    waits_for_standbys(&server, "nobody");
    let _ = held.go().code(3).says(&["--resume"]);
    waits_for_standbys(&server, "");
    let stand = lab.judge(&place);
    assert!(matches!(stand, 2 | 3), "{stand} stand");
    lab.mend(&place);
}
