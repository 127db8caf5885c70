//! `manifest.json`: what the bundle holds. Its SHA-256 is the bundle ID.

use serde::{Deserialize, Serialize};

use super::error::BundleError;
use crate::seal::{Account, Seal, SourceSum, StageSum};
use crate::upgrade::accounts_of_version_1;
use crate::{Digest, Edited, Op, RULES};

/// The version of the bundle's format that is written; version 1 is read too.
pub const FORMAT: u32 = 2;

/// What a bundle holds. Written as pretty JSON with a line feed at the end, keys in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`], or an older one.
    pub format: u32,
    /// [`crate::RULES`] of the stages that made it.
    pub rules: u32,
    /// The plan's name.
    pub name: String,
    /// The plan's source system.
    pub system: String,
    /// The plan's bytes.
    pub plan: PlanSum,
    /// Whether references that the records lack are left to the id map.
    pub follow_up: bool,
    /// Whether nothing vouches for the end of the stream that it was made of.
    pub unsealed: bool,
    /// Whether record lines were edited between the stages; version 1 does not say.
    #[serde(default)]
    pub edited: Edited,
    /// The records, in the order in which they are applied: puts by dependency, then deletes in
    /// reverse.
    pub records: Vec<RecordsFile>,
    /// Rejects of all stages.
    pub rejects: SumFile,
    /// Every source.
    pub sources: Vec<SourceSum>,
    /// Whether `sources/` holds their bytes.
    pub sources_kept: bool,
    /// Sources, by name, that are in no bundle: the plan drops columns of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources_left_out: Vec<String>,
    /// The accounting by entity and source.
    pub accounts: Vec<Account>,
    /// What the stages did, oldest first, bundle last.
    pub stages: Vec<StageSum>,
}

/// The plan inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSum {
    /// Of the bytes of `plan.toml`.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
}

/// A file with its sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumFile {
    /// Plain relative name inside the bundle.
    pub file: String,
    /// Lines.
    pub lines: u64,
    /// Of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
}

/// A file of records of one entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsFile {
    /// `records/NN-entity.ndjson`, or `records/NN-entity.delete.ndjson`.
    pub file: String,
    /// The entity.
    pub entity: String,
    /// `delete` for a file of deletes; a file of puts holds remaps too.
    pub op: Op,
    /// How many.
    pub records: u64,
    /// Of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Its pieces in order, so that apply checks what it is about to write.
    pub segments: Vec<Segment>,
}

/// A piece of a records file: whole lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// How many records.
    pub records: u64,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: Digest,
}

impl Manifest {
    /// Reads a manifest of this version or an older one, refusing newer ones.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let damaged = |message: String| BundleError::Damaged {
            file: "manifest.json".into(),
            message,
        };
        let mut value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found == u64::from(FORMAT) => {}
            Some(1) => accounts_of_version_1(&mut value).map_err(damaged)?,
            Some(found) => {
                return Err(BundleError::Version {
                    file: "manifest.json".into(),
                    found,
                    expected: FORMAT,
                });
            }
            None => return Err(damaged("it names no format".into())),
        }
        let manifest: Self =
            serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
        if manifest.rules > RULES {
            return Err(BundleError::Rules {
                found: manifest.rules,
                expected: RULES,
            });
        }
        Ok(manifest)
    }

    /// Returns the bytes that are written, and hashed for the bundle ID.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain structs of strings and numbers always serialise.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Tells whether its records went through `validate`.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.stages.iter().any(|stage| stage.stage == "validate")
    }

    /// Returns the seal that the bundle stands for, of the stage `bundle`.
    #[must_use]
    pub fn seal(&self) -> Seal {
        let (last, before) = self
            .stages
            .split_last()
            .map_or((None, &[][..]), |(last, before)| (Some(last), before));
        Seal {
            stage: "bundle".into(),
            rules: self.rules,
            plan: self.plan.sha256,
            sources: self.sources.clone(),
            records: self
                .accounts
                .iter()
                .map(|account| account.records)
                .fold(0, u64::saturating_add),
            rejected: last.map_or(0, |sum| sum.rejected),
            ignored: last.map_or(0, |sum| sum.ignored),
            filtered: last.map_or(0, |sum| sum.filtered),
            accounts: self.accounts.clone(),
            before: before.to_vec(),
            follow_up: self.follow_up,
            unsealed: self.unsealed,
            lines: None,
            edited: self.edited,
            run: None,
        }
    }

    /// Returns every file that the bundle must hold with its digest, `SHA256SUMS` apart, sorted by
    /// name. `id` is the digest of the manifest itself.
    #[must_use]
    pub fn files(&self, id: Digest) -> Vec<(String, Digest)> {
        let mut files = vec![
            ("manifest.json".into(), id),
            ("plan.toml".into(), self.plan.sha256),
        ];
        files.push((self.rejects.file.clone(), self.rejects.sha256));
        files.extend(
            self.records
                .iter()
                .map(|file| (file.file.clone(), file.sha256)),
        );
        if self.sources_kept {
            files.extend(
                self.sources
                    .iter()
                    .filter(|source| !self.sources_left_out.contains(&source.file))
                    .map(|source| (format!("sources/{}", source.file), source.sha256)),
            );
        }
        files.sort();
        files
    }

    /// Returns the text of `SHA256SUMS`, as `sha256sum` writes and reads it.
    #[must_use]
    pub fn sums(&self, id: Digest) -> String {
        self.files(id)
            .iter()
            .fold(String::new(), |sums, (file, digest)| {
                sums + &format!("{digest}  {file}\n")
            })
    }
}
