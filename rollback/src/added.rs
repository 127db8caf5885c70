//! The proof for columns and tables that the run added: they are gone, and the definition of the table is
//! what it was.

use serde_json::{Value, json};
use store::ledger::Added;
use store::{Sql, StoreError, called};

/// What was found of a column or a table that the run added.
#[derive(Debug)]
pub(crate) struct AddedProof {
    name: String,
    table: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was left in place, and noted as such.
    Kept,
    /// It is gone, and all that the target says of its table is what it was.
    AsBefore,
    /// It is gone, and others changed the table's definition.
    Elsewhere,
    /// It is there still.
    There,
}

impl AddedProof {
    /// Looks at all that the run added. `kept`: whether a change was left in place.
    pub fn all(
        sql: &mut dyn Sql,
        added: &[Added],
        kept: impl Fn(i64) -> bool,
    ) -> Result<Vec<Self>, StoreError> {
        let mut proofs = Vec::new();
        for (place, one) in added.iter().enumerate() {
            let state = if kept(one.seq) {
                State::Kept
            } else if one.is_there(sql)? {
                State::There
            } else if one.column.is_none() || as_before(sql, &added[..=place], &kept)? {
                State::AsBefore
            } else {
                State::Elsewhere
            };
            let name = called(&one.table, one.column.as_deref());
            let table = one.column.is_none();
            proofs.push(Self { name, table, state });
        }
        Ok(proofs)
    }

    /// Tells whether it should be gone and is not.
    pub fn wrong(&self) -> bool {
        self.state == State::There
    }

    /// Tells whether it is gone.
    pub fn gone(&self) -> bool {
        matches!(self.state, State::AsBefore | State::Elsewhere)
    }

    pub fn line(&self) -> String {
        let what = match self.state {
            State::Kept => "is kept",
            State::AsBefore if self.table => "is gone",
            State::AsBefore => "is gone, the definition of the table is what it was",
            State::Elsewhere => {
                "is gone; the definition of the table also differs by changes outside the run"
            }
            State::There => "is there still",
        };
        format!("{} {what}", self.name)
    }

    pub fn to_json(&self) -> Value {
        let state = match self.state {
            State::Kept => "kept",
            State::AsBefore => "as-before",
            State::Elsewhere => "elsewhere",
            State::There => "wrong",
        };
        json!({"name": self.name, "state": state})
    }
}

/// Tells whether the table of the last of these is as it was before the first of its columns that was
/// not kept.
fn as_before(
    sql: &mut dyn Sql,
    added: &[Added],
    kept: impl Fn(i64) -> bool,
) -> Result<bool, StoreError> {
    let Some(last) = added.last() else {
        return Ok(true);
    };
    let mut of_table = added
        .iter()
        .filter(|one| one.table == last.table && !kept(one.seq));
    let first = of_table.next().unwrap_or(last);
    sql.is_defined(&last.table, &first.definition)
}
