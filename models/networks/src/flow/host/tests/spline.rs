//! Splines alone: nflows' numbers, round trips, tails and knots.

use super::super::reference;
use super::super::spline::{Backward, HostSpline, Map};
use super::super::tile::TILE;
use super::{normals, wide};
use serde_json::Value;
use sideband_numerics::lanes::{Arch, dispatch, instruction_sets};
use sideband_numerics::random::Key;

const EPS: f64 = f32::EPSILON as f64;

impl HostSpline {
    /// Row `i` of theta `[n, 3K - 1]`.
    fn theta<'a>(&self, theta: &'a [f32], i: usize) -> &'a [f32] {
        &theta[i * self.parameters()..][..self.parameters()]
    }

    /// y and ln dy/dx in f64.
    fn exact(&self, theta: &[f32], x: f64) -> (f64, f64) {
        reference::spline(x, &wide(theta), self.bins, self.bound, self.scale)
    }
}

/// Values of many points, each with its own theta `[n, 3K - 1]`.
struct Points {
    value: Vec<f32>,
    log_slope: Vec<f32>,
}

/// `[n, width]` rows `first..` as lanes `[width, TILE]`, the last row repeated.
fn lanes(rows: &[f32], width: usize, first: usize) -> Vec<f32> {
    let last = rows.len() / width - 1;
    let place = |i: usize| (first + i % TILE).min(last) * width + i / TILE;
    (0..width * TILE).map(|i| rows[place(i)]).collect()
}

fn map<const INVERSE: bool>(arch: Arch, spline: HostSpline, theta: &[f32], x: &[f32]) -> Points {
    let (mut value, mut log_slope) = (Vec::new(), Vec::new());
    for first in (0..x.len()).step_by(TILE) {
        let mut theta = lanes(theta, spline.parameters(), first);
        let mut x_lanes = lanes(x, 1, first);
        let mut log_det = vec![0.0; TILE];
        arch.dispatch(Map::<INVERSE> {
            spline,
            transformed: &[0],
            theta: &mut theta,
            x: &mut x_lanes,
            log_det: &mut log_det,
        });
        value.extend(x_lanes);
        log_slope.extend(log_det);
    }
    value.truncate(x.len());
    log_slope.truncate(x.len());
    Points { value, log_slope }
}

/// Gradients by x `[n]` and by theta `[n, 3K - 1]` of `by_y y + by_log ln dy/dx`.
fn backward(spline: HostSpline, theta: &[f32], x: &[f32], by: [&[f32]; 2]) -> (Vec<f32>, Vec<f32>) {
    let width = spline.parameters();
    let (mut by_x, mut by_theta) = (Vec::new(), Vec::new());
    for first in (0..x.len()).step_by(TILE) {
        let mut theta = lanes(theta, width, first);
        let mut gradient = lanes(by[0], 1, first);
        dispatch(Backward {
            spline,
            transformed: &[0],
            theta: &mut theta,
            x: &lanes(x, 1, first),
            gradient: &mut gradient,
            by_log_det: &lanes(by[1], 1, first),
        });
        by_x.extend(gradient);
        by_theta.extend((0..TILE * width).map(|i| theta[i % width * TILE + i / width]));
    }
    by_x.truncate(x.len());
    by_theta.truncate(x.len() * width);
    (by_x, by_theta)
}

/// nflows 0.14, `unconstrained_rational_quadratic_spline`.
struct Golden {
    spline: HostSpline,
    theta: Vec<f32>,
    file: Value,
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn floats(values: &Value) -> Vec<f32> {
    numbers(values).iter().map(|v| *v as f32).collect()
}

fn golden() -> [Golden; 2] {
    [
        include_str!("../../../../tests/data/golden/rqs_K4_B3.json"),
        include_str!("../../../../tests/data/golden/rqs_K8_B5.json"),
    ]
    .map(|text| {
        let file: Value = serde_json::from_str(text).unwrap();
        let bins = file["K"].as_u64().unwrap() as usize;
        let spline = HostSpline {
            bins,
            bound: file["tail_bound"].as_f64().unwrap(),
            scale: 1.0,
        };
        let parts = ["widths", "heights", "derivatives"].map(|part| floats(&file[part]));
        let n = file["x"].as_array().unwrap().len();
        let row = |i: usize| {
            let parts = parts.iter().zip([bins, bins, bins - 1]);
            parts.flat_map(move |(part, width)| part[i * width..][..width].to_vec())
        };
        let theta = (0..n).flat_map(row);
        Golden {
            spline,
            theta: theta.collect(),
            file,
        }
    })
}

#[test]
fn values_of_nflows() {
    for golden in golden() {
        let (spline, file) = (golden.spline, &golden.file);
        // the inverse has no slope of its own: that of the map at its result
        let check = |points: &Points, slopes: &Points, [x, value, log]: [&str; 3], sign: f64| {
            let [x, value, log] = [x, value, log].map(|name| numbers(&file[name]));
            for i in 0..x.len() {
                // the domain's point: for the inverse the result
                let at = if sign > 0.0 { x[i] } else { value[i] };
                let unit = Unit::of(spline, spline.theta(&golden.theta, i), at);
                let slope = (sign * unit.slope.ln()).exp();
                let error = (f64::from(points.value[i]) - value[i]).abs();
                let tolerance = 4.0 * EPS * spline.bound * (1.0 + slope);
                assert!(error <= tolerance, "{i}: {error}");
                let error = (sign * f64::from(slopes.log_slope[i]) - log[i]).abs();
                let shift = unit.bend * if sign > 0.0 { 1.0 } else { 1.0 + slope };
                let tolerance = 4.0 * EPS * (1.0 + spline.bound * (shift + unit.narrow));
                assert!(error <= tolerance, "{i}: {error} {tolerance}");
            }
        };
        for arch in instruction_sets() {
            let forward = map::<false>(arch, spline, &golden.theta, &floats(&file["x"]));
            check(
                &forward,
                &forward,
                ["x", "forward", "forward_logabsdet"],
                1.0,
            );
            let inverse = map::<true>(arch, spline, &golden.theta, &floats(&file["y"]));
            let there = map::<false>(arch, spline, &golden.theta, &inverse.value);
            check(
                &inverse,
                &there,
                ["y", "inverse", "inverse_logabsdet"],
                -1.0,
            );
        }
    }
}

/// How much a rounding of the input or of a knot changes at a point.
struct Unit {
    /// dy/dx
    slope: f64,
    /// largest |d ln(dy/dx)/dx| around the point
    bend: f64,
    /// reciprocals of width and height of the bin, added
    narrow: f64,
}

impl Unit {
    fn of(spline: HostSpline, theta: &[f32], x: f64) -> Self {
        let log = |x| spline.exact(theta, x).1;
        let bends = [-1.0, 1.0].map(|side| (log(x + side * 1e-5) - log(x)).abs() / 1e-5);
        let least = |theta: &[f64]| {
            let terms = theta.iter().map(|t| (t * spline.scale).exp());
            let (least, sum) = terms.fold((f64::MAX, 0.0), |(l, s), t| (l.min(t), s + t));
            2.0 * spline.bound * (least / sum).max(1e-3)
        };
        let theta = wide(theta);
        let (widths, heights) = theta[..2 * spline.bins].split_at(spline.bins);
        Self {
            slope: log(x).exp(),
            bend: bends[0].max(bends[1]),
            narrow: least(widths).recip() + least(heights).recip(),
        }
    }
}

#[test]
fn gradients_of_nflows() {
    for golden in golden() {
        let (spline, theta, file) = (golden.spline, &golden.theta, &golden.file);
        let x = floats(&file["x"]);
        let vjp = &file["vjp"];
        let by = [floats(&vjp["cot_output"]), floats(&vjp["cot_logabsdet"])];
        let (by_x, by_theta) = backward(spline, theta, &x, [&by[0], &by[1]]);
        let bins = spline.bins;
        let expected = ["dwidths", "dheights", "dderivatives"].map(|part| numbers(&vjp[part]));
        let mut compared = 0;
        for (i, x) in x.iter().enumerate() {
            if near_knot(spline, spline.theta(theta, i), *x) {
                continue;
            }
            let found = spline.theta(&by_theta, i);
            let (softmaxes, derivatives) = found.split_at(2 * bins);
            let found = [&softmaxes[..bins], &softmaxes[bins..], derivatives];
            let mut pairs = vec![(by_x[i], numbers(&vjp["dx"])[i])];
            for (found, expected) in found.iter().zip(&expected) {
                let row = &expected[i * found.len()..];
                pairs.extend(found.iter().copied().zip(row.iter().copied()));
            }
            let scale = pairs.iter().fold(1.0f64, |s, (_, e)| s.max(e.abs()));
            for (found, expected) in pairs {
                let error = (f64::from(found) - expected).abs();
                assert!(error <= 1e-4 * scale, "{i} at {x}: {found} for {expected}");
            }
            compared += 1;
        }
        assert!(compared > 40, "{compared}");
    }
}

/// Whether x is within 1e-5 of a knot, where either bin may receive the gradient: the
/// slope's derivative jumps there.
fn near_knot(spline: HostSpline, theta: &[f32], x: f32) -> bool {
    let log = |x| spline.exact(theta, x).1;
    let [a, b] = [-2e-5, 2e-5].map(|side| {
        let x = f64::from(x) + side;
        (log(x + 1e-6) - log(x - 1e-6)) / 2e-6
    });
    (a - b).abs() / (1.0 + a.abs()) > 0.05
}

/// Steep, flat and narrow splines, and points in, at the ends of and beyond them.
fn hard(bins: usize, n: usize) -> (HostSpline, Vec<f32>, Vec<f32>) {
    let spline = HostSpline {
        bins,
        bound: 3.0,
        scale: 1.0,
    };
    let key = Key::from_seed(3).with(bins as u64);
    let theta = normals(key, n * spline.parameters());
    let theta = theta.iter().map(|v| 3.0 * v).collect();
    let mut stream = key.with(1).stream();
    let x = (0..n).map(|i| match i % 8 {
        0 => [-3.0, 3.0, 0.0, -1e6, 1e6, 3.000_000_2, -3.000_000_2][i / 8 % 7],
        1 => (1e6 * (2.0 * stream.uniform() - 1.0)) as f32,
        _ => (6.0 * stream.uniform() - 3.0) as f32,
    });
    (spline, theta, x.collect())
}

#[test]
fn inverse_of_forward_is_the_input() {
    for bins in [2, 4, 8] {
        let (spline, theta, x) = hard(bins, 40_000);
        for arch in instruction_sets() {
            let forward = map::<false>(arch, spline, &theta, &x);
            let back = map::<true>(arch, spline, &theta, &forward.value);
            let mut inside = 0;
            for (i, x) in x.iter().copied().enumerate() {
                let y = f64::from(forward.value[i]);
                if x.abs() > 3.0 {
                    // the identity, to the bit
                    assert_eq!(forward.value[i], x);
                    assert_eq!(back.value[i], x);
                    assert_eq!(forward.log_slope[i], 0.0);
                    continue;
                }
                inside += 1;
                // knots and their distances to x and y are numbers of size B
                let slope = f64::from(forward.log_slope[i]).exp();
                let size = |v: f64| v.abs().max(spline.bound);
                let tolerance = 16.0 * EPS * (size(f64::from(x)) + size(y) / slope);
                let back = f64::from(back.value[i]);
                let is_close = (back - f64::from(x)).abs() <= tolerance;
                assert!(is_close, "{arch:?} {i}: {x} -> {y} -> {back}");
            }
            assert!(inside > 20_000);
        }
    }
}

#[test]
fn map_and_slope_agree_with_f64_and_rise() {
    for bins in [2, 4, 8] {
        let (spline, theta, x) = hard(bins, 8_000);
        let forward = map::<false>(Arch::new(), spline, &theta, &x);
        for (i, x) in x.iter().copied().enumerate() {
            let (y, _) = spline.exact(spline.theta(&theta, i), f64::from(x));
            let slope = f64::from(forward.log_slope[i]).exp();
            let tolerance = 16.0 * EPS * (y.abs().max(3.0) + slope * f64::from(x.abs().max(3.0)));
            let found = f64::from(forward.value[i]);
            let is_close = (found - y).abs() <= tolerance;
            assert!(is_close, "{i}: {x} -> {found} for {y}");
            assert!(forward.log_slope[i].is_finite());
        }
        // one spline over its whole domain
        let one = theta[..spline.parameters()].repeat(4096);
        let x: Vec<f32> = (0..4096).map(|i| -3.5 + 7.0 * i as f32 / 4095.0).collect();
        let y = map::<false>(Arch::new(), spline, &one, &x).value;
        assert!(y.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}

#[test]
fn logarithm_of_the_slope_is_that_of_differences() {
    let (spline, theta, x) = hard(4, 2_000);
    let forward = map::<false>(Arch::new(), spline, &theta, &x);
    for (i, x) in x.iter().copied().enumerate() {
        if x.abs() > 2.99 {
            continue;
        }
        let y = |x: f64| spline.exact(spline.theta(&theta, i), x).0;
        let (x, h) = (f64::from(x), 1e-7);
        let difference = ((y(x + h) - y(x - h)) / (2.0 * h)).ln();
        let found = f64::from(forward.log_slope[i]);
        let is_close = (found - difference).abs() < 2e-3;
        assert!(is_close, "{i} at {x}: {found} for {difference}");
    }
}

#[test]
fn gradient_of_a_tail_is_the_identity_and_all_are_finite() {
    for bins in [2, 4, 8] {
        let (spline, theta, x) = hard(bins, 8_000);
        let by_y = normals(Key::from_seed(8), x.len());
        let by_log = normals(Key::from_seed(9), x.len());
        let (by_x, by_theta) = backward(spline, &theta, &x, [&by_y, &by_log]);
        assert!(by_x.iter().chain(&by_theta).all(|v| v.is_finite()));
        for (i, x) in x.iter().enumerate() {
            if x.abs() > 3.0 {
                assert_eq!(by_x[i], by_y[i]);
                assert!(spline.theta(&by_theta, i).iter().all(|v| *v == 0.0));
            }
        }
    }
}
