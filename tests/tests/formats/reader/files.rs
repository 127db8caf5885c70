//! Files beside the bundle: decisions, failures, checkpoint (rules F25 to F27).

use serde_json::Value;

use super::{hex, json, lines, sha256, stream};

/// Reads the decisions of a dry run (rule F25).
pub fn decisions(text: &[u8]) -> Vec<Value> {
    let all = lines(text);
    let (last, before) = all.split_last().expect("lines");
    let end = &json(last)["end"];
    let length = text.len() - last.len() - 1;
    assert_eq!(end["sha256"], hex(&sha256(&text[..length])));
    let (head, decisions) = before.split_first().expect("a head");
    assert_eq!(json(head)["decisions"]["format"], 1);
    assert_eq!(end["decisions"], decisions.len());
    let decisions: Vec<Value> = decisions.iter().map(|line| json(line)).collect();
    for decision in &decisions {
        let keys: Vec<&String> = decision.as_object().expect("an object").keys().collect();
        let expected = [
            "batch", "entity", "key", "at", "action", "target", "columns", "before",
        ];
        assert_eq!(keys, expected);
    }
    decisions
}

/// Reads the failures of a run: rejects of the stage `apply`, ended by its seal (rule F26).
pub fn failures(text: &[u8]) -> Vec<Value> {
    let read = stream::read(text, false);
    assert_eq!(read.seal["stage"], "apply");
    assert!(read.seal["run"].is_string());
    assert_eq!(read.seal["rejected"], read.rejects.len());
    assert!(read.rejects.iter().all(|reject| reject["stage"] == "apply"));
    read.rejects
}

/// Reads a checkpoint: format, run, batch, status (rule F27).
pub fn checkpoint(text: &[u8]) -> (u64, String, i64, String) {
    let value = json(text);
    let version = value["format"].as_u64().unwrap_or(1);
    let names: &[&str] = if version == 1 {
        &[
            "run",
            "bundle",
            "started",
            "last_checkpoint",
            "files_done",
            "entries_imported",
            "current_file",
            "current_batch",
            "status",
        ]
    } else {
        &[
            "format",
            "run_id",
            "bundle",
            "started_at",
            "last_checkpoint_at",
            "files_processed",
            "entries_imported",
            "current_file",
            "current_batch",
            "status",
        ]
    };
    let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(keys, names);
    let text = |name: &str| value[name].as_str().expect("a text").to_owned();
    let run = text(if version == 1 { "run" } else { "run_id" });
    let batch = value["current_batch"].as_i64().expect("a batch");
    (version, run, batch, text("status"))
}
