//! Plan values that may be written in two ways: a bare string, or a list or table of them.

use schemars::JsonSchema;
use serde::Deserialize;

/// One name or several: aliases, of which the first that the source has is taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a name, or a list of names")]
pub enum Names {
    /// A name.
    One(String),
    /// Aliases.
    Any(Vec<String>),
}

impl Names {
    /// Returns the names, in the order to try them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Any(names) => names,
        }
    }
}

/// The key of a record in its source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a column, a list of header aliases, or { all = [columns] }"
)]
pub enum Key {
    /// A column.
    One(String),
    /// Header aliases of one column.
    Any(Vec<String>),
    /// A composite: all of these, each a column or a list of aliases.
    All(AllOf),
}

/// The columns of a composite key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    /// In the order in which they are joined.
    pub all: Vec<Names>,
}

impl Key {
    /// Returns the parts, each with its aliases.
    #[must_use]
    pub fn parts(&self) -> Vec<&[String]> {
        match self {
            Self::One(name) => vec![std::slice::from_ref(name)],
            Self::Any(names) => vec![names.as_slice()],
            Self::All(parts) => parts.all.iter().map(Names::as_slice).collect(),
        }
    }
}
