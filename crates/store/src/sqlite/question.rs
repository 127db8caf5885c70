//! A question of the user's, asked so that it can change nothing.

use rusqlite::types::ValueRef;

use super::connect::Sqlite;
use crate::StoreError;

impl Sqlite {
    pub(super) fn answer(&self, question: &str) -> Result<bool, StoreError> {
        let only = |on: bool| self.conn.pragma_update(None, "query_only", on);
        let answer = only(true).and_then(|()| self.ask_once(question));
        let ended = only(false);
        let answer = answer.and_then(|answer| ended.map(|()| answer));
        answer
            .map_err(|error| self.error(&error))?
            .ok_or_else(|| StoreError::refused("it does not give one row with one 0 or 1"))
    }

    fn ask_once(&self, question: &str) -> rusqlite::Result<Option<bool>> {
        let mut statement = self.conn.prepare(question)?;
        let one = statement.column_count() == 1;
        let mut rows = statement.query([])?;
        let answer = match rows.next()?.map(|row| row.get_ref(0)).transpose()? {
            Some(ValueRef::Integer(0)) => Some(false),
            Some(ValueRef::Integer(1)) => Some(true),
            _ => None,
        };
        Ok(answer
            .filter(|_| one)
            .filter(|_| matches!(rows.next(), Ok(None))))
    }
}
