use super::*;

mod w4;

/// Largest difference relative to the size of the expected numbers.
fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    let size = expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0.0_f64, |far, (a, b)| far.max((a - b).abs() / size))
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let far = largest_difference(found, expected);
    assert!(far <= tolerance, "{far:e}: {found:?} is not {expected:?}");
}
