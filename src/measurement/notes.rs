//! What the user should know of a result.

use super::result::MeasurementResult;
use crate::error::{Error, Kind, Result, agreeing, counted};
use crate::report::numbers::joined;
use crate::report::page::Status;

/// Members below which a variance is a guess.
const FEW: usize = 10;
/// Errors from one that an integral may be away.
const INTEGRAL_PULL: f64 = 3.0;
/// How far from one an integral may be, whatever its error.
const INTEGRAL_DISTANCE: f64 = 0.1;
/// Pull of a nuisance parameter that is worth a note.
const LARGE_PULL: f64 = 3.0;

/// What the user should know, and what was asked for and is not there.
#[derive(Default)]
pub(super) struct Remarks {
    pub notes: Vec<String>,
    pub missing: Vec<String>,
}

impl Remarks {
    pub(super) fn miss(&mut self, text: String) {
        self.notes.push(text.clone());
        self.missing.push(text);
    }

    /// A part of the result without which the rest stands: none, with a note that says why,
    /// where the likelihood does not give it. Files, interruptions and the like stay errors.
    pub(super) fn without<T>(&mut self, found: Result<T>, what: &str) -> Result<Option<T>> {
        let is_fatal = |error: &Error| {
            let kinds = [Kind::Fit, Kind::Likelihood, Kind::NotMeasured];
            !kinds.contains(&error.kind())
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_fatal(&error) => Err(error),
            Err(error) => {
                self.miss(format!("there is {what}: {error}"));
                Ok(None)
            }
        }
    }
}

/// Adds notes to a result, and what was asked for and is missing.
pub(super) fn add_notes(result: &mut MeasurementResult) {
    let (mut notes, mut missing) = (Vec::new(), Vec::new());
    parameters(result, &mut notes, &mut missing);
    density(result, &mut notes);
    scans(result, &mut notes);
    limit_and_contours(result, &mut notes, &mut missing);
    if let Some(finite) = &result.finite_sample {
        let none = finite.points.iter().filter(|p| p.error == 0.0).count();
        if none > 0 {
            notes.push(format!(
                "the error of the finite training sample came out as zero at {none} of {} values: \
                 bootstrapped members scatter by no more than others; more members tell",
                finite.points.len()
            ));
        }
        if finite.members.iter().any(|n| *n < FEW) {
            let [bootstrapped, others] = finite.members;
            notes.push(format!(
                "the error of the finite training sample comes from {bootstrapped} and {others} \
                 members: with fewer than {FEW} it is a rough guess"
            ));
        }
    }
    if let Some(toys) = &result.toys {
        let text = |what, reason| format!("there is no {what} at {reason}");
        notes.extend(toys.no_belt.iter().map(|reason| text("belt", reason)));
        let sets = toys.no_sets.iter();
        notes.extend(sets.map(|reason| text("confidence set from toys", reason)));
        notes.extend(toys.warning.clone());
    }
    let ratios = result.ratios.len();
    let bad = result.ratios.iter().filter(|r| r.status != Status::Good);
    let bad = bad.count();
    if bad > 0 {
        let verb = agreeing(bad as u64, "wants", "want");
        notes.push(format!(
            "{bad} of {} {verb} a look",
            counted(ratios, "ratio")
        ));
    }
    result.notes.extend(notes);
    result.missing.extend(missing);
}

fn parameters(result: &MeasurementResult, notes: &mut Vec<String>, missing: &mut Vec<String>) {
    for p in &result.fit.parameters {
        let reason = p.no_error.as_ref().filter(|_| p.is_interest || p.at_bound);
        if let Some(why) = &p.not_measured {
            let text = format!("{} is not measured: {why}", p.name);
            // the verdict says it of what was to be measured
            match p.is_interest {
                true => missing.push(text),
                false => notes.push(text),
            }
        } else if let Some(why) = reason {
            notes.push(format!(
                "{} has no symmetric error: {why}; errors are from where t = 1",
                p.name
            ));
        }
        if p.pull.is_some_and(|(pull, _)| pull.abs() > LARGE_PULL) {
            notes.push(format!(
                "{} is pulled by more than {LARGE_PULL} standard deviations",
                p.name
            ));
        }
    }
}

fn density(result: &MeasurementResult, notes: &mut Vec<String>) {
    let checks = &result.checks;
    let integrals = [checks.normalisation, checks.normalisation_around];
    let mut integrals = integrals.into_iter().flatten();
    let far = integrals
        .clone()
        .find(|n| n.significance().abs() > INTEGRAL_PULL)
        .or_else(|| integrals.find(|n| (n.integral - 1.0).abs() > INTEGRAL_DISTANCE));
    if let Some(far) = far {
        notes.push(format!(
            "the density integrates to {} over the reference within one error of the \
             best fit: do not trust the fit, or set measurement.renormalise = true",
            joined(far.integral, &[far.error], " +- ")
        ));
    }
    if checks.not_positive > 0 {
        notes.push(format!(
            "the density of {} is below the barrier at the best fit",
            counted(checks.not_positive, "event")
        ));
    }
}

fn scans(result: &MeasurementResult, notes: &mut Vec<String>) {
    for (name, scan) in &result.scans {
        let missing = scan.missing.iter();
        notes.extend(
            missing
                .map(|(curve, reason)| format!("there is no curve `{curve}` of {name}: {reason}")),
        );
        if !scan.failed.is_empty() {
            notes.push(format!(
                "{} of the scan of {name} failed and {} not drawn",
                counted(scan.failed.len(), "point"),
                agreeing(scan.failed.len() as u64, "is", "are")
            ));
        }
        if !scan.deeper_at.is_empty() {
            notes.push(format!(
                "the scan of {name} found a deeper minimum than the first fit, which was redone"
            ));
        }
    }
}

fn limit_and_contours(
    result: &MeasurementResult,
    notes: &mut Vec<String>,
    missing: &mut Vec<String>,
) {
    if let Some(limit) = &result.limit
        && let Some(reason) = &limit.reason
    {
        let name = &limit.parameter;
        let what = match limit.observed.is_none() && limit.expected.is_none() {
            true => format!("there is no upper limit on {name}"),
            false => format!("upper limits on {name} are missing"),
        };
        let text = format!("{what}: {reason}");
        notes.push(text.clone());
        if limit.observed.is_none() || limit.expected.is_none_or(|e| e.contains(&None)) {
            missing.push(text);
        }
    }
    if let Some(limit) = &result.limit
        && let Some(bound) = limit.bound_widened
    {
        let name = &limit.parameter;
        notes.push(format!(
            "upper limits on {name} lie above its upper bound; they are those with a bound of \
             {bound}, and CLs is drawn up to the one that was given"
        ));
    }
    for scan in &result.limit_scans {
        let without = scan.points.iter().filter(|p| p.reason.is_some());
        let Some((first, reason)) = without
            .clone()
            .find_map(|p| Some((p.value, p.reason.as_ref()?)))
        else {
            continue;
        };
        let (lost, all) = (without.count(), scan.points.len());
        let name = &scan.parameter;
        let text = format!(
            "limits along {name} are missing at {lost} of {all} values, first at {first}: {reason}"
        );
        notes.push(text.clone());
        if scan.points.iter().all(|p| p.expected[2].is_none()) {
            missing.push(text);
        }
    }
    for of in result.replica_limits.iter().filter(|of| of.failed > 0) {
        let (lost, all, sample) = (of.failed, of.replicas, &of.sample);
        let text = format!("{lost} of {all} replicas of {sample} have no limit");
        notes.push(text.clone());
        if of.expected.is_none() {
            missing.push(text);
        }
    }
    let impacts = result
        .limit_impacts
        .iter()
        .flat_map(|impacts| &impacts.groups);
    notes.extend(impacts.filter_map(|row| {
        let reason = row.reason.as_ref()?;
        Some(format!("impact of `{}` on the limit: {reason}", row.group))
    }));
    for contour in &result.contours {
        let names = contour.parameters.join(" and ");
        if let Some(reason) = &contour.reason {
            let text = format!("there is no contour of {names}: {reason}");
            notes.push(text.clone());
            missing.push(text);
        }
        let failed = contour.t.iter().flatten().filter(|t| t.is_none()).count();
        if failed > 0 {
            notes.push(format!(
                "{} of the contour of {names} failed and {} not drawn",
                counted(failed, "point"),
                agreeing(failed as u64, "is", "are")
            ));
        }
        if let Some([x, y]) = contour.deeper_at {
            notes.push(format!(
                "the contour of {names} found a deeper minimum than the fit, near ({x:.4}, {y:.4})"
            ));
        }
    }
}
