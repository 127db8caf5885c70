//! Enough rows for sets, COPY and pages; snapshots; what is kept only for a while.

use tests::Bulk;

use super::snapshot;
use crate::place::Place;

const NOW: &str = "--now=2024-06-01T12:00:00Z";
const SOON: &str = "--now=2024-06-02T12:00:00Z";

pub fn rows(place: Place) -> Place {
    let room = &place.room;
    Bulk::fill(room, 1010);
    room.bundle("B");
    place.on("apply", &["B", "--dry-run"]).code(0);
    let args = ["B", "--batch-size=1200", "--snapshot", NOW];
    let run = place.on("apply", &args).code(0).id();
    place.on("verify", &[&run]).code(0);
    place
        .on("verify", &[&run, "--bundle", "B", "--sample=10"])
        .code(0);
    let again = place.on("apply", &["B", SOON]).code(0).id();
    for args in [
        &["runs"][..],
        &["report", &run],
        &["audit", "--run", &run],
        &["audit", "--rollbacks"],
        &["audit", "--by-operator"],
    ] {
        place.on("verify", args);
    }
    place.on("rollback", &[&run, "--check", SOON]).code(0);
    place.on("rollback", &[&run, "--dry-run", SOON]).code(0);
    place
        .on(
            "rollback",
            &[&run, "--export", "--save-plan", "inverse.toml"],
        )
        .code(0);
    place.on("rollback", &[&run, "--fingerprint", SOON]).code(0);
    place.on("verify", &[&run]).code(0);
    place.on("verify", &[&again]);
    // Back to the snapshot, over what people did and a run did since.
    room.sql("UPDATE person SET name = 'Other'");
    if place.is_on_server() {
        room.sql("ALTER TABLE leaver ADD COLUMN empty TEXT");
    }
    place.apply("B");
    let file = snapshot(&place, &run);
    place.on("rollback", &["--snapshot", &file]).code(0);
    place
        .on("rollback", &["prune", "--now=2027-01-01T00:00:00Z"])
        .code(0);
    place.on("rollback", &[&run, "--check"]);
    place
}
