//! The distributions that are compared: every input, and what the report asks
//! for beside them.

use super::events::Sample;
use super::plan::PlanError;
use crate::events::memory;
use crate::settings::{Bins, Config};
use sideband_numerics::{Edges, NumericsError};

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
pub(super) fn columns(config: &Config) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> = config
        .report
        .variables
        .iter()
        .map(|v| {
            let text = v.expression.clone().unwrap_or_else(|| v.name.clone());
            (v.name.clone(), text)
        })
        .collect();
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
) -> Result<Vec<Variable>, PlanError> {
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
        let values = source.feature(k, name);
        let mut all = memory::reserved(source.table.len())
            .map_err(|e| PlanError::data("data.source".to_owned(), e))?;
        all.extend((0..source.table.len()).map(|row| values.at(row)));
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

fn cannot_be_binned(key: &'static str, name: &str, error: &NumericsError) -> PlanError {
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
    PlanError::Variable {
        key,
        name: name.to_owned(),
        reason,
    }
}
