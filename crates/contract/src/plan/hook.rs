//! Hooks: what is told to others once a run stands.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Plan;
use super::check::{Checked, fault};
use super::load::Step;

/// Something to do after a commit: a command, or a webhook. Its failure is reported and undoes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// After which events.
    pub on: Vec<HookEvent>,
    /// The program and its arguments, started as they are, without a shell.
    pub command: Option<Vec<String>>,
    /// Where the event is posted.
    pub webhook: Option<Webhook>,
    /// After so many seconds it is given up (default 10): the command, or each try of the webhook.
    #[serde(default = "ten")]
    pub timeout: u64,
    /// Whether the work is not done without it (a cache to be flushed): where it fails it stays due, the
    /// program ends with 3, and `--resume` runs it again.
    #[serde(default)]
    pub required: bool,
}

fn ten() -> u64 {
    10
}

impl Hook {
    /// Describes the hook for people: its number, from 1, after which events, and what it runs or where it
    /// posts. The names of variables are given, never their values.
    #[must_use]
    pub fn describe(&self, number: usize) -> String {
        let events: Vec<&str> = self.on.iter().map(|event| event.word()).collect();
        let what = match (&self.command, &self.webhook) {
            (Some(command), _) => {
                let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
                format!("runs {}", words.join(" "))
            }
            (None, Some(webhook)) => webhook.describe(),
            (None, None) => String::new(),
        };
        format!("hook {number} on {} ({what})", events.join(", "))
    }

    /// Names the environment variables that it reads.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let webhook = self.webhook.as_ref();
        let address = webhook.and_then(|webhook| webhook.url_env.as_deref());
        let headers = webhook
            .into_iter()
            .flat_map(|webhook| webhook.headers.values());
        address.into_iter().chain(headers.map(String::as_str))
    }
}

impl Webhook {
    fn describe(&self) -> String {
        let address = match (&self.url, &self.url_env) {
            (Some(url), _) => url.clone(),
            (None, name) => format!("${}", name.as_deref().unwrap_or_default()),
        };
        let headers: Vec<&str> = self.headers.values().map(String::as_str).collect();
        if headers.is_empty() {
            format!("posts to {address}")
        } else {
            format!("posts to {address} with ${}", headers.join(", $"))
        }
    }
}

/// A word as it would have to be written in a shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What a hook waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// A run began; nothing of it is written yet.
    Started,
    /// A run ended with all of its records applied.
    Completed,
    /// A run ended with records that were not applied, was given up by `--take-over`, or could not be
    /// taken back.
    Failed,
    /// A run was taken back.
    RolledBack,
}

impl HookEvent {
    /// Returns the word that plans and the ledger use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// Where an event is posted, as one JSON object. What is secret stands in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The address, `https://…` or `http://…`.
    pub url: Option<String>,
    /// The environment variable that holds the address.
    pub url_env: Option<String>,
    /// Header -> the environment variable that holds its value.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
}

pub(super) fn check_hooks(plan: &Plan) -> Checked {
    for (place, hook) in plan.hook.iter().enumerate() {
        let at = [Step::Key("hook".into()), Step::Place(place)];
        if hook.on.is_empty() {
            return fault(&at, &["on"], "`on` names no event");
        }
        if !(1..=600).contains(&hook.timeout) {
            return fault(&at, &["timeout"], "`timeout` is 1 to 600 seconds");
        }
        match (&hook.command, &hook.webhook) {
            (Some(command), None) if command.first().is_none_or(String::is_empty) => {
                return fault(&at, &["command"], "`command` names no program");
            }
            (None, Some(webhook)) => check_webhook(webhook, &at)?,
            (Some(_), None) => {}
            _ => {
                return fault(&at, &[], "a hook has either `command` or `webhook`");
            }
        }
    }
    Ok(())
}

fn check_webhook(webhook: &Webhook, at: &[Step]) -> Checked {
    match (&webhook.url, &webhook.url_env) {
        (Some(url), None) if !url.starts_with("https://") && !url.starts_with("http://") => fault(
            at,
            &["webhook", "url"],
            "`url` begins with https:// or http://",
        ),
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => fault(
            at,
            &["webhook"],
            "a webhook has either `url` or `url_env`, the variable that holds it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::plan::LoadedPlan;

    fn error(hook: &str) -> String {
        let text = format!(
            "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"t\"\nmatch = [\"a\"]\n\
             source = {{ format = \"csv\", files = [\"a\"], key = \"k\" }}\nfields.a = {{ from = \"a\" }}\n\
             [[hook]]\n{hook}\n"
        );
        match LoadedPlan::parse(Path::new("p"), text) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_hook_is_a_command_or_a_webhook_with_one_address() {
        for (good, hook) in [
            (true, "on = [\"completed\"]\ncommand = [\"true\"]"),
            (
                true,
                "on = [\"rolled-back\"]\nwebhook = { url_env = \"X\", headers = { Authorization = \"Y\" } }",
            ),
            (false, "on = [\"completed\"]"),
            (false, "on = []\ncommand = [\"true\"]"),
            (false, "on = [\"done\"]\ncommand = [\"true\"]"),
            (false, "on = [\"completed\"]\ncommand = []"),
            (
                false,
                "on = [\"completed\"]\ncommand = [\"true\"]\ntimeout = 0",
            ),
            (
                false,
                "on = [\"completed\"]\ncommand = [\"true\"]\nwebhook = { url = \"https://x\" }",
            ),
            (
                false,
                "on = [\"completed\"]\nwebhook = { url = \"ftp://x\" }",
            ),
            (
                false,
                "on = [\"completed\"]\nwebhook = { url = \"https://x\", url_env = \"X\" }",
            ),
        ] {
            assert_eq!(error(hook).is_empty(), good, "{hook}: {}", error(hook));
        }
    }
}
