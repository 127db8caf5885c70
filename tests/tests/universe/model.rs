//! What a rollback owes, made of the states alone: before the run, as the run left it, as people left it, after.

use std::collections::{BTreeMap, BTreeSet};

use crate::state::{Rows, State};
use crate::world::Rules;

/// What the judgement needs.
pub struct Undo<'a> {
    pub rules: &'a Rules,
    pub before: &'a State,
    pub left: &'a State,
    pub edited: &'a State,
    pub after: &'a State,
    /// Table and key of what rollback names as left in place.
    pub named: &'a BTreeSet<(String, String)>,
    /// Whether what people changed of the run's is taken back all the same.
    pub force: bool,
}

pub type Key = Vec<String>;
/// Column -> cell.
pub type Cells<'a> = BTreeMap<&'a str, &'a str>;

fn row<'a>(table: Option<&'a Rows>, key: &Key) -> Option<Cells<'a>> {
    let table = table?;
    let cells = table.cells.get(key)?;
    Some(
        table
            .columns
            .iter()
            .map(String::as_str)
            .zip(cells.iter().map(String::as_str))
            .collect(),
    )
}

/// The cells of columns that were there before, where the row was.
fn shared_cells<'a>(
    cells: Option<Cells<'a>>,
    was_there: bool,
    columns: &BTreeSet<String>,
) -> Option<Cells<'a>> {
    let mut cells = cells?;
    cells.retain(|column, _| !was_there || columns.contains(*column));
    Some(cells)
}

impl Undo<'_> {
    /// Checks every row of every table, and returns how many stay as people left them.
    pub fn check(&self) -> Result<usize, String> {
        let mut kept = 0;
        let names: BTreeSet<&String> = [self.before, self.left, self.edited, self.after]
            .into_iter()
            .flat_map(|state| state.tables.keys())
            .collect();
        for name in names {
            if self.rules.outside.contains(name)
                || name == "sqlite_sequence"
                || self
                    .rules
                    .keeps
                    .as_ref()
                    .is_some_and(|(table, _)| table == name)
            {
                continue;
            }
            let tables = [self.before, self.left, self.edited, self.after]
                .map(|state| state.tables.get(name));
            let keys: BTreeSet<&Key> = tables
                .iter()
                .flatten()
                .flat_map(|table| table.cells.keys())
                .collect();
            kept += self.additions(name, tables)?;
            for key in keys {
                kept += usize::from(self.one(name, key, tables.map(|table| row(table, key)))?);
            }
        }
        Ok(kept)
    }

    /// Counts what the run added to a table and what stays of it, which others gave values, and which is named.
    fn additions(
        &self,
        table: &str,
        [before, _, _, after]: [Option<&Rows>; 4],
    ) -> Result<usize, String> {
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(usize::from(before.is_none() && after.is_some()));
        };
        let stay = after
            .columns
            .iter()
            .filter(|column| before.place(column).is_none());
        let stay: Vec<&String> = stay.collect();
        let touched = self.left.tables != self.edited.tables;
        match stay
            .iter()
            .find(|column| !touched || !self.is_named(table, &vec![(**column).clone()]))
        {
            Some(column) => Err(format!(
                "{table}.{column} stays, for no reason or without a word"
            )),
            None => Ok(stay.len()),
        }
    }

    /// Checks one row: returns whether it stays as people left it.
    fn one(
        &self,
        table: &str,
        key: &Key,
        [before, left, edited, after]: [Option<Cells<'_>>; 4],
    ) -> Result<bool, String> {
        let shown = [&before, &left, &edited, &after].map(|cells| format!("{cells:?}"));
        let wrong = |why: &str| {
            Err(format!(
                "{table} {key:?}: {why}\n  before: {}\n  left:   {}\n  edited: {}\n  after:  {}",
                shown[0], shown[1], shown[2], shown[3]
            ))
        };
        let named = self.is_named(table, key);
        // What the run added to the table is judged as a whole.
        let shared: BTreeSet<String> = before
            .iter()
            .flat_map(|cells| cells.keys().map(|column| (*column).to_owned()))
            .collect();
        let only = |cells| shared_cells(cells, before.is_some(), &shared);
        let [left, edited, after] = [left, edited, after].map(only);
        let stays = match (&edited, &after) {
            (Some(edited), Some(after)) => after
                .iter()
                .all(|(column, cell)| edited.get(column) == Some(cell)),
            (edited, after) => edited.is_none() && after.is_none(),
        };
        if before == left {
            // The run did not touch it: rollback may not either.
            return if stays && !named {
                Ok(false)
            } else {
                wrong("the run did not touch it")
            };
        }
        let clean = self.clean(table, before.as_ref(), left.as_ref(), edited.as_ref());
        let is_clean =
            |expected: &Option<Cells<'_>>| self.same(table, expected.as_ref(), after.as_ref());
        match clean {
            Verdict::Back(expected) if is_clean(&expected) && !named => Ok(false),
            Verdict::Either(expected) if is_clean(&expected) && !named => Ok(false),
            Verdict::Back(_)
                if stays && named && self.is_in_the_way(table, key, before.as_ref()) =>
            {
                Ok(true)
            }
            Verdict::Conflict(expected) if self.force && is_clean(&expected) => Ok(false),
            Verdict::Conflict(_)
                if self.force && !self.is_in_the_way(table, key, before.as_ref()) =>
            {
                wrong("it stays under --force")
            }
            Verdict::Either(_) | Verdict::Conflict(_) | Verdict::Stays if stays && named => {
                Ok(true)
            }
            Verdict::Back(expected) => wrong(&format!("named: {named}, expected {expected:?}")),
            Verdict::Either(expected) => wrong(&format!(
                "named: {named}, expected {expected:?} or as edited"
            )),
            Verdict::Conflict(_) | Verdict::Stays => wrong(&format!(
                "named: {named}, people changed what the run wrote"
            )),
        }
    }

    fn clean<'a>(
        &self,
        table: &str,
        before: Option<&Cells<'a>>,
        left: Option<&Cells<'a>>,
        edited: Option<&Cells<'a>>,
    ) -> Verdict<'a> {
        let key = |column: &str| (table.to_owned(), column.to_owned());
        // An insert wrote what columns have by themselves too; what a trigger made of it is not the run's.
        let strict = |column: &str, cell: &str| {
            let made = !self.rules.touched.contains(&key(column)) || cell == "'made'";
            made && !self.rules.loose.contains(&key(column))
        };
        match (before, left, edited) {
            (_, Some(_), None) => Verdict::Back(None),
            (None, Some(left), Some(edited)) => {
                let changed = left.iter().any(|(column, cell)| {
                    strict(column, cell)
                        && self.untagged(table, column, edited.get(column))
                            != self.untagged(table, column, Some(cell))
                });
                if changed {
                    Verdict::Conflict(None)
                } else {
                    Verdict::Back(None)
                }
            }
            (Some(before), None, None) => Verdict::Back(Some(before.clone())),
            (Some(before), None, Some(edited)) if before == edited => {
                Verdict::Either(Some(before.clone()))
            }
            // Under its key there is a row of others.
            (Some(_), None, Some(_)) => Verdict::Stays,
            (Some(before), Some(left), Some(edited)) => {
                let written = before
                    .keys()
                    .filter(|column| before.get(*column) != left.get(*column));
                let written: Vec<&str> = written.copied().collect();
                let mut expected = edited.clone();
                let mut relisted = false;
                for column in &written {
                    let elements =
                        |cells: &Cells<'a>| self.untagged(table, column, cells.get(column));
                    let as_before = edited.get(column) == before.get(column);
                    let as_left = elements(edited) == elements(left);
                    if !self.is_tagged(table, column) || as_left || as_before {
                        expected.insert(column, before[column]);
                    } else if elements(before) != elements(left) {
                        expected.insert(column, before[column]);
                        relisted = true;
                    }
                    // Else of a list that others changed the tag alone goes.
                }
                // What others fill in, and what the run stamps, comes back with the row.
                for (column, cell) in before {
                    if self.rules.loose.contains(&key(column)) {
                        expected.insert(column, cell);
                    }
                }
                let judged = written.iter().filter(|column| {
                    !self.is_loose(table, column) && !self.is_tagged(table, column)
                });
                let is = |column: &str, cells: &Cells<'_>| edited.get(column) == cells.get(column);
                let judged: Vec<&&str> = judged.collect();
                if relisted {
                    Verdict::Conflict(Some(expected))
                } else if judged.iter().all(|column| is(column, left)) {
                    Verdict::Back(Some(expected))
                } else if judged
                    .iter()
                    .all(|column| is(column, left) || is(column, before))
                {
                    Verdict::Either(Some(expected))
                } else {
                    Verdict::Conflict(Some(expected))
                }
            }
            (None, None, _) => unreachable!("the run touched it"),
        }
    }

    /// The elements of a list column less the runs' tags; of any other column, the cell.
    fn untagged<'a>(&self, table: &str, column: &str, cell: Option<&&'a str>) -> Vec<&'a str> {
        let Some(cell) = cell else { return vec![] };
        if !self.is_tagged(table, column) {
            return vec![*cell];
        }
        let elements = cell
            .trim_matches(['\'', '[', ']', '{', '}'])
            .split(',')
            .map(|element| element.trim_matches('"'));
        elements
            .filter(|element| {
                !element.is_empty() && !element.starts_with("run:") && *element != "NULL"
            })
            .collect()
    }

    fn is_tagged(&self, table: &str, column: &str) -> bool {
        self.rules
            .tags
            .contains(&(table.to_owned(), column.to_owned()))
    }

    fn is_loose(&self, table: &str, column: &str) -> bool {
        let column = (table.to_owned(), column.to_owned());
        self.rules.loose.contains(&column) || self.rules.touched.contains(&column)
    }

    /// Whether a row is as it is expected to be, in the columns that both have but those that triggers fill. Of a
    /// list that people changed the elements count.
    fn same(&self, table: &str, expected: Option<&Cells<'_>>, is: Option<&Cells<'_>>) -> bool {
        let (Some(expected), Some(is)) = (expected, is) else {
            return expected.is_none() && is.is_none();
        };
        expected.iter().all(|(column, cell)| {
            let touched = self
                .rules
                .touched
                .contains(&(table.to_owned(), (*column).to_owned()));
            let tagged = self.is_tagged(table, column) && cell.contains("run:");
            touched
                || is.get(column) == Some(cell)
                || (tagged
                    && self.untagged(table, column, is.get(column))
                        == self.untagged(table, column, Some(cell)))
        })
    }
}

/// What is owed to a row.
enum Verdict<'a> {
    /// This, or nothing; unless something is in the way.
    Back(Option<Cells<'a>>),
    /// This, or that it stays and is named.
    Either(Option<Cells<'a>>),
    /// It stays, and is named, also where that is forced.
    Stays,
    /// It stays, and is named; what it becomes if that is forced.
    Conflict(Option<Cells<'a>>),
}
