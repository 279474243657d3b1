//! Histograms before the fit and at the best fit: processes on top of each other, and the error
//! of their sum.

use super::super::model::{Analysis, HistogramRequest};
use super::super::result::ChannelYields;
use super::super::samples::{Binned, binned};
use super::kept::KeptHistogram;
use super::sheet::{Sheet, section};
use crate::error::Result;
use crate::plot::{Contribution, Series, Stack};
use crate::report::heights::Heights;
use crate::report::page::Section;
use crate::settings::words;
use indexmap::IndexMap;
use sideband_likelihood::Parameter;
use sideband_likelihood::fit::{Fit, State};
use sideband_likelihood::histogram::{HistogramChannel, HistogramModel};

/// Element of the covariance of two parameters, by their places; none where one of the two
/// has no error.
type Covariance<'a> = dyn Fn(usize, usize) -> Option<f64> + 'a;

/// A point at which histograms are looked at.
struct Look<'a> {
    /// In the names of files, and on figures.
    names: [&'static str; 2],
    point: &'a [f64],
    /// Of the parameters there, or why it is not known.
    covariance: Result<&'a Covariance<'a>, &'static str>,
}

/// Histograms before the fit and at the best fit, process by process.
pub(super) fn histograms(
    analysis: Analysis<'_>,
    asked: &[HistogramRequest],
    best: &Fit,
) -> Result<Vec<KeptHistogram>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    // of the parameters of the fit: those of bins are of channels that it has
    let model = analysis.histograms(asked)?;
    let nominal = model.nominal();
    let before = |k: usize, l: usize| analysis.auxiliary(&model, k, l);
    let after = |k: usize, l: usize| best.covariance_of(k, l);
    let looks = looks(&nominal, &before, best, &after);
    let all = binned(analysis.measurement);
    let mut kept = Vec::new();
    for (channel, asked) in model.channels.iter().zip(asked) {
        let histogram = &all[asked.number];
        let counts = asked.observed.as_deref();
        let looks = looks.iter();
        kept.extend(looks.map(|look| look.at(&model, channel, (histogram, counts))));
    }
    Ok(kept)
}

impl Look<'_> {
    /// A histogram, with its observed counts if there are some, at this point.
    fn at(
        &self,
        model: &HistogramModel,
        channel: &HistogramChannel,
        (histogram, counts): (&Binned<'_>, Option<&[f64]>),
    ) -> KeptHistogram {
        let parts = channel.contributions(self.point).into_iter();
        let names = channel.templates().iter().map(|t| t.name.clone());
        let mut notes = Vec::new();
        if counts.is_none() {
            notes.push("expected events: none are observed".to_owned());
        }
        let errors = match self.covariance {
            Ok(covariance) => Some(errors(channel, self.point, &model.parameters, covariance).0),
            Err(why) => {
                notes.push(why.to_owned());
                None
            }
        };
        KeptHistogram {
            file: file(histogram, self),
            name: histogram.name.to_owned(),
            observable: histogram.observable.to_owned(),
            is_fitted: histogram.is_fitted,
            point: self.names[1].to_owned(),
            edges: histogram.edges.to_vec(),
            observed: counts.map(<[f64]>::to_vec),
            processes: names.zip(parts).collect(),
            errors,
            notes,
        }
    }
}

impl Sheet<'_> {
    /// Histograms before the fit and at the best fit.
    pub(super) fn histograms(&mut self) -> Result<Section> {
        let mut section = section("Histograms");
        let kept = self.kept;
        if kept.histograms.is_empty() {
            return Ok(section);
        }
        section.text.push(format!(
            "Processes on top of each other, those below zero hanging from it, and the error of \
             their sum: before the fit that of the auxiliary measurements, at the best fit that \
             of all parameters that have one, with correlations. Signals, whose coefficients \
             depend on {}, lie on top, so that the sum is what observed events are compared with.",
            self.measurement.measurement.interest.join(" or ")
        ));
        for histogram in &kept.histograms {
            let unfitted = match histogram.is_fitted {
                true => "",
                false => "; the fit takes these events without bins",
            };
            let caption = format!(
                "{} in {}, {}{unfitted}.",
                self.input_label(&histogram.observable),
                histogram.name,
                histogram.point
            );
            let drawn = self.stack(histogram).draw();
            self.add(&mut section, &histogram.file, &caption, drawn)?;
        }
        Ok(section)
    }

    /// The figure of a histogram.
    fn stack(&self, histogram: &KeptHistogram) -> Stack {
        let measurement = self.measurement;
        let label = self.input_label(&histogram.observable);
        let heights = Heights::new(&histogram.edges, measurement.report.density);
        let interest = &measurement.measurement.interest;
        let parts = histogram.processes.iter().map(|(name, values)| {
            let process = measurement.samples.get(name);
            let own = process.and_then(|process| process.label.as_ref());
            let names = process.map(|process| words(&process.coefficient));
            let names = names.unwrap_or_default();
            Contribution {
                label: own.unwrap_or(name).clone(),
                values: heights.of(values.clone()),
                is_signal: interest.iter().any(|name| names.contains(name)),
            }
        });
        let observed = histogram.observed.as_ref().map(|counts| Series {
            label: "observed".to_owned(),
            values: heights.of(counts.clone()),
            errors: heights.of(counts.iter().map(|n| n.sqrt()).collect()),
        });
        let data = self.label();
        let title = [&data, &histogram.name, &histogram.point].map(String::as_str);
        let title = title.into_iter().filter(|part| !part.is_empty());
        Stack {
            title: title.collect::<Vec<_>>().join(", "),
            y_label: heights.label(label),
            x_label: label.to_owned(),
            edges: histogram.edges.clone(),
            observed,
            contributions: parts.collect(),
            errors: histogram.errors.clone().map(|errors| heights.of(errors)),
            notes: histogram.notes.clone(),
        }
    }
}

/// Errors of the expected contents at a point, `[bins]`, and of their sum: slopes by steps of one
/// error to either side, as far as the bounds go, and the covariance.
fn errors(
    channel: &HistogramChannel,
    at: &[f64],
    parameters: &[Parameter],
    covariance: &Covariance<'_>,
) -> (Vec<f64>, f64) {
    let mut slopes: Vec<(usize, Vec<f64>)> = Vec::new();
    for (k, parameter) in parameters.iter().enumerate() {
        let error = covariance(k, k).map_or(0.0, f64::sqrt);
        let (low, high) = parameter.bounds;
        let [from, to] = [at[k] - error, at[k] + error].map(|x| x.clamp(low, high));
        if from < to {
            let [one, other] = [from, to].map(|x| {
                let mut moved = at.to_vec();
                moved[k] = x;
                channel.expected(&moved)
            });
            let slope = one
                .iter()
                .zip(&other)
                .map(|(one, other)| (other - one) / (to - from));
            slopes.push((k, slope.collect()));
        }
    }
    let mut variances = vec![0.0; channel.observed().len()];
    let mut of_sum = 0.0;
    for (k, one) in &slopes {
        for (l, other) in &slopes {
            let both = covariance(*k, *l).unwrap_or(0.0);
            let bins = variances.iter_mut().zip(one.iter().zip(other));
            bins.for_each(|(variance, (one, other))| *variance += both * one * other);
            of_sum += both * one.iter().sum::<f64>() * other.iter().sum::<f64>();
        }
    }
    let error = |variance: f64| variance.max(0.0).sqrt();
    (variances.into_iter().map(error).collect(), error(of_sum))
}

/// Before the fit and at its end.
fn looks<'a>(
    nominal: &'a [f64],
    before: &'a Covariance<'a>,
    best: &'a Fit,
    after: &'a Covariance<'a>,
) -> [Look<'a>; 2] {
    [
        Look {
            names: ["prefit", "pre-fit"],
            point: nominal,
            covariance: Ok(before),
        },
        Look {
            names: ["postfit", "post-fit"],
            point: &best.point,
            covariance: match best.covariance.is_empty() {
                _ if best.states.contains(&State::AtKink) => {
                    Err("no error: the best fit is on a kink of the likelihood")
                }
                true => Err("no error: the Hessian has no inverse"),
                false => Ok(after),
            },
        },
    ]
}

impl Analysis<'_> {
    /// The covariance of auxiliary measurements.
    fn auxiliary(&self, model: &HistogramModel, k: usize, l: usize) -> Option<f64> {
        let width = |k: usize| {
            let is_fixed = model.fixed.iter().any(|(place, _)| *place == k);
            let constraint = model.parameters[k].constraint.filter(|_| !is_fixed)?;
            Some(constraint.width)
        };
        let both = width(k)? * width(l)?;
        if k == l {
            return Some(both);
        }
        let names = [k, l].map(|place| &model.parameters[place].name);
        let mut pairs = self.measurement.measurement.correlations.iter();
        let pair = pairs.find(|pair| names.iter().all(|name| pair.parameters.contains(name)));
        Some(pair.map_or(0.0, |pair| pair.coefficient * both))
    }

    /// Expected events of all channels of a model, before the fit and at the best fit, with the
    /// observed ones if there are some.
    pub(in super::super) fn yields(
        &self,
        model: &HistogramModel,
        best: &Fit,
        is_observed: bool,
    ) -> IndexMap<String, ChannelYields> {
        let nominal = model.nominal();
        let before = |k: usize, l: usize| self.auxiliary(model, k, l);
        let after = |k: usize, l: usize| best.covariance_of(k, l);
        let [prefit, postfit] = looks(&nominal, &before, best, &after);
        let of = |channel: &HistogramChannel| {
            let parts = |look: &Look<'_>| -> IndexMap<String, f64> {
                let parts = channel.contributions(look.point).into_iter();
                let names = channel.templates().iter().map(|t| t.name.clone());
                names.zip(parts.map(|bins| bins.iter().sum())).collect()
            };
            let error = |look: &Look<'_>| {
                let covariance = look.covariance.ok()?;
                Some(errors(channel, look.point, &model.parameters, covariance).1)
            };
            let [before, after] = [parts(&prefit), parts(&postfit)];
            ChannelYields {
                observed: is_observed.then(|| channel.observed().iter().sum()),
                prefit_total: [before.values().sum(), error(&prefit).unwrap_or(0.0)],
                prefit: before,
                postfit_total: (after.values().sum(), error(&postfit)),
                postfit: after,
            }
        };
        let channels = model.channels.iter();
        channels.map(|c| (c.name().to_owned(), of(c))).collect()
    }
}

/// The name of a figure's files.
fn file(histogram: &Binned<'_>, look: &Look<'_>) -> String {
    let kind = match histogram.is_fitted {
        true => "channel",
        false => "histogram",
    };
    format!("{kind}_{}_{}", histogram.name, look.names[0])
}
