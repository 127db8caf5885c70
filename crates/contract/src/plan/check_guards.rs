//! Checks of the plan's guards: environments and limits.

use std::collections::HashSet;

use super::Plan;
use super::check::{Checked, fault};
use super::load::Step;

pub(super) fn check_guards(plan: &Plan) -> Checked {
    check_limits(plan)?;
    check_no_undo(plan)?;
    let mut names = HashSet::new();
    for (place, environment) in plan.environment.iter().enumerate() {
        let at = [Step::Key("environment".into()), Step::Place(place)];
        let name = &environment.name;
        if name.trim().is_empty() {
            return fault(&at, &["name"], "`name` is empty");
        }
        if !names.insert(name) {
            let message = format!("there are two environments named `{name}`");
            return fault(&at, &["name"], message);
        }
        if environment.matching.is_empty() {
            return fault(&at, &["match"], "`match` names no pattern");
        }
        for pattern in &environment.matching {
            if let Err(error) = glob::Pattern::new(pattern) {
                let message = format!("{pattern:?} is no pattern: {error}");
                return fault(&at, &["match"], message);
            }
        }
    }
    Ok(())
}

fn check_no_undo(plan: &Plan) -> Checked {
    let known = |name: &String| {
        let mut tables = plan.entity.iter().map(|entity| &entity.table);
        tables.any(|table| table == name)
            || plan
                .metadata
                .as_ref()
                .is_some_and(|metadata| metadata.table == *name)
    };
    let message = |name: &String| format!("no entity writes to a table `{name}`");
    if let Some(name) = plan.accept_no_undo.iter().find(|name| !known(name)) {
        return fault(&[], &["accept_no_undo"], message(name));
    }
    for (place, entity) in plan.entity.iter().enumerate() {
        if let Some(name) = entity.accept_no_undo.iter().find(|name| !known(name)) {
            let at = [Step::Key("entity".into()), Step::Place(place)];
            return fault(&at, &["accept_no_undo"], message(name));
        }
    }
    Ok(())
}

fn check_limits(plan: &Plan) -> Checked {
    let limits = &plan.limits;
    for (key, value) in [
        ("reject_warn", Some(limits.reject_warn)),
        ("reject_fail", Some(limits.reject_fail)),
        ("change_percent", limits.change_percent),
        ("delete_percent", limits.delete_percent),
        ("failed_percent", Some(limits.failed_percent)),
        ("system_memory_percent", limits.system_memory_percent),
    ] {
        if value.is_some_and(|value| !(0.0..=100.0).contains(&value)) {
            let message = format!("`{key}` is a percentage, 0 to 100");
            return fault(&[], &["limits", key], message);
        }
    }
    Ok(())
}
