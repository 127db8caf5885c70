//! What others built on what a run added is never dropped.

use tests::db::same;
use tests::{Case, Target};

use super::{applied, room};

tests::both!(what_others_built_on_it_is_never_dropped,);

/// What others do, what then keeps what the run added, and how it is undone.
type Built = (&'static str, &'static str, &'static str);

const BUILT_ANYWHERE: &[Built] = &[
    (
        "CREATE INDEX \"by level\" ON member (level)",
        "column member.level: can't go before these: index by level",
        "DROP INDEX \"by level\"",
    ),
    (
        "INSERT INTO sync (wa, member) VALUES ('theirs', '3')",
        "table sync: can't go before these: 1 row staying in it, the first theirs",
        "DELETE FROM sync WHERE wa = 'theirs'",
    ),
    (
        "CREATE INDEX sync_note ON sync (note); CREATE VIEW w AS SELECT * FROM sync;
         CREATE TABLE more (wa TEXT REFERENCES sync (wa))",
        "table sync: can't go before these: index sync_note, table more, view w",
        "DROP INDEX sync_note; DROP VIEW w; DROP TABLE more",
    ),
    (
        "ALTER TABLE sync ADD COLUMN theirs TEXT",
        "table sync: can't go before these: its definition was changed since",
        "ALTER TABLE sync DROP COLUMN theirs",
    ),
];

const BUILT: &[Built] = &[
    (
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, '\"level\" INTEGER NOT NULL DEFAULT 0', \
         '\"level\" INTEGER NOT NULL DEFAULT 3') WHERE name = 'member'; PRAGMA writable_schema = RESET",
        "column member.level: can't go before these: its definition was changed since",
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'DEFAULT 3', 'DEFAULT 0') \
         WHERE name = 'member'; PRAGMA writable_schema = RESET",
    ),
    (
        "CREATE VIEW v AS SELECT m.id, m.\"wa id\" FROM member m; CREATE TRIGGER t AFTER INSERT ON member BEGIN
         UPDATE member SET name = NEW.\"wa id\" WHERE id = NEW.id; END",
        "column member.wa id: can't go before these: view v, trigger t",
        "DROP VIEW v; DROP TRIGGER t",
    ),
    (
        "CREATE VIEW w AS SELECT * FROM main.\"sync\"",
        "table sync: can't go before these: view w",
        "DROP VIEW w",
    ),
];

const BUILT_POSTGRES: &[Built] = &[
    (
        "ALTER TABLE member ALTER level SET DEFAULT 3",
        "column member.level: can't go before these: its definition was changed since",
        "ALTER TABLE member ALTER level SET DEFAULT 0",
    ),
    (
        "CREATE VIEW v AS SELECT m.id, m.\"wa id\" FROM member m;
         CREATE TRIGGER t BEFORE UPDATE OF \"wa id\" ON member FOR EACH ROW EXECUTE FUNCTION touch()",
        "column member.wa id: can't go before these: trigger t, view v",
        "DROP VIEW v; DROP TRIGGER t ON member",
    ),
    (
        "ALTER TABLE member ADD CONSTRAINT low CHECK (level < 9);
         ALTER TABLE member ADD twice INTEGER GENERATED ALWAYS AS (level * 2) STORED",
        "column member.level: can't go before these: column twice, constraint low",
        "ALTER TABLE member DROP twice, DROP CONSTRAINT low",
    ),
    (
        "ALTER TABLE member ADD CONSTRAINT one UNIQUE (\"wa id\");
         CREATE SCHEMA theirs; CREATE TABLE theirs.more (wa TEXT REFERENCES member (\"wa id\"))",
        "column member.wa id: can't go before these: constraint one, table theirs.more",
        "DROP SCHEMA theirs CASCADE; ALTER TABLE member DROP CONSTRAINT one",
    ),
    (
        "GRANT SELECT (level) ON member TO PUBLIC; COMMENT ON COLUMN member.level IS 'theirs'",
        "column member.level: can't go before these: a comment on it, privileges on it: {=r/app}",
        "REVOKE SELECT (level) ON member FROM PUBLIC; COMMENT ON COLUMN member.level IS NULL",
    ),
    (
        "CREATE STATISTICS theirs ON name, level FROM member; CREATE PUBLICATION p FOR TABLE member (id, level)",
        "column member.level: can't go before these: publication of table public.member in publication p, statistics object public.theirs",
        "DROP STATISTICS theirs; DROP PUBLICATION p",
    ),
    (
        "CREATE TABLE child () INHERITS (sync); CREATE FUNCTION f(sync) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "table sync: can't go before these: function public.f(public.sync), table child",
        "DROP TABLE child; DROP FUNCTION f(sync)",
    ),
    (
        "GRANT SELECT ON sync TO PUBLIC",
        "table sync: can't go before these: its definition was changed since",
        "REVOKE SELECT ON sync FROM PUBLIC; UPDATE pg_class SET relacl = NULL WHERE relname = 'sync'",
    ),
    (
        "COMMENT ON TABLE sync IS 'theirs'",
        "table sync: can't go before these: its definition was changed since",
        "COMMENT ON TABLE sync IS NULL",
    ),
    (
        "CREATE POLICY mine ON sync USING (true)",
        "table sync: can't go before these: policy mine on table public.sync",
        "DROP POLICY mine ON sync",
    ),
];

fn what_others_built_on_it_is_never_dropped(case: Case) {
    let own = case.either(BUILT, BUILT_POSTGRES);
    for (sql, says, undo) in BUILT_ANYWHERE.iter().chain(own) {
        let (room, before, run) = applied(case);
        room.sql(sql);
        let at = room.dump();
        let _ = room.on("rollback", &[&run]).code(1).says(&[says]);
        same(&room.dump(), &at, "nothing was written");
        for (choice, code) in [("--skip-conflicts", 0), ("--force", 1)] {
            let kept = room
                .on("rollback", &[&run, choice])
                .code(code)
                .says(&["is kept"]);
            assert!(!kept.err.contains("NOT what"), "{}", kept.err);
        }
        assert_eq!(
            room.ask("SELECT count(*) FROM switchback_kept"),
            "1",
            "{sql}"
        );
        room.sql(undo);
        let _ = room.on("rollback", &[&run]).code(0);
        same(&room.dump(), &before, sql);
    }
}

#[test]
fn level_2_never_drops_what_others_built_on_it() {
    // Rows are the snapshot's, also in what the run added.
    let rows = |(_, says, _): &&Built| says.contains("staying in it");
    let built = BUILT_ANYWHERE.iter().filter(|one| !rows(one));
    // Some of each kind: what is found is found as at level 1.
    for (sql, says, undo) in built.chain(BUILT_POSTGRES).step_by(2) {
        let room = room(Case::new(Target::Postgres, ""));
        let before = room.dump();
        let _ = room.on("apply", &["B", "--snapshot"]).code(0);
        let folder = room.path(".switchback/snapshots");
        let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
        let file = file.path().display().to_string();
        room.sql(sql);
        let now = room.dump();
        let what = says.split_once("these: ").map_or(*says, |(_, what)| what);
        for check in [&[][..], &["--check"]] {
            let args = [&["--snapshot", file.as_str()][..], check].concat();
            let _ = room.on("rollback", &args).code(4).says(&[
                "can't go before these: ",
                what,
                "nothing was changed",
            ]);
        }
        same(&room.dump(), &now, "nothing was changed");
        room.sql(undo);
        let _ = room.on("rollback", &["--snapshot", &file]).code(0);
        same(&room.dump(), &before, sql);
    }
}
