//! Whether a matrix has what is compared.

use super::ComparisonConfig;
use crate::settings::matrix::EnsembleSpec;
use crate::settings::parse::Experiment;
use crate::settings::ranges::{Checked, ensure, ensure_known};
use crate::settings::raw::Method;
use std::collections::HashSet;

impl ComparisonConfig {
    /// Names of an ensemble's row and method.
    #[must_use]
    pub fn place<'a>(&self, spec: &'a EnsembleSpec) -> Option<[&'a str; 2]> {
        let of = |axis: &str| spec.point.get(axis).map(String::as_str);
        Some([of(&self.rows)?, of(&self.methods)?])
    }

    pub(in crate::settings) fn check(&self, experiment: &Experiment) -> Checked {
        let axes = &experiment.axes;
        ensure_known(
            "comparison.rows",
            &self.rows,
            "an axis of [matrix]",
            axes.keys(),
        )?;
        ensure_known(
            "comparison.methods",
            &self.methods,
            "an axis of [matrix]",
            axes.keys(),
        )?;
        let (rows, methods) = (&axes[&self.rows], &axes[&self.methods]);
        ensure(
            self.rows != self.methods,
            "comparison.rows",
            &self.rows,
            "another axis than that of the methods",
        )?;
        let is_other = |name: &&String| **name != self.rows && **name != self.methods;
        let others: Vec<&String> = axes.keys().filter(is_other).collect();
        ensure(
            others.is_empty(),
            "comparison",
            &others,
            "no axes beside those of rows and methods: one ensemble for each pair",
        )?;
        let common = experiment.common();
        let ensure_region = |key: &str, name: &String| {
            ensure_known(key, name, "a name under [regions]", common.regions.keys())
        };
        ensure_region("comparison.region", &self.region)?;
        ensure(
            self.reweighting.is_some() || self.interpolation.is_some(),
            "comparison",
            "neither",
            "`reweighting`, `interpolation` or both",
        )?;
        let known = common.report.variables.iter().map(|v| &v.name);
        let is_plotted = |name: &&String| !common.features.inputs.contains(name);
        for name in self.variables.iter().filter(is_plotted) {
            let what = "a distribution of the report";
            ensure_known("comparison.variables", name, what, known.clone())?;
        }
        for EnsembleSpec { config, .. } in &experiment.ensembles {
            let own = config.interpolation.as_ref();
            let own = own.filter(|_| config.experiment.method == Method::Interpolate);
            ensure(
                own.is_none_or(|i| i.predicted(config).contains(&self.region.as_str())),
                "comparison.region",
                &self.region,
                "a region that the interpolation predicts (interpolation.regions)",
            )?;
        }
        // a value of the methods' axis, and whether its ensembles interpolate
        let ensure_method = |key: &str, method: &String, expected: bool| {
            ensure_known(key, method, "one of the axis' values", methods)?;
            let mut specs = experiment.ensembles.iter();
            let fine = specs.all(|e| {
                let interpolates = e.config.experiment.method == Method::Interpolate;
                self.place(e).is_none_or(|[_, m]| m != method) || interpolates == expected
            });
            let allowed = match expected {
                true => "a value whose ensembles have `experiment.method = \"interpolate\"`",
                false => "a value whose ensembles reweight",
            };
            ensure(fine, key, method, allowed)
        };
        if let Some(method) = &self.interpolation {
            ensure_method("comparison.interpolation", method, true)?;
        }
        let Some(reweighting) = &self.reweighting else {
            return Ok(());
        };
        let at = |key: &str| format!("comparison.reweighting.{key}");
        ensure_method(&at("nominal"), &reweighting.nominal, false)?;
        if let Some(variation) = &reweighting.variation {
            ensure_method(&at("variation"), variation, false)?;
        }
        let quadrants = &reweighting.quadrants;
        let distinct: HashSet<&String> = quadrants.iter().collect();
        let is_distinct = distinct.len() == quadrants.len();
        ensure(
            is_distinct,
            &at("quadrants"),
            quadrants,
            "each quadrant once",
        )?;
        if let Some(row) = &reweighting.nonclosure {
            ensure_known(&at("nonclosure"), row, "one of the axis' values", rows)?;
        }
        for quadrant in quadrants {
            ensure_region(&at("quadrants"), quadrant)?;
        }
        ensure(
            reweighting.variation.is_some() || quadrants.is_empty(),
            &at("quadrants"),
            quadrants,
            "nothing without `variation`, which takes the nominal's place in them",
        )?;
        ensure(
            reweighting.variation.as_ref() != Some(&reweighting.nominal),
            &at("variation"),
            &reweighting.variation,
            "another value than that of `nominal`: it would vary nothing",
        )?;
        ensure(
            reweighting.nonclosure.is_none() || rows.len() > 1,
            &at("nonclosure"),
            &reweighting.nonclosure,
            "nothing with a single row: it is an error of all others",
        )
    }
}
