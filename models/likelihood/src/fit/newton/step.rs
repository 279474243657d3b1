//! One step: the quadratic model minimised within a radius and the bounds.

use super::place::Place;
use crate::fit::matrix::{LARGE, cholesky, dot, eigen, forward, length, solve, solve_positive};
use sideband_numerics::minimise::Bounds;

/// Eigenvalues of the scaled Hessian above minus this are flat, not negative.
const FLAT: f64 = 1e-9;

/// Numbers that every step writes anew.
pub(super) struct Workspace {
    /// Conditional standard deviations, `[n]`.
    pub(super) scale: Vec<f64>,
    /// Where the step leads, `[n]`.
    pub(super) target: Vec<f64>,
    /// The step, `[n]`.
    pub(super) step: Vec<f64>,
    /// Change of the gradient, `[n]`.
    pub(super) change: Vec<f64>,
    /// Hessian times step, `[n]`.
    pub(super) bent: Vec<f64>,
    /// Parameters that the step may move.
    free: Vec<usize>,
    /// Scaled Hessian of the free parameters, and its factor.
    matrix: Vec<f64>,
    /// Scaled step of the free parameters.
    scaled: Vec<f64>,
}

impl Workspace {
    /// For `n` parameters.
    pub(super) fn new(n: usize) -> Self {
        let zeros = || vec![0.0; n];
        Self {
            scale: zeros(),
            target: zeros(),
            step: zeros(),
            change: zeros(),
            bent: zeros(),
            free: Vec::with_capacity(n),
            matrix: vec![0.0; n * n],
            scaled: Vec::with_capacity(n),
        }
    }
}

/// A step whose end is in [`Workspace::target`].
pub(super) struct Step {
    /// Decrease of the value that the model promises.
    pub(super) decrease: f64,
    /// Its length in conditional standard deviations.
    pub(super) length: f64,
    /// Whether the Hessian of the free parameters has a negative eigenvalue.
    pub(super) negative_curvature: bool,
}

/// Conditional standard deviations `1 / sqrt(H_ii)`, at most the distance of the
/// bounds; that distance, or one, where the curvature is not positive.
pub(in crate::fit) fn scales(place: &Place, bounds: &Bounds, scale: &mut [f64]) {
    let n = place.point.len();
    for (i, scale) in scale.iter_mut().enumerate() {
        let range = bounds.upper()[i] - bounds.lower()[i];
        let range = if range > 0.0 { range } else { f64::INFINITY };
        let curvature = place.hessian[i * n + i];
        *scale = if curvature > 0.0 {
            range.min(1.0 / curvature.sqrt())
        } else {
            range.min(1.0)
        };
    }
}

/// Largest component of the scaled `x - P(x - gradient)`, P the projection into
/// the bounds.
pub(super) fn projected(place: &Place, bounds: &Bounds, scale: &[f64]) -> f64 {
    (0..place.point.len())
        .map(|i| {
            let (x, s) = (place.point[i], scale[i]);
            let moved = x - place.gradient[i] * s * s;
            if moved < bounds.lower()[i] {
                (x - bounds.lower()[i]) / s
            } else if moved > bounds.upper()[i] {
                (bounds.upper()[i] - x) / s
            } else {
                // without x, whose rounding may exceed the step
                place.gradient[i].abs() * s
            }
        })
        .fold(0.0, f64::max)
}

/// `value + g . p + p . H p / 2` about a place.
pub(super) struct Model<'a> {
    place: &'a Place,
    bounds: &'a Bounds,
    n: usize,
}

impl<'a> Model<'a> {
    pub(super) fn new(place: &'a Place, bounds: &'a Bounds) -> Self {
        let n = place.point.len();
        Self { place, bounds, n }
    }

    /// A step of the model to about its minimum. Parameters that would leave their
    /// bounds are put there and the others solved again; where that was needed,
    /// a step along the projected gradient is taken if it is better.
    pub(super) fn minimise(&self, work: &mut Workspace, radius: f64) -> Step {
        self.free_parameters(&mut work.free);
        work.step.fill(0.0);
        let mut negative_curvature = false;
        let mut bounded = false;
        while !work.free.is_empty() {
            let negative = self.solve_free(work, radius);
            // of all free parameters, before any was put on its bound
            negative_curvature |= negative && !bounded;
            if !self.put_on_bounds(work) {
                break;
            }
            bounded = true;
        }
        let mut decrease = self.decrease(&work.step, &mut work.bent);
        if bounded {
            decrease = self.or_along_gradient(work, radius, decrease);
        }
        for i in 0..self.n {
            work.target[i] = (self.place.point[i] + work.step[i])
                .clamp(self.bounds.lower()[i], self.bounds.upper()[i]);
            work.change[i] = work.step[i] / work.scale[i];
        }
        Step {
            decrease,
            length: length(&work.change),
            negative_curvature,
        }
    }

    /// Those that are not held: by equal bounds, or on a bound by the gradient.
    fn free_parameters(&self, free: &mut Vec<usize>) {
        free.clear();
        free.extend((0..self.n).filter(|&i| {
            let (x, g) = (self.place.point[i], self.place.gradient[i]);
            let (lower, upper) = (self.bounds.lower()[i], self.bounds.upper()[i]);
            lower < upper && !(x <= lower && g >= 0.0) && !(x >= upper && g <= 0.0)
        }));
    }

    /// Solves for the free parameters, the others' steps given. Says whether the
    /// Hessian among them has negative curvature.
    fn solve_free(&self, work: &mut Workspace, radius: f64) -> bool {
        let m = work.free.len();
        self.gather(work);
        let solved = solve_positive(&mut work.matrix[..m * m], m, &mut work.scaled)
            && length(&work.scaled) <= radius;
        let negative = !solved && {
            // the factor has replaced the matrix
            self.gather(work);
            within_radius(&work.matrix[..m * m], m, &mut work.scaled, radius)
        };
        for (&i, y) in work.free.iter().zip(&work.scaled) {
            work.step[i] = y * work.scale[i];
        }
        negative
    }

    /// Scaled Hessian and negative gradient of the free parameters.
    fn gather(&self, work: &mut Workspace) {
        let Workspace {
            scale,
            step,
            free,
            matrix,
            scaled,
            ..
        } = work;
        let m = free.len();
        for (a, &i) in free.iter().enumerate() {
            step[i] = 0.0;
            for (b, &j) in free.iter().enumerate() {
                matrix[a * m + b] = self.place.hessian[i * self.n + j] * scale[i] * scale[j];
            }
        }
        scaled.clear();
        scaled.extend(free.iter().map(|&i| {
            let row = &self.place.hessian[i * self.n..(i + 1) * self.n];
            -(self.place.gradient[i] + dot(row, step)) * scale[i]
        }));
    }

    /// Puts free parameters that the step leads out of their bounds on them; says
    /// whether there were any.
    fn put_on_bounds(&self, work: &mut Workspace) -> bool {
        let before = work.free.len();
        let (step, place) = (&mut work.step, self.place);
        work.free.retain(|&i| {
            let end = place.point[i] + step[i];
            let (lower, upper) = (self.bounds.lower()[i], self.bounds.upper()[i]);
            if end < lower {
                step[i] = lower - place.point[i];
            } else if end > upper {
                step[i] = upper - place.point[i];
            } else {
                return true;
            }
            false
        });
        work.free.len() < before
    }

    /// Decrease that the model promises for a step; `bent` becomes `H p`.
    fn decrease(&self, step: &[f64], bent: &mut [f64]) -> f64 {
        for (bent, row) in bent.iter_mut().zip(self.place.hessian.chunks_exact(self.n)) {
            *bent = dot(row, step);
        }
        -dot(&self.place.gradient, step) - 0.5 * dot(bent, step)
    }

    /// Replaces the step by one along the projected gradient, halved until the
    /// model falls by a part of what the gradient alone promises, if that is better.
    fn or_along_gradient(&self, work: &mut Workspace, radius: f64, decrease: f64) -> f64 {
        let steepest = (0..self.n)
            .map(|i| (self.place.gradient[i] * work.scale[i]).powi(2))
            .sum::<f64>()
            .sqrt();
        let mut along = (radius / steepest).min(1.0);
        for _ in 0..30 {
            for i in 0..self.n {
                let moved =
                    self.place.point[i] - along * self.place.gradient[i] * work.scale[i].powi(2);
                work.change[i] = moved.clamp(self.bounds.lower()[i], self.bounds.upper()[i])
                    - self.place.point[i];
            }
            let found = self.decrease(&work.change, &mut work.bent);
            if found >= -0.1 * dot(&self.place.gradient, &work.change) {
                if found > decrease {
                    work.step.copy_from_slice(&work.change);
                    return found;
                }
                break;
            }
            along *= 0.5;
        }
        decrease
    }
}

/// Factors of a matrix that a step within a radius may take.
const SHIFTS: usize = 30;
/// A step may be longer than the radius by this factor before it is cut.
const ABOUT: f64 = 1.001;

/// The minimum of `y . M y / 2 - r . y` within `|y| <= radius` for a matrix `[m, m]` without
/// negative curvature, by Newton's method for the shift of its diagonal (More and Sorensen,
/// SIAM J. Sci. Stat. Comput. 4 (1983) 553); `r` is replaced by it. False, and `r` is as it
/// was, if there is negative curvature.
fn within_radius_by_shifts(matrix: &[f64], m: usize, r: &mut [f64], radius: f64) -> bool {
    let mut factor = vec![0.0; m * m];
    let is_factored = |shift: f64, factor: &mut [f64]| {
        factor.copy_from_slice(matrix);
        factor.iter_mut().step_by(m + 1).for_each(|x| *x += shift);
        cholesky(factor, m)
    };
    let mut shift = 0.0;
    if !is_factored(shift, &mut factor) {
        shift = FLAT;
        if !is_factored(shift, &mut factor) {
            return false;
        }
    }
    for _ in 0..SHIFTS {
        let mut y = r.to_vec();
        solve(&factor, m, &mut y);
        let size = length(&y);
        if size <= ABOUT * radius {
            let shrink = (radius / size).min(1.0);
            r.iter_mut().zip(y).for_each(|(r, y)| *r = y * shrink);
            return true;
        }
        forward(&factor, m, &mut y);
        shift += (size / length(&y)).powi(2) * (size - radius) / radius;
        if !is_factored(shift, &mut factor) {
            return false;
        }
    }
    false
}

/// The minimum of `y . M y / 2 - r . y` within `|y| <= radius`, by the eigen
/// decomposition of M `[m, m]`, where that is large without it; `r` is replaced by it. True
/// if M has a negative eigenvalue.
fn within_radius(matrix: &[f64], m: usize, r: &mut [f64], radius: f64) -> bool {
    if m >= LARGE && within_radius_by_shifts(matrix, m, r, radius) {
        return false;
    }
    let Some(eigen) = eigen(matrix, m) else {
        let shrink = (radius / length(r)).min(1.0);
        r.iter_mut().for_each(|r| *r *= shrink);
        return false;
    };
    let along: Vec<f64> = eigen.vectors.iter().map(|v| dot(v, r)).collect();
    let lowest = eigen.values[0];
    let negative = lowest < -FLAT;
    let component = |k: usize, shift: f64| {
        let curvature = eigen.values[k] + shift;
        // along a flat direction without slope there is nowhere to go
        if curvature < FLAT && along[k].abs() < FLAT {
            0.0
        } else {
            along[k] / curvature.max(f64::EPSILON)
        }
    };
    let size = |shift: f64| {
        (0..m)
            .map(|k| component(k, shift).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let mut low = (-lowest).max(0.0);
    let mut high = low + length(&along) / radius;
    if size(low) > radius {
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if size(middle) > radius {
                low = middle;
            } else {
                high = middle;
            }
        }
    } else {
        high = low;
    }
    let mut y: Vec<f64> = (0..m).map(|k| component(k, high)).collect();
    if negative && high == low {
        // the slope does not lead along the negative curvature: either way does
        let rest = (radius.powi(2) - dot(&y, &y)).max(0.0).sqrt();
        y[0] += if along[0] < 0.0 { -rest } else { rest };
    }
    r.fill(0.0);
    for (y, vector) in y.iter().zip(&eigen.vectors) {
        for (r, v) in r.iter_mut().zip(vector) {
            *r += y * v;
        }
    }
    negative
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;

    #[test]
    fn steps_within_a_radius_are_the_same_by_both_ways() {
        let m = 60;
        // correlated neighbours, one direction that is almost flat
        let entry = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 1.0,
            1 if i.min(j) == 0 => 0.999_9,
            1 => 0.01,
            _ => 0.0,
        };
        let matrix: Vec<f64> = (0..m * m).map(|k| entry(k / m, k % m)).collect();
        let r: Vec<f64> = (0..m).map(|i| (1.7 * i as f64).sin()).collect();
        for radius in [0.1, 2.0, 30.0, 1e6] {
            let mut by_shifts = r.clone();
            assert!(within_radius_by_shifts(&matrix, m, &mut by_shifts, radius));
            let mut exact = r.clone();
            solve_positive(&mut matrix.clone(), m, &mut exact);
            let whole = length(&exact);
            assert!(length(&by_shifts) <= radius * (1.0 + 1e-12));
            assert!(length(&by_shifts) >= radius.min(whole) / ABOUT);
            if whole <= radius {
                for (a, b) in by_shifts.iter().zip(&exact) {
                    assert_near(a, b, 1e-9 * whole);
                }
            } else {
                // residual and step point the same way: r - M y = shift y
                let moved: Vec<f64> = (0..m)
                    .map(|i| r[i] - dot(&matrix[i * m..(i + 1) * m], &by_shifts))
                    .collect();
                let cosine = dot(&moved, &by_shifts) / length(&moved) / length(&by_shifts);
                assert!(cosine > 0.999, "{radius}: {cosine}");
            }
        }
        let mut negative = matrix;
        negative[0] = -1.0;
        let mut kept = r.clone();
        assert!(!within_radius_by_shifts(&negative, m, &mut kept, 1.0));
        assert_eq!(kept, r);
        assert!(within_radius(&negative, m, &mut kept, 1.0));
    }
}
