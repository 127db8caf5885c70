//! Checking a whole run, reading alone.

use super::additions;
use super::judge::judge;
use super::scene::Scene;
use super::verdict::Finding;
use crate::ledger::{self, Change, Run};
use crate::{Sql, StoreError};

/// How many changes are judged together.
const PAGE: usize = 1000;

/// Judges every row that is not undone yet, newest first, and hands each finding on.
///
/// A row that stays in place may keep others from going, also such as were judged before it: then
/// all is judged once more, until nothing new stays. What is found so is handed on too, with `false`
/// for a row that was told before.
///
/// # Errors
///
/// What `each` returned; a table or column that is missing; what the target said.
pub fn check<E: From<StoreError>>(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    each: &mut dyn FnMut(Finding, bool) -> Result<(), E>,
) -> Result<(), E> {
    let mut first = true;
    loop {
        let staying = scene.kept.clone();
        let mut position = None;
        loop {
            let page = page(sql, scene, &mut position, PAGE)?;
            if page.is_empty() {
                break;
            }
            let ends: Vec<Change> = page
                .into_iter()
                .filter(|change| scene.is_end(change))
                .collect();
            let (added, ends): (Vec<Change>, Vec<Change>) =
                ends.into_iter().partition(additions::is_one);
            let (mut findings, mut rest): (Vec<Finding>, _) = (Vec::new(), ends);
            while !rest.is_empty() {
                let judged;
                (judged, rest) = judge(sql, scene, rest)?;
                findings.extend(judged.into_iter().map(|row| row.finding));
            }
            for change in added {
                findings.push(additions::judge(sql, scene, &change)?);
            }
            for finding in findings {
                let stays = scene.kept.contains(&finding.seq);
                if first || (stays && !staying.contains(&finding.seq)) {
                    each(finding, first)?;
                }
            }
        }
        if scene.kept == staying {
            return Ok(());
        }
        first = false;
    }
}

/// Returns the next changes to undo, newest first, from `position` on.
pub(super) fn page(
    sql: &mut dyn Sql,
    scene: &Scene,
    position: &mut Option<i64>,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    let Run {
        seq,
        undo_seq,
        last_seq,
        ..
    } = scene.run;
    if !scene.again {
        let before = position.or(undo_seq).unwrap_or(last_seq + 1);
        let page = ledger::page_changes(sql, seq, before, limit)?;
        *position = page.last().map(|change| change.seq).or(*position);
        return Ok(page);
    }
    // Rows that are gone do not come back: only what was left in place is tried again.
    loop {
        let kept = ledger::kept(sql, seq, position.unwrap_or(i64::MAX), limit)?;
        let Some(last) = kept.last() else {
            return Ok(vec![]);
        };
        *position = Some(last.seq);
        let seqs: Vec<i64> = kept
            .iter()
            .filter(|kept| kept.reason != "gone")
            .map(|kept| kept.seq)
            .collect();
        let mut page = ledger::changes_at(sql, seq, &seqs)?;
        if !page.is_empty() {
            page.sort_by_key(|change| std::cmp::Reverse(change.seq));
            return Ok(page);
        }
    }
}
