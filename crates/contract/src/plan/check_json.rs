//! What a plan says of JSON and can't mean, told when a person's plan is read: a field that is no JSON for a
//! column of JSON that the plan itself adds (of columns that are there, apply says it before its first
//! write), a constant of type json that is none.

use super::check::{Checked, fault};
use super::field::{Field, RunValue, Type};
use super::load::Step;
use super::{Entity, Plan};

pub(super) fn check_json(plan: &Plan) -> Checked {
    for (place, entity) in plan.entity.iter().enumerate() {
        let at = [Step::Key("entity".into()), Step::Place(place)];
        check_fields(plan, entity, &at)?;
    }
    let Some(metadata) = &plan.metadata else {
        return Ok(());
    };
    let at = [Step::Key("metadata".into())];
    check_fields(plan, &metadata.as_entity(), &at)?;
    for (column, field) in &metadata.fields {
        if let (Type::Json, Some(toml::Value::String(text))) = (field.kind, &field.value)
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
        {
            let message =
                format!("a text of type json is JSON text, and {text:?} is none: {error}");
            return fault(&at, &["fields", column, "value"], message);
        }
    }
    Ok(())
}

fn check_fields(plan: &Plan, entity: &Entity, at: &[Step]) -> Checked {
    for (column, field) in &entity.fields {
        let Some(kind) = added(plan, &entity.table, column).filter(|kind| is_json(kind)) else {
            continue;
        };
        if is_text(field) {
            let message = format!(
                "`{column}` is added as {kind}, which holds JSON, and the field is {}: say `type = \"json\"`",
                format!("{:?}", field.kind).to_lowercase()
            );
            return fault(at, &["fields", column], message);
        }
    }
    Ok(())
}

fn is_text(field: &Field) -> bool {
    matches!(
        field.kind,
        Type::Text | Type::Date | Type::Timestamp | Type::Uuid
    ) && field.run != Some(RunValue::Json)
}

/// The type that the plan gives a column which it adds.
fn added<'a>(plan: &'a Plan, table: &str, column: &str) -> Option<&'a str> {
    let columns = plan.add.column.iter();
    let mut own = columns.filter(|new| new.table == table && new.column == column);
    let tables = plan.add.table.iter();
    let mut of_table = tables.filter(|new| new.table == table);
    let own = own.next().map(|new| new.kind.as_str());
    own.or_else(|| Some(of_table.next()?.columns.get(column)?.kind.as_str()))
}

/// The types that hold JSON on every target.
fn is_json(kind: &str) -> bool {
    matches!(kind.trim().to_ascii_lowercase().as_str(), "json" | "jsonb")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::plan::LoadedPlan;

    #[test]
    fn what_is_no_json_is_refused_where_the_plan_alone_shows_it() {
        let checked = |kind: &str, field: &str, more: &str| {
            let text = format!(
                "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"t\"\nmatch = [\"a\"]\n\
                 source = {{ format = \"csv\", files = [\"a\"], key = \"k\" }}\nfields.a = {{ from = \"a\" }}\n\
                 fields.c = {{ from = \"c\"{field} }}\n\
                 [[add.column]]\ntable = \"t\"\ncolumn = \"c\"\ntype = \"{kind}\"\n{more}"
            );
            // A plan that is kept with a run is not judged by it.
            let plan = LoadedPlan::parse(Path::new("p"), text).unwrap();
            super::check_json(&plan.plan).map_err(|fault| fault.message)
        };
        for kind in ["jsonb", "JSON"] {
            let error = checked(kind, "", "").unwrap_err();
            assert!(error.contains("say `type = \"json\"`"), "{error}");
            assert!(checked(kind, ", type = \"json\"", "").is_ok());
        }
        assert!(checked("text", "", "").is_ok());
        let row = |value: &str| {
            format!(
                "[metadata]\ntable = \"m\"\nid = {{ column = \"id\", from = \"uuid\" }}\non_rollback = \"delete\"\n\
                 fields.x = {{ value = '{value}', type = \"json\" }}"
            )
        };
        assert!(checked("text", "", &row("{\"a\":1}")).is_ok());
        assert!(
            checked("text", "", &row("{a}"))
                .unwrap_err()
                .contains("is none")
        );
    }
}
