//! Gradients against differences of a plain f64 flow, and at extreme inputs.

use super::{Case, TWICE, architectures, normals};
use crate::flow::FlowStep;
use sideband_numerics::random::Key;

impl Case {
    /// Holds the gradient to central differences of the loss in f64: errors are
    /// measured against the largest gradient of the same step, and of all.
    fn compare(&self) {
        let (loss, gradient, _) = self.gradient();
        let mut reference = self.reference(true);
        let expected = reference.loss(&self.coefficients);
        assert!(
            (f64::from(loss) - expected).abs() < 1e-5 * (1.0 + expected.abs()),
            "{loss} {expected}"
        );
        // all of a small flow, and every seventh of a large one
        let every = if gradient.len() < 1500 { 1 } else { 7 };
        let mut differences = vec![0.0; gradient.len()];
        for i in (0..gradient.len()).step_by(every) {
            let value = reference.parameters[i];
            let h = 1e-6;
            let mut at = |value: f64| {
                reference.parameters[i] = value;
                reference.loss(&self.coefficients)
            };
            differences[i] = (at(value + h) - at(value - h)) / (2.0 * h);
            reference.parameters[i] = value;
        }
        let largest = |values: &[f64]| values.iter().fold(0.0, |s: f64, v| s.max(v.abs()));
        let all = largest(&differences);
        for step in &self.flow.steps {
            let range = step.parameters.clone();
            let scale = largest(&differences[range.clone()]);
            for i in range.filter(|i| i % every == 0) {
                let error = (f64::from(gradient[i]) - differences[i]).abs();
                let tolerance = 1e-5 * scale + 1e-6 * all;
                assert!(
                    error <= tolerance,
                    "{:?} {i}: {} for {}, scale {scale}",
                    step.kind,
                    gradient[i],
                    differences[i],
                );
            }
        }
    }
}

#[test]
fn gradients_are_those_of_differences() {
    // D, C, K, H, blocks; events; dropout
    for (sizes, events, dropout) in [
        ([6, 5, 4, 32, 1], 64, 0.1),
        ([5, 0, 8, 7, 2], 50, 0.2),
        ([2, 3, 2, 16, 2], 33, 0.0),
        ([3, 1, 3, 20, 0], 31, 0.0),
        ([7, 2, 5, 40, 1], 70, 0.3),
    ] {
        Case::new(sizes, &TWICE, events, dropout).compare();
    }
}

#[test]
fn any_order_of_steps_and_one_feature() {
    use FlowStep::{BatchNorm, Coupling, Linear};
    Case::new(
        [4, 2, 4, 8, 1],
        &[Coupling, Coupling, BatchNorm, Linear, Linear],
        40,
        0.1,
    )
    .compare();
    Case::new([1, 0, 4, 8, 1], &[BatchNorm, Linear, BatchNorm], 40, 0.0).compare();
    // the first coupling transforms the only feature given the context alone, the
    // second has nothing to transform
    Case::new(
        [1, 2, 4, 8, 1],
        &[BatchNorm, Coupling, Coupling, Linear],
        40,
        0.0,
    )
    .compare();
}

#[test]
fn one_event_has_a_finite_gradient() {
    let case = Case::new([6, 5, 4, 32, 1], &TWICE, 1, 0.1);
    let (loss, gradient, statistics) = case.gradient();
    assert!(loss.is_finite());
    assert!(gradient.iter().chain(&statistics).all(|v| v.is_finite()));
}

#[test]
fn gradients_are_finite_far_in_the_tails() {
    use FlowStep::{Coupling, Linear};
    for steps in [&TWICE[..], &[Coupling, Linear, Coupling]] {
        for size in [3.0, 1e3, 1e6] {
            let mut case = Case::new([6, 5, 4, 32, 1], steps, 100, 0.1);
            for row in case.x.chunks_exact_mut(11) {
                for x in &mut row[..6] {
                    *x = size * x.signum() * (1.0 + x.abs());
                }
            }
            let (loss, gradient, statistics) = case.gradient();
            assert!(loss.is_finite(), "{size}");
            assert!(
                gradient.iter().chain(&statistics).all(|v| v.is_finite()),
                "{size}"
            );
        }
    }
}

#[test]
fn gradients_are_finite_at_the_knots() {
    let mut case = Case::new([6, 5, 4, 32, 1], &[FlowStep::Coupling], 64, 0.0);
    // theta = 0: four equal bins
    let outputs = 33 * 33;
    let first = case.parameters.len() - outputs;
    case.parameters[first..].fill(0.0);
    let knots = [-2.5, -1.25, 0.0, 1.25, 2.5];
    for (i, x) in case.x.iter_mut().enumerate() {
        *x = knots[i % 5];
    }
    let (loss, gradient, _) = case.gradient();
    assert!(loss.is_finite());
    assert!(gradient.iter().all(|v| v.is_finite()));
    assert!(gradient[first..].iter().any(|v| *v != 0.0));
}

#[test]
fn a_weight_of_zero_gives_no_gradient() {
    let mut case = Case::new([6, 5, 4, 32, 1], &TWICE, 70, 0.1);
    case.coefficients.fill(0.0);
    let (loss, gradient, _) = case.gradient();
    assert_eq!(loss, 0.0);
    assert!(gradient.iter().all(|v| *v == 0.0));

    // without batch norm a row of weight zero does not matter at all
    let steps = [FlowStep::Coupling, FlowStep::Linear, FlowStep::Coupling];
    let mut case = Case::new([6, 5, 4, 32, 1], &steps, 70, 0.1);
    case.coefficients[40] = 0.0;
    let (loss, gradient, _) = case.gradient();
    case.x[40 * 11..41 * 11].copy_from_slice(&normals(Key::from_seed(1), 11));
    let (other_loss, other, _) = case.gradient();
    assert_eq!(loss, other_loss);
    assert!(gradient.iter().zip(&other).all(|(a, b)| a == b));
}

#[test]
fn the_same_batch_gives_the_same_gradient_whatever_came_before() {
    let case = Case::new([6, 5, 4, 20, 2], &TWICE, 70, 0.1);
    let (_, expected, statistics) = case.gradient();
    let mut scratch = super::Scratch::default();
    let other = Case::new([3, 1, 8, 40, 1], &TWICE, 200, 0.0);
    let mut gradient = vec![0.0; other.parameters.len()];
    other.flow.gradient(
        &mut scratch,
        &other.parameters,
        &mut other.statistics.clone(),
        &other.x,
        &other.coefficients,
        &[],
        &mut gradient,
    );
    for _ in 0..2 {
        let mut gradient = vec![f32::NAN; case.parameters.len()];
        let mut running = case.statistics.clone();
        case.flow.gradient(
            &mut scratch,
            &case.parameters,
            &mut running,
            &case.x,
            &case.coefficients,
            &case.masks,
            &mut gradient,
        );
        assert_eq!(gradient, expected);
        assert_eq!(running, statistics);
    }
}

#[test]
fn instruction_sets_agree() {
    let mut case = Case::new([6, 5, 4, 20, 2], &TWICE, 70, 0.1);
    let mut results = Vec::new();
    for arch in architectures() {
        case.flow.arch = arch;
        results.push((case.gradient(), case.log_prob(&case.x)));
    }
    let (wide_gradient, wide_log_prob) = results.pop().unwrap();
    // Scalar rounds every product; all others do the same operations
    for ((loss, gradient, statistics), log_prob) in &results[1..] {
        assert_eq!(*loss, wide_gradient.0);
        assert_eq!(*gradient, wide_gradient.1);
        assert_eq!(*statistics, wide_gradient.2);
        assert_eq!(*log_prob, wide_log_prob);
    }
    let scale = wide_gradient.1.iter().fold(0.0f32, |s, v| s.max(v.abs()));
    for (a, b) in results[0].0.1.iter().zip(&wide_gradient.1) {
        assert!((a - b).abs() <= 1e-5 * scale, "{a} {b}");
    }
}

#[test]
fn densities_are_those_of_f64() {
    for sizes in [[6, 5, 4, 32, 1], [5, 0, 8, 7, 2], [2, 3, 2, 16, 0]] {
        let mut case = Case::new(sizes, &TWICE, 100, 0.0);
        let expected = case.reference(false).run().1;
        case.masks.clear();
        for (found, expected) in case.log_prob(&case.x).iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(
                error < 2e-5 * (1.0 + expected.abs()),
                "{found} for {expected}"
            );
        }
    }
}

#[test]
fn a_parameter_that_is_not_a_number_is_seen() {
    let mut case = Case::new([3, 1, 3, 5, 1], &TWICE, 70, 0.2);
    for arch in architectures() {
        case.flow.arch = arch;
        for i in 0..case.parameters.len() {
            let value = std::mem::replace(&mut case.parameters[i], f32::NAN);
            let (loss, ..) = case.gradient();
            assert!(loss.is_nan(), "{arch:?} {i}: {loss}");
            case.parameters[i] = value;
        }
    }
}
