//! Columns and tables that runs added since a snapshot: they go with it, unless others built on them.

use contract::plan::LoadedPlan;
use postgres::types::Type;

use super::connect::Postgres;
use super::part::Part;
use super::visible::visible;
use crate::additions::{called, drop_statement};
use crate::ledger::{self, Added};
use crate::{Sql as _, StoreError};

/// How a table and a column are called in a snapshot's part, and the table in what depends on something.
const SPELLED: &str = concat!(
    "SELECT format('%I.%I', n.nspname, c.relname), quote_ident($2), \
    CASE WHEN ",
    visible!("c"),
    " THEN '' ELSE n.nspname || '.' END || c.relname \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"
);

/// A column or a table that is to go.
pub(super) struct Going {
    added: Added,
    run: String,
    /// As the part spells them.
    table: String,
    column: Option<String>,
    /// The table, as it is named among what depends on another one.
    plain: String,
    /// What others built on it.
    built: Vec<String>,
}

impl Going {
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Tells whether it is this table, or this column of it.
    pub(super) fn is(&self, table: &str, column: Option<&str>) -> bool {
        self.table == table && self.column.as_deref() == column
    }

    /// Says why it can't go, if so.
    pub(super) fn fault(&self) -> Option<String> {
        let name = called(&self.added.table, self.added.column.as_deref());
        let built = self.built.join(", ");
        let fault = format!(
            "{name}, which run {} added, can't go before these: {built}",
            self.run
        );
        (!self.built.is_empty()).then_some(fault)
    }

    fn was_there(&self, part: &Part) -> bool {
        let table = part.tables.iter().find(|table| table.name == self.table);
        table.is_some_and(|table| {
            let column = self.column.as_ref();
            column.is_none_or(|column| table.columns.contains(column))
        })
    }
}

impl Postgres {
    /// Returns what this run and later ones added, is there, and was not at the snapshot: the last first.
    pub(super) fn going(&mut self, first: i64, part: &Part) -> Result<Vec<Going>, StoreError> {
        self.forget_tables();
        let mut found = Vec::new();
        for run in ledger::list_runs(self)? {
            // A plan that this build does not read is of one that added nothing by it.
            let plan = LoadedPlan::parse("the ledger's plan".as_ref(), run.plan.clone());
            let (true, Ok(plan)) = (run.seq >= first, plan) else {
                continue;
            };
            for added in ledger::added(self, run.seq, &plan.plan)?.into_iter().rev() {
                if added.is_there(self)? {
                    found.push(self.one_going(added, &run.id)?);
                }
            }
        }
        found.retain(|one| !one.was_there(part));
        let own: Vec<String> = found
            .iter()
            .filter(|one| one.column.is_none())
            .map(|one| format!("table {}", one.plain))
            .collect();
        for one in &mut found {
            one.built.retain(|what| !own.contains(what));
        }
        Ok(found)
    }

    fn one_going(&mut self, added: Added, run: &str) -> Result<Going, StoreError> {
        let mut built = self.built_on(&added.table, added.column.as_deref())?;
        if built.is_empty() && added.is_changed(self)? {
            built.push("its definition was changed since".into());
        }
        let spelled = self.quoted(&added.table);
        let column = added.column.clone().unwrap_or_default();
        let rows = self.look(SPELLED, &[(&spelled, Type::TEXT), (&column, Type::TEXT)])?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::damaged("no table"))?;
        let text = |place: usize| row[place].text().unwrap_or_default().to_owned();
        Ok(Going {
            run: run.to_owned(),
            table: text(0),
            column: added.column.is_some().then(|| text(1)),
            plain: text(2),
            built,
            added,
        })
    }

    /// Takes away what is to go. The server refuses it where something depends on it.
    pub(super) fn take_away(&mut self, going: &[Going]) -> Result<(), StoreError> {
        for one in going {
            let drop = drop_statement(self, &one.added.table, one.added.column.as_deref());
            self.change_catalogue(&drop)?;
        }
        Ok(())
    }
}
