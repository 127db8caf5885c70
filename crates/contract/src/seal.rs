//! The seal: the last line of a stream, which says that it is complete and what it must hold.

use serde::{Deserialize, Serialize};

use crate::upgrade::accounts_of_version_1;
use crate::{Digest, Edited, LineSum};

/// One source file, as parse read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSum {
    /// Relative to the plan's folder or `--root`, with `/` between names.
    pub file: String,
    /// Of its bytes.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Items that it holds (rows, objects, sections), summed over the entities that read it.
    pub items: u64,
}

/// The accounting of one entity and one source, over all stages so far. Always
/// `items = used + ignored + rejected` and
/// `used + extra - merged = records + refused + filtered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The entity.
    pub entity: String,
    /// The source.
    pub file: String,
    /// Items that parse found.
    pub items: u64,
    /// Items that gave at least one record.
    pub used: u64,
    /// Items left out because the plan says so, with a reason.
    pub ignored: u64,
    /// Items that parse rejected.
    pub rejected: u64,
    /// Records beyond the first of items that gave several.
    pub extra: u64,
    /// Records that were folded into an equal one.
    pub merged: u64,
    /// Records that stages after parse rejected.
    pub refused: u64,
    /// Records that were taken out of the stream between stages.
    pub filtered: u64,
    /// Records in the stream now, after the stage that wrote this seal.
    pub records: u64,
}

impl Account {
    /// Tells whether the figures add up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let sum = |parts: &[u64]| {
            let mut parts = parts.iter();
            parts.try_fold(0_u64, |sum, part| sum.checked_add(*part))
        };
        let out = [self.merged, self.records, self.refused, self.filtered];
        let gone = sum(&out);
        sum(&[self.used, self.ignored, self.rejected]) == Some(self.items)
            && gone.is_some()
            && sum(&[self.used, self.extra]) == gone
    }
}

/// What one stage did with the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSum {
    /// The stage.
    pub stage: String,
    /// Records that it handed on.
    pub records: u64,
    /// Records or items that it rejected.
    pub rejected: u64,
    /// Items or records that it left out because the plan says so.
    pub ignored: u64,
    /// Records that were taken out of the stream between the stage before and this one.
    pub filtered: u64,
}

/// The seal. On a pipe it stands in `{"end":…}` and is the last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The stage that wrote it.
    pub stage: String,
    /// Version of the rules, [`crate::RULES`].
    pub rules: u32,
    /// SHA-256 of the plan's bytes.
    pub plan: Digest,
    /// Every source, ordered by file name.
    pub sources: Vec<SourceSum>,
    /// Records in the stream.
    pub records: u64,
    /// Records or items that this stage rejected.
    pub rejected: u64,
    /// Items or records that this stage left out because the plan says so.
    pub ignored: u64,
    /// Records that were taken out of the stream before this stage.
    pub filtered: u64,
    /// The accounting by entity (plan order) and source.
    pub accounts: Vec<Account>,
    /// What the stages before did, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<StageSum>,
    /// Set by `validate --from-rejects`: references that the input lacks are left to apply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow_up: bool,
    /// Set where a stream without a seal was taken by `--unsealed`: nothing vouches for its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsealed: bool,
    /// The sum of the record lines before it; left out by what no stage wrote (a seal without lines).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LineSum>,
    /// Whether record lines were edited between the stages so far.
    #[serde(default, skip_serializing_if = "Edited::is_no")]
    pub edited: Edited,
    /// Of the rejects of apply: the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Seal {
    /// Reads a seal of this version of the rules or an older one.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn read(mut json: serde_json::Value) -> Result<Self, String> {
        if json.get("rules").and_then(serde_json::Value::as_u64) == Some(1) {
            accounts_of_version_1(&mut json)?;
        }
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    /// Returns what this seal's stage did, for the `before` of the next one.
    #[must_use]
    pub fn sum(&self) -> StageSum {
        StageSum {
            stage: self.stage.clone(),
            records: self.records,
            rejected: self.rejected,
            ignored: self.ignored,
            filtered: self.filtered,
        }
    }

    /// Returns the account of one entity and source.
    #[must_use]
    pub fn account(&self, entity: &str, file: &str) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|account| account.entity == entity && account.file == file)
    }

    /// Returns the account of one entity and source, to change it.
    pub fn account_mut(&mut self, entity: &str, file: &str) -> Option<&mut Account> {
        self.accounts
            .iter_mut()
            .find(|account| account.entity == entity && account.file == file)
    }

    /// Starts the next stage's seal from this one: `came_in(entity, file)` says how many records of
    /// an account that stage read. What is missing is `filtered`. The stage then books what it
    /// rejects with [`Seal::refuse`].
    ///
    /// # Errors
    ///
    /// Says which account has more records than were sealed.
    pub fn next(&self, stage: &str, came_in: impl Fn(&str, &str) -> u64) -> Result<Self, String> {
        let mut next = self.clone();
        next.before.push(self.sum());
        stage.clone_into(&mut next.stage);
        (next.records, next.rejected, next.ignored, next.filtered) = (0, 0, 0, 0);
        for account in &mut next.accounts {
            let found = came_in(&account.entity, &account.file);
            let missing = account.records.checked_sub(found).ok_or_else(|| {
                let Account { entity, file, records, .. } = &*account;
                format!("{found} records of {entity} from {file}, but the seal says {records}: lines were added")
            })?;
            account.records = found;
            account.filtered += missing;
            next.filtered += missing;
            next.records += found;
        }
        Ok(next)
    }

    /// Books a record that came in and is rejected by this stage.
    pub fn refuse(&mut self, entity: &str, file: &str) {
        self.rejected += 1;
        self.records -= 1;
        if let Some(account) = self.account_mut(entity, file) {
            account.refused += 1;
            account.records -= 1;
        }
    }

    /// Checks the sums of every account and of the whole.
    ///
    /// # Errors
    ///
    /// Says which figures do not add up.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = self.accounts.iter().find(|account| !account.adds_up()) {
            return Err(format!(
                "the accounting of {} from {} does not add up: {wrong:?}",
                wrong.entity, wrong.file
            ));
        }
        let records = self.accounts.iter().map(|account| account.records);
        let sum = records.fold(0, u64::saturating_add);
        if sum != self.records {
            return Err(format!(
                "the accounts hold {sum} records, the seal says {}",
                self.records
            ));
        }
        Ok(())
    }
}
