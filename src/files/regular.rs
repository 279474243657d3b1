//! Files of a run directory, which may be somebody else's work: only regular
//! files are opened, of no more than a stated size, and nothing is written
//! through a symbolic link. A pipe or a device would stop the program for ever,
//! and a link would lead its writing out of the run. And files that a user names for
//! output: regular files, never an input, never a file of a run.

use crate::error::{Error, Result};
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest text of a run directory that is read: lists of numbers are long.
pub(crate) const TEXT_LIMIT: u64 = 1 << 30;

/// An error that says what a thing is, if it is no regular file.
fn check(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let text = format!("not a regular file but {}", describe(kind));
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn describe(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe (FIFO)";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "something else"
    }
}

/// Whether an error says that something is not a regular file.
pub(crate) fn is_irregular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
        && error.to_string().starts_with("not a regular file")
}

/// Opens a regular file to read it; a link to one counts as one.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // before it is opened: to open a pipe waits for its other end
    check(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a regular file to change it where it lies; no link.
pub(crate) fn edit(path: &Path) -> io::Result<File> {
    check(fs::symlink_metadata(path)?.file_type())?;
    OpenOptions::new().write(true).open(path)
}

/// Opens a regular file with `options` that create it if it is not there; no
/// link.
pub(crate) fn edit_or_create(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    for _ in 0..8 {
        match fs::symlink_metadata(path) {
            Ok(about) => {
                check(about.file_type())?;
                match options.open(path) {
                    // removed in between
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    other => return other,
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                match options.clone().create_new(true).open(path) {
                    // somebody else has just made it
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other,
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other("it comes and goes"))
}

/// All bytes of a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let too_large = |length: u64| {
        let text = format!("{length} bytes are more than such a file has (at most {limit})");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
    };
    if length > limit {
        return too_large(length);
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return too_large(bytes.len() as u64);
    }
    Ok(bytes)
}

/// The text of a regular file of at most [`TEXT_LIMIT`] bytes.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, TEXT_LIMIT)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

/// Whether a path is there, whatever it is: also a link to nothing.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// What is in a folder; nothing if it is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The first thing in a folder, or the folder itself, that is neither a regular
/// file nor a folder, nor a link to one of them; with what it is. A folder that
/// is not there has none. Not deeper than the folder.
pub(crate) fn find_irregular(folder: &Path) -> io::Result<Option<(PathBuf, &'static str)>> {
    for path in entries(folder)? {
        // gone since, or a link to nothing
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        if !about.is_file() && !about.is_dir() {
            return Ok(Some((path, describe(about.file_type()))));
        }
    }
    Ok(None)
}

/// The first symbolic link to a folder in a folder. A folder that is not there has
/// none.
pub(crate) fn find_linked_folder(folder: &Path) -> io::Result<Option<PathBuf>> {
    let is_link = |path: &PathBuf| path.is_symlink() && path.is_dir();
    Ok(entries(folder)?.into_iter().find(is_link))
}

/// Makes a folder if it is not there. One that is a symbolic link is refused:
/// what is written into it would lie elsewhere.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let refuse = |kind| {
        let what = describe(kind);
        let text = format!("not a folder of the run but {what}; nothing is written there");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(about) => refuse(about.file_type()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path)?;
            match fs::symlink_metadata(path) {
                Ok(about) if !about.is_dir() => refuse(about.file_type()),
                other => other.map(drop),
            }
        }
        Err(e) => Err(e),
    }
}

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
        if !about.is_file() {
            return Err(refused(describe(about.file_type())));
        }
        if let Some(input) = one_of(&place, inputs) {
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

/// The first of some files that a file is, under whatever name; none if it is not there.
pub(crate) fn one_of<'a>(
    path: &Path,
    files: impl IntoIterator<Item = &'a Path>,
) -> Option<&'a Path> {
    let about = fs::metadata(path).ok()?;
    let place = path.canonicalize().ok()?;
    let is_same = |file: &&Path| {
        let other = fs::metadata(file);
        other.is_ok_and(|other| same(&about, &other))
            || file.canonicalize().is_ok_and(|file| file == place)
    };
    files.into_iter().find(is_same)
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
fn run_around(path: &Path) -> Option<PathBuf> {
    let is_run = |folder: &&Path| {
        let has = |name: &str| folder.join(name).is_file();
        has("config.toml") && (has("manifest.json") || folder.join("members").is_dir())
    };
    path.ancestors().skip(1).find(is_run).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut command = std::process::Command::new("mkfifo");
        assert!(command.arg(path("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        symlink(path("pipe"), path("link")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        for (name, what) in [
            ("pipe", "a pipe (FIFO)"),
            ("socket", "a socket"),
            ("device", "a device"),
            ("link", "a pipe (FIFO)"),
            ("folder", "a folder"),
        ] {
            let error = read(&path(name), 10).unwrap_err();
            assert!(is_irregular(&error), "{name}: {error}");
            assert!(error.to_string().contains(what), "{name}: {error}");
            let error = edit(&path(name)).unwrap_err();
            assert!(is_irregular(&error), "{name}: {error}");
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            let error = edit_or_create(&path(name), &mut options).unwrap_err();
            assert!(is_irregular(&error), "{name}: {error}");
        }
        assert!(find_irregular(folder.path()).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_read_and_never_written_through() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "text").unwrap();
        fs::create_dir(path("other")).unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("other"), path("members")).unwrap();
        assert_eq!(read_text(&path("link")).unwrap(), "text");
        assert!(edit(&path("link")).is_err());
        assert!(make_folder(&path("members")).is_err());
        make_folder(&path("new/deep")).unwrap();
        assert_eq!(find_irregular(folder.path()).unwrap(), None);
        let error = read(&path("file"), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

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
