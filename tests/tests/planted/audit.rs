//! The audit trail written anew: an entry is changed or taken out, and every hash made again, as by somebody who
//! knows how.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tests::Db;

use super::plants::{Plant, ask};
use super::scenes::Scene;

const TABLE: &str = "ledger.audit";

/// Returns the faults of this kind.
pub fn rewritten(scene: &Scene) -> Vec<Plant> {
    let entries = ask(
        scene,
        &format!(
            "SELECT seq, at, action, coalesce(run, ''), operator, host, detail FROM {} ORDER BY seq",
            scene.quoted(TABLE)
        ),
    );
    let mut all = Vec::new();
    let mut add = |name: String, kind: &str, entries: &[Vec<String>]| {
        all.push(Plant {
            name: format!("{TABLE} {name} anew"),
            kind: format!("{TABLE} {kind} anew"),
            table: TABLE.into(),
            sql: chained(scene, entries),
        });
    };
    for at in 0..entries.len() {
        let mut without = entries.clone();
        without.remove(at);
        for (entry, seq) in without.iter_mut().zip(1..) {
            entry[0] = seq.to_string();
        }
        add(format!("{} removed", at + 1), "removed", &without);
        for (place, column) in ["at", "action", "run", "operator", "host", "detail"]
            .into_iter()
            .enumerate()
        {
            let place = place + 1;
            let mut changed = entries.clone();
            let cell = &mut changed[at][place];
            *cell = match column {
                "at" => (cell.parse::<i64>().unwrap() + 1).to_string(),
                "run" => "01900000-0000-7000-8000-00000000dead".into(),
                "detail" => "{}".into(),
                _ => format!("{cell}x"),
            };
            add(format!("{} {column}", at + 1), column, &changed);
        }
    }
    // Of the figures each one by itself.
    for (at, entry) in entries.iter().enumerate() {
        let detail: serde_json::Value = serde_json::from_str(&entry[6]).unwrap();
        for name in detail.as_object().unwrap().keys() {
            let mut other = detail.clone();
            other[name] = "another".into();
            let mut changed = entries.clone();
            changed[at][6] = other.to_string();
            add(
                format!("{} detail.{name}", at + 1),
                &format!("detail.{name}"),
                &changed,
            );
        }
    }
    let mut by = entries.clone();
    for entry in &mut by {
        entry[4] = "eve".into();
    }
    add("all by eve".into(), "all by eve", &by);
    all
}

/// Returns the statements that put entries in place of those that are there, with the hashes of a whole chain.
fn chained(scene: &Scene, entries: &[Vec<String>]) -> Vec<String> {
    let table = scene.quoted(TABLE);
    let mut statements = vec![format!("DELETE FROM {table}")];
    let mut before: Vec<u8> = Vec::new();
    for entry in entries {
        let mut bytes = before.clone();
        let mut values = Vec::new();
        for (place, text) in entry.iter().enumerate() {
            match place {
                0 | 1 => {
                    bytes.push(b'i');
                    bytes.extend(text.parse::<i64>().unwrap().to_be_bytes());
                    values.push(text.clone());
                }
                3 if text.is_empty() => {
                    bytes.push(b'n');
                    values.push("NULL".into());
                }
                _ => {
                    bytes.push(b't');
                    bytes.extend((text.len() as u64).to_be_bytes());
                    bytes.extend(text.as_bytes());
                    values.push(format!("'{}'", text.replace('\'', "''")));
                }
            }
        }
        before = Sha256::digest(&bytes).to_vec();
        let mut hex = String::new();
        for byte in &before {
            write!(hex, "{byte:02x}").unwrap();
        }
        let hash = match &scene.room.db {
            Db::Sqlite(_) => format!("x'{hex}'"),
            Db::Postgres(_) => format!("'\\x{hex}'"),
        };
        statements.push(format!(
            "INSERT INTO {table} (seq, at, action, run, operator, host, detail, hash) VALUES ({}, {hash})",
            values.join(", ")
        ));
    }
    statements
}
