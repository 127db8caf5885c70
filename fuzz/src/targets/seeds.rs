//! Inputs to begin with: the files of the examples and of the frozen formats.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the files below a folder of the repository whose names end so, and some inputs more.
pub(super) fn files(folders: &[&str], ending: &str, more: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in folders {
        below(&root.join(folder), ending, &mut found);
    }
    found.sort();
    let texts = found.iter().filter_map(|path| fs::read(path).ok());
    // Long ones would be cut anyway.
    let texts = texts.map(|mut text| {
        text.truncate(8 << 10);
        text
    });
    texts
        .chain(more.iter().map(|text| text.as_bytes().to_vec()))
        .collect()
}

fn below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}
