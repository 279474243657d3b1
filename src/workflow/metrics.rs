//! What the metrics of every method have in common: the members, and predictions against
//! observations with every error that bins have in common.

use super::TrainedEnsemble;
use super::plan::{Plan, Variable};
use super::sample::Sample;
use crate::results::{
    LossSummary, METRICS_FORMAT, MemberSummary, Metrics, VariableMetrics, Verdict, YieldMetrics,
};
use crate::statistics::{
    Chi2, EnsembleHistogram, Histogram, WeightSummary, chi2, moments, sensitivity,
};
use crate::training::{History, Outcome};
use indexmap::IndexMap;
use std::borrow::Cow;

/// The metrics of an ensemble, without those of its events.
pub(super) fn of_members(trained: TrainedEnsemble<'_>, replicas: usize) -> Metrics {
    let TrainedEnsemble { plan, members, .. } = trained;
    let about = || members.iter().map(|m| &m.about);
    let count = |outcome: Outcome| about().filter(|a| a.outcome == outcome).count();
    let epochs: usize = about().map(|a| a.history.validation.len()).sum();
    let at_best = |pick: fn(&History) -> &[f64]| -> Vec<f64> {
        let best = about().filter_map(|a| pick(&a.history).get(a.history.best_epoch));
        best.copied().collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let validation = at_best(|h| &h.validation);
    Metrics {
        format: METRICS_FORMAT,
        experiment: plan.config.experiment.name.clone(),
        training_region: plan.config.training.region.clone(),
        training_yields: [0.0; 2],
        training_errors: [0.0; 2],
        support: None,
        verdict: Verdict::default(),
        members: MemberSummary {
            requested: plan.config.ensemble.members,
            usable: members.len(),
            replicas,
            failed: trained.failed.to_vec(),
            converged: count(Outcome::Converged),
            epoch_limit: count(Outcome::EpochLimit),
            mean_epochs: epochs as f64 / members.len().max(1) as f64,
        },
        loss: LossSummary {
            validation_mean: mean(&validation),
            validation_spread: relative_spread(&validation) * mean(&validation),
            training_mean: mean(&at_best(|h| &h.training)),
            held_out: None,
        },
        losses: plan.samples.iter().map(|s| s.losses.clone()).collect(),
        regions: IndexMap::new(),
        planes: IndexMap::new(),
        interpolation: None,
    }
}

/// Standard deviation over mean; 0 where there is none.
pub(super) fn relative_spread(values: &[f64]) -> f64 {
    match moments(values) {
        (mean, variance) if values.len() > 1 && mean != 0.0 => variance.sqrt() / mean,
        _ => 0.0,
    }
}

/// Observation and prediction of a region, with the errors that its events have in common.
pub(super) fn yields(
    observed: Option<WeightSummary>,
    [after, after_stat]: [f64; 2],
    components: &[Component],
) -> YieldMetrics {
    let variances = components.iter().map(|c| c.covariance(&[after])[0][0]);
    let variances: Vec<f64> = variances.collect();
    let component = |(c, variance): (&Component, &f64)| (c.name.to_string(), variance.sqrt());
    YieldMetrics {
        observed: observed.map(|o| o.sum),
        observed_error: observed.map(|o| o.error),
        after,
        after_stat,
        after_spread: variances.iter().sum::<f64>().sqrt(),
        components: components.iter().zip(&variances).map(component).collect(),
        ..YieldMetrics::default()
    }
}

/// A variable of an event by its row, in the user's units.
pub(super) fn values<'a>(
    plan: &Plan,
    sample: &'a Sample,
    variable: &'a Variable,
) -> Box<dyn Fn(usize) -> f64 + 'a> {
    let name = &variable.name;
    let mut inputs = plan.scaling.expressions.iter();
    match inputs.position(|e| variable.is_input && e == name) {
        Some(k) => Box::new(sample.feature(k, name)),
        None => {
            let column = sample.column(name).filter(|_| !variable.is_input);
            Box::new(move |row| column.map_or(f64::NAN, |values| values[row]))
        }
    }
}

/// The observed events of a distribution, from their rows.
pub(super) fn observed(plan: &Plan, variable: &Variable, rows: &[usize]) -> Histogram {
    let target = plan.target();
    let mut histogram = Histogram::new(variable.edges.bins());
    let value = values(plan, target, variable);
    for row in rows {
        if let Some(bin) = variable.edges.find(value(*row)) {
            histogram.fill(bin, target.table.weights[*row]);
        }
    }
    histogram
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
    Draws(EnsembleHistogram),
    Shifts(Vec<Vec<f64>>),
    Covariance(Matrix),
}

/// Rows of columns, such as a covariance `[bins][bins]`.
pub(super) type Matrix = Vec<Vec<f64>>;

impl Component {
    fn new(name: impl Into<Cow<'static, str>>, variations: Variations) -> Self {
        let name = name.into();
        Self { name, variations }
    }

    /// Of equally likely predictions: their covariance.
    pub(super) fn draws(name: &'static str, draws: EnsembleHistogram) -> Self {
        Self::new(name, Variations::Draws(draws))
    }

    /// Of predictions one standard deviation away, each for a source of its own.
    pub(super) fn shifts(name: impl Into<Cow<'static, str>>, shifts: Vec<Vec<f64>>) -> Self {
        Self::new(name, Variations::Shifts(shifts))
    }

    /// Of a covariance that is known.
    pub(super) fn known(name: &'static str, covariance: Matrix) -> Self {
        Self::new(name, Variations::Covariance(covariance))
    }

    /// Covariance between bins of a prediction `nominal`.
    pub(super) fn covariance(&self, nominal: &[f64]) -> Matrix {
        match &self.variations {
            Variations::Draws(draws) => draws.covariance(),
            Variations::Shifts(shifts) => outer(shifts, nominal),
            Variations::Covariance(covariance) => covariance.clone(),
        }
    }

    /// The same of predictions that are each scaled to `total`.
    fn shape_covariance(&self, nominal: &[f64], total: f64) -> Matrix {
        let factor = |values: &[f64]| total / values.iter().sum::<f64>();
        let scaled = |values: &Vec<f64>| -> Vec<f64> {
            let factor = factor(values);
            values.iter().map(|v| v * factor).collect()
        };
        match &self.variations {
            Variations::Draws(draws) => {
                let factors = (0..draws.members()).map(|d| factor(draws.member(d)));
                draws.scaled(&factors.collect::<Vec<f64>>()).covariance()
            }
            Variations::Shifts(shifts) => {
                let shifts: Vec<Vec<f64>> = shifts.iter().map(scaled).collect();
                outer(&shifts, &scaled(&nominal.to_vec()))
            }
            Variations::Covariance(covariance) => project(covariance, nominal, total),
        }
    }
}

pub(super) fn square(bins: usize, entry: impl Fn(usize, usize) -> f64) -> Matrix {
    let line = |i| (0..bins).map(|k| entry(i, k)).collect();
    (0..bins).map(line).collect()
}

pub(super) fn add(to: &mut [Vec<f64>], other: &[Vec<f64>]) {
    let lines = to.iter_mut().zip(other);
    let entries = lines.flat_map(|(line, other)| line.iter_mut().zip(other));
    entries.for_each(|(entry, value)| *entry += value);
}

fn outer(shifts: &[Vec<f64>], nominal: &[f64]) -> Matrix {
    square(nominal.len(), |i, k| {
        let product = |shift: &Vec<f64>| (shift[i] - nominal[i]) * (shift[k] - nominal[k]);
        shifts.iter().map(product).fold(0.0, |sum, x| sum + x)
    })
}

/// J C J^T with J the derivative of `total x / sum(x)`: the covariance of scaled
/// predictions to first order.
fn project(covariance: &[Vec<f64>], nominal: &[f64], total: f64) -> Matrix {
    let sum: f64 = nominal.iter().sum();
    let bins = nominal.len();
    let j = |i: usize, k: usize| {
        let unit = f64::from(u8::from(i == k));
        total / sum * (unit - nominal[i] / sum)
    };
    let half = square(bins, |i, l| {
        (0..bins).map(|k| j(i, k) * covariance[k][l]).sum()
    });
    square(bins, |i, m| (0..bins).map(|l| half[i][l] * j(m, l)).sum())
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
    pub before: Option<Matrix>,
    /// Of the prediction with the observation and its normalisation, where they share
    /// events.
    pub after: Option<Matrix>,
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
    let mut covariance = square(bins, |_, _| 0.0);
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
        let mut covariance = square(bins, |_, _| 0.0);
        for component in components.iter().filter(|_| is_whole) {
            let part = component.shape_covariance(&after.values, total);
            add(&mut covariance, &part);
        }
        let covariance = is_whole.then_some(&covariance[..]);
        test(&after.scaled(total / after.total()), covariance, 1)
    };
    let component = |(c, part): (&Component, &Matrix)| (c.name.to_string(), deviations(part));
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
        let [a, b] = [exact, known].map(|c| c.shape_covariance(&nominal, 50.0));
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
