//! The plan, `migration.toml`: what a person writes once and every stage reads.

mod add;
mod check;
mod check_add;
mod check_field;
mod check_guards;
mod check_json;
mod entity;
mod environment;
mod error;
mod field;
mod hook;
mod load;
pub mod markdown;
mod retention;
mod source;
mod spelling;
mod values;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use add::{Add, ColumnSpec, NewColumn, NewForeignKey, NewTable, OnDelete};
pub use entity::{
    Entity, Id, IdFrom, Lookup, MatchNull, OnDrift, OnGone, OnMatch, OpSpec, TagForm, TagMark, Via,
};
pub use environment::Environment;
pub use error::PlanError;
pub use field::{
    Ambiguous, Empty, Field, Format, Gap, ListIn, ListOut, Outside, RunValue, Transform, Type,
    Unique,
};
pub use hook::{Hook, HookEvent, Webhook};
pub use load::{LoadedPlan, find};
pub use retention::Retention;
pub use source::{Each, Format as SourceFormat, Repeats, Source};
pub use spelling::nearest;
pub use values::{Key, Names};

/// The whole plan. Keys that are not here are errors that suggest the nearest one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What people call this migration.
    pub name: String,
    /// The source system: part of every record's identity (system, entity, key).
    pub system: String,
    /// The zone of dates that carry none, as the tz database names it (`America/Los_Angeles`).
    /// A plan that types a date-time without an offset needs it.
    pub zone: Option<String>,
    /// How many rejects, and how many changed rows, are too many.
    #[serde(default)]
    pub limits: Limits,
    /// How long a run can be taken back, and what that needs is kept.
    #[serde(default)]
    pub retention: Retention,
    /// The environments that targets are in, and how to recognise them.
    #[serde(default)]
    pub environment: Vec<Environment>,
    /// Columns and tables that the run adds before its first row.
    #[serde(default)]
    pub add: Add,
    /// The entities, in the order in which a person would explain them. Bundles are ordered by
    /// dependency, whatever this order.
    #[serde(default)]
    pub entity: Vec<Entity>,
    /// Rules over a whole record.
    #[serde(default)]
    pub policy: Vec<Policy>,
    /// Value maps by name.
    #[serde(default)]
    pub map: IndexMap<String, ValueMap>,
    /// A row that describes the run, in a table of the user's own.
    pub metadata: Option<Metadata>,
    /// What is told to others after a commit, in this order.
    #[serde(default)]
    pub hook: Vec<Hook>,
    /// Triggers on touched tables that write other rows, accepted by name: what they write is
    /// outside the promise of rollback.
    #[serde(default)]
    pub accept_triggers: Vec<String>,
    /// Tables of which it is accepted that rollback may not take their rows back, because a trigger or
    /// an index keeps it from that: no undo of theirs is tried during the run.
    #[serde(default)]
    pub accept_no_undo: Vec<String>,
}

/// Limits. Those on rows hold for each table, and are judged before the first write; percentages are
/// of the rows that the table had before the run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Above this share of rejects `validate` warns (default 5).
    pub reject_warn: f64,
    /// Above this share of rejects `validate` fails with 1 and seals nothing (default 10).
    pub reject_fail: f64,
    /// `apply` refuses a run that would update more rows of a table (default: no limit).
    pub change_rows: Option<u64>,
    /// `apply` refuses a run that would update a larger share of a table's rows, in percent.
    pub change_percent: Option<f64>,
    /// `apply` refuses a run that would delete more rows of a table.
    pub delete_rows: Option<u64>,
    /// `apply` refuses a run that would delete a larger share of a table's rows, in percent.
    pub delete_percent: Option<f64>,
    /// Above this share of records that fail in the target `apply` stops, as soon as it is exceeded
    /// (default 10).
    pub failed_percent: f64,
    /// `apply` stops after so many seconds (default: no limit).
    pub run_seconds: Option<u64>,
    /// `apply` stops when it uses more memory, in MiB (default: no limit).
    pub process_mib: Option<u64>,
    /// `apply` stops when more than this share of the system's memory is in use (default: no limit).
    pub system_memory_percent: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reject_warn: 5.0,
            reject_fail: 10.0,
            change_rows: None,
            change_percent: None,
            delete_rows: None,
            delete_percent: None,
            failed_percent: 10.0,
            run_seconds: None,
            process_mib: None,
            system_memory_percent: None,
        }
    }
}

/// A rule that every record of an entity must keep.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The entity it is for.
    pub entity: String,
    /// A CEL expression over the target columns that is true for a good record. An absent or null
    /// column is `null`; `has(column)` asks whether it has a value.
    pub rule: String,
    /// What to say of a record that breaks it.
    pub message: String,
    /// A broken rule rejects the record (the default), or is only warned about.
    #[serde(default)]
    pub level: Level,
}

/// How much a broken rule weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The record is rejected.
    #[default]
    Reject,
    /// The record passes; the summary counts it.
    Warn,
}

/// A total map of source values to target values: a value that is in neither table is an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueMap {
    /// Source value (after `apply`) -> target value: text, number, boolean. It keeps its own type
    /// unless the field names another; decimals are written as text.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, serde_json::Value>")]
    pub values: IndexMap<String, toml::Value>,
    /// Source value -> the reason why a record with it is left out, and counted. In a list only
    /// the element is left out.
    #[serde(default)]
    pub ignore: IndexMap<String, String>,
    /// Compare without regard to case (Unicode simple lower case); the default is exact.
    #[serde(default)]
    pub fold: bool,
}

/// A row that describes the run, written with the run's last commit if the run changed anything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The table.
    pub table: String,
    /// How the row gets its id.
    pub id: Id,
    /// What rollback does with it.
    pub on_rollback: OnRollback,
    /// The column whose JSON value gets `"status":"rolled-back"` where the row is kept. It must
    /// be a field with `run = "json"`.
    pub status: Option<String>,
    /// Its columns: `value` and `run` fields only.
    pub fields: IndexMap<String, Field>,
}

/// What rollback does with the metadata row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRollback {
    /// It stays, marked `rolled-back`, and the proof names it.
    Keep,
    /// It goes with the run.
    Delete,
}

impl Metadata {
    /// Returns the row as an entity without a source, so that it is bound and written like others.
    /// What describes the run is JSON, whatever type its field names.
    #[must_use]
    pub fn as_entity(&self) -> Entity {
        let mut fields = self.fields.clone();
        let described = |field: &&mut Field| field.run == Some(RunValue::Json);
        for field in fields.values_mut().filter(described) {
            field.kind = Type::Json;
        }
        Entity::without_source("metadata", &self.table, self.id.clone(), fields)
    }
}

impl Plan {
    /// Returns an entity by name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entity.iter().find(|entity| entity.name == name)
    }

    /// Returns the tables of which the plan accepts that rollback may not take their rows back.
    #[must_use]
    pub fn no_undo(&self) -> BTreeSet<&str> {
        let of_entities = self.entity.iter().flat_map(|entity| &entity.accept_no_undo);
        let all = of_entities.chain(&self.accept_no_undo);
        all.map(String::as_str).collect()
    }

    /// Returns the entities so that each comes after those it refers to (late references and
    /// references to itself apart); plan order decides where the references leave it open.
    /// The check at load time has refused cycles.
    #[must_use]
    pub fn in_dependency_order(&self) -> Vec<&Entity> {
        let mut ordered: Vec<&Entity> = Vec::new();
        while ordered.len() < self.entity.len() {
            let next = self.entity.iter().find(|entity| {
                let placed = |name: &str| ordered.iter().any(|done| done.name == name);
                !placed(&entity.name)
                    && entity
                        .needs()
                        .all(|needed| needed == entity.name || placed(needed))
            });
            match next {
                Some(entity) => ordered.push(entity),
                None => return self.entity.iter().collect(),
            }
        }
        ordered
    }

    /// Returns the JSON Schema of the plan, for editors.
    #[must_use]
    pub fn json_schema() -> String {
        let mut schema = schemars::schema_for!(Plan);
        schema.insert("title".into(), "Switchback plan (migration.toml)".into());
        serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
    }
}
