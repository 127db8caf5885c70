//! Text in another encoding than UTF-8, decoded as it streams.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding};

use crate::item::newlines;

/// Bytes that the declared encoding has no character for. It travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the bytes at offset {offset} are not {encoding}")]
pub(crate) struct BadBytes {
    /// 1-based physical line.
    pub(crate) line: u64,
    /// 0-based, in the file as it is.
    pub(crate) offset: u64,
    /// Its WHATWG name.
    pub(crate) encoding: &'static str,
}

/// Finds an encoding by its WHATWG label. UTF-8 needs no decoding: `Ok(None)`.
///
/// # Errors
///
/// A label that nobody knows.
pub(crate) fn find(label: &str) -> Result<Option<&'static Encoding>, String> {
    let found = Encoding::for_label(label.as_bytes())
        .filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
        .ok_or_else(|| format!("there is no encoding `{label}`: expected a WHATWG label such as `windows-1252` or `utf-16le`"))?;
    Ok((found != encoding_rs::UTF_8).then_some(found))
}

/// Gives the UTF-8 of a reader in another encoding.
pub(crate) struct Decoded<R> {
    input: R,
    decoder: Decoder,
    out: Vec<u8>,
    read: usize,
    filled: usize,
    consumed: u64,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Decoded<R> {
    pub(crate) fn new(input: R, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_with_bom_removal(),
            out: vec![0; 64 << 10],
            read: 0,
            filled: 0,
            consumed: 0,
            line: 1,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        while self.read == self.filled && !self.ended {
            let source = self.input.fill_buf()?;
            let last = source.is_empty();
            let (result, taken, filled) =
                self.decoder
                    .decode_to_utf8_without_replacement(source, &mut self.out, last);
            self.input.consume(taken);
            self.consumed += taken as u64;
            (self.read, self.filled) = (0, filled);
            self.line += newlines(&self.out[..filled]);
            match result {
                DecoderResult::Malformed(bad, after) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        BadBytes {
                            line: self.line,
                            offset: self
                                .consumed
                                .saturating_sub(u64::from(bad) + u64::from(after)),
                            encoding: self.decoder.encoding().name(),
                        },
                    ));
                }
                DecoderResult::InputEmpty => self.ended = last,
                DecoderResult::OutputFull => {}
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill()?;
        Ok(&self.out[self.read..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(label: &str, bytes: &[u8]) -> io::Result<String> {
        let encoding = find(label).unwrap().unwrap();
        let mut text = String::new();
        Decoded::new(io::BufReader::with_capacity(3, bytes), encoding)
            .read_to_string(&mut text)
            .map(|_| text)
    }

    #[test]
    fn declared_encodings_become_utf8() {
        assert_eq!(decode("windows-1252", b"caf\xe9 \x80").unwrap(), "café €");
        assert_eq!(decode("utf-16le", b"\xff\xfea\0\n\0").unwrap(), "a\n");
    }

    #[test]
    fn bytes_without_a_character_are_named() {
        let error = decode("windows-1253", b"a\nb\nc\xff").unwrap_err();
        let bad = error.get_ref().unwrap().downcast_ref::<BadBytes>().unwrap();
        assert_eq!((bad.line, bad.offset), (3, 5));
        assert!(decode("utf-16le", b"a\0b").is_err());
        assert!(find("latin-99").unwrap_err().contains("WHATWG"));
    }
}
