//! Which files a plan reads: globs below one root folder, in byte order of their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use contract::plan::Entity;
use contract::{Exit, Failure};
use glob::{MatchOptions, Pattern};
use system::files::is_plain_relative;

/// `*` and `?` match neither a `/` nor a leading dot.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The folder that holds all sources.
#[derive(Debug)]
pub(crate) struct Root {
    folder: PathBuf,
}

/// The files of one entity: name relative to the root, with `/`, and where it is.
pub(crate) type Files = BTreeMap<String, PathBuf>;

impl Root {
    /// Opens the root.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub(crate) fn new(folder: &Path) -> Result<Self, Failure> {
        let shown = folder.display();
        let folder = fs::canonicalize(folder).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("reading the root folder {shown}: {error}"),
            )
        })?;
        Ok(Self { folder })
    }

    /// Finds the files of an entity. `lenient` lets patterns match nothing.
    ///
    /// # Errors
    ///
    /// A pattern that leaves the root (2, or 4 by a link) or matches nothing (5).
    pub(crate) fn files(&self, entity: &Entity, lenient: bool) -> Result<Files, Failure> {
        let mut files = Files::new();
        for pattern in &entity.source.files {
            let found = self.matching(pattern).map_err(|failure| Failure {
                message: format!(
                    "the source `{pattern}` of `{}` {}",
                    entity.name, failure.message
                ),
                ..failure
            })?;
            if found.is_empty() && !lenient && !entity.source.allow_missing {
                let what = if pattern.contains(['*', '?', '[']) {
                    "matches no file"
                } else {
                    "is not there"
                };
                let message = format!(
                    "the source `{pattern}` of `{}` {what} in {}",
                    entity.name,
                    self.folder.display()
                );
                return Err(Failure::new(Exit::Unreachable, message)
                    .hint("put the file there, name another folder with --root, or say `allow_missing = true`"));
            }
            files.extend(found);
        }
        Ok(files)
    }

    /// Returns the name that a path of the command line has below the root.
    ///
    /// # Errors
    ///
    /// It is not there (5) or outside (4).
    pub(crate) fn name_of(&self, path: &Path) -> Result<String, Failure> {
        let real = fs::canonicalize(path).map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("reading {}: {error}", path.display()),
            )
        })?;
        self.relative(&real).ok_or_else(|| {
            let message = format!(
                "{} is outside the root {}",
                path.display(),
                self.folder.display()
            );
            Failure::new(Exit::Refused, message)
        })
    }

    fn matching(&self, pattern: &str) -> Result<Files, Failure> {
        let path = Path::new(pattern);
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(Failure::new(
                Exit::Usage,
                "leaves the root: expected a relative path without `..`",
            ));
        }
        let literal = self.folder.join(path);
        if fs::symlink_metadata(&literal).is_ok() {
            return Ok(Files::from([self.file(&literal)?]));
        }
        let root = self.folder.to_str().ok_or_else(|| {
            Failure::new(
                Exit::Unreachable,
                "is below a folder whose name is not UTF-8",
            )
        })?;
        let whole = format!("{}/{pattern}", Pattern::escape(root));
        let paths = glob::glob_with(&whole, OPTIONS)
            .map_err(|error| Failure::new(Exit::Usage, format!("is no pattern: {error}")))?;
        let mut files = Files::new();
        for path in paths {
            let path = path.map_err(|error| {
                Failure::new(Exit::Unreachable, format!("can't be followed: {error}"))
            })?;
            if !path.is_dir() {
                files.extend([self.file(&path)?]);
            }
        }
        Ok(files)
    }

    fn file(&self, path: &Path) -> Result<(String, PathBuf), Failure> {
        let name = self.relative(path).ok_or_else(|| {
            let shown = path.display();
            Failure::new(
                Exit::Refused,
                format!(
                    "gives {shown}, whose name can't be in a record: expected UTF-8 without backslash and control characters"
                ),
            )
        })?;
        let real = fs::canonicalize(path)
            .map_err(|error| Failure::new(Exit::Unreachable, format!("gives {name}: {error}")))?;
        if !real.starts_with(&self.folder) {
            return Err(Failure::new(
                Exit::Refused,
                format!("gives {name}, a link that leaves the root"),
            ));
        }
        // A pipe or a device may never end. (A folder is named where it is opened.)
        let kind = fs::metadata(&real).map(|found| found.file_type());
        if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
            let message = format!("gives {name}, which is no ordinary file");
            return Err(Failure::new(Exit::Refused, message));
        }
        Ok((name, path.to_owned()))
    }

    fn relative(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.folder).ok()?.components();
        let names: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        Some(names?.join("/")).filter(|name| is_plain_relative(name))
    }
}
