//! Simulated signals in the bins of uncertainties.

use crate::error::{Context, Error, Kind, Result};
use crate::settings::{Blinding, Config, Places, SampleRole, UncertaintyConfig};
use crate::workflow::{SampleSpec, Wanted};
use indexmap::IndexMap;
use sideband_numerics::Edges;

/// Signals of strength one, by the names of the uncertainties that have one.
///
/// # Errors
/// Also if one has no events in the bins.
pub(super) fn signals(config: &Config, places: &Places) -> Result<IndexMap<String, Vec<f64>>> {
    let mixing = config.mixing.iter();
    let all = mixing.flat_map(|mixing| &mixing.uncertainties);
    let mut signals = IndexMap::new();
    for (name, of) in all {
        if let Some(contents) = signal(config, places, name, of)? {
            signals.insert(name.clone(), contents);
        }
    }
    Ok(signals)
}

fn signal(
    config: &Config,
    places: &Places,
    name: &str,
    of: &UncertaintyConfig,
) -> Result<Option<Vec<f64>>> {
    let Some(sample) = of.signal_sample() else {
        return Ok(None);
    };
    let key = format!("mixing.uncertainties.{name}");
    let place = format!("{key}.signal");
    let sample = places.sample(&sample)?;
    let regions = &config.regions;
    let region = regions.get_index_of(&of.region).unwrap_or_default();
    let column = format!("{key}.observable");
    let wanted = Wanted {
        columns: vec![(column.clone(), of.observable.clone())],
        columns_are_keys: true,
        needed: vec![(0, region)],
        ..Wanted::default()
    };
    let spec = SampleSpec {
        role: "signal",
        place: &place,
        sample: &sample,
        whose: SampleRole::Simulation,
    };
    let blinding = Blinding::new(regions, false);
    let read = spec.open(config, &wanted, &blinding)?.read(None)?;
    let values = read.column(&column).unwrap_or_default();
    let edges = Edges::new(of.bins.clone()).of(Kind::Config)?;
    let range = of.bins[0]..of.bins[of.bins.len() - 1];
    let mut contents = vec![0.0; edges.bins()];
    for row in read.in_region(region) {
        let value = values[row];
        let bin = edges.find(value).filter(|_| range.contains(&value));
        if let Some(bin) = bin {
            contents[bin] += read.table.weights[row];
        }
    }
    let sum: f64 = contents.iter().sum();
    match sum > 0.0 && sum.is_finite() {
        true => Ok(Some(contents)),
        false => Err(Error::data_at(
            place,
            format!(
                "its events in `{}` and in the bins have a weight of {sum}, and it has to be above \
                 0: take another selection, or bins where the signal is",
                of.region
            ),
        )),
    }
}
