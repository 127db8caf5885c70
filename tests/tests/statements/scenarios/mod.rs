//! All that the programs can do to a database, once.

mod additions;
mod corrections;
mod keys;
mod many;
mod marks;
mod odd;
mod others;
mod ties;

use serde_json::Value;

use crate::place::Place;

/// What the programs do to a database of its own.
type Scenario = fn(Place);

/// Does it all, side by side, and returns a place whose database has a ledger.
pub fn all(place: impl Fn() -> Place) -> Place {
    let mut scenarios: Vec<Scenario> = vec![
        keys::of_every_kind,
        additions::come_and_go,
        marks::of_a_run,
        corrections::of_the_id_map,
        ties::of_other_rows,
        others::a_ledger_of_before,
        odd::of_odd_tables,
    ];
    let first = place();
    if first.is_on_server() {
        scenarios.extend([
            others::a_login_that_may_do_little as Scenario,
            others::a_rehearsal,
        ]);
    }
    std::thread::scope(|scope| {
        for scenario in scenarios {
            let place = place();
            scope.spawn(move || scenario(place));
        }
        many::rows(first)
    })
}

/// The file of a run's snapshot.
fn snapshot(place: &Place, run: &str) -> String {
    let sql = format!("SELECT snapshot FROM switchback_runs WHERE id = '{run}'");
    let snapshot: Value = serde_json::from_str(&place.room.ask(&sql)).unwrap();
    snapshot["path"].as_str().unwrap().to_owned()
}
