//! The targets, by name.

mod audit;
mod bundle;
mod images;
mod plan;
mod seeds;
mod source;
mod stream;
mod text;
mod url;

use std::path::Path;

/// A reader of foreign bytes.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Where it begins: inputs of the tests and examples.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Gives it bytes, in a folder of its own, and returns what kind of an end that had: inputs with other
    /// ends are followed. Panics where a promise is broken.
    pub run: fn(&[u8], &Path) -> String,
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    source::CSV,
    source::JSON,
    source::MARKDOWN,
    source::FRONT_MATTER,
    plan::PLAN,
    plan::EXPRESSION,
    stream::RECORD,
    stream::SEAL,
    bundle::MANIFEST,
    url::URL,
    images::IMAGES,
    audit::AUDIT,
    text::TEXT,
];

/// Finds a target.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The kind of an error: its words without what is quoted and counted in them.
fn kind(message: &str) -> String {
    let mut quoted = false;
    let keep = |c: &char| {
        if matches!(c, '"' | '`') {
            quoted = !quoted;
        }
        !quoted && !c.is_ascii_digit()
    };
    message.chars().filter(keep).take(120).collect()
}
