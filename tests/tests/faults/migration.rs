//! The migration that is broken: inserts, an update, late references and deletes.

pub const PLAN: &str = r#"
name = "small"
system = "faults"

[[entity]]
name = "person"
source = { format = "csv", files = ["people.csv"], key = "id" }
table = "person"
id = { column = "id", from = "uuid" }
match = ["email"]
on_match = "update"
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
sponsor = { from = "sponsor", ref = "person", late = true }
updated = { run = "started_at" }

[[entity]]
name = "visit"
source = { format = "csv", files = ["visits.csv"], key = "id" }
table = "visit"
id = { column = "no", from = "target" }
[entity.fields]
person = { from = "person", ref = "person", required = true }
day = { from = "day", type = "date", required = true }

[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "no" }
table = "leaver"
id = { column = "no", from = "key" }
op = "delete"
target = "no"
"#;

pub const SOURCES: [(&str, &str); 3] = [
    (
        "people.csv",
        "id,email,name,sponsor\np1,p1@example.org,One,p3\np2,p2@example.org,Two,\n\
         p3,p3@example.org,Three,p1\np4,p4@example.org,Four,p2\n",
    ),
    (
        "visits.csv",
        "id,person,day\nv1,p1,2024-01-01\nv2,p4,2024-01-02\nv3,p2,2024-01-02\nv4,p3,2024-01-04\n",
    ),
    ("leavers.csv", "no\n1\n2\n3\n4\n"),
];

pub const TABLES: &str = "
CREATE TABLE person (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  sponsor TEXT REFERENCES person (id), note TEXT DEFAULT 'none', updated TEXT NOT NULL);
CREATE INDEX person_sponsor ON person (sponsor);
CREATE TABLE visit (no INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT NOT NULL REFERENCES person (id),
  day TEXT NOT NULL);
CREATE INDEX visit_person ON visit (person);
CREATE TABLE leaver (no INTEGER PRIMARY KEY, name TEXT, photo BLOB, size REAL);
INSERT INTO person VALUES ('old', 'p2@example.org', 'Second', NULL, NULL, 'long ago');
INSERT INTO visit VALUES (41, 'old', '2001-01-01');
INSERT INTO leaver VALUES (1, 'a', x'00ff', 0.1), (2, 'b', NULL, 2.5), (3, 'c', x'01', 3), (4, 'd', NULL, NULL),
  (5, 'e', NULL, NULL);";

/// What each batch does to the tables, said without our code: a query that counts its marks, and
/// how many there are once it stands. Before it stands there is none.
pub const MARKS: [(&str, &str); 8] = [
    (
        "SELECT count(*) FROM person WHERE name IN ('One', 'Two', 'Three')",
        "3",
    ),
    ("SELECT count(*) FROM person WHERE name = 'Four'", "1"),
    (
        "SELECT count(*) FROM visit JOIN person ON person = id WHERE (name, day) IN (VALUES \
         ('One', '2024-01-01'), ('Four', '2024-01-02'), ('Two', '2024-01-02'))",
        "3",
    ),
    ("SELECT count(*) FROM visit WHERE day = '2024-01-04'", "1"),
    (
        "SELECT count(*) FROM person a JOIN person b ON a.sponsor = b.id WHERE (a.name, b.name) IN (VALUES \
         ('One', 'Three'), ('Three', 'One'))",
        "2",
    ),
    (
        "SELECT count(*) FROM person a JOIN person b ON a.sponsor = b.id WHERE (a.name, b.name) = ('Four', 'Two')",
        "1",
    ),
    ("SELECT 3 - count(*) FROM leaver WHERE no IN (1, 2, 3)", "3"),
    ("SELECT 1 - count(*) FROM leaver WHERE no = 4", "1"),
];
