//! Curves beside the learned one: histograms alone, and exact ratios where they are known.

use super::analyse::{Analyst, largest_difference};
use super::columns::Source;
use super::events::Events;
use super::likelihoods::impossible;
use super::model::{Builder, Parameters};
use super::pipeline::Study;
use super::result::ScanResult;
use crate::error::Result;
use crate::truth;
use indexmap::IndexMap;
use sideband_likelihood::Likelihood;
use sideband_likelihood::histogram::HistogramModel;

/// Largest t at which learned and exact curve are compared.
const COMPARED: f64 = 9.0;

impl Study<'_> {
    /// What histograms alone would say: without networks, and without their error.
    pub(super) fn histogram_curves(
        &self,
        histograms: &HistogramModel,
        scans: &mut IndexMap<String, ScanResult>,
    ) {
        let parameters = Parameters::new(self.measurement, None);
        let analyst = Analyst {
            measurement: self.measurement,
            parameters: &parameters,
        };
        let prior = parameters.prior.clone();
        let likelihood = histograms.likelihood().with_prior(prior);
        let channels = &histograms.channels;
        let nominal: Vec<f64> = histograms.parameters.iter().map(|p| p.nominal).collect();
        let impossible = channels.iter().find_map(|c| impossible(c, &nominal));
        add_curves(&analyst, &likelihood, "histogram", impossible, scans);
    }

    /// What the exact ratios would say, where they are known.
    pub(super) fn exact_curves(
        &self,
        events: &Events,
        reference: &Events,
        is_observed: bool,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<()> {
        let Some(config) = &self.measurement.generate else {
            return Ok(());
        };
        if !self.measurement.is_known_truth() {
            return Ok(());
        }
        let world = truth::open(config.model)?;
        let world = world.as_ref();
        let parameters = Parameters::new(self.measurement, None);
        let source = Source {
            measurement: self.measurement,
            parameters: &parameters,
            plan: self.plan,
        };
        let columns = source.exact(world, &events.features, events.weights.clone())?;
        let exact = Builder {
            measurement: self.measurement,
            plan: self.plan,
            parameters: &parameters,
        };
        let pool = source.exact(world, &reference.features, reference.weights.clone())?;
        let pool = pool.sample()?;
        // the channels with bins are those of the learned curve
        let histograms = exact.histograms(&self.asked(events, is_observed))?;
        let list = histograms.parameters;
        let channel = exact.unbinned(&columns, Some(&pool), &list)?;
        let analyst = Analyst {
            measurement: self.measurement,
            parameters: &parameters,
        };
        let model = Builder::model(list, Some(channel), histograms.channels)
            .with_prior(parameters.prior.clone());
        add_curves(&analyst, &model, "exact", None, scans);
        for scan in scans.values_mut() {
            if let [Some(learned), Some(exact)] =
                ["profiled", "exact"].map(|name| scan.curves.get(name))
            {
                scan.largest_difference = largest_difference(learned, exact, COMPARED);
            }
        }
        Ok(())
    }
}

/// A curve for each parameter of interest, or why there is none. `impossible`: what makes a
/// fit impossible, if that is known.
fn add_curves(
    analyst: &Analyst<'_>,
    likelihood: &dyn Likelihood,
    name: &str,
    impossible: Option<String>,
    scans: &mut IndexMap<String, ScanResult>,
) {
    let best = match impossible {
        Some(reason) => Err(reason),
        None => analyst.best(likelihood).map_err(|e| e.to_string()),
    };
    for place in analyst.interest() {
        let scan = scans
            .entry(analyst.parameters.list[place].name.clone())
            .or_default();
        let found = best.clone().and_then(|best| {
            let known = analyst.known(likelihood, &best, place, true);
            if let Some(why) = known.map_err(|e| e.to_string())?.not_measured {
                return Err(why);
            }
            let settings = analyst.settings();
            let curve = analyst.curve(likelihood, &settings, &best, place);
            curve.map_err(|e| e.to_string())
        });
        match found {
            Ok((_, curve, sets)) => {
                scan.curves.insert(name.to_owned(), curve);
                scan.intervals.insert(name.to_owned(), sets);
            }
            Err(reason) => {
                scan.missing.insert(name.to_owned(), reason);
            }
        }
    }
}
