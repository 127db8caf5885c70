//! Environments: how the plan recognises where a target is, and what it asks before writing there.

use glob::Pattern;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Plan;
use crate::{Exit, Failure};

/// A place that targets are in, recognised by their description. The first that matches wins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// What people call it.
    pub name: String,
    /// Patterns over a target's description: `sqlite:` and the absolute path, or `postgres://`,
    /// host, port and database, never a password. `*` stands for any characters, `/` among them,
    /// `?` for one, `[ab]` for one of these.
    #[serde(rename = "match")]
    pub matching: Vec<String>,
    /// Nothing is written there without its name on the command line (`--allow-production NAME`).
    #[serde(default)]
    pub production: bool,
}

impl Plan {
    /// Returns the first environment with a pattern that matches one of the descriptions of a target.
    #[must_use]
    pub fn environment(&self, descriptions: &[String]) -> Option<&Environment> {
        let matches = |pattern: &String| {
            Pattern::new(pattern)
                .is_ok_and(|pattern| descriptions.iter().any(|text| pattern.matches(text)))
        };
        self.environment
            .iter()
            .find(|environment| environment.matching.iter().any(matches))
    }

    /// Decides whether a target may be written: one that is production needs its name in `allowed`,
    /// and a name that is not the target's is refused wherever it is. Returns the environment that
    /// was recognised.
    ///
    /// # Errors
    ///
    /// [`Exit::Refused`], before any write.
    pub fn allow(
        &self,
        descriptions: &[String],
        allowed: Option<&str>,
    ) -> Result<Option<&Environment>, Failure> {
        let target = descriptions.first().map_or("the target", String::as_str);
        let environment = self.environment(descriptions);
        let production = environment.filter(|environment| environment.production);
        match (production, allowed) {
            (None, None) => Ok(environment),
            (Some(production), Some(name)) if production.name == name => Ok(environment),
            (Some(production), _) => {
                let said = allowed.map_or_else(String::new, |name| format!(", not {name}"));
                let name = &production.name;
                let message =
                    format!("{target} is {name}{said}: it is written only when asked by name");
                Err(Failure::new(Exit::Refused, message)
                    .hint(format!("nothing was written; --allow-production {name}")))
            }
            (None, Some(name)) => {
                let found = environment
                    .map_or("no environment that the plan names", |environment| {
                        environment.name.as_str()
                    });
                let message = format!("{target} is not production {name}: it is {found}");
                Err(Failure::new(Exit::Refused, message)
                    .hint("nothing was written; is it the target that you mean?"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::plan::LoadedPlan;

    const ENTITY: &str = "name = \"p\"\nsystem = \"s\"\n[[entity]]\nname = \"e\"\ntable = \"t\"\nmatch = [\"a\"]\n\
                          source = { format = \"csv\", files = [\"a\"], key = \"k\" }\nfields.a = { from = \"a\" }\n";

    fn plan(more: &str) -> Result<LoadedPlan, String> {
        LoadedPlan::parse(Path::new("p"), format!("{ENTITY}{more}"))
            .map_err(|error| error.to_string())
    }

    fn two() -> LoadedPlan {
        plan(
            "[[environment]]\nname = \"copies\"\nmatch = [\"*/prod/copies/*\"]\n\
             [[environment]]\nname = \"live\"\nmatch = [\"sqlite:*/prod/*\", \"postgres://db?.example.org*\"]\nproduction = true\n",
        )
        .unwrap()
    }

    #[test]
    fn the_first_environment_that_matches_wins() {
        let name = |target: &str| {
            let plan = two();
            let found = plan.plan.environment(&[target.into()]);
            found.map(|found| found.name.clone())
        };
        assert_eq!(name("sqlite:/prod/club.db").as_deref(), Some("live"));
        assert_eq!(name("sqlite:/srv/prod/a/b.db").as_deref(), Some("live"));
        assert_eq!(
            name("postgres://db1.example.org:5432/x").as_deref(),
            Some("live")
        );
        assert_eq!(name("sqlite:/prod/copies/c.db").as_deref(), Some("copies"));
        assert_eq!(name("sqlite:/test/prod.db"), None);
    }

    #[test]
    fn production_needs_its_exact_name_and_nothing_else_takes_one() {
        let loaded = two();
        let allow = |target: &str, name: Option<&str>| {
            loaded
                .plan
                .allow(&[target.into()], name)
                .map_err(|failure| failure.message)
        };
        let live = "sqlite:/prod/club.db";
        assert!(allow(live, Some("live")).is_ok());
        assert!(allow(live, None).unwrap_err().contains("is live"));
        assert!(allow(live, Some("Live")).unwrap_err().contains("not Live"));
        assert!(allow("sqlite:/test.db", None).unwrap().is_none());
        assert!(
            allow("sqlite:/test.db", Some("live"))
                .unwrap_err()
                .contains("not production live")
        );
        assert!(allow("sqlite:/prod/copies/c.db", Some("copies")).is_err());
    }

    #[test]
    fn a_pattern_that_can_never_match_as_meant_is_refused() {
        for (bad, says) in [
            ("name = \"a\"\nmatch = [\"[x\"]", "pattern"),
            ("name = \"a\"\nmatch = []", "names no pattern"),
            ("name = \" \"\nmatch = [\"x\"]", "empty"),
            (
                "name = \"a\"\nmatch = [\"x\"]\n[[environment]]\nname = \"a\"\nmatch = [\"y\"]",
                "two environments",
            ),
        ] {
            let error = plan(&format!("[[environment]]\n{bad}\n")).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
