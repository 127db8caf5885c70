//! Rows that were written beside those that a statement was to write: triggers did that, or the actions
//! of foreign keys. Nothing of it is in the ledger, so that nothing of it can be taken back.

/// Rows that were written beside those that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The table that was written to when they were.
    pub of: String,
    /// Their table.
    pub table: String,
    /// How many; 0: the table as a whole was emptied, made or altered.
    pub rows: u64,
    /// The triggers that did it, or may have done it; none where a foreign key's action did.
    pub triggers: Vec<String>,
}

impl Stray {
    /// Says it in words.
    #[must_use]
    pub fn message(&self) -> String {
        let Self {
            of,
            table,
            rows,
            triggers,
        } = self;
        let other = if of == table { "other " } else { "" };
        let what = match rows {
            0 => format!("{table} as a whole (it was emptied, made or altered)"),
            1 => format!("1 {other}row of {table}"),
            rows => format!("{rows} {other}rows of {table}"),
        };
        let named: Vec<String> = triggers.iter().map(|name| format!("`{name}`")).collect();
        match named.as_slice() {
            [] => format!("a foreign key's action wrote {what}, when {of} was written"),
            [one] => format!("trigger {one} wrote {what}, when {of} was written"),
            several => format!(
                "one of the triggers {} wrote {what}, when {of} was written",
                several.join(", ")
            ),
        }
    }

    /// Says what all of them are and that the plan does not accept it; there is at least one.
    #[must_use]
    pub fn all(strays: &[Self]) -> String {
        let words: Vec<String> = strays.iter().map(Self::message).collect();
        let cure = if strays.iter().any(|stray| !stray.triggers.is_empty()) {
            ": accept it by name in `accept_triggers`"
        } else {
            ""
        };
        format!("{}; rollback can't take that back{cure}", words.join("; "))
    }
}
