//! Text where people read it.

use std::io::Write as _;

use contract::{Visible, inline, without_passwords};
use serde_json::Value;

use super::Target;

pub(super) const TEXT: Target = Target {
    name: "text",
    seeds: || {
        let texts = [
            "a\u{1b}[2J\u{202e}b\n",
            "postgres://u:p@h/d?password=x&y",
            "{\"a\": \"\u{9b}\u{e0041}\"}",
        ];
        texts.map(|text| text.as_bytes().to_vec()).into()
    },
    run: |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let shown = inline(&text);
        assert!(
            !shown.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
        );
        assert_eq!(inline(&shown), shown, "what is shown is as it is shown");
        let once = without_passwords(&text);
        assert_eq!(without_passwords(&once), once);
        let mut lines = Visible::lines(Vec::new());
        writeln!(lines, "{text}").unwrap();
        lines.write_all(bytes).unwrap();
        if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
            let written = value.to_string();
            let json = contract::visible::json(&written);
            assert!(!json.contains(|c: char| c.is_control()));
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
            return "JSON".into();
        }
        format!("{}", shown == text)
    },
};
