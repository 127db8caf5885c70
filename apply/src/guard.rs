//! Guards: may this target be written at all, and by how much may it change?

use contract::bundle::Bundle;
use contract::plan::Limits;
use contract::talk::counted;
use contract::{Exit, Failure};
use store::Sql;
use store::ledger::{self, Extent};

use crate::Args;
use crate::which::refused;

/// Returns the environment that the target is in, or refuses to write there. A dry run writes
/// nothing: it needs no leave, but a wrong name is refused all the same.
pub(crate) fn environment(args: &Args, bundle: &Bundle) -> Result<Option<String>, Failure> {
    let plan = &bundle.plan().plan;
    let descriptions = args.to.descriptions();
    let allowed = args.allow_production.as_deref();
    let environment = if args.dry_run && allowed.is_none() {
        plan.environment(&descriptions)
    } else {
        plan.allow(&descriptions, allowed)?
    };
    Ok(environment.map(|environment| environment.name.clone()))
}

/// Tells whether the plan limits how many rows a run may change.
pub(crate) fn limits_rows(limits: &Limits) -> bool {
    limits.change_rows.is_some()
        || limits.delete_rows.is_some()
        || limits.change_percent.is_some()
        || limits.delete_percent.is_some()
}

/// Refuses a run that changes more rows than the plan allows, by what the ledger says of it: asked
/// inside the transaction of a decision pass or a dry run.
pub(crate) fn check_extent(sql: &mut dyn Sql, run: i64, limits: &Limits) -> Result<(), Failure> {
    if !limits_rows(limits) {
        return Ok(());
    }
    let extents = ledger::extents(sql, run).map_err(refused)?;
    let over: Vec<String> = extents
        .iter()
        .flat_map(|extent| excess(extent, limits))
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let message = "the run would change more than the plan's limits allow:";
    Err(Failure::new(Exit::Refused, message)
        .rows(over)
        .hint("nothing was written; is it the right bundle? if so, raise the limit in the plan"))
}

fn excess(extent: &Extent, limits: &Limits) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, count, rows, percent) in [
        (
            "change",
            extent.changed,
            limits.change_rows,
            limits.change_percent,
        ),
        (
            "delete",
            extent.deleted,
            limits.delete_rows,
            limits.delete_percent,
        ),
    ] {
        let table = &extent.table;
        if let Some(limit) = rows.filter(|limit| count > *limit) {
            lines.push(format!(
                "{table}: {} {what}d, {what}_rows is {limit}",
                counted(count, "row")
            ));
        }
        // Compared as whole numbers of rows; a table's size is far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "rows of a table")]
        let share = count as f64 * 100.0 / extent.rows.max(1) as f64;
        if let Some(limit) = percent.filter(|limit| share > *limit) {
            let rows = extent.rows;
            lines.push(format!(
                "{table}: {count} of {} {what}d ({share:.1} %), {what}_percent is {limit}",
                counted(rows, "row")
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_up_to_itself_and_no_further() {
        let limits = Limits {
            change_rows: Some(10),
            delete_percent: Some(50.0),
            ..Limits::default()
        };
        let extent = |changed, deleted| Extent {
            table: "t".into(),
            rows: 20,
            changed,
            deleted,
        };
        assert_eq!(excess(&extent(10, 10), &limits), Vec::<String>::new());
        assert_eq!(
            excess(&extent(11, 11), &limits),
            [
                "t: 11 rows changed, change_rows is 10",
                "t: 11 of 20 rows deleted (55.0 %), delete_percent is 50"
            ]
        );
    }
}
