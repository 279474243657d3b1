//! What closes and what does not, in words.
//!
//! A region closes if no distribution is improbable given how many were looked
//! at (p-value with covariance not below `report.p_value` over their number),
//! and the AUC of the fresh classifier is within three errors of 0.5.

use super::losses;
use super::page::{Status, Verdict};
use crate::background::{CategoryMetrics, Metrics, RegionMetrics};
use crate::config::{Config, Method};
use crate::stats::Noise;

const AUC_PULL: f64 = 3.0;
/// Mean pull of the bins outside the holes that is remarkable.
const PLANE_PULL: f64 = 0.3;
const SMALL_SAMPLE_FRACTION: f64 = 0.05;

struct Closure {
    tested: usize,
    closed_before: usize,
    closed_after: usize,
    worst: Option<(String, f64)>,
    auc_pull: Option<f64>,
}

impl Closure {
    fn of(region: &RegionMetrics, p_value: f64) -> Self {
        let tested = region
            .variables
            .values()
            .filter(|v| v.chi2_after_covariance.is_some())
            .count();
        let threshold = p_value / tested.max(1) as f64;
        let mut closure = Self {
            tested,
            closed_before: 0,
            closed_after: 0,
            worst: None,
            auc_pull: region
                .auc
                .map(|auc| (auc.after.value - 0.5) / auc.after.error),
        };
        for v in region.variables.values() {
            let Some(after) = v.chi2_after_covariance else {
                continue;
            };
            let before = v.chi2_before.is_some_and(|c| c.p_value >= threshold);
            closure.closed_before += usize::from(before);
            closure.closed_after += usize::from(after.p_value >= threshold);
            if closure
                .worst
                .as_ref()
                .is_none_or(|(_, p)| after.p_value < *p)
            {
                closure.worst = Some((v.label.clone(), after.p_value));
            }
        }
        closure
    }

    fn closes(&self) -> bool {
        self.closed_after == self.tested && self.auc_pull.is_none_or(|p| p.abs() < AUC_PULL)
    }

    fn closed_already(&self) -> bool {
        self.closed_before == self.tested
    }
}

/// The verdict on a result: the whole first, then region by region.
#[must_use]
pub fn verdict(metrics: &Metrics, config: &Config) -> Vec<Verdict> {
    let target = config.data.target_label();
    let prediction = match config.experiment.method {
        Method::Reweight | Method::Ratio | Method::Measure => {
            format!("reweighted {}", config.data.source_label())
        }
        Method::Interpolate => "interpolated background".to_owned(),
    };
    let regions: Vec<(&String, &RegionMetrics, Closure)> = metrics
        .regions
        .iter()
        .filter(|(_, r)| !r.blind)
        .map(|(name, r)| (name, r, Closure::of(r, config.report.p_value)))
        .collect();
    let mut lines = vec![overall(&regions, &prediction, target)];
    for (name, region, closure) in &regions {
        lines.push(region_line(name, region, closure));
    }
    for (name, region) in metrics.regions.iter().filter(|(_, r)| r.blind) {
        lines.push(line(
            Status::Info,
            format!(
                "{name}: blinded; predicted {:.1} ± {:.1} (stat) ± {:.1} (ensemble)",
                region.yields.after, region.yields.after_stat, region.yields.after_spread
            ),
        ));
    }
    lines.extend(warnings(metrics, config));
    lines
}

fn overall(
    regions: &[(&String, &RegionMetrics, Closure)],
    prediction: &str,
    target: &str,
) -> Verdict {
    let unseen = || regions.iter().filter(|(_, r, _)| !r.trained);
    let judged: Vec<_> = if unseen().next().is_some() {
        unseen().collect()
    } else {
        regions.iter().collect()
    };
    if judged.is_empty() {
        return line(
            Status::Info,
            format!("All of the {target} is blinded: closure cannot be judged."),
        );
    }
    let open: Vec<&str> = judged
        .iter()
        .filter(|(_, _, c)| !c.closes())
        .map(|(name, ..)| name.as_str())
        .collect();
    if !open.is_empty() {
        return line(
            Status::Bad,
            format!(
                "The {prediction} does not agree with the {target} in {}.",
                open.join(", ")
            ),
        );
    }
    let already = judged.iter().all(|(_, _, c)| c.closed_already());
    let compared = judged.iter().any(|(_, r, _)| r.yields.before.is_some());
    let tail = match (compared, already) {
        (false, _) => ".",
        (true, true) => "; so does the unweighted, at this sample size.",
        (true, false) => " where the unweighted does not.",
    };
    line(
        Status::Good,
        format!("The {prediction} agrees with the {target}{tail}"),
    )
}

fn region_line(name: &str, region: &RegionMetrics, closure: &Closure) -> Verdict {
    let mut text = format!(
        "{name}{}: {} of {} distributions agree",
        if region.trained {
            " (held-out events of the training region)"
        } else {
            ""
        },
        closure.closed_after,
        closure.tested,
    );
    if region.yields.before.is_some() {
        text += &format!(" after reweighting, {} before", closure.closed_before);
    }
    if let Some((worst, p)) = &closure.worst {
        text += &format!("; least probable is {worst} (p = {})", short(*p));
    }
    if let Some(auc) = region.auc {
        text += &format!(
            "; AUC {:.3} ± {:.3} after, {:.3} ± {:.3} before (0.5 is closed)",
            auc.after.value, auc.after.error, auc.before.value, auc.before.error
        );
    }
    if let (Some(ratio), Some(error)) = (region.yields.ratio, region.yields.ratio_error) {
        text += &format!("; predicted / observed {ratio:.3} ± {error:.3}");
    }
    let status = if closure.closes() {
        Status::Good
    } else {
        Status::Bad
    };
    line(status, text + ".")
}

fn warnings(metrics: &Metrics, config: &Config) -> Vec<Verdict> {
    let mut lines = Vec::new();
    let m = &metrics.members;
    if !m.failed.is_empty() {
        lines.push(line(
            Status::Warning,
            format!(
                "{} of {} members failed; the result stands on {}.",
                m.failed.len(),
                m.requested,
                m.usable
            ),
        ));
    }
    if m.epoch_limit > 0 {
        lines.push(line(
            Status::Warning,
            format!(
                "{} of {} members reached the largest number of epochs before they converged: \
                 raise training.epochs.",
                m.epoch_limit, m.usable
            ),
        ));
    }
    if m.replicas < 10 {
        lines.push(line(
            Status::Warning,
            format!(
                "The spread is that of {} replicas; covariances want tens of them.",
                m.replicas
            ),
        ));
    }
    let losses = losses::sentences(metrics).into_iter();
    lines.extend(plane_warnings(metrics, config));
    lines.extend(losses.map(|text| line(Status::Warning, text)));
    for (name, region) in &metrics.regions {
        if region.weights.largest_share > SMALL_SAMPLE_FRACTION {
            lines.push(line(
                Status::Warning,
                format!(
                    "{name}: one event carries {:.1} % of the prediction.",
                    100.0 * region.weights.largest_share
                ),
            ));
        }
    }
    lines
}

/// What the Gaussian processes do not describe.
fn plane_warnings(metrics: &Metrics, config: &Config) -> Vec<Verdict> {
    let Some(interpolation) = &metrics.interpolation else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (number, category) in interpolation.categories.iter().enumerate() {
        let name = category
            .value
            .map_or_else(|| number.to_string(), |value| value.to_string());
        if let Some([mean, _]) = category.outside.with_error
            && mean.abs() > PLANE_PULL
        {
            lines.push(line(
                Status::Warning,
                format!(
                    "mass plane {name}: outside the holes the Gaussian process lies {mean:+.2} errors a \
                     bin from the events; {}.",
                    plane_advice(category, config)
                ),
            ));
        }
        if category.starts[1] == 0 {
            lines.push(line(
                Status::Warning,
                format!("mass plane {name}: no start of the fit converged."),
            ));
        }
        if category.negative_bins > 0 {
            lines.push(line(
                Status::Warning,
                format!(
                    "mass plane {name}: {} bins are predicted below zero and taken as zero.",
                    category.negative_bins
                ),
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
    let options = [
        (
            fit.noise == Noise::Observed,
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

fn line(status: Status, text: String) -> Verdict {
    Verdict { status, text }
}

/// A p-value in few characters.
pub(super) fn short(p: f64) -> String {
    if p < 1e-3 {
        format!("{p:.0e}")
    } else if p < 0.1 {
        format!("{p:.3}")
    } else {
        format!("{p:.2}")
    }
}
