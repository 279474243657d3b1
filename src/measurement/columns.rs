//! Ratios of events, process by process, as a likelihood takes them.

use super::events::step;
use super::model::{Parameters, code, no_likelihood};
use super::plan::Plan;
use super::ratios::{Ratio, RatioColumn};
use crate::closure::Recalibration;
use crate::error::Result;
use crate::settings::{Measurement, RatioName};
use crate::truth::World;
use indexmap::IndexMap;
use sideband_likelihood::Interpolation;
use sideband_likelihood::{Events, ProcessEvents, ResponseEvents, Sample, Storage};

/// Trained ratios by name.
pub(super) type Ratios = IndexMap<RatioName, (Ratio, Recalibration)>;

/// What is known of events under one process.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessColumns {
    /// `p_j / p_ref`, `[n]`.
    pub ratio: Vec<f64>,
    /// What the density does with nuisance parameters.
    pub responses: Vec<ResponseColumns>,
}

/// How the density of a process changes with a nuisance parameter.
#[derive(Clone, Debug)]
pub(super) struct ResponseColumns {
    /// Place of the parameter.
    pub parameter: usize,
    /// `p_j(x | -1) / p_j(x)`, `[n]`.
    pub low: Vec<f64>,
    /// `p_j(x | +1) / p_j(x)`, `[n]`.
    pub high: Vec<f64>,
    /// The interpolation between them.
    pub interpolation: Interpolation,
}

/// Events with their ratios.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// `[n]`
    pub weights: Vec<f64>,
    /// In the order of the configuration.
    pub processes: Vec<ProcessColumns>,
}

impl Columns {
    /// At most `n` of the events, those of [`Events::thinned`](super::events::Events) with
    /// weights of their own.
    pub(super) fn thinned(&self, n: usize) -> Self {
        let step = step(self.weights.len(), n);
        let some = |column: &Vec<f64>| column.iter().step_by(step).copied().collect();
        let response = |r: &ResponseColumns| ResponseColumns {
            low: some(&r.low),
            high: some(&r.high),
            ..*r
        };
        let process = |p: &ProcessColumns| ProcessColumns {
            ratio: some(&p.ratio),
            responses: p.responses.iter().map(response).collect(),
        };
        Self {
            weights: some(&self.weights),
            processes: self.processes.iter().map(process).collect(),
        }
    }

    /// The events as a likelihood takes them.
    pub(super) fn sample(&self) -> Result<Sample> {
        let processes = self.processes.iter().map(|p| ProcessEvents {
            ratios: &p.ratio,
            responses: p
                .responses
                .iter()
                .map(|response| ResponseEvents {
                    parameter: response.parameter,
                    low: &response.low,
                    high: &response.high,
                    interpolation: response.interpolation,
                })
                .collect(),
        });
        let events = Events {
            weights: &self.weights,
            processes: processes.collect(),
        };
        Sample::new(&events, Storage::Double).map_err(no_likelihood)
    }
}

/// What gives ratios to events.
pub(super) struct Source<'a> {
    pub measurement: &'a Measurement,
    pub parameters: &'a Parameters,
    pub plan: &'a Plan,
}

impl Source<'_> {
    /// Processes and nuisance parameters with a ratio of their own.
    pub(super) fn responses(&self, process: &str) -> Vec<(usize, Interpolation, String)> {
        let systematics = self.measurement.systematics.iter();
        systematics
            .filter(|(_, s)| s.shape && s.samples.contains_key(process))
            .filter_map(|(name, s)| {
                let place = self.parameters.place(name)?;
                Some((place, code(s.density_interpolation), name.clone()))
            })
            .collect()
    }

    /// Ratios of events as a function that gives the ratio of a name.
    fn collect<E>(
        &self,
        weights: Vec<f64>,
        mut ratio: impl FnMut(&RatioName) -> Result<Vec<f64>, E>,
    ) -> Result<Columns, E> {
        let mut processes = Vec::new();
        for process in &self.plan.processes {
            let mut columns = ProcessColumns {
                ratio: ratio(&RatioName::Process(process.name.clone()))?,
                responses: Vec::new(),
            };
            for (parameter, interpolation, systematic) in self.responses(&process.name) {
                let mut side = |up| {
                    ratio(&RatioName::Varied {
                        process: process.name.clone(),
                        systematic: systematic.clone(),
                        up,
                    })
                };
                columns.responses.push(ResponseColumns {
                    parameter,
                    low: side(false)?,
                    high: side(true)?,
                    interpolation,
                });
            }
            processes.push(columns);
        }
        Ok(Columns { weights, processes })
    }

    /// The learned ratios at events, `[n, D]`.
    pub(super) fn learned(
        &self,
        ratios: &Ratios,
        features: &[f32],
        weights: Vec<f64>,
    ) -> Result<Columns> {
        let n = weights.len();
        let aggregate = self.measurement.measurement.aggregate;
        self.collect(weights, |name| {
            let Some((ratio, map)) = ratios.get(name) else {
                // a process that is the whole reference
                return Ok(vec![1.0; n]);
            };
            let RatioColumn { log, .. } = ratio.at(features, aggregate, false)?;
            let values: Vec<f64> = log.into_iter().map(|l| map.apply(l).exp()).collect();
            let bad = values.iter().filter(|r| !r.is_normal()).count();
            if bad > 0 {
                return Err(no_likelihood(format!(
                    "the ratio {name} is not a number above zero for {bad} of {n} events: its \
                     classes can be told apart wholly, so that no finite ratio exists; choose a \
                     reference that covers the process, or cut the region"
                )));
            }
            Ok(values)
        })
    }

    /// The ratios of one member of every ensemble, by its place among the usable ones.
    pub(super) fn of_member(
        &self,
        logs: &IndexMap<RatioName, Vec<Vec<f32>>>,
        member: usize,
        weights: Vec<f64>,
    ) -> Result<Columns> {
        let n = weights.len();
        self.collect(weights, |name| {
            let Some(members) = logs.get(name) else {
                return Ok(vec![1.0; n]);
            };
            let log = &members[member % members.len()];
            Ok(log.iter().map(|l| f64::from(*l).exp()).collect())
        })
    }

    /// The exact ratios of the model with known truth, of events `[n, D]`.
    pub(super) fn exact(
        &self,
        world: &dyn World,
        features: &[f32],
        weights: Vec<f64>,
    ) -> Result<Columns> {
        let reference = &self.measurement.measurement.reference;
        self.collect(weights, |name| world.exact_ratio(name, reference, features))
    }
}
