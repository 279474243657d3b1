//! Rows do not know their neighbours; densities and samples belong together.

use super::{Case, Scratch, TWICE, normals};
use crate::flow::FlowStep;
use sideband_numerics::random::Key;

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
            let unit = found
                .iter()
                .zip(moved)
                .fold(0.0f64, |u, (a, b)| u.max((a - b).abs()));
            for (found, expected) in found.iter().zip(&z[i * d..]) {
                let error = (found - f64::from(*expected)).abs();
                assert!(
                    error <= 32.0 * unit + 1e-5,
                    "{i}: {found} for {expected}, unit {unit}"
                );
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
    let mut scratch = Scratch::default();
    let (parameters, statistics) = (&case.parameters, &case.statistics);
    let trace = case
        .flow
        .trace(&mut scratch, parameters, statistics, &z, &context);
    assert_eq!(trace.len(), TWICE.len());
    assert_eq!(trace[5], case.sample(&z, &context));
    // the first step of the inverse is the last coupling, which passes the even
    // features through
    assert_eq!(TWICE[5], FlowStep::Coupling);
    for (x, z) in trace[0].iter().zip(&z).step_by(2) {
        assert_eq!(x, z);
    }
    assert!(trace[0].iter().zip(&z).any(|(x, z)| x != z));
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
