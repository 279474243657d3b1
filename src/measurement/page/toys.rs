//! Pseudo-experiments on the page: belt, coverage, one distribution of t.

use super::super::analyse::LEVELS;
use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::{MeasurementResult, ToyPoint, ToysResult};
use super::figure;
use super::verdict::{number, with_error};
use crate::plot::{
    Belt, BeltLevel, BeltPoint, Coverage, CoverageMethod, CoveragePoint, TDistribution, TQuantile,
};
use crate::report::numbers;
use crate::report::page::{PageFigure, Section, Table};
use sideband_likelihood::neyman;
use sideband_likelihood::neyman::EdgeKind;

/// The belt, what toys say of the fit, and one distribution of t.
pub(super) fn section(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Pseudo-experiments".to_owned(),
        ..Section::default()
    };
    let Some(found) = &result.toys else {
        return Ok(section);
    };
    let name = &study.measurement.measurement.interest[0];
    let label = result.fit.parameters.iter().find(|p| p.name == *name);
    let label = label.map_or(name, |p| &p.label);
    section.tables.push(coverage_table(found, label));
    let warning = found.warning.iter();
    section
        .text
        .extend(warning.map(|w| format!("Warning: {w}.")));
    let reasons = [("belt", &found.no_belt), ("set", &found.no_sets)];
    for (what, reason) in reasons {
        let text = |reason| format!("There is no {what} at {reason}.");
        section.text.extend(reason.as_ref().map(text));
    }
    if !found.belt.is_empty() {
        section.figures.extend(belt(study, result, found, label)?);
        section.text.extend(found.sets.iter().map(toys_set_text));
    }
    section.figures.extend(coverage(study, found, label)?);
    section.figures.extend(t_distribution(study, found, label)?);
    Ok(section)
}

fn coverage_table(found: &ToysResult, label: &str) -> Table {
    let rows = found.points.iter().map(|p| {
        let mut row = vec![
            number(p.value),
            format!("{} ({} failed)", p.toys, p.failed),
            numbers::number(p.events),
        ];
        let covered = |c: &[f64; 3]| format!("{:.4} [{:.4}, {:.4}]", c[0], c[1], c[2]);
        row.extend(p.coverage.iter().map(covered));
        row.push(with_error(p.fitted.0, p.fitted.1, false));
        row.push(
            p.bias
                .map_or_else(|| "–".to_owned(), |bias| format!("{bias:+.3}")),
        );
        row.push(numbers::percent(p.at_bound));
        row.push(numbers::percent(p.duplicates));
        row.push(numbers::significant(p.common_shift, 3));
        row
    });
    let header = [
        label, "toys", "events", "68.27 %", "95.45 %", "fitted", "bias", "at bound", "copies",
        "shared",
    ];
    Table {
        caption: format!(
            "Toys by {label}: coverage of the asymptotic intervals with its binomial error, mean \
             and standard deviation of the fitted value, bias in standard deviations, share at a \
             bound, share of events that a toy has more than once, fluctuation of the pool that \
             all toys share in standard deviations."
        ),
        header: header.map(ToOwned::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

fn toys_set_text(set: &neyman::ConfidenceSet) -> String {
    let text = |i: &neyman::Interval| {
        let (low, high) = (&i.low, &i.high);
        let end = |edge: &neyman::Edge| match edge.kind {
            EdgeKind::Crossing => with_error(edge.mu, Some(edge.error), false),
            EdgeKind::EndOfGrid => format!("{} (the end of the toys)", number(edge.mu)),
        };
        format!("[{}, {}]", end(low), end(high))
    };
    let intervals: Vec<String> = set.intervals.iter().map(text).collect();
    format!(
        "{:.2} % confidence set from toys: {}; the errors are those of the number of toys.",
        100.0 * set.level,
        intervals.join(" ∪ ")
    )
}

fn coverage(
    study: &Study<'_>,
    found: &ToysResult,
    label: &str,
) -> Result<Option<PageFigure>, MeasureError> {
    let points = |k: usize| -> Vec<CoveragePoint> {
        let point = |p: &ToyPoint| {
            let [value, low, high] = p.coverage[k];
            CoveragePoint {
                parameter: p.value,
                coverage: value,
                errors: (value - low, high - value),
            }
        };
        found.points.iter().map(point).collect()
    };
    let drawn = Coverage {
        title: study.measurement.report.data_label.clone(),
        x_label: label.to_owned(),
        levels: LEVELS.map(|(level, _)| level).to_vec(),
        methods: vec![CoverageMethod {
            label: "asymptotic intervals".to_owned(),
            points: (0..LEVELS.len()).map(points).collect(),
        }],
    }
    .draw();
    let caption = "Share of toys whose interval from t < 1 and t < 4 holds the true value.";
    figure(study, "coverage", caption, drawn)
}

fn t_distribution(
    study: &Study<'_>,
    found: &ToysResult,
    label: &str,
) -> Result<Option<PageFigure>, MeasureError> {
    let middle = &found.points[found.points.len() / 2];
    let critical = found.belt.iter().find(|p| p.mu == middle.value);
    let quantiles = critical.into_iter().flat_map(|point| {
        point.critical.iter().map(|c| TQuantile {
            level: c.toys.probability,
            value: c.toys.value,
            error: 0.5 * (c.toys.high - c.toys.low),
            asymptotic: c.asymptotic,
        })
    });
    let drawn = TDistribution {
        title: study.measurement.report.data_label.clone(),
        toys: middle.t.clone(),
        quantiles: quantiles.collect(),
        notes: vec![format!("{label} = {:.3}", middle.value)],
    }
    .draw();
    let caption = "Test statistic of the toys at one value against its asymptotic distribution.";
    figure(study, "t_distribution", caption, drawn)
}

fn belt(
    study: &Study<'_>,
    result: &MeasurementResult,
    found: &ToysResult,
    label: &str,
) -> Result<Option<PageFigure>, MeasureError> {
    let name = &study.measurement.measurement.interest[0];
    let curve = result
        .scans
        .get(name)
        .and_then(|s| s.curves.get("profiled"));
    let of = |p: &neyman::BeltPoint, level: f64| {
        let toys = p.critical.iter().map(|c| c.toys);
        toys.into_iter().find(|toys| toys.probability == level)
    };
    let levels = LEVELS.iter().filter_map(|(level, t)| {
        let point = |p: &neyman::BeltPoint| {
            let toys = of(p, *level)?;
            Some(BeltPoint {
                parameter: p.mu,
                quantile: toys.value,
                errors: (toys.value - toys.low, toys.high - toys.value),
            })
        };
        let points: Vec<BeltPoint> = found.belt.iter().filter_map(point).collect();
        let set = found.sets.iter().find(|s| s.level == *level);
        let intervals = set.into_iter().flat_map(|s| &s.intervals);
        (!points.is_empty()).then(|| BeltLevel {
            level: *level,
            points,
            asymptotic: *t,
            intervals: intervals.map(|i| (i.low.mu, i.high.mu)).collect(),
        })
    });
    let observed = curve.map(|c| c.points.iter().map(|p| (p[0], p[1])).collect());
    let drawn = Belt {
        title: study.measurement.report.data_label.clone(),
        x_label: label.to_owned(),
        levels: levels.collect(),
        observed: observed.unwrap_or_default(),
    }
    .draw();
    let caption = "Quantiles of t from toys, the observed curve, and the confidence sets.";
    figure(study, "belt", caption, drawn)
}
