//! Columns of which nothing but the equality of values matters: where their values are wide, they are read as digests.

use contract::plan::{Entity, Metadata, Plan, Type};

use crate::catalogue::Table;

/// Reads wide values of columns that the plan does not name as their digests: they are compared and hashed, and
/// never written.
pub fn fold_unplanned(table: &mut Table, plan: &Plan) {
    let named = places(table, plan, |_| true);
    table.fold_all_but(&named);
}

/// The same where nothing of the table is written: plain texts and bytes that the plan names are folded too.
pub fn fold_compared(table: &mut Table, plan: &Plan) {
    let named = places(table, plan, |kind| {
        !matches!(kind, Type::Text | Type::Bytes)
    });
    table.fold_for_reading(&named);
}

/// The positions of the columns that a plan names, of fields those of some types alone.
fn places(table: &Table, plan: &Plan, which: impl Fn(Type) -> bool) -> Vec<usize> {
    let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
    let entities = plan.entity.iter().chain(&metadata);
    entities
        .flat_map(|entity| names(entity, &which))
        .filter_map(|name| table.position(name))
        .collect()
}

/// The columns that an entity names.
fn names(entity: &Entity, which: impl Fn(Type) -> bool) -> impl Iterator<Item = &str> {
    let fields = entity.fields.iter();
    let fields = fields.filter(move |(_, field)| which(field.kind));
    let others = entity.id.iter().map(|id| &id.column);
    let others = others.chain(entity.tag.iter().map(|tag| &tag.column));
    fields
        .map(|(name, _)| name)
        .chain(entity.matching.iter().chain(&entity.volatile))
        .chain(others)
        .map(String::as_str)
}
