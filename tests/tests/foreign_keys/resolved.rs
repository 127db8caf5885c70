//! Keys that name their parent in another way than the catalogue does.

use tests::Case;

use super::{applied, plan, the_dependent_keeps_its_row};

tests::both!(
    a_key_without_columns_means_the_primary_key,
    a_row_that_refers_to_itself_goes_with_itself,
    numbers_of_another_width_are_the_same_number,
    verify_finds_no_orphan_where_the_database_sees_none,
);

mod of_a_file {
    tests::on_target!(
        Sqlite,
        letters_of_names_fold_as_the_database_folds_them,
        a_composite_key_in_another_order_and_case_is_seen,
        a_child_is_found_by_the_collation_and_type_of_its_parent,
        a_delete_finds_the_children_of_a_key_in_other_letters
    );
}

fn letters_of_names_fold_as_the_database_folds_them(case: Case) {
    for (parent, without) in [
        ("MEMBER (ID)", ""),
        ("\"Member\" (\"Id\")", ""),
        ("mEmBeR", ""),
        ("[member] (`iD`)", " WITHOUT ROWID"),
    ] {
        let schema = format!(
            "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT){without};
             CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES {parent} ON DELETE CASCADE)"
        );
        let (room, run) = applied(case, "member", &schema);
        room.sql("INSERT INTO badge VALUES (1, '7')");
        the_dependent_keeps_its_row(&room, &run, "member", "badge");
    }
}

fn a_composite_key_in_another_order_and_case_is_seen(case: Case) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, UNIQUE (name, id));
        CREATE TABLE badge (no INTEGER PRIMARY KEY, a TEXT, b TEXT,
          FOREIGN KEY (b, a) REFERENCES Member (ID, NAME) ON DELETE SET NULL ON UPDATE CASCADE)";
    let (room, run) = applied(case, "member", schema);
    room.sql("INSERT INTO badge VALUES (1, 'new', '7')");
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
    assert_eq!(room.ask("SELECT a, b FROM badge"), "new|7");
}

fn a_child_is_found_by_the_collation_and_type_of_its_parent(case: Case) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, code TEXT COLLATE NOCASE UNIQUE);
        CREATE TABLE badge (no INTEGER PRIMARY KEY, code TEXT REFERENCES member (code) ON DELETE CASCADE)";
    let (room, run) = applied(case, "member", schema);
    // The code is no column of the run's; of what the run inserted it is a person's edit all the same.
    room.sql("UPDATE member SET code = 'ABC' WHERE id = '7'; INSERT INTO badge VALUES (1, 'abc')");
    let _ = room
        .on("rollback", &[&run, "--force"])
        .says(&["of badge depends on it"]);
    assert_eq!(room.ask("SELECT count(*) FROM badge"), "1");

    let schema = "CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES member ON DELETE CASCADE)";
    let (room, run) = applied(case, "member", schema);
    room.sql("INSERT INTO badge VALUES (1, '7')");
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

fn a_delete_finds_the_children_of_a_key_in_other_letters(case: Case) {
    let gone = "[[entity]]\nname = \"gone\"\ntable = \"member\"\nop = \"delete\"\n\
                id = { column = \"id\", from = \"key\" }\n\
                source = { format = \"csv\", files = [\"b.csv\"], key = \"id\" }\n";
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT);
        CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES Member (ID) ON DELETE CASCADE);
        INSERT INTO member VALUES ('1', 'old'); INSERT INTO badge VALUES (1, '1')";
    let plan = format!("{}{gone}", plan("member"));
    let room = tests::Room::with(case, &plan, &[], schema);
    let before = room.dump();
    let line = r#"{"entity":"gone","key":"x","op":"delete","target":"1"}"#;
    let bundle = room.seal(&[line]);
    let _ = room
        .on("apply", &[&bundle])
        .code(3)
        .says(&["1 row of badge depends on it by owner"]);
    assert_eq!(room.dump(), before);
}

fn a_key_without_columns_means_the_primary_key(case: Case) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT);
        CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES member ON DELETE CASCADE)";
    let (room, run) = applied(case, "member", schema);
    room.sql("INSERT INTO badge VALUES (1, '7')");
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

fn a_row_that_refers_to_itself_goes_with_itself(case: Case) {
    let schema = "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT, boss TEXT REFERENCES member (id) ON DELETE CASCADE)";
    let (room, run) = applied(case, "member", schema);
    room.sql("INSERT INTO member VALUES ('1', 'theirs', '7')");
    let _ = room
        .on("rollback", &[&run])
        .code(1)
        .says(&["1 row of member depends on it by boss"]);
    room.sql("DELETE FROM member WHERE id = '1'; UPDATE member SET boss = id");
    let _ = room.on("rollback", &[&run, "--force"]).code(0);
    assert_eq!(room.ask("SELECT count(*) FROM member"), "0");
}

fn numbers_of_another_width_are_the_same_number(case: Case) {
    let schema = "CREATE TABLE member (id BIGINT PRIMARY KEY, name TEXT);
        CREATE TABLE badge (no INTEGER PRIMARY KEY, owner INTEGER REFERENCES member (id) ON DELETE CASCADE);
        CREATE TABLE card (no INTEGER PRIMARY KEY, owner SMALLINT REFERENCES member (id) ON DELETE CASCADE)";
    let room = tests::Room::with(case, &plan("member"), &[], schema);
    let run = room.apply(&room.seal(&[
        r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#,
        r#"{"entity":"e","key":"99999999999","fields":{"name":"new"}}"#,
    ]));
    room.sql("INSERT INTO badge VALUES (1, 7)");
    let _ = room.on("verify", &[&run]).code(0);
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

fn verify_finds_no_orphan_where_the_database_sees_none(case: Case) {
    let name = case.either("Member (ID)", "member (id)");
    let schema = format!(
        "CREATE TABLE member (id TEXT PRIMARY KEY, name TEXT);
         CREATE TABLE badge (no INTEGER PRIMARY KEY, owner TEXT REFERENCES {name})"
    );
    let (room, run) = applied(case, "member", &schema);
    room.sql("INSERT INTO badge VALUES (1, '7')");
    let done = room.on("verify", &[&run]).code(0);
    let _ = done.prints(&["0 orphans of others"]);
}
