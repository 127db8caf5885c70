//! Values as a target holds them, and their canonical bytes: what the ledger keeps and hashes.

use std::fmt;

use contract::Digest;
use contract::digest::Hasher;

use crate::StoreError;
use crate::ledger::Format;

/// One value of a row, as the target gives it.
#[derive(Debug, Clone)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A binary float.
    Real(f64),
    /// Text; in PostgreSQL also every type that is no number and no bytes, in its canonical text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Text that is not Unicode, in the bytes of the database's own encoding (UTF-8, or UTF-16 of a
    /// SQLite file that says so).
    Raw(Vec<u8>),
    /// A wide value of a column that is only compared and hashed: the SHA-256 of its canonical bytes.
    Folded(Digest),
}

/// A folded value is equal to the value that it was made of.
impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Real(one), Self::Real(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Blob(one), Self::Blob(other)) | (Self::Raw(one), Self::Raw(other)) => {
                one == other
            }
            (Self::Folded(one), Self::Folded(other)) => one == other,
            (Self::Folded(digest), whole) | (whole, Self::Folded(digest)) => {
                whole.is_wide() && whole.digest() == *digest
            }
            _ => false,
        }
    }
}

/// A whole row: one cell per column of its table, in the order of the catalogue.
pub type Row = Vec<Cell>;

impl Cell {
    /// Returns the text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the whole number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the bytes, if it is a blob.
    #[must_use]
    pub fn blob(&self) -> Option<&[u8]> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Tells whether it is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Appends the canonical bytes: a tag and the content, self-delimiting, independent of any
    /// session setting. `FORMAT.md` says them in words.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.pieces(|piece| out.extend_from_slice(piece));
    }

    /// Hands on the canonical bytes piece by piece, without a copy of the content.
    pub(crate) fn pieces(&self, mut each: impl FnMut(&[u8])) {
        let mut sized = |tag, bytes: &[u8]| {
            each(&head(tag, (bytes.len() as u64).to_be_bytes()));
            each(bytes);
        };
        match self {
            Self::Text(text) => sized(b't', text.as_bytes()),
            Self::Blob(bytes) => sized(b'b', bytes),
            Self::Raw(bytes) => sized(b'x', bytes),
            Self::Null => each(b"n"),
            Self::Int(number) => each(&head(b'i', number.to_be_bytes())),
            Self::Real(number) => each(&head(b'r', number.to_bits().to_be_bytes())),
            Self::Folded(digest) => {
                each(b"h");
                each(digest.bytes());
            }
        }
    }

    /// Returns how many canonical bytes it has.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Int(_) | Self::Real(_) => HEAD,
            Self::Text(_) | Self::Blob(_) | Self::Raw(_) => HEAD + self.len(),
            Self::Folded(digest) => 1 + digest.bytes().len(),
        }
    }

    /// Returns a short checksum of the canonical bytes: the first 8 bytes of their SHA-256.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let mut sum = [0; 8];
        sum.copy_from_slice(&self.digest().bytes()[..8]);
        u64::from_be_bytes(sum)
    }

    /// Returns how many bytes of text or other content it holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) | Self::Raw(bytes) => bytes.len(),
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Folded(_) => 0,
        }
    }

    /// Tells whether it has more canonical bytes than go into a row's hash as they are.
    fn is_wide(&self) -> bool {
        self.len() + HEAD > WIDE
    }

    /// Tells whether only its digest is known.
    pub(crate) fn is_folded(&self) -> bool {
        matches!(self, Self::Folded(_))
    }

    /// Returns the cell with the digest alone in place of a wide value.
    pub(crate) fn folded(self) -> Self {
        if self.is_wide() {
            Self::Folded(self.digest())
        } else {
            self
        }
    }

    /// Returns the SHA-256 of the canonical bytes.
    fn digest(&self) -> Digest {
        if let Self::Folded(digest) = self {
            return *digest;
        }
        let mut hasher = Hasher::default();
        self.feed(&mut hasher);
        hasher.digest()
    }

    /// Hashes the canonical bytes, without a copy of them.
    pub(crate) fn feed(&self, hasher: &mut Hasher) {
        self.pieces(|piece| hasher.update(piece));
    }
}

impl fmt::Display for Cell {
    /// For messages: text in quotes, long values cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Text(text) if text.chars().count() > 60 => {
                write!(f, "{:?}…", text.chars().take(57).collect::<String>())
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Blob(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Folded(_) => f.write_str("a long value"),
            Self::Raw(bytes) => {
                f.write_str("text that is not Unicode, x'")?;
                let (shown, more) = bytes.split_at(bytes.len().min(30));
                shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(if more.is_empty() { "'" } else { "…'" })
            }
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Encodes a list of cells, one behind the other.
#[must_use]
pub fn encode_all(cells: &[Cell]) -> Vec<u8> {
    let mut out = Vec::with_capacity(cells.iter().map(Cell::encoded_len).sum());
    for cell in cells {
        cell.encode(&mut out);
    }
    out
}

/// A tag, and a number or the length of what follows.
fn head(tag: u8, word: [u8; 8]) -> [u8; HEAD] {
    let mut head = [tag; HEAD];
    head[1..].copy_from_slice(&word);
    head
}

/// Reads what [`encode_all`] wrote.
///
/// # Errors
///
/// Bytes that it did not write.
pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Cell>, StoreError> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        cells.push(decode(&mut bytes)?);
    }
    Ok(cells)
}

fn decode(bytes: &mut &[u8]) -> Result<Cell, StoreError> {
    let tag = take(bytes, 1)?[0];
    if tag == b'n' {
        return Ok(Cell::Null);
    }
    let mut word = [0; 8];
    word.copy_from_slice(take(bytes, 8)?);
    let content = |bytes: &mut &[u8]| {
        let length = usize::try_from(u64::from_be_bytes(word)).map_err(|_| cut())?;
        take(bytes, length).map(<[u8]>::to_vec)
    };
    Ok(match tag {
        b'i' => Cell::Int(i64::from_be_bytes(word)),
        b'r' => Cell::Real(f64::from_bits(u64::from_be_bytes(word))),
        b't' => Cell::Text(String::from_utf8(content(bytes)?).map_err(|_| cut())?),
        b'b' => Cell::Blob(content(bytes)?),
        b'x' => Cell::Raw(content(bytes)?),
        _ => return Err(cut()),
    })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], StoreError> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(cut)?;
    *bytes = rest;
    Ok(taken)
}

fn cut() -> StoreError {
    StoreError::damaged("an image does not decode")
}

/// So many canonical bytes a cell may have that goes into a row's hash as it is.
pub(crate) const WIDE: usize = 1024;

/// So many of them stand before the content of text or bytes: the tag, and the length.
pub(crate) const HEAD: usize = 9;

/// Returns the hash of a whole row by the rules of a run: the first 16 bytes of the SHA-256 of its
/// canonical bytes, in which, since format 2, `h` and the SHA-256 of its own take the place of a cell of
/// more than 1,024 of them. Runs of format 1 took text that is not Unicode for bytes.
#[must_use]
pub fn row_hash(format: Format, row: &[Cell]) -> [u8; 16] {
    let mut hasher = Hasher::default();
    for cell in row {
        match (format, cell) {
            (Format::One, Cell::Raw(bytes)) => {
                hasher.update(&head(b'b', (bytes.len() as u64).to_be_bytes()));
                hasher.update(bytes);
            }
            (Format::Two, wide) if wide.encoded_len() > WIDE => {
                hasher.update(b"h");
                hasher.update(wide.digest().bytes());
            }
            _ => cell.feed(&mut hasher),
        }
    }
    hasher.digest().short()
}

/// The key of a row: one cell, or several of a composite.
#[derive(Debug, Clone, PartialEq)]
pub struct Key(pub Vec<Cell>);

impl Key {
    /// Returns the form in which the ledger keeps it: a number or text as it is, anything else
    /// encoded.
    #[must_use]
    pub fn to_cell(&self) -> Cell {
        match self.0.as_slice() {
            [only @ (Cell::Int(_) | Cell::Text(_))] => only.clone(),
            cells => Cell::Blob(encode_all(cells)),
        }
    }

    /// Reads what [`Key::to_cell`] made.
    ///
    /// # Errors
    ///
    /// A blob that does not decode.
    pub fn from_cell(cell: Cell) -> Result<Self, StoreError> {
        match cell {
            Cell::Blob(bytes) => Ok(Self(decode_all(&bytes)?)),
            only => Ok(Self(vec![only])),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, cell) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            match cell {
                Cell::Text(text) => write!(f, "{comma}{text}")?,
                other => write!(f, "{comma}{other}")?,
            }
        }
        Ok(())
    }
}

/// Some columns of a row: the position of each in the table's shape, and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image(pub Vec<(usize, Cell)>);

impl Image {
    /// Returns the value of a column.
    #[must_use]
    pub fn get(&self, column: usize) -> Option<&Cell> {
        self.0
            .iter()
            .find(|(place, _)| *place == column)
            .map(|(_, cell)| cell)
    }

    /// Returns the bytes that the ledger keeps.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.pieces(|piece| out.extend_from_slice(piece));
        out
    }

    /// Returns how many bytes the ledger keeps.
    pub(crate) fn encoded_len(&self) -> usize {
        let cells = self.0.iter();
        cells.map(|(_, cell)| 2 + cell.encoded_len()).sum()
    }

    /// Hands on the bytes that the ledger keeps piece by piece.
    pub(crate) fn pieces(&self, mut each: impl FnMut(&[u8])) {
        for (place, cell) in &self.0 {
            each(&u16::try_from(*place).unwrap_or(u16::MAX).to_be_bytes());
            cell.pieces(&mut each);
        }
    }

    /// Reads what [`Image::encode`] made.
    ///
    /// # Errors
    ///
    /// Bytes that do not decode.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, StoreError> {
        let mut cells = Vec::new();
        while !bytes.is_empty() {
            let place = take(&mut bytes, 2)?;
            cells.push((
                usize::from(u16::from_be_bytes([place[0], place[1]])),
                decode(&mut bytes)?,
            ));
        }
        Ok(Self(cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_keys_read_back() {
        let cells = vec![
            Cell::Null,
            Cell::Int(-1),
            Cell::Real(-0.0),
            Cell::Text("ü\0".into()),
            Cell::Blob(vec![0, 255]),
            Cell::Raw(vec![0, 255]),
        ];
        assert_eq!(decode_all(&encode_all(&cells)).unwrap(), cells);
        for key in [
            Key(cells.clone()),
            Key(vec!["a".into()]),
            Key(vec![Cell::Int(7)]),
            Key(vec![Cell::Blob(vec![1])]),
            Key(vec![Cell::Raw(vec![255])]),
        ] {
            assert_eq!(Key::from_cell(key.to_cell()).unwrap(), key);
        }
        let image = Image(vec![(3, Cell::Null), (9, "x".into())]);
        assert_eq!(Image::decode(&image.encode()).unwrap(), image);
        assert!(decode_all(b"t\0\0").is_err());
    }

    #[test]
    fn a_wide_cell_goes_into_a_row_s_hash_by_its_own_and_only_in_format_2() {
        // A text has nine bytes before its own.
        let narrow = vec![Cell::Int(1), "x".repeat(WIDE - 9).into()];
        assert_eq!(
            row_hash(Format::One, &narrow),
            row_hash(Format::Two, &narrow)
        );
        let wide = vec![Cell::Int(1), "x".repeat(WIDE - 8).into(), Cell::Null];
        let plain = Digest::of(&encode_all(&wide)).short();
        assert_eq!(row_hash(Format::One, &wide), plain);
        let own = Digest::of(&encode_all(&wide[1..2]));
        let mut bytes = encode_all(&wide[..1]);
        bytes.push(b'h');
        bytes.extend(own.bytes());
        bytes.push(b'n');
        let short = Digest::of(&bytes).short();
        assert_eq!(row_hash(Format::Two, &wide), short);
    }

    #[test]
    fn text_that_is_not_unicode_is_bytes_to_a_run_of_format_1() {
        let hash = |format, cell| row_hash(format, &[cell]);
        let (raw, blob) = (Cell::Raw(vec![255]), Cell::Blob(vec![255]));
        assert_eq!(
            hash(Format::One, raw.clone()),
            hash(Format::One, blob.clone())
        );
        assert_ne!(hash(Format::Two, raw), hash(Format::Two, blob));
    }

    #[test]
    fn null_and_empty_and_number_and_text_hash_apart() {
        let rows = [
            vec![Cell::Null],
            vec!["".into()],
            vec![Cell::Int(0)],
            vec!["0".into()],
            vec![Cell::Real(0.0)],
            vec![Cell::Blob(vec![255])],
            vec![Cell::Raw(vec![255])],
        ];
        for (place, row) in rows.iter().enumerate() {
            assert!(
                rows[..place]
                    .iter()
                    .all(|other| row_hash(Format::Two, other) != row_hash(Format::Two, row))
            );
        }
    }
}
