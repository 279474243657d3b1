//! Files of a run directory, which may be somebody else's work: only regular
//! files are opened, of no more than a stated size, and nothing is written
//! through a symbolic link. A pipe or a device would stop the program for ever,
//! and a link would lead its writing out of the run.

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
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("not a regular file but {}", describe(kind)),
    ))
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
#[must_use]
pub(crate) fn is_irregular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
        && error.to_string().starts_with("not a regular file")
}

/// Opens a regular file to read it; a link to one counts as one.
///
/// # Errors
/// What the file system said, or that it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // before it is opened: to open a pipe waits for its other end
    check(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a regular file to change it where it lies; no link.
///
/// # Errors
/// What the file system said, or that it is no regular file.
pub(crate) fn edit(path: &Path) -> io::Result<File> {
    check(fs::symlink_metadata(path)?.file_type())?;
    OpenOptions::new().write(true).open(path)
}

/// Opens a regular file with `options` that create it if it is not there; no
/// link.
///
/// # Errors
/// What the file system said, or that it is no regular file.
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
///
/// # Errors
/// What the file system said, or that it is no regular file or a larger one.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let too_large = |length: u64| {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{length} bytes are more than such a file has (at most {limit})"),
        )
    };
    if length > limit {
        return Err(too_large(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The text of a regular file of at most [`TEXT_LIMIT`] bytes.
///
/// # Errors
/// As [`read`], or that it is no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, TEXT_LIMIT)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

/// Whether a path is there, whatever it is: also a link to nothing.
#[must_use]
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The first thing in a folder, or the folder itself, that is neither a regular
/// file nor a folder, nor a link to one of them; with what it is. A folder that
/// is not there has none. Not deeper than the folder.
pub(crate) fn find_irregular(folder: &Path) -> io::Result<Option<(PathBuf, &'static str)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let mut kind = match entry.file_type() {
            Ok(kind) => kind,
            // gone since
            Err(_) => continue,
        };
        if kind.is_symlink() {
            match fs::metadata(entry.path()).map(|about: Metadata| about.file_type()) {
                Ok(target) => kind = target,
                // to nothing
                Err(_) => continue,
            }
        }
        if !kind.is_file() && !kind.is_dir() {
            return Ok(Some((entry.path(), describe(kind))));
        }
    }
    Ok(None)
}

/// The first symbolic link to a folder in a folder. A folder that is not there has
/// none.
pub(crate) fn find_linked_folder(folder: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let is_link = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir()
    };
    Ok(entries.flatten().find(is_link).map(|entry| entry.path()))
}

/// Makes a folder if it is not there. One that is a symbolic link is refused:
/// what is written into it would lie elsewhere.
///
/// # Errors
/// What the file system said, or that the path is a link or no folder.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let refuse = |kind| {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "not a folder of the run but {}; nothing is written there",
                describe(kind)
            ),
        ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.unwrap().success());
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
            assert!(is_irregular(
                &edit_or_create(&path(name), &mut options).unwrap_err()
            ));
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
        assert_eq!(
            read(&path("file"), 3).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
