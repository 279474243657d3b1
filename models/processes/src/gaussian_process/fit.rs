//! Kernel parameters by maximum marginal likelihood, from several starts, and the
//! posterior averaged over them.
//!
//! With the parameters fixed at their best values, the posterior knows nothing of
//! their errors and is too narrow in a gap that is not small against the length
//! scales: the pulls of toys have widths of 1.15 to 1.25 in a mass plane of 10^4
//! events. Here it is the mixture
//!
//! ```text
//! weights w_g ~ p(y | theta_g)        mu = sum w_g mu_g
//! S = sum w_g (S_g + (mu_g - mu)(mu_g - mu)^T)
//! ```
//!
//! over a lattice of `theta`, the logarithms of the parameters, whose prior is
//! flat within their bounds. The lattice lies along the eigenvectors of the
//! Hessian at the maximum, in steps of one standard deviation: for a normal
//! density, the sum over such a lattice is its integral to 1e-8. Source: the
//! grid of INLA, Rue, Martino and Chopin, J. R. Stat. Soc. B 71 (2009) 319,
//! section 3.1.

use super::grid::{GridProcess, GridState};
use super::posterior::{Posterior, add_square, column, mirror};
use super::{Marginal, SquaredExponential, dimensions};
use crate::{ProcessError, fail};
use faer::{Mat, Side};
use sideband_numerics::minimise::{Bounds, MinimiseSettings, Minimum, minimise_from};

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
/// The starts are the points of the additive recurrence of the generalised golden
/// ratio (M. Roberts, 2018) in the logarithms, the first in the middle: they spread
/// evenly for any number of them, and need no random numbers. Fails for unusable
/// bounds, and if the likelihood is finite at no start.
pub fn fit(process: &impl Marginal, settings: &FitSettings) -> Result<Fitted, ProcessError> {
    let d = process.dimensions();
    if settings.length_scales.len() != d {
        return Err(dimensions(settings.length_scales.len(), d));
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
    let ends = |k: usize| intervals.iter().map(|interval| interval[k]).collect();
    let bounds = Bounds::new(ends(0), ends(1))?;

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
    let agrees = |m: &&Minimum| m.converged() && m.value - best.value < 1e-4;
    let scales = best.point[1..].iter().zip(&intervals[1..]);
    let at_bound = scales.map(|(t, [low, high])| *t <= *low || *t >= *high);
    if !best.value.is_finite() {
        return fail(format!(
            "the marginal likelihood is not finite at any of the {} starts between the bounds of \
             the length scales {:?}: {reason}",
            starts.len(),
            settings.length_scales
        ));
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
        starts_agreeing: ends.minima.iter().filter(agrees).count(),
        at_bound: at_bound.collect(),
        evaluations: ends.minima.iter().map(|m| m.evaluations).sum(),
    })
}

fn log_interval(what: &str, [lower, upper]: [f64; 2]) -> Result<[f64; 2], ProcessError> {
    if lower > 0.0 && upper >= lower && upper.is_finite() {
        return Ok([lower.ln(), upper.ln()]);
    }
    fail(format!(
        "bounds of {what} are [{lower}, {upper}]; 0 < lower <= upper is needed"
    ))
}

/// `count` points in the box: `frac(1/2 + k / phi^(j+1))`, phi the positive root
/// of phi^(d+1) = phi + 1, d the number of intervals that are not a point.
fn starts(intervals: &[[f64; 2]], count: usize) -> Vec<Vec<f64>> {
    let free = intervals.iter().filter(|[low, high]| low < high).count();
    let mut phi = 2.0_f64;
    for _ in 0..64 {
        phi = (1.0 + phi).powf(1.0 / (free as f64 + 1.0));
    }
    let start = |k: usize| {
        let mut j = 0;
        let coordinate = |[low, high]: &[f64; 2]| {
            if low >= high {
                return *low;
            }
            j += 1;
            low + (high - low) * (0.5 + k as f64 / phi.powi(j)).fract()
        };
        intervals.iter().map(coordinate).collect()
    };
    (0..count).map(start).collect()
}

/// Step in log parameters for the Hessian, from differences of the gradient.
const STEP: f64 = 0.02;
/// Lattice points on either side.
const REACH: i32 = 4;
/// Points whose likelihood is below this part of the highest are left out.
const NEGLIGIBLE: f64 = 1e-3;
/// Largest step of the lattice in a logarithm, where the likelihood is flat.
const LONGEST: f64 = 1.0;

/// An averaged posterior.
#[derive(Clone, Debug)]
pub struct Averaged {
    /// Mean and covariance of the mixture.
    pub posterior: Posterior,
    /// Kernels that take part.
    pub kernels: usize,
    /// Mean and standard deviation of the logarithms of amplitude and length
    /// scales; a fixed amplitude has none.
    pub log_parameters: Vec<[f64; 2]>,
}

/// Averages the posterior at all points of the grid around `fitted`, within the
/// bounds of `settings`. Fails if the covariance is singular at the fitted kernel.
pub fn averaged(
    process: &GridProcess,
    fitted: &Fitted,
    settings: &FitSettings,
) -> Result<Averaged, ProcessError> {
    let best = fitted.kernel.log_parameters();
    let mut bounds = vec![match settings.amplitude {
        Amplitude::Fixed(_) => [best[0]; 2],
        Amplitude::Fitted(bounds) => bounds.map(f64::ln),
    }];
    bounds.extend(settings.length_scales.iter().map(|b| b.map(f64::ln)));
    let is_free = |k: &usize| bounds[*k][0] < bounds[*k][1];
    let free: Vec<usize> = (0..best.len()).filter(is_free).collect();

    let (n, mut kernels, mut weights) = (process.points(), 0, 0.0);
    let mut logarithms = vec![[0.0; 2]; best.len()];
    // sums of w mu and of w (S + mu mu^T), the lower triangle, with mu counted from the
    // first one, which keeps digits
    let (mut mean, mut second) = (vec![0.0; n], Mat::zeros(n, n));
    let mut origin: Option<Vec<f64>> = None;
    for theta in lattice(process, &best, &free)? {
        let mut pairs = theta.iter().zip(&bounds);
        let inside = pairs.all(|(t, [low, high])| low <= t && t <= high);
        // exp(log c) may differ from c in its last digit: the middle is the fit
        let kernel = if theta == best {
            fitted.kernel.clone()
        } else if inside {
            SquaredExponential::from_log(&theta)?
        } else {
            continue;
        };
        // the lattice may reach kernels that are singular: they have no likelihood
        let Ok(state) = GridState::new(process, &kernel) else {
            continue;
        };
        let weight = (state.log_marginal(process) - fitted.log_marginal).exp();
        if weight >= NEGLIGIBLE {
            let (own_mean, root) = state.mean_and_root(&kernel);
            weights += weight;
            kernels += 1;
            for (sum, t) in logarithms.iter_mut().zip(&theta) {
                sum[0] += weight * t;
                sum[1] += weight * t * t;
            }
            add_square(second.as_mut(), weight, root.as_ref());
            let origin = origin.get_or_insert_with(|| own_mean.clone());
            let shift = own_mean.iter().zip(origin).map(|(m, o)| m - *o);
            let shift: Vec<f64> = shift.collect();
            add_square(second.as_mut(), weight, column(&shift).as_ref());
            for (sum, s) in mean.iter_mut().zip(&shift) {
                *sum += weight * s;
            }
        }
    }
    let shift: Vec<f64> = mean.iter().map(|m| m / weights).collect();
    let origin = origin.expect("the fitted kernel takes part");
    let mut covariance = Mat::from_fn(n, n, |i, j| second[(i, j)] / weights - shift[i] * shift[j]);
    mirror(&mut covariance);
    let mean = origin.iter().zip(&shift).map(|(o, s)| o + s).collect();
    let kernel = &fitted.kernel;
    let posterior = Posterior::from_covariance(mean, covariance, kernel.amplitude())
        .map_err(|jitter| process.singular(kernel, jitter))?;
    let moments = |[first, second]: [f64; 2]| {
        let mean = first / weights;
        [mean, (second / weights - mean * mean).max(0.0).sqrt()]
    };
    Ok(Averaged {
        posterior,
        kernels,
        log_parameters: logarithms.into_iter().map(moments).collect(),
    })
}

/// Points around `best` along the eigenvectors of the Hessian of -log p.
fn lattice(
    process: &GridProcess,
    best: &[f64],
    free: &[usize],
) -> Result<Vec<Vec<f64>>, ProcessError> {
    let d = free.len();
    if d == 0 {
        return Ok(vec![best.to_vec()]);
    }
    let mut hessian = Mat::<f64>::zeros(d, d);
    for (a, k) in free.iter().enumerate() {
        let gradient = |step: f64| {
            let mut theta = best.to_vec();
            theta[*k] += step;
            let kernel = SquaredExponential::from_log(&theta)?;
            Ok::<_, ProcessError>(process.log_marginal(&kernel)?.gradient)
        };
        let (up, down) = (gradient(STEP)?, gradient(-STEP)?);
        for (b, l) in free.iter().enumerate() {
            let second = (down[*l] - up[*l]) / (2.0 * STEP);
            hessian[(a, b)] += 0.5 * second;
            hessian[(b, a)] += 0.5 * second;
        }
    }
    let Ok(eigen) = hessian.self_adjoint_eigen(Side::Lower) else {
        return Ok(vec![best.to_vec()]);
    };
    let step = |a| LONGEST.min(1.0 / eigen.S()[a].max(0.0).sqrt());
    let steps: Vec<f64> = (0..d).map(step).collect();
    let side = (2 * REACH + 1) as usize;
    let points = (0..side.pow(d as u32)).map(|code| {
        let mut theta = best.to_vec();
        for (a, step) in steps.iter().enumerate() {
            let along = (code / side.pow(a as u32) % side) as i32 - REACH;
            for (b, k) in free.iter().enumerate() {
                theta[*k] += f64::from(along) * step * eigen.U()[(b, a)];
            }
        }
        theta
    });
    Ok(points.collect())
}
