//! How a Markdown file is cut into records.

use schemars::JsonSchema;
use serde::Deserialize;

/// How a Markdown file is cut into records.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MarkdownCut {}
