//! Each figure once, made of any list of values: what the tests of all figures draw.

use super::*;

/// Draws a figure made of a list of values, in one of its variants.
type Draw = fn(&[f64], usize) -> Result<Figure, PlotError>;

/// All figures: the lengths of the lists they are made of, how many variants they have
/// (logarithmic, blinded, few rows or many), and whether any values draw them.
pub(super) const FIGURES: [(&str, &[usize], usize, bool, Draw); 23] = [
    ("belt", &[1, 5], 1, false, |v, _| belt(v).draw()),
    ("calibration", &[2], 1, false, |v, _| calibration(v).draw()),
    ("cls_scan", &[1, 7], 2, false, |v, k| cls_scan(v, k).draw()),
    ("comparison", &[1, 13, 40], 3, true, |v, k| {
        comparison(v, k).draw()
    }),
    ("corner", &[0, 1, 12], 1, true, |v, _| corner(v).draw()),
    ("coverage", &[4], 2, false, |v, k| coverage(v, k).draw()),
    ("distribution", &[4, 40], 2, true, |v, k| {
        distribution(v, k).draw()
    }),
    ("favour", &[60], 2, false, |v, k| favour(v, k).draw()),
    ("flow_steps", &[0, 1, 12], 1, true, |v, _| {
        flow_steps(v).draw()
    }),
    ("impacts", &[5], 4, true, |v, k| impacts(v, k).draw()),
    ("likelihood_curve", &[1, 2, 7], 3, false, |v, k| {
        likelihood_curve(v, k).draw()
    }),
    ("limit_band", &[1, 7], 3, false, |v, k| {
        limit_band(v, k).draw()
    }),
    ("limit_plane", &[1, 12], 2, false, |v, k| {
        limit_plane(v, k).draw()
    }),
    ("loss_curves", &[0, 1, 2, 12], 3, false, |v, k| {
        losses(v, k).draw()
    }),
    ("mass_plane", &[3], 2, true, |v, k| mass_plane(v, k).draw()),
    ("matrix", &[4, 40], 1, true, |v, _| matrix(v).draw()),
    ("methods", &[1, 13, 40], 3, true, |v, k| {
        methods(v, k).draw()
    }),
    ("plane", &[3], 2, true, |v, k| plane(v, k).draw()),
    ("profile_contours", &[2, 6], 1, true, |v, _| {
        profile_contours(v).draw()
    }),
    ("pulls", &[0, 1, 12], 1, true, |v, _| pulls(v).draw()),
    ("residuals", &[2], 1, true, |v, _| residuals(v).draw()),
    ("stack", &[1, 13], 2, true, |v, k| stack(v, k).draw()),
    ("t_distribution", &[6], 1, false, |v, _| {
        t_distribution(v).draw()
    }),
];

/// A label with everything in it.
pub(super) const LABEL: &str =
    "p_{T}^{lead} <&\"> _{ ^{ } \u{0} 日本 and so on and on and on and on and on";

pub(super) fn label() -> String {
    LABEL.to_owned()
}

pub(super) fn edges(bins: usize) -> Vec<f64> {
    (0..=bins).map(|edge| edge as f64 - 0.5).collect()
}

fn series(values: &[f64]) -> Series {
    Series {
        label: label(),
        values: values.to_vec(),
        errors: values.to_vec(),
    }
}

/// Variants: all seen, logarithmic, logarithmic and blinded.
pub(super) fn comparison(values: &[f64], variant: usize) -> Comparison {
    let prediction = |style, values: &[f64]| Prediction {
        label: label(),
        values: values.to_vec(),
        stat_errors: values.to_vec(),
        spread: Some(values.to_vec()),
        style,
    };
    Comparison {
        title_left: label(),
        x_label: label(),
        y_label: label(),
        log_y: variant > 0,
        edges: edges(values.len()),
        observed: (variant < 2).then(|| series(values)),
        predictions: vec![
            prediction(PredictionStyle::Before, &vec![10.0; values.len()]),
            prediction(PredictionStyle::After, values),
        ],
        notes: vec![label(); 3],
    }
}

/// The same variants.
pub(super) fn methods(values: &[f64], variant: usize) -> Methods {
    let prediction = |values: &[f64]| MethodPrediction {
        label: label(),
        values: values.to_vec(),
        errors: values.to_vec(),
        goodness: label(),
    };
    Methods {
        title: label(),
        x_label: label(),
        y_label: label(),
        log_y: variant > 0,
        edges: edges(values.len()),
        observed: (variant < 2).then(|| series(values)),
        predictions: vec![prediction(values), prediction(&vec![10.0; values.len()])],
        notes: vec![label(); 3],
    }
}

pub(super) fn calibration(values: &[f64]) -> Calibration {
    let point = Point {
        predicted: values[0],
        observed: values[1],
        error: values[1],
        low: values[0],
        high: values[1],
    };
    Calibration {
        title: label(),
        groups: vec![(label(), vec![point]), (String::new(), Vec::new())],
        x_label: label(),
        y_label: label(),
    }
}

/// Variants: observed, and blinded.
pub(super) fn cls_scan(values: &[f64], variant: usize) -> ClsScan {
    let point = |(x, value): (usize, &f64)| ClsScanPoint {
        parameter: x as f64,
        observed: (variant == 0).then_some(*value),
        expected: [0.1, 0.2, *value, 0.6, 0.8],
    };
    ClsScan {
        title: label(),
        x_label: label(),
        points: values.iter().enumerate().map(point).collect(),
        alpha: 0.05,
    }
}

/// The same variants, and limits beside a theory.
pub(super) fn limit_band(values: &[f64], variant: usize) -> LimitBand {
    let point = |(x, value): (usize, &f64)| LimitBandPoint {
        parameter: x as f64,
        observed: (variant == 0).then_some(1.1 * value),
        expected: [0.5, 0.7, 1.0, 1.5, 2.0].map(|factor| factor * value),
    };
    let theory = |(x, value): (usize, &f64)| TheoryPoint {
        parameter: x as f64,
        value: *value,
        range: Some([0.9, 1.2].map(|factor| factor * value)),
    };
    LimitBand {
        title: label(),
        x_label: label(),
        y_label: label(),
        points: values.iter().enumerate().map(point).collect(),
        wanted: (variant == 0).then_some(1.0),
        theory: match variant {
            2 => values.iter().enumerate().map(theory).collect(),
            _ => Vec::new(),
        },
    }
}

/// Variants: observed on a grid, and expected ones of points anywhere.
pub(super) fn limit_plane(values: &[f64], variant: usize) -> LimitPlane {
    let point = |(k, value): (usize, &f64)| LimitPlanePoint {
        x: [k % 4, k * k][variant] as f64,
        y: (k / 4) as f64,
        observed: (variant == 0).then_some(1.1 * value),
        expected: [0.5, 0.7, 1.0, 1.5, 2.0].map(|factor| factor * value),
    };
    LimitPlane {
        title: label(),
        x_label: label(),
        y_label: label(),
        z_label: label(),
        points: values.iter().enumerate().map(point).collect(),
        wanted: 1.0,
    }
}

/// Variants: one method, and nine.
pub(super) fn coverage(values: &[f64], variant: usize) -> Coverage {
    let point = |value: &f64| CoveragePoint {
        parameter: *value,
        coverage: *value,
        errors: (*value, *value),
    };
    let method = CoverageMethod {
        label: label(),
        points: vec![values.iter().map(point).collect(), Vec::new()],
    };
    Coverage {
        title: label(),
        x_label: label(),
        levels: vec![values[0], 0.9545],
        methods: vec![method; [1, 9][variant]],
    }
}

pub(super) fn belt(values: &[f64]) -> Belt {
    let point = |(x, value): (usize, &f64)| BeltPoint {
        parameter: x as f64,
        quantile: *value,
        errors: (*value, *value),
    };
    let level = BeltLevel {
        level: values[0],
        points: values.iter().enumerate().map(point).collect(),
        asymptotic: values[0],
        intervals: values.windows(2).map(|pair| (pair[0], pair[1])).collect(),
    };
    Belt {
        title: label(),
        x_label: label(),
        levels: vec![level; 3],
        observed: values.iter().map(|value| (*value, *value)).collect(),
    }
}

/// Variants: without a lower panel, relative to a curve, and to one of odd parameters.
pub(super) fn likelihood_curve(values: &[f64], variant: usize) -> LikelihoodCurve {
    let points = |shift: f64| -> Vec<(f64, f64)> {
        let xs = (0..values.len()).map(|x| x as f64 + shift);
        xs.zip(values.iter().copied()).collect()
    };
    let curve = |points: Vec<(f64, f64)>| ScanCurve {
        label: label(),
        points,
        best_fit: values[0],
    };
    let swapped = points(0.0).into_iter().map(|(x, t)| (t, x)).collect();
    LikelihoodCurve {
        title: label(),
        x_label: label(),
        curves: vec![curve(points(0.0)), curve(swapped), curve(points(0.3))],
        reference: [None, Some(0), Some(1)][variant],
    }
}

pub(super) fn t_distribution(values: &[f64]) -> TDistribution {
    let quantile = TQuantile {
        level: values[0],
        value: values[1],
        error: values[2],
        asymptotic: values[3],
    };
    TDistribution {
        title: label(),
        toys: values.to_vec(),
        quantiles: vec![quantile; 3],
        notes: vec![label()],
    }
}

pub(super) fn profile_contours(values: &[f64]) -> ProfileContours {
    let x: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
    let column = |a: &f64| x.iter().zip(values).map(|(b, v)| a * b + v).collect();
    ProfileContours {
        title: label(),
        x_label: label(),
        y_label: label(),
        t: x.iter().map(column).collect(),
        y: x.clone(),
        x,
        levels: vec![(0.6827, 2.3), (values[0], 6.18)],
        best_fit: (values[0], values[1]),
    }
}

/// Variants: one row, many, more than fit, and pulls alone.
pub(super) fn impacts(values: &[f64], variant: usize) -> Impacts {
    let row = |index: usize| {
        let value = |shift: usize| values[(index + shift) % values.len()];
        ImpactRow {
            name: label(),
            pull: value(0),
            pull_errors: (value(1), value(2)),
            unconstrained: (index % 7 == 3).then(label),
            post_fit: match variant {
                3 => (f64::NAN, f64::NAN),
                _ => (value(3), value(4)),
            },
            pre_fit: (variant < 3).then(|| (value(1), value(3))),
        }
    };
    Impacts {
        title: label(),
        parameter: label(),
        rows: (0..[1, 25, 60, 25][variant]).map(row).collect(),
        first_rank: [1, 999, 1, 1][variant],
    }
}

/// Three regions of two methods, the first with `values` as residual and error.
pub(super) fn residuals(values: &[f64]) -> Residuals {
    let (value, error) = (values[0], values[1]);
    let row = ResidualRow {
        label: label(),
        values: vec![Residual { value, error }, Residual { value: 1.0, error }],
        observed_error: error,
    };
    Residuals {
        title: label(),
        methods: vec![label(); 2],
        rows: vec![row; 3],
    }
}

pub(super) fn pulls(values: &[f64]) -> Pulls {
    let group = PullGroup {
        label: label(),
        values: values.to_vec(),
    };
    Pulls {
        title: label(),
        x_label: label(),
        groups: vec![group; 7],
    }
}

/// Variants: three contributions, one of them negative, and seven without observed events.
pub(super) fn stack(values: &[f64], variant: usize) -> Stack {
    let part = |index: usize| Contribution {
        label: label(),
        values: values
            .iter()
            .map(|x| x * [1.0, -0.5, 2.0][index % 3])
            .collect(),
        is_signal: index == 1,
    };
    Stack {
        title: label(),
        x_label: label(),
        y_label: label(),
        edges: edges(values.len()),
        observed: (variant == 0).then(|| series(values)),
        contributions: (0..[3, 7][variant]).map(part).collect(),
        errors: Some(values.to_vec()),
        notes: vec![label()],
    }
}

/// Variants: linear, and logarithmic.
pub(super) fn distribution(values: &[f64], variant: usize) -> Distribution {
    Distribution {
        x_label: label(),
        y_label: label(),
        title: label(),
        edges: edges(values.len()),
        series: vec![(label(), values.to_vec()); 20],
        log_y: variant == 1,
    }
}

/// Variants: no member, one, and three of which one failed.
pub(super) fn losses(values: &[f64], variant: usize) -> LossCurves {
    let member = |index: usize| Member {
        train: values.to_vec(),
        validation: values.to_vec(),
        best_epoch: index * 1000,
        failed: index == 1,
    };
    LossCurves {
        members: (0..[0, 1, 3][variant]).map(member).collect(),
        y_label: label(),
        title: label(),
    }
}

/// Variants: an amount, and a difference.
pub(super) fn plane(values: &[f64], variant: usize) -> Plane {
    let contour = |points: &[(f64, f64)]| Contour {
        label: label(),
        points: points.to_vec(),
    };
    let border = [(f64::NAN, 0.0), (0.0, 1e300), (1.0, 1.0)];
    Plane {
        title: label(),
        x_label: label(),
        y_label: label(),
        x_edges: edges(2),
        y_edges: edges(3),
        values: vec![values.to_vec(), vec![1.0, 2.0, 3.0]],
        z_label: label(),
        diverging: variant == 1,
        z_range: None,
        contours: vec![contour(&[]), contour(&border)],
    }
}

/// Variants: events of one weight, and weighted.
pub(super) fn favour(values: &[f64], variant: usize) -> Favour {
    Favour {
        title: label(),
        x_label: label(),
        y_label: label(),
        x_edges: edges(2),
        y_edges: edges(2),
        x: values.to_vec(),
        y: vec![0.0; values.len()],
        values: values.to_vec(),
        weights: [Vec::new(), values.to_vec()][variant].clone(),
        tested: label(),
        reference: label(),
    }
}

/// Variants: all bins fitted, and none.
pub(super) fn mass_plane(values: &[f64], variant: usize) -> MassPlane {
    let values = vec![values.to_vec(), vec![1.0, 2.0, 3.0]];
    MassPlane {
        title: label(),
        x_label: label(),
        y_label: label(),
        x_edges: edges(2),
        y_edges: edges(3),
        observed: values.clone(),
        fitted: vec![vec![variant == 0; 3]; 2],
        predicted: values.clone(),
        error: values.clone(),
        pull: values,
        pull_label: label(),
        region_label: label(),
        regions: vec![vec![(f64::NAN, 0.0), (0.0, 1e300), (1.0, 1.0)]],
    }
}

pub(super) fn matrix(values: &[f64]) -> CorrelationMatrix {
    CorrelationMatrix {
        title: label(),
        labels: vec![label(); values.len()],
        values: vec![values.to_vec(); values.len()],
        has_numbers: true,
        z_label: label(),
    }
}

fn sample(variables: &[&[f64]]) -> Sample {
    Sample {
        label: label(),
        values: variables.iter().map(|list| list.to_vec()).collect(),
    }
}

/// A variable of `values`, an ordinary one and one that is the same everywhere.
pub(super) fn corner(values: &[f64]) -> Corner {
    let ordinary = edges(values.len());
    let same = vec![7.0; values.len()];
    let variables = [values, &ordinary[1..], &same];
    Corner {
        title: label(),
        variables: vec![label(); 3],
        data: sample(&variables),
        samples: sample(&variables),
    }
}

pub(super) fn flow_steps(values: &[f64]) -> FlowSteps {
    let ordinary = edges(values.len());
    let odd = sample(&[values, &ordinary[1..]]);
    let swapped = sample(&[&ordinary[1..], values]);
    FlowSteps {
        title: label(),
        variables: vec![label(); 2],
        pairs: vec![(0, 1), (1, 1)],
        stages: vec![odd.clone(), swapped.clone(), odd],
        data: swapped,
    }
}
