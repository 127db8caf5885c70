//! Handing back the sources that a run's bundle holds, byte for byte.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use contract::bundle::Bundle;
use contract::digest::HashingReader;
use contract::talk::counted;
use contract::{Exit, Failure, Talk};
use store::digest_of;
use store::ledger::Run;
use system::files::{AtomicFile, folder_of};

use crate::evidence::Evidence;

/// Writes every source into `folder`, in its relative tree.
pub(crate) fn hand_back(
    evidence: &Evidence,
    run: &Run,
    folder: &Path,
    overwrite: bool,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let Some(bundle) = evidence.bundle() else {
        let message = format!(
            "the bundle of run {} is not where it was applied from",
            run.id
        );
        return Err(Failure::new(Exit::Refused, message)
            .hint("name it with --bundle DIR")
            .into());
    };
    let manifest = bundle.manifest();
    let left_out = &manifest.sources_left_out;
    if !left_out.is_empty() {
        talk.warn(format!(
            "not in the bundle, as the plan drops columns of them: {}",
            left_out.join(", ")
        ));
    }
    if !manifest.sources_kept {
        let message =
            "the bundle does not hold the sources: --no-sources, or the plan drops columns of each";
        return Err(Failure::new(Exit::Refused, message).into());
    }
    let mut wanted: Vec<(&str, PathBuf)> = Vec::new();
    let mut other = Vec::new();
    let kept = manifest.sources.iter();
    for source in kept.filter(|source| !left_out.contains(&source.file)) {
        let place = folder.join(&source.file);
        match digest_of(&place) {
            Ok((sha256, _)) if sha256 == source.sha256 => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => other.push(place.display().to_string()),
        }
        wanted.push((&source.file, place));
    }
    if !other.is_empty() && !overwrite {
        let message = "nothing was written: these differ from what the run read:";
        return Err(Failure::new(Exit::Refused, message)
            .rows(other)
            .hint("name another folder, or replace them with --overwrite")
            .into());
    }
    for (name, place) in &wanted {
        write(bundle, name, place).map_err(|error| {
            Failure::new(Exit::Partial, format!("{}: {error}", place.display()))
        })?;
    }
    talk.say(format!(
        "{}: {}, {} written now",
        folder.display(),
        counted((manifest.sources.len() - left_out.len()) as u64, "source"),
        wanted.len()
    ));
    Ok(Exit::Done)
}

fn write(bundle: &Bundle, name: &str, place: &Path) -> io::Result<()> {
    fs::create_dir_all(folder_of(place))?;
    let from = File::open(bundle.folder().join("sources").join(name))?;
    let mut from = HashingReader::new(from);
    let mut to = AtomicFile::create(place)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    let expected = bundle
        .manifest()
        .sources
        .iter()
        .find(|source| source.file == name);
    if expected.is_some_and(|source| source.sha256 != from.hasher().digest()) {
        return Err(io::Error::other(
            "the bundle's copy changed while it was read",
        ));
    }
    to.commit()
}
