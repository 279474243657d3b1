//! One descent by L-BFGS-B, with walls.

use super::{Bounds, MinimiseSettings, Minimum, Outcome};
use basin::{
    BoxBounds, ConstraintDescription, ConstraintSet, Constraints, CostFunction, Executor,
    FirstOrderState, Gradient, GradientState, Lbfgs, LineSearch, LineSearchBounds,
    LineSearchOutcome, LineSearchResult, MoreThuente, Problem, Termination,
};
use std::cell::RefCell;

/// One start to its end.
pub(super) fn descend(
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
