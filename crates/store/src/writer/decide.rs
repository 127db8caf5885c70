//! What is to be done with a record: a pure function of what the record says, what the id map
//! remembers and what the row holds.

use std::borrow::Cow;

use contract::plan::{Entity, OnDrift, OnGone, OnMatch};

use crate::Cell;
use crate::ledger::Entry;

/// A value that a record has for a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The column's position.
    pub place: usize,
    /// As it is written.
    pub cell: Cell,
    /// As it is compared, where that is not as it is written.
    pub canonical: Option<Cell>,
    /// Whether it was resolved in the target, from a reference or a code: the same record may get another
    /// value for it than before.
    pub resolved: bool,
}

impl Wanted {
    /// The value as it is compared.
    pub fn canonical(&self) -> &Cell {
        self.canonical.as_ref().unwrap_or(&self.cell)
    }
}

/// The row that a record was found to be.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// Its values as they are compared.
    pub canonical: &'a dyn Fn(usize) -> Cow<'a, Cell>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Insert a row.
    Insert,
    /// Write these columns. Those that others changed, and that differ too: `overwritten` ones are among the
    /// written, `kept` ones are not.
    Update {
        columns: Vec<usize>,
        overwritten: Vec<usize>,
        kept: Vec<usize>,
    },
    /// The row is as the record says, or was edited by others in `drifted`. `remember`: the id map
    /// does not know that yet.
    Unchanged { drifted: Vec<usize>, remember: bool },
    /// Leave it alone. `adopt`: the row is this record's from now on.
    Skip { reason: &'static str, adopt: bool },
    /// The record is at fault.
    Fail {
        rule: &'static str,
        message: String,
        column: Option<usize>,
    },
}

/// Decides. `row` is the mapped row, or the one that was recognised where there is no entry.
pub(super) fn decide(
    entity: &Entity,
    entry: Option<&Entry>,
    row: Option<Found<'_>>,
    wanted: &[Wanted],
    same: bool,
) -> Decision {
    let entry = entry.filter(|entry| !entry.gone);
    let differs =
        |row: &Found<'_>, wanted: &Wanted| *(row.canonical)(wanted.place) != *wanted.canonical();
    match (entry, row) {
        (None, None) => Decision::Insert,
        (None, Some(row)) => match entity.on_match {
            OnMatch::Fail => Decision::Fail {
                rule: "match",
                message: "a row that is this record by `match` or id is there already, and `on_match` is \"fail\"".into(),
                column: None,
            },
            OnMatch::Skip => Decision::Skip { reason: "matched, on_match = skip", adopt: true },
            OnMatch::Update => {
                let columns: Vec<usize> =
                    wanted.iter().filter(|wanted| differs(&row, wanted)).map(|wanted| wanted.place).collect();
                if columns.is_empty() {
                    Decision::Unchanged { drifted: vec![], remember: true }
                } else {
                    Decision::Update { columns, overwritten: vec![], kept: vec![] }
                }
            }
        },
        (Some(entry), _) if entry.skipped() => Decision::Skip { reason: "matched, on_match = skip", adopt: false },
        (Some(_), None) => match entity.on_gone {
            OnGone::Fail => Decision::Fail {
                rule: "gone",
                message: "its row was deleted since, and `on_gone` is \"fail\"".into(),
                column: None,
            },
            OnGone::Recreate => Decision::Insert,
            OnGone::Skip => Decision::Skip { reason: "its row is gone, on_gone = skip", adopt: false },
        },
        (Some(entry), Some(row)) => merge(entity, entry, row, wanted, same),
    }
}

/// Of the columns whose source value changed since it was last applied, those are written that
/// differ from the row; one that others changed too is decided by `on_drift`. `same`: the record is the
/// one that was applied last, so that only what was resolved in the target can have changed.
fn merge(
    entity: &Entity,
    entry: &Entry,
    row: Found<'_>,
    wanted: &[Wanted],
    same: bool,
) -> Decision {
    let (mut columns, mut overwritten, mut kept, mut drifted) = (vec![], vec![], vec![], vec![]);
    for wanted in wanted {
        let present = (row.canonical)(wanted.place);
        if *present == *wanted.canonical() {
            continue;
        }
        let last = entry.sum(wanted.place);
        let as_before = same && !wanted.resolved;
        if as_before || last == Some(wanted.canonical().sum()) {
            drifted.push(wanted.place);
            continue;
        }
        let edited = last.is_some_and(|last| last != present.sum());
        match (edited, entity.on_drift) {
            (false, _) => columns.push(wanted.place),
            (true, OnDrift::Overwrite) => {
                columns.push(wanted.place);
                overwritten.push(wanted.place);
            }
            (true, OnDrift::Keep) => kept.push(wanted.place),
            (true, OnDrift::Fail) => {
                return Decision::Fail {
                    rule: "drift",
                    message: format!(
                        "it changed in the source (now {}) and in the target (now {present}), and `on_drift` is \"fail\"",
                        wanted.canonical()
                    ),
                    column: Some(wanted.place),
                };
            }
        }
    }
    if columns.is_empty() {
        let remember = !same || !kept.is_empty();
        drifted.extend(kept);
        Decision::Unchanged { drifted, remember }
    } else {
        kept.extend(drifted);
        Decision::Update {
            columns,
            overwritten,
            kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn entity(settings: &str) -> Entity {
        let text = format!(
            "name = \"n\"\nsource = {{ format = \"csv\", files = [\"a\"], key = \"k\" }}\ntable = \"t\"\n{settings}\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn entry(last: &[&str]) -> Entry {
        let sums = last
            .iter()
            .enumerate()
            .map(|(place, text)| (place, Cell::from(*text).sum()))
            .collect();
        Entry {
            entity: 1,
            source: "k".into(),
            claim: 2,
            target: Key(vec![]),
            gone: false,
            digest: vec![1],
            sums,
            run: 1,
            seq: 1,
        }
    }

    fn wanted(now: &[&str]) -> Vec<Wanted> {
        let want = |(place, text): (usize, &&str)| Wanted {
            place,
            cell: (*text).into(),
            canonical: None,
            resolved: false,
        };
        now.iter().enumerate().map(want).collect()
    }

    fn run(settings: &str, last: &[&str], present: &[&str], now: &[&str]) -> Decision {
        let cell = |place: usize| Cow::Owned(Cell::from(present[place]));
        decide(
            &entity(settings),
            Some(&entry(last)),
            Some(Found { canonical: &cell }),
            &wanted(now),
            last == now,
        )
    }

    #[test]
    fn only_what_changed_in_the_source_is_written() {
        let update = |columns, overwritten, kept| Decision::Update {
            columns,
            overwritten,
            kept,
        };
        assert_eq!(
            run("", &["a", "b"], &["a", "b"], &["a", "c"]),
            update(vec![1], vec![], vec![])
        );
        assert_eq!(
            run("", &["a", "b"], &["x", "b"], &["a", "c"]),
            update(vec![1], vec![], vec![0])
        );
        assert_eq!(
            run("", &["a", "b"], &["a", "c"], &["a", "c"]),
            Decision::Unchanged {
                drifted: vec![],
                remember: true
            }
        );
    }

    #[test]
    fn what_changed_in_both_places_is_decided_by_the_plan() {
        let (last, present, now) = (["a"], ["x"], ["b"]);
        assert!(matches!(
            run("", &last, &present, &now),
            Decision::Fail {
                rule: "drift",
                column: Some(0),
                ..
            }
        ));
        assert_eq!(
            run("on_drift = \"keep\"", &last, &present, &now),
            Decision::Unchanged {
                drifted: vec![0],
                remember: true
            }
        );
        assert_eq!(
            run("on_drift = \"overwrite\"", &last, &present, &now),
            Decision::Update {
                columns: vec![0],
                overwritten: vec![0],
                kept: vec![]
            }
        );
    }

    #[test]
    fn the_same_record_again_writes_nothing_and_tells_edits() {
        assert_eq!(
            run("", &["a"], &["x"], &["a"]),
            Decision::Unchanged {
                drifted: vec![0],
                remember: false
            }
        );
    }

    #[test]
    fn a_reference_that_resolves_to_another_row_is_no_edit_and_is_written() {
        let decided = |settings, last, present: &'static str, now| {
            let cell = move |_| Cow::Owned(Cell::from(present));
            let found = Found { canonical: &cell };
            let mut wanted = wanted(&[now]);
            wanted[0].resolved = true;
            decide(
                &entity(settings),
                Some(&entry(&[last])),
                Some(found),
                &wanted,
                true,
            )
        };
        let update = |overwritten| Decision::Update {
            columns: vec![0],
            overwritten,
            kept: vec![],
        };
        let unchanged = |drifted, remember| Decision::Unchanged { drifted, remember };
        assert_eq!(decided("", "R1", "R1", "R2"), update(vec![]));
        assert_eq!(decided("", "R1", "R2", "R2"), unchanged(vec![], false));
        assert_eq!(decided("", "R1", "R9", "R1"), unchanged(vec![0], false));
        assert!(matches!(
            decided("", "R1", "R9", "R2"),
            Decision::Fail { rule: "drift", .. }
        ));
        assert_eq!(
            decided("on_drift = \"overwrite\"", "R1", "R9", "R2"),
            update(vec![0])
        );
        assert_eq!(
            decided("on_drift = \"keep\"", "R1", "R9", "R2"),
            unchanged(vec![0], true)
        );
    }

    #[test]
    fn a_row_that_is_gone_or_was_there_before_is_decided_by_the_plan() {
        let gone = |settings| {
            decide(
                &entity(settings),
                Some(&entry(&["a"])),
                None,
                &wanted(&["a"]),
                true,
            )
        };
        assert!(matches!(gone(""), Decision::Fail { rule: "gone", .. }));
        assert_eq!(gone("on_gone = \"recreate\""), Decision::Insert);
        let cell = |_| Cow::Owned(Cell::from("b"));
        let there = |settings| {
            decide(
                &entity(settings),
                None,
                Some(Found { canonical: &cell }),
                &wanted(&["a"]),
                false,
            )
        };
        assert!(matches!(there(""), Decision::Fail { rule: "match", .. }));
        assert!(matches!(
            there("on_match = \"skip\""),
            Decision::Skip { adopt: true, .. }
        ));
        assert!(matches!(
            there("on_match = \"update\""),
            Decision::Update { .. }
        ));
    }
}
