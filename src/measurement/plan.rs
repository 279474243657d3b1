//! A measurement whose configuration fits its samples: everything that can be known
//! before anything is trained.

use super::model::{code, shape_code};
use super::samples::{Reader, Template};
use super::support::Support;
use super::twins::check_varied;
use crate::error::{Error, Result};
use crate::events::Losses;
use crate::report::numbers::{percent, significant};
use crate::rundir::InputFiles;
use crate::settings::{Measurement, SampleConfig};
use crate::workflow::Sample;
use indexmap::IndexMap;
use std::collections::HashSet;

/// Share of a process's weight without reference events around that is accepted.
const LOST: f64 = 0.01;
/// Factor between the rates of a varied sample and the nominal one that is worth a note.
const LARGE_RESPONSE: f64 = 1.5;
/// Largest factor between the rates of a varied sample and the nominal one.
const LARGEST_RESPONSE: f64 = 20.0;

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
    /// Histograms in all channels; none if only rates vary.
    pub templates: Option<[Vec<Template>; 2]>,
}

/// What a systematic uncertainty does to a process in one channel.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelEffect {
    /// Factors on all bins, at -1 and +1.
    pub rates: Option<[f64; 2]>,
    /// Bins at -1 and +1, as simulated: of the nominal sum, if there are rates.
    pub shapes: Option<[Vec<f64>; 2]>,
}

impl VariedPlan {
    /// Whether the varied samples, if there are any, have a rate relative to the nominal one
    /// in a channel, or no events there at all.
    pub(super) fn has_ratio(&self, nominal: &Template, number: usize) -> bool {
        let Some(sides) = &self.templates else {
            return true;
        };
        let all = [nominal, &sides[0][number], &sides[1][number]];
        let is_empty = |t: &Template| t.variances.iter().all(|v| *v == 0.0);
        let sums = all.map(|t| t.contents.iter().sum::<f64>());
        let fine = |k: usize| {
            let ratio = sums[k] / sums[0];
            ratio.is_finite() && ratio > 0.0
        };
        all.iter().all(|t| is_empty(t)) || (fine(1) && fine(2))
    }

    /// What it does in the channel `number`: factors on the rate and, with `shape`, bins of
    /// the nominal sum, as in the channel without bins. `fixed`: the rates are those of the
    /// configuration, whatever the samples say. Samples that have no ratio of sums there
    /// vary the bins as they are.
    pub(super) fn in_channel(
        &self,
        nominal: &Template,
        number: usize,
        (shape, fixed): (bool, bool),
    ) -> ChannelEffect {
        let Some(sides) = &self.templates else {
            return ChannelEffect {
                rates: Some(self.rates),
                shapes: None,
            };
        };
        let sum = |t: &Template| t.contents.iter().sum::<f64>();
        let sides = [&sides[0][number], &sides[1][number]];
        let ratios = sides.map(|side| sum(side) / sum(nominal));
        if ratios
            .iter()
            .any(|ratio| !(ratio.is_finite() && *ratio > 0.0))
        {
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

/// A measurement that fits its samples.
#[derive(Clone, Debug)]
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
}

/// Keeps what is missing of a sample, and says so.
pub(super) fn note_losses(sample: &Sample, losses: &mut Vec<Losses>, notes: &mut Vec<String>) {
    notes.extend(sample.losses.sentences());
    losses.push(sample.losses.clone());
}

/// Reads all samples and checks that the model can be made of them.
pub(super) fn plan(
    measurement: &Measurement,
    reader: &Reader<'_>,
    say: &dyn Fn(&str),
) -> Result<Plan> {
    let (mut notes, mut losses) = (two_codes(measurement), Vec::new());
    let names = &measurement.measurement.reference;
    let mut references = Vec::with_capacity(names.len());
    for name in names {
        references.push(read(reader, measurement, name)?);
    }
    check_ids(&references, names)?;
    let unseen = references.iter().map(|r| unseen(reader, r));
    let allowed = LOST + 2.0 * unseen.fold(0.0, f64::max);
    let mut processes = Vec::new();
    let mut varied = IndexMap::new();
    let mut hidden = IndexMap::new();
    for name in measurement.samples.keys() {
        let place = names.iter().position(|n| n == name);
        let own;
        let sample = match place {
            Some(place) => &references[place],
            None => {
                own = read(reader, measurement, name)?;
                &own
            }
        };
        hidden.extend(reader.hidden(sample));
        let process = process(reader, measurement, name, sample)?;
        let of_reference: Vec<&Sample> = references.iter().collect();
        let place = format!("samples.{name}");
        check_support(reader, &of_reference, sample, &place, allowed)?;
        for (systematic, config) in &measurement.systematics {
            let key = (systematic.clone(), name.clone());
            let fixed = config.rates.get(name);
            let has_samples = config.samples.contains_key(name);
            let plan = match (has_samples, fixed) {
                (true, _) => {
                    let nominal = (&process, sample);
                    vary(
                        reader,
                        measurement,
                        (systematic, name),
                        nominal,
                        fixed,
                        allowed,
                        &mut |sample| note_losses(sample, &mut losses, &mut notes),
                    )?
                }
                (false, Some(rates)) => VariedPlan {
                    rates: *rates,
                    sums: None,
                    templates: None,
                },
                (false, None) => continue,
            };
            let large = |rate: &&f64| !(1.0 / LARGE_RESPONSE..=LARGE_RESPONSE).contains(*rate);
            if let Some(rate) = plan.rates.iter().find(large) {
                notes.push(format!(
                    "systematics.{systematic}: the rate of {name} changes by a factor of {rate:.3} \
                     within one standard deviation; is it the right sample?"
                ));
            }
            varied.insert(key, plan);
        }
        say(&format!(
            "sample {name}: {} events, rate {} +- {}",
            process.events,
            significant(process.rate(), 5),
            percent(process.sum_error / process.sum)
        ));
        note_losses(sample, &mut losses, &mut notes);
        if process.sum_error > 0.05 * process.sum {
            notes.push(format!(
                "samples.{name}: its rate is known to {:.0} % only, from {} events",
                100.0 * process.sum_error / process.sum,
                process.events
            ));
        }
        processes.push(process);
    }
    let reference = names
        .iter()
        .filter_map(|name| processes.iter().find(|p| p.name == *name))
        .map(|p| p.sum)
        .sum();
    Ok(Plan {
        processes,
        varied,
        reference,
        hidden,
        files: reader.files(),
        losses,
        notes,
    })
}

/// Systematic uncertainties whose events and bins cannot have one interpolation of the shape.
fn two_codes(measurement: &Measurement) -> Vec<String> {
    let has_bins = measurement.measurement.histogram.is_some() || !measurement.channels.is_empty();
    let systematics = measurement.systematics.iter().filter(|_| has_bins);
    let differ = systematics.filter_map(|(name, s)| {
        let has_shape = s.shape && !s.samples.is_empty();
        let (event, bin) = (
            code(s.density_interpolation),
            shape_code(s.density_interpolation),
        );
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
            return Err(Error::data_at(
                format!("samples.{name}.id"),
                format!(
                    "{double} events have the id of an event of another sample of the reference; \
                     the samples of a reference are read as one: add a column that tells them apart"
                ),
            ));
        }
    }
    Ok(())
}

fn read(reader: &Reader<'_>, measurement: &Measurement, name: &str) -> Result<Sample> {
    let config = measurement
        .sample(name)
        .ok_or_else(|| Error::config_at("samples", format!("there is no {name}")))?;
    checked(reader, &format!("samples.{name}"), &config)
}

/// Reads a sample and looks at its weights and ids.
fn checked(reader: &Reader<'_>, place: &str, config: &SampleConfig) -> Result<Sample> {
    let sample = reader.read(place, config)?;
    let selected = reader.selected(&sample).count();
    if selected == 0 {
        return Err(Error::data_at(
            place,
            format!(
                "none of the {} rows is in the region that is measured; widen its selection or \
                 check the files",
                sample.table.report.rows_read
            ),
        ));
    }
    let duplicates = sample.table.report.duplicate_ids;
    if duplicates > 0 {
        return Err(Error::data_at(
            format!("{place}.id"),
            format!(
                "{duplicates} events have the id of an earlier event of the sample: each would \
                 be trained and tested on at once; give columns that name an event uniquely"
            ),
        ));
    }
    if let Some((one, other, events)) = reader.overlap(&sample) {
        return Err(Error::config_at(
            &one,
            format!(
                "{events} events of {place} are in its region and in that of {other}: they would \
                 count twice; exclude one by the other's selection"
            ),
        ));
    }
    if reader
        .selected(&sample)
        .all(|row| sample.table.weights[row] == 0.0)
    {
        return Err(Error::data_at(
            format!("{place}.weight"),
            format!("all of the {selected} weights in the region are zero"),
        ));
    }
    Ok(sample)
}

fn process(
    reader: &Reader<'_>,
    measurement: &Measurement,
    name: &str,
    sample: &Sample,
) -> Result<ProcessPlan> {
    let weights = || reader.selected(sample).map(|row| sample.table.weights[row]);
    let sum: f64 = weights().sum();
    if sum <= 0.0 || !sum.is_finite() {
        return Err(Error::data_at(
            format!("samples.{name}.weight"),
            format!("the weights in the region add up to {sum}; a rate is above zero"),
        ));
    }
    Ok(ProcessPlan {
        name: name.to_owned(),
        sum,
        sum_error: weights().map(|w| w * w).sum::<f64>().sqrt(),
        events: weights().count(),
        scale: measurement.samples[name].scale,
        templates: reader.templates(sample),
    })
}

/// Rows of a sample's inputs in the region, with their weights. All pairs of many inputs
/// say little more than those of the first.
fn rows<'s>(
    reader: &'s Reader<'_>,
    sample: &'s Sample,
) -> Box<dyn Iterator<Item = (&'s [f32], f64)> + 's> {
    let columns = support_columns(reader);
    Box::new(reader.selected(sample).map(move |row| {
        let weight = sample.table.weights[row];
        (&sample.features(row)[..columns], weight)
    }))
}

fn support_columns(reader: &Reader<'_>) -> usize {
    reader.columns().min(24)
}

/// What half of a sample loses where the other half has no event: that much is chance.
fn unseen(reader: &Reader<'_>, sample: &Sample) -> f64 {
    let columns = support_columns(reader);
    let half = |first: usize| rows(reader, sample).skip(first).step_by(2);
    let even = || -> Box<dyn Iterator<Item = &[f32]> + '_> { Box::new(half(0).map(|r| r.0)) };
    let odd = || -> Box<dyn Iterator<Item = (&[f32], f64)> + '_> { Box::new(half(1)) };
    let lost = Support::new(columns, even, odd).lost(columns, odd());
    lost.map_or(0.0, |lost| lost.share)
}

/// Whether the denominators of a ratio have events wherever its numerator has.
fn check_support(
    reader: &Reader<'_>,
    references: &[&Sample],
    sample: &Sample,
    place: &str,
    allowed: f64,
) -> Result<()> {
    let columns = support_columns(reader);
    let inside = || -> Box<dyn Iterator<Item = &[f32]> + '_> {
        Box::new(references.iter().flat_map(|r| rows(reader, r).map(|r| r.0)))
    };
    let own = || rows(reader, sample);
    let support = Support::new(columns, inside, own);
    match support.lost(columns, own()) {
        Some(lost) if lost.share > allowed => {
            let names = reader.names();
            let [i, j] = lost.features.map(|k| names[k].clone());
            Err(Error::data_at(
                place,
                format!(
                    "{:.1} % of it lie where no event of the ratio's denominator is, seen in {i} \
                     and {j}: no ratio exists there. Choose a reference that covers it, or exclude \
                     that part by the region's selection",
                    100.0 * lost.share
                ),
            ))
        }
        _ => Ok(()),
    }
}

fn vary(
    reader: &Reader<'_>,
    measurement: &Measurement,
    (systematic, name): (&str, &str),
    (nominal, nominal_sample): (&ProcessPlan, &Sample),
    fixed: Option<&[f64; 2]>,
    allowed: f64,
    seen: &mut dyn FnMut(&Sample),
) -> Result<VariedPlan> {
    let mut sums = [0.0; 2];
    let mut templates: [Vec<Template>; 2] = Default::default();
    let mut places = [String::new(), String::new()];
    for (number, up) in [false, true].into_iter().enumerate() {
        let place = format!(
            "systematics.{systematic}.samples.{name}.{}",
            crate::settings::side(up)
        );
        let config = measurement
            .varied(name, systematic, up)
            .ok_or_else(|| Error::config_at(&place, "is not there"))?;
        let sample = checked(reader, &place, &config)?;
        check_varied(reader, nominal_sample, &sample, &place, name)?;
        seen(&sample);
        let rows = reader.selected(&sample);
        sums[number] = rows.map(|row| sample.table.weights[row]).sum();
        templates[number] = reader.templates(&sample);
        if measurement.systematics[systematic].shape {
            check_support(reader, &[nominal_sample], &sample, &place, allowed)?;
        }
        places[number] = place;
    }
    for (sum, place) in sums.iter().zip(&places) {
        let factor = sum / nominal.sum;
        let limits = 1.0 / LARGEST_RESPONSE..=LARGEST_RESPONSE;
        if !limits.contains(&factor) {
            return Err(Error::data_at(
                place,
                format!(
                    "its weights add up to {sum:.6}, the nominal ones to {:.6}: a factor of \
                     {factor:.4} is no variation. Is it the sample of another process, or with \
                     other weights?",
                    nominal.sum
                ),
            ));
        }
    }
    Ok(VariedPlan {
        rates: fixed.copied().unwrap_or(sums.map(|sum| sum / nominal.sum)),
        sums: Some(sums),
        templates: Some(templates),
    })
}
