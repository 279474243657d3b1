//! Figures of the inference: likelihood curves, belts, coverage, impacts.

use super::super::likelihood_curve::{CriticalCurve, CriticalPoint};
use super::*;

#[test]
fn likelihood_curves() {
    for length in [1, 2, 7] {
        for values in lists(length) {
            let points = |shift: f64| -> Vec<(f64, f64)> {
                let xs = (0..length).map(|x| x as f64 + shift);
                xs.zip(values.iter().copied()).collect()
            };
            let curve = |points: Vec<(f64, f64)>| ScanCurve {
                label: LABEL.to_owned(),
                points,
                best_fit: values.first().copied(),
            };
            let swapped: Vec<(f64, f64)> = points(0.0).iter().map(|(x, t)| (*t, *x)).collect();
            let critical = |value: &f64| CriticalPoint {
                parameter: *value,
                value: *value,
                error: *value,
            };
            for reference in [None, Some(0), Some(2)] {
                let figure = LikelihoodCurve {
                    title: LABEL.to_owned(),
                    x_label: LABEL.to_owned(),
                    y_label: LABEL.to_owned(),
                    curves: vec![
                        curve(points(0.0)),
                        curve(swapped.clone()),
                        curve(points(0.3)),
                    ],
                    critical: vec![CriticalCurve {
                        label: LABEL.to_owned(),
                        points: values.iter().map(critical).collect(),
                    }],
                    reference,
                    y_max: values.last().copied(),
                    notes: vec![LABEL.to_owned()],
                };
                must_render(figure.draw());
            }
        }
    }
}

#[test]
fn belts() {
    for length in [1, 5] {
        for values in lists(length) {
            let point = |(x, value): (usize, &f64)| BeltPoint {
                parameter: x as f64,
                quantile: *value,
                errors: (*value, *value),
            };
            let level = BeltLevel {
                level: values[0],
                points: values.iter().enumerate().map(point).collect(),
                asymptotic: Some(values[0]),
                intervals: values.windows(2).map(|pair| (pair[0], pair[1])).collect(),
            };
            let belt = Belt {
                title: LABEL.to_owned(),
                x_label: LABEL.to_owned(),
                y_label: LABEL.to_owned(),
                levels: vec![level; 3],
                observed: values.iter().map(|value| (*value, *value)).collect(),
                notes: Vec::new(),
            };
            must_render(belt.draw());
        }
    }
}

#[test]
fn coverages() {
    for values in lists(4) {
        for methods in [1, 9] {
            let point = |value: &f64| CoveragePoint {
                parameter: *value,
                coverage: *value,
                errors: (*value, *value),
            };
            let method = CoverageMethod {
                label: LABEL.to_owned(),
                points: vec![values.iter().map(point).collect(), Vec::new()],
            };
            let coverage = Coverage {
                title: LABEL.to_owned(),
                x_label: LABEL.to_owned(),
                levels: vec![values[0], 0.9545],
                tolerances: vec![values[1], 0.1],
                methods: vec![method; methods],
                notes: Vec::new(),
            };
            must_render(coverage.draw());
        }
    }
}

#[test]
fn impacts() {
    for values in lists(5) {
        for (rows, first_rank) in [(1, 0), (25, 999), (60, 1)] {
            let row = |index: usize| {
                let value = |shift: usize| values[(index + shift) % values.len()];
                ImpactRow {
                    name: LABEL.to_owned(),
                    pull: value(0),
                    pull_errors: (value(1), value(2)),
                    unconstrained: (index % 7 == 3).then(|| LABEL.to_owned()),
                    post_fit: (value(3), value(4)),
                    pre_fit: Some((value(1), value(3))),
                }
            };
            let impacts = Impacts {
                title: LABEL.to_owned(),
                parameter: LABEL.to_owned(),
                rows: (0..rows).map(row).collect(),
                first_rank,
                notes: vec![LABEL.to_owned()],
            };
            must_render(impacts.draw());
        }
    }
}

#[test]
fn favours_and_distributions_of_t() {
    for values in lists(6) {
        let favour = Favour {
            title: LABEL.to_owned(),
            x_label: LABEL.to_owned(),
            y_label: LABEL.to_owned(),
            x_edges: edges(3),
            y_edges: edges(2),
            x: values.clone(),
            y: vec![0.0; 6],
            values: values.clone(),
            weights: values.clone(),
            tested: LABEL.to_owned(),
            reference: LABEL.to_owned(),
            fewest: Some(0),
            reach: values.first().copied(),
        };
        must_render(favour.draw());
        let quantile = TQuantile {
            level: values[0],
            value: values[1],
            error: values[2],
            asymptotic: values[3],
        };
        let distribution = TDistribution {
            title: LABEL.to_owned(),
            x_label: LABEL.to_owned(),
            toys: values.clone(),
            quantiles: vec![quantile; 3],
            observed: values.last().copied(),
            notes: vec![LABEL.to_owned()],
        };
        must_render(distribution.draw());
    }
}
