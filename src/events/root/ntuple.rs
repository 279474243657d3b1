//! An RNTuple: its fields and columns, its clusters and the pages of each, as its published
//! format 1.0 has them. All numbers but the anchor's are little-endian.

use twox_hash::XxHash3_64;

use super::codec::unpacked;
use super::container::{Key, Source};
use super::cursor::Cursor;
use super::objects::Reader;

/// The first of all versions with an epoch of its own; drafts have epoch 0.
const EPOCH: u16 = 1;
const HEADER: u64 = 1;
const FOOTER: u64 = 2;
const PAGE_LIST: u64 = 3;
/// Bits of a first word that are an envelope's kind.
const KIND_BITS: u32 = 16;

#[derive(Debug)]
pub(super) struct Ntuple {
    pub(super) fields: Vec<FieldRecord>,
    pub(super) columns: Vec<ColumnRecord>,
    pub(super) clusters: Vec<Cluster>,
}

#[derive(Clone, Debug)]
pub(super) struct FieldRecord {
    /// Its own number where it lies in no other.
    pub(super) parent: usize,
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) type_name: String,
    /// Numbers of a fixed array.
    pub(super) repeats: Option<u64>,
    /// The columns with its values; several representations of each.
    pub(super) columns: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leaf,
    Collection,
    Record,
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct ColumnRecord {
    pub(super) kind: u16,
    pub(super) bits: usize,
    pub(super) representation: u16,
    /// Elements before it was there, which are zero.
    pub(super) deferred: bool,
    pub(super) range: Option<(f64, f64)>,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) first: u64,
    pub(super) entries: u64,
    /// One for each column; none for a representation that is not used here.
    pub(super) columns: Vec<Option<Vec<Page>>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) elements: usize,
    pub(super) checked: bool,
    pub(super) at: Place,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Page {
    /// Its bytes in the file, with those of a checksum behind them.
    pub(super) fn stored(&self) -> u64 {
        let sum = if self.checked { 8 } else { 0 };
        self.at.length.saturating_add(sum)
    }

    /// Of these bytes what is packed, if its checksum is right.
    pub(super) fn packed<'a>(&self, stored: &'a [u8]) -> Result<&'a [u8], String> {
        if !self.checked {
            return Ok(stored);
        }
        let split = stored.split_last_chunk();
        let (packed, sum) = split.ok_or("a page without checksum")?;
        match XxHash3_64::oneshot(packed) == u64::from_le_bytes(*sum) {
            true => Ok(packed),
            false => Err("its checksum is wrong".to_owned()),
        }
    }
}

impl Ntuple {
    pub(super) fn read(source: &Source, key: &Key) -> Result<Self, String> {
        let anchor = source.object(key)?;
        let mut reader = Reader::new(&anchor, key.header);
        reader.header()?;
        let cursor = &mut reader.cursor;
        let epoch = cursor.u16()?;
        if epoch != EPOCH {
            let text = "a draft of the format; write it anew with ROOT 6.34 or later";
            return Err(format!("an RNTuple of epoch {epoch}, {text}"));
        }
        cursor.skip(6)?;
        let mut link = || -> Result<(Place, u64), String> {
            let (start, length) = (cursor.u64()?, cursor.u64()?);
            Ok((Place { start, length }, cursor.u64()?))
        };
        let (header, footer) = (link()?, link()?);
        let mut found = Self {
            fields: Vec::new(),
            columns: Vec::new(),
            clusters: Vec::new(),
        };
        let header = envelope(source, header.0, header.1, HEADER)?;
        let mut cursor = Cursor::new(&header);
        features(&mut cursor)?;
        for _ in 0..3 {
            cursor.text_le()?;
        }
        found.schema(&mut cursor)?;
        let footer = envelope(source, footer.0, footer.1, FOOTER)?;
        let mut cursor = Cursor::new(&footer);
        features(&mut cursor)?;
        cursor.skip(8)?;
        let extension = Frame::read(&mut cursor)?;
        found.schema(&mut cursor)?;
        cursor.seek(extension.end)?;
        let mut lists = 0_u64;
        items(&mut cursor, |cursor| {
            let record = Frame::read(cursor)?;
            cursor.skip(20)?;
            let length = cursor.u64_le()?;
            let place = locator(cursor)?;
            lists = lists.saturating_add(place.length);
            if lists > source.bytes() {
                return Err("its lists of pages are longer than the file".to_owned());
            }
            cursor.seek(record.end)?;
            found.group(&envelope(source, place, length, PAGE_LIST)?)
        })?;
        Ok(found)
    }

    /// Fields, columns and alias columns.
    fn schema(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        items(cursor, |cursor| {
            let record = Frame::read(cursor)?;
            self.fields.push(field(cursor)?);
            cursor.seek(record.end)
        })?;
        items(cursor, |cursor| {
            let record = Frame::read(cursor)?;
            let (of, column) = column(cursor)?;
            self.attach(of, self.columns.len())?;
            self.columns.push(column);
            cursor.seek(record.end)
        })?;
        items(cursor, |cursor| {
            let record = Frame::read(cursor)?;
            let (column, of) = (number(cursor)?, number(cursor)?);
            if column >= self.columns.len() {
                return Err("an alias of no column".to_owned());
            }
            self.attach(of, column)?;
            cursor.seek(record.end)
        })?;
        let extra = Frame::read(cursor)?;
        cursor.seek(extra.end)
    }

    fn attach(&mut self, field: usize, column: usize) -> Result<(), String> {
        let field = self.fields.get_mut(field).ok_or("a column of no field")?;
        field.columns.push(column);
        Ok(())
    }

    /// The clusters of a page list.
    fn group(&mut self, list: &[u8]) -> Result<(), String> {
        let mut cursor = Cursor::new(list);
        cursor.skip(8)?;
        let first = self.clusters.len();
        items(&mut cursor, |cursor| {
            let record = Frame::read(cursor)?;
            let start = cursor.u64_le()?;
            let counts = cursor.u64_le()?;
            if counts >> 56 & 1 != 0 {
                return Err("a sharded cluster, which the format 1.0 has not".to_owned());
            }
            self.clusters.push(Cluster {
                first: start,
                entries: counts & ((1 << 56) - 1),
                columns: Vec::new(),
            });
            cursor.seek(record.end)
        })?;
        let mut clusters = self.clusters[first..].iter_mut();
        items(&mut cursor, |cursor| {
            let cluster = clusters.next().ok_or("pages of no cluster")?;
            items(cursor, |cursor| {
                cluster.columns.push(pages(cursor)?);
                Ok(())
            })
        })
    }
}

fn field(cursor: &mut Cursor<'_>) -> Result<FieldRecord, String> {
    cursor.skip(8)?;
    let parent = number(cursor)?;
    let role = match cursor.u16_le()? {
        0 => Role::Leaf,
        1 => Role::Collection,
        2 => Role::Record,
        _ => Role::Other,
    };
    let flags = cursor.u16_le()?;
    let (name, type_name) = (cursor.text_le()?, cursor.text_le()?);
    for _ in 0..2 {
        cursor.text_le()?;
    }
    let repeats = (flags & 1 != 0).then(|| cursor.u64_le()).transpose()?;
    Ok(FieldRecord {
        parent,
        role,
        name,
        type_name,
        repeats,
        columns: Vec::new(),
    })
}

/// A column with the number of its field.
fn column(cursor: &mut Cursor<'_>) -> Result<(usize, ColumnRecord), String> {
    let (kind, bits) = (cursor.u16_le()?, usize::from(cursor.u16_le()?));
    let field = number(cursor)?;
    let (flags, representation) = (cursor.u16_le()?, cursor.u16_le()?);
    let deferred = flags & 1 != 0;
    if deferred {
        cursor.skip(8)?;
    }
    let range = match flags & 2 != 0 {
        true => Some((cursor.f64_le()?, cursor.f64_le()?)),
        false => None,
    };
    let column = ColumnRecord {
        kind,
        bits,
        representation,
        deferred,
        range,
    };
    Ok((field, column))
}

/// The pages of a column in a cluster; none where another representation has them.
fn pages(cursor: &mut Cursor<'_>) -> Result<Option<Vec<Page>>, String> {
    let list = Frame::read(cursor)?;
    let mut pages = Vec::new();
    for _ in 0..list.items {
        let elements = cursor.i32_le()?;
        pages.push(Page {
            elements: usize::try_from(elements.unsigned_abs()).unwrap_or(usize::MAX),
            checked: elements < 0,
            at: locator(cursor)?,
        });
    }
    let suppressed = cursor.i64_le()? < 0;
    cursor.seek(list.end)?;
    Ok((!suppressed).then_some(pages))
}

fn number(cursor: &mut Cursor<'_>) -> Result<usize, String> {
    Ok(usize::try_from(cursor.u32_le()?).unwrap_or(usize::MAX))
}

fn locator(cursor: &mut Cursor<'_>) -> Result<Place, String> {
    let start = cursor.at();
    let size = cursor.i32_le()?;
    if let Ok(length) = u64::try_from(size) {
        let start = cursor.u64_le()?;
        return Ok(Place { start, length });
    }
    let bits = size.cast_unsigned();
    let end = start + usize::from((bits & 0xffff) as u16);
    if (bits >> 24) & 0x7f != 1 {
        return Err("a place that is not in this file".to_owned());
    }
    let (length, at) = (cursor.u64_le()?, cursor.u64_le()?);
    cursor.seek(end.max(cursor.at()))?;
    Ok(Place { start: at, length })
}

/// No feature is known yet.
fn features(cursor: &mut Cursor<'_>) -> Result<(), String> {
    match cursor.u64_le()? {
        0 => Ok(()),
        bits => Err(format!("features of a later format, {bits:#x}")),
    }
}

/// A record, or a list of items.
struct Frame {
    items: u32,
    end: usize,
}

impl Frame {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let start = cursor.at();
        let size = cursor.i64_le()?;
        let items = if size < 0 { cursor.u32_le()? } else { 0 };
        let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
        let end = start.checked_add(length);
        let end = end.filter(|&end| end >= cursor.at() && end - cursor.at() <= cursor.rest());
        let end = end.ok_or_else(|| format!("a frame of {length} bytes"))?;
        Ok(Self { items, end })
    }
}

/// Reads the items of a list, each of which takes at least a byte.
fn items<'a>(
    cursor: &mut Cursor<'a>,
    mut read: impl FnMut(&mut Cursor<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let list = Frame::read(cursor)?;
    for _ in 0..list.items {
        read(cursor)?;
    }
    cursor.seek(list.end)
}

/// What an envelope holds between its header and its checksum.
fn envelope(source: &Source, at: Place, length: u64, kind: u64) -> Result<Vec<u8>, String> {
    let packed = source.read(at.start, at.length)?;
    let length = usize::try_from(length).map_err(|e| e.to_string())?;
    let mut bytes = unpacked(&packed, length)?.into_owned();
    let wrong = || format!("the description at byte {} is damaged", at.start);
    let (payload, sum) = bytes.split_last_chunk::<8>().ok_or_else(wrong)?;
    let first = payload.first_chunk::<8>().ok_or_else(wrong)?;
    let first = u64::from_le_bytes(*first);
    let of_kind = first & ((1 << KIND_BITS) - 1) == kind;
    let whole = first >> KIND_BITS == length as u64;
    if !of_kind || !whole || XxHash3_64::oneshot(payload) != u64::from_le_bytes(*sum) {
        return Err(wrong());
    }
    bytes.truncate(length - 8);
    bytes.drain(..8);
    Ok(bytes)
}
