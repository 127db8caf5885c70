//! Going back to a snapshot of a PostgreSQL database: rows and sequences are the snapshot's, the
//! history is the present one, and both change in one transaction of our own.
//!
//! What others made of the schema since (tables, views, functions, grants) stays; what runs added to it
//! goes with them. Nothing is dropped and made anew but foreign keys, which are checked once all rows are
//! there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use postgres::types::Type;
use system::Signals;
use system::crash_point;

use super::connect::Postgres;
use super::going::Going;
use super::part::{Content, Part};
use super::snapshot::{file_name, usual_folder};
use super::tools::Tools;
use super::url::PostgresUrl;
use crate::restore::{Restore, Restored, Then, present, safety_name};
use crate::temporary::{Temporary, failed, make_folder};
use crate::{Engine as _, Row, StoreError, digest_of, ledger};

/// Foreign keys of, or to, some tables: table, name, definition, comment.
const FOREIGN_KEYS: &str = "SELECT format('%I.%I', n.nspname, r.relname), quote_ident(c.conname), \
    pg_get_constraintdef(c.oid), quote_literal(obj_description(c.oid, 'pg_constraint')) \
    FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace \
    WHERE c.contype = 'f' AND c.conparentid = 0 AND (c.conrelid = ANY ($1::oid[]) OR c.confrelid = ANY ($1::oid[])) \
    ORDER BY 1, 2";

/// Triggers that fire: table, name, and how they are let fire again.
const TRIGGERS: &str = "SELECT format('%I.%I', n.nspname, r.relname), quote_ident(t.tgname), \
    CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END \
    FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid JOIN pg_namespace n ON n.oid = r.relnamespace \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid = ANY ($1::oid[]) ORDER BY 1, 2";

/// Says why the snapshot of before a run can't be restored as things are, if so. Reads alone.
pub(crate) fn check(url: &PostgresUrl, file: &Path, first: i64) -> Result<(), StoreError> {
    let mut reader = Postgres::open_reader(url)?;
    Tools::find(&reader, url, "a snapshot", &Signals::default())?;
    let (part, _) = Part::open(file)?;
    let going = reader.going(first, &part)?;
    reader.settle_down()?;
    reader.fits(&part, &going).map(|_| ())
}

/// Puts the rows of a snapshot in the place of the present ones.
pub(crate) fn restore(url: &PostgresUrl, wish: &Restore<'_>) -> Result<Restored, StoreError> {
    let mut target = Postgres::open(url)?;
    let tools = Tools::find(&target, url, "a snapshot", wish.signals)?;
    let (found, _) = digest_of(wish.file).map_err(failed(wish.file))?;
    if found != wish.snapshot.sha256 {
        return Err(StoreError::refused(format!(
            "{}: sha256 is {found}, the ledger says {}",
            wish.file.display(),
            wish.snapshot.sha256
        )));
    }
    let (part, _) = Part::open(wish.file)?;
    crash_point!("restore.begin", failed(wish.file));
    target.begin()?;
    let restored = target.put_back(&tools, &part, url, wish);
    if restored.is_err() {
        target.rollback().ok();
    }
    let restored = restored?;
    crash_point!("restore.commit", failed(wish.file));
    target.commit()?;
    Ok(restored)
}

impl Postgres {
    fn put_back(
        &mut self,
        tools: &Tools,
        part: &Part,
        url: &PostgresUrl,
        wish: &Restore<'_>,
    ) -> Result<Restored, StoreError> {
        // The lock's row is ours since the transaction began.
        if let Some(held) = ledger::holder(self)?
            && !held.void
        {
            return Err(held.locked(false));
        }
        ledger::upgrade(self, wish.by)?;
        let going = self.going(wish.run.seq, part)?;
        self.settle_down()?;
        let (now, _) = self.fits(part, &going)?;
        let names = now.iter().map(|table| table.name.as_str());
        let names: Vec<&str> = names.chain(going.iter().map(Going::table)).collect();
        if !names.is_empty() {
            // Others read on, and pg_dump does, but nobody writes.
            let all = names.join(", ");
            self.batch(&format!("LOCK TABLE {all} IN EXCLUSIVE MODE"))?;
        }
        // Nobody builds anything any more: what was found is found again.
        self.usual()?;
        let going = self.going(wish.run.seq, part)?;
        self.settle_down()?;
        let (now, untouched) = self.fits(part, &going)?;
        let folder = make_folder(&usual_folder())?;
        let place = folder.join(safety_name(&file_name(url), wish.now));
        let temporary = Temporary::beside(&place)?;
        self.dump(tools, &temporary.path)?;
        temporary.commit(&place)?;
        crash_point!("restore.kept", failed(wish.file));
        self.take_away(&going)?;
        crash_point!("restore.taken", failed(wish.file));
        // Named as what a crash leaves of the copy, so that prune finds it.
        let list = folder.join(format!("{}.list", file_name(url)));
        self.replace(tools, part, &now, (wish.file, &list))?;
        crash_point!("restore.replaced", failed(wish.file));
        let mut rows = 0;
        for table in part.tables.iter().filter(|table| table.rows_own) {
            if self.content(table)? != (table.rows, table.sum.clone()) {
                return Err(StoreError::damaged(format!(
                    "{} is not as it was at the snapshot; nothing was changed",
                    table.name
                )));
            }
            rows += table.rows;
        }
        self.usual()?;
        self.take_part(wish.file)?;
        crash_point!("restore.history", failed(wish.file));
        let then: Then = part
            .runs
            .iter()
            .map(|(seq, status, last)| (*seq, (status.clone(), *last)))
            .collect();
        let mut restored = present(self, &then, &place, wish)?;
        let tables = part.tables.iter().filter(|table| table.rows_own).count();
        restored.rows = (rows, tables);
        restored.untouched = untouched;
        Ok(restored)
    }

    /// Makes sure that every table, column and sequence of the snapshot is there, and that none has
    /// got a column whose values would be lost. Returns the tables as they are now, and the names of
    /// those that were made since.
    fn fits(
        &self,
        part: &Part,
        going: &[Going],
    ) -> Result<(Vec<Content>, Vec<String>), StoreError> {
        let now: BTreeMap<String, Content> = self
            .layout()?
            .into_iter()
            .map(|table| (table.name.clone(), table))
            .collect();
        let mut faults: Vec<String> = going.iter().filter_map(Going::fault).collect();
        let mut found = Vec::new();
        for table in &part.tables {
            let name = &table.name;
            let Some(present) = now.get(name) else {
                faults.push(format!("table {name} is gone"));
                continue;
            };
            for column in &table.columns {
                if !present.columns.contains(column) {
                    faults.push(format!("column {column} of {name} is gone"));
                }
            }
            let goes = |column: &str| going.iter().any(|one| one.is(name, Some(column)));
            let new = |column: &&String| !table.columns.contains(*column) && !goes(column);
            for column in present.columns.iter().filter(new) {
                let used = format!("SELECT 1 FROM ONLY {name} WHERE {column} IS NOT NULL LIMIT 1");
                if !self.look(&used, &[])?.is_empty() {
                    faults.push(format!(
                        "column {column} of {name} was added since: its values would be lost"
                    ));
                }
            }
            found.push(present.clone());
        }
        let counters = self.counters()?;
        for (name, ..) in &part.sequences {
            if !counters.iter().any(|(other, ..)| other == name) {
                faults.push(format!("sequence {name} is gone"));
            }
        }
        if !faults.is_empty() {
            return Err(StoreError::refused(format!(
                "the snapshot does not fit the database any more: {}; nothing was changed; pg_restore reads the file too",
                faults.join("; ")
            )));
        }
        let known = |name: &&String| {
            !part.tables.iter().any(|table| table.name == **name)
                && !going.iter().any(|one| one.is(name, None))
        };
        Ok((found, now.keys().filter(known).cloned().collect()))
    }

    /// Empties the tables and fills them from the archive, without triggers and foreign keys.
    fn replace(
        &self,
        tools: &Tools,
        part: &Part,
        now: &[Content],
        (file, list): (&Path, &Path),
    ) -> Result<(), StoreError> {
        let oids: Vec<String> = now.iter().map(|table| table.oid.to_string()).collect();
        let oids = format!("{{{}}}", oids.join(","));
        let ask = |sql: &str| self.look(sql, &[(&oids, Type::TEXT)]);
        let cast = |sql: &str| sql.replace("$1::oid[]", "$1::text::oid[]");
        let (keys, triggers) = (ask(&cast(FOREIGN_KEYS))?, ask(&cast(TRIGGERS))?);
        let text = |row: &Row, place: usize| row[place].text().unwrap_or_default().to_owned();
        for row in &keys {
            let (table, name) = (text(row, 0), text(row, 1));
            self.batch(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}"))?;
        }
        for row in &triggers {
            let (table, name) = (text(row, 0), text(row, 1));
            self.batch(&format!("ALTER TABLE {table} DISABLE TRIGGER {name}"))?;
        }
        let filled: Vec<&Content> = part.tables.iter().filter(|table| table.rows_own).collect();
        let names: Vec<String> = filled
            .iter()
            .map(|table| format!("ONLY {}", table.name))
            .collect();
        if !names.is_empty() {
            self.batch(&format!("TRUNCATE {}", names.join(", ")))?;
        }
        for (name, last, called) in &part.sequences {
            // Only what was restarted in this transaction goes back with it.
            self.batch(&format!("ALTER SEQUENCE {name} RESTART"))?;
            let set = "SELECT setval($1::text::regclass, $2, $3)";
            let params: [super::sql::Param<'_>; 3] =
                [(name, Type::TEXT), (last, Type::INT8), (called, Type::BOOL)];
            self.look(set, &params)?;
        }
        crash_point!("restore.emptied", failed(file));
        self.unpin()?;
        self.fill(tools, &filled, (file, list))?;
        crash_point!("restore.filled", failed(file));
        self.batch("SET CONSTRAINTS ALL IMMEDIATE")?;
        for row in &keys {
            let (table, name) = (text(row, 0), text(row, 1));
            let mut sql = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {}", text(row, 2));
            if let Some(comment) = row[3].text() {
                sql = format!("{sql}; COMMENT ON CONSTRAINT {name} ON {table} IS {comment}");
            }
            self.batch(&sql)?;
        }
        for row in &triggers {
            let (table, name, verb) = (text(row, 0), text(row, 1), text(row, 2));
            self.batch(&format!("ALTER TABLE {table} {verb} TRIGGER {name}"))?;
        }
        Ok(())
    }

    /// Has the rows of tables written out by `pg_restore` and hands them to the server.
    fn fill(
        &self,
        tools: &Tools,
        tables: &[&Content],
        (file, place): (&Path, &Path),
    ) -> Result<(), StoreError> {
        let name = file.to_string_lossy();
        let list = tools.run("pg_restore", &["--list", &name])?;
        let wanted = |line: &&str| {
            let number = line.split(' ').nth(2).and_then(|oid| oid.parse().ok());
            line.contains(" TABLE DATA ") && tables.iter().any(|table| Some(table.oid) == number)
        };
        let list: String = list.lines().filter(wanted).collect::<Vec<_>>().join("\n");
        let temporary = Temporary::beside(place)?;
        std::fs::write(&temporary.path, list).map_err(failed(&temporary.path))?;
        let mut command = tools.command("pg_restore");
        command
            .args(["--data-only", "--exit-on-error", "--file=-", "--use-list"])
            .arg(&temporary.path)
            .arg(file)
            .stdout(Stdio::piped());
        let broke = |error: std::io::Error| tools.failed("pg_restore", &error.to_string());
        let mut child = command.spawn().map_err(broke)?;
        let out = child.stdout.take();
        let mut out = BufReader::new(out.ok_or_else(|| StoreError::damaged("no stdout"))?);
        let filled = self.fill_from(&mut out);
        // An end that is early for us is one for it.
        drop(out);
        let ended = child.wait().map_err(broke)?;
        filled?;
        if ended.success() {
            return Ok(());
        }
        Err(tools.failed("pg_restore", &ended.to_string()))
    }

    /// Beside rows there are only settings and comments in what `pg_restore` writes.
    fn fill_from(&self, lines: &mut dyn BufRead) -> Result<(), StoreError> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = lines.read_line(&mut line);
            if read.map_err(failed(Path::new("pg_restore")))? == 0 {
                return Ok(());
            }
            let copy = line.trim_end();
            if copy.starts_with("COPY ") && copy.ends_with(" FROM stdin;") {
                self.copy_lines(copy, lines)?;
            }
        }
    }
}
