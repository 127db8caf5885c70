//! An entity of the plan bound to the live table it goes into.

use contract::plan::{Entity, Field, IdFrom, RunValue, TagForm};

use crate::catalogue::Table;
use crate::ledger::Shape;
use crate::{Cell, Key, Sql, StoreError};

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The record's `fields`.
    Field,
    /// The record's `refs`: the target key of another record.
    Ref,
    /// The record's `lookups`: a code looked up in the target.
    Lookup,
    /// The run.
    Run(RunValue),
}

/// A column that the plan fills.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its position in the table.
    pub place: usize,
    /// What the plan says of it.
    pub field: Field,
    /// Where its value comes from.
    pub from: From,
}

/// An entity bound to its table.
#[derive(Debug, Clone)]
pub struct Binding {
    /// What the plan says.
    pub entity: Entity,
    /// The table.
    pub table: Table,
    /// The columns that identify a row, by position.
    pub key: Vec<usize>,
    /// The id column and where ids come from, if the plan names one.
    pub id: Option<(usize, IdFrom)>,
    /// The columns that the plan fills, in plan order; the id column is not among them.
    pub columns: Vec<Bound>,
    /// `match` columns, by position.
    pub matching: Vec<usize>,
    /// `volatile` columns, by position.
    pub volatile: Vec<usize>,
    /// The list column that gets the run's tag, by position.
    pub tag: Option<usize>,
}

impl Binding {
    /// Binds an entity.
    ///
    /// # Errors
    ///
    /// All that does not fit, one line each: a missing table, missing or generated columns, no
    /// key that identifies a row.
    pub fn new(
        sql: &mut dyn Sql,
        entity: &Entity,
    ) -> Result<Result<Self, Vec<String>>, StoreError> {
        let name = &entity.table;
        let table = match sql.table(name) {
            Ok(Some(table)) => table,
            Ok(None) => {
                let near = contract::plan::nearest(name, sql.tables()?.iter().map(String::as_str))
                    .map(|near| format!(", is `{near}` meant?"));
                let message = format!(
                    "{}: there is no table `{name}`{}",
                    entity.name,
                    near.unwrap_or_default()
                );
                return Ok(Err(vec![message]));
            }
            Err(StoreError::Refused { message }) => {
                return Ok(Err(vec![format!("{}: {message}", entity.name)]));
            }
            Err(other) => return Err(other),
        };
        Ok(Self::bind(entity, table))
    }

    /// Binds an entity to a table, which is or will be its own.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn bind(entity: &Entity, table: Table) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut find = |column: &str| {
            let found = table.position(column);
            if found.is_none() {
                let near = contract::plan::nearest(
                    column,
                    table.columns.iter().map(|column| column.name.as_str()),
                )
                .map(|near| format!(", is `{near}` meant?"));
                let near = near.unwrap_or_default();
                problems.push(format!(
                    "{}: table {} has no column `{column}`{near}",
                    entity.name, table.name
                ));
            }
            found
        };
        let id = entity
            .id
            .as_ref()
            .and_then(|id| Some((find(&id.column)?, id.from)));
        let mut columns = Vec::new();
        for (column, field) in &entity.fields {
            let from = match (&field.run, &field.lookup, &field.reference) {
                (Some(value), ..) => From::Run(*value),
                (_, Some(_), _) => From::Lookup,
                (.., Some(_)) => From::Ref,
                _ => From::Field,
            };
            if let Some(place) = find(column) {
                columns.push(Bound {
                    place,
                    field: field.clone(),
                    from,
                });
            }
        }
        let matching: Vec<usize> = entity
            .matching
            .iter()
            .filter_map(|column| find(column))
            .collect();
        let volatile = entity
            .volatile
            .iter()
            .filter_map(|column| find(column))
            .collect();
        let tag = entity.tag.as_ref().and_then(|tag| find(&tag.column));
        for place in columns
            .iter()
            .map(|bound| bound.place)
            .chain(id.map(|(place, _)| place))
        {
            if table.columns[place].generated {
                let column = &table.columns[place].name;
                problems.push(format!(
                    "{}: {}.{column} is generated: it can't be written",
                    entity.name, table.name
                ));
            }
        }
        let key = match id {
            Some((place, _)) => vec![place],
            None if !table.primary_key.is_empty() => table.primary_key.clone(),
            None => matching.clone(),
        };
        if problems.is_empty() && !table.is_unique(&key) {
            let names: Vec<&str> = key
                .iter()
                .map(|place| table.columns[*place].name.as_str())
                .collect();
            let names = names.join(", ");
            problems.push(format!(
                "{}: no unique key of {} covers ({names}), which is to identify a row",
                entity.name, table.name
            ));
        }
        if problems.is_empty() {
            Ok(Self {
                entity: entity.clone(),
                table,
                key,
                id,
                columns,
                matching,
                volatile,
                tag,
            })
        } else {
            Err(problems)
        }
    }

    /// Returns the shape that changes of this table are written with.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape::of(&self.table, &self.key)
    }

    /// Returns the key of a row.
    #[must_use]
    pub fn key_of(&self, row: &[Cell]) -> Key {
        Key(self.key.iter().map(|place| row[*place].clone()).collect())
    }

    /// Returns what the plan says of a column, if it fills it.
    #[must_use]
    pub fn field(&self, place: usize) -> Option<&Field> {
        self.columns
            .iter()
            .find(|bound| bound.place == place)
            .map(|bound| &bound.field)
    }

    /// Tells whether a column never conflicts and never counts as a difference: the run fills it,
    /// or the plan calls it volatile.
    #[must_use]
    pub fn is_loose(&self, place: usize) -> bool {
        self.volatile.contains(&place)
            || self
                .columns
                .iter()
                .any(|bound| bound.place == place && matches!(bound.from, From::Run(_)))
    }

    /// Returns the tag that a run leaves in the list column.
    #[must_use]
    pub fn tag_text(&self, run: &str) -> Option<String> {
        let tag = self.entity.tag.as_ref()?;
        let run = match tag.form {
            TagForm::Simple => run.replace('-', ""),
            TagForm::Hyphenated => run.to_owned(),
        };
        Some(tag.text.replace("{run}", &run))
    }

    /// Tells whether a list element is the tag of any run.
    #[must_use]
    pub fn is_tag(&self, element: &str) -> bool {
        let Some((head, tail)) = self
            .entity
            .tag
            .as_ref()
            .and_then(|tag| tag.text.split_once("{run}"))
        else {
            return false;
        };
        let inner = element
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(tail));
        inner.is_some_and(|run| matches!(run.len(), 32 | 36) && uuid::Uuid::parse_str(run).is_ok())
    }
}
