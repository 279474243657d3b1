//! Metrics into figures.

use super::numbers::significant;
use super::verdict::short;
use crate::plot::{
    Calibration, Comparison, Contour, CorrelationMatrix, Distribution, Figure, LossCurves, Member,
    Plane, PlotError, Point, Prediction, PredictionStyle, Series,
};
use crate::results::{Metrics, PlaneMetrics, RegionMetrics, VariableMetrics};
use crate::settings::{Config, Method};
use crate::training;

/// A figure and where it goes.
pub(super) struct Named {
    /// Parts of its name: region and variable, say.
    pub name: Vec<String>,
    /// Words below it.
    pub caption: String,
    pub figure: Figure,
}

fn title(config: &Config, region: &RegionMetrics) -> String {
    let held_out = if region.trained { ", held out" } else { "" };
    [
        config.report.data_label.clone(),
        region.label.clone() + held_out,
    ]
    .into_iter()
    .filter(|s| !s.is_empty())
    .collect::<Vec<_>>()
    .join(", ")
}

/// One distribution before and after.
pub(super) fn comparison(
    config: &Config,
    region: &RegionMetrics,
    v: &VariableMetrics,
) -> Result<Figure, PlotError> {
    let source = config.data.source_label();
    let target = config.data.target_label();
    let mut notes = Vec::new();
    if let (Some(before), Some(after)) = (v.chi2_before, v.chi2_after_covariance) {
        notes.push(format!(
            "before  χ²/ndf = {}/{}",
            significant(before.chi2, 3),
            before.ndf
        ));
        notes.push(format!(
            "after  χ²/ndf = {}/{}, p = {}",
            significant(after.chi2, 3),
            after.ndf,
            short(after.p_value)
        ));
    }
    Comparison {
        title_left: title(config, region),
        x_label: v.label.clone(),
        y_label: "Events".to_owned(),
        log_y: v.log,
        edges: v.edges.clone(),
        observed: v.observed.as_ref().map(|h| Series {
            label: target.to_owned(),
            values: h.values.clone(),
            errors: h.errors(),
        }),
        predictions: std::iter::once(Prediction {
            label: match config.experiment.method {
                Method::Reweight | Method::Ratio | Method::Measure => {
                    format!("{source}, reweighted")
                }
                Method::Interpolate => "Interpolation".to_owned(),
            },
            values: v.after.values.clone(),
            stat_errors: v.after.errors(),
            spread: Some(v.spread.clone()),
            style: PredictionStyle::After,
        })
        .chain(v.before.iter().map(|before| Prediction {
            label: format!("{source}, as it is"),
            values: before.values.clone(),
            stat_errors: before.errors(),
            spread: None,
            style: PredictionStyle::Before,
        }))
        .collect(),
        notes,
    }
    .draw()
}

/// Losses of all members.
pub(super) fn losses(config: &Config, members: &[training::Member]) -> Result<Figure, PlotError> {
    LossCurves {
        members: members
            .iter()
            .map(|m| Member {
                train: m.about.history.training.clone(),
                validation: m.about.history.validation.clone(),
                best_epoch: m.about.history.best_epoch,
                failed: !m.about.outcome.is_usable(),
            })
            .collect(),
        y_label: match config.experiment.method {
            crate::settings::Method::Reweight => "Exponential loss",
            crate::settings::Method::Ratio | crate::settings::Method::Measure => "Cross-entropy",
            crate::settings::Method::Interpolate => "-log p",
        }
        .to_owned(),
        title: config.report.data_label.clone(),
    }
    .draw()
}

/// Calibration curves of all regions.
pub(super) fn calibration(config: &Config, metrics: &Metrics) -> Result<Figure, PlotError> {
    let groups = metrics
        .regions
        .values()
        .filter(|r| !r.calibration.is_empty())
        .map(|r| {
            let points = r
                .calibration
                .iter()
                .map(|p| Point {
                    predicted: p.predicted,
                    observed: p.observed,
                    error: p.error,
                    low: p.low,
                    high: p.high,
                })
                .collect();
            let held_out = if r.trained { ", held out" } else { "" };
            (r.label.clone() + held_out, points)
        })
        .collect();
    Calibration {
        title: config.report.data_label.clone(),
        groups,
        x_label: "Predicted fraction r / (1 + r)".to_owned(),
        y_label: "Observed fraction".to_owned(),
    }
    .draw()
}

/// Distribution of the weights.
pub(super) fn weights(config: &Config, metrics: &Metrics) -> Result<Figure, PlotError> {
    let edges = metrics
        .regions
        .values()
        .next()
        .map(|r| r.weight_distribution.0.clone())
        .unwrap_or_default();
    Distribution {
        x_label: "log_{10} of weight after / before".to_owned(),
        y_label: "Source events".to_owned(),
        title: config.report.data_label.clone(),
        edges,
        series: metrics
            .regions
            .values()
            .map(|r| (r.label.clone(), r.weight_distribution.1.clone()))
            .collect(),
        log_y: true,
    }
    .draw()
}

/// Correlation over replicas between the bins of a distribution.
pub(super) fn correlation(
    config: &Config,
    region: &RegionMetrics,
    v: &VariableMetrics,
) -> Result<Figure, PlotError> {
    let values = v
        .covariance
        .iter()
        .enumerate()
        .map(|(i, row)| {
            row.iter()
                .enumerate()
                .map(|(j, c)| {
                    let product = v.covariance[i][i] * v.covariance[j][j];
                    if product > 0.0 {
                        c / product.sqrt()
                    } else {
                        0.0
                    }
                })
                .collect()
        })
        .collect();
    CorrelationMatrix {
        title: format!("{}, {}", title(config, region), v.label),
        labels: v
            .edges
            .windows(2)
            .map(|w| format!("{}–{}", trimmed(w[0]), trimmed(w[1])))
            .collect(),
        values,
        z_label: "Correlation over members".to_owned(),
    }
    .draw()
}

/// A number of at most four significant digits, without zeros at its end.
fn trimmed(number: f64) -> String {
    let text = significant(number, 4);
    if text.contains('.') && !text.contains('e') {
        let short = text.trim_end_matches('0').trim_end_matches('.');
        return short.to_owned();
    }
    text
}

/// Predicted events and pulls over a plane.
pub(super) fn planes(
    config: &Config,
    name: &str,
    plane: &PlaneMetrics,
) -> Result<Vec<Named>, PlotError> {
    let contours = if plane.hh_borders {
        hh_borders()
    } else {
        Vec::new()
    };
    let draw = |values: Vec<Vec<f64>>, z_label: &str, pulls: bool| {
        Plane {
            title: config.report.data_label.clone(),
            x_label: plane.labels[0].clone(),
            y_label: plane.labels[1].clone(),
            x_edges: plane.x_edges.clone(),
            y_edges: plane.y_edges.clone(),
            values,
            z_label: z_label.to_owned(),
            diverging: pulls,
            z_range: pulls.then_some((-4.0, 4.0)),
            contours: contours.clone(),
        }
        .draw()
    };
    let blank = |v: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        v.iter()
            .map(|row| {
                row.iter()
                    .map(|x| if *x == 0.0 { f64::NAN } else { *x })
                    .collect()
            })
            .collect()
    };
    let pull = plane
        .pull
        .iter()
        .map(|row| row.iter().map(|p| p.unwrap_or(f64::NAN)).collect())
        .collect();
    Ok(vec![
        Named {
            name: vec![name.to_owned(), "predicted".to_owned()],
            caption: format!("{name}: predicted events, all regions."),
            figure: draw(blank(&plane.predicted), "Predicted events", false)?,
        },
        Named {
            name: vec![name.to_owned(), "pull".to_owned()],
            caption: format!(
                "{name}: (observed − predicted) / statistical error; includes events of the \
                 training fold."
            ),
            figure: draw(pull, "Pull", true)?,
        },
    ])
}

/// Borders of SR and CR in the plane of the two candidate masses.
fn hh_borders() -> Vec<Contour> {
    let turn = |f: &dyn Fn(f64, f64) -> (f64, f64)| -> Vec<(f64, f64)> {
        (0..120)
            .map(|i| std::f64::consts::TAU * f64::from(i) / 120.0)
            .map(|a| f(a.cos(), a.sin()))
            .collect()
    };
    vec![
        Contour {
            label: "SR".to_owned(),
            // (m - c) / (0.1 m) = 1.6 cos a
            points: turn(&|c, s| (124.0 / (1.0 - 0.16 * c), 117.0 / (1.0 - 0.16 * s))),
            closed: true,
        },
        Contour {
            label: "CR".to_owned(),
            points: turn(&|c, s| (1.05 * 124.0 + 45.0 * c, 1.05 * 117.0 + 45.0 * s)),
            closed: true,
        },
    ]
}
