//! The report's page and files from a run's metrics and members.

use super::conclusions::verdict;
use super::numbers::{known, number, p_value, percent, significant, with_error};
use super::page::{Page, Section, Table, render};
use super::plots::{experiment_label, save_figures};
use super::{figures, interpolation};
use crate::error::{Error, Result, counted};
use crate::events::{FileRecord, Losses};
use crate::files::formats::METRICS;
use crate::results::{AucPair, FigureData, MemberSummary, Metrics, RegionMetrics};
use crate::rundir::{Manifest, Progress, RunDirectory};
use crate::settings::{Blinding, Config, IdentityOf};
use crate::statistics::{Auc, Chi2};
use crate::training::Member;
use std::collections::BTreeSet;

/// The run has no result to report.
pub(crate) fn unfinished(reason: &str) -> Error {
    Error::data(format!(
        "this run has no result to report: {reason}; run its configuration again"
    ))
}

/// Reads `metrics.json` of a run.
///
/// # Errors
/// It is not there or damaged.
pub fn read_metrics(directory: &RunDirectory) -> Result<Metrics> {
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
pub(crate) fn read_figure_data(directory: &RunDirectory) -> Result<Option<FigureData>> {
    let path = directory.join("figures.json");
    Ok(match path.exists() {
        true => Some(directory.read_json(&path)?),
        false => None,
    })
}

/// Draws all figures and the page into the run directory; gives the files of the
/// figures, by their path in it.
pub(crate) fn write(
    directory: &RunDirectory,
    config: &Config,
    manifest: &Manifest,
    metrics: &Metrics,
    members: &[Member],
    progress: &Progress,
) -> Result<BTreeSet<String>> {
    let data = read_figure_data(directory)?;
    let mut sections = sections(config, metrics, members, data.as_ref())?;
    let label = experiment_label(&config.report);
    let mut drawn = save_figures(directory, &mut sections, &label, progress)?;
    drawn.insert("plots/report.toml".to_owned());
    let title = config.report.title.clone();
    let page = Page {
        title: title.unwrap_or_else(|| config.experiment.name.clone()),
        subtitle: config.experiment.description.clone(),
        verdict: verdict(metrics, config),
        facts: facts(config, manifest, metrics),
        sections,
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
    let files = |list: &[FileRecord]| {
        let rows: Option<u64> = list.iter().map(|f| f.rows).sum();
        let rows = rows.map_or_else(String::new, |rows| format!(", {}", counted(rows, "row")));
        let names: Vec<&str> = list.iter().take(3).map(|f| f.path.as_str()).collect();
        let more = if list.len() > 3 { ", …" } else { "" };
        let files = counted(list.len(), "file");
        format!("{}{more} ({files}{rows})", names.join(", "))
    };
    let m = &metrics.members;
    let members = format!(
        "{} of {}, {:.0} epochs on average",
        m.usable, m.requested, m.mean_epochs
    );
    let (device, versions) = (&manifest.device, &manifest.versions);
    let (threads, platform) = (counted(device.threads, "thread"), &versions.platform);
    let revision = versions.git_revision.as_ref();
    let revision = revision.map_or_else(String::new, |r| format!(" ({r})"));
    let (sideband, burn) = (&versions.sideband, &versions.burn);
    let mut facts = vec![
        fact("Method", config.experiment.method.describe().to_owned()),
        fact("Members", members),
        fact("Seed", manifest.seed.to_string()),
    ];
    if !manifest.inputs.source.is_empty() {
        facts.push(fact("Source", files(&manifest.inputs.source)));
    }
    facts.push(fact("Target", files(&manifest.inputs.target)));
    let hidden = Blinding::new(&config.regions, manifest.unblind).describe();
    facts.extend(hidden.map(|text| fact("Blind", text)));
    facts.extend([
        fact("Device", format!("{}, {threads}, {platform}", device.name)),
        fact(
            "Program",
            format!("sideband {sideband}{revision}, burn {burn}"),
        ),
        fact("Started", manifest.started.clone()),
        fact("Wall time", format!("{:.1} s", manifest.wall_seconds)),
    ]);
    facts
}

fn sections(
    config: &Config,
    metrics: &Metrics,
    members: &[Member],
    data: Option<&FigureData>,
) -> Result<Vec<Section>> {
    let mut list = vec![match &metrics.interpolation {
        Some(_) => interpolation::summary(metrics),
        None => summary(metrics),
    }];
    let mut regions: Vec<(&String, &RegionMetrics)> = metrics.regions.iter().collect();
    // what was not trained on comes first
    regions.sort_by_key(|(_, r)| r.trained);
    for (name, region) in regions {
        list.push(region_section(config, &metrics.members, (name, region))?);
    }
    let mut planes = Section::new("Planes");
    for (name, plane) in &metrics.planes {
        planes.figures.extend(figures::planes(config, name, plane)?);
        if plane.outside != [0.0; 2] {
            let [observed, predicted] = plane.outside.map(number);
            planes = planes.text(format!(
                "{name}: {observed} of the observed and {predicted} of the predicted \
                 events lie outside and are in no bin."
            ));
        }
    }
    if !planes.figures.is_empty() {
        list.push(planes);
    }
    list.extend(interpolation::sections(config, metrics, data)?);
    if metrics.interpolation.is_none() {
        let mut ratio = Section::new("Ratio and weights");
        if metrics.regions.values().any(|r| !r.calibration.is_empty()) {
            ratio.figures.push(figures::calibration(config, metrics)?);
        }
        if !metrics.regions.is_empty() {
            ratio.figures.push(figures::weights(config, metrics)?);
            list.push(ratio);
        }
    }
    list.push(training_section(config, metrics, members)?);
    list.push(missing_section(&metrics.losses));
    Ok(list)
}

fn summary(metrics: &Metrics) -> Section {
    let dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let yields = metrics.regions.values().map(|r| {
        let y = &r.yields;
        let auc = |pick: fn(AucPair) -> Auc| {
            let auc = r.auc.map(pick);
            dash(auc.map(|a| with_error(a.value, a.error)))
        };
        let component = |name: &str| dash(y.components.get(name).map(|e| number(*e)));
        vec![
            r.label.clone() + if r.trained { " (held out)" } else { "" },
            known(y.observed, y.observed_error, "blinded"),
            known(y.before, y.before_stat, "–"),
            number(y.after),
            number(y.after_stat),
            component("members"),
            component("normalisation"),
            known(y.ratio, y.ratio_error, "–"),
            auc(|a| a.before),
            auc(|a| a.after),
            match r.blind {
                true => "blinded".to_owned(),
                false => r.verdict.state.words().to_owned(),
            },
        ]
    });
    let weights = metrics.regions.values().map(|r| {
        let w = &r.weights;
        let members = r.yields.components.get("members");
        let members = members.filter(|_| r.yields.after != 0.0);
        vec![
            r.label.clone(),
            r.source_events.to_string(),
            number(w.effective),
            number(w.largest),
            percent(w.largest_share),
            percent(r.yields.raw_relative_spread),
            dash(members.map(|e| percent(e / r.yields.after))),
        ]
    });
    let outside = metrics.regions.values().map(|r| {
        vec![
            r.label.clone(),
            r.outside.events.to_string(),
            percent(r.outside.share),
            percent(r.outside.predicted_share),
            r.outside.words(),
        ]
    });
    Section::new("Summary")
        .text(
            "AUC is that of a fresh classifier of source against target; 0.5 means that nothing \
             tells them apart, and a perfect reweighting gives 0.5 within the error.",
        )
        .text(
            "Members: standard deviation over replicas, each normalised to its own resampling of \
             the source in the training region. Normalisation: counting error of the target there, \
             and of the source where replicas are not resampled.",
        )
        .text(
            "Spread of yield, raw, is that of the members before this normalisation, as a share \
             of the yield; spread, normalised, is the error ± members (components.members in \
             metrics.json) as such a share. Hatched bands and after_spread are all components \
             together; the column spread of predictions/ is of single events.",
        )
        .table(Table::new(
            "Yields, and the errors of the prediction.",
            "Region | Observed | Before | After | ± statistical | ± members | ± normalisation | \
             After / observed | AUC before | AUC after | Verdict",
            yields,
        ))
        .table(Table::new(
            "Weights. Effective events: (sum w)² / sum w².",
            "Region | Source events | Effective | Largest weight | Its share | \
             Spread of yield, raw | Spread, normalised",
            weights,
        ))
        .table(Table::new(
            "Events to be predicted outside of what was trained: beyond the values of \
             the training region's events, or in a category without any.",
            "Region | Events | Share of the source | Share of the prediction | Reasons",
            outside,
        ))
}

fn region_section(
    config: &Config,
    members: &MemberSummary,
    (name, region): (&str, &RegionMetrics),
) -> Result<Section> {
    let variables = region.variables.iter();
    let drawn = variables.map(|(key, v)| figures::comparison(config, (name, region), (key, v)));
    let mut figures = drawn.collect::<Result<Vec<_>, _>>()?;
    let cell = |chi2: Option<Chi2>| {
        let text = chi2.map(|c| format!("{} / {}", significant(c.chi2, 3), c.ndf));
        text.unwrap_or_else(|| "–".to_owned())
    };
    let rows = region.variables.values().map(|v| {
        let p = v.chi2_after_covariance.map(|c| p_value(c.p_value));
        vec![
            v.label.clone(),
            cell(v.chi2_before),
            cell(v.chi2_after),
            cell(v.chi2_after_covariance),
            p.unwrap_or_else(|| "–".to_owned()),
            cell(v.chi2_shape),
        ]
    });
    if let Some((key, v)) = region.variables.iter().find(|(_, v)| !v.is_input) {
        let of_region = (name, region);
        figures.push(figures::correlation(config, members, of_region, (key, v))?);
    }
    let held_out = if region.trained {
        ", held-out events"
    } else {
        ""
    };
    let header =
        "Distribution | Before | After | After, with covariance | p | Shape, with covariance";
    let caption = "χ² / ndf of prediction against observation.";
    Ok(Section {
        anchor: format!("region-{name}"),
        ..Section::new(format!("Region {}{held_out}", region.label))
            .table(Table::new(caption, header, rows))
            .figures(figures)
    })
}

fn training_section(config: &Config, metrics: &Metrics, members: &[Member]) -> Result<Section> {
    let m = &metrics.members;
    let loss = &metrics.loss;
    let text = format!(
        "{} can be used: {} stopped early, {} reached the largest number of epochs; {} \
         failed. Validation loss {} over members at their best epochs, training loss {} there.",
        counted(m.usable, "member"),
        m.converged,
        m.epoch_limit,
        m.failed.len(),
        with_error(loss.validation_mean, loss.validation_spread),
        significant(loss.training_mean, 6)
    );
    let drawn = figures::losses(config, members)?;
    Ok(Section::new("Training").text(text).figures(vec![drawn]))
}

fn missing_section(losses: &[Losses]) -> Section {
    let row = |sample: &Losses| -> Vec<Vec<String>> {
        let lost = sample.lost.iter().map(|loss| {
            vec![
                sample.sample.clone(),
                loss.name.clone(),
                loss.kind.describe().to_owned(),
                loss.events.to_string(),
                percent(sample.share(loss)),
                number(loss.weight),
            ]
        });
        lost.collect()
    };
    let rows: Vec<Vec<String>> = losses.iter().flat_map(row).collect();
    let mut section = Section::new("Events that are missing");
    section.text.extend(losses.iter().map(|sample| {
        let (events, weight) = (counted(sample.events, "event"), number(sample.weight));
        let scaled = sample.scale.map(|scale| format!(", scaled by {scale:?}"));
        let scaled = scaled.unwrap_or_default();
        format!(
            "{}: {events} kept, sum of weights {weight}{scaled}.",
            sample.sample
        )
    }));
    if rows.is_empty() {
        return section.text("No event was dropped, is without a bin or without a region.");
    }
    section.table(Table::new(
        "Events that are not where one would look for them, by reason; one that lacks \
         two things counts twice.",
        "sample | key | what | events | share | sum of weights",
        rows,
    ))
}
