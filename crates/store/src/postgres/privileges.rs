//! What the login may do, asked before the first write.

use postgres::types::Type;

use super::connect::Postgres;
use crate::catalogue::Table;
use crate::{Cell, Sql, StoreError};

/// What a run and its rollback need on a table, and whether the login may; by column where that is how
/// it was granted.
const TABLE: &str = "SELECT p.need, row_security_active(t.id) FROM (SELECT to_regclass($1)::oid) AS t (id), \
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS p (need, n) \
    WHERE t.id IS NOT NULL AND (row_security_active(t.id) OR NOT (has_table_privilege(t.id, p.need) OR \
    (p.need <> 'DELETE' AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = t.id \
    AND a.attname = ANY (CASE WHEN p.need = 'SELECT' THEN $2 ELSE $3 END) \
    AND NOT has_column_privilege(t.id, a.attnum, p.need))))) ORDER BY p.n";

/// Who owns those of the ledger's tables that the login may not change.
const OWNERS: &str = "SELECT string_agg(DISTINCT quote_ident(r.rolname), ', ') FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner \
    WHERE c.relnamespace = to_regnamespace('switchback') AND c.relkind = 'r' AND NOT pg_has_role(c.relowner, 'USAGE')";

/// What the login lacks to make the ledger, or to write to it.
const LEDGER: &str = "SELECT CASE WHEN to_regnamespace('switchback') IS NULL THEN \
    CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN NULL \
    ELSE 'CREATE on database ' || current_database() END \
    WHEN NOT has_schema_privilege('switchback', 'USAGE') THEN 'USAGE on schema switchback' \
    WHEN to_regclass('switchback.meta') IS NULL THEN \
    CASE WHEN has_schema_privilege('switchback', 'CREATE') THEN NULL ELSE 'CREATE on schema switchback' END \
    ELSE (SELECT string_agg(p.need || ' on ' || c.oid::regclass, ', ' ORDER BY c.relname, p.need) \
    FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (need) \
    WHERE c.relnamespace = to_regnamespace('switchback') AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, p.need)) END";

impl Postgres {
    /// Says what the login lacks on a table of which it writes some columns.
    pub(super) fn lacks_on(
        &self,
        table: &Table,
        written: &[usize],
    ) -> Result<Vec<String>, StoreError> {
        let all: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let written: Vec<&str> = written.iter().map(|place| all[*place]).collect();
        let found = self.look(
            TABLE,
            &[
                (&self.quoted(&table.name), Type::TEXT),
                (&all, Type::TEXT_ARRAY),
                (&written, Type::TEXT_ARRAY),
            ],
        )?;
        if found.first().is_some_and(|row| row[1] == Cell::Int(1)) {
            return Ok(vec![format!(
                "row-level security hides rows of {} from this login: use one that bypasses it",
                table.name
            )]);
        }
        let lacks: Vec<&str> = found.iter().filter_map(|row| row[0].text()).collect();
        if lacks.is_empty() {
            return Ok(vec![]);
        }
        Ok(vec![format!(
            "the login may not {} rows of {}, which a run and its rollback need: GRANT {} ON {} TO {}",
            lacks.join(", ").to_lowercase(),
            table.name,
            lacks.join(", "),
            self.quoted(&table.name),
            self.login()
        )])
    }

    /// Tells whether the login may keep all triggers from firing, for itself alone.
    pub(super) fn may_silence(&self) -> Result<bool, StoreError> {
        let may = self.look(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
            &[],
        )?;
        if may.first().is_some_and(|row| row[0].int() == Some(1)) {
            return Ok(true);
        }
        // Privileges on parameters came with PostgreSQL 15.
        let version = self.look("SELECT current_setting('server_version_num')::int8", &[])?;
        if version.first().and_then(|row| row[0].int()) < Some(150_000) {
            return Ok(false);
        }
        let sql = "SELECT has_parameter_privilege('session_replication_role', 'SET')";
        Ok(self
            .look(sql, &[])?
            .first()
            .is_some_and(|row| row[0].int() == Some(1)))
    }

    /// Says that triggers may rewrite what rollback restores, where the login can't keep them quiet.
    pub(super) fn loud(&self, table: &Table) -> Result<Option<String>, StoreError> {
        if table.triggers.is_empty() || self.may_silence()? {
            return Ok(None);
        }
        let owner =
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = $1::text::regclass";
        let name = self.quoted(&table.name);
        let owner = self.look(owner, &[(&name, Type::TEXT)])?;
        if owner.first().is_some_and(|row| row[0].int() == Some(1)) {
            return Ok(None);
        }
        let triggers: Vec<&str> = table
            .triggers
            .iter()
            .map(|trigger| trigger.name.as_str())
            .collect();
        Ok(Some(format!(
            "triggers of {} ({}) may rewrite what rollback restores, and the login can't keep them quiet: \
             GRANT SET ON PARAMETER session_replication_role TO {}, use the table's owner, or accept them by name in \
             `accept_triggers`",
            table.name,
            triggers.join(", "),
            self.login()
        )))
    }

    /// Says who alone may give the ledger the tables of this build's version.
    pub(super) fn no_upgrade(&self) -> Result<Option<String>, StoreError> {
        let found = self.look(OWNERS, &[])?;
        let owners = found.first().and_then(|row| row[0].text());
        Ok(owners.map(|owners| {
            format!(
                "the ledger is one of version 1, and only the owner of its tables ({owners}) can give it those of version \
                 2: run this command, or any that writes to the target, once as {owners}, or GRANT {owners} TO {}; \
                 nothing was written",
                self.login()
            )
        }))
    }

    /// Says what the login lacks for the ledger.
    pub(super) fn lacks_for_ledger(&self) -> Result<Vec<String>, StoreError> {
        let found = self.look(LEDGER, &[])?;
        let lacks = found.first().and_then(|row| row[0].text());
        Ok(lacks
            .map(|lacks| format!("the ledger can't be written: the login lacks {lacks}"))
            .into_iter()
            .collect())
    }
}
