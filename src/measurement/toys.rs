//! Pseudo-experiments of a measurement: the distribution of the test statistic, the
//! belt, coverage.

use super::events::{Events, unseen};
use super::files::{FORMER_TOYS, take_back};
use super::likelihoods::{Likelihoods, asimov_weights};
use super::model::{Analysis, model, no_likelihood};
use super::progress::{TOYS, TOYS_FOLDER, ToyFolder};
use super::ratios::{Columns, Ratios};
use super::result::{LEVELS, ScanResult, ToyPoint, ToysResult};
use super::samples::Reader;
use crate::error::{Context, Error, Kind, Result, counted};
use crate::files::regular;
use crate::rundir::{Progress, RunDirectory};
use crate::settings::{FINITE_SAMPLE, Measurement, ToyEvents, ToysConfig};
use crate::toys::{Toy, ToyStudy, finished_toys};
use crate::training::Interrupt;
use crate::truth::{self, World};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use sideband_likelihood::fit::{Fit, FitSettings};
use sideband_likelihood::histogram::HistogramChannel;
use sideband_likelihood::neyman::{Belt, Statistic};
use sideband_likelihood::toys::{
    AsimovPool, PointReport, ToyRecord, fit_toy, poisson, randomised, reference_weights, toy_set,
};
use sideband_likelihood::{Constraint, Model, Sample, UnbinnedChannel};
use sideband_numerics::random::Key;
use std::sync::Arc;

/// Reference events that normalise the density in fits that are many: of members and of
/// toys.
pub(super) const NORMALISATION: usize = 10_000;
/// Toys of a file.
const CHUNK: u64 = 200;
/// Events of the reference that toys from the truth are thrown from.
const TRUTH_POOL: usize = 200_000;
/// The word that branches the pool off the seed.
const POOL: u64 = 0x504F_4F4C;

/// Branches of a toy's key.
const THROWN: u64 = 1;
const AUXILIARY: u64 = 2;
const COUNTS: u64 = 3;

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
    pub analysis: Analysis<'a>,
    pub config: &'a ToysConfig,
    pub reader: &'a Reader<'a>,
    pub ratios: &'a Ratios,
    pub made: &'a Likelihoods,
    pub best: &'a Fit,
    /// Events of the reference that no network has seen, and their ratios.
    pub reference: (&'a Events, &'a Columns),
}

impl Toys<'_> {
    /// Throws, fits and reports all pseudo-experiments of the configuration.
    pub(super) fn report(
        &self,
        scan: Option<&ScanResult>,
        root: &RunDirectory,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<ToysResult> {
        let (config, measurement) = (self.config, self.analysis.measurement);
        let pool = match config.events {
            ToyEvents::Simulated => self.simulated()?,
            ToyEvents::Truth => self.truth()?,
        };
        let digest = self.folder(&pool, root);
        let parameters = self.made.parameters().iter();
        let study = ToyStudy {
            name: format!(
                "{}, {:?} events, {digest}",
                measurement.experiment.name, config.events
            ),
            seed: measurement.experiment.seed,
            parameters: parameters.map(|p| p.name.clone()).collect(),
            points: config.grid.len() as u32,
            toys: u64::from(config.number),
            chunk: CHUNK,
        };
        // toys of another likelihood stay where they are
        let all = root.path().join(TOYS_FOLDER);
        let folder = all.join(&digest);
        take_back(root, &digest)?;
        regular::make_folder(&folder).at(Kind::Internal, folder.display())?;
        let asked = ToyFolder {
            folder: digest,
            parameter: measurement.measurement.interest[0].clone(),
            values: config.grid.clone(),
            toys: study.toys,
        };
        root.write_json(&root.path().join(TOYS), &asked)?;
        progress.say(&format!(
            "throwing {} at each of {}",
            counted(config.number, "toy"),
            counted(config.grid.len(), "value")
        ));
        let settings = self.analysis.settings();
        let there: u64 = finished_toys(&folder, study.points, study.toys)
            .iter()
            .sum();
        let all_toys = u64::from(study.points) * study.toys;
        let stage = progress.stage("throwing", all_toys.saturating_sub(there));
        let throw = |toy| {
            let record = self.throw(&pool, &settings, toy);
            stage.add(1);
            record
        };
        let thrown = study.run(&folder, throw, || interrupt.is_raised());
        drop(stage);
        let records = thrown.and_then(|()| study.read(&folder));
        let records = records.map_err(|error| match error.kind() {
            Kind::Interrupted => {
                let text = "interrupted; run the same command again to go on";
                Error::new(interrupt.kind(), text)
            }
            Kind::Data => error.at_key(all.display()),
            _ => error.at(all.display()),
        });
        report(config, self.analysis, &pool, &records?, scan)
    }

    /// Name of the folder of the toys: by the contents of the files; by their paths where
    /// toys were thrown under such a name.
    fn folder(&self, pool: &Pool, root: &RunDirectory) -> String {
        let (measurement, plan) = (self.analysis.measurement, self.analysis.plan);
        // the observed events are in what is profiled on them
        let simulated = plan.files.iter().filter(|(key, _)| *key != "observed");
        let files = simulated.flat_map(|(key, files)| {
            let digests = files.iter().map(|file| file.sha256.as_str());
            std::iter::once(key.as_str()).chain(digests)
        });
        let mut identity = measurement.without_paths().likelihood_identity();
        identity.extend(files);
        let name = digest(self.analysis, pool, &identity);
        let former = digest(self.analysis, pool, &measurement.likelihood_identity());
        let is_there = |name: &str| {
            let mut folders = [TOYS_FOLDER, FORMER_TOYS].into_iter();
            folders.any(|folder| root.join(folder).join(name).is_dir())
        };
        match is_there(&former) && !is_there(&name) {
            true => former,
            false => name,
        }
    }

    /// Throws and fits a toy; a fit that fails is a record too.
    fn throw(&self, pool: &Pool, settings: &FitSettings, toy: Toy) -> ToyRecord {
        let point = &pool.points[toy.point as usize];
        let thrown = point.pool.throw(toy.key.with(THROWN));
        let mut record = ToyRecord {
            point: toy.point,
            toy: toy.number,
            events: thrown.events(),
            converged: false,
            t: f64::NAN,
            truth: point.truth.clone(),
            fitted: vec![f64::NAN; point.truth.len()],
            errors: vec![f64::NAN; point.truth.len()],
        };
        let channel = pool.channel.select(&thrown.rows, &thrown.weights()).ok();
        let model = channel.and_then(|channel| self.thrown(channel, point, toy.key));
        let interest = self.analysis.interest()[0];
        let fitted = model.map(|model| fit_toy(&model, settings, interest, &point.truth));
        if let Some(Ok(fitted)) = fitted {
            record.converged = fitted.converged;
            record.t = fitted.t;
            record.fitted = fitted.fitted;
            record.errors = fitted.errors;
        }
        record
    }

    /// The likelihood of thrown events, with auxiliary measurements and counts thrown as well.
    fn thrown(&self, channel: UnbinnedChannel, point: &PoolPoint, key: Key) -> Option<Model> {
        let prior = self.analysis.parameters.prior.as_ref();
        let parameters = self.made.parameters();
        let mut parameters = randomised(parameters, &point.truth, key.with(AUXILIARY));
        if let Some(prior) = prior {
            prior.correlate(&mut parameters, &point.truth);
        }
        if self.config.events == ToyEvents::Truth {
            // the training is what it is: its parameter is not thrown
            for parameter in parameters.iter_mut().filter(|p| p.name == FINITE_SAMPLE) {
                parameter.constraint = Some(Constraint {
                    centre: 0.0,
                    width: 1.0,
                });
            }
        }
        let counts = |(number, channel): (usize, &HistogramChannel)| {
            let mut stream = key.with(COUNTS).with(number as u64).stream();
            let expected = channel.expected(&point.truth).into_iter();
            let counts = expected.map(|mean| poisson(mean.max(0.0), &mut stream) as f64);
            channel.with_observed(counts.collect()).ok()
        };
        let histograms = self.made.channels.iter().enumerate().map(counts);
        let histograms = histograms.collect::<Option<Vec<_>>>()?;
        let prior = prior.cloned();
        Some(model(parameters, Arc::new(channel), histograms, prior))
    }

    /// Learned ratios of events.
    fn learned(&self, events: &Events) -> Result<Columns> {
        let weights = events.weights.clone();
        self.analysis
            .learned(self.ratios, &events.features, weights)
    }

    /// Some events of the reference, which divide the density by its integral; `exact`: with
    /// these ratios.
    fn normalising(&self, exact: Option<&Columns>) -> Result<Option<Sample>> {
        if !self.analysis.measurement.measurement.renormalise {
            return Ok(None);
        }
        let columns = match exact {
            Some(columns) => columns.thinned(NORMALISATION),
            None => self.learned(&self.reference.0.thinned(NORMALISATION))?,
        };
        Ok(Some(columns.sample()?))
    }

    /// Simulated events that no network has seen, with the weights that the likelihood
    /// itself gives them, at the nuisance parameters that fit the data best for each value:
    /// those of the reference if their weights are not negative, else those of the process
    /// of positive weights that is worth most events.
    fn simulated(&self) -> Result<Pool> {
        let is_negative = |events: &Events| events.weights.iter().any(|w| *w < 0.0);
        let (reference, columns) = self.reference;
        if !is_negative(reference) {
            let relative = vec![1.0; reference.len()];
            return self.thrown_from(columns, &reference.weights, &relative, None);
        }
        let mut found: Option<(f64, Pool)> = None;
        let mut tried = Vec::new();
        for (number, process) in self.analysis.plan.measured().enumerate() {
            let mut events = Events::default();
            let (name, sum) = (&process.name, process.sum);
            if sum <= 0.0 || unseen(self.reader, name, sum, &mut events).is_err() {
                continue;
            }
            tried.push(name.as_str());
            if is_negative(&events) {
                continue;
            }
            let columns = self.learned(&events)?;
            let relative = &columns.processes[number].ratio;
            let pool = self.thrown_from(&columns, &events.weights, relative, Some(name))?;
            let points = pool.points.iter();
            let worth = points.map(|p| p.pool.duplicates().effective_events);
            let worth = worth.fold(f64::INFINITY, f64::min);
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
        let analysis = self.analysis;
        let normalising = self.normalising(None)?;
        let parameters = self.made.parameters();
        let channel = analysis.unbinned(columns.sample()?, normalising.as_ref(), parameters)?;
        let weights: Vec<f64> = weights.iter().zip(relative).map(|(w, r)| w / r).collect();
        let interest = analysis.interest()[0];
        let point = |value: &f64| {
            let at = analysis.parameters.coordinate(interest, *value);
            let truth = analysis.profiled(&self.made.model, self.best, interest, at)?;
            let weights = asimov_weights(&channel, &weights, &truth)?;
            let pool = AsimovPool::new(&weights).map_err(no_likelihood)?;
            Ok(PoolPoint { truth, pool })
        };
        let points = self.config.grid.iter().map(point).collect::<Result<_>>()?;
        Ok(Pool {
            channel,
            points,
            source: source.cloned(),
        })
    }

    /// New events of the true reference with the weights that the true density gives them:
    /// neither the training samples nor the learned ratios decide what is thrown.
    fn truth(&self) -> Result<Pool> {
        let (config, made, analysis) = (self.config, self.made, self.analysis);
        let measurement = analysis.measurement;
        let Some(generate) = &measurement.generate else {
            let text = "the truth is not known";
            return Err(Error::config_at("toys.events", text));
        };
        let world = truth::open(generate.model)?;
        let world = world.as_ref();
        let reference = &measurement.measurement.reference;
        let key = Key::from_seed(measurement.experiment.seed).with(POOL);
        // what the networks see is rounded; the truth is that of the rounded event
        let features = world.reference_events(reference, TRUTH_POOL, key);
        let ones = vec![1.0; features.len() / self.reader.names().len()];
        let columns = match config.exact {
            true => analysis.exact(world, &features, ones.clone())?,
            false => analysis.learned(self.ratios, &features, ones.clone())?,
        };
        let normalising = self.normalising(config.exact.then_some(&columns))?;
        let sample = columns.sample()?;
        let channel = analysis.unbinned(sample, normalising.as_ref(), made.parameters())?;
        let interest = analysis.interest()[0];
        let point = |value: &f64| {
            let at = truth_at(world, config, *value)?;
            let found = world.expectation(&at, reference, &features);
            let (expected, ratios) = found.key(Kind::Config, "toys")?;
            let weights = reference_weights(&ratios, &ones, expected).map_err(no_likelihood)?;
            let nominal = made.parameters().iter().map(|p| p.nominal);
            let mut truth: Vec<f64> = nominal.collect();
            truth[interest] = analysis.parameters.coordinate(interest, *value);
            for (name, x) in &config.nuisance {
                if let Some(place) = analysis.parameters.place(name) {
                    truth[place] = *x;
                }
            }
            let pool = AsimovPool::new(&weights).map_err(no_likelihood)?;
            Ok(PoolPoint { truth, pool })
        };
        let points = config.grid.iter().map(point).collect::<Result<_>>()?;
        Ok(Pool {
            channel,
            points,
            source: None,
        })
    }
}

/// What the toys depend on beside their number, as a name: toys of another likelihood
/// are never mixed with these. `identity`: of the configuration.
fn digest(analysis: Analysis<'_>, pool: &Pool, identity: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(identity);
    let mut numbers = |values: &[f64]| values.iter().for_each(|x| hash.update(x.to_le_bytes()));
    for process in &analysis.plan.processes {
        numbers(&[process.rate()]);
        process.templates.iter().for_each(|t| numbers(&t.contents));
    }
    let varied = analysis.plan.varied.values();
    varied.for_each(|v| numbers(&v.rates));
    let finite = analysis.parameters.finite_sample.iter();
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

/// What the toys of all values say of the fit, and the belt they make.
fn report(
    config: &ToysConfig,
    analysis: Analysis<'_>,
    pool: &Pool,
    records: &[Vec<ToyRecord>],
    scan: Option<&ScanResult>,
) -> Result<ToysResult> {
    let interest = analysis.interest()[0];
    let levels = LEVELS.map(|(level, _)| level);
    let mut points = Vec::new();
    for ((value, records), point) in config.grid.iter().zip(records).zip(&pool.points) {
        let report = PointReport::new(records, &levels).of(Kind::NotMeasured)?;
        let good = || records.iter().filter(|r| r.converged);
        let value_of = |r: &ToyRecord| analysis.parameters.value(interest, r.fitted[interest]);
        let reported: Vec<f64> = good().map(value_of).collect();
        let n = reported.len() as f64;
        let mean = reported.iter().sum::<f64>() / n;
        let square = reported.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let spread = (reported.len() > 1).then(|| (square / (n - 1.0)).sqrt());
        let on_bound = good().filter(|r| r.errors.get(interest) == Some(&0.0));
        let duplicates = point.pool.duplicates();
        points.push(ToyPoint {
            value: *value,
            toys: report.toys,
            failed: report.failed,
            events: point.pool.expected(),
            coverage: (report.asymptotic.iter())
                .map(|c| [c.counted.value, c.counted.low, c.counted.high])
                .collect(),
            fitted: (mean, spread),
            bias: spread
                .filter(|s| *s > 0.0)
                .map(|spread| (mean - value) / spread),
            pulls: (report.pulls.iter())
                .map(|p| [p.mean, p.mean_error, p.width, p.width_error])
                .map(|p| p.iter().all(|x| x.is_finite()).then_some(p))
                .collect(),
            at_bound: on_bound.count() as f64 / n,
            largest_weight: duplicates.largest_weight,
            duplicates: duplicates.share,
            common_shift: duplicates.common_shift,
            t: toy_set(*value, records).t,
        });
    }
    let sets = config.grid.iter().zip(records);
    let sets: Vec<_> = sets.map(|(value, r)| toy_set(*value, r)).collect();
    // a level that there are too few toys for withholds no other
    let mut no_belt = Vec::new();
    let mut possible = Vec::new();
    for level in levels {
        match Belt::new(&sets, &[level], Statistic::TwoSided) {
            Ok(_) => possible.push(level),
            Err(error) => no_belt.push(format!("{:.2} %: {error}", 100.0 * level)),
        }
    }
    let belt = match possible.as_slice() {
        [] => None,
        levels => Belt::new(&sets, levels, Statistic::TwoSided).ok(),
    };
    let curve: Vec<(f64, f64)> = scan
        .and_then(|scan| scan.curves.get("profiled"))
        .map(|curve| curve.points.iter().map(|p| (p[0], p[1])).collect())
        .unwrap_or_default();
    let mut no_sets = Vec::new();
    let mut confidence_sets = Vec::new();
    if let Some(belt) = &belt {
        for level in belt.levels() {
            match belt.confidence_set(*level, &curve) {
                Ok(set) => confidence_sets.push(set),
                Err(error) => no_sets.push(format!("{:.2} %: {error}", 100.0 * level)),
            }
        }
    }
    let joined = |reasons: Vec<String>| (!reasons.is_empty()).then(|| reasons.join("; "));
    Ok(ToysResult {
        warning: shared_pool(analysis.measurement, config, pool),
        points,
        sets: confidence_sets,
        no_sets: joined(no_sets),
        no_belt: joined(no_belt),
        belt: belt.map(|belt| belt.points().to_vec()).unwrap_or_default(),
    })
}

/// What toys have in common because their pool is finite, where that is worst, and what to
/// change.
fn shared_pool(measurement: &Measurement, config: &ToysConfig, pool: &Pool) -> Option<String> {
    let m = &measurement.measurement;
    let points = config.grid.iter().zip(&pool.points);
    let all = points.map(|(value, point)| (value, point.pool.duplicates()));
    let (value, worst) = all.max_by(|a, b| a.1.common_shift.total_cmp(&b.1.common_shift))?;
    let change = match config.events {
        ToyEvents::Simulated => format!(
            ": give samples.{} more events, or raise training.held_out",
            match &pool.source {
                Some(process) => process.clone(),
                None => m.reference.join(" and samples."),
            }
        ),
        ToyEvents::Truth => String::new(),
    };
    let warning = worst.warning()?;
    Some(format!(
        "toys at {} = {value}: {warning}{change}",
        m.interest[0]
    ))
}
