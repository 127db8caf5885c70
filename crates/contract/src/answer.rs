//! What a program answers on standard output, where a line that can't be written does not end its work.

use std::io::{self, ErrorKind, Write};

use crate::{Exit, Failure, Talk};

/// Standard output of a program that finishes what it began, whoever listens: a write never fails, and
/// what went wrong first decides the exit code in the end.
pub struct Answer<'a> {
    out: &'a mut dyn Write,
    lost: Option<io::Error>,
}

impl<'a> Answer<'a> {
    /// Wraps standard output.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, lost: None }
    }

    /// Returns how the program ends that would end with `exit`. `changed`: what the target is now, in
    /// words, if it was changed.
    ///
    /// # Errors
    ///
    /// The answer is lost: 3 where the target was changed, 5 where the answer is all there is. A reader
    /// who left has what it wanted: 141 where the answer is all there is, else `exit`.
    pub fn end(mut self, exit: Exit, changed: Option<&str>, talk: &Talk) -> Result<Exit, Failure> {
        self.flush().ok();
        let Some(error) = self.lost else {
            return Ok(exit);
        };
        if error.kind() == ErrorKind::BrokenPipe {
            return Ok(match (changed, exit) {
                (None, Exit::Done) => Exit::ReaderLeft,
                _ => exit,
            });
        }
        let lost = format!("standard output can't be written: {error}: the answer is lost");
        match (exit, changed) {
            (Exit::Done, Some(changed)) => {
                Err(Failure::new(Exit::Partial, format!("{lost}; {changed}")))
            }
            (Exit::Done, None) => Err(Failure::new(Exit::Unreachable, lost)),
            (other, changed) => {
                let changed = changed.map(|changed| format!("; {changed}"));
                talk.warn(format!("{lost}{}", changed.unwrap_or_default()));
                Ok(other)
            }
        }
    }

    /// Keeps the first error; after it nothing is written.
    fn done<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.lost = Some(error);
                Ok(instead)
            }
            done => done,
        }
    }
}

impl Write for Answer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lost.is_some() {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.done(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.lost.is_some() {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.done(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talk::ProgressMode;

    /// Takes so many bytes.
    struct Short(usize, ErrorKind);

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ended(room: usize, kind: ErrorKind, exit: Exit, changed: Option<&str>) -> Exit {
        let talk = Talk::new("test", true, false, ProgressMode::Off);
        let mut out = Short(room, kind);
        let mut answer = Answer::new(&mut out);
        writeln!(answer, "an answer").unwrap();
        answer
            .end(exit, changed, &talk)
            .unwrap_or_else(|failure| failure.exit)
    }

    #[test]
    fn an_answer_that_is_lost_is_no_success() {
        let full = ErrorKind::StorageFull;
        for room in 0..10 {
            assert_eq!(ended(room, full, Exit::Done, None), Exit::Unreachable);
            assert_eq!(ended(room, full, Exit::Done, Some("x")), Exit::Partial);
            assert_eq!(ended(room, full, Exit::No, None), Exit::No);
        }
        assert_eq!(ended(10, full, Exit::Done, None), Exit::Done);
    }

    #[test]
    fn a_reader_who_left_is_no_fault_of_the_target() {
        let left = ErrorKind::BrokenPipe;
        assert_eq!(ended(3, left, Exit::Done, None), Exit::ReaderLeft);
        assert_eq!(ended(3, left, Exit::Done, Some("x")), Exit::Done);
        assert_eq!(ended(3, left, Exit::Partial, Some("x")), Exit::Partial);
    }
}
