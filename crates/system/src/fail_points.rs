//! Named steps at which a build for tests dies, fails or waits, as `$SWITCHBACK_CRASH` says:
//! `kill:N`, `fail:N` (that step), `dead:N` (that and all after), `pause:N:FILE` (makes `FILE.here`,
//! waits for `FILE`), `count:FILE` (a line a step). Without the feature `crash` there is none of it.

/// Marks a step; the second form names what makes an error of the function's type.
#[cfg(not(feature = "crash"))]
#[macro_export]
macro_rules! crash_point {
    ($name:expr $(, $error:expr)?) => {};
}

/// Marks a step; the second form names what makes an error of the function's type.
#[cfg(feature = "crash")]
#[macro_export]
macro_rules! crash_point {
    ($name:expr) => {
        $crate::fail_points::step($name)?
    };
    ($name:expr, $error:expr) => {
        $crate::fail_points::step($name).map_err($error)?
    };
}

/// A number that a build for tests takes from the environment.
#[cfg(not(feature = "crash"))]
#[macro_export]
macro_rules! crash_number {
    ($name:expr, $usual:expr) => {
        $usual
    };
}

/// A number that a build for tests takes from the environment.
#[cfg(feature = "crash")]
#[macro_export]
macro_rules! crash_number {
    ($name:expr, $usual:expr) => {
        std::env::var($name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or($usual)
    };
}

#[cfg(feature = "crash")]
pub use on::step;

#[cfg(feature = "crash")]
mod on {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::path::Path;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    static ASKED: LazyLock<String> =
        LazyLock::new(|| std::env::var("SWITCHBACK_CRASH").unwrap_or_default());
    static STEPS: AtomicU64 = AtomicU64::new(0);

    /// Takes a step.
    ///
    /// # Errors
    ///
    /// Where one is asked for.
    pub fn step(name: &str) -> io::Result<()> {
        let this = STEPS.fetch_add(1, Ordering::SeqCst) + 1;
        let mut words = ASKED.splitn(3, ':');
        let (what, value) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if what == "count" {
            let mut file = OpenOptions::new().create(true).append(true).open(value)?;
            return writeln!(file, "{name}");
        }
        let at = value.parse().unwrap_or(u64::MAX);
        match what {
            "kill" if this == at => std::process::abort(),
            "fail" if this == at => Err(io::Error::other(format!("step {this}, {name}, failed"))),
            "dead" if this >= at => Err(io::Error::other(format!("step {this}, {name}, failed"))),
            "pause" if this == at => {
                let gate = words.next().unwrap_or("");
                File::create(format!("{gate}.here"))?;
                while !Path::new(gate).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
