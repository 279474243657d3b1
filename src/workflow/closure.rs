//! One distribution of a prediction against the observation, with every error
//! that its bins have in common.

use super::variables::Variable;
use crate::closure::{Chi2, EnsembleHistogram, Histogram, chi2, sensitivity};
use crate::results::VariableMetrics;
use std::borrow::Cow;

/// An error that bins have in common.
#[derive(Clone, Debug)]
pub(super) struct Component {
    /// `members`, `gp`, ...
    pub name: Cow<'static, str>,
    pub variations: Variations,
}

/// What an error is made of.
#[derive(Clone, Debug)]
pub(super) enum Variations {
    /// Equally likely predictions: their covariance.
    Draws(EnsembleHistogram),
    /// Predictions one standard deviation away, each for a source of its own.
    Shifts(Vec<Vec<f64>>),
    /// A covariance that is known.
    Covariance(Vec<Vec<f64>>),
}

impl Component {
    /// Standard deviation over members.
    pub(super) fn members(members: EnsembleHistogram) -> Self {
        Self {
            name: "members".into(),
            variations: Variations::Draws(members),
        }
    }

    /// Covariance between bins of a prediction `nominal`.
    pub(super) fn covariance(&self, nominal: &[f64]) -> Vec<Vec<f64>> {
        match &self.variations {
            Variations::Draws(draws) => draws.covariance(),
            Variations::Shifts(shifts) => outer(shifts, nominal),
            Variations::Covariance(covariance) => covariance.clone(),
        }
    }

    /// The same of predictions that are each scaled to `total`.
    fn shape_covariance(&self, nominal: &[f64], total: f64) -> Vec<Vec<f64>> {
        let factor = |values: &[f64]| total / values.iter().sum::<f64>();
        let scaled = |values: &[f64]| -> Vec<f64> {
            let factor = factor(values);
            values.iter().map(|v| v * factor).collect()
        };
        match &self.variations {
            Variations::Draws(draws) => {
                let of = |d| factor(draws.member(d));
                let factors: Vec<f64> = (0..draws.members()).map(of).collect();
                draws.scaled(&factors).covariance()
            }
            Variations::Shifts(shifts) => {
                let shifts: Vec<Vec<f64>> = shifts.iter().map(|s| scaled(s)).collect();
                outer(&shifts, &scaled(nominal))
            }
            Variations::Covariance(covariance) => project(covariance, nominal, total),
        }
    }
}

fn outer(shifts: &[Vec<f64>], nominal: &[f64]) -> Vec<Vec<f64>> {
    let mut covariance = vec![vec![0.0; nominal.len()]; nominal.len()];
    for shift in shifts {
        let delta: Vec<f64> = shift.iter().zip(nominal).map(|(s, n)| s - n).collect();
        for (line, a) in covariance.iter_mut().zip(&delta) {
            for (entry, b) in line.iter_mut().zip(&delta) {
                *entry += a * b;
            }
        }
    }
    covariance
}

/// J C J^T with J the derivative of `total x / sum(x)`: the covariance of scaled
/// predictions to first order.
fn project(covariance: &[Vec<f64>], nominal: &[f64], total: f64) -> Vec<Vec<f64>> {
    let sum: f64 = nominal.iter().sum();
    let bins = nominal.len();
    let j = |i: usize, k: usize| {
        let unit = f64::from(u8::from(i == k));
        total / sum * (unit - nominal[i] / sum)
    };
    let half: Vec<Vec<f64>> = (0..bins)
        .map(|i| {
            let line = |l: usize| (0..bins).map(|k| j(i, k) * covariance[k][l]).sum();
            (0..bins).map(line).collect()
        })
        .collect();
    (0..bins)
        .map(|i| {
            let entry = |m: usize| (0..bins).map(|l| half[i][l] * j(m, l)).sum();
            (0..bins).map(entry).collect()
        })
        .collect()
}

fn sum(parts: impl Iterator<Item = Vec<Vec<f64>>>, bins: usize) -> Vec<Vec<f64>> {
    let mut total = vec![vec![0.0; bins]; bins];
    for part in parts {
        for (line, other) in total.iter_mut().zip(part) {
            for (entry, value) in line.iter_mut().zip(other) {
                *entry += value;
            }
        }
    }
    total
}

/// Square roots of the diagonal.
fn deviations(covariance: &[Vec<f64>]) -> Vec<f64> {
    let lines = covariance.iter().enumerate();
    lines.map(|(bin, line)| line[bin].sqrt()).collect()
}

/// Covariances that a test needs beside the components'.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlations {
    /// Of the source scaled as a whole: its normalisation.
    pub before: Option<Vec<Vec<f64>>>,
    /// Of the prediction with the observation and its normalisation, where they share
    /// events.
    pub after: Option<Vec<Vec<f64>>>,
}

/// All numbers of one distribution in one region. `before`: the source scaled as a
/// whole, where there is one. Prediction and observation have no event in common.
pub(super) fn compare(
    variable: &Variable,
    before: Option<&Histogram>,
    after: &Histogram,
    components: &[Component],
    observed: Option<Histogram>,
) -> VariableMetrics {
    let independent = Correlations::default();
    compare_correlated(variable, before, after, components, observed, &independent)
}

/// [`compare`] where prediction, normalisation and observation may share events.
pub(super) fn compare_correlated(
    variable: &Variable,
    before: Option<&Histogram>,
    after: &Histogram,
    components: &[Component],
    observed: Option<Histogram>,
    correlations: &Correlations,
) -> VariableMetrics {
    let bins = after.values.len();
    let each: Vec<Vec<Vec<f64>>> = components
        .iter()
        .map(|c| c.covariance(&after.values))
        .collect();
    let covariance = sum(each.iter().cloned(), bins);
    let of_difference = match &correlations.after {
        Some(shared) => sum([covariance.clone(), shared.clone()].into_iter(), bins),
        None => covariance.clone(),
    };
    let variances = |h: &Histogram| -> Option<Vec<f64>> {
        let pairs = observed.as_ref()?.variances.iter().zip(&h.variances);
        Some(pairs.map(|(a, b)| a + b).collect())
    };
    let test = |h: &Histogram, covariance: Option<&[Vec<f64>]>, fixed: usize| {
        let variances = variances(h)?;
        let observed = observed.as_ref()?;
        chi2(&observed.values, &h.values, &variances, covariance, fixed)
    };
    let visible = || sensitivity(&after.values, &variances(after)?, &of_difference);
    let shape = || -> Option<Chi2> {
        let total = observed.as_ref()?.total();
        let parts = components
            .iter()
            .map(|c| c.shape_covariance(&after.values, total));
        let covariance = sum(parts, bins);
        test(&after.scaled(total / after.total()), Some(&covariance), 1)
    };
    let shape_alone = || -> Option<Chi2> {
        let total = observed.as_ref()?.total();
        test(&after.scaled(total / after.total()), None, 1)
    };
    VariableMetrics {
        label: variable.label.clone(),
        is_input: variable.is_input,
        log: variable.log,
        edges: variable.edges.values().to_vec(),
        chi2_before: before.and_then(|h| test(h, correlations.before.as_deref(), 0)),
        chi2_after: test(after, None, 0),
        chi2_after_covariance: test(after, Some(&of_difference), 0),
        sensitivity: visible(),
        chi2_shape: shape(),
        chi2_shape_statistical: shape_alone(),
        observed,
        before: before.cloned(),
        after: after.clone(),
        spread: deviations(&covariance),
        components: components
            .iter()
            .zip(&each)
            .map(|(c, covariance)| (c.name.to_string(), deviations(covariance)))
            .collect(),
        covariance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws that differ little: their covariance carried to shapes is that of the
    /// scaled draws; a common factor is no difference in shape.
    #[test]
    fn shapes_forget_the_yield() {
        let nominal = [10.0, 30.0, 60.0];
        let draws: [[f64; 3]; 4] = [
            [10.1, 30.0, 59.9],
            [9.9, 30.2, 60.0],
            [10.0, 29.9, 60.2],
            [10.0, 29.9, 59.9],
        ];
        let mut histogram = EnsembleHistogram::new(4, 3);
        for (d, draw) in draws.iter().enumerate() {
            for (bin, value) in draw.iter().enumerate() {
                histogram.fill(d, bin, *value);
            }
        }
        let component = |variations| Component {
            name: "members".into(),
            variations,
        };
        let exact = component(Variations::Draws(histogram.clone()));
        let known = component(Variations::Covariance(histogram.covariance()));
        let (a, b) = (
            exact.shape_covariance(&nominal, 50.0),
            known.shape_covariance(&nominal, 50.0),
        );
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
        let scaled = nominal.iter().map(|n| n * 1.1).collect();
        let common = component(Variations::Shifts(vec![scaled]));
        let shape = common.shape_covariance(&nominal, 50.0);
        assert!(shape.iter().flatten().all(|c| c.abs() < 1e-20));
        let full = common.covariance(&nominal);
        assert!((full[0][2] - 1.0 * 6.0).abs() < 1e-9);
    }
}
