//! Numbers of a measurement in words, and what to conclude of it.

use super::super::result::{
    AllowedEnd, AllowedInterval, IntervalSet, LimitResult, LimitScanPoint, LimitScanResult,
    MeasurementResult, ParameterResult,
};
use crate::report::numbers::trimmed;
use crate::report::page::{PageVerdict, Status};

/// What there is of something in words, or a dash.
pub(super) fn dash<T>(x: Option<T>, words: impl Fn(T) -> String) -> String {
    x.map_or_else(|| "–".to_owned(), words)
}

/// A parameter with its errors; no error is ever shown as zero.
pub(super) fn asymmetric(p: &ParameterResult) -> String {
    if p.not_measured.is_some() {
        return "not measured".to_owned();
    }
    let value = with_error(p.value, p.error, p.at_bound);
    let sides = (p.error_down, p.error_up);
    if p.minos.is_none() && sides == (None, None) {
        return value;
    }
    match sides {
        (Some(down), Some(up)) => format!("{value} (−{} +{})", number(down), number(up)),
        (None, Some(up)) if p.at_bound => format!("{value} (+{})", number(up)),
        (Some(down), None) if p.at_bound => format!("{value} (−{})", number(down)),
        (None, Some(up)) => format!("{value} (down to its bound, +{})", number(up)),
        (Some(down), None) => format!("{value} (−{}, up to its bound)", number(down)),
        (None, None) => format!("{value} (t = 1 was not found)"),
    }
}

/// A value with its symmetric error, or where it is if it has none.
pub(super) fn with_error(value: f64, error: Option<f64>, at_bound: bool) -> String {
    match error.filter(|error| *error > 0.0) {
        Some(error) => format!("{} ± {}", number(value), number(error)),
        None if at_bound => format!("{} at the bound", number(value)),
        None => number(value),
    }
}

/// Four digits after the point, or four that are not zero of something smaller.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0.0000".to_owned(),
        size if size < 1e-3 => format!("{x:.3e}"),
        _ => format!("{x:.4}"),
    }
}

/// A confidence set in words.
pub(super) fn set_text(set: &IntervalSet) -> String {
    let end = |x: &Option<f64>| x.map_or_else(|| "not found".to_owned(), number);
    let intervals = set.intervals.iter();
    let texts: Vec<String> = intervals
        .map(|[low, high]| format!("[{}, {}]", end(low), end(high)))
        .collect();
    texts.join(" ∪ ")
}

/// What to conclude of a measurement.
pub(crate) fn verdict(result: &MeasurementResult) -> Vec<PageVerdict> {
    let mut lines = Vec::new();
    let mut say = |status, text| lines.push(PageVerdict { status, text });
    for p in result.fit.parameters.iter().filter(|p| p.is_interest) {
        let scan = result.scans.get(&p.name);
        if let Some(why) = &p.not_measured {
            say(Status::Bad, format!("{} is not measured: {why}", p.label));
        } else {
            let sets = scan.and_then(|s| s.intervals.get("profiled"));
            let sets = sets.into_iter().flatten();
            let sets = sets.map(|s| format!("{:.2} %: {}", 100.0 * s.level, set_text(s)));
            let sets: Vec<String> = sets.collect();
            let text = format!("{} = {}; {}", p.label, asymmetric(p), sets.join("; "));
            say(Status::Info, text);
        }
        if let Some(difference) = scan.and_then(|s| s.largest_difference) {
            let status = match difference < 0.5 {
                true => Status::Good,
                false => Status::Warning,
            };
            let text = format!(
                "{}: learned and exact t differ by at most {difference:.3} where t < 9",
                p.label
            );
            say(status, text);
        }
    }
    if let Some(limit) = &result.limit
        && let Some(text) = limit_text(limit, result.label(&limit.parameter))
    {
        say(Status::Info, text);
    }
    for scan in &result.limit_scans {
        if let Some(text) = allowed_text(result, scan) {
            say(Status::Info, text);
        }
    }
    if let Some(limit) = &result.limit
        && let Some(text) = toys_text(limit, result.label(&limit.parameter))
    {
        say(Status::Info, text);
    }
    for note in &result.notes {
        say(Status::Warning, note.clone());
    }
    lines
}

/// An upper limit by toys in words, with its statistical error.
fn toys_text(limit: &LimitResult, label: &str) -> Option<String> {
    let toys = limit.toys.as_ref()?;
    let observed = toys.observed.map(|x| format!("{label} < {}", x.words()));
    let median = toys.expected[2].map(|x| format!("expected without signal {}", x.words()));
    let all: Vec<String> = observed.into_iter().chain(median).collect();
    (!all.is_empty()).then(|| format!("by toys: {}", all.join("; ")))
}

/// An upper limit in words, of what there is of it.
pub(super) fn limit_text(limit: &LimitResult, label: &str) -> Option<String> {
    let level = trimmed(100.0 * limit.confidence_level);
    let expected = limit.expected.map(|[lowest, low, median, high, highest]| {
        let end = |x: Option<f64>| x.map_or_else(|| "none".to_owned(), number);
        format!(
            "expected without signal {}, 68 % of data [{}, {}], 95 % [{}, {}]",
            end(median),
            end(low),
            end(high),
            end(lowest),
            end(highest)
        )
    });
    let observed = match limit.observed {
        Some(x) => format!("{label} < {} at {level} % CL (CLs)", number(x)),
        None => format!("no observed upper limit on {label} at {level} % CL (CLs)"),
    };
    match (limit.observed, expected) {
        (None, None) => None,
        (_, Some(expected)) => Some(format!("{observed}; {expected}")),
        (_, None) => Some(format!("{observed}; no expected limit")),
    }
}

/// The values of a parameter at which limits along it allow a signal of strength one, in words;
/// none of an earlier program.
pub(super) fn allowed_text(result: &MeasurementResult, scan: &LimitScanResult) -> Option<String> {
    let (allowed, limit) = (scan.allowed.as_ref()?, result.limit.as_ref()?);
    let median = values_text(scan, &allowed.expected, &|p| p.expected[2]);
    let observed = allowed.observed.as_ref();
    let observed = observed.map(|found| values_text(scan, found, &|p| p.observed));
    let observed = observed.map_or_else(String::new, |text| format!("observed {text}; "));
    Some(format!(
        "{} allowed at {} % CL, where limits on {} are at least 1: {observed}expected {median}",
        result.label(&scan.parameter),
        trimmed(100.0 * limit.confidence_level),
        result.label(&limit.parameter)
    ))
}

/// Intervals of a scan in words. `limit`: which of its limits they are of.
fn values_text(
    scan: &LimitScanResult,
    found: &[AllowedInterval],
    limit: &dyn Fn(&LimitScanPoint) -> Option<f64>,
) -> String {
    let all = || {
        let ends = [scan.points.first(), scan.points.last()];
        let [from, to] = ends.map(|point| dash(point, |p| trimmed(p.value)));
        format!("from {from} to {to}")
    };
    match found {
        [] => match scan.points.iter().filter(|p| limit(p).is_none()).count() {
            0 => format!("nowhere {}", all()),
            lost if lost == scan.points.len() => "not known".to_owned(),
            _ => "nowhere that there is a limit".to_owned(),
        },
        [one] if one.ends == [AllowedEnd::ScanEnd; 2] => format!("everywhere {}", all()),
        several => {
            let texts: Vec<String> = several.iter().map(interval_text).collect();
            texts.join(" and ")
        }
    }
}

fn interval_text(found: &AllowedInterval) -> String {
    let end = |value: f64, end: AllowedEnd| match end {
        AllowedEnd::Crossing => trimmed(value),
        AllowedEnd::ScanEnd => format!("{} (the end of the scan)", trimmed(value)),
        AllowedEnd::Missing => format!("{} (no limit beyond)", trimmed(value)),
    };
    let [low, high] = found.ends;
    format!("{} to {}", end(found.low, low), end(found.high, high))
}

#[cfg(test)]
mod tests {
    use super::AllowedEnd::{Crossing, Missing, ScanEnd};
    use super::*;

    #[test]
    fn allowed_values_say_how_they_end() {
        let point = |value: f64, limit: Option<f64>| LimitScanPoint {
            value,
            observed: limit,
            ..LimitScanPoint::default()
        };
        let scan = |limits: [Option<f64>; 3]| LimitScanResult {
            points: [-10.0, 0.0, 15.0]
                .into_iter()
                .zip(limits)
                .map(|(value, limit)| point(value, limit))
                .collect(),
            ..LimitScanResult::default()
        };
        let text = |limits: [Option<f64>; 3], found: &[(f64, AllowedEnd, f64, AllowedEnd)]| {
            let found = found.iter().map(|(low, from, high, to)| AllowedInterval {
                low: *low,
                high: *high,
                ends: [*from, *to],
            });
            let found: Vec<AllowedInterval> = found.collect();
            values_text(&scan(limits), &found, &|p| p.observed)
        };
        let known = [Some(1.0); 3];
        for (limits, found, expected) in [
            (
                known,
                &[(-4.9968, Crossing, 11.913, Crossing)][..],
                "-4.997 to 11.91",
            ),
            (
                known,
                &[
                    (-10.0, ScanEnd, -2.5, Crossing),
                    (0.0, Missing, 15.0, ScanEnd),
                ],
                "-10 (the end of the scan) to -2.5 and 0 (no limit beyond) to 15 (the end of the \
                 scan)",
            ),
            (
                known,
                &[(-10.0, ScanEnd, 15.0, ScanEnd)],
                "everywhere from -10 to 15",
            ),
            (known, &[], "nowhere from -10 to 15"),
            (
                [Some(0.5), None, None],
                &[],
                "nowhere that there is a limit",
            ),
            ([None; 3], &[], "not known"),
        ] {
            assert_eq!(text(limits, found), expected);
        }
    }
}
