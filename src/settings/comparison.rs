//! `[comparison]`: regions and methods of a matrix side by side.

use super::EnsembleSpec;
use super::check::{Checked, ensure};
use super::parse::Experiment;
use super::raw::Method;
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// `[comparison]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparisonConfig {
    /// Axis of the matrix whose values are validation regions.
    #[serde(default = "default_rows")]
    pub rows: String,
    /// Axis of the matrix whose values are methods.
    #[serde(default = "default_methods")]
    pub methods: String,
    /// Region of each ensemble in which prediction and observation are compared.
    pub region: String,
    /// The reweighting.
    #[serde(default)]
    pub reweighting: Option<ReweightingComparison>,
    /// Value of the methods' axis that interpolates.
    #[serde(default)]
    pub interpolation: Option<String>,
    /// Distributions that are compared; all that the methods share if empty.
    #[serde(default)]
    pub variables: Vec<String>,
}

/// `[comparison.reweighting]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReweightingComparison {
    /// Value of the methods' axis that gives the nominal prediction (trained in
    /// CR1).
    pub nominal: String,
    /// Value that gives the variation (trained in CR2).
    #[serde(default)]
    pub variation: Option<String>,
    /// Quadrants of the region: names of regions of each ensemble. In one after the
    /// other the variation takes the nominal's place.
    #[serde(default)]
    pub quadrants: Vec<String>,
    /// Value of the rows' axis whose non-closure becomes an error of all others.
    #[serde(default)]
    pub nonclosure: Option<String>,
}

fn default_rows() -> String {
    "region".to_owned()
}
fn default_methods() -> String {
    "method".to_owned()
}

impl ComparisonConfig {
    /// Names of an ensemble's row and method.
    #[must_use]
    pub fn place<'a>(&self, spec: &'a EnsembleSpec) -> Option<[&'a str; 2]> {
        let of = |axis: &str| spec.point.get(axis).map(String::as_str);
        Some([of(&self.rows)?, of(&self.methods)?])
    }

    pub(super) fn check(&self, experiment: &Experiment) -> Checked {
        let common = experiment.common();
        let axis = |key: &str, name: &str| -> Result<Vec<String>> {
            let known: Vec<&String> = experiment.axes.keys().collect();
            ensure(
                experiment.axes.contains_key(name),
                &format!("comparison.{key}"),
                name,
                &format!("an axis of [matrix]: {known:?}"),
            )?;
            Ok(experiment.axes[name].clone())
        };
        let rows = axis("rows", &self.rows)?;
        let methods = axis("methods", &self.methods)?;
        ensure(
            self.rows != self.methods,
            "comparison.rows",
            &self.rows,
            "another axis than that of the methods",
        )?;
        let others: Vec<&String> = experiment
            .axes
            .keys()
            .filter(|name| **name != self.rows && **name != self.methods)
            .collect();
        ensure(
            others.is_empty(),
            "comparison",
            &others,
            "no axes beside those of rows and methods: one ensemble for each pair",
        )?;
        let value = |key: &str, value: &str, of: &[String]| {
            ensure(
                of.iter().any(|other| other == value),
                &format!("comparison.{key}"),
                value,
                &format!("one of the axis' values: {of:?}"),
            )
        };
        let region = |key: &str, name: &String| {
            let known: Vec<&String> = common.regions.keys().collect();
            ensure(
                common.regions.contains_key(name),
                &format!("comparison.{key}"),
                name,
                &format!("a name under [regions]: {known:?}"),
            )
        };
        region("region", &self.region)?;
        ensure(
            self.reweighting.is_some() || self.interpolation.is_some(),
            "comparison",
            "neither",
            "`reweighting`, `interpolation` or both",
        )?;
        let report = &common.report.variables;
        for name in &self.variables {
            let known: Vec<&String> = report.iter().map(|v| &v.name).collect();
            ensure(
                known.contains(&name) || common.features.inputs.contains(name),
                "comparison.variables",
                name,
                &format!("a distribution of the report: {known:?}"),
            )?;
        }
        let interpolates = |method: &str, expected: bool| {
            let mut of_method = experiment
                .ensembles
                .iter()
                .filter(|e| self.place(e).is_some_and(|[_, m]| m == method));
            of_method.all(|e| (e.config.experiment.method == Method::Interpolate) == expected)
        };
        for spec in &experiment.ensembles {
            let Some(interpolation) = &spec.config.interpolation else {
                continue;
            };
            ensure(
                spec.config.experiment.method != Method::Interpolate
                    || interpolation
                        .predicted(&spec.config)
                        .contains(&self.region.as_str()),
                "comparison.region",
                &self.region,
                "a region that the interpolation predicts (interpolation.regions)",
            )?;
        }
        if let Some(method) = &self.interpolation {
            value("interpolation", method, &methods)?;
            ensure(
                interpolates(method, true),
                "comparison.interpolation",
                method,
                "a value whose ensembles have `experiment.method = \"interpolate\"`",
            )?;
        }
        if let Some(reweighting) = &self.reweighting {
            value("reweighting.nominal", &reweighting.nominal, &methods)?;
            let reweights = "a value whose ensembles reweight";
            ensure(
                interpolates(&reweighting.nominal, false),
                "comparison.reweighting.nominal",
                &reweighting.nominal,
                reweights,
            )?;
            if let Some(variation) = &reweighting.variation {
                value("reweighting.variation", variation, &methods)?;
                ensure(
                    interpolates(variation, false),
                    "comparison.reweighting.variation",
                    variation,
                    reweights,
                )?;
            }
            let distinct: HashSet<&String> = reweighting.quadrants.iter().collect();
            ensure(
                distinct.len() == reweighting.quadrants.len(),
                "comparison.reweighting.quadrants",
                &reweighting.quadrants,
                "each quadrant once",
            )?;
            if let Some(row) = &reweighting.nonclosure {
                value("reweighting.nonclosure", row, &rows)?;
            }
            for quadrant in &reweighting.quadrants {
                region("reweighting.quadrants", quadrant)?;
            }
            ensure(
                reweighting.variation.is_some() || reweighting.quadrants.is_empty(),
                "comparison.reweighting.quadrants",
                &reweighting.quadrants,
                "nothing without `variation`, which takes the nominal's place in them",
            )?;
            ensure(
                reweighting.variation.as_ref() != Some(&reweighting.nominal),
                "comparison.reweighting.variation",
                &reweighting.variation,
                "another value than that of `nominal`: it would vary nothing",
            )?;
            ensure(
                reweighting.nonclosure.is_none() || rows.len() > 1,
                "comparison.reweighting.nonclosure",
                &reweighting.nonclosure,
                "nothing with a single row: it is an error of all others",
            )?;
        }
        Ok(())
    }
}
