//! What closes and what does not, in words, by the verdicts that a result has kept.

use super::numbers::{p_value, percent, with_error, with_errors};
use super::page::{PageVerdict, Status};
use crate::error::{agreeing, counted};
use crate::events::Losses;
use crate::results;
use crate::results::{CategoryMetrics, Judgement, Metrics, NO_POWER, RegionMetrics, VerdictState};
use crate::settings::{Config, Method};
use indexmap::IndexMap;
use sideband_processes::Noise;

/// Mean pull of the bins outside the holes that is remarkable.
const PLANE_PULL: f64 = 0.3;
const SMALL_SAMPLE_FRACTION: f64 = 0.05;
/// Most distributions of one region that a reason names.
const NAMED: usize = 3;
/// Share of a prediction outside of what was trained that is said.
const NOTED: f64 = 0.001;

/// The verdict on a result: the whole first, then region by region.
pub(crate) fn verdict(metrics: &Metrics, config: &Config) -> Vec<PageVerdict> {
    let target = config.data.target_label();
    let prediction = match config.experiment.method {
        Method::Reweight | Method::Ratio | Method::Measure | Method::Limit | Method::Mix => {
            format!("reweighted {}", config.data.source_label())
        }
        Method::Interpolate => "interpolated background".to_owned(),
    };
    let judgement = Judgement::kept(metrics);
    let mut lines = vec![overall(metrics, &judgement, &prediction, target)];
    for (name, region) in metrics.regions.iter().filter(|(_, r)| !r.blind) {
        lines.push(region_line(name, region, &judgement.regions[name]));
    }
    for (name, region) in metrics.regions.iter().filter(|(_, r)| r.blind) {
        let status = match judgement.regions[name].state {
            VerdictState::NotFinite => Status::Bad,
            _ => Status::Info,
        };
        let y = &region.yields;
        let predicted = with_errors(y.after, &[y.after_stat, y.after_spread]);
        let errors = "statistical, and ensemble with normalisation";
        let text = format!("{name}: blinded; predicted {predicted} ({errors})");
        lines.push(PageVerdict::new(status, text));
    }
    let warnings = warnings(metrics, config).into_iter();
    lines.extend(warnings.map(|text| PageVerdict::new(Status::Warning, text)));
    lines
}

fn status(state: VerdictState) -> Status {
    match state {
        VerdictState::Closes => Status::Good,
        VerdictState::Open => Status::Open,
        VerdictState::NotFinite => Status::Bad,
        VerdictState::Untested => Status::Untested,
    }
}

/// Reasons in words; tests of one region that could not fail are one of them.
fn in_words(reasons: &[String]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut without_power: IndexMap<&str, (usize, Vec<&str>)> = IndexMap::new();
    for reason in reasons {
        let Some(subject) = reason.strip_suffix(NO_POWER) else {
            said.push(reason.clone());
            continue;
        };
        let (region, name) = subject.split_once(": ").unwrap_or(("", subject));
        let own = without_power.entry(region);
        let (_, names) = own.or_insert_with(|| (said.len(), Vec::new()));
        if names.is_empty() {
            said.push(String::new());
        }
        names.push(name);
    }
    for (region, (place, names)) in without_power {
        let place_of = if region.is_empty() { "" } else { ": " };
        let most = names.len().min(NAMED);
        let more = match names.len() - most {
            0 => String::new(),
            more => format!(" and {}", counted(more, "more distribution")),
        };
        let tail = match names.len() {
            1 => NO_POWER.to_owned(),
            _ => NO_POWER.replacen(" has", " have", 1),
        };
        let named = names[..most].join(", ");
        said[place] = format!("{region}{place_of}{named}{more}{tail}");
    }
    said.join("; ")
}

fn overall(
    metrics: &Metrics,
    judgement: &Judgement,
    prediction: &str,
    target: &str,
) -> PageVerdict {
    let whole = &judgement.whole;
    let of = |state: VerdictState| -> String {
        let regions = judgement.regions.iter();
        let concerned = regions.filter(|(name, v)| {
            let region = &metrics.regions[*name];
            let is_judged = state == VerdictState::NotFinite
                || (!region.blind && (!region.trained || is_trained_alone(metrics)));
            is_judged && v.state == state
        });
        let names: Vec<&str> = concerned.map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let reasons = in_words(&whole.reasons);
    let regions = of(whole.state);
    let text = match whole.state {
        VerdictState::NotFinite => {
            let place = if regions.is_empty() {
                "the mass plane"
            } else {
                &regions
            };
            format!(
                "The {prediction} is not finite in {place}: this is no result. {reasons}. See \
                 the features there against those of the training region."
            )
        }
        VerdictState::Open => {
            format!("The {prediction} does not agree with the {target} in {regions}.")
        }
        VerdictState::Untested if metrics.regions.is_empty() => {
            format!("Closure cannot be judged: {reasons}.")
        }
        VerdictState::Untested if metrics.regions.values().all(|r| r.blind) => {
            let text = format!("All of the {target} is blinded: closure cannot be judged.");
            return PageVerdict::new(Status::Info, text);
        }
        VerdictState::Untested => format!(
            "Whether the {prediction} agrees with the {target} could not be tested in \
             {regions}: {reasons}."
        ),
        VerdictState::Closes => {
            let already = judged(metrics).all(|(name, region)| {
                let verdict = &judgement.regions[name];
                closed_before(region, verdict) == distributions(region, verdict)
            });
            let compared = judged(metrics).any(|(_, r)| r.yields.before.is_some());
            let tail = match (compared, already) {
                (false, _) => ".",
                (true, true) => "; so does the unweighted, at this sample size.",
                (true, false) => " where the unweighted does not.",
            };
            format!("The {prediction} agrees with the {target}{tail}")
        }
    };
    PageVerdict::new(status(whole.state), text)
}

fn is_trained_alone(metrics: &Metrics) -> bool {
    let mut shown = metrics.regions.values().filter(|r| !r.blind);
    shown.all(|r| r.trained)
}

/// Regions that the verdict on the whole stands on.
fn judged(metrics: &Metrics) -> impl Iterator<Item = (&String, &RegionMetrics)> {
    let all = is_trained_alone(metrics);
    let regions = metrics.regions.iter();
    regions.filter(move |(_, r)| !r.blind && (all || !r.trained))
}

/// Distributions that were tested.
fn distributions(region: &RegionMetrics, verdict: &results::Verdict) -> usize {
    let tested = |name: &&String| verdict.tested.contains(*name);
    region.variables.keys().filter(tested).count()
}

/// Distributions that agree without weights.
fn closed_before(region: &RegionMetrics, verdict: &results::Verdict) -> usize {
    let closes = |v: &&results::VariableMetrics| match (v.chi2_before, verdict.threshold) {
        (Some(found), Some(threshold)) => found.p_value >= threshold,
        _ => false,
    };
    region.variables.values().filter(closes).count()
}

fn region_line(name: &str, region: &RegionMetrics, verdict: &results::Verdict) -> PageVerdict {
    let tested = distributions(region, verdict);
    let failed = |name: &&String| verdict.failed.contains(*name);
    let open = region.variables.keys().filter(failed).count();
    let held_out = match region.trained {
        true => " (held-out events of the training region)",
        false => "",
    };
    let agree = tested - open;
    let of = counted(tested, "distribution");
    let verb = agreeing(agree as u64, "agrees", "agree");
    let mut text = format!("{name}{held_out}: {agree} of {of} {verb}");
    if region.yields.before.is_some() {
        let before = closed_before(region, verdict);
        text += &format!(" after reweighting, {before} before");
    }
    let p = |v: &results::VariableMetrics| v.chi2_after_covariance.map(|c| c.p_value);
    let tested = region.variables.values();
    let tested = tested.filter_map(|v| Some((&v.label, p(v)?)));
    let worst = tested.min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((worst, p)) = worst {
        text += &format!("; least probable is {worst} (p = {})", p_value(p));
    }
    if let Some(auc) = region.auc {
        let [after, before] = [auc.after, auc.before].map(|a| with_error(a.value, a.error));
        text += &format!("; AUC {after} after, {before} before (0.5 is closed)");
    }
    if let (Some(ratio), Some(error)) = (region.yields.ratio, region.yields.ratio_error) {
        text += &format!("; predicted / observed {}", with_error(ratio, error));
    }
    if region.yields.is_fixed {
        text += ", fixed by its own events";
    } else if let Some(chi2) = region.yields.chi2 {
        text += &format!(" (p = {})", p_value(chi2.p_value));
    }
    if verdict.state != VerdictState::Closes && !verdict.reasons.is_empty() {
        text += &format!("; {}", in_words(&verdict.reasons));
    }
    PageVerdict::new(status(verdict.state), text + ".")
}

fn warnings(metrics: &Metrics, config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let m = &metrics.members;
    let (failed, usable) = (m.failed.len(), m.usable);
    if failed > 0 {
        let all = counted(m.requested, "member");
        lines.push(format!(
            "{failed} of {all} failed; the result stands on {usable}."
        ));
    }
    if m.epoch_limit > 0 {
        lines.push(format!(
            "{} of {} reached the largest number of epochs before {} converged: raise \
             training.epochs.",
            m.epoch_limit,
            counted(usable, "member"),
            agreeing(m.epoch_limit as u64, "it", "they")
        ));
    }
    match m.replicas {
        1 => lines.push(
            "There is one replica and so no spread: the errors are without that of the networks."
                .to_owned(),
        ),
        few if few < 10 => lines.push(format!(
            "The spread is that of {few} replicas; covariances want tens of them."
        )),
        _ => {}
    }
    let is_tested = |name: &String| metrics.regions.contains_key(name);
    let holds_out =
        config.experiment.method == Method::Interpolate || is_tested(&metrics.training_region);
    let untested = config.regions.keys();
    let untested = untested.filter(|name| !holds_out && !is_tested(name));
    lines.extend(untested.map(|name| {
        format!(
            "{name}: training.held_out is 0, so that no event is left to test it with; its \
             diagnostics are left out."
        )
    }));
    lines.extend(plane_warnings(metrics, config));
    lines.extend(missing(metrics));
    for (name, region) in &metrics.regions {
        let outside = &region.outside;
        if outside.largest_share() > NOTED {
            let (share, words) = (percent(outside.largest_share()), outside.words());
            lines.push(format!(
                "{name}: {}, {share} of the prediction, {} outside of what was trained ({words}).",
                counted(outside.events, "event"),
                agreeing(outside.events, "lies", "lie")
            ));
        }
    }
    for (name, region) in &metrics.regions {
        if region.weights.largest_share > SMALL_SAMPLE_FRACTION {
            let share = percent(region.weights.largest_share);
            lines.push(format!(
                "{name}: one event carries {share} of the prediction."
            ));
        }
    }
    lines
}

/// What the Gaussian processes do not describe.
fn plane_warnings(metrics: &Metrics, config: &Config) -> Vec<String> {
    let Some(interpolation) = &metrics.interpolation else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if interpolation.dropped > 0 {
        lines.push(format!(
            "{} sampled events of all members have features that are not finite and are dropped: \
             the prediction lacks them.",
            interpolation.dropped
        ));
    }
    for (number, category) in interpolation.categories.iter().enumerate() {
        let value = category.value.map(|value| value.to_string());
        let name = value.unwrap_or_else(|| number.to_string());
        if let Some([mean, _]) = category.outside.with_error
            && mean.abs() > PLANE_PULL
        {
            let advice = plane_advice(category, config);
            lines.push(format!(
                "mass plane {name}: outside the holes the Gaussian process lies {mean:+.2} errors \
                 a bin from the events; {advice}."
            ));
        }
        if category.starts[1] == 0 {
            lines.push(format!("mass plane {name}: no start of the fit converged."));
        }
        if category.negative_bins > 0 {
            let bins = category.negative_bins;
            lines.push(format!(
                "mass plane {name}: {} {} predicted below zero and taken as zero.",
                counted(bins, "bin"),
                agreeing(bins as u64, "is", "are")
            ));
        }
    }
    lines
}

/// What may help a Gaussian process that does not follow the events, of what is not
/// set already.
fn plane_advice(category: &CategoryMetrics, config: &Config) -> String {
    let fit = config.interpolation.as_ref().map(|i| i.plane.fit);
    let fit = fit.unwrap_or_default();
    if category.empty_bins > 0 {
        return format!(
            "{} bins without events lie beside bins with many: cut a hole where there are none, \
             or narrow the box",
            category.empty_bins
        );
    }
    let is_observed = fit.noise == Noise::Observed;
    let options = [
        (
            is_observed,
            "set interpolation.plane.fit.noise = \"predicted\"",
        ),
        (
            fit.length_scales.is_some(),
            "widen interpolation.plane.fit.length_scales, or leave them out",
        ),
        (
            !fit.fit_amplitude,
            "set interpolation.plane.fit.fit_amplitude = true",
        ),
    ];
    let open = options.into_iter().find(|(is_open, _)| *is_open);
    open.map_or("use coarser bins or a smaller box", |(_, text)| text)
        .to_owned()
}

/// What is missing in a result, one sentence each.
fn missing(metrics: &Metrics) -> Vec<String> {
    let mut list: Vec<String> = metrics.losses.iter().flat_map(Losses::sentences).collect();
    if let Some(interpolation) = &metrics.interpolation {
        if interpolation.dropped > 0 {
            list.push(format!(
                "{} samples of all members had features that are not finite and were dropped.",
                interpolation.dropped
            ));
        }
        list.extend(interpolation.without_value.iter().map(|(name, samples)| {
            format!("{samples} samples of all members have no value of {name} and are in none of its bins.")
        }));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_could_not_fail_are_one_reason_a_region() {
        let reason = |subject: &str| format!("{subject}{NO_POWER}");
        let reasons = ["sr: a", "sr: b", "sr: c", "sr: d", "sr: e", "vr: a"].map(reason);
        let mut reasons = Vec::from(reasons);
        reasons.insert(1, "sr: chi2".to_owned());
        let large = "errors so large that a prediction which is wrong by all of its content would \
                     agree";
        let expected = format!(
            "sr: a, b, c and 2 more distributions have {large}; sr: chi2; vr: a has {large}"
        );
        assert_eq!(in_words(&reasons), expected);
        assert_eq!(in_words(&[reason("a")]), reason("a"));
        assert_eq!(in_words(&[]), "");
    }
}
