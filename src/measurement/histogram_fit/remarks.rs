//! What is said before anything is fitted, of bins that a fit cannot use as they are.

use super::super::events::withheld;
use super::super::files;
use super::super::model::Analysis;
use super::super::notes::Remarks;
use super::study::Study;
use crate::error::Result;
use sideband_likelihood::histogram::HistogramModel;

/// Sums that are negative by rounding, relative to the sizes of their terms.
const ROUNDING: f64 = 1e-9;

impl Study<'_> {
    /// What is known before anything is fitted.
    pub(super) fn remarks(&self) -> Result<Remarks> {
        let (measurement, plan) = (&self.prepared.measurement, &self.prepared.plan);
        let mut notes = files::record_inputs(self.root, &plan.files)?;
        notes.extend(plan.notes.iter().cloned());
        notes.extend(withheld(measurement, plan).map(|reason| {
            format!(
                "{reason}: they were not opened, and all numbers here are of events as expected \
                 without signal (Asimov data)"
            )
        }));
        Ok(Remarks {
            notes,
            ..Remarks::default()
        })
    }

    /// Bins in which all signals together are less than nothing at a value along which limits are
    /// asked for, in words: what is simulated does not suffice for their sum.
    pub(super) fn negative_signals(
        &self,
        analysis: Analysis<'_>,
        model: &HistogramModel,
    ) -> Vec<String> {
        let is_signal: Vec<bool> = analysis
            .plan
            .processes
            .iter()
            .map(|p| self.limit.is_signal(&p.name))
            .collect();
        let negative = |at: &[f64]| {
            model.channels.iter().find_map(|channel| {
                let parts = channel.contributions(at);
                let signals = parts.iter().zip(&is_signal).filter(|(_, is)| **is);
                let signals: Vec<&Vec<f64>> = signals.map(|(bins, _)| bins).collect();
                let bin = (0..channel.observed().len()).find(|bin| {
                    let (sum, size) = signals.iter().fold((0.0, 0.0), |(sum, size), bins| {
                        (sum + bins[*bin], size + bins[*bin].abs())
                    });
                    sum < -ROUNDING * size
                })?;
                Some((channel.name(), bin))
            })
        };
        let scans = self
            .limit
            .measurement
            .scans
            .iter()
            .filter(|scan| scan.limit);
        let found = scans.filter_map(|scan| {
            let place = analysis.parameters.place(&scan.parameter)?;
            let (low, high) = analysis.parameters.list[place].bounds;
            let range = scan.range.unwrap_or([low, high]);
            let mut at = model.nominal();
            let mut values = analysis.evenly(place, range, scan.points).into_iter();
            let (value, (channel, bin)) = values.find_map(|value| {
                at[place] = value;
                Some((value, negative(&at)?))
            })?;
            Some(format!(
                "channel {channel}, bin {bin}: the signals add up to less than nothing at {} = \
                 {value}; simulate more of them, or merge the bin with a neighbour",
                scan.parameter
            ))
        });
        found.collect()
    }
}
