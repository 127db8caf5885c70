//! A place where a run can be taken back as a whole, and nothing of it lasts: a private copy of a file, or
//! one transaction of a server that is never committed.

use system::Signals;

use crate::undo::Undo;
use crate::{Copied, Postgres, PrivateFolder, StoreError, TargetUrl};

/// Such a place. What was done in a copy goes with its folder, what was done in a transaction with the
/// connection.
pub struct Apart {
    url: TargetUrl,
    copy: Option<Copied>,
    /// Where the copy is: it goes when this is dropped.
    _folder: Option<PrivateFolder>,
}

impl Apart {
    /// Finds the place for a target: a copy goes to a folder of its own among the temporary files.
    ///
    /// # Errors
    ///
    /// The target can't be read, or there is no room for the copy.
    pub fn of(url: &TargetUrl, signals: &Signals) -> Result<Self, StoreError> {
        match url {
            TargetUrl::Sqlite(_) => {
                let folder = PrivateFolder::for_rollback().map_err(|error| {
                    let place = std::env::temp_dir();
                    let message = format!("{}: {error}", place.display());
                    StoreError::Unreachable { message }
                })?;
                let copy = url.copy(folder.path(), "apart", signals)?;
                Ok(Self {
                    url: copy.url().clone(),
                    copy: Some(copy),
                    _folder: Some(folder),
                })
            }
            TargetUrl::Postgres(_) => Ok(Self {
                url: url.clone(),
                copy: None,
                _folder: None,
            }),
        }
    }

    /// Returns where the copy is, or the target where there is none.
    #[must_use]
    pub fn url(&self) -> &TargetUrl {
        &self.url
    }

    /// Tells whether it is a copy: then every connection to it sees the same. Else only the one that
    /// [`Apart::open`] returned does, and rows of the target are locked as long as that is open.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// Opens it to take runs back.
    ///
    /// # Errors
    ///
    /// It can't be reached, or can't be written.
    pub fn open(&self) -> Result<Box<dyn Undo>, StoreError> {
        match &self.url {
            TargetUrl::Postgres(url) if !self.is_copy() => Ok(Box::new(Postgres::open_held(url)?)),
            url => url.open_to_undo(),
        }
    }
}
