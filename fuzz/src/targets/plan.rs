//! The plan and its expressions.

use std::path::Path;

use contract::expr::{Expression, Scope};
use contract::plan::{LoadedPlan, PlanError, Type};
use serde_json::json;

use super::{Target, kind, seeds};

pub(super) const PLAN: Target = Target {
    name: "plan",
    seeds: || seeds::files(&["examples", "tests"], ".toml", &[]),
    run: |bytes, folder| plan(bytes, folder),
};

fn plan(bytes: &[u8], folder: &Path) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "no text".into();
    };
    match LoadedPlan::parse(&folder.join("p.toml"), text.to_owned()) {
        Ok(plan) => {
            assert_eq!(plan.text, text);
            let ordered = plan.plan.in_dependency_order();
            assert_eq!(ordered.len(), plan.plan.entity.len());
            for entity in &plan.plan.entity {
                let line = plan.line_of(&["entity", &entity.name]);
                assert!(line <= text.lines().count().max(1), "line {line}");
            }
            format!("{} entities", ordered.len())
        }
        Err(PlanError::Wrong {
            line,
            column,
            message,
            ..
        }) => {
            let there = text.split('\n').nth(line - 1);
            let length = there.map(|line| line.chars().count() + 1);
            assert!(
                length.is_some_and(|length| column <= length),
                "{line}:{column}: {message}"
            );
            assert!(!message.is_empty());
            kind(&message)
        }
        Err(other) => panic!("{other}"),
    }
}

pub(super) const EXPRESSION: Target = Target {
    name: "expression",
    seeds: || {
        let texts = [
            "!has(b) || b >= a",
            "source.map(k, source[k]).size() > 2",
            "a + string(n) + 'x'.matches('^[a-z]+$')",
            "[1, 2, 3].all(x, x < n) && {'k': a}.k == a",
            "timestamp('2024-01-01T00:00:00Z') < t",
        ];
        texts.map(|text| text.as_bytes().to_vec()).into()
    },
    run: |bytes, _| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return "no text".into();
        };
        // Nesting is the parser's own affair: what is deep beyond reason is refused before it.
        let expression = match Expression::compile(text) {
            Ok(expression) => expression,
            Err(why) => {
                assert!(!why.contains('\n'), "{why}");
                return kind(&why);
            }
        };
        let value = || {
            let mut scope = Scope::default();
            scope.column("a", &json!("text"), Type::Text);
            scope.column("b", &json!(null), Type::Text);
            scope.column("n", &json!(7), Type::Integer);
            scope.column("t", &json!("2024-02-30T00:00:00Z"), Type::Timestamp);
            scope.map(
                "source",
                [("x", json!(1)), ("y", json!([1, "2"]))].into_iter(),
            );
            expression.value(&scope)
        };
        let (one, two) = (value(), value());
        assert_eq!(one, two, "the same values give another answer");
        one.map_or_else(|why| kind(&why), |_| "a value".into())
    },
};
