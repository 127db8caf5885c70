//! What statements on a table bring about: an authorizer names every table that a trigger or a foreign key
//! writes when a statement is prepared, and by which trigger. No trigger's text is read.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::connect::{Sqlite, quoted};
use crate::catalogue::Table;
use crate::{Cell, StoreError};

/// A kind of statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    pub(super) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// A statement of the kind that fires all that can be fired.
    pub(super) fn statement(self, table: &Table) -> String {
        let name = quoted(&table.name);
        let itself = |name: &str| format!("{0} = {0}", quoted(name));
        let columns = table.columns.iter().filter(|column| !column.generated);
        let sets: Vec<String> = columns.map(|column| itself(&column.name)).collect();
        match self {
            Self::Insert => format!("INSERT INTO {name} DEFAULT VALUES"),
            Self::Update => format!("UPDATE {name} SET {} WHERE 0", sets.join(", ")),
            Self::Delete => format!("DELETE FROM {name} WHERE 0"),
        }
    }
}

/// What a kind of statement brings about in a table.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// The triggers that fire, those that other triggers fire too, each with its table.
    pub(super) fires: BTreeMap<String, String>,
    /// Which trigger writes which table; none: the statement itself, or a foreign key's action.
    writes: BTreeSet<(Option<String>, String)>,
}

impl Programs {
    /// The triggers that the plan accepts, and those that fire only because one of them writes.
    pub(super) fn accepted(&self, accepted: &[String]) -> BTreeSet<&str> {
        let mut unknown: BTreeSet<&str> = BTreeSet::new();
        loop {
            // The statement fires those of its table itself, as a foreign key's action does.
            let written = |on: &str| {
                let by = |trigger: &Option<String>| {
                    trigger.as_deref().is_none_or(|name| unknown.contains(name))
                };
                self.writes
                    .iter()
                    .any(|(trigger, table)| table == on && by(trigger))
            };
            let more = self.fires.iter().find(|(trigger, on)| {
                !unknown.contains(trigger.as_str()) && !accepted.contains(trigger) && written(on)
            });
            match more {
                Some((trigger, _)) => unknown.insert(trigger),
                None => break,
            };
        }
        let all = self.fires.keys().map(String::as_str);
        all.filter(|name| !unknown.contains(name)).collect()
    }

    /// The triggers that write a table.
    pub(super) fn writers<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        let of_table = self.writes.iter().filter(move |(_, other)| other == table);
        of_table.filter_map(|(trigger, _)| trigger.as_deref())
    }

    /// What triggers write in other tables and the plan does not accept: the trigger, its table, the
    /// other table.
    fn elsewhere(&self, own: &str, accepted: &[String]) -> Vec<(&str, &str, &str)> {
        let known = self.accepted(accepted);
        let found = self.writes.iter().filter_map(|(trigger, table)| {
            let trigger = trigger.as_deref()?;
            let on = self.fires.get(trigger)?.as_str();
            (table != own && !known.contains(trigger)).then_some((trigger, on, table.as_str()))
        });
        found.collect()
    }
}

/// What an authorizer hears: by which trigger or view, and which table is written.
type Seen = (Option<String>, Option<String>);

/// What is known of a table's statements.
#[derive(Debug)]
pub(super) struct Known {
    /// By the place of the event in [`Event::ALL`].
    programs: Vec<Programs>,
    /// Why SQLite can't prepare such a statement, if so: a trigger names what is not there.
    broken: Vec<Option<String>>,
    /// The same without what a foreign key's action would fire: no such action is let happen.
    direct: Vec<Programs>,
    /// Whether its rows have numbers, without which the update hook does not see them.
    pub(super) rowids: bool,
}

impl Known {
    pub(super) fn of(&self, event: Event) -> &Programs {
        &self.programs[event as usize]
    }
}

impl Sqlite {
    /// Asks SQLite what each kind of statement brings about in a table.
    pub(super) fn known(&mut self, table: &Table) -> Result<Rc<Known>, StoreError> {
        if let Some(known) = self.known.get(&table.name) {
            return Ok(Rc::clone(known));
        }
        // As it is now: a plan may be about to add columns.
        let live = super::catalogue::table(self, &table.name)?;
        let table = live.as_ref().unwrap_or(table);
        let triggers = self.rows(
            "SELECT t.name, m.name FROM sqlite_master t JOIN sqlite_master m ON m.name = t.tbl_name COLLATE NOCASE \
             WHERE t.type = 'trigger' AND m.type IN ('table', 'view')",
            &[],
        )?;
        let name = |cell: &Cell| cell.text().unwrap_or_default().to_owned();
        let triggers: BTreeMap<String, String> = triggers
            .iter()
            .map(|row| (name(&row[0]), name(&row[1])))
            .collect();
        let (programs, broken) = self.each(table, &triggers)?;
        let (direct, _) = self.without_keys(|this| this.each(table, &triggers))?;
        let wide = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND wr = 1";
        let rowids = self.rows(wide, &[table.name.as_str().into()])?.is_empty();
        let known = Rc::new(Known {
            programs,
            broken,
            direct,
            rowids,
        });
        self.known.insert(table.name.clone(), Rc::clone(&known));
        Ok(known)
    }

    /// What each kind of statement brings about, or why SQLite can't prepare it, by the place of the event.
    fn each(
        &mut self,
        table: &Table,
        triggers: &BTreeMap<String, String>,
    ) -> Result<(Vec<Programs>, Vec<Option<String>>), StoreError> {
        let (mut programs, mut broken) = (Vec::new(), Vec::new());
        for event in Event::ALL {
            let (found, why) = match self.programs(table, event, triggers) {
                Err(StoreError::Statement { message, .. }) => (Programs::default(), Some(message)),
                found => (found?, None),
            };
            programs.push(found);
            broken.push(why);
        }
        Ok((programs, broken))
    }

    /// Prepares statements as if foreign keys were not enforced. None may run meanwhile.
    fn without_keys<T>(
        &mut self,
        prepare: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        const KEYS: DbConfig = DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY;
        let enforced = self.conn.db_config(KEYS);
        let enforced = enforced.map_err(|error| self.error(&error))?;
        let set = self.conn.set_db_config(KEYS, false);
        set.map_err(|error| self.error(&error))?;
        let done = prepare(self);
        let set = self.conn.set_db_config(KEYS, enforced);
        set.map_err(|error| self.error(&error))?;
        done
    }

    fn programs(
        &mut self,
        table: &Table,
        event: Event,
        triggers: &BTreeMap<String, String>,
    ) -> Result<Programs, StoreError> {
        let seen: Arc<Mutex<BTreeSet<Seen>>> = Arc::default();
        let note = Arc::clone(&seen);
        let authorizer = move |context: AuthContext<'_>| {
            let table = match context.action {
                AuthAction::Insert { table_name }
                | AuthAction::Update { table_name, .. }
                | AuthAction::Delete { table_name } => Some(table_name.to_owned()),
                _ => None,
            };
            if let Ok(mut seen) = note.lock() {
                seen.insert((context.accessor.map(str::to_owned), table));
            }
            Authorization::Allow
        };
        let set = self.conn.authorizer(Some(authorizer));
        set.map_err(|error| self.error(&error))?;
        let sql = event.statement(table);
        let prepared = self.conn.prepare(&sql).map(drop);
        let set = self
            .conn
            .authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
        set.map_err(|error| self.error(&error))?;
        prepared.map_err(|error| self.unprepared(&error, &sql))?;
        let mut programs = Programs::default();
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (by, written) in seen {
            // What reads a view is named likewise.
            let by = by.filter(|name| triggers.contains_key(name));
            if let Some(name) = &by {
                programs.fires.insert(name.clone(), triggers[name].clone());
            }
            programs
                .writes
                .extend(written.map(|table| (by.clone(), table)));
        }
        Ok(programs)
    }

    /// Says what triggers of a table write in others, unless the plan accepts it, and where accepted
    /// words are needed for our statements to be safe.
    pub(super) fn trigger_faults_of(
        &mut self,
        table: &Table,
        accepted: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let known = self.known(table)?;
        let broken: BTreeSet<&str> = known.broken.iter().flatten().map(String::as_str).collect();
        if !broken.is_empty() {
            let message = broken.into_iter().collect::<Vec<_>>().join("; ");
            let about = Box::default();
            return Err(StoreError::Statement { message, about });
        }
        let found = known.direct.iter();
        let found: BTreeSet<(&str, &str, &str)> = found
            .flat_map(|programs| programs.elsewhere(&table.name, accepted))
            .collect();
        let mut faults: Vec<String> = found
            .into_iter()
            .map(|(trigger, on, written)| {
                format!(
                    "trigger `{trigger}` on {on} writes rows of {written}, which rollback can't take back: accept it by \
                     name in `accept_triggers`"
                )
            })
            .collect();
        let unknown = table.triggers.iter().map(|trigger| &trigger.name);
        let unknown = unknown.filter(|name| !accepted.contains(name));
        let unknown: Vec<String> = unknown.map(|name| format!("`{name}`")).collect();
        if table.conflict_clause && !unknown.is_empty() {
            faults.push(format!(
                "{} replaces rows or leaves them out by ON CONFLICT, and has triggers: what keeps rows of others from \
                 being replaced (OR ABORT) also overrides what its triggers say of conflicts; accept them by name in \
                 `accept_triggers`: {}",
                table.name,
                unknown.join(", ")
            ));
        }
        Ok(faults)
    }

    /// Returns the triggers that a kind of statement fires on a table.
    pub(super) fn fired_by(
        &mut self,
        table: &Table,
        event: Event,
    ) -> Result<Vec<String>, StoreError> {
        if table.triggers.is_empty() {
            return Ok(vec![]);
        }
        let known = self.known(table)?;
        if let Some(why) = &known.broken[event as usize] {
            return Err(StoreError::refused(why));
        }
        Ok(known.of(event).fires.keys().cloned().collect())
    }

    /// Forgets what is known where the catalogue changed.
    pub(super) fn forget_programs(&mut self) -> Result<(), StoreError> {
        if self.known.is_empty() {
            return Ok(());
        }
        let version = self
            .conn
            .pragma_query_value(None, "schema_version", |row| row.get(0));
        let version = Some(version.map_err(|error| self.error(&error))?);
        if self.version != version {
            self.known.clear();
            self.version = version;
        }
        Ok(())
    }
}
