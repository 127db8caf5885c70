//! Plays inputs to a target: the seeds, then changes of them.

use std::any::Any;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Target;
use crate::mutate::Mutator;

/// An input may take so much time of the processor: more is an endless loop.
const SLOW: Duration = Duration::from_secs(20);

/// An input may take so long, however busy the machine is: more is a wait without an end.
const STUCK: Duration = Duration::from_secs(600);

/// The inputs that taught something are kept, up to so many.
const POOL: usize = 2000;

/// An input that broke a promise.
#[derive(Debug)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub message: String,
}

/// How many inputs were begun, and since when the process runs one: what [`watch`] looks at.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Ends the process where an input takes too long; it is in the file `current` of this folder.
pub fn watch(folder: &Path) {
    let current = folder.join("current");
    std::thread::spawn(move || {
        let (mut seen, mut since, mut busy) = (0, Instant::now(), processor());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun == 0 || begun != seen {
                (seen, since, busy) = (begun, Instant::now(), processor());
            } else if processor().saturating_sub(busy) > SLOW || since.elapsed() > STUCK {
                let text = format!(
                    "no end after {:?}: {}\n",
                    since.elapsed(),
                    current.display()
                );
                std::io::stderr().write_all(text.as_bytes()).ok();
                std::process::abort();
            }
        }
    });
}

/// Returns how much time of the processor the process has had.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Plays inputs for some time, or until one breaks a promise. Each is in the file `current` of a folder while it is
/// played: where the process dies of it, it is there. Returns how many were played.
///
/// # Errors
///
/// The input, and what it broke.
pub fn drive(target: &Target, folder: &Path, time: Duration, seed: u64) -> Result<u64, Found> {
    let mut mutator = Mutator::new(seed);
    let mut pool = (target.seeds)();
    let current: PathBuf = folder.join("current");
    let (began, mut played) = (Instant::now(), 0);
    let mut outcomes = std::collections::HashSet::new();
    for input in pool.clone() {
        outcomes.insert(play(target, folder, &current, input)?);
        played += 1;
    }
    while began.elapsed() < time {
        let input = mutator.mutate(&pool);
        let outcome = play(target, folder, &current, input.clone())?;
        // An outcome that was not seen before: what made it may lead further.
        if outcomes.insert(outcome) && pool.len() < POOL {
            pool.push(input);
        }
        played += 1;
    }
    BEGUN.store(0, Ordering::Relaxed);
    fs::remove_file(&current).ok();
    Ok(played)
}

fn play(target: &Target, folder: &Path, current: &Path, input: Vec<u8>) -> Result<String, Found> {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    fs::write(current, &input).ok();
    let run = AssertUnwindSafe(|| (target.run)(&input, folder));
    catch_unwind(run).map_err(|panic| Found {
        message: said(panic.as_ref()),
        input,
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic".into())
}
