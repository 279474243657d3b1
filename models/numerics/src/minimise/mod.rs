//! Bounded minimisation of smooth functions, from one or from many starts.
//!
//! The algorithm is L-BFGS-B 3.0 (Byrd, Lu, Nocedal and Zhu, SIAM J. Sci.
//! Comput. 16 (1995) 1190; Morales and Nocedal, ACM TOMS 38 (2011) 7), as the
//! crate `basin` has it. Added here are what a fit needs around it: an outcome
//! that rests on the projected gradient and on nothing else, walls (a value or
//! a gradient that is not finite makes the line search turn back, whatever the
//! function meant by it), and the choice among several starts.
//!
//! Same function, same start, same numbers: nothing here is random or threaded.

mod bounds;
mod lbfgsb;
#[cfg(test)]
mod tests;

pub use bounds::Bounds;

use lbfgsb::descend;
use thiserror::Error;

/// A minimisation that cannot be asked for.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum MinimiseError {
    /// Bounds, starts or settings of different lengths.
    #[error("{what} has {found} values; the function has {expected} parameters")]
    Length {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    /// An empty interval.
    #[error(
        "parameter {index}: bounds {lower} and {upper} leave nothing; lower <= upper is needed"
    )]
    Bounds {
        index: usize,
        lower: f64,
        upper: f64,
    },
    /// A start that is not a point.
    #[error("start {start}, parameter {index}: {value} is not a finite number")]
    Start {
        start: usize,
        index: usize,
        value: f64,
    },
    #[error("no start; at least one is needed")]
    NoStart,
    /// A setting out of range.
    #[error("{name} is {value}; {expected} is needed")]
    Setting {
        name: &'static str,
        value: f64,
        expected: &'static str,
    },
}

/// How long and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinimiseSettings {
    /// A minimum has a projected gradient below this, in the function's units a
    /// unit of the parameter. For a log-likelihood in parameters of order one,
    /// 1e-5 leaves it about 1e-10 above its minimum.
    pub gradient_tolerance: f64,
    /// Iterations of one start.
    pub max_iterations: u64,
    /// Pairs of step and change of gradient that stand for the Hessian.
    pub memory: usize,
}

impl Default for MinimiseSettings {
    fn default() -> Self {
        Self {
            gradient_tolerance: 1e-5,
            max_iterations: 200,
            memory: 10,
        }
    }
}

/// How a minimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The projected gradient is below its tolerance.
    Converged,
    /// No lower point was found although the projected gradient is above its
    /// tolerance: rounding, a gradient that is not the function's, or a wall.
    Stalled,
    /// The iterations were used up.
    IterationLimit,
    /// The function is not finite at the start.
    StartNotFinite,
}

/// Where one start led.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The point.
    pub point: Vec<f64>,
    /// The function there; NaN after [`Outcome::StartNotFinite`].
    pub value: f64,
    /// Largest component of the projected gradient there.
    pub projected_gradient: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Iterations.
    pub iterations: u64,
    /// Evaluations of function and gradient.
    pub evaluations: u64,
}

impl Minimum {
    /// Whether it is a minimum, by its gradient.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.outcome == Outcome::Converged
    }
}

/// Where all starts led.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStart {
    /// One a start, in their order.
    pub minima: Vec<Minimum>,
    best: usize,
}

impl MultiStart {
    /// The lowest; among those that agree to 1e-8 (relative, absolute below
    /// one), the first that converged.
    #[must_use]
    pub fn best(&self) -> &Minimum {
        &self.minima[self.best]
    }

    /// Starts that converged.
    #[must_use]
    pub fn converged(&self) -> usize {
        self.minima.iter().filter(|m| m.converged()).count()
    }
}

/// Minimises `function` within `bounds` from one start, which is moved into
/// the bounds first. `function(x, gradient)` returns its value and writes its
/// gradient.
///
/// # Errors
/// [`MinimiseError`] if the lengths, the start or the settings are unusable;
/// whatever happens later is an [`Outcome`].
pub fn minimise<F>(
    function: F,
    start: &[f64],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Result<Minimum, MinimiseError>
where
    F: FnMut(&[f64], &mut [f64]) -> f64,
{
    let all = minimise_from(function, &[start.to_vec()], bounds, settings)?;
    Ok(all.minima.into_iter().next().expect("one start, one end"))
}

/// [`minimise`] from every start.
///
/// # Errors
/// [`MinimiseError`] as there, and without any start.
pub fn minimise_from<F>(
    mut function: F,
    starts: &[Vec<f64>],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Result<MultiStart, MinimiseError>
where
    F: FnMut(&[f64], &mut [f64]) -> f64,
{
    check(starts, bounds, settings)?;
    let minima: Vec<Minimum> = starts
        .iter()
        .map(|start| descend(&mut function, start, bounds, settings))
        .collect();
    let lowest = minima.iter().map(|m| m.value).fold(f64::INFINITY, f64::min);
    let near = lowest + 1e-8 * lowest.abs().max(1.0);
    let best = minima
        .iter()
        .position(|m| m.converged() && m.value <= near)
        .or_else(|| minima.iter().position(|m| m.value == lowest))
        .unwrap_or(0);
    Ok(MultiStart { minima, best })
}

fn check(
    starts: &[Vec<f64>],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Result<(), MinimiseError> {
    if starts.is_empty() {
        return Err(MinimiseError::NoStart);
    }
    for (start, point) in starts.iter().enumerate() {
        if point.len() != bounds.len() {
            return Err(MinimiseError::Length {
                what: "a start",
                found: point.len(),
                expected: bounds.len(),
            });
        }
        if let Some(index) = point.iter().position(|v| !v.is_finite()) {
            return Err(MinimiseError::Start {
                start,
                index,
                value: point[index],
            });
        }
    }
    let tolerance = settings.gradient_tolerance;
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return Err(MinimiseError::Setting {
            name: "gradient_tolerance",
            value: tolerance,
            expected: "a finite number above 0",
        });
    }
    if settings.memory == 0 {
        return Err(MinimiseError::Setting {
            name: "memory",
            value: 0.0,
            expected: "at least 1",
        });
    }
    Ok(())
}
