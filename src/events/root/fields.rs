//! Which columns an RNTuple's fields are, and their values from its pages.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, UInt64Array};
use arrow::datatypes::{DataType, UInt64Type};
use rayon::prelude::*;

use super::codec::unpack;
use super::container::{MAX_NAME, Source};
use super::encoding::{Encoding, decode};
use super::ntuple::{Cluster, FieldRecord, Ntuple, Page, Role};
use super::number::{Column, Number, fixed, fixed_type, list, list_type};

/// Collections in collections, at most.
const MAX_DEPTH: usize = 8;
/// Elements of a column before it was there, at most: nothing in the file stands for them.
const MAX_DEFERRED: usize = 1 << 24;

#[derive(Clone, Debug)]
pub(super) struct Content {
    number: Number,
    /// From the event to the number.
    levels: Vec<Level>,
    /// Its representations; offsets of a collection that is counted have none of their own.
    values: Vec<usize>,
    counts: bool,
}

#[derive(Clone, Debug)]
enum Level {
    /// A collection with its ends.
    List(Vec<usize>),
    Fixed(usize),
}

/// The columns of an RNTuple, in its order.
pub(super) fn columns(ntuple: &Ntuple) -> Vec<Column<Content>> {
    let mut is_parent = vec![false; ntuple.fields.len()];
    for (place, field) in ntuple.fields.iter().enumerate() {
        if field.parent != place
            && let Some(parent) = is_parent.get_mut(field.parent)
        {
            *parent = true;
        }
    }
    let leaves = ntuple.fields.iter().enumerate();
    let leaves = leaves.filter(|(place, field)| field.role == Role::Other || !is_parent[*place]);
    let column = |(place, field): (usize, &FieldRecord)| {
        let (name, content) = match way(ntuple, place) {
            // one of the alternatives of a variant, which is a column itself
            Ok(way) if is_inside_other(ntuple, &way) => return None,
            Ok(way) => match name(ntuple, &way) {
                name if name.len() > MAX_NAME => (field.name.clone(), Err(too_long(&name))),
                name => (name, content(ntuple, &way)),
            },
            Err(text) => (field.name.clone(), Err(text)),
        };
        Some(Column {
            name,
            type_name: field.type_name.clone(),
            content,
        })
    };
    leaves.filter_map(column).collect()
}

fn too_long(name: &str) -> String {
    format!("its name has {} bytes", name.len())
}

fn is_inside_other(ntuple: &Ntuple, way: &[usize]) -> bool {
    let around = way.split_last().map_or(&[][..], |(_, around)| around);
    let mut roles = around.iter().map(|&place| ntuple.fields[place].role);
    roles.any(|role| role == Role::Other)
}

/// The fields from an outermost one to `place`.
fn way(ntuple: &Ntuple, place: usize) -> Result<Vec<usize>, String> {
    let mut way = vec![place];
    let mut at = place;
    loop {
        let parent = ntuple.fields[at].parent;
        if parent == at {
            way.reverse();
            return Ok(way);
        }
        if parent >= ntuple.fields.len() || way.len() > 4 * MAX_DEPTH {
            return Err("its fields lie in each other without end".to_owned());
        }
        way.push(parent);
        at = parent;
    }
}

/// The names of the fields but for what only holds the items of a collection.
fn name(ntuple: &Ntuple, way: &[usize]) -> String {
    let mut name = String::new();
    let mut inside = None;
    for &place in way {
        let field = &ntuple.fields[place];
        let is_item = inside.is_some_and(|role| role != Role::Record);
        inside = Some(field.role);
        if is_item {
            continue;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name += &field.name;
    }
    name
}

fn content(ntuple: &Ntuple, way: &[usize]) -> Result<Content, String> {
    let mut levels = Vec::new();
    let Some((&last, around)) = way.split_last() else {
        return Err("no field".to_owned());
    };
    let leaf = &ntuple.fields[last];
    let unknown = || match leaf.type_name.as_str() {
        "std::string" => Err("it holds text; write a number for each".to_owned()),
        name => Err(format!("it is a field of type `{name}`")),
    };
    for &place in around {
        let field = &ntuple.fields[place];
        match (field.role, field.repeats) {
            (Role::Record, None) => {}
            (Role::Collection, None) => {
                let mut ends = field.columns.iter().map(|&column| &ntuple.columns[column]);
                if !ends.all(|column| Encoding::of(column).is_some_and(Encoding::is_index)) {
                    return unknown();
                }
                levels.push(Level::List(field.columns.clone()));
            }
            (Role::Leaf, Some(length)) => levels.push(Level::Fixed(size(length)?)),
            _ => return unknown(),
        }
    }
    if leaf.role != Role::Leaf || levels.len() > MAX_DEPTH {
        return unknown();
    }
    if let Some(length) = leaf.repeats {
        levels.push(Level::Fixed(size(length)?));
    }
    let mut kinds = leaf.columns.iter().map(|&column| &ntuple.columns[column]);
    let mut representations = std::collections::BTreeSet::new();
    let each_once = kinds
        .clone()
        .all(|column| representations.insert(column.representation));
    let Some(first) = kinds.next().filter(|_| each_once) else {
        return unknown();
    };
    let Some(encoding) = Encoding::of(first) else {
        return unknown();
    };
    let counts = encoding.is_index();
    if counts && !leaf.type_name.starts_with("ROOT::RNTupleCardinality<") {
        return unknown();
    }
    let encodings = leaf
        .columns
        .iter()
        .map(|&column| Encoding::of(&ntuple.columns[column]));
    if !encodings
        .into_iter()
        .all(|e| e.is_some_and(|e| e.number() == encoding.number()))
    {
        return unknown();
    }
    Ok(Content {
        number: encoding.number(),
        levels,
        values: leaf.columns.clone(),
        counts,
    })
}

fn size(length: u64) -> Result<usize, String> {
    let length = usize::try_from(length)
        .ok()
        .filter(|&length| i32::try_from(length).is_ok());
    length.ok_or_else(|| "its arrays have an absurd length".to_owned())
}

impl Content {
    /// Bytes of a cluster's elements when they are unpacked.
    pub(super) fn bytes(&self, cluster: &Cluster) -> u64 {
        let lists = self.levels.iter().filter_map(|level| match level {
            Level::List(columns) => Some(columns),
            Level::Fixed(_) => None,
        });
        let columns = lists.chain([&self.values]).flatten();
        let pages = columns.filter_map(|&column| cluster.columns.get(column)?.as_ref());
        let elements = pages.flatten().map(|page| page.elements as u64);
        let elements = elements.fold(cluster.entries, u64::saturating_add);
        elements.saturating_mul(size_of::<u64>() as u64)
    }

    pub(super) fn data_type(&self) -> Result<DataType, String> {
        let number = self.number.data_type();
        self.levels
            .iter()
            .rev()
            .try_fold(number, |inside, level| match level {
                Level::List(_) => Ok(list_type(inside)),
                Level::Fixed(length) => fixed_type(inside, *length),
            })
    }
}

/// The pages of a column in a cluster, packed, one behind the other.
struct Pages<'a> {
    column: usize,
    pages: &'a [Page],
    packed: Vec<u8>,
}

/// The rows of some clusters, column by column.
pub(super) fn read(
    source: &Source,
    ntuple: &Ntuple,
    columns: &[&Content],
    clusters: &[Cluster],
) -> Result<Vec<ArrayRef>, String> {
    let mut arrays: Vec<Vec<ArrayRef>> = columns.iter().map(|_| Vec::new()).collect();
    for cluster in clusters {
        let mut packed = Vec::new();
        for content in columns {
            let mut own = Vec::new();
            let lists = content.levels.iter().filter_map(|level| match level {
                Level::List(columns) => Some(columns),
                Level::Fixed(_) => None,
            });
            for representations in lists.chain([&content.values]) {
                own.push(load(source, cluster, representations)?);
            }
            packed.push(own);
        }
        let decoded = columns.par_iter().zip(packed).with_max_len(1);
        let decoded = decoded.map(|(content, pages)| content.array(ntuple, cluster, &pages));
        let decoded: Vec<ArrayRef> = decoded.collect::<Result<_, String>>()?;
        for (all, array) in arrays.iter_mut().zip(decoded) {
            all.push(array);
        }
    }
    let whole = |pieces: Vec<ArrayRef>| {
        let pieces: Vec<&dyn arrow::array::Array> = pieces.iter().map(AsRef::as_ref).collect();
        arrow::compute::concat(&pieces).map_err(|error| error.to_string())
    };
    arrays.into_iter().map(whole).collect()
}

/// The pages of the representation that a cluster has.
fn load<'a>(source: &Source, cluster: &'a Cluster, of: &[usize]) -> Result<Pages<'a>, String> {
    let mut there = of.iter().filter_map(|&column| {
        let pages = cluster.columns.get(column)?.as_ref()?;
        Some((column, pages.as_slice()))
    });
    // A column that came later has no pages in the clusters before.
    let without = of.first().map(|&column| (column, &[][..]));
    let found = there.next().or(without);
    let (column, pages) = found.ok_or("a field without a column")?;
    let mut packed = Vec::new();
    let adjoin = |a: &Page, b: &Page| a.at.start.checked_add(a.stored()) == Some(b.at.start);
    for together in pages.chunk_by(adjoin) {
        let lengths = together.iter().map(Page::stored);
        let length = lengths.fold(0, u64::saturating_add);
        source.read_behind(together[0].at.start, length, &mut packed)?;
    }
    Ok(Pages {
        column,
        pages,
        packed,
    })
}

impl Content {
    /// The array of a cluster's entries.
    fn array(
        &self,
        ntuple: &Ntuple,
        cluster: &Cluster,
        pages: &[Pages<'_>],
    ) -> Result<ArrayRef, String> {
        let mut count = usize::try_from(cluster.entries).map_err(|e| e.to_string())?;
        let mut pages = pages.iter();
        let mut next = || pages.next().ok_or("a field without a column");
        let mut around = Vec::new();
        for level in &self.levels {
            match level {
                Level::List(_) => {
                    let lengths = lengths(ntuple, next()?, count)?;
                    count = lengths.iter().sum();
                    around.push(Around::List(lengths));
                }
                Level::Fixed(length) => {
                    count = count
                        .checked_mul(*length)
                        .ok_or("an array of absurd length")?;
                    around.push(Around::Fixed(*length));
                }
            }
        }
        let values = next()?;
        let items: ArrayRef = if self.counts {
            let lengths = lengths(ntuple, values, count)?;
            let lengths = lengths.into_iter().map(|length| length as u64);
            Arc::new(UInt64Array::from_iter_values(lengths))
        } else {
            decoded(ntuple, values, count)?
        };
        around
            .into_iter()
            .rev()
            .try_fold(items, |items, around| match around {
                Around::List(lengths) => list(lengths.into_iter(), items),
                Around::Fixed(length) => fixed(length, items),
            })
    }
}

enum Around {
    List(Vec<usize>),
    Fixed(usize),
}

/// The lengths of `count` lists, from their ends.
fn lengths(ntuple: &Ntuple, pages: &Pages<'_>, count: usize) -> Result<Vec<usize>, String> {
    let ends = decoded(ntuple, pages, count)?;
    let ends = ends.as_primitive_opt::<UInt64Type>();
    let ends = ends.ok_or("ends of lists that are no numbers")?.values();
    let mut before = 0_u64;
    let length = |&end: &u64| -> Result<usize, String> {
        let length = end.checked_sub(before).and_then(|n| u32::try_from(n).ok());
        before = end;
        Ok(length.ok_or("a list of absurd length")? as usize)
    };
    ends.iter().map(length).collect()
}

/// `count` elements of a column.
fn decoded(ntuple: &Ntuple, pages: &Pages<'_>, count: usize) -> Result<ArrayRef, String> {
    let record = &ntuple.columns[pages.column];
    let encoding = Encoding::of(record).ok_or("a column of an unknown type")?;
    let there = pages.pages.iter().map(|page| page.elements);
    let there = there.fold(0, usize::saturating_add);
    let before = match count.checked_sub(there) {
        Some(0) => 0,
        Some(before) if record.deferred && before <= MAX_DEFERRED => before,
        _ => return Err(format!("{there} elements in place of {count}")),
    };
    let number = encoding.number();
    number.filled(count, |out| {
        let (mut rest, mut room) = (&*pages.packed, &mut out[before * number.size()..]);
        let mut scratch = Vec::new();
        for page in pages.pages {
            let at = |e: String| format!("page at byte {}: {e}", page.at.start);
            let own = room.split_off_mut(..page.elements * number.size());
            let stored = usize::try_from(page.stored()).unwrap_or(usize::MAX);
            let stored = rest.split_off(..stored);
            let (Some(own), Some(stored)) = (own, stored) else {
                return Err(at("it is not there".to_owned()));
            };
            let packed = page.packed(stored).map_err(at)?;
            fill(encoding, record.bits, packed, &mut scratch, own).map_err(at)?;
        }
        Ok(())
    })
}

/// Fills `out` with the numbers of a page, which is unpacked in `scratch` where it has to be.
fn fill(
    encoding: Encoding,
    bits: usize,
    packed: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut [u8],
) -> Result<(), String> {
    if let Encoding::Plain(_) = encoding {
        return unpack(packed, out);
    }
    let elements = out.len() / encoding.number().size();
    let length = elements.saturating_mul(bits).div_ceil(8);
    if packed.len() == length {
        return decode(encoding, packed, out);
    }
    if scratch.len() < length {
        let room = scratch.try_reserve(length - scratch.len());
        room.map_err(|e| format!("no memory for {length} bytes: {e}"))?;
        scratch.resize(length, 0);
    }
    let page = &mut scratch[..length];
    unpack(packed, page)?;
    decode(encoding, page, out)
}
