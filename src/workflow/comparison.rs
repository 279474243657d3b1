//! Validation regions and methods side by side: the reweighting with all of its
//! errors, the interpolation with its own, and the estimate without networks.
//!
//! Everything here is made of the ensembles' `metrics.json`. Reweighting: the
//! nominal ensemble (CR1) with the errors of its result; for each quadrant of the
//! region, the variation (CR2) in the nominal's place there, its difference
//! symmetrised; and the non-closure of one row (3b) beyond its other errors, smoothed
//! over three bins, as a relative error of all others. ABCD: the source as a whole,
//! scaled by the ratio of yields in the nominal's training region.
//!
//! Histograms are combined if their edges are the same and never otherwise: what an
//! error is missing for is in [`MethodMetrics::missing`], with the reason. Edges that the
//! configuration gives as a number are quantiles of the events that an ensemble reads, and
//! ensembles read different ones. Those of a comparison take the edges of one of them: the
//! nominal reweighting of the first row, or without a reweighting the interpolation of the
//! first row. They depend on its data alone, and not on which ensembles are there already.

use super::metrics::{Component, Correlations, compare};
use super::plan::{Plan, Variable};
use super::sample::{Sample, region_index};
use crate::error::{Error, Result};
use crate::report::EnsembleEnd;
use crate::results::{
    ComparisonMetrics, ComparisonRow, MethodMetrics, Metrics, MissingError, RegionMetrics,
    VariableMetrics, YieldMetrics,
};
use crate::settings::{
    Bins, ComparisonConfig, Config, EnsembleSpec, Experiment, ReweightingComparison,
};
use indexmap::IndexMap;
use sideband_numerics::Edges;

/// What is known, or why it is not.
type Known<T> = Result<T, String>;

/// The reweighting in the row that tells the error of its non-closure, and that row.
type NonClosure<'a> = Known<(&'a str, MethodMetrics)>;

/// An ensemble's result, and how it is called.
#[derive(Clone, Copy)]
struct NamedResult<'a> {
    name: &'a str,
    metrics: &'a Metrics,
}

impl<'a> NamedResult<'a> {
    fn region(&self, region: &str) -> Known<&'a RegionMetrics> {
        let (name, found) = (self.name, self.metrics.regions.get(region));
        found.ok_or_else(|| format!("region {region} is not in the result of ensemble {name}"))
    }
}

/// Compares what is there of an experiment; none if nothing is to be compared.
#[must_use]
pub(super) fn compare_methods(
    experiment: &Experiment,
    ends: &[EnsembleEnd],
) -> Option<ComparisonMetrics> {
    let config = experiment.comparison.as_ref()?;
    let comparison = Comparison {
        experiment,
        config,
        ends,
    };
    let reweighting = config.reweighting.as_ref();
    let source = reweighting.and_then(|r| Some((r, r.nonclosure.as_ref()?)));
    let non_closure = source.map(|(r, row)| {
        let method = comparison.reweighting(r, row)?.method(None)?;
        Ok((row.as_str(), method))
    });
    let row = |name: &String| {
        let is_own = source.is_some_and(|(_, row)| row == name);
        let extra = non_closure.as_ref().filter(|_| !is_own);
        (name.clone(), comparison.row(name, extra))
    };
    let names = experiment.axes.get(&config.rows)?.iter();
    let rows: IndexMap<String, ComparisonRow> = names.map(row).collect();
    let is_any = rows.values().any(|row| !row.methods.is_empty());
    is_any.then(|| ComparisonMetrics {
        region: config.region.clone(),
        rows,
    })
}

/// What is compared: results by row and method.
struct Comparison<'a> {
    experiment: &'a Experiment,
    config: &'a ComparisonConfig,
    ends: &'a [EnsembleEnd],
}

/// A method's distributions, and what is missing.
struct Compared<'a> {
    of: NamedResult<'a>,
    yields: &'a YieldMetrics,
    variables: IndexMap<String, VariableMetrics>,
    missing: Vec<MissingError>,
}

const EARLIER: &str = "the result is an earlier program's; run again in a new directory";
const NOT_FINITE: &str = "it is not a finite number";

impl<'a> Comparison<'a> {
    /// The result of a method in a row, or why there is none.
    fn find(&self, row: &str, method: &str) -> Known<NamedResult<'a>> {
        let mut all = self.experiment.ensembles.iter();
        let spec = all
            .find(|spec| self.config.place(spec) == Some([row, method]))
            .ok_or_else(|| format!("there is no ensemble {row}, {method}"))?;
        let name = spec.name.as_str();
        let end = self.ends.iter().find(|end| end.name == name);
        let end = end.ok_or_else(|| format!("ensemble {name} has not been made"))?;
        match (&end.metrics, &end.error) {
            (Some(metrics), _) => Ok(NamedResult { name, metrics }),
            (None, Some(error)) => Err(format!("ensemble {name} has no result: {error}")),
            (None, None) => Err(format!("ensemble {name} has no result")),
        }
    }

    fn row(&self, name: &str, non_closure: Option<&NonClosure<'_>>) -> ComparisonRow {
        let config = self.config;
        let (mut made, mut observed) = (Vec::new(), None);
        if let Some(reweighting) = &config.reweighting {
            let nominal = self.find(name, &reweighting.nominal);
            let pair = nominal.clone().and_then(|nominal| {
                let method = self.reweighting(reweighting, name)?.method(non_closure);
                observed = self.observation(nominal);
                method
            });
            made.push(("reweighting", pair));
            made.push(("abcd", nominal.and_then(|nominal| self.abcd(nominal))));
        }
        if let Some(method) = &config.interpolation {
            let found = self.find(name, method);
            if let Ok(found) = found {
                observed = observed.or_else(|| self.observation(found));
            }
            // the estimate without networks comes last
            let direct = found.and_then(|found| self.direct(found));
            made.insert(made.len().min(1), ("interpolation", direct));
        }
        let mut row = ComparisonRow {
            observed: observed.map(|o| o[0]),
            observed_error: observed.map(|o| o[1]),
            ..ComparisonRow::default()
        };
        for (key, method) in made {
            match method {
                Ok(method) => _ = row.methods.insert(key.to_owned(), method),
                Err(reason) => _ = row.missing.insert(key.to_owned(), reason),
            }
        }
        row
    }

    fn reweighting(
        &self,
        reweighting: &'a ReweightingComparison,
        row: &str,
    ) -> Known<ReweightingRow<'_>> {
        let variation = reweighting.variation.as_ref();
        Ok(ReweightingRow {
            comparison: self,
            nominal: self.find(row, &reweighting.nominal)?,
            variation: variation.map(|method| self.find(row, method)),
            quadrants: &reweighting.quadrants,
        })
    }

    fn observation(&self, of: NamedResult<'_>) -> Option<[f64; 2]> {
        let yields = &of.metrics.regions.get(&self.config.region)?.yields;
        Some([yields.observed?, yields.observed_error?])
    }

    /// The distributions of a result, made anew by `make`. `expected`: errors that the
    /// method has, with the reason why one is not in its ensemble's result.
    fn compared(
        &self,
        of: NamedResult<'a>,
        expected: &[(&str, &str)],
        make: impl Fn(&Variable, &VariableMetrics, &mut Vec<MissingError>) -> Known<VariableMetrics>,
    ) -> Known<Compared<'a>> {
        let region = of.region(&self.config.region)?;
        let components = &region.yields.components;
        let absent = expected
            .iter()
            .filter(|(name, _)| !components.contains_key(*name));
        let absent = absent.map(|(name, why)| MissingError::new(name, None, *why));
        let mut missing: Vec<MissingError> = absent.collect();
        let replicas = of.metrics.members.replicas;
        if replicas < 2 && !expected.is_empty() && components.contains_key("members") {
            let reason = format!("{replicas} member or replica has no spread");
            missing.push(MissingError::new("members", None, reason));
        }
        let wanted = &self.config.variables;
        for name in wanted.iter().filter(|v| !region.variables.contains_key(*v)) {
            let reason = "it is no distribution of the ensemble";
            missing.push(MissingError::new("all", Some(name), reason));
        }
        let mut variables = IndexMap::new();
        for (name, v) in &region.variables {
            if !wanted.is_empty() && !wanted.contains(name) {
                continue;
            }
            let axis = variable(name, v);
            match axis.and_then(|axis| make(&axis, v, &mut missing)) {
                Ok(made) => _ = variables.insert(name.clone(), made),
                Err(reason) => missing.push(MissingError::new("all", Some(name), reason)),
            }
        }
        Ok(Compared {
            of,
            yields: &region.yields,
            variables,
            missing,
        })
    }

    /// A method with its yield, of this value and statistical error.
    fn method(
        &self,
        compared: Compared<'_>,
        [value, statistical]: [f64; 2],
        components: Vec<Component>,
    ) -> Known<MethodMetrics> {
        if !value.is_finite() {
            return Err(format!("the prediction is {value}"));
        }
        let (nominal, mut missing) = ([value], compared.missing);
        let mut errors: IndexMap<String, f64> = IndexMap::new();
        let statistical = statistical.powi(2).sqrt();
        if statistical.is_finite() {
            errors.insert("statistical".to_owned(), statistical);
        } else {
            missing.push(MissingError::new("statistical", None, NOT_FINITE));
        }
        for component in finite(components, &nominal, None, &mut missing) {
            let variance = component.covariance(&nominal)[0][0];
            let entry = errors.entry(component.name.into_owned()).or_default();
            *entry = entry.hypot(variance.sqrt());
        }
        let error = errors.values().map(|e| e * e).sum::<f64>().sqrt();
        let [difference, difference_error] = match self.observation(compared.of) {
            Some([n, n_error]) if n > 0.0 && value > 0.0 => {
                let ratio = value / n;
                let relative = (error / value).hypot(n_error / n);
                [Some(100.0 * (1.0 - ratio)), Some(100.0 * ratio * relative)]
            }
            _ => [None; 2],
        };
        Ok(MethodMetrics {
            predicted: value,
            errors,
            error,
            difference,
            difference_error,
            variables: compared.variables,
            missing,
        })
    }

    /// A method whose metrics have all of its errors already.
    fn direct(&self, of: NamedResult<'_>) -> Known<MethodMetrics> {
        let expected = [
            ("members", EARLIER),
            ("gp", "interpolation.posterior_draws is 0"),
            ("normalisation", EARLIER),
        ];
        let compared = self.compared(of, &expected, |_, v, _| Ok(v.clone()))?;
        let y = compared.yields;
        self.method(compared, [y.after, y.after_stat], of_result(y))
    }

    /// The source as a whole, scaled.
    fn abcd(&self, of: NamedResult<'_>) -> Known<MethodMetrics> {
        let yields = &of.region(&self.config.region)?.yields;
        let value = yields.before;
        let value = value.ok_or("the ensemble has no source that is scaled as a whole")?;
        let relative = of.metrics.relative_training_error();
        let scaling = |nominal: &[f64]| {
            let shift = nominal.iter().map(|n| n * (1.0 + relative)).collect();
            vec![Component::shifts("normalisation", vec![shift])]
        };
        let mut compared = self.compared(of, &[], |axis, v, missing| {
            let before = v.before.as_ref();
            let before = before.ok_or("it has no histogram of the source as a whole")?;
            let components = scaling(&before.values);
            let components = finite(components, &before.values, Some(&axis.name), missing);
            let (observed, alone) = (v.observed.clone(), Correlations::default());
            Ok(compare(axis, None, before, &components, observed, &alone))
        })?;
        if yields.before_stat.is_none() {
            let missing = MissingError::new("statistical", None, EARLIER);
            compared.missing.push(missing);
        }
        let statistical = yields.before_stat.unwrap_or(0.0);
        self.method(compared, [value, statistical], scaling(&[value]))
    }
}

fn variable(name: &str, metrics: &VariableMetrics) -> Known<Variable> {
    Ok(Variable {
        name: name.to_owned(),
        label: metrics.label.clone(),
        is_input: metrics.is_input,
        log: metrics.log,
        edges: Edges::new(metrics.edges.clone()).map_err(|e| e.to_string())?,
    })
}

/// Components whose errors are numbers; the others are said to be missing.
fn finite(
    components: Vec<Component>,
    nominal: &[f64],
    variable: Option<&str>,
    missing: &mut Vec<MissingError>,
) -> Vec<Component> {
    let mut kept = Vec::with_capacity(components.len());
    for component in components {
        let covariance = component.covariance(nominal);
        let bad = |bin: &usize| covariance[*bin].iter().any(|c| !c.is_finite());
        let bins: Vec<usize> = (0..covariance.len()).filter(bad).collect();
        if bins.is_empty() {
            kept.push(component);
            continue;
        }
        let mut error = MissingError::new(&component.name, variable, NOT_FINITE);
        // a yield has one bin, which need not be named
        error.bins = if variable.is_some() { bins } else { Vec::new() };
        missing.push(error);
    }
    kept
}

/// The components of a yield, the members' first: all of them that its ensemble has.
fn of_result(y: &YieldMetrics) -> Vec<Component> {
    let component = |(name, error): (&String, &f64)| match name.as_str() {
        "members" => Component::known("members", vec![vec![error * error]]),
        _ => Component::shifts(name.clone(), vec![vec![y.after + error]]),
    };
    y.components.iter().map(component).collect()
}

/// The components of a distribution. All but `members` shift every bin at once;
/// that of the members is what is left of the covariance.
fn of_distribution(v: &VariableMetrics) -> Vec<Component> {
    let mut left = v.covariance.clone();
    let mut list = Vec::with_capacity(v.components.len());
    for (name, errors) in v.components.iter().filter(|(name, _)| *name != "members") {
        for (line, a) in left.iter_mut().zip(errors) {
            for (entry, b) in line.iter_mut().zip(errors) {
                *entry -= a * b;
            }
        }
        let values = v.after.values.iter().zip(errors);
        let shift = values.map(|(value, error)| value + error).collect();
        list.push(Component::shifts(name.clone(), vec![shift]));
    }
    for (bin, line) in left.iter_mut().enumerate() {
        // differences of rounding are no variance
        line[bin] = line[bin].max(0.0);
    }
    list.insert(0, Component::known("members", left));
    list
}

/// What the non-closure of a row is beyond its errors, a bin of a distribution; none where
/// nothing is observed or predicted.
fn excess(row: &str, v: &VariableMetrics) -> Known<Vec<Option<f64>>> {
    let observed = v.observed.as_ref();
    let observed = observed.ok_or_else(|| format!("row {row} is blind"))?;
    let of = |bin: usize| -> Option<f64> {
        let (n, p) = (observed.values[bin], v.after.values[bin]);
        if n <= 0.0 || p <= 0.0 {
            return None;
        }
        let variance = observed.variances[bin] / (n * n)
            + (v.after.variances[bin] + v.spread[bin].powi(2)) / (p * p);
        beyond(p / n - 1.0, p / n * variance.sqrt())
    };
    Ok((0..observed.values.len()).map(of).collect())
}

/// What a deviation is more than its error explains, in quadrature; none if it is
/// not a number.
fn beyond(deviation: f64, error: f64) -> Option<f64> {
    let square = deviation * deviation - error * error;
    square.is_finite().then(|| square.max(0.0).sqrt())
}

/// Mean of each bin and its neighbours, of those that are known.
fn smooth(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mean = |bin: usize| {
        let window = &values[bin.saturating_sub(1)..(bin + 2).min(values.len())];
        let known: Vec<f64> = window.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..values.len()).map(mean).collect()
}

/// The reweighting in one row.
struct ReweightingRow<'a> {
    comparison: &'a Comparison<'a>,
    nominal: NamedResult<'a>,
    /// None if it was not asked for; else the result, or why there is none.
    variation: Option<Known<NamedResult<'a>>>,
    quadrants: &'a [String],
}

impl ReweightingRow<'_> {
    fn method(&self, non_closure: Option<&NonClosure<'_>>) -> Known<MethodMetrics> {
        let expected = [("members", EARLIER), ("normalisation", EARLIER)];
        let make = |axis: &Variable, v: &VariableMetrics, missing: &mut Vec<MissingError>| {
            let (of, nominal) = (Some((axis.name.as_str(), v)), &v.after.values);
            let mut list = of_distribution(v);
            self.add_errors(of, nominal, non_closure, &mut list, missing);
            let list = finite(list, nominal, Some(&axis.name), missing);
            let (before, observed) = (v.before.as_ref(), v.observed.clone());
            let alone = Correlations::default();
            Ok(compare(axis, before, &v.after, &list, observed, &alone))
        };
        let mut compared = self.comparison.compared(self.nominal, &expected, make)?;
        let (y, missing) = (compared.yields, &mut compared.missing);
        let mut components = of_result(y);
        self.add_errors(None, &[y.after], non_closure, &mut components, missing);
        let yields = [y.after, y.after_stat];
        self.comparison.method(compared, yields, components)
    }

    /// Adds the errors that are not in the ensemble's own result, or why they cannot be had:
    /// to a distribution's, or to those of the yield.
    fn add_errors(
        &self,
        distribution: Option<(&str, &VariableMetrics)>,
        nominal: &[f64],
        non_closure: Option<&NonClosure<'_>>,
        components: &mut Vec<Component>,
        missing: &mut Vec<MissingError>,
    ) {
        let name = distribution.map(|(name, _)| name);
        let of_region = self.variation.as_ref().map(|variation| {
            let variation = variation.as_ref()?;
            self.control_region(variation, distribution, nominal)
        });
        let of_closure = non_closure.map(|known| {
            let (row, method) = known.as_ref()?;
            match distribution {
                Some((name, v)) => non_closure_shifts(row, method, name, v, missing),
                None => Ok(vec![vec![nominal[0] * (1.0 + total_excess(row, method)?)]]),
            }
        });
        for (component, shifts) in [("control_region", of_region), ("nonclosure", of_closure)] {
            match shifts {
                None => {}
                Some(Ok(shifts)) => components.push(Component::shifts(component, shifts)),
                Some(Err(reason)) => missing.push(MissingError::new(component, name, reason)),
            }
        }
    }

    /// The prediction with the variation in the nominal's place, a quadrant each.
    fn control_region(
        &self,
        variation: &NamedResult<'_>,
        distribution: Option<(&str, &VariableMetrics)>,
        nominal: &[f64],
    ) -> Known<Vec<Vec<f64>>> {
        let bins = |of: &NamedResult<'_>, region: &str| -> Known<Vec<f64>> {
            let region = of.region(region)?;
            let Some((name, v)) = distribution else {
                return Ok(vec![region.yields.after]);
            };
            let other = region.variables.get(name);
            let ensemble = of.name;
            let other =
                other.ok_or_else(|| format!("{name} is no distribution of ensemble {ensemble}"))?;
            match other.edges == v.edges {
                true => Ok(other.after.values.clone()),
                false => Err(format!(
                    "the edges of {name} are others in ensemble {ensemble}"
                )),
            }
        };
        let shift = |quadrant: &String| -> Known<Vec<f64>> {
            let (old, new) = (bins(&self.nominal, quadrant)?, bins(variation, quadrant)?);
            let bins = nominal.iter().zip(old.iter().zip(&new));
            Ok(bins.map(|(n, (old, new))| n - old + new).collect())
        };
        // without quadrants the whole region changes at once
        let whole = std::slice::from_ref(&self.comparison.config.region);
        let quadrants = if self.quadrants.is_empty() {
            whole
        } else {
            self.quadrants
        };
        quadrants.iter().map(shift).collect()
    }
}

/// Relative error of a yield from the non-closure of a row.
fn total_excess(row: &str, method: &MethodMetrics) -> Known<f64> {
    match (method.difference, method.difference_error) {
        (Some(difference), Some(error)) => beyond(difference / 100.0, error / 100.0)
            .ok_or_else(|| format!("that of row {row} is not a finite number")),
        _ => Err(format!(
            "row {row} is blind, or nothing is observed or predicted in it"
        )),
    }
}

/// A distribution with the relative error of the non-closure of a row: one shift a bin, since
/// nothing says how bins hang together; bins that are empty in that row are said.
fn non_closure_shifts(
    row: &str,
    method: &MethodMetrics,
    name: &str,
    v: &VariableMetrics,
    missing: &mut Vec<MissingError>,
) -> Known<Vec<Vec<f64>>> {
    let known = method.variables.get(name);
    let known = known.ok_or_else(|| format!("{name} is no distribution of row {row}"))?;
    let excess = excess(row, known)?;
    if known.edges != v.edges {
        return Err(format!("the edges of {name} are others in row {row}"));
    }
    let relative = smooth(&excess);
    let empty = (0..excess.len()).filter(|bin| excess[*bin].is_none());
    let (filled, unknown): (Vec<usize>, Vec<usize>) =
        empty.partition(|bin| relative[*bin].is_some());
    let nothing = format!("nothing is observed or predicted there in row {row}");
    let taken = format!("{nothing}; that of the neighbouring bins is taken");
    for (bins, reason) in [(filled, taken), (unknown, nothing)] {
        if !bins.is_empty() {
            let error = MissingError::new("nonclosure", Some(name), reason);
            missing.push(MissingError { bins, ..error });
        }
    }
    let shift = |(bin, relative): (usize, &Option<f64>)| {
        let mut shifted = v.after.values.clone();
        shifted[bin] *= 1.0 + relative.unwrap_or(0.0);
        shifted
    };
    Ok(relative.iter().enumerate().map(shift).collect())
}

/// Edges by the distribution's name.
#[derive(Clone, Debug)]
pub(super) struct CommonEdges(IndexMap<String, Edges>);

/// Whether the configuration leaves the edges of a distribution to the data.
fn is_automatic(config: &Config, name: &str) -> bool {
    let given = config.report.variables.iter().find(|v| v.name == name);
    given.is_none_or(|v| matches!(v.bins, Bins::Number(_)))
}

impl CommonEdges {
    /// Place of the ensemble whose edges all others take; none without a comparison.
    pub(super) fn reference(experiment: &Experiment) -> Option<usize> {
        let config = experiment.comparison.as_ref()?;
        let row = experiment.axes.get(&config.rows)?.first()?;
        let nominal = config.reweighting.as_ref().map(|r| &r.nominal);
        let method = nominal.or(config.interpolation.as_ref())?;
        let mut ensembles = experiment.ensembles.iter();
        ensembles.position(|spec| config.place(spec) == Some([row, method]))
    }

    /// The edges of an ensemble.
    pub(super) fn of(plan: &Plan) -> Self {
        let variables = plan.variables.iter();
        let automatic = variables.filter(|v| is_automatic(&plan.config, &v.name));
        Self(
            automatic
                .map(|v| (v.name.clone(), v.edges.clone()))
                .collect(),
        )
    }

    /// Gives them to another one.
    pub(super) fn give_to(&self, plan: &mut Plan) {
        for variable in &mut plan.variables {
            if let Some(edges) = self.0.get(&variable.name)
                && is_automatic(&plan.config, &variable.name)
            {
                variable.edges = edges.clone();
            }
        }
    }

    /// Whether a result was made with them.
    pub(super) fn are_those_of(&self, metrics: &Metrics, config: &Config) -> bool {
        let variables = metrics.regions.values().flat_map(|r| &r.variables);
        variables
            .filter(|(name, _)| is_automatic(config, name))
            .all(|(name, v)| self.0.get(name).is_none_or(|e| e.values() == v.edges))
    }
}

/// Whether every event of the compared region is in exactly one quadrant, and every
/// event of a quadrant in the region: each is varied once and nothing else is.
pub(super) fn check_quadrants(
    experiment: &Experiment,
    spec: &EnsembleSpec,
    plan: &Plan,
) -> Result<()> {
    let Some(config) = &experiment.comparison else {
        return Ok(());
    };
    let Some(reweighting) = &config.reweighting else {
        return Ok(());
    };
    let is_varied = config.place(spec).is_some_and(|[_, method]| {
        method == reweighting.nominal || reweighting.variation.as_deref() == Some(method)
    });
    if !is_varied || reweighting.quadrants.is_empty() {
        return Ok(());
    }
    let bit = |name: &String| 1u64 << region_index(&plan.config, name);
    let region = bit(&config.region);
    let quadrants: Vec<u64> = reweighting.quadrants.iter().map(bit).collect();
    for sample in &plan.samples {
        if let Some(what) = outside_quadrants(sample, region, &quadrants) {
            let reason = format!(
                "{what} (regions {}); the quadrants must share the events of region {} among \
                 them, each in one: correct their selections",
                reweighting.quadrants.join(", "),
                config.region
            );
            return Err(Error::config_at("comparison.reweighting.quadrants", reason));
        }
    }
    Ok(())
}

/// Events that are not in one quadrant and in the region, in words; none if all are.
fn outside_quadrants(sample: &Sample, region: u64, quadrants: &[u64]) -> Option<String> {
    let (mut several, mut none, mut outside) = (0u64, 0u64, 0u64);
    for flags in &sample.table.flags {
        let inside = quadrants.iter().filter(|q| flags & **q != 0).count();
        several += u64::from(inside > 1);
        if flags & region == 0 {
            outside += u64::from(inside > 0);
        } else {
            none += u64::from(inside == 0);
        }
    }
    let found = [
        (several, "are in more than one quadrant"),
        (none, "are in the region and in no quadrant"),
        (outside, "are in a quadrant and not in the region"),
    ];
    let (events, what) = found.into_iter().find(|(events, _)| *events > 0)?;
    Some(format!("{events} events of the {} {what}", sample.role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::Histogram;

    /// What is not a number is not zero.
    #[test]
    fn an_excess_that_is_no_number_is_none() {
        assert_eq!(beyond(0.5, 0.3), Some(0.4));
        assert_eq!(beyond(0.1, 0.3), Some(0.0));
        assert_eq!(beyond(f64::NAN, 0.3), None);
        assert_eq!(beyond(0.3, f64::INFINITY), None);
    }

    #[test]
    fn empty_bins_take_what_their_neighbours_have() {
        let values = [Some(0.2), None, Some(0.4), Some(0.0), None, None, None];
        let smoothed = smooth(&values);
        assert!((smoothed[1].unwrap() - 0.3).abs() < 1e-12);
        assert!((smoothed[3].unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(smoothed[4], Some(0.0));
        assert_eq!(smoothed[5..], [None, None]);
    }

    fn histogram(values: [f64; 3], variances: [f64; 3]) -> Histogram {
        Histogram {
            values: values.to_vec(),
            variances: variances.to_vec(),
        }
    }

    fn distribution() -> VariableMetrics {
        // members: 0.25, 1 and 4 on the diagonal, -0.1 beside it
        let covariance = [[1.25, 1.9, 2.9], [1.9, 5.0, 5.9], [2.9, 5.9, 13.0]];
        let components = [
            ("members", [0.5, 1.0, 2.0]),
            ("normalisation", [1.0, 2.0, 3.0]),
        ];
        VariableMetrics {
            edges: vec![0.0, 1.0, 2.0, 3.0],
            after: histogram([10.0, 20.0, 30.0], [1.0, 2.0, 3.0]),
            covariance: covariance.map(|line| line.to_vec()).to_vec(),
            components: components
                .map(|(name, errors)| (name.to_owned(), errors.to_vec()))
                .into(),
            ..VariableMetrics::default()
        }
    }

    /// Every component of a result is there once, and together they are its
    /// covariance.
    #[test]
    fn components_of_a_result_are_taken_apart() {
        let v = distribution();
        let components = of_distribution(&v);
        let names: Vec<&str> = components.iter().map(|c| &*c.name).collect();
        assert_eq!(names, ["members", "normalisation"]);
        let parts: Vec<_> = components
            .iter()
            .map(|c| c.covariance(&v.after.values))
            .collect();
        for (i, line) in v.covariance.iter().enumerate() {
            for (k, whole) in line.iter().enumerate() {
                let sum: f64 = parts.iter().map(|part| part[i][k]).sum();
                assert!((sum - whole).abs() < 1e-12);
            }
            assert!((parts[0][i][i].sqrt() - v.components["members"][i]).abs() < 1e-12);
        }
    }

    /// Histograms of other edges are not combined by number.
    #[test]
    fn non_closure_of_other_edges_is_missing() {
        let v = distribution();
        // 10 % beyond no errors; nothing is observed in the other bins
        let of = |edges: Vec<f64>| {
            let known = VariableMetrics {
                edges,
                observed: Some(histogram([10.0, 0.0, 0.0], [0.0; 3])),
                after: histogram([11.0, 1.0, 1.0], [0.0; 3]),
                spread: vec![0.0; 3],
                ..VariableMetrics::default()
            };
            MethodMetrics {
                variables: [("x".to_owned(), known)].into(),
                ..MethodMetrics::default()
            }
        };
        let mut missing = Vec::new();
        let other = of(vec![0.0, 1.5, 2.0, 3.0]);
        assert!(non_closure_shifts("b", &other, "x", &v, &mut missing).is_err());
        let same = of(v.edges.clone());
        let shifts = non_closure_shifts("b", &same, "x", &v, &mut missing).unwrap();
        for (bin, up) in [1.1, 1.1, 1.0].into_iter().enumerate() {
            let mut expected = [10.0, 20.0, 30.0];
            expected[bin] *= up;
            let pairs = shifts[bin].iter().zip(expected);
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-12),
                "{shifts:?}"
            );
        }
        let bins: Vec<_> = missing.into_iter().map(|m| m.bins).collect();
        assert_eq!(bins, [[1], [2]]);
    }
}
