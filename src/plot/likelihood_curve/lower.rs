//! The lower panel of a likelihood curve: differences to a reference curve.

use super::super::axes::{Axis, Scale};
use super::super::canvas::Canvas;
use super::super::panel::Panel;
use super::{LikelihoodCurve, draw_line, is_finite, look};

/// How far the axis reaches beyond the outermost number on it.
const REACH_BEYOND: f64 = 1.1;

impl LikelihoodCurve {
    /// Differences to the reference, where the main panel shows the curve.
    pub(super) fn lower_panel(
        &self,
        canvas: &mut Canvas,
        x: Axis,
        pixels: (f64, f64),
        (reference, t_high): (usize, f64),
    ) {
        let base = &self.curves[reference].points;
        let difference = |&(x, t): &(f64, f64)| match t <= t_high {
            true => (x, t - interpolate(base, x)),
            false => (x, f64::NAN),
        };
        let differences: Vec<Vec<(f64, f64)>> = self
            .curves
            .iter()
            .map(|curve| curve.points.iter().map(difference).collect())
            .collect();
        let sizes = differences.iter().flatten().map(|(_, d)| d.abs());
        let reach = sizes.filter(|d| d.is_finite()).fold(0.0, f64::max);
        let reach = REACH_BEYOND * round_up(reach);
        let panel = Panel {
            x,
            y: Axis::new(Scale::Linear, -reach, reach, pixels),
        };
        panel.clipped(canvas, |canvas| {
            panel.level(canvas, 0.0, look(reference));
            let others = differences.iter().enumerate().rev();
            for (index, points) in others.filter(|(index, _)| *index != reference) {
                draw_line(canvas, &panel, points, look(index));
            }
        });
        panel.frame(canvas, Some(&self.x_label), "t − t_{ref}");
    }
}

/// A curve at `x` by the parabola through the three nearest points, which is
/// exact for a quadratic likelihood; not a number outside its points and in
/// gaps that failed fits leave.
pub(super) fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let covers = |run: &&[(f64, f64)]| {
        run.iter().any(|(at, _)| *at <= x) && run.iter().any(|(at, _)| *at >= x)
    };
    let mut runs = points.split(|point| !is_finite(*point));
    let Some(run) = runs.find(covers) else {
        return f64::NAN;
    };
    let mut near = run.to_vec();
    near.sort_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs()));
    near.dedup_by(|a, b| a.0 == b.0);
    near.truncate(3);
    let term = |i: usize| {
        let others = (0..near.len()).filter(|j| *j != i);
        let weight = |j: usize| (x - near[j].0) / (near[i].0 - near[j].0);
        near[i].1 * others.map(weight).product::<f64>()
    };
    (0..near.len()).map(term).sum()
}

/// The next round number that a short axis about zero can be labelled for; 1 for zero.
fn round_up(size: f64) -> f64 {
    if size <= 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(size.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0].map(|factor| factor * decade);
    steps.into_iter().find(|step| *step >= size).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parabolas_are_interpolated_exactly() {
        let parabola = |x: f64| 3.0 * (x - 0.3) * (x - 0.3);
        let points: Vec<(f64, f64)> = (0..6)
            .map(|i| f64::from(i) * 0.4 - 1.0)
            .map(|x| (x, parabola(x)))
            .collect();
        for x in [-1.0, -0.37, 0.2, 1.0] {
            assert!((interpolate(&points, x) - parabola(x)).abs() < 1e-12, "{x}");
        }
        assert!(interpolate(&points, 1.1).is_nan() && interpolate(&[], 0.0).is_nan());
        // Nothing is read off between two points with a failed one between them.
        let failed = [(0.0, 0.0), (0.5, f64::NAN), (1.0, 1.0), (2.0, 2.0)];
        assert!(interpolate(&failed, 0.7).is_nan());
        assert_eq!(interpolate(&failed, 1.5), 1.5);
        assert_eq!(interpolate(&[(1.0, 2.0)], 1.0), 2.0);
    }

    #[test]
    fn round_numbers_are_not_below() {
        for (size, round) in [
            (0.0, 1.0),
            (0.1, 0.1),
            (3.1, 5.0),
            (0.06, 0.08),
            (170.0, 200.0),
        ] {
            assert!((round_up(size) / round - 1.0).abs() < 1e-12, "{size}");
        }
    }
}
