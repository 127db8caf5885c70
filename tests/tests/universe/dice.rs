//! Choices that can be had again.

use tests::Seed;

/// A sequence of choices that depends on nothing but its number.
#[derive(Debug)]
pub struct Dice(Seed);

impl Dice {
    /// Starts the sequence of a round.
    pub fn of(round: u64) -> Self {
        Self(Seed::fixed(round.wrapping_mul(0x9e37_79b9)))
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end as u64)).unwrap()
    }

    /// Says yes in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Takes one of a list.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Takes one out of a list that holds it as it is.
    pub fn one_of<const N: usize, T>(&mut self, from: [T; N]) -> T {
        let place = self.below(N);
        from.into_iter().nth(place).unwrap()
    }

    /// Takes each of a range with so many of a hundred, in order.
    pub fn some(&mut self, from: std::ops::Range<usize>, percent: usize) -> Vec<usize> {
        from.filter(|_| self.chance(percent)).collect()
    }
}
