//! Columns that a plan does not name: where their values are wide, they are read as digests.

use contract::plan::{Entity, Metadata, Plan};

use crate::catalogue::Table;

/// Reads wide values of columns that the plan does not name as their digests: they are compared and hashed, and
/// never written.
pub fn fold_unplanned(table: &mut Table, plan: &Plan) {
    let metadata = plan.metadata.as_ref().map(Metadata::as_entity);
    let named: Vec<usize> = plan
        .entity
        .iter()
        .chain(&metadata)
        .flat_map(names)
        .filter_map(|name| table.position(name))
        .collect();
    table.fold_all_but(&named);
}

/// The columns that an entity names.
fn names(entity: &Entity) -> impl Iterator<Item = &str> {
    let lists = entity.matching.iter().chain(&entity.volatile);
    let others = entity.id.iter().map(|id| &id.column);
    let others = others.chain(entity.tag.iter().map(|tag| &tag.column));
    entity
        .fields
        .keys()
        .chain(lists)
        .chain(others)
        .map(String::as_str)
}
