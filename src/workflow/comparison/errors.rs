//! The components of an error that a result has, and that of the non-closure of a row.

use crate::results::{MethodMetrics, MissingError, VariableMetrics, YieldMetrics};
use crate::workflow::metrics::Component;

/// What is known, or why it is not.
pub(super) type Known<T> = Result<T, String>;

pub(super) const NOT_FINITE: &str = "it is not a finite number";

/// Components whose errors are numbers; the others are said to be missing.
pub(super) fn finite(
    components: Vec<Component>,
    nominal: &[f64],
    variable: Option<&str>,
    missing: &mut Vec<MissingError>,
) -> Vec<Component> {
    let mut kept = Vec::with_capacity(components.len());
    for component in components {
        let covariance = component.covariance(nominal);
        let bad = |bin: &usize| covariance[*bin].iter().any(|c| !c.is_finite());
        let bins: Vec<usize> = (0..covariance.len()).filter(bad).collect();
        if bins.is_empty() {
            kept.push(component);
            continue;
        }
        let mut error = MissingError::new(&component.name, variable, NOT_FINITE);
        // a yield has one bin, which need not be named
        error.bins = if variable.is_some() { bins } else { Vec::new() };
        missing.push(error);
    }
    kept
}

/// The components of a yield, the members' first: all of them that its ensemble has.
pub(super) fn of_result(y: &YieldMetrics) -> Vec<Component> {
    let component = |(name, error): (&String, &f64)| match name.as_str() {
        "members" => Component::known("members", vec![vec![error * error]]),
        _ => Component::shifts(name.clone(), vec![vec![y.after + error]]),
    };
    y.components.iter().map(component).collect()
}

/// The components of a distribution. All but `members` shift every bin at once;
/// that of the members is what is left of the covariance.
pub(super) fn of_distribution(v: &VariableMetrics) -> Vec<Component> {
    let mut left = v.covariance.clone();
    let mut list = Vec::with_capacity(v.components.len());
    for (name, errors) in v.components.iter().filter(|(name, _)| *name != "members") {
        for (line, a) in left.iter_mut().zip(errors) {
            for (entry, b) in line.iter_mut().zip(errors) {
                *entry -= a * b;
            }
        }
        let values = v.after.values.iter().zip(errors);
        let shift = values.map(|(value, error)| value + error).collect();
        list.push(Component::shifts(name.clone(), vec![shift]));
    }
    for (bin, line) in left.iter_mut().enumerate() {
        // differences of rounding are no variance
        line[bin] = line[bin].max(0.0);
    }
    list.insert(0, Component::known("members", left));
    list
}

/// What the non-closure of a row is beyond its errors, a bin of a distribution; none where
/// nothing is observed or predicted.
fn excess(row: &str, v: &VariableMetrics) -> Known<Vec<Option<f64>>> {
    let observed = v.observed.as_ref();
    let observed = observed.ok_or_else(|| format!("row {row} is blind"))?;
    let of = |bin: usize| -> Option<f64> {
        let (n, p) = (observed.values[bin], v.after.values[bin]);
        if n <= 0.0 || p <= 0.0 {
            return None;
        }
        let variance = observed.variances[bin] / (n * n)
            + (v.after.variances[bin] + v.spread[bin].powi(2)) / (p * p);
        beyond(p / n - 1.0, p / n * variance.sqrt())
    };
    Ok((0..observed.values.len()).map(of).collect())
}

/// What a deviation is more than its error explains, in quadrature; none if it is
/// not a number.
fn beyond(deviation: f64, error: f64) -> Option<f64> {
    let square = deviation * deviation - error * error;
    square.is_finite().then(|| square.max(0.0).sqrt())
}

/// Mean of each bin and its neighbours, of those that are known.
fn smooth(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mean = |bin: usize| {
        let window = &values[bin.saturating_sub(1)..(bin + 2).min(values.len())];
        let known: Vec<f64> = window.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..values.len()).map(mean).collect()
}

/// Relative error of a yield from the non-closure of a row.
pub(super) fn total_excess(row: &str, method: &MethodMetrics) -> Known<f64> {
    match (method.difference, method.difference_error) {
        (Some(difference), Some(error)) => beyond(difference / 100.0, error / 100.0)
            .ok_or_else(|| format!("that of row {row} is not a finite number")),
        _ => Err(format!(
            "row {row} is blind, or nothing is observed or predicted in it"
        )),
    }
}

/// A distribution with the relative error of the non-closure of a row: one shift a bin, since
/// nothing says how bins hang together; bins that are empty in that row are said.
pub(super) fn non_closure_shifts(
    row: &str,
    method: &MethodMetrics,
    name: &str,
    v: &VariableMetrics,
    missing: &mut Vec<MissingError>,
) -> Known<Vec<Vec<f64>>> {
    let known = method.variables.get(name);
    let known = known.ok_or_else(|| format!("{name} is no distribution of row {row}"))?;
    let excess = excess(row, known)?;
    if known.edges != v.edges {
        return Err(format!("the edges of {name} are others in row {row}"));
    }
    let relative = smooth(&excess);
    let empty = (0..excess.len()).filter(|bin| excess[*bin].is_none());
    let (filled, unknown): (Vec<usize>, Vec<usize>) =
        empty.partition(|bin| relative[*bin].is_some());
    let nothing = format!("nothing is observed or predicted there in row {row}");
    let taken = format!("{nothing}; that of the neighbouring bins is taken");
    for (bins, reason) in [(filled, taken), (unknown, nothing)] {
        if !bins.is_empty() {
            let error = MissingError::new("nonclosure", Some(name), reason);
            missing.push(MissingError { bins, ..error });
        }
    }
    let shift = |(bin, relative): (usize, &Option<f64>)| {
        let mut shifted = v.after.values.clone();
        shifted[bin] *= 1.0 + relative.unwrap_or(0.0);
        shifted
    };
    Ok(relative.iter().enumerate().map(shift).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Histogram;

    /// What is not a number is not zero.
    #[test]
    fn an_excess_that_is_no_number_is_none() {
        assert_eq!(beyond(0.5, 0.3), Some(0.4));
        assert_eq!(beyond(0.1, 0.3), Some(0.0));
        assert_eq!(beyond(f64::NAN, 0.3), None);
        assert_eq!(beyond(0.3, f64::INFINITY), None);
    }

    #[test]
    fn empty_bins_take_what_their_neighbours_have() {
        let values = [Some(0.2), None, Some(0.4), Some(0.0), None, None, None];
        let smoothed = smooth(&values);
        assert!((smoothed[1].unwrap() - 0.3).abs() < 1e-12);
        assert!((smoothed[3].unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(smoothed[4], Some(0.0));
        assert_eq!(smoothed[5..], [None, None]);
    }

    fn histogram(values: [f64; 3], variances: [f64; 3]) -> Histogram {
        Histogram {
            values: values.to_vec(),
            variances: variances.to_vec(),
        }
    }

    fn distribution() -> VariableMetrics {
        // members: 0.25, 1 and 4 on the diagonal, -0.1 beside it
        let covariance = [[1.25, 1.9, 2.9], [1.9, 5.0, 5.9], [2.9, 5.9, 13.0]];
        let components = [
            ("members", [0.5, 1.0, 2.0]),
            ("normalisation", [1.0, 2.0, 3.0]),
        ];
        VariableMetrics {
            edges: vec![0.0, 1.0, 2.0, 3.0],
            after: histogram([10.0, 20.0, 30.0], [1.0, 2.0, 3.0]),
            covariance: covariance.map(|line| line.to_vec()).to_vec(),
            components: components
                .map(|(name, errors)| (name.to_owned(), errors.to_vec()))
                .into(),
            ..VariableMetrics::default()
        }
    }

    /// Every component of a result is there once, and together they are its
    /// covariance.
    #[test]
    fn components_of_a_result_are_taken_apart() {
        let v = distribution();
        let components = of_distribution(&v);
        let names: Vec<&str> = components.iter().map(|c| &*c.name).collect();
        assert_eq!(names, ["members", "normalisation"]);
        let parts: Vec<_> = components
            .iter()
            .map(|c| c.covariance(&v.after.values))
            .collect();
        for (i, line) in v.covariance.iter().enumerate() {
            for (k, whole) in line.iter().enumerate() {
                let sum: f64 = parts.iter().map(|part| part[i][k]).sum();
                assert!((sum - whole).abs() < 1e-12);
            }
            assert!((parts[0][i][i].sqrt() - v.components["members"][i]).abs() < 1e-12);
        }
    }

    /// Histograms of other edges are not combined by number.
    #[test]
    fn non_closure_of_other_edges_is_missing() {
        let v = distribution();
        // 10 % beyond no errors; nothing is observed in the other bins
        let of = |edges: Vec<f64>| {
            let known = VariableMetrics {
                edges,
                observed: Some(histogram([10.0, 0.0, 0.0], [0.0; 3])),
                after: histogram([11.0, 1.0, 1.0], [0.0; 3]),
                spread: vec![0.0; 3],
                ..VariableMetrics::default()
            };
            MethodMetrics {
                variables: [("x".to_owned(), known)].into(),
                ..MethodMetrics::default()
            }
        };
        let mut missing = Vec::new();
        let other = of(vec![0.0, 1.5, 2.0, 3.0]);
        assert!(non_closure_shifts("b", &other, "x", &v, &mut missing).is_err());
        let same = of(v.edges.clone());
        let shifts = non_closure_shifts("b", &same, "x", &v, &mut missing).unwrap();
        for (bin, up) in [1.1, 1.1, 1.0].into_iter().enumerate() {
            let mut expected = [10.0, 20.0, 30.0];
            expected[bin] *= up;
            let pairs = shifts[bin].iter().zip(expected);
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-12),
                "{shifts:?}"
            );
        }
        let bins: Vec<_> = missing.into_iter().map(|m| m.bins).collect();
        assert_eq!(bins, [[1], [2]]);
    }
}
