//! Gradients against differences of a plain f64 flow, and at extreme inputs; rows do not
//! know their neighbours; densities and samples belong together.

use super::{Case, TWICE, normals};
use crate::flow::FlowStep;
use crate::kind::Scratch;
use sideband_numerics::lanes::instruction_sets;
use sideband_numerics::random::Key;

impl Case {
    /// Holds the gradient to central differences of the loss in f64: errors are
    /// measured against the largest gradient of the same step, and of all.
    fn compare(&self) {
        let (loss, gradient, _) = self.gradient();
        let mut reference = self.reference(true);
        let expected = reference.loss(&self.coefficients);
        let error = (f64::from(loss) - expected).abs();
        assert!(error < 1e-5 * (1.0 + expected.abs()), "{loss} {expected}");
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
                let (found, expected) = (gradient[i], differences[i]);
                let is_close = (f64::from(found) - expected).abs() <= 1e-5 * scale + 1e-6 * all;
                let kind = step.kind;
                assert!(
                    is_close,
                    "{kind:?} {i}: {found} for {expected}, scale {scale}"
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
    let mixed = [Coupling, Coupling, BatchNorm, Linear, Linear];
    Case::new([4, 2, 4, 8, 1], &mixed, 40, 0.1).compare();
    let none = [BatchNorm, Linear, BatchNorm];
    Case::new([1, 0, 4, 8, 1], &none, 40, 0.0).compare();
    // the first coupling transforms the only feature given the context alone, the
    // second has nothing to transform
    let two = [BatchNorm, Coupling, Coupling, Linear];
    Case::new([1, 2, 4, 8, 1], &two, 40, 0.0).compare();
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
            let mut all = gradient.iter().chain(&statistics).chain([&loss]);
            assert!(all.all(|v| v.is_finite()), "{size}");
        }
    }
}

#[test]
fn gradients_are_finite_at_the_knots() {
    let mut case = Case::new([6, 5, 4, 32, 1], &[FlowStep::Coupling], 64, 0.0);
    // theta = 0: four equal bins
    let outputs = 33 * 33;
    let first = case.member.parameters.len() - outputs;
    case.member.parameters[first..].fill(0.0);
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
    let expected = case.gradient();
    let mut scratch = Scratch::default();
    Case::new([3, 1, 8, 40, 1], &TWICE, 200, 0.0).gradient_with(&mut scratch);
    for _ in 0..2 {
        assert_eq!(case.gradient_with(&mut scratch), expected);
    }
}

#[test]
fn instruction_sets_agree() {
    let mut case = Case::new([6, 5, 4, 20, 2], &TWICE, 70, 0.1);
    let mut results = Vec::new();
    for arch in instruction_sets() {
        case.flow.arch = arch;
        results.push((case.gradient(), case.log_prob(&case.x)));
    }
    let wide = results.pop().unwrap();
    // Scalar rounds every product; all others do the same operations
    for result in &results[1..] {
        assert_eq!(*result, wide);
    }
    let (scalar, wide) = (&results[0].0.1, &wide.0.1);
    let scale = wide.iter().fold(0.0f32, |s, v| s.max(v.abs()));
    for (a, b) in scalar.iter().zip(wide) {
        assert!((a - b).abs() <= 1e-5 * scale, "{a} {b}");
    }
}

#[test]
fn densities_are_those_of_f64() {
    for sizes in [[6, 5, 4, 32, 1], [5, 0, 8, 7, 2], [2, 3, 2, 16, 0]] {
        let case = Case::new(sizes, &TWICE, 100, 0.0);
        let expected = case.reference(false).run().1;
        for (found, expected) in case.log_prob(&case.x).iter().zip(expected) {
            let is_close = (f64::from(*found) - expected).abs() < 2e-5 * (1.0 + expected.abs());
            assert!(is_close, "{found} for {expected}");
        }
    }
}

#[test]
fn a_parameter_that_is_not_a_number_is_seen() {
    let mut case = Case::new([3, 1, 3, 5, 1], &TWICE, 70, 0.2);
    for arch in instruction_sets() {
        case.flow.arch = arch;
        for i in 0..case.member.parameters.len() {
            let value = std::mem::replace(&mut case.member.parameters[i], f32::NAN);
            let (loss, ..) = case.gradient();
            assert!(loss.is_nan(), "{arch:?} {i}: {loss}");
            case.member.parameters[i] = value;
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    let case = Case::new([6, 5, 4, 20, 2], &TWICE, 1, 0.0);
    let n = 77;
    let x = normals(Key::from_seed(5), n * 11);
    let z = normals(Key::from_seed(6), n * 6);
    let context = normals(Key::from_seed(7), n * 5);
    let all = case.log_prob(&x);
    let samples = case.sample(&z, &context);
    for first in 0..n {
        for rows in [1, 2, 33] {
            let last = (first + rows).min(n);
            let part = case.log_prob(&x[first * 11..last * 11]);
            assert_eq!(bits(&part), bits(&all[first..last]), "{first}..{last}");
            let part = case.sample(&z[first * 6..last * 6], &context[first * 5..last * 5]);
            assert_eq!(bits(&part), bits(&samples[first * 6..last * 6]));
        }
    }
    // nor on a neighbour that is not a number
    let mut broken = x.clone();
    broken[11 * 3] = f32::NAN;
    broken[11 * 4] = 1e30;
    let found = case.log_prob(&broken);
    assert!(found[3].is_nan());
    assert_eq!(bits(&found[5..]), bits(&all[5..]));
    assert_eq!(bits(&found[..3]), bits(&all[..3]));
}

#[test]
fn the_flow_in_f64_leads_samples_back_to_their_noise() {
    for sizes in [[6, 5, 4, 32, 1], [5, 0, 8, 7, 2], [2, 3, 2, 16, 0]] {
        let n = 200;
        let mut case = Case::new(sizes, &TWICE, n, 0.0);
        let [d, c, ..] = sizes;
        let z = normals(Key::from_seed(6), n * d);
        let context = normals(Key::from_seed(7), n * c);
        let x = case.sample(&z, &context);
        let rows = x.chunks_exact(d).enumerate();
        let rows = rows.map(|(i, x)| [x, &context[i * c..(i + 1) * c]].concat());
        case.x = rows.collect::<Vec<_>>().concat();
        let mut reference = case.reference(false);
        let noise = reference.run().0;
        // what one unit in the last place of the sample is worth in noise
        for x in reference.x.iter_mut().flat_map(|row| &mut row[..d]) {
            *x += f64::from(f32::EPSILON) * x.abs().max(case.config.bound);
        }
        let moved = reference.run().0;
        for (i, (found, moved)) in noise.iter().zip(&moved).enumerate() {
            let shifts = found.iter().zip(moved).map(|(a, b)| (a - b).abs());
            let unit = shifts.fold(0.0f64, f64::max);
            for (found, expected) in found.iter().zip(&z[i * d..]) {
                let is_close = (found - f64::from(*expected)).abs() <= 32.0 * unit + 1e-5;
                assert!(is_close, "{i}: {found} for {expected}, unit {unit}");
            }
        }
    }
}

#[test]
fn the_trace_ends_with_the_sample() {
    let case = Case::new([6, 5, 4, 20, 1], &TWICE, 1, 0.0);
    let n = 40;
    let z = normals(Key::from_seed(6), n * 6);
    let context = normals(Key::from_seed(7), n * 5);
    let mut scratch = crate::flow::host::Scratch::default();
    let trace = (case.flow).trace(&mut scratch, &case.member, &z, &context);
    assert_eq!(trace.len(), TWICE.len() + 1);
    assert_eq!(trace[0], z);
    assert_eq!(trace[6], case.sample(&z, &context));
    // the first step of the inverse is the last coupling, which passes the even
    // features through
    assert_eq!(TWICE[5], FlowStep::Coupling);
    for (x, z) in trace[1].iter().zip(&z).step_by(2) {
        assert_eq!(x, z);
    }
    assert!(trace[1] != z);
}

#[test]
fn no_rows_are_no_error() {
    let case = Case::new([6, 5, 4, 32, 1], &TWICE, 0, 0.0);
    assert!(case.log_prob(&[]).is_empty());
    assert!(case.sample(&[], &[]).is_empty());
    let (loss, gradient, _) = case.gradient();
    assert_eq!(loss, 0.0);
    assert!(gradient.iter().all(|v| *v == 0.0));
}
