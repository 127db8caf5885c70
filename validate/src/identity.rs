//! Which records there are, which refer to which, and which fall with others.

use std::collections::HashMap;

use crate::claims::{Sum, sum};
use crate::place::Place;

/// The number of an identity (entity and key), in the order of first mention.
pub(crate) type Id = u32;

/// What is known of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A record refers to it, and that is all.
    Missing,
    /// It is in the input, and nothing is wrong with it so far.
    Good,
    /// It is rejected.
    Bad,
}

/// All identities: 20 bytes each in the table (24 to 48 with its free places), 9 beside it, and
/// 8 for each reference.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    numbers: HashMap<Sum, Id>,
    states: Vec<State>,
    places: Vec<Option<Place>>,
    /// From and to; the top bit of `to` says that it must be in the input.
    references: Vec<(Id, Id)>,
}

const MUST: Id = 1 << 31;

impl Identities {
    /// Enters a record under its identity. The first record decides what becomes of the identity.
    ///
    /// # Errors
    ///
    /// The place of the first record, where there was one.
    pub(crate) fn enter(&mut self, entity: &str, key: &str, place: Place) -> Result<Id, Place> {
        let id = self.mention(entity, key);
        if let Some(first) = self.places[id as usize] {
            return Err(first);
        }
        self.places[id as usize] = Some(place);
        self.states[id as usize] = State::Good;
        Ok(id)
    }

    /// Says that the record of an identity is rejected.
    pub(crate) fn reject(&mut self, id: Id) {
        self.states[id as usize] = State::Bad;
    }

    /// Notes a reference of a record that is good so far; `must` says that what it refers to must
    /// be in the input.
    pub(crate) fn refer(&mut self, from: Id, entity: &str, key: &str, must: bool) {
        let to = self.mention(entity, key);
        if to != from {
            self.references
                .push((from, if must { to | MUST } else { to }));
        }
    }

    /// Rejects, once all records are in, those that refer to what is missing (unless `open`: then
    /// it may be in the target) and then those that refer to rejected ones, and so on.
    pub(crate) fn settle(&mut self, open: bool) {
        let mut referrers = std::mem::take(&mut self.references);
        for (from, to) in &mut referrers {
            let must = *to & MUST != 0;
            *to &= !MUST;
            if must && !open && self.states[*to as usize] == State::Missing {
                self.states[*from as usize] = State::Bad;
            }
        }
        referrers.sort_unstable_by_key(|(_, to)| *to);
        let bad = |(id, state): (usize, &State)| (*state == State::Bad).then_some(id);
        let mut fallen: Vec<usize> = self.states.iter().enumerate().filter_map(bad).collect();
        while let Some(id) = fallen.pop() {
            let first = referrers.partition_point(|(_, to)| (*to as usize) < id);
            for (from, _) in referrers[first..]
                .iter()
                .take_while(|(_, to)| *to as usize == id)
            {
                if self.states[*from as usize] == State::Good {
                    self.states[*from as usize] = State::Bad;
                    fallen.push(*from as usize);
                }
            }
        }
    }

    /// Returns what became of an identity.
    pub(crate) fn state(&self, id: Id) -> State {
        self.states[id as usize]
    }

    /// Returns what became of the identity that a reference names, and where it is.
    pub(crate) fn find(&self, entity: &str, key: &str) -> (State, Option<Place>) {
        match self.numbers.get(&sum(&[entity, key])) {
            Some(id) => (self.states[*id as usize], self.places[*id as usize]),
            None => (State::Missing, None),
        }
    }

    fn mention(&mut self, entity: &str, key: &str) -> Id {
        // Two thousand million identities do not fit into any memory this runs in.
        let next = Id::try_from(self.states.len()).unwrap_or(MUST - 1);
        let id = *self.numbers.entry(sum(&[entity, key])).or_insert(next);
        if id == next {
            self.states.push(State::Missing);
            self.places.push(None);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use contract::At;

    use super::*;
    use crate::place::Files;

    /// Enters `count` records; record n refers to those listed for it.
    fn graph(count: u32, references: &[(u32, u32)], bad: &[u32]) -> Identities {
        let mut all = Identities::default();
        let mut files = Files::default();
        for n in 0..count {
            let place = files.pack(&At {
                file: "f".into(),
                line: n.into(),
                item: None,
            });
            let id = all.enter("e", &n.to_string(), place).unwrap();
            if bad.contains(&n) {
                all.reject(id);
                continue;
            }
            for (_, to) in references.iter().filter(|(from, _)| *from == n) {
                all.refer(id, "e", &to.to_string(), true);
            }
        }
        all
    }

    fn good(all: &Identities, count: u32) -> Vec<u32> {
        (0..count)
            .filter(|n| all.find("e", &n.to_string()).0 == State::Good)
            .collect()
    }

    #[test]
    fn a_chain_of_any_length_and_direction_falls_as_a_whole() {
        let chain: Vec<_> = (0..9_999).map(|n| (n, n + 1)).collect();
        let mut all = graph(10_000, &chain, &[9_999]);
        all.settle(false);
        assert!(good(&all, 10_000).is_empty());
        let back: Vec<_> = (1..10_000).map(|n| (n, n - 1)).collect();
        let mut all = graph(10_000, &back, &[5_000]);
        all.settle(false);
        assert_eq!(good(&all, 10_000).len(), 5_000);
    }

    #[test]
    fn a_circle_stands_unless_one_of_it_falls() {
        let circle = [(0, 1), (1, 2), (2, 0), (3, 3)];
        let mut all = graph(4, &circle, &[]);
        all.settle(false);
        assert_eq!(good(&all, 4), [0, 1, 2, 3]);
        let mut all = graph(4, &circle, &[1]);
        all.settle(false);
        assert_eq!(good(&all, 4), [3]);
    }

    #[test]
    fn what_is_missing_fells_only_where_it_must_be_there() {
        let mut all = graph(2, &[(0, 7), (1, 0)], &[]);
        all.settle(true);
        assert_eq!(good(&all, 2), [0, 1]);
        let mut all = graph(2, &[(0, 7), (1, 0)], &[]);
        all.settle(false);
        assert!(good(&all, 2).is_empty());
    }
}
