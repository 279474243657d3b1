//! Whether the bins of histograms can be fitted: something is expected in every bin in which
//! something is observed, and nowhere less than nothing.

use super::model::{Builder, Histogram};
use super::rules::{at_one, grid, place_text};
use super::samples::{Reader, Template};
use crate::error::{Error, Result};
use crate::settings::Measurement;
use sideband_likelihood::histogram::HistogramChannel;

/// Expectations that are zero but for rounding, relative to the sum of a bin's contents.
const ROUNDING: f64 = 1e-12;

/// A channel of bins with its keys in the configuration.
struct Channel<'a> {
    name: &'a str,
    key: String,
    edges: &'a [f64],
    number: usize,
    /// Whether the fit has it, and not the comparison beside it alone.
    is_fitted: bool,
}

fn channels(measurement: &Measurement) -> Vec<Channel<'_>> {
    let own = measurement.measurement.histogram.iter();
    let own = own.map(|h| Channel {
        name: &measurement.training.region,
        key: "measurement.histogram.bins".to_owned(),
        edges: &h.bins,
        number: 0,
        is_fitted: false,
    });
    let first = usize::from(Reader::has_own_histogram(measurement));
    let others = measurement.channels.iter().enumerate();
    let others = others.map(|(i, (name, channel))| Channel {
        name,
        key: format!("channels.{name}.bins"),
        edges: &channel.bins,
        number: first + i,
        is_fitted: true,
    });
    own.chain(others).collect()
}

impl Channel<'_> {
    /// A bin in words.
    fn bin(&self, bin: usize) -> String {
        format!(
            "channel {}, bin {bin} [{}, {})",
            self.name,
            self.edges[bin],
            self.edges[bin + 1]
        )
    }

    fn wrong(&self, reason: String) -> Error {
        Error::data_at(&self.key, reason)
    }
}

/// Checks the bins of all histograms, with the observed counts where there are some. What
/// does not hinder the fit comes back as notes.
pub(super) fn check(builder: &Builder<'_>, observed: Option<&[Template]>) -> Result<Vec<String>> {
    let channels = channels(builder.measurement);
    if channels.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<Histogram> = channels
        .iter()
        .map(|channel| Histogram {
            name: channel.name.to_owned(),
            number: channel.number,
            observed: observed
                .and_then(|all| all.get(channel.number))
                .map(|template| template.contents.clone()),
            statistical: false,
        })
        .collect();
    for channel in &channels {
        simulated(builder, channel)?;
    }
    let mut notes = Vec::new();
    // templates alone: counts that nothing predicts are what is looked for
    let empty: Vec<Histogram> = asked
        .iter()
        .map(|h| Histogram {
            observed: Some(vec![
                0.0;
                builder.plan.processes[0].templates[h.number]
                    .contents
                    .len()
            ]),
            ..h.clone()
        })
        .collect();
    let model = builder.histograms(&empty)?;
    let nominal = model.nominal();
    let mut points = vec![nominal.clone()];
    points.extend(grid(builder, &nominal));
    points.extend(at_one(builder, &nominal));
    for ((channel, histogram), prediction) in channels.iter().zip(&asked).zip(&model.channels) {
        for point in &points {
            if let Some(problem) = at(builder, (channel, histogram), prediction, &nominal, point) {
                if channel.is_fitted || point == &nominal {
                    return Err(channel.wrong(problem));
                }
                notes.push(format!("{}: {problem}", channel.key));
                break;
            }
        }
    }
    notes.extend(without_ratio(builder, &channels));
    Ok(notes)
}

/// Whether there is simulation at all, in more than one of several bins.
fn simulated(builder: &Builder<'_>, channel: &Channel<'_>) -> Result<()> {
    let bins = channel.edges.len() - 1;
    let is_filled = |bin: &usize| {
        let mut processes = builder.plan.processes.iter();
        processes.any(|p| p.templates[channel.number].variances[*bin] > 0.0)
    };
    let filled: Vec<usize> = (0..bins).filter(is_filled).collect();
    match filled.as_slice() {
        [] => Err(channel.wrong(format!(
            "channel {} has no event of any sample: nothing is expected there; widen the \
             selection of its region, or leave it out",
            channel.name
        ))),
        [only] if bins > 1 => Err(channel.wrong(format!(
            "{} has all events of all samples, the other {} bins have none: the edges cut \
             nothing (values beyond them count in the end bins); choose edges where the \
             observable has its values, or one bin",
            channel.bin(*only),
            bins - 1
        ))),
        _ => Ok(()),
    }
}

/// What is wrong with a channel's bins at a point.
fn at(
    builder: &Builder<'_>,
    (channel, histogram): (&Channel<'_>, &Histogram),
    prediction: &HistogramChannel,
    nominal: &[f64],
    point: &[f64],
) -> Option<String> {
    let expected = prediction.expected(point);
    // without observed events those that are expected at the nominal point are fitted
    let counts = match &histogram.observed {
        Some(counts) => counts.clone(),
        None => prediction.expected(nominal),
    };
    let templates = prediction.templates();
    for (bin, (expected, count)) in expected.iter().zip(counts).enumerate() {
        let size: f64 = templates.iter().map(|t| t.nominal[bin].abs()).sum();
        let rounding = ROUNDING * size;
        let is_negative = *expected < -rounding || expected.is_nan();
        let is_impossible = *expected <= rounding && count > rounding;
        if !is_negative && !is_impossible {
            continue;
        }
        let data = match &histogram.observed {
            Some(_) if count == 1.0 => "1 event observed".to_owned(),
            Some(_) => format!("{count} events observed"),
            None => format!("{count:.4} events in the expected data"),
        };
        let place = match point == nominal {
            true => String::new(),
            false => format!(" at {}", place_text(builder, point)),
        };
        let expected = match expected.abs() <= rounding {
            true => "0".to_owned(),
            false => format!("{expected:.4}"),
        };
        return Some(format!(
            "{}: {data}, {expected} expected{place}; merge the bin with a neighbour that has \
             simulated events, or keep the parameters where something is expected by `bounds`",
            channel.bin(bin)
        ));
    }
    None
}

/// Varied samples that have no ratio of sums in a channel, where their rate cannot be a
/// factor.
fn without_ratio(builder: &Builder<'_>, channels: &[Channel<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    for channel in channels {
        for process in &builder.plan.processes {
            for (systematic, varied) in builder.plan.of_process(&process.name) {
                let nominal = &process.templates[channel.number];
                if varied.has_ratio(nominal, channel.number) {
                    continue;
                }
                notes.push(format!(
                    "systematics.{systematic}: the weights of {} in channel {} do not add up to \
                     something above zero in the nominal and both varied samples: its rate there \
                     is no factor, and its bins vary as they are",
                    process.name, channel.name
                ));
            }
        }
    }
    notes
}
