//! A question of the user's, asked so that it can change nothing.

use postgres::types::Type;

use super::connect::Postgres;
use crate::StoreError;

impl Postgres {
    pub(super) fn answer(&self, question: &str) -> Result<bool, StoreError> {
        self.batch(&format!("BEGIN READ ONLY; {}", self.begin_firing()))?;
        let found = self.with(|client| client.query_typed(question, &[]));
        self.batch("ROLLBACK")?;
        self.broken.set(false);
        let rows = found?;
        let answer = match rows.as_slice() {
            [row] if row.len() == 1 && *row.columns()[0].type_() == Type::BOOL => row
                .try_get::<_, Option<bool>>(0)
                .map_err(|error| self.error(&error))?,
            _ => None,
        };
        answer.ok_or_else(|| StoreError::refused("it does not give one row with one boolean"))
    }
}
