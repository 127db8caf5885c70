//! The audit trail of a ledger that others wrote.

use std::cell::RefCell;
use std::path::Path;

use serde_json::json;
use store::ledger::{append_audit, check_audit, list_audit, older_audit};
use store::{Cell, Engine as _, Sql as _, Sqlite, StoreError, decode_all, encode_all};

use super::{Target, kind};

/// Cells of an entry.
const WIDTH: usize = 8;

pub(super) const AUDIT: Target = Target {
    name: "audit",
    seeds: || {
        let entry = |seq: i64, action: &str, detail: &str| -> Vec<Cell> {
            vec![
                seq.into(),
                5.into(),
                action.into(),
                "run".into(),
                "ann".into(),
                "host".into(),
                detail.into(),
                vec![7; 32].into(),
            ]
        };
        let hash = "07".repeat(32);
        let pruned = format!("{{\"last\":1,\"until\":5,\"hash\":\"{hash}\"}}");
        let mut unnumbered = entry(1, "migration:audit:pruned", &pruned);
        unnumbered[0] = Cell::Null;
        vec![
            encode_all(&unnumbered),
            encode_all(&entry(1, "migration:started", "{}")),
            encode_all(
                &[
                    entry(1, "migration:started", "{}"),
                    entry(2, "migration:audit:pruned", &pruned),
                ]
                .concat(),
            ),
        ]
    },
    run: |bytes, folder| {
        thread_local! {
            static OPEN: RefCell<Option<Sqlite>> = const { RefCell::new(None) };
        }
        OPEN.with_borrow_mut(|open| {
            let sqlite = open.get_or_insert_with(|| ledger(&folder.join("audit.db")));
            sqlite.begin().unwrap();
            let end = read(sqlite, bytes);
            sqlite.rollback().unwrap();
            end
        })
    },
};

fn ledger(path: &Path) -> Sqlite {
    std::fs::write(path, "").unwrap();
    let mut sqlite = Sqlite::open(path).unwrap();
    sqlite.begin().unwrap();
    sqlite.create_ledger().unwrap();
    sqlite.commit().unwrap();
    sqlite
}

fn read(sqlite: &mut Sqlite, bytes: &[u8]) -> String {
    let Ok(cells) = decode_all(bytes) else {
        return "no cells".into();
    };
    for row in cells.chunks_exact(WIDTH) {
        let insert = "INSERT INTO ledger.audit (seq, at, action, run, operator, host, detail, hash) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        if let Err(error) = sqlite.execute(insert, row) {
            return kind(&error.to_string());
        }
    }
    let damaged = |error: StoreError| match error {
        StoreError::Damaged { message } => kind(&message),
        other => panic!("{other:?}"),
    };
    let listed = list_audit(sqlite).map(|entries| entries.len());
    let checked = check_audit(sqlite);
    older_audit(sqlite, 10).unwrap();
    if let Ok(Ok(chain)) = checked {
        // The chain goes on from where it is.
        append_audit(
            sqlite,
            6,
            "migration:started",
            None,
            ("ann", "host"),
            &json!({}),
        )
        .unwrap();
        let longer = check_audit(sqlite).unwrap();
        assert_eq!(longer.map(|longer| longer.entries), Ok(chain.entries + 1));
    }
    let listed = listed.map_or_else(damaged, |count| count.min(3).to_string());
    let checked = checked.map_or_else(damaged, |chain| chain.is_ok().to_string());
    format!("{listed}, {checked}")
}
