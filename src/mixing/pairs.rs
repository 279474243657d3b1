//! Mixed events in files: jets, what they have from the event whose hemispheres were replaced,
//! and their parents.

use super::library::{Library, Pair};
use super::read::Material;
use crate::error::{Context, Kind, Result};
use crate::events::{Dataset, EventTable, Hidden, ListedJet, ScanRequest};
use crate::files::Sink;
use crate::settings::Sets;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Schema};
use std::path::Path;
use std::sync::Arc;

/// Mixed events that are written at once.
const ROWS: usize = 1 << 13;

/// An event of the queries with one of its pairs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Row of the event among the queries.
    pub row: usize,
    /// Place of the pair, from 0.
    pub k: usize,
    pub pair: Pair,
}

/// Columns of mixed events that are made of others: names and values, by candidate.
pub(super) type MadeColumns<'a> = [(&'a str, &'a [f64])];

/// Writes candidates, by their places, with further columns and the number of their set.
pub(super) struct Writer<'a> {
    pub material: &'a Material<'a>,
    pub library: &'a Library<'a>,
    /// Rows of the library's events in the target.
    pub rows: &'a [usize],
    pub candidates: &'a [Candidate],
}

impl Writer<'_> {
    /// Writes some of the candidates into a file, which takes the place of what is there.
    pub(super) fn write(
        &self,
        path: &Path,
        chosen: &[usize],
        set: usize,
        made: &MadeColumns<'_>,
    ) -> Result<()> {
        let name = path.display().to_string();
        let schema = Schema::new(self.columns::<Field>(&[], set, made)?);
        let mut sink = Sink::create(path, name, schema)?;
        for some in chosen.chunks(ROWS) {
            sink.push(self.columns(some, set, made)?)?;
        }
        sink.finish()
    }

    /// Columns of some candidates, as arrays or, of none, as fields.
    fn columns<T: FromColumn>(
        &self,
        chosen: &[usize],
        set: usize,
        made: &MadeColumns<'_>,
    ) -> Result<Vec<T>> {
        let queries = self.material.queries();
        let (table, target) = (&queries.sample.table, &self.material.target.sample.table);
        let of = |place: &usize| &self.candidates[*place];
        let mut columns = Vec::new();
        let mut add = |name: &str, array: ArrayRef| columns.push(T::from_column(name, array));
        let bits = |signed: bool, values: Vec<u64>| -> ArrayRef {
            match signed {
                true => Arc::new(Int64Array::from_iter_values(
                    values.into_iter().map(u64::cast_signed),
                )),
                false => Arc::new(UInt64Array::from(values)),
            }
        };
        for (k, column) in table.ids.names().iter().enumerate() {
            let value = |c: &Candidate| table.ids.values(c.row).nth(k).unwrap_or_default();
            let values = chosen.iter().map(|place| value(of(place)));
            add(&column.name, bits(column.signed, values.collect()));
        }
        for (side, word) in ["plus", "minus"].into_iter().enumerate() {
            for (k, column) in target.ids.names().iter().enumerate() {
                let value = |c: &Candidate| {
                    let row = self.rows[c.pair.halves[side].event as usize];
                    target.ids.values(row).nth(k).unwrap_or_default()
                };
                let values = chosen.iter().map(|place| value(of(place)));
                let name = format!("mix_{word}_{}", column.name);
                add(&name, bits(column.signed, values.collect()));
            }
        }
        let pairs = chosen.iter().map(|place| of(place).k as i32);
        add(Sets::PAIR, Arc::new(Int32Array::from_iter_values(pairs)));
        let sets = Int32Array::from_value(set as i32, chosen.len());
        add(Sets::SET, Arc::new(sets));
        for (name, values) in &table.columns {
            let values = chosen.iter().map(|place| values[of(place).row]);
            add(name, Arc::new(Float64Array::from_iter_values(values)));
        }
        for (name, values) in made {
            let values = chosen.iter().map(|place| values[*place]);
            add(name, Arc::new(Float64Array::from_iter_values(values)));
        }
        let mixed = chosen.iter().map(|place| {
            let Candidate { row, pair, .. } = of(place);
            self.library.mixed(&queries.events[*row], pair)
        });
        let mixed: Vec<Vec<ListedJet>> = mixed.collect();
        let lists = |values: ArrayRef| -> Result<ArrayRef> {
            let lengths = OffsetBuffer::from_lengths(mixed.iter().map(Vec::len));
            let field = Field::new_list_field(values.data_type().clone(), false);
            let list = ListArray::try_new(Arc::new(field), lengths, values, None);
            Ok(Arc::new(list.of(Kind::Internal)?))
        };
        let jets = || mixed.iter().flatten();
        let Some(names) = &self.material.config.data.jets else {
            return Ok(columns);
        };
        let numbers = |jet: &ListedJet| [jet.pt, jet.eta, jet.phi, jet.mass];
        let of_numbers = [&names.pt, &names.eta, &names.phi, &names.mass];
        for (k, name) in of_numbers.into_iter().enumerate() {
            let values = Float64Array::from_iter_values(jets().map(|jet| numbers(jet)[k]));
            add(name.trim(), lists(Arc::new(values))?);
        }
        let tags: Vec<bool> = jets().map(|jet| jet.is_tagged).collect();
        add(
            names.tagged.trim(),
            lists(Arc::new(BooleanArray::from(tags)))?,
        );
        // a condition is computed anew
        let selected = names.selected.as_deref().map(str::trim);
        if let Some(name) = selected.filter(|name| self.material.is_column(name)) {
            let flags: Vec<bool> = jets().map(|jet| jet.is_selected).collect();
            add(name, lists(Arc::new(BooleanArray::from(flags)))?);
        }
        Ok(columns)
    }
}

/// What is made of a column: itself, or its place in a schema.
trait FromColumn {
    fn from_column(name: &str, array: ArrayRef) -> Self;
}

impl FromColumn for ArrayRef {
    fn from_column(_: &str, array: ArrayRef) -> Self {
        array
    }
}

impl FromColumn for Field {
    fn from_column(name: &str, array: ArrayRef) -> Self {
        Self::new(name, array.data_type().clone(), false)
    }
}

/// Regions of mixed events as flags, in the configuration's order, and expressions over them by
/// name: of a file with nothing but jets and what comes with them.
pub(super) fn scan(
    material: &Material<'_>,
    path: &Path,
    columns: &[(String, String)],
) -> Result<EventTable> {
    let config = material.config;
    let dataset = Dataset::open(&[path.display().to_string()], Path::new(""))?;
    let resolver = config.data.resolver(dataset.columns())?;
    let compile = |key: &str, text: &str| {
        let compiled = resolver.compile(text);
        compiled.map_err(|e| e.at_key(format!("{key} (of mixed events)")))
    };
    let mut request = ScanRequest::new(Hidden::nothing());
    for (name, region) in &config.regions {
        let compiled = compile(&format!("regions.{name}.selection"), &region.selection)?;
        request.flags.push((name.clone(), compiled));
    }
    for (name, text) in columns {
        request.columns.push((name.clone(), compile(name, text)?));
    }
    dataset.scan(&request, None)
}
