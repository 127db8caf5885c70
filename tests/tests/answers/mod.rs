//! What is answered on standard output: where it can't be written that is no success; and nothing of a
//! source or a ledger controls the terminal of whoever reads it.

mod lost;
mod modes;
mod seen;

use tests::{Case, Room};

const PLAN: &str = r#"
name = "people"
system = "club"
[[entity]]
name = "m"
source = { format = "csv", files = ["m.csv"], key = "id" }
table = "m"
id = { column = "id", from = "key" }
[entity.fields]
name = { from = "name" }
"#;

fn room(case: Case, csv: &str) -> Room {
    let table = "CREATE TABLE m (id TEXT PRIMARY KEY, name TEXT CHECK (name <> 'BAD'))";
    let room = Room::with(case, PLAN, &[("m.csv", csv)], table);
    room.bundle("B");
    room
}
