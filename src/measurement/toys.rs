//! Pseudo-experiments of a measurement: the distribution of the test statistic, the
//! belt, coverage.

mod report;
mod thrower;

use super::analyse::Analyst;
use super::asimov::asimov_weights;
use super::columns::{Columns, Ratios, Source};
use super::events::{Events, unseen};
use super::files::take_back;
use super::likelihoods::Likelihoods;
use super::model::{Builder, no_likelihood};
use super::pipeline::{NORMALISATION, Study};
use super::progress::{TOYS, TOYS_FOLDER, ToyFolder};
use super::result::{ScanResult, ToysResult};
use crate::error::{Context, Error, Kind, Result};
use crate::settings::{Measurement, ToyEvents, ToysConfig};
use crate::toys::ToyStudy;
use crate::truth::{self, World};
use indexmap::IndexMap;
use report::report;
use sha2::{Digest, Sha256};
use sideband_likelihood::fit::Fit;
use sideband_likelihood::toys::{AsimovPool, reference_weights};
use sideband_likelihood::{Sample, UnbinnedChannel};
use sideband_numerics::random::Key;
use thrower::Thrower;

/// Toys of a file.
const CHUNK: u64 = 200;
/// Events of the reference that toys from the truth are thrown from.
const TRUTH_POOL: usize = 200_000;
/// The word that branches the pool off the seed.
const POOL: u64 = 0x504F_4F4C;

/// Events that toys are thrown from, and what they are worth at each point.
struct Pool {
    channel: UnbinnedChannel,
    points: Vec<PoolPoint>,
    /// The process whose sample they are, if it is not the reference.
    source: Option<String>,
}

/// Where toys are thrown.
struct PoolPoint {
    /// The truth in the fit's coordinates, `[n]`.
    truth: Vec<f64>,
    pool: AsimovPool,
}

/// The point that toys from the truth are thrown at, for one value of the parameter of
/// interest.
fn truth_at(world: &dyn World, config: &ToysConfig, value: f64) -> Result<IndexMap<String, f64>> {
    let mut at = world.point("toys.nuisance", true, &config.nuisance)?;
    at[0] = value;
    Ok(at)
}

/// Whether toys can be thrown at the truths of the configuration.
pub(super) fn check(measurement: &Measurement) -> Result<()> {
    let (Some(config), Some(generate)) = (&measurement.toys, &measurement.generate) else {
        return Ok(());
    };
    if config.events == ToyEvents::Truth {
        let world = truth::open(generate.model)?;
        for value in &config.grid {
            let at = truth_at(world.as_ref(), config, *value)?;
            world.check(&at).key(Kind::Config, "toys.nuisance")?;
        }
    }
    Ok(())
}

/// What pseudo-experiments are made of.
pub(super) struct Toys<'a> {
    pub study: &'a Study<'a>,
    pub config: &'a ToysConfig,
    pub ratios: &'a Ratios,
    pub source: &'a Source<'a>,
    pub made: &'a Likelihoods,
    pub analyst: &'a Analyst<'a>,
    /// The best fit to the events.
    pub best: &'a Fit,
    /// Events of the reference that no network has seen.
    pub reference: &'a Events,
}

impl Toys<'_> {
    /// Throws, fits and reports all pseudo-experiments of the configuration.
    pub(super) fn report(&self, scan: Option<&ScanResult>) -> Result<ToysResult> {
        let (study, config, made, analyst) = (self.study, self.config, self.made, self.analyst);
        let interest = analyst.interest()[0];
        let pool = match config.events {
            ToyEvents::Simulated => self.simulated()?,
            ToyEvents::Truth => self.truth()?,
        };
        let digest = digest(study, analyst, &pool);
        let parameters: Vec<String> = made.list().iter().map(|p| p.name.clone()).collect();
        let toy_study = ToyStudy {
            name: format!(
                "{}, {:?} events, {digest}",
                study.measurement.experiment.name, config.events
            ),
            seed: study.measurement.experiment.seed,
            parameters,
            points: config.grid.len() as u32,
            toys: u64::from(config.number),
            chunk: CHUNK,
        };
        // toys of another likelihood stay where they are
        let folder = study.root.path().join(TOYS_FOLDER).join(&digest);
        take_back(study.root, &digest)?;
        let is_there = crate::files::regular::make_folder(&folder);
        is_there.at(Kind::Internal, folder.display())?;
        let progress = ToyFolder {
            folder: digest,
            parameter: study.measurement.measurement.interest[0].clone(),
            values: config.grid.clone(),
            toys: toy_study.toys,
        };
        study
            .root
            .write_json(&study.root.path().join(TOYS), &progress)?;
        (study.say)(&format!(
            "throwing {} toys at each of {} values",
            config.number,
            config.grid.len()
        ));
        let settings = analyst.settings();
        let thrower = Thrower {
            pool: &pool,
            histograms: made.channels(),
            parameters: made.list(),
            prior: analyst.parameters.prior.as_ref(),
            settings: &settings,
            interest,
            is_truth: config.events == ToyEvents::Truth,
        };
        let stop = || study.interrupt.is_raised();
        toy_study
            .run(&folder, |toy| thrower.toy(toy), stop)
            .map_err(|e| wrong(study, e))?;
        let records = toy_study.read(&folder).map_err(|e| wrong(study, e))?;
        report(config, analyst, interest, &pool, &records, scan)
    }

    fn builder(&self) -> Builder<'_> {
        Builder {
            measurement: self.study.measurement,
            plan: self.study.plan,
            parameters: self.analyst.parameters,
        }
    }

    /// Learned ratios of events.
    fn learned(&self, events: &Events) -> Result<Columns> {
        let weights = events.weights.clone();
        self.source.learned(self.ratios, &events.features, weights)
    }

    /// Some events of the reference, which divide the density by its integral.
    fn normalising(&self) -> Result<Option<Sample>> {
        if !self.study.is_renormalised() {
            return Ok(None);
        }
        let columns = self.learned(&self.reference.thinned(NORMALISATION))?;
        Ok(Some(columns.sample()?))
    }

    /// Simulated events that no network has seen, with the weights that the likelihood
    /// itself gives them, at the nuisance parameters that fit the data best for each value:
    /// those of the reference if their weights are not negative, else those of the process
    /// of positive weights that is worth most events.
    fn simulated(&self) -> Result<Pool> {
        let is_negative = |events: &Events| events.weights.iter().any(|w| *w < 0.0);
        if !is_negative(self.reference) {
            let columns = self.learned(self.reference)?;
            let relative = vec![1.0; self.reference.len()];
            return self.thrown_from(&columns, &self.reference.weights, &relative, None);
        }
        let measurement = self.study.measurement;
        let mut found: Option<(f64, Pool)> = None;
        let mut tried = Vec::new();
        for (number, process) in self.study.plan.processes.iter().enumerate() {
            let mut events = Events::default();
            let name = &process.name;
            let (reader, sum) = (&self.study.reader, process.sum);
            if sum <= 0.0 || unseen(measurement, reader, name, sum, &mut events).is_err() {
                continue;
            }
            tried.push(name.clone());
            if is_negative(&events) {
                continue;
            }
            let columns = self.learned(&events)?;
            let relative = columns.processes[number].ratio.clone();
            let pool = self.thrown_from(&columns, &events.weights, &relative, Some(name))?;
            let worth = |pool: &Pool| {
                let points = pool.points.iter();
                let each = points.map(|p| p.pool.duplicates().effective_events);
                each.fold(f64::INFINITY, f64::min)
            };
            let worth = worth(&pool);
            if found.as_ref().is_none_or(|(most, _)| worth > *most) {
                found = Some((worth, pool));
            }
        }
        let (_, pool) = found.ok_or_else(|| {
            no_likelihood(format!(
                "toys are thrown from events of positive weight, and every sample ({}) has \
                 negative ones: give one process a sample without, or take toys.events = \
                 \"truth\" where the truth is known",
                tried.join(", ")
            ))
        })?;
        Ok(pool)
    }

    /// A pool of events with `weights` of a sample R and their ratios to the reference:
    /// `w_i(mu) = nu(mu) p(x_i|mu) / p_R(x_i) w_i / sum w`, where `relative` is `p_R / p_ref`.
    fn thrown_from(
        &self,
        columns: &Columns,
        weights: &[f64],
        relative: &[f64],
        source: Option<&String>,
    ) -> Result<Pool> {
        let normalising = self.normalising()?;
        let list = self.made.list();
        let channel = self
            .builder()
            .unbinned(columns, normalising.as_ref(), list)?;
        let weights: Vec<f64> = weights.iter().zip(relative).map(|(w, r)| w / r).collect();
        let analyst = self.analyst;
        let interest = analyst.interest()[0];
        let mut points = Vec::new();
        for value in &self.config.grid {
            let at = analyst.parameters.coordinate(interest, *value);
            let truth = analyst.profiled(&self.made.model, self.best, interest, at)?;
            let weights = asimov_weights(&channel, &weights, &truth)?;
            points.push(PoolPoint {
                truth,
                pool: AsimovPool::new(&weights).map_err(no_likelihood)?,
            });
        }
        Ok(Pool {
            channel,
            points,
            source: source.cloned(),
        })
    }

    /// New events of the true reference with the weights that the true density gives them:
    /// neither the training samples nor the learned ratios decide what is thrown.
    fn truth(&self) -> Result<Pool> {
        let (study, config, made, analyst) = (self.study, self.config, self.made, self.analyst);
        let source = self.source;
        let measurement = study.measurement;
        let Some(generate) = &measurement.generate else {
            return Err(Error::key(
                Kind::Config,
                "toys.events",
                "the truth is not known",
            ));
        };
        let world = truth::open(generate.model)?;
        let world = world.as_ref();
        let reference = &measurement.measurement.reference;
        let key = Key::from_seed(measurement.experiment.seed).with(POOL);
        // what the networks see is rounded; the truth is that of the rounded event
        let features = world.reference_events(reference, TRUTH_POOL, key);
        let width = study.reader.columns();
        let ones = vec![1.0; features.len() / width];
        let columns = if config.exact {
            source.exact(world, &features, ones.clone())?
        } else {
            source.learned(self.ratios, &features, ones.clone())?
        };
        let normalising = match (config.exact, study.is_renormalised()) {
            (_, false) => None,
            (false, true) => self.normalising()?,
            (true, true) => Some(columns.thinned(NORMALISATION).sample()?),
        };
        let channel = self
            .builder()
            .unbinned(&columns, normalising.as_ref(), made.list())?;
        let interest = analyst.interest()[0];
        let mut points = Vec::new();
        for value in &config.grid {
            let at = truth_at(world, config, *value)?;
            let found = world.expectation(&at, reference, &features);
            let (expected, ratios) = found.key(Kind::Config, "toys")?;
            let weights = reference_weights(&ratios, &ones, expected).map_err(no_likelihood)?;
            let mut coordinates: Vec<f64> = made.list().iter().map(|p| p.nominal).collect();
            coordinates[interest] = analyst.parameters.coordinate(interest, *value);
            for (name, x) in &config.nuisance {
                if let Some(place) = made.parameter(name) {
                    coordinates[place] = *x;
                }
            }
            points.push(PoolPoint {
                truth: coordinates,
                pool: AsimovPool::new(&weights).map_err(no_likelihood)?,
            });
        }
        Ok(Pool {
            channel,
            points,
            source: None,
        })
    }
}

fn wrong(study: &Study<'_>, error: Error) -> Error {
    let folder = study.root.path().join(TOYS_FOLDER);
    match error.kind() {
        Kind::Interrupted => {
            let text = "interrupted; run the same command again to go on";
            Error::new(study.interrupt.kind(), text)
        }
        Kind::Data => error.at_key(folder.display()),
        _ => error.at(folder.display()),
    }
}

/// What the toys depend on beside their number, as a name: toys of another likelihood
/// are never mixed with these.
fn digest(study: &Study<'_>, analyst: &Analyst<'_>, pool: &Pool) -> String {
    let m = study.measurement;
    let mut hash = Sha256::new();
    let toys = m.toys.as_ref().map(|t| (t.events, &t.nuisance, t.exact));
    let likelihood = m.measurement.of_likelihood();
    let parts = [
        serde_json::to_string(&(&m.parameters, &m.samples, &m.systematics, &m.channels)),
        serde_json::to_string(&(&m.regions, &m.features, &likelihood, &m.training, toys)),
        serde_json::to_string(&(&m.ensemble, &m.model, &m.observed, &m.generate, &m.data)),
    ];
    for part in parts.into_iter().flatten() {
        hash.update(part);
    }
    let mut numbers = |values: &[f64]| values.iter().for_each(|x| hash.update(x.to_le_bytes()));
    for process in &study.plan.processes {
        numbers(&[process.rate()]);
        process.templates.iter().for_each(|t| numbers(&t.contents));
    }
    study.plan.varied.values().for_each(|v| numbers(&v.rates));
    let finite = analyst.parameters.finite_sample.iter();
    let nodes = finite.flat_map(|spline| spline.nodes());
    nodes.for_each(|(x, y)| numbers(&[*x, *y]));
    for point in &pool.points {
        numbers(&point.truth);
        let densities = pool.channel.densities(&point.truth);
        let some: Vec<f64> = densities.into_iter().step_by(37).collect();
        numbers(&some);
    }
    let bytes = hash.finalize();
    bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
}
