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

mod edges;
mod errors;
mod quadrants;

pub(super) use edges::CommonEdges;
pub(super) use quadrants::check_quadrants;

use super::metrics::{Component, Correlations, compare};
use super::plan::Variable;
use crate::report::EnsembleEnd;
use crate::results::{
    ComparisonMetrics, ComparisonRow, MethodMetrics, Metrics, MissingError, RegionMetrics,
    VariableMetrics, YieldMetrics,
};
use crate::settings::{ComparisonConfig, Experiment, ReweightingComparison};
use errors::{
    Known, NOT_FINITE, finite, non_closure_shifts, of_distribution, of_result, total_excess,
};
use indexmap::IndexMap;
use sideband_numerics::Edges;

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
