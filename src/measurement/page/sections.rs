//! The page from the best fit to the ratios: what is known of the parameters, their curves,
//! limits and impacts, and whether the ratios can be trusted.

use super::super::result::{
    ContourResult, ErrorSource, ImpactResult, ImpactsResult, RatioTrust, ScanResult,
};
use super::sheet::{Sheet, section, table};
use super::words::{asymmetric, dash, limit_text, number, set_text, with_error};
use crate::error::Result;
use crate::plot::{
    Calibration, ClsScan, ClsScanPoint, CorrelationMatrix, ImpactRow, Impacts, LikelihoodCurve,
    Point, ProfileContours, ScanCurve,
};
use crate::report::numbers;
use crate::report::page::{Section, Status, Table};
use crate::statistics::CalibrationPoint;

/// Largest number of parameters whose correlations are drawn.
const CORRELATIONS: usize = 30;
/// Rows of one figure of impacts.
const ROWS: usize = 25;
/// Ratios whose calibration is drawn; the others have pages of their own.
const DRAWN: usize = 6;

/// Names of curves for people, in the order in which they are drawn.
const CURVES: [(&str, &str); 4] = [
    ("profiled", "learned ratios, profiled"),
    ("statistical", "nuisance parameters fixed"),
    ("exact", "exact ratios, profiled"),
    ("histogram", "histogram alone"),
];

impl Sheet<'_> {
    /// Parameters, rates, correlations.
    pub(super) fn best_fit(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Best fit");
        let rows = result.fit.parameters.iter().map(|p| {
            let pull = dash(p.pull, |(pull, error)| match error {
                Some(error) => numbers::with_error(pull, error),
                None => format!("{pull:.3}"),
            });
            let why = p.not_measured.as_ref().or(p.no_error.as_ref());
            let why = why.cloned().unwrap_or_default();
            vec![p.label.clone(), asymmetric(p), pull, why]
        });
        section.tables.push(table(
            "Best fit with errors from the Hessian and, in brackets, where t = 1; on a bound, or \
             without curvature, the Hessian gives none. Pulls: (fitted − measured) / error, with \
             the post-fit error.",
            &["parameter", "best fit", "pull", "no error from the Hessian"],
            rows,
        ));
        let rates = result.rates.iter().map(|(name, [rate, error])| {
            let process = self.measurement.samples.get(name);
            let coefficient = process.map(|process| process.coefficient.clone());
            let rate = numbers::with_error(*rate, *error);
            vec![name.clone(), coefficient.unwrap_or_default(), rate]
        });
        section.tables.push(table(
            "Processes: the rate is multiplied with the coefficient.",
            &["process", "coefficient", "rate"],
            rates,
        ));
        if let Some(finite) = &result.finite_sample {
            let rows = finite.points.iter().map(|p| {
                vec![
                    numbers::significant(p.value, 4),
                    format!("{:.2e}", p.bootstrapped),
                    format!("{:.2e}", p.fixed),
                    numbers::significant(p.error, 4),
                ]
            });
            section.tables.push(table(
                "Finite training sample: variance of the best fit over bootstrapped members and \
                 over members of the same events, on Asimov data at each value, and what the \
                 training sample adds to the error of the ensemble's mean.",
                &["value", "bootstrapped", "same events", "error"],
                rows,
            ));
        }
        for (t, point) in &result.fit.other_minima {
            let point = point.iter().map(|x| numbers::significant(*x, 4));
            let point: Vec<String> = point.collect();
            section.text.push(format!(
                "Another minimum, t = {t:.2} above the best fit: ({})",
                point.join(", ")
            ));
        }
        // those without error have no correlation
        let correlation = |i: usize, j: usize| *result.fit.correlation.get(i)?.get(j)?;
        let known: Vec<usize> = (0..result.fit.parameters.len())
            .filter(|k| correlation(*k, *k).is_some())
            .collect();
        if (2..=CORRELATIONS).contains(&known.len()) {
            let label = |k: &usize| result.fit.parameters[*k].label.clone();
            let row = |i: &usize| -> Vec<f64> {
                let values = known.iter().map(|j| correlation(*i, *j));
                values.map(|x| x.unwrap_or(f64::NAN)).collect()
            };
            let drawn = CorrelationMatrix {
                title: self.label(),
                labels: known.iter().map(label).collect(),
                values: known.iter().map(row).collect(),
                has_numbers: true,
                z_label: "correlation".to_owned(),
            };
            let caption = "Correlations of the parameters at the best fit.";
            self.add(&mut section, "correlation", caption, drawn.draw())?;
        }
        Ok(section)
    }

    /// Profile likelihoods of single parameters.
    pub(super) fn curves(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Profile likelihood");
        for (name, scan) in &result.scans {
            let label = result.label(name);
            let compared = ["profiled", "statistical", "exact"];
            let file = format!("likelihood_{name}");
            self.curve(&mut section, (&file, label), scan, &compared)?;
            if scan.curves.contains_key("histogram") {
                let all = ["profiled", "histogram"];
                let file = format!("gain_{name}");
                self.curve(&mut section, (&file, label), scan, &all)?;
            }
            let rows = CURVES.iter().filter_map(|(key, words)| {
                let curve = scan.curves.get(*key)?;
                let sets = scan.intervals.get(*key)?;
                let best = with_error(curve.best, curve.error, false);
                let mut row = vec![(*words).to_owned(), best];
                row.extend(sets.iter().map(set_text));
                Some(row)
            });
            section.tables.push(table(
                format!("{label}: intervals from t < 1 and t < 4."),
                &["likelihood", "best fit", "68.27 %", "95.45 %"],
                rows,
            ));
            for (name, reason) in &scan.missing {
                let words = CURVES.iter().find(|(key, _)| key == name);
                let words = words.map_or(name.as_str(), |(_, words)| words);
                let text = format!("{label}: no curve of {words}: {reason}.");
                section.text.push(text);
            }
            if let Some(difference) = scan.largest_difference {
                section.text.push(format!(
                    "{label}: learned and exact t differ by at most {difference:.3} where the \
                     exact one is below 9."
                ));
            }
        }
        Ok(section)
    }

    fn curve(
        &mut self,
        section: &mut Section,
        (file, label): (&str, &str),
        scan: &ScanResult,
        wanted: &[&str],
    ) -> Result<()> {
        let mut curves = Vec::new();
        let mut reference = None;
        for (key, words) in CURVES.iter().filter(|(key, _)| wanted.contains(key)) {
            let Some(curve) = scan.curves.get(*key) else {
                continue;
            };
            let mut points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p[0], p[1])).collect();
            if *key == "profiled" {
                points.extend(scan.failed.iter().map(|x| (*x, f64::NAN)));
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            if *key == "exact" {
                reference = Some(curves.len());
            }
            curves.push(ScanCurve {
                label: (*words).to_owned(),
                points,
                best_fit: curve.best,
            });
        }
        let drawn = LikelihoodCurve {
            title: self.label(),
            x_label: label.to_owned(),
            curves,
            reference,
        };
        let caption = "Twice the negative log-likelihood above its minimum.";
        self.add(section, file, caption, drawn.draw())
    }

    /// Confidence regions of two parameters.
    pub(super) fn regions(&mut self) -> Result<Section> {
        let mut section = section("Two parameters");
        for found in &self.result.contours {
            let names = found.parameters.join(" and ");
            if let Some(reason) = &found.reason {
                let text = format!("There is no contour of {names}: {reason}.");
                section.text.push(text);
            } else {
                self.region(&mut section, found)?;
            }
        }
        Ok(section)
    }

    fn region(&mut self, section: &mut Section, found: &ContourResult) -> Result<()> {
        let [x, y] = found.values.clone();
        let [x_label, y_label] = found.labels.clone();
        let column = |t: &Vec<Option<f64>>| t.iter().map(|t| t.unwrap_or(f64::NAN)).collect();
        let drawn = ProfileContours {
            title: self.label(),
            x_label,
            y_label,
            x,
            y,
            t: found.t.iter().map(column).collect(),
            levels: found.levels.iter().map(|l| (l.level, l.t)).collect(),
            best_fit: found.best.into(),
        };
        let name = format!("contour_{}", found.parameters.join("-"));
        let caption = "Profile likelihood of two parameters; the borders are those of chi-square \
                       with two degrees of freedom.";
        self.add(section, &name, caption, drawn.draw())
    }

    /// CLs against the parameter, and what it excludes.
    pub(super) fn limit(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Upper limit");
        let Some(limit) = &result.limit else {
            return Ok(section);
        };
        let label = result.label(&limit.parameter);
        let text = limit_text(limit, label).map(|text| format!("{text}."));
        let what = match text {
            Some(_) => "Not there",
            None => "There is no limit",
        };
        section.text.extend(text);
        let reason = limit.reason.as_ref();
        let reason = reason.map(|reason| format!("{what}: {reason}."));
        section.text.extend(reason);
        if let Some(alone) = &result.histogram_limit {
            let text = limit_text(alone, label).or_else(|| alone.reason.clone());
            let text = text.map(|text| format!("Histograms alone: {text}."));
            section.text.extend(text);
        }
        section.text.push(
            "By asymptotic formulae (arXiv:1007.1727): where the likelihood has two minima, or few \
             events, trust the toys instead."
                .to_owned(),
        );
        if limit.curve.len() > 1 {
            let points = limit.curve.iter().map(|p| ClsScanPoint {
                parameter: p.value,
                observed: p.observed,
                expected: p.expected,
            });
            let drawn = ClsScan {
                title: self.label(),
                x_label: label.to_owned(),
                points: points.collect(),
                alpha: 1.0 - limit.confidence_level,
            };
            let caption = "CLs, observed and as expected without signal; what lies below the line \
                           is excluded.";
            self.add(&mut section, "limit", caption, drawn.draw())?;
        }
        Ok(section)
    }

    /// Pulls and impacts.
    pub(super) fn nuisances(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Pulls and impacts");
        for (name, impacts) in &result.impacts {
            let label = result.label(name);
            section.tables.push(groups(label, impacts));
            for (number, rows) in impacts.ranking.chunks(ROWS).enumerate() {
                let rows = rows.iter().map(|impact| self.impact(impact));
                let drawn = Impacts {
                    title: self.label(),
                    parameter: label.to_owned(),
                    rows: rows.collect(),
                    first_rank: number * ROWS + 1,
                };
                let caption = "Pulls with post-fit errors, and impacts: filled by refit with the \
                               parameter moved by its post-fit error, open for its pre-fit error.";
                let file = format!("impacts_{name}_{}", number + 1);
                self.add(&mut section, &file, caption, drawn.draw())?;
            }
        }
        Ok(section)
    }

    fn impact(&self, impact: &ImpactResult) -> ImpactRow {
        let p = self.result.parameter(&impact.name);
        // what is not known is not drawn
        let pull = p.and_then(|p| p.pull);
        let pull_error = pull.and_then(|(_, error)| error).unwrap_or(f64::NAN);
        let [up, down] = impact.refit;
        let is_one_sided = up.is_some() != down.is_some();
        let by_hessian = impact.post_fit.filter(|_| !is_one_sided);
        ImpactRow {
            name: self.result.label(&impact.name).to_owned(),
            pull: pull.map_or(f64::NAN, |(pull, _)| pull),
            pull_errors: (pull_error, pull_error),
            unconstrained: p.filter(|p| p.pull.is_none()).map(asymmetric),
            post_fit: (
                down.or(by_hessian.map(|x| -x)).unwrap_or(f64::NAN),
                up.or(by_hessian).unwrap_or(f64::NAN),
            ),
            pre_fit: impact.pre_fit.map(|x| (-x, x)),
        }
    }

    /// The trust report of all ratios.
    pub(super) fn trust(&mut self) -> Result<Section> {
        let result = self.result;
        let mut section = section("Ratios");
        section.text.push(
            "Every ratio on events that no network has seen: the integral of r over the \
             denominator, the calibration curve, a fresh classifier of the reweighted denominator \
             against the numerator, closure in every feature, cross-entropy on unseen less that on \
             training events, events with more |log r| than the sample can support, and the \
             relative spread of the members, the median over single events: what members add to \
             the error of a yield is components.members on the ratio's own page. Each has a page \
             of its own."
                .to_owned(),
        );
        let rows = result.ratios.iter().map(|r| {
            let words = match r.status {
                Status::Good => r.status.word().to_owned(),
                _ => r.reasons.join("; "),
            };
            vec![
                r.name.clone(),
                r.members.to_string(),
                numbers::with_error(r.integral[0], r.integral[1]),
                dash(r.calibration_p, |p| format!("{p:.2e}")),
                dash(r.closure, |a| numbers::with_error(a.value, a.error)),
                format!("{} of {}", r.open_features[0], r.open_features[1]),
                format!("{:+.1e} ± {:.1e}", r.overtraining[0], r.overtraining[1]),
                numbers::percent(r.saturated),
                numbers::percent(r.spread),
                words,
                format!("ensembles/{}/report.html", r.name),
            ]
        });
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
        section
            .tables
            .push(table("Trust in the ratios.", &header, rows));
        let mut worst: Vec<_> = result.ratios.iter().collect();
        let p = |r: &RatioTrust| r.calibration_p.unwrap_or(1.0);
        worst.sort_by(|a, b| p(a).total_cmp(&p(b)));
        let point = |c: &CalibrationPoint| Point {
            predicted: c.predicted,
            observed: c.observed,
            error: c.error,
            low: c.low,
            high: c.high,
        };
        let curve = |r: &RatioTrust| r.calibration.iter().map(point).collect();
        let worst = worst.into_iter().take(DRAWN);
        let groups: Vec<(String, Vec<Point>)> = worst.map(|r| (r.name.clone(), curve(r))).collect();
        if groups.iter().any(|(_, points)| !points.is_empty()) {
            let drawn = Calibration {
                title: self.label(),
                groups,
                x_label: "predicted fraction r / (1 + r)".to_owned(),
                y_label: "observed fraction".to_owned(),
            };
            let caption = "Calibration of the ratios, the least calibrated first, six at most.";
            self.add(&mut section, "calibration", caption, drawn.draw())?;
        }
        Ok(section)
    }
}

fn groups(label: &str, impacts: &ImpactsResult) -> Table {
    let row = |name: &str, x: Option<f64>| vec![name.to_owned(), dash(x, number)];
    let first = [
        ("total", impacts.error),
        ("statistics", impacts.statistical),
    ];
    let first = first.into_iter().map(|(name, x)| row(name, x));
    let groups = impacts.groups.iter().map(|(name, x)| row(name, *x));
    let single = impacts.ranking.iter().take(ROWS).map(|impact| {
        let signed = |x: f64| format!("{x:+.4}");
        let value = match impact.post_fit {
            Some(x) => signed(x),
            None => impact.refit.map(|x| dash(x, signed)).join(", "),
        };
        vec![impact.name.clone(), value]
    });
    let from = match impacts.from {
        ErrorSource::Hessian => "from the Hessian",
        ErrorSource::ProfileUp => {
            "upwards, to where t = 1: the Hessian gives none; single parameters by refit"
        }
        ErrorSource::ProfileDown => {
            "downwards, to where t = 1: the Hessian gives none; single parameters by refit"
        }
    };
    table(
        format!(
            "Errors of {label}, {from}: statistics with all nuisance parameters at the best fit, \
             groups as the difference in quadrature with the group frozen, single parameters as \
             V_{{muk}} / sqrt(V_{{kk}})."
        ),
        &["source", "impact"],
        first.chain(groups).chain(single),
    )
}
