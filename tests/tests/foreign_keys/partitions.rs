//! Partitioned tables: a key may be on one partition alone, and a run may write a partition by its name.

use tests::Case;

use super::{applied, plan, the_dependent_keeps_its_row};

mod postgres {
    tests::on_target!(
        Postgres,
        a_child_of_one_partition_alone_is_seen,
        a_partition_that_is_written_by_its_own_name_has_the_children_of_its_table,
        a_child_that_is_a_partition_is_seen_once,
        partitions_of_partitions_are_seen,
        the_runs_own_rows_in_partitions_go_with_it,
        a_child_with_a_rule_is_seen,
        a_child_that_the_login_may_not_read_is_refused_before_the_first_write,
        verify_counts_an_orphan_of_a_partition_once
    );
}

/// Members in two partitions, the first one of which is partitioned too.
const MEMBER: &str = "CREATE TABLE member (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF member FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
    CREATE TABLE lowest PARTITION OF low FOR VALUES FROM (0) TO (50);
    CREATE TABLE lower PARTITION OF low FOR VALUES FROM (50) TO (100);
    CREATE TABLE high PARTITION OF member FOR VALUES FROM (100) TO (1000);";

fn a_child_of_one_partition_alone_is_seen(case: Case) {
    let schema = format!(
        "{MEMBER} CREATE SCHEMA aside; CREATE TABLE aside.badge (no int PRIMARY KEY, owner int REFERENCES lowest ON DELETE CASCADE)"
    );
    let (room, run) = applied(case, "member", &schema);
    room.sql("INSERT INTO aside.badge VALUES (1, 7)");
    the_dependent_keeps_its_row(&room, &run, "member", "aside.badge");
}

fn a_partition_that_is_written_by_its_own_name_has_the_children_of_its_table(case: Case) {
    let schema = format!(
        "{MEMBER} CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES member ON DELETE CASCADE)"
    );
    for table in ["lowest", "low"] {
        let (room, run) = applied(case, table, &schema);
        room.sql("INSERT INTO badge VALUES (1, 7)");
        let _ = room.on("verify", &[&run]).code(0);
        the_dependent_keeps_its_row(&room, &run, "member", "badge");
    }
}

fn a_child_that_is_a_partition_is_seen_once(case: Case) {
    let schema = format!(
        "{MEMBER} CREATE TABLE badge (no int, owner int REFERENCES member ON DELETE CASCADE, PRIMARY KEY (no)) PARTITION BY RANGE (no);
         CREATE TABLE first PARTITION OF badge FOR VALUES FROM (0) TO (10);
         CREATE TABLE second PARTITION OF badge FOR VALUES FROM (10) TO (20);
         CREATE TABLE plain (id int PRIMARY KEY);
         ALTER TABLE second ADD FOREIGN KEY (owner) REFERENCES member ON DELETE CASCADE"
    );
    let (room, run) = applied(case, "member", &schema);
    room.sql("INSERT INTO badge VALUES (1, 7)");
    let done = room.on("rollback", &[&run]).code(1);
    assert_eq!(done.err.matches("depends on it").count(), 1, "{}", done.err);
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

fn partitions_of_partitions_are_seen(case: Case) {
    // On a table between the first and the last alone.
    let schema = format!(
        "{MEMBER} CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES low ON DELETE SET NULL)"
    );
    for table in ["member", "lowest"] {
        let (room, run) = applied(case, table, &schema);
        room.sql("INSERT INTO badge VALUES (1, 7)");
        the_dependent_keeps_its_row(&room, &run, "member", "badge");
        assert_eq!(room.ask("SELECT owner FROM badge"), "7");
    }
}

fn the_runs_own_rows_in_partitions_go_with_it(case: Case) {
    let schema =
        "CREATE TABLE member (id int PRIMARY KEY, name text, boss int) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF member FOR VALUES FROM (0) TO (100);
        ALTER TABLE member ADD FOREIGN KEY (boss) REFERENCES member ON DELETE CASCADE;
        ALTER TABLE low ADD FOREIGN KEY (boss) REFERENCES low ON DELETE CASCADE";
    let more = "fields.boss = { from = \"boss\", ref = \"e\" }\n";
    for table in ["member", "low"] {
        let plan = plan(table).replace("source =", &format!("{more}source ="));
        let room = tests::Room::with(case, &plan, &[], schema);
        let before = room.dump();
        let run = room.apply(&room.seal(&[
            r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#,
            r#"{"entity":"e","key":"8","fields":{"name":"new"},"refs":{"boss":{"entity":"e","key":"7"}}}"#,
        ]));
        room.sql("UPDATE member SET boss = 7 WHERE id = 7");
        let _ = room.on("rollback", &[&run, "--force"]).code(0);
        assert_eq!(room.dump(), before);
    }
}

fn a_child_with_a_rule_is_seen(case: Case) {
    let schema = "CREATE TABLE member (id int PRIMARY KEY, name text); CREATE TABLE log (no int);
        CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES member ON DELETE CASCADE);
        CREATE RULE note AS ON INSERT TO badge DO ALSO INSERT INTO log VALUES (NEW.no)";
    let (room, run) = applied(case, "member", schema);
    room.sql("INSERT INTO badge VALUES (1, 7)");
    let _ = room.on("verify", &[&run]).code(0);
    the_dependent_keeps_its_row(&room, &run, "member", "badge");
}

fn a_child_that_the_login_may_not_read_is_refused_before_the_first_write(case: Case) {
    let schema = "CREATE TABLE member (id int PRIMARY KEY, name text)";
    let room = tests::Room::with(case, &plan("member"), &[], schema);
    let database = room.db.postgres();
    let role = database.owned_by_a_clerk();
    room.sql(
        "CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES member ON DELETE CASCADE)",
    );
    let bundle = room.seal(&[r#"{"entity":"e","key":"7","fields":{"name":"new"}}"#]);
    let url = database.url().replace("app@", &format!("{role}@"));
    let args = [&*bundle, "--to", &url];
    let said = [
        "the foreign key from badge to member can't be resolved",
        "may not read all rows of badge",
    ];
    let _ = room.run("apply", &args).code(4).says(&said);
    assert!(!room.db.has_ledger());
    room.sql(&format!("GRANT SELECT ON badge TO {role}"));
    let run = room.run("apply", &args).code(0).id();
    let _ = room.run("rollback", &[&run, "--to", &url]).code(0);
}

fn verify_counts_an_orphan_of_a_partition_once(case: Case) {
    let schema = format!(
        "{MEMBER} CREATE TABLE badge (no int PRIMARY KEY, owner int REFERENCES member);
         CREATE TABLE card (no int PRIMARY KEY, owner int REFERENCES high)"
    );
    let (room, run) = applied(case, "member", &schema);
    room.sql(
        "SET session_replication_role = replica; INSERT INTO badge VALUES (1, 500); INSERT INTO card VALUES (1, 7)",
    );
    let done = room.on("verify", &[&run]).code(0);
    // Row 7 of members is there, and in no partition that the card may name.
    let _ = done.prints(&["2 orphans of others"]);
}
