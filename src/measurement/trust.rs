//! Whether a ratio can be trusted: looked at on events that no network has seen.

use super::events::split;
use super::ratios::{Ensembles, Ratio, RatioColumn, Ratios};
use super::result::RatioTrust;
use super::samples::Reader;
use crate::error::Result;
use crate::report::numbers;
use crate::report::page::Status;
use crate::results::{Metrics, VariableMetrics};
use crate::rundir::Progress;
use crate::settings::CalibrationMethod;
use crate::statistics::{
    CalibrationPoint, Recalibration, class_loss, cross_entropy, shared_calibration,
};
use crate::training::Fold;
use crate::workflow::Sample;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::HashMap;

/// Bins of a calibration curve.
const BINS: usize = 20;
/// Bins of a recalibration by histogram.
const RECALIBRATION_BINS: usize = 50;
/// Errors within which a number is as it should be.
const PULL: f64 = 3.0;
/// Share of events beyond what the sample supports that is worth a warning.
const SATURATED: f64 = 0.01;

/// log r and weights of one class, by fold.
struct Class {
    /// Training, validation, unseen.
    folds: [Vec<(f64, f64)>; 3],
    /// Keys of the events that no network has seen.
    held_out: Vec<u64>,
    spread: Vec<f32>,
}

impl Class {
    fn new(reader: &Reader<'_>, sample: &Sample, ratio: &Ratio) -> Result<Self> {
        let (split, streams) = split(reader.measurement);
        let rows: Vec<usize> = reader.selected(sample).collect();
        let features = rows.iter().flat_map(|row| sample.features(*row));
        let features: Vec<f32> = features.copied().collect();
        let RatioColumn { log, spread, .. } = ratio.at(&features, false)?;
        let mut folds: [Vec<(f64, f64)>; 3] = Default::default();
        let mut held_out = Vec::new();
        for (row, log_r) in rows.into_iter().zip(log) {
            let key = sample.table.ids.key(row);
            let fold = match split.fold(streams, 0, key) {
                Fold::Training => 0,
                Fold::Validation => 1,
                Fold::HeldOut => {
                    held_out.push(key);
                    2
                }
            };
            folds[fold].push((log_r, sample.table.weights[row]));
        }
        Ok(Self {
            folds,
            held_out,
            spread,
        })
    }

    fn recalibrate(&mut self, map: &Recalibration) {
        for (log_r, _) in self.folds.iter_mut().flatten() {
            *log_r = map.apply(*log_r);
        }
    }
}

/// Opens and examines all ratios.
pub(super) fn examine(
    ensembles: &Ensembles<'_>,
    reader: &Reader<'_>,
    progress: &Progress,
) -> Result<(Ratios, Vec<RatioTrust>)> {
    let mut ratios = Ratios::new();
    let mut all = Vec::new();
    let mut samples = Vec::new();
    let names = reader.measurement.ratios();
    let stage = progress.stage("examining", names.len() as u64);
    for name in names {
        let Some([source, target]) = reader.measurement.sides(&name) else {
            continue;
        };
        let text = name.to_string();
        progress.say(&format!("examining {text}"));
        let metrics = ensembles.end(&text)?.metrics.as_ref();
        let ratio = ensembles.open(&name, "")?;
        let place = format!("samples of {text}");
        let pair = [
            ("measurement.reference", &source),
            (place.as_str(), &target),
        ];
        samples = reader.read_pair(pair, samples)?;
        let (trust, map) = trust(&text, reader, &samples, &ratio, metrics)?;
        all.push(trust);
        ratios.insert(name, (ratio, map));
        stage.add(1);
    }
    Ok((ratios, all))
}

/// Looks at a ratio, and recalibrates it on validation events if that is asked for.
fn trust(
    name: &str,
    reader: &Reader<'_>,
    samples: &[Sample],
    ratio: &Ratio,
    metrics: Option<&Metrics>,
) -> Result<(RatioTrust, Recalibration)> {
    let measurement = reader.measurement;
    let mut source = Class::new(reader, &samples[0], ratio)?;
    let mut target = Class::new(reader, &samples[1], ratio)?;
    let (s, t) = (&source.folds[1], &target.folds[1]);
    let map = match measurement.measurement.calibration {
        CalibrationMethod::None => Recalibration::None,
        CalibrationMethod::Isotonic => Recalibration::isotonic(s, t),
        CalibrationMethod::Histogram => Recalibration::histogram(s, t, RECALIBRATION_BINS),
    };
    source.recalibrate(&map);
    target.recalibrate(&map);
    let [trained, _, held_out] = [0, 1, 2].map(|f| [&source.folds[f][..], &target.folds[f][..]]);
    let curve = shared_calibration(joined(&source, &target), BINS);
    let losses = [trained, held_out].map(|classes| class_loss(classes, cross_entropy));
    let effective = trained.iter().map(|class| effective(class));
    let limit = effective.fold(f64::INFINITY, f64::min).max(1.0).ln();
    let logs = || held_out.into_iter().flatten().map(|(log_r, _)| log_r.abs());
    let count = logs().count().max(1) as f64;
    let mut spread = source.spread.clone();
    spread.sort_by(f32::total_cmp);
    let region = metrics.and_then(|m| m.regions.get(&measurement.training.region));
    let features = region.map_or([0, 0], |region| {
        let p = |v: &VariableMetrics| v.chi2_after_covariance.map(|c| c.p_value);
        let all = region.variables.values().filter_map(p);
        let open = all.clone().filter(|p| *p < measurement.report.p_value);
        [open.count(), all.count()]
    });
    let mut trust = RatioTrust {
        name: name.to_owned(),
        members: ratio.members.len(),
        integral: integral(held_out[0]),
        calibration_p: p_value(&curve),
        calibration: curve,
        closure: region.and_then(|r| r.auc).map(|auc| auc.after),
        open_features: features,
        overtraining: [
            losses[1][0] - losses[0][0],
            losses[1][1].hypot(losses[0][1]),
        ],
        separation: std::f64::consts::LN_2 - losses[1][0],
        saturated: logs().filter(|l| *l > limit).count() as f64 / count,
        largest: logs().fold(0.0, f64::max),
        spread: spread.get(spread.len() / 2).copied().map_or(0.0, f64::from),
        status: Status::Good,
        reasons: Vec::new(),
    };
    trust.judge(measurement.report.p_value);
    Ok((trust, map))
}

/// Unseen events of both classes, with their weights in each: what is in both is one.
fn joined(source: &Class, target: &Class) -> Vec<(f64, [f64; 2])> {
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut events: Vec<(f64, [f64; 2])> = Vec::new();
    for (number, class) in [source, target].into_iter().enumerate() {
        for ((log_r, weight), key) in class.folds[2].iter().zip(&class.held_out) {
            let place = *places.entry(*key).or_insert(events.len());
            if place == events.len() {
                events.push((*log_r, [0.0; 2]));
            }
            events[place].1[number] += weight;
        }
    }
    events
}

/// Mean of r and its error.
fn integral(source: &[(f64, f64)]) -> [f64; 2] {
    let total: f64 = source.iter().map(|(_, w)| w).sum();
    let mean = source.iter().map(|(l, w)| w * l.exp()).sum::<f64>() / total;
    let squares = source.iter().map(|(l, w)| (w * (l.exp() - mean)).powi(2));
    let variance: f64 = squares.sum();
    [mean, variance.sqrt() / total.abs()]
}

fn effective(class: &[(f64, f64)]) -> f64 {
    let sum: f64 = class.iter().map(|(_, w)| w).sum();
    let square: f64 = class.iter().map(|(_, w)| w * w).sum();
    sum * sum / square
}

fn p_value(curve: &[CalibrationPoint]) -> Option<f64> {
    let pulls = curve.iter().filter(|p| p.error > 0.0);
    let pulls = pulls.map(|p| ((p.observed - p.predicted) / p.error).powi(2));
    let bins = pulls.clone().count();
    let law = ChiSquared::new(bins as f64).ok()?;
    Some(law.sf(pulls.sum()))
}

impl RatioTrust {
    /// What to think of the numbers. Statistical errors of two classes that share
    /// events are taken as independent.
    fn judge(&mut self, p: f64) {
        let rank = |status: Status| match status {
            Status::Good | Status::Info => 0,
            Status::Untested => 1,
            Status::Warning => 2,
            Status::Open | Status::Bad => 3,
        };
        let mut say = |holds: bool, status: Status, reason: String| {
            if holds && rank(status) > rank(self.status) {
                self.status = status;
            }
            self.reasons.extend(holds.then_some(reason));
        };
        let [integral, error] = self.integral;
        let [over, over_error] = self.overtraining;
        let numbers = [integral, error, over, over_error, self.separation];
        let bad = "a number of it is not finite: the ratio is not finite everywhere, or there are \
                   no unseen events";
        let is_bad = numbers.iter().any(|x| !x.is_finite());
        say(is_bad, Status::Bad, bad.to_owned());
        let [open, all] = self.open_features;
        let auc = self.closure;
        let has_error = auc.is_none_or(|auc| auc.error.is_finite() && auc.error > 0.0);
        for (holds, reason) in [
            (
                self.calibration_p.is_none(),
                "its calibration could not be tested: too few unseen events",
            ),
            (all == 0, "no distribution of a feature could be tested"),
            (!has_error, "the AUC has no error"),
            (self.members == 1, "one member: its spread is not known"),
        ] {
            say(holds, Status::Untested, reason.to_owned());
        }
        let warn = Status::Warning;
        let is_off = integral.is_finite() && (integral - 1.0).abs() > PULL * error;
        let text = numbers::joined(integral, &[error], " +- ");
        say(is_off, warn, format!("integral {text} is not one"));
        if let Some(found) = self.calibration_p {
            say(found < p, warn, format!("calibration: p = {found:.1e}"));
        }
        if let Some(auc) = auc {
            let is_told = auc.error > 0.0 && (auc.value - 0.5).abs() > PULL * auc.error;
            let text = numbers::joined(auc.value, &[auc.error], " +- ");
            let told = "a fresh classifier still tells reweighted source from target";
            say(is_told, warn, format!("{told}: AUC {text}"));
        }
        // by chance one of 1/p distributions is open
        let is_open = open as f64 > 1.0 + p * all as f64;
        say(
            is_open,
            warn,
            format!("{open} of {all} distributions do not close"),
        );
        let is_over = over > PULL * over_error && over > 0.1 * self.separation;
        let text = format!("over-trained: cross-entropy {over:.1e} higher on unseen events");
        say(is_over, warn, text);
        let text = format!(
            "{:.1} % of events have a |log r| that the sample cannot support",
            100.0 * self.saturated
        );
        say(self.saturated > SATURATED, warn, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_the_weighted_mean() {
        let source = [(2f64.ln(), 1.0), (0.5f64.ln(), 3.0)];
        let [mean, error] = integral(&source);
        assert!((mean - 0.875).abs() < 1e-15);
        let expected = (1.125f64.powi(2) + (3.0f64 * 0.375).powi(2)).sqrt() / 4.0;
        assert!((error - expected).abs() < 1e-15);
    }
}
