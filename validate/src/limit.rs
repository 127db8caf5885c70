//! How many rejects are too many.

use contract::Seal;

/// What was judged so far, by parse and every stage since, and what of it was rejected.
///
/// Rejected are items that parse rejected and records that later stages rejected; judged are these
/// and the records that stand. What was ignored, merged or taken out between the stages does not
/// count on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) rejected: u64,
    pub(crate) judged: u64,
}

impl Share {
    /// Sums up the accounts of a seal.
    pub(crate) fn of(seal: &Seal) -> Self {
        let rejected = seal
            .accounts
            .iter()
            .map(|account| account.rejected + account.refused)
            .sum();
        let standing: u64 = seal.accounts.iter().map(|account| account.records).sum();
        Self {
            rejected,
            judged: standing + rejected,
        }
    }

    /// Tells whether the share is greater than a percentage, taken as the plan writes it: exactly
    /// the limit is not above it.
    pub(crate) fn is_above(self, percent: f64) -> bool {
        // The shortest text of the number is what the plan says; `{}` writes no exponent.
        let text = percent.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let Ok(scaled) = format!("{whole}{fraction}").parse::<u128>() else {
            return false;
        };
        let scale = 10u128.saturating_pow(u32::try_from(fraction.len()).unwrap_or(u32::MAX));
        (u128::from(self.rejected) * 100).saturating_mul(scale)
            > u128::from(self.judged).saturating_mul(scaled)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = self.rejected * 1000 / self.judged.max(1);
        let Self { rejected, judged } = self;
        write!(
            f,
            "{rejected} of {judged} ({}.{} %)",
            tenths / 10,
            tenths % 10
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_limit_is_not_above_it() {
        let above = |rejected, judged, percent| Share { rejected, judged }.is_above(percent);
        assert!(!above(10, 100, 10.0));
        assert!(above(11, 100, 10.0));
        assert!(above(1_000_001, 10_000_000, 10.0));
        assert!(!above(7, 1000, 0.7));
        assert!(above(8, 1000, 0.7));
        assert!(!above(0, 0, 0.0));
        assert!(above(1, 1_000_000, 0.0));
        assert!(!above(5, 5, 100.0));
    }
}
