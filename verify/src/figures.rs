//! Figures and times in words.

use chrono::{DateTime, SecondsFormat};
use store::ledger::Counts;

/// What became of records, zeros left out.
pub(crate) fn words(counts: &Counts) -> String {
    let drifted = if counts.drifted > 0 {
        format!(" ({} edited since)", counts.drifted)
    } else {
        String::new()
    };
    let mut parts = vec![
        format!("{} created", counts.created),
        format!("{} updated", counts.updated),
        format!("{} unchanged{drifted}", counts.unchanged),
    ];
    for (count, what) in [
        (counts.deleted, "deleted"),
        (counts.linked, "late references written"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.extend(
        counts
            .skipped
            .iter()
            .map(|(reason, count)| format!("{count} skipped ({reason})")),
    );
    for (count, what) in [
        (counts.failed, "failed"),
        (counts.not_attempted, "not attempted"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// A time of the ledger, in UTC.
pub(crate) fn moment(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A length of time, for people.
pub(crate) fn span(millis: i64) -> String {
    match millis / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
