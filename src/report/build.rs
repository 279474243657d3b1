//! The report's page and files from a run's metrics and members.

use super::figures::{self, Named};
use super::interpolation;
use super::losses;
use super::names::file_names;
use super::numbers::{number, percent, significant, with_error};
use super::page::{Page, PageFigure, Section, Table, render};
use super::verdict::{short, verdict};
use crate::closure::Auc;
use crate::error::OnFile;
use crate::files::formats::METRICS;
use crate::plot::PlotError;
use crate::results::{AucPair, FigureData, Metrics, RegionMetrics, judge};
use crate::rundir::{Manifest, RunDirectory};
use crate::settings::{Blinding, Config, IdentityOf, Method};
use crate::training::Member;
use rayon::prelude::*;
use std::collections::BTreeSet;

pub(super) use crate::error::Error as ReportError;

/// The run has no result to report.
pub(crate) fn unfinished(reason: &str) -> ReportError {
    ReportError::data(format!(
        "this run has no result to report: {reason}; run its configuration again"
    ))
}

/// Reads `metrics.json` of a run.
///
/// # Errors
/// [`ReportError`] if it is not there or damaged.
pub fn read_metrics(directory: &RunDirectory) -> Result<Metrics, ReportError> {
    let path = directory.metrics_path();
    if !path.exists() {
        return Err(unfinished("it has no metrics.json"));
    }
    let Head { format } = directory.read_json(&path)?;
    let known = METRICS.check(format);
    known.map_err(|reason| unfinished(&format!("{} {reason}", path.display())))?;
    directory.read_json(&path)
}

/// The part of `metrics.json` that every version has.
#[derive(serde::Deserialize)]
struct Head {
    format: u32,
}

/// What figures need beside the metrics; only interpolations have it.
///
/// # Errors
/// [`ReportError`] if it is damaged.
pub(crate) fn read_figure_data(
    directory: &RunDirectory,
) -> Result<Option<FigureData>, ReportError> {
    let path = directory.join("figures.json");
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(directory.read_json(&path)?))
}

/// Draws all figures and the page into the run directory; gives the files of the
/// figures, by their path in it.
///
/// # Errors
/// [`ReportError`]
pub(crate) fn write(
    directory: &RunDirectory,
    config: &Config,
    manifest: &Manifest,
    metrics: &Metrics,
    members: &[Member],
) -> Result<BTreeSet<String>, ReportError> {
    let data = read_figure_data(directory)?;
    let sections = sections(config, metrics, members, data.as_ref())?;
    let figures: Vec<&Named> = sections.iter().flat_map(|(_, figures)| figures).collect();
    let parts: Vec<Vec<String>> = figures.iter().map(|named| named.name.clone()).collect();
    let names = file_names(&parts);
    let plots = directory.plots();
    std::fs::create_dir_all(&plots).on(&plots)?;
    figures
        .par_iter()
        .zip(&names)
        .try_for_each(|(named, name)| {
            let path = directory.plots().join(format!("{name}.svg"));
            directory.write(&path, named.figure.svg.as_bytes())?;
            let png = named.figure.to_png().map_err(plot_error(name))?;
            directory.write(&path.with_extension("png"), &png)
        })?;
    let mut drawn = BTreeSet::from(["plots/report.toml".to_owned()]);
    for name in &names {
        drawn.extend(["svg", "png"].map(|ending| format!("plots/{name}.{ending}")));
    }
    let mut names = names.into_iter();
    let page = Page {
        title: config
            .report
            .title
            .clone()
            .unwrap_or_else(|| config.experiment.name.clone()),
        subtitle: config.experiment.description.clone(),
        verdict: verdict(metrics, config),
        facts: facts(config, manifest, metrics),
        sections: sections
            .into_iter()
            .map(|(mut section, figures)| {
                section.figures = figures
                    .into_iter()
                    .zip(names.by_ref())
                    .map(|(f, name)| PageFigure {
                        name,
                        svg: f.figure.svg,
                        caption: f.caption,
                    })
                    .collect();
                section
            })
            .collect(),
        footer: vec![
            "Light band: statistical error and the errors that bins have in common in quadrature; \
             hatched: the latter alone. χ² uses their full covariance."
                .to_owned(),
            "Numbers: metrics.json. How it was made: manifest.json, config.toml. \
             Weights of every event: predictions/."
                .to_owned(),
        ],
    };
    directory.write(&directory.report_path(), render(&page).as_bytes())?;
    let used = directory.plots().join("report.toml");
    directory.write(&used, config.identity(IdentityOf::Report).as_bytes())?;
    Ok(drawn)
}

fn facts(config: &Config, manifest: &Manifest, metrics: &Metrics) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let files = |list: &[crate::events::FileRecord]| {
        let rows: Option<u64> = list.iter().map(|f| f.rows).sum();
        let rows = rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
        let names: Vec<&str> = list.iter().take(3).map(|f| f.path.as_str()).collect();
        let more = if list.len() > 3 { ", …" } else { "" };
        format!("{}{more} ({} files{rows})", names.join(", "), list.len())
    };
    let m = &metrics.members;
    let source = &manifest.inputs.source;
    let source = (!source.is_empty()).then(|| fact("Source", files(source)));
    let mut facts = vec![
        fact("Method", config.experiment.method.describe().to_owned()),
        fact(
            "Members",
            format!(
                "{} of {}, {:.0} epochs on average",
                m.usable, m.requested, m.mean_epochs
            ),
        ),
        fact("Seed", manifest.seed.to_string()),
        fact("Target", files(&manifest.inputs.target)),
        fact(
            "Device",
            format!(
                "{}, {} threads, {}",
                manifest.device.name, manifest.device.threads, manifest.versions.platform
            ),
        ),
        fact(
            "Program",
            format!(
                "sideband {}{}, burn {}",
                manifest.versions.sideband,
                manifest
                    .versions
                    .git_revision
                    .as_ref()
                    .map_or_else(String::new, |r| format!(" ({r})")),
                manifest.versions.burn
            ),
        ),
        fact("Started", manifest.started.clone()),
        fact("Wall time", format!("{:.1} s", manifest.wall_seconds)),
    ];
    let hidden = Blinding::new(&config.regions, manifest.unblind).describe();
    // behind the target, and before it
    facts.splice(4..4, hidden.map(|text| fact("Blind", text)));
    facts.splice(3..3, source);
    facts
}

type SectionWithFigures = (Section, Vec<Named>);

fn sections(
    config: &Config,
    metrics: &Metrics,
    members: &[Member],
    data: Option<&FigureData>,
) -> Result<Vec<SectionWithFigures>, ReportError> {
    let overview = match &metrics.interpolation {
        Some(_) => interpolation::summary(metrics),
        None => summary(config, metrics),
    };
    let mut list = vec![(overview, Vec::new())];
    let mut regions: Vec<(&String, &RegionMetrics)> = metrics.regions.iter().collect();
    // what was not trained on comes first
    regions.sort_by_key(|(_, r)| r.trained);
    for (name, region) in regions {
        list.push(region_section(config, name, region)?);
    }
    let mut figures = Vec::new();
    for (name, plane) in &metrics.planes {
        let drawn = figures::planes(config, name, plane);
        figures.extend(drawn.map_err(plot_error(name))?);
    }
    if !figures.is_empty() {
        list.push((
            Section {
                title: "Planes".to_owned(),
                text: metrics
                    .planes
                    .iter()
                    .filter(|(_, plane)| plane.outside != [0.0; 2])
                    .map(|(name, plane)| {
                        let [observed, predicted] = plane.outside.map(number);
                        format!(
                            "{name}: {observed} of the observed and {predicted} of the predicted \
                             events lie outside and are in no bin."
                        )
                    })
                    .collect(),
                ..Section::default()
            },
            figures,
        ));
    }
    list.extend(interpolation::sections(config, metrics, data)?);
    if metrics.interpolation.is_none() {
        list.push(ratio_section(config, metrics)?);
    }
    list.push(training_section(config, metrics, members)?);
    list.push((losses::section(&metrics.losses), Vec::new()));
    Ok(list)
}

/// A figure cannot be drawn.
pub(crate) fn plot_error(name: &str) -> impl Fn(PlotError) -> ReportError {
    move |error| ReportError::internal(format!("figure {name}: {error}"))
}

fn summary(config: &Config, metrics: &Metrics) -> Section {
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let judgement = judge(metrics, config);
    let rows = metrics
        .regions
        .iter()
        .map(|(name, r)| {
            let y = &r.yields;
            let pair = |v: Option<f64>, e: Option<f64>, none: &str| match (v, e) {
                (Some(v), Some(e)) => with_error(v, e),
                (Some(v), None) => number(v),
                _ => none.to_owned(),
            };
            let auc = |pick: fn(AucPair) -> Auc| {
                let value = r.auc.map(pick).map(|a| with_error(a.value, a.error));
                value.unwrap_or_else(|| "–".to_owned())
            };
            let component = |name: &str| {
                let error = y.components.get(name);
                error.map_or_else(|| "–".to_owned(), |e| number(*e))
            };
            vec![
                r.label.clone() + if r.trained { " (held out)" } else { "" },
                pair(y.observed, y.observed_error, "blinded"),
                pair(y.before, y.before_stat, "–"),
                number(y.after),
                number(y.after_stat),
                component("members"),
                component("normalisation"),
                pair(y.ratio, y.ratio_error, "–"),
                auc(|a| a.before),
                auc(|a| a.after),
                if r.blind {
                    "blinded".to_owned()
                } else {
                    judgement.regions[name].state.words().to_owned()
                },
            ]
        })
        .collect();
    let weights = metrics
        .regions
        .values()
        .map(|r| {
            let w = &r.weights;
            vec![
                r.label.clone(),
                r.source_events.to_string(),
                number(w.effective),
                number(w.largest),
                percent(w.largest_share),
                percent(r.yields.raw_relative_spread),
                r.yields
                    .components
                    .get("members")
                    .filter(|_| r.yields.after != 0.0)
                    .map_or_else(|| "–".to_owned(), |e| percent(e / r.yields.after)),
            ]
        })
        .collect();
    let outside = metrics
        .regions
        .values()
        .map(|r| {
            vec![
                r.label.clone(),
                r.outside.events.to_string(),
                percent(r.outside.share),
                percent(r.outside.predicted_share),
                r.outside.words(),
            ]
        })
        .collect();
    Section {
        title: "Summary".to_owned(),
        text: vec![
            "AUC is that of a fresh classifier of source against target; 0.5 means that nothing \
             tells them apart, and a perfect reweighting gives 0.5 within the error."
                .to_owned(),
            "Members: standard deviation over replicas, each normalised to its own resampling of \
             the source in the training region. Normalisation: counting error of the target there, \
             and of the source where replicas are not resampled."
                .to_owned(),
        ],
        tables: vec![
            Table {
                caption: "Yields, and the errors of the prediction.".to_owned(),
                header: texts(&[
                    "Region",
                    "Observed",
                    "Before",
                    "After",
                    "± statistical",
                    "± members",
                    "± normalisation",
                    "After / observed",
                    "AUC before",
                    "AUC after",
                    "Verdict",
                ]),
                rows,
            },
            Table {
                caption: "Weights. Effective events: (sum w)² / sum w².".to_owned(),
                header: texts(&[
                    "Region",
                    "Source events",
                    "Effective",
                    "Largest weight",
                    "Its share",
                    "Spread of yield, raw",
                    "Spread, normalised",
                ]),
                rows: weights,
            },
            Table {
                caption:
                    "Events to be predicted outside of what was trained: beyond the values of \
                          the training region's events, or in a category without any."
                        .to_owned(),
                header: texts(&[
                    "Region",
                    "Events",
                    "Share of the source",
                    "Share of the prediction",
                    "Reasons",
                ]),
                rows: outside,
            },
        ],
        ..Section::default()
    }
}

fn region_section(
    config: &Config,
    name: &str,
    region: &RegionMetrics,
) -> Result<SectionWithFigures, ReportError> {
    let mut figures = Vec::new();
    let mut rows = Vec::new();
    for (key, v) in &region.variables {
        let file = vec![name.to_owned(), key.clone()];
        let figure = figures::comparison(config, region, v).map_err(plot_error(&file.join(" ")))?;
        figures.push(Named {
            name: file,
            caption: format!(
                "{}{}.",
                v.label,
                if v.is_input || config.experiment.method == Method::Interpolate {
                    ""
                } else {
                    ", which no network sees"
                }
            ),
            figure,
        });
        let cell = |c: Option<crate::closure::Chi2>| {
            c.map_or_else(
                || "–".to_owned(),
                |c| format!("{} / {}", significant(c.chi2, 3), c.ndf),
            )
        };
        rows.push(vec![
            v.label.clone(),
            cell(v.chi2_before),
            cell(v.chi2_after),
            cell(v.chi2_after_covariance),
            v.chi2_after_covariance
                .map_or_else(|| "–".to_owned(), |c| short(c.p_value)),
            cell(v.chi2_shape),
        ]);
    }
    if let Some((key, v)) = region.variables.iter().find(|(_, v)| !v.is_input) {
        let file = vec![name.to_owned(), key.clone(), "correlation".to_owned()];
        let figure =
            figures::correlation(config, region, v).map_err(plot_error(&file.join(" ")))?;
        figures.push(Named {
            name: file,
            caption: format!("Correlation over members between bins of {}.", v.label),
            figure,
        });
    }
    let held_out = if region.trained {
        ", held-out events"
    } else {
        ""
    };
    let section = Section {
        title: format!("Region {}{held_out}", region.label),
        anchor: format!("region-{name}"),
        tables: vec![Table {
            caption: "χ² / ndf of prediction against observation.".to_owned(),
            header: [
                "Distribution",
                "Before",
                "After",
                "After, with covariance",
                "p",
                "Shape, with covariance",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
            rows,
        }],
        ..Section::default()
    };
    Ok((section, figures))
}

fn ratio_section(config: &Config, metrics: &Metrics) -> Result<SectionWithFigures, ReportError> {
    let mut figures = Vec::new();
    if metrics.regions.values().any(|r| !r.calibration.is_empty()) {
        figures.push(Named {
            name: vec!["calibration".to_owned()],
            caption: "Calibration of the nominal ratio: a perfect one lies on the diagonal."
                .to_owned(),
            figure: figures::calibration(config, metrics).map_err(plot_error("calibration"))?,
        });
    }
    figures.push(Named {
        name: vec!["weights".to_owned()],
        caption: "Nominal weights of the source's events.".to_owned(),
        figure: figures::weights(config, metrics).map_err(plot_error("weights"))?,
    });
    let section = Section {
        title: "Ratio and weights".to_owned(),
        ..Section::default()
    };
    Ok((section, figures))
}

fn training_section(
    config: &Config,
    metrics: &Metrics,
    members: &[Member],
) -> Result<SectionWithFigures, ReportError> {
    let m = &metrics.members;
    let loss = &metrics.loss;
    let text = format!(
        "{} members can be used: {} stopped early, {} reached the largest number of epochs; {} \
         failed. Validation loss {} over members at their best epochs, training loss {} there.",
        m.usable,
        m.converged,
        m.epoch_limit,
        m.failed.len(),
        with_error(loss.validation_mean, loss.validation_spread),
        significant(loss.training_mean, 6)
    );
    let figure = figures::losses(config, members).map_err(plot_error("losses"))?;
    let section = Section {
        title: "Training".to_owned(),
        text: vec![text],
        ..Section::default()
    };
    let losses = Named {
        name: vec!["losses".to_owned()],
        caption: "Losses of all members; validation with nominal weights, training with each \
                  member's bootstrap weights."
            .to_owned(),
        figure,
    };
    Ok((section, vec![losses]))
}
