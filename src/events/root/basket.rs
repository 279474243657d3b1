//! Baskets: where entries of a branch lie, and the entries of each when it is unpacked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::unpacked;
use super::container::{Key, Source};
use super::cursor::Cursor;

/// Bytes of the baskets that are [`Kept`], at most.
const KEPT_BYTES: usize = 1 << 24;
/// How a basket that lies in a tree says that its lengths are not written, that offsets stand
/// before its entries, how far they were moved, and that there are any.
const NO_LENGTHS: u8 = 80;
const MOVED: u8 = 40;
const OFFSETS: u8 = 1;
const NO_OFFSETS: u8 = 2;

/// Where entries of a branch lie.
#[derive(Clone, Debug)]
pub(super) struct Basket {
    pub(super) place: Place,
    pub(super) first: u64,
    pub(super) end: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    File {
        start: u64,
        length: u64,
    },
    /// In the tree, which was written before the basket was full.
    Tree(Arc<Entries>),
}

/// The entries of a basket.
#[derive(Debug)]
pub(super) struct Entries {
    /// From `start` on all entries one after the other, then the offsets of each.
    buffer: Vec<u8>,
    start: usize,
    border: usize,
    /// What the offsets count from.
    header: usize,
    /// How many there are.
    pub(super) count: usize,
}

/// What stands before the entries of a basket.
struct Header {
    key: Key,
    count: usize,
    /// Where they end, from the key on.
    last: usize,
}

impl Header {
    /// That at the cursor, which stands behind all but the last byte of it then.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let key = Key::alone(cursor)?;
        cursor.skip(6)?;
        if cursor.i32()? < 0 {
            // features of the basket
            cursor.skip(1)?;
        }
        let (count, last) = (cursor.size()?, cursor.size()?);
        Ok(Self { key, count, last })
    }
}

impl Entries {
    /// Those of a basket as it is in the file.
    fn unpack(file: Vec<u8>) -> Result<Self, String> {
        let Header { key, count, last } = Header::read(&mut Cursor::new(&file))?;
        let packed = file.get(key.header..).ok_or("its key ends early")?;
        let unpacked = match unpacked(packed, key.unpacked)? {
            Cow::Owned(bytes) => Some(bytes),
            Cow::Borrowed(_) => None,
        };
        let (buffer, start) = unpacked.map_or((file, key.header), |bytes| (bytes, 0));
        let border = last.checked_sub(key.header);
        let border = border.filter(|&border| border <= buffer.len() - start);
        Ok(Self {
            border: border.ok_or("its entries end outside of it")?,
            buffer,
            start,
            header: key.header,
            count,
        })
    }

    /// Those of a basket that stands at the cursor, in a tree; none where it has no bytes.
    pub(super) fn of_tree(cursor: &mut Cursor<'_>) -> Result<Option<Self>, String> {
        let Header { key, count, last } = Header::read(cursor)?;
        let flags = cursor.u8()?;
        let (has_lengths, flags) = match flags.checked_sub(NO_LENGTHS) {
            Some(rest) => (false, rest),
            None => (true, flags),
        };
        let mut offsets: &[u8] = &[];
        if has_lengths && flags != 0 && flags % 10 != NO_OFFSETS {
            let mut from = *cursor;
            let words = cursor.size()?.saturating_mul(4);
            cursor.skip(words)?;
            offsets = from.take(words.saturating_add(4))?;
            if flags > MOVED {
                let words = cursor.size()?.saturating_mul(4);
                cursor.skip(words)?;
            }
        }
        if flags != OFFSETS && flags <= 10 {
            return Ok(None);
        }
        let entries = cursor.take(last)?.get(key.header..);
        let entries = entries.ok_or("its entries end outside of it")?;
        Ok(Some(Self {
            buffer: [entries, offsets].concat(),
            start: 0,
            border: entries.len(),
            header: key.header,
            count,
        }))
    }

    /// All of them, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..][..self.border]
    }

    /// Where each of those `of` them begins, and the last ends.
    pub(super) fn offsets(&self, of: &Range<usize>) -> Result<Vec<usize>, String> {
        let length = of.len() + 1;
        if self.border == 0 {
            return Ok(vec![0; length]);
        }
        let table = &self.buffer[self.start + self.border..];
        let (words, _) = table.as_chunks::<4>();
        // how many there are comes first
        let words = words
            .get(1..=self.count)
            .ok_or("lengths of entries are missing")?;
        let ends = [self.border + self.header];
        let all = words
            .iter()
            .map(|&word| u32::from_be_bytes(word) as usize)
            .chain(ends);
        let all = all.skip(of.start).take(length);
        let all = all.map(|offset| offset.checked_sub(self.header));
        let offsets: Option<Vec<usize>> = all.collect();
        let offsets = offsets.filter(|offsets| offsets.is_sorted());
        let offsets = offsets.filter(|offsets| offsets.last().is_none_or(|&o| o <= self.border));
        offsets.ok_or_else(|| "its entries are out of order".to_owned())
    }
}

/// Some entries of a basket.
pub(super) struct Part {
    pub(super) entries: Arc<Entries>,
    pub(super) wanted: Range<usize>,
}

/// A basket as it was found: packed, with its place in the file, or unpacked.
pub(super) enum Found {
    Packed(u64, Vec<u8>),
    Unpacked(Arc<Entries>),
}

impl Basket {
    /// Its bytes in the file.
    pub(super) fn length(&self) -> u64 {
        match self.place {
            Place::File { length, .. } => length,
            Place::Tree(_) => 0,
        }
    }

    /// Which of its entries are among some rows.
    fn inside(&self, rows: &Range<u64>) -> Range<usize> {
        let inside = |row: u64| (row.clamp(self.first, self.end) - self.first) as usize;
        inside(rows.start)..inside(rows.end)
    }

    /// Reads it for some rows, unless it is there.
    pub(super) fn find(
        &self,
        source: &Source,
        kept: &Kept,
        rows: &Range<u64>,
    ) -> Result<Found, String> {
        let (start, length) = match &self.place {
            Place::Tree(entries) => return Ok(Found::Unpacked(Arc::clone(entries))),
            &Place::File { start, length } => (start, length),
        };
        Ok(match kept.find(start, self.inside(rows).len()) {
            Some(entries) => Found::Unpacked(entries),
            None => Found::Packed(start, source.read(start, length)?),
        })
    }

    /// Its entries for some rows. If others are left, they are kept.
    pub(super) fn part(
        &self,
        found: Found,
        kept: &Kept,
        rows: &Range<u64>,
    ) -> Result<Part, String> {
        let wanted = self.inside(rows);
        let expected = self.end - self.first;
        let checked = |entries: Arc<Entries>| match entries.count as u64 == expected {
            true => Ok(entries),
            false => Err(format!(
                "it has {} entries and not {expected}",
                entries.count
            )),
        };
        let entries = match found {
            Found::Unpacked(entries) => checked(entries)?,
            Found::Packed(start, file) => {
                let at = |e: String| format!("basket at byte {start}: {e}");
                let entries = Entries::unpack(file).map(Arc::new);
                let entries = entries.and_then(checked).map_err(at)?;
                if wanted.len() < entries.count {
                    kept.keep(start, &entries, wanted.len());
                }
                entries
            }
        };
        Ok(Part { entries, wanted })
    }
}

/// Unpacked baskets of a file that lie in several of its parts, by their places, until all of
/// their entries were read.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<BTreeMap<u64, Left>>);

#[derive(Debug)]
struct Left {
    entries: Arc<Entries>,
    /// Entries that were not read.
    count: usize,
}

impl Kept {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The basket at a place, of which so many entries are read.
    fn find(&self, start: u64, read: usize) -> Option<Arc<Entries>> {
        let mut all = self.all();
        let left = all.get_mut(&start)?;
        left.count = left.count.saturating_sub(read);
        let entries = Arc::clone(&left.entries);
        if left.count == 0 {
            all.remove(&start);
        }
        Some(entries)
    }

    /// Keeps a basket of which so many entries are read, if there is room.
    fn keep(&self, start: u64, entries: &Arc<Entries>, read: usize) {
        let mut all = self.all();
        // another part may have kept it meanwhile
        let before = all.remove(&start);
        let count = before.map_or(entries.count, |left| left.count);
        let count = count.saturating_sub(read);
        let held = all.values().map(|left| left.entries.buffer.len());
        let held = held.fold(entries.buffer.len(), usize::saturating_add);
        if count > 0 && held <= KEPT_BYTES {
            let entries = Arc::clone(entries);
            all.insert(start, Left { entries, count });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn baskets_are_kept_until_they_are_read_and_while_there_is_room() {
        let entries = |bytes: usize| {
            Arc::new(Entries {
                buffer: vec![0; bytes],
                start: 0,
                border: bytes,
                header: 0,
                count: 10,
            })
        };
        let kept = Kept::default();
        let small = entries(100);
        kept.keep(1, &small, 4);
        assert!(kept.find(2, 1).is_none());
        assert!(Arc::ptr_eq(&kept.find(1, 3).unwrap(), &small));
        // two threads have unpacked it
        kept.keep(1, &small, 1);
        assert!(kept.find(1, 2).is_some());
        assert!(kept.find(1, 1).is_none());
        kept.keep(1, &entries(KEPT_BYTES - 100), 5);
        kept.keep(2, &small, 5);
        kept.keep(3, &entries(1), 5);
        let there = [1, 2, 3].map(|place| kept.find(place, 1).is_some());
        assert_eq!(there, [true, true, false]);
    }
}
