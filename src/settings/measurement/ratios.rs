//! The ratios that a measurement needs, and the ensembles that learn them.

use super::super::matrix::EnsembleSpec;
use super::super::raw::{
    Config, DataConfig, ExperimentConfig, Method, OneOrMany, RUN_PREFIX, RegionConfig,
    SampleConfig, ScaleConfig,
};
use super::{Coordinate, Measurement, ProcessConfig, SideConfig, SystematicConfig};
use crate::error::Result;
use indexmap::IndexMap;
use std::fmt;

/// What a ratio is of: the second density over the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RatioName {
    /// A process over the reference.
    Process(String),
    /// A varied sample of a process over the nominal one.
    Varied {
        /// The process.
        process: String,
        /// The systematic uncertainty.
        systematic: String,
        /// Up or down.
        up: bool,
    },
}

impl fmt::Display for RatioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "{process}"),
            Self::Varied {
                process,
                systematic,
                up,
            } => write!(f, "{process}.{systematic}.{}", side(*up)),
        }
    }
}

/// `up` or `down`.
#[must_use]
pub(crate) fn side(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// Ending of the name of a second ensemble that is not bootstrapped.
pub(crate) const FIXED_SUFFIX: &str = ".fixed";

impl Measurement {
    /// Whether samples, weights and regions are just those of the generated model, so that
    /// its truth is that of the measurement.
    #[must_use]
    pub fn is_known_truth(&self) -> bool {
        let inputs: Vec<String> = (1..=6).map(|i| format!("x{i}")).collect();
        let region = self.regions.get(&self.training.region);
        let own = |process: &str, side: &str| {
            OneOrMany::One(format!("{RUN_PREFIX}samples/{process}{side}.parquet"))
        };
        let is_plain = |(name, p): (&String, &ProcessConfig)| {
            p.path == own(name, "")
                && p.selection.is_none()
                && p.weight.as_deref() == Some("weight")
                && p.scale == ScaleConfig::default()
        };
        let varied = |(systematic, s): (&String, &SystematicConfig)| {
            s.samples.iter().all(|(process, varied)| {
                let is_own = |side: &SideConfig, name: &str| {
                    side.weight.is_none()
                        && side.path == Some(own(process, &format!("_{systematic}_{name}")))
                };
                is_own(&varied.up, "up") && is_own(&varied.down, "down")
            })
        };
        self.generate.is_some()
            && self.features.inputs == inputs
            && self.features.one_hot.is_empty()
            && self.data.define.is_empty()
            && self.data.jets.is_none()
            && region.is_some_and(|r| r.selection.trim() == "1")
            && self.samples.iter().all(is_plain)
            && self.systematics.iter().all(varied)
    }

    /// The same measurement with every parameter fitted as itself, without another
    /// coordinate.
    #[must_use]
    pub fn in_own_units(&self) -> Self {
        let mut plain = self.clone();
        for parameter in plain.parameters.values_mut() {
            parameter.fit = Coordinate::Linear;
        }
        plain
    }

    /// All ratios that the model needs.
    #[must_use]
    pub fn ratios(&self) -> Vec<RatioName> {
        // a run is in histograms alone
        let simulated = self.samples.iter().filter(|(_, p)| !p.is_run());
        let processes = simulated.map(|(name, _)| RatioName::Process(name.clone()));
        let varied = self.systematics.iter().flat_map(|(systematic, s)| {
            let processes = s.samples.keys().filter(|_| s.shape);
            processes.flat_map(|process| {
                [true, false].map(|up| RatioName::Varied {
                    process: process.clone(),
                    systematic: systematic.clone(),
                    up,
                })
            })
        });
        // a process that is the whole reference has the ratio one
        let trivial = match self.measurement.reference.as_slice() {
            [one] => Some(RatioName::Process(one.clone())),
            _ => None,
        };
        processes
            .chain(varied)
            .filter(|r| Some(r) != trivial.as_ref())
            .collect()
    }

    /// The sample of a process.
    #[must_use]
    pub fn sample(&self, process: &str) -> Option<SampleConfig> {
        let p = self.samples.get(process)?;
        Some(SampleConfig {
            path: p.path.clone(),
            selection: p.selection.clone(),
            weight: p.weight.clone(),
            // a factor on the rate, which no ratio of densities depends on
            scale: None,
            id: p.id.clone(),
            namespace: p.namespace.clone(),
            label: Some(p.label.clone().unwrap_or_else(|| process.to_owned())),
        })
    }

    /// A varied sample of a process.
    #[must_use]
    pub fn varied(&self, process: &str, systematic: &str, up: bool) -> Option<SampleConfig> {
        let mut sample = self.sample(process)?;
        let varied = self.systematics.get(systematic)?.samples.get(process)?;
        let own = if up { &varied.up } else { &varied.down };
        if let Some(path) = &own.path {
            sample.path = path.clone();
        }
        if let Some(weight) = &own.weight {
            sample.weight = Some(weight.clone());
        }
        sample.label = Some(format!("{process}, {systematic} {}", side(up)));
        Some(sample)
    }

    /// The reference: all of its processes as one sample.
    #[must_use]
    pub fn reference(&self) -> Option<SampleConfig> {
        let mut names = self.measurement.reference.iter();
        let mut sample = self.sample(names.next()?)?;
        let mut paths = sample.path.to_list();
        for name in names {
            paths.extend(self.samples.get(name)?.path.to_list());
        }
        sample.path = OneOrMany::Many(paths);
        sample.label = Some("reference".to_owned());
        Some(sample)
    }

    /// The observed events.
    #[must_use]
    pub fn observed_sample(&self) -> Option<SampleConfig> {
        self.observed.as_ref().map(|o| SampleConfig {
            path: o.path.clone(),
            selection: o.selection.clone(),
            weight: None,
            scale: None,
            id: Vec::new(),
            namespace: "observed".to_owned(),
            label: Some("observed".to_owned()),
        })
    }

    /// Source and target of a ratio.
    #[must_use]
    pub fn sides(&self, ratio: &RatioName) -> Option<[SampleConfig; 2]> {
        match ratio {
            RatioName::Process(process) => Some([self.reference()?, self.sample(process)?]),
            RatioName::Varied {
                process,
                systematic,
                up,
            } => Some([
                self.sample(process)?,
                self.varied(process, systematic, *up)?,
            ]),
        }
    }

    /// The configuration of an ensemble that learns from two samples.
    #[must_use]
    pub fn ensemble_config(&self, source: SampleConfig, target: SampleConfig) -> Config {
        Config {
            experiment: ExperimentConfig {
                method: Method::Ratio,
                ..self.experiment.clone()
            },
            matrix: IndexMap::new(),
            device: self.device.clone(),
            executor: self.executor.clone(),
            data: DataConfig {
                source: Some(source),
                target,
                define: self.data.define.clone(),
                jets: self.data.jets.clone(),
                on_missing: self.data.on_missing,
                max_loss: self.data.max_loss,
                stream: None,
            },
            regions: self
                .regions
                .iter()
                .filter(|(name, _)| **name == self.training.region)
                .map(|(name, region)| {
                    // both of its samples are simulated: nothing of them is hidden
                    let blind = false;
                    let region = region.clone();
                    (name.clone(), RegionConfig { blind, ..region })
                })
                .collect(),
            features: self.features.clone(),
            model: self.model.clone(),
            interpolation: None,
            mixing: None,
            training: self.training.clone(),
            ensemble: self.ensemble.clone(),
            report: self.report.clone(),
            comparison: None,
        }
    }

    /// The ensembles to be trained.
    pub(in crate::settings) fn ensembles(&self) -> Result<Vec<EnsembleSpec>> {
        let mut list = Vec::new();
        for ratio in self.ratios() {
            let Some([source, target]) = self.sides(&ratio) else {
                continue;
            };
            let config = self.ensemble_config(source, target);
            config.check()?;
            let spec = |name: String, config: Config| EnsembleSpec {
                name,
                point: IndexMap::new(),
                config,
            };
            if self.measurement.finite_sample_members > 0 {
                let mut fixed = config.clone();
                fixed.ensemble.bootstrap = false;
                fixed.ensemble.members = self.measurement.finite_sample_members;
                list.push(spec(format!("{ratio}{FIXED_SUFFIX}"), fixed));
            }
            list.push(spec(ratio.to_string(), config));
        }
        Ok(list)
    }
}
