//! Pseudo-experiments of a measurement: the distribution of the test statistic, the
//! belt, coverage.

use super::analyse::{Analyst, LEVELS};
use super::asimov::asimov_weights;
use super::columns::{Columns, Ratios, Source};
use super::error::MeasureError;
use super::events::Events;
use super::generate::model;
use super::likelihoods::Likelihoods;
use super::model::Builder;
use super::pipeline::{NORMALISATION, Study};
use super::progress::{TOYS, TOYS_FOLDER, ToyFolder};
use super::result::{ScanResult, ToyPoint, ToysResult};
use crate::config::{FINITE_SAMPLE, Measurement, ToyEvents, ToysConfig};
use crate::inference::UnbinnedChannel;
use crate::inference::fit::{Fit, FitSettings};
use crate::inference::histogram::HistogramChannel;
use crate::inference::interference::{Count, DIMENSIONS, Point, Process, Truth};
use crate::inference::neyman::{Belt, Statistic};
use crate::inference::toys::{
    AsimovPool, Chunks, PointReport, Study as ToyStudy, StudyError, Toy, ToyRecord, fit_toy,
    poisson, randomised, reference_weights, toy_set,
};
use crate::inference::{Constraint, Model, Parameter, Sample};
use crate::run::atomic;
use sha2::{Digest, Sha256};
use sideband_models::random::Key;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Toys of a file.
const CHUNK: u64 = 200;
/// Events of the reference that toys from the truth are thrown from.
const TRUTH_POOL: usize = 200_000;
/// Branches of a toy's key.
const EVENTS: u64 = 1;
const AUXILIARY: u64 = 2;
const COUNTS: u64 = 3;
/// The word that branches the pool off the seed.
const POOL: u64 = 0x504F_4F4C;

/// Toys in a folder of the run directory.
struct Folder(PathBuf);

impl Chunks for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.0.join(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        atomic::write(&self.0.join(name), bytes)
    }
}

/// Events that toys are thrown from, and what they are worth at each point.
struct Pool {
    channel: UnbinnedChannel,
    points: Vec<PoolPoint>,
}

/// Where toys are thrown.
struct PoolPoint {
    /// The truth in the fit's coordinates, `[n]`.
    truth: Vec<f64>,
    pool: AsimovPool,
}

/// The truth that toys are thrown at, for one value of the parameter of interest.
fn truth_at(config: &ToysConfig, value: f64) -> Result<Truth, MeasureError> {
    let mut at = Truth::nominal(value);
    for (name, x) in &config.nuisance {
        match name.as_str() {
            "shape" => at.shape = *x,
            "rate" => at.rate = *x,
            _ => {
                return Err(MeasureError::config(
                    format!("toys.nuisance.{name}"),
                    "is no nuisance parameter of the model; it has shape and rate",
                ));
            }
        }
    }
    Ok(at)
}

/// Whether toys can be thrown at the truths of the configuration.
pub(super) fn check(measurement: &Measurement) -> Result<(), MeasureError> {
    let (Some(config), Some(generate)) = (&measurement.toys, &measurement.generate) else {
        return Ok(());
    };
    if config.events == ToyEvents::Truth {
        let truth = model(generate)?;
        for value in &config.grid {
            let (at, none) = (truth_at(config, *value)?, Count::Fixed(0));
            truth
                .sample_at(&at, none, Key::from_seed(0))
                .map_err(|e| MeasureError::config("toys.nuisance", e.to_string()))?;
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
    pub(super) fn report(&self, scan: Option<&ScanResult>) -> Result<ToysResult, MeasureError> {
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
        let folder = Folder(study.root.path().join(TOYS_FOLDER).join(&digest));
        std::fs::create_dir_all(&folder.0).map_err(|e| MeasureError::File {
            path: folder.0.clone(),
            reason: e.to_string(),
        })?;
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
    fn learned(&self, events: &Events) -> Result<Columns, MeasureError> {
        let weights = events.weights.clone();
        self.source.learned(self.ratios, &events.features, weights)
    }

    /// Some events of the reference, which divide the density by its integral.
    fn normalising(&self) -> Result<Option<Sample>, MeasureError> {
        if !self.study.is_renormalised() {
            return Ok(None);
        }
        let columns = self.learned(&self.reference.thinned(NORMALISATION))?;
        Ok(Some(columns.sample()?))
    }

    /// Reference events that no network has seen, with the weights that the likelihood
    /// itself gives them, at the nuisance parameters that fit the data best for each value.
    fn simulated(&self) -> Result<Pool, MeasureError> {
        let columns = self.learned(self.reference)?;
        let normalising = self.normalising()?;
        let list = self.made.list();
        let channel = self
            .builder()
            .unbinned(&columns, normalising.as_ref(), list)?;
        let analyst = self.analyst;
        let interest = analyst.interest()[0];
        let mut points = Vec::new();
        for value in &self.config.grid {
            let at = analyst.parameters.coordinate(interest, *value);
            let truth = analyst.profiled(&self.made.model, self.best, interest, at)?;
            let weights = asimov_weights(&channel, &self.reference.weights, &truth)?;
            points.push(PoolPoint {
                truth,
                pool: AsimovPool::new(&weights)
                    .map_err(|e| MeasureError::Likelihood(e.to_string()))?,
            });
        }
        Ok(Pool { channel, points })
    }

    /// New events of the true reference with the weights that the true density gives them:
    /// neither the training samples nor the learned ratios decide what is thrown.
    fn truth(&self) -> Result<Pool, MeasureError> {
        let (study, config, made, analyst) = (self.study, self.config, self.made, self.analyst);
        let source = self.source;
        let measurement = study.measurement;
        let Some(generate) = &measurement.generate else {
            return Err(MeasureError::config(
                "toys.events",
                "the truth is not known",
            ));
        };
        let truth = model(generate)?;
        let reference: Vec<Process> = Process::ALL
            .into_iter()
            .filter(|p| {
                let names = &measurement.measurement.reference;
                names.iter().any(|name| name == p.name())
            })
            .collect();
        let total: f64 = reference.iter().map(|p| truth.events(*p)).sum();
        let key = Key::from_seed(measurement.experiment.seed).with(POOL);
        let mut drawn: Vec<Point> = Vec::new();
        for process in &reference {
            let share = truth.events(*process) / total;
            let n = (share * TRUTH_POOL as f64).round() as usize;
            drawn.extend(truth.sample(*process, n, key.with(*process as u64)));
        }
        let features: Vec<f32> = drawn.iter().flatten().map(|x| *x as f32).collect();
        // what the networks see is rounded; the truth is that of the rounded event
        let rounded: Vec<Point> = features
            .chunks_exact(DIMENSIONS)
            .map(|row| std::array::from_fn(|i| f64::from(row[i])))
            .collect();
        let ones = vec![1.0; rounded.len()];
        let columns = if config.exact {
            source.exact(&truth, &rounded, ones.clone())?
        } else {
            source.learned(self.ratios, &features, ones.clone())?
        };
        let normalising = match (config.exact, study.is_renormalised()) {
            (_, false) => None,
            (false, true) => self.normalising()?,
            (true, true) => {
                let step = rounded.len().div_ceil(NORMALISATION);
                let some: Vec<Point> = rounded.iter().copied().step_by(step).collect();
                let weights = vec![1.0; some.len()];
                Some(source.exact(&truth, &some, weights)?.sample()?)
            }
        };
        let channel = self
            .builder()
            .unbinned(&columns, normalising.as_ref(), made.list())?;
        let interest = analyst.interest()[0];
        let mut points = Vec::new();
        for value in &config.grid {
            let at = truth_at(config, *value)?;
            let known = |e: crate::inference::interference::InterferenceError| {
                MeasureError::config("toys", e.to_string())
            };
            let expected = truth.expected(&at).map_err(known)?;
            let mut ratios = Vec::with_capacity(rounded.len());
            for x in &rounded {
                let intensity = truth.intensity(&at, x).map_err(known)?;
                let density: f64 = reference
                    .iter()
                    .map(|p| truth.events(*p) * truth.density(*p, x))
                    .sum();
                ratios.push(intensity / expected / (density / total));
            }
            let weights = reference_weights(&ratios, &ones, expected)
                .map_err(|e| MeasureError::Likelihood(e.to_string()))?;
            let mut coordinates: Vec<f64> = made.list().iter().map(|p| p.nominal).collect();
            coordinates[interest] = analyst.parameters.coordinate(interest, *value);
            for (name, x) in &config.nuisance {
                if let Some(place) = made.parameter(name) {
                    coordinates[place] = *x;
                }
            }
            points.push(PoolPoint {
                truth: coordinates,
                pool: AsimovPool::new(&weights)
                    .map_err(|e| MeasureError::Likelihood(e.to_string()))?,
            });
        }
        Ok(Pool { channel, points })
    }
}

fn wrong(study: &Study<'_>, error: StudyError) -> MeasureError {
    match error {
        StudyError::Stopped => MeasureError::Interrupted {
            by_time: study.interrupt.is_by_time(),
        },
        other @ StudyError::Read { .. } => MeasureError::Data {
            key: study.root.path().join(TOYS_FOLDER).display().to_string(),
            reason: other.to_string(),
        },
        other => MeasureError::File {
            path: study.root.path().join(TOYS_FOLDER),
            reason: other.to_string(),
        },
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

/// What toys have in common because their pool is finite, where that is worst, and what to
/// change.
fn shared_pool(measurement: &Measurement, config: &ToysConfig, pool: &Pool) -> Option<String> {
    let points = config.grid.iter().zip(&pool.points);
    let all = points.map(|(value, point)| (value, point.pool.duplicates()));
    let (value, worst) = all.max_by(|a, b| a.1.common_shift.total_cmp(&b.1.common_shift))?;
    let m = &measurement.measurement;
    let change = match config.events {
        ToyEvents::Simulated => format!(
            ": give samples.{} more events, or raise training.held_out",
            m.reference.join(" and samples.")
        ),
        ToyEvents::Truth => String::new(),
    };
    let warning = worst.warning()?;
    Some(format!(
        "toys at {} = {value}: {warning}{change}",
        m.interest[0]
    ))
}

/// Makes one pseudo-experiment and fits it.
struct Thrower<'a> {
    pool: &'a Pool,
    histograms: &'a [HistogramChannel],
    parameters: &'a [Parameter],
    settings: &'a FitSettings,
    interest: usize,
    is_truth: bool,
}

impl Thrower<'_> {
    fn toy(&self, toy: Toy) -> ToyRecord {
        let point = &self.pool.points[toy.point as usize];
        let thrown = point.pool.throw(toy.key.with(EVENTS));
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
        let Some(model) = self.model(point, &thrown.rows, &thrown.weights(), toy.key) else {
            return record;
        };
        if let Ok(fitted) = fit_toy(&model, self.settings, self.interest, &point.truth) {
            record.converged = fitted.converged;
            record.t = fitted.t;
            record.fitted = fitted.fitted;
            record.errors = fitted.errors;
        }
        record
    }

    fn model(&self, point: &PoolPoint, rows: &[usize], weights: &[f64], key: Key) -> Option<Model> {
        let channel = self.pool.channel.select(rows, weights).ok()?;
        let mut parameters = randomised(self.parameters, &point.truth, key.with(AUXILIARY));
        if self.is_truth {
            // the training is what it is: its parameter is not thrown
            for parameter in parameters.iter_mut().filter(|p| p.name == FINITE_SAMPLE) {
                parameter.constraint = Some(Constraint {
                    centre: 0.0,
                    width: 1.0,
                });
            }
        }
        let counts = |number: usize, channel: &HistogramChannel| {
            let mut stream = key.with(COUNTS).with(number as u64).stream();
            let expected = channel.expected(&point.truth);
            let counts = expected
                .iter()
                .map(|mean| poisson(mean.max(0.0), &mut stream) as f64);
            channel.with_observed(counts.collect()).ok()
        };
        let histograms = self.histograms.iter().enumerate();
        let histograms = histograms.map(|(number, channel)| counts(number, channel));
        let histograms = histograms.collect::<Option<Vec<_>>>()?;
        Some(Builder::model(parameters, Some(channel), histograms))
    }
}

fn report(
    config: &ToysConfig,
    analyst: &Analyst<'_>,
    interest: usize,
    pool: &Pool,
    records: &[Vec<ToyRecord>],
    scan: Option<&ScanResult>,
) -> Result<ToysResult, MeasureError> {
    let failed = |e: crate::inference::neyman::NeymanError| MeasureError::Other(e.to_string());
    let levels = LEVELS.map(|(level, _)| level);
    let mut points = Vec::new();
    for ((value, records), point) in config.grid.iter().zip(records).zip(&pool.points) {
        let report = PointReport::new(records, &levels).map_err(failed)?;
        let reported: Vec<f64> = records
            .iter()
            .filter(|r| r.converged)
            .map(|r| analyst.parameters.value(interest, r.fitted[interest]))
            .collect();
        let n = reported.len() as f64;
        let mean = reported.iter().sum::<f64>() / n;
        let spread = reported.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let duplicates = point.pool.duplicates();
        points.push(ToyPoint {
            value: *value,
            toys: report.toys,
            failed: report.failed,
            events: point.pool.expected(),
            coverage: report
                .asymptotic
                .iter()
                .map(|c| [c.counted.value, c.counted.low, c.counted.high])
                .collect(),
            fitted: [mean, spread.sqrt()],
            bias: (mean - value) / spread.sqrt(),
            pulls: report
                .pulls
                .iter()
                .map(|p| [p.mean, p.mean_error, p.width, p.width_error])
                .collect(),
            at_bound: report.at_bound,
            largest_weight: duplicates.largest_weight,
            duplicates: duplicates.share,
            common_shift: duplicates.common_shift,
            t: toy_set(*value, records).t,
        });
    }
    let sets: Vec<_> = config
        .grid
        .iter()
        .zip(records)
        .map(|(value, records)| toy_set(*value, records))
        .collect();
    let (belt, no_belt) = match Belt::new(&sets, &levels, Statistic::TwoSided) {
        Ok(belt) => (Some(belt), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let curve: Vec<(f64, f64)> = scan
        .and_then(|scan| scan.curves.get("profiled"))
        .map(|curve| curve.points.iter().map(|p| (p[0], p[1])).collect())
        .unwrap_or_default();
    let sets = belt.iter().flat_map(|belt| {
        let set = |level: &f64| belt.confidence_set(*level, &curve).ok();
        levels.iter().filter_map(set).collect::<Vec<_>>()
    });
    Ok(ToysResult {
        warning: shared_pool(analyst.measurement, config, pool),
        points,
        sets: sets.collect(),
        no_belt,
        belt: belt.map(|belt| belt.points().to_vec()).unwrap_or_default(),
    })
}
