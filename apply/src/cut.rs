//! Cutting a bundle into batches: always the same, so that a resumed run knows where it stands.

use std::sync::mpsc;

use contract::bundle::{BatchSize, Bundle, BundleError, RecordsFile};
use contract::plan::OpSpec;
use contract::{Op, Record};
use store::ledger::Phase;

/// A pass over one records file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub phase: Phase,
    pub file: &'a RecordsFile,
    /// The number of its first batch.
    pub first: i64,
    /// How many batches it has.
    pub batches: u64,
    /// Of late references: the number of the first batch that puts their records.
    pub puts: Option<i64>,
}

/// Returns the passes of a run in order: puts, late references, deletes. Batches are numbered from
/// 1 across all of them; none holds records of two files.
pub(crate) fn passes(bundle: &Bundle, size: BatchSize) -> Vec<Pass<'_>> {
    let plan = &bundle.plan().plan;
    let is_late = |file: &RecordsFile| {
        plan.entity(&file.entity)
            .is_some_and(|entity| entity.fields.values().any(|field| field.late))
    };
    let files = &bundle.manifest().records;
    let puts = files.iter().filter(|file| file.op != Op::Delete);
    let late = puts
        .clone()
        .filter(|file| is_late(file))
        .map(|file| (Phase::Late, file));
    let deletes = files
        .iter()
        .filter(|file| file.op == Op::Delete)
        .map(|file| (Phase::Delete, file));
    let mut first = 1;
    let mut passes: Vec<Pass<'_>> = Vec::new();
    for (phase, file) in puts
        .map(|file| (Phase::Put, file))
        .chain(late)
        .chain(deletes)
    {
        let put = |pass: &&Pass<'_>| phase == Phase::Late && pass.file.file == file.file;
        let puts = passes.iter().find(put).map(|pass| pass.first);
        let batches = size.batches(file).count() as u64;
        passes.push(Pass {
            phase,
            file,
            first,
            batches,
            puts,
        });
        first += i64::try_from(batches).unwrap_or(i64::MAX);
    }
    passes
}

/// Segments of more bytes are read when they are needed, and not before: memory counts more than time.
const AHEAD: u64 = 2 * 1024 * 1024;

/// Hands on the batches of a pass, each with its number, until one says that it was the last. Memory:
/// one batch, and two segments, or one where segments are wide.
pub(crate) fn batches(
    bundle: &Bundle,
    pass: Pass<'_>,
    size: BatchSize,
    mut each: impl FnMut(i64, &[Record]) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let mut segments = bundle.segments(pass.file)?;
    let mut lengths = size.batches(pass.file);
    let (mut pending, mut length) = (Vec::new(), lengths.next());
    let mut number = pass.first;
    let mut cut = |segments: &mut dyn Iterator<Item = Result<Vec<Record>, BundleError>>| {
        for segment in segments {
            for record in segment? {
                pending.push(record);
                if Some(pending.len() as u64) == length {
                    if !each(number, &pending)? {
                        return Ok(false);
                    }
                    pending.clear();
                    number += 1;
                    length = lengths.next();
                }
            }
        }
        Ok(true)
    };
    if pass
        .file
        .segments
        .iter()
        .any(|segment| segment.bytes > AHEAD)
    {
        return cut(&mut segments);
    }
    std::thread::scope(|scope| {
        // While the target works, the next segment is read and hashed.
        let (ahead, read) = mpsc::sync_channel(0);
        scope.spawn(move || segments.try_for_each(|segment| ahead.send(segment).ok()));
        cut(&mut read.into_iter())
    })
}

/// Returns the corrections of the id map, each with the batch that holds it: those of entities whose records
/// may be such, as the plan says. Memory: they are held all at once, some 300 bytes each.
pub(crate) fn remaps(
    bundle: &Bundle,
    passes: &[Pass<'_>],
    size: BatchSize,
) -> Result<Vec<(i64, Record)>, BundleError> {
    let plan = &bundle.plan().plan;
    let may = |pass: &&Pass<'_>| {
        pass.phase == Phase::Put
            && plan
                .entity(&pass.file.entity)
                .is_some_and(|entity| match &entity.op {
                    OpSpec::Fixed(op) => *op == Op::Remap,
                    OpSpec::From(from) => from.values.values().any(|op| *op == Op::Remap),
                })
    };
    let mut remaps = Vec::new();
    for pass in passes.iter().filter(may) {
        let mut lengths = size.batches(pass.file);
        let (mut no, mut left) = (pass.first - 1, 0);
        for segment in bundle.segments(pass.file)? {
            for record in segment? {
                if left == 0 {
                    no += 1;
                    left = lengths.next().unwrap_or(u64::MAX);
                }
                left -= 1;
                if record.op == Op::Remap {
                    remaps.push((no, record));
                }
            }
        }
    }
    Ok(remaps)
}

/// Calls a function with every record of the bundle that is of one of these entities.
pub(crate) fn scan(
    bundle: &Bundle,
    entities: impl Fn(&str) -> bool,
    mut each: impl FnMut(&Record),
) -> Result<(), BundleError> {
    let files = bundle.manifest().records.iter();
    for file in files.filter(|file| entities(&file.entity)) {
        for segment in bundle.segments(file)? {
            segment?.iter().for_each(&mut each);
        }
    }
    Ok(())
}
