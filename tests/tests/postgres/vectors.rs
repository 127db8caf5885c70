//! PostgreSQL 18 with pgvector: the knowledge base as it is, and vectors of 1,536 numbers.

use std::fmt::Write as _;
use std::fs;

use tests::db::same;
use tests::postgres::{Database, bin_of_vectors};
use tests::{Room, Target, command, finish, spawn};

use super::{example_on, on, there_and_back, torture};

const LENGTH: u16 = 1536;

/// The knowledge base with embeddings, and what points at its entries.
fn schema() -> String {
    let schema = include_str!("lessons.sql").replace("real[]", "vector(1536)");
    assert!(schema.contains("vector(1536)"));
    format!(
        "{schema}
         CREATE INDEX ON knowledge_entries USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
         CREATE TABLE embedding_cache (content_hash text, model text, embedding vector(1536) NOT NULL, UNIQUE (content_hash, model));
         INSERT INTO embedding_cache SELECT 'h', 'm', array_agg(sin(n))::vector FROM generate_series(1, 1536) n;
         CREATE TABLE plans (id int PRIMARY KEY, entry uuid REFERENCES knowledge_entries ON DELETE SET NULL);"
    )
}

/// A vector in the digits that a number of 4 bytes gives back.
fn vector(seed: u16) -> String {
    let mut text = String::from("[");
    for place in 0..LENGTH {
        let comma = if place > 0 { "," } else { "" };
        let number = f32::from((seed * 31 + place * 17) % 2000) / 1000.0 - 1.0;
        write!(text, "{comma}{number}").unwrap();
    }
    text + "]"
}

const PLAN: &str = r#"
name = "n"
system = "s"
[[entity]]
name = "entry"
table = "knowledge_entries"
id = { column = "id", from = "uuid" }
source = { format = "json", files = ["a.ndjson"], key = "k" }
[entity.fields]
content = { from = "k" }
embedding = { from = "e", type = "vector", dimensions = 1536 }
canonical_id = { from = "of", ref = "entry", late = true }
"#;

fn lines(lines: &[(&str, Option<String>, Option<&str>)]) -> String {
    let line = |(key, vector, of): &(&str, Option<String>, Option<&str>)| {
        let vector = vector.clone().unwrap_or_else(|| "null".into());
        let of = of.map_or_else(|| "null".into(), |of| format!("\"{of}\""));
        format!("{{\"k\":\"{key}\",\"e\":{vector},\"of\":{of}}}\n")
    };
    lines.iter().map(line).collect()
}

#[test]
fn the_lessons_go_there_and_back_beside_embeddings() {
    let (room, database) = example_on(Database::with_vectors, "lessons", &schema());
    database.sql(
        "UPDATE knowledge_entries SET embedding = (SELECT embedding FROM embedding_cache);
         INSERT INTO plans SELECT row_number() OVER (), id FROM knowledge_entries",
    );
    there_and_back(
        &room,
        &database,
        "40 records: 38 created, 1 updated, 1 unchanged",
        "40 records: 0 created, 0 updated, 40 unchanged\n",
    );
}

#[test]
fn vectors_are_written_changed_verified_and_taken_back() {
    let database = Database::with_vectors(&schema());
    let room = Room::new(Target::Sqlite);
    room.write("migration.toml", PLAN);
    room.write(
        "a.ndjson",
        lines(&[
            ("a", Some(vector(1)), None),
            ("b", None, Some("a")),
            ("c", Some(vector(3)), Some("c")),
        ]),
    );
    room.bundle("B");
    let before = database.dump();
    let first = on(&room, &database, "apply", &["B"]).code(0).id();
    let nearest = format!(
        "SELECT content FROM knowledge_entries WHERE embedding IS NOT NULL ORDER BY embedding <=> '{}' LIMIT 1",
        vector(3)
    );
    assert_eq!(database.ask(&nearest), "c");
    let _ = on(&room, &database, "verify", &[&first]).code(0);
    let again = on(&room, &database, "apply", &["B"]).code(0);
    let _ = again.says(&["3 records: 0 created, 0 updated, 3 unchanged"]);

    let between = database.dump();
    room.write(
        "a.ndjson",
        lines(&[
            ("a", Some(vector(4)), None),
            ("b", Some(vector(5)), Some("a")),
            ("c", None, None),
        ]),
    );
    room.bundle("C");
    let second = on(&room, &database, "apply", &["C"]).code(0);
    let second = second.says(&["3 updated"]).id();
    let _ = on(&room, &database, "verify", &[&second]).code(0);
    // One number of one vector that is not the bundle's is found.
    let taken = "SELECT embedding FROM knowledge_entries WHERE content = 'b'";
    let kept = database.ask(taken);
    let other = kept.replacen("[-", "[", 1);
    assert_ne!(other, kept);
    database.sql(&format!(
        "UPDATE knowledge_entries SET embedding = '{other}' WHERE content = 'b'"
    ));
    let done = on(&room, &database, "verify", &[&second]).code(1);
    assert!(done.out.contains("embedding"), "{}", done.out);
    database.sql(&format!(
        "UPDATE knowledge_entries SET embedding = '{kept}' WHERE content = 'b'"
    ));

    let _ = on(&room, &database, "rollback", &[&second]).code(0);
    same(&database.dump(), &between, "the second run is taken back");
    let _ = on(&room, &database, "rollback", &[&first]).code(0);
    same(&database.dump(), &before, "the first run is taken back");
}

#[test]
fn a_vector_of_another_length_or_range_fails_its_record() {
    for (wrong, why) in [
        ("[1,2,3]".to_owned(), "1536"),
        (vector(1).replacen("-0.969", "1e39", 1), "out of range"),
    ] {
        let database = Database::with_vectors(&schema());
        let room = Room::new(Target::Sqlite);
        room.write("migration.toml", PLAN.replace(", dimensions = 1536", ""));
        room.write(
            "a.ndjson",
            lines(&[("a", None, None), ("b", Some(wrong), None)]),
        );
        room.bundle("B");
        let _ = on(&room, &database, "apply", &["B"])
            .code(3)
            .says(&["a.ndjson:2", why]);
        assert_eq!(database.ask("SELECT count(*) FROM knowledge_entries"), "0");
    }
}

#[test]
fn every_type_goes_in_is_changed_and_comes_back_on_postgresql_18() {
    torture(&Database::with_vectors(include_str!("types.sql")));
}

#[test]
fn a_snapshot_needs_programs_as_new_as_the_server() {
    let (room, database) = example_on(Database::with_vectors, "lessons", &schema());
    database
        .sql("UPDATE knowledge_entries SET embedding = (SELECT embedding FROM embedding_cache)");
    let before = database.dump();
    let url = database.url();
    let run = |bin, program: &str, args: &[&str]| {
        let args = args.iter().copied().chain(["--to", &url]);
        let mut command = command(program, &room.path(""), args);
        finish(spawn(command.env("PG_BIN", bin)), None)
    };
    let old = tests::postgres::bin();
    let version = std::process::Command::new(old.join("pg_dump"))
        .arg("--version")
        .output();
    let version = String::from_utf8(version.unwrap().stdout).unwrap();
    if !version.contains("(PostgreSQL) 18") {
        let _ = run(old, "apply", &["B", "--snapshot"]).code(4).says(&[
            "needs pg_dump and pg_restore of PostgreSQL 18 or later",
            "postgresql-client-18",
        ]);
        same(&database.dump(), &before, "nothing was written");
    }
    let id = run(bin_of_vectors(), "apply", &["B", "--snapshot"])
        .code(0)
        .id();
    let mut names = fs::read_dir(room.path(".switchback/snapshots")).unwrap();
    let path = names.next().unwrap().unwrap().path();
    database.sql("DELETE FROM embedding_cache; UPDATE knowledge_entries SET embedding = NULL");
    let args = [id.as_str(), "--snapshot", path.to_str().unwrap()];
    let _ = run(bin_of_vectors(), "rollback", &args).code(0);
    same(&database.dump(), &before, "restored");
}

#[test]
fn a_rehearsal_by_newer_programs_than_the_server_and_with_vectors() {
    let (_, members) = super::members();
    let (room, vectors) = example_on(Database::with_vectors, "lessons", &schema());
    let (other, _) = super::members();
    for (room, database) in [(&room, &vectors), (&other, &members)] {
        let before = database.dump();
        let url = database.url();
        let args = ["B", "--rehearse", "--to", &url];
        let mut apply = command("apply", &room.path(""), args);
        let done = finish(spawn(apply.env("PG_BIN", bin_of_vectors())), None).code(0);
        assert!(done.out.contains("every table is as it was"));
        same(&database.dump(), &before, "the target is only read");
    }
}
