//! What apply says of corrections of the id map: the rows that moved with a record, and those that did not.

use contract::talk::counted;
use serde_json::{Value, json};
use store::{Corrected, Key, Left};

/// Gathers what was corrected.
#[derive(Default)]
pub(crate) struct Corrections {
    /// A line for each table with rows that were moved.
    pub moved: Vec<String>,
    /// A line for each column by which rows still point to an old row.
    pub left: Vec<String>,
    pub json: Vec<Value>,
}

impl Corrections {
    pub(crate) fn add(&mut self, corrected: &[Corrected]) {
        for one in corrected {
            let of = format!("{}: {} {}", one.at, one.entity, one.key);
            let old = one.old.as_ref().map(Key::to_string).unwrap_or_default();
            for (table, count) in &one.moved {
                self.moved.push(format!(
                    "{of}: {} of {table} moved from {old} to {}",
                    counted(*count, "row"),
                    one.new
                ));
            }
            for left in &one.left {
                self.left.push(format!("{of}: {}", words(left, &old)));
            }
            self.json.push(json!({
                "at": one.at, "entity": one.entity, "key": one.key,
                "old": one.old.as_ref().map(Key::to_string), "new": one.new.to_string(),
                "moved": one.moved,
                "left": one.left.iter().map(to_json).collect::<Vec<_>>(),
            }));
        }
    }
}

fn words(left: &Left, old: &str) -> String {
    let keys: Vec<String> = left.some.iter().map(Key::to_string).collect();
    let more = if left.count > keys.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!(
        "{} of {} by {} = {old} ({}{more}): the id map does not know that reference, or people edited it",
        counted(left.count, "row"),
        left.table,
        left.columns,
        keys.join(", ")
    )
}

fn to_json(left: &Left) -> Value {
    let keys: Vec<String> = left.some.iter().map(Key::to_string).collect();
    json!({"table": left.table, "columns": left.columns, "count": left.count, "some": keys})
}
