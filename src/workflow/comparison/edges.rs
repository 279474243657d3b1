//! Edges that all ensembles of a comparison take from one of them.

use crate::results::Metrics;
use crate::settings::{Bins, Config, Experiment};
use crate::workflow::plan::Plan;
use indexmap::IndexMap;
use sideband_numerics::Edges;

/// Edges by the distribution's name.
#[derive(Clone, Debug)]
pub(in crate::workflow) struct CommonEdges(IndexMap<String, Edges>);

/// Whether the configuration leaves the edges of a distribution to the data.
fn is_automatic(config: &Config, name: &str) -> bool {
    let given = config.report.variables.iter().find(|v| v.name == name);
    given.is_none_or(|v| matches!(v.bins, Bins::Number(_)))
}

impl CommonEdges {
    /// Place of the ensemble whose edges all others take; none without a comparison.
    pub(in crate::workflow) fn reference(experiment: &Experiment) -> Option<usize> {
        let config = experiment.comparison.as_ref()?;
        let row = experiment.axes.get(&config.rows)?.first()?;
        let nominal = config.reweighting.as_ref().map(|r| &r.nominal);
        let method = nominal.or(config.interpolation.as_ref())?;
        let mut ensembles = experiment.ensembles.iter();
        ensembles.position(|spec| config.place(spec) == Some([row, method]))
    }

    /// The edges of an ensemble.
    pub(in crate::workflow) fn of(plan: &Plan) -> Self {
        let variables = plan.variables.iter();
        let automatic = variables.filter(|v| is_automatic(&plan.config, &v.name));
        Self(
            automatic
                .map(|v| (v.name.clone(), v.edges.clone()))
                .collect(),
        )
    }

    /// Gives them to another one.
    pub(in crate::workflow) fn give_to(&self, plan: &mut Plan) {
        for variable in &mut plan.variables {
            if let Some(edges) = self.0.get(&variable.name)
                && is_automatic(&plan.config, &variable.name)
            {
                variable.edges = edges.clone();
            }
        }
    }

    /// Whether a result was made with them.
    pub(in crate::workflow) fn are_those_of(&self, metrics: &Metrics, config: &Config) -> bool {
        let variables = metrics.regions.values().flat_map(|r| &r.variables);
        variables
            .filter(|(name, _)| is_automatic(config, name))
            .all(|(name, v)| self.0.get(name).is_none_or(|e| e.values() == v.edges))
    }
}
