//! The plan under which validate, bundle and apply take the lines of an inverse.

use std::collections::BTreeMap;

use contract::plan::{Field, LoadedPlan, Type};
use indexmap::IndexMap;
use store::ledger::Shape;
use store::{Cell, Sql, StoreError, Table};
use toml::{Table as Toml, Value};

/// What the lines hold, by the name of their entity.
#[derive(Debug, Default)]
pub(crate) struct Inverse(BTreeMap<String, Rows>);

/// The lines of an entity.
#[derive(Debug)]
pub(crate) struct Rows {
    shape: Shape,
    /// As it is now, if it is there.
    table: Option<Table>,
    /// The columns that hold JSON.
    json: Vec<String>,
    /// What was seen in each column; `None` where nothing but NULL was.
    columns: IndexMap<String, Option<Type>>,
    /// Whether rows of others are among them.
    pub(crate) others: bool,
    /// Lines.
    pub(crate) records: u64,
}

impl Inverse {
    /// Returns the lines of an entity, whose rows have this shape.
    pub(crate) fn entity(
        &mut self,
        sql: &mut dyn Sql,
        name: &str,
        shape: &Shape,
    ) -> Result<&mut Rows, StoreError> {
        if !self.0.contains_key(name) {
            let table = shape.live(sql)?;
            let json = table.iter().flat_map(|table| &table.columns);
            let json = json.filter(|column| sql.is_json(column));
            let rows = Rows {
                shape: shape.clone(),
                json: json.map(|column| column.name.clone()).collect(),
                table,
                columns: IndexMap::new(),
                others: false,
                records: 0,
            };
            self.0.insert(name.to_owned(), rows);
        }
        self.0.get_mut(name).ok_or_else(|| StoreError::Damaged {
            message: name.into(),
        })
    }

    /// Iterates over the entities and the lines of each.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&String, u64)> {
        self.0.iter().map(|(name, rows)| (name, rows.records))
    }

    /// Makes the plan. It has the run's system, so that the id map knows the rows, its environments
    /// and what it accepts; a row that is there against expectation fails its record.
    pub(crate) fn plan(
        &self,
        sql: &dyn Sql,
        of: &LoadedPlan,
        file: &str,
    ) -> anyhow::Result<String> {
        let given: Toml = toml::from_str(&of.text)?;
        let mut plan = Toml::new();
        plan.insert(
            "name".into(),
            format!("{}, taken back", of.plan.name).into(),
        );
        for key in ["system", "accept_triggers", "retention", "environment"] {
            plan.extend(given.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        let tables = self.0.keys().filter_map(|name| of.plan.entity(name));
        let tables: Vec<&str> = tables.map(|entity| entity.table.as_str()).collect();
        let mut accepted = of.plan.no_undo();
        accepted.retain(|table| tables.contains(table));
        if !accepted.is_empty() {
            let accepted = accepted.into_iter().map(Value::from).collect();
            plan.insert("accept_no_undo".into(), Value::Array(accepted));
        }
        // Parents come first, as in the run's bundles: restored so, and deleted the other way round.
        let ordered = of.plan.in_dependency_order();
        let rank = |name: &str| ordered.iter().position(|entity| entity.name == name);
        let mut names: Vec<&String> = self.0.keys().collect();
        names.sort_by_key(|name| rank(name).unwrap_or(usize::MAX));
        let entities = names.into_iter().map(|name| {
            let fields = of.plan.entity(name).map(|entity| &entity.fields);
            let secret = |column: &str| {
                fields
                    .and_then(|fields| fields.get(column))
                    .is_some_and(|field| field.secret)
            };
            self.0[name].entity(sql, name, file, &secret)
        });
        plan.insert("entity".into(), Value::Array(entities.collect()));
        Ok(format!(
            "# What takes {file} back, made by rollback --export: its lines come from the ledger, not from parse.\n{}",
            toml::to_string(&plan)?
        ))
    }
}

impl Rows {
    /// Notes what a column holds. Returns whether it can be written: a generated one can't.
    pub(crate) fn note(&mut self, column: &str, cell: &Cell) -> bool {
        let live = self.live(column);
        if live.is_some_and(|column| column.generated) {
            return false;
        }
        let kind = match cell {
            Cell::Null => None,
            _ if self.is_json(column) => Some(Type::Json),
            Cell::Int(_) => Some(Type::Integer),
            Cell::Real(_) => Some(Type::Decimal),
            Cell::Text(_) | Cell::Raw(_) => Some(Type::Text),
            Cell::Blob(_) | Cell::Folded(_) => Some(Type::Bytes),
        };
        let seen = self.columns.entry(column.to_owned()).or_default();
        // Whole numbers are decimals too; of other mixtures validate names the rows.
        if seen.is_none() || (kind == Some(Type::Decimal) && *seen == Some(Type::Integer)) {
            *seen = kind;
        }
        true
    }

    /// Tells whether a column holds JSON: its cells are JSON text.
    pub(crate) fn is_json(&self, column: &str) -> bool {
        self.json.iter().any(|json| json == column)
    }

    fn live(&self, column: &str) -> Option<&store::Column> {
        let table = self.table.as_ref()?;
        table.position(column).map(|place| &table.columns[place])
    }

    fn entity(
        &self,
        sql: &dyn Sql,
        name: &str,
        file: &str,
        secret: &dyn Fn(&str) -> bool,
    ) -> Value {
        let mut columns = self.columns.clone();
        for column in &self.shape.key {
            columns.entry(column.clone()).or_default();
        }
        let fields: Toml = columns
            .into_iter()
            .map(|(column, kind)| {
                let kind = kind.unwrap_or_else(|| self.empty(sql, &column));
                let mut field = Toml::new();
                field.insert("from".into(), column.clone().into());
                field.insert("type".into(), format!("{kind:?}").to_lowercase().into());
                if kind == Type::Decimal {
                    // It was kept as this very number.
                    field.insert("exact".into(), false.into());
                }
                if secret(&column) {
                    field.insert("secret".into(), true.into());
                }
                (column, field.into())
            })
            .collect();
        let words = |words: &[(&str, &str)]| -> Value {
            let words = words
                .iter()
                .map(|(key, word)| ((*key).to_owned(), (*word).into()));
            Value::Table(words.collect())
        };
        let mut source = words(&[("format", "csv"), ("key", "key")]);
        if let Some(source) = source.as_table_mut() {
            source.insert("files".into(), vec![file].into());
        }
        let mut op = words(&[("from", "op")]);
        if let Some(op) = op.as_table_mut() {
            op.insert(
                "values".into(),
                words(&[("put", "put"), ("delete", "delete")]),
            );
        }
        let on_match = self.others.then(|| ("on_match", "update".into()));
        let entity = [
            ("name", name.into()),
            ("source", source),
            ("table", self.shape.table.as_str().into()),
            ("match", self.shape.key.clone().into()),
            ("op", op),
            ("fields", fields.into()),
        ];
        Value::Table(
            entity
                .into_iter()
                .chain(on_match)
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// The type of a column of which nothing but NULL was seen: one that its table takes.
    fn empty(&self, sql: &dyn Sql, column: &str) -> Type {
        if self.is_json(column) {
            return Type::Json;
        }
        let text = Field::default();
        let misfit = self.live(column).and_then(|live| sql.misfit(&text, live));
        misfit.map_or(Type::Text, |_| Type::Integer)
    }
}
