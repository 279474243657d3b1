//! The page of a measurement, its figures and files.

mod toys;

use super::error::MeasureError;
use super::events::Events;
use super::pipeline::{Likelihoods, RESULT, Study};
use super::plan::ProcessPlan;
use super::result::{ImpactsResult, IntervalSet, MeasurementResult, ParameterResult, ScanResult};
use super::tables;
use crate::inference::UnbinnedChannel;
use crate::inference::fit::Fit;
use crate::inference::workspace;
use crate::report::ReportError;
use crate::report::page::{Page, PageFigure, Section, Status, Table, Verdict, render};
use crate::report::plot::{
    Calibration, CorrelationMatrix, Favour, Figure, ImpactRow, Impacts, LikelihoodCurve, PlotError,
    Point, ScanCurve,
};
use crate::run::DirectoryError;
use serde_json::{Value, json};

/// Rows of one figure of impacts.
const ROWS: usize = 25;
/// Largest number of parameters whose correlations are drawn.
const CORRELATIONS: usize = 30;
/// Largest t that is drawn.
const HIGHEST: f64 = 12.0;
/// Cells along an axis of the map of events.
const CELLS: usize = 24;

/// Writes everything. `events`, `channel`: the reference that no network has seen.
pub(super) fn write(
    study: &Study<'_>,
    result: &MeasurementResult,
    made: &Likelihoods,
    best: &Fit,
    (events, channel): (&Events, &UnbinnedChannel),
) -> Result<(), MeasureError> {
    let root = study.root;
    let plots = root.plots();
    std::fs::create_dir_all(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    // a page is never older than the numbers beside it
    let _ = std::fs::remove_file(root.report_path());
    root.write_json(&root.path().join(RESULT), result)?;
    tables::write(root, result)?;
    let export = export(study, made)?;
    let page = Page {
        title: study.measurement.experiment.name.clone(),
        subtitle: study.measurement.experiment.description.clone(),
        verdict: verdict(result),
        facts: facts(study, result),
        sections: vec![
            parameters(study, result)?,
            curves(study, result)?,
            toys::section(study, result)?,
            nuisances(study, result)?,
            favours(study, made, best, events, channel)?,
            trust(study, result)?,
            files(&export),
        ],
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    root.write(&root.report_path(), render(&page).as_bytes())?;
    Ok(())
}

/// A figure, saved beside the page.
fn figure(
    study: &Study<'_>,
    name: &str,
    caption: &str,
    drawn: Result<Figure, PlotError>,
) -> Result<PageFigure, MeasureError> {
    let failed = |source| ReportError::Plot {
        name: name.to_owned(),
        source,
    };
    let drawn = drawn.map_err(failed)?;
    let path = |ending: &str| study.root.plots().join(format!("{name}.{ending}"));
    study.root.write(&path("svg"), drawn.svg.as_bytes())?;
    study
        .root
        .write(&path("png"), &drawn.to_png().map_err(failed)?)?;
    Ok(PageFigure {
        name: name.to_owned(),
        svg: drawn.svg,
        caption: caption.to_owned(),
    })
}

fn asymmetric(p: &ParameterResult) -> String {
    let value = format!("{:.4} ± {:.4}", p.value, p.error);
    match p.minos {
        Some([Some(down), Some(up)]) => format!("{value} (−{:.4} +{up:.4})", -down),
        Some([None, Some(up)]) => format!("{value} (down: at its bound, +{up:.4})"),
        Some([Some(down), None]) => format!("{value} (−{:.4}, up: not found)", -down),
        _ => value,
    }
}

/// A confidence set in words.
pub(super) fn set_text(set: &IntervalSet) -> String {
    let end = |x: &Option<f64>| x.map_or_else(|| "?".to_owned(), |x| format!("{x:.4}"));
    let intervals = set.intervals.iter();
    let texts: Vec<String> = intervals
        .map(|[low, high]| format!("[{}, {}]", end(low), end(high)))
        .collect();
    texts.join(" ∪ ")
}

/// What to conclude of a measurement.
#[must_use]
pub fn verdict(result: &MeasurementResult) -> Vec<Verdict> {
    let mut lines = Vec::new();
    for p in result.fit.parameters.iter().filter(|p| p.is_interest) {
        let sets = result
            .scans
            .get(&p.name)
            .and_then(|s| s.intervals.get("profiled"));
        let sets: Vec<String> = sets
            .into_iter()
            .flatten()
            .map(|s| format!("{:.2} %: {}", 100.0 * s.level, set_text(s)))
            .collect();
        lines.push(Verdict {
            status: Status::Info,
            text: format!("{} = {}; {}", p.label, asymmetric(p), sets.join("; ")),
        });
        let difference = result.scans.get(&p.name).and_then(|s| s.largest_difference);
        if let Some(difference) = difference {
            lines.push(Verdict {
                status: if difference < 0.5 {
                    Status::Good
                } else {
                    Status::Warning
                },
                text: format!(
                    "{}: learned and exact t differ by at most {difference:.3} where t < 9",
                    p.label
                ),
            });
        }
    }
    for note in &result.notes {
        lines.push(Verdict {
            status: Status::Warning,
            text: note.clone(),
        });
    }
    lines
}

fn facts(study: &Study<'_>, result: &MeasurementResult) -> Vec<(String, String)> {
    let networks: u32 = study
        .ensembles
        .iter()
        .map(|e| e.config.ensemble.members)
        .sum();
    let normalisation = result.checks.normalisation.map_or_else(
        || "not known".to_owned(),
        |n| format!("{:.4} ± {:.4}", n.integral, n.error),
    );
    let mut facts = vec![
        ("data".to_owned(), result.data.clone()),
        (
            "events without bins".to_owned(),
            format!("{} (sum of weights {:.1})", result.events, result.weight),
        ),
        (
            "expected at the best fit".to_owned(),
            format!("{:.1}", result.expected),
        ),
        (
            "networks".to_owned(),
            format!("{networks} in {} ensembles", study.ensembles.len()),
        ),
        (
            "integral of the density at the best fit".to_owned(),
            normalisation,
        ),
        (
            "densities below the barrier".to_owned(),
            result.checks.not_positive.to_string(),
        ),
        (
            "fit and scans".to_owned(),
            format!(
                "{:.2} s, projected gradient {:.1e}",
                result.fit.seconds, result.fit.gradient
            ),
        ),
    ];
    if let Some(finite) = &result.finite_sample {
        facts.push((
            "error from the finite training sample".to_owned(),
            format!(
                "{:.4} (variance {:.2e} of {} bootstrapped members, {:.2e} of {} others)",
                finite.error,
                finite.bootstrapped,
                finite.members[0],
                finite.fixed,
                finite.members[1]
            ),
        ));
    }
    facts
}

fn parameters(study: &Study<'_>, result: &MeasurementResult) -> Result<Section, MeasureError> {
    let rows = result.fit.parameters.iter().map(|p| {
        let pull = p.pull.map_or_else(
            || "–".to_owned(),
            |[pull, error]| format!("{pull:.3} ± {error:.3}"),
        );
        let bound = if p.at_bound { "yes" } else { "" };
        vec![p.label.clone(), asymmetric(p), pull, bound.to_owned()]
    });
    let rates = result.rates.iter().map(|(name, [rate, error])| {
        let coefficient = &study.measurement.samples[name].coefficient;
        vec![
            name.clone(),
            coefficient.clone(),
            format!("{rate:.2} ± {error:.2}"),
        ]
    });
    let header = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let mut section = Section {
        title: "Best fit".to_owned(),
        tables: vec![
            Table {
                caption: "Best fit with errors from the Hessian and, in brackets, where t = 1. \
                          Pulls: (fitted − measured) / error, with the post-fit error."
                    .to_owned(),
                header: header(&["parameter", "best fit", "pull", "at a bound"]),
                rows: rows.collect(),
            },
            Table {
                caption: "Processes: the rate is multiplied with the coefficient.".to_owned(),
                header: header(&["process", "coefficient", "rate"]),
                rows: rates.collect(),
            },
        ],
        ..Section::default()
    };
    for (t, point) in &result.fit.other_minima {
        let point: Vec<String> = point.iter().map(|x| format!("{x:.3}")).collect();
        section.text.push(format!(
            "Another minimum, t = {t:.2} above the best fit: ({})",
            point.join(", ")
        ));
    }
    if (2..=CORRELATIONS).contains(&result.fit.parameters.len()) {
        let labels = result.fit.parameters.iter().map(|p| p.label.clone());
        let drawn = CorrelationMatrix {
            title: study.measurement.report.data_label.clone(),
            labels: labels.collect(),
            values: result.fit.correlation.clone(),
            z_label: "correlation".to_owned(),
        }
        .draw();
        let caption = "Correlations of the parameters at the best fit.";
        section
            .figures
            .push(figure(study, "correlation", caption, drawn)?);
    }
    Ok(section)
}

/// Names of curves for people, in the order in which they are drawn.
const CURVES: [(&str, &str); 4] = [
    ("profiled", "learned ratios, profiled"),
    ("statistical", "nuisance parameters fixed"),
    ("exact", "exact ratios, profiled"),
    ("histogram", "histogram alone"),
];

fn curves(study: &Study<'_>, result: &MeasurementResult) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Profile likelihood".to_owned(),
        ..Section::default()
    };
    for (name, scan) in &result.scans {
        let parameter = result.fit.parameters.iter().find(|p| p.name == *name);
        let label = parameter.map_or(name, |p| &p.label);
        let file = format!("likelihood_{name}");
        let compared: &[&str] = &["profiled", "statistical", "exact"];
        section
            .figures
            .push(curve(study, &file, label, scan, compared)?);
        if scan.curves.contains_key("histogram") {
            let all: &[&str] = &["profiled", "histogram"];
            let file = format!("gain_{name}");
            section.figures.push(curve(study, &file, label, scan, all)?);
        }
        let rows = CURVES.iter().filter_map(|(key, words)| {
            let curve = scan.curves.get(*key)?;
            let sets = scan.intervals.get(*key)?;
            let mut row = vec![
                (*words).to_owned(),
                format!("{:.4} ± {:.4}", curve.best, curve.error),
            ];
            row.extend(sets.iter().map(set_text));
            Some(row)
        });
        section.tables.push(Table {
            caption: format!("{label}: intervals from t < 1 and t < 4."),
            header: ["likelihood", "best fit", "68.27 %", "95.45 %"]
                .map(ToOwned::to_owned)
                .to_vec(),
            rows: rows.collect(),
        });
        if let Some(difference) = scan.largest_difference {
            section.text.push(format!(
                "{label}: learned and exact t differ by at most {difference:.3} where the exact \
                 one is below 9."
            ));
        }
    }
    Ok(section)
}

fn curve(
    study: &Study<'_>,
    file: &str,
    label: &str,
    scan: &ScanResult,
    wanted: &[&str],
) -> Result<PageFigure, MeasureError> {
    let present = CURVES
        .iter()
        .filter(|(key, _)| wanted.contains(key))
        .filter_map(|(key, words)| Some((*key, *words, scan.curves.get(*key)?)));
    let curves: Vec<(&str, ScanCurve)> = present
        .map(|(key, words, curve)| {
            let mut points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p[0], p[1])).collect();
            if key == "profiled" {
                points.extend(scan.failed.iter().map(|x| (*x, f64::NAN)));
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            let curve = ScanCurve {
                label: words.to_owned(),
                points,
                best_fit: Some(curve.best),
            };
            (key, curve)
        })
        .collect();
    let reference = curves.iter().position(|(key, _)| *key == "exact");
    let drawn = LikelihoodCurve {
        title: study.measurement.report.data_label.clone(),
        x_label: label.to_owned(),
        y_label: String::new(),
        curves: curves.into_iter().map(|(_, c)| c).collect(),
        critical: Vec::new(),
        reference,
        y_max: Some(HIGHEST),
        notes: Vec::new(),
    }
    .draw();
    let caption = "Twice the negative log-likelihood above its minimum.";
    figure(study, file, caption, drawn)
}

fn nuisances(study: &Study<'_>, result: &MeasurementResult) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Pulls and impacts".to_owned(),
        ..Section::default()
    };
    for (name, impacts) in &result.impacts {
        let parameter = result.fit.parameters.iter().find(|p| p.name == *name);
        let label = parameter.map_or(name.as_str(), |p| &p.label);
        section.tables.push(groups(label, impacts));
        for (number, rows) in impacts.ranking.chunks(ROWS).enumerate() {
            let rows = rows.iter().map(|impact| {
                let p = result.fit.parameters.iter().find(|p| p.name == impact.name);
                let pull = p.and_then(|p| p.pull).unwrap_or([f64::NAN, f64::NAN]);
                let [up, down] = impact.refit;
                ImpactRow {
                    name: p.map_or_else(|| impact.name.clone(), |p| p.label.clone()),
                    pull: pull[0],
                    pull_errors: (pull[1], pull[1]),
                    unconstrained: p
                        .filter(|p| p.pull.is_none())
                        .map(|p| format!("{:.3} ± {:.3}", p.value, p.error)),
                    post_fit: (
                        down.unwrap_or(-impact.post_fit),
                        up.unwrap_or(impact.post_fit),
                    ),
                    pre_fit: impact.pre_fit.map(|x| (-x, x)),
                }
            });
            let drawn = Impacts {
                title: study.measurement.report.data_label.clone(),
                parameter: label.to_owned(),
                rows: rows.collect(),
                first_rank: number * ROWS + 1,
                notes: Vec::new(),
            }
            .draw();
            let caption = "Pulls with post-fit errors, and impacts: filled by refit with the \
                           parameter moved by its post-fit error, open for its pre-fit error.";
            let file = format!("impacts_{name}_{}", number + 1);
            section.figures.push(figure(study, &file, caption, drawn)?);
        }
    }
    Ok(section)
}

fn groups(label: &str, impacts: &ImpactsResult) -> Table {
    let mut rows = vec![
        vec!["total".to_owned(), format!("{:.4}", impacts.error)],
        vec![
            "statistics".to_owned(),
            format!("{:.4}", impacts.statistical),
        ],
    ];
    let group = |(name, impact): (&String, &f64)| vec![name.clone(), format!("{impact:.4}")];
    rows.extend(impacts.groups.iter().map(group));
    for impact in impacts.ranking.iter().take(ROWS) {
        let name = impact.name.clone();
        rows.push(vec![name, format!("{:+.4}", impact.post_fit)]);
    }
    Table {
        caption: format!(
            "Errors of {label}: statistics with all nuisance parameters at the best fit, groups \
             as the difference in quadrature with the group frozen, single parameters as \
             V_{{muk}} / sqrt(V_{{kk}})."
        ),
        header: vec!["source".to_owned(), "impact".to_owned()],
        rows,
    }
}

/// Which events favour which value: a map over the two inputs that tell most.
fn favours(
    study: &Study<'_>,
    made: &Likelihoods,
    best: &Fit,
    events: &Events,
    channel: &UnbinnedChannel,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Which events favour what".to_owned(),
        ..Section::default()
    };
    let columns = study.reader.columns();
    if columns < 2 {
        return Ok(section);
    }
    let measurement = study.measurement;
    let interest = &measurement.measurement.interest[0];
    let Some(place) = made.parameter(interest) else {
        return Ok(section);
    };
    let (lowest, _) = made.bounds(place);
    let mut tested = best.point.clone();
    tested[place] = lowest;
    let density = |at: &[f64]| -> Vec<f64> {
        let rate: f64 = channel.rates(at).iter().sum();
        channel.densities(at).iter().map(|q| q / rate).collect()
    };
    let (one, other) = (density(&tested), density(&best.point));
    let both = || one.iter().zip(&other);
    let values: Vec<f64> = both().map(|(a, b)| -2.0 * (a / b).ln()).collect();
    // events of the reference, weighted to the best fit
    let weights = events.weights.iter().zip(&other);
    let weights: Vec<f64> = weights.map(|(w, b)| w * b.max(0.0)).collect();
    let column = |k: usize| -> Vec<f64> {
        let rows = events.features.chunks_exact(columns);
        rows.map(|row| f64::from(row[k])).collect()
    };
    let mut ranked: Vec<(f64, usize)> = (0..columns)
        .map(|k| (correlation(&column(k), &values).abs(), k))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (i, j) = (ranked[0].1, ranked[1].1);
    let (x, y) = (column(i), column(j));
    let names = study.reader.names();
    let value = |at: &[f64]| made.reported(place, at[place]);
    let drawn = Favour {
        title: measurement.report.data_label.clone(),
        x_label: names[i].clone(),
        y_label: names[j].clone(),
        x_edges: edges(&x),
        y_edges: edges(&y),
        x,
        y,
        values,
        weights,
        tested: format!("{interest} = {:.2}", value(&tested)),
        reference: format!("{interest} = {:.2}", value(&best.point)),
        fewest: None,
        reach: None,
    };
    let caption = "Mean of −2 log p(x|tested)/p(x|best fit) of events of the reference, weighted \
                   to the best fit, over the two inputs that correlate most with it.";
    match drawn.draw() {
        // densities of badly trained ratios may be negative everywhere
        Err(error) => section.text.push(format!("There is no map: {error}")),
        drawn => section
            .figures
            .push(figure(study, "favours", caption, drawn)?),
    }
    Ok(section)
}

fn edges(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (low, high) = (at(0.005), at(0.995));
    let high = if high > low { high } else { low + 1.0 };
    (0..=CELLS)
        .map(|i| low + (high - low) * i as f64 / CELLS as f64)
        .collect()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let finite = || {
        x.iter()
            .zip(y)
            .filter(|(a, b)| a.is_finite() && b.is_finite())
    };
    let n = finite().count().max(1) as f64;
    let (mx, my) = finite().fold((0.0, 0.0), |m, (a, b)| (m.0 + a / n, m.1 + b / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in finite() {
        xx += (a - mx).powi(2);
        yy += (b - my).powi(2);
        xy += (a - mx) * (b - my);
    }
    if xx > 0.0 && yy > 0.0 {
        xy / (xx * yy).sqrt()
    } else {
        0.0
    }
}

fn trust(study: &Study<'_>, result: &MeasurementResult) -> Result<Section, MeasureError> {
    let header = [
        "ratio",
        "members",
        "integral",
        "calibration p",
        "AUC after",
        "open features",
        "over-training",
        "saturated",
        "spread",
        "verdict",
        "page",
    ];
    let rows = result.ratios.iter().map(|r| {
        let dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let words = match r.status {
            Status::Good => "good".to_owned(),
            _ => r.reasons.join("; "),
        };
        vec![
            r.name.clone(),
            r.members.to_string(),
            format!("{:.4} ± {:.4}", r.integral[0], r.integral[1]),
            dash(r.calibration_p.map(|p| format!("{p:.2e}"))),
            dash(
                r.closure
                    .map(|a| format!("{:.3} ± {:.3}", a.value, a.error)),
            ),
            format!("{} of {}", r.open_features[0], r.open_features[1]),
            format!("{:+.1e} ± {:.1e}", r.overtraining[0], r.overtraining[1]),
            format!("{:.2} %", 100.0 * r.saturated),
            format!("{:.2} %", 100.0 * r.spread),
            words,
            format!("ensembles/{}/report.html", r.name),
        ]
    });
    let mut section = Section {
        title: "Ratios".to_owned(),
        text: vec![
            "Every ratio on events that no network has seen: the integral of r over the \
             denominator, the calibration curve, a fresh classifier of the reweighted denominator \
             against the numerator, closure in every feature, cross-entropy on unseen less that on \
             training events, events with more |log r| than the sample can support, and the \
             relative spread of the members. Each has a page of its own."
                .to_owned(),
        ],
        tables: vec![Table {
            caption: "Trust in the ratios.".to_owned(),
            header: header.map(ToOwned::to_owned).to_vec(),
            rows: rows.collect(),
        }],
        ..Section::default()
    };
    // the worst are drawn; the others have pages of their own
    let mut worst: Vec<_> = result.ratios.iter().collect();
    let p = |r: &super::trust::RatioTrust| r.calibration_p.unwrap_or(1.0);
    worst.sort_by(|a, b| p(a).total_cmp(&p(b)));
    let groups: Vec<(String, Vec<Point>)> = worst
        .iter()
        .take(6)
        .map(|r| {
            let point = |c: &crate::stats::CalibrationPoint| Point {
                predicted: c.predicted,
                observed: c.observed,
                error: c.error,
                low: c.low,
                high: c.high,
            };
            (r.name.clone(), r.calibration.iter().map(point).collect())
        })
        .collect();
    if groups.iter().any(|(_, points)| !points.is_empty()) {
        let drawn = Calibration {
            title: study.measurement.report.data_label.clone(),
            groups,
            x_label: "predicted fraction r / (1 + r)".to_owned(),
            y_label: "observed fraction".to_owned(),
            log: false,
            notes: Vec::new(),
        }
        .draw();
        let caption = "Calibration of the ratios, the least calibrated first, six at most.";
        section
            .figures
            .push(figure(study, "calibration", caption, drawn)?);
    }
    Ok(section)
}

/// Histograms as a pyhf workspace, or why they cannot be one.
fn export(study: &Study<'_>, made: &Likelihoods) -> Result<String, MeasureError> {
    let Some(histograms) = &made.histograms else {
        return Ok("There are no histograms to export.".to_owned());
    };
    let root = study.root;
    let write = |name: &str, value: &Value| root.write_json(&root.path().join(name), value);
    write("templates.json", &templates(study))?;
    match workspace::export(histograms, &study.measurement.experiment.name) {
        Ok((workspace, settings)) => {
            write("workspace.json", &workspace)?;
            let nominal = histograms.nominal();
            let points = json!({
                "modifier_settings": settings.to_json(),
                "points": workspace::reference(histograms, &[nominal]),
            });
            write("workspace_points.json", &points)?;
            Ok(
                "workspace.json is a pyhf workspace of the histograms; workspace_points.json has \
                the modifier_settings that pyhf needs and this program's numbers, which \
                scripts/check_workspace.py compares with those of pyhf. templates.json has the \
                histograms alone."
                    .to_owned(),
            )
        }
        Err(error) => Ok(format!(
            "templates.json has the histograms of all processes and variations. They are no pyhf \
             workspace: {error}."
        )),
    }
}

/// Histograms of all processes and variations by channel.
fn templates(study: &Study<'_>) -> Value {
    let m = study.measurement;
    let own = m.measurement.histogram.iter();
    let own = own.map(|h| (&m.training.region, &h.observable, &h.bins));
    let others = m.channels.iter();
    let others = others.map(|(name, c)| (name, &c.observable, &c.bins));
    let channel = |number: usize, name: &String, observable: &String, bins: &Vec<f64>| {
        let process = |p: &ProcessPlan| {
            let scaled = |t: &[f64]| t.iter().map(|x| p.scale * x).collect::<Vec<f64>>();
            let own = study
                .plan
                .varied
                .iter()
                .filter(|((_, name), _)| *name == p.name);
            let varied: serde_json::Map<String, Value> = own
                .map(|((systematic, _), varied)| {
                    let value = match &varied.templates {
                        Some([low, high]) => json!({
                            "down": scaled(&low[number].contents),
                            "up": scaled(&high[number].contents),
                        }),
                        None => json!({ "rates": varied.rates }),
                    };
                    (systematic.clone(), value)
                })
                .collect();
            let nominal = &p.templates[number];
            let errors: Vec<f64> = nominal
                .variances
                .iter()
                .map(|v| p.scale * v.sqrt())
                .collect();
            let value = json!({
                "coefficient": m.samples[&p.name].coefficient,
                "contents": scaled(&nominal.contents),
                "errors": errors,
                "systematics": varied,
            });
            (p.name.clone(), value)
        };
        let processes: serde_json::Map<String, Value> =
            study.plan.processes.iter().map(process).collect();
        let value = json!({ "observable": observable, "edges": bins, "processes": processes });
        (name.clone(), value)
    };
    let all = own.chain(others).enumerate();
    let map: serde_json::Map<String, Value> = all
        .map(|(number, (name, observable, bins))| channel(number, name, observable, bins))
        .collect();
    Value::Object(map)
}

fn files(export: &str) -> Section {
    Section {
        title: "Files".to_owned(),
        text: vec![
            "measurement.json has every number of this page; curves.parquet, pulls.parquet and \
             ratios.parquet have the curves, the nuisance parameters and the table of ratios."
                .to_owned(),
            export.to_owned(),
        ],
        ..Section::default()
    }
}
