//! What a server refuses: a login too many, a role without a privilege, a disk that is full.

use tests::Target;
use tests::lab::{Lab, run};
use tests::postgres::Server;

#[test]
fn a_server_with_too_many_connections_is_unreachable_and_left_alone() {
    let server = Server::start("-c max_connections=12");
    let lab = Lab::on_server(&server);
    let mut place = lab.place("t");
    place
        .db
        .sql("CREATE ROLE clerk LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk");
    place.url = place.url.replace("app@", "clerk@");
    let sessions: Vec<_> = (0..9).map(|_| place.db.postgres().session()).collect();
    let _ = run(&mut lab.apply(&place), None)
        .code(5)
        .says(&["connection slots"]);
    drop(sessions);
    assert!(!place.db.has_ledger());
    assert_eq!(
        place
            .db
            .dump()
            .lines()
            .filter(|line| line.starts_with("INSERT"))
            .count(),
        7
    );
}

#[test]
fn a_privilege_that_is_missing_is_named_before_the_first_write() {
    let lab = Lab::on(Target::Postgres);
    for (table, privilege) in [
        ("leaver", "DELETE"),
        ("visit", "INSERT"),
        ("person", "UPDATE"),
        ("person", "SELECT"),
    ] {
        let mut place = lab.place(&format!("{table}-{privilege}"));
        let role = format!("limited_{}", place.db.postgres().name);
        place.db.sql(&format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role};
             GRANT SET ON PARAMETER session_replication_role TO {role};
             DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END $$;
             REVOKE {privilege} ON {table} FROM {role};"
        ));
        let before = place.db.dump();
        place.url = place.url.replace("app@", &format!("{role}@"));
        let _ = run(&mut lab.apply(&place), None)
            .code(4)
            .says(&[privilege, table]);
        assert!(!place.db.has_ledger());
        assert_eq!(place.db.dump(), before);
        place
            .db
            .sql(&format!("GRANT {privilege} ON {table} TO {role}"));
        let _ = run(&mut lab.apply(&place), None).code(0);
        let _ = run(&mut Lab::rollback(&place), None).code(0);
    }
}
