//! Changes bytes at random, the same way for the same seed.

/// The longest input that is made.
const LONGEST: usize = 1 << 16;

/// Pieces that many readers give a meaning to.
const PIECES: [&[u8]; 40] = [
    b"\"",
    b"'",
    b"\\",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\t",
    b",",
    b";",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"---\n",
    b"```\n",
    b"# ",
    b"- ",
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"9223372036854775808",
    b"0.1",
    b"\\u0000",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xae",
    b"%00",
    b"%",
    b"../",
    b"&*a",
    b"!!",
    b"::",
    b"\x1b[2J",
];

/// A source of random numbers that can be had again (splitmix64), and what it does to bytes.
#[derive(Debug, Clone)]
pub struct Mutator(u64);

impl Mutator {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from((word ^ (word >> 31)) % end).unwrap_or_default()
    }

    /// Makes an input of one that is there.
    pub fn mutate(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(pool).to_vec();
        for _ in 0..=self.below(6) {
            self.step(&mut bytes, pool);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn one_of<'a>(&mut self, pool: &'a [Vec<u8>]) -> &'a [u8] {
        let place = self.below(pool.len());
        pool.get(place).map_or(&[], Vec::as_slice)
    }

    /// Returns a stretch of the bytes.
    fn stretch(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let begin = self.below(bytes.len() + 1);
        let most = (bytes.len() - begin).min(1 << self.below(12));
        begin..begin + self.below(most + 1)
    }

    fn step(&mut self, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let range = self.stretch(bytes);
        let at = range.start;
        match self.below(9) {
            0 => drop(bytes.drain(range)),
            1 => {
                let piece = PIECES[self.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            2 => {
                let piece = PIECES[self.below(PIECES.len())];
                bytes.splice(range, piece.iter().copied());
            }
            // A stretch once more, or many times.
            3 => {
                let copy = bytes[range].to_vec();
                let times = if self.below(8) == 0 { 300 } else { 1 };
                let times = times.min(LONGEST / copy.len().max(1));
                bytes.splice(at..at, copy.repeat(times));
            }
            // A stretch of another input.
            4 => {
                let other = self.one_of(pool);
                let from = self.stretch(other);
                bytes.splice(range, other[from].iter().copied());
            }
            5 => bytes.truncate(at),
            6 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            7 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(self.below(256)).unwrap_or_default();
                }
            }
            // A digit: lengths and numbers.
            _ => {
                let digits: Vec<usize> = (0..bytes.len())
                    .filter(|place| bytes[*place].is_ascii_digit())
                    .collect();
                if !digits.is_empty() {
                    let place = digits[self.below(digits.len())];
                    bytes[place] = b"0123456789"[self.below(10)];
                }
            }
        }
    }
}
