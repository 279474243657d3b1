//! The distributions that are compared: every input, and what the report asks for beside
//! them; and one of them, prediction against observation, with every error that its bins
//! have in common.

use super::sample::Sample;
use crate::closure::{Chi2, EnsembleHistogram, Histogram, chi2, sensitivity};
use crate::error::{Error, Result};
use crate::events::memory;
use crate::results::VariableMetrics;
use crate::settings::{Bins, Config};
use sideband_numerics::{Edges, NumericsError};
use std::borrow::Cow;

/// One distribution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variable {
    /// Name in keys.
    pub name: String,
    /// Axis label.
    pub label: String,
    /// Whether networks see it.
    pub is_input: bool,
    /// Logarithmic event axis.
    pub log: bool,
    /// Bin edges.
    pub edges: Edges,
}

/// (name, expression) of the columns that the distributions need.
pub(super) fn report_columns(config: &Config) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    for v in &config.report.variables {
        let text = v.expression.as_ref().unwrap_or(&v.name);
        columns.push((v.name.clone(), text.clone()));
    }
    for plane in &config.report.planes {
        columns.push((format!("{}:x", plane.name), plane.x.clone()));
        columns.push((format!("{}:y", plane.name), plane.y.clone()));
    }
    columns
}

/// All distributions, with edges from the source where the config gives none.
pub(super) fn variables(
    config: &Config,
    inputs: &[(String, String)],
    source: &Sample,
) -> Result<Vec<Variable>> {
    let mut list = Vec::new();
    for v in &config.report.variables {
        let wrong = |e| cannot_be_binned("report.variables", &v.name, &e);
        let edges = match &v.bins {
            Bins::Edges(edges) => Edges::new(edges.clone()).map_err(wrong)?,
            Bins::Number(bins) => {
                let values = source.column(&v.name).unwrap_or_default();
                Edges::quantiles(values.iter().copied(), *bins).map_err(wrong)?
            }
        };
        list.push(Variable {
            name: v.name.clone(),
            label: v.label.clone().unwrap_or_else(|| v.name.clone()),
            is_input: false,
            log: v.log,
            edges,
        });
    }
    for (k, (name, _)) in inputs.iter().enumerate() {
        let rows = source.table.len();
        let mut all = memory::reserved(rows).map_err(|e| e.at_key("data.source"))?;
        all.extend((0..rows).map(source.feature(k, name)));
        let edges = Edges::quantiles(all.into_iter(), config.report.bins)
            .map_err(|e| cannot_be_binned("features.inputs", name, &e))?;
        list.push(Variable {
            name: name.clone(),
            label: config.features.labels.get(name).unwrap_or(name).clone(),
            is_input: true,
            log: false,
            edges,
        });
    }
    Ok(list)
}

fn cannot_be_binned(key: &str, name: &str, error: &NumericsError) -> Error {
    let reason = match error {
        NumericsError::TooFewEdges(0) => {
            "no event of the source has a finite value of it".to_owned()
        }
        NumericsError::TooFewEdges(1) => {
            "it has one value in the source; give edges with `bins = [..]`, or leave it out"
                .to_owned()
        }
        other => other.to_string(),
    };
    Error::config_at(key, format!("`{name}` cannot be binned: {reason}"))
}

/// An error that bins have in common.
#[derive(Clone, Debug)]
pub(super) struct Component {
    /// `members`, `gp`, ...
    pub name: Cow<'static, str>,
    variations: Variations,
}

/// What an error is made of.
#[derive(Clone, Debug)]
enum Variations {
    /// Equally likely predictions: their covariance.
    Draws(EnsembleHistogram),
    /// Predictions one standard deviation away, each for a source of its own.
    Shifts(Vec<Vec<f64>>),
    /// A covariance that is known.
    Covariance(Vec<Vec<f64>>),
}

impl Component {
    fn new(name: impl Into<Cow<'static, str>>, variations: Variations) -> Self {
        let name = name.into();
        Self { name, variations }
    }

    pub(super) fn draws(name: &'static str, draws: EnsembleHistogram) -> Self {
        Self::new(name, Variations::Draws(draws))
    }

    pub(super) fn shifts(name: impl Into<Cow<'static, str>>, shifts: Vec<Vec<f64>>) -> Self {
        Self::new(name, Variations::Shifts(shifts))
    }

    pub(super) fn known(name: &'static str, covariance: Vec<Vec<f64>>) -> Self {
        Self::new(name, Variations::Covariance(covariance))
    }

    /// Covariance between bins of a prediction `nominal`.
    pub(super) fn covariance(&self, nominal: &[f64]) -> Vec<Vec<f64>> {
        match &self.variations {
            Variations::Draws(draws) => draws.covariance(),
            Variations::Shifts(shifts) => outer(shifts, nominal),
            Variations::Covariance(covariance) => covariance.clone(),
        }
    }

    /// The same of predictions that are each scaled to `total`.
    fn shape_covariance(&self, nominal: &[f64], total: f64) -> Vec<Vec<f64>> {
        let factor = |values: &[f64]| total / values.iter().sum::<f64>();
        let scaled = |values: &[f64]| -> Vec<f64> {
            let factor = factor(values);
            values.iter().map(|v| v * factor).collect()
        };
        match &self.variations {
            Variations::Draws(draws) => {
                let of = |d| factor(draws.member(d));
                let factors: Vec<f64> = (0..draws.members()).map(of).collect();
                draws.scaled(&factors).covariance()
            }
            Variations::Shifts(shifts) => {
                let shifts: Vec<Vec<f64>> = shifts.iter().map(|s| scaled(s)).collect();
                outer(&shifts, &scaled(nominal))
            }
            Variations::Covariance(covariance) => project(covariance, nominal, total),
        }
    }
}

fn zeros(bins: usize) -> Vec<Vec<f64>> {
    vec![vec![0.0; bins]; bins]
}

pub(super) fn add(to: &mut [Vec<f64>], other: &[Vec<f64>]) {
    for (line, other) in to.iter_mut().zip(other) {
        for (entry, value) in line.iter_mut().zip(other) {
            *entry += value;
        }
    }
}

fn outer(shifts: &[Vec<f64>], nominal: &[f64]) -> Vec<Vec<f64>> {
    let mut covariance = zeros(nominal.len());
    for shift in shifts {
        let delta: Vec<f64> = shift.iter().zip(nominal).map(|(s, n)| s - n).collect();
        for (line, a) in covariance.iter_mut().zip(&delta) {
            for (entry, b) in line.iter_mut().zip(&delta) {
                *entry += a * b;
            }
        }
    }
    covariance
}

/// J C J^T with J the derivative of `total x / sum(x)`: the covariance of scaled
/// predictions to first order.
fn project(covariance: &[Vec<f64>], nominal: &[f64], total: f64) -> Vec<Vec<f64>> {
    let sum: f64 = nominal.iter().sum();
    let bins = nominal.len();
    let j = |i: usize, k: usize| {
        let unit = f64::from(u8::from(i == k));
        total / sum * (unit - nominal[i] / sum)
    };
    let half: Vec<Vec<f64>> = (0..bins)
        .map(|i| {
            let line = |l: usize| (0..bins).map(|k| j(i, k) * covariance[k][l]).sum();
            (0..bins).map(line).collect()
        })
        .collect();
    (0..bins)
        .map(|i| {
            let entry = |m: usize| (0..bins).map(|l| half[i][l] * j(m, l)).sum();
            (0..bins).map(entry).collect()
        })
        .collect()
}

/// Square roots of the diagonal.
fn deviations(covariance: &[Vec<f64>]) -> Vec<f64> {
    let lines = covariance.iter().enumerate();
    lines.map(|(bin, line)| line[bin].sqrt()).collect()
}

/// Covariances that a test needs beside the components'; none where prediction and
/// observation have no event in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Correlations {
    /// Of the source scaled as a whole: its normalisation.
    pub before: Option<Vec<Vec<f64>>>,
    /// Of the prediction with the observation and its normalisation, where they share
    /// events.
    pub after: Option<Vec<Vec<f64>>>,
}

/// All numbers of one distribution in one region. `before`: the source scaled as a
/// whole, where there is one.
pub(super) fn compare(
    variable: &Variable,
    before: Option<&Histogram>,
    after: &Histogram,
    components: &[Component],
    observed: Option<Histogram>,
    correlations: &Correlations,
) -> VariableMetrics {
    let bins = after.values.len();
    let of = |c: &Component| c.covariance(&after.values);
    let each: Vec<_> = components.iter().map(of).collect();
    let mut covariance = zeros(bins);
    each.iter().for_each(|part| add(&mut covariance, part));
    let mut of_difference = covariance.clone();
    if let Some(shared) = &correlations.after {
        add(&mut of_difference, shared);
    }
    let variances = |h: &Histogram| -> Option<Vec<f64>> {
        let pairs = observed.as_ref()?.variances.iter().zip(&h.variances);
        Some(pairs.map(|(a, b)| a + b).collect())
    };
    let test = |h: &Histogram, covariance: Option<&[Vec<f64>]>, fixed: usize| {
        let (variances, observed) = (variances(h)?, observed.as_ref()?);
        chi2(&observed.values, &h.values, &variances, covariance, fixed)
    };
    let visible = || sensitivity(&after.values, &variances(after)?, &of_difference);
    // of the prediction scaled to the observation: with all errors, and with its own alone
    let shape = |is_whole: bool| -> Option<Chi2> {
        let total = observed.as_ref()?.total();
        let mut covariance = zeros(bins);
        for part in components.iter().filter(|_| is_whole) {
            add(
                &mut covariance,
                &part.shape_covariance(&after.values, total),
            );
        }
        let covariance = is_whole.then_some(&covariance[..]);
        test(&after.scaled(total / after.total()), covariance, 1)
    };
    let component =
        |(c, part): (&Component, &Vec<Vec<f64>>)| (c.name.to_string(), deviations(part));
    VariableMetrics {
        label: variable.label.clone(),
        is_input: variable.is_input,
        log: variable.log,
        edges: variable.edges.values().to_vec(),
        chi2_before: before.and_then(|h| test(h, correlations.before.as_deref(), 0)),
        chi2_after: test(after, None, 0),
        chi2_after_covariance: test(after, Some(&of_difference), 0),
        sensitivity: visible(),
        chi2_shape: shape(true),
        chi2_shape_statistical: shape(false),
        observed,
        before: before.cloned(),
        after: after.clone(),
        spread: deviations(&covariance),
        components: components.iter().zip(&each).map(component).collect(),
        covariance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws that differ little: their covariance carried to shapes is that of the
    /// scaled draws; a common factor is no difference in shape.
    #[test]
    fn shapes_forget_the_yield() {
        let nominal = [10.0, 30.0, 60.0];
        let draws: [[f64; 3]; 4] = [
            [10.1, 30.0, 59.9],
            [9.9, 30.2, 60.0],
            [10.0, 29.9, 60.2],
            [10.0, 29.9, 59.9],
        ];
        let mut histogram = EnsembleHistogram::new(4, 3);
        for (d, draw) in draws.iter().enumerate() {
            for (bin, value) in draw.iter().enumerate() {
                histogram.fill(d, bin, *value);
            }
        }
        let exact = Component::draws("members", histogram.clone());
        let known = Component::known("members", histogram.covariance());
        let (a, b) = (
            exact.shape_covariance(&nominal, 50.0),
            known.shape_covariance(&nominal, 50.0),
        );
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
        let scaled = nominal.iter().map(|n| n * 1.1).collect();
        let common = Component::shifts("normalisation", vec![scaled]);
        let shape = common.shape_covariance(&nominal, 50.0);
        assert!(shape.iter().flatten().all(|c| c.abs() < 1e-20));
        let full = common.covariance(&nominal);
        assert!((full[0][2] - 1.0 * 6.0).abs() < 1e-9);
    }
}
