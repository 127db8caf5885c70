//! Rows that are tied to a row that undo touches: what will this same undo make of them?

use super::chain::Chain;
use super::detach::{Child, Link};
use super::layout::Layout;
use super::scene::Scene;
use crate::ledger::Action;
use crate::{Cell, ForeignKey, Key, Row, Sql, StoreError, Table};

/// How many rows that refer to one row are read at a time.
const PAGE: usize = 500;

/// What undoing the run makes of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// The run did not touch it, or not its content.
    Stays,
    /// The run inserted it: it goes, unless the change of this sequence is kept.
    Goes(i64),
    /// The run updated it: it gets these values back, unless the change is kept.
    Becomes(i64, Vec<(usize, Cell)>),
}

/// Returns the fate of each row.
pub(super) fn fates(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    table: &Table,
    rows: &[Row],
) -> Result<Vec<Fate>, StoreError> {
    let mut fates = vec![Fate::Stays; rows.len()];
    if rows.is_empty() {
        return Ok(fates);
    }
    fates_by(sql, scene, table, table, rows, &mut fates)?;
    // A run may have written the row by the name of another table that it is a row of too.
    for name in &table.kin {
        if let Some(kin) = scene.other(sql, name)? {
            fates_by(sql, scene, table, &kin, rows, &mut fates)?;
        }
    }
    Ok(fates)
}

/// Finds the fate of rows of a table that a run wrote by the name of another one, or by its own.
fn fates_by(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    table: &Table,
    written: &Table,
    rows: &[Row],
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let Some(claim) = scene.claim(sql, written)? else {
        return Ok(());
    };
    let here = |place: usize| table.position(&written.columns[place].name);
    for key in claim.keys {
        let Some(key) = key.into_iter().map(here).collect::<Option<Vec<usize>>>() else {
            continue;
        };
        // What is unique in a partition alone may be the key of a row of another one.
        if table.name != written.name && !table.is_unique(&key) {
            continue;
        }
        let of = |row: &Row| Key(key.iter().map(|place| row[*place].clone()).collect());
        let targets: Vec<Key> = rows.iter().map(of).collect();
        for (place, chain) in chains(sql, scene, claim.number, &targets, false)? {
            let (Some(first), seq) = (chain.first(), chain.newest().seq) else {
                continue;
            };
            fates[place] = match first.action {
                Action::Insert => Fate::Goes(seq),
                Action::Update => {
                    let layout = scene.layout(sql, first)?;
                    let mut cells = Vec::new();
                    for (place, cell) in chain.before() {
                        let place = layout.place(place)?.and_then(here);
                        cells.extend(place.map(|place| (place, cell.clone())));
                    }
                    Fate::Becomes(seq, cells)
                }
                _ => Fate::Stays,
            };
        }
    }
    Ok(())
}

/// Returns the chains of this run that end in the rows with these keys, each with its place.
/// `gone`: of rows that the run deleted.
pub(super) fn chains(
    sql: &mut dyn Sql,
    scene: &Scene,
    claim: i64,
    targets: &[Key],
    gone: bool,
) -> Result<Vec<(usize, Chain)>, StoreError> {
    let mut places: Vec<(i64, usize)> = Vec::new();
    for (place, entry) in sql.claims(claim, targets)?.into_iter().enumerate() {
        if let Some(entry) = entry.filter(|entry| entry.run == scene.run.seq && entry.gone == gone)
        {
            places.push((entry.seq, place));
        }
    }
    let seqs: Vec<i64> = places.iter().map(|(seq, _)| *seq).collect();
    let ends = crate::ledger::changes_at(sql, scene.run.seq, &seqs)?;
    let chains = Chain::read(sql, scene.run.seq, ends)?;
    let place = |chain: Chain| {
        let seq = chain.newest().seq;
        places
            .iter()
            .find(|(other, _)| *other == seq)
            .map(|(_, place)| (*place, chain))
    };
    Ok(chains.into_iter().filter_map(place).collect())
}

/// Rows that refer to a row by one foreign key.
#[derive(Debug)]
pub(super) struct Tie {
    pub table: String,
    pub columns: String,
    pub on_delete: String,
    /// How many stay whatever happens.
    pub stays: u64,
    /// Those whose reference may be set NULL instead.
    pub children: Vec<Child>,
    /// Changes whose undoing takes the reference away.
    pub unless_kept: Vec<i64>,
}

/// Returns what refers to each row, by each declared foreign key.
pub(super) fn referring(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    layout: &Layout,
    rows: &[&Row],
) -> Result<Vec<Vec<Tie>>, StoreError> {
    let mut ties: Vec<Vec<Tie>> = rows.iter().map(|_| Vec::new()).collect();
    if rows.is_empty() {
        return Ok(ties);
    }
    for (child, key) in &scene.children(sql, &layout.table)?.keys {
        for (place, tie) in by_key(sql, scene, layout, rows, child, key)? {
            ties[place].push(tie);
        }
    }
    Ok(ties)
}

/// What refers to some rows by one foreign key, each with the place of the row.
fn by_key(
    sql: &mut dyn Sql,
    scene: &mut Scene,
    layout: &Layout,
    rows: &[&Row],
    child: &Table,
    key: &ForeignKey,
) -> Result<Vec<(usize, Tie)>, StoreError> {
    let parent = &layout.table;
    let columns = parent.positions(&key.parent_columns)?;
    let names: Vec<&str> = key
        .columns
        .iter()
        .map(|column| child.columns[*column].name.as_str())
        .collect();
    let order = child.order();
    let link = Link::new(sql, scene, child, key)?;
    let (mut ties, mut wanted) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        let values: Vec<Cell> = columns.iter().map(|column| row[*column].clone()).collect();
        if values.iter().all(|value| !value.is_null()) {
            let tie = Tie {
                table: child.name.clone(),
                columns: names.join(", "),
                on_delete: key.on_delete.clone(),
                stays: 0,
                children: Vec::new(),
                unless_kept: Vec::new(),
            };
            wanted.push((ties.len(), values, None));
            ties.push((place, tie));
        }
    }
    while !wanted.is_empty() {
        let keys: Vec<_> = wanted
            .iter()
            .map(|(_, values, after)| (values.clone(), after.clone()))
            .collect();
        let pages = sql.referring((child, key), parent, &order, &keys, PAGE)?;
        let mut next = Vec::new();
        for ((at, values, _), page) in wanted.into_iter().zip(pages) {
            let (place, tie) = &mut ties[at];
            let last = page.last().filter(|_| page.len() == PAGE);
            let after =
                last.map(|last| Key(order.iter().map(|column| last[*column].clone()).collect()));
            let others: Vec<Row> = page
                .into_iter()
                .filter(|row| !is_itself(child, row, layout, rows[*place]))
                .collect();
            let fates = fates(sql, scene, child, &others)?;
            if let Some(link) = &link {
                let staying = others.iter().zip(&fates);
                let staying = staying.filter(|(_, fate)| **fate == Fate::Stays);
                let staying: Vec<&Row> = staying.map(|(row, _)| row).collect();
                let (children, rest) = link.children(sql, scene, &staying)?;
                tie.children.extend(children);
                tie.stays += rest;
            }
            for fate in fates {
                match fate {
                    Fate::Stays if link.is_some() => {}
                    Fate::Goes(seq) => tie.unless_kept.push(seq),
                    Fate::Becomes(seq, cells) if differs(&cells, &key.columns, &values) => {
                        tie.unless_kept.push(seq);
                    }
                    Fate::Becomes(..) | Fate::Stays => tie.stays += 1,
                }
            }
            if after.is_some() {
                next.push((at, values, after));
            }
        }
        wanted = next;
    }
    Ok(ties)
}

/// Tells whether a row that refers to a row is the same one. Of tables whose rows are one another's too, all
/// that they hold tells, as a key may be unique in one of them alone.
fn is_itself(child: &Table, other: &Row, layout: &Layout, row: &Row) -> bool {
    if child.name == layout.table.name {
        return layout.key_of(other) == layout.key_of(row);
    }
    child.is_kin(&layout.table) && layout.table.row_of(child, other).as_ref() == Some(row)
}

/// Tells whether getting these cells back changes one of the columns from its value.
pub(super) fn differs(cells: &[(usize, Cell)], columns: &[usize], values: &[Cell]) -> bool {
    columns.iter().zip(values).any(|(column, value)| {
        cells
            .iter()
            .any(|(place, cell)| place == column && cell != value)
    })
}
