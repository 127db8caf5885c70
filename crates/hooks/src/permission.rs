//! Which hooks may run: those of a plan that the operator has named, or those of a bundle when the operator
//! says so. A bundle comes from a colleague, and a ledger lies where an application can write: neither may
//! start a program or read a variable on the operator's machine.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use contract::plan::{Hook, HookEvent, LoadedPlan};
use contract::{Digest, Exit, Failure, Talk};
use store::TargetUrl;

/// Variables that hold the password of a target, or lead to it: no hook gets them.
const SECRET: [&str; 6] = [
    "DATABASE_URL",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSSLKEY",
    "PGSSLPASSWORD",
];

/// What a command gets without a word: what programs need to be found and to speak the user's language.
const ORDINARY: [&str; 10] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PWD",
];

/// What the operator lets hooks do.
#[derive(Debug, Default)]
pub struct Permission {
    /// `--hooks`: hooks of the bundle may run.
    of_bundle: bool,
    /// `--hook-env`: variables that hooks may be given.
    named: BTreeSet<String>,
    /// The plan that the operator named, or why it can't be read.
    own: Option<Result<LoadedPlan, String>>,
    /// The plan of the bundle that the operator named.
    bundle: Option<LoadedPlan>,
    /// Plans of runs that the operator's own key signed.
    signed: Vec<Digest>,
    /// Texts that no variable of a hook may hold.
    secrets: Vec<String>,
}

/// Why a hook is not run, and what the operator would have to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The reason, in words.
    pub why: String,
    /// Options that would permit it.
    options: Vec<String>,
}

impl Permission {
    /// Makes a permission of the command line's words: `--hooks`, `--hook-env`, `--plan`, and the bundle that it
    /// names.
    ///
    /// # Errors
    ///
    /// A variable holds a secret of the target: wrong usage, nothing was written.
    pub fn new(
        (of_bundle, named, plan): (bool, &[String], Option<&Path>),
        bundle: Option<&LoadedPlan>,
        url: &TargetUrl,
    ) -> Result<Self, Failure> {
        for name in named {
            if is_secret(name) {
                let message = format!(
                    "--hook-env {name}: it holds a secret of the target, which no hook gets"
                );
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        let read = |path| LoadedPlan::read(path).map_err(|error| error.to_string());
        Ok(Self {
            of_bundle,
            named: named.iter().cloned().collect(),
            own: plan.map(read),
            bundle: bundle.cloned(),
            signed: vec![],
            secrets: url.secrets(),
        })
    }

    /// Takes the plan of a run that the operator's own key signed for one that comes with a bundle.
    pub fn signed(&mut self, plan: Digest) {
        self.signed.push(plan);
    }

    /// Says of each hook of a plan whether it will run, and refuses a required one that may not, when one of
    /// `events` is due; `command` is the operator's command as it was, for the advice.
    ///
    /// # Errors
    ///
    /// Refused (4), with the commands that would permit it; nothing was written.
    pub fn demand(
        &self,
        plan: &LoadedPlan,
        events: &[HookEvent],
        command: &str,
        talk: &Talk,
    ) -> Result<(), Failure> {
        for (number, hook) in (1..).zip(&plan.plan.hook) {
            if !hook.on.iter().any(|event| events.contains(event)) {
                continue;
            }
            let what = hook.describe(number);
            match self.denies(plan.digest, hook) {
                None => talk.say(format!("{what}: runs")),
                Some(denied) if hook.required => {
                    let message = format!("{what} is required, and {}", denied.why);
                    return Err(Failure::new(Exit::Refused, message).hint(denied.advice(command)));
                }
                Some(denied) => talk.warn(format!(
                    "{what} will not run: {} ({})",
                    denied.why,
                    denied.advice(command)
                )),
            }
        }
        Ok(())
    }

    /// Says why a hook of a plan may not run, if so.
    pub(crate) fn denies(&self, plan: Digest, hook: &Hook) -> Option<Denied> {
        if self.own_is(plan) {
            return None;
        }
        let bundle = self.bundle.as_ref().map(|bundle| bundle.digest);
        let of_bundle = bundle == Some(plan) || self.signed.contains(&plan);
        let mut options = Vec::new();
        let mut why = match (of_bundle, self.of_bundle) {
            (true, true) => String::new(),
            (true, false) => "it comes with the bundle, not from you".to_owned(),
            (false, _) => "it is known from the ledger alone".to_owned(),
        };
        if !why.is_empty() {
            options.push("--hooks".to_owned());
            if self.bundle.is_none() && !of_bundle {
                options.push("--bundle DIR".to_owned());
            }
            match &self.own {
                Some(Ok(own)) => {
                    write!(why, ", and {} is another plan", own.path.display()).ok();
                }
                Some(Err(error)) => {
                    write!(why, ", and your plan can't be read: {error}").ok();
                }
                None => {}
            }
        }
        let unnamed = hook.variables().filter(|name| !self.named.contains(*name));
        let unnamed: Vec<&str> = unnamed.collect();
        options.extend(unnamed.iter().map(|name| format!("--hook-env {name}")));
        if why.is_empty() && !unnamed.is_empty() {
            why = format!("it would read {}", unnamed.join(", "));
        }
        (!options.is_empty()).then_some(Denied { why, options })
    }

    /// Tells whether the operator named this very plan.
    fn own_is(&self, plan: Digest) -> bool {
        matches!(&self.own, Some(Ok(own)) if own.digest == plan)
    }

    /// The variables that a command is started with: nothing else of ours reaches it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let allowed = |name: &str| {
            ORDINARY.contains(&name) || name.starts_with("LC_") || self.named.contains(name)
        };
        // A variable that is not UTF-8 can't be one that was named.
        let all = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        // A path may hold the word that is also a weak password: that gives nothing away.
        let harmless = |name: &str, value: &str| {
            ORDINARY.contains(&name) || (!is_secret(name) && self.is_harmless(value))
        };
        all.filter(|(name, value)| allowed(name) && harmless(name, value))
            .collect()
    }

    /// Returns the value of a variable that a webhook names.
    ///
    /// # Errors
    ///
    /// It is not set, or holds a secret of the target; in words without it.
    pub(crate) fn variable(&self, name: &str) -> Result<String, String> {
        if is_secret(name) {
            return Err(format!(
                "the environment variable {name} holds a secret of the target"
            ));
        }
        match std::env::var(name) {
            Ok(value) if !value.trim().is_empty() && self.is_harmless(&value) => {
                Ok(value.trim().to_owned())
            }
            Ok(value) if !value.trim().is_empty() => Err(format!(
                "the environment variable {name} holds a secret of the target"
            )),
            _ => Err(format!("the environment variable {name} is not set")),
        }
    }

    fn is_harmless(&self, value: &str) -> bool {
        !self.secrets.iter().any(|secret| value.contains(secret))
    }
}

impl Denied {
    /// The commands that would permit it.
    fn advice(&self, command: &str) -> String {
        format!(
            "{command} {}; or with your own copy of the run's plan: {command} --plan FILE",
            self.options.join(" ")
        )
    }
}

/// Tells whether a variable is known to hold a secret, by its name.
fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
}
