//! The bundle: a sealed folder of records, plan and sources, with one digest for all of it.

mod adds_up;
mod error;
mod manifest;
mod place;
mod reader;
mod records;
mod skim;
mod writer;

pub use error::BundleError;
pub use manifest::{FORMAT, Manifest, PlanSum, RecordsFile, Segment, SumFile};
pub use reader::{Bundle, SegmentReader};
pub use writer::{BundleWriter, Placed};
