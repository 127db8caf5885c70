//! Which column of a record the target refused: it says so of few errors.

use contract::Record;

use super::{Bound, Writer};
use crate::{About, Cell, Engine, StoreError};

impl<E: Engine> Writer<E> {
    /// Returns the column whose value the target refused, if that can be told.
    pub(super) fn column_at_fault(
        &mut self,
        bound: &Bound,
        record: &Record,
        late: bool,
        about: &About,
    ) -> Result<Option<String>, StoreError> {
        let found = self.aside(|writer| writer.find_column(bound, record, late, about))?;
        let column = |place: usize| bound.binding.table.columns[place].name.clone();
        Ok(found.flatten().map(column))
    }

    fn find_column(
        &mut self,
        bound: &Bound,
        record: &Record,
        late: bool,
        about: &About,
    ) -> Result<Option<usize>, StoreError> {
        let table = &bound.binding.table;
        // A trigger may have written elsewhere.
        let own = |name: &String| {
            table.name == *name
                || table
                    .name
                    .rsplit_once('.')
                    .is_some_and(|(_, own)| own == name)
        };
        if !about.table.as_ref().is_none_or(own) {
            return Ok(None);
        }
        if let Some(place) = about.column.as_ref().and_then(|name| table.position(name)) {
            return Ok(Some(place));
        }
        let cells = self.cells_of(bound, record, late)?;
        if let Some(constraint) = &about.constraint {
            let columns = self.engine.columns_of(table, constraint)?;
            match columns.as_slice() {
                // That of a domain is no table's.
                [] => {}
                [only] => return Ok(Some(*only)),
                // An index takes no entry of more than some bytes: the longest value is too long.
                many if about.code == "54000" => return Ok(longest(&cells, many)),
                _ => return Ok(None),
            }
        }
        let data = about.code.starts_with("22") || about.code.starts_with("23");
        if data && !about.code.is_empty() {
            return self.engine.first_refused(table, &cells);
        }
        Ok(None)
    }

    /// The cells that a record would write.
    fn cells_of(
        &mut self,
        bound: &Bound,
        record: &Record,
        late: bool,
    ) -> Result<Vec<(usize, Cell)>, StoreError> {
        let id = bound.binding.id.map(|(place, _)| place);
        let own = self.own_id(bound, record).filter(|_| !late);
        let mut cells: Vec<(usize, Cell)> = id.zip(own).into_iter().collect();
        if let Some(Ok(wanted)) = self.wanted(bound, &[record], late)?.pop() {
            cells.extend(wanted.into_iter().map(|wanted| (wanted.place, wanted.cell)));
        }
        Ok(cells)
    }

    /// Reads something in a savepoint that is undone; none where the target refuses to answer.
    pub(super) fn aside<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.engine.savepoint("aside")?;
        let found = read(self);
        self.engine.undo_to("aside")?;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::Constraint { .. } | StoreError::Statement { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The place of the longest value among some columns.
fn longest(cells: &[(usize, Cell)], among: &[usize]) -> Option<usize> {
    let length = |cell: &Cell| match cell {
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) | Cell::Raw(bytes) => bytes.len(),
        Cell::Null | Cell::Int(_) | Cell::Real(_) | Cell::Folded(_) => 0,
    };
    cells
        .iter()
        .filter(|(place, _)| among.contains(place))
        .max_by_key(|(_, cell)| length(cell))
        .map(|(place, _)| *place)
}
