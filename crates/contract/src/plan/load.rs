//! Finding, reading and checking a plan.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::PlanError;
use super::{Plan, check, check_json, spelling};
use crate::Digest;

/// A plan with the bytes it was read from.
#[derive(Debug, Clone)]
pub struct LoadedPlan {
    /// What it says.
    pub plan: Plan,
    /// Where it was read.
    pub path: PathBuf,
    /// Its bytes, as they go into the bundle.
    pub text: String,
    /// Of its bytes.
    pub digest: Digest,
}

/// Says which plan to read: the one that was named, or `./migration.toml`. (The programs take
/// `--plan` and `$MIGRATION_PLAN`.)
#[must_use]
pub fn find(named: Option<&Path>) -> PathBuf {
    named.unwrap_or(Path::new("migration.toml")).to_owned()
}

impl LoadedPlan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    ///
    /// With line and column of what is wrong.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let bytes = fs::read(path).map_err(|source| PlanError::Io {
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let upto =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()])
                    .into_owned();
            wrong(
                path,
                &upto,
                upto.len(),
                "it is not UTF-8 from here on".into(),
            )
        })?;
        let this = Self::parse(path, text)?;
        match check_json::check_json(&this.plan) {
            Ok(()) => Ok(this),
            Err(fault) => Err(wrong(
                path,
                &this.text,
                locate(&this.text, &fault.at),
                fault.message,
            )),
        }
    }

    /// Checks the text of a plan; `path` is for messages. A plan that a ledger or a bundle keeps is read
    /// so: what older builds took is not refused here.
    ///
    /// # Errors
    ///
    /// With line and column of what is wrong.
    pub fn parse(path: &Path, text: String) -> Result<Self, PlanError> {
        let plan: Plan = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(path, &text, at, with_suggestion(error.message()))
        })?;
        if let Err(fault) = check::check(&plan) {
            let at = locate(&text, &fault.at);
            return Err(wrong(path, &text, at, fault.message));
        }
        let digest = Digest::of(text.as_bytes());
        Ok(Self {
            plan,
            path: path.to_owned(),
            text,
            digest,
        })
    }

    /// Returns the 1-based line where a value stands, given the way to it (`entity`, the entity's
    /// name, `fields`, a column, …; `add`, `column`, a 0-based place, …); that of the nearest part of the way, where it stands nowhere.
    #[must_use]
    pub fn line_of(&self, way: &[&str]) -> usize {
        let place = |name: &str| {
            self.plan
                .entity
                .iter()
                .position(|entity| entity.name == name)
        };
        let step = |(at, name): (usize, &&str)| match (at, way[0]) {
            (1, "entity") => place(name).map_or_else(|| Step::Key((*name).to_owned()), Step::Place),
            (2, "add") => name
                .parse()
                .map_or_else(|_| Step::Key((*name).to_owned()), Step::Place),
            _ => Step::Key((*name).to_owned()),
        };
        let way: Vec<Step> = way.iter().enumerate().map(step).collect();
        self.text[..locate(&self.text, &way)].matches('\n').count() + 1
    }

    /// Returns the folder that file names in the plan are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        system::files::folder_of(&self.path)
    }
}

fn wrong(path: &Path, text: &str, offset: usize, message: String) -> PlanError {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    PlanError::Wrong {
        path: path.to_owned(),
        line,
        column,
        message,
    }
}

/// Adds the nearest known key to serde's message about an unknown one.
fn with_suggestion(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown") {
        return message.to_owned();
    }
    let word = words.next().unwrap_or_default().to_owned();
    format!("{message}{}", spelling::suggestion(&word, words))
}

/// A step of the way to a value in the plan: a key, or a place in a list.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A key of a table.
    Key(String),
    /// A 0-based place in a list.
    Place(usize),
}

/// Finds where a value stands; the nearest parent that exists, where the value itself is missing.
fn locate(text: &str, way: &[Step]) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 0;
    };
    let mut found = 0;
    let mut here = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    for step in way {
        let next = match (step, here.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => {
                table.get_key_value(key.as_str()).map(|(name, value)| {
                    found = name.span().start;
                    value.clone()
                })
            }
            (Step::Place(place), DeValue::Array(list)) => {
                list.get(*place).cloned().inspect(|value| {
                    found = value.span().start;
                })
            }
            _ => None,
        };
        let Some(next) = next else { break };
        here = next;
    }
    found
}
