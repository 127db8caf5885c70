//! SIGINT and SIGTERM: the first asks to stop after the batch in hand, the second to undo it.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

/// What asked the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The signals that came so far.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    last: Arc<AtomicUsize>,
    count: Arc<AtomicUsize>,
}

impl Signals {
    /// Starts to listen. From now on neither signal ends the process by itself.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let mut incoming = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let heard = signals.clone();
        std::thread::spawn(move || {
            for signal in incoming.forever() {
                heard.last.store(
                    usize::try_from(signal).unwrap_or_default(),
                    Ordering::SeqCst,
                );
                heard.count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(signals)
    }

    /// Returns the signal that came last, if one came.
    #[must_use]
    pub fn stop(&self) -> Option<Signal> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let terminated =
            self.last.load(Ordering::SeqCst) == usize::try_from(SIGTERM).unwrap_or_default();
        Some(if terminated {
            Signal::Terminate
        } else {
            Signal::Interrupt
        })
    }

    /// Tells whether a second signal came: the batch in hand is to be undone at once.
    #[must_use]
    pub fn at_once(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 1
    }

    /// Waits for a child to end. A signal ends it at once.
    ///
    /// # Errors
    ///
    /// What the system said; [`io::ErrorKind::Interrupted`] where a signal came.
    pub fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.stop().is_some() {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::new(
                    io::ErrorKind::Interrupted,
                    "stopped by a signal",
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Runs a command to its end, and returns what came by the pipes that it was given. A signal ends
    /// it at once.
    ///
    /// # Errors
    ///
    /// As [`Signals::wait`].
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        let mut child = command.spawn()?;
        let (out, err) = (
            read_beside(child.stdout.take()),
            read_beside(child.stderr.take()),
        );
        let status = self.wait(&mut child)?;
        Ok(Output {
            status,
            stdout: out.join().unwrap_or_default(),
            stderr: err.join().unwrap_or_default(),
        })
    }
}

/// Reads a pipe to its end, beside what else is done.
#[must_use]
pub fn read_beside(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends what was said; the exit code says the rest.
            pipe.read_to_end(&mut bytes).ok();
        }
        bytes
    })
}
