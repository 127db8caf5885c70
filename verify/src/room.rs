//! The entities of the plan in the live target.

use store::Binding;

/// An entity of the plan, as far as the live table and the ledger know it.
pub(crate) struct Room {
    pub name: String,
    /// The table as the plan names it.
    pub table: String,
    /// What does not fit, if it does not.
    pub binding: Result<Binding, Vec<String>>,
    /// The entity's number in the ledger.
    pub entity: Option<i64>,
    /// The number under which rows of the table are claimed.
    pub claim: Option<i64>,
}

impl Room {
    /// Tells whether the plan calls a column of the table volatile, by position.
    pub(crate) fn is_volatile(&self, place: usize) -> bool {
        let binding = self.binding.as_ref();
        binding.is_ok_and(|binding| binding.volatile.contains(&place))
    }
}
