//! Ensembles of ratios applied to events: one log r an event and ratio, with the spread of
//! its members, and ratios process by process as a likelihood takes them.

use super::events::step;
use super::model::{Analysis, no_likelihood};
use crate::error::Result;
use crate::report::EnsembleEnd;
use crate::settings::{Aggregate, FIXED_SUFFIX, RatioName};
use crate::statistics::{Recalibration, median, moments};
use crate::training::Member;
use crate::truth::World;
use crate::workflow::Applier;
use indexmap::IndexMap;
use sideband_likelihood::{Events, Interpolation, ProcessEvents, ResponseEvents, Sample, Storage};
use sideband_networks::{Compute, Network};

/// Trained ratios by name.
pub(super) type Ratios = IndexMap<RatioName, (Ratio, Recalibration)>;

/// Trained ensembles, and what computes them.
pub(super) struct Ensembles<'a> {
    pub analysis: Analysis<'a>,
    pub ends: &'a [EnsembleEnd],
    pub compute: Compute,
    pub threads: usize,
}

impl<'a> Ensembles<'a> {
    /// How the training of one ended.
    pub(super) fn end(&self, name: &str) -> Result<&'a EnsembleEnd> {
        let found = self.ends.iter().find(|e| e.name == name);
        found.ok_or_else(|| no_likelihood(format!("there is no ensemble {name}")))
    }

    /// Reads the usable members of a ratio, or of its second ensemble.
    pub(super) fn open(&self, name: &RatioName, suffix: &str) -> Result<Ratio> {
        let end = self.end(&format!("{name}{suffix}"))?;
        let plan = self.analysis.plan;
        let sum = |process: &str| plan.sum(process).unwrap_or(f64::NAN);
        let [source, target] = match name {
            RatioName::Process(process) => [plan.reference, sum(process)],
            RatioName::Varied {
                process,
                systematic,
                up,
            } => {
                let varied = plan.varied.get(&(systematic.clone(), process.clone()));
                let sums = varied.and_then(|v| v.sums);
                let varied = sums.map_or(f64::NAN, |sums| sums[usize::from(*up)]);
                [sum(process), varied]
            }
        };
        let mut members = Vec::new();
        for number in 0..end.config.ensemble.members {
            let member = Member::read(&end.directory.member(number))?;
            if member.about.outcome.is_usable() {
                members.push(member);
            }
        }
        if members.is_empty() {
            let folder = end.directory.path().display();
            return Err(no_likelihood(format!("no member of {folder} can be used")));
        }
        Ok(Ratio {
            members,
            aggregate: self.analysis.measurement.measurement.aggregate,
            yields: source / target,
            compute: self.compute.clone(),
            threads: self.threads,
        })
    }

    /// log r of every member at events, by name: of the bootstrapped or of the second
    /// ensembles.
    pub(super) fn member_logs(&self, features: &[f32], is_fixed: bool) -> Result<MemberLogs> {
        let suffix = if is_fixed { FIXED_SUFFIX } else { "" };
        let mut all = IndexMap::new();
        for name in self.analysis.measurement.ratios() {
            let column = self.open(&name, suffix)?.at(features, true)?;
            all.insert(name, column.members);
        }
        Ok(all)
    }
}

/// log r of every member, `[members][n]`, by ratio.
pub(super) type MemberLogs = IndexMap<RatioName, Vec<Vec<f32>>>;

/// A trained ensemble that gives a ratio of densities.
pub(super) struct Ratio {
    pub members: Vec<Member>,
    aggregate: Aggregate,
    /// What makes a ratio of densities of a ratio of yields.
    yields: f64,
    compute: Compute,
    threads: usize,
}

/// A ratio at some events.
#[derive(Clone, Debug, Default)]
pub(super) struct RatioColumn {
    /// log r, `[n]`.
    pub log: Vec<f64>,
    /// Relative standard deviation over members, `[n]`.
    pub spread: Vec<f32>,
    /// log r of each member, `[members][n]`; empty unless asked for.
    pub members: Vec<Vec<f32>>,
}

impl Ratio {
    /// The ratio at events, `[n, D]`. The members are on the device for as long as that takes:
    /// a measurement has hundreds of ratios, and each would hold threads.
    pub(super) fn at(&self, features: &[f32], keep_members: bool) -> Result<RatioColumn> {
        let about = &self.members[0].about;
        let network = Network::new(about.network.clone());
        let (threads, scaling) = (self.threads, &about.features);
        let applier = Applier::new(&self.compute, threads, &network, scaling, &self.members)?;
        let mut column = RatioColumn::default();
        if keep_members {
            column.members = vec![Vec::new(); self.members.len()];
        }
        let mut scratch = Vec::with_capacity(self.members.len());
        applier.for_each(features, |_, ratios| {
            let r = combine(ratios, self.aggregate, &mut scratch) * self.yields;
            column.log.push(r.ln());
            column.spread.push(relative_spread(ratios) as f32);
            for (member, ratio) in column.members.iter_mut().zip(ratios) {
                member.push((ratio * self.yields).ln() as f32);
            }
            Ok(())
        })?;
        Ok(column)
    }
}

/// One ratio of those of the members.
fn combine(ratios: &[f64], aggregate: Aggregate, scratch: &mut Vec<f64>) -> f64 {
    let n = ratios.len() as f64;
    match aggregate {
        Aggregate::Mean => ratios.iter().sum::<f64>() / n,
        Aggregate::MeanLog => (ratios.iter().map(|r| r.ln()).sum::<f64>() / n).exp(),
        Aggregate::Median => median(ratios, scratch),
    }
}

fn relative_spread(ratios: &[f64]) -> f64 {
    match moments(ratios) {
        (mean, variance) if ratios.len() > 1 => variance.sqrt() / mean,
        _ => 0.0,
    }
}

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
    /// Those of the region without bins, in the order of the configuration.
    pub processes: Vec<ProcessColumns>,
}

impl Columns {
    /// At most `n` of the events, those of [`Events::thinned`](super::events::Events) with
    /// weights of their own.
    pub(super) fn thinned(&self, n: usize) -> Self {
        let step = step(self.weights.len(), n);
        self.each(|column| column.iter().step_by(step).copied().collect())
    }

    /// All columns: weights, and of each process its ratio and both sides of its responses.
    pub(super) fn list(&self) -> Vec<&Vec<f64>> {
        let mut list = vec![&self.weights];
        for process in &self.processes {
            list.push(&process.ratio);
            list.extend(process.responses.iter().flat_map(|r| [&r.low, &r.high]));
        }
        list
    }

    /// The same with a function applied to every column.
    pub(super) fn each(&self, some: impl Fn(&Vec<f64>) -> Vec<f64>) -> Self {
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
        let processes = self.processes.iter().map(|p| {
            let responses = p.responses.iter().map(|response| ResponseEvents {
                parameter: response.parameter,
                low: &response.low,
                high: &response.high,
                interpolation: response.interpolation,
            });
            ProcessEvents {
                ratios: &p.ratio,
                responses: responses.collect(),
            }
        });
        let events = Events {
            weights: &self.weights,
            processes: processes.collect(),
        };
        Sample::new(&events, Storage::Double).map_err(no_likelihood)
    }
}

/// A nuisance parameter that the density of a process responds to, with ratios of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Response {
    /// The systematic uncertainty.
    pub name: String,
    /// Place of its parameter.
    pub parameter: usize,
    pub interpolation: Interpolation,
}

impl Analysis<'_> {
    /// What the density of a process responds to.
    pub(super) fn responses(&self, process: &str) -> Vec<Response> {
        let systematics = self.measurement.systematics.iter();
        let own = systematics.filter(|(_, s)| s.shape && s.samples.contains_key(process));
        let response = |(name, s): (&String, &crate::settings::SystematicConfig)| {
            Some(Response {
                name: name.clone(),
                parameter: self.parameters.place(name)?,
                interpolation: s.density_interpolation.into(),
            })
        };
        own.filter_map(response).collect()
    }

    /// Events with the ratios that a function gives by name.
    fn columns(
        &self,
        weights: Vec<f64>,
        ratio: impl Fn(&RatioName) -> Result<Vec<f64>>,
    ) -> Result<Columns> {
        let mut processes = Vec::new();
        for process in self.plan.measured() {
            let mut columns = ProcessColumns {
                ratio: ratio(&RatioName::Process(process.name.clone()))?,
                responses: Vec::new(),
            };
            for response in self.responses(&process.name) {
                let side = |up| {
                    ratio(&RatioName::Varied {
                        process: process.name.clone(),
                        systematic: response.name.clone(),
                        up,
                    })
                };
                columns.responses.push(ResponseColumns {
                    parameter: response.parameter,
                    low: side(false)?,
                    high: side(true)?,
                    interpolation: response.interpolation,
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
        self.columns(weights, |name| {
            let Some((ratio, map)) = ratios.get(name) else {
                // a process that is the whole reference
                return Ok(vec![1.0; n]);
            };
            let log = ratio.at(features, false)?.log.into_iter();
            let values: Vec<f64> = log.map(|l| map.apply(l).exp()).collect();
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
        logs: &MemberLogs,
        member: usize,
        weights: Vec<f64>,
    ) -> Result<Columns> {
        let n = weights.len();
        self.columns(weights, |name| {
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
        self.columns(weights, |name| world.exact_ratio(name, reference, features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_make_one_ratio() {
        let mut scratch = Vec::new();
        let mut of = |ratios: &[f64], how| combine(ratios, how, &mut scratch);
        assert_eq!(of(&[1.0, 4.0, 16.0], Aggregate::Mean), 7.0);
        assert!((of(&[1.0, 4.0, 16.0], Aggregate::MeanLog) - 4.0).abs() < 1e-12);
        assert_eq!(of(&[16.0, 1.0, 4.0], Aggregate::Median), 4.0);
        assert_eq!(of(&[1.0, 4.0, 16.0, 5.0], Aggregate::Median), 4.5);
        assert_eq!(relative_spread(&[2.0]), 0.0);
        assert!((relative_spread(&[1.0, 3.0]) - 0.5f64.sqrt()).abs() < 1e-12);
    }
}
