//! An ensemble whose configuration fits its data, whatever its method.

use super::events::Sample;
use super::interpolation::InterpolationPlan;
use super::plan::{Plan, PlanOptions, region_index};
use super::variables::Variable;
use crate::closure::WeightSummary;
use crate::error::Result;
use crate::settings::{Blinding, Config, Method};
use crate::training::{FeatureScaling, Fold, StreamSource, Streams, Task, TrainingSettings};
use sideband_networks::Network;
use std::path::Path;

/// A plan of one of the methods.
#[derive(Clone, Debug)]
pub(crate) enum Planned {
    /// A ratio of two samples.
    Ratio(Box<Plan>),
    /// A density, interpolated.
    Interpolation(Box<InterpolationPlan>),
}

impl Planned {
    /// Reads the data and checks everything that a run needs.
    pub(crate) fn new(
        ensemble: &str,
        config: Config,
        base: &Path,
        options: PlanOptions,
    ) -> Result<Self> {
        Ok(match config.experiment.method {
            Method::Reweight | Method::Ratio | Method::Measure => {
                Self::Ratio(Box::new(Plan::new(ensemble, config, base, options)?))
            }
            Method::Interpolate => {
                let plan = InterpolationPlan::new(ensemble, config, base, options)?;
                Self::Interpolation(Box::new(plan))
            }
        })
    }

    /// Name of the ensemble.
    #[must_use]
    pub(crate) fn ensemble(&self) -> &str {
        match self {
            Self::Ratio(plan) => &plan.ensemble,
            Self::Interpolation(plan) => &plan.ensemble,
        }
    }

    #[must_use]
    pub(crate) fn config(&self) -> &Config {
        match self {
            Self::Ratio(plan) => &plan.config,
            Self::Interpolation(plan) => &plan.config,
        }
    }

    /// What may be looked at.
    #[must_use]
    pub(crate) fn blinding(&self) -> &Blinding {
        match self {
            Self::Ratio(plan) => &plan.blinding,
            Self::Interpolation(plan) => &plan.blinding,
        }
    }

    /// The samples: source and target, or the target alone.
    #[must_use]
    pub(crate) fn samples(&self) -> Vec<&Sample> {
        match self {
            Self::Ratio(plan) => vec![&plan.source, &plan.target],
            Self::Interpolation(plan) => vec![&plan.target],
        }
    }

    /// The distributions that are compared.
    #[must_use]
    pub(crate) fn variables(&self) -> &[Variable] {
        match self {
            Self::Ratio(plan) => &plan.variables,
            Self::Interpolation(plan) => &plan.variables,
        }
    }

    pub(super) fn variables_mut(&mut self) -> &mut [Variable] {
        match self {
            Self::Ratio(plan) => &mut plan.variables,
            Self::Interpolation(plan) => &mut plan.variables,
        }
    }

    /// What is trained.
    #[must_use]
    pub(crate) fn task(&self) -> Task<'_> {
        match self {
            Self::Ratio(plan) => plan.task(),
            Self::Interpolation(plan) => plan.task(),
        }
    }

    /// How members are trained.
    #[must_use]
    pub(crate) fn settings(&self) -> &TrainingSettings {
        self.task().settings
    }

    /// Inputs and their standardisation.
    #[must_use]
    pub(crate) fn scaling(&self) -> &FeatureScaling {
        self.task().features
    }

    /// Where training reads its events from, if they are more than memory holds.
    #[must_use]
    pub(crate) fn stream(&self) -> Option<&StreamSource> {
        self.task().stream
    }

    /// The network of a member.
    #[must_use]
    pub(crate) fn network(&self) -> Network {
        Network::new(self.settings().network.clone())
    }

    /// Number of the region that is trained on.
    #[must_use]
    pub(crate) fn training_region(&self) -> usize {
        region_index(self.config(), &self.config().training.region)
    }

    /// The regions: number, name, and whether target events are shown.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let regions = self.config().regions.keys().enumerate();
        regions.map(|(i, name)| (i, name.as_str(), self.blinding().shows(i)))
    }

    /// Events of one class in each fold of member 0: training, validation, held
    /// out.
    #[must_use]
    pub(crate) fn fold_counts(&self, class: usize) -> [usize; 3] {
        let task = self.task();
        let streams = Streams::new(task.seed, task.ensemble);
        let mut counts = [0; 3];
        for key in &task.sample.classes()[class].keys {
            match task.settings.split.fold(streams, 0, *key) {
                Fold::Training => counts[0] += 1,
                Fold::Validation => counts[1] += 1,
                Fold::HeldOut => counts[2] += 1,
            }
        }
        counts
    }

    /// Bytes of the events in the program's memory.
    #[must_use]
    pub(crate) fn event_bytes(&self) -> u64 {
        let table = |s: &Sample| {
            let row = 4 * s.table.n_features + 8 * (s.table.columns.len() + 4);
            (s.table.len() * row) as u64
        };
        let task = self.task();
        let matrix = 4 * task.sample.inputs().as_slice().len() as u64;
        let tables: u64 = self.samples().into_iter().map(table).sum();
        tables + matrix + 20 * task.sample.len() as u64
    }

    /// Summary of a sample's weights in a region.
    #[must_use]
    pub(crate) fn region_weights(&self, sample: &Sample, region: usize) -> WeightSummary {
        WeightSummary::of(sample.in_region(region).map(|i| sample.table.weights[i]))
    }

    /// Places in the files of each class's training events, in the order of the
    /// training sample.
    pub(super) fn places(&self) -> Vec<Vec<u64>> {
        let region = self.training_region();
        let of = |sample: &Sample| {
            let rows = sample.trained(region);
            rows.map(|row| sample.table.ids.place(row)).collect()
        };
        self.samples().into_iter().map(of).collect()
    }
}
