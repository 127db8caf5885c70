//! SIGINT and SIGTERM: the first asks to stop after the batch in hand, the second to undo it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::Exit;

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

    /// Returns the code to end with, if a signal came.
    #[must_use]
    pub fn stop(&self) -> Option<Exit> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let terminated =
            self.last.load(Ordering::SeqCst) == usize::try_from(SIGTERM).unwrap_or_default();
        Some(if terminated {
            Exit::Terminated
        } else {
            Exit::Interrupted
        })
    }

    /// Tells whether a second signal came: the batch in hand is to be undone at once.
    #[must_use]
    pub fn at_once(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 1
    }
}
