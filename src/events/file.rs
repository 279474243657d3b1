//! One event file: which format it is, what it holds, and how a part of it is
//! read. Nothing in a file is trusted; a decoder that panics on a corrupt file
//! is caught here and becomes an error.

use crate::error::{Error, Result};
use std::any::Any;
use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::chunk::shape_of;
use super::ipc::IpcFile;
use super::memory;
use super::parquet::ParquetFile;
use super::part::{BATCH_ROWS, Fault, Part};
use super::root::{RootFile, TableSummary, summaries};

/// How a ROOT file begins.
const ROOT: &[u8] = b"root";

/// An opened and checked event file.
#[derive(Debug)]
pub(super) struct EventFile {
    pub(super) path: PathBuf,
    /// Which tree of a ROOT file, if that was said.
    pub(super) tree: Option<String>,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) schema: SchemaRef,
    pub(super) parts: Vec<Part>,
    content: Content,
    /// The column that is read where none is wanted, if one can be.
    witness: Vec<usize>,
}

/// What is known of a file by its format.
#[derive(Debug)]
enum Content {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Root(RootFile),
}

impl EventFile {
    /// Reads what describes the file, not the events; of a ROOT file that of a tree, which
    /// need not be said if it is the only one.
    pub(super) fn open(path: &Path, tree: Option<&str>) -> Result<Self> {
        let file = open_regular(path)?;
        let io = cannot("read", path);
        let bytes = file.metadata().map_err(&io)?.len();
        let mut first = Vec::new();
        (&file).take(8).read_to_end(&mut first).map_err(io)?;
        let is = |magic: &[u8]| first.starts_with(magic);
        let of_ipc = |(file, schema, parts)| (Content::Ipc(file), schema, parts);
        if let Some(tree) = tree.filter(|_| !is(ROOT)) {
            let text = format!("it is no ROOT file, so that there is no tree `{tree}` in it");
            return Err(Error::data(text).at(path.display()));
        }
        let opened = if is(b"PAR1") {
            let opened = caught("footer", || ParquetFile::open(&file, bytes));
            opened.map(|(file, schema, parts)| (Content::Parquet(file), schema, parts))
        } else if is(b"ARROW1") {
            caught("footer", || IpcFile::open_file(file, bytes)).map(of_ipc)
        } else if is(&[0xff; 4]) {
            caught("stream header", || IpcFile::open_stream(file, bytes)).map(of_ipc)
        } else if is(ROOT) {
            let opened = caught("list of objects", || RootFile::open(file, bytes, tree));
            opened.map(|(file, schema, parts)| (Content::Root(file), schema, parts))
        } else {
            let found = describe(&first);
            let text = format!("neither Parquet, Arrow IPC nor ROOT; {found}");
            return Err(Error::data(text).at(path.display()));
        };
        let (content, schema, parts) = opened.map_err(|fault| refused(path, fault))?;
        refuse_duplicates(path, &schema)?;
        let rows = parts.iter().map(|part| part.rows).sum();
        let usable = schema
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(place, field)| {
                let shape = shape_of(field.data_type()).ok()?;
                Some((shape.depth, place))
            });
        let witness = usable.min().map(|(_, place)| place);
        Ok(Self {
            path: path.to_owned(),
            tree: tree.map(str::to_owned),
            bytes,
            rows,
            schema,
            parts,
            content,
            witness: witness.into_iter().collect(),
        })
    }

    /// Reads the columns `wanted` (indices into the schema, rising) of one
    /// part, and hands them on in batches of at most [`BATCH_ROWS`] rows, each
    /// with the place of its first row in the file. `visit` can stop it. Where no column is
    /// wanted one is read all the same: how many rows a file says to have is not trusted.
    pub(super) fn read(
        &self,
        part: Part,
        wanted: &[usize],
        mut visit: impl FnMut(&RecordBatch, u64) -> Result<()>,
    ) -> Result<()> {
        let wanted: &[usize] = match wanted {
            [] => &self.witness,
            wanted => wanted,
        };
        let largest = match &self.content {
            Content::Parquet(content) => content.largest(part.group, wanted),
            Content::Root(content) => content.largest(part, wanted),
            Content::Ipc(_) => 0,
        };
        memory::bytes(largest, &self.path)?;
        let mut seen = 0;
        let mut refused = None;
        let mut each = |batch: RecordBatch| {
            let mut offset = 0;
            if seen + batch.num_rows() as u64 > part.rows {
                seen += batch.num_rows() as u64;
                return false;
            }
            while offset < batch.num_rows() && refused.is_none() {
                let length = BATCH_ROWS.min(batch.num_rows() - offset);
                let slice = batch.slice(offset, length);
                refused = visit(&slice, part.first_row + seen).err();
                seen += length as u64;
                offset += length;
            }
            refused.is_none()
        };
        let result = caught("rows", || match &self.content {
            Content::Parquet(content) => content.read(&self.path, part, wanted, &mut each),
            Content::Ipc(content) => content.read(&self.path, part, wanted, &mut each),
            Content::Root(content) => content.read(&self.path, part, wanted, &mut each),
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let place = || format!("{} {}", self.group_name(), part.group);
        result.map_err(|fault| self.corrupt(place(), fault.message))?;
        if seen != part.rows {
            let found = match seen > part.rows {
                true => "more".to_owned(),
                false => seen.to_string(),
            };
            let message = format!("it promises {} rows and holds {found}", part.rows);
            return Err(self.corrupt(place(), message));
        }
        Ok(())
    }

    /// Its path, and the tree if that was said.
    pub(super) fn name(&self) -> String {
        let path = self.path.display();
        match &self.tree {
            Some(tree) => format!("{path}:{tree}"),
            None => path.to_string(),
        }
    }

    pub(super) fn corrupt(&self, place: impl Display, message: impl Display) -> Error {
        corrupt(&self.path, place, message)
    }

    fn group_name(&self) -> &'static str {
        match self.content {
            Content::Parquet(_) => "row group",
            Content::Ipc(_) => "record batch",
            Content::Root(_) => "cluster",
        }
    }
}

/// The tables of a ROOT file that has several.
pub(crate) fn tables(path: &Path) -> Result<Option<Vec<TableSummary>>> {
    let mut file = open_regular(path)?;
    let io = cannot("read", path);
    let bytes = file.metadata().map_err(&io)?.len();
    let mut first = Vec::new();
    let read = (&mut file).take(ROOT.len() as u64).read_to_end(&mut first);
    read.map_err(io)?;
    if first != ROOT {
        return Ok(None);
    }
    let found = caught("list of objects", || summaries(file, bytes));
    let found = found.map_err(|fault| refused(path, fault))?;
    Ok(Some(found).filter(|tables| tables.len() != 1))
}

/// The operating system refused to do something with a file.
pub(super) fn cannot(action: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::data(format!("{}: cannot {action}: {error}", path.display()))
}

/// What is wrong with a file; without a place, with what is asked of it.
fn refused(path: &Path, fault: Fault) -> Error {
    match fault.place.is_empty() {
        true => Error::data(fault.message).at(path.display()),
        false => corrupt(path, fault.place, fault.message),
    }
}

fn corrupt(path: &Path, place: impl Display, message: impl Display) -> Error {
    let text = format!("corrupt or truncated at {place}: {message}");
    Error::data(text).at(path.display())
}

fn open_regular(path: &Path) -> Result<File> {
    let io = |action| {
        move |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::data("no such file").at(path.display()),
            _ => cannot(action, path)(error),
        }
    };
    let metadata = std::fs::metadata(path).map_err(io("look at"))?;
    if !metadata.is_file() {
        let all = path.join("*.parquet");
        let hint = match metadata.is_dir() {
            true => format!("; to read all files in it write {}", all.display()),
            false => String::new(),
        };
        return Err(Error::data(format!("not a regular file{hint}")).at(path.display()));
    }
    File::open(path).map_err(io("open"))
}

/// Runs a decoder; its panic is a fault of the file.
fn caught<T>(place: &str, decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let said = reason(panic.as_ref());
        Err(Fault::at(place, format!("the decoder gave up: {said}")))
    })
}

pub(super) fn reason(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

fn refuse_duplicates(path: &Path, schema: &Schema) -> Result<()> {
    let mut names = HashSet::new();
    let mut fields = schema.fields().iter();
    match fields.find(|field| !names.insert(field.name())) {
        Some(field) => {
            let text = format!("two columns are called `{}`", field.name());
            Err(Error::data(text).at(path.display()))
        }
        None => Ok(()),
    }
}

/// The first bytes of a file of another format, in words where it is known.
fn describe(first: &[u8]) -> String {
    let known = match first {
        [] => return "the file is empty".to_owned(),
        [b'P', b'A', b'R', b'E', ..] => "an encrypted Parquet file",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file; convert it to Parquet",
        [b'P', b'K', 3, 4, ..] => "a zip archive or .npz; convert it to Parquet",
        [0x1f, 0x8b, ..] => "a gzip archive; unpack it",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd archive; unpack it",
        [b'F', b'E', b'A', b'1', ..] => "a Feather version 1 file; write version 2",
        _ if first
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) =>
        {
            "text, perhaps CSV; convert it to Parquet"
        }
        _ => "an unknown format",
    };
    format!("it starts with \"{}\": {known}", first.escape_ascii())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_a_fault_of_the_file() {
        let fault = caught::<()>("row group 2", || panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(fault.place, "row group 2");
        assert_eq!(fault.message, "the decoder gave up: index 7 out of range");
    }
}
