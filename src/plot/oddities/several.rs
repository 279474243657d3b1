//! Figures of several panels, and of several methods, with inputs nobody would
//! draw on purpose.

use super::*;

fn sample(variables: &[Vec<f64>], weights: &[f64]) -> Sample {
    Sample {
        label: LABEL.to_owned(),
        values: variables.to_vec(),
        weights: weights.to_vec(),
    }
}

#[test]
fn mass_planes() {
    for column in lists(3) {
        for fitted in [true, false] {
            let values = vec![column.clone(), vec![1.0, 2.0, 3.0]];
            let plane = MassPlane {
                title: LABEL.to_owned(),
                x_label: LABEL.to_owned(),
                y_label: LABEL.to_owned(),
                x_edges: edges(2),
                y_edges: edges(3),
                observed: values.clone(),
                fitted: vec![vec![fitted; 3]; 2],
                predicted: values.clone(),
                error: values.clone(),
                pull: values,
                pull_label: LABEL.to_owned(),
                region_label: LABEL.to_owned(),
                regions: vec![vec![(f64::NAN, 0.0), (0.0, 1e300), (1.0, 1.0)]],
            };
            assert!(plane.draw().is_ok());
            must_render(plane.draw());
        }
    }
}

#[test]
fn planes_of_one_bin_and_of_very_many() {
    for (nx, ny) in [(1, 1), (1, 300), (301, 2)] {
        let values = vec![vec![1.0; ny]; nx];
        let plane = MassPlane {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            x_edges: edges(nx),
            y_edges: edges(ny),
            observed: values.clone(),
            fitted: (0..nx)
                .map(|i| (0..ny).map(|j| (i + j) % 2 == 0).collect())
                .collect(),
            predicted: values.clone(),
            error: vec![vec![f64::NAN; ny]; nx],
            pull: vec![vec![f64::INFINITY; ny]; nx],
            pull_label: String::new(),
            region_label: String::new(),
            regions: Vec::new(),
        };
        assert!(plane.draw().is_ok(), "{nx} {ny}");
        must_render(plane.draw());
    }
}

#[test]
fn pulls() {
    for length in [0, 1, 12] {
        for values in lists(length) {
            for normalised in [false, true] {
                let group = PullGroup {
                    label: LABEL.to_owned(),
                    values: values.clone(),
                };
                let pulls = Pulls {
                    title: LABEL.to_owned(),
                    x_label: LABEL.to_owned(),
                    counted: LABEL.to_owned(),
                    groups: vec![group; 7],
                    normalised,
                    notes: vec![LABEL.to_owned(); 3],
                };
                assert!(pulls.draw().is_ok());
                must_render(pulls.draw());
            }
        }
    }
}

#[test]
fn steps_of_flows() {
    for length in [0, 1, 12] {
        for values in lists(length) {
            let ordinary: Vec<f64> = (0..length).map(|index| index as f64).collect();
            let odd = sample(&[values.clone(), ordinary.clone()], &[]);
            let weighted = sample(&[ordinary, values.clone()], &values);
            for data in [None, Some(weighted.clone())] {
                let steps = FlowSteps {
                    title: LABEL.to_owned(),
                    variables: vec![LABEL.to_owned(); 2],
                    pairs: vec![(0, 1), (1, 1)],
                    stages: vec![odd.clone(), weighted.clone(), odd.clone()],
                    data,
                };
                assert!(steps.draw().is_ok());
                must_render(steps.draw());
            }
        }
    }
}

#[test]
fn corners() {
    for length in [0, 1, 12] {
        for values in lists(length) {
            let ordinary: Vec<f64> = (0..length).map(|index| index as f64).collect();
            let variables = [values.clone(), ordinary.clone(), vec![7.0; length]];
            for weights in [&[][..], &values] {
                let corner = Corner {
                    title: LABEL.to_owned(),
                    variables: vec![LABEL.to_owned(); 3],
                    data: sample(&variables, &[]),
                    samples: sample(&variables, weights),
                    highlight: vec![(0, 1), (1, 900)],
                };
                assert!(corner.draw().is_ok());
                must_render(corner.draw());
            }
        }
    }
}

#[test]
fn methods() {
    for bins in [1, 13] {
        for values in lists(bins) {
            for (log_y, blinded) in [(false, false), (true, false), (true, true)] {
                let prediction = |values: &[f64]| MethodPrediction {
                    label: LABEL.to_owned(),
                    values: values.to_vec(),
                    errors: values.to_vec(),
                    goodness: LABEL.to_owned(),
                };
                let methods = Methods {
                    title: LABEL.to_owned(),
                    x_label: LABEL.to_owned(),
                    y_label: LABEL.to_owned(),
                    log_y,
                    edges: edges(bins),
                    observed: (!blinded).then(|| Series {
                        label: LABEL.to_owned(),
                        values: values.clone(),
                        errors: values.clone(),
                    }),
                    predictions: vec![prediction(&values), prediction(&vec![10.0; bins])],
                    notes: vec![LABEL.to_owned(); 3],
                    divide_by_width: true,
                };
                assert!(methods.draw().is_ok());
                must_render(methods.draw());
            }
        }
    }
}

#[test]
fn residuals() {
    for value in ODD {
        for error in ODD {
            let row = ResidualRow {
                label: LABEL.to_owned(),
                values: vec![Residual { value, error }, Residual { value: 1.0, error }],
                observed_error: error,
            };
            let residuals = Residuals {
                title: LABEL.to_owned(),
                x_label: LABEL.to_owned(),
                methods: vec![LABEL.to_owned(); 2],
                rows: vec![row; 3],
            };
            assert!(residuals.draw().is_ok());
            must_render(residuals.draw());
        }
    }
}
