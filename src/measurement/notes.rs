//! Checks of a result, and what the user should know of it.

use super::evaluated::EventTerm;
use super::result::{Checks, MeasurementResult};
use crate::error::Result;
use crate::report::numbers::joined;
use crate::report::page::Status;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::{Likelihood, Model, Normalisation};

/// Checks at the best fit and one error around it.
pub(super) fn checks(events: &EventTerm, model: &Model, best: &Fit) -> Result<Checks> {
    let channel = &events.channel;
    let mut worst: Option<Normalisation> = None;
    for (k, parameter) in model.parameters().iter().enumerate() {
        // on a bound, by the curvature inwards: the other step stays where it is
        let by_curvature = || best.profile_curvature(k).map(|c| c.sqrt().recip());
        let error = best.error(k).or_else(by_curvature);
        let Some(error) = error.filter(|error| error.is_finite()) else {
            continue;
        };
        for step in [-error, error] {
            let mut at = best.point.clone();
            at[k] = (at[k] + step).clamp(parameter.bounds.0, parameter.bounds.1);
            let found = channel.normalisation(&at);
            let farther = |n: &Normalisation| {
                let away = n.significance().abs();
                worst.is_none_or(|w| w.significance().abs() < away)
            };
            worst = found.filter(farther).or(worst);
        }
    }
    Ok(Checks {
        not_positive: events.count_not_positive(&best.point)?,
        normalisation: channel.normalisation(&best.point),
        normalisation_around: worst,
    })
}

/// Members below which a variance is a guess.
const FEW: usize = 10;
/// Errors from one that an integral may be away.
const INTEGRAL_PULL: f64 = 3.0;
/// How far from one an integral may be, whatever its error.
const INTEGRAL_DISTANCE: f64 = 0.1;
/// Pull of a nuisance parameter that is worth a note.
const LARGE_PULL: f64 = 3.0;

/// What the user should know of a result.
pub(super) fn notes(result: &mut MeasurementResult) {
    let integral = [
        result.checks.normalisation,
        result.checks.normalisation_around,
    ];
    let far = integral
        .into_iter()
        .flatten()
        .find(|n| n.significance().abs() > INTEGRAL_PULL);
    let far = far.or_else(|| {
        let all = integral.into_iter().flatten();
        all.into_iter()
            .find(|n| (n.integral - 1.0).abs() > INTEGRAL_DISTANCE)
    });
    for p in &result.fit.parameters {
        let reason = p.no_error.as_ref().filter(|_| p.is_interest || p.at_bound);
        if let Some(why) = &p.not_measured {
            let text = format!("{} is not measured: {why}", p.label);
            // the verdict says it of what was to be measured
            match p.is_interest {
                true => result.missing.push(text),
                false => result.notes.push(text),
            }
        } else if let Some(why) = reason {
            result.notes.push(format!(
                "{} has no symmetric error: {why}; errors are from where t = 1",
                p.label
            ));
        }
        if p.pull.is_some_and(|(pull, _)| pull.abs() > LARGE_PULL) {
            result.notes.push(format!(
                "{} is pulled by more than {LARGE_PULL} standard deviations",
                p.label
            ));
        }
    }
    if let Some(far) = far {
        result.notes.push(format!(
            "the density integrates to {} over the reference within one error of the \
             best fit: do not trust the fit, or set measurement.renormalise = true",
            joined(far.integral, &[far.error], " +- ")
        ));
    }
    if result.checks.not_positive > 0 {
        result.notes.push(format!(
            "the density of {} events is below the barrier at the best fit",
            result.checks.not_positive
        ));
    }
    for (name, scan) in &result.scans {
        for (curve, reason) in &scan.missing {
            result
                .notes
                .push(format!("there is no curve `{curve}` of {name}: {reason}"));
        }
        if !scan.failed.is_empty() {
            result.notes.push(format!(
                "{} points of the scan of {name} failed and are not drawn",
                scan.failed.len()
            ));
        }
        if !scan.deeper_at.is_empty() {
            result.notes.push(format!(
                "the scan of {name} found a deeper minimum than the first fit, which was redone"
            ));
        }
    }
    if let Some(limit) = &result.limit
        && let Some(reason) = &limit.reason
    {
        let name = &limit.parameter;
        let is_none = limit.observed.is_none() && limit.expected.is_none();
        let what = match is_none {
            true => format!("there is no upper limit on {name}"),
            false => format!("upper limits on {name} are missing"),
        };
        let text = format!("{what}: {reason}");
        result.notes.push(text.clone());
        if limit.observed.is_none() || limit.expected.is_none_or(|e| e.contains(&None)) {
            result.missing.push(text);
        }
    }
    for contour in &result.contours {
        let names = contour.parameters.join(" and ");
        if let Some(reason) = &contour.reason {
            let text = format!("there is no contour of {names}: {reason}");
            result.notes.push(text.clone());
            result.missing.push(text);
        }
        let failed = contour.t.iter().flatten().filter(|t| t.is_none()).count();
        if failed > 0 {
            result.notes.push(format!(
                "{failed} points of the contour of {names} failed and are not drawn"
            ));
        }
        if let Some([x, y]) = contour.deeper_at {
            result.notes.push(format!(
                "the contour of {names} found a deeper minimum than the fit, near ({x:.4}, {y:.4})"
            ));
        }
    }
    if let Some(finite) = &result.finite_sample {
        let none = finite.points.iter().filter(|p| p.error == 0.0).count();
        if none > 0 {
            result.notes.push(format!(
                "the error of the finite training sample came out as zero at {none} of {} values: \
                 bootstrapped members scatter by no more than others; more members tell",
                finite.points.len()
            ));
        }
    }
    if let Some(finite) = &result.finite_sample
        && finite.members.iter().any(|n| *n < FEW)
    {
        result.notes.push(format!(
            "the error of the finite training sample comes from {} and {} members: with fewer than \
             {FEW} it is a rough guess",
            finite.members[0], finite.members[1]
        ));
    }
    if let Some(toys) = &result.toys {
        let what = [
            ("belt", &toys.no_belt),
            ("confidence set from toys", &toys.no_sets),
        ];
        for (what, reason) in what {
            let text = |reason| format!("there is no {what} at {reason}");
            result.notes.extend(reason.as_ref().map(text));
        }
        result.notes.extend(toys.warning.clone());
    }
    let bad = result
        .ratios
        .iter()
        .filter(|r| r.status != Status::Good)
        .count();
    if bad > 0 {
        result.notes.push(format!(
            "{bad} of {} ratios want a look",
            result.ratios.len()
        ));
    }
}
