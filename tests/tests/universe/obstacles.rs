//! What keeps a row from going or from coming back, and what rollback names.

use crate::model::{Cells, Key, Undo};

impl Undo<'_> {
    /// Whether rollback named a row.
    pub fn is_named(&self, table: &str, key: &Key) -> bool {
        let plain: Vec<String> = key.iter().map(|cell| plain(cell)).collect();
        // In the schema that the run is in a table is called by its name alone, too.
        let inside = table
            .strip_prefix(self.rules.schema)
            .and_then(|rest| rest.strip_prefix('.'));
        let bare = inside.unwrap_or(table);
        [table, bare]
            .iter()
            .any(|name| self.named.contains(&((*name).to_owned(), plain.join(", "))))
    }

    /// Whether something that is there in the end keeps a row from going or from coming back.
    pub fn is_in_the_way(&self, table: &str, key: &Key, before: Option<&Cells<'_>>) -> bool {
        let after = |name: &str| self.after.tables.get(name);
        let depends = self.rules.refs.iter().any(|[child, column, parent, to]| {
            parent == table
                && after(child)
                    .zip(after(parent))
                    .is_some_and(|(children, parents)| {
                        let Some(value) = parents
                            .cells
                            .get(key)
                            .and_then(|cells| cells.get(parents.place(to)?))
                        else {
                            return false;
                        };
                        let place = children.place(column);
                        children
                            .cells
                            .values()
                            .any(|cells| place.is_some_and(|place| cells[place] == *value))
                    })
        });
        let Some(before) = before else { return depends };
        let lost = self.rules.refs.iter().any(|[child, column, parent, to]| {
            let value = before.get(column.as_str()).copied().unwrap_or("NULL");
            child == table
                && value != "NULL"
                && after(parent).is_none_or(|parents| {
                    let place = parents.place(to);
                    !parents
                        .cells
                        .values()
                        .any(|cells| place.is_some_and(|place| cells[place] == value))
                })
        });
        let taken = self.rules.uniques.iter().any(|(name, columns)| {
            name == table
                && after(name).is_some_and(|rows| {
                    rows.cells.iter().any(|(other, cells)| {
                        other != key
                            && columns.iter().all(|column| {
                                let value = before.get(column.as_str()).copied().unwrap_or("NULL");
                                value != "NULL"
                                    && rows
                                        .place(column)
                                        .is_some_and(|place| cells[place] == value)
                            })
                    })
                })
        });
        depends || lost || taken
    }
}

/// A literal as a message shows it.
fn plain(literal: &str) -> String {
    literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .map_or_else(|| literal.to_owned(), |text| text.replace("''", "'"))
}
