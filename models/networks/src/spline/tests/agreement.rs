//! The same numbers from nflows, from both implementations, on every backend.

use super::{Case, DIRECTIONS, cases, engines, exact};
use crate::spline::{Direction, Implementation, SplineConfig};

#[test]
fn plain_f64_agrees_with_nflows() {
    for text in [
        include_str!("../../../tests/data/golden/spline_K4_B3.json"),
        include_str!("../../../tests/data/golden/spline_K8_B5.json"),
    ] {
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let flat = |key: &str| -> Vec<f64> {
            let rows = golden[key].as_array().unwrap().iter();
            rows.flat_map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row.clone()]))
                .map(|number| number.as_f64().unwrap())
                .collect()
        };
        let count = flat("x").len();
        let case = Case {
            config: SplineConfig {
                bins: golden["bins"].as_u64().unwrap() as usize,
                bound: golden["bound"].as_f64().unwrap(),
                scale: 1.0,
            },
            shape: [1, count, 1],
            x: flat("x"),
            theta: flat("theta"),
            for_value: flat("cotangent_value"),
            for_log_det: flat("cotangent_log_det"),
        };
        let close = |what: &str, found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (i, (a, b)) in found.iter().zip(expected).enumerate() {
                let difference = (a - b).abs() / (1.0 + b.abs());
                assert!(difference < 1e-9, "{what} {i}: {a}, nflows {b}");
            }
        };
        let found = case.run(&exact(), Direction::Forward);
        close("value", &found.value, &flat("forward"));
        close("log det", &found.log_det, &flat("forward_log_det"));
        close("gradient at x", &found.for_x, &flat("gradient_x"));
        close(
            "gradient at theta",
            &found.for_theta,
            &flat("gradient_theta"),
        );
        let back = Case {
            x: flat("y"),
            ..case
        };
        let found = back.run(&exact(), Direction::Inverse);
        close("inverse", &found.value, &flat("inverse"));
        close("inverse log det", &found.log_det, &flat("inverse_log_det"));
    }
}

/// f32 rounds the knots to a few 1e-7 B, and the narrowest bins here are some
/// 1e-2 B wide: their places are known to 1e-4.
const OF_RESULTS: f64 = 2e-4;
const OF_GRADIENTS: f64 = 1e-3;

#[test]
fn every_engine_agrees_with_f64() {
    for engine in engines() {
        let (mut of_results, mut of_gradients) = (0.0f64, 0.0f64);
        for case in cases() {
            for direction in DIRECTIONS {
                let found = case.run(&engine, direction);
                let expected = case.run(&exact(), direction);
                let (results, gradients) = found.differences(&expected);
                of_results = of_results.max(results);
                of_gradients = of_gradients.max(gradients);
            }
        }
        eprintln!(
            "{} to f64: results {of_results:.1e}, gradients {of_gradients:.1e}",
            engine.name
        );
        assert!(of_results < OF_RESULTS && of_gradients < OF_GRADIENTS);
    }
}

#[test]
fn fused_agrees_with_plain() {
    let engines = engines();
    for pair in engines.windows(2) {
        let [plain, fused] = pair else { unreachable!() };
        if fused.implementation == Implementation::Plain {
            continue;
        }
        let (mut of_results, mut of_gradients) = (0.0f64, 0.0f64);
        for case in cases() {
            for direction in DIRECTIONS {
                let (results, gradients) = case
                    .run(fused, direction)
                    .differences(&case.run(plain, direction));
                of_results = of_results.max(results);
                of_gradients = of_gradients.max(gradients);
            }
        }
        eprintln!(
            "{} to plain: results {of_results:.1e}, gradients {of_gradients:.1e}",
            fused.name
        );
        assert!(of_results < OF_RESULTS && of_gradients < OF_GRADIENTS);
    }
}

/// Sampling and evaluation get what training gets; the plain softmax rounds
/// differently where burn records it.
#[test]
fn gradients_are_not_needed_for_values() {
    for engine in engines() {
        for case in cases() {
            for direction in DIRECTIONS {
                let tracked = case.run(&engine, direction);
                let untracked = case.run_without_gradient(&engine, direction);
                if engine.implementation != Implementation::Plain {
                    assert_eq!(tracked.value, untracked.value, "{}", engine.name);
                    assert_eq!(tracked.log_det, untracked.log_det, "{}", engine.name);
                } else {
                    let (results, _) = untracked.differences(&tracked);
                    assert!(results < OF_RESULTS, "{}: {results}", engine.name);
                }
            }
        }
    }
}

/// The middle of a symmetric bin, where the inverse's two forms of the root
/// meet, and softplus at 0: a fresh conditioner with zero output.
#[test]
fn the_gradient_at_zero_is_exact() {
    for engine in engines() {
        let mut case = Case::random(5, 3.0, [1, 6, 1], 0.0, 2);
        case.x = vec![0.0, 1.2, -1.2, 2.4, 0.3, -0.3];
        for direction in DIRECTIONS {
            let (results, gradients) = case
                .run(&engine, direction)
                .differences(&case.run(&exact(), direction));
            assert!(
                results < 1e-6 && gradients < 5e-6,
                "{}: {results}, {gradients}",
                engine.name
            );
        }
    }
}
