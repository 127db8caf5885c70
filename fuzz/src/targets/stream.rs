//! The lines between the stages: records and the seal.

use contract::{Line, Record, RecordReader, RecordWriter, Seal};
use serde_json::Value;

use super::{Target, kind, seeds};

pub(super) const RECORD: Target = Target {
    name: "record",
    seeds: || {
        let more = [
            r#"{"entity":"a","key":"k","op":"remap","at":{"file":"f","line":2,"item":3},"to":[1,"x"]}"#,
            r#"{"entity":"a","key":"k","at":{"file":"f","line":2},"fields":{"n":12345678901234567890.10,"x":{"hex":"00ff"}},"refs":{"r":{"entity":"b","key":"q"}},"lookups":{"l":"C"}}"#,
        ];
        seeds::files(&["tests/formats"], ".ndjson", &more)
    },
    run: |bytes, _| {
        let mut reader = RecordReader::new(bytes);
        let mut records = 0;
        loop {
            match reader.next_line() {
                Ok(Some(Line::Record(record, raw))) => {
                    records += 1;
                    assert!(!raw.contains(&b'\n'));
                    the_same(&record);
                }
                Ok(Some(Line::Reject(reject))) => {
                    let text = serde_json::to_string(&reject).unwrap();
                    assert_eq!(
                        serde_json::from_str::<contract::Reject>(&text).unwrap(),
                        *reject
                    );
                }
                Ok(None) => break,
                Err(error) => return kind(&error.to_string()),
            }
        }
        let seal = reader.seal("validate");
        if let Ok(seal) = &seal {
            seal.check().expect("a seal that was taken adds up");
        }
        format!("{} records, {}", records.min(3), seal.is_ok())
    },
};

/// What is written of a record reads as the record.
fn the_same(record: &Record) {
    let mut out = RecordWriter::new(Vec::new());
    out.record(record).unwrap();
    let line = out.into_inner();
    let mut reader = RecordReader::new(&*line);
    let Ok(Some(Line::Record(again, raw))) = reader.next_line() else {
        panic!(
            "a record that was written does not read: {}",
            String::from_utf8_lossy(&line)
        );
    };
    assert_eq!(*again, *record);
    assert_eq!([raw, b"\n".to_vec()].concat(), line);
    assert_eq!(again.digest(), record.digest());
}

pub(super) const SEAL: Target = Target {
    name: "seal",
    seeds: || {
        let streams = seeds::files(&["tests/formats"], ".ndjson", &[]);
        let last = |stream: Vec<u8>| {
            let text = String::from_utf8(stream).ok()?;
            let line: Value = serde_json::from_str(text.lines().last()?).ok()?;
            Some(line.get("end")?.to_string().into_bytes())
        };
        streams.into_iter().filter_map(last).collect()
    },
    run: |bytes, _| {
        let Ok(json) = serde_json::from_slice::<Value>(bytes) else {
            return "no JSON".into();
        };
        let seal = match Seal::read(json) {
            Ok(seal) => seal,
            Err(why) => return kind(&why),
        };
        // One of older rules is never written again.
        if seal.rules == contract::RULES {
            let again = Seal::read(serde_json::to_value(&seal).unwrap());
            assert_eq!(again.expect("what was written reads"), seal);
        }
        let next = seal.next("validate", |_, _| 1);
        for sealed in [Ok(seal.clone()), next].into_iter().flatten() {
            sealed.check().ok();
        }
        format!("{:?}", seal.check().map_err(|why| kind(&why)))
    },
};
