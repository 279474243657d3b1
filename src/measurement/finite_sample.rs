//! The error of a measurement from the finite number of events that its ratios were
//! trained on, as a function of the parameter that is measured.
//!
//! Members of a bootstrapped ensemble differ by their training events and by their
//! initial weights, those of a second ensemble by initial weights alone. The mean of `E`
//! bootstrapped members has the variance that one training sample gives, and `1/E` of
//! what initial weights give: `var_bootstrap - var_initial (1 - 1/E)`, measured on the
//! best fit of each member's own likelihood to Asimov data of the ensemble, at several
//! values of the parameter. A member whose fit ends on a bound counts where the parabola of
//! its profile has its minimum, beyond the bound.

use super::analyse::{Analyst, no_fit};
use super::asimov::{asimov_weights, at_point};
use super::columns::{Columns, Source};
use super::events::Events;
use super::likelihoods::Likelihoods;
use super::model::{Builder, no_likelihood};
use super::pipeline::Study;
use super::result::{FiniteSample, FiniteSamplePoint};
use crate::error::{Context, Error, Kind, Result};
use crate::settings::Coordinate;
use rayon::prelude::*;
use sideband_likelihood::fit::{Fit, FitSettings, State, fit};
use sideband_likelihood::histogram::HistogramChannel;
use sideband_likelihood::{Parameter, Spline, UnbinnedChannel};

/// Asimov data at one value of the parameter of interest.
struct Node {
    /// The value in the fit's coordinate.
    coordinate: f64,
    /// All parameters, the others profiled on the data.
    point: Vec<f64>,
    /// What the events of the pool are worth.
    weights: Vec<f64>,
    /// The parameters, with auxiliary measurements as expected there.
    parameters: Vec<Parameter>,
    /// The histograms as expected there.
    histograms: Vec<HistogramChannel>,
}

/// What the error of a finite training sample is found from.
pub(super) struct Trainings<'a> {
    pub study: &'a Study<'a>,
    /// Without the parameter that is to be made.
    pub source: &'a Source<'a>,
    /// The likelihood of the data, without it as well.
    pub made: &'a Likelihoods,
    /// Events of the reference that no network has seen.
    pub pool: &'a Events,
    /// Their ratios.
    pub columns: &'a Columns,
}

impl Trainings<'_> {
    /// The error of the first parameter of interest, from a fit for every member at every
    /// value, and the same in the coordinate of the fit as a function of it.
    pub(super) fn error(&self) -> Result<(FiniteSample, Spline)> {
        let analyst = Analyst {
            measurement: self.source.measurement,
            parameters: self.source.parameters,
        };
        let place = analyst.interest()[0];
        let best = analyst.best(&self.made.model)?;
        let known = analyst.known(&self.made.model, &best, place, true);
        let known = known.map_err(no_fit)?;
        if let Some(why) = known.not_measured {
            let name = &analyst.parameters.list[place].name;
            let text = format!("{name} is not measured: {why}");
            return Err(Error::new(Kind::NotMeasured, text));
        }
        let nodes = self.nodes(&analyst, &best, place)?;
        let [(bootstrapped, n), (fixed, m)] = [
            self.variances(&analyst, &nodes, place, false)?,
            self.variances(&analyst, &nodes, place, true)?,
        ];
        let rest = 1.0 - 1.0 / n.max(1) as f64;
        let both = nodes.iter().zip(bootstrapped.into_iter().zip(fixed));
        let points: Vec<FiniteSamplePoint> = both
            .map(|(node, (bootstrapped, fixed))| {
                let error = |k: usize| (bootstrapped[k] - fixed[k] * rest).max(0.0).sqrt();
                FiniteSamplePoint {
                    value: analyst.parameters.value(place, node.coordinate),
                    bootstrapped: bootstrapped[0],
                    fixed: fixed[0],
                    error: error(0),
                    coordinate_error: error(1),
                }
            })
            .collect();
        let curve = nodes.iter().zip(&points);
        let curve = curve.map(|(node, p)| (node.coordinate, p.coordinate_error));
        let curve = Spline::new(curve.collect()).at(Kind::NotMeasured, "finite training sample")?;
        let size = curve.jet(best.point[place])[0].abs();
        Ok((
            FiniteSample {
                value: analyst.measured(&best, place).0,
                error: half_width(&analyst, place, best.point[place], size),
                coordinate_error: size,
                members: [n, m],
                points,
            },
            curve,
        ))
    }

    /// Values over the range of the scan and of the toys, evenly spaced in the fit's
    /// coordinate; the best fit if one is asked for.
    fn coordinates(&self, analyst: &Analyst<'_>, best: &Fit, place: usize) -> Result<Vec<f64>> {
        let measurement = self.source.measurement;
        let range = analyst.range(&self.made.model, &analyst.settings(), best, place)?;
        let points = measurement.measurement.finite_sample_points;
        let toys = measurement.toys.iter().flat_map(|toys| &toys.grid);
        let toys = toys.map(|value| analyst.parameters.coordinate(place, *value));
        let all: Vec<f64> = range.into_iter().chain(toys).collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if points < 2 || high <= low {
            return Ok(vec![best.point[place]]);
        }
        let step = (high - low) / (points - 1) as f64;
        let last = points - 1;
        let at = |i: usize| {
            if i == last {
                high
            } else {
                low + step * i as f64
            }
        };
        Ok((0..points).map(at).collect())
    }

    fn nodes(&self, analyst: &Analyst<'_>, best: &Fit, place: usize) -> Result<Vec<Node>> {
        let channel = self.over_pool().channel(self.columns)?;
        let nodes = self.coordinates(analyst, best, place)?.into_iter();
        nodes
            .map(|coordinate| {
                let point = analyst.profiled(&self.made.model, best, place, coordinate)?;
                Ok(Node {
                    coordinate,
                    weights: asimov_weights(&channel, &self.pool.weights, &point)?,
                    parameters: at_point(self.made.list(), &point),
                    histograms: self.made.expected(&point)?,
                    point,
                })
            })
            .collect()
    }

    fn over_pool(&self) -> OverPool<'_> {
        OverPool {
            builder: Builder {
                measurement: self.source.measurement,
                plan: self.source.plan,
                parameters: self.source.parameters,
            },
            list: self.made.list(),
            is_renormalised: self.study.is_renormalised(),
        }
    }

    /// Variances over members of the best fit and of its coordinate, at every node, and
    /// the number of members.
    fn variances(
        &self,
        analyst: &Analyst<'_>,
        nodes: &[Node],
        place: usize,
        is_fixed: bool,
    ) -> Result<(Vec<[f64; 2]>, usize)> {
        let logs = self.study.member_logs(&self.pool.features, is_fixed)?;
        let members = logs.values().map(Vec::len).min().unwrap_or(0);
        let (source, weights, over_pool) = (self.source, &self.pool.weights, self.over_pool());
        let fits = (0..members).into_par_iter().map(|member| {
            let columns = source.of_member(&logs, member, weights.clone())?;
            let channel = over_pool.channel(&columns)?;
            let best = |node| best_fit(analyst, &channel, node, place);
            nodes.iter().map(best).collect()
        });
        let found = fits.collect::<Result<Vec<Vec<[f64; 2]>>>>()?;
        let at = |node: usize| [0, 1].map(|k| variance(found.iter().map(|fits| fits[node][k])));
        Ok(((0..nodes.len()).map(at).collect(), members))
    }
}

/// Makes models over the pool.
struct OverPool<'a> {
    builder: Builder<'a>,
    list: &'a [Parameter],
    is_renormalised: bool,
}

impl OverPool<'_> {
    /// The model with some ratios of the pool's events.
    fn channel(&self, columns: &Columns) -> Result<UnbinnedChannel> {
        let pool = columns.sample()?;
        let reference = self.is_renormalised.then_some(&pool);
        self.builder.unbinned(columns, reference, self.list)
    }
}

/// The best fit of the parameter in `place` to Asimov data, and its coordinate.
fn best_fit(
    analyst: &Analyst<'_>,
    channel: &UnbinnedChannel,
    node: &Node,
    place: usize,
) -> Result<[f64; 2]> {
    let rows: Vec<usize> = (0..node.weights.len()).collect();
    let channel = channel
        .select(&rows, &node.weights)
        .map_err(no_likelihood)?;
    let histograms = node.histograms.clone();
    let model = Builder::model(node.parameters.clone(), Some(channel), histograms)
        .with_prior(analyst.parameters.prior.clone());
    let settings = FitSettings {
        starts: vec![node.point.clone()],
        ..analyst.settings()
    };
    let failed = |reason: sideband_likelihood::Error| {
        let value = analyst.parameters.value(place, node.coordinate);
        no_fit(format!(
            "finite training sample, a member's ratios at {value:.4}: {reason}"
        ))
    };
    let found = fit(&model, &settings).map_err(failed)?;
    found.checked().map_err(failed)?;
    let coordinate = beyond_bound(&found, place);
    // the square of what lies beyond zero is on the other side of it
    let value = analyst.reported(place, coordinate);
    let is_beyond = coordinate < 0.0 && value > 0.0;
    Ok([if is_beyond { -value } else { value }, coordinate])
}

/// Where the minimum along a parameter is, or would be without its bound: by the parabola
/// of the profile there. A fit that ends on a bound would make a variance too small.
fn beyond_bound(found: &Fit, place: usize) -> f64 {
    let at = found.point[place];
    if !matches!(found.states[place], State::AtLower | State::AtUpper) {
        return at;
    }
    match found.profile_curvature(place) {
        Some(curvature) if curvature > 0.0 => at - found.gradient[place] / curvature,
        _ => at,
    }
}

/// Half of what a parameter changes by between one error of its coordinate down and up.
fn half_width(analyst: &Analyst<'_>, place: usize, at: f64, error: f64) -> f64 {
    let (low, high) = analyst.parameters.list[place].bounds;
    let ends = [at - error, at + error].map(|x| analyst.reported(place, x.clamp(low, high)));
    match analyst.parameters.coordinates[place] {
        Coordinate::Linear => error,
        Coordinate::Sqrt if error > at => ends[1] - analyst.reported(place, at),
        Coordinate::Sqrt => 0.5 * (ends[1] - ends[0]),
    }
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}
