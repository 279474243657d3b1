//! `comparison.json`: methods side by side.

use super::metrics::VariableMetrics;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// `comparison.json`: rows are validation regions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonMetrics {
    /// Region of each ensemble that is compared.
    pub region: String,
    /// The rows by name, in the order of the axis.
    pub rows: IndexMap<String, ComparisonRow>,
}

/// One validation region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// Observed events; none where blind.
    pub observed: Option<f64>,
    /// Their statistical error.
    pub observed_error: Option<f64>,
    /// `reweighting`, `interpolation`, `abcd`: those that there are.
    pub methods: IndexMap<String, MethodMetrics>,
    /// Methods that were asked for and have no result, with the reason.
    pub missing: IndexMap<String, String>,
}

/// One method in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Errors that were asked for and are not part of the above.
    pub missing: Vec<MissingError>,
}

/// An error that was asked for and is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissingError {
    /// `control_region`, ...; `all` where the whole distribution is missing.
    pub component: String,
    /// The distribution; none: the yield.
    pub variable: Option<String>,
    /// Bins without it, from 0; all of them if empty.
    pub bins: Vec<usize>,
    /// Why.
    pub reason: String,
}

impl MissingError {
    pub(crate) fn new(component: &str, variable: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            component: component.to_owned(),
            variable: variable.map(ToOwned::to_owned),
            bins: Vec::new(),
            reason: reason.into(),
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn describe(&self) -> String {
        let component = self.component.replace('_', " ");
        let of = self.variable.as_deref().unwrap_or("the yield");
        let bins: Vec<String> = self.bins.iter().map(|bin| (bin + 1).to_string()).collect();
        let bins = match bins.as_slice() {
            [] => String::new(),
            [one] => format!(", bin {one}"),
            many => format!(", bins {}", many.join(" ")),
        };
        if self.component == "all" {
            format!("{of} is not compared: {}", self.reason)
        } else {
            format!("the error of {of}{bins} lacks {component}: {}", self.reason)
        }
    }
}

impl MethodMetrics {
    /// chi2 / (bins - 1) of the shape of a distribution, without the errors that
    /// bins have in common (as published) and with them.
    #[must_use]
    pub fn shape(&self, variable: &str) -> [Option<f64>; 2] {
        let Some(v) = self.variables.get(variable) else {
            return [None; 2];
        };
        let reduced = |chi2: Option<crate::statistics::Chi2>| {
            let chi2 = chi2.filter(|c| c.ndf > 0)?;
            Some(chi2.chi2 / chi2.ndf as f64)
        };
        [reduced(v.chi2_shape_statistical), reduced(v.chi2_shape)]
    }
}

impl ComparisonMetrics {
    /// Everything that was asked for and is not there, a sentence each.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, row) in &self.rows {
            let whole = row.missing.iter();
            lines.extend(whole.map(|(method, why)| format!("{name}, {method}: {why}")));
            for (method, metrics) in &row.methods {
                let parts = metrics.missing.iter().map(MissingError::describe);
                lines.extend(parts.map(|text| format!("{name}, {method}: {text}")));
            }
        }
        lines
    }
}
