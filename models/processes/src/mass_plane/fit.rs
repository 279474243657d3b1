//! A Gaussian process over the mass plane, blind to the hole.

use super::error::PlaneError;
use super::grid::PlaneGrid;
use super::hole::Hole;
use super::pulls::Pulls;
use super::sampler::PlaneSampler;
use super::settings::{Noise, PlaneSettings};
use crate::gaussian_process::{
    FitSettings, Fitted, GridProcess, Posterior, Standardised, averaged, fit,
};
use sideband_numerics::random::Key;

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
    grid: PlaneGrid,
    hidden: Vec<bool>,
    posterior: Posterior,
    /// The posterior mean, never below zero.
    mean: Vec<f64>,
    clipped: usize,
    event_weight: f64,
    fitted: Fitted,
    rounds: usize,
    settled: bool,
    kernels: usize,
    log_parameters: Option<Vec<[f64; 2]>>,
}

impl PlaneFit {
    /// Fits the bins that the hole does not touch, and predicts all.
    ///
    /// `counts` and `variances` are sums of weights and of squared weights, one a
    /// bin. What they hold in touched bins is never read. The noise variance of a
    /// bin is its variance, at least that of one typical event: `max(n, 1)` for
    /// events of weight one.
    ///
    /// # Errors
    /// [`PlaneError`], see there.
    pub fn new(
        grid: &PlaneGrid,
        counts: &[f64],
        variances: &[f64],
        hole: &Hole,
        settings: &PlaneSettings,
    ) -> Result<Self, PlaneError> {
        hole.check(grid)?;
        Self::hiding(grid, counts, variances, hole.touched(grid), settings)
    }

    /// The same with a list of bins in place of a hole.
    ///
    /// # Errors
    /// [`PlaneError`], see there.
    pub fn hiding(
        grid: &PlaneGrid,
        counts: &[f64],
        variances: &[f64],
        hidden: Vec<bool>,
        settings: &PlaneSettings,
    ) -> Result<Self, PlaneError> {
        let visible = check(grid, counts, variances, &hidden)?;
        let pick = |values: &[f64]| -> Vec<f64> { visible.iter().map(|b| values[*b]).collect() };
        let (counts, variances) = (pick(counts), pick(variances));
        // one for events of weight one; the typical weight otherwise
        let weights: f64 = counts.iter().map(|c| c.abs()).sum();
        let event_weight = variances.iter().sum::<f64>() / weights;
        if !(event_weight.is_finite() && event_weight > 0.0) {
            return Err(PlaneError::NoEvents {
                visible: visible.len(),
            });
        }
        let one_event = event_weight * event_weight;
        let noise: Vec<f64> = variances.iter().map(|v| v.max(one_event)).collect();

        let data = Data {
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
        let (mut kernels, mut log_parameters) = (1, None);
        if settings.average_kernel {
            let average = averaged(&last.process, &last.fitted, &process)?;
            (kernels, log_parameters) = (average.kernels, Some(average.log_parameters));
            last.posterior = average.posterior.rescaled(last.units[0], last.units[1]);
        }
        let Round {
            fitted, posterior, ..
        } = last;
        let mean: Vec<f64> = posterior.mean().iter().map(|m| m.max(0.0)).collect();
        Ok(Self {
            grid: grid.clone(),
            hidden,
            clipped: posterior.mean().iter().filter(|m| **m < 0.0).count(),
            mean,
            posterior,
            event_weight,
            fitted,
            rounds,
            settled,
            kernels,
            log_parameters,
        })
    }

    /// The bins.
    #[must_use]
    pub fn grid(&self) -> &PlaneGrid {
        &self.grid
    }

    /// Whether a bin was left out.
    #[must_use]
    pub fn hidden(&self) -> &[bool] {
        &self.hidden
    }

    /// Expected events of every bin, never below zero.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Bins whose mean was below zero.
    #[must_use]
    pub fn clipped(&self) -> usize {
        self.clipped
    }

    /// Mean (not clipped) and covariance of the expected events.
    #[must_use]
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// The kernel (length scales in GeV, amplitude in units of the variance of the
    /// counts), the likelihood and how the fit went.
    #[must_use]
    pub fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// Rounds of [`Noise::Predicted`], and whether they settled.
    #[must_use]
    pub fn noise_rounds(&self) -> (usize, bool) {
        (self.rounds, self.settled)
    }

    /// Kernels that the posterior is averaged over; one if it is not.
    #[must_use]
    pub fn kernels(&self) -> usize {
        self.kernels
    }

    /// Mean and standard deviation of the logarithms of amplitude and length
    /// scales, if the posterior is averaged over them.
    #[must_use]
    pub fn log_parameters(&self) -> Option<&[[f64; 2]]> {
        self.log_parameters.as_deref()
    }

    /// Typical weight of an event: variance a count.
    #[must_use]
    pub fn event_weight(&self) -> f64 {
        self.event_weight
    }

    /// The sum over some bins, its error from the whole covariance.
    #[must_use]
    pub fn integral(&self, bins: &[usize]) -> Integral {
        Integral {
            value: bins.iter().map(|b| self.mean[*b]).sum(),
            error: self.posterior.variance_of_sum(bins).sqrt(),
        }
    }

    /// The sum over all bins that the hole touches, whole bins: what lies in them
    /// but beyond the hole's border is part of it.
    #[must_use]
    pub fn hole(&self) -> Integral {
        let bins: Vec<usize> = (0..self.mean.len()).filter(|b| self.hidden[*b]).collect();
        self.integral(&bins)
    }

    /// Prediction against counts, which the caller may not have for hidden bins:
    /// nothing here is computed unless asked for.
    ///
    /// # Errors
    /// [`PlaneError::Length`].
    pub fn pulls(&self, counts: &[f64], variances: &[f64]) -> Result<Pulls, PlaneError> {
        Pulls::new(self, counts, variances)
    }

    /// Samples of the mean.
    ///
    /// # Errors
    /// [`PlaneError::NothingToSample`] if every mean is zero.
    pub fn sampler(&self) -> Result<PlaneSampler, PlaneError> {
        PlaneSampler::new(&self.grid, &self.mean)
    }

    /// Posterior draw number `index` of the expected events, never below zero.
    #[must_use]
    pub fn draw(&self, key: Key, index: u64) -> Vec<f64> {
        let mut drawn = self.posterior.draw(key, index);
        for events in &mut drawn {
            *events = events.max(0.0);
        }
        drawn
    }

    /// The same as a weight a bin for samples of the mean: draw over mean, zero
    /// where the mean is zero (no sample is there).
    #[must_use]
    pub fn draw_weights(&self, key: Key, index: u64) -> Vec<f64> {
        let mut weights = self.draw(key, index);
        for (weight, mean) in weights.iter_mut().zip(&self.mean) {
            *weight = if *mean > 0.0 { *weight / mean } else { 0.0 };
        }
        weights
    }
}

/// The visible bins.
struct Data {
    axes: [Vec<f64>; 2],
    visible: Vec<usize>,
    counts: Vec<f64>,
}

/// A fit with some noise variances.
struct Round {
    process: GridProcess,
    /// Offset and scale from standardised units to events.
    units: [f64; 2],
    fitted: Fitted,
    /// In events.
    posterior: Posterior,
}

impl Data {
    /// The fit with these noise variances, in events squared.
    fn fit(&self, noise: &[f64], settings: &FitSettings) -> Result<Round, PlaneError> {
        let standardised = Standardised::new(&self.counts, noise)?;
        let process = GridProcess::new(
            self.axes.clone(),
            &self.visible,
            &standardised.targets,
            &standardised.noise,
        )?;
        let fitted = fit(&process, settings)?;
        let units = [standardised.mean, standardised.deviation];
        let posterior = process.posterior(&fitted.kernel)?;
        Ok(Round {
            process,
            units,
            fitted,
            posterior: posterior.rescaled(units[0], units[1]),
        })
    }
}

/// Checks what is visible, and lists it.
fn check(
    grid: &PlaneGrid,
    counts: &[f64],
    variances: &[f64],
    hidden: &[bool],
) -> Result<Vec<usize>, PlaneError> {
    let bins = grid.bins();
    for (what, found) in [
        ("counts", counts.len()),
        ("variances", variances.len()),
        ("hidden bins", hidden.len()),
    ] {
        if found != bins {
            return Err(PlaneError::Length {
                what,
                found,
                expected: bins,
            });
        }
    }
    let visible: Vec<usize> = (0..bins).filter(|b| !hidden[*b]).collect();
    match visible.len() {
        0 => return Err(PlaneError::HoleCoversPlane { bins }),
        1 => return Err(PlaneError::TooFewBins { visible: 1, bins }),
        _ => {}
    }
    for bin in visible.iter().copied() {
        let wrong = |what, value, expected| PlaneError::Bin {
            bin,
            what,
            value,
            expected,
        };
        if !counts[bin].is_finite() {
            return Err(wrong("the count", counts[bin], "a finite number"));
        }
        if !(variances[bin].is_finite() && variances[bin] >= 0.0) {
            return Err(wrong(
                "the variance",
                variances[bin],
                "a finite number, 0 or above,",
            ));
        }
    }
    Ok(visible)
}
