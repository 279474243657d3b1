//! Curves beside the learned one: histograms alone, and exact ratios where they are known.

use super::analyse::{Analyst, largest_difference};
use super::columns::Source;
use super::error::MeasureError;
use super::events::Events;
use super::generate::model;
use super::model::{Builder, Parameters};
use super::pipeline::Study;
use super::result::ScanResult;
use crate::inference::Likelihood;
use crate::inference::histogram::HistogramModel;
use indexmap::IndexMap;

/// Largest t at which learned and exact curve are compared.
const COMPARED: f64 = 9.0;

impl Study<'_> {
    /// What histograms alone would say.
    pub(super) fn histogram_curves(
        &self,
        analyst: &Analyst<'_>,
        histograms: &HistogramModel,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<(), MeasureError> {
        let prior = analyst.parameters.prior.clone();
        let likelihood = histograms.likelihood().with_prior(prior);
        add_curve(analyst, &likelihood, "histogram", scans)
    }

    /// What the exact ratios would say, where they are known.
    pub(super) fn exact_curves(
        &self,
        builder: &Builder<'_>,
        events: &Events,
        reference: &Events,
        scans: &mut IndexMap<String, ScanResult>,
    ) -> Result<(), MeasureError> {
        let points = |events: &Events| events.points(self.measurement);
        let (Some(config), Some(points), Some(pool)) = (
            &self.measurement.generate,
            points(events),
            points(reference),
        ) else {
            return Ok(());
        };
        let truth = model(config)?;
        let parameters = Parameters::new(self.measurement, None);
        let source = Source {
            measurement: self.measurement,
            parameters: &parameters,
            plan: self.plan,
        };
        let columns = source.exact(&truth, &points, events.weights.clone())?;
        let exact = Builder {
            parameters: &parameters,
            ..*builder
        };
        let pool = source.exact(&truth, &pool, reference.weights.clone())?;
        let pool = pool.sample()?;
        let channel = exact.unbinned(&columns, Some(&pool), &parameters.list)?;
        let analyst = Analyst {
            measurement: self.measurement,
            parameters: &parameters,
        };
        let model = Builder::model(parameters.list.clone(), Some(channel), Vec::new())
            .with_prior(parameters.prior.clone());
        add_curve(&analyst, &model, "exact", scans)?;
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

fn add_curve(
    analyst: &Analyst<'_>,
    likelihood: &dyn Likelihood,
    name: &str,
    scans: &mut IndexMap<String, ScanResult>,
) -> Result<(), MeasureError> {
    let best = analyst.best(likelihood)?;
    for place in analyst.interest() {
        let settings = analyst.settings();
        let (_, curve, sets) = analyst.curve(likelihood, &settings, &best, place)?;
        let scan = scans
            .entry(analyst.parameters.list[place].name.clone())
            .or_default();
        scan.curves.insert(name.to_owned(), curve);
        scan.intervals.insert(name.to_owned(), sets);
    }
    Ok(())
}
