//! The files that a pattern means: each real directory is looked into once, whatever
//! links lead to it.

use super::file::cannot;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};

use ::glob::Pattern;

/// Most files that a pattern may mean, and most directories that are looked into for it.
const MAX_FOUND: usize = 1 << 17;

/// What makes a path a pattern.
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// One part of a pattern, between slashes.
enum PatternPart {
    /// A name as it is, `..` and the root among them.
    Name(PathBuf),
    /// A name with wildcards.
    Some(Pattern),
    /// `**`: any directories, or none.
    Any,
}

/// A path or glob, and behind it the tree that is meant of ROOT files: `x.root:Events`.
/// What exists under the very name has no tree in it.
pub(super) fn split_tree<'a>(pattern: &'a str, base: &Path) -> (&'a str, Option<&'a str>) {
    const EXTENSION: &str = ".root:";
    let at = pattern.rfind(EXTENSION).map(|at| at + EXTENSION.len());
    match at.filter(|&at| at < pattern.len() && !base.join(pattern).exists()) {
        Some(at) => (&pattern[..at - 1], Some(&pattern[at..])),
        None => (pattern, None),
    }
}

/// The files that a path or glob means, relative to `base`, in order. What exists under
/// the very name is meant by it, even if it looks like a glob. A directory that several
/// links lead to is looked into under the first of its names.
pub(super) fn find(pattern: &str, base: &Path) -> Result<Vec<PathBuf>> {
    let path = base.join(pattern);
    let is_glob = pattern.contains(WILDCARDS);
    if !is_glob || path.is_file() {
        return Ok(vec![path]);
    }
    let mut search = Search {
        pattern,
        parts: parts(pattern)?,
        seen: HashSet::new(),
        found: BTreeSet::new(),
    };
    search.descend(base.to_owned(), 0)?;
    if search.found.is_empty() {
        let base = match base.as_os_str().is_empty() {
            true => Path::new("."),
            false => base,
        };
        let text = format!("no file matches `{pattern}` (looked in {})", base.display());
        return Err(Error::data(text));
    }
    Ok(search.found.into_iter().collect())
}

/// The files of it that are there; nothing of a pattern that is none.
pub(crate) fn found(pattern: &str, base: &Path) -> Vec<PathBuf> {
    let (pattern, _) = split_tree(pattern, base);
    let mut all = find(pattern, base).unwrap_or_default();
    all.retain(|path| path.exists());
    all
}

/// A pattern that is meant from `base` as one that is meant from where `base` itself is; it goes
/// into no folder to leave it again.
pub(crate) fn within(base: &Path, pattern: &str) -> String {
    let (base, pattern) = without_detour(base, pattern);
    let folder = base.display().to_string();
    let folder = match pattern.contains(WILDCARDS) {
        true => Pattern::escape(&folder),
        false => folder,
    };
    Path::new(&folder).join(pattern).display().to_string()
}

/// A folder and a path from there, less the folders that the path leaves at once; above a folder
/// that is a link lies another one than its name says.
fn without_detour<'a>(mut base: &'a Path, mut path: &'a str) -> (&'a Path, &'a str) {
    let real = |folder: &Path| Path::new(".").join(folder).canonicalize().ok();
    let is_name = |part| matches!(part, Some(Component::Normal(_)));
    while let (true, Some(above), Some(rest)) = (
        is_name(base.components().next_back()),
        base.parent(),
        path.strip_prefix("../"),
    ) {
        let way = real(&base.join(".."));
        if way.is_none() || way != real(above) {
            break;
        }
        (base, path) = (above, rest.trim_start_matches('/'));
    }
    (base, path)
}

fn parts(pattern: &str) -> Result<Vec<PatternPart>> {
    let bad = |e| Error::config(format!("`{pattern}` is not a valid file pattern: {e}"));
    Pattern::new(pattern).map_err(bad)?;
    let mut parts = Vec::new();
    for component in Path::new(pattern).components() {
        let text = component.as_os_str().to_string_lossy();
        parts.push(match component {
            Component::CurDir => continue,
            Component::Normal(_) if text == "**" => PatternPart::Any,
            Component::Normal(_) if text.contains(WILDCARDS) => {
                PatternPart::Some(Pattern::new(&text).map_err(bad)?)
            }
            _ => PatternPart::Name(component.as_os_str().into()),
        });
    }
    Ok(parts)
}

struct Search<'a> {
    pattern: &'a str,
    parts: Vec<PatternPart>,
    /// Real directories with the part that is matched in them.
    seen: HashSet<(PathBuf, usize)>,
    found: BTreeSet<PathBuf>,
}

impl Search<'_> {
    /// Matches the parts from number `at` on below `start`, nearest first.
    fn descend(&mut self, start: PathBuf, at: usize) -> Result<()> {
        let mut waiting = std::collections::VecDeque::from([(start, at)]);
        while let Some((path, at)) = waiting.pop_front() {
            let Some(part) = self.parts.get(at) else {
                if path.is_file() {
                    self.found.insert(path);
                    self.limit(self.found.len(), "files")?;
                }
                continue;
            };
            if let PatternPart::Name(name) = part {
                waiting.push_back((path.join(name), at + 1));
                continue;
            }
            let folder = match path.as_os_str().is_empty() {
                true => Path::new("."),
                false => &path,
            };
            // a broken link, or no directory at all
            let Ok(real) = folder.canonicalize() else {
                continue;
            };
            if !real.is_dir() || !self.seen.insert((real, at)) {
                continue;
            }
            self.limit(self.seen.len(), "directories")?;
            if let PatternPart::Any = part {
                waiting.push_back((path.clone(), at + 1));
            }
            let mut names = names(folder)?;
            names.sort();
            for name in names {
                let below = path.join(&name);
                match part {
                    PatternPart::Some(pattern) if pattern.matches(&name.to_string_lossy()) => {
                        waiting.push_back((below, at + 1));
                    }
                    PatternPart::Any if below.is_dir() => waiting.push_back((below, at)),
                    // the last part: everything below
                    PatternPart::Any if at + 1 == self.parts.len() => {
                        waiting.push_back((below, at + 1));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn limit(&self, found: usize, what: &'static str) -> Result<()> {
        if found > MAX_FOUND {
            return Err(Error::data(format!(
                "`{}` leads to more than {MAX_FOUND} {what}; name them more closely",
                self.pattern
            )));
        }
        Ok(())
    }
}

fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>> {
    let io = cannot("look into", folder);
    let entries = std::fs::read_dir(folder).map_err(&io)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.collect::<Result<_, _>>().map_err(io)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::error::Kind;

    fn folder(files: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files.split(' ') {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        directory
    }

    fn names_of(pattern: &str, base: &Path) -> Vec<String> {
        let found = find(pattern, base).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(base).unwrap().display().to_string();
        found.iter().map(name).collect()
    }

    #[test]
    fn a_path_goes_into_no_folder_to_leave_it_again() {
        let directory = folder("configs/a/x.toml data/x.parquet");
        let base = directory.path();
        let text = |path: &str| base.join(path).display().to_string();
        for (from, pattern, expected) in [
            ("configs", "../data/x.parquet", "data/x.parquet"),
            ("configs/a", "../..//data/*.parquet", "data/*.parquet"),
            ("configs/a", "../x", "configs/x"),
            ("configs", "x/../../data", "configs/x/../../data"),
            ("nowhere", "../data", "nowhere/../data"),
        ] {
            assert_eq!(within(&base.join(from), pattern), text(expected));
        }
        assert_eq!(within(Path::new(".."), "../x"), "../../x");
        assert_eq!(within(Path::new("src"), "../tests"), "tests");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(base.join("configs/a"), base.join("link")).unwrap();
            assert_eq!(within(&base.join("link"), "../x"), text("link/../x"));
        }
    }

    #[test]
    fn patterns_mean_what_they_always_meant() {
        let directory = folder("a/1.parquet a/b/2.parquet c/3.parquet c/x.txt 4.parquet");
        let base = directory.path();
        for (pattern, files) in [
            ("*.parquet", "4.parquet"),
            ("*/?.parquet", "a/1.parquet c/3.parquet"),
            (
                "**/*.parquet",
                "4.parquet a/1.parquet a/b/2.parquet c/3.parquet",
            ),
            ("a/**", "a/1.parquet a/b/2.parquet"),
            ("c/../a/[0-9].parquet", "c/../a/1.parquet"),
            ("c/*", "c/3.parquet c/x.txt"),
        ] {
            assert_eq!(names_of(pattern, base).join(" "), files);
        }
        let absolute = base.join("a/*.parquet");
        let found = find(absolute.to_str().unwrap(), Path::new("elsewhere")).unwrap();
        assert_eq!(found, [base.join("a/1.parquet")]);
        let refused = |pattern| find(pattern, base).unwrap_err();
        let missing = refused("d/*");
        assert!(missing.to_string().contains("no file matches"), "{missing}");
        let bad = refused("a[");
        assert_eq!(bad.kind(), Kind::Config);
        let text = bad.to_string();
        assert!(text.contains("not a valid file pattern"), "{text}");
    }

    #[test]
    fn a_tree_stands_behind_the_file() {
        let directory = folder("a.root b.root:x");
        for (pattern, parts) in [
            ("a.root", ("a.root", None)),
            ("a.root:Events", ("a.root", Some("Events"))),
            ("*.root:deep/Events;2", ("*.root", Some("deep/Events;2"))),
            ("a.root:", ("a.root:", None)),
            ("b.root:x", ("b.root:x", None)),
            ("c.parquet:x", ("c.parquet:x", None)),
        ] {
            assert_eq!(split_tree(pattern, directory.path()), parts);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_end() {
        use std::os::unix::fs::symlink;
        let directory = folder("a/1.parquet a/b/2.parquet");
        let base = directory.path();
        for (k, to) in ["../a", "..", "../a/b", "."].iter().enumerate() {
            symlink(to, base.join(format!("a/link{k}"))).unwrap();
            symlink(format!("../{to}"), base.join(format!("a/b/link{k}"))).unwrap();
        }
        let found = find("a/**/*.parquet", base).unwrap();
        let real: BTreeSet<PathBuf> = found.iter().map(|p| p.canonicalize().unwrap()).collect();
        assert_eq!((found.len(), real.len()), (2, 2), "{found:?}");
    }
}
