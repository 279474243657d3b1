//! Kernel parameters by maximum marginal likelihood, from several starts.

use super::error::GpError;
use super::kernel::{LogMarginal, SquaredExponential};
use sideband_numerics::minimise::{Bounds, MinimiseSettings, minimise_from};

/// A process whose marginal likelihood can be evaluated.
pub trait Marginal {
    /// Number of coordinates.
    fn dimensions(&self) -> usize;

    /// log p(y|X) and its gradient.
    ///
    /// # Errors
    /// [`GpError`] if the kernel does not fit the points or its covariance is
    /// singular.
    fn log_marginal(&self, kernel: &SquaredExponential) -> Result<LogMarginal, GpError>;
}

/// The variance of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amplitude {
    /// As given; 1 for standardised targets (paper).
    Fixed(f64),
    /// Fitted within these bounds.
    Fitted([f64; 2]),
}

/// What is fitted, within which bounds, from how many starts.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// The amplitude.
    pub amplitude: Amplitude,
    /// Bounds of the length scales, one a coordinate.
    pub length_scales: Vec<[f64; 2]>,
    /// Number of starts.
    pub starts: usize,
    /// Where the starts lie; the bounds of the length scales if none.
    pub start_within: Option<Vec<[f64; 2]>>,
    /// The minimiser.
    pub minimiser: MinimiseSettings,
}

/// The kernel of the highest marginal likelihood.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The kernel.
    pub kernel: SquaredExponential,
    /// log p(y|X).
    pub log_marginal: f64,
    /// Largest component of the projected gradient by the logarithms.
    pub projected_gradient: f64,
    /// Whether that is below its tolerance.
    pub converged: bool,
    /// Starts.
    pub starts: usize,
    /// Starts that converged, to this maximum or to another.
    pub starts_converged: usize,
    /// Starts that converged to this maximum (log p within 1e-4).
    pub starts_agreeing: usize,
    /// Whether a length scale ended on its bound, one a coordinate.
    pub at_bound: Vec<bool>,
    /// Evaluations of the likelihood.
    pub evaluations: u64,
}

/// Fits the kernel.
///
/// The starts are the points of the additive recurrence of the generalised
/// golden ratio (M. Roberts, 2018) in the logarithms, the first in the middle:
/// they spread evenly for any number of them, and need no random numbers.
///
/// # Errors
/// [`GpError`] for unusable bounds, and if the likelihood is finite at no start.
pub fn fit(process: &impl Marginal, settings: &FitSettings) -> Result<Fitted, GpError> {
    let d = process.dimensions();
    if settings.length_scales.len() != d {
        return Err(GpError::Dimensions {
            kernel: settings.length_scales.len(),
            points: d,
        });
    }
    let mut intervals = Vec::with_capacity(d + 1);
    match settings.amplitude {
        Amplitude::Fixed(c) => {
            SquaredExponential::new(c, vec![])?;
            intervals.push(log_interval("the amplitude", [c, c])?);
        }
        Amplitude::Fitted(bounds) => intervals.push(log_interval("the amplitude", bounds)?),
    }
    for bounds in &settings.length_scales {
        intervals.push(log_interval("a length scale", *bounds)?);
    }
    let mut within = intervals.clone();
    if let Some(ranges) = &settings.start_within {
        for (interval, range) in within[1..].iter_mut().zip(ranges) {
            *interval = log_interval("the starts of a length scale", *range)?;
        }
    }
    let bounds = Bounds::new(
        intervals.iter().map(|i| i[0]).collect(),
        intervals.iter().map(|i| i[1]).collect(),
    )?;

    let mut reason = String::from("no start was given");
    let negative = |theta: &[f64], gradient: &mut [f64]| {
        let marginal = SquaredExponential::from_log(theta).and_then(|k| process.log_marginal(&k));
        match marginal {
            Ok(marginal) => {
                for (g, m) in gradient.iter_mut().zip(&marginal.gradient) {
                    *g = -m;
                }
                if let Amplitude::Fixed(_) = settings.amplitude {
                    gradient[0] = 0.0;
                }
                -marginal.value
            }
            Err(error) => {
                reason = error.to_string();
                f64::NAN
            }
        }
    };
    let starts = starts(&within, settings.starts);
    let ends = minimise_from(negative, &starts, &bounds, &settings.minimiser)?;
    let best = ends.best();
    if !best.value.is_finite() {
        return Err(GpError::NoFit {
            starts: starts.len(),
            bounds: settings.length_scales.clone(),
            reason,
        });
    }
    let mut kernel = SquaredExponential::from_log(&best.point)?;
    if let Amplitude::Fixed(c) = settings.amplitude {
        // exp(log c) may differ from c in its last digit
        kernel = SquaredExponential::new(c, kernel.length_scales().to_vec())?;
    }
    Ok(Fitted {
        kernel,
        log_marginal: -best.value,
        projected_gradient: best.projected_gradient,
        converged: best.converged(),
        starts: starts.len(),
        starts_converged: ends.converged(),
        starts_agreeing: ends
            .minima
            .iter()
            .filter(|m| m.converged() && m.value - best.value < 1e-4)
            .count(),
        at_bound: best.point[1..]
            .iter()
            .zip(&intervals[1..])
            .map(|(t, [low, high])| *t <= *low || *t >= *high)
            .collect(),
        evaluations: ends.minima.iter().map(|m| m.evaluations).sum(),
    })
}

fn log_interval(what: &'static str, [lower, upper]: [f64; 2]) -> Result<[f64; 2], GpError> {
    let usable = lower > 0.0 && upper >= lower && upper.is_finite();
    if usable {
        Ok([lower.ln(), upper.ln()])
    } else {
        Err(GpError::Bounds { what, lower, upper })
    }
}

/// `count` points in the box: `frac(1/2 + k / phi^(j+1))`, phi the positive root
/// of phi^(d+1) = phi + 1, d the number of intervals that are not a point.
fn starts(intervals: &[[f64; 2]], count: usize) -> Vec<Vec<f64>> {
    let free = intervals.iter().filter(|[low, high]| low < high).count();
    let mut phi = 2.0_f64;
    for _ in 0..64 {
        phi = (1.0 + phi).powf(1.0 / (free as f64 + 1.0));
    }
    (0..count)
        .map(|k| {
            let mut j = 0;
            intervals
                .iter()
                .map(|[low, high]| {
                    if low < high {
                        j += 1;
                        let fraction = (0.5 + k as f64 / phi.powi(j)).fract();
                        low + (high - low) * fraction
                    } else {
                        *low
                    }
                })
                .collect()
        })
        .collect()
}
