//! What the run wrote, from its bundle: the ledger keeps only a checksum of what it inserted.

use std::collections::HashMap;
use std::path::Path;

use contract::bundle::Bundle;
use contract::{Exit, Failure, Record};
use serde_json::Value;
use store::ledger::Run;

/// The run's bundle, if there is one.
pub(crate) struct Evidence {
    bundle: Option<Bundle>,
}

/// A record's identity: entity and key.
pub(crate) type Identity = (String, String);

impl Evidence {
    /// Opens the bundle that is named, or else the one at the place the run came from. One that is
    /// found must add up.
    pub fn open(named: Option<&Path>, run: &Run) -> anyhow::Result<Self> {
        let kept = run.bundle_path.as_deref().map(Path::new);
        let place = named.or_else(|| kept.filter(|path| path.exists()));
        let Some(place) = place else {
            return Ok(Self { bundle: None });
        };
        let bundle = Bundle::open(place)?;
        bundle.check()?;
        if bundle.id().to_string() != run.bundle {
            let message = format!(
                "{} is bundle {}, run {} applied {}",
                place.display(),
                bundle.id(),
                run.id,
                run.bundle
            );
            return Err(Failure::new(Exit::Refused, message).into());
        }
        Ok(Self {
            bundle: Some(bundle),
        })
    }

    /// Returns the bundle, if there is one.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Finds records in the bundle, in one pass.
    pub fn records(&self, wanted: &[Identity]) -> anyhow::Result<HashMap<Identity, Record>> {
        let mut found = HashMap::new();
        let Some(bundle) = self.bundle.as_ref().filter(|_| !wanted.is_empty()) else {
            return Ok(found);
        };
        for file in &bundle.manifest().records {
            if wanted.iter().all(|(entity, _)| *entity != file.entity) {
                continue;
            }
            for segment in bundle.segments(file)? {
                for record in segment? {
                    let identity = (record.entity.clone(), record.key.clone());
                    if wanted.contains(&identity) {
                        found.insert(identity, record);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// What a record says of a column: its value, the record it points to, or the code it looks up.
pub(crate) fn says(record: &Record, column: &str) -> Option<Value> {
    let reference = || {
        let to = record.refs.get(column)?;
        Some(Value::from(format!("{} {}", to.entity, to.key)))
    };
    let code = || {
        record
            .lookups
            .get(column)
            .map(|code| Value::from(code.as_str()))
    };
    record
        .fields
        .get(column)
        .cloned()
        .or_else(reference)
        .or_else(code)
}
