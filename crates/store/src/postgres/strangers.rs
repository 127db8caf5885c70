//! A ledger that strangers made, or can make do something: what its tables fire would run as the operator.

use super::connect::Postgres;
use crate::StoreError;

/// Who made the schema or a table of it, unless that is the login, a role that it is a member of, or a
/// superuser, who needs no ledger for anything. A superuser is a member of no role for that.
const OWNERS: &str = "WITH RECURSIVE mine (oid) AS (SELECT oid FROM pg_roles WHERE rolname = current_user \
      UNION SELECT m.roleid FROM mine JOIN pg_auth_members m ON m.member = mine.oid) \
    SELECT 'it belongs to the role ' || quote_ident(r.rolname) FROM (SELECT nspowner FROM pg_namespace WHERE nspname = 'switchback' \
      UNION SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'switchback') o (oid) \
    JOIN pg_roles r ON r.oid = o.oid WHERE NOT r.rolsuper AND r.oid NOT IN (SELECT oid FROM mine) ORDER BY 1 LIMIT 1";

/// What is no plain table of it, or has rules or policies, which a question fires too.
const ASKED: &str = "SELECT CASE WHEN c.relkind <> 'r' THEN c.relname || ' is no table' \
      WHEN c.relrowsecurity THEN c.relname || ' has row-level security' ELSE c.relname || ' has rules' END \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'switchback' \
    AND c.relkind NOT IN ('i', 't', 'c') AND (c.relkind <> 'r' OR c.relrowsecurity \
    OR EXISTS (SELECT 1 FROM pg_rewrite w WHERE w.ev_class = c.oid)) ORDER BY 1 LIMIT 1";

/// The triggers on its tables.
const TRIGGERS: &str = "SELECT c.relname || ' has the trigger ' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'switchback' AND NOT t.tgisinternal ORDER BY 1 LIMIT 1";

impl Postgres {
    /// Refuses a schema of the ledger that a stranger made, or whose tables do something of their own. Whoever
    /// only reads runs nothing of its owner's, but for views, rules and policies.
    pub(super) fn no_strangers(&self) -> Result<(), StoreError> {
        let questions: &[&str] = if self.writes {
            &[OWNERS, ASKED, TRIGGERS]
        } else {
            &[ASKED]
        };
        for question in questions {
            if let Some(row) = self.look(question, &[])?.first() {
                let what = row[0].text().unwrap_or("it is not as it was made");
                return Err(StoreError::refused(format!(
                    "the schema `switchback` of {} can't be trusted with this login's rights: {what}; use the login that made \
                     the ledger, or look who changed it, and remove what it does not need",
                    self.describe()
                )));
            }
        }
        Ok(())
    }
}
