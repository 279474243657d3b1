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

mod lbfgsb;
#[cfg(test)]
mod tests;

use crate::NumericsError;

/// An interval a parameter; infinite ends are allowed, and equal ends fix it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Bounds {
    /// Checks bounds. Fails if lengths differ or an interval is empty or NaN.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self, NumericsError> {
        check_length("upper bounds", upper.len(), lower.len())?;
        for (index, (l, u)) in lower.iter().copied().zip(upper.iter().copied()).enumerate() {
            // an end at the wrong infinity leaves no point
            let empty = l.is_nan() || u.is_nan() || l > u;
            if empty || l == f64::INFINITY || u == f64::NEG_INFINITY {
                return NumericsError::other(format!(
                    "parameter {index}: bounds {l} and {u} leave nothing; lower <= upper is needed"
                ));
            }
        }
        Ok(Self { lower, upper })
    }

    /// No bounds on `parameters` parameters.
    pub fn none(parameters: usize) -> Self {
        Self {
            lower: vec![f64::NEG_INFINITY; parameters],
            upper: vec![f64::INFINITY; parameters],
        }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.lower.len()
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    /// Lower ends.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper ends.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// Largest component of `x - P(x - gradient)`, P the projection into the
    /// bounds: zero at a minimum, on a bound or not.
    pub fn projected_gradient(&self, point: &[f64], gradient: &[f64]) -> f64 {
        let component = |i: usize| {
            let moved = (point[i] - gradient[i]).clamp(self.lower[i], self.upper[i]);
            (point[i] - moved).abs()
        };
        (0..self.len()).map(component).fold(0.0, f64::max)
    }
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
    pub fn best(&self) -> &Minimum {
        &self.minima[self.best]
    }

    /// Starts that converged.
    pub fn converged(&self) -> usize {
        self.minima.iter().filter(|m| m.converged()).count()
    }
}

/// Minimises `function` within `bounds` from one start, which is moved into the
/// bounds first. `function(x, gradient)` returns its value and writes its gradient.
/// Fails if the lengths, the start or the settings are unusable; whatever happens
/// later is an [`Outcome`].
pub fn minimise(
    function: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: &[f64],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Result<Minimum, NumericsError> {
    let all = minimise_from(function, &[start.to_vec()], bounds, settings)?;
    Ok(all.minima.into_iter().next().expect("one start, one end"))
}

/// [`minimise`] from every start. Fails as that does, and without any start.
pub fn minimise_from(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    starts: &[Vec<f64>],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Result<MultiStart, NumericsError> {
    check(starts, bounds, settings)?;
    let minima = starts.iter();
    let minima = minima.map(|start| lbfgsb::descend(&mut function, start, bounds, settings));
    let minima: Vec<Minimum> = minima.collect();
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
) -> Result<(), NumericsError> {
    let tolerance = settings.gradient_tolerance;
    if starts.is_empty() {
        return NumericsError::other("no start; at least one is needed".to_owned());
    }
    for (start, point) in starts.iter().enumerate() {
        check_length("a start", point.len(), bounds.len())?;
        if let Some(index) = point.iter().position(|v| !v.is_finite()) {
            return NumericsError::other(format!(
                "start {start}, parameter {index}: {} is not a finite number",
                point[index]
            ));
        }
    }
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return NumericsError::other(format!(
            "gradient_tolerance is {tolerance}; a finite number above 0 is needed"
        ));
    }
    if settings.memory == 0 {
        return NumericsError::other("memory is 0; at least 1 is needed".to_owned());
    }
    Ok(())
}

fn check_length(what: &str, found: usize, expected: usize) -> Result<(), NumericsError> {
    if found == expected {
        return Ok(());
    }
    NumericsError::other(format!(
        "{what} has {found} values; the function has {expected} parameters"
    ))
}
