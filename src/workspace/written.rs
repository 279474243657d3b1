//! What `--out` writes of each result: the record as JSON, its tables as CSV, LaTeX and YAML of HEPData,
//! its figures as SVG.

use super::all_patches::{PatchLimit, PlaneRecord, line, varied};
use super::fit::{FitRecord, Fitted, Matrix};
use super::impacts::{ImpactsKind, ImpactsRecord, RankedParameter};
use super::limit::{ClsPoint, LimitRecord, UpperLimit};
use super::opened::Opened;
use super::outputs::{Outputs, exact, part_of_name};
use super::prediction::{prediction, scales};
use super::published::{
    EXPECTED, Row, Sums, WORKSPACE, channel_table, plain, submission, yields_table, yields_tex,
};
use super::scan::ScanRecord;
use crate::error::Result;
use crate::plot::{
    ClsScan, ClsScanPoint, Contribution, CorrelationMatrix, ImpactRow, Impacts, LikelihoodCurve,
    LimitBand, LimitBandPoint, LimitPlane, LimitPlanePoint, ProfileContours, ScanCurve, Series,
    Stack,
};
use crate::report::numbers::{known, number, p_value};
use std::path::{Path, PathBuf};

/// Parameters of a figure of correlations: those with one above [`CORRELATED`], at most so many.
const ROWS: usize = 40;
const CORRELATED: f64 = 0.2;
/// Channels that have figures.
const CHANNELS: usize = 60;
/// Pulls of a figure, and most figures of them.
const PULLS: usize = 25;
const PAGES: usize = 12;

impl Fitted {
    /// Notes what figures of a folder leave out, of which tables have all.
    pub(crate) fn note_undrawn(&mut self) {
        if !self.best.is_converged() {
            return;
        }
        let pulls = self.record.parameters.values().filter(|p| p.pull.is_some());
        let [_, correlation] = self.matrices();
        let (most_pulls, pulls) = (PULLS * PAGES, pulls.count());
        let notes = &mut self.record.head.notes;
        for (all, most, what, table) in [
            (
                self.model.channels.len(),
                CHANNELS,
                "channels are drawn, the first ones",
                "yields.csv",
            ),
            (
                pulls,
                most_pulls,
                "pulls are drawn, the largest",
                "parameters.csv",
            ),
            (
                correlated(&correlation).len(),
                ROWS,
                "parameters with a correlation above 0.2 are drawn, those with the largest",
                "correlation.csv",
            ),
        ] {
            if all > most {
                notes.push(format!("{most} of {all} {what}: {table} has all of them"));
            }
        }
    }

    /// Writes `fit.json`, `parameters.csv`, pulls, correlations, yields, and every channel before
    /// and after the fit; gives the files.
    pub(crate) fn write(&self, opened: &Opened, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut outputs = Outputs::new(folder, "fit", opened.inputs())?;
        parameters(&mut outputs, &self.record)?;
        if self.best.is_converged() {
            pulls(opened, &mut outputs, &self.record)?;
            let [covariance, correlation] = self.matrices();
            matrix(&mut outputs, "covariance.csv", &covariance)?;
            matrix(&mut outputs, "correlation.csv", &correlation)?;
            if let Some(figure) = correlations(opened, &correlation) {
                outputs.figure("correlation", figure.draw())?;
            }
            self.channels(opened, &mut outputs)?;
        }
        outputs.finish(&self.record)
    }

    /// Yields of all samples before and after the fit, in bins and in sum, and the channels as
    /// figures.
    fn channels(&self, opened: &Opened, outputs: &mut Outputs<'_>) -> Result<()> {
        let (poi, data) = (opened.imported.interest, self.record.head.data);
        let (mut rows, mut sums, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        let goodness = self.record.goodness_of_fit.map(|goodness| {
            format!(
                "all channels: χ² = {} for {} degrees of freedom, p = {}",
                number(goodness.chi2),
                goodness.ndf,
                p_value(goodness.p_value)
            )
        });
        let before = prediction(&self.model, &self.prefit(opened));
        let after = prediction(&self.model, &self.postfit());
        for (number, channel) in self.model.channels.iter().enumerate() {
            let observed = channel.observed();
            let both = [&before[number], &after[number]];
            sums.push(Sums::of(channel, both, data));
            tables.push(channel_table(number, channel, both, data));
            for (bin, &events) in observed.iter().enumerate() {
                let mut row = |what: &str, values: [f64; 2]| {
                    let names = [channel.name(), &bin.to_string(), what].map(str::to_owned);
                    let values = values.map(|x| exact(Some(x)));
                    rows.push(names.into_iter().chain(values).collect::<Row>());
                };
                for (place, template) in channel.templates().iter().enumerate() {
                    row(&template.name, both.map(|p| p.samples[place][bin]));
                }
                row("(total)", both.map(|p| p.total[bin]));
                row("(error)", both.map(|p| p.errors[bin]));
                row(data.row(), [events; 2]);
            }
            if number >= CHANNELS {
                continue;
            }
            let notes = [Vec::new(), goodness.iter().cloned().collect()];
            let looks = ["prefit", "postfit"].into_iter().zip(both).zip(notes);
            for ((word, predicted), notes) in looks {
                let contributions = channel.templates().iter().zip(&predicted.samples);
                let contributions = contributions.map(|(template, values)| Contribution {
                    label: template.name.clone(),
                    values: values.clone(),
                    is_signal: poi.is_some_and(|poi| scales(template, poi)),
                });
                let stack = Stack {
                    title: format!("{}, {word}", opened.title()),
                    x_label: format!("bin of {}", channel.name()),
                    y_label: "Events".to_owned(),
                    edges: (0..=observed.len()).map(|edge| edge as f64).collect(),
                    observed: Some(Series {
                        label: data.word().to_owned(),
                        values: observed.to_vec(),
                        errors: observed.iter().map(|n| n.sqrt()).collect(),
                    }),
                    contributions: contributions.collect(),
                    errors: Some(predicted.errors.clone()),
                    notes,
                };
                let name = format!("{word}_{number:03}_{}", part_of_name(channel.name()));
                outputs.figure(&name, stack.draw())?;
            }
        }
        let header = ["channel", "bin", "sample", "prefit", "postfit"];
        outputs.csv("yields.csv", &header, &rows)?;
        let rows = sums.iter().flat_map(Sums::rows);
        let rows = rows.map(|(channel, what, values)| {
            let names = [channel, what].map(str::to_owned).into_iter();
            names.chain(values.map(|x| exact(Some(x)))).collect()
        });
        let header = ["channel", "sample", "prefit", "postfit"];
        outputs.csv("channel_yields.csv", &header, &rows.collect::<Vec<Row>>())?;
        outputs.tex("channel_yields.tex", &yields_tex(&sums))?;
        tables.insert(0, yields_table(&sums));
        let submission = submission(&self.record.head, tables);
        outputs.hepdata(&submission, &[(WORKSPACE, opened.text.as_str())])
    }
}

fn parameters(outputs: &mut Outputs<'_>, record: &FitRecord) -> Result<()> {
    let rows = record.parameters.iter().map(|(name, p)| {
        let [low, high] = p.bounds.map(|x| exact(Some(x)));
        vec![
            name.clone(),
            exact(Some(p.value)),
            exact(p.error),
            p.state.to_owned(),
            exact(p.pull),
            exact(p.pull_error),
            exact(Some(p.nominal)),
            low,
            high,
        ]
    });
    let header = [
        "parameter",
        "value",
        "error",
        "state",
        "pull",
        "pull_error",
        "nominal",
        "lower_bound",
        "upper_bound",
    ];
    outputs.csv("parameters.csv", &header, &rows.collect::<Vec<_>>())
}

/// Pulls with errors after the fit over those before it, the largest first.
fn pulls(opened: &Opened, outputs: &mut Outputs<'_>, record: &FitRecord) -> Result<()> {
    let none = f64::NAN;
    let mut rows: Vec<ImpactRow> = record
        .parameters
        .iter()
        .filter_map(|(name, p)| {
            let error = p.pull_error.unwrap_or(none);
            Some(ImpactRow {
                name: name.clone(),
                pull: p.pull?,
                pull_errors: (error, error),
                unconstrained: None,
                post_fit: (none, none),
                pre_fit: None,
            })
        })
        .collect();
    rows.sort_by(|a, b| b.pull.abs().total_cmp(&a.pull.abs()));
    for (page, rows) in rows.chunks(PULLS).take(PAGES).enumerate() {
        let figure = Impacts {
            title: opened.title(),
            parameter: String::new(),
            rows: rows.to_vec(),
            first_rank: page * PULLS + 1,
        };
        outputs.figure(&format!("pulls_{}", page + 1), figure.draw())?;
    }
    Ok(())
}

fn matrix(outputs: &mut Outputs<'_>, name: &str, matrix: &Matrix) -> Result<()> {
    let names = matrix.parameters.iter();
    let header: Vec<&str> = std::iter::once("parameter")
        .chain(names.clone().map(String::as_str))
        .collect();
    let rows = names.zip(&matrix.values).map(|(name, row)| {
        let numbers = row.iter().map(|x| exact(Some(*x)));
        std::iter::once(name.clone()).chain(numbers).collect()
    });
    outputs.csv(name, &header, &rows.collect::<Vec<Vec<String>>>())
}

/// Rows of the parameters with a correlation worth a look, those with the largest first.
fn correlated(matrix: &Matrix) -> Vec<usize> {
    let largest = |row: usize| {
        let others = matrix.values[row].iter().enumerate();
        let others = others.filter(|(column, _)| *column != row);
        others.fold(0.0, |most: f64, (_, x)| most.max(x.abs()))
    };
    let mut chosen: Vec<usize> = (0..matrix.values.len())
        .filter(|row| largest(*row) > CORRELATED)
        .collect();
    chosen.sort_by(|a, b| largest(*b).total_cmp(&largest(*a)));
    chosen
}

/// The parameters with a correlation worth a look, if there are any.
fn correlations(opened: &Opened, matrix: &Matrix) -> Option<CorrelationMatrix> {
    let mut chosen = correlated(matrix);
    chosen.truncate(ROWS);
    chosen.sort_unstable();
    (!chosen.is_empty()).then(|| CorrelationMatrix {
        title: opened.title(),
        labels: chosen
            .iter()
            .map(|k| matrix.parameters[*k].clone())
            .collect(),
        values: chosen
            .iter()
            .map(|i| chosen.iter().map(|j| matrix.values[*i][*j]).collect())
            .collect(),
        has_numbers: true,
        z_label: "correlation".to_owned(),
    })
}

fn five(point: &ClsPoint) -> impl Iterator<Item = String> {
    point.CLs_exp.map(|x| exact(Some(x))).into_iter()
}

impl LimitRecord {
    /// Writes `limit.json`, the limits as tables, and CLs against the parameter as `cls.csv` and a
    /// figure; gives the files.
    pub(crate) fn write(&self, opened: &Opened, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut outputs = Outputs::new(folder, "limit", opened.inputs())?;
        let rows = self.rows().into_iter();
        let rows = rows.map(|(word, limit, cls)| vec![word.to_owned(), exact(limit), exact(cls)]);
        let header = ["which", "upper_limit", "CLs"];
        outputs.csv("limit.csv", &header, &rows.collect::<Vec<Row>>())?;
        outputs.tex("limit.tex", &self.tex())?;
        outputs.hepdata(&self.submission(), &[(WORKSPACE, opened.text.as_str())])?;
        let poi = self.head.poi.clone().unwrap_or_default();
        let rows = self.curve.iter().map(|point| {
            let first = [exact(Some(point.poi)), exact(point.CLs_obs)].into_iter();
            first.chain(five(point)).collect()
        });
        let header: Vec<&str> = [poi.as_str(), "observed"]
            .into_iter()
            .chain(EXPECTED)
            .collect();
        outputs.csv("cls.csv", &header, &rows.collect::<Vec<Vec<String>>>())?;
        if self.curve.len() > 1 {
            let point = |p: &ClsPoint| ClsScanPoint {
                parameter: p.poi,
                observed: p.CLs_obs,
                expected: p.CLs_exp,
            };
            let figure = ClsScan {
                title: opened.title(),
                x_label: poi,
                points: self.curve.iter().map(point).collect(),
                alpha: 1.0 - self.confidence_level,
            };
            outputs.figure("cls", figure.draw())?;
        }
        outputs.finish(self)
    }
}

impl ScanRecord {
    /// Writes `scan.json`, `scan.csv` and the figure of the profile; gives the files.
    pub(crate) fn write(&self, opened: &Opened, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut outputs = Outputs::new(folder, "scan", opened.inputs())?;
        let mut header: Vec<&str> = self.parameters.iter().map(String::as_str).collect();
        header.push("t");
        if let Some(curve) = &self.curve {
            let rows = curve.iter().map(|p| vec![exact(Some(p.value)), exact(p.t)]);
            outputs.csv("scan.csv", &header, &rows.collect::<Vec<_>>())?;
            if curve.iter().any(|p| p.t.is_some()) {
                let points = curve.iter().map(|p| (p.value, p.t.unwrap_or(f64::NAN)));
                let figure = LikelihoodCurve {
                    title: opened.title(),
                    x_label: self.parameters[0].clone(),
                    curves: vec![ScanCurve {
                        label: self.head.data.word().to_owned(),
                        points: points.collect(),
                        best_fit: self.best_fit[0],
                    }],
                    reference: None,
                };
                outputs.figure("scan", figure.draw())?;
            }
        }
        if let Some(plane) = &self.plane {
            let mut rows = Vec::new();
            for (x, row) in plane.values[0].iter().zip(&plane.t) {
                for (y, t) in plane.values[1].iter().zip(row) {
                    rows.push(vec![exact(Some(*x)), exact(Some(*y)), exact(*t)]);
                }
            }
            outputs.csv("scan.csv", &header, &rows)?;
            if plane.values.iter().all(|values| values.len() > 1) {
                let t = plane.t.iter();
                let t = t.map(|row| row.iter().map(|t| t.unwrap_or(f64::NAN)).collect());
                let figure = ProfileContours {
                    title: opened.title(),
                    x_label: self.parameters[0].clone(),
                    y_label: self.parameters[1].clone(),
                    x: plane.values[0].clone(),
                    y: plane.values[1].clone(),
                    t: t.collect(),
                    levels: plane.levels.iter().map(|l| (l.level, l.t)).collect(),
                    best_fit: (self.best_fit[0], self.best_fit[1]),
                };
                outputs.figure("scan", figure.draw())?;
            }
        }
        outputs.finish(self)
    }
}

impl ImpactsRecord {
    /// Writes `impacts.json`, the groups as tables, and where impacts are on the parameter of interest
    /// `ranking.csv` and the figure of the first ones; gives the files.
    pub(crate) fn write(&self, opened: &Opened, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut outputs = Outputs::new(folder, "impacts", opened.inputs())?;
        let rows = self.groups.iter().map(|group| {
            let numbers = [group.impact, group.limit, group.relative].map(exact);
            let first = [group.name.clone(), group.parameters.to_string()];
            first.into_iter().chain(numbers).collect()
        });
        let header = ["group", "parameters", "impact", "limit", "relative"];
        outputs.csv("groups.csv", &header, &rows.collect::<Vec<Vec<String>>>())?;
        outputs.tex("groups.tex", &self.tex())?;
        outputs.hepdata(&self.submission(), &[(WORKSPACE, opened.text.as_str())])?;
        if self.ranking.is_empty() {
            return outputs.finish(self);
        }
        let rows = self.ranking.iter().map(|p| {
            let [up, down] = p.refit;
            let numbers = [
                Some(p.value),
                p.error,
                p.pull,
                p.pull_error,
                p.post_fit,
                p.pre_fit,
                up,
                down,
                p.shifted,
            ];
            std::iter::once(p.name.clone())
                .chain(numbers.map(exact))
                .collect()
        });
        let header = [
            "parameter",
            "value",
            "error",
            "pull",
            "pull_error",
            "post_fit",
            "pre_fit",
            "refit_up",
            "refit_down",
            "shifted",
        ];
        outputs.csv("ranking.csv", &header, &rows.collect::<Vec<Vec<String>>>())?;
        let figure = Impacts {
            title: opened.title(),
            parameter: self.head.poi.clone().unwrap_or_default(),
            rows: self.ranking.iter().map(|p| row(p, self.kind)).collect(),
            first_rank: 1,
        };
        outputs.figure("ranking", figure.draw())?;
        outputs.finish(self)
    }
}

/// What is not known is not drawn.
fn row(p: &RankedParameter, kind: ImpactsKind) -> ImpactRow {
    let none = f64::NAN;
    let [up, down] = p.refit;
    let pull_error = p.pull_error.unwrap_or(none);
    let free = (p.pull.is_none()).then(|| known(Some(p.value), p.error, ""));
    let by_hessian = match kind {
        ImpactsKind::Shifted => p.shifted,
        // where a fit failed on one side the Hessian says nothing of it
        _ => p.post_fit.filter(|_| up.is_some() == down.is_some()),
    };
    let is_refitted = kind != ImpactsKind::Shifted;
    let side = |fit: Option<f64>, sign: f64| {
        let fit = fit.filter(|_| is_refitted);
        fit.or(by_hessian.map(|x| sign * x)).unwrap_or(none)
    };
    ImpactRow {
        name: p.name.clone(),
        pull: p.pull.unwrap_or(none),
        pull_errors: (pull_error, pull_error),
        unconstrained: free,
        post_fit: (side(down, -1.0), side(up, 1.0)),
        pre_fit: p.pre_fit.filter(|_| is_refitted).map(|x| (-x, x)),
    }
}

impl PlaneRecord {
    /// Writes `limits.json`, the limits as tables and, where the values of one label vary or of two, a
    /// figure over them; gives the files.
    pub(crate) fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let inputs = vec![self.workspace.as_str(), self.patch_set.as_str()];
        let mut outputs = Outputs::new(folder, "limits", inputs)?;
        let rows = self.patches.iter().map(|patch| {
            let values = patch.values.iter().map(plain);
            let limit = patch.limit.as_ref().map(|limit| &limit.upper_limit);
            let observed = exact(limit.and_then(|limit| limit.observed));
            let expected = (0..5).map(|k| exact(limit.and_then(|limit| limit.expected[k])));
            let failure = patch.failure.clone().unwrap_or_default();
            std::iter::once(patch.name.clone())
                .chain(values)
                .chain([observed])
                .chain(expected)
                .chain([failure])
                .collect()
        });
        let labels = self.labels.iter().map(String::as_str);
        let header: Vec<&str> = std::iter::once("patch")
            .chain(labels)
            .chain(["observed"])
            .chain(EXPECTED)
            .chain(["failure"])
            .collect();
        outputs.csv("limits.csv", &header, &rows.collect::<Vec<Vec<String>>>())?;
        outputs.tex("limits.tex", &self.tex())?;
        outputs.hepdata(&self.submission(), &[])?;
        if let Some(figure) = self.band() {
            outputs.figure("limits", figure.draw())?;
        } else if let Some(figure) = self.plane() {
            outputs.figure("limits", figure.draw())?;
        }
        outputs.finish(self)
    }

    /// The limits against the label that varies alone, if two of them can be drawn.
    fn band(&self) -> Option<LimitBand> {
        let (label, order) = line(self)?;
        let values = self.column(label)?;
        let points = order.iter().filter_map(|place| {
            let (observed, expected) = drawn(&self.patches[*place])?;
            Some(LimitBandPoint {
                parameter: values[*place],
                observed,
                expected,
            })
        });
        let points: Vec<LimitBandPoint> = points.collect();
        let is_drawn = |p: &&LimitBandPoint| p.expected[2] > 0.0;
        let (poi, level) = self.of_what();
        (points.iter().filter(is_drawn).count() > 1).then(|| LimitBand {
            title: self.description.clone(),
            x_label: self.labels[label].clone(),
            y_label: format!("upper limit on {poi} ({level})"),
            points,
            wanted: Some(1.0),
            theory: Vec::new(),
        })
    }

    /// The limits over the two labels that vary, if one of them can be drawn.
    fn plane(&self) -> Option<LimitPlane> {
        let [first, second] = varied(self)[..] else {
            return None;
        };
        let [x, y] = [self.column(first)?, self.column(second)?];
        let points = self.patches.iter().zip(x.iter().zip(&y));
        let points = points.filter_map(|(patch, (x, y))| {
            let (observed, expected) = drawn(patch)?;
            Some(LimitPlanePoint {
                x: *x,
                y: *y,
                observed,
                expected,
            })
        });
        let points: Vec<LimitPlanePoint> = points.collect();
        let is_drawn = |p: &LimitPlanePoint| p.observed.unwrap_or(p.expected[2]) > 0.0;
        let (poi, level) = self.of_what();
        points.iter().any(is_drawn).then(|| LimitPlane {
            title: self.description.clone(),
            x_label: self.labels[first].clone(),
            y_label: self.labels[second].clone(),
            z_label: format!("upper limit on {poi} ({level})"),
            points,
            wanted: 1.0,
        })
    }
}

/// The observed limit with a patch, unless it is hidden, and the expected ones; not finite where
/// there is none.
fn drawn(patch: &PatchLimit) -> Option<(Option<f64>, [f64; 5])> {
    let number = |x: Option<f64>| x.unwrap_or(f64::NAN);
    let limit = patch.limit.as_ref()?;
    let is_hidden = limit.best_fit.is_none();
    let UpperLimit { observed, expected } = &limit.upper_limit;
    let observed = (!is_hidden).then(|| number(*observed));
    Some((observed, expected.map(number)))
}
