//! Columns that a run added: the rows of before keep the value that they got.

use tests::Case;

use super::{CLUB, applied, careless, club, named, verify};

tests::both!(
    the_value_that_the_rows_of_before_got_is_checked,
    a_default_of_a_created_row_that_was_edited_is_told,
);

const LEVEL: &str = r#"
[[add.column]]
table = "Team"
column = "level"
type = "INTEGER"
not_null = true
default = 0
initial = 1

[[entity]]
name = "team""#;

fn the_value_that_the_rows_of_before_got_is_checked(case: Case) {
    let club = club(case);
    club.mend("migration.toml", "\n[[entity]]\nname = \"team\"", LEVEL);
    careless(
        &club,
        r#"CREATE INDEX "by_name" ON "Team" ("name"); INSERT INTO "Team" ("id", "name") VALUES ('t0', 'Old'), ('t1', 'Red'), ('t9', 'Older')"#,
    );
    // The run writes to one of the rows of before, in other columns, and makes another one.
    club.mend(
        "migration.toml",
        "table = \"Team\"\nid",
        "table = \"Team\"\nmatch = [\"name\"]\non_match = \"update\"\nid",
    );
    let blue = r#"{"entity":"team","key":"t2","fields":{"name":"Blue"}}"#;
    let run = applied(&club, &[CLUB[0], blue, CLUB[1], CLUB[2], CLUB[3]]);
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "additions");
    assert_eq!(check["warnings"], 0, "{check}");
    for team in ["t0", "t1"] {
        careless(
            &club,
            &format!(r#"UPDATE "Team" SET "level" = 5 WHERE "id" = '{team}'"#),
        );
        let check = named(&verify(&club, &[&run, "--json"]).code(1), "additions");
        let row = &check["rows"][0];
        assert_eq!(
            (&check["errors"], &row["key"], &row["column"]),
            (&1.into(), &team.into(), &"level".into()),
            "{check}"
        );
        assert_eq!(
            (&row["expected"], &row["found"]),
            (&"1".into(), &"5".into())
        );
        careless(
            &club,
            &format!(r#"UPDATE "Team" SET "level" = 1 WHERE "id" = '{team}'"#),
        );
    }
    // Others use the column for rows of their own.
    careless(
        &club,
        r#"INSERT INTO "Team" ("id", "name", "level") VALUES ('t5', 'New', 7)"#,
    );
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "additions");
    assert_eq!(
        (&check["warnings"], &check["rows"][0]["key"]),
        (&1.into(), &"t5".into()),
        "{check}"
    );
    careless(&club, r#"ALTER TABLE "Team" DROP COLUMN "level""#);
    let _ = verify(&club, &[&run])
        .code(1)
        .prints(&["the run added column Team.level, and it is gone"]);
}

fn a_default_of_a_created_row_that_was_edited_is_told(case: Case) {
    let club = club(case);
    careless(
        &club,
        r#"ALTER TABLE "Team" ADD COLUMN "made" TEXT DEFAULT 'then'"#,
    );
    let team = r#"{"entity":"team","key":"t2","fields":{"name":"Blue"}}"#;
    let run = applied(&club, &[team]);
    careless(&club, r#"UPDATE "Team" SET "made" = 'now'"#);
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "counts");
    assert_eq!(
        (&check["warnings"], &check["rows"][0]["column"]),
        (&1.into(), &"made".into()),
        "{check}"
    );
    // A later run wrote another column of the row.
    let second = applied(&club, &[&team.replace("Blue", "Green")]);
    let check = named(&verify(&club, &[&run, "--json"]).code(0), "counts");
    assert_eq!(check["warnings"], 1, "{check}");
    let _ = verify(&club, &[&second]).code(0);
}
