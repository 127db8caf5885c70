//! Which records are looked at, and how likely a fault is to be missed.

use std::collections::BinaryHeap;

use contract::bundle::{Bundle, BundleError};
use contract::talk::counted;
use contract::{Digest, Record};

/// A sample of a bundle's records, drawn by hash: the same seed draws the same records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Records whose draw is at most this are in.
    limit: u64,
    seed: u64,
    /// Records in the sample.
    pub size: u64,
    /// Records in the bundle.
    pub total: u64,
}

impl Sample {
    /// Draws `size` records, or all where there are no more. Reads the bundle once; remembers 8
    /// bytes for each record of the sample.
    pub(crate) fn draw(bundle: &Bundle, size: u64, seed: u64) -> Result<Self, BundleError> {
        let mut lowest = BinaryHeap::new();
        let mut total = 0;
        for file in &bundle.manifest().records {
            for segment in bundle.segments(file)? {
                for record in segment? {
                    total += 1;
                    lowest.push(draw(seed, &record));
                    if lowest.len() as u64 > size {
                        lowest.pop();
                    }
                }
            }
        }
        Ok(Self {
            limit: lowest.peek().copied().unwrap_or(0),
            seed,
            size: lowest.len() as u64,
            total,
        })
    }

    pub(crate) fn holds(&self, record: &Record) -> bool {
        draw(self.seed, record) <= self.limit
    }

    /// Says what the sample can miss.
    pub(crate) fn words(&self) -> String {
        let percent = |bad: u64| format!("{:.1} %", 100.0 * miss(self.total, self.size, bad));
        format!(
            "a sample of {} of {}: it misses a fault in one record with a chance of {}, faults in 1 % of them with {}",
            self.size,
            counted(self.total, "record"),
            percent(1),
            percent(self.total.div_ceil(100))
        )
    }
}

fn draw(seed: u64, record: &Record) -> u64 {
    let name = contract::key::join(&[&seed.to_string(), &record.entity, &record.key]);
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(name.as_bytes()).bytes()[..8]);
    u64::from_be_bytes(first)
}

/// The chance that a sample of `size` out of `total` holds none of `bad` records.
#[expect(
    clippy::cast_precision_loss,
    reason = "a chance that people read; counts are far below 2^53"
)]
fn miss(total: u64, size: u64, bad: u64) -> f64 {
    let bad = bad.min(total);
    // One factor for each bad record: it is among those that were not drawn.
    (0..bad)
        .map(|place| total.saturating_sub(size + place) as f64 / (total - place) as f64)
        .product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_to_miss_is_that_of_drawing_without_putting_back() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(miss(100, 10, 1), 0.9);
        near(miss(4, 2, 2), 1.0 / 6.0);
        near(miss(100, 100, 1), 0.0);
        near(miss(3, 2, 2), 0.0);
    }
}
