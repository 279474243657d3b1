//! Results as a paper and HEPData take them: tables of LaTeX, and submissions.

use super::all_patches::PlaneRecord;
use super::head::{DataKind, Head};
use super::impacts::{ImpactsKind, ImpactsRecord};
use super::limit::LimitRecord;
use super::prediction::Prediction;
use crate::report::hepdata::{
    Axis, Banded, LOOKS, Measured, Point, Quantity, Resource, Submission, Table,
};
use crate::report::latex::{escape, number};
use crate::report::numbers::trimmed;
use serde_json::Value;
use sideband_likelihood::histogram::HistogramChannel;

/// The file of the workspace that a result is of, beside the tables of a submission.
pub(super) const WORKSPACE: &str = "workspace.json";
/// Names of the columns of expected limits, and in words.
pub(super) const EXPECTED: [&str; 5] = [
    "expected_minus_2",
    "expected_minus_1",
    "expected",
    "expected_plus_1",
    "expected_plus_2",
];
const BANDS: [&str; 5] = [
    "$-2\\sigma$",
    "$-1\\sigma$",
    "median",
    "$+1\\sigma$",
    "$+2\\sigma$",
];

/// A row of a table of texts.
pub(super) type Row = Vec<String>;

/// Events of a channel before and after the fit, summed over its bins.
pub(super) struct Sums {
    channel: String,
    samples: Vec<(String, [f64; 2])>,
    total: [f64; 2],
    errors: [f64; 2],
    data: DataKind,
    observed: f64,
}

impl Sums {
    pub(super) fn of(channel: &HistogramChannel, both: [&Prediction; 2], data: DataKind) -> Self {
        let sum = |values: &[f64]| values.iter().fold(0.0_f64, |sum, x| sum + x);
        let samples = channel.templates().iter().enumerate();
        let samples = samples.map(|(place, template)| {
            let sums = both.map(|p| sum(&p.samples[place]));
            (template.name.clone(), sums)
        });
        Self {
            channel: channel.name().to_owned(),
            samples: samples.collect(),
            total: both.map(|p| sum(&p.total)),
            errors: both.map(|p| p.sum_error),
            data,
            observed: sum(channel.observed()),
        }
    }

    /// What it has of each sample and of all.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &str, [f64; 2])> {
        let samples = self.samples.iter();
        let samples = samples.map(|(name, values)| (name.as_str(), *values));
        let all = [
            ("(total)", self.total),
            ("(error)", self.errors),
            (self.data.row(), [self.observed; 2]),
        ];
        let rows = samples.chain(all);
        rows.map(move |(what, values)| (self.channel.as_str(), what, values))
    }
}

/// The events of all channels, with the errors of their sums.
pub(super) fn yields_tex(all: &[Sums]) -> Vec<Row> {
    let mut rows = vec![
        ["Channel", "Sample", "Pre-fit", "Post-fit"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for sums in all {
        let mut row = |what: String, [before, after]: [String; 2]| {
            rows.push(vec![escape(&sums.channel), what, before, after]);
        };
        for (name, values) in &sums.samples {
            row(escape(name), values.map(|x| number(Some(x), None)));
        }
        let total = [0, 1].map(|k| number(Some(sums.total[k]), Some(sums.errors[k])));
        row("all".to_owned(), total);
        row(
            sums.data.word().to_owned(),
            [sums.observed; 2].map(|x| number(Some(x), None)),
        );
    }
    rows
}

/// The events of all channels as a table.
pub(super) fn yields_table(all: &[Sums]) -> Table {
    let expected = [0, 1].map(|k| {
        let sums = all.iter();
        let sums = sums.map(|s| Measured::total(s.total[k], Some(s.errors[k])));
        sums.collect()
    });
    Table::yields(
        all.iter().map(|sums| sums.channel.as_str()),
        all.iter()
            .map(|sums| (sums.data == DataKind::Observed).then_some(sums.observed)),
        expected,
    )
}

/// The events in the bins of a channel as a table.
pub(super) fn channel_table(
    place: usize,
    channel: &HistogramChannel,
    both: [&Prediction; 2],
    data: DataKind,
) -> Table {
    let plain =
        |name: String, values: &[f64]| Quantity::plain(name, values.iter().map(|x| Some(*x)));
    let observed = channel.observed();
    let first = match data {
        DataKind::Observed => "Observed events",
        DataKind::Asimov => "Asimov data",
    };
    let mut dependent = vec![plain(first.to_owned(), observed)];
    for (look, predicted) in LOOKS.into_iter().zip(both) {
        let values = predicted.total.iter().zip(&predicted.errors);
        dependent.push(Quantity {
            name: format!("Expected events, {look}"),
            values: values
                .map(|(x, error)| Measured::total(*x, Some(*error)))
                .collect(),
        });
        for (template, values) in channel.templates().iter().zip(&predicted.samples) {
            dependent.push(plain(format!("{}, {look}", template.name), values));
        }
    }
    let bins = (0..observed.len()).map(|bin| Point::Number(bin as f64));
    let name = channel.name();
    Table {
        file: format!("channel_{place:03}"),
        name: format!("Channel {place}: {name}"),
        description: format!(
            "Observed events in the bins of channel {name}, and expected ones of every sample \
             before and after the fit, with the errors of their sums."
        ),
        phrase: "events",
        independent: vec![Axis {
            name: format!("Bin of {name}"),
            values: bins.collect(),
        }],
        dependent,
    }
}

impl LimitRecord {
    fn level(&self) -> String {
        format!("{} % CL", trimmed(100.0 * self.confidence_level))
    }

    fn poi(&self) -> &str {
        self.head.poi.as_deref().unwrap_or_default()
    }

    /// The limits and CLs beside them: a word, a limit, CLs.
    pub(super) fn rows(&self) -> Vec<(&'static str, Option<f64>, Option<f64>)> {
        let observed = self.best_fit.is_some();
        let observed = observed.then_some(("observed", self.upper_limit.observed, self.CLs_obs));
        let expected = EXPECTED.into_iter().enumerate().map(|(k, word)| {
            let cls = self.CLs_exp.map(|cls| cls[k]);
            (word, self.upper_limit.expected[k], cls)
        });
        observed.into_iter().chain(expected).collect()
    }

    /// The same as LaTeX.
    pub(super) fn tex(&self) -> Vec<Row> {
        let head = [
            String::new(),
            format!(
                "Limit on {} ({})",
                escape(self.poi()),
                escape(&self.level())
            ),
            format!("$\\mathrm{{CL}}_s$ at {}", trimmed(self.test_poi)),
        ];
        let words = |word: &str| match EXPECTED.iter().position(|own| *own == word) {
            Some(place) => format!("expected, {}", BANDS[place]),
            None => word.to_owned(),
        };
        let row = |(word, limit, cls): (&str, Option<f64>, Option<f64>)| {
            vec![words(word), number(limit, None), number(cls, None)]
        };
        std::iter::once(head.to_vec())
            .chain(self.rows().into_iter().map(row))
            .collect()
    }

    fn banded(&self) -> Banded {
        Banded {
            observed: self.upper_limit.observed,
            expected: self.upper_limit.expected,
        }
    }

    /// The limits, and CLs where it was scanned.
    pub(super) fn submission(&self) -> Submission {
        let limited = (self.poi(), self.confidence_level);
        let limits = Table::limits("limits", limited, Vec::new(), &[self.banded()]);
        let rows = self.curve.iter().map(|point| Banded {
            observed: point.CLs_obs,
            expected: point.CLs_exp.map(Some),
        });
        let rows: Vec<Banded> = rows.collect();
        let values = self.curve.iter().map(|point| point.poi);
        let cls = (!rows.is_empty()).then(|| Table::cls(self.poi(), values, &rows));
        let tables = std::iter::once(limits).chain(cls).collect();
        submission(&self.head, tables)
    }
}

impl ImpactsRecord {
    fn poi(&self) -> &str {
        self.head.poi.as_deref().unwrap_or_default()
    }

    fn is_on_limit(&self) -> bool {
        self.confidence_level.is_some()
    }

    fn kind_in_words(&self) -> &'static str {
        match self.kind {
            ImpactsKind::Frozen => "frozen",
            ImpactsKind::Removed => "removed",
            ImpactsKind::Shifted => "shifted",
        }
    }

    /// The impacts of groups as LaTeX.
    pub(super) fn tex(&self) -> Vec<Row> {
        let kind = self.kind_in_words();
        let poi = escape(self.poi());
        let head = match self.is_on_limit() {
            true => vec![
                "Group".to_owned(),
                "Parameters".to_owned(),
                format!("Limit on {poi}, {kind}"),
                format!("$\\Delta$/{poi} [\\%]"),
            ],
            false => vec![
                "Group".to_owned(),
                "Parameters".to_owned(),
                format!("Impact on {poi}, {kind}"),
            ],
        };
        let rows = self.groups.iter().map(|group| {
            let mut row = vec![escape(&group.name), group.parameters.to_string()];
            match self.is_on_limit() {
                true => row.extend([
                    number(group.limit, None),
                    number(group.relative.map(|x| 100.0 * x), None),
                ]),
                false => row.push(number(group.impact, None)),
            }
            row
        });
        std::iter::once(head).chain(rows).collect()
    }

    /// The impacts of groups, and of single parameters where there are any.
    pub(super) fn submission(&self) -> Submission {
        let (poi, kind) = (self.poi(), self.kind_in_words());
        let groups = self.groups.iter();
        let of = |name: String, number: &dyn Fn(usize) -> Option<f64>| {
            Quantity::plain(name, (0..self.groups.len()).map(number))
        };
        let (on, dependent) = match self.is_on_limit() {
            true => (
                format!("the expected upper limit on {poi}"),
                vec![
                    of(format!("Expected limit on {poi}, {kind}"), &|k| {
                        self.groups[k].limit
                    }),
                    of(format!("Relative impact, {kind}"), &|k| {
                        self.groups[k].relative
                    }),
                ],
            ),
            false => (
                poi.to_owned(),
                vec![of(format!("Impact, {kind}"), &|k| self.groups[k].impact)],
            ),
        };
        let mut tables = vec![Table {
            file: "impacts".to_owned(),
            name: "Impacts of groups".to_owned(),
            description: format!("Impacts of groups of nuisance parameters on {on}, {kind}."),
            phrase: "impacts",
            independent: vec![Axis {
                name: "Group".to_owned(),
                values: groups
                    .map(|group| Point::Text(group.name.clone()))
                    .collect(),
            }],
            dependent,
        }];
        if !self.ranking.is_empty() {
            let all = || self.ranking.iter();
            let pulls = all().map(|p| Measured::new(p.pull).with("post-fit", [p.pull_error; 2]));
            let pulls = Quantity {
                name: "Pull".to_owned(),
                values: pulls.collect(),
            };
            let impacts = match self.kind {
                ImpactsKind::Shifted => {
                    vec![Quantity::plain("Impact, shifted", all().map(|p| p.shifted))]
                }
                ImpactsKind::Frozen | ImpactsKind::Removed => vec![
                    Quantity::plain("Impact, post-fit", all().map(|p| p.post_fit)),
                    Quantity::plain("Impact, pre-fit", all().map(|p| p.pre_fit)),
                ],
            };
            tables.push(Table {
                file: "ranking".to_owned(),
                name: "Impacts of nuisance parameters".to_owned(),
                description: format!(
                    "Pulls of nuisance parameters with their errors after the fit in units of \
                     those before it, and impacts on {poi}."
                ),
                phrase: "impacts",
                independent: vec![Axis {
                    name: "Parameter".to_owned(),
                    values: all().map(|p| Point::Text(p.name.clone())).collect(),
                }],
                dependent: std::iter::once(pulls).chain(impacts).collect(),
            });
        }
        submission(&self.head, tables)
    }
}

impl PlaneRecord {
    /// The first limit there is, of which all have the level and the parameter.
    fn first(&self) -> Option<&LimitRecord> {
        self.patches.iter().find_map(|patch| patch.limit.as_ref())
    }

    /// What the limits are on, and their level.
    pub(super) fn of_what(&self) -> (String, String) {
        let first = self.first();
        first.map_or_else(Default::default, |first| {
            (first.poi().to_owned(), first.level())
        })
    }

    /// Limits of all patches as LaTeX.
    pub(super) fn tex(&self) -> Vec<Row> {
        let labels = self.labels.iter().map(|label| escape(label));
        let bands = BANDS.iter().map(|band| format!("expected, {band}"));
        let head = labels.chain(["observed".to_owned()]).chain(bands);
        let rows = self.patches.iter().map(|patch| {
            let limit = patch.limit.as_ref().map(|limit| &limit.upper_limit);
            let values = patch.values.iter().map(|value| escape(&plain(value)));
            let observed = number(limit.and_then(|limit| limit.observed), None);
            let expected = (0..5).map(|k| number(limit.and_then(|l| l.expected[k]), None));
            values.chain([observed]).chain(expected).collect::<Row>()
        });
        std::iter::once(head.collect::<Row>()).chain(rows).collect()
    }

    /// Limits of all patches by their values.
    pub(super) fn submission(&self) -> Submission {
        let rows = self.patches.iter().map(|patch| match &patch.limit {
            Some(limit) => limit.banded(),
            None => Banded {
                observed: None,
                expected: [None; 5],
            },
        });
        let rows: Vec<Banded> = rows.collect();
        let axis = |(place, label): (usize, &String)| Axis {
            name: label.clone(),
            values: self
                .patches
                .iter()
                .map(|patch| match patch.values[place].as_f64() {
                    Some(x) => Point::Number(x),
                    None => Point::Text(plain(&patch.values[place])),
                })
                .collect(),
        };
        let axes = self.labels.iter().enumerate().map(axis).collect();
        let first = self.first();
        let limited = first.map_or_else(Default::default, |l| (l.poi(), l.confidence_level));
        Submission {
            comment: format!(
                "{} with the patches of {}: {}",
                self.workspace, self.patch_set, self.description
            ),
            resources: Vec::new(),
            tables: vec![Table::limits("limits", limited, axes, &rows)],
        }
    }
}

/// A value of a label without the quotes of a text.
pub(super) fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// Tables of a workspace, which lies beside them.
pub(super) fn submission(head: &Head, tables: Vec<Table>) -> Submission {
    Submission {
        comment: head.words(),
        resources: vec![Resource {
            file: WORKSPACE.to_owned(),
            description: "The statistical model with its data, HistFactory JSON of pyhf".to_owned(),
            kind: Some("HistFactory"),
        }],
        tables,
    }
}
