//! Which columns a tree's branches are, and their values from its baskets.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::basket::{Basket, Found, Kept, Part};
use super::container::{MAX_NAME, Source};
use super::number::{Column, Number, fixed, fixed_type, list, list_type};
use super::packed::Stored;
use super::streamers::{Classes, Member};
use super::tree::{Branch, Element, Leaf, Tree};

/// Characters of a type's name that are shown, at most.
const SHOWN: usize = 200;
/// Dimensions of an array, at most; of more it is one list.
const MAX_DIMENSIONS: usize = 8;
/// Before the numbers of a `std::vector`: length, version, number of them.
const VECTOR_HEADER: usize = 10;

#[derive(Clone, Debug)]
pub(super) struct Content {
    stored: Stored,
    layout: Layout,
    /// Those of its branch, which all leaves have in common.
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

/// The columns of a tree of a file, in its order.
pub(super) fn columns(source: &Source, tree: &Tree) -> Vec<Column<Content>> {
    let mut found = Vec::new();
    let classes = Classes::new(source);
    collect(&tree.branches, "", tree.entries, &classes, &mut found);
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
    classes: &Classes<'_>,
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
            collect(&branch.branches, &path, entries, classes, found);
            continue;
        }
        let several = branch.leaves.len() > 1;
        let baskets: Arc<[Basket]> = branch.baskets.clone().into();
        let mut offset = 0;
        for leaf in &branch.leaves {
            let content = usable(branch, entries)
                .and_then(|()| laid_out(branch, leaf, offset, name, classes));
            let content = content.map(|(stored, layout)| Content {
                stored,
                layout,
                baskets: Arc::clone(&baskets),
            });
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
    if branch.is_cut {
        let text = "its last events are in no basket; write the file anew, for example with hadd";
        return Err(text.to_owned());
    }
    if branch.entries != entries {
        return Err(format!("it has {} of {entries} entries", branch.entries));
    }
    Ok(())
}

/// How a leaf of a branch lies in the baskets, `offset` behind the start of an entry.
fn laid_out(
    branch: &Branch,
    leaf: &Leaf,
    offset: usize,
    name: &str,
    classes: &Classes<'_>,
) -> Result<(Stored, Layout), String> {
    let (stored, layout) = match &branch.element {
        Some(element) => {
            let name = name.rsplit('.').next().unwrap_or_default();
            let member = || classes.member(&element.class, element.checksum, name);
            of_element(element, leaf, member)?
        }
        None => of_leaves(branch, leaf, offset)?,
    };
    if branch.without_offsets && matches!(layout, Layout::List { .. }) {
        return Err("the lengths of its lists are not written".to_owned());
    }
    Ok((stored, layout))
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
fn of_element<'m>(
    element: &Element,
    leaf: &Leaf,
    member: impl Fn() -> Result<&'m Member, String>,
) -> Result<(Stored, Layout), String> {
    let (class, code) = (&element.class, element.streamer);
    let fixed = |stored: Stored, numbers: usize, dimensions| {
        let stride = stored.size().checked_mul(numbers);
        let layout = Layout::Fixed {
            offset: 0,
            stride: stride.ok_or("its entries have an absurd length")?,
            dimensions,
        };
        Ok((stored, layout))
    };
    let lists = |stored: Stored, header| Ok((stored, Layout::List { header }));
    match (element.kind, code) {
        (0, 1..20) if let Some(stored) = streamed(code, &member) => fixed(stored?, 1, Vec::new()),
        (0, ARRAY..POINTER) if let Some(stored) = streamed(code - ARRAY, &member) => {
            fixed(stored?, leaf.length, dimensions(leaf))
        }
        (0, POINTER..60) if let Some(stored) = streamed(code - POINTER, &member) => {
            lists(stored?, 1)
        }
        // bits of a referenced object are longer than others
        (31 | 41, 1..20)
            if code != BITS
                && let Some(stored) = streamed(code, &member) =>
        {
            lists(stored?, 0)
        }
        (0, _) if let Some(number) = of_vector(class) => lists(number.into(), VECTOR_HEADER),
        (_, TEXT) => Err("it holds text; write a number for each".to_owned()),
        (kind, OBJECT | OBJECTS | STREAMED) => {
            let member = member()?;
            let many = match (member.is_array, kind) {
                (true, _) => "n array of",
                (false, 0) => "",
                _ => " list of",
            };
            match of_vector(&member.type_name) {
                Some(number) if many.is_empty() => lists(number.into(), VECTOR_HEADER),
                _ => Err(format!(
                    "it is a{many} `{}` in class `{class}`; write lists of numbers as branches of \
                     their own",
                    member.type_name.chars().take(SHOWN).collect::<String>()
                )),
            }
        }
        _ => Err(format!("it is a branch of class `{class}`")),
    }
}

/// The numbers of a `std::vector` by its name.
fn of_vector(name: &str) -> Option<Number> {
    let of = name.strip_suffix('>')?;
    let vector = ["vector<", "std::vector<", "ROOT::VecOps::RVec<"];
    let of = vector.iter().find_map(|prefix| of.strip_prefix(prefix))?;
    let of = of.split_once(',').map_or(of, |(of, _allocator)| of);
    Number::of_type(of)
}

/// What is added to the code of a number for an array of such, and for a pointer to some.
const ARRAY: i32 = 20;
const POINTER: i32 = 40;
/// The code of an object's bits.
const BITS: i32 = 15;
/// Those of `Float16_t` and `Double32_t`, of text, of a collection of the library and of an array
/// of such, and of another object with a streamer of its own.
const HALF: i32 = 19;
const SINGLE: i32 = 9;
const TEXT: i32 = 365;
const OBJECT: i32 = 300;
const OBJECTS: i32 = 320;
const STREAMED: i32 = 500;

/// How the number of a code of `TVirtualStreamerInfo` is written, if it is one.
fn streamed<'m>(
    code: i32,
    member: impl Fn() -> Result<&'m Member, String>,
) -> Option<Result<Stored, String>> {
    Some(match code {
        HALF => member().map(|member| Stored::half(&member.title)),
        SINGLE => member().map(|member| Stored::single(&member.title)),
        code => Ok(number(code)?.into()),
    })
}

/// The number of a code of `TVirtualStreamerInfo`.
fn number(code: i32) -> Option<Number> {
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
    pub(super) fn bytes(&self, rows: &Range<u64>) -> u64 {
        let packed = self.inside(rows).iter().map(Basket::length);
        let stride = match self.layout {
            Layout::Fixed { stride, .. } => stride as u64,
            Layout::List { .. } => 0,
        };
        let packed = packed.fold(0, u64::saturating_add);
        packed.saturating_add(stride.saturating_mul(rows.end - rows.start))
    }

    /// The baskets that have any of some rows.
    fn inside(&self, rows: &Range<u64>) -> &[Basket] {
        let begin = self
            .baskets
            .partition_point(|basket| basket.end <= rows.start);
        let behind = self
            .baskets
            .partition_point(|basket| basket.first < rows.end);
        self.baskets.get(begin..behind).unwrap_or(&[])
    }

    /// The baskets of rows, which cover them.
    fn baskets_of(&self, rows: &Range<u64>) -> Result<&[Basket], String> {
        let found = self.inside(rows);
        let covered = found
            .first()
            .is_some_and(|basket| basket.first <= rows.start)
            && found.last().is_some_and(|basket| basket.end >= rows.end);
        match covered {
            true => Ok(found),
            false => Err(format!(
                "not all of the entries {} to {} are in a basket",
                rows.start, rows.end
            )),
        }
    }
}

/// Some rows of columns. All that lies in the file is read in turn; what it takes to unpack it
/// is shared by all threads.
pub(super) fn read(
    source: &Source,
    kept: &Kept,
    columns: &[&Content],
    rows: &Range<u64>,
) -> Result<Vec<ArrayRef>, String> {
    let of_a_branch = |a: &&Content, b: &&Content| Arc::ptr_eq(&a.baskets, &b.baskets);
    let mut found = Vec::new();
    for leaves in columns.chunk_by(of_a_branch) {
        let baskets = leaves[0].baskets_of(rows)?.iter();
        let baskets = baskets.map(|basket| Ok((basket, basket.find(source, kept, rows)?)));
        found.push((leaves, baskets.collect::<Result<Vec<_>, String>>()?));
    }
    let arrays = |(leaves, baskets): (&[&Content], Vec<(&Basket, Found)>)| {
        let baskets = baskets.into_par_iter().with_max_len(1);
        let parts = baskets.map(|(basket, found)| basket.part(found, kept, rows));
        let parts: Vec<Part> = parts.collect::<Result<_, String>>()?;
        leaves.iter().map(|leaf| leaf.array(&parts)).collect()
    };
    let arrays = found.into_par_iter().with_max_len(1).map(arrays);
    let arrays: Vec<Vec<ArrayRef>> = arrays.collect::<Result<_, String>>()?;
    Ok(arrays.into_iter().flatten().collect())
}

impl Content {
    fn array(&self, baskets: &[Part]) -> Result<ArrayRef, String> {
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
        baskets: &[Part],
        offset: usize,
        stride: usize,
        dimensions: &[usize],
    ) -> Result<ArrayRef, String> {
        let width = self.stored.size() * dimensions.iter().product::<usize>();
        let mut pieces: Vec<&[u8]> = Vec::new();
        for Part { entries, wanted } in baskets {
            let (bytes, count) = (entries.bytes(), entries.count);
            if stride.checked_mul(count) != Some(bytes.len()) {
                let bytes = bytes.len();
                return Err(format!("a basket of {bytes} bytes for {count} entries"));
            }
            let bytes = &bytes[wanted.start * stride..wanted.end * stride];
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

    fn lists(&self, baskets: &[Part], header: usize) -> Result<ArrayRef, String> {
        let size = self.stored.size();
        let mut lengths = Vec::new();
        let mut pieces: Vec<&[u8]> = Vec::new();
        for Part { entries, wanted } in baskets {
            let offsets = entries.offsets(wanted)?;
            let all = entries.bytes();
            if header == 0
                && let (Some(&begin), Some(&end)) = (offsets.first(), offsets.last())
            {
                pieces.push(&all[begin..end]);
            }
            for entry in offsets.windows(2) {
                let bytes = &all[entry[0]..entry[1]];
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
