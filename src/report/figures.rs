//! Metrics into figures.

use super::heights::Heights;
use super::numbers::{p_value, significant, trimmed};
use super::page::PageFigure;
use super::plots::figure;
use crate::error::{Result, counted};
use crate::plot::{
    Calibration, Comparison, Contour, CorrelationMatrix, Distribution, LossCurves, Member, Plane,
    Point, Prediction, PredictionStyle, Series,
};
use crate::results::{MemberSummary, Metrics, PlaneMetrics, RegionMetrics, VariableMetrics};
use crate::settings::{Config, HistogramStyle, Method};
use crate::training;

/// Replicas of which a correlation is a guess, below this number.
const FEW: usize = 10;
/// Bins that are named, at most.
const NAMED: usize = 3;

/// What is not empty, with commas.
pub(super) fn joined(parts: &[&str]) -> String {
    let filled = parts.iter().copied().filter(|part| !part.is_empty());
    filled.collect::<Vec<_>>().join(", ")
}

/// The region's name for people, and whether its events were held out of the training.
fn label(region: &RegionMetrics) -> String {
    region.label.clone() + if region.trained { ", held out" } else { "" }
}

fn title(config: &Config, region: &RegionMetrics) -> String {
    joined(&[&config.report.data_label, &label(region)])
}

/// One distribution before and after.
pub(super) fn comparison(
    config: &Config,
    (name, region): (&str, &RegionMetrics),
    (key, v): (&str, &VariableMetrics),
) -> Result<PageFigure> {
    let source = config.data.source_label();
    let is_interpolated = config.experiment.method == Method::Interpolate;
    let mut notes = Vec::new();
    if let (Some(before), Some(after)) = (v.chi2_before, v.chi2_after_covariance) {
        let [chi2, chi2_after] = [before, after].map(|c| significant(c.chi2, 3));
        notes.push(format!("before  χ²/ndf = {chi2}/{}", before.ndf));
        let p = p_value(after.p_value);
        notes.push(format!(
            "after  χ²/ndf = {chi2_after}/{}, p = {p}",
            after.ndf
        ));
    }
    let heights = Heights::new(&v.edges, config.report.density);
    let after = Prediction {
        label: match is_interpolated {
            true => "Interpolation".to_owned(),
            false => format!("{source}, reweighted"),
        },
        values: heights.of(v.after.values.clone()),
        stat_errors: heights.of(v.after.errors()),
        spread: Some(heights.of(v.spread.clone())),
        style: match config.report.style {
            HistogramStyle::Line => PredictionStyle::After,
            HistogramStyle::Filled => PredictionStyle::Filled,
        },
    };
    let before = v.before.iter().map(|before| Prediction {
        label: format!("{source}, as it is"),
        values: heights.of(before.values.clone()),
        stat_errors: heights.of(before.errors()),
        spread: None,
        style: PredictionStyle::Before,
    });
    let drawn = Comparison {
        title_left: title(config, region),
        x_label: v.label.clone(),
        y_label: heights.label(&v.label),
        log_y: v.log,
        edges: v.edges.clone(),
        observed: v.observed.as_ref().map(|h| Series {
            label: config.data.target_label().to_owned(),
            values: heights.of(h.values.clone()),
            errors: heights.of(h.errors()),
        }),
        predictions: std::iter::once(after).chain(before).collect(),
        notes,
    }
    .draw();
    let unseen = match v.is_input || is_interpolated {
        true => "",
        false => ", which no network sees",
    };
    figure(&[name, key], format!("{}{unseen}.", v.label), drawn)
}

pub(super) fn losses(config: &Config, members: &[training::Member]) -> Result<PageFigure> {
    let member = |m: &training::Member| Member {
        train: m.about.history.training.clone(),
        validation: m.about.history.validation.clone(),
        best_epoch: m.about.history.best_epoch,
        failed: !m.about.outcome.is_usable(),
    };
    let y_label = match config.experiment.method {
        Method::Reweight => "Exponential loss",
        Method::Ratio | Method::Measure | Method::Limit | Method::Mix => "Cross-entropy",
        Method::Interpolate => "-log p",
    };
    let drawn = LossCurves {
        members: members.iter().map(member).collect(),
        y_label: y_label.to_owned(),
        title: config.report.data_label.clone(),
    }
    .draw();
    let caption = "Losses of all members; validation with nominal weights, training with each \
                   member's bootstrap weights.";
    figure(&["losses"], caption, drawn)
}

pub(super) fn calibration(config: &Config, metrics: &Metrics) -> Result<PageFigure> {
    let point = |p: &crate::statistics::CalibrationPoint| Point {
        predicted: p.predicted,
        observed: p.observed,
        error: p.error,
        low: p.low,
        high: p.high,
    };
    let group = |r: &RegionMetrics| (label(r), r.calibration.iter().map(point).collect());
    let regions = metrics.regions.values();
    let drawn = Calibration {
        title: config.report.data_label.clone(),
        groups: regions
            .filter(|r| !r.calibration.is_empty())
            .map(group)
            .collect(),
        x_label: "Predicted fraction r / (1 + r)".to_owned(),
        y_label: "Observed fraction".to_owned(),
    }
    .draw();
    let caption = "Calibration of the nominal ratio: a perfect one lies on the diagonal.";
    figure(&["calibration"], caption, drawn)
}

pub(super) fn weights(config: &Config, metrics: &Metrics) -> Result<PageFigure> {
    let regions = metrics.regions.values();
    let edges = regions
        .clone()
        .next()
        .map(|r| r.weight_distribution.0.clone());
    let drawn = Distribution {
        x_label: "log_{10} of weight after / before".to_owned(),
        y_label: "Source events".to_owned(),
        title: config.report.data_label.clone(),
        edges: edges.unwrap_or_default(),
        series: regions
            .map(|r| (r.label.clone(), r.weight_distribution.1.clone()))
            .collect(),
        log_y: true,
    }
    .draw();
    figure(
        &["weights"],
        "Nominal weights of the source's events.",
        drawn,
    )
}

/// Correlation between the bins of a distribution of the errors that they have in common.
pub(super) fn correlation(
    config: &Config,
    members: &MemberSummary,
    (name, region): (&str, &RegionMetrics),
    (key, v): (&str, &VariableMetrics),
) -> Result<PageFigure> {
    let of = match members.replicas == members.usable {
        true => counted(members.replicas, "member"),
        false => counted(members.replicas, "replica"),
    };
    let bins = v.edges.windows(2);
    let labels = bins.map(|w| format!("{}–{}", trimmed(w[0]), trimmed(w[1])));
    let labels: Vec<String> = labels.collect();
    let values = coefficients(&v.covariance);
    let bare = labels.iter().zip(&v.covariance).enumerate();
    let bare = bare.filter(|(k, (_, line))| !has_error(line[*k]));
    let bare: Vec<&str> = bare.map(|(_, (label, _))| label.as_str()).collect();
    let components = v.components.keys().map(String::as_str);
    let components = components.collect::<Vec<_>>().join(", ");
    let caption = format!(
        "Correlation between bins of {}, of the errors that they have in common ({components}). \
         {}{}",
        v.label,
        precision(members.replicas, &of),
        without_error(&bare)
    );
    let drawn = CorrelationMatrix {
        title: format!("{}, {}; {of}", title(config, region), v.label),
        labels,
        values,
        has_numbers: members.replicas >= FEW,
        z_label: "Correlation between bins".to_owned(),
    }
    .draw();
    figure(&[name, key, "correlation"], caption, drawn)
}

/// Whether a variance is one that something correlates with.
fn has_error(variance: f64) -> bool {
    variance.is_finite() && variance > 0.0
}

/// Coefficients of a covariance; not a number where one of the two has no error.
fn coefficients(covariance: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let variance = |k: usize| covariance[k][k];
    let cell = |i: usize, j: usize| match has_error(variance(i)) && has_error(variance(j)) {
        true => covariance[i][j] / (variance(i) * variance(j)).sqrt(),
        false => f64::NAN,
    };
    let bins = 0..covariance.len();
    let row = |i: usize| bins.clone().map(|j| cell(i, j)).collect();
    bins.clone().map(row).collect()
}

/// How well so many replicas, `of` in words, know a coefficient.
fn precision(replicas: usize, of: &str) -> String {
    if replicas < 2 {
        return "One member has no spread, and is not in them.".to_owned();
    }
    // of one that is 0; larger ones are known better
    let error = significant(1.0 / (replicas as f64 - 1.0).sqrt(), 2);
    let shown = match replicas < FEW {
        true => ", and no number is shown",
        false => "",
    };
    format!("Coefficients from {of} have errors of up to {error}{shown}.")
}

/// Bins that have no correlation, in words.
fn without_error(bins: &[&str]) -> String {
    let more = bins.len().saturating_sub(NAMED);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match bins {
        [] => String::new(),
        [only] => format!(" Grey: the bin {only} has no such error, and so no correlation."),
        several => format!(
            " Grey: the bins {}{more} have no such error, and so no correlation.",
            several[..several.len().min(NAMED)].join(", ")
        ),
    }
}

/// Predicted events and pulls over a plane.
pub(super) fn planes(config: &Config, name: &str, plane: &PlaneMetrics) -> Result<[PageFigure; 2]> {
    let draw = |values: Vec<Vec<f64>>, z_label: &str, diverging: bool| {
        Plane {
            title: config.report.data_label.clone(),
            x_label: plane.labels[0].clone(),
            y_label: plane.labels[1].clone(),
            x_edges: plane.x_edges.clone(),
            y_edges: plane.y_edges.clone(),
            values,
            z_label: z_label.to_owned(),
            diverging,
            z_range: diverging.then_some((-4.0, 4.0)),
            contours: if plane.hh_borders {
                hh_borders()
            } else {
                Vec::new()
            },
        }
        .draw()
    };
    let blank = |x: &f64| if *x == 0.0 { f64::NAN } else { *x };
    let predicted = plane
        .predicted
        .iter()
        .map(|row| row.iter().map(blank).collect());
    let pull = |row: &Vec<Option<f64>>| row.iter().map(|p| p.unwrap_or(f64::NAN)).collect();
    let pulls = plane.pull.iter().map(pull).collect();
    Ok([
        figure(
            &[name, "predicted"],
            format!("{name}: predicted events, all regions."),
            draw(predicted.collect(), "Predicted events", false),
        )?,
        figure(
            &[name, "pull"],
            format!(
                "{name}: (observed − predicted) / statistical error; includes events of the \
                 training fold."
            ),
            draw(pulls, "Pull", true),
        )?,
    ])
}

/// Points of a closed line by cosine and sine of an angle, in steps of three degrees.
pub(super) fn turn(
    angles: impl Iterator<Item = i32>,
    at: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<(f64, f64)> {
    let angles = angles.map(|i| std::f64::consts::TAU * f64::from(i) / 120.0);
    angles.map(|a| at(a.cos(), a.sin())).collect()
}

/// Borders of SR and CR in the plane of the two candidate masses.
fn hh_borders() -> Vec<Contour> {
    let contour = |label: &str, points| Contour {
        label: label.to_owned(),
        points,
    };
    // (m - c) / (0.1 m) = 1.6 cos a
    let signal = |c, s| (124.0 / (1.0 - 0.16 * c), 117.0 / (1.0 - 0.16 * s));
    let control = |c, s| (1.05 * 124.0 + 45.0 * c, 1.05 * 117.0 + 45.0 * s);
    vec![
        contour("SR", turn(0..120, signal)),
        contour("CR", turn(0..120, control)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_without_an_error_has_no_correlation() {
        let covariance = [
            vec![4.0, 3.0, 0.0],
            vec![3.0, 9.0, 0.0],
            vec![0.0, 0.0, 0.0],
        ];
        let found = coefficients(&covariance);
        assert_eq!(found[0][..2], [1.0, 0.5]);
        assert_eq!(found[1][..2], [0.5, 1.0]);
        let none = [found[0][2], found[1][2], found[2][2], found[2][0]];
        assert!(none.iter().all(|x| x.is_nan()), "{none:?}");
        for (bins, words) in [
            (&[][..], ""),
            (
                &["a"],
                " Grey: the bin a has no such error, and so no correlation.",
            ),
            (
                &["a", "b", "c", "d"],
                " Grey: the bins a, b, c and 1 more have no such error, and so no correlation.",
            ),
        ] {
            assert_eq!(without_error(bins), words);
        }
    }

    #[test]
    fn what_few_members_say_of_a_correlation_is_said() {
        for (replicas, words) in [
            (1, "One member has no spread, and is not in them."),
            (
                5,
                "Coefficients from n have errors of up to 0.50, and no number is shown.",
            ),
            (101, "Coefficients from n have errors of up to 0.10."),
        ] {
            assert_eq!(precision(replicas, "n"), words);
        }
    }
}
