//! What to conclude of a measurement, in lines.

use super::super::result::{IntervalSet, LimitResult, MeasurementResult, ParameterResult};
use crate::report::page::{Status, Verdict};

/// A parameter with its errors.
pub(super) fn asymmetric(p: &ParameterResult) -> String {
    let value = format!("{:.4} ± {:.4}", p.value, p.error);
    match p.minos {
        Some([Some(down), Some(up)]) => format!("{value} (−{:.4} +{up:.4})", -down),
        Some([None, Some(up)]) => format!("{value} (down: at its bound, +{up:.4})"),
        Some([Some(down), None]) => format!("{value} (−{:.4}, up: not found)", -down),
        _ => value,
    }
}

/// A confidence set in words.
pub(super) fn set_text(set: &IntervalSet) -> String {
    let end = |x: &Option<f64>| x.map_or_else(|| "?".to_owned(), |x| format!("{x:.4}"));
    let intervals = set.intervals.iter();
    let texts: Vec<String> = intervals
        .map(|[low, high]| format!("[{}, {}]", end(low), end(high)))
        .collect();
    texts.join(" ∪ ")
}

/// What to conclude of a measurement.
#[must_use]
pub fn verdict(result: &MeasurementResult) -> Vec<Verdict> {
    let mut lines = Vec::new();
    for p in result.fit.parameters.iter().filter(|p| p.is_interest) {
        let sets = result
            .scans
            .get(&p.name)
            .and_then(|s| s.intervals.get("profiled"));
        let sets: Vec<String> = sets
            .into_iter()
            .flatten()
            .map(|s| format!("{:.2} %: {}", 100.0 * s.level, set_text(s)))
            .collect();
        lines.push(Verdict {
            status: Status::Info,
            text: format!("{} = {}; {}", p.label, asymmetric(p), sets.join("; ")),
        });
        let difference = result.scans.get(&p.name).and_then(|s| s.largest_difference);
        if let Some(difference) = difference {
            lines.push(Verdict {
                status: if difference < 0.5 {
                    Status::Good
                } else {
                    Status::Warning
                },
                text: format!(
                    "{}: learned and exact t differ by at most {difference:.3} where t < 9",
                    p.label
                ),
            });
        }
    }
    if let Some(limit) = &result.limit {
        let of = |p: &&ParameterResult| p.name == limit.parameter;
        let parameter = result.fit.parameters.iter().find(of);
        let label = parameter.map_or(&limit.parameter, |p| &p.label);
        lines.extend(limit_text(limit, label).map(|text| Verdict {
            status: Status::Info,
            text,
        }));
    }
    for note in &result.notes {
        lines.push(Verdict {
            status: Status::Warning,
            text: note.clone(),
        });
    }
    lines
}

/// An upper limit in words.
pub(super) fn limit_text(limit: &LimitResult, label: &str) -> Option<String> {
    let [lowest, low, median, high, highest] = limit.expected?;
    let level = 100.0 * limit.confidence_level;
    let observed = limit.observed.map_or_else(
        || format!("{label}: upper limit at {level} % CL (CLs)"),
        |observed| format!("{label} < {observed:.4} at {level} % CL (CLs)"),
    );
    Some(format!(
        "{observed}; expected without signal {median:.4}, 68 % of data [{low:.4}, {high:.4}], 95 % \
         [{lowest:.4}, {highest:.4}]"
    ))
}
