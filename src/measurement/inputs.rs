//! What a result was made of: every file that was read, with its digest.

use crate::error::{Error, Result};
use crate::events::FileRecord;
use crate::rundir::{InputChange, InputFiles, RunDirectory, now};

/// Characters of a digest in words.
const SHORT: usize = 12;

/// Refuses files that are others than when the run began.
pub(super) fn unchanged(before: &InputFiles, after: &InputFiles) -> Result<()> {
    for (key, files) in after {
        match before.get(key) {
            Some(earlier) if !same(earlier, files) => {
                return Err(Error::data_at(
                    format!("{key}.path"),
                    format!(
                        "the files changed while the program read them ({}, then {}); run again \
                         when they are complete",
                        words(earlier),
                        words(files)
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts the files of a result on record in the manifest, beside what changed since the
/// results before it, which comes back in words.
pub(super) fn record(root: &RunDirectory, files: &InputFiles) -> Result<Vec<String>> {
    let Some(mut manifest) = root.manifest()? else {
        return Ok(Vec::new());
    };
    let inputs = &mut manifest.inputs;
    for (key, files) in files {
        let earlier = inputs.files.get(key);
        if let Some(before) = earlier.filter(|earlier| !same(earlier, files)) {
            inputs.changes.push(InputChange {
                key: key.clone(),
                at: now(),
                before: before.clone(),
            });
        }
    }
    inputs.files.clone_from(files);
    let said = inputs.changes.iter().filter_map(|change| {
        let files = files.get(&change.key)?;
        (!same(&change.before, files)).then(|| {
            format!(
                "{}: the files changed ({}): an earlier result in this directory was of {}, this \
                 one is of {}",
                change.key,
                change.at,
                words(&change.before),
                words(files)
            )
        })
    });
    let said = said.collect();
    root.write_manifest(&manifest)?;
    Ok(said)
}

/// Whether contents are the same, wherever the files lie.
fn same(one: &[FileRecord], other: &[FileRecord]) -> bool {
    let digests = |files: &[FileRecord]| -> Vec<String> {
        files.iter().map(|file| file.sha256.clone()).collect()
    };
    digests(one) == digests(other)
}

/// Rows and digests.
fn words(files: &[FileRecord]) -> String {
    let one = |file: &FileRecord| {
        let digest = file.sha256.get(..SHORT).unwrap_or(&file.sha256);
        let rows = file
            .rows
            .map_or_else(String::new, |rows| format!("{rows} rows, "));
        format!("{}: {rows}sha256 {digest}", file.path)
    };
    files.iter().map(one).collect::<Vec<_>>().join("; ")
}
