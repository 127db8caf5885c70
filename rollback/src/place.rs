//! Where a run is taken back.

use store::undo::Undo;
use store::{Apart, StoreError, TargetUrl};

/// Where a run is taken back.
pub(crate) enum Place<'a> {
    /// In the target.
    Target(&'a TargetUrl),
    /// Where nothing of it lasts.
    Apart(&'a Apart),
}

impl Place<'_> {
    pub fn url(&self) -> &TargetUrl {
        match self {
            Self::Target(url) => url,
            Self::Apart(apart) => apart.url(),
        }
    }

    pub fn open(&self) -> Result<Box<dyn Undo>, StoreError> {
        match self {
            Self::Target(url) => url.open_to_undo(),
            Self::Apart(apart) => apart.open(),
        }
    }

    /// Whether only the connection that writes sees what it wrote.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Apart(apart) if !apart.is_copy())
    }
}
