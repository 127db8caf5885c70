//! An entity of the plan with its source format and mapping: the one place that names the formats.

use std::io::BufRead;

use contract::plan::markdown::MarkdownCut;
use contract::plan::{Entity, LoadedPlan, SourceFormat};
use encoding_rs::Encoding;

use crate::item::Pieces;
use crate::mapping::{Mapper, members_only};
use crate::{SourceError, csv, decode, json, markdown};

/// An entity that is ready to be read.
pub(crate) struct Prepared<'a> {
    pub(crate) entity: &'a Entity,
    pub(crate) mapper: Mapper,
    encoding: Option<&'static Encoding>,
    items: Option<Vec<String>>,
}

impl<'a> Prepared<'a> {
    /// Prepares an entity of the plan.
    ///
    /// # Errors
    ///
    /// Says what in the plan makes no sense.
    pub(crate) fn new(plan: &LoadedPlan, entity: &'a Entity) -> Result<Self, String> {
        let source = &entity.source;
        Ok(Self {
            entity,
            mapper: Mapper::new(plan, entity)?,
            encoding: source.encoding.as_deref().map_or(Ok(None), decode::find)?,
            items: source.items.as_deref().map(members_only).transpose()?,
        })
    }

    /// Opens a file in the format of the entity's source.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub(crate) fn pieces<'r>(
        &self,
        file: &str,
        input: impl BufRead + 'r,
    ) -> Result<Box<dyn Pieces + 'r>, SourceError> {
        let source = &self.entity.source;
        Ok(match (source.format, &source.markdown) {
            (SourceFormat::Csv, _) => Box::new(csv::open(
                file,
                input,
                source.delimiter.unwrap_or(','),
                self.encoding,
            )),
            (SourceFormat::Json, _) => Box::new(json::open(file, input, self.items.clone())?),
            (SourceFormat::Markdown, cut) => Box::new(markdown::open(
                file,
                input,
                cut.as_ref().unwrap_or(&MarkdownCut::default()),
            )?),
        })
    }
}
