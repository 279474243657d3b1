//! A Gaussian process over the mass plane, blind to the hole: how it is fitted, and how
//! far prediction and observation are apart.

use super::grid::{PlaneGrid, PlaneSampler};
use super::{Hole, NOT_NEGATIVE, check_length, wrong_bin};
use crate::gaussian_process::{
    Amplitude, FitSettings, Fitted, GridProcess, Posterior, Standardised, averaged, fit,
};
use crate::{ProcessError, fail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_numerics::minimise::MinimiseSettings;
use sideband_numerics::random::Key;

/// Settings of the fit; the defaults are the paper's where it states them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlaneSettings {
    /// Fit the variance of the process too, between 1e-3 and 1e3 times that of
    /// the counts; otherwise it is that of the counts (c = 1, paper).
    pub fit_amplitude: bool,
    /// Average over the errors of the length scales (and of the amplitude, if it is
    /// fitted) instead of trusting the best ones (paper). At 10^4 events the pulls
    /// of the hole in toys go from a width of 1.2 to one of 1.05.
    pub average_kernel: bool,
    /// Bounds of both length scales in GeV; without them, from the width of a bin
    /// to ten times the width of the plane.
    pub length_scales: Option<[f64; 2]>,
    /// Starts of the maximisation.
    pub starts: usize,
    /// Where the variance of a bin comes from.
    pub noise: Noise,
}

/// Where the variance of a bin comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// From its observed count (paper). Bins that fluctuated down weigh more, so
    /// that the plane comes out low by about one event a bin.
    #[default]
    Observed,
    /// From the process's own mean, in rounds until that stays.
    Predicted,
}

/// Bounds of the amplitude, where it is fitted.
const AMPLITUDE: [f64; 2] = [1e-3, 1e3];
/// Largest length scale, in widths of the plane: the plane is straight by then.
const LONGEST: f64 = 10.0;
/// Starts lie between these, in widths of the plane.
const STARTS: [f64; 2] = [0.1, 2.0];
/// Rounding of the likelihood of a plane is about 1e-11, which leaves a gradient
/// near 1e-5; 1e-4 is 1e-9 in log p.
const GRADIENT: f64 = 1e-4;

impl Default for PlaneSettings {
    fn default() -> Self {
        Self {
            fit_amplitude: false,
            average_kernel: false,
            length_scales: None,
            starts: 5,
            noise: Noise::Observed,
        }
    }
}

impl PlaneSettings {
    fn process(&self, grid: &PlaneGrid) -> Result<FitSettings, ProcessError> {
        if self.starts == 0 {
            return fail("starts is 0; at least 1 is expected".to_owned());
        }
        let widths = grid.widths();
        let bounds: Vec<[f64; 2]> = match self.length_scales {
            Some(bounds) => vec![bounds; 2],
            None => widths.map(|[bin, plane]| [bin, LONGEST * plane]).to_vec(),
        };
        let start = |(widths, bounds): (&[f64; 2], &[f64; 2])| {
            STARTS.map(|s| (s * widths[1]).max(bounds[0]).min(bounds[1]))
        };
        let within = widths.iter().zip(&bounds).map(start).collect();
        Ok(FitSettings {
            amplitude: if self.fit_amplitude {
                Amplitude::Fitted(AMPLITUDE)
            } else {
                Amplitude::Fixed(1.0)
            },
            length_scales: bounds,
            starts: self.starts,
            start_within: Some(within),
            minimiser: MinimiseSettings {
                gradient_tolerance: GRADIENT,
                ..MinimiseSettings::default()
            },
        })
    }
}

/// Rounds of [`Noise::Predicted`] before it counts as unsettled.
const ROUNDS: usize = 20;
/// It has settled once no mean moves by more than this, in standard deviations
/// of its bin.
const SETTLED: f64 = 1e-3;

/// A sum over bins with the error of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integral {
    /// Expected events.
    pub value: f64,
    /// From the whole covariance; without the Poisson noise of a count.
    pub error: f64,
}

/// The fitted plane, in events a bin.
#[derive(Clone, Debug)]
pub struct PlaneFit {
    /// The bins.
    pub grid: PlaneGrid,
    /// Whether a bin was left out.
    pub hidden: Vec<bool>,
    /// Expected events of every bin: the posterior mean, never below zero.
    pub mean: Vec<f64>,
    /// Bins whose mean was below zero.
    pub clipped: usize,
    /// Mean (not clipped) and covariance of the expected events.
    pub posterior: Posterior,
    /// Typical weight of an event: variance a count.
    pub event_weight: f64,
    /// The kernel (length scales in GeV, amplitude in units of the variance of the
    /// counts), the likelihood and how the fit went.
    pub fitted: Fitted,
    /// Rounds of [`Noise::Predicted`], and whether they settled.
    pub noise_rounds: (usize, bool),
}

impl PlaneFit {
    /// Fits the bins that the hole does not touch, and predicts all.
    ///
    /// `counts` and `variances` are sums of weights and of squared weights, one a
    /// bin. What they hold in touched bins is never read. The noise variance of a bin
    /// is its variance, at least that of one typical event: `max(n, 1)` for events of
    /// weight one. Fails where too few bins or no event are left, or the process does.
    pub fn new(
        grid: &PlaneGrid,
        counts: &[f64],
        variances: &[f64],
        hole: &Hole,
        settings: &PlaneSettings,
    ) -> Result<Self, ProcessError> {
        hole.check(grid)?;
        Self::hiding(grid, counts, variances, hole.touched(grid), settings)
    }

    /// The same with a list of bins in place of a hole.
    pub fn hiding(
        grid: &PlaneGrid,
        counts: &[f64],
        variances: &[f64],
        hidden: Vec<bool>,
        settings: &PlaneSettings,
    ) -> Result<Self, ProcessError> {
        let visible = check(grid, counts, variances, &hidden)?;
        let pick = |values: &[f64]| -> Vec<f64> { visible.iter().map(|b| values[*b]).collect() };
        let (counts, variances) = (pick(counts), pick(variances));
        // one for events of weight one; the typical weight otherwise
        let weights: f64 = counts.iter().map(|c| c.abs()).sum();
        let event_weight = variances.iter().sum::<f64>() / weights;
        if !(event_weight.is_finite() && event_weight > 0.0) {
            return fail(format!(
                "no event in the {} bins outside of the hole: check the box and the selection",
                visible.len()
            ));
        }
        let one_event = event_weight * event_weight;
        let noise: Vec<f64> = variances.iter().map(|v| v.max(one_event)).collect();

        let data = PlaneData {
            axes: grid.centres(),
            visible,
            counts,
        };
        let mut process = settings.process(grid)?;
        let mut last = data.fit(&noise, &process)?;
        let (mut rounds, mut settled) = (0, true);
        if settings.noise == Noise::Predicted {
            settled = false;
            process.starts = 1;
            while !settled && rounds < ROUNDS {
                rounds += 1;
                let noise: Vec<f64> = data
                    .visible
                    .iter()
                    .map(|b| (event_weight * last.posterior.mean()[*b]).max(one_event))
                    .collect();
                // from where the last round ended
                let scales = last.fitted.kernel.length_scales().iter();
                process.start_within = Some(scales.map(|l| [*l, *l]).collect());
                let next = data.fit(&noise, &process)?;
                let (old, new) = (last.posterior.mean(), next.posterior.mean());
                settled = data
                    .visible
                    .iter()
                    .zip(&noise)
                    .all(|(b, v)| (new[*b] - old[*b]).abs() <= SETTLED * v.sqrt());
                last = next;
            }
        }
        if settings.average_kernel {
            let average = averaged(&last.process, &last.fitted, &process);
            let average = average.map_err(ProcessError::of_plane)?;
            last.posterior = average.posterior.rescaled(last.units[0], last.units[1]);
        }
        let Round {
            fitted, posterior, ..
        } = last;
        Ok(Self {
            grid: grid.clone(),
            hidden,
            mean: posterior.mean().iter().map(|m| m.max(0.0)).collect(),
            clipped: posterior.mean().iter().filter(|m| **m < 0.0).count(),
            posterior,
            event_weight,
            fitted,
            noise_rounds: (rounds, settled),
        })
    }

    /// The sum over some bins, its error from the whole covariance.
    pub fn integral(&self, bins: &[usize]) -> Integral {
        Integral {
            value: bins.iter().map(|b| self.mean[*b]).sum(),
            error: self.posterior.variance_of_sum(bins).sqrt(),
        }
    }

    /// The sum over all bins that the hole touches, whole bins: what lies in them
    /// but beyond the hole's border is part of it.
    pub fn hole(&self) -> Integral {
        let bins: Vec<usize> = (0..self.mean.len()).filter(|b| self.hidden[*b]).collect();
        self.integral(&bins)
    }

    /// Samples of the mean. Fails if every mean is zero.
    pub fn sampler(&self) -> Result<PlaneSampler, ProcessError> {
        PlaneSampler::new(&self.grid, &self.mean)
    }

    /// Prediction against counts, which the caller may not have for hidden bins:
    /// nothing here is computed unless asked for. Fails unless there is one of both a
    /// bin.
    pub fn pulls(&self, counts: &[f64], variances: &[f64]) -> Result<Pulls, ProcessError> {
        let bins = self.mean.len();
        check_length("counts", counts.len(), bins)?;
        check_length("variances", variances.len(), bins)?;
        let pull = |bin: usize, variance: f64| {
            (variance > 0.0).then(|| (self.mean[bin] - counts[bin]) / variance.sqrt())
        };
        let counting: Vec<_> = (0..bins).map(|b| pull(b, variances[b])).collect();
        let full = |b| {
            let expected = self.event_weight * self.mean[b];
            pull(b, self.posterior.variance(b) + expected)
        };
        let full: Vec<_> = (0..bins).map(full).collect();
        let summary = |pulls: &[Option<f64>], hidden: bool| {
            let side = pulls.iter().zip(&self.hidden);
            PullSummary::new(side.filter(|(_, h)| **h == hidden).filter_map(|(p, _)| *p))
        };
        Ok(Pulls {
            counting_inside: summary(&counting, true),
            counting_outside: summary(&counting, false),
            full_inside: summary(&full, true),
            full_outside: summary(&full, false),
            counting,
            full,
        })
    }

    /// Posterior draw number `index` of the expected events, never below zero.
    pub fn draw(&self, key: Key, index: u64) -> Vec<f64> {
        let mut drawn = self.posterior.draw(key, index);
        for events in &mut drawn {
            *events = events.max(0.0);
        }
        drawn
    }

    /// The same as a weight a bin for samples of the mean: draw over mean, zero
    /// where the mean is zero (no sample is there).
    pub fn draw_weights(&self, key: Key, index: u64) -> Vec<f64> {
        let mut weights = self.draw(key, index);
        for (weight, mean) in weights.iter_mut().zip(&self.mean) {
            *weight = if *mean > 0.0 { *weight / mean } else { 0.0 };
        }
        weights
    }
}

struct PlaneData {
    axes: [Vec<f64>; 2],
    visible: Vec<usize>,
    counts: Vec<f64>,
}

struct Round {
    process: GridProcess,
    /// Offset and scale from standardised units to events.
    units: [f64; 2],
    fitted: Fitted,
    posterior: Posterior,
}

impl PlaneData {
    /// The fit with these noise variances, in events squared.
    fn fit(&self, noise: &[f64], settings: &FitSettings) -> Result<Round, ProcessError> {
        let fit = || {
            let standardised = Standardised::new(&self.counts, noise)?;
            let (targets, noise) = (&standardised.targets, &standardised.noise);
            let process = GridProcess::new(self.axes.clone(), &self.visible, targets, noise)?;
            let fitted = fit(&process, settings)?;
            let units = [standardised.mean, standardised.deviation];
            let posterior = process.posterior(&fitted.kernel)?;
            Ok(Round {
                process,
                units,
                fitted,
                posterior: posterior.rescaled(units[0], units[1]),
            })
        };
        fit().map_err(ProcessError::of_plane)
    }
}

/// Checks what is visible, and lists it.
fn check(
    grid: &PlaneGrid,
    counts: &[f64],
    variances: &[f64],
    hidden: &[bool],
) -> Result<Vec<usize>, ProcessError> {
    let bins = grid.bins();
    check_length("counts", counts.len(), bins)?;
    check_length("variances", variances.len(), bins)?;
    check_length("hidden bins", hidden.len(), bins)?;
    let visible: Vec<usize> = (0..bins).filter(|b| !hidden[*b]).collect();
    if visible.is_empty() {
        return fail(format!(
            "the hole touches all {bins} bins of the plane: enlarge the box or shrink the hole"
        ));
    }
    if visible.len() == 1 {
        return fail(format!(
            "1 of {bins} bins lie outside of the hole, at least 2 are needed: enlarge the box, \
             shrink the hole or use finer bins"
        ));
    }
    for bin in visible.iter().copied() {
        let (count, variance) = (counts[bin], variances[bin]);
        if !count.is_finite() {
            return Err(wrong_bin(bin, "the count", count, "a finite number"));
        }
        if !(variance.is_finite() && variance >= 0.0) {
            return Err(wrong_bin(bin, "the variance", variance, NOT_NEGATIVE));
        }
    }
    Ok(visible)
}

/// Pulls of every bin, and what they look like inside and outside of the hole.
///
/// Inside, where the process has seen nothing, `full` should be unit normal.
/// Outside, the prediction has followed the very counts it is compared with, so
/// that both pulls are narrower than one.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulls {
    /// (prediction - observed) / sqrt(variance of the observed count), which is
    /// sqrt(observed) for events of weight one: the published pulls. None where
    /// that variance is zero.
    pub counting: Vec<Option<f64>>,
    /// (prediction - observed) / sqrt(GP variance + variance expected of the
    /// count). None where both are zero.
    pub full: Vec<Option<f64>>,
    /// `counting` in the bins that were left out.
    pub counting_inside: Option<PullSummary>,
    /// `counting` in the bins that were fitted.
    pub counting_outside: Option<PullSummary>,
    /// `full` in the bins that were left out.
    pub full_inside: Option<PullSummary>,
    /// `full` in the bins that were fitted.
    pub full_outside: Option<PullSummary>,
}

/// Mean and width of pulls; there is none of fewer than two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PullSummary {
    /// Bins with a pull.
    pub bins: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (division by n - 1).
    pub width: f64,
}

impl PullSummary {
    fn new(pulls: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let bins = pulls.clone().count();
        if bins < 2 {
            return None;
        }
        let mean = pulls.clone().sum::<f64>() / bins as f64;
        let square: f64 = pulls.map(|p| (p - mean).powi(2)).sum();
        Some(Self {
            bins,
            mean,
            width: (square / (bins - 1) as f64).sqrt(),
        })
    }
}
