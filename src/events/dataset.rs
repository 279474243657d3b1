//! A set of event files with one schema: which files, which columns; and the files'
//! fingerprints, so that a result can say what it was made of.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::chunk::{ColumnInfo, integer_sign, shape_of};
use super::definitions::Compiled;
use super::file::{EventFile, cannot};
use super::glob::{find, split_tree};
use super::root::{TYPE_NAME, UNUSABLE};
use sideband_numerics::expression::{Shape, can_be_written, nearest};

/// Bytes hashed at once.
const BLOCK: usize = 1 << 18;
/// Age of a file's last change above which its time tells it from a later one.
const SETTLED: Duration = Duration::from_secs(2);

/// One input file as a result remembers it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileRecord {
    pub path: String,
    pub bytes: u64,
    /// Number of rows; none where it would tell how many events are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: String,
}

impl FileRecord {
    /// Of a file without rows.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let (sha256, bytes) = sha256(path)?;
        Ok(Self {
            path: path.display().to_string(),
            bytes,
            rows: None,
            sha256,
        })
    }
}

/// Files, by what they are and not by their names, with the trees that are wanted of them.
#[derive(Default)]
struct Seen(BTreeMap<PathBuf, Vec<Option<String>>>);

impl Seen {
    /// Whether it is new. A file without a tree's name has one tree, whose name may be said
    /// elsewhere.
    fn insert(&mut self, path: &Path, tree: Option<&str>) -> bool {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let known = self.0.entry(real).or_default();
        let is_new = !known
            .iter()
            .any(|other| is_same_tree(other.as_deref(), tree));
        known.push(tree.map(str::to_owned));
        is_new
    }
}

/// Whether two names of trees of a file may mean one.
fn is_same_tree(one: Option<&str>, other: Option<&str>) -> bool {
    // cycles of a tree are its older states
    let name = |tree: &str| tree.split(';').next().unwrap_or_default().to_owned();
    one.map(name)
        .zip(other.map(name))
        .is_none_or(|(a, b)| a == b)
}

/// Opened event files, sorted by path. The events are read by
/// [`Dataset::scan`], [`Dataset::stream`] and [`summarise`](super::summarise).
#[derive(Debug)]
pub struct Dataset {
    files: Vec<EventFile>,
    columns: Vec<ColumnInfo>,
}

fn no_patterns() -> Error {
    Error::data("no file is named; give at least one path or pattern")
}

impl Dataset {
    /// Finds and opens the files of `patterns`: paths or globs, relative to
    /// `base`. The format is recognised by content; of a ROOT file with several
    /// trees it says which, `file.root:Events`. Only what describes the files is
    /// read.
    pub fn open(patterns: &[String], base: &Path) -> Result<Self> {
        let mut paths = BTreeSet::new();
        for pattern in patterns {
            let (pattern, tree) = split_tree(pattern, base);
            paths.extend(find(pattern, base)?.into_iter().map(|path| (path, tree)));
        }
        let mut files: Vec<EventFile> = Vec::with_capacity(paths.len());
        let mut seen = Seen::default();
        for (path, tree) in paths {
            // The same file under two names would count its events twice.
            if seen.insert(&path, tree) {
                files.push(EventFile::open(&path, tree)?);
            }
        }
        Self::of(files)
    }

    /// Another tree of the same files, each of which is opened once.
    pub(super) fn tree(&self, name: &str) -> Result<Self> {
        let mut seen = Seen::default();
        let files = self.files.iter().map(|file| &file.path);
        let files = files.filter(|path| seen.insert(path, Some(name)));
        let files = files.map(|path| EventFile::open(path, Some(name)));
        Self::of(files.collect::<Result<_>>()?)
    }

    /// Whether all files have a tree with a column.
    pub(crate) fn has_in_tree(&self, tree: &str, column: &str) -> bool {
        let has = |file: &EventFile| file.schema.fields().find(column).is_some();
        let tree = self.tree(tree);
        tree.is_ok_and(|tree| tree.files.iter().all(has))
    }

    fn of(files: Vec<EventFile>) -> Result<Self> {
        let first = files.first().ok_or_else(no_patterns)?;
        let columns = first.schema.fields().iter().map(|field| ColumnInfo {
            name: field.name().clone(),
            type_name: match field.metadata().get(TYPE_NAME) {
                Some(name) => name.clone(),
                None => field.data_type().to_string(),
            },
            shape: match field.metadata().get(UNUSABLE) {
                Some(reason) => Err(reason.clone()),
                None if !can_be_written(field.name()) => {
                    Err("it has a name that no expression can hold; rename it".to_owned())
                }
                None => shape_of(field.data_type()),
            },
        });
        let columns = columns.collect();
        if files.iter().all(|file| file.rows == 0) {
            let paths = files.iter().map(|file| file.path.display().to_string());
            let paths = paths.collect::<Vec<_>>().join(", ");
            return Err(Error::data(format!("no rows in {paths}")));
        }
        Ok(Self { files, columns })
    }

    /// A file that two of the `patterns` mean, or one of them twice, if there is one.
    /// [`Dataset::open`] reads it once.
    ///
    /// # Errors
    /// As [`Dataset::open`], where a pattern means no file.
    pub fn named_twice(patterns: &[String], base: &Path) -> Result<Option<PathBuf>> {
        let mut seen = Seen::default();
        for pattern in patterns {
            let (pattern, tree) = split_tree(pattern, base);
            for path in find(pattern, base)? {
                if !seen.insert(&path, tree) {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }

    /// A file of this and one of another, by their paths, if they are one file or have the same
    /// content; of ROOT files the same tree of it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn file_in_both<'a>(&'a self, other: &'a Self) -> Result<Option<[&'a Path; 2]>> {
        for one in &self.files {
            for other in &other.files {
                let is_same = is_same_tree(one.tree.as_deref(), other.tree.as_deref())
                    && has_same_content(&one.path, &other.path)?;
                if is_same {
                    return Ok(Some([&one.path, &other.path]));
                }
            }
        }
        Ok(None)
    }

    /// Paths of the files, sorted.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Number of rows in all files, before any selection.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Number of parts that a [`stream`](Self::stream) can order at will: row
    /// groups (Parquet; long ones in equal parts of at most 131 072 rows) or
    /// record batches (Arrow), numbered in the order of files and rows.
    pub fn parts(&self) -> usize {
        self.files.iter().map(|file| file.parts.len()).sum()
    }

    /// Columns of the first file. Other files may have more, and other numeric
    /// types; they are checked for what is used when it is used.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// The first file, whose columns are what names mean, if another one has a column that it
    /// lacks.
    pub(crate) fn lacking_file(&self) -> Option<&Path> {
        let (first, others) = self.files.split_first()?;
        let lacks = |name: &String| first.schema.fields().find(name).is_none();
        let mut names = others.iter().flat_map(|file| file.schema.fields());
        let lacks = names.any(|field| lacks(field.name()));
        lacks.then_some(first.path.as_path())
    }

    pub(super) fn event_files(&self) -> &[EventFile] {
        &self.files
    }

    /// For each file, the places of `names` in its schema, in rising order.
    /// Every file must have them, with numbers in them or lists of numbers, as the first.
    pub(super) fn projections(&self, names: &BTreeSet<&str>) -> Result<Vec<Vec<usize>>> {
        let shape = |name: &str| {
            let column = self.columns.iter().find(|column| column.name == name);
            let shape = column.and_then(|column| column.shape.as_ref().ok());
            shape.copied().unwrap_or(Shape::NUMBER)
        };
        self.files
            .iter()
            .map(|file| {
                let place = |name: &&str| {
                    let wanted = shape(name);
                    self.require(file, name, &wanted.to_string(), |data_type| {
                        let found = shape_of(data_type).ok()?;
                        (found.depth == wanted.depth).then_some(())
                    })
                };
                let places = names.iter().map(|name| Ok(place(name)?.0));
                let mut places = places.collect::<Result<Vec<_>>>()?;
                places.sort_unstable();
                Ok(places)
            })
            .collect()
    }

    /// Reads columns of all files, a batch after the other, each with its file and the place
    /// of its first row there.
    pub(super) fn read_columns(
        &self,
        names: &BTreeSet<&str>,
        mut visit: impl FnMut(&EventFile, &RecordBatch, u64) -> Result<()>,
    ) -> Result<()> {
        let projections = self.projections(names)?;
        for (file, wanted) in self.files.iter().zip(&projections) {
            for part in &file.parts {
                file.read(*part, wanted, |batch, first| visit(file, batch, first))?;
            }
        }
        Ok(())
    }

    /// Whether an expression is a column whose values `f32` holds exactly, in all files.
    pub fn is_single(&self, expression: &Compiled) -> bool {
        let Some(name) = expression.as_column() else {
            return false;
        };
        self.files.iter().all(|file| {
            let field = file.schema.fields().find(name);
            field.is_some_and(|(_, field)| fits_single(field.data_type()))
        })
    }

    /// Whether the integers of an id column have a sign, the same in all files.
    pub(super) fn id_sign(&self, name: &str) -> Result<bool> {
        let mut common = None;
        for file in &self.files {
            let expected = match common {
                None => "an integer",
                Some(true) => "a signed integer, as in the first file",
                Some(false) => "an unsigned integer, as in the first file",
            };
            let (_, sign) = self.require(file, name, expected, |data_type| {
                integer_sign(data_type).filter(|&sign| common.is_none_or(|common| common == sign))
            })?;
            common = Some(sign);
        }
        common.ok_or_else(no_patterns)
    }

    /// Reads every file once and fingerprints it; in the order of the files.
    pub fn digest(&self) -> Result<Vec<FileRecord>> {
        let record = |file: &EventFile| {
            let (sha256, bytes) = sha256(&file.path).map_err(cannot("read", &file.path))?;
            if bytes != file.bytes {
                let before = file.bytes;
                let message = format!("it had {before} bytes when opened and has {bytes} now");
                return Err(file.corrupt("end", message));
            }
            Ok(FileRecord {
                path: file.name(),
                bytes,
                rows: Some(file.rows),
                sha256,
            })
        };
        self.event_files().par_iter().map(record).collect()
    }

    fn require<T>(
        &self,
        file: &EventFile,
        name: &str,
        expected: &str,
        accept: impl Fn(&DataType) -> Option<T>,
    ) -> Result<(usize, T)> {
        let mismatch = |found: String| {
            let text = format!("column `{name}`: expected {expected}, found {found}");
            Error::data(text).at(file.path.display())
        };
        let Some((place, field)) = file.schema.fields().find(name) else {
            let names = file.schema.fields().iter();
            let near = nearest(name, names.map(|field| field.name().as_str()));
            let near = near.map(|near| format!(" (there is `{near}`)"));
            let near = near.unwrap_or_default();
            return Err(mismatch(format!("no such column{near}")));
        };
        match accept(field.data_type()) {
            Some(accepted) => Ok((place, accepted)),
            None => Err(mismatch(field.data_type().to_string())),
        }
    }
}

/// Whether `f32` holds all values of a type.
fn fits_single(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => fits_single(value),
        DataType::Float16 | DataType::Float32 | DataType::Boolean => true,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => true,
        _ => false,
    }
}

/// Path, bytes and time of the last change of a file.
type Stamp = (PathBuf, u64, SystemTime);

/// Digests of files that were read before: a run reads its samples many times.
static KNOWN: Mutex<BTreeMap<Stamp, String>> = Mutex::new(BTreeMap::new());

/// What tells a file from a changed one; none for one that was changed just now, whose
/// next change may come at the same tick of the clock.
fn stamp(path: &Path, file: &File) -> Option<Stamp> {
    let about = file.metadata().ok()?;
    let modified = about.modified().ok()?;
    let is_settled = modified.elapsed().is_ok_and(|age| age > SETTLED);
    let path = std::path::absolute(path).ok()?;
    is_settled.then_some((path, about.len(), modified))
}

fn sha256(path: &Path) -> std::io::Result<(String, u64)> {
    let file = File::open(path)?;
    let stamp = stamp(path, &file);
    if let Some(stamp) = &stamp
        && let Some(known) = lock(&KNOWN).get(stamp)
    {
        return Ok((known.clone(), stamp.1));
    }
    let found = read(file)?;
    if let Some(stamp) = stamp.filter(|stamp| stamp.1 == found.1) {
        lock(&KNOWN).insert(stamp, found.0.clone());
    }
    Ok(found)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(file: File) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let bytes = in_blocks(file, |block| hasher.update(block))?;
    let hash = hasher.finalize();
    let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, bytes))
}

/// Whether files are the same, one after the other, or copies of each other.
pub(crate) fn same_contents(one: &[PathBuf], other: &[PathBuf]) -> Result<bool> {
    let mut pairs = one.iter().zip(other);
    let differing: Result<bool> = pairs.try_fold(false, |differs, (a, b)| {
        Ok(differs || !has_same_content(a, b)?)
    });
    Ok(one.len() == other.len() && !differing?)
}

/// Whether two paths are of one file, or of copies of it.
fn has_same_content(one: &Path, other: &Path) -> Result<bool> {
    if one.canonicalize().ok() == other.canonicalize().ok() {
        return Ok(true);
    }
    let bytes = |path: &Path| path.metadata().map(|about| about.len()).ok();
    let digest = |path: &Path| sha256(path).map_err(cannot("read", path));
    let may_be = one.is_file() && other.is_file() && bytes(one) == bytes(other);
    Ok(may_be && digest(one)? == digest(other)?)
}

/// Gives the rest of a file to `take`, block by block; how many bytes that are.
pub(crate) fn in_blocks(mut file: File, mut take: impl FnMut(&[u8])) -> std::io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok(bytes);
        }
        take(&block[..count]);
        bytes += count as u64;
    }
}
