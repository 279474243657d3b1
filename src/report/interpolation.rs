//! The page's part on an interpolation: mass planes, pulls, the flow step by step,
//! features against each other.

use super::figures::{joined, turn};
use super::numbers::{decimals_of, fixed, known, significant, with_error};
use super::page::{PageFigure, Section, Table};
use super::plots::figure;
use crate::error::Result;
use crate::plot::{Corner, FlowSteps, MassPlane, PullGroup, Pulls, Sample};
use crate::results::{CategoryMetrics, FigureData, InterpolationMetrics, Metrics};
use crate::settings::Config;
use sideband_processes::Hole;

/// Rows of the picture of the flow.
const PAIRS: usize = 3;
/// Features against each other; more are not legible in one figure.
const FEATURES: usize = 12;

/// All sections, in the order of the page.
pub(super) fn sections(
    config: &Config,
    metrics: &Metrics,
    data: Option<&FigureData>,
) -> Result<Vec<Section>> {
    let Some(interpolation) = &metrics.interpolation else {
        return Ok(Vec::new());
    };
    let mut list = vec![planes(config, interpolation)?];
    if let Some(data) = data {
        list.push(flow(config, interpolation, data)?);
    }
    Ok(list)
}

pub(super) fn summary(metrics: &Metrics) -> Section {
    let mut components: Vec<&String> = Vec::new();
    let regions = metrics.regions.values();
    for name in regions.clone().flat_map(|r| r.yields.components.keys()) {
        if !components.contains(&name) {
            components.push(name);
        }
    }
    let words = |name: &&String| match name.as_str() {
        "gp" => " | ± Gaussian process".to_owned(),
        "normalisation" => " | ± events outside".to_owned(),
        other => format!(" | ± {other}"),
    };
    let errors: String = components.iter().map(words).collect();
    let header =
        format!("Region | Observed | Predicted | ± sampling{errors} | Predicted / observed");
    let rows = regions.map(|region| {
        let y = &region.yields;
        let error = |name: &&String| y.components.get(*name).copied();
        let errors: Vec<Option<f64>> = components.iter().map(error).collect();
        let mut known_errors: Vec<f64> = errors.iter().flatten().copied().collect();
        known_errors.push(y.after_stat);
        // the digits of the smallest error, for all of them
        let digits = decimals_of(&known_errors);
        let cell = |x: f64| digits.map_or_else(|| significant(x, 4), |d| fixed(x, d));
        let observed = known(y.observed, y.observed_error, "blinded");
        let mut cells = vec![
            region.label.clone(),
            observed,
            cell(y.after),
            cell(y.after_stat),
        ];
        cells.extend(errors.iter().map(|e| e.map_or_else(String::new, cell)));
        cells.push(known(y.ratio, y.ratio_error, "–"));
        cells
    });
    Section::new("Summary")
        .text(
            "Members share points and noise, so that their spread is the networks'. The error of \
             the Gaussian process comes from draws of its posterior.",
        )
        .table(Table::new(
            "Yields, and the errors of the prediction.",
            &header,
            rows,
        ))
}

fn name(config: &Config, category: &CategoryMetrics) -> String {
    let interpolation = config.interpolation.as_ref();
    let column = interpolation.and_then(|i| i.category.as_ref());
    match (column, category.value) {
        (Some(column), Some(value)) => format!("{} = {value}", column.column),
        _ => "all events".to_owned(),
    }
}

fn planes(config: &Config, interpolation: &InterpolationMetrics) -> Result<Section> {
    let categories = &interpolation.categories;
    let fits = categories.iter().map(|category| {
        let hole = &category.hole;
        let observed = hole.observed.map(|n| significant(n, 4));
        let [started, converged] = category.starts;
        vec![
            name(config, category),
            category.events.to_string(),
            significant(category.length_scales[0], 3),
            significant(category.length_scales[1], 3),
            significant(category.amplitude, 3),
            format!("{converged} of {started}"),
            with_error(hole.predicted, hole.error),
            observed.unwrap_or_else(|| "blinded".to_owned()),
        ]
    });
    let pulls = categories.iter().map(|category| {
        let pair = |p: Option<[f64; 2]>| match p {
            Some([mean, width]) => format!("{}, {}", fixed(mean, 2), significant(width, 3)),
            None => "–".to_owned(),
        };
        let inside = category.inside.as_ref();
        vec![
            name(config, category),
            pair(category.outside.published),
            pair(category.outside.with_error),
            pair(inside.and_then(|i| i.published)),
            pair(inside.and_then(|i| i.with_error)),
        ]
    });
    let drawn = categories.iter().enumerate();
    let drawn = drawn.map(|(number, category)| plane(config, category, number));
    let figures: Result<Vec<_>> = drawn.chain([all_pulls(config, interpolation)]).collect();
    Ok(Section::new("Mass planes")
        .text(
            "Bins that touch a hole are left out of the fit. Inside, the pulls with the error of \
             the Gaussian process should have mean 0 and width 1.",
        )
        .table(Table::new(
            "Gaussian processes. Hole: all bins that touch it.",
            "category | events outside | length scale x | length scale y | amplitude | \
             starts converged | predicted in the hole | observed",
            fits,
        ))
        .table(Table::new(
            "Pulls a bin: mean, width. Published: (prediction − observed) / √observed.",
            "category | outside, published | outside, with error | inside, published | \
             inside, with error",
            pulls,
        ))
        .figures(figures?))
}

fn plane(config: &Config, category: &CategoryMetrics, number: usize) -> Result<PageFigure> {
    let p = &category.plane;
    let label = name(config, category);
    let holes = config.interpolation.iter().flat_map(|i| &i.plane.holes);
    let numbers = |v: &[Vec<Option<f64>>]| -> Vec<Vec<f64>> {
        let line = |l: &Vec<Option<f64>>| l.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        v.iter().map(line).collect()
    };
    let is_fitted = |line: &Vec<Option<f64>>| line.iter().map(Option::is_some).collect();
    let drawn = MassPlane {
        title: joined(&[&config.report.data_label, &label]),
        x_label: p.labels[0].clone(),
        y_label: p.labels[1].clone(),
        x_edges: p.x_edges.clone(),
        y_edges: p.y_edges.clone(),
        observed: numbers(&p.input),
        fitted: p.input.iter().map(is_fitted).collect(),
        predicted: p.prediction.clone(),
        error: p.error.clone(),
        pull: numbers(&p.pull),
        pull_label: "(Predicted − observed) / error".to_owned(),
        region_label: "hole".to_owned(),
        regions: holes.map(border).collect(),
    }
    .draw();
    let caption = format!(
        "{label}: events that were fitted, prediction of the Gaussian process, its \
         error, and pulls (prediction − observed) over the error of both."
    );
    figure(&[&format!("plane_{number}")], caption, drawn)
}

/// The border of a hole as a closed line.
fn border(hole: &Hole) -> Vec<(f64, f64)> {
    match *hole {
        // (m - c) / (r m) = below cos a
        Hole::XHh {
            centre: [x, y],
            resolution,
            below,
        } => {
            let reach = resolution * below;
            turn(0..=120, |c, s| {
                (x / (1.0 - reach * c), y / (1.0 - reach * s))
            })
        }
        Hole::Circle {
            centre: [x, y],
            radius,
        } => turn(0..=120, |c, s| (x + radius * c, y + radius * s)),
        Hole::Box {
            m1: [a, b],
            m2: [c, d],
        } => vec![(a, c), (b, c), (b, d), (a, d), (a, c)],
    }
}

fn all_pulls(config: &Config, interpolation: &InterpolationMetrics) -> Result<PageFigure> {
    let categories = interpolation.categories.iter();
    let outside = categories
        .clone()
        .flat_map(|c| c.outside.values.iter().copied());
    let inside = categories.clone().filter_map(|c| c.inside.as_ref());
    let inside = inside.flat_map(|pulls| pulls.values.iter().copied());
    let group = |label: &str, values| PullGroup {
        label: label.to_owned(),
        values,
    };
    let mut groups = vec![group("Outside the holes", outside.collect())];
    if categories.clone().any(|c| c.inside.is_some()) {
        groups.push(group("Inside the holes", inside.collect()));
    }
    let drawn = Pulls {
        title: config.report.data_label.clone(),
        x_label: "(Predicted − observed) / error".to_owned(),
        groups,
    }
    .draw();
    let caption = "Pulls of the bins of all planes, with the error of the Gaussian process and of \
                   the expected count.";
    figure(&["plane_pulls"], caption, drawn)
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
) -> Result<Section> {
    let target = config.data.target_label();
    let count = data.labels.len();
    let shown = count.min(FEATURES);
    let corner = Corner {
        title: config.report.data_label.clone(),
        variables: data.labels[..shown].to_vec(),
        data: sample(target, &data.observed[..shown]),
        samples: sample("Interpolation", &data.sampled[..shown]),
    };
    let caption = format!(
        "Features against each other: {target} below the diagonal, samples above it, both on it."
    );
    let mut figures = vec![figure(&["corner"], caption, corner.draw())?];
    if !data.steps.is_empty() {
        // standardised, so without their units
        let bare = |label: &String| label.split(" [").next().unwrap_or(label).to_owned();
        let pairs = (0..PAIRS).map(|k| (2 * k, 2 * k + 1));
        let stages = data.stages.iter().zip(&data.steps);
        let steps = FlowSteps {
            title: config.report.data_label.clone(),
            variables: data.labels.iter().map(bare).collect(),
            pairs: pairs.filter(|(_, second)| *second < count).collect(),
            stages: stages
                .map(|(label, values)| sample(label, values))
                .collect(),
            data: sample("Training events", &data.training),
        };
        let caption = "One member, step by step from noise to prediction, in standardised units, \
                       for points in the holes; the training events lie outside of them.";
        figures.push(figure(&["flow_steps"], caption, steps.draw())?);
    }
    let dropped = match interpolation.dropped {
        0 => String::new(),
        n => format!(" {n} samples with features that are not finite were dropped."),
    };
    let density = significant(interpolation.negative_log_density, 5);
    let text = format!("Mean of −log p of the features on validation events: {density}.{dropped}");
    Ok(Section::new("Flows").text(text).figures(figures))
}
