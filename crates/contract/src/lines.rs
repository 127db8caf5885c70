//! What a seal says of the lines before it, so that the next stage can tell whether they were edited.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

/// The sum of the record lines of a stream: the first 16 bytes of the SHA-256 of each line (without its line
/// feed), big-endian, added modulo 2^128. The order of the lines does not matter. It is written as 32
/// lower-case hex digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineSum(u128);

impl LineSum {
    /// Adds a line, given without its line feed.
    pub fn add(&mut self, line: &[u8]) {
        let hash = u128::from_be_bytes(Digest::of(line).short());
        self.0 = self.0.wrapping_add(hash);
    }
}

impl Serialize for LineSum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for LineSum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let sum = u128::from_str_radix(&hex, 16).ok();
        sum.filter(|_| hex.len() == 32 && hex.bytes().all(digits))
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a sum of lines is 32 lower-case hex digits"))
    }
}

/// Whether record lines were changed between two stages. In JSON: `false`, `true` or `"unknown"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edited {
    /// As many lines as the seal says, with the same sum.
    #[default]
    No,
    /// Another number of lines, or a seal without a sum: those that are left may have been edited or not.
    Unknown,
    /// As many lines as the seal says, with another sum.
    Yes,
}

impl Edited {
    /// Tells whether nothing was edited: the seal then leaves the key out.
    #[must_use]
    pub fn is_no(&self) -> bool {
        *self == Self::No
    }
}

impl Serialize for Edited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Yes => serializer.serialize_bool(true),
            Self::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

impl<'de> Deserialize<'de> for Edited {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Known(bool),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Known(false) => Ok(Self::No),
            Written::Known(true) => Ok(Self::Yes),
            Written::Word(word) if word == "unknown" => Ok(Self::Unknown),
            Written::Word(word) => Err(serde::de::Error::custom(format!(
                "edited is false, true or \"unknown\", not {word:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_does_not_depend_on_the_order_of_lines_and_reads_back() {
        let sum = |lines: &[&str]| {
            let mut sum = LineSum::default();
            for line in lines {
                sum.add(line.as_bytes());
            }
            sum
        };
        assert_eq!(sum(&["a", "b"]), sum(&["b", "a"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a", "c"]));
        let json = serde_json::to_string(&sum(&["a", "b"])).unwrap();
        assert_eq!(
            serde_json::from_str::<LineSum>(&json).unwrap(),
            sum(&["a", "b"])
        );
        assert!(serde_json::from_str::<LineSum>("\"+0000000000000000000000000000000\"").is_err());
    }

    #[test]
    fn edited_has_three_words() {
        for (edited, json) in [
            (Edited::No, "false"),
            (Edited::Yes, "true"),
            (Edited::Unknown, "\"unknown\""),
        ] {
            assert_eq!(serde_json::to_string(&edited).unwrap(), json);
            assert_eq!(serde_json::from_str::<Edited>(json).unwrap(), edited);
        }
        assert!(serde_json::from_str::<Edited>("\"perhaps\"").is_err());
    }
}
