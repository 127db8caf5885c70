//! The faults that verify can't find, and why.

use std::collections::BTreeSet;

/// Why some faults are not found.
pub struct Excuse {
    /// The scene, or `*`.
    pub scene: &'static str,
    /// Of the names of faults; `*` is any text.
    pub pattern: &'static str,
    pub reason: &'static str,
}

macro_rules! excuses {
    ($($scene:literal $pattern:literal: $reason:literal),* $(,)?) => {
        &[$(Excuse { scene: $scene, pattern: $pattern, reason: $reason }),*]
    };
}

const ALL: &[Excuse] = excuses![
    "*" "ledger.hooks.tries *": "how often a hook was tried is told by nothing else",
    "*" "ledger.hooks.at *": "when a hook was tried is told by nothing else",
    "*" "ledger.hooks.detail *": "why a hook failed is told by nothing else",
    "*" "ledger.hooks.holder *": "who runs a hook is told by nothing else",
    "*" "ledger.lock.token *": "any number is a token: it only has to change with each holder",
    "*" "ledger.audit * detail.fingerprints anew": "what tables held before is told by nothing else; the proof of a rollback compares it",
    "*" "ledger.audit * detail.reason anew": "why a run was started, or ended before it was taken back, is told by nothing else",
    "*" "ledger.audit * detail.policy anew": "how a run deals with records that fail is told by nothing else",
    "rolled-back" "ledger.audit 2 at anew": "when a run ended is told by nothing else once it was taken back",
    "rolled-back" "ledger.audit 3 host anew": "where a rollback was made is told by nothing else",
    "*" "ledger.names* *metadata*": "no record is of the row that describes a run: nothing speaks of this name",
    "*" "ledger.names* *Log*": "no record is of the row that describes a run: only of a run with such a row the shape is spoken of",
    "*" "ledger.ids.alias *": "kept for merges: nothing reads it yet",
    "*" "Status*": "rows that no run wrote",
    "*" "Member.* m2 *": "rows that no run wrote",
    "*" "Member m2 *": "rows that no run wrote",
    "verified" "Member.made m1 *": "a column of a row of before that no run wrote",
    "verified" "Member.statusId m1 *": "a column of a row of before that no run wrote",
    "verified" "Member.team m1 *": "a column of a row of before that no run wrote",
    "verified" "Member.balance m1 *": "a column of a row of before that no run wrote",
    "verified" "Member.active m1 *": "a column of a row of before that no run wrote",
    "verified" "Member.data m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.made m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.statusId m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.team m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.balance m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.active m1 *": "a column of a row of before that no run wrote",
    "failed" "Member.data m1 *": "a column of a row of before that no run wrote",
    "rolled-back" "Member.* n2 *": "a row that rollback kept: others made it theirs",
    "rolled-back" "Member n2 removed": "a row that rollback kept: others made it theirs",
    "rolled-back" "ledger.ids.digest *": "of a record that rollback kept, no row is compared",
    "rolled-back" "ledger.ids.sums *": "of a record that rollback kept, no row is compared",
    "verified" "Member.tags n2 *": "of a list that no record has, only the tags of runs are the runs'",
    "*" "Member.tags * another": "whose tag it is that a list holds is not compared",
    "verified" "Member.stamp n2 *": "what a run stamps, others may stamp again",
    "verified" "Member.stamp m1 *": "what a run stamps, others may stamp again",
    "failed" "Member.stamp m1 *": "what a run stamps, others may stamp again",
    "rolled-back" "Member twin made": "a row of somebody else's is no fault",
    "*" "Member stranger made": "a row of somebody else's is no fault",
    "*" "Member.note *": "the plan calls the column volatile",
];

/// Returns why a fault can't be found in a scene, if so.
pub fn of(scene: &str, name: &str) -> Option<&'static Excuse> {
    let this = |excuse: &&Excuse| {
        (excuse.scene == "*" || excuse.scene == scene) && fits(excuse.pattern, name)
    };
    let found = ALL.iter().find(this);
    if let Some(excuse) = found {
        assert!(!excuse.reason.is_empty());
    }
    found
}

/// Returns the patterns for a scene that excused nothing.
pub fn idle(scene: &str, used: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let of = |excuse: &&Excuse| excuse.scene == "*" || excuse.scene == scene;
    let patterns = ALL.iter().filter(of).map(|excuse| excuse.pattern);
    patterns.filter(|pattern| !used.contains(pattern)).collect()
}

/// Tells whether a name is of a pattern.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(tail) = name.strip_prefix(head) else {
        return false;
    };
    (0..=tail.len())
        .filter(|at| tail.is_char_boundary(*at))
        .any(|at| fits(rest, &tail[at..]))
}
