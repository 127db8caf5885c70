//! What the ledger keeps of rows: cells, keys, images, changes and entries.

use store::ledger::{Action, Change, Entry};
use store::{Cell, Image, Key, decode_all, encode_all};

use super::{Target, kind};

pub(super) const IMAGES: Target = Target {
    name: "images",
    seeds: || {
        let cells = [
            Cell::Null,
            Cell::Int(-7),
            Cell::Real(f64::NAN),
            Cell::Text("text".into()),
            Cell::Blob(vec![0, 255]),
            Cell::Raw(vec![0xc3]),
        ];
        let image = Image(cells.iter().cloned().enumerate().collect());
        let mut change = Change::new(3, 1, 2, Action::Update, Key(vec![Cell::Int(1), "k".into()]));
        change.before = image.clone();
        change.after = Image(vec![(1, Cell::Int(8))]);
        change.identity = Some((1, "source".into()));
        let mut inserted = Change::new(4, 1, 2, Action::Insert, Key(vec!["k".into()]));
        inserted.sums = vec![1, 2];
        inserted.entry = Some(None);
        let rows = [change.to_row(), inserted.to_row()].map(|row| encode_all(&row));
        [encode_all(&cells), image.encode()]
            .into_iter()
            .chain(rows)
            .collect()
    },
    run: |bytes, _| {
        if let Ok(image) = Image::decode(bytes) {
            assert_eq!(image.encode(), bytes);
            let mut change = Change::new(1, 1, 1, Action::Update, Key(vec![Cell::Int(1)]));
            change.before = image;
            // The number of a row is kept behind all columns.
            let row = change.to_row();
            if let Ok(read) = Change::from_row(row.clone()) {
                assert_eq!(encode_all(&read.to_row()), encode_all(&row));
            }
        }
        let cells = match decode_all(bytes) {
            Ok(cells) => cells,
            Err(error) => return kind(&error.to_string()),
        };
        assert_eq!(encode_all(&cells), bytes);
        for cell in &cells {
            assert!(cell.to_string().len() < 400, "a cell is shown at length");
            let key = Key::from_cell(cell.clone());
            if let Ok(key) = key {
                assert_eq!(
                    encode_all(&Key::from_cell(key.to_cell()).unwrap().0),
                    encode_all(&key.0)
                );
            }
        }
        let change = Change::from_row(cells.clone());
        if let Ok(change) = &change {
            assert_eq!(encode_all(&change.to_row()), bytes);
        }
        let entry = Entry::from_row(cells);
        let words = |read: Result<(), store::StoreError>| {
            read.map_or_else(|error| kind(&error.to_string()), |()| "read".into())
        };
        [words(change.map(|_| ())), words(entry.map(|_| ()))].join(", ")
    },
};
