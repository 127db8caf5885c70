//! Show 2: the examples onto databases that already hold some of their rows, and back.

use tests::db::same;
use tests::{Case, Done, Room};

tests::both!(
    members_are_created_updated_left_alone_as_the_data_says_and_taken_back,
    lessons_are_created_updated_left_alone_as_the_data_says_and_taken_back,
    every_row_that_a_run_writes_carries_its_tag_and_the_run_leaves_one_entry,
    a_second_apply_writes_nothing_even_after_people_edited_rows,
    a_second_run_of_the_lessons_adds_no_entry_about_itself,
);

/// The table of `examples/members/README.md`: entity, created, updated, unchanged.
const MEMBERS: [(&str, u32, u32, u32); 7] = [
    ("member", 35, 1, 4),
    ("event", 12, 0, 0),
    ("event_tag", 18, 0, 0),
    ("registration", 90, 0, 0),
    ("member_mapping", 40, 0, 0),
    ("event_mapping", 12, 0, 0),
    ("registration_mapping", 90, 0, 0),
];

/// The table of `examples/lessons/README.md`.
const LESSONS: [(&str, u32, u32, u32); 3] =
    [("entry", 31, 0, 0), ("lesson", 4, 0, 0), ("adr", 3, 1, 1)];

#[track_caller]
fn says_counts(done: &Done, table: &[(&str, u32, u32, u32)]) {
    for (entity, created, updated, unchanged) in table {
        let line = format!(
            "apply: {entity}: {created} created, {updated} updated, {unchanged} unchanged\n"
        );
        assert!(
            done.err.contains(&line),
            "no line {line:?} in:\n{}",
            done.err
        );
    }
}

fn there_and_back(
    case: Case,
    example: &str,
    table: &[(&str, u32, u32, u32)],
    rows: &[(&str, u32)],
    sum: &str,
) {
    let room = Room::example(case, example);
    room.bundle("B");
    let before = room.dump();

    let dry = room.on("apply", &["B", "--dry-run"]).code(0);
    says_counts(&dry, table);
    let _ = dry.says(&[&format!("dry run, nothing written: {sum}")]);
    same(&room.dump(), &before, "a dry run writes nothing");
    assert!(!room.db.has_ledger(), "no ledger either");

    let live = room.on("apply", &["B"]).code(0);
    says_counts(&live, table);
    let run = live.says(&[&format!("apply: {sum}\n")]).id();
    for (name, count) in rows {
        assert_eq!(
            room.ask(&format!("SELECT count(*) FROM \"{name}\"")),
            count.to_string(),
            "{name}"
        );
    }
    room.on("verify", &[&run]).code(0);

    room.on("rollback", &[&run]).code(0);
    same(
        &room.dump(),
        &before,
        "rollback restores every value, timestamps included",
    );
    room.on("verify", &[&run]).code(0);
}

fn members_are_created_updated_left_alone_as_the_data_says_and_taken_back(case: Case) {
    let rows = [
        ("Member", 41),
        ("Event", 14),
        ("EventTag", 18),
        ("EventRegistration", 91),
        ("WaIdMapping", 142),
        ("MembershipStatus", 5),
        ("PaymentIntent", 1),
    ];
    there_and_back(
        case,
        "members",
        &MEMBERS,
        &rows,
        "302 records: 297 created, 1 updated, 4 unchanged",
    );
}

fn lessons_are_created_updated_left_alone_as_the_data_says_and_taken_back(case: Case) {
    let rows = [
        ("knowledge_entries", 35),
        ("lessons_learned", 5),
        ("adrs", 5),
    ];
    there_and_back(
        case,
        "lessons",
        &LESSONS,
        &rows,
        "40 records: 38 created, 1 updated, 1 unchanged",
    );
}

fn every_row_that_a_run_writes_carries_its_tag_and_the_run_leaves_one_entry(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    let tag = format!("migration-run-id:{}", room.apply("B").replace('-', ""));
    let has = |tag: &str| {
        case.either(
            format!("tags LIKE '%\"{tag}\"%'"),
            format!("'{tag}' = ANY (tags)"),
        )
    };
    let tables = ["knowledge_entries", "lessons_learned", "adrs"];
    let tagged = tables.map(|table| format!("(SELECT count(*) FROM {table} WHERE {})", has(&tag)));
    assert_eq!(room.ask(&format!("SELECT {}", tagged.join(" + "))), "39");
    let entries = has("category:migration-metadata");
    assert_eq!(
        room.ask(&format!(
            "SELECT count(*) FROM knowledge_entries WHERE {entries}"
        )),
        "1"
    );
}

fn a_second_apply_writes_nothing_even_after_people_edited_rows(case: Case) {
    let room = Room::example(case, "members");
    room.bundle("B");
    room.apply("B");
    let applied = room.dump();
    room.on("apply", &["B"])
        .code(0)
        .says(&["302 records: 0 created, 0 updated, 302 unchanged\n"]);
    same(&room.dump(), &applied, "it changed");

    room.sql("UPDATE \"Member\" SET phone = '000' WHERE email = 'tamsin.oakapple@example.org';
              UPDATE \"Event\" SET location = 'Elsewhere', \"updatedAt\" = '2030-01-01' WHERE title = (SELECT title FROM \"Event\" WHERE CAST(\"isPublished\" AS INTEGER) = 1 AND status = 'DRAFT' ORDER BY title LIMIT 1);");
    let edited = room.dump();
    let sum = "302 records: 0 created, 0 updated, 302 unchanged, 2 of them edited since\n";
    room.on("apply", &["B", "--dry-run"]).code(0).says(&[sum]);
    room.on("apply", &["B"])
        .code(0)
        .says(&[sum, "WA020", "phone", "location"]);
    same(&room.dump(), &edited, "the edits stay");
}

fn a_second_run_of_the_lessons_adds_no_entry_about_itself(case: Case) {
    let room = Room::example(case, "lessons");
    room.bundle("B");
    room.apply("B");
    let applied = room.dump();
    room.on("apply", &["B"])
        .code(0)
        .says(&["40 records: 0 created, 0 updated, 40 unchanged\n"]);
    same(&room.dump(), &applied, "it changed");
}
