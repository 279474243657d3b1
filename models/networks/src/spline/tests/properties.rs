//! What holds for any spline: a bijection with its derivative, identity tails,
//! finite at the extremes, and nobody's business but the member's.

use super::{Case, DIRECTIONS, backends, cases, engines, everywhere, exact, worse};
use crate::spline::{Direction, Implementation};
use burn::tensor::{DType, Tensor};

/// The derivative of the result by autodiff, against the reported log.
#[test]
fn log_det_is_the_log_of_the_derivative() {
    for engine in engines() {
        let mut largest = 0.0f64;
        for mut case in cases() {
            case.for_value.fill(1.0);
            case.for_log_det.fill(0.0);
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                for (derivative, log_det) in found.for_x.iter().zip(&found.log_det) {
                    largest = worse(largest, (derivative.ln() - log_det).abs());
                }
            }
        }
        eprintln!("{}: log det to derivative {largest:.1e}", engine.name);
        assert!(largest < 3e-5, "{}: {largest}", engine.name);
    }
}

/// Rounding y to a float moves x by eps |y| / f'(x), rounding x by eps |x|; the
/// knots, of the size of the bound, are rounded too. The tails are exact.
#[test]
fn inverse_undoes_forward() {
    for engine in engines() {
        let (mut largest, mut without_knots) = (0.0f64, 0.0f64);
        for mut case in cases() {
            let bound = case.config.bound;
            let far = [-1e30, -1e4 * bound, -bound, bound, 1.5 * bound, 7e7, 1e38];
            for (x, far) in case.x.iter_mut().skip(1).step_by(5).zip(far) {
                *x = f64::from(far as f32);
            }
            let there = case.run(&engine, Direction::Forward);
            let log_det = case.run(&exact(), Direction::Forward).log_det;
            let back = Case {
                x: there.value.clone(),
                ..case.clone()
            };
            let back = back.run(&engine, Direction::Inverse);
            for (i, x) in case.x.iter().enumerate() {
                let (y, slope) = (there.value[i], log_det[i].exp());
                let error = (back.value[i] - x).abs() / f64::from(f32::EPSILON);
                if x.abs() > bound {
                    assert_eq!(error, 0.0, "{}: {x}", engine.name);
                    continue;
                }
                let unit = x.abs() + bound + (y.abs() + bound) / slope;
                largest = worse(largest, error / unit);
                without_knots = without_knots.max(error / (x.abs() + y.abs() / slope));
                let log_error = (back.log_det[i] + there.log_det[i]).abs();
                assert!(log_error < 1e-2, "{}: {log_error}", engine.name);
            }
        }
        let name = engine.name;
        eprintln!("{name}: inverse of forward {largest:.1}, {without_knots:.1} eps");
        assert!(largest < 2.0, "{name}: {largest}");
    }
}

#[test]
fn tails_are_the_identity_to_the_bit() {
    for engine in engines() {
        for mut case in cases() {
            let bound = case.config.bound;
            let far = [1.000001, -1.000001, 2.0, -1e6, 1e30, -1e37];
            for (i, x) in case.x.iter_mut().enumerate() {
                *x = f64::from((bound * far[i % far.len()]) as f32);
            }
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                assert_eq!(found.value, case.x, "{}", engine.name);
                assert_eq!(found.for_x, case.for_value, "{}", engine.name);
                assert!(found.log_det.iter().all(|n| *n == 0.0), "{}", engine.name);
                assert!(found.for_theta.iter().all(|n| *n == 0.0), "{}", engine.name);
            }
        }
    }
}

#[test]
fn ends_and_knots_are_met() {
    for engine in engines() {
        for bins in [2, 3, 4, 5, 8, 16] {
            // theta = 0: equal bins, slopes 1e-3 + ln 2 at the inner knots
            let mut case = Case::random(bins, 3.0, [1, bins + 1, 1], 0.0, 1);
            let knot = |j| f64::from((6.0 * j as f64 / bins as f64 - 3.0) as f32);
            case.x = (0..=bins).map(knot).collect();
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                assert!(found.is_finite(), "{}", engine.name);
                assert_eq!((found.value[0], found.value[bins]), (-3.0, 3.0));
                for (j, x) in case.x.iter().enumerate() {
                    assert!((found.value[j] - x).abs() < 4e-6, "{}", engine.name);
                    let is_inner = j != 0 && j != bins;
                    let slope = 1e-3 + std::f64::consts::LN_2;
                    let slope = if is_inner { slope.ln() } else { 0.0 };
                    let expected = match direction {
                        Direction::Forward => slope,
                        Direction::Inverse => -slope,
                    };
                    assert!((found.log_det[j] - expected).abs() < 1e-4);
                }
            }
        }
    }
}

#[test]
fn extreme_parameters_stay_finite() {
    for engine in engines() {
        for bins in [2, 4, 16] {
            for size in [1.0, 1e2, 1e4, 1e15] {
                let mut case = Case::random(bins, 3.0, [2, 211, 2], 1.0, 5);
                for theta in &mut case.theta {
                    *theta = size * theta.signum();
                }
                for direction in DIRECTIONS {
                    let found = case.run(&engine, direction);
                    assert!(found.is_finite(), "{} {size}", engine.name);
                    let outside = |(x, y): (&f64, &f64)| x.abs() <= 3.0 && y.abs() > 3.0;
                    let any = case.x.iter().zip(&found.value).any(outside);
                    assert!(!any, "{} {size} {direction:?}", engine.name);
                }
            }
        }
    }
}

/// A member that diverged must be seen: no comparison may swallow its NaN.
#[test]
fn a_nan_stays_visible() {
    for engine in engines() {
        if !engine.compute.is_cpu() {
            continue; // WGSL knows no NaN
        }
        let case = Case::random(4, 3.0, [1, 16, 1], 2.0, 9);
        let width = case.config.parameters();
        let mut cases = vec![case.clone(); 3];
        cases[0].x.fill(f64::NAN);
        for row in 0..16 {
            cases[1].theta[row * width + row % 4] = f64::NAN;
            cases[2].theta[row * width + 4 + row % 4] = f64::NAN;
        }
        for (which, case) in cases.iter().enumerate() {
            for direction in DIRECTIONS {
                let found = case.run_without_gradient(&engine, direction);
                let values = found.value.iter().zip(&found.log_det);
                for (x, (value, log_det)) in case.x.iter().zip(values) {
                    let seen = value.is_nan() || log_det.is_nan();
                    let tail = x.abs() > 3.0;
                    assert_eq!(seen, !tail, "{} {which} {direction:?} {x}", engine.name);
                }
            }
        }
    }
}

#[test]
fn a_member_does_not_notice_its_company() {
    everywhere(|engine, case, direction| {
        if !engine.compute.is_cpu() {
            return;
        }
        let [members, batch, values] = case.shape;
        let together = case.run(engine, direction);
        for member in 0..members {
            let part = |numbers: &[f64]| {
                let width = numbers.len() / members;
                numbers[member * width..(member + 1) * width].to_vec()
            };
            let alone = Case {
                config: case.config,
                shape: [1, batch, values],
                x: part(&case.x),
                theta: part(&case.theta),
                for_value: part(&case.for_value),
                for_log_det: part(&case.for_log_det),
            };
            let alone = alone.run(engine, direction);
            for (alone, together) in [
                (&alone.value, &together.value),
                (&alone.log_det, &together.log_det),
                (&alone.for_x, &together.for_x),
                (&alone.for_theta, &together.for_theta),
            ] {
                assert_eq!(*alone, part(together), "{}", engine.name);
            }
        }
    });
}

#[test]
fn the_backend_and_number_type_choose_the_implementation() {
    for compute in backends() {
        let expected = match compute.name() {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            "wgpu" | "cuda" => Implementation::Fused,
            _ => Implementation::Plain,
        };
        for shape in [[1, 1, 1], [25, 64, 3]] {
            let tensor = Tensor::<3>::zeros(shape, (compute.device(), DType::F32));
            let name = compute.name();
            assert_eq!(Implementation::of(&tensor), expected, "{name}");
            assert_eq!(Implementation::of(&tensor.autodiff()), expected, "{name}");
        }
    }
    let double = Tensor::<3>::zeros([1, 1, 1], (exact().compute.device(), DType::F64));
    assert_eq!(Implementation::of(&double), Implementation::Plain);
}
