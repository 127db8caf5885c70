//! What a rollback takes back and what it leaves to others: tags and other marks, rows that are again what
//! they were, references of others, rowids.

mod as_before;
mod detach;
mod detach_some;
mod in_part;
mod restored;
mod rowids;
mod tags;
mod two_runs;
mod volatile;
