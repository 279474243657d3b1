//! How like the target mixed data are where both may be looked at.

use crate::report::EnsembleEnd;
use crate::results::VariableMetrics;
use crate::settings::{DATA, Sets};
use crate::statistics::{Chi2, Histogram, chi2};
use indexmap::IndexMap;

/// chi2 of the shapes of the target and of the mean of the sets, by distribution, in the region
/// that is trained in. The mean has the error of one set: sets share parents. Distributions that
/// the ensembles have not binned alike are left out.
pub(super) fn likeness(ends: &[EnsembleEnd], region: &str, sets: usize) -> IndexMap<String, Chi2> {
    let of = |ensemble: &str| {
        let end = ends.iter().find(|end| end.name == ensemble)?;
        Some(&end.metrics.as_ref()?.regions.get(region)?.variables)
    };
    let mixed: Option<Vec<_>> = (0..sets).map(|set| of(&Sets::ensemble(set))).collect();
    let (Some(data), Some(mixed)) = (of(DATA), mixed) else {
        return IndexMap::new();
    };
    let all = data.iter().filter_map(|(name, target)| {
        let sets = mixed.iter().map(|variables| variables.get(name));
        let sets: Vec<&VariableMetrics> = sets.collect::<Option<_>>()?;
        Some((name.clone(), shape(target, &sets)?))
    });
    all.collect()
}

fn shape(target: &VariableMetrics, sets: &[&VariableMetrics]) -> Option<Chi2> {
    let is_alike = |set: &&VariableMetrics| set.edges == target.edges;
    let found = target
        .observed
        .as_ref()
        .filter(|_| sets.iter().all(is_alike))?;
    let sets = sets.iter().map(|set| set.observed.as_ref());
    let sets: Vec<&Histogram> = sets.collect::<Option<_>>()?;
    let count = sets.len() as f64;
    let mean = |of: fn(&Histogram) -> &Vec<f64>| -> Vec<f64> {
        let bins = 0..found.values.len();
        let sum = |b: usize| sets.iter().map(|set| of(set)[b]).sum::<f64>();
        bins.map(|b| sum(b) / count).collect()
    };
    let (values, variances) = (mean(|h| &h.values), mean(|h| &h.variances));
    let factor = found.total() / values.iter().sum::<f64>();
    let scaled: Vec<f64> = values.iter().map(|x| factor * x).collect();
    let both = found.variances.iter().zip(&variances);
    let variances: Vec<f64> = both.map(|(a, b)| a + factor * factor * b).collect();
    chi2(&found.values, &scaled, &variances, None, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(values: &[f64]) -> VariableMetrics {
        VariableMetrics {
            edges: (0..=values.len()).map(|k| k as f64).collect(),
            observed: Some(Histogram {
                values: values.to_vec(),
                variances: values.to_vec(),
            }),
            ..VariableMetrics::default()
        }
    }

    #[test]
    fn shapes_are_compared_with_the_error_of_one_set() {
        let target = variable(&[100.0, 100.0]);
        let sets = [variable(&[60.0, 40.0]), variable(&[52.0, 48.0])];
        let sets: Vec<&VariableMetrics> = sets.iter().collect();
        // 56 and 44 on average, twice as large: 112 and 88
        let found = shape(&target, &sets).unwrap();
        let expected = 144.0 / (100.0 + 4.0 * 56.0) + 144.0 / (100.0 + 4.0 * 44.0);
        assert!((found.chi2 - expected).abs() < 1e-12 && found.ndf == 1);
        let other = variable(&[1.0, 2.0, 3.0]);
        assert_eq!(shape(&target, &[&other]), None);
    }
}
