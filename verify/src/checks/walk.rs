//! The changes of a run, page by page and table by table.

use std::collections::BTreeMap;

use contract::talk::counted;
use store::ledger::{self, Action, Change, Format, Shape};
use store::{Key, Row, StoreError, Table};

use super::PAGE;
use crate::finding::{Check, Fault};
use crate::scene::{Scene, target_error};

/// Changes of rows of one table.
pub(super) struct Group {
    /// The table as it was when they were written.
    pub shape: Shape,
    /// The table as it is, and its key; none where it is gone, which is then named as a fault.
    pub live: Option<(Table, Vec<usize>)>,
    /// Newest first.
    pub changes: Vec<Change>,
}

impl Group {
    /// Returns the row that each of some changes is about.
    pub(super) fn rows(
        scene: &mut Scene<'_>,
        (table, key): &(Table, Vec<usize>),
        changes: &[&Change],
    ) -> anyhow::Result<Vec<Option<Row>>> {
        let keys: Vec<Key> = changes.iter().map(|change| change.target.clone()).collect();
        Ok(scene.rows(table, key, &keys).map_err(target_error)?)
    }
}

/// Looks for changes of a run that are missing: they are numbered from 1, without a gap.
pub(super) struct Gaps {
    /// The sequence that comes next, going down.
    next: i64,
}

impl Gaps {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        Self {
            next: scene.run.last_seq,
        }
    }

    /// Looks at a change, the newest first.
    pub(super) fn see(&mut self, seq: i64, check: &mut Check) {
        // What a rollback noted has numbers above those of the run.
        if seq <= self.next {
            self.missing(seq, check);
            self.next = seq - 1;
        }
    }

    fn missing(&self, seq: i64, check: &mut Check) {
        if seq < self.next {
            let which = match seq + 1 {
                one if one == self.next => format!("change {one} is missing"),
                first => format!("changes {first} to {} are missing", self.next),
            };
            let message =
                format!("{which} from the ledger, and nothing says that the run was pruned");
            check.add(Fault::error(message));
        }
    }

    /// Ends the search: all that are left should have been there.
    pub(super) fn end(self, check: &mut Check) {
        self.missing(0, check);
    }
}

/// Returns the page of changes of rows before `before`, newest first, and moves `before` to its end. Empty
/// at the end.
pub(super) fn page(
    scene: &mut Scene<'_>,
    before: &mut i64,
    mut gaps: Option<&mut Gaps>,
    check: &mut Check,
) -> anyhow::Result<Vec<Group>> {
    let mut shapes: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    while shapes.is_empty() {
        let page = ledger::page_changes(scene.sql.as_mut(), scene.run.seq, *before, PAGE)
            .map_err(target_error)?;
        let Some(last) = page.last() else { break };
        *before = last.seq;
        if let Some(gaps) = &mut gaps {
            for change in &page {
                gaps.see(change.seq, check);
            }
        }
        let of_row = |change: &Change| !matches!(change.action, Action::Column | Action::Table);
        for change in page.into_iter().filter(of_row) {
            shapes.entry(change.shape).or_default().push(change);
        }
    }
    let mut groups = Vec::with_capacity(shapes.len());
    for (shape, changes) in shapes {
        let shape = ledger::shape_of(scene.sql.as_mut(), shape).map_err(target_error)?;
        let live = match shape.live(scene.sql.as_mut()) {
            Err(StoreError::Refused { .. }) => None,
            other => other.map_err(target_error)?,
        };
        let format = scene.run.format;
        let live = live.and_then(|mut table| {
            if format == Format::Two {
                store::fold_compared(&mut table, &scene.plan.plan);
            }
            let places = shape.key.iter().map(|column| table.position(column));
            let key = places.collect::<Option<Vec<usize>>>()?;
            Some((table, key))
        });
        if live.is_none() && !scene.made(&shape.table) {
            let message = format!(
                "{} can't be checked: table {} or its key is gone",
                counted(changes.len() as u64, "change"),
                shape.table
            );
            check.add(Fault::error(message));
        }
        groups.push(Group {
            shape,
            live,
            changes,
        });
    }
    Ok(groups)
}
