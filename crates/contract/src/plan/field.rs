//! A field: one target column, where its value comes from, and what it must be.

use schemars::JsonSchema;
use serde::Deserialize;

use super::entity::Lookup;
use super::values::Names;

/// One target column. Exactly one of `from`, `value`, `expr` and `run` says where its value comes
/// from. The steps are: take, `empty`, `apply`, `map`, `type`, then the checks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// The source column, or its aliases (the first that the source has). In JSON a path:
    /// `a.b`, `a[0]`, `FieldValues[SystemCode=Email].Value` (several that fit are an error),
    /// `Groups[*].Label` for a list, `"a.b".c` for names that hold dots.
    /// A column that the source lacks is an error for a `required` field, else the field is absent.
    pub from: Option<Names>,
    /// A constant. In text, `{column}` stands for a source column (`{{` and `}}` for braces). A
    /// column that the source lacks is an error; an empty or null one stands for nothing. In a
    /// `ref` to an entity with a composite key each placeholder is one part, the text between `|`.
    #[schemars(with = "Option<serde_json::Value>")]
    pub value: Option<toml::Value>,
    /// A CEL expression over the target columns before this one, and `source`, a map of the item's
    /// columns. A result that is a binary float is refused.
    pub expr: Option<String>,
    /// What only a run knows: filled in by apply.
    pub run: Option<RunValue>,

    /// What an empty text, also one that `apply` made empty, means (default: null).
    pub empty: Empty,
    /// Transforms, in this order.
    pub apply: Vec<Transform>,
    /// The name of a value map under `[map.NAME]`. A list is mapped element by element.
    pub map: Option<String>,
    /// The type (default: text).
    #[serde(rename = "type")]
    pub kind: Type,
    /// Date and timestamp: the forms to try, in order, in strftime words (`%m/%d/%Y`). A form that
    /// has no time of day means midnight. Default: RFC 3339 and `%Y-%m-%d`. The year must have four
    /// digits (or be `%y`: 70 to 99 are 19xx). An offset in the value wins over the zone; the date
    /// of a value with an offset is its day in the zone.
    pub formats: Vec<String>,
    /// The zone of values that carry none (default: the plan's).
    pub zone: Option<String>,
    /// A local time that does not exist (the clock jumped over it; default: an error).
    pub gap: Gap,
    /// A local time that exists twice (default: an error).
    pub ambiguous: Ambiguous,
    /// Decimal and integer: the decimal separator, `.` or `,` (default `.`).
    pub decimal: Option<char>,
    /// Decimal and integer: the thousands separator (default: none is allowed).
    pub thousands: Option<char>,
    /// Boolean: texts that mean true (default: `true`).
    #[serde(rename = "true")]
    pub truths: Vec<String>,
    /// Boolean: texts that mean false (default: `false`).
    #[serde(rename = "false")]
    pub falsehoods: Vec<String>,
    /// List: how it is read.
    pub list: Option<ListIn>,
    /// List: how it is kept in the target (default: JSON text in SQLite, array in PostgreSQL).
    pub store: Option<ListOut>,
    /// Vector: how many numbers it must hold.
    pub dimensions: Option<usize>,
    /// Decimal into a SQLite column that keeps binary floats: `false` accepts values that read
    /// back equal (default: such a column is refused).
    pub exact: Option<bool>,

    /// The value is looked up in the target: the code (after `map`) gives the row.
    pub lookup: Option<Lookup>,
    /// The value, without white space around it, is the key of a record of this entity.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// May the record that a reference points to be in the target only?
    pub outside: Option<Outside>,
    /// A nullable reference that is written in a second pass.
    pub late: bool,

    /// It must be there and not null.
    pub required: bool,
    /// No two records of the input may have the same value: `true`, or `"fold"` to compare without
    /// regard to case.
    pub unique: Unique,
    /// A well-known form.
    pub format: Option<Format>,
    /// The values it may have.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub one_of: Vec<toml::Value>,
    /// A regular expression that the whole text must match.
    pub pattern: Option<String>,
    /// The least number, date or timestamp, written as in the record line.
    #[schemars(with = "Option<serde_json::Value>")]
    pub min: Option<toml::Value>,
    /// The greatest number, date or timestamp, written as in the record line.
    #[schemars(with = "Option<serde_json::Value>")]
    pub max: Option<toml::Value>,
    /// The least number of characters (text) or elements (list).
    pub min_length: Option<usize>,
    /// The greatest number of characters (text) or elements (list).
    pub max_length: Option<usize>,
    /// Never show its value in a message, reject or report.
    pub secret: bool,
}

/// What only a run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunValue {
    /// The run ID, 36 characters.
    Id,
    /// When the run first started, RFC 3339 in UTC with milliseconds.
    StartedAt,
    /// Who runs it.
    Operator,
    /// The bundle ID.
    Bundle,
    /// A JSON object that describes the run (metadata rows only).
    Json,
}

/// What an empty text (`""`, or nothing between two delimiters) means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    /// NULL is set.
    #[default]
    Null,
    /// The column is not touched.
    Absent,
    /// It is a text of no characters.
    Text,
}

/// A change to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Takes white space off both ends.
    Trim,
    /// Unicode lower case.
    Lower,
    /// Unicode upper case.
    Upper,
    /// Makes every run of white space one blank.
    Collapse,
    /// Keeps digits and a leading plus sign.
    Phone,
    /// Lower case, white space to hyphen, other than a-z 0-9 and hyphen dropped.
    Slug,
    /// Makes every line end a line feed.
    Lines,
    /// Replaces the text by the hex SHA-256 of it.
    Sha256,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Text, as it is.
    #[default]
    Text,
    /// A whole number of any size.
    Integer,
    /// A decimal number, digits kept.
    Decimal,
    /// True or false.
    Boolean,
    /// A day, `YYYY-MM-DD` in the record line.
    Date,
    /// An instant, RFC 3339 in UTC (`Z`) in the record line.
    Timestamp,
    /// Any JSON.
    Json,
    /// A list of texts.
    List,
    /// A list of numbers.
    Vector,
    /// A UUID, in lower case with hyphens.
    Uuid,
    /// Bytes, written in hex.
    Bytes,
}

/// What to do with a local time that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// The record is rejected.
    #[default]
    Reject,
    /// Read with the offset before the jump (01:30 + 1 h for 02:30).
    Before,
    /// Read with the offset after the jump.
    After,
}

/// What to do with a local time that exists twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ambiguous {
    /// The record is rejected.
    #[default]
    Reject,
    /// The first of the two instants.
    First,
    /// The second of the two instants.
    Second,
}

/// How a list is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    /// Separators of a list that is text. Elements are trimmed, empty ones dropped, repeated ones
    /// folded into the first.
    pub split: Vec<String>,
}

/// How a list is kept in the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListOut {
    /// An array of the target's own.
    Array,
    /// JSON text.
    Json,
    /// Joined by this separator, which no element may hold.
    Separated(String),
}

/// Where the record that a reference points to may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// In the target only, from an earlier run.
    Target,
}

/// Whether values must differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "UniqueForm")]
#[schemars(with = "UniqueForm")]
pub enum Unique {
    /// They may repeat.
    #[default]
    No,
    /// They must differ, byte for byte.
    Exact,
    /// They must differ without regard to case (Unicode lower case).
    Fold,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "true, false or \"fold\"")]
enum UniqueForm {
    Flag(bool),
    Word(FoldWord),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FoldWord {
    Fold,
}

impl From<UniqueForm> for Unique {
    fn from(form: UniqueForm) -> Self {
        match form {
            UniqueForm::Flag(false) => Self::No,
            UniqueForm::Flag(true) => Self::Exact,
            UniqueForm::Word(FoldWord::Fold) => Self::Fold,
        }
    }
}

/// A well-known form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One `@` between non-empty parts without white space, the second with a dot inside.
    Email,
    /// `http` or `https`, `://`, a host.
    Url,
    /// A UUID.
    Uuid,
}
