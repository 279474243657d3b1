//! Histograms before the fit and at the best fit: processes on top of each other, and the error
//! of their sum.

use super::super::likelihoods::Likelihoods;
use super::super::samples::{Binned, binned};
use super::sheet::{Sheet, section};
use crate::error::Result;
use crate::plot::{Contribution, Series, Stack};
use crate::report::heights::Heights;
use crate::report::page::Section;
use crate::settings::words;
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

impl Sheet<'_> {
    /// Histograms before the fit and at the best fit, process by process.
    pub(super) fn histograms(&mut self, made: &Likelihoods, best: &Fit) -> Result<Section> {
        let mut section = section("Histograms");
        if made.asked.is_empty() {
            return Ok(section);
        }
        let measurement = self.analysis.measurement;
        section.text.push(format!(
            "Processes on top of each other, those below zero hanging from it, and the error of \
             their sum: before the fit that of the auxiliary measurements, at the best fit that \
             of all parameters that have one, with correlations. Signals, whose coefficients \
             depend on {}, lie on top, so that the sum is what observed events are compared with.",
            measurement.measurement.interest.join(" or ")
        ));
        // of the parameters of the fit: those of bins are of channels that it has
        let model = self.analysis.histograms(&made.asked)?;
        let nominal = model.nominal();
        let before = |k: usize, l: usize| self.auxiliary(&model, k, l);
        let after = |k: usize, l: usize| best.covariance_of(k, l);
        let looks = [
            Look {
                names: ["prefit", "pre-fit"],
                point: &nominal,
                covariance: Ok(&before),
            },
            Look {
                names: ["postfit", "post-fit"],
                point: &best.point,
                covariance: match best.covariance.is_empty() {
                    _ if best.states.contains(&State::AtKink) => {
                        Err("no error: the best fit is on a kink of the likelihood")
                    }
                    true => Err("no error: the Hessian has no inverse"),
                    false => Ok(&after),
                },
            },
        ];
        let mut drawn = Vec::new();
        let all = binned(measurement);
        for (channel, asked) in model.channels.iter().zip(&made.asked) {
            let histogram = &all[asked.number];
            for look in &looks {
                let counts = asked.observed.as_deref();
                let figure = self.stack(&model, channel, (histogram, counts), look);
                let unfitted = match histogram.is_fitted {
                    true => "",
                    false => "; the fit takes these events without bins",
                };
                let (axis, name) = (self.axis(histogram), histogram.name);
                let caption = format!("{axis} in {name}, {}{unfitted}.", look.names[1]);
                drawn.push((file(histogram, look), caption, figure.draw()));
            }
        }
        for (name, caption, figure) in drawn {
            self.add(&mut section, &name, &caption, figure)?;
        }
        Ok(section)
    }

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
        let mut pairs = self.analysis.measurement.measurement.correlations.iter();
        let pair = pairs.find(|pair| names.iter().all(|name| pair.parameters.contains(name)));
        Some(pair.map_or(0.0, |pair| pair.coefficient * both))
    }

    /// The figure of a histogram with its observed counts, if there are some.
    fn stack(
        &self,
        model: &HistogramModel,
        channel: &HistogramChannel,
        (histogram, counts): (&Binned<'_>, Option<&[f64]>),
        look: &Look<'_>,
    ) -> Stack {
        let measurement = self.analysis.measurement;
        let label = self.axis(histogram);
        let heights = Heights::new(histogram.edges, measurement.report.density);
        let interest = &measurement.measurement.interest;
        let parts = channel.contributions(look.point).into_iter();
        let parts = parts.zip(channel.templates()).map(|(values, template)| {
            let process = &measurement.samples[&template.name];
            let names = words(&process.coefficient);
            Contribution {
                label: process.label.as_ref().unwrap_or(&template.name).clone(),
                values: heights.of(values),
                is_signal: interest.iter().any(|name| names.contains(name)),
            }
        });
        let observed = counts.map(|counts| Series {
            label: "observed".to_owned(),
            values: heights.of(counts.to_vec()),
            errors: heights.of(counts.iter().map(|n| n.sqrt()).collect()),
        });
        let mut notes = Vec::new();
        if observed.is_none() {
            notes.push("expected events: none are observed".to_owned());
        }
        let errors = match look.covariance {
            Ok(covariance) => Some(errors(channel, look.point, &model.parameters, covariance)),
            Err(why) => {
                notes.push(why.to_owned());
                None
            }
        };
        let data = self.label();
        let title = [data.as_str(), histogram.name, look.names[1]];
        let title = title.into_iter().filter(|part| !part.is_empty());
        Stack {
            title: title.collect::<Vec<_>>().join(", "),
            y_label: heights.label(&label),
            x_label: label,
            edges: histogram.edges.to_vec(),
            observed,
            contributions: parts.collect(),
            errors: errors.map(|errors| heights.of(errors)),
            notes,
        }
    }

    /// The label of a histogram's axis.
    fn axis(&self, histogram: &Binned<'_>) -> String {
        let labels = &self.analysis.measurement.features.labels;
        let own = labels.get(histogram.observable);
        own.map_or(histogram.observable, String::as_str).to_owned()
    }
}

/// Errors of the expected contents at a point, `[bins]`: slopes by steps of one error to either
/// side, as far as the bounds go, and the covariance.
fn errors(
    channel: &HistogramChannel,
    at: &[f64],
    parameters: &[Parameter],
    covariance: &Covariance<'_>,
) -> Vec<f64> {
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
    for (k, one) in &slopes {
        for (l, other) in &slopes {
            let both = covariance(*k, *l).unwrap_or(0.0);
            let bins = variances.iter_mut().zip(one.iter().zip(other));
            bins.for_each(|(variance, (one, other))| *variance += both * one * other);
        }
    }
    variances
        .iter()
        .map(|variance| variance.max(0.0).sqrt())
        .collect()
}

/// The name of a figure's files.
fn file(histogram: &Binned<'_>, look: &Look<'_>) -> String {
    let kind = match histogram.is_fitted {
        true => "channel",
        false => "histogram",
    };
    format!("{kind}_{}_{}", histogram.name, look.names[0])
}
