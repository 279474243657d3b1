//! Every figure with inputs nobody would draw on purpose: each must come out
//! as a picture that renders, or as an error, and never as a panic.

mod inference;
mod several;

use resvg::usvg::roxmltree;

use super::*;

/// Values that break careless axes, logarithms and ratios.
const ODD: [f64; 12] = [
    0.0,
    1.0,
    -1.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e300,
    -1e300,
    f64::MAX,
    1e-300,
    5e-324,
    123_456.789,
];

/// A label with everything in it.
const LABEL: &str = "p_{T}^{lead} <&\"> _{ ^{ } \u{0} 日本 and so on and on and on and on and on";

/// The SVG is well formed and holds no number that SVG does not know. (To
/// rasterise each would take minutes and show no more.)
fn must_render(figure: Result<Figure, PlotError>) {
    let Ok(Figure { svg }) = figure else { return };
    for number in ["NaN", "\"inf", " inf", "-inf"] {
        assert!(!svg.contains(number), "{number} in {svg}");
    }
    assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
}

/// Lists of odd values: all alike, mixed, and ordinary but for one.
fn lists(length: usize) -> Vec<Vec<f64>> {
    let mut lists: Vec<Vec<f64>> = ODD.iter().map(|value| vec![*value; length]).collect();
    lists.push((0..length).map(|index| ODD[index % ODD.len()]).collect());
    lists
}

fn edges(bins: usize) -> Vec<f64> {
    (0..=bins).map(|edge| edge as f64 - 0.5).collect()
}

#[test]
fn comparisons() {
    for bins in [1, 13] {
        for values in lists(bins) {
            for (log_y, blinded) in [(false, false), (true, false), (true, true)] {
                let prediction = |style, values: &[f64]| Prediction {
                    label: LABEL.to_owned(),
                    values: values.to_vec(),
                    stat_errors: values.to_vec(),
                    spread: Some(values.to_vec()),
                    style,
                };
                let comparison = Comparison {
                    title_left: LABEL.to_owned(),
                    x_label: LABEL.to_owned(),
                    y_label: LABEL.to_owned(),
                    log_y,
                    edges: edges(bins),
                    observed: (!blinded).then(|| Series {
                        label: LABEL.to_owned(),
                        values: values.clone(),
                        errors: values.clone(),
                    }),
                    predictions: vec![
                        prediction(PredictionStyle::Before, &vec![10.0; bins]),
                        prediction(PredictionStyle::After, &values),
                    ],
                    notes: vec![LABEL.to_owned(); 3],
                    divide_by_width: true,
                };
                must_render(comparison.draw());
            }
        }
    }
}

#[test]
fn losses() {
    for length in [0, 1, 2, 12] {
        for validation in lists(length) {
            for count in [0, 1, 3] {
                let member = |index: usize| Member {
                    train: validation.clone(),
                    validation: validation.clone(),
                    best_epoch: index * 1000,
                    failed: index == 1,
                };
                let curves = LossCurves {
                    members: (0..count).map(member).collect(),
                    y_label: LABEL.to_owned(),
                    title: LABEL.to_owned(),
                };
                must_render(curves.draw());
            }
        }
    }
}

#[test]
fn planes() {
    for column in lists(3) {
        for (diverging, log_z) in [(false, false), (true, false), (false, true)] {
            let contour = |points: &[(f64, f64)]| Contour {
                label: LABEL.to_owned(),
                points: points.to_vec(),
                closed: true,
            };
            let plane = Plane {
                title: LABEL.to_owned(),
                x_label: LABEL.to_owned(),
                y_label: LABEL.to_owned(),
                x_edges: edges(2),
                y_edges: edges(3),
                values: vec![column.clone(), vec![1.0, 2.0, 3.0]],
                z_label: LABEL.to_owned(),
                diverging,
                center: 1.0,
                log_z,
                z_range: None,
                contours: vec![
                    contour(&[]),
                    contour(&[(f64::NAN, 0.0), (0.0, 1e300), (1.0, 1.0)]),
                ],
            };
            must_render(plane.draw());
        }
    }
}

#[test]
fn calibrations() {
    for predicted in ODD {
        for observed in ODD {
            let point = Point {
                predicted,
                observed,
                error: observed,
                low: predicted,
                high: observed,
            };
            for log in [false, true] {
                let calibration = Calibration {
                    title: LABEL.to_owned(),
                    groups: vec![(LABEL.to_owned(), vec![point]), (String::new(), Vec::new())],
                    x_label: LABEL.to_owned(),
                    y_label: LABEL.to_owned(),
                    log,
                    notes: Vec::new(),
                };
                must_render(calibration.draw());
            }
        }
    }
}

#[test]
fn distributions_and_matrices() {
    for values in lists(4) {
        for log in [false, true] {
            let distribution = Distribution {
                x_label: LABEL.to_owned(),
                y_label: LABEL.to_owned(),
                title: LABEL.to_owned(),
                edges: edges(4),
                series: vec![(LABEL.to_owned(), values.clone()); 20],
                log_x: log,
                log_y: log,
                notes: Vec::new(),
            };
            must_render(distribution.draw());
        }
        let matrix = CorrelationMatrix {
            title: LABEL.to_owned(),
            labels: vec![LABEL.to_owned(); 4],
            values: vec![values.clone(); 4],
            z_label: LABEL.to_owned(),
        };
        must_render(matrix.draw());
    }
}

#[test]
fn extreme_edges() {
    let ends = [
        [-f64::MAX, f64::MAX],
        [0.0, 5e-324],
        [1.0, 1.0 + f64::EPSILON],
        [1e-300, 1e300],
    ];
    for edges in ends {
        for log_x in [false, true] {
            let distribution = Distribution {
                x_label: String::new(),
                y_label: String::new(),
                title: String::new(),
                edges: edges.to_vec(),
                series: vec![(String::new(), vec![1.0])],
                log_x,
                log_y: false,
                notes: Vec::new(),
            };
            must_render(distribution.draw());
        }
    }
}

#[test]
fn wrong_lengths_and_empty_figures_are_errors() {
    let matrix = CorrelationMatrix {
        title: String::new(),
        labels: vec!["a".to_owned()],
        values: vec![vec![1.0, 2.0]],
        z_label: String::new(),
    };
    let error = matrix.draw().expect_err("a row is too long");
    assert_eq!(
        error.to_string(),
        "row 0 of the correlation matrix: found 2 entries, expected 1"
    );
    let curves = LossCurves {
        members: Vec::new(),
        y_label: String::new(),
        title: String::new(),
    };
    assert!(matches!(curves.draw(), Err(PlotError::Empty { .. })));
}
