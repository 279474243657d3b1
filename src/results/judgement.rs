//! Whether a prediction agrees with the observation: closes, open, untested, or not
//! finite.
//!
//! A region closes if it was tested and nothing failed. Tested are its yield and its
//! distributions; each fails if its p-value is below `report.p_value` over their
//! number; the AUC of the fresh classifier fails beyond three errors from 0.5. A test
//! counts only if it could fail: if a prediction that is wrong by the whole content of
//! a bin, or by all of its content, would ([`crate::statistics::sensitivity`]). At least one
//! distribution must count, and the yield, unless the region's own events fix it; and no
//! more than 5 % of the prediction may lie outside of what was trained.

use super::metrics::{Metrics, RegionMetrics, VariableMetrics, YieldMetrics};
use super::support::OUTSIDE;
use super::verdict::{Verdict, VerdictState};
use crate::files::not_finite;
use crate::settings::Config;
use crate::statistics::Chi2;
use indexmap::IndexMap;

/// Behind the name of a distribution whose test could not fail.
pub(crate) const NO_POWER: &str =
    " has errors so large that a prediction which is wrong by all of its content would agree";

/// Errors from 0.5 beyond which an AUC is not closed.
const AUC_PULL: f64 = 3.0;
/// How many of several numbers are named.
const NAMED: usize = 3;

/// The verdicts on a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// On the whole: its regions that nothing was trained in, else on all.
    pub whole: Verdict,
    /// On each region, in the configuration's order.
    pub regions: IndexMap<String, Verdict>,
}

impl Judgement {
    /// The verdicts that a result has kept: those by the settings that it was made with, but where
    /// a number is not finite.
    #[must_use]
    pub(crate) fn kept(metrics: &Metrics) -> Self {
        judge(metrics, |region| region.verdict.clone())
    }
}

/// Judges a result whose regions are judged so, if all their numbers are finite.
fn judge(metrics: &Metrics, of_region: impl Fn(&RegionMetrics) -> Verdict) -> Judgement {
    let of_region = |(name, region): (&String, &RegionMetrics)| {
        let verdict = without_numbers(region).unwrap_or_else(|| of_region(region));
        (name.clone(), verdict)
    };
    let regions: IndexMap<String, Verdict> = metrics.regions.iter().map(of_region).collect();
    let shown = || metrics.regions.iter().filter(|(_, r)| !r.blind);
    let is_trained_alone = shown().all(|(_, r)| r.trained);
    let judged: Vec<&String> = shown()
        .filter(|(_, r)| is_trained_alone || !r.trained)
        .map(|(name, _)| name)
        .collect();
    let has = |state: VerdictState| -> Vec<String> {
        let names = judged
            .iter()
            .filter(|name| regions[name.as_str()].state == state);
        names.map(|name| (*name).clone()).collect()
    };
    let infinite: Vec<String> = regions
        .iter()
        .filter(|(_, v)| v.state == VerdictState::NotFinite)
        .map(|(name, _)| name.clone())
        .collect();
    let (open, untested) = (has(VerdictState::Open), has(VerdictState::Untested));
    let of_planes = not_finite(&metrics.interpolation);
    let (state, concerned) = if !infinite.is_empty() || !of_planes.is_empty() {
        (VerdictState::NotFinite, infinite)
    } else if !open.is_empty() {
        (VerdictState::Open, open.clone())
    } else if !untested.is_empty() || judged.is_empty() {
        (VerdictState::Untested, untested)
    } else {
        (VerdictState::Closes, Vec::new())
    };
    let mut reasons: Vec<String> = concerned
        .iter()
        .flat_map(|name| {
            let reasons = regions[name].reasons.iter();
            reasons.map(move |reason| format!("{name}: {reason}"))
        })
        .collect();
    let planes = of_planes.iter().take(NAMED);
    reasons.extend(planes.map(|place| format!("interpolation: {place}")));
    if judged.is_empty() {
        let reason = match metrics.regions.is_empty() {
            true => "nothing is held out of the training region, and there is no other",
            false => "all regions are blind",
        };
        reasons.push(reason.to_owned());
    }
    let tested = |name: &&String| {
        matches!(
            regions[name.as_str()].state,
            VerdictState::Closes | VerdictState::Open
        )
    };
    let whole = Verdict {
        state,
        reasons,
        tested: judged.iter().copied().filter(tested).cloned().collect(),
        failed: open,
        threshold: None,
    };
    Judgement { whole, regions }
}

impl Metrics {
    /// Keeps the verdicts with the numbers.
    pub(crate) fn keep_verdicts(&mut self, config: &Config) {
        let judgement = judge(self, |region| judge_region(region, config));
        self.verdict = judgement.whole;
        for (region, verdict) in self
            .regions
            .values_mut()
            .zip(judgement.regions.into_values())
        {
            region.verdict = verdict;
        }
    }
}

/// The verdict of a region some of whose numbers are not finite.
fn without_numbers(region: &RegionMetrics) -> Option<Verdict> {
    let mut named = not_finite(region);
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    named.truncate(NAMED);
    (!named.is_empty()).then(|| Verdict {
        state: VerdictState::NotFinite,
        reasons: vec![format!("{}{more}", named.join(", "))],
        ..Verdict::default()
    })
}

fn judge_region(region: &RegionMetrics, config: &Config) -> Verdict {
    if region.blind {
        return Verdict {
            reasons: vec!["its observed events are blind".to_owned()],
            ..Verdict::default()
        };
    }
    let mut tests = Tests::new(region, config.report.p_value);
    let distributions = region
        .variables
        .iter()
        .filter(|(name, v)| tests.distribution(name, v))
        .count();
    tests.closed = distributions > 0;
    if distributions == 0 {
        tests.reasons.push("no distribution was tested".to_owned());
    }
    tests.of_yield(&region.yields);
    let outside = &region.outside;
    if outside.largest_share() > OUTSIDE {
        tests.closed = false;
        tests.reasons.push(format!(
            "{:.1} % of the prediction lies outside of what was trained ({})",
            100.0 * outside.largest_share(),
            outside.words()
        ));
    }
    tests.auc(region, config.report.classifier_members > 0);
    tests.verdict()
}

/// The tests of one region.
struct Tests {
    threshold: f64,
    tested: Vec<String>,
    failed: Vec<String>,
    reasons: Vec<String>,
    /// Whether what must be tested was.
    closed: bool,
}

impl Tests {
    fn new(region: &RegionMetrics, p_value: f64) -> Self {
        let distributions = region.variables.values();
        let count = distributions
            .filter(|v| v.chi2_after_covariance.is_some())
            .count()
            + usize::from(region.yields.chi2.is_some());
        Self {
            threshold: p_value / count.max(1) as f64,
            tested: Vec::new(),
            failed: Vec::new(),
            reasons: Vec::new(),
            closed: false,
        }
    }

    /// Whether a distribution was tested by a test that could fail.
    fn distribution(&mut self, name: &str, v: &VariableMetrics) -> bool {
        match (v.chi2_after_covariance, v.sensitivity) {
            (Some(found), Some(most)) => self.test(name, found, most),
            _ => {
                self.reasons.push(format!(
                    "{name} cannot be tested: no bin has an error, or the covariance is singular"
                ));
                false
            }
        }
    }

    fn of_yield(&mut self, yields: &YieldMetrics) {
        if yields.is_fixed {
            return;
        }
        let is_tested = match (yields.chi2, yields.sensitivity) {
            (Some(found), Some(most)) => self.test("yield", found, most),
            _ => {
                self.reasons.push(
                    "the yield cannot be tested: nothing is observed or predicted".to_owned(),
                );
                false
            }
        };
        if !is_tested {
            self.closed = false;
        }
    }

    /// Counts a test if it could fail. One that fails counts always.
    fn test(&mut self, name: &str, found: Chi2, most: f64) -> bool {
        let fails = found.p_value < self.threshold;
        let could = Chi2::new(most, found.ndf).is_some_and(|c| c.p_value < self.threshold);
        if !fails && !could {
            self.reasons.push(format!("{name}{NO_POWER}"));
            return false;
        }
        self.tested.push(name.to_owned());
        if fails {
            self.failed.push(name.to_owned());
            self.reasons.push(format!(
                "{name}: chi2 {:.1} / {}, p = {:.1e}",
                found.chi2, found.ndf, found.p_value
            ));
        }
        true
    }

    fn auc(&mut self, region: &RegionMetrics, is_wanted: bool) {
        let Some(auc) = region.auc.map(|auc| auc.after) else {
            if is_wanted && region.yields.before.is_some() {
                self.reasons.push(
                    "no AUC: too few events for a classifier, or its scores are not finite"
                        .to_owned(),
                );
            }
            return;
        };
        if auc.error <= 0.0 {
            self.reasons.push("the AUC has no error".to_owned());
            return;
        }
        self.tested.push("AUC".to_owned());
        let pull = (auc.value - 0.5) / auc.error;
        if pull.abs() >= AUC_PULL {
            self.failed.push("AUC".to_owned());
            self.reasons.push(format!(
                "AUC {:.3} ± {:.3} is {:.1} errors from 0.5",
                auc.value,
                auc.error,
                pull.abs()
            ));
        }
    }

    fn verdict(self) -> Verdict {
        let state = if !self.failed.is_empty() {
            VerdictState::Open
        } else if self.closed {
            VerdictState::Closes
        } else {
            VerdictState::Untested
        };
        Verdict {
            state,
            reasons: self.reasons,
            tested: self.tested,
            failed: self.failed,
            threshold: Some(self.threshold),
        }
    }
}

/// Tests a yield against its observation. `correlation`: what to add to the variance of
/// their difference for events that they share. `unit`: mean weight of an observed
/// event, which gives an observation of nothing its error.
pub(crate) fn yield_test(yields: &mut YieldMetrics, correlation: f64, unit: f64) {
    let (Some(observed), Some(error)) = (yields.observed, yields.observed_error) else {
        return;
    };
    let after = yields.after;
    let of_prediction = yields.after_stat.powi(2) + yields.after_spread.powi(2);
    if observed > 0.0 && after > 0.0 {
        let ratio = after / observed;
        let own = [error / observed, of_prediction.sqrt() / after];
        let relative = own[0].powi(2) + own[1].powi(2) + correlation / (after * observed);
        // what they share is at most all of the smaller one
        let least = (own[0] - own[1]).powi(2);
        yields.ratio = Some(ratio);
        yields.ratio_error = Some(ratio * relative.max(least).sqrt());
    }
    if yields.is_fixed {
        return;
    }
    // where less is observed than predicted, by the events that were expected
    let of_observed = (error * error).max(after * unit);
    let variance = of_observed + of_prediction + correlation;
    if variance > 0.0 {
        yields.chi2 = Chi2::new((observed - after).powi(2) / variance, 1);
        let most = after.powi(2) / variance;
        yields.sensitivity = most.is_finite().then_some(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yields(observed: f64, after: f64, spread: f64) -> YieldMetrics {
        let mut yields = YieldMetrics {
            observed: Some(observed),
            observed_error: Some(observed.sqrt()),
            after,
            after_stat: 0.1 * after.sqrt(),
            after_spread: spread,
            ..YieldMetrics::default()
        };
        yield_test(&mut yields, 0.0, 1.0);
        yields
    }

    fn judged(yields: &YieldMetrics) -> (bool, Verdict) {
        let mut tests = Tests {
            threshold: 0.005,
            tested: Vec::new(),
            failed: Vec::new(),
            reasons: Vec::new(),
            closed: true,
        };
        tests.of_yield(yields);
        (tests.closed, tests.verdict())
    }

    #[test]
    fn a_yield_is_tested_like_a_distribution() {
        let of = |observed, after, spread| judged(&yields(observed, after, spread)).1.state;
        assert_eq!(of(300.0, 310.0, 10.0), VerdictState::Closes);
        assert_eq!(of(390.0, 300.0, 13.0), VerdictState::Open);
        assert_eq!(of(0.0, 40.0, 4.0), VerdictState::Open);
    }

    #[test]
    fn what_cannot_fail_does_not_close() {
        for (observed, after, spread) in [
            (300.0, 310.0, 300.0),
            (300.0, 1e95, 3e95),
            (1.0, 1.5, 0.2),
            (0.0, 0.0, 0.0),
        ] {
            let (closed, verdict) = judged(&yields(observed, after, spread));
            assert!(!closed, "{observed} {after} {spread}");
            assert_eq!(verdict.state, VerdictState::Untested, "{verdict:?}");
            assert_eq!(verdict.reasons.len(), 1);
        }
    }

    #[test]
    fn the_quoted_error_of_a_ratio_has_every_part() {
        let y = yields(400.0, 500.0, 50.0);
        let relative = (1.0 / 400.0 + 0.01 / 500.0 + 0.01_f64).sqrt();
        assert!((y.ratio_error.unwrap() - 1.25 * relative).abs() < 1e-12);
        // what prediction and observation share leaves an error all the same
        let mut shared = yields(1226.0, 2675.0, 1593.0);
        shared.after_stat = 2168.0;
        yield_test(&mut shared, -1e7, 1.0);
        let [ratio, error] = [shared.ratio, shared.ratio_error].map(Option::unwrap);
        assert!(error > 0.9 * ratio, "{error}");
        // nothing observed has the error of what was expected
        let chi2 = yields(0.0, 40.0, 0.0).chi2.unwrap();
        assert!((chi2.chi2 - 1600.0 / 40.4).abs() < 1e-9);
    }
}
