//! Columns that hold JSON, and what may go into them.

use contract::plan::{Field, ListOut, Type};

use crate::binding::From;
use crate::{Column, Sql};

/// Says why a column that holds JSON is no place for what a field holds, if so. A text would become a
/// JSON string there, or be taken for JSON: the plan says which by `type = "json"`.
pub(crate) fn misfit(sql: &dyn Sql, field: &Field, from: From, column: &Column) -> Option<String> {
    if !sql.is_json(column) {
        return None;
    }
    let Column { name, declared, .. } = column;
    if matches!(from, From::Ref | From::Lookup) {
        return Some(format!(
            "column `{name}` is {declared}, which holds JSON: it is no place for the key of a row"
        ));
    }
    match field.kind {
        Type::Text | Type::Date | Type::Timestamp | Type::Uuid => Some(format!(
            "column `{name}` is {declared}, which holds JSON, and the field is {}: say `type = \"json\"`",
            format!("{:?}", field.kind).to_lowercase()
        )),
        Type::List if matches!(field.store, Some(ListOut::Separated(_))) => Some(format!(
            "column `{name}` is {declared}, which holds JSON: say `store = \"json\"`"
        )),
        Type::Bytes => Some(format!(
            "column `{name}` is {declared}, which holds JSON: it is no place for bytes"
        )),
        _ => None,
    }
}
