//! What a trained flow promises as a density: at every context it integrates to
//! one, and its samples are of it. For the hand-written code of the CPU and for
//! tensor operations, which are one density.
//!
//! Flows of a few epochs on made-up events: whether a density is the right one is
//! asked by `known_density.rs`.

use crate::support::Numbers;
use crate::support::flows::{Ensemble, Job, KERNELS, bent, flow, settings};
use crate::support::statistics::mean_and_error;
use sideband_networks::Kernels;
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;
use std::sync::OnceLock;

/// Two members in two dimensions, trained once for all tests.
fn plane() -> &'static Ensemble {
    static PLANE: OnceLock<Ensemble> = OnceLock::new();
    PLANE.get_or_init(|| Job::new(bent(2, 4000, 1), settings(flow(2, 2, 4), 8)).ensemble(2))
}

/// Within the square of the training, on its corner, beyond it.
const CONTEXTS: [[f32; 2]; 3] = [[0.2, -0.3], [-1.0, 1.0], [1.3, 0.5]];

/// A lattice over the features, which are about within plus or minus 4: half its
/// width.
const HALF: f64 = 10.0;
/// Points along an axis; even, so that every second point is a lattice too.
const POINTS: usize = 400;
const STEP: f64 = 2.0 * HALF / POINTS as f64;

/// Features of a point.
fn at(point: usize) -> [f64; 2] {
    [point / POINTS, point % POINTS].map(|i| i as f64 * STEP - HALF)
}

/// Points with their context, `[POINTS^2, D + C]`.
fn lattice(context: [f32; 2]) -> Vec<f32> {
    let row = |point| {
        let [x, y] = at(point).map(|x| x as f32);
        [x, y, context[0], context[1]]
    };
    (0..POINTS * POINTS).flat_map(row).collect()
}

/// Integral of `f` over the lattice, with what it differs by from that over every
/// second point of each axis. A spline has kinks in its second derivative, so that
/// the error of the trapezoidal rule falls with the square of the step: it is about
/// a third of the difference.
fn integral(f: impl Fn(usize) -> f64) -> (f64, f64) {
    let (mut fine, mut coarse) = (0.0, 0.0);
    for point in 0..POINTS * POINTS {
        let value = f(point) * STEP * STEP;
        fine += value;
        if (point / POINTS).is_multiple_of(2) && (point % POINTS).is_multiple_of(2) {
            coarse += 4.0 * value;
        }
    }
    (fine, (fine - coarse).abs())
}

/// f32 has 6e-8 of log p, which a few hundred operations and the slopes of the
/// splines make 3e-6 of 1 + |log p|, measured; several times that.
const ROUNDING: f64 = 2e-5;

#[test]
fn a_density_integrates_to_one_and_both_implementations_are_it() {
    for context in CONTEXTS {
        let points = lattice(context);
        let [fused, plain] = KERNELS.map(|kernels| plane().log_p(kernels, &points));
        for (fused, plain) in fused.iter().zip(&plain) {
            for (point, (a, b)) in fused.iter().zip(plain).enumerate() {
                let x = at(point);
                assert!(
                    (a - b).abs() < ROUNDING * (1.0 + a.abs()),
                    "{a} by hand, {b} by tensor operations at {x:?} given {context:?}"
                );
            }
            for log_p in [fused, plain] {
                // nothing lies beyond: it falls faster than exp(-|x|) from there
                let edge = (0..POINTS).flat_map(|i| [i, i * POINTS]);
                let largest = edge.map(|i| log_p[i]).fold(f64::NEG_INFINITY, f64::max);
                assert!(largest < -20.0, "log p is {largest} at the edge");
                let (sum, difference) = integral(|i| log_p[i].exp());
                println!("given {context:?}: {sum:.7}, a coarser one {difference:.1e} off");
                // 3e-4 at most, measured
                assert!(difference < 1e-3, "the lattice is too coarse: {difference}");
                assert!(
                    (sum - 1.0).abs() < difference + ROUNDING,
                    "the integral is {sum} given {context:?}"
                );
            }
        }
    }
}

#[test]
fn samples_are_of_the_density() {
    const SAMPLES: usize = 40_000;
    for (number, context) in CONTEXTS.into_iter().enumerate() {
        let exact = plane().log_p(Kernels::Fused, &lattice(context));
        for kernels in KERNELS {
            let mut random = Numbers::new(100 + number as u64);
            let contexts = context.repeat(SAMPLES);
            let [first, fresh] = [0, 1].map(|_| plane().sample(kernels, &contexts, &mut random));
            for (member, log_p) in exact.iter().enumerate() {
                // -log p, x_0 and x_1 of the samples: mean and error
                let means = |samples: &[Vec<f32>]| {
                    let x = &samples[member];
                    let with = |x: &[f32]| [x[0], x[1], context[0], context[1]];
                    let rows: Vec<f32> = x.chunks(2).flat_map(with).collect();
                    let found = plane().log_p(Kernels::Fused, &rows).swap_remove(member);
                    let feature = |k: usize| {
                        mean_and_error(x.iter().skip(k).step_by(2).map(|x| f64::from(*x)))
                    };
                    let information = mean_and_error(found.iter().map(|l| -l));
                    [information, feature(0), feature(1)]
                };
                let (first, fresh) = (means(&first), means(&fresh));
                let quantities: [&dyn Fn(usize) -> f64; 3] =
                    [&|i| -log_p[i], &|i| at(i)[0], &|i| at(i)[1]];
                for (k, quantity) in quantities.into_iter().enumerate() {
                    let ((a, a_error), (b, b_error)) = (first[k], fresh[k]);
                    let error = a_error.hypot(b_error);
                    let what = format!(
                        "{kernels:?}, member {member}, quantity {k} given {context:?}: \
                         {a} +- {a_error} and {b} +- {b_error}"
                    );
                    assert!((a - b).abs() < 4.0 * error, "{what}");
                    // entropy and means, by quadrature
                    let (expected, difference) = integral(|i| quantity(i) * log_p[i].exp());
                    assert!(
                        (0.5 * (a + b) - expected).abs() < 4.0 * 0.5 * error + difference,
                        "{what}, expected {expected}"
                    );
                }
            }
        }
    }
}

/// Importance sampling from a Student distribution, whose tails are wider than the
/// Gaussian ones of a flow.
#[test]
fn a_density_in_six_dimensions_integrates_to_one() {
    const D: usize = 6;
    const SAMPLES: usize = 200_000;
    /// Degrees of freedom.
    const NU: usize = 5;
    let ensemble = Job::new(bent(D, 6000, 2), settings(flow(D, 2, 4), 8)).ensemble(1);
    for (number, context) in CONTEXTS.into_iter().enumerate() {
        let mut random = Numbers::new(200 + number as u64);
        // place and widths are those of the flow's samples: how well they suit
        // decides the effective number of samples and not the integral
        let tried = 4000;
        let x = ensemble.sample(Kernels::Fused, &context.repeat(tried), &mut random);
        let place: [(f64, f64); D] = std::array::from_fn(|k| {
            let values = x[0].iter().skip(k).step_by(D).map(|x| f64::from(*x));
            let (mean, error) = mean_and_error(values);
            (mean, 1.2 * error * (tried as f64).sqrt())
        });
        let (d, nu) = (D as f64, NU as f64);
        let widths: f64 = place.iter().map(|(_, width)| width.ln()).sum();
        let norm = ln_gamma(0.5 * (nu + d)) - ln_gamma(0.5 * nu) - 0.5 * d * (nu * PI).ln();
        let mut rows = Vec::with_capacity(SAMPLES * (D + 2));
        let mut log_q = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let chi_square: f64 = (0..NU).map(|_| random.normal().powi(2)).sum();
            let mut square = 0.0;
            for (mean, width) in place {
                let x = (mean + width * random.normal() * (nu / chi_square).sqrt()) as f32;
                square += ((f64::from(x) - mean) / width).powi(2);
                rows.push(x);
            }
            rows.extend(context);
            log_q.push(norm - widths - 0.5 * (nu + d) * (square / nu).ln_1p());
        }
        for kernels in KERNELS {
            let log_p = ensemble.log_p(kernels, &rows).swap_remove(0);
            let ratios: Vec<f64> = log_p
                .iter()
                .zip(&log_q)
                .map(|(p, q)| (p - q).exp())
                .collect();
            let (sum, error) = mean_and_error(ratios.iter().copied());
            let squares: f64 = ratios.iter().map(|r| r * r).sum();
            let effective = (sum * SAMPLES as f64).powi(2) / squares;
            println!(
                "{kernels:?} given {context:?}: {sum:.4} +- {error:.4}, {effective:.0} effective samples"
            );
            // about a fifth of the samples, measured; with fewer the error of the
            // sum could not be trusted
            assert!(effective > 0.05 * SAMPLES as f64, "{effective}");
            assert!(
                (sum - 1.0).abs() < 4.0 * error,
                "{sum} +- {error} given {context:?}"
            );
        }
    }
}
