//! Rows that are tied to a row that undo touches: what will this same undo make of them?

use super::chain::Chain;
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
    let Some(claim) = scene.claim(sql, table)? else {
        return Ok(fates);
    };
    for key in claim.keys {
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
                        cells.extend(layout.place(place)?.map(|place| (place, cell.clone())));
                    }
                    Fate::Becomes(seq, cells)
                }
                _ => Fate::Stays,
            };
        }
    }
    Ok(fates)
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
    for child in scene.tables.clone() {
        for key in &child.foreign_keys {
            if key.parent.eq_ignore_ascii_case(&layout.table.name) {
                for (place, tie) in by_key(sql, scene, layout, rows, &child, key)? {
                    ties[place].push(tie);
                }
            }
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
    let columns: Option<Vec<usize>> = key
        .parent_columns
        .iter()
        .map(|name| parent.position(name))
        .collect();
    let Some(columns) = columns else {
        return Ok(vec![]);
    };
    let names: Vec<&str> = key
        .columns
        .iter()
        .map(|column| child.columns[*column].name.as_str())
        .collect();
    let order = order(child);
    let (mut ties, mut wanted) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        let values: Vec<Cell> = columns.iter().map(|column| row[*column].clone()).collect();
        if values.iter().all(|value| !value.is_null()) {
            let tie = Tie {
                table: child.name.clone(),
                columns: names.join(", "),
                on_delete: key.on_delete.clone(),
                stays: 0,
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
        let pages = sql.fetch_page(child, &key.columns, &order, &keys, PAGE)?;
        let mut next = Vec::new();
        for ((at, values, _), page) in wanted.into_iter().zip(pages) {
            let (place, tie) = &mut ties[at];
            let own = layout.key_of(rows[*place]);
            let last = page.last().filter(|_| page.len() == PAGE);
            let after =
                last.map(|last| Key(order.iter().map(|column| last[*column].clone()).collect()));
            let others: Vec<Row> = page
                .into_iter()
                .filter(|row| child.name != parent.name || layout.key_of(row) != own)
                .collect();
            for fate in fates(sql, scene, child, &others)? {
                match fate {
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

/// Tells whether getting these cells back changes one of the columns from its value.
pub(super) fn differs(cells: &[(usize, Cell)], columns: &[usize], values: &[Cell]) -> bool {
    columns.iter().zip(values).any(|(column, value)| {
        cells
            .iter()
            .any(|(place, cell)| place == column && cell != value)
    })
}

/// The columns by which the rows of a table are put in order.
fn order(table: &Table) -> Vec<usize> {
    table
        .uniques
        .first()
        .cloned()
        .unwrap_or_else(|| (0..table.columns.len()).collect())
}
