//! Which columns a tree's branches are, and their values from its baskets.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::codec::unpacked;
use super::container::{Key, MAX_NAME, Source};
use super::cursor::Cursor;
use super::number::{Column, Number, fixed, fixed_type, list, list_type};
use super::packed::Stored;
use super::tree::{Basket, Branch, Element, Leaf, Tree};

/// Dimensions of an array, at most; of more it is one list.
const MAX_DIMENSIONS: usize = 8;
/// Before the numbers of a `std::vector`: length, version, number of them.
const VECTOR_HEADER: usize = 10;

#[derive(Clone, Debug)]
pub(super) struct Content {
    stored: Stored,
    layout: Layout,
    baskets: Arc<[Basket]>,
}

#[derive(Clone, Debug)]
enum Layout {
    /// Equally many numbers an entry, which lie `offset` behind its start; an entry has
    /// `stride` bytes. Without dimensions it is one number.
    Fixed {
        offset: usize,
        stride: usize,
        dimensions: Vec<usize>,
    },
    /// A list an entry, behind `header` bytes.
    List { header: usize },
}

/// The columns of a tree, in its order.
pub(super) fn columns(tree: &Tree) -> Vec<Column<Content>> {
    let mut found = Vec::new();
    collect(&tree.branches, "", tree.entries, &mut found);
    // A name that two branches have gets the names of those around it.
    let mut names: Vec<&str> = found
        .iter()
        .map(|(_, column)| column.name.as_str())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).filter(|pair| pair[0] == pair[1]);
    let twice: BTreeSet<String> = twice.map(|pair| pair[0].to_owned()).collect();
    let named = found.into_iter().map(|(path, column)| Column {
        name: match twice.contains(&column.name) {
            true => path,
            false => column.name,
        },
        ..column
    });
    named.collect()
}

/// Adds the columns of branches with the path of each.
fn collect(
    branches: &[Branch],
    around: &str,
    entries: u64,
    found: &mut Vec<(String, Column<Content>)>,
) {
    for branch in branches {
        // dimensions would be read as an index
        let name = branch.name.split('[').next().unwrap_or_default();
        let name = name.trim_end_matches('.');
        let path = match around {
            "" => name.to_owned(),
            around if around.len() > MAX_NAME => name.to_owned(),
            around => format!("{around}/{name}"),
        };
        if !branch.branches.is_empty() {
            collect(&branch.branches, &path, entries, found);
            continue;
        }
        let several = branch.leaves.len() > 1;
        let mut offset = 0;
        for leaf in &branch.leaves {
            let content = usable(branch, entries).and_then(|()| content(branch, leaf, offset));
            offset += leaf_stored(leaf).map_or(0, Stored::size) * leaf.length;
            let of_leaf = |name: &str| match several {
                true => format!("{name}.{}", leaf.name),
                false => name.to_owned(),
            };
            let name = of_leaf(name);
            let class = branch.element.as_ref().map_or(&leaf.class, |e| &e.class);
            let type_name = class.clone();
            let column = Column {
                name,
                type_name,
                content,
            };
            found.push((of_leaf(&path), column));
        }
        if branch.leaves.is_empty() {
            let class = branch.element.as_ref().map_or("", |element| &element.class);
            let content = Err(format!("it is a branch of class `{class}`"));
            let name = name.to_owned();
            let column = Column {
                name,
                type_name: class.to_owned(),
                content,
            };
            found.push((path, column));
        }
    }
}

fn usable(branch: &Branch, entries: u64) -> Result<(), String> {
    if branch.has_embedded {
        let text = "its last events are not in the file's baskets; write the file anew, for \
                    example with hadd";
        return Err(text.to_owned());
    }
    if branch.entries != entries {
        return Err(format!("it has {} of {entries} entries", branch.entries));
    }
    Ok(())
}

fn content(branch: &Branch, leaf: &Leaf, offset: usize) -> Result<Content, String> {
    let (stored, layout) = match &branch.element {
        Some(element) => {
            let (number, layout) = of_element(element, leaf)?;
            (number.into(), layout)
        }
        None => of_leaves(branch, leaf, offset)?,
    };
    if branch.without_offsets && matches!(layout, Layout::List { .. }) {
        return Err("the lengths of its lists are not written".to_owned());
    }
    Ok(Content {
        stored,
        layout,
        baskets: branch.baskets.clone().into(),
    })
}

fn of_leaves(branch: &Branch, leaf: &Leaf, offset: usize) -> Result<(Stored, Layout), String> {
    let mut stride = 0_usize;
    for leaf in &branch.leaves {
        if leaf.counted && branch.leaves.len() > 1 {
            return Err("it is a list beside other leaves of its branch".to_owned());
        }
        let size = leaf_stored(leaf)?.size().checked_mul(leaf.length);
        let size = size.and_then(|size| stride.checked_add(size));
        stride = size.ok_or("its entries have an absurd length")?;
    }
    let stored = leaf_stored(leaf)?;
    if leaf.counted {
        return match leaf.length {
            1 => Ok((stored, Layout::List { header: 0 })),
            _ => Err(format!("it holds lists of arrays, `{}`", leaf.title)),
        };
    }
    let layout = Layout::Fixed {
        offset,
        stride,
        dimensions: dimensions(leaf),
    };
    Ok((stored, layout))
}

/// A member of a class or of the elements of a collection, or a `std::vector`.
fn of_element(element: &Element, leaf: &Leaf) -> Result<(Number, Layout), String> {
    let inside = |name: &str| {
        let of = name.strip_suffix('>')?;
        let vector = ["vector<", "std::vector<", "ROOT::VecOps::RVec<"];
        let of = vector.iter().find_map(|prefix| of.strip_prefix(prefix))?;
        Number::of_type(of)
    };
    let lists = |number, header| Ok((number, Layout::List { header }));
    let class = &element.class;
    match (element.kind, element.streamer) {
        (0, streamer) if let Some(number) = streamed(streamer) => {
            let layout = Layout::Fixed {
                offset: 0,
                stride: number.size(),
                dimensions: Vec::new(),
            };
            Ok((number, layout))
        }
        (0, streamer) if let Some(number) = streamed(streamer.wrapping_sub(20)) => {
            let stride = number.size().checked_mul(leaf.length);
            let layout = Layout::Fixed {
                offset: 0,
                stride: stride.ok_or("its entries have an absurd length")?,
                dimensions: dimensions(leaf),
            };
            Ok((number, layout))
        }
        (0, streamer) if let Some(number) = streamed(streamer.wrapping_sub(40)) => lists(number, 1),
        // bits of a referenced object are longer than others
        (31 | 41, streamer)
            if streamer != BITS
                && let Some(number) = streamed(streamer) =>
        {
            lists(number, 0)
        }
        (0, _) if let Some(number) = inside(class) => lists(number, VECTOR_HEADER),
        (_, streamer) if [HALF, SINGLE].contains(&(streamer % 20)) && streamer < 60 => {
            Err(format!(
                "it is a Float16_t or Double32_t of class `{class}`, whose range the file's \
                 streamers have, which are not read; write it as a float"
            ))
        }
        (_, TEXT) => Err("it holds text; write a number for each".to_owned()),
        (_, OBJECT | STREAMED) if !class.contains('<') => Err(format!(
            "it is an object in class `{class}`, whose own type the file's streamers have, which \
             are not read; write lists of numbers as branches of their own"
        )),
        _ => Err(format!("it is a branch of class `{class}`")),
    }
}

/// The code of an object's bits.
const BITS: i32 = 15;
/// Those of `Float16_t` and `Double32_t`, of text, of a collection of the library, and of
/// another object with a streamer of its own.
const HALF: i32 = 19;
const SINGLE: i32 = 9;
const TEXT: i32 = 365;
const OBJECT: i32 = 300;
const STREAMED: i32 = 500;

/// The number of a code of `TVirtualStreamerInfo`.
fn streamed(code: i32) -> Option<Number> {
    Some(match code {
        1 => Number::I8,
        2 => Number::I16,
        3 | 6 => Number::I32,
        4 | 16 => Number::I64,
        5 => Number::F32,
        8 => Number::F64,
        11 => Number::U8,
        12 => Number::U16,
        13 | 15 => Number::U32,
        14 | 17 => Number::U64,
        18 => Number::Bool,
        _ => return None,
    })
}

fn leaf_stored(leaf: &Leaf) -> Result<Stored, String> {
    let number = match (leaf.class.as_str(), leaf.unsigned) {
        ("TLeafO", _) => Number::Bool,
        ("TLeafB", false) => Number::I8,
        ("TLeafB", true) => Number::U8,
        ("TLeafS", false) => Number::I16,
        ("TLeafS", true) => Number::U16,
        ("TLeafI", false) => Number::I32,
        ("TLeafI", true) => Number::U32,
        ("TLeafL" | "TLeafG", false) => Number::I64,
        ("TLeafL" | "TLeafG", true) => Number::U64,
        ("TLeafF", _) => Number::F32,
        ("TLeafD", _) => Number::F64,
        ("TLeafF16", _) => return Ok(Stored::half(&leaf.title)),
        ("TLeafD32", _) => return Ok(Stored::single(&leaf.title)),
        ("TLeafC", _) => return Err("it holds text; write a number for each".to_owned()),
        (class, _) => return Err(format!("it is a leaf of class `{class}`")),
    };
    Ok(number.into())
}

/// The dimensions in a leaf's title, `x[2][3]`; its length where they are not all there.
fn dimensions(leaf: &Leaf) -> Vec<usize> {
    let inside = leaf.title.split('[').skip(1);
    let found = inside.map(|text| text.trim_end_matches(']').parse::<usize>());
    match found.collect::<Result<Vec<_>, _>>() {
        Ok(found)
            if found.len() <= MAX_DIMENSIONS
                && found.iter().try_fold(1, |n: usize, &d| n.checked_mul(d))
                    == Some(leaf.length) =>
        {
            found
        }
        _ if leaf.length == 1 => Vec::new(),
        _ => vec![leaf.length],
    }
}

impl Content {
    pub(super) fn data_type(&self) -> Result<DataType, String> {
        let number = self.stored.number.data_type();
        match &self.layout {
            Layout::Fixed { dimensions, .. } => {
                let inside_out = dimensions.iter().rev();
                inside_out.copied().try_fold(number, fixed_type)
            }
            Layout::List { .. } => Ok(list_type(number)),
        }
    }

    /// Numbers that lie in these baskets.
    #[cfg(test)]
    pub(super) fn of_baskets(baskets: Vec<Basket>) -> Self {
        Self {
            stored: Number::I8.into(),
            layout: Layout::List { header: 0 },
            baskets: baskets.into(),
        }
    }

    pub(super) fn baskets(&self) -> &[Basket] {
        &self.baskets
    }

    /// Bytes of rows in the file, and unpacked if they are equally many an entry.
    pub(super) fn bytes(&self, first: u64, end: u64) -> u64 {
        let packed = self.inside(first, end).iter().map(|basket| basket.length);
        let stride = match self.layout {
            Layout::Fixed { stride, .. } => stride as u64,
            Layout::List { .. } => 0,
        };
        let packed = packed.fold(0, u64::saturating_add);
        packed.saturating_add(stride.saturating_mul(end - first))
    }

    /// The baskets that have any of some rows.
    fn inside(&self, first: u64, end: u64) -> &[Basket] {
        let begin = self.baskets.partition_point(|basket| basket.end <= first);
        let behind = self.baskets.partition_point(|basket| basket.first < end);
        self.baskets.get(begin..behind).unwrap_or(&[])
    }

    /// The baskets of rows, which cover them.
    fn baskets_of(&self, first: u64, end: u64) -> Result<&[Basket], String> {
        let found = self.inside(first, end);
        let covered = found.first().is_some_and(|basket| basket.first <= first)
            && found.last().is_some_and(|basket| basket.end >= end);
        match covered {
            true => Ok(found),
            false => Err(format!(
                "not all of the entries {first} to {end} are in a basket"
            )),
        }
    }
}

/// Rows `first` to `end` of columns. All that lies in the file is read in turn; what it
/// takes to unpack it is shared by all threads.
pub(super) fn read(
    source: &Source,
    columns: &[&Content],
    first: u64,
    end: u64,
) -> Result<Vec<ArrayRef>, String> {
    let mut packed = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        for &basket in column.baskets_of(first, end)? {
            packed.push((place, basket, source.read(basket.place, basket.length)?));
        }
    }
    let unpack = |(place, basket, bytes): (usize, Basket, Vec<u8>)| {
        let entries = Entries::unpack(basket, bytes, first, end);
        Ok((
            place,
            entries.map_err(|e| format!("basket at byte {}: {e}", basket.place))?,
        ))
    };
    let entries: Result<Vec<(usize, Entries)>, String> =
        packed.into_par_iter().with_max_len(1).map(unpack).collect();
    let entries = entries?;
    let array = |(place, column): (usize, &&Content)| {
        let own = entries.iter().filter(|(of, _)| *of == place);
        let own: Vec<&Entries> = own.map(|(_, entries)| entries).collect();
        column.array(&own)
    };
    columns
        .par_iter()
        .enumerate()
        .with_max_len(1)
        .map(array)
        .collect()
}

/// The entries of a basket that are wanted.
struct Entries {
    /// From `start` on all entries one after the other, then the offsets of each.
    buffer: Vec<u8>,
    start: usize,
    border: usize,
    /// What the offsets count from.
    header: usize,
    /// Entries in the basket, and the wanted of them.
    count: usize,
    wanted: std::ops::Range<usize>,
}

impl Entries {
    fn unpack(basket: Basket, file: Vec<u8>, first: u64, end: u64) -> Result<Self, String> {
        let mut cursor = Cursor::new(&file);
        let key = Key::read(&mut cursor)?;
        cursor.skip(6)?;
        if cursor.i32()? < 0 {
            // features of the basket
            cursor.skip(1)?;
        }
        let (entries, last) = (cursor.size()?, cursor.size()?);
        let expected = basket.end - basket.first;
        if entries as u64 != expected {
            return Err(format!("it has {entries} entries and not {expected}"));
        }
        let packed = file.get(key.header..).ok_or("its key ends early")?;
        let unpacked = match unpacked(packed, key.unpacked)? {
            Cow::Owned(bytes) => Some(bytes),
            Cow::Borrowed(_) => None,
        };
        let (buffer, start) = unpacked.map_or((file, key.header), |bytes| (bytes, 0));
        let border = last.checked_sub(key.header);
        let border = border.filter(|&border| border <= buffer.len() - start);
        let inside = |row: u64| (row.clamp(basket.first, basket.end) - basket.first) as usize;
        Ok(Self {
            border: border.ok_or("its entries end outside of it")?,
            buffer,
            start,
            header: key.header,
            count: entries,
            wanted: inside(first)..inside(end),
        })
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Where each of the wanted entries begins, and the last ends.
    fn offsets(&self) -> Result<Vec<usize>, String> {
        let (begin, behind) = (self.wanted.start, self.wanted.end);
        if self.border == 0 {
            return Ok(vec![0; behind - begin + 1]);
        }
        let table = self.bytes().get(self.border..).unwrap_or(&[]);
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
        let all = all.skip(begin).take(behind - begin + 1);
        let all = all.map(|offset| offset.checked_sub(self.header));
        let offsets: Option<Vec<usize>> = all.collect();
        let offsets = offsets.filter(|offsets| offsets.is_sorted());
        let offsets = offsets.filter(|offsets| offsets.last().is_none_or(|&o| o <= self.border));
        offsets.ok_or_else(|| "its entries are out of order".to_owned())
    }
}

impl Content {
    fn array(&self, baskets: &[&Entries]) -> Result<ArrayRef, String> {
        match &self.layout {
            Layout::Fixed {
                offset,
                stride,
                dimensions,
            } => {
                let items = self.fixed(baskets, *offset, *stride, dimensions)?;
                let mut inside_out = dimensions.iter().rev().copied();
                inside_out.try_fold(items, |items, length| fixed(length, items))
            }
            Layout::List { header } => self.lists(baskets, *header),
        }
    }

    fn fixed(
        &self,
        baskets: &[&Entries],
        offset: usize,
        stride: usize,
        dimensions: &[usize],
    ) -> Result<ArrayRef, String> {
        let width = self.stored.size() * dimensions.iter().product::<usize>();
        let mut pieces: Vec<&[u8]> = Vec::new();
        for basket in baskets {
            if stride.checked_mul(basket.count) != Some(basket.border) {
                let (bytes, count) = (basket.border, basket.count);
                return Err(format!("a basket of {bytes} bytes for {count} entries"));
            }
            let wanted = basket.wanted.start * stride..basket.wanted.end * stride;
            let bytes = &basket.bytes()[wanted];
            match stride == width {
                true => pieces.push(bytes),
                false if stride == 0 => {}
                false => {
                    let entries = bytes.chunks_exact(stride);
                    pieces.extend(entries.map(|entry| &entry[offset..offset + width]));
                }
            }
        }
        Ok(self.stored.array(pieces.into_iter()))
    }

    fn lists(&self, baskets: &[&Entries], header: usize) -> Result<ArrayRef, String> {
        let size = self.stored.size();
        let mut lengths = Vec::new();
        let mut pieces: Vec<&[u8]> = Vec::new();
        for basket in baskets {
            let offsets = basket.offsets()?;
            if header == 0
                && let (Some(&begin), Some(&end)) = (offsets.first(), offsets.last())
            {
                pieces.push(&basket.bytes()[begin..end]);
            }
            for entry in offsets.windows(2) {
                let bytes = &basket.bytes()[entry[0]..entry[1]];
                let numbers = match (header, bytes.split_at_checked(header)) {
                    (0, _) => bytes,
                    (_, Some((before, numbers))) if counts(before, numbers.len() / size) => numbers,
                    _ => return Err("a list without its length".to_owned()),
                };
                if !numbers.len().is_multiple_of(size) {
                    return Err("a list that ends within a number".to_owned());
                }
                if header > 0 {
                    pieces.push(numbers);
                }
                lengths.push(numbers.len() / size);
            }
        }
        let items = self.stored.array(pieces.into_iter());
        list(lengths.into_iter(), items)
    }
}

/// Whether the bytes before a list agree that it has `length` numbers.
fn counts(before: &[u8], length: usize) -> bool {
    match before.last_chunk() {
        Some(&count) if before.len() == VECTOR_HEADER => {
            usize::try_from(u32::from_be_bytes(count)) == Ok(length)
        }
        _ => true,
    }
}
