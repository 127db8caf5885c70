//! What a row that the run changed must hold again, column by column: by the ledger's images, without
//! the code that undid the run.

use std::collections::BTreeMap;

use contract::plan::{ListOut, Plan, TagForm};
use serde_json::Value;
use store::ledger::{self, Change, Run};
use store::{Cell, Row, Sql, StoreError, Table};

use crate::proof::moves;

/// What the run did to a column: what was there before, and what it left where that is known.
struct Image {
    before: Cell,
    left: Option<Cell>,
}

/// The tag that the run added to a list column of a table.
struct Tag {
    column: String,
    text: String,
    separator: Option<String>,
}

/// Returns the columns that the run changed and that are not what they were before it. `places`: where
/// the columns of the change's shape are in the live table.
pub(crate) fn wrong_columns(
    sql: &mut dyn Sql,
    run: &Run,
    plan: &Plan,
    (table, places): (&Table, &[Option<usize>]),
    first: &Change,
    now: &Row,
) -> Result<Vec<String>, StoreError> {
    let tags = Tag::of(plan, table, &run.id);
    let mut wrong = Vec::new();
    for (of_shape, image) in images(sql, run, first)? {
        let Some(Some(place)) = places.get(of_shape) else {
            continue;
        };
        let (column, now) = (&table.columns[*place], &now[*place]);
        if *now == image.before || column.generated {
            continue;
        }
        let mut of_column = tags.iter().filter(|tag| tag.column == column.name);
        if !of_column.any(|tag| tag.is_all(&image) && tag.is_off(now, &image.before)) {
            wrong.push(column.name.clone());
        }
    }
    Ok(wrong)
}

/// Reads what the run did to each column of a row, by place in the shape, over all its changes of it.
fn images(
    sql: &mut dyn Sql,
    run: &Run,
    first: &Change,
) -> Result<BTreeMap<usize, Image>, StoreError> {
    let mut images = BTreeMap::new();
    add(&mut images, first);
    let mut later = first.later;
    while let Some(seq) = later {
        let change = ledger::change(sql, run.seq, seq)?;
        let Some(change) = change.filter(|change| !moves(change)) else {
            break;
        };
        add(&mut images, &change);
        later = change.later;
    }
    Ok(images)
}

fn add(images: &mut BTreeMap<usize, Image>, change: &Change) {
    for (place, before, left) in change.images() {
        let left = left.cloned();
        if let Some(image) = images.get_mut(&place) {
            image.left = left;
        } else {
            let before = before.clone();
            images.insert(place, Image { before, left });
        }
    }
}

impl Tag {
    /// The tags that the plan gives rows of a table.
    fn of(plan: &Plan, table: &Table, run: &str) -> Vec<Self> {
        let entities = plan.entity.iter();
        let of_table = entities.filter(|entity| table.name.eq_ignore_ascii_case(&entity.table));
        let tag = of_table.filter_map(|entity| {
            let tag = entity.tag.as_ref()?;
            let run = match tag.form {
                TagForm::Simple => run.replace('-', ""),
                TagForm::Hyphenated => run.to_owned(),
            };
            let field = entity.fields.get(&tag.column);
            let separator = match field.and_then(|field| field.store.as_ref()) {
                Some(ListOut::Separated(separator)) => Some(separator.clone()),
                _ => None,
            };
            Some(Self {
                column: tag.column.clone(),
                text: tag.text.replace("{run}", &run),
                separator,
            })
        });
        tag.collect()
    }

    /// Tells whether the tag is all that the run did to the column: its elements, less the tag, are those
    /// of before.
    fn is_all(&self, image: &Image) -> bool {
        let (Some(before), Some(mut left)) = (
            self.elements(&image.before),
            image.left.as_ref().and_then(|left| self.elements(left)),
        ) else {
            return false;
        };
        let count = left.len();
        left.retain(|item| item.as_str() != Some(&self.text));
        left.len() < count && left == before
    }

    /// Tells whether the tag is gone from a list that others changed. One with the elements of before
    /// would have to be that very one.
    fn is_off(&self, now: &Cell, before: &Cell) -> bool {
        let items = self.elements(now);
        let tagged =
            |items: &Vec<Value>| items.iter().any(|item| item.as_str() == Some(&self.text));
        let same = !now.is_null() && items == self.elements(before);
        !same && !items.as_ref().is_some_and(tagged)
    }

    fn elements(&self, cell: &Cell) -> Option<Vec<Value>> {
        match (cell, &self.separator) {
            (Cell::Null, _) => Some(vec![]),
            (Cell::Text(text), Some(_)) if text.is_empty() => Some(vec![]),
            (Cell::Text(text), Some(separator)) => {
                Some(text.split(separator.as_str()).map(Value::from).collect())
            }
            (Cell::Text(text), None) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}
