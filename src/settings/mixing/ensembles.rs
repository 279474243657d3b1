//! The ensembles of a mixing: that of the data, and one of each set.

use super::super::matrix::EnsembleSpec;
use super::super::parse::Experiment;
use super::super::raw::{
    Bins, Config, ExperimentConfig, Method, OneOrMany, RUN_PREFIX, RegionConfig, SampleConfig,
    ScaleConfig, VariableConfig,
};
use super::super::training::Split;
use super::{Fidelity, MixingConfig, ModelMethod, Queries, UncertaintyConfig};
use crate::error::Result;
use indexmap::IndexMap;

/// Name of the ensemble of the data.
pub(crate) const DATA: &str = "data";
/// What the names of the distributions of uncertainties begin with.
pub(crate) const UNCERTAINTY: &str = "mixing.";
/// Region of all events, which queries are taken from.
const EVERYWHERE: &str = "mixing_everywhere";
/// Namespace of mixed events.
const NAMESPACE: &str = "mixed";

/// Names of what there is of the sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sets;

impl Sets {
    /// Folder of the sets in the run directory.
    pub(crate) const FOLDER: &'static str = "mixing";
    /// The column with the set of a mixed event.
    pub(crate) const SET: &'static str = "mix_set";
    /// The column with the place of its pair among those of the event.
    pub(crate) const PAIR: &'static str = "mix_k";

    /// Folder of the ensemble that shapes the queries, in that of the sets.
    pub(crate) const FIRST: &'static str = "first";

    /// Name of the ensemble of a set.
    pub(crate) fn ensemble(set: usize) -> String {
        format!("set_{set:02}")
    }

    /// Name of the file of a set in the folder.
    pub(crate) fn file(set: usize) -> String {
        format!("set_{set:02}.parquet")
    }
}

impl Config {
    /// The ensembles of a mixing.
    pub(in crate::settings) fn mixed(&self) -> Result<Vec<EnsembleSpec>> {
        let Some(mixing) = &self.mixing else {
            return Ok(Vec::new());
        };
        mixing.check(self)?;
        let mut data = Self {
            experiment: ExperimentConfig {
                method: match mixing.method {
                    ModelMethod::Ratio => Method::Ratio,
                    ModelMethod::Reweight => Method::Reweight,
                },
                ..self.experiment.clone()
            },
            mixing: None,
            ..self.clone()
        };
        data.report.variables.extend(mixing.variables());
        let sets = (0..mixing.sets).map(|set| (Sets::ensemble(set), data.of_set(mixing, set)));
        let sets: Vec<(String, Self)> = sets.collect();
        let all = std::iter::once((DATA.to_owned(), data)).chain(sets);
        let spec = |(name, config): (String, Self)| {
            config.check()?;
            Ok(EnsembleSpec {
                name,
                point: IndexMap::new(),
                config,
            })
        };
        all.map(spec).collect()
    }

    /// The experiment whose ratio shapes the queries, if one does: the ensemble of the data, with
    /// every event out of fold and a prediction everywhere.
    pub(crate) fn first_pass(&self) -> Result<Option<Experiment>> {
        let wants = |mixing: &&MixingConfig| mixing.fidelity == Fidelity::Ratio;
        if self.mixing.as_ref().filter(wants).is_none() {
            return Ok(None);
        }
        let mut first = Self {
            experiment: ExperimentConfig {
                method: Method::Ratio,
                ..self.experiment.clone()
            },
            mixing: None,
            ..self.clone()
        };
        first.training.split = Split::Folds;
        first.ensemble.members = first.ensemble.members.max(first.training.folds);
        first.report.variables.clear();
        first.report.planes.clear();
        first.report.classifier_members = 0;
        let everywhere = RegionConfig {
            selection: "1".to_owned(),
            blind: false,
            label: None,
        };
        first.regions.insert(EVERYWHERE.to_owned(), everywhere);
        first.check()?;
        Ok(Some(Experiment {
            table: toml::Table::new(),
            renamed: Vec::new(),
            is_matrix: false,
            axes: IndexMap::new(),
            ensembles: vec![EnsembleSpec {
                name: "nominal".to_owned(),
                point: IndexMap::new(),
                config: first,
            }],
            comparison: None,
            measurement: None,
            limit: None,
            mixing: None,
        }))
    }

    /// The same with the events of a set as target, which may be looked at everywhere, and what a
    /// set's result needs.
    fn of_set(&self, mixing: &MixingConfig, set: usize) -> Self {
        let mut config = self.clone();
        config.data.target = self.sample_of_set(mixing, set);
        let of_uncertainties = mixing.uncertainties.values();
        let mut needed: Vec<&String> = of_uncertainties.map(|of| &of.region).collect();
        needed.push(&config.training.region);
        let regions = config.regions.iter();
        let regions = regions.filter(|(name, _)| needed.contains(name));
        let open = |(name, region): (&String, &RegionConfig)| {
            let region = RegionConfig {
                blind: false,
                ..region.clone()
            };
            (name.clone(), region)
        };
        config.regions = regions.map(open).collect();
        config.report.variables = mixing.variables().collect();
        config.report.planes.clear();
        config.report.classifier_members = 0;
        config
    }

    /// The events of a set.
    fn sample_of_set(&self, mixing: &MixingConfig, set: usize) -> SampleConfig {
        let queries = match mixing.queries {
            Queries::Source => self.data.source.as_ref(),
            Queries::Target => Some(&self.data.target),
        };
        let mut id = queries.map_or_else(Vec::new, |sample| sample.id.clone());
        if !id.is_empty() {
            id.push(Sets::PAIR.to_owned());
        }
        // all sets together, so that their ensembles are one family
        let path = |set| format!("{RUN_PREFIX}{}/{}", Sets::FOLDER, Sets::file(set));
        SampleConfig {
            path: OneOrMany::Many((0..mixing.sets).map(path).collect()),
            selection: Some(format!("{} == {set}", Sets::SET)),
            weight: None,
            scale: None,
            id,
            namespace: NAMESPACE.to_owned(),
            label: Some(format!("mixed, set {set}")),
        }
    }

    /// What a classifier that tells mixed data from the target is trained on, if there is one: the
    /// first set as source, in the training region.
    pub(crate) fn apart(&self) -> Option<Self> {
        let mixing = self.mixing.as_ref()?;
        if mixing.classifier_members == 0 {
            return None;
        }
        let mut config = Self {
            experiment: ExperimentConfig {
                method: Method::Ratio,
                ..self.experiment.clone()
            },
            mixing: None,
            ..self.clone()
        };
        config.data.source = Some(self.sample_of_set(mixing, 0));
        let training = &self.training.region;
        let is_needed = |name: &String, region: &mut RegionConfig| region.blind || name == training;
        config.regions.retain(is_needed);
        config.report.variables.clear();
        config.report.planes.clear();
        config.report.classifier_members = mixing.classifier_members;
        Some(config)
    }
}

impl UncertaintyConfig {
    /// The simulated signal, if there is any.
    #[must_use]
    pub(crate) fn signal_sample(&self) -> Option<SampleConfig> {
        let signal = self.signal.as_ref()?;
        Some(SampleConfig {
            path: OneOrMany::One(signal.path.clone()),
            selection: signal.selection.clone(),
            weight: signal.weight.clone(),
            scale: Some(ScaleConfig::Number(signal.scale)),
            id: Vec::new(),
            namespace: String::new(),
            label: None,
        })
    }
}

impl MixingConfig {
    /// Distributions of the observables, with a bin for what is beyond each end.
    fn variables(&self) -> impl Iterator<Item = VariableConfig> {
        self.uncertainties.iter().map(|(name, of)| {
            let (edges, last) = (&of.bins, of.bins.len() - 1);
            let below = 2.0 * edges[0] - edges[1];
            let above = 2.0 * edges[last] - edges[last - 1];
            let all = std::iter::once(below).chain(edges.iter().copied());
            VariableConfig {
                name: format!("{UNCERTAINTY}{name}"),
                expression: Some(of.observable.clone()),
                label: Some(of.axis_label().to_owned()),
                bins: Bins::Edges(all.chain([above]).collect()),
                log: false,
            }
        })
    }
}
