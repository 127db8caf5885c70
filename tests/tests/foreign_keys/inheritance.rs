//! Tables that inherit: a key is on one table alone, and refers to the rows of one table alone.

use tests::{Case, Room};

use super::{applied, plan, the_dependent_keeps_its_row};

mod postgres {
    tests::on_target!(
        Postgres,
        a_table_with_heirs_is_refused_by_name,
        an_heir_that_was_made_after_the_run_keeps_its_rows,
        a_row_of_an_heir_is_no_child_where_the_key_is_not_its_own,
        a_child_of_an_heir_keeps_the_heirs_row
    );
}

const MEMBER: &str = "CREATE TABLE member (id int PRIMARY KEY, name text);
    CREATE TABLE guest (PRIMARY KEY (id)) INHERITS (member);";

fn a_row_of_an_heir_is_no_child_where_the_key_is_not_its_own(case: Case) {
    let schema = "CREATE TABLE member (id int PRIMARY KEY, name text);
         CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES member ON DELETE CASCADE);
         CREATE TABLE old_badge () INHERITS (badge); INSERT INTO old_badge VALUES (1, 7), (2, 4)";
    let (room, run) = applied(case, "member", schema);
    let done = room.on("verify", &[&run]).code(0);
    let _ = done.prints(&["0 orphans of others"]);
    let _ = room.on("rollback", &[&run]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM old_badge"), "2");
}

fn a_child_of_an_heir_keeps_the_heirs_row(case: Case) {
    let schema = format!(
        "{MEMBER} CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES guest ON DELETE CASCADE)"
    );
    let (room, run) = applied(case, "guest", &schema);
    room.sql("INSERT INTO badge VALUES (1, 7)");
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

const HEIRS: &str = "other tables inherit from member: public.guest";

fn a_table_with_heirs_is_refused_by_name(case: Case) {
    let room = Room::with(case, &plan("member"), &[], MEMBER);
    let before = room.dump();
    let line = r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#;
    let bundle = room.seal(&[line]);
    let _ = room.on("apply", &[&bundle]).code(4).says(&[HEIRS]);
    assert_eq!(room.dump(), before);
}

fn an_heir_that_was_made_after_the_run_keeps_its_rows(case: Case) {
    let (room, run) = applied(
        case,
        "member",
        "CREATE TABLE member (id int PRIMARY KEY, name text)",
    );
    room.sql(
        "CREATE TABLE guest (extra text) INHERITS (member);
         WITH gone AS (DELETE FROM ONLY member WHERE id = 7 RETURNING *) INSERT INTO guest SELECT *, 'own' FROM gone",
    );
    let before = room.dump();
    for args in [&[&run[..], "--check"][..], &[&run]] {
        let done = room.on("rollback", args).says(&[HEIRS]);
        assert_ne!(done.code, 0);
        assert_eq!(room.dump(), before);
    }
}
