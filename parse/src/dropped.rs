//! Source columns that are never carried: taken out of each item before anything reads it.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::reject::MASK;

use crate::item::{Body, Header, Item};

/// The columns that the plan drops from the items of an entity.
#[derive(Debug, Default)]
pub(crate) struct Dropped<'a> {
    names: &'a [String],
    /// Those that some item had.
    found: BTreeSet<&'a str>,
    /// The header of the file in hand, as it was read and without them.
    header: Option<(Arc<Header>, Arc<Header>)>,
}

impl<'a> Dropped<'a> {
    pub(crate) fn new(names: &'a [String]) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// Takes them out of an item. Its text goes with them: where they stand in it can't be told for sure.
    pub(crate) fn take_out(&mut self, item: &mut Item) {
        if self.names.is_empty() {
            return;
        }
        MASK.clone_into(&mut item.raw);
        match &mut item.body {
            Body::Row(header, cells) => {
                let known = self.header.take();
                let known = known.filter(|(read, _)| Arc::ptr_eq(read, header));
                let (read, rest) = known.unwrap_or_else(|| {
                    let rest = header.without(self.names);
                    (header.clone(), Arc::new(rest))
                });
                for name in self.names {
                    if let Some(place) = read.position(name) {
                        self.found.insert(name);
                        if let Some(cell) = cells.get_mut(place) {
                            cell.clear();
                        }
                    }
                }
                *header = rest.clone();
                self.header = Some((read, rest));
            }
            Body::Tree(members) => {
                for name in self.names {
                    if members.shift_remove(name).is_some() {
                        self.found.insert(name);
                    }
                }
            }
        }
    }

    /// Returns the names that no item had.
    pub(crate) fn missing(&self) -> Vec<&'a str> {
        let names = self.names.iter().map(String::as_str);
        names.filter(|name| !self.found.contains(name)).collect()
    }
}
