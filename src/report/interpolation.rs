//! The page's part on an interpolation: mass planes, pulls, the flow step by step,
//! features against each other.

use super::build::{ReportError, plot_error};
use super::figures::Named;
use super::numbers::{decimals_of, fixed, significant, with_error};
use super::page::{Section, Table};
use crate::plot::{Corner, FlowSteps, MassPlane, PullGroup, Pulls, Sample};
use crate::results::{CategoryMetrics, FigureData, InterpolationMetrics, Metrics};
use crate::settings::Config;
use sideband_processes::Hole;

/// Rows of the picture of the flow.
const PAIRS: usize = 3;

/// All sections, in the order of the page.
pub(super) fn sections(
    config: &Config,
    metrics: &Metrics,
    data: Option<&FigureData>,
) -> Result<Vec<(Section, Vec<Named>)>, ReportError> {
    let Some(interpolation) = &metrics.interpolation else {
        return Ok(Vec::new());
    };
    let mut list = vec![planes(config, interpolation)?];
    if let Some(data) = data {
        list.push(flow(config, interpolation, data)?);
    }
    Ok(list)
}

/// Yields with every error apart.
pub(super) fn summary(metrics: &Metrics) -> Section {
    let mut components: Vec<&String> = Vec::new();
    for name in metrics
        .regions
        .values()
        .flat_map(|r| r.yields.components.keys())
    {
        if !components.contains(&name) {
            components.push(name);
        }
    }
    let words = |name: &str| match name {
        "members" => "± members".to_owned(),
        "gp" => "± Gaussian process".to_owned(),
        "normalisation" => "± events outside".to_owned(),
        other => format!("± {other}"),
    };
    let mut header: Vec<String> = ["Region", "Observed", "Predicted", "± sampling"]
        .map(ToOwned::to_owned)
        .to_vec();
    header.extend(components.iter().map(|name| words(name)));
    header.push("Predicted / observed".to_owned());
    let rows = metrics.regions.values().map(|region| {
        let y = &region.yields;
        let pair = |value: Option<f64>, error: Option<f64>, none: &str| match (value, error) {
            (Some(v), Some(e)) => with_error(v, e),
            _ => none.to_owned(),
        };
        let mut cells = vec![
            region.label.clone(),
            pair(y.observed, y.observed_error, "blinded"),
        ];
        let error = |name: &&String| y.components.get(*name).copied();
        let errors: Vec<Option<f64>> = components.iter().map(error).collect();
        let mut known: Vec<f64> = errors.iter().flatten().copied().collect();
        known.push(y.after_stat);
        // the digits of the smallest error, for all of them
        let cell = |x: f64| decimals_of(&known).map_or_else(|| significant(x, 4), |d| fixed(x, d));
        cells.extend([cell(y.after), cell(y.after_stat)]);
        cells.extend(errors.iter().map(|e| e.map_or_else(String::new, cell)));
        cells.push(pair(y.ratio, y.ratio_error, "–"));
        cells
    });
    Section {
        title: "Summary".to_owned(),
        text: vec![
            "Members share points and noise, so that their spread is the networks'. The error of \
             the Gaussian process comes from draws of its posterior."
                .to_owned(),
        ],
        tables: vec![Table {
            caption: "Yields, and the errors of the prediction.".to_owned(),
            rows: rows.collect(),
            header,
        }],
        ..Section::default()
    }
}

fn name(config: &Config, category: &CategoryMetrics) -> String {
    let column = config
        .interpolation
        .as_ref()
        .and_then(|i| i.category.as_ref());
    match (column, category.value) {
        (Some(column), Some(value)) => format!("{} = {value}", column.column),
        _ => "all events".to_owned(),
    }
}

fn planes(
    config: &Config,
    interpolation: &InterpolationMetrics,
) -> Result<(Section, Vec<Named>), ReportError> {
    let mut rows = Vec::new();
    let mut pulls = Vec::new();
    let mut figures = Vec::new();
    for (number, category) in interpolation.categories.iter().enumerate() {
        let label = name(config, category);
        let hole = &category.hole;
        rows.push(vec![
            label.clone(),
            category.events.to_string(),
            significant(category.length_scales[0], 3),
            significant(category.length_scales[1], 3),
            significant(category.amplitude, 3),
            format!("{} of {}", category.starts[1], category.starts[0]),
            with_error(hole.predicted, hole.error),
            hole.observed
                .map_or_else(|| "blinded".to_owned(), |n| significant(n, 4)),
        ]);
        let pair = |p: Option<[f64; 2]>| match p {
            Some([mean, width]) => format!("{}, {}", fixed(mean, 2), significant(width, 3)),
            None => "–".to_owned(),
        };
        let inside = category.inside.as_ref();
        pulls.push(vec![
            label.clone(),
            pair(category.outside.published),
            pair(category.outside.with_error),
            pair(inside.and_then(|i| i.published)),
            pair(inside.and_then(|i| i.with_error)),
        ]);
        let file = format!("plane_{number}");
        figures.push(Named {
            figure: plane(config, category, &label).map_err(plot_error(&file))?,
            name: vec![file],
            caption: format!(
                "{label}: events that were fitted, prediction of the Gaussian process, its \
                 error, and pulls (prediction − observed) over the error of both."
            ),
        });
    }
    figures.push(all_pulls(config, interpolation)?);
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let section = Section {
        title: "Mass planes".to_owned(),
        text: vec![
            "Bins that touch a hole are left out of the fit. Inside, the pulls with the error of \
             the Gaussian process should have mean 0 and width 1."
                .to_owned(),
        ],
        tables: vec![
            Table {
                caption: "Gaussian processes. Hole: all bins that touch it.".to_owned(),
                header: texts(&[
                    "category",
                    "events outside",
                    "length scale x",
                    "length scale y",
                    "amplitude",
                    "starts converged",
                    "predicted in the hole",
                    "observed",
                ]),
                rows,
            },
            Table {
                caption: "Pulls a bin: mean, width. Published: (prediction − observed) / \
                          √observed."
                    .to_owned(),
                header: texts(&[
                    "category",
                    "outside, published",
                    "outside, with error",
                    "inside, published",
                    "inside, with error",
                ]),
                rows: pulls,
            },
        ],
        ..Section::default()
    };
    Ok((section, figures))
}

fn plane(
    config: &Config,
    category: &CategoryMetrics,
    label: &str,
) -> Result<crate::plot::Figure, crate::plot::PlotError> {
    let p = &category.plane;
    let holes = config.interpolation.iter().flat_map(|i| &i.plane.holes);
    let numbers = |v: &[Vec<Option<f64>>]| -> Vec<Vec<f64>> {
        let line = |l: &Vec<Option<f64>>| l.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        v.iter().map(line).collect()
    };
    MassPlane {
        title: title(config, label),
        x_label: p.labels[0].clone(),
        y_label: p.labels[1].clone(),
        x_edges: p.x_edges.clone(),
        y_edges: p.y_edges.clone(),
        observed: numbers(&p.input),
        fitted: p
            .input
            .iter()
            .map(|line| line.iter().map(Option::is_some).collect())
            .collect(),
        predicted: p.prediction.clone(),
        error: p.error.clone(),
        pull: numbers(&p.pull),
        pull_label: "(Predicted − observed) / error".to_owned(),
        region_label: "hole".to_owned(),
        regions: holes.map(border).collect(),
    }
    .draw()
}

fn title(config: &Config, label: &str) -> String {
    let parts = [config.report.data_label.as_str(), label];
    let filled = parts.into_iter().filter(|s| !s.is_empty());
    filled.collect::<Vec<_>>().join(", ")
}

/// The border of a hole as a closed line.
fn border(hole: &Hole) -> Vec<(f64, f64)> {
    let turn = |f: &dyn Fn(f64, f64) -> (f64, f64)| -> Vec<(f64, f64)> {
        let angles = (0..=120).map(|i| std::f64::consts::TAU * f64::from(i) / 120.0);
        angles.map(|a| f(a.cos(), a.sin())).collect()
    };
    match *hole {
        // (m - c) / (r m) = below cos a
        Hole::XHh {
            centre,
            resolution,
            below,
        } => {
            let reach = resolution * below;
            turn(&|c, s| (centre[0] / (1.0 - reach * c), centre[1] / (1.0 - reach * s)))
        }
        Hole::Circle { centre, radius } => {
            turn(&|c, s| (centre[0] + radius * c, centre[1] + radius * s))
        }
        Hole::Box { m1, m2 } => vec![
            (m1[0], m2[0]),
            (m1[1], m2[0]),
            (m1[1], m2[1]),
            (m1[0], m2[1]),
            (m1[0], m2[0]),
        ],
    }
}

fn all_pulls(config: &Config, interpolation: &InterpolationMetrics) -> Result<Named, ReportError> {
    let gather = |inside: bool| -> Vec<f64> {
        let pulls = interpolation.categories.iter().filter_map(|c| {
            if inside {
                c.inside.as_ref()
            } else {
                Some(&c.outside)
            }
        });
        pulls.flat_map(|p| p.values.iter().copied()).collect()
    };
    let group = |label: &str, inside| PullGroup {
        label: label.to_owned(),
        values: gather(inside),
    };
    let mut groups = vec![group("Outside the holes", false)];
    if interpolation.categories.iter().any(|c| c.inside.is_some()) {
        groups.push(group("Inside the holes", true));
    }
    let figure = Pulls {
        title: config.report.data_label.clone(),
        x_label: "(Predicted − observed) / error".to_owned(),
        groups,
    }
    .draw();
    Ok(Named {
        name: vec!["plane_pulls".to_owned()],
        caption: "Pulls of the bins of all planes, with the error of the Gaussian process and of \
                  the expected count."
            .to_owned(),
        figure: figure.map_err(plot_error("plane_pulls"))?,
    })
}

fn sample(label: &str, values: &[Vec<f32>]) -> Sample {
    let column = |c: &Vec<f32>| c.iter().copied().map(f64::from).collect();
    Sample {
        label: label.to_owned(),
        values: values.iter().map(column).collect(),
    }
}

fn flow(
    config: &Config,
    interpolation: &InterpolationMetrics,
    data: &FigureData,
) -> Result<(Section, Vec<Named>), ReportError> {
    let target = config.data.target_label();
    let mut figures = Vec::new();
    let count = data.labels.len();
    // more are not legible in one figure
    let shown = count.min(12);
    let corner = Corner {
        title: config.report.data_label.clone(),
        variables: data.labels[..shown].to_vec(),
        data: sample(target, &data.observed[..shown]),
        samples: sample("Interpolation", &data.sampled[..shown]),
    };
    figures.push(Named {
        name: vec!["corner".to_owned()],
        caption: format!(
            "Features against each other: {target} below the diagonal, samples above it, both on it."
        ),
        figure: corner.draw().map_err(plot_error("corner"))?,
    });
    let stages = data.stages.iter().zip(&data.steps);
    let steps = FlowSteps {
        title: config.report.data_label.clone(),
        // standardised, so without their units
        variables: data
            .labels
            .iter()
            .map(|label| label.split(" [").next().unwrap_or(label).to_owned())
            .collect(),
        pairs: (0..PAIRS)
            .map(|k| (2 * k, 2 * k + 1))
            .filter(|(_, second)| *second < count)
            .collect(),
        stages: stages
            .map(|(label, values)| sample(label, values))
            .collect(),
        data: Some(sample("Training events", &data.training)),
    };
    if !data.steps.is_empty() {
        figures.push(Named {
            name: vec!["flow_steps".to_owned()],
            caption: "One member, step by step from noise to prediction, in standardised units, \
                      for points in the holes; the training events lie outside of them."
                .to_owned(),
            figure: steps.draw().map_err(plot_error("flow_steps"))?,
        });
    }
    let dropped = match interpolation.dropped {
        0 => String::new(),
        n => format!(" {n} samples with features that are not finite were dropped."),
    };
    let section = Section {
        title: "Flows".to_owned(),
        text: vec![format!(
            "Mean of −log p of the features on validation events: {}.{dropped}",
            significant(interpolation.negative_log_density, 5)
        )],
        ..Section::default()
    };
    Ok((section, figures))
}
