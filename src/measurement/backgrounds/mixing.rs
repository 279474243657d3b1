//! What synthetic data sets say of a background's error: a parameter for each order of its
//! variance and of its bias, in place of those of its own replicas and its normalisation. What
//! trainings vary by is in the variance, and so is the counting error of what they are normalised
//! to: each set has a number of events of its own, and where sets have events in common no order of
//! the variance is smaller than that of the data's own ensemble, which has it.

use super::super::plan::VariedPlan;
use super::{Added, Background, Growing};
use crate::error::{Error, Result};
use crate::mixing::FinishedMixing;
use crate::settings::CHANNEL_REGION;
use crate::workflow::FinishedRun;
use indexmap::IndexMap;

/// Relative difference of the contents of the same events.
const SAME: f64 = 1e-3;

/// A mixing, and which of its uncertainties each channel has: none where nothing is predicted.
pub(super) struct Mixed {
    finished: FinishedMixing,
    names: Vec<Option<String>>,
}

impl Mixed {
    /// The run in words.
    pub(super) fn name(&self) -> &str {
        self.finished.name()
    }
}

impl Growing<'_> {
    /// Opens the mixing of a background, if it has one, and takes its bias away where that is
    /// asked for.
    pub(super) fn open_mixing(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
    ) -> Result<Option<Mixed>> {
        let sample = of.config;
        let Some(config) = &sample.mixing else {
            return Ok(None);
        };
        let key = format!("{}.mixing", of.place());
        if run.is_sampled() {
            let text = format!(
                "{} is an interpolation, whose errors are those of networks, mass plane and \
                 normalisation, and not what a model of mixed data varies by: leave it out",
                run.name()
            );
            return Err(Error::config_at(key, text));
        }
        let folder = &self.places.folder;
        let place = |run: Option<&String>| folder.join(run.map_or("", String::as_str));
        let path = place(config.run.as_ref().or(sample.run.as_ref()));
        let is_own = path == place(sample.run.as_ref());
        let at_run = |error: Error| error.at_key(format!("{key}.run"));
        let finished = FinishedMixing::open(&path).map_err(at_run)?;
        let mut names: Vec<Option<String>> = Vec::with_capacity(of.ranges.len());
        for (range, axis) in of.ranges.iter().zip(&of.axes.axes) {
            let contents = &of.found.nominal[range.clone()];
            if contents.iter().all(|x| *x == 0.0) {
                names.push(None);
                continue;
            }
            let channel = axis.key.trim_start_matches(CHANNEL_REGION);
            let wrong = |why: String| Error::config_at(&key, format!("channel {channel}: {why}"));
            let named = config.uncertainties.get(channel).map(String::as_str);
            let found = finished.find(&axis.observable, axis.edges.values(), named);
            let name = found.map_err(wrong)?;
            if names.iter().flatten().any(|other| other == name) {
                let why = format!(
                    "another channel has the uncertainty `{name}`, which is of the events of one: \
                     say with `uncertainties` which each has"
                );
                return Err(wrong(why));
            }
            let model = finished.variations(name).map(|found| found.model.to_vec());
            let model = model.unwrap_or_default();
            // its end bins have no events beyond them
            let inner = 1..model.len().saturating_sub(1);
            let is_other = |b: &usize| (contents[*b] - model[*b]).abs() > SAME * model[*b].abs();
            if let Some(b) = inner.filter(|_| is_own).find(is_other) {
                let why = format!(
                    "bin {b} has {:.6}, and the uncertainty `{name}` is of events that have \
                     {:.6} there: select the same ones",
                    contents[b], model[b]
                );
                return Err(wrong(why));
            }
            names.push(Some(name.to_owned()));
        }
        if !is_own {
            let other = FinishedRun::open(&path, &IndexMap::new()).map_err(at_run)?;
            // neither is sampled: their source files are those that were read
            if other.source_digests(&[]) != run.source_digests(&[]) {
                self.note(
                    of,
                    "its mixing is of other source files: that its relative variations are those \
                     of this background is assumed",
                );
            }
        }
        let mut is_corrected = false;
        let mut factors = Vec::with_capacity(of.found.nominal.len());
        for (name, range) in names.iter().zip(&of.ranges) {
            let found = name.as_deref().and_then(|name| finished.variations(name));
            let own = found.and_then(|found| found.correction);
            is_corrected |= own.is_some();
            factors.extend(own.unwrap_or_else(|| vec![1.0; range.len()]));
        }
        if is_corrected {
            of.found.multiply(&factors);
            of.factors = factors;
            self.note(
                of,
                "the bias that mixed data have is taken away: right only if the data are biased \
                 as they are",
            );
        }
        if sample.nonclosure.is_some() {
            self.note(
                of,
                "its non-closure and the bias of its mixed data are both errors of one model: \
                 what is in both counts twice",
            );
        }
        let record = vec![finished.file().clone()];
        self.plan.files.insert(format!("{key}.run"), record);
        Ok(Some(Mixed { finished, names }))
    }

    /// Adds its parameters.
    pub(super) fn add_mixed(&mut self, of: &mut Background<'_>, mixed: &Mixed) -> Result<()> {
        let config = of.config.mixing.as_ref();
        let group = config.and_then(|config| config.group.clone());
        let group = group.unwrap_or_else(|| "Mixed data".to_owned());
        let bins = of.found.nominal.len();
        let is_alone = mixed.names.iter().flatten().count() == 1;
        let mut all: IndexMap<String, [Vec<f64>; 2]> = IndexMap::new();
        for (name, range) in mixed.names.iter().zip(&of.ranges) {
            let Some(name) = name else { continue };
            let found = mixed.finished.variations(name);
            for nuisance in found.iter().flat_map(|found| found.nuisances) {
                let own = match is_alone {
                    true => nuisance.name.clone(),
                    false => format!("{name}_{}", nuisance.name),
                };
                let none = || [vec![1.0; bins], vec![1.0; bins]];
                let sides = all.entry(own).or_insert_with(none);
                for (side, factors) in sides.iter_mut().zip([&nuisance.down, &nuisance.up]) {
                    side[range.clone()].copy_from_slice(factors);
                }
            }
        }
        for (own, sides) in all {
            let is_negative = |b: &usize| sides.iter().any(|side| side[*b] < 0.0);
            if let Some(b) = (0..bins).find(is_negative) {
                return Err(Error::data_at(
                    format!("{}.mixing", of.place()),
                    format!(
                        "`{own}` takes more than there is from {}; take wider bins, or a lower \
                         max_order, in the run of the mixing",
                        of.bin(b)
                    ),
                ));
            }
            let added = Added {
                parameter: format!("{}_{own}", of.name),
                group: group.clone(),
                label: format!("{}, {}", of.label(), own.replace('_', " ")),
            };
            if self.added.contains(&added.parameter) {
                let name = &added.parameter;
                let text = format!("`{name}` is the name of another sample's parameter");
                return Err(Error::config_at(of.place(), text));
            }
            let effect = effect(of, &sides);
            self.push(of, added, effect)?;
        }
        Ok(())
    }
}

/// What factors on the bins at -1 and +1 do: where all of them are one, to the rate.
fn effect(of: &Background<'_>, sides: &[Vec<f64>; 2]) -> VariedPlan {
    let is_rate = |side: &Vec<f64>| side.iter().all(|f| *f == side[0] && *f > 0.0);
    if sides.iter().all(is_rate) {
        return VariedPlan::of_rates([sides[0][0], sides[1][0]]);
    }
    let templates = [0, 1].map(|k| {
        let bins = of.found.nominal.iter().zip(&sides[k]);
        let moved: Vec<f64> = bins.map(|(h, factor)| h * factor).collect();
        of.templates(&moved, &of.found.variances)
    });
    VariedPlan {
        rates: [1.0, 1.0],
        sums: None,
        templates: Some(templates),
        is_additive: true,
    }
}
