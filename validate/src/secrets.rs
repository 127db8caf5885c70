//! Text that looks like a secret. What it is may be said, the text never.

use regex::RegexSet;
use serde_json::Value;

/// Forms of secrets, each with what it looks like.
#[rustfmt::skip] // a table: one form a line
const FORMS: [(&str, &str); 10] = [
    ("a private key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}|glpat-[A-Za-z0-9_-]{20})"),
    ("a token", r"\bxox[abprs]-[A-Za-z0-9-]{10}"),
    ("a token", r"\b(?:[rs]k_live_[A-Za-z0-9]{16}|sk-[A-Za-z0-9_-]{20})"),
    ("an API key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("a token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]"),
    ("a token", r"(?i-u:\bbearer)\s+[A-Za-z0-9._~+/-]{20}"),
    ("a password", r#"(?i-u:\b(?:password|passwd|passwort|pwd|secret|api[_-]?key|access[_-]?token))["']?\s*[:=]\s*["']?[^\s"']{4}"#),
    ("a password", r"://[^\s/:@]+:[^\s/:@]+@"),
];

/// Looks for secrets in text.
#[derive(Debug)]
pub(crate) struct Secrets(RegexSet);

impl Secrets {
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self(RegexSet::new(FORMS.map(|(_, form)| form))?))
    }

    /// Says what a value looks like, if it looks like a secret.
    pub(crate) fn look_at(&self, value: &Value) -> Option<&'static str> {
        let found = match value {
            Value::String(text) => self.0.matches(text),
            Value::Array(_) | Value::Object(_) => self.0.matches(&value.to_string()),
            Value::Null | Value::Bool(_) | Value::Number(_) => return None,
        };
        found.iter().next().map(|form| FORMS[form].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_seen_and_plain_text_is_not() {
        let secrets = Secrets::new().unwrap();
        let look = |text: &str| secrets.look_at(&Value::String(text.into()));
        // Put together here, so that no scanner takes this file for a leak.
        let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        for (text, what) in [
            (format!("my key is {key}."), "an AWS access key"),
            (
                ["-----BEGIN RSA ", "PRIVATE KEY-----\nMIIE"].concat(),
                "a private key",
            ),
            (format!("gh{}_{}", "p", "a".repeat(36)), "a token"),
            ("Password: hunter2".into(), "a password"),
            ("{\"api_key\": \"abcdef\"}".into(), "a password"),
            ("postgres://ann:hunter2@db/x".into(), "a password"),
            (
                "Authorization: Bearer abcdefghijklmnopqrstuvwx".into(),
                "a token",
            ),
        ] {
            assert_eq!(look(&text), Some(what), "{text}");
        }
        for plain in [
            "",
            "She forgot her password.",
            "a@example.org",
            "https://example.org:8080/a",
            "secretary: Ann",
        ] {
            assert_eq!(look(plain), None, "{plain}");
        }
        assert_eq!(
            secrets.look_at(&serde_json::json!(["x", key])),
            Some("an AWS access key")
        );
    }
}
