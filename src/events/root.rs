//! ROOT files: TTree and RNTuple as columns of numbers, arrays and lists, by their formats
//! alone. Read only; what a file says of itself is held against what is there.
//!
//! From the bytes upwards: `cursor` and `codec`, the `container` with its folders and keys,
//! `objects` as ROOT writes them, `streamers` that say what members of classes are; each `basket`
//! of a `tree`, and its `branches`; an `ntuple`, its `fields` and their `encoding`; both give Arrow arrays of
//! `number`s, which baskets may hold `packed`.

mod basket;
mod branches;
mod codec;
mod container;
mod cursor;
mod encoding;
mod fields;
mod ntuple;
mod number;
mod objects;
mod packed;
mod streamers;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::part::{ALL_ROWS, Fault, Opened, Part, behind};
use crate::error::counted;
use basket::Kept;
use container::{Object, Source};
use ntuple::Ntuple;
use number::Column;
use tree::{TREE, Tree};

/// What the file calls the type of a column that no expression can use, and why none can, in
/// its field's metadata.
pub(super) const TYPE_NAME: &str = "type";
pub(super) const UNUSABLE: &str = "unusable";
/// Objects that a message names, at most.
const NAMED: usize = 10;
const NTUPLE: &str = "ROOT::RNTuple";
const TREES: [&str; 3] = [TREE, "TNtuple", "TNtupleD"];
/// Rows of a part: shorter clusters are put together, and what is longer is cut where
/// baskets begin.
const LEAST_ROWS: u64 = 1 << 15;
const MOST_ROWS: u64 = 1 << 18;

/// A tree or RNTuple of a file, opened.
#[derive(Debug)]
pub(super) struct RootFile {
    bytes: u64,
    schema: SchemaRef,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Tree {
        columns: Vec<Option<branches::Content>>,
        kept: Kept,
    },
    Ntuple {
        ntuple: Ntuple,
        columns: Vec<Option<fields::Content>>,
        /// The clusters of each part.
        groups: Vec<Range<usize>>,
    },
}

/// The trees and RNTuples of a file, all cycles of them; what it holds in their place where
/// there are none.
fn tables(source: &Source) -> Result<Vec<Object>, Fault> {
    let objects = source
        .objects()
        .map_err(|e| Fault::at("list of objects", e))?;
    let is_table = |object: &Object| {
        let class = object.key.class.as_str();
        TREES.contains(&class) || class == NTUPLE
    };
    let (tables, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_table);
    match tables.is_empty() {
        true => Err(no_table(others)),
        false => Ok(tables),
    }
}

/// There is nothing but other objects, which are named with their classes.
fn no_table(others: Vec<Object>) -> Fault {
    let others = newest(others);
    let named = others.values().take(NAMED);
    let named = named.map(|object| format!("{} ({})", object.path, object.key.class));
    let named: Vec<String> = named.collect();
    let rest = match others.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {}", counted(n, "other")),
    };
    let there = match named.is_empty() {
        true => "it is empty".to_owned(),
        false => format!("there is {}{rest}", named.join(", ")),
    };
    Fault::at("", format!("it holds no tree and no RNTuple; {there}"))
}

/// Of each name the object with the highest cycle.
fn newest(objects: Vec<Object>) -> BTreeMap<String, Object> {
    let mut newest: BTreeMap<String, Object> = BTreeMap::new();
    for object in objects {
        let known = newest.get(&object.path).map(|known| known.key.cycle);
        if known.is_none_or(|known| known < object.key.cycle) {
            newest.insert(object.path.clone(), object);
        }
    }
    newest
}

/// The table that `name` means, `folder/name` or `folder/name;cycle`; the only one without.
fn choose(tables: Vec<Object>, name: Option<&str>) -> Result<Object, Fault> {
    if let Some(name) = name
        && let Some((path, cycle)) = name.rsplit_once(';')
    {
        let is_meant =
            |object: &&Object| object.path == path && object.key.cycle.to_string() == cycle;
        if let Some(object) = tables.iter().find(is_meant) {
            return Ok(object.clone());
        }
    }
    let mut newest = newest(tables);
    let names: Vec<String> = newest.keys().cloned().collect();
    // what is asked for is wrong, and not the file
    let fault = |text: String| Err(Fault::at("", text));
    match name {
        Some(name) => match newest.remove(name) {
            Some(object) => Ok(object),
            None => fault(format!("no tree `{name}`; there is {}", names.join(", "))),
        },
        None => match (newest.pop_first(), names.as_slice()) {
            (Some((_, object)), [_]) => Ok(object),
            _ => fault(format!(
                "it holds {} trees: {}; write which behind the path, as in \
                 `file.root:{}`",
                names.len(),
                names.join(", "),
                names.first().map_or("", String::as_str)
            )),
        },
    }
}

/// A table of a ROOT file, for a first look.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct TableSummary {
    pub name: String,
    pub class: String,
    pub rows: u64,
    pub columns: usize,
}

/// All tables of a ROOT file, by name.
pub(super) fn summaries(file: File, bytes: u64) -> Result<Vec<TableSummary>, Fault> {
    let source = Source::new(file, bytes);
    let tables = newest(tables(&source)?).into_values();
    let summary = |object: Object| {
        let (_, fields, parts) = read_table(&source, &object)?;
        Ok(TableSummary {
            name: object.path,
            class: object.key.class,
            rows: parts.iter().map(|part| part.rows).sum(),
            columns: fields.len(),
        })
    };
    tables.map(summary).collect()
}

impl RootFile {
    pub(super) fn open(file: File, bytes: u64, name: Option<&str>) -> Result<Opened<Self>, Fault> {
        let source = Source::new(file, bytes);
        let object = choose(tables(&source)?, name)?;
        let (content, fields, parts) = read_table(&source, &object)?;
        let schema = Arc::new(Schema::new(fields));
        let file = Self {
            bytes,
            schema: Arc::clone(&schema),
            content,
        };
        Ok((file, schema, parts))
    }

    /// Bytes of the `wanted` columns of a part as they are in the file, and unpacked where
    /// that is known.
    pub(super) fn largest(&self, part: Part, wanted: &[usize]) -> usize {
        let rows = part.first_row..part.first_row + part.rows;
        let bytes = wanted.iter().map(|&place| match &self.content {
            Content::Tree { columns, .. } => {
                let column = columns.get(place).and_then(Option::as_ref);
                column.map_or(0, |column| column.bytes(&rows))
            }
            Content::Ntuple {
                ntuple,
                columns,
                groups,
            } => {
                let clusters = groups.get(part.group).cloned();
                let clusters = clusters.and_then(|group| ntuple.clusters.get(group));
                let column = columns.get(place).and_then(Option::as_ref);
                let bytes = |column: &fields::Content| {
                    let each = clusters.unwrap_or(&[]).iter().map(|c| column.bytes(c));
                    each.fold(0, u64::saturating_add)
                };
                column.map_or(0, bytes)
            }
        });
        usize::try_from(bytes.fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
    }

    pub(super) fn read(
        &self,
        path: &Path,
        part: Part,
        wanted: &[usize],
        visit: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), Fault> {
        let source = Source::reopen(path, self.bytes)?;
        let arrays = self.arrays(&source, part, wanted);
        let fault = |error: String| Fault::at(format!("cluster {}", part.group), error);
        let arrays = arrays.map_err(fault)?;
        let schema = self.schema.project(wanted);
        let schema = schema.map_err(|error| fault(error.to_string()))?;
        let rows = usize::try_from(part.rows).map_err(|error| fault(error.to_string()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options);
        visit(batch.map_err(|error| fault(error.to_string()))?);
        Ok(())
    }

    fn arrays(
        &self,
        source: &Source,
        part: Part,
        wanted: &[usize],
    ) -> Result<Vec<ArrayRef>, String> {
        let unusable = |&place: &usize| format!("column `{}`", self.schema.field(place).name());
        match &self.content {
            Content::Tree { columns, kept } => {
                let columns = wanted.iter().map(|place| {
                    let column = columns.get(*place).and_then(Option::as_ref);
                    column.ok_or_else(|| unusable(place))
                });
                let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
                let rows = part.first_row..part.first_row + part.rows;
                branches::read(source, kept, &columns, &rows)
            }
            Content::Ntuple {
                ntuple,
                columns,
                groups,
            } => {
                let columns = wanted.iter().map(|place| {
                    let column = columns.get(*place).and_then(Option::as_ref);
                    column.ok_or_else(|| unusable(place))
                });
                let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
                let clusters = groups.get(part.group).cloned();
                let clusters = clusters.and_then(|group| ntuple.clusters.get(group));
                fields::read(source, ntuple, &columns, clusters.unwrap_or(&[]))
            }
        }
    }
}

type Read = (Content, Vec<Field>, Vec<Part>);

/// What describes a table.
fn read_table(source: &Source, object: &Object) -> Result<Read, Fault> {
    let read = match object.key.class.as_str() {
        NTUPLE => Ntuple::read(source, &object.key).and_then(of_ntuple),
        _ => Tree::read(source, &object.key).and_then(|tree| of_tree(source, &tree)),
    };
    read.map_err(|error| Fault::at(format!("`{}`", object.path), error))
}

fn of_tree(source: &Source, tree: &Tree) -> Result<Read, String> {
    let columns = branches::columns(source, tree);
    let (fields, contents) = described(columns, branches::Content::data_type);
    if tree.entries > ALL_ROWS {
        return Err(format!("it says that it has {} entries", tree.entries));
    }
    let parts = parts(&cuts(tree.entries, &contents));
    let content = Content::Tree {
        columns: contents,
        kept: Kept::default(),
    };
    Ok((content, fields, parts))
}

fn of_ntuple(ntuple: Ntuple) -> Result<Read, String> {
    let (fields, contents) = described(fields::columns(&ntuple), fields::Content::data_type);
    let mut next = 0_u64;
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut ends = vec![0];
    for (place, cluster) in ntuple.clusters.iter().enumerate() {
        if cluster.first != next {
            return Err(format!(
                "cluster {place} begins at {} and not {next}",
                cluster.first
            ));
        }
        next = behind(next, cluster.entries).ok_or("absurdly many entries")?;
        let begin = groups.last().map_or(0, |group| group.end);
        let is_last = place + 1 == ntuple.clusters.len();
        if next - ends[ends.len() - 1] >= LEAST_ROWS || is_last && next > ends[ends.len() - 1] {
            groups.push(begin..place + 1);
            ends.push(next);
        }
    }
    let content = Content::Ntuple {
        ntuple,
        columns: contents,
        groups,
    };
    Ok((content, fields, parts(&ends)))
}

/// The fields of columns, and how those that can be used are read.
fn described<C>(
    columns: Vec<Column<C>>,
    data_type: impl Fn(&C) -> Result<DataType, String>,
) -> (Vec<Field>, Vec<Option<C>>) {
    let described = columns.into_iter().map(|column| {
        let found = column.content.as_ref().map_err(String::clone);
        let found = found.and_then(&data_type);
        let content = column.content.ok().filter(|_| found.is_ok());
        (field(column.name, column.type_name, &found), content)
    });
    described.unzip()
}

/// A column that can be used, or none with the reason.
fn field(name: String, type_name: String, data_type: &Result<DataType, String>) -> Field {
    match data_type {
        Ok(data_type) => Field::new(name, data_type.clone(), false),
        Err(reason) => {
            let about = [(UNUSABLE, reason.clone()), (TYPE_NAME, type_name)];
            let about = about.map(|(key, text)| (key.to_owned(), text));
            Field::new(name, DataType::Null, true).with_metadata(HashMap::from(about))
        }
    }
}

/// The rows at which a tree is cut, with 0 and all of them: where the baskets of all
/// columns begin, and within what is too long where those of the most divided one do.
fn cuts(entries: u64, columns: &[Option<branches::Content>]) -> Vec<u64> {
    let begins = |column: &branches::Content| -> BTreeSet<u64> {
        column.baskets().iter().map(|basket| basket.first).collect()
    };
    let mut usable = columns.iter().flatten();
    let Some(first) = usable.next() else {
        return vec![0, entries];
    };
    let (mut common, mut finest) = (begins(first), begins(first));
    for column in usable {
        let own = begins(column);
        common.retain(|row| own.contains(row));
        if own.len() > finest.len() {
            finest = own;
        }
    }
    let mut cuts = vec![0];
    let mut last = 0;
    for row in common
        .into_iter()
        .filter(|&row| row < entries)
        .chain([entries])
    {
        if row - last >= LEAST_ROWS || row == entries && row > last {
            if row - last > MOST_ROWS {
                let inside = finest.range(last + 1..row);
                for &begin in inside {
                    if begin - last >= MOST_ROWS {
                        cuts.push(begin);
                        last = begin;
                    }
                }
            }
            cuts.push(row);
            last = row;
        }
    }
    cuts
}

fn parts(cuts: &[u64]) -> Vec<Part> {
    let pairs = cuts.windows(2).enumerate();
    let part = |(group, pair): (usize, &[u64])| Part {
        first_row: pair[0],
        rows: pair[1] - pair[0],
        group,
        offset: 0,
    };
    pairs.map(part).filter(|part| part.rows > 0).collect()
}

#[cfg(test)]
mod tests;
