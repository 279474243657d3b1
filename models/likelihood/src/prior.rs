//! Correlated auxiliary measurements of nuisance parameters.

use super::Parameter;
use super::fit::matrix::{cholesky, inverse};
use thiserror::Error;

/// Correlations that no measurements can have.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PriorError {
    /// A list of the wrong length.
    #[error("the matrix of correlations of {parameters} parameters has {found} entries")]
    Length { parameters: usize, found: usize },
    /// Not one on the diagonal, or not symmetric.
    #[error("the matrix of correlations is not symmetric with ones on its diagonal")]
    Form,
    /// Some combination would have a variance that is not positive.
    #[error(
        "the correlations contradict each other: their matrix is not positive definite; make them \
         smaller"
    )]
    NotPositive,
}

/// Correlations of Gaussian auxiliary measurements: `(a - a0)^T C^-1 (a - a0) / 2`, where
/// `C` has the widths of the parameters' constraints and these correlations.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelatedPrior {
    places: Vec<usize>,
    /// The root of the correlations in its lower triangle, `[m, m]`.
    root: Vec<f64>,
    /// Their inverse less one on the diagonal, `[m, m]`: what is added to independent
    /// constraints.
    excess: Vec<f64>,
}

impl CorrelatedPrior {
    /// Correlations `[m, m]`, row-major, of the parameters in `places`, each of which must
    /// have a constraint.
    ///
    /// # Errors
    /// [`PriorError`] if they are no matrix of correlations.
    pub fn new(places: Vec<usize>, correlations: &[f64]) -> Result<Self, PriorError> {
        let m = places.len();
        if correlations.len() != m * m {
            return Err(PriorError::Length {
                parameters: m,
                found: correlations.len(),
            });
        }
        for i in 0..m {
            let symmetric = (0..m).all(|j| correlations[i * m + j] == correlations[j * m + i]);
            if !symmetric || correlations[i * m + i] != 1.0 {
                return Err(PriorError::Form);
            }
        }
        let mut root = correlations.to_vec();
        if !cholesky(&mut root, m) {
            return Err(PriorError::NotPositive);
        }
        let mut excess = inverse(&root, m);
        (0..m).for_each(|i| excess[i * m + i] -= 1.0);
        Ok(Self {
            places,
            root,
            excess,
        })
    }

    /// What is added to the independent constraints of `parameters` at a point `[n]`;
    /// `visit` gets places and first derivatives, `visit_pairs` pairs of places and second
    /// derivatives.
    pub(super) fn penalty(
        &self,
        parameters: &[Parameter],
        at: &[f64],
        mut visit: impl FnMut(usize, f64),
        mut visit_pairs: impl FnMut(usize, usize, f64),
    ) -> f64 {
        let m = self.places.len();
        let known = self
            .places
            .iter()
            .map(|k| parameters[*k].constraint.as_ref());
        // a parameter without a constraint is nowhere
        let scaled: Vec<(f64, f64)> = known
            .zip(&self.places)
            .map(|(c, k)| {
                c.map_or((0.0, 0.0), |c| {
                    ((at[*k] - c.centre) / c.width, 1.0 / c.width)
                })
            })
            .collect();
        let mut value = 0.0;
        for (i, place) in self.places.iter().enumerate() {
            let row = &self.excess[i * m..(i + 1) * m];
            let slope: f64 = row.iter().zip(&scaled).map(|(e, (z, _))| e * z).sum();
            value += 0.5 * slope * scaled[i].0;
            visit(*place, slope * scaled[i].1);
            for (j, other) in self.places.iter().enumerate() {
                visit_pairs(*place, *other, row[j] * scaled[i].1 * scaled[j].1);
            }
        }
        value
    }

    /// Gives independent outcomes of auxiliary measurements around `truth`, `[n]`, their
    /// correlations.
    pub fn correlate(&self, parameters: &mut [Parameter], truth: &[f64]) {
        let m = self.places.len();
        let independent: Vec<f64> = self
            .places
            .iter()
            .map(|k| {
                let constraint = parameters[*k].constraint.as_ref();
                constraint.map_or(0.0, |c| (c.centre - truth[*k]) / c.width)
            })
            .collect();
        for (i, place) in self.places.iter().enumerate() {
            let row = &self.root[i * m..=i * m + i];
            let z: f64 = row.iter().zip(&independent).map(|(l, z)| l * z).sum();
            if let Some(constraint) = &mut parameters[*place].constraint {
                constraint.centre = truth[*place] + constraint.width * z;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toys::randomised;
    use crate::{Constraint, Likelihood, Model};
    use sideband_numerics::random::Key;
    use std::sync::Arc;

    fn parameters() -> Vec<Parameter> {
        let mut all: Vec<Parameter> = ["a", "b", "c"].map(Parameter::nuisance).to_vec();
        all[2].constraint = Some(Constraint {
            centre: 0.5,
            width: 2.0,
        });
        all
    }

    fn prior() -> CorrelatedPrior {
        CorrelatedPrior::new(vec![2, 0], &[1.0, 0.6, 0.6, 1.0]).unwrap()
    }

    #[test]
    fn penalty_is_the_quadratic_form_with_its_derivatives() {
        let model = Model::new(parameters(), Vec::new()).with_prior(Some(Arc::new(prior())));
        let at = [0.7, -1.1, 2.9];
        // z = (0.7, 1.2) with correlation 0.6, and -1.1 alone
        let form = (0.49 + 1.44 - 2.0 * 0.6 * 0.7 * 1.2) / (1.0 - 0.36) + 1.21;
        let (mut gradient, mut hessian) = (vec![0.0; 3], vec![0.0; 9]);
        let value = model.hessian(&at, &mut gradient, &mut hessian);
        assert!((value - 0.5 * form).abs() < 1e-14);
        assert!((model.value(&at) - value).abs() < 1e-14);
        let mut again = vec![0.0; 3];
        model.gradient(&at, &mut again);
        for k in 0..3 {
            assert!((again[k] - gradient[k]).abs() < 1e-14);
            let moved = |by: f64| {
                let (mut at, mut gradient) = (at, vec![0.0; 3]);
                at[k] += by;
                (model.gradient(&at, &mut gradient), gradient)
            };
            let ((below, low), (above, high)) = (moved(-1e-5), moved(1e-5));
            assert!((gradient[k] - (above - below) / 2e-5).abs() < 1e-8);
            for l in 0..3 {
                let slope = (high[l] - low[l]) / 2e-5;
                assert!((hessian[k * 3 + l] - slope).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn outcomes_of_toys_are_correlated() {
        let (prior, truth, n) = (prior(), [0.3, 0.0, -1.0], 20_000_u32);
        let mut sums = [0.0; 3];
        for toy in 0..n {
            let key = Key::from_seed(4).with(u64::from(toy));
            let mut thrown = randomised(&parameters(), &truth, key);
            prior.correlate(&mut thrown, &truth);
            let z = |k: usize| {
                let c = thrown[k].constraint.unwrap();
                (c.centre - truth[k]) / c.width
            };
            let products = [z(0) * z(2), z(0) * z(0), z(0) * z(1)];
            sums.iter_mut()
                .zip(products)
                .for_each(|(s, p)| *s += p / f64::from(n));
        }
        for (found, expected) in sums.iter().zip([0.6, 1.0, 0.0]) {
            // five standard errors
            assert!(
                (found - expected).abs() < 5.0 * 1.42 / f64::from(n).sqrt(),
                "{sums:?}"
            );
        }
    }

    #[test]
    fn what_is_no_matrix_of_correlations_is_refused() {
        let of = |matrix: &[f64]| CorrelatedPrior::new(vec![0, 1, 2], matrix).unwrap_err();
        let matrix = |a: f64, b: f64, c: f64| [1.0, a, b, a, 1.0, c, b, c, 1.0];
        assert_eq!(of(&matrix(0.9, 0.9, -0.9)), PriorError::NotPositive);
        assert_eq!(of(&[1.0; 9]), PriorError::NotPositive);
        let mut odd = matrix(0.1, 0.2, 0.3);
        odd[1] = 0.2;
        assert_eq!(of(&odd), PriorError::Form);
        assert!(matches!(of(&[1.0]), PriorError::Length { found: 1, .. }));
    }
}
