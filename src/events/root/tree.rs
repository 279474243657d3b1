//! A TTree: its branches, their leaves, and where their baskets are.
//!
//! The classes are read as ROOT 5.18 and later write them (TTree 16 to 20, TBranch 10 to 13,
//! TBranchElement 9 and 10); their lengths stand before them, so that what a newer version
//! appends is passed over.

use std::sync::Arc;

use super::basket::{Basket, Entries, Place};
use super::container::{Key, Source};
use super::objects::{Header, Pointer, Reader};

pub(super) const TREE: &str = "TTree";
/// Branches in branches, at most.
const MAX_DEPTH: usize = 32;

/// What of a tree is needed to read it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) entries: u64,
    pub(super) branches: Vec<Branch>,
}

#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) name: String,
    pub(super) entries: u64,
    pub(super) leaves: Vec<Leaf>,
    pub(super) baskets: Vec<Basket>,
    pub(super) branches: Vec<Branch>,
    /// A member of a class, or a whole collection.
    pub(super) element: Option<Element>,
    /// Where lengths of entries are not written.
    pub(super) without_offsets: bool,
    /// The last entries are in no basket, neither in the file nor in the tree.
    pub(super) is_cut: bool,
}

/// One number or one list of an entry.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) class: String,
    pub(super) name: String,
    /// With its dimensions: `x[nx]`, `p[4]`.
    pub(super) title: String,
    /// Numbers an entry, or of an element of a list.
    pub(super) length: usize,
    pub(super) unsigned: bool,
    /// Another leaf counts it.
    pub(super) counted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) class: String,
    pub(super) checksum: u32,
    pub(super) kind: i32,
    pub(super) streamer: i32,
}

impl Tree {
    pub(super) fn read(source: &Source, key: &Key) -> Result<Self, String> {
        let object = source.object(key)?;
        let mut reader = Reader::new(&object, key.header);
        if key.class != TREE {
            // a tree with one kind of columns, whose own class comes first
            reader.header()?;
        }
        let version = reader.header()?.version;
        if !(16..=20).contains(&version) {
            return Err(format!(
                "a tree of version {version}, which ROOT 5.18 to 6 do not write"
            ));
        }
        reader.named()?;
        // how it is drawn: line, fill, marker
        for _ in 0..3 {
            reader.skip_class()?;
        }
        let cursor = &mut reader.cursor;
        let entries = cursor.u64()?;
        let sums = if version >= 18 { 4 } else { 3 };
        cursor.skip(8 * sums + 8)?;
        cursor.skip(12)?;
        if version >= 17 {
            cursor.skip(4)?;
        }
        let ranges = if version >= 19 { cursor.size()? } else { 0 };
        let settings = if version >= 18 { 6 } else { 5 };
        cursor.skip(8 * settings)?;
        if version >= 19 {
            for _ in 0..2 {
                cursor.skip(1)?;
                cursor.skip(ranges.saturating_mul(8))?;
            }
        }
        if version >= 20 {
            reader.skip_class()?;
        }
        let branches = branches(&mut reader, 0)?;
        if packed(&branches) > source.bytes() {
            let text = "its baskets are longer than the file: they lie in other files or in each \
                        other";
            return Err(text.to_owned());
        }
        Ok(Self { entries, branches })
    }
}

/// Bytes of all baskets in the file.
fn packed(branches: &[Branch]) -> u64 {
    let each = branches.iter().map(|branch| {
        let own = branch.baskets.iter().map(Basket::length);
        own.fold(packed(&branch.branches), u64::saturating_add)
    });
    each.fold(0, u64::saturating_add)
}

fn branches(reader: &mut Reader<'_>, depth: usize) -> Result<Vec<Branch>, String> {
    let mut found = Vec::new();
    reader.array(|reader, class, end| {
        found.push(branch(reader, class, end, depth)?);
        Ok(())
    })?;
    Ok(found)
}

/// A branch of a class; of an unknown one the name alone.
fn branch(
    reader: &mut Reader<'_>,
    class: &str,
    end: usize,
    depth: usize,
) -> Result<Branch, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} branches in each other"));
    }
    match class {
        "TBranch" => base(reader, depth),
        "TBranchElement" => element(reader, depth),
        _ => {
            // its base class comes first
            let header = reader.header()?;
            let mut found = base(reader, depth)?;
            found.leaves.clear();
            found.element = Some(Element {
                class: class.to_owned(),
                checksum: 0,
                kind: -1,
                streamer: -1,
            });
            reader.cursor.seek(header.end.min(end))?;
            Ok(found)
        }
    }
}

fn base(reader: &mut Reader<'_>, depth: usize) -> Result<Branch, String> {
    let Header { version, end } = reader.header()?;
    if !(10..=13).contains(&version) {
        return Err(format!(
            "a branch of version {version}, which ROOT 5.18 to 6 do not write"
        ));
    }
    let (name, _) = reader.named()?;
    reader.skip_class()?;
    let cursor = &mut reader.cursor;
    cursor.skip(12)?;
    let written = cursor.size()?;
    let next = cursor.u64()?;
    let mut without_offsets = false;
    if version >= 13 {
        // one byte, behind a checksum or not
        let features = reader.header()?;
        reader.cursor.seek(features.end.saturating_sub(1))?;
        without_offsets = reader.cursor.u8()? & 1 != 0;
    }
    let cursor = &mut reader.cursor;
    cursor.skip(4)?;
    let room = cursor.size()?;
    cursor.skip(4)?;
    let entries = cursor.u64()?;
    cursor.skip(if version >= 12 { 24 } else { 16 })?;
    let inside = branches(reader, depth + 1)?;
    let mut leaves = Vec::new();
    reader.array(|reader, class, _| {
        leaves.push(leaf(reader, class, 0)?);
        Ok(())
    })?;
    let mut in_tree = Vec::new();
    reader.array(|reader, _, end| {
        in_tree.push(Entries::of_tree(&mut reader.cursor.up_to(end)));
        Ok(())
    })?;
    let mut baskets = baskets(reader, written, room, next)?;
    let mut behind = baskets.last().map_or(0, |basket| basket.end);
    let is_cut = !in_tree.is_empty() && behind < entries;
    for found in in_tree.into_iter().flatten().flatten() {
        if behind < entries {
            let first = behind;
            behind = behind.saturating_add(found.count as u64);
            baskets.push(Basket {
                place: Place::Tree(Arc::new(found)),
                first,
                end: behind,
            });
        }
    }
    reader.cursor.seek(end)?;
    Ok(Branch {
        name,
        entries,
        leaves,
        baskets,
        branches: inside,
        element: None,
        without_offsets,
        is_cut: is_cut && behind != entries,
    })
}

fn element(reader: &mut Reader<'_>, depth: usize) -> Result<Branch, String> {
    let Header { version, end } = reader.header()?;
    let mut found = base(reader, depth)?;
    let cursor = &mut reader.cursor;
    let class = cursor.text()?;
    cursor.text()?;
    cursor.text()?;
    let checksum = cursor.u32()?;
    // the class's version, the member's place
    cursor.skip(match version {
        9 => 8,
        10.. => 6,
        _ => return Err(format!("a branch of a class, of version {version}")),
    })?;
    let (kind, streamer) = (cursor.i32()?, cursor.i32()?);
    cursor.skip(4)?;
    // the branches that count this one may be written here for the first time
    for _ in 0..2 {
        if let Pointer::New { class, end } = reader.pointer()? {
            branch(reader, &class, end, depth + 1)?;
            reader.cursor.seek(end)?;
        }
    }
    reader.cursor.seek(end)?;
    found.element = Some(Element {
        class,
        checksum,
        kind,
        streamer,
    });
    Ok(found)
}

fn baskets(
    reader: &mut Reader<'_>,
    written: usize,
    room: usize,
    next: u64,
) -> Result<Vec<Basket>, String> {
    if written > room {
        return Err(format!("{written} baskets in room for {room}"));
    }
    let cursor = &mut reader.cursor;
    cursor.skip(1)?;
    let mut lengths = *cursor;
    cursor.skip(room.saturating_mul(4))?;
    cursor.skip(1)?;
    let mut firsts = *cursor;
    cursor.skip(room.saturating_mul(8))?;
    cursor.skip(1)?;
    let mut places = *cursor;
    cursor.skip(room.saturating_mul(8))?;
    let mut found: Vec<Basket> = Vec::new();
    for _ in 0..written {
        let first = firsts.u64()?;
        if let Some(last) = found.last_mut() {
            last.end = first;
        }
        let place = Place::File {
            start: places.u64()?,
            length: lengths.size()? as u64,
        };
        let end = next;
        found.push(Basket { place, first, end });
    }
    if room > written
        && let Some(last) = found.last_mut()
    {
        last.end = firsts.u64()?;
    }
    let is_rising = found.windows(2).all(|pair| pair[0].end == pair[1].first);
    if !is_rising || found.iter().any(|basket| basket.first > basket.end) {
        return Err("baskets out of order".to_owned());
    }
    Ok(found)
}

/// A leaf, whose own class wraps the one that all leaves have.
fn leaf(reader: &mut Reader<'_>, class: &str, depth: usize) -> Result<Leaf, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} leaves in each other"));
    }
    let own = reader.header()?;
    let all = reader.header()?;
    let (name, title) = reader.named()?;
    // -1 where a member points to its numbers
    let length = usize::try_from(reader.cursor.i32()?).unwrap_or(1);
    reader.cursor.skip(9)?;
    let unsigned = reader.cursor.u8()? != 0;
    let counted = match reader.pointer()? {
        Pointer::Nothing => false,
        Pointer::Known => true,
        Pointer::New { class, end } => {
            leaf(reader, &class, depth + 1)?;
            reader.cursor.seek(end)?;
            true
        }
    };
    reader.cursor.seek(all.end)?;
    reader.cursor.seek(own.end)?;
    Ok(Leaf {
        class: class.to_owned(),
        name,
        title,
        length,
        unsigned,
        counted,
    })
}
