//! Random numbers that can be had again.

/// A small generator (splitmix64).
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// Takes `$SEED`, or else always the same number, and prints it: other numbers are drawn on purpose.
    #[must_use]
    pub fn from_env() -> Self {
        let given = std::env::var("SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or(1);
        eprintln!("SEED={seed}");
        Self(seed)
    }

    /// Starts from a fixed number: the same numbers every time.
    #[must_use]
    pub fn fixed(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number from 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end.max(1)
    }
}
