//! Statements on the ledger: a type of their own, which no name of a user's can get into.

use std::ops::Add;

/// A statement on the ledger's tables, which it names as `ledger.runs`, with its parameters as `?1`, `?2`, ….
/// It is made of fixed text and of numbers alone, so that what a target puts in the place of these never meets
/// a name of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement(String);

impl Statement {
    /// Returns the statement in a target's spelling. `table`: what stands before the names of the ledger's
    /// tables. `place`: what stands before the number of a parameter.
    #[must_use]
    pub fn spelled(&self, table: &str, place: &str) -> String {
        self.0.replace("ledger.", table).replace('?', place)
    }

    /// Adds a list of numbers.
    #[must_use]
    pub fn list(mut self, numbers: impl IntoIterator<Item = i64>) -> Self {
        for (at, number) in numbers.into_iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            self.0 += comma;
            self.0 += &number.to_string();
        }
        self
    }

    /// Adds a list of so many parameters, the first of which has this number.
    #[must_use]
    pub fn places(mut self, first: usize, count: usize) -> Self {
        for place in first..first + count {
            let comma = if place > first { ", " } else { "" };
            self.0 += comma;
            self.0 += "?";
            self.0 += &place.to_string();
        }
        self
    }
}

impl From<&'static str> for Statement {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl Add<&'static str> for Statement {
    type Output = Self;

    fn add(mut self, text: &'static str) -> Self {
        self.0.push_str(text);
        self
    }
}

impl Add<i64> for Statement {
    type Output = Self;

    fn add(self, number: i64) -> Self {
        self.list([number])
    }
}

impl Add<usize> for Statement {
    type Output = Self;

    fn add(mut self, number: usize) -> Self {
        self.0.push_str(&number.to_string());
        self
    }
}

impl Add for Statement {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_its_own_spelling() {
        let statement = Statement::from("SELECT a FROM ledger.runs WHERE b IN (").places(2, 2)
            + ") AND c IN ("
            + Statement::from("").list([7, -1])
            + ") LIMIT "
            + 10_usize;
        let sqlite = "SELECT a FROM switchback_runs WHERE b IN (?2, ?3) AND c IN (7, -1) LIMIT 10";
        assert_eq!(statement.spelled("switchback_", "?"), sqlite);
        let postgres =
            "SELECT a FROM switchback.runs WHERE b IN ($2, $3) AND c IN (7, -1) LIMIT 10";
        assert_eq!(statement.spelled("switchback.", "$"), postgres);
    }
}
