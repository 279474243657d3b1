//! Numbers of a measurement in words, and what to conclude of it.

use super::super::result::{IntervalSet, LimitResult, MeasurementResult, ParameterResult};
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
    let level = 100.0 * limit.confidence_level;
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
