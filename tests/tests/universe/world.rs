//! What a round is about: a schema with rows, a plan, its sources before and after a change, and the rules by which
//! states are judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tests::Target;

use crate::kinds::Kind;
use crate::shell::named;

/// Where the id of a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// There is no id: the columns of `match` are the primary key.
    None,
    Uuid,
    Key,
    Target,
}

/// How a row that is there is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    No,
    /// By its code.
    Code,
    /// By another name, which may be NULL.
    Alias,
    /// By a mapping table.
    Via,
}

/// How an entity's source is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv { delimiter: char, western: bool },
    Json { items: bool, lines: bool },
    Markdown,
}

/// What fills a column.
#[derive(Debug, Clone)]
pub enum Fill {
    /// `codeN`, of the record or row number N.
    Code,
    /// `aliasN`, or NULL.
    Alias,
    /// N modulo 3, with the code the primary key.
    Part,
    /// A value of the source.
    Kind(Kind),
    /// A reference to a record of an entity, by its place.
    Ref { to: usize },
    /// The same in all records, as a dump shows it.
    Constant(String),
    /// The code with an exclamation mark.
    Shouted,
    /// What only a run knows.
    Stamp,
    /// A list of its own with the run's tag.
    Tag,
    /// Others fill it in.
    Volatile,
    /// A trigger fills it in.
    Touched,
    /// The plan leaves it alone.
    Theirs,
}

/// A column of an entity's table; the id is not among them.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// Its type and constraints.
    pub sql: String,
    pub fill: Fill,
    /// What the plan says of it.
    pub field: Option<Value>,
    /// What an empty cell of the source means there, if one may be empty.
    pub empty: Option<&'static str>,
    /// What the plan says of it where the run adds it.
    pub added: Option<Value>,
}

/// What a record or a row has in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Empty,
    Sample(usize),
    To(usize),
}

/// A record or a row, by its number.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: usize,
    /// One a column.
    pub cells: Vec<Cell>,
    /// Of a record: it deletes its row.
    pub delete: bool,
}

/// An entity and its table.
#[derive(Debug, Clone)]
pub struct Entity {
    pub name: String,
    /// Its table, without a schema.
    pub table: String,
    pub id: Id,
    pub matching: Matching,
    pub on_match: &'static str,
    pub columns: Vec<Column>,
    pub format: Format,
    /// Whether records say themselves what is to be done with them.
    pub by_op: bool,
    /// Whether key and code together are the key of a record.
    pub parted: bool,
    pub before: Vec<Row>,
    /// The records of the first export and of the second.
    pub records: [Vec<Row>; 2],
}

/// What states are judged by.
#[derive(Debug, Default)]
pub struct Rules {
    /// The schema that the tables are in (PostgreSQL).
    pub schema: &'static str,
    /// Columns that never conflict, by table.
    pub loose: BTreeSet<(String, String)>,
    /// List columns with the run's tag.
    pub tags: BTreeSet<(String, String)>,
    /// Columns that triggers fill.
    pub touched: BTreeSet<(String, String)>,
    /// Tables that triggers write to: outside the promise.
    pub outside: BTreeSet<String>,
    /// Table, column, the table and column referred to.
    pub refs: Vec<[String; 4]>,
    /// Table and columns that are unique together.
    pub uniques: Vec<(String, Vec<String>)>,
    /// The table whose row about the run stays, and the column that is marked.
    pub keeps: Option<(String, String)>,
}

/// How the programs are called.
#[derive(Debug, Default)]
pub struct Options {
    pub apply: Vec<String>,
    pub rollback: Vec<String>,
    /// Added to the target's URL.
    pub query: String,
    /// Whether records may fail: some are meant for rows that are others'.
    pub may_fail: bool,
    /// Whether a hook writes the events that it hears of to a file.
    pub hears: bool,
}

/// All of a round.
#[derive(Debug)]
pub struct World {
    pub target: Target,
    pub entities: Vec<Entity>,
    pub plan: Map<String, Value>,
    /// Statements that make the database as it was before.
    pub setup: Vec<String>,
    pub sources: [BTreeMap<String, Vec<u8>>; 2],
    pub rules: Rules,
    pub options: Options,
    /// The schema that the tables are in (PostgreSQL).
    pub schema: &'static str,
    /// Whether the plan names it.
    pub qualified: bool,
}

impl World {
    /// A table as statements name it.
    pub fn table(&self, name: &str) -> String {
        match self.target {
            Target::Sqlite => named(name),
            Target::Postgres => format!("{}.{}", named(self.schema), named(name)),
        }
    }

    /// A table as states name it.
    pub fn place(&self, name: &str) -> String {
        match self.target {
            Target::Sqlite => name.to_owned(),
            Target::Postgres => format!("{}.{name}", self.schema),
        }
    }

    /// A table as the plan names it.
    pub fn called(&self, name: &str) -> String {
        if self.qualified {
            self.place(name)
        } else {
            name.to_owned()
        }
    }

    /// What is for this target of two things that differ.
    pub fn either<'a>(&self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        match self.target {
            Target::Sqlite => sqlite,
            Target::Postgres => postgres,
        }
    }

    /// Adds an element to a list of the plan.
    pub fn add(&mut self, list: &str, element: Value) {
        let list = self
            .plan
            .entry(list)
            .or_insert_with(|| Value::Array(vec![]));
        list.as_array_mut().unwrap().push(element);
    }
}

impl Entity {
    /// The column that others refer to, if one column identifies a row.
    pub fn key_column(&self) -> Option<&'static str> {
        match self.id {
            Id::None
                if self
                    .columns
                    .iter()
                    .any(|column| matches!(column.fill, Fill::Part)) =>
            {
                None
            }
            Id::None => Some("code"),
            _ => Some("id"),
        }
    }

    /// The type of the id column.
    pub fn key_type(&self, target: Target) -> &'static str {
        match (self.id, target) {
            (Id::None, _) => "text",
            (Id::Uuid, Target::Sqlite) => "TEXT",
            (Id::Uuid, Target::Postgres) => "uuid",
            (_, Target::Sqlite) => "INTEGER",
            (_, Target::Postgres) => "bigint",
        }
    }

    /// What the source has in the column of the key.
    pub fn written_key(&self, number: usize) -> String {
        match self.id {
            Id::Key => number.to_string(),
            _ => format!("K{number}"),
        }
    }

    /// The key of a record.
    pub fn source_key(&self, number: usize) -> String {
        let key = self.written_key(number);
        if self.parted {
            format!("{key}|code{number}")
        } else {
            key
        }
    }

    /// The id of a row of before, as a literal.
    pub fn id_before(&self, number: usize) -> String {
        match self.id {
            Id::None => format!("'code{number}'"),
            Id::Uuid => format!("'00000000-0000-0000-0000-0000000000{number:02}'"),
            Id::Key if self.matching == Matching::No => number.to_string(),
            Id::Key | Id::Target => (100 + number).to_string(),
        }
    }

    /// Whether a constraint of the table has a clause that does away with rows: triggers beside it are refused.
    pub fn replaces(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.sql.contains("ON CONFLICT"))
    }

    /// Whether a row of before is recognised as the record of its number.
    pub fn recognises(&self) -> bool {
        self.matching != Matching::No || self.id == Id::Key
    }
}
