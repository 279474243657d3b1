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
//! error is missing for is in [`MethodMetrics::missing`], with the reason.

mod edges;
mod quadrants;

use super::closure::{Component, Variations, compare};
use super::variables::Variable;
use crate::closure::Histogram;
use crate::report::EnsembleEnd;
use crate::results::{
    ComparisonMetrics, ComparisonRow, MethodMetrics, Metrics, MissingError, VariableMetrics,
    YieldMetrics,
};
use crate::settings::{ComparisonConfig, Experiment, ReweightingComparison};
pub(super) use edges::CommonEdges;
use indexmap::IndexMap;
pub(super) use quadrants::check_quadrants;
use sideband_numerics::Edges;

/// An ensemble's result, and how it is called.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    metrics: &'a Metrics,
}

/// The results by row and method, or why there is none.
struct Results<'a> {
    experiment: &'a Experiment,
    config: &'a ComparisonConfig,
    ends: &'a [EnsembleEnd],
}

impl<'a> Results<'a> {
    fn find(&self, row: &str, method: &str) -> Result<Named<'a>, String> {
        let mut all = self.experiment.ensembles.iter();
        let spec = all
            .find(|spec| self.config.place(spec) == Some([row, method]))
            .ok_or_else(|| format!("there is no ensemble {row}, {method}"))?;
        let name = spec.name.as_str();
        let end = self.ends.iter().find(|end| end.name == name);
        let end = end.ok_or_else(|| format!("ensemble {name} has not been made"))?;
        match (&end.metrics, &end.error) {
            (Some(metrics), _) => Ok(Named { name, metrics }),
            (None, Some(error)) => Err(format!("ensemble {name} has no result: {error}")),
            (None, None) => Err(format!("ensemble {name} has no result")),
        }
    }
}

/// Compares what is there of an experiment; none if nothing is to be compared.
#[must_use]
pub(crate) fn compare_methods(
    experiment: &Experiment,
    ends: &[EnsembleEnd],
) -> Option<ComparisonMetrics> {
    let config = experiment.comparison.as_ref()?;
    let results = Results {
        experiment,
        config,
        ends,
    };
    let reweighting = config.reweighting.as_ref();
    let source = reweighting.and_then(|r| Some((r, r.nonclosure.as_deref()?)));
    let non_closure = source.map(|(r, row)| non_closure(&results, r, row));
    let names = experiment.axes.get(&config.rows)?;
    let mut rows = IndexMap::new();
    for name in names {
        let own = source.is_some_and(|(_, row)| row == name);
        let extra = if own { None } else { non_closure.as_ref() };
        rows.insert(name.clone(), compared_row(&results, name, extra));
    }
    let any = rows.values().any(|row| !row.methods.is_empty());
    any.then(|| ComparisonMetrics {
        region: config.region.clone(),
        rows,
    })
}

fn compared_row(
    results: &Results<'_>,
    name: &str,
    non_closure: Option<&Result<NonClosure, String>>,
) -> ComparisonRow {
    let config = results.config;
    let mut row = ComparisonRow::default();
    let mut observed = None;
    let put = |row: &mut ComparisonRow, key: &str, made: Result<MethodMetrics, String>| match made {
        Ok(method) => _ = row.methods.insert(key.to_owned(), method),
        Err(reason) => _ = row.missing.insert(key.to_owned(), reason),
    };
    let mut last = None;
    if let Some(reweighting) = &config.reweighting {
        match results.find(name, &reweighting.nominal) {
            Err(reason) => {
                put(&mut row, "reweighting", Err(reason.clone()));
                last = Some(Err(reason));
            }
            Ok(nominal) => {
                let pair = Reweighting {
                    config,
                    reweighting,
                    nominal,
                    variation: variation(results, reweighting, name),
                };
                put(&mut row, "reweighting", pair.method(non_closure));
                last = Some(abcd(config, nominal));
                observed = observation(config, nominal.metrics);
            }
        }
    }
    if let Some(method) = &config.interpolation {
        match results.find(name, method) {
            Err(reason) => put(&mut row, "interpolation", Err(reason)),
            Ok(found) => {
                put(&mut row, "interpolation", direct(config, found));
                observed = observed.or_else(|| observation(config, found.metrics));
            }
        }
    }
    // the estimate without networks comes last
    if let Some(abcd) = last {
        put(&mut row, "abcd", abcd);
    }
    row.observed = observed.map(|o| o[0]);
    row.observed_error = observed.map(|o| o[1]);
    row
}

fn variation<'a>(
    results: &Results<'a>,
    reweighting: &ReweightingComparison,
    row: &str,
) -> Option<Result<Named<'a>, String>> {
    let method = reweighting.variation.as_ref()?;
    Some(results.find(row, method))
}

fn observation(config: &ComparisonConfig, metrics: &Metrics) -> Option<[f64; 2]> {
    let yields = &metrics.regions.get(&config.region)?.yields;
    Some([yields.observed?, yields.observed_error?])
}

fn no_region(region: &str, of: &Named<'_>) -> String {
    format!(
        "region {region} is not in the result of ensemble {}",
        of.name
    )
}

fn is_wanted(config: &ComparisonConfig, name: &str) -> bool {
    config.variables.is_empty() || config.variables.iter().any(|v| v == name)
}

/// Distributions that were asked for and that an ensemble does not have.
fn not_there<'a>(
    config: &ComparisonConfig,
    there: impl Iterator<Item = &'a String> + Clone,
) -> Vec<MissingError> {
    let missing = config
        .variables
        .iter()
        .filter(|v| !there.clone().any(|t| t == *v));
    let text = "it is no distribution of the ensemble";
    missing
        .map(|v| MissingError::new("all", Some(v), text))
        .collect()
}

fn variable(name: &str, metrics: &VariableMetrics) -> Result<Variable, String> {
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
        let reason = "it is not a finite number";
        let mut error = MissingError::new(&component.name, variable, reason);
        // a yield has one bin, which need not be named
        error.bins = if variable.is_some() { bins } else { Vec::new() };
        missing.push(error);
    }
    kept
}

/// The yield from its histogram of one bin.
fn of_yield(
    observed: Option<[f64; 2]>,
    total: &Histogram,
    components: Vec<Component>,
    variables: IndexMap<String, VariableMetrics>,
    mut missing: Vec<MissingError>,
) -> Result<MethodMetrics, String> {
    let value = total.values[0];
    if !value.is_finite() {
        return Err(format!("the prediction is {value}"));
    }
    let mut errors: IndexMap<String, f64> = IndexMap::new();
    let statistical = total.variances[0].sqrt();
    if statistical.is_finite() {
        errors.insert("statistical".to_owned(), statistical);
    } else {
        let reason = "it is not a finite number";
        missing.push(MissingError::new("statistical", None, reason));
    }
    for component in finite(components, &total.values, None, &mut missing) {
        let variance = component.covariance(&total.values)[0][0];
        let entry = errors.entry(component.name.into_owned()).or_default();
        *entry = entry.hypot(variance.sqrt());
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
    Ok(MethodMetrics {
        predicted: value,
        errors,
        error,
        difference,
        difference_error,
        variables,
        missing,
    })
}

/// The components of a yield, the members' first: all of them that its ensemble has.
fn of_result(y: &YieldMetrics) -> Vec<Component> {
    let component = |(name, error): (&String, &f64)| Component {
        name: name.clone().into(),
        variations: match name.as_str() {
            "members" => Variations::Covariance(vec![vec![error * error]]),
            _ => Variations::Shifts(vec![vec![y.after + error]]),
        },
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
        let shifts = vec![values.map(|(value, error)| value + error).collect()];
        list.push(Component {
            name: name.clone().into(),
            variations: Variations::Shifts(shifts),
        });
    }
    for (bin, line) in left.iter_mut().enumerate() {
        // differences of rounding are no variance
        line[bin] = line[bin].max(0.0);
    }
    let members = Component {
        name: "members".into(),
        variations: Variations::Covariance(left),
    };
    list.insert(0, members);
    list
}

/// Which of the errors that a method has are not in its ensemble's result.
fn absent(y: &YieldMetrics, expected: &[(&str, &str)], replicas: usize) -> Vec<MissingError> {
    let is_absent = |(name, _): &&(&str, &str)| !y.components.contains_key(*name);
    let absent = expected.iter().filter(is_absent);
    let mut missing: Vec<MissingError> = absent
        .map(|(name, why)| MissingError::new(name, None, *why))
        .collect();
    if replicas < 2 && y.components.contains_key("members") {
        let reason = format!("{replicas} member or replica has no spread");
        missing.push(MissingError::new("members", None, reason));
    }
    missing
}

const EARLIER: &str = "the result is an earlier program's; run again in a new directory";

/// A method whose metrics have all of its errors already.
fn direct(config: &ComparisonConfig, of: Named<'_>) -> Result<MethodMetrics, String> {
    let metrics = of.metrics;
    let region = metrics.regions.get(&config.region);
    let region = region.ok_or_else(|| no_region(&config.region, &of))?;
    let y = &region.yields;
    let total = Histogram {
        values: vec![y.after],
        variances: vec![y.after_stat.powi(2)],
    };
    let expected = [
        ("members", EARLIER),
        ("gp", "interpolation.posterior_draws is 0"),
        ("normalisation", EARLIER),
    ];
    let mut missing = absent(y, &expected, metrics.members.replicas);
    missing.extend(not_there(config, region.variables.keys()));
    let kept = region.variables.iter();
    let kept = kept.filter(|(name, _)| is_wanted(config, name));
    let variables = kept.map(|(name, v)| (name.clone(), v.clone())).collect();
    let observed = observation(config, metrics);
    of_yield(observed, &total, of_result(y), variables, missing)
}

/// The source as a whole, scaled.
fn abcd(config: &ComparisonConfig, of: Named<'_>) -> Result<MethodMetrics, String> {
    let metrics = of.metrics;
    let region = metrics.regions.get(&config.region);
    let region = region.ok_or_else(|| no_region(&config.region, &of))?;
    let y = &region.yields;
    let value = y.before;
    let value = value.ok_or("the ensemble has no source that is scaled as a whole")?;
    let mut missing = Vec::new();
    let relative = metrics.relative_training_error();
    let scaling = |nominal: &[f64]| {
        let shift = nominal.iter().map(|n| n * (1.0 + relative)).collect();
        vec![Component {
            name: "normalisation".into(),
            variations: Variations::Shifts(vec![shift]),
        }]
    };
    let mut variables = IndexMap::new();
    missing.extend(not_there(config, region.variables.keys()));
    for (name, v) in region.variables.iter() {
        if !is_wanted(config, name) {
            continue;
        }
        let made = variable(name, v).and_then(|variable| {
            let before = v.before.as_ref();
            let before = before.ok_or("it has no histogram of the source as a whole")?;
            Ok((variable, before))
        });
        match made {
            Err(reason) => missing.push(MissingError::new("all", Some(name), reason)),
            Ok((variable, before)) => {
                let components = scaling(&before.values);
                let components = finite(components, &before.values, Some(name), &mut missing);
                let observed = v.observed.clone();
                let compared = compare(&variable, None, before, &components, observed);
                variables.insert(name.clone(), compared);
            }
        }
    }
    let statistical = y.before_stat;
    if statistical.is_none() {
        missing.push(MissingError::new("statistical", None, EARLIER));
    }
    let total = Histogram {
        values: vec![value],
        variances: vec![statistical.unwrap_or(0.0).powi(2)],
    };
    let components = scaling(&total.values);
    let observed = observation(config, metrics);
    of_yield(observed, &total, components, variables, missing)
}

/// Relative error a bin from the non-closure of one row: of the yield, and of each
/// distribution; or why there is none.
struct NonClosure {
    row: String,
    total: Result<f64, String>,
    variables: IndexMap<String, Result<NonClosureBins, String>>,
}

/// Of one distribution.
struct NonClosureBins {
    edges: Vec<f64>,
    /// Smoothed; none where neither the bin nor its neighbours are known.
    relative: Vec<Option<f64>>,
    /// Bins in which nothing is observed or predicted.
    empty: Vec<usize>,
}

fn non_closure(
    results: &Results<'_>,
    reweighting: &ReweightingComparison,
    row: &str,
) -> Result<NonClosure, String> {
    let method = Reweighting {
        config: results.config,
        reweighting,
        nominal: results.find(row, &reweighting.nominal)?,
        variation: variation(results, reweighting, row),
    }
    .method(None)?;
    let total = match (method.difference, method.difference_error) {
        (Some(difference), Some(error)) => beyond(difference / 100.0, error / 100.0)
            .ok_or_else(|| format!("that of row {row} is not a finite number")),
        _ => Err(format!(
            "row {row} is blind, or nothing is observed or predicted in it"
        )),
    };
    let variables = method.variables.iter();
    let variables = variables.map(|(name, v)| (name.clone(), non_closure_bins(row, v)));
    Ok(NonClosure {
        row: row.to_owned(),
        total,
        variables: variables.collect(),
    })
}

fn non_closure_bins(row: &str, v: &VariableMetrics) -> Result<NonClosureBins, String> {
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
    let excess: Vec<Option<f64>> = (0..observed.values.len()).map(of).collect();
    let empty = excess.iter().enumerate().filter(|(_, e)| e.is_none());
    Ok(NonClosureBins {
        edges: v.edges.clone(),
        relative: smooth(&excess),
        empty: empty.map(|(bin, _)| bin).collect(),
    })
}

/// What a deviation is more than its error explains, in quadrature; none if it is
/// not a number.
fn beyond(deviation: f64, error: f64) -> Option<f64> {
    let square = deviation * deviation - error * error;
    square.is_finite().then(|| square.max(0.0).sqrt())
}

/// Mean of each bin and its neighbours, of those that are known.
fn smooth(values: &[Option<f64>]) -> Vec<Option<f64>> {
    (0..values.len())
        .map(|bin| {
            let window = &values[bin.saturating_sub(1)..(bin + 2).min(values.len())];
            let known: Vec<f64> = window.iter().flatten().copied().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect()
}

/// The reweighting in one row.
struct Reweighting<'a> {
    config: &'a ComparisonConfig,
    reweighting: &'a ReweightingComparison,
    nominal: Named<'a>,
    /// None if it was not asked for; else the result, or why there is none.
    variation: Option<Result<Named<'a>, String>>,
}

/// Bins of a region in an ensemble's result, or why they cannot be had.
type Pick<'p> = &'p dyn Fn(&Named<'_>, &str) -> Result<Vec<f64>, String>;

impl Reweighting<'_> {
    fn method(
        &self,
        non_closure: Option<&Result<NonClosure, String>>,
    ) -> Result<MethodMetrics, String> {
        let metrics = self.nominal.metrics;
        let region = metrics.regions.get(&self.config.region);
        let region = region.ok_or_else(|| no_region(&self.config.region, &self.nominal))?;
        let y = &region.yields;
        let expected = [("members", EARLIER), ("normalisation", EARLIER)];
        let mut missing = absent(y, &expected, metrics.members.replicas);
        missing.extend(not_there(self.config, region.variables.keys()));
        let mut variables = IndexMap::new();
        for (name, v) in &region.variables {
            if !is_wanted(self.config, name) {
                continue;
            }
            match variable(name, v) {
                Err(reason) => missing.push(MissingError::new("all", Some(name), reason)),
                Ok(variable) => {
                    let components = self.of_variable(name, v, non_closure, &mut missing);
                    let (before, observed) = (v.before.as_ref(), v.observed.clone());
                    let compared = compare(&variable, before, &v.after, &components, observed);
                    variables.insert(name.clone(), compared);
                }
            }
        }
        let total = Histogram {
            values: vec![y.after],
            variances: vec![y.after_stat.powi(2)],
        };
        let pick = |of: &Named<'_>, region: &str| -> Result<Vec<f64>, String> {
            let found = of.metrics.regions.get(region);
            let found = found.ok_or_else(|| no_region(region, of))?;
            Ok(vec![found.yields.after])
        };
        let mut components = of_result(y);
        let shift = self.control_region(&total.values, &pick);
        keep(&mut components, &mut missing, "control_region", None, shift);
        if let Some(known) = non_closure {
            let shift = known.as_ref().map_err(Clone::clone).and_then(|known| {
                let relative = known.total.clone()?;
                Ok(vec![vec![y.after * (1.0 + relative)]])
            });
            keep(
                &mut components,
                &mut missing,
                "nonclosure",
                None,
                Some(shift),
            );
        }
        let observed = observation(self.config, metrics);
        of_yield(observed, &total, components, variables, missing)
    }

    /// All components of one distribution; what cannot be had is said.
    fn of_variable(
        &self,
        name: &str,
        v: &VariableMetrics,
        non_closure: Option<&Result<NonClosure, String>>,
        missing: &mut Vec<MissingError>,
    ) -> Vec<Component> {
        let pick = |of: &Named<'_>, region: &str| -> Result<Vec<f64>, String> {
            let found = of.metrics.regions.get(region);
            let found = found.ok_or_else(|| no_region(region, of))?;
            let other = found.variables.get(name);
            let other = other
                .ok_or_else(|| format!("{name} is no distribution of ensemble {}", of.name))?;
            if other.edges != v.edges {
                let text = format!("the edges of {name} are others in ensemble {}", of.name);
                return Err(text);
            }
            Ok(other.after.values.clone())
        };
        let mut components = of_distribution(v);
        let nominal = &v.after.values;
        let shifts = self.control_region(nominal, &pick);
        keep(
            &mut components,
            missing,
            "control_region",
            Some(name),
            shifts,
        );
        if let Some(known) = non_closure {
            let shifts = non_closure_shifts(known, name, v, missing);
            keep(
                &mut components,
                missing,
                "nonclosure",
                Some(name),
                Some(shifts),
            );
        }
        finite(components, nominal, Some(name), missing)
    }

    /// The prediction with the variation in the nominal's place, a quadrant each;
    /// none if no variation was asked for.
    fn control_region(
        &self,
        nominal: &[f64],
        pick: Pick<'_>,
    ) -> Option<Result<Vec<Vec<f64>>, String>> {
        let variation = match self.variation.as_ref()? {
            Ok(variation) => variation,
            Err(reason) => return Some(Err(reason.clone())),
        };
        // without quadrants the whole region changes at once
        let whole = [self.config.region.clone()];
        let quadrants: &[String] = match self.reweighting.quadrants.as_slice() {
            [] => &whole,
            some => some,
        };
        let shift = |quadrant: &String| -> Result<Vec<f64>, String> {
            let old = pick(&self.nominal, quadrant)?;
            let new = pick(variation, quadrant)?;
            let bins = nominal.iter().zip(old.iter().zip(&new));
            Ok(bins.map(|(n, (old, new))| n - old + new).collect())
        };
        Some(quadrants.iter().map(shift).collect())
    }
}

/// Adds the component of these shifts, or why it cannot be had; `None`: not asked for.
fn keep(
    components: &mut Vec<Component>,
    missing: &mut Vec<MissingError>,
    name: &'static str,
    variable: Option<&str>,
    shifts: Option<Result<Vec<Vec<f64>>, String>>,
) {
    match shifts {
        None => {}
        Some(Ok(shifts)) => components.push(Component {
            name: name.into(),
            variations: Variations::Shifts(shifts),
        }),
        Some(Err(reason)) => missing.push(MissingError::new(name, variable, reason)),
    }
}

/// One shift a bin, since nothing says how bins hang together; bins that are empty in
/// the row of the non-closure are said.
fn non_closure_shifts(
    known: &Result<NonClosure, String>,
    name: &str,
    v: &VariableMetrics,
    missing: &mut Vec<MissingError>,
) -> Result<Vec<Vec<f64>>, String> {
    let known = known.as_ref().map_err(Clone::clone)?;
    let bins = known.variables.get(name);
    let bins = bins.ok_or_else(|| format!("{name} is no distribution of row {}", known.row))?;
    let bins = bins.as_ref().map_err(Clone::clone)?;
    if bins.edges != v.edges {
        return Err(format!(
            "the edges of {name} are others in row {}",
            known.row
        ));
    }
    let empty = bins.empty.iter().copied();
    let (filled, unknown): (Vec<usize>, Vec<usize>) =
        empty.partition(|bin| bins.relative[*bin].is_some());
    let nothing = format!(
        "nothing is observed or predicted there in row {}",
        known.row
    );
    let taken = format!("{nothing}; that of the neighbouring bins is taken");
    for (bins, reason) in [(filled, taken), (unknown, nothing)] {
        if !bins.is_empty() {
            let mut error = MissingError::new("nonclosure", Some(name), reason);
            error.bins = bins;
            missing.push(error);
        }
    }
    let nominal = &v.after.values;
    let shift = |(bin, relative): (usize, &Option<f64>)| {
        let mut shifted = nominal.clone();
        shifted[bin] *= 1.0 + relative.unwrap_or(0.0);
        shifted
    };
    Ok(bins.relative.iter().enumerate().map(shift).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn distribution() -> VariableMetrics {
        let nominal = vec![10.0, 20.0];
        let normalisation = vec![1.0, 2.0];
        // members: 0.25 and 1 on the diagonal, -0.1 beside it
        let covariance = vec![vec![1.25, 1.9], vec![1.9, 5.0]];
        VariableMetrics {
            label: "x".to_owned(),
            is_input: true,
            log: false,
            edges: vec![0.0, 1.0, 2.0],
            observed: None,
            before: None,
            after: Histogram {
                values: nominal,
                variances: vec![1.0, 2.0],
            },
            spread: vec![1.25f64.sqrt(), 5f64.sqrt()],
            covariance,
            components: [
                ("members".to_owned(), vec![0.5, 1.0]),
                ("normalisation".to_owned(), normalisation),
            ]
            .into(),
            chi2_before: None,
            chi2_after: None,
            chi2_after_covariance: None,
            chi2_shape_statistical: None,
            chi2_shape: None,
            sensitivity: None,
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
        let of = |edges: Vec<f64>| NonClosureBins {
            edges,
            relative: vec![Some(0.1), None],
            empty: vec![1],
        };
        let with = |edges: Vec<f64>| {
            Ok(NonClosure {
                row: "b".to_owned(),
                total: Ok(0.1),
                variables: [("x".to_owned(), Ok(of(edges)))].into(),
            })
        };
        let mut missing = Vec::new();
        let other = with(vec![0.0, 1.5, 2.0]);
        assert!(non_closure_shifts(&other, "x", &v, &mut missing).is_err());
        let same = with(v.edges.clone());
        let shifts = non_closure_shifts(&same, "x", &v, &mut missing).unwrap();
        assert_eq!(shifts, [[11.0, 20.0], [10.0, 20.0]]);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].bins, [1]);
    }
}
