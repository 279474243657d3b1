//! A smooth line through points, cubic between two of them.
//!
//! The slope at a point is that of the parabola through it and its neighbours, limited so that
//! the line rises and falls only where the points do (Fritsch and Carlson, SIAM J. Numer. Anal.
//! 17 (1980) 238): its minima and maxima are points. A parabola whose minimum is one of them is
//! drawn as it is.

pub(super) const FEWEST: usize = 5; // fewest points that tell how a line bends between them
const PIECES: usize = 8; // straight pieces of the line between two points

type Point = (f64, f64);

/// Points without a gap: those between points that are not finite.
pub(super) fn runs(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    let runs = points.split(|(x, y)| !(x.is_finite() && y.is_finite()));
    runs.filter(|run| !run.is_empty())
}

/// The line through a run of points, which are on it; straight between few, or some that do not
/// rise.
pub(super) fn through(run: &[Point]) -> Vec<Point> {
    let Some(slopes) = slopes(run) else {
        return run.to_vec();
    };
    let piece = |k: usize| {
        let (from, to) = (run[k].0, run[k + 1].0);
        let x = move |part: usize| from + (to - from) * part as f64 / PIECES as f64;
        let inner = (1..PIECES).map(x).map(|x| (x, cubic(run, &slopes, k, x)));
        std::iter::once(run[k]).chain(inner.collect::<Vec<_>>())
    };
    let all = (0..run.len() - 1).flat_map(piece);
    all.chain(run.last().copied()).collect()
}

/// The line at `x`; not a number outside its points and in gaps between them.
pub(super) fn at(points: &[Point], x: f64) -> f64 {
    let value = |run: &[Point]| {
        let above = run.partition_point(|point| point.0 < x);
        let next = run.get(above)?;
        if next.0 == x {
            return Some(next.1);
        }
        let before = run.get(above.checked_sub(1)?)?;
        match slopes(run) {
            Some(slopes) => Some(cubic(run, &slopes, above - 1, x)),
            None => Some(before.1 + (next.1 - before.1) * (x - before.0) / (next.0 - before.0)),
        }
    };
    runs(points).find_map(value).unwrap_or(f64::NAN)
}

/// Slopes at rising points; none where they are few.
fn slopes(run: &[Point]) -> Option<Vec<f64>> {
    let widths: Vec<f64> = run.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let rises = widths.iter().all(|width| *width > 0.0 && width.is_finite());
    if run.len() < FEWEST || !rises {
        return None;
    }
    let pairs = run.windows(2).zip(&widths);
    let secants: Vec<f64> = pairs.map(|(p, width)| (p[1].1 - p[0].1) / width).collect();
    let end = |first: usize, second: usize| {
        let part = widths[first] / (widths[first] + widths[second]);
        let slope = secants[first] + part * (secants[first] - secants[second]);
        limited(slope, [secants[first]; 2])
    };
    let between = |k: usize| {
        let weighted = widths[k + 1] * secants[k] + widths[k] * secants[k + 1];
        let slope = weighted / (widths[k] + widths[k + 1]);
        limited(slope, [secants[k], secants[k + 1]])
    };
    let last = secants.len() - 1;
    let inner = (0..last).map(between);
    let slopes: Vec<f64> = std::iter::once(end(0, 1))
        .chain(inner)
        .chain([end(last, last - 1)])
        .collect();
    let is_finite = slopes.iter().all(|slope| slope.is_finite());
    is_finite.then_some(slopes)
}

/// A slope with which no line turns beside a point, for the secants on both of its sides.
fn limited(slope: f64, [before, after]: [f64; 2]) -> f64 {
    let steepest = 3.0 * before.abs().min(after.abs());
    match before * after > 0.0 && slope * before > 0.0 {
        true => slope.signum() * slope.abs().min(steepest),
        false => 0.0,
    }
}

/// Hermite's cubic between the k-th point and the next.
fn cubic(run: &[Point], slopes: &[f64], k: usize, x: f64) -> f64 {
    let ((from, low), (to, high)) = (run[k], run[k + 1]);
    let width = to - from;
    let (t, left) = ((x - from) / width, (to - x) / width);
    left * left * ((1.0 + 2.0 * t) * low + t * width * slopes[k])
        + t * t * ((1.0 + 2.0 * left) * high - left * width * slopes[k + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let xs = (0..values.len()).map(|x| x as f64);
        xs.zip(values.iter().copied()).collect()
    }

    /// Whether a line rises, from one turn to the next.
    fn turns(points: &[Point]) -> Vec<bool> {
        let mut steps: Vec<f64> = points.windows(2).map(|p| p[1].1 - p[0].1).collect();
        steps.retain(|step| step.abs() > 1e-12);
        let mut rises: Vec<bool> = steps.iter().map(|step| *step > 0.0).collect();
        rises.dedup();
        rises
    }

    #[test]
    fn a_line_passes_through_its_points_and_turns_only_where_they_do() {
        for values in [
            &[9.0, 4.0, 1.0, 0.0, 1.0, 4.0, 9.0][..],
            &[4.0, 1.0, 0.0, 0.0, 0.0, 0.1, 12.0],
            &[12.0, 0.1, 0.0, 5.0, 5.0, 5.1, 40.0],
            &[4.0, 0.5, 0.4, 0.41, 0.3, 0.0, 3.0],
            &[0.0, 0.0, 7.0, 7.0, 7.0],
            &[3.0, 0.0, 900.0],
            &[0.0, 1.0, 0.0, 1.0, 0.0],
        ] {
            let points = points(values);
            let line = through(&points);
            let kept = points.iter().filter(|point| line.contains(point));
            assert_eq!(kept.count(), points.len(), "{values:?}");
            assert_eq!(turns(&line), turns(&points), "{values:?}");
            for (x, y) in &line {
                assert!((at(&points, *x) - y).abs() < 1e-9, "{values:?} at {x}");
            }
        }
    }

    #[test]
    fn parabolas_are_drawn_exactly() {
        let parabola = |x: f64| 3.0 * (x - 0.3) * (x - 0.3);
        let points = [-1.0, -0.7, -0.2, 0.3, 0.5, 1.0].map(|x| (x, parabola(x)));
        for x in [-1.0, -0.37, 0.2, 0.31, 1.0] {
            assert!((at(&points, x) - parabola(x)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn nothing_is_read_off_outside_of_a_run() {
        let failed = [(0.0, 0.0), (0.5, f64::NAN), (1.0, 1.0), (2.0, 2.0)];
        assert!([-0.1, 0.7, 2.1].iter().all(|x| at(&failed, *x).is_nan()));
        assert_eq!((at(&failed, 0.0), at(&failed, 1.5)), (0.0, 1.5));
        assert!(at(&[], 0.0).is_nan());
        let falling = [(2.0, 0.0), (1.0, 3.0), (0.0, 1.0)];
        assert_eq!(through(&falling), falling);
    }
}
