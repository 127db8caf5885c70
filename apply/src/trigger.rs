//! What stops a run by itself: too many failures, too long, too much memory.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contract::plan::Limits;
use contract::talk::counted;

use crate::Args;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The limits of one run. The command line goes before the plan.
#[derive(Debug)]
pub(crate) struct Triggers {
    records: u64,
    failed_percent: f64,
    time: Option<Duration>,
    process_mib: Option<u64>,
    system_percent: Option<f64>,
    meminfo: PathBuf,
    status: PathBuf,
    began: Instant,
    looked: Option<Instant>,
}

impl Triggers {
    pub(crate) fn new(args: &Args, limits: &Limits, records: u64) -> Self {
        Self {
            records,
            failed_percent: args.max_failed_percent.unwrap_or(limits.failed_percent),
            time: args
                .time_limit
                .or(limits.run_seconds)
                .map(Duration::from_secs),
            process_mib: args.memory_limit.or(limits.process_mib),
            system_percent: args.system_memory_limit.or(limits.system_memory_percent),
            meminfo: args.meminfo.clone(),
            status: "/proc/self/status".into(),
            began: Instant::now(),
            looked: None,
        }
    }

    /// Says which limit is exceeded, if one is. `failed` counts the records at fault so far.
    pub(crate) fn fired(&mut self, failed: u64) -> Option<String> {
        #[expect(clippy::cast_precision_loss, reason = "a share of up to 2^53 records")]
        let share = failed as f64 * 100.0 / self.records.max(1) as f64;
        if share > self.failed_percent {
            return Some(format!(
                "stopped by the failure limit: {failed} of {} failed, more than {} %",
                counted(self.records, "record"),
                self.failed_percent
            ));
        }
        if let Some(limit) = self.time.filter(|limit| self.began.elapsed() > *limit) {
            return Some(format!(
                "stopped by the time limit of {} s",
                limit.as_secs()
            ));
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return None;
        }
        self.looked = Some(Instant::now());
        self.memory()
    }

    fn memory(&self) -> Option<String> {
        if let Some(limit) = self.process_mib {
            let used = kib(&fs::read_to_string(&self.status).ok()?, "VmRSS:")? / 1024;
            if used > limit {
                return Some(format!(
                    "stopped by the memory limit: the process uses {used} MiB, more than {limit}"
                ));
            }
        }
        let limit = self.system_percent?;
        let info = fs::read_to_string(&self.meminfo).ok()?;
        let (total, free) = (kib(&info, "MemTotal:")?, kib(&info, "MemAvailable:")?);
        #[expect(clippy::cast_precision_loss, reason = "a share of up to 2^53 KiB")]
        let used = total.saturating_sub(free) as f64 * 100.0 / total.max(1) as f64;
        (used > limit).then(|| format!("stopped by the memory limit: {used:.0} % of the system's is in use, more than {limit}"))
    }
}

/// Reads a line `NAME  123 kB` of a file under `/proc`.
fn kib(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn triggers(limits: &str, meminfo: &str) -> (Triggers, tempfile::NamedTempFile) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(meminfo.as_bytes()).unwrap();
        let limits: Limits = toml::from_str(limits).unwrap();
        let path = file.path().to_str().unwrap();
        let args = ["apply", "b", "--to", "sqlite:x", "--meminfo", path];
        (
            Triggers::new(&clap::Parser::parse_from(args), &limits, 100),
            file,
        )
    }

    #[test]
    fn ten_percent_may_fail_and_no_more() {
        let (mut triggers, _file) = triggers("", "");
        assert_eq!(triggers.fired(10), None);
        assert!(
            triggers
                .fired(11)
                .unwrap()
                .contains("11 of 100 records failed")
        );
    }

    #[test]
    fn memory_of_the_system_is_read_from_the_file_named() {
        let meminfo = |free| format!("MemTotal:  1000 kB\nMemAvailable: {free} kB\n");
        let (mut below, _file) = triggers("system_memory_percent = 90", &meminfo(100));
        assert_eq!(below.fired(0), None);
        let (mut above, _file) = triggers("system_memory_percent = 90", &meminfo(90));
        assert!(above.fired(0).unwrap().contains("91 % of the system's"));
    }

    #[test]
    fn off_unless_the_plan_sets_them() {
        let (mut off, _file) = triggers("", "MemTotal: 1000 kB\nMemAvailable: 0 kB\n");
        assert_eq!(off.fired(0), None);
        let (mut process, _file) = triggers("process_mib = 1", "");
        assert!(process.fired(0).unwrap().contains("the process uses"));
    }
}
