//! Coverage of profile-likelihood intervals on the interference model with exact
//! density ratios: five values of mu, two points of the nuisance parameters, toys of
//! about 2000 events drawn from the true density.
//!
//! By default a reduced study that takes some seconds. The whole one, which prints the
//! figures of `benches/RESULTS.md`: `scripts/coverage.sh exact`.

mod bounds;
mod histogram;

use crate::support::is_full;
use histogram::HistogramAnalysis;
use sideband::toys::{Toy, ToyStudy};
use sideband::truth::{ExactMeasurement, Interference, InterferenceConfig, TrueProcess, Truth};
use sideband_likelihood::Parameter;
use sideband_likelihood::histogram::{HistogramChannel, HistogramModel};
use sideband_likelihood::neyman::{Belt, Statistic};
use sideband_likelihood::toys::{Coverage, PointReport, ToyRecord, coverage, toy_set};
use std::sync::LazyLock;
use std::time::Instant;

const LEVELS: [f64; 2] = [0.6827, 0.9545];
const MUS: [f64; 5] = [0.25, 0.5, 1.0, 1.5, 2.0];
/// A test among some forty numbers fails by chance once in 1e3 seeds beyond this.
const PULL: f64 = 4.2;

fn experiment() -> ExactMeasurement {
    let model = Interference::new(InterferenceConfig::default()).unwrap();
    ExactMeasurement::new(model, vec![TrueProcess::S, TrueProcess::Sbi]).unwrap()
}

/// Toys at every one of `truths`, each made and measured by `measure`.
fn throw(
    measure: impl Fn(&Truth, Toy) -> ToyRecord + Sync,
    seed: u64,
    toys: u64,
    truths: &[Truth],
) -> Vec<Vec<ToyRecord>> {
    let study = ToyStudy {
        name: "coverage of the interference model".into(),
        seed,
        parameters: ["mu", "shape", "rate"].map(String::from).to_vec(),
        points: truths.len() as u32,
        toys,
        chunk: 100,
    };
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let toy = |toy: Toy| measure(&truths[toy.point as usize], toy);
    study.run(folder.path(), toy, || false).unwrap();
    let number = toys as f64 * truths.len() as f64;
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} toys a second", number / seconds);
    study.read(folder.path()).unwrap()
}

/// The points of the study: every `mu` at two points of the nuisance parameters.
fn truths() -> Vec<Truth> {
    let point = |mu, [shape, rate]: [f64; 2]| Truth { mu, shape, rate };
    let at = |nuisance| MUS.iter().map(move |mu| point(*mu, nuisance));
    at([0.0, 0.0]).chain(at([1.0, -1.0])).collect()
}

/// Where it is, for a row of a table.
fn cell(truth: &Truth) -> String {
    format!("{} | {:+}, {:+}", truth.mu, truth.shape, truth.rate)
}

fn cells(covered: &[Coverage]) -> String {
    let cell = |c: &Coverage| format!("{:.4} ({:+.1})", c.counted.value, c.pull);
    covered.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

/// Toys at each point.
fn toys() -> u64 {
    if is_full() { 20_000 } else { 250 }
}

/// Toys with exact density ratios, of a seed.
fn exact(seed: u64, truths: &[Truth]) -> Vec<Vec<ToyRecord>> {
    let experiment = experiment();
    let measure = |truth: &Truth, toy| experiment.toy(truth, toy).unwrap();
    throw(measure, seed, toys(), truths)
}

/// At the points of the study, once for all tests.
static EXACT: LazyLock<Vec<Vec<ToyRecord>>> = LazyLock::new(|| exact(1, &truths()));

/// A belt of critical values from toys.
fn belt(truths: &[Truth], records: &[Vec<ToyRecord>]) -> Belt {
    let sets = truths.iter().zip(records);
    let sets: Vec<_> = sets.map(|(truth, r)| toy_set(truth.mu, r)).collect();
    Belt::new(&sets, &LEVELS, Statistic::TwoSided).unwrap()
}

/// One channel of bins, as it counts.
fn histogram_model(
    channel: &HistogramChannel,
    counts: Vec<f64>,
    parameters: Vec<Parameter>,
) -> HistogramModel {
    HistogramModel {
        parameters,
        fixed: Vec::new(),
        channels: vec![channel.with_observed(counts).unwrap()],
        constraints: Vec::new(),
    }
}

#[test]
fn intervals_of_exact_ratios_cover() {
    let nominal = MUS.map(Truth::nominal);
    let belt = belt(&nominal, &exact(2, &nominal));
    println!(
        "| mu | shape, rate | t < 1 | t < 4 | belt 68.27 % | belt 95.45 % | bias | pull shape | pull rate |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (i, (truth, records)) in truths().iter().zip(&*EXACT).enumerate() {
        let report = PointReport::new(records, &LEVELS).unwrap();
        assert_eq!(report.failed, 0, "{truth:?}");
        for covered in &report.asymptotic {
            assert!(covered.pull.abs() < PULL, "{truth:?}: {covered:?}");
        }
        let critical = &belt.points()[i % MUS.len()].critical;
        let by_belt = LEVELS.iter().zip(critical);
        let by_belt = by_belt.map(|(level, c)| coverage(records, *level, c.toys.value).unwrap());
        let by_belt: Vec<_> = by_belt.collect();
        for covered in &by_belt {
            // the belt's own toys are as many
            let is_covered = covered.pull.abs() < 2f64.sqrt() * PULL;
            assert!(is_covered, "{truth:?}: {covered:?}");
        }
        for (name, pull) in ["shape", "rate"].iter().zip(&report.pulls[1..]) {
            let mean = pull.mean / pull.mean_error;
            let width = (pull.width - 1.0) / pull.width_error;
            // the likelihood is not quite a parabola: 0.06 and 5 % at 2000 events
            let is_centred = mean.abs() < PULL || pull.mean.abs() < 0.1;
            let is_unit = width.abs() < PULL || (pull.width - 1.0).abs() < 0.08;
            assert!(is_centred && is_unit, "{name} {truth:?}: {pull:?}");
        }
        let error = 1.0 / (report.toys as f64).sqrt();
        let bias = report.relative_bias[0];
        assert!(bias.abs() < 0.2 + PULL * error, "{truth:?}: {bias}");
        let pulls = report.pulls[1..].iter();
        let pulls: Vec<String> = pulls
            .map(|p| format!("{:+.3}, {:.3}", p.mean, p.width))
            .collect();
        let (asymptotic, by_belt) = (cells(&report.asymptotic), cells(&by_belt));
        let (at, pulls) = (cell(truth), pulls.join(" | "));
        println!("| {at} | {asymptotic} | {by_belt} | {bias:+.3} | {pulls} |");
    }
}

/// Between the sides of a nuisance parameter code 4 is no density: a fit that takes it
/// for one misses the truth, and this test would see it.
#[test]
fn intervals_do_not_cover_without_normalisation() {
    let bare = experiment().without_normalisation();
    let truth = [Truth {
        shape: 1.0,
        ..Truth::nominal(1.0)
    }];
    let measure = |truth: &Truth, toy| bare.toy(truth, toy).unwrap();
    let records = throw(measure, 3, if is_full() { 2000 } else { 100 }, &truth);
    let report = PointReport::new(&records[0], &LEVELS).unwrap();
    println!("without normalisation: {:?}", report.asymptotic);
    assert!(report.asymptotic[0].pull < -PULL, "{:?}", report.asymptotic);
}

/// The same toys by a histogram of the best single observable: what the densities of
/// all six gain.
#[test]
fn a_histogram_knows_less() {
    let (experiment, truths) = (experiment(), truths());
    let all = HistogramAnalysis::of_all(&experiment).into_iter();
    let error = |analysis: &HistogramAnalysis<'_>| analysis.expected_error(1.0);
    let histogram = all.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap();
    let measure = |truth: &Truth, toy| histogram.toy(truth, toy);
    let records = throw(measure, 1, toys(), &truths);
    println!("observable x{}", histogram.observable() + 1);
    println!(
        "| mu | shape, rate | t < 1 | t < 4 | bias | spread of mu | to exact ratios | failed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((truth, records), exact) in truths.iter().zip(&records).zip(&*EXACT) {
        let report = PointReport::new(records, &LEVELS).unwrap();
        let width = report.fitted[0].width;
        let gain = width / PointReport::new(exact, &LEVELS).unwrap().fitted[0].width;
        let (at, asymptotic) = (cell(truth), cells(&report.asymptotic));
        let (bias, failed) = (report.relative_bias[0], report.failed);
        println!("| {at} | {asymptotic} | {bias:+.3} | {width:.3} | {gain:.2} | {failed} |");
        assert_eq!(report.failed, 0, "{truth:?}");
        for covered in &report.asymptotic {
            assert!(covered.pull.abs() < PULL, "{truth:?}: {covered:?}");
        }
        assert!(gain > 1.2, "{truth:?}: {gain}");
    }
}
