//! The spline among other operations: lazy backends, views, partial gradients.

use super::{Case, DIRECTIONS, Outcome, cases, engines, exact, host};
use crate::spline::{Direction, Implementation};

fn close(found: &[f64], expected: &[f64], what: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-4 * (1.0 + b.abs()), "{what}: {a}, {b}");
    }
}

/// A backend that runs later, and remembers plans by shape, must run each call
/// with that call's own constants.
#[test]
fn calls_of_one_shape_keep_their_own_constants() {
    for engine in engines() {
        let case = Case::random(4, 3.0, [1, 65, 3], 2.0, 4);
        for _ in 0..3 {
            let mut pending = Vec::new();
            for (bound, scale) in [(3.0, 1.0), (2.0, 1.0), (3.0, 4.0)] {
                for direction in DIRECTIONS {
                    let mut case = case.clone();
                    (case.config.bound, case.config.scale) = (bound, scale);
                    let results = engine.implementation.apply(
                        &case.config,
                        direction,
                        case.tensor(&engine, &case.x),
                        case.tensor(&engine, &case.theta),
                    );
                    pending.push((case, direction, results));
                }
            }
            for (case, direction, (value, log_det)) in pending {
                let expected = case.run_without_gradient(&exact(), direction);
                close(&host(value), &expected.value, &engine.name);
                close(&host(log_det), &expected.log_det, &engine.name);
            }
        }
    }
}

/// Operands that lie in larger or turned tensors, between other operations.
#[test]
fn operands_may_be_views_of_results() {
    for engine in engines() {
        let case = Case::random(4, 3.0, [2, 33, 3], 2.0, 6);
        for direction in DIRECTIONS {
            let x = case.tensor(&engine, &case.x);
            let theta = case.tensor(&engine, &case.theta);
            // twice as wide, then the second half; turned, then turned back
            let wide = burn::tensor::Tensor::cat(vec![x.clone() * 7.0, x * 2.0], 2);
            let x = wide.narrow(2, 3, 3) * 0.5;
            let turned = (theta.swap_dims(1, 2) * 4.0).reshape([2, 33, 33]);
            let theta = turned.swap_dims(1, 2) * 0.25;
            let (x, theta) = (x.autodiff().require_grad(), theta.autodiff().require_grad());
            let turned = theta.clone().swap_dims(1, 2).swap_dims(1, 2);
            let (value, log_det) =
                engine
                    .implementation
                    .apply(&case.config, direction, x.clone(), turned);
            let gradients = (value.clone() * case.tensor(&engine, &case.for_value).autodiff()
                + log_det.clone() * case.tensor(&engine, &case.for_log_det).autodiff())
            .sum()
            .backward();
            let found = Outcome {
                value: host(value.inner()),
                log_det: host(log_det.inner()),
                for_x: host(x.grad(&gradients).unwrap()),
                for_theta: host(theta.grad(&gradients).unwrap()),
            };
            let (results, of_gradients) = found.differences(&case.run(&exact(), direction));
            assert!(results < 2e-4 && of_gradients < 1e-3, "{}", engine.name);
        }
    }
}

/// The first coupling transforms data: only `theta` has a gradient. Sampling
/// with fixed parameters has only the other.
#[test]
fn either_operand_may_be_a_constant() {
    for engine in engines() {
        let case = &cases()[3];
        for direction in DIRECTIONS {
            let both = case.run(&engine, direction);
            for x_is_constant in [true, false] {
                let mut x = case.tensor(&engine, &case.x);
                let mut theta = case.tensor(&engine, &case.theta);
                let tracked = if x_is_constant { &mut theta } else { &mut x };
                *tracked = tracked.clone().autodiff().require_grad();
                let tracked = tracked.clone();
                let (value, log_det) =
                    engine
                        .implementation
                        .apply(&case.config, direction, x, theta);
                let gradients = (value * case.tensor(&engine, &case.for_value).autodiff()
                    + log_det * case.tensor(&engine, &case.for_log_det).autodiff())
                .sum()
                .backward();
                let found = host(tracked.grad(&gradients).unwrap());
                let expected = if x_is_constant {
                    &both.for_theta
                } else {
                    &both.for_x
                };
                if engine.implementation != Implementation::Plain {
                    assert_eq!(&found, expected, "{}", engine.name);
                } else {
                    let size = expected.iter().fold(0.0f64, |size, g| size.max(g.abs()));
                    for (a, b) in found.iter().zip(expected) {
                        assert!((a - b).abs() < 1e-4 * size, "{}: {a}, {b}", engine.name);
                    }
                }
            }
        }
    }
}

/// Two splines one behind the other, there and back: the gradient of the whole
/// at its input is 1.
#[test]
fn gradients_chain() {
    for engine in engines() {
        let case = Case::random(8, 3.0, [2, 50, 2], 1.0, 8);
        let x = case.tensor(&engine, &case.x).autodiff().require_grad();
        let theta = case.tensor(&engine, &case.theta).autodiff().require_grad();
        let apply = |direction, x| {
            engine
                .implementation
                .apply(&case.config, direction, x, theta.clone())
        };
        let (y, there) = apply(Direction::Forward, x.clone());
        let (back, and_back) = apply(Direction::Inverse, y);
        let sum = back.clone().sum() + (there + and_back).sum();
        let gradients = sum.backward();
        close(&host(back.inner()), &case.x, &engine.name);
        let ones = vec![1.0; case.x.len()];
        let zeros = vec![0.0; case.theta.len()];
        for (found, expected) in [(&x, &ones), (&theta, &zeros)] {
            for (a, b) in host(found.grad(&gradients).unwrap()).iter().zip(expected) {
                assert!((a - b).abs() < 2e-3, "{}: {a}, not {b}", engine.name);
            }
        }
    }
}
