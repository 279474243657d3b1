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

use super::analyse::no_fit;
use super::events::Events;
use super::likelihoods::{AsimovData, Likelihoods};
use super::model::Analysis;
use super::ratios::{Columns, Ensembles};
use super::result::{FiniteSample, FiniteSamplePoint};
use crate::error::{Context, Error, Kind, Result};
use crate::rundir::Progress;
use crate::settings::Coordinate;
use crate::statistics::moments;
use rayon::prelude::*;
use sideband_likelihood::fit::{Fit, FitSettings, State, fit};
use sideband_likelihood::{Spline, UnbinnedChannel};

/// Asimov data at one value of the parameter of interest.
struct Node {
    /// The value in the fit's coordinate.
    coordinate: f64,
    /// All parameters, the others profiled on the data.
    point: Vec<f64>,
    data: AsimovData,
}

/// What the error of a finite training sample is found from.
pub(super) struct Trainings<'a> {
    pub ensembles: &'a Ensembles<'a>,
    /// Without the parameter that is to be made.
    pub analysis: Analysis<'a>,
    /// The likelihood of the data, without it as well.
    pub made: &'a Likelihoods,
    /// Events of the reference that no network has seen.
    pub pool: &'a Events,
    /// Their ratios.
    pub columns: &'a Columns,
    pub progress: &'a Progress,
}

impl Trainings<'_> {
    /// The error of the first parameter of interest, from a fit for every member at every
    /// value, and the same in the coordinate of the fit as a function of it.
    pub(super) fn error(&self) -> Result<(FiniteSample, Spline)> {
        let analysis = self.analysis;
        let place = analysis.interest()[0];
        let best = analysis.best(&self.made.model)?;
        let known = analysis.known(&self.made.model, &best, place);
        let known = known.map_err(no_fit)?;
        if let Some(why) = known.not_measured {
            let text = format!("{} is not measured: {why}", known.name);
            return Err(Error::new(Kind::NotMeasured, text));
        }
        let nodes = self.nodes(&best, place)?;
        let [(bootstrapped, n), (fixed, m)] = [
            self.variances(&nodes, place, false)?,
            self.variances(&nodes, place, true)?,
        ];
        let rest = 1.0 - 1.0 / n.max(1) as f64;
        let both = nodes.iter().zip(bootstrapped.into_iter().zip(fixed));
        let points: Vec<FiniteSamplePoint> = both
            .map(|(node, (bootstrapped, fixed))| {
                let error = |k: usize| (bootstrapped[k] - fixed[k] * rest).max(0.0).sqrt();
                FiniteSamplePoint {
                    value: analysis.parameters.value(place, node.coordinate),
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
        let finite = FiniteSample {
            value: known.value,
            error: half_width(analysis, place, best.point[place], size),
            coordinate_error: size,
            members: [n, m],
            points,
        };
        Ok((finite, curve))
    }

    /// Values over the range of the scan and of the toys, evenly spaced in the fit's
    /// coordinate; the best fit if one is asked for.
    fn coordinates(&self, best: &Fit, place: usize) -> Result<Vec<f64>> {
        let analysis = self.analysis;
        let range = analysis.range(&self.made.model, &analysis.settings(), best, place)?;
        let points = analysis.measurement.measurement.finite_sample_points;
        let toys = analysis.measurement.toys.iter().flat_map(|toys| &toys.grid);
        let toys = toys.map(|value| analysis.parameters.coordinate(place, *value));
        let all: Vec<f64> = range.into_iter().chain(toys).collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if points < 2 || high <= low {
            return Ok(vec![best.point[place]]);
        }
        let last = points - 1;
        let step = (high - low) / last as f64;
        let at = |i: usize| match i == last {
            true => high,
            false => low + step * i as f64,
        };
        Ok((0..points).map(at).collect())
    }

    fn nodes(&self, best: &Fit, place: usize) -> Result<Vec<Node>> {
        let channel = self.over_pool(self.columns)?;
        let pool = (&channel, self.pool.weights.as_slice());
        let node = |coordinate| {
            let made = self.made;
            let point = self
                .analysis
                .profiled(&made.model, best, place, coordinate)?;
            Ok(Node {
                coordinate,
                data: AsimovData::new(pool, made.parameters(), &made.channels, &point)?,
                point,
            })
        };
        self.coordinates(best, place)?
            .into_iter()
            .map(node)
            .collect()
    }

    /// The model with some ratios of the pool's events.
    fn over_pool(&self, columns: &Columns) -> Result<UnbinnedChannel> {
        let pool = columns.sample()?;
        let is_renormalised = self.analysis.measurement.measurement.renormalise;
        let reference = is_renormalised.then_some(&pool);
        self.analysis
            .unbinned(pool.clone(), reference, self.made.parameters())
    }

    /// Variances over members of the best fit and of its coordinate, at every node, and
    /// the number of members.
    fn variances(
        &self,
        nodes: &[Node],
        place: usize,
        is_fixed: bool,
    ) -> Result<(Vec<[f64; 2]>, usize)> {
        let logs = self.ensembles.member_logs(&self.pool.features, is_fixed)?;
        let members = logs.values().map(Vec::len).min().unwrap_or(0);
        let stage = self.progress.stage("fitting members", members as u64);
        let fits = (0..members).into_par_iter().map(|member| {
            let weights = self.pool.weights.clone();
            let columns = self.analysis.of_member(&logs, member, weights)?;
            let channel = self.over_pool(&columns)?;
            let best = |node| best_fit(self.analysis, &channel, node, place);
            let fits: Result<Vec<[f64; 2]>> = nodes.iter().map(best).collect();
            stage.add(1);
            fits
        });
        let found = fits.collect::<Result<Vec<Vec<[f64; 2]>>>>()?;
        let at = |node: usize| {
            [0, 1].map(|k| {
                let values: Vec<f64> = found.iter().map(|fits| fits[node][k]).collect();
                moments(&values).1
            })
        };
        Ok(((0..nodes.len()).map(at).collect(), members))
    }
}

/// The best fit of the parameter in `place` to Asimov data, and its coordinate.
fn best_fit(
    analysis: Analysis<'_>,
    channel: &UnbinnedChannel,
    node: &Node,
    place: usize,
) -> Result<[f64; 2]> {
    let prior = analysis.parameters.prior.clone();
    let model = node.data.model(channel, prior)?;
    let settings = FitSettings {
        starts: vec![node.point.clone()],
        ..analysis.settings()
    };
    let failed = |reason: sideband_likelihood::Error| {
        let value = analysis.parameters.value(place, node.coordinate);
        no_fit(format!(
            "finite training sample, a member's ratios at {value:.4}: {reason}"
        ))
    };
    let found = fit(&model, &settings).map_err(failed)?;
    found.checked().map_err(failed)?;
    let coordinate = beyond_bound(&found, place);
    // the square of what lies beyond zero is on the other side of it
    let value = analysis.reported(place, coordinate);
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
fn half_width(analysis: Analysis<'_>, place: usize, at: f64, error: f64) -> f64 {
    let (low, high) = analysis.parameters.list[place].bounds;
    let ends = [at - error, at + error].map(|x| analysis.reported(place, x.clamp(low, high)));
    match analysis.parameters.coordinates[place] {
        Coordinate::Linear => error,
        Coordinate::Sqrt if error > at => ends[1] - analysis.reported(place, at),
        Coordinate::Sqrt => 0.5 * (ends[1] - ends[0]),
    }
}
