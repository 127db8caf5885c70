//! Places in sources, in eight bytes each.

use std::collections::HashMap;
use std::num::NonZeroU64;

use contract::At;

/// Bits of the line; the rest number the file.
const LINE_BITS: u32 = 40;

/// A place: the number of the file, from 1, and the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(NonZeroU64);

/// The files that places are in.
#[derive(Debug, Default)]
pub(crate) struct Files {
    names: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Files {
    /// Packs a place. A line beyond 2^40 is kept as that.
    pub(crate) fn pack(&mut self, at: &At) -> Place {
        let number = if let Some(number) = self.numbers.get(&at.file) {
            *number
        } else {
            self.names.push(at.file.clone());
            let number = self.names.len() as u64;
            self.numbers.insert(at.file.clone(), number);
            number
        };
        let packed = number << LINE_BITS | at.line.min((1 << LINE_BITS) - 1);
        Place(NonZeroU64::new(packed).unwrap_or(NonZeroU64::MAX))
    }

    /// Says a place as `file:line`.
    pub(crate) fn show(&self, place: Place) -> String {
        let packed = place.0.get();
        let name = usize::try_from((packed >> LINE_BITS) - 1)
            .ok()
            .and_then(|number| self.names.get(number));
        let line = packed & ((1 << LINE_BITS) - 1);
        format!("{}:{line}", name.map_or("?", String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let mut files = Files::default();
        let places: Vec<_> = [("a", 1), ("b/c", 70_000_000_000), ("a", 3)]
            .map(|(file, line)| {
                files.pack(&At {
                    file: file.into(),
                    line,
                    item: None,
                })
            })
            .into();
        let shown: Vec<_> = places.iter().map(|place| files.show(*place)).collect();
        assert_eq!(shown, ["a:1", "b/c:70000000000", "a:3"]);
    }
}
