//! A run's tag in a list column, alone and in one that the plan also writes: whatever form the list has,
//! and whatever others made of it since.

use tests::db::same;
use tests::{Case, Room};

tests::both!(
    a_column_that_the_run_wrote_comes_back_byte_for_byte,
    a_column_that_others_changed_too_is_a_conflict_and_comes_back_by_force,
    where_the_tag_alone_is_the_runs_only_that_element_goes,
    of_two_runs_the_second_takes_back_its_own_tag_alone,
    a_tag_that_is_still_there_is_found_by_verify,
);

const RUN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const TAG: &str = "run:0190163d8694739baea5966c26f8ad91";

/// How a column holds a list, and lists in that form.
#[derive(Clone, Copy)]
struct Form {
    kind: &'static str,
    store: &'static str,
    /// NULL, an empty list, and one with an element, as SQL has them.
    before: [&'static str; 3],
    /// One list, of three texts.
    list: fn(&[&str]) -> String,
}

fn json(items: &[&str]) -> String {
    format!("'{}'", serde_json::to_string(items).unwrap())
}

fn separated(items: &[&str]) -> String {
    format!("'{}'", items.join(";"))
}

fn array(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
    format!("'{{{}}}'", items.join(","))
}

fn forms(case: Case) -> Vec<Form> {
    let text = Form {
        kind: "TEXT",
        store: "\"json\"",
        before: ["NULL", "'[ ]'", "'[ \"old\" ]'"],
        list: json,
    };
    let parted = Form {
        kind: "TEXT",
        store: "{ separated = \";\" }",
        before: ["NULL", "''", "'old'"],
        list: separated,
    };
    let own = Form {
        kind: "TEXT[]",
        store: "\"array\"",
        before: ["NULL", "'{}'", "'{old}'"],
        list: array,
    };
    let binary = Form {
        kind: "JSONB",
        ..text
    };
    case.either(vec![text, parted], vec![text, parted, own, binary])
}

/// Three rows with the lists of before. `writes`: whether the plan has a field for them.
fn room(case: Case, form: Form, writes: bool) -> Room {
    let field = format!(
        "tags = {{ from = \"tags\", type = \"list\", list = {{ split = [\",\"] }}, store = {} }}",
        form.store
    );
    let plan = format!(
        r#"
name = "notes"
system = "team"

[[entity]]
name = "note"
source = {{ format = "csv", files = ["notes.csv"], key = "id" }}
table = "note"
id = {{ column = "id", from = "key" }}
match = ["id"]
on_match = "update"
tag = {{ column = "tags", text = "run:{{run}}" }}
[entity.fields]
body = {{ from = "body" }}
{}
"#,
        if writes { &field } else { "" }
    );
    let [null, empty, old] = form.before;
    let schema = format!(
        "CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT, tags {});
         INSERT INTO note VALUES ('a', 'x', {null}), ('b', 'x', {empty}), ('c', 'x', {old});",
        form.kind
    );
    let csv = "id,body,tags\na,y,new\nb,y,new\nc,y,new\n";
    let room = Room::with(case, &plan, &[("notes.csv", csv)], &schema);
    room.bundle("B");
    room
}

/// A form that the plan need not name where it leaves the column alone.
fn is_plain(form: Form) -> bool {
    !form.store.contains("separated")
}

fn set(room: &Room, id: &str, value: &str) {
    room.sql(&format!("UPDATE note SET tags = {value} WHERE id = '{id}'"));
}

fn a_column_that_the_run_wrote_comes_back_byte_for_byte(case: Case) {
    for form in forms(case) {
        let room = room(case, form, true);
        let before = room.dump();
        room.on("apply", &["B", "--run-id", RUN]).code(0);
        let left = room.ask("SELECT CAST(tags AS TEXT) FROM note WHERE id = 'a'");
        assert!(left.contains("new") && left.contains(TAG), "{left}");
        // Whoever took the tag off changed nothing that the run wrote.
        set(&room, "c", &(form.list)(&["new"]));
        let done = room.on("rollback", &[RUN, "--json"]).code(0);
        same(&room.dump(), &before, form.store);
        assert!(done.out.contains("\"proved\":true"), "{}", done.out);
        assert!(!done.err.contains("edited elsewhere"), "{}", done.err);
        room.on("verify", &[RUN]).code(0);
    }
}

fn a_column_that_others_changed_too_is_a_conflict_and_comes_back_by_force(case: Case) {
    for form in forms(case) {
        let room = room(case, form, true);
        let before = room.dump();
        room.on("apply", &["B", "--run-id", RUN]).code(0);
        set(&room, "a", &(form.list)(&["new", TAG, "mine"]));
        set(&room, "b", &(form.list)(&[TAG]));
        set(&room, "c", "NULL");
        let now = room.dump();
        let done = room.on("rollback", &[RUN]).code(1);
        done.says(&[
            "note a",
            "note b",
            "note c",
            "was changed since: tags",
            "nothing was written",
        ]);
        same(&room.dump(), &now, form.store);
        room.on("rollback", &[RUN, "--check"]).code(1);
        room.on("rollback", &[RUN, "--force"]).code(0);
        same(&room.dump(), &before, form.store);
    }
}

fn where_the_tag_alone_is_the_runs_only_that_element_goes(case: Case) {
    for form in forms(case).into_iter().filter(|form| is_plain(*form)) {
        let room = room(case, form, false);
        let tags = |id: &str| {
            let sql = format!("SELECT CAST(tags AS TEXT) FROM note WHERE id = '{id}'");
            room.ask(&sql).replace(", ", ",")
        };
        let shown = |items: &[&str]| match form.store {
            "\"array\"" => format!("{{{}}}", items.join(",")),
            _ => serde_json::to_string(items).unwrap(),
        };
        room.on("apply", &["B", "--run-id", RUN]).code(0);
        set(&room, "a", &(form.list)(&[TAG, "mine"]));
        set(&room, "b", &(form.list)(&["mine"]));
        set(&room, "c", &(form.list)(&[TAG]));
        let done = room.on("rollback", &[RUN]).code(0);
        assert_eq!(
            [tags("a"), tags("b"), tags("c")],
            [shown(&["mine"]), shown(&["mine"]), shown(&[])],
            "{}",
            form.kind
        );
        done.says(&["c is back, edited elsewhere since"]);
        room.on("verify", &[RUN]).code(0);

        room.on("apply", &["B"]).code(0);
        set(&room, "c", "NULL");
        let last = room.ask("SELECT id FROM switchback_runs ORDER BY seq DESC LIMIT 1");
        room.on("rollback", &[&last]).code(0);
        assert_eq!(tags("c"), "NULL", "emptied by others");
    }
}

fn of_two_runs_the_second_takes_back_its_own_tag_alone(case: Case) {
    for writes in [true, false] {
        for form in forms(case) {
            if !writes && !is_plain(form) {
                continue;
            }
            let room = room(case, form, writes);
            let before = room.dump();
            let first = room.apply("B");
            let between = room.dump();
            let csv = "id,body,tags\na,z,\"new,more\"\nb,z,more\nc,z,new\n";
            room.write("notes.csv", csv);
            room.bundle("B2");
            let second = room.apply("B2");
            room.on("rollback", &[&first]).code(1).says(&[&second]);
            room.on("rollback", &[&second]).code(0);
            same(&room.dump(), &between, form.store);
            room.on("rollback", &[&first]).code(0);
            same(&room.dump(), &before, form.store);
        }
    }
}

fn a_tag_that_is_still_there_is_found_by_verify(case: Case) {
    let form = forms(case)[0];
    let room = room(case, form, false);
    room.on("apply", &["B", "--run-id", RUN]).code(0);
    room.on("rollback", &[RUN]).code(0);
    room.on("verify", &[RUN]).code(0);
    set(&room, "b", &(form.list)(&["mine", TAG]));
    let done = room.on("verify", &[RUN]).code(1);
    let said = done.out.contains("it still has the run's tag");
    assert!(said, "{}", done.out);
}
