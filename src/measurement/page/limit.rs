//! The page of a fit of histograms alone: what is limited first, then what backgrounds that are
//! runs brought.

use super::super::model::{Analysis, HistogramRequest};
use super::super::result::{LimitScanPoint, MeasurementResult};
use super::histograms::histograms;
use super::kept::Kept;
use super::sheet::{Sheet, section, table};
use super::words::{dash, number};
use crate::error::{OnFile, Result};
use crate::files::regular::make_folder;
use crate::plot::{LimitBand, LimitBandPoint};
use crate::report::numbers::{self, percent};
use crate::report::page::Section;
use sideband_likelihood::fit::Fit;

/// What the page of a limit takes of the likelihood.
pub(in super::super) fn limit_kept(
    analysis: Analysis<'_>,
    asked: &[HistogramRequest],
    best: &Fit,
) -> Result<Kept> {
    Ok(Kept::new(histograms(analysis, asked, best)?, None, None))
}

impl Sheet<'_> {
    /// Draws the sections of the page of a limit.
    pub(in super::super) fn limit_sections(&mut self) -> Result<Vec<Section>> {
        let plots = self.output.plots();
        make_folder(&plots).on(&plots)?;
        let mut sections = vec![
            self.limit()?,
            self.limit_toys(),
            self.limit_scans()?,
            self.limit_impacts(),
            self.yields(),
            self.histograms()?,
            self.backgrounds(),
            self.best_fit()?,
            self.nuisances()?,
            self.curves()?,
            files(&self.result.export.text),
        ];
        // what was not asked for has no heading
        sections.retain(|s| !(s.text.is_empty() && s.tables.is_empty() && s.figures.is_empty()));
        Ok(sections)
    }

    fn limit_scans(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Limits along parameters");
        for scan in &result.limit_scans {
            let limited = result.limit.as_ref().map_or("", |l| &l.parameter);
            let point = |point: &LimitScanPoint| LimitBandPoint {
                parameter: point.value,
                observed: point.observed,
                expected: point.expected.map(|limit| limit.unwrap_or(f64::NAN)),
            };
            let drawn = LimitBand {
                title: self.label(),
                x_label: result.label(&scan.parameter).to_owned(),
                y_label: format!("upper limit on {}", result.label(limited)),
                points: scan.points.iter().map(point).collect(),
                // what is looked for
                wanted: Some(1.0),
            };
            let name = format!("limits_{}", scan.parameter);
            let caption = "Upper limits, observed and as expected without signal, at values of a \
                           parameter; what lies above is excluded. The line is a strength of one.";
            self.add(&mut section, &name, caption, drawn.draw())?;
            let row = |point: &LimitScanPoint| {
                let mut row = vec![numbers::significant(point.value, 4)];
                row.push(dash(point.observed, number));
                row.extend(point.expected.iter().map(|x| dash(*x, number)));
                row.push(point.reason.clone().unwrap_or_default());
                row
            };
            let label = result.label(&scan.parameter);
            section.tables.push(table(
                format!("Upper limits at values of {label}, all other parameters profiled."),
                &[
                    label, "observed", "−2 σ", "−1 σ", "median", "+1 σ", "+2 σ", "missing",
                ],
                scan.points.iter().map(row),
            ));
        }
        Ok(section)
    }

    fn limit_impacts(&self) -> Section {
        let mut section = section("Impacts on the limit");
        let Some(impacts) = &self.result.limit_impacts else {
            return section;
        };
        let label = self.result.label(&impacts.parameter);
        let share = |x: Option<f64>| dash(x, |x| format!("{:.1} %", 100.0 * x));
        let rows = impacts.groups.iter().map(|row| {
            vec![
                row.group.clone(),
                row.parameters.to_string(),
                share(row.relative),
                share(row.removed),
                dash(row.frozen, number),
            ]
        });
        section.tables.push(table(
            format!(
                "Relative change of the median expected limit on {label}, {}, with the nuisance \
                 parameters of a group frozen where they fit best without signal, the data as \
                 they are; and with the group out of the model and the data made anew. The rows \
                 are no parts of a sum.",
                number(impacts.expected)
            ),
            &["group", "parameters", "frozen", "removed", "limit, frozen"],
            rows,
        ));
        section
    }

    fn yields(&self) -> Section {
        let mut section = section("Events");
        let names: Vec<&String> = self.result.rates.keys().collect();
        for (when, is_before) in [("before the fit", true), ("at the best fit", false)] {
            let rows = self.result.yields.iter().map(|(channel, yields)| {
                let (parts, total, error) = match is_before {
                    true => {
                        let [total, error] = yields.prefit_total;
                        (&yields.prefit, total, Some(error))
                    }
                    false => {
                        let (total, error) = yields.postfit_total;
                        (&yields.postfit, total, error)
                    }
                };
                let mut row = vec![channel.clone()];
                row.extend(
                    names
                        .iter()
                        .map(|name| dash(parts.get(*name), |x| numbers::number(*x))),
                );
                row.push(numbers::known(Some(total), error, "–"));
                row.push(dash(yields.observed, numbers::number));
                row
            });
            let mut header = vec!["channel"];
            header.extend(names.iter().map(|name| name.as_str()));
            header.extend(["all", "observed"]);
            let caption = format!("Expected and observed events {when}.");
            section.tables.push(table(caption, &header, rows));
        }
        section
    }

    fn backgrounds(&self) -> Section {
        let mut section = section("Backgrounds from runs");
        if self.result.backgrounds.is_empty() {
            return section;
        }
        let rows = self.result.backgrounds.iter().map(|of| {
            let [expected, error] = of.expected;
            vec![
                of.sample.clone(),
                of.run.clone(),
                numbers::with_error(expected, error),
                of.replicas.to_string(),
                percent(of.spread),
                of.components.to_string(),
                percent(of.share),
                format!("{:.2}", of.lost_correlation),
                percent(of.normalisation),
            ]
        });
        section.tables.push(table(
            "Predictions of runs, with their statistical errors. Retraining: relative standard \
             deviation of the replicas' sums; principal components that are parameters, the share \
             of the variance that they have, and the largest correlation of two bins that is in \
             none of them. What they leave is an error of single bins, so that the variance of \
             each bin is that of the replicas. Normalisation: counting error of the target in the \
             training region.",
            &[
                "sample",
                "run",
                "events",
                "replicas",
                "retraining",
                "components",
                "share",
                "lost correlation",
                "normalisation",
            ],
            rows,
        ));
        if self.result.replica_limits.is_empty() {
            return section;
        }
        let span = |limits: Option<[f64; 3]>| {
            dash(limits, |[low, median, high]| {
                format!("{} [{}, {}]", number(median), number(low), number(high))
            })
        };
        let rows = self.result.replica_limits.iter().map(|of| {
            vec![
                of.sample.clone(),
                (of.replicas - of.failed).to_string(),
                span(of.expected),
                span(of.observed),
            ]
        });
        section.tables.push(table(
            "Limits with single replicas of a background in its place, without the parameters that \
             are made of them: the median over replicas, in brackets 68 % of them. A check, and no \
             result.",
            &["sample", "replicas", "expected", "observed"],
            rows,
        ));
        section
    }
}

/// Names and values at the head of the page of a limit.
pub(in super::super) fn limit_facts(result: &MeasurementResult) -> Vec<(String, String)> {
    let runs: Vec<&str> = result.backgrounds.iter().map(|b| b.run.as_str()).collect();
    let facts = [
        ("data", result.data.clone()),
        ("events", numbers::number(result.weight)),
        ("expected at the best fit", numbers::number(result.expected)),
        ("channels", result.yields.len().to_string()),
        (
            "runs",
            if runs.is_empty() {
                "none".to_owned()
            } else {
                runs.join(", ")
            },
        ),
        (
            "fit and scans",
            format!(
                "{:.2} s, projected gradient {:.1e}",
                result.fit.seconds, result.fit.gradient
            ),
        ),
    ];
    let facts = facts.into_iter();
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn files(export: &str) -> Section {
    Section {
        title: "Files".to_owned(),
        text: vec![
            "measurement.json has every number of this page; limit.parquet has CLs, \
             limit_scans.parquet limits along other parameters where asked for, impacts.csv and \
             impacts.tex the impacts on the limit, yields.csv and yields.tex the events, \
             curves.parquet and pulls.parquet the curves and the nuisance parameters. hepdata is \
             a submission to HEPData."
                .to_owned(),
            export.to_owned(),
        ],
        ..Section::default()
    }
}
