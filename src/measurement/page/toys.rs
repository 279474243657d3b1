//! Pseudo-experiments on the page: belt, coverage, one distribution of t.

use super::super::result::{LEVELS, ToyPoint, ToysResult};
use super::sheet::{Sheet, section, table};
use super::words::{dash, number, with_error};
use crate::error::Result;
use crate::plot::{
    Belt, BeltLevel, BeltPoint, Coverage, CoverageMethod, CoveragePoint, TDistribution, TQuantile,
};
use crate::report::numbers;
use crate::report::page::{Section, Table};
use sideband_likelihood::neyman::{self, EdgeKind};

impl Sheet<'_> {
    /// The belt, what toys say of the fit, and one distribution of t.
    pub(super) fn toys(&mut self) -> Result<Section> {
        let mut section = section("Pseudo-experiments");
        let Some(found) = &self.result.toys else {
            return Ok(section);
        };
        let label = self.result.label(&self.measurement.measurement.interest[0]);
        section.tables.push(coverage_table(found, label));
        let warning = found.warning.iter();
        section
            .text
            .extend(warning.map(|w| format!("Warning: {w}.")));
        for (what, reason) in [("belt", &found.no_belt), ("set", &found.no_sets)] {
            let text = |reason| format!("There is no {what} at {reason}.");
            section.text.extend(reason.as_ref().map(text));
        }
        if !found.belt.is_empty() {
            self.belt(&mut section, found, label)?;
            section.text.extend(found.sets.iter().map(toys_set_text));
        }
        self.coverage(&mut section, found, label)?;
        self.t_distribution(&mut section, found, label)?;
        Ok(section)
    }

    fn coverage(&mut self, section: &mut Section, found: &ToysResult, label: &str) -> Result<()> {
        let points = |k: usize| -> Vec<CoveragePoint> {
            let point = |p: &ToyPoint| {
                let [value, low, high] = *p.coverage.get(k)?;
                Some(CoveragePoint {
                    parameter: p.value,
                    coverage: value,
                    errors: (value - low, high - value),
                })
            };
            found.points.iter().filter_map(point).collect()
        };
        let drawn = Coverage {
            title: self.label(),
            x_label: label.to_owned(),
            levels: LEVELS.map(|(level, _)| level).to_vec(),
            methods: vec![CoverageMethod {
                label: "asymptotic intervals".to_owned(),
                points: (0..LEVELS.len()).map(points).collect(),
            }],
        };
        let caption = "Share of toys whose interval from t < 1 and t < 4 holds the true value.";
        self.add(section, "coverage", caption, drawn.draw())
    }

    fn t_distribution(
        &mut self,
        section: &mut Section,
        found: &ToysResult,
        label: &str,
    ) -> Result<()> {
        let Some(middle) = found.shown() else {
            return Ok(());
        };
        let critical = found.belt.iter().find(|p| p.mu == middle.value);
        let critical = critical.into_iter().flat_map(|point| &point.critical);
        let quantiles = critical.map(|c| TQuantile {
            level: c.toys.probability,
            value: c.toys.value,
            error: 0.5 * (c.toys.high - c.toys.low),
            asymptotic: c.asymptotic,
        });
        let drawn = TDistribution {
            title: self.label(),
            toys: self.kept.t.clone(),
            quantiles: quantiles.collect(),
            notes: vec![format!("{label} = {:.3}", middle.value)],
        };
        let caption =
            "Test statistic of the toys at one value against its asymptotic distribution.";
        self.add(section, "t_distribution", caption, drawn.draw())
    }

    fn belt(&mut self, section: &mut Section, found: &ToysResult, label: &str) -> Result<()> {
        let levels = LEVELS.iter().filter_map(|(level, t)| {
            let point = |p: &neyman::BeltPoint| {
                let mut toys = p.critical.iter().map(|c| c.toys);
                let toys = toys.find(|toys| toys.probability == *level)?;
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
        let name = &self.measurement.measurement.interest[0];
        let scan = self.result.scans.get(name);
        let curve = scan.and_then(|s| s.curves.get("profiled"));
        let observed = curve.iter().flat_map(|c| &c.points);
        let drawn = Belt {
            title: self.label(),
            x_label: label.to_owned(),
            levels: levels.collect(),
            observed: observed.map(|p| (p[0], p[1])).collect(),
        };
        let caption = "Quantiles of t from toys, the observed curve, and the confidence sets.";
        self.add(section, "belt", caption, drawn.draw())
    }
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
        row.push(dash(p.bias, |bias| format!("{bias:+.3}")));
        row.push(numbers::percent(p.at_bound));
        row.push(numbers::percent(p.duplicates));
        row.push(numbers::significant(p.common_shift, 3));
        row
    });
    let header = [
        label, "toys", "events", "68.27 %", "95.45 %", "fitted", "bias", "at bound", "copies",
        "shared",
    ];
    table(
        format!(
            "Toys by {label}: coverage of the asymptotic intervals with its binomial error, mean \
             and standard deviation of the fitted value, bias in standard deviations, share at a \
             bound, share of events that a toy has more than once, fluctuation of the pool that \
             all toys share in standard deviations."
        ),
        &header,
        rows,
    )
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
