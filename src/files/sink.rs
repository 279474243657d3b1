//! Files that a user names for output: regular files, never an input, never a file of
//! a run.

use crate::error::{Error, Result};
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Where to write what goes to `path`: the file itself, or that which a symbolic link
/// leads to.
pub(crate) fn output<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<PathBuf> {
    let wrong = |what: String| Error::usage(format!("--out {}{what}", path.display()));
    let failed = |e: io::Error| wrong(format!(": {e}; choose a file in a folder that exists"));
    let refused = |kind: &str| wrong(format!(" is {kind}; name a regular file"));
    let name = path.file_name().ok_or_else(|| refused("a folder"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut place = folder.canonicalize().map_err(failed)?.join(name);
    if fs::symlink_metadata(&place).is_ok_and(|about| about.is_symlink()) {
        place = place
            .canonicalize()
            .map_err(|_| refused("a symbolic link that leads nowhere"))?;
    }
    let there = match fs::metadata(&place) {
        Ok(about) => Some(about),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if let Some(about) = &there {
        if let Some(kind) = irregular(about.file_type()) {
            return Err(refused(kind));
        }
        let is_same = |input: &&Path| {
            let other = fs::metadata(input);
            other.is_ok_and(|other| same(about, &other))
                || input.canonicalize().is_ok_and(|input| input == place)
        };
        if let Some(input) = inputs.into_iter().find(is_same) {
            let input = input.display();
            return Err(wrong(format!(
                " is one of the input files, {input}; choose another"
            )));
        }
    }
    match run_around(&place) {
        Some(run) => Err(wrong(format!(
            " lies in the run directory {}, whose files are its own; choose a file outside of it",
            run.display()
        ))),
        None => Ok(place),
    }
}

/// What a file is that is not a regular one.
fn irregular(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe (FIFO)");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("no regular file")
}

/// Whether two files are one, under two names.
#[cfg(unix)]
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Where the system has no numbers of files, names decide.
#[cfg(not(unix))]
fn same(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// The run directory that a path lies in, if it does.
#[must_use]
pub(crate) fn run_around(path: &Path) -> Option<PathBuf> {
    let folders = path.ancestors().skip(1);
    let is_run = |folder: &&Path| {
        let has = |name: &str| folder.join(name).is_file();
        has("config.toml") && (has("manifest.json") || folder.join("members").is_dir())
    };
    folders.into_iter().find(is_run).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn outputs_are_new_or_regular_files_that_nobody_needs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("input"), "x").unwrap();
        fs::write(at("old"), "x").unwrap();
        fs::create_dir_all(at("run/members")).unwrap();
        fs::write(at("run/config.toml"), "").unwrap();
        fs::hard_link(at("input"), at("hard")).unwrap();
        let input = at("input");
        let check = |name: &str| output(&at(name), [input.as_path()]);
        let refused = |name: &str, why: &str| {
            let error = check(name).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().contains(why), "{name}: {error}");
        };
        assert!(check("new").is_ok() && check("old").is_ok());
        refused("input", " is one of the input files, ");
        refused("hard", " is one of the input files, ");
        refused("run", " is a folder; name a regular file");
        refused("none/file", "; choose a file in a folder that exists");
        for name in ["run/metrics.json", "run/members/x", "run/new"] {
            refused(name, " lies in the run directory ");
        }
        #[cfg(unix)]
        {
            let link = |to: &str, name: &str| {
                std::os::unix::fs::symlink(at(to), at(name)).unwrap();
            };
            link("input", "to_input");
            link("old", "to_old");
            link("run/metrics.json", "to_nothing");
            fs::write(at("run/manifest.json"), "").unwrap();
            link("run/manifest.json", "to_run");
            refused("to_input", " is one of the input files, ");
            assert_eq!(check("to_old").unwrap(), at("old").canonicalize().unwrap());
            refused("to_nothing", " is a symbolic link that leads nowhere");
            refused("to_run", " lies in the run directory ");
            let device = output(Path::new("/dev/null"), []).unwrap_err();
            assert!(device.to_string().contains("a device"), "{device}");
        }
    }
}
