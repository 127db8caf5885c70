//! Trying out what a plan adds, where it leaves no trace: the target itself says what can be added,
//! and what can be taken away again.

use std::collections::BTreeMap;

use contract::plan::Add;

use crate::additions::{Addition, Planned, called};
use crate::{Sql, StoreError};

/// What was found where something is to be added.
pub(crate) enum Found {
    /// The table that is to get the column is missing.
    NoTable,
    /// Something that is in the way.
    Unfit(String),
    Nothing,
    /// It is there, and looks so.
    There(String),
}

/// A place to try it out.
pub(crate) trait Trial {
    /// The catalogue with what was made so far.
    fn sql(&mut self) -> &mut dyn Sql;

    /// Looks for it in the target; the table is then called as the target calls it.
    fn find(&mut self, addition: &mut Addition) -> Result<Found, StoreError>;

    /// Returns what it looks like where the plan alone made it.
    fn wanted(&mut self, addition: &Addition) -> Result<String, StoreError>;

    /// Makes it, or says why it can't be made.
    fn make(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError>;

    /// Takes it away, or says why it can't be taken away.
    fn take_away(&mut self, addition: &Addition) -> Result<Result<(), String>, StoreError>;
}

/// Makes all that is missing, looks at the tables of these names, and takes it away again.
pub(crate) fn try_out(
    trial: &mut dyn Trial,
    add: &Add,
    names: &[&str],
) -> Result<Planned, StoreError> {
    let (mut missing, mut problems) = (Vec::new(), Vec::new());
    let mut before = BTreeMap::new();
    for (list, place, mut addition) in Addition::all(add) {
        let problem = match trial.find(&mut addition)? {
            Found::NoTable => Some(format!("there is no table `{}`", addition.table())),
            Found::Unfit(message) => Some(message),
            Found::There(found) => {
                let wanted = trial.wanted(&addition)?;
                let name = called(addition.table(), addition.column());
                (found != wanted).then(|| {
                    format!("{name} is there already and is {found}; the plan adds {wanted}")
                })
            }
            Found::Nothing => {
                let was = trial.sql().definition(addition.table())?;
                before.entry(addition.table().to_owned()).or_insert(was);
                let made = trial.make(&addition)?;
                missing.push((list, place, addition));
                made.err()
            }
        };
        problems.extend(problem.map(|problem| (list, place, problem)));
    }
    let mut tables = BTreeMap::new();
    if problems.is_empty() {
        for name in names {
            // What is no table is told where it is asked for.
            if let Ok(Some(table)) = trial.sql().table(name) {
                tables.insert((*name).to_owned(), table);
            }
        }
        problems = irreversible(trial, &missing, &before)?;
    }
    Ok(Planned {
        tables,
        missing: missing.into_iter().map(|(_, _, one)| one).collect(),
        problems,
    })
}

type Problems = Vec<(&'static str, usize, String)>;

/// Takes everything away again, newest first, and says what does not go or leaves a trace.
fn irreversible(
    trial: &mut dyn Trial,
    missing: &[(&'static str, usize, Addition)],
    before: &BTreeMap<String, Option<String>>,
) -> Result<Problems, StoreError> {
    let mut problems = Problems::new();
    for (list, place, addition) in missing.iter().rev() {
        if let Err(message) = trial.take_away(addition)? {
            let message = format!("rollback could not take it away again: {message}");
            problems.push((list, *place, message));
        }
    }
    for (list, place, addition) in missing.iter().filter(|_| problems.is_empty()) {
        if trial.sql().definition(addition.table())? != before[addition.table()] {
            let message = "taking it away again would not leave the table's definition as it is";
            problems.push((list, *place, message.into()));
            break;
        }
    }
    Ok(problems)
}
