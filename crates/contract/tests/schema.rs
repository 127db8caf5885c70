//! The published JSON Schema of the plan is the one that the types give.

use std::fs;
use std::path::Path;

use contract::Plan;

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plan.schema.json");
    let current = Plan::json_schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == current,
        "crates/contract/plan.schema.json is out of date: run UPDATE_SCHEMA=1 cargo test -p contract --test schema"
    );
}
