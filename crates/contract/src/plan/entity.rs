//! An entity: one kind of record, its source, its table and its columns.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field::Field;
use super::source::Source;
use super::values::Names;

/// One kind of record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Its name: part of every record's identity, and of file names in the bundle.
    pub name: String,
    /// Where its records come from.
    pub source: Source,
    /// The target table (`schema.table` or `table`).
    pub table: String,
    /// What the table was called when it was written before, where its owner renamed it since: its rows
    /// and its history are found under the new name. (PostgreSQL knows a renamed table by itself.)
    pub formerly: Option<String>,
    /// The row's id, one column that identifies a row of the table. Without it the table's
    /// primary key, or else the `match` columns, identify the row.
    pub id: Option<Id>,
    /// Columns by which a row that is already there is recognised as this record.
    #[serde(default, rename = "match")]
    pub matching: Vec<String>,
    /// What to do with a row that is recognised by `match` (default: fail).
    #[serde(default)]
    pub on_match: OnMatch,
    /// What to do when the row of a mapped record is gone (default: fail).
    #[serde(default)]
    pub on_gone: OnGone,
    /// What to do when a column changed both in the source and in the target (default: fail).
    #[serde(default)]
    pub on_drift: OnDrift,
    /// What a NULL in a `match` column means (default: an error).
    #[serde(default)]
    pub match_null: MatchNull,
    /// An existing mapping table of the user's own by which rows are recognised.
    pub via: Option<Via>,
    /// What is to be done with the records (default: put).
    #[serde(default)]
    pub op: OpSpec,
    /// Of records to delete: the source column that holds the target key of a row without identity.
    pub target: Option<Names>,
    /// Of records to remap: the source column that holds the target key to point to.
    pub to: Option<Names>,
    /// Target column -> where its value comes from, in the order of the record line.
    #[serde(default)]
    pub fields: IndexMap<String, Field>,
    /// Columns that others fill in later (an embedding): never a conflict, restored by rollback.
    #[serde(default)]
    pub volatile: Vec<String>,
    /// A tag that names the run, appended to a list column of every row that is written.
    pub tag: Option<TagMark>,
    /// The same as the key of this name at the top of the plan, beside the entity that it is about.
    #[serde(default)]
    pub accept_no_undo: Vec<String>,
}

impl Entity {
    /// Makes an entity that no source feeds.
    pub(super) fn without_source(
        name: &str,
        table: &str,
        id: Id,
        fields: IndexMap<String, Field>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::none(),
            table: table.to_owned(),
            formerly: None,
            id: Some(id),
            matching: Vec::new(),
            on_match: OnMatch::Fail,
            on_gone: OnGone::Fail,
            on_drift: OnDrift::Fail,
            match_null: MatchNull::Fail,
            via: None,
            op: OpSpec::default(),
            target: None,
            to: None,
            fields,
            volatile: Vec::new(),
            tag: None,
            accept_no_undo: Vec::new(),
        }
    }

    /// Iterates over the entities that must be applied before this one.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.fields
            .values()
            .filter(|field| !field.late)
            .filter_map(|field| field.reference.as_deref())
    }
}

/// How a row gets its id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Id {
    /// The id column.
    pub column: String,
    /// Where the id comes from.
    pub from: IdFrom,
}

/// Where an id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdFrom {
    /// A UUID (version 5) derived from system, entity and key: equal on every machine.
    Uuid,
    /// The source key itself.
    Key,
    /// The target decides (a counter or a default).
    Target,
}

/// What to do with a row that is recognised by `match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMatch {
    /// The record fails.
    #[default]
    Fail,
    /// The row is the record's from now on, and is updated.
    Update,
    /// The row is the record's from now on, and stays as it is, also later.
    Skip,
}

/// What to do when the row of a mapped record is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnGone {
    /// The record fails.
    #[default]
    Fail,
    /// The row is inserted again.
    Recreate,
    /// The record is left alone, and counted as skipped.
    Skip,
}

/// What to do when a column changed both in the source and in the target since it was last applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// The record fails.
    #[default]
    Fail,
    /// The target's value stays, and is listed.
    Keep,
    /// The source's value is written, and the row is listed.
    Overwrite,
}

/// What a NULL in a `match` column means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchNull {
    /// The record fails.
    #[default]
    Fail,
    /// It matches no row: the record is inserted.
    Insert,
}

/// An existing mapping table of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Via {
    /// The mapping table.
    pub table: String,
    /// Its column that holds the source key.
    pub key: String,
    /// Its column that holds the target key.
    pub target: String,
    /// Further columns that must have these values (an entity type).
    #[serde(default, rename = "where")]
    pub only: IndexMap<String, String>,
}

/// What is to be done with the records of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "\"put\", \"delete\", \"remap\", or { from = column, values = {…} }"
)]
pub enum OpSpec {
    /// The same for all.
    Fixed(crate::Op),
    /// A column of the source decides.
    From(OpFrom),
}

impl Default for OpSpec {
    fn default() -> Self {
        Self::Fixed(crate::Op::Put)
    }
}

/// A column of the source that decides what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpFrom {
    /// The column, or its aliases.
    pub from: Names,
    /// Source value -> operation; another value is an error.
    pub values: IndexMap<String, crate::Op>,
}

/// A code that is looked up in the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The table that holds the codes.
    pub table: String,
    /// The column that holds the code.
    pub by: String,
    /// The column whose value is taken (default: the table's primary key).
    pub column: Option<String>,
}

/// A tag that names the run, in a list column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagMark {
    /// The list column; it must be a field of type list, or a list column that the plan leaves alone.
    pub column: String,
    /// The tag, with `{run}` for the run ID, such as `migration-run-id:{run}`.
    pub text: String,
    /// How the run ID is written.
    #[serde(default)]
    pub form: TagForm,
    /// The longest tag that the target takes, in characters; a longer one is refused before the
    /// first write.
    pub max_length: Option<usize>,
}

/// How a run ID is written in a tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TagForm {
    /// 32 hex digits.
    #[default]
    Simple,
    /// 36 characters, with hyphens.
    Hyphenated,
}
