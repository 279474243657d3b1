//! Auxiliary measurements of pseudo-experiments.

use super::normal_pair;
use crate::Parameter;
use sideband_numerics::random::Key;

/// The parameters with new outcomes of their auxiliary measurements,
/// `a0 ~ Normal(a, delta)` at the values `truth`, `[n]`, that the toy is thrown at.
/// The outcome of parameter `k` is a function of `(key, k)`; parameters without
/// constraint stay as they are, and so do those that `truth` does not reach.
#[must_use]
pub fn randomised(parameters: &[Parameter], truth: &[f64], key: Key) -> Vec<Parameter> {
    let mut parameters = parameters.to_vec();
    for (k, (parameter, at)) in parameters.iter_mut().zip(truth).enumerate() {
        if let Some(constraint) = &mut parameter.constraint {
            let [z, _] = normal_pair(&mut key.with(k as u64).stream());
            constraint.centre = at + constraint.width * z;
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_scatter_around_the_truth_by_their_width() {
        let mut shape = Parameter::nuisance("shape");
        if let Some(constraint) = &mut shape.constraint {
            constraint.width = 0.5;
        }
        let parameters = [Parameter::interest("mu", 1.0, (0.0, 9.0)), shape];
        let n = 20_000_u32;
        let key = Key::from_seed(5);
        let centres: Vec<f64> = (0..n)
            .map(|t| randomised(&parameters, &[2.0, -1.0], key.with(u64::from(t))))
            .map(|thrown| {
                assert!(thrown[0].constraint.is_none());
                thrown[1].constraint.unwrap().centre
            })
            .collect();
        let mean = centres.iter().sum::<f64>() / f64::from(n);
        let variance = centres.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / f64::from(n);
        // five standard errors
        assert!(
            (mean + 1.0).abs() < 5.0 * 0.5 / f64::from(n).sqrt(),
            "{mean}"
        );
        assert!(
            (variance / 0.25 - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(),
            "{variance}"
        );
    }
}
