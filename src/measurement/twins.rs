//! Events that are there twice.

use super::samples::Reader;
use crate::error::{Error, Result};
use crate::workflow::Sample;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

/// Share of a varied sample's events that may have the inputs of another event by chance.
const CHANCE: f64 = 0.01;
/// Values of an event below which equal ones may be chance in a few events.
const FEW_VALUES: usize = 2;

/// What tells events apart that have no id: their inputs and observables.
fn fingerprint(sample: &Sample, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for x in sample.features(row) {
        x.to_bits().hash(&mut hasher);
    }
    for (_, values) in &sample.table.columns {
        values[row].to_bits().hash(&mut hasher);
    }
    sample.table.flags[row].hash(&mut hasher);
    hasher.finish()
}

/// Events with the values of an earlier one, of at most `first` rows; with ids, of those
/// with its id as well.
pub(super) fn copies(sample: &Sample, first: usize) -> usize {
    let mut seen = HashSet::new();
    let rows = 0..sample.table.len().min(first);
    let id = |row: usize| (!sample.ids_by_row).then(|| sample.table.ids.key(row));
    rows.filter(|row| !seen.insert((fingerprint(sample, *row), id(*row))))
        .count()
}

/// Refuses observed events that are there twice. Without ids, events of equal values are
/// copies where simulated ones have none.
pub(super) fn check_observed(
    observed: &Sample,
    simulated: impl FnOnce() -> Result<Sample>,
) -> Result<()> {
    let found = copies(observed, usize::MAX);
    if found == 0 {
        return Ok(());
    }
    let values = observed.table.n_features + observed.table.columns.len();
    let by_id = !observed.ids_by_row;
    if !by_id {
        let by_chance = copies(&simulated()?, observed.table.len());
        if by_chance > 0 || (values < FEW_VALUES && found < 3) {
            return Ok(());
        }
    }
    let how = if by_id { "id and " } else { "" };
    Err(Error::data_at(
        "observed",
        format!(
            "{found} of {} events are there twice: {how}all inputs and observables are those of \
             an earlier event; remove the copies from the files",
            observed.table.len()
        ),
    ))
}

/// Refuses events of a varied sample that are nominal events under another id: a network
/// would be trained and tested on them at once.
pub(super) fn check_varied(
    reader: &Reader<'_>,
    nominal: &Sample,
    varied: &Sample,
    place: &str,
    process: &str,
) -> Result<()> {
    // none where several events have these values
    let mut known: HashMap<u64, Option<u64>> = HashMap::new();
    for row in reader.selected(nominal) {
        let key = nominal.table.ids.key(row);
        known
            .entry(fingerprint(nominal, row))
            .and_modify(|id| *id = id.filter(|id| *id == key))
            .or_insert(Some(key));
    }
    let (mut all, mut other) = (0_usize, 0_usize);
    for row in reader.selected(varied) {
        all += 1;
        if let Some(Some(id)) = known.get(&fingerprint(varied, row)) {
            other += usize::from(*id != varied.table.ids.key(row));
        }
    }
    if other as f64 <= CHANCE * all as f64 {
        return Ok(());
    }
    Err(Error::data_at(
        format!("{place}.path"),
        format!(
            "{other} of its {all} events have all inputs and observables of an event of \
             samples.{process} and another id: they are the same events, which would be trained \
             and tested on at once; write the ids of the nominal sample"
        ),
    ))
}
