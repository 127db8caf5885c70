//! How the rows that a run touched lie in the live tables.

use contract::plan::{Entity, Field};

use super::tag::Tag;
use crate::cell::row_hash;
use crate::ledger::{Added, Shape};
use crate::{Binding, Cell, Image, Key, Row, Sql, StoreError, Table};

/// A table as the run saw it, found again in the live one. Positions are those of the live table
/// unless they are said to be of the shape.
#[derive(Debug)]
pub(super) struct Layout {
    pub table: Table,
    pub key: Vec<usize>,
    /// Position in the shape -> position; none of a column that the run added and that is gone.
    places: Vec<Option<usize>>,
    shape: Shape,
    /// What the run added, where some of it is gone.
    gone: Vec<Added>,
    /// What the plan says of each column.
    pub fields: Vec<Option<Field>>,
    /// Columns that never conflict.
    pub loose: Vec<bool>,
    pub tag: Option<Tag>,
}

impl Layout {
    /// Finds the table of a shape again. Columns that were added since do no harm; what is missing
    /// is refused by name, but for what the run itself added.
    pub fn new(
        sql: &mut dyn Sql,
        shape: &Shape,
        entity: Option<&Entity>,
        (run, added): (&str, &[Added]),
    ) -> Result<Self, StoreError> {
        let table = sql.table(&shape.table)?.ok_or_else(|| {
            StoreError::refused(format!("table {} is missing since the run", shape.table))
        })?;
        let place = |name: &String| {
            let place = table.position(name);
            if place.is_none() && Added::initial_of(added, &shape.table, name).is_none() {
                return Err(StoreError::refused(format!(
                    "column `{name}` of {} is missing since the run: what it held can't be restored",
                    shape.table
                )));
            }
            Ok(place)
        };
        let places: Vec<Option<usize>> =
            shape.columns.iter().map(place).collect::<Result<_, _>>()?;
        let key = shape.key.iter().map(place).collect::<Result<_, _>>()?;
        let key: Option<Vec<usize>> = key;
        let key = key.ok_or_else(|| {
            StoreError::refused(format!(
                "the key of {} is missing since the run",
                shape.table
            ))
        })?;
        let gone: Vec<Added> = if places.contains(&None) {
            added.to_vec()
        } else {
            vec![]
        };
        let binding = match entity {
            Some(entity) => Some(
                Binding::new(sql, &Added::without(&gone, entity, &table))?
                    .map_err(|problems| StoreError::refused(problems.join("; ")))?,
            ),
            None => None,
        };
        let columns = 0..table.columns.len();
        let field = |place: usize| binding.as_ref()?.field(place).cloned();
        let loose = |place: usize| {
            table.columns[place].generated
                || binding
                    .as_ref()
                    .is_some_and(|binding| binding.is_loose(place))
        };
        let tag = binding.as_ref().and_then(|binding| {
            let place = binding.tag?;
            Some(Tag::new(
                place,
                binding.tag_text(run)?,
                binding.field(place),
            ))
        });
        Ok(Self {
            key,
            places,
            shape: shape.clone(),
            gone,
            fields: columns.clone().map(field).collect(),
            loose: columns.map(loose).collect(),
            tag,
            table,
        })
    }

    /// Returns the hash of a whole row as the run would have taken it.
    pub fn hash(&self, row: &Row) -> [u8; 16] {
        let straight = |(at, place): (usize, &Option<usize>)| *place == Some(at);
        if self.places.len() == row.len() && self.places.iter().enumerate().all(straight) {
            return row_hash(row);
        }
        row_hash(&Added::row_of_shape(
            &self.gone,
            &self.shape,
            &self.places,
            row,
        ))
    }

    /// Returns an image with the positions of the live table, without what is gone.
    pub fn image(&self, image: &Image) -> Result<Vec<(usize, Cell)>, StoreError> {
        let mut cells = Vec::with_capacity(image.0.len());
        for (place, cell) in &image.0 {
            cells.extend(self.place(*place)?.map(|place| (place, cell.clone())));
        }
        Ok(cells)
    }

    /// Returns the position of a column of the shape; none where the run added it and it is gone.
    pub fn place(&self, of_shape: usize) -> Result<Option<usize>, StoreError> {
        self.places.get(of_shape).copied().ok_or_else(|| {
            StoreError::damaged(format!("{} has no column {of_shape}", self.table.name))
        })
    }

    /// Returns the key of a row.
    pub fn key_of(&self, row: &Row) -> Key {
        Key(self.key.iter().map(|place| row[*place].clone()).collect())
    }
}
