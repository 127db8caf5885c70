//! What became of every byte of a source that is in no record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contract::{Account, Talk};

/// How many places of a kind are named.
const NAMED: usize = 8;

/// What one entity left of one source.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    skipped: BTreeMap<&'static str, Skipped>,
    left_out: BTreeMap<String, u64>,
    unread: Vec<String>,
}

#[derive(Debug, Default)]
struct Skipped {
    pieces: u64,
    bytes: u64,
    places: Vec<(u64, u64)>,
}

impl Explained {
    /// Counts a piece that is no item.
    pub(crate) fn skip(&mut self, reason: &'static str, lines: (u64, u64), bytes: u64) {
        let skipped = self.skipped.entry(reason).or_default();
        skipped.pieces += 1;
        skipped.bytes += bytes;
        if skipped.places.len() < NAMED {
            skipped.places.push(lines);
        }
    }

    /// Counts what the plan left out, by reason.
    pub(crate) fn leave_out(&mut self, reasons: Vec<String>) {
        for reason in reasons {
            *self.left_out.entry(reason).or_default() += 1;
        }
    }

    /// Names the columns that no field reads.
    pub(crate) fn unread(&mut self, names: &[&str]) {
        self.unread = names.iter().map(|name| format!("`{name}`")).collect();
    }

    /// Says it all.
    pub(crate) fn say(&self, account: &Account, talk: &Talk) {
        let Account {
            entity,
            file,
            items,
            used,
            ignored,
            rejected,
            ..
        } = account;
        talk.say(format!("{file}, as `{entity}`: {items} items: {used} used, {ignored} ignored, {rejected} rejected"));
        for (reason, skipped) in &self.skipped {
            let Skipped {
                pieces,
                bytes,
                places,
            } = skipped;
            let mut line = format!("  skipped as {reason}: {pieces} ({bytes} bytes), line");
            for (index, (first, last)) in places.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                write!(line, "{comma} {first}").ok();
                if last > first {
                    write!(line, "-{last}").ok();
                }
            }
            if *pieces > places.len() as u64 {
                line.push_str(", …");
            }
            talk.say(line);
        }
        for (reason, count) in &self.left_out {
            talk.say(format!("  left out: {count}: {reason}"));
        }
        if !self.unread.is_empty() {
            talk.say(format!(
                "  columns that no field reads: {}",
                self.unread.join(", ")
            ));
        }
    }
}
