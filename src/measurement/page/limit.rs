//! The page of a fit of histograms alone: what is limited first, then what backgrounds that are
//! runs brought.

use super::super::model::{Analysis, HistogramRequest};
use super::super::result::{LimitScanPoint, LimitScanResult, MeasurementResult};
use super::histograms::histograms;
use super::kept::Kept;
use super::sheet::{Sheet, section, table};
use super::words::{allowed_text, dash, number};
use crate::error::{OnFile, Result};
use crate::files::regular::make_folder;
use crate::plot::{LimitBand, LimitBandPoint, TheoryPoint};
use crate::report::numbers::{self, percent, trimmed};
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
            let text = allowed_text(result, scan).map(|text| format!("{text}."));
            section.text.extend(text);
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
                theory: Vec::new(),
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
            if scan.points.iter().any(|p| p.cross_section.is_some()) {
                self.cross_sections(&mut section, scan)?;
            }
        }
        Ok(section)
    }

    /// The same limits on the cross-section, beside that of the theory.
    fn cross_sections(&mut self, section: &mut Section, scan: &LimitScanResult) -> Result<()> {
        let result = self.result;
        let label = result.label(&scan.parameter);
        let limit = result.limit.as_ref();
        let limited = limit.map_or("", |l| result.label(&l.parameter));
        let level = limit.map_or(f64::NAN, |l| 100.0 * l.confidence_level);
        let point = |point: &LimitScanPoint| LimitBandPoint {
            parameter: point.value,
            observed: point.in_fb(point.observed),
            expected: point
                .expected
                .map(|limit| point.in_fb(limit).unwrap_or(f64::NAN)),
        };
        let theory = |point: &LimitScanPoint| {
            Some(TheoryPoint {
                parameter: point.value,
                value: point.cross_section?,
                range: point.cross_section_range,
            })
        };
        let drawn = LimitBand {
            title: self.label(),
            x_label: label.to_owned(),
            y_label: format!("upper limit on σ [fb] ({} % CL)", trimmed(level)),
            points: scan.points.iter().map(point).collect(),
            wanted: None,
            theory: scan.points.iter().filter_map(theory).collect(),
        };
        let name = format!("cross_sections_{}", scan.parameter);
        let caption = "Upper limits on the cross-section, observed and as expected without signal, \
                       and the theory's with its uncertainty: where limits lie below it, it is \
                       excluded.";
        self.add(section, &name, caption, drawn.draw())?;
        let row = |point: &LimitScanPoint| {
            let fb = |limit: Option<f64>| dash(point.in_fb(limit), numbers::number);
            let mut row = vec![numbers::significant(point.value, 4)];
            row.push(dash(point.cross_section, numbers::number));
            row.push(dash(point.cross_section_range, |[down, up]| {
                format!("{} to {}", numbers::number(down), numbers::number(up))
            }));
            row.push(fb(point.observed));
            row.extend(point.expected.iter().map(|limit| fb(*limit)));
            row
        };
        section.tables.push(table(
            format!(
                "Cross-section of the theory and upper limits on it in fb, which are those on \
                 {limited} times it, at values of {label}."
            ),
            &[
                label,
                "theory",
                "uncertainty",
                "observed",
                "−2 σ",
                "−1 σ",
                "median",
                "+1 σ",
                "+2 σ",
            ],
            scan.points.iter().map(row),
        ));
        Ok(())
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

    /// What is known of the predictions of runs.
    pub(super) fn backgrounds(&self) -> Section {
        let mut section = section("Backgrounds from runs");
        if self.result.backgrounds.is_empty() {
            return section;
        }
        let rows = self.result.backgrounds.iter().map(|of| {
            let [expected, error] = of.expected;
            // mixed data say what it varies by, in place of all that the run itself tells
            let own = of.mixing.is_none().then_some(of);
            vec![
                of.sample.clone(),
                match &of.mixing {
                    Some(mixing) => format!("{}; mixed data of {mixing}", of.run),
                    None => of.run.clone(),
                },
                numbers::with_error(expected, error),
                of.replicas.to_string(),
                dash(own, |of| percent(of.spread)),
                dash(own, |of| of.components.to_string()),
                dash(own, |of| percent(of.share)),
                dash(own, |of| format!("{:.2}", of.lost_correlation)),
                dash(own, |of| percent(of.normalisation)),
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
        let planes = self.result.backgrounds.iter();
        let planes = planes.filter_map(|of| Some((of, of.plane.as_ref()?)));
        if planes.clone().next().is_some() {
            let rows = planes.map(|(of, plane)| {
                vec![
                    of.sample.clone(),
                    percent(plane.spread),
                    plane.components.to_string(),
                    percent(plane.share),
                    format!("{:.2}", plane.lost_correlation),
                ]
            });
            section.tables.push(table(
                "Mass planes of interpolated runs: relative standard deviation of the sums with \
                 each draw of the Gaussian processes, and of their covariance what the table above \
                 has of the retraining. Their normalisation is the counting error of the events \
                 outside the holes.",
                &[
                    "sample",
                    "mass plane",
                    "components",
                    "share",
                    "lost correlation",
                ],
                rows,
            ));
        }
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
