//! The file as a container: its header, its folders, the keys in them, and the bytes
//! behind a key.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::codec::unpacked;
use super::cursor::Cursor;
use crate::events::part::{Fault, reopen};

/// A file above this version has places of 64 bits in its header, a key or folder above
/// [`WIDE_KEY`] in itself.
const WIDE_FILE: u32 = 1_000_000;
const WIDE_KEY: u16 = 1000;
/// Folders in folders, and objects in all of them, at most.
const MAX_DEPTH: usize = 32;
const MAX_OBJECTS: usize = 1 << 20;
/// Bytes of a name with those of what it lies in, at most.
pub(super) const MAX_NAME: usize = 1 << 10;

/// The bytes of a file, read where they are asked for.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    bytes: u64,
}

/// What stands at the beginning of a file.
struct Header {
    /// Place of the first folder's record.
    folder: u64,
    /// Place and length of the list of descriptions of classes; 0 without.
    described: (u64, u64),
}

/// What stands before an object.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Place of the key, its length with the object behind it, and without.
    pub(super) place: u64,
    pub(super) length: u64,
    pub(super) header: usize,
    /// Length of the object when it is unpacked.
    pub(super) unpacked: usize,
    pub(super) cycle: u16,
    pub(super) class: String,
    pub(super) name: String,
}

/// An object of a file, whose name is that of its folders and its own.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) path: String,
    pub(super) key: Key,
}

impl Source {
    pub(super) fn new(file: File, bytes: u64) -> Self {
        Self { file, bytes }
    }

    pub(super) fn reopen(path: &Path, bytes: u64) -> Result<Self, Fault> {
        Ok(Self::new(reopen(path)?, bytes))
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `length` bytes from `start`, if the file has them.
    pub(super) fn read(&self, start: u64, length: u64) -> Result<Vec<u8>, String> {
        let mut buffer = Vec::new();
        self.read_behind(start, length, &mut buffer)?;
        Ok(buffer)
    }

    /// Puts `length` bytes from `start` behind what is in `buffer`.
    pub(super) fn read_behind(
        &self,
        start: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), String> {
        let ends = || format!("the file ends before byte {}", start.saturating_add(length));
        if start.checked_add(length).is_none_or(|end| end > self.bytes) {
            return Err(ends());
        }
        let io = |error: std::io::Error| error.to_string();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        let room = usize::try_from(length).map_err(|e| e.to_string())?;
        let room = buffer.try_reserve(room);
        room.map_err(|e| format!("no memory for {length} bytes of the file: {e}"))?;
        let count = file.take(length).read_to_end(buffer).map_err(io)?;
        match u64::try_from(count) == Ok(length) {
            true => Ok(()),
            false => Err(ends()),
        }
    }

    /// At most `length` bytes from `start`.
    fn read_up_to(&self, start: u64, length: u64) -> Result<Vec<u8>, String> {
        let rest = self.bytes.saturating_sub(start);
        self.read(start, length.min(rest))
    }

    /// The object behind a key, unpacked.
    pub(super) fn object(&self, key: &Key) -> Result<Vec<u8>, String> {
        key.object(&self.read(key.place, key.length)?)
    }

    /// The list of descriptions of classes, with the length of its key's header.
    pub(super) fn described(&self) -> Result<(Vec<u8>, usize), String> {
        let (place, length) = self.header()?.described;
        if place == 0 {
            return Err("the file describes no classes".to_owned());
        }
        let bytes = self.read(place, length)?;
        let key = Key::read(&mut Cursor::new(&bytes))?;
        Ok((key.object(&bytes)?, key.header))
    }

    fn header(&self) -> Result<Header, String> {
        let header = self.read_up_to(0, 64)?;
        let mut header = Cursor::new(&header);
        header.skip(4)?;
        let version = header.u32()?;
        let begin = header.place(false)?;
        let wide = version >= WIDE_FILE;
        // the end of the file, the list of free places
        header.skip(if wide { 16 } else { 8 })?;
        header.skip(8)?;
        let name = header.size()? as u64;
        // bytes of a place, codec
        header.skip(5)?;
        let (place, length) = (header.place(wide), header.size());
        let described = (place.unwrap_or(0), length.unwrap_or(0) as u64);
        let folder = begin.checked_add(name).ok_or("a folder outside the file")?;
        Ok(Header { folder, described })
    }

    /// All objects of the file that are no folders, in the order of the folders; of an
    /// object that was written several times, all cycles.
    pub(super) fn objects(&self) -> Result<Vec<Object>, String> {
        let mut found = Walk::default();
        found.folder(self, self.header()?.folder, "", 0)?;
        Ok(found.objects)
    }
}

#[derive(Default)]
struct Walk {
    objects: Vec<Object>,
    seen: BTreeSet<u64>,
    /// Bytes of the folders' lists that were read.
    lists: u64,
}

impl Walk {
    /// The objects of the folder whose record is at `place`.
    fn folder(&mut self, of: &Source, place: u64, path: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH || !self.seen.insert(place) {
            return Err(format!("the folder \"{path}\" lies in itself"));
        }
        let record = of.read_up_to(place, 64)?;
        let mut record = Cursor::new(&record);
        let wide = record.u16()? > WIDE_KEY;
        record.skip(8)?;
        let length = record.size()? as u64;
        record.skip(4)?;
        record.skip(if wide { 16 } else { 8 })?;
        let list = record.place(wide)?;
        if list == 0 || length == 0 {
            return Ok(());
        }
        self.lists = self.lists.saturating_add(length);
        if self.lists > of.bytes {
            return Err("the lists of its folders are longer than the file".to_owned());
        }
        if path.len() > MAX_NAME {
            return Err(format!("a folder with a name of {} bytes", path.len()));
        }
        let bytes = of.read(list, length)?;
        let mut keys = Cursor::new(&bytes);
        let list = Key::read(&mut keys)?;
        keys.seek(list.header)?;
        for _ in 0..keys.size()? {
            let key = Key::read(&mut keys)?;
            let inside = match path {
                "" => key.name.clone(),
                path => format!("{path}/{}", key.name),
            };
            match key.class.as_str() {
                "TDirectory" | "TDirectoryFile" => {
                    let place = key.place.checked_add(key.header as u64);
                    let place = place.ok_or("a folder outside the file")?;
                    self.folder(of, place, &inside, depth + 1)?;
                }
                _ => self.objects.push(Object { path: inside, key }),
            }
            if self.objects.len() > MAX_OBJECTS {
                return Err(format!("more than {MAX_OBJECTS} objects"));
            }
        }
        Ok(())
    }
}

impl Key {
    /// The object of these `bytes`, the first of which are the key's header, unpacked.
    fn object(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let packed = bytes.get(self.header..).ok_or("a key without an object")?;
        Ok(unpacked(packed, self.unpacked)?.into_owned())
    }

    /// The key of an object at the cursor, which stands behind all that is read of it then.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let key = Self::alone(cursor)?;
        match key.header as u64 > key.length {
            true => Err(format!(
                "the key of `{}` is longer than its object",
                key.name
            )),
            false => Ok(key),
        }
    }

    /// The same of a key that may have no object in the file.
    pub(super) fn alone(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let length = cursor.size()? as u64;
        let wide = cursor.u16()? > WIDE_KEY;
        let unpacked = cursor.size()?;
        cursor.skip(4)?;
        let header = usize::from(cursor.u16()?);
        let cycle = cursor.u16()?;
        let place = cursor.place(wide)?;
        cursor.place(wide)?;
        let class = cursor.text()?;
        let name = cursor.text()?;
        cursor.text()?;
        Ok(Self {
            place,
            length,
            header,
            unpacked,
            cycle,
            class,
            name,
        })
    }
}
