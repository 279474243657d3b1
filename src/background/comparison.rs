//! Validation regions and methods side by side: the reweighting with all of its
//! errors, the interpolation with its own, and the estimate without networks.
//!
//! Everything here is made of the ensembles' `metrics.json`. Reweighting: the
//! nominal ensemble (CR1) with its spread; for each quadrant of the region, the
//! variation (CR2) in the nominal's place there, its difference symmetrised; and
//! the non-closure of one row (3b) beyond its other errors, smoothed over three
//! bins, as a relative error of all others. ABCD: the source as a whole, scaled by
//! the ratio of yields in the nominal's training region.

use super::closure::{Component, Variations, compare};
use super::metrics::{Metrics, VariableMetrics};
use super::pipeline::EnsembleEnd;
use super::variables::Variable;
use crate::config::{ComparisonConfig, Experiment, ReweightingComparison};
use crate::stats::{Edges, Histogram};
use indexmap::IndexMap;
use serde::Serialize;

/// `comparison.json`: rows are validation regions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonMetrics {
    /// Region of each ensemble that is compared.
    pub region: String,
    /// The rows by name, in the order of the axis.
    pub rows: IndexMap<String, ComparisonRow>,
}

/// One validation region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// Observed events; none where blind.
    pub observed: Option<f64>,
    /// Their statistical error.
    pub observed_error: Option<f64>,
    /// `reweighting`, `interpolation`, `abcd`: those that there are.
    pub methods: IndexMap<String, MethodMetrics>,
}

/// One method in one region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodMetrics {
    /// Predicted events.
    pub predicted: f64,
    /// Its errors apart: `statistical` and the components.
    pub errors: IndexMap<String, f64>,
    /// All of them in quadrature.
    pub error: f64,
    /// 1 - predicted / observed, in %.
    pub difference: Option<f64>,
    /// Its error, with that of the observation, in %.
    pub difference_error: Option<f64>,
    /// Distributions by name.
    pub variables: IndexMap<String, VariableMetrics>,
}

impl MethodMetrics {
    /// chi2 / (bins - 1) of the shape of a distribution, without the errors that
    /// bins have in common (as published) and with them.
    #[must_use]
    pub fn shape(&self, variable: &str) -> [Option<f64>; 2] {
        let Some(v) = self.variables.get(variable) else {
            return [None; 2];
        };
        let reduced = |chi2: Option<crate::stats::Chi2>| {
            let chi2 = chi2.filter(|c| c.ndf > 0)?;
            Some(chi2.chi2 / chi2.ndf as f64)
        };
        [reduced(v.chi2_shape_statistical), reduced(v.chi2_shape)]
    }
}

/// Compares what is there of an experiment; none if nothing is to be compared.
#[must_use]
pub fn compare_methods(experiment: &Experiment, ends: &[EnsembleEnd]) -> Option<ComparisonMetrics> {
    let config = experiment.comparison.as_ref()?;
    let find = |row: &str, method: &str| -> Option<&Metrics> {
        let is_wanted = |spec: &&crate::config::EnsembleSpec| {
            config
                .place(spec)
                .is_some_and(|place| place == [row, method])
        };
        let name = &experiment.ensembles.iter().find(is_wanted)?.name;
        ends.iter().find(|e| e.name == *name)?.metrics.as_ref()
    };
    let non_closure = non_closure(config, &find);
    let mut rows = IndexMap::new();
    for row in experiment.axes.get(&config.rows)? {
        let mut methods = IndexMap::new();
        let mut observed = None;
        if let Some(reweighting) = &config.reweighting
            && let Some(nominal) = find(row, &reweighting.nominal)
        {
            let variation = reweighting.variation.as_ref();
            let variation = variation.and_then(|v| find(row, v));
            let own = reweighting.nonclosure.as_deref() == Some(row);
            let extra = if own { None } else { non_closure.as_ref() };
            let pair = Reweighting {
                config,
                reweighting,
                nominal,
                variation,
            };
            if let Some(method) = pair.method(extra) {
                methods.insert("reweighting".to_owned(), method);
            }
            if let Some(method) = abcd(config, nominal) {
                methods.insert("abcd".to_owned(), method);
            }
            observed = observed.or_else(|| observation(config, nominal));
        }
        if let Some(name) = &config.interpolation
            && let Some(metrics) = find(row, name)
        {
            if let Some(method) = direct(config, metrics) {
                methods.insert("interpolation".to_owned(), method);
            }
            observed = observed.or_else(|| observation(config, metrics));
        }
        // the estimate without networks comes last
        if let Some(abcd) = methods.shift_remove("abcd") {
            methods.insert("abcd".to_owned(), abcd);
        }
        if methods.is_empty() {
            continue;
        }
        rows.insert(
            row.clone(),
            ComparisonRow {
                observed: observed.map(|o| o[0]),
                observed_error: observed.map(|o| o[1]),
                methods,
            },
        );
    }
    (!rows.is_empty()).then(|| ComparisonMetrics {
        region: config.region.clone(),
        rows,
    })
}

fn observation(config: &ComparisonConfig, metrics: &Metrics) -> Option<[f64; 2]> {
    let yields = &metrics.regions.get(&config.region)?.yields;
    Some([yields.observed?, yields.observed_error?])
}

fn wanted(config: &ComparisonConfig, name: &str) -> bool {
    config.variables.is_empty() || config.variables.iter().any(|v| v == name)
}

fn variable(name: &str, metrics: &VariableMetrics) -> Option<Variable> {
    Some(Variable {
        name: name.to_owned(),
        label: metrics.label.clone(),
        is_input: metrics.is_input,
        log: metrics.log,
        edges: Edges::new(metrics.edges.clone()).ok()?,
    })
}

/// The yield from its histogram of one bin.
fn of_yield(
    config: &ComparisonConfig,
    metrics: &Metrics,
    total: &Histogram,
    components: &[Component],
    variables: IndexMap<String, VariableMetrics>,
) -> Option<MethodMetrics> {
    let observed = observation(config, metrics);
    let value = total.values[0];
    let mut errors = IndexMap::new();
    errors.insert("statistical".to_owned(), total.variances[0].sqrt());
    for component in components {
        let variance = component.covariance(&total.values)[0][0];
        errors.insert(component.name.to_owned(), variance.sqrt());
    }
    let error = errors.values().map(|e| e * e).sum::<f64>().sqrt();
    let [difference, difference_error] = match observed {
        Some([n, n_error]) if n > 0.0 && value > 0.0 => {
            let ratio = value / n;
            let relative = (error / value).hypot(n_error / n);
            [Some(100.0 * (1.0 - ratio)), Some(100.0 * ratio * relative)]
        }
        _ => [None; 2],
    };
    Some(MethodMetrics {
        predicted: value,
        errors,
        error,
        difference,
        difference_error,
        variables,
    })
}

/// A method whose metrics have all of its errors already.
fn direct(config: &ComparisonConfig, metrics: &Metrics) -> Option<MethodMetrics> {
    let region = metrics.regions.get(&config.region)?;
    let y = &region.yields;
    let total = Histogram {
        values: vec![y.after],
        variances: vec![y.after_stat.powi(2)],
    };
    let shifts = y.components.iter().map(|(name, error)| Component {
        name: component_name(name),
        variations: Variations::Shifts(vec![vec![y.after + error]]),
    });
    let components: Vec<Component> = shifts.collect();
    let kept = region
        .variables
        .iter()
        .filter(|(name, _)| wanted(config, name));
    let variables = kept.map(|(name, v)| (name.clone(), v.clone())).collect();
    of_yield(config, metrics, &total, &components, variables)
}

fn component_name(name: &str) -> &'static str {
    ["members", "gp", "normalisation"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("other")
}

/// The source as a whole, scaled.
fn abcd(config: &ComparisonConfig, metrics: &Metrics) -> Option<MethodMetrics> {
    let region = metrics.regions.get(&config.region)?;
    let [source, target] = metrics.training_yields;
    // of events that weigh one; weights make it larger
    let relative = (1.0 / source + 1.0 / target).sqrt();
    let scaling = |nominal: &[f64]| Component {
        name: "normalisation",
        variations: Variations::Shifts(vec![
            nominal.iter().map(|n| n * (1.0 + relative)).collect(),
        ]),
    };
    let variables = region
        .variables
        .iter()
        .filter(|(name, _)| wanted(config, name))
        .filter_map(|(name, v)| {
            let before = v.before.as_ref()?;
            let components = [scaling(&before.values)];
            let variable = variable(name, v)?;
            let observed = v.observed.clone();
            let compared = compare(&variable, None, before, &components, observed);
            Some((name.clone(), compared))
        })
        .collect();
    // the histogram with the most events has the whole region's statistical error
    let first = region.variables.values().find_map(|v| v.before.as_ref())?;
    let total = Histogram {
        values: vec![region.yields.before?],
        variances: vec![first.variances.iter().sum()],
    };
    let components = [scaling(&total.values)];
    of_yield(config, metrics, &total, &components, variables)
}

/// Relative error a bin from the non-closure of one row: of the yield, and of each
/// distribution.
struct NonClosure {
    total: f64,
    variables: IndexMap<String, Vec<f64>>,
}

fn non_closure<'a>(
    config: &ComparisonConfig,
    find: &dyn Fn(&str, &str) -> Option<&'a Metrics>,
) -> Option<NonClosure> {
    let reweighting = config.reweighting.as_ref()?;
    let row = reweighting.nonclosure.as_deref()?;
    let variation = reweighting.variation.as_ref();
    let method = Reweighting {
        config,
        reweighting,
        nominal: find(row, &reweighting.nominal)?,
        variation: variation.and_then(|v| find(row, v)),
    }
    .method(None)?;
    let total = match (method.difference, method.difference_error) {
        (Some(difference), Some(error)) => beyond(difference / 100.0, error / 100.0),
        _ => 0.0,
    };
    let variables = method
        .variables
        .iter()
        .filter_map(|(name, v)| {
            let observed = v.observed.as_ref()?;
            let bins = 0..observed.values.len();
            let excess = bins.map(|bin| {
                let (n, p) = (observed.values[bin], v.after.values[bin]);
                if n <= 0.0 || p <= 0.0 {
                    return 0.0;
                }
                let variance = observed.variances[bin] / (n * n)
                    + (v.after.variances[bin] + v.spread[bin].powi(2)) / (p * p);
                beyond(p / n - 1.0, p / n * variance.sqrt())
            });
            Some((name.clone(), smooth(&excess.collect::<Vec<f64>>())))
        })
        .collect();
    Some(NonClosure { total, variables })
}

/// What a deviation is more than its error explains, in quadrature.
fn beyond(deviation: f64, error: f64) -> f64 {
    (deviation * deviation - error * error).max(0.0).sqrt()
}

/// Mean of each bin and its neighbours.
fn smooth(values: &[f64]) -> Vec<f64> {
    (0..values.len())
        .map(|bin| {
            let window = &values[bin.saturating_sub(1)..(bin + 2).min(values.len())];
            window.iter().sum::<f64>() / window.len() as f64
        })
        .collect()
}

/// The reweighting in one row.
struct Reweighting<'a> {
    config: &'a ComparisonConfig,
    reweighting: &'a ReweightingComparison,
    nominal: &'a Metrics,
    variation: Option<&'a Metrics>,
}

impl Reweighting<'_> {
    fn method(&self, non_closure: Option<&NonClosure>) -> Option<MethodMetrics> {
        let region = self.nominal.regions.get(&self.config.region)?;
        let y = &region.yields;
        let variables = region
            .variables
            .iter()
            .filter(|(name, _)| wanted(self.config, name))
            .filter_map(|(name, v)| {
                let pick = |metrics: &Metrics, region: &str| -> Option<Vec<f64>> {
                    let region = metrics.regions.get(region)?;
                    let v = region
                        .variables
                        .get(name)
                        .filter(|other| other.edges == v.edges)?;
                    Some(v.after.values.clone())
                };
                let own = non_closure.and_then(|n| n.variables.get(name));
                let members = Component {
                    name: "members",
                    variations: Variations::Covariance(v.covariance.clone()),
                };
                let components = self.components(members, &v.after.values, &pick, own);
                let variable = variable(name, v)?;
                let before = v.before.as_ref();
                let observed = v.observed.clone();
                let compared = compare(&variable, before, &v.after, &components, observed);
                Some((name.clone(), compared))
            })
            .collect();
        let total = Histogram {
            values: vec![y.after],
            variances: vec![y.after_stat.powi(2)],
        };
        let members = Component {
            name: "members",
            variations: Variations::Covariance(vec![vec![y.after_spread.powi(2)]]),
        };
        let pick = |metrics: &Metrics, region: &str| -> Option<Vec<f64>> {
            Some(vec![metrics.regions.get(region)?.yields.after])
        };
        let own = non_closure.map(|n| vec![n.total]);
        let components = self.components(members, &total.values, &pick, own.as_ref());
        of_yield(self.config, self.nominal, &total, &components, variables)
    }

    /// Ensemble, control region, non-closure.
    fn components(
        &self,
        members: Component,
        nominal: &[f64],
        pick: &dyn Fn(&Metrics, &str) -> Option<Vec<f64>>,
        non_closure: Option<&Vec<f64>>,
    ) -> Vec<Component> {
        let mut list = vec![members];
        if let Some(variation) = self.variation {
            // without quadrants the whole region changes at once
            let whole = [self.config.region.clone()];
            let quadrants: &[String] = match self.reweighting.quadrants.as_slice() {
                [] => &whole,
                some => some,
            };
            let shifts = quadrants.iter().filter_map(|quadrant| {
                let (old, new) = (pick(self.nominal, quadrant)?, pick(variation, quadrant)?);
                let bins = nominal.iter().zip(old.iter().zip(&new));
                Some(bins.map(|(n, (old, new))| n - old + new).collect())
            });
            list.push(Component {
                name: "control_region",
                variations: Variations::Shifts(shifts.collect()),
            });
        }
        if let Some(relative) = non_closure.filter(|r| r.len() == nominal.len()) {
            // nothing says how bins hang together: each on its own
            let shifts = (0..nominal.len()).map(|bin| {
                let mut shifted = nominal.to_vec();
                shifted[bin] *= 1.0 + relative[bin];
                shifted
            });
            list.push(Component {
                name: "nonclosure",
                variations: Variations::Shifts(shifts.collect()),
            });
        }
        list
    }
}
