//! A measurement whose configuration fits its samples: everything that can be known of them
//! before anything is trained.

use super::samples::{Reader, Template};
use crate::error::{Error, Result, counted};
use crate::events::Losses;
use crate::report::numbers::{percent, significant};
use crate::rundir::{InputFiles, Progress};
use crate::settings::{InterpolationCode, Measurement, SampleConfig, SystematicConfig, side};
use crate::workflow::Sample;
use indexmap::IndexMap;
use sideband_likelihood::Interpolation;
use sideband_numerics::Edges;
use std::collections::HashSet;

/// Share of a process's weight without reference events around that is accepted.
const LOST: f64 = 0.01;
/// Factor between the rates of a varied sample and the nominal one that is worth a note.
const LARGE_RESPONSE: f64 = 1.5;
/// Largest factor between the rates of a varied sample and the nominal one.
const LARGEST_RESPONSE: f64 = 20.0;
/// Inputs whose pairs are looked at: all pairs of many say little more.
const SUPPORT_INPUTS: usize = 24;
/// Cells along an input.
const CELLS: usize = 12;

/// What is known of a process.
#[derive(Clone, Debug)]
pub(super) struct ProcessPlan {
    pub name: String,
    /// Sum of weights in the region that is measured without bins, as simulated.
    pub sum: f64,
    /// Its statistical error.
    pub sum_error: f64,
    /// Events there.
    pub events: usize,
    /// Factor on the sum of weights.
    pub scale: f64,
    /// Histograms in all channels, as simulated.
    pub templates: Vec<Template>,
    /// Whether their variances are errors of the bins.
    pub is_statistical: bool,
    /// Whether it is in the region that is measured without bins, if there is one; a run is in
    /// channels alone, and its sum is that of them.
    pub is_measured: bool,
}

impl ProcessPlan {
    /// Expected events at the nominal parameters, if the coefficient is one.
    pub(super) fn rate(&self) -> f64 {
        self.scale * self.sum
    }
}

/// What is known of a systematic uncertainty for a process: at -1 and +1.
#[derive(Clone, Debug)]
pub(super) struct VariedPlan {
    /// Factors on the rate in the region that is measured without bins.
    pub rates: [f64; 2],
    /// Sums of weights there, of the varied samples; none if only rates vary.
    pub sums: Option<[f64; 2]>,
    /// Histograms in all channels, with the nominal sample's factor left out; none if only
    /// rates vary.
    pub templates: Option<[Vec<Template>; 2]>,
    /// Whether bins vary as they are, and not by a factor on the rate and a shape.
    pub is_additive: bool,
}

/// What a systematic uncertainty does to a process in one channel.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelEffect {
    /// Factors on all bins, at -1 and +1.
    pub rates: Option<[f64; 2]>,
    /// Bins at -1 and +1, as simulated: of the nominal sum, if there are rates.
    pub shapes: Option<[Vec<f64>; 2]>,
}

fn sum(template: &Template) -> f64 {
    template.contents.iter().sum()
}

impl VariedPlan {
    /// Of factors on the rate alone.
    pub(super) fn of_rates(rates: [f64; 2]) -> Self {
        Self {
            rates,
            sums: None,
            templates: None,
            is_additive: false,
        }
    }

    /// Whether the varied samples, if there are any, have a rate relative to the nominal one
    /// in a channel, or no events there at all.
    pub(super) fn has_ratio(&self, nominal: &Template, number: usize) -> bool {
        let Some(sides) = self.templates.as_ref().filter(|_| !self.is_additive) else {
            return true;
        };
        let sides = [&sides[0][number], &sides[1][number]];
        let is_empty = |t: &Template| t.variances.iter().all(|v| *v == 0.0);
        let is_fine = |side: &Template| {
            let ratio = sum(side) / sum(nominal);
            ratio.is_finite() && ratio > 0.0
        };
        (is_empty(nominal) && sides.iter().all(|t| is_empty(t))) || sides.iter().all(|t| is_fine(t))
    }

    /// What it does in the channel `number`: factors on the rate and, if the shape varies, bins
    /// of the nominal sum, as in the channel without bins. If the configuration has rates of
    /// the process, they are those, whatever the samples say. Samples that have no ratio of
    /// sums there vary the bins as they are.
    pub(super) fn in_channel(
        &self,
        process: &ProcessPlan,
        number: usize,
        config: &SystematicConfig,
    ) -> ChannelEffect {
        let nominal = &process.templates[number];
        let (shape, fixed) = (config.shape, config.rates.contains_key(&process.name));
        let Some(sides) = &self.templates else {
            return ChannelEffect {
                rates: Some(self.rates),
                shapes: None,
            };
        };
        let sides = [&sides[0][number], &sides[1][number]];
        let ratios = sides.map(|side| sum(side) / sum(nominal));
        let is_factor = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        if self.is_additive || !ratios.iter().all(is_factor) {
            return ChannelEffect {
                rates: fixed.then_some(self.rates),
                shapes: (shape && !fixed).then(|| sides.map(|side| side.contents.clone())),
            };
        }
        let scaled = |k: usize| -> Vec<f64> {
            let contents = sides[k].contents.iter();
            contents.map(|x| x / ratios[k]).collect()
        };
        ChannelEffect {
            rates: Some(if fixed { self.rates } else { ratios }),
            shapes: shape.then(|| [scaled(0), scaled(1)]),
        }
    }
}

/// How the shape of a histogram is interpolated where densities of events are by `density`:
/// by the same code if that adds terms, which is then exact. Codes 1 and 4 multiply event by
/// event, which bins cannot know: bins have code 4p, as in pyhf.
pub(super) fn shape_code(density: InterpolationCode) -> Interpolation {
    match Interpolation::from(density) {
        code if code.is_factor() => Interpolation::Code4p,
        code => code,
    }
}

/// A measurement that fits its samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Processes, in the order of the configuration.
    pub processes: Vec<ProcessPlan>,
    /// By systematic uncertainty and process.
    pub varied: IndexMap<(String, String), VariedPlan>,
    /// Sum of weights of the reference in the region that is measured without bins.
    pub reference: f64,
    /// Keys of the likelihood's regions whose observed events are not all to be looked
    /// at, each with the blind region: the fit cannot be of observed events.
    pub hidden: IndexMap<String, String>,
    /// The files of all samples, by the configuration's key.
    pub files: InputFiles,
    /// Events of the samples that are missing somewhere, by reason.
    pub losses: Vec<Losses>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Systematic uncertainties of a process.
    pub(super) fn of_process<'a>(
        &'a self,
        process: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a VariedPlan)> {
        let own = self.varied.iter().filter(move |((_, p), _)| p == process);
        own.map(|((systematic, _), varied)| (systematic, varied))
    }

    /// The processes of the region that is measured without bins, if there is one.
    pub(super) fn measured(&self) -> impl Iterator<Item = &ProcessPlan> {
        self.processes.iter().filter(|p| p.is_measured)
    }

    /// Adds factors on the rate of a process that no samples are read for.
    pub(super) fn rates_alone(&mut self, measurement: &Measurement, process: &str) {
        for (systematic, config) in &measurement.systematics {
            if let Some(rates) = config.rates.get(process).copied()
                && !config.samples.contains_key(process)
            {
                self.note_response(systematic, process, rates);
                let key = (systematic.clone(), process.to_owned());
                self.varied.insert(key, VariedPlan::of_rates(rates));
            }
        }
    }

    /// Sum of weights of a process, in the region that is measured without bins.
    pub(super) fn sum(&self, process: &str) -> Option<f64> {
        let found = self.processes.iter().find(|p| p.name == process);
        found.map(|p| p.sum)
    }

    /// Says so where a rate changes much.
    pub(super) fn note_response(&mut self, systematic: &str, process: &str, rates: [f64; 2]) {
        let large = |rate: &&f64| !(1.0 / LARGE_RESPONSE..=LARGE_RESPONSE).contains(*rate);
        if let Some(rate) = rates.iter().find(large) {
            self.notes.push(format!(
                "systematics.{systematic}: the rate of {process} changes by a factor of {rate:.3} \
                 within one standard deviation; is it the right sample?"
            ));
        }
    }

    /// Keeps what is missing of a sample, and says so; `scale` is on its rate.
    pub(super) fn note_losses(&mut self, losses: &Losses, scale: Option<f64>) {
        self.notes.extend(losses.sentences());
        self.losses.push(Losses {
            scale,
            ..losses.clone()
        });
    }
}

/// Reads all samples and checks that the model can be made of them.
pub(super) fn plan(reader: &Reader<'_>, progress: &Progress) -> Result<Plan> {
    let measurement = reader.measurement;
    let names = &measurement.measurement.reference;
    // a process with all that varies it is a step
    let stage = progress.stage("reading", measurement.samples.len() as u64);
    let mut references = Vec::with_capacity(names.len());
    for name in names {
        references.push(nominal(reader, name)?);
    }
    check_ids(&references, names)?;
    let by_chance = references.iter().map(|r| lost_by_chance(reader, r));
    let allowed = LOST + 2.0 * by_chance.fold(0.0, f64::max);
    let mut plan = Plan {
        notes: two_codes(measurement),
        ..Plan::default()
    };
    for (name, _) in measurement.samples.iter().filter(|(_, p)| !p.is_run()) {
        let own;
        let sample = match names.iter().position(|n| n == name) {
            Some(place) => &references[place],
            None => {
                own = nominal(reader, name)?;
                &own
            }
        };
        plan.hidden.extend(reader.hidden(sample));
        let process = process(reader, name, sample)?;
        let place = format!("samples.{name}");
        check_support(reader, &references, sample, &place, allowed)?;
        for (systematic, config) in &measurement.systematics {
            let fixed = config.rates.get(name).copied();
            let varied = if config.samples.contains_key(name) {
                let nominal = (&process, sample);
                let mut varied = vary(reader, systematic, nominal, Some(allowed), &mut plan)?;
                varied.rates = fixed.unwrap_or(varied.rates);
                varied
            } else if let Some(rates) = fixed {
                VariedPlan::of_rates(rates)
            } else {
                continue;
            };
            plan.note_response(systematic, name, varied.rates);
            let key = (systematic.clone(), name.clone());
            plan.varied.insert(key, varied);
        }
        let error = process.sum_error / process.sum;
        progress.say(&format!(
            "sample {name}: {}, rate {} +- {}",
            counted(process.events, "event"),
            significant(process.rate(), 5),
            percent(error)
        ));
        plan.note_losses(&sample.losses, reader.recorded(name, process.scale));
        if process.sum_error > 0.05 * process.sum {
            plan.notes.push(format!(
                "samples.{name}: its rate is known to {:.0} % only, from {} events",
                100.0 * process.sum_error / process.sum,
                process.events
            ));
        }
        plan.processes.push(process);
        stage.add(1);
    }
    plan.reference = names.iter().filter_map(|name| plan.sum(name)).sum();
    plan.files = reader.files();
    Ok(plan)
}

/// Systematic uncertainties whose events and bins cannot have one interpolation of the shape.
fn two_codes(measurement: &Measurement) -> Vec<String> {
    let has_bins = measurement.measurement.histogram.is_some() || !measurement.channels.is_empty();
    let systematics = measurement.systematics.iter().filter(|_| has_bins);
    let differ = systematics.filter_map(|(name, s)| {
        let has_shape = s.shape && !s.samples.is_empty();
        let event = Interpolation::from(s.density_interpolation);
        let bin = shape_code(s.density_interpolation);
        (has_shape && event != bin).then(|| {
            format!(
                "systematics.{name}: the shape of events without bins is interpolated by {}, that \
                 of histograms by {}, as pyhf does; they agree at -1, 0 and +1 and differ between \
                 and beyond: density_interpolation = \"code4p\" is one code for both",
                event.name(),
                bin.name()
            )
        })
    });
    differ.collect()
}

/// The samples of the reference are read as one: their events have ids of their own.
fn check_ids(references: &[Sample], names: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for (sample, name) in references.iter().zip(names) {
        let keys = sample.table.ids.keys();
        let double = keys.filter(|key| !seen.insert(*key)).count();
        if double > 0 {
            let text = format!(
                "{double} events have the id of an event of another sample of the reference; the \
                 samples of a reference are read as one: add a column that tells them apart"
            );
            return Err(Error::data_at(format!("samples.{name}.id"), text));
        }
    }
    Ok(())
}

pub(super) fn nominal(reader: &Reader<'_>, name: &str) -> Result<Sample> {
    let sample = reader.read_process(name)?;
    check(reader, &format!("samples.{name}"), sample)
}

/// Looks at ids and weights of a sample.
pub(super) fn check(reader: &Reader<'_>, place: &str, sample: Sample) -> Result<Sample> {
    let wrong = |key: &str, text| Err(Error::data_at(key, text));
    let report = &sample.table.report;
    let selected = reader.selected(&sample).count();
    if selected == 0 {
        let text = format!(
            "none of the {} rows is in the region that is measured; widen its selection or check \
             the files",
            report.rows_read
        );
        return wrong(place, text);
    }
    if report.duplicate_ids > 0 {
        let text = format!(
            "{} events have the id of an earlier event of the sample: each would be trained and \
             tested on at once; give columns that name an event uniquely",
            report.duplicate_ids
        );
        return wrong(&format!("{place}.id"), text);
    }
    if let Some((one, other, events)) = reader.overlap(&sample) {
        let text = format!(
            "{events} events of {place} are in its region and in that of {other}: they would \
             count twice; exclude one by the other's selection"
        );
        return Err(Error::config_at(one, text));
    }
    let mut weights = reader
        .selected(&sample)
        .map(|row| sample.table.weights[row]);
    if weights.all(|weight| weight == 0.0) {
        let text = format!("all of the {selected} weights in the region are zero");
        return wrong(&format!("{place}.weight"), text);
    }
    drop(weights);
    Ok(sample)
}

/// What is known of a process of simulated events.
pub(super) fn process(reader: &Reader<'_>, name: &str, sample: &Sample) -> Result<ProcessPlan> {
    let weights = || reader.selected(sample).map(|row| sample.table.weights[row]);
    let sum: f64 = weights().sum();
    if sum <= 0.0 || !sum.is_finite() {
        let text = format!("the weights in the region add up to {sum}; a rate is above zero");
        let key = format!("samples.{name}.weight");
        return Err(Error::data_at(key, text));
    }
    let place = format!("samples.{name}");
    let config = reader.measurement.sample(name);
    let config = config.ok_or_else(|| Error::config_at(&place, "is not there"))?;
    Ok(ProcessPlan {
        name: name.to_owned(),
        sum,
        sum_error: weights().map(|w| w * w).sum::<f64>().sqrt(),
        events: weights().count(),
        scale: reader.factor(name, &place, &config)?,
        templates: reader.templates(sample),
        is_statistical: reader.measurement.is_statistical(name),
        is_measured: true,
    })
}

/// Reads the two sides of a systematic uncertainty. Their rates are those of the samples.
/// `allowed`: the share of their weight that may lie where nominal events are not, if ratios
/// are learned of them.
pub(super) fn vary(
    reader: &Reader<'_>,
    systematic: &str,
    (nominal, nominal_sample): (&ProcessPlan, &Sample),
    allowed: Option<f64>,
    plan: &mut Plan,
) -> Result<VariedPlan> {
    let (measurement, name) = (reader.measurement, nominal.name.as_str());
    let place = |up| format!("systematics.{systematic}.samples.{name}.{}", side(up));
    let mut read = |up| {
        let place = place(up);
        let config: SampleConfig = measurement
            .varied(name, systematic, up)
            .ok_or_else(|| Error::config_at(&place, "is not there"))?;
        let sample = check(reader, &place, reader.read(&place, &config)?)?;
        if allowed.is_some() {
            reader.check_varied(nominal_sample, &sample, &place, name)?;
        }
        let scale = reader.factor(name, &place, &config)?;
        plan.note_losses(&sample.losses, reader.recorded(name, scale));
        let rows = reader.selected(&sample);
        let sum: f64 = rows.map(|row| sample.table.weights[row]).sum();
        // the nominal sample's factor is on both
        let factor = scale / nominal.scale;
        let mut templates = reader.templates(&sample);
        templates.iter_mut().for_each(|t| t.multiply(factor));
        if let Some(allowed) = allowed.filter(|_| measurement.systematics[systematic].shape) {
            let nominal = std::slice::from_ref(nominal_sample);
            check_support(reader, nominal, &sample, &place, allowed)?;
        }
        Ok::<_, Error>((sum, factor, templates))
    };
    let [down, up] = [read(false)?, read(true)?];
    let scaled = [down.0 * down.1, up.0 * up.1];
    for (sum, up) in scaled.into_iter().zip([false, true]) {
        let factor = sum / nominal.sum;
        if !(1.0 / LARGEST_RESPONSE..=LARGEST_RESPONSE).contains(&factor) {
            let text = format!(
                "its weights add up to {sum:.6}, the nominal ones to {:.6}: a factor of \
                 {factor:.4} is no variation. Is it the sample of another process, or with other \
                 weights?",
                nominal.sum
            );
            return Err(Error::data_at(place(up), text));
        }
    }
    Ok(VariedPlan {
        rates: scaled.map(|sum| sum / nominal.sum),
        sums: Some([down.0, up.0]),
        templates: Some([down.2, up.2]),
        is_additive: false,
    })
}

/// Calls a function with inputs and weight of events.
type Rows<'a> = &'a dyn Fn(&mut dyn FnMut(&[f32], f64));

/// Inputs and weights of a sample in the region.
fn rows(reader: &Reader<'_>, sample: &Sample, visit: &mut dyn FnMut(&[f32], f64)) {
    for row in reader.selected(sample) {
        visit(sample.features(row), sample.table.weights[row]);
    }
}

/// What half of a sample loses where the other half has no event: that much is chance.
fn lost_by_chance(reader: &Reader<'_>, sample: &Sample) -> f64 {
    let half = |first: usize, visit: &mut dyn FnMut(&[f32], f64)| {
        let mut number = 0;
        rows(reader, sample, &mut |row, weight| {
            if number % 2 == first {
                visit(row, weight);
            }
            number += 1;
        });
    };
    let (even, odd): (Rows<'_>, Rows<'_>) = (&|visit| half(0, visit), &|visit| half(1, visit));
    let lost = lost(reader.names().len(), even, odd);
    lost.map_or(0.0, |(share, _)| share)
}

/// Whether the denominators of a ratio have events wherever its numerator has.
fn check_support(
    reader: &Reader<'_>,
    references: &[Sample],
    sample: &Sample,
    place: &str,
    allowed: f64,
) -> Result<()> {
    let names = reader.names();
    let reference: Rows<'_> = &|visit| references.iter().for_each(|r| rows(reader, r, visit));
    match lost(names.len(), reference, &|visit| rows(reader, sample, visit)) {
        Some((share, [i, j])) if share > allowed => {
            let text = format!(
                "{:.1} % of it lie where no event of the ratio's denominator is, seen in {} and \
                 {}: no ratio exists there. Choose a reference that covers it, or exclude that \
                 part by the region's selection",
                100.0 * share,
                names[i],
                names[j]
            );
            Err(Error::data_at(place, text))
        }
        _ => Ok(()),
    }
}

/// The largest share, over pairs of inputs, of a process's weight in cells that the
/// reference leaves empty, and the pair. Cells lie between the extremes of both.
fn lost(columns: usize, reference: Rows<'_>, process: Rows<'_>) -> Option<(f64, [usize; 2])> {
    let columns = columns.min(SUPPORT_INPUTS);
    let first = |i| (i + 1..columns).map(move |j| [i, j]);
    // one input alone is a pair with itself
    let alone = (columns == 1).then_some([0, 0]);
    let pairs: Vec<[usize; 2]> = (0..columns).flat_map(first).chain(alone).collect();
    let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
    let mut widen = |row: &[f32], _: f64| {
        for (range, x) in range.iter_mut().zip(row) {
            let x = f64::from(*x);
            *range = (range.0.min(x), range.1.max(x));
        }
    };
    reference(&mut widen);
    process(&mut widen);
    let edges = range.into_iter();
    let edges: Vec<Option<Edges>> = edges
        .map(|(low, high)| Edges::uniform(CELLS, low, high).ok())
        .collect();
    let cell = |row: &[f32], [i, j]: [usize; 2]| {
        let along = |k: usize| edges[k].as_ref()?.find(f64::from(row[k]));
        Some(along(i)? * CELLS + along(j)?)
    };
    let mut occupied = vec![vec![false; CELLS * CELLS]; pairs.len()];
    reference(&mut |row, _| {
        for (occupied, pair) in occupied.iter_mut().zip(&pairs) {
            if let Some(cell) = cell(row, *pair) {
                occupied[cell] = true;
            }
        }
    });
    let mut outside = vec![0.0; pairs.len()];
    let mut total = 0.0;
    process(&mut |row, weight| {
        total += weight.abs();
        for ((outside, occupied), pair) in outside.iter_mut().zip(&occupied).zip(&pairs) {
            if cell(row, *pair).is_some_and(|cell| !occupied[cell]) {
                *outside += weight.abs();
            }
        }
    });
    let worst = outside.into_iter().zip(pairs);
    let (lost, pair) = worst.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (total > 0.0).then(|| (lost / total, pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_two_dimensions_is_found_though_each_has_none() {
        let grid = |f: fn(i32, i32) -> bool, weight: f64| {
            move |visit: &mut dyn FnMut(&[f32], f64)| {
                for i in 0..40 {
                    let inside = (0..40).filter(|j| f(i, *j));
                    inside.for_each(|j| visit(&[i as f32, j as f32], weight));
                }
            }
        };
        let reference = grid(|i, j| (i < 20) == (j < 20), 1.0);
        let process = grid(|i, j| i < 20 || j < 30, 2.0);
        let (share, _) = lost(2, &reference, &process).unwrap();
        // 20 x 20 of 1400 without the cells that the border goes through
        assert!((0.4..0.6).contains(&share), "{share}");
        assert_eq!(lost(2, &reference, &reference).unwrap().0, 0.0);
    }
}
