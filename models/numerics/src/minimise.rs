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

#[cfg(test)]
mod tests;

use crate::NumericsError;
use basin::{
    BoxBounds, ConstraintDescription, ConstraintSet, Constraints, CostFunction, Executor,
    FirstOrderState, Gradient, GradientState, Lbfgs, LineSearch, LineSearchBounds,
    LineSearchOutcome, LineSearchResult, MoreThuente, Problem, Termination,
};
use std::cell::RefCell;

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
    let minima = minima.map(|start| descend(&mut function, start, bounds, settings));
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

/// One start to its end.
fn descend(
    function: &mut dyn FnMut(&[f64], &mut [f64]) -> f64,
    start: &[f64],
    bounds: &Bounds,
    settings: &MinimiseSettings,
) -> Minimum {
    let start: Vec<f64> = (0..bounds.len())
        .map(|i| start[i].clamp(bounds.lower[i], bounds.upper[i]))
        .collect();
    let trail = RefCell::new(Trail {
        function,
        evaluations: 0,
        lowest: None,
    });
    let solver = Lbfgs::with_line_search(TurnBack(MoreThuente::new()))
        .with_m_capacity(settings.memory)
        .with_absolute_projected_gradient_tolerance(settings.gradient_tolerance);
    let run = Executor::new(
        Walled {
            trail: &trail,
            bounds,
        },
        solver,
        FirstOrderState::new(start.clone()),
    )
    .max_iter(settings.max_iterations)
    .run();

    let (end, iterations, limit) = match run {
        Ok(result) => {
            let limit = matches!(result.report.termination, Termination::Limit(_));
            let state = &result.state;
            let end = GradientState::gradient(state)
                .map(|gradient| (result.param().clone(), result.cost(), gradient.clone()));
            (end, result.iter(), limit)
        }
        // a wall outside the line search: the lowest point seen is the end
        Err(_) => (None, 0, false),
    };
    let trail = trail.into_inner();
    let Some((point, value, gradient)) = end.or(trail.lowest) else {
        return Minimum {
            point: start,
            value: f64::NAN,
            projected_gradient: f64::INFINITY,
            outcome: Outcome::StartNotFinite,
            iterations: 0,
            evaluations: trail.evaluations,
        };
    };
    let projected_gradient = bounds.projected_gradient(&point, &gradient);
    let outcome = if projected_gradient <= settings.gradient_tolerance {
        Outcome::Converged
    } else if limit {
        Outcome::IterationLimit
    } else {
        Outcome::Stalled
    };
    Minimum {
        point,
        value,
        projected_gradient,
        outcome,
        iterations,
        evaluations: trail.evaluations,
    }
}

/// The function, and what was seen of it.
struct Trail<'a> {
    function: &'a mut dyn FnMut(&[f64], &mut [f64]) -> f64,
    evaluations: u64,
    lowest: Option<(Vec<f64>, f64, Vec<f64>)>,
}

/// A value or a gradient that is not finite, and where.
#[derive(Debug)]
struct Wall(Vec<f64>);

/// The function with its bounds, in the solver's terms.
struct Walled<'a, 'f> {
    trail: &'a RefCell<Trail<'f>>,
    bounds: &'a Bounds,
}

impl Constraints for Walled<'_, '_> {
    type Set = ConstraintSet<BoxBounds<Vec<f64>>>;

    fn constraints(&self) -> <Self::Set as ConstraintDescription>::Borrowed<'_> {
        ConstraintSet::new().with_bounds(BoxBounds::new(
            Some(&self.bounds.lower),
            Some(&self.bounds.upper),
        ))
    }
}

impl CostFunction for Walled<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;
    type Error = Wall;

    fn cost(&self, point: &Vec<f64>) -> Result<f64, Wall> {
        self.cost_and_gradient(point).map(|(value, _)| value)
    }
}

impl Gradient for Walled<'_, '_> {
    type Gradient = Vec<f64>;

    fn gradient(&self, point: &Vec<f64>) -> Result<Vec<f64>, Wall> {
        self.cost_and_gradient(point).map(|(_, gradient)| gradient)
    }

    fn cost_and_gradient(&self, point: &Vec<f64>) -> Result<(f64, Vec<f64>), Wall> {
        let mut trail = self.trail.borrow_mut();
        trail.evaluations += 1;
        let mut gradient = vec![0.0; point.len()];
        let value = (trail.function)(point, &mut gradient);
        if !value.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(Wall(point.clone()));
        }
        if trail.lowest.as_ref().is_none_or(|(_, low, _)| value < *low) {
            trail.lowest = Some((point.clone(), value, gradient.clone()));
        }
        Ok((value, gradient))
    }
}

/// The line search of L-BFGS-B, which turns back half way at a wall.
struct TurnBack(MoreThuente<f64>);

/// Half ways before a wall counts as the end: 2^-50 of a step is its rounding.
const HALF_WAYS: u32 = 50;

impl LineSearch<Walled<'_, '_>, Vec<f64>> for TurnBack {
    type Error = Wall;

    fn next(
        &mut self,
        problem: &mut Problem<Walled<'_, '_>>,
        point: &Vec<f64>,
        value: f64,
        gradient: &Vec<f64>,
        direction: &Vec<f64>,
    ) -> Result<f64, Wall> {
        LineSearch::next(&mut self.0, problem, point, value, gradient, direction)
    }

    fn next_with_bounds(
        &mut self,
        problem: &mut Problem<Walled<'_, '_>>,
        point: &Vec<f64>,
        value: f64,
        gradient: &Vec<f64>,
        direction: &Vec<f64>,
        mut steps: LineSearchBounds<f64>,
    ) -> Result<LineSearchResult<Vec<f64>, f64>, Wall> {
        for _ in 0..HALF_WAYS {
            let found = self
                .0
                .next_with_bounds(problem, point, value, gradient, direction, steps);
            let Err(Wall(at)) = found else {
                return found;
            };
            let limit = 0.5 * step_to(&at, point, direction);
            if !(limit.is_finite() && limit > 0.0) {
                break;
            }
            steps = LineSearchBounds::new(steps.initial().min(limit), limit);
        }
        Ok(LineSearchResult::new(LineSearchOutcome::Failed))
    }
}

/// The step that leads from `point` along `direction` to `at`.
fn step_to(at: &[f64], point: &[f64], direction: &[f64]) -> f64 {
    let along: f64 = (0..at.len())
        .map(|i| (at[i] - point[i]) * direction[i])
        .sum();
    along / direction.iter().map(|d| d * d).sum::<f64>()
}
