//! How the rows that a run touched lie in the live tables.

use contract::plan::{Entity, Field, Plan};

use super::tag::{Tag, Untagged};
use crate::cell::row_hash;
use crate::ledger::{Added, Format, Run, Shape};
use crate::{Binding, Cell, Image, Key, Row, Sql, StoreError, Table, fold_unplanned};

/// A column that undo may have to set back, by its position in the live table.
#[derive(Debug)]
pub(super) struct Former {
    pub place: usize,
    /// What it held before.
    pub before: Cell,
    /// What the run left in it, where that is known.
    pub left: Option<Cell>,
}

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
    format: Format,
}

impl Layout {
    /// Finds the table of a shape again. Columns that were added since do no harm; what is missing
    /// is refused by name, but for what the run itself added.
    pub fn new(
        sql: &mut dyn Sql,
        shape: &Shape,
        entity: Option<&Entity>,
        (run, plan, added): (&Run, &Plan, &[Added]),
    ) -> Result<Self, StoreError> {
        let table = shape.live(sql)?.ok_or_else(|| {
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
            Some(entity) => {
                let entity = Added::without(&gone, entity, &table);
                let bound = Binding::bind(&entity, table.clone());
                Some(bound.map_err(|problems| StoreError::refused(problems.join("; ")))?)
            }
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
                binding.tag_text(&run.id)?,
                binding.field(place),
            ))
        });
        let fields = columns.clone().map(field).collect();
        let loose = columns.map(loose).collect();
        let mut table = table;
        if run.format == Format::Two {
            fold_unplanned(&mut table, plan);
        }
        Ok(Self {
            key,
            places,
            shape: shape.clone(),
            gone,
            fields,
            loose,
            tag,
            table,
            format: run.format,
        })
    }

    /// Returns the hash of a whole row as the run would have taken it.
    pub fn hash(&self, row: &Row) -> [u8; 16] {
        let straight = |(at, place): (usize, &Option<usize>)| *place == Some(at);
        if self.places.len() == row.len() && self.places.iter().enumerate().all(straight) {
            return row_hash(self.format, row);
        }
        let row = Added::row_of_shape(&self.gone, &self.shape, &self.places, row);
        row_hash(self.format, &row)
    }

    /// Returns an image with the positions of the live table, without what is gone.
    pub fn image(&self, image: &Image) -> Result<Vec<(usize, Cell)>, StoreError> {
        let mut cells = Vec::with_capacity(image.0.len());
        for (place, cell) in &image.0 {
            cells.extend(self.place(*place)?.map(|place| (place, cell.clone())));
        }
        Ok(cells)
    }

    /// Returns the columns of before-images, with the positions of the live table, without what is gone.
    pub fn formers<'a>(
        &self,
        images: impl IntoIterator<Item = (usize, &'a Cell, Option<&'a Cell>)>,
    ) -> Result<Vec<Former>, StoreError> {
        let mut formers = Vec::new();
        for (of_shape, before, left) in images {
            formers.extend(self.place(of_shape)?.map(|place| Former {
                place,
                before: before.clone(),
                left: left.cloned(),
            }));
        }
        Ok(formers)
    }

    /// Decides what becomes of a list that the run added its tag to; `None` of any other column.
    pub fn untagged(&self, former: &Former, now: &Cell) -> Option<Untagged> {
        let left = former.left.as_ref()?;
        let tag = self
            .tag
            .as_ref()
            .filter(|tag| tag.place == former.place && tag.is_added(&former.before, left))?;
        Some(tag.undone(&former.before, left, now))
    }

    /// Returns the position of a column of the shape; none where the run added it and it is gone.
    pub fn place(&self, of_shape: usize) -> Result<Option<usize>, StoreError> {
        self.places.get(of_shape).copied().ok_or_else(|| {
            StoreError::damaged(format!("{} has no column {of_shape}", self.table.name))
        })
    }

    /// Tells whether a column of the shape is secret.
    pub fn is_secret(&self, of_shape: usize) -> bool {
        let place = self.places.get(of_shape).copied().flatten();
        place.is_some_and(|place| {
            self.fields[place]
                .as_ref()
                .is_some_and(|field| field.secret)
        })
    }

    /// Returns the key of a row.
    pub fn key_of(&self, row: &Row) -> Key {
        Key(self.key.iter().map(|place| row[*place].clone()).collect())
    }
}
